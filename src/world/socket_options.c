/* SPDX-License-Identifier: MIT */
/* socket_options.c: options of the simulated sockets.
 *
 * Owns which there are, and what the kernel makes of a value: a switch is 0 or 1, a buffer's size
 * is doubled. Of most it is only remembered, so that a program which reads back what it has set
 * finds it; those that the network obeys are in endpoints.h. */
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "world/endpoints.h"
#include "world/net.h"

enum kind { SWITCH, NUMBER, BUFFER };

typedef struct known {
    int level;
    int name;
    enum kind kind;
    int initial;
} known;

/* By cr_option_index; SO_LINGER is two numbers. */
static const known options[CR_SOCKET_OPTIONS] = {
    [CR_OPTION_REUSE_ADDRESS] = { SOL_SOCKET, SO_REUSEADDR, SWITCH, 0 },
    [CR_OPTION_REUSE_PORT] = { SOL_SOCKET, SO_REUSEPORT, SWITCH, 0 },
    [CR_OPTION_ONLY_V6] = { IPPROTO_IPV6, IPV6_V6ONLY, SWITCH, 0 },
    [CR_OPTION_LINGER] = { -1, 0, SWITCH, 0 },
    [CR_OPTION_LINGER_SECONDS] = { -1, 0, NUMBER, 0 },
    [CR_OPTION_KEEPALIVE] = { SOL_SOCKET, SO_KEEPALIVE, SWITCH, 0 },
    [CR_OPTION_KEEP_IDLE] = { IPPROTO_TCP, TCP_KEEPIDLE, NUMBER, 7200 },
    [CR_OPTION_KEEP_EVERY] = { IPPROTO_TCP, TCP_KEEPINTVL, NUMBER, 75 },
    [CR_OPTION_KEEP_PROBES] = { IPPROTO_TCP, TCP_KEEPCNT, NUMBER, 9 },
    [CR_OPTION_SEND_BUFFER] = { SOL_SOCKET, SO_SNDBUF, BUFFER, 64 * 1024 },
    [CR_OPTION_RECEIVE_BUFFER] = { SOL_SOCKET, SO_RCVBUF, BUFFER, 64 * 1024 },
    { SOL_SOCKET, SO_BROADCAST, SWITCH, 0 },
    { SOL_SOCKET, SO_OOBINLINE, SWITCH, 0 },
    { SOL_SOCKET, SO_PASSCRED, SWITCH, 0 },
    { SOL_SOCKET, SO_PRIORITY, NUMBER, 0 },
    { SOL_SOCKET, SO_RCVLOWAT, NUMBER, 1 },
    { IPPROTO_TCP, TCP_NODELAY, SWITCH, 0 },
    { IPPROTO_TCP, TCP_CORK, SWITCH, 0 },
    { IPPROTO_TCP, TCP_USER_TIMEOUT, NUMBER, 0 },
    { IPPROTO_TCP, TCP_QUICKACK, SWITCH, 1 },
};

void cr_socket_options_init(cr_endpoint *s)
{
    for (size_t i = 0; i < CR_SOCKET_OPTIONS; i++)
        s->options[i] = options[i].initial;
}

/* Its index, or why there is none. */
static int find(const cr_endpoint *s, const cr_socket_option *option)
{
    if (cr_endpoint_is_local(s) && option->level != SOL_SOCKET)
        return -EOPNOTSUPP;
    if (s->type == SOCK_DGRAM && option->level == IPPROTO_TCP)
        return -ENOPROTOOPT;
    for (int i = 0; i < CR_SOCKET_OPTIONS; i++)
        if (options[i].level == option->level && options[i].name == option->name)
            return option->level == IPPROTO_IPV6 && s->family != AF_INET6 ? -ENOPROTOOPT : i;
    return -ENOPROTOOPT;
}

/* close asks for both: switched on with 0 seconds it sends a reset (cr_wire_close). */
static int set_linger(cr_endpoint *s, const cr_socket_option *option)
{
    struct linger asked;
    if (option->size < sizeof asked)
        return -EINVAL;
    memcpy(&asked, option->value, sizeof asked);
    s->options[CR_OPTION_LINGER] = asked.l_onoff != 0;
    s->options[CR_OPTION_LINGER_SECONDS] = asked.l_linger;
    return 0;
}

int cr_net_set_option(cr_world *world, int fd, const cr_socket_option *option)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    int value;
    if (!s)
        return -EBADF;
    if (option->size < sizeof value)
        return -EINVAL;
    if (option->level == SOL_SOCKET && option->name == SO_LINGER)
        return set_linger(s, option);
    int at = find(s, option);
    if (at < 0)
        return at;
    /* As ipv6_setsockopt: by binding, the socket has taken IPv4's port already, or left it. */
    if (at == CR_OPTION_ONLY_V6 && s->bound)
        return -EINVAL;
    memcpy(&value, option->value, sizeof value);
    /* The kernel doubles the size of a buffer, to have room for its own records in it. */
    if (options[at].kind == SWITCH)
        value = value != 0;
    else if (options[at].kind == BUFFER)
        value = value > INT32_MAX / 2 ? INT32_MAX : 2 * value;
    s->options[at] = value;
    return 0;
}

/* What is no option but a question. */
static bool answer(cr_endpoint *s, int name, int *ret_value)
{
    switch (name) {
    case SO_ERROR: *ret_value = -cr_endpoint_take_error(s); break;
    case SO_TYPE: *ret_value = s->type; break;
    case SO_DOMAIN: *ret_value = s->family; break;
    case SO_PROTOCOL:
        *ret_value = s->type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP;
        if (cr_endpoint_is_local(s))
            *ret_value = 0;
        break;
    case SO_ACCEPTCONN: *ret_value = s->state == CR_ENDPOINT_LISTENING; break;
    default: return false;
    }
    return true;
}

/* All simulated processes are this one. Of other sockets Linux says that there is none. */
static struct ucred peer_of(const cr_endpoint *s)
{
    struct ucred peer = { .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
    if (cr_endpoint_is_local(s) && s->state == CR_ENDPOINT_OPEN)
        peer = (struct ucred){ .pid = getpid(), .uid = getuid(), .gid = getgid() };
    return peer;
}

/* As getsockopt: a caller with less room is given the first bytes, and told how many. */
static void give(cr_socket_option *option, const void *value, unsigned size)
{
    if (option->size > size)
        option->size = size;
    memcpy(option->value, value, option->size);
}

int cr_net_get_option(cr_world *world, int fd, cr_socket_option *option)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    int value;
    if (!s)
        return -EBADF;
    if ((int)option->size < 0)
        return -EINVAL;
    if (option->level == SOL_SOCKET && option->name == SO_LINGER) {
        struct linger linger = { s->options[CR_OPTION_LINGER],
            s->options[CR_OPTION_LINGER_SECONDS] };
        give(option, &linger, sizeof linger);
        return 0;
    }
    if (option->level == SOL_SOCKET && option->name == SO_PEERCRED) {
        struct ucred peer = peer_of(s);
        give(option, &peer, sizeof peer);
        return 0;
    }
    if (option->level != SOL_SOCKET || !answer(s, option->name, &value)) {
        int at = find(s, option);
        if (at < 0)
            return at;
        value = s->options[at];
    }
    give(option, &value, sizeof value);
    return 0;
}
