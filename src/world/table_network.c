/* SPDX-License-Identifier: MIT */
/* table_network.c: sockets, programs and network interfaces, as the simulator shows them.
 *
 * Owns no state: what a socket is told is the network's to know (net.h). A socket of the real
 * table's, which the program got elsewhere, is handed on by its number. */
#include "world/table.h"

#include <string.h>

#include "world/net.h"
#include "world/resolver.h"

/* Neither is the machine's: a seed means the same on every machine. */
static size_t sim_descriptors_max(void *context)
{
    (void)context;
    return 65536;
}
static int sim_interface_index(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "lo") == 0 ? 1 : strcmp(name, "eth0") == 0 ? 2 : -ENODEV;
}

/* A program runs in real time, of which a simulation has none: there are no processes. Only what a
 * full table of processes does to the caller can be had. */
static int sim_spawn(void *context, const cr_spawn *asked, int *ret_pidfd)
{
    cr_world *world = context;
    (void)asked;
    (void)ret_pidfd;
    return cr_world_strikes(world, world->net.faults.spawn) ? -EAGAIN : -ENOTSUP;
}

static int sim_wait_pidfd(void *context, int fd, int *ret_status)
{
    (void)context;
    (void)fd;
    (void)ret_status;
    return -ENOTSUP;
}

static int sim_signal_pidfd(void *context, int fd, int signal)
{
    (void)context;
    (void)fd;
    (void)signal;
    return -ENOTSUP;
}

static int sim_signal_group(void *context, int id, int signal)
{
    (void)context;
    (void)id;
    (void)signal;
    return -ENOTSUP;
}

static int sim_resolve(
    void *context, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max)
{
    return cr_resolver_find(context, name, ret_addresses, max);
}

/* ---- sockets ---- */

static int sim_socket(void *context, int family, int type, int protocol)
{
    return cr_net_socket(context, family, type, protocol);
}

static int sim_socket_pair(void *context, int family, int type, int ret_fds[2])
{
    return cr_net_pair(context, family, type, ret_fds);
}

static int sim_bind(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    if (cr_is_virtual(fd))
        return cr_net_bind(context, fd, address, size);
    const cr_sys *real = cr_table_real(context);
    return real->bind(real->context, fd, address, size);
}

static int sim_listen(void *context, int fd, int backlog)
{
    if (cr_is_virtual(fd))
        return cr_net_listen(context, fd, backlog);
    const cr_sys *real = cr_table_real(context);
    return real->listen(real->context, fd, backlog);
}

static int sim_accept(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    if (cr_is_virtual(fd))
        return cr_net_accept(context, fd, address, size);
    const cr_sys *real = cr_table_real(context);
    return real->accept(real->context, fd, address, size);
}

static int sim_connect(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    if (cr_is_virtual(fd))
        return cr_net_connect(context, fd, address, size);
    const cr_sys *real = cr_table_real(context);
    return real->connect(real->context, fd, address, size);
}

static ssize_t sim_recv(void *context, int fd, void *buf, size_t size, int flags)
{
    if (cr_is_virtual(fd))
        return cr_net_recv(context, fd, buf, size, flags);
    const cr_sys *real = cr_table_real(context);
    return real->recv(real->context, fd, buf, size, flags);
}

static ssize_t sim_send(void *context, int fd, const void *buf, size_t size, int flags)
{
    if (cr_is_virtual(fd))
        return cr_net_send(context, fd, buf, size, flags);
    const cr_sys *real = cr_table_real(context);
    return real->send(real->context, fd, buf, size, flags);
}

static ssize_t sim_receive_message(void *context, int fd, struct msghdr *message, int flags)
{
    if (cr_is_virtual(fd))
        return cr_net_receive_message(context, fd, message, flags);
    const cr_sys *real = cr_table_real(context);
    return real->receive_message(real->context, fd, message, flags);
}

static ssize_t sim_send_message(void *context, int fd, const struct msghdr *message, int flags)
{
    if (cr_is_virtual(fd))
        return cr_net_send_message(context, fd, message, flags);
    const cr_sys *real = cr_table_real(context);
    return real->send_message(real->context, fd, message, flags);
}

static int sim_receive_messages(
    void *context, int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    if (cr_is_virtual(fd))
        return cr_net_receive_messages(context, fd, messages, n, flags);
    const cr_sys *real = cr_table_real(context);
    return real->receive_messages(real->context, fd, messages, n, flags);
}

static int sim_send_messages(void *context, int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    if (cr_is_virtual(fd))
        return cr_net_send_messages(context, fd, messages, n, flags);
    const cr_sys *real = cr_table_real(context);
    return real->send_messages(real->context, fd, messages, n, flags);
}

static int sim_shutdown(void *context, int fd, int how)
{
    if (cr_is_virtual(fd))
        return cr_net_shutdown(context, fd, how);
    const cr_sys *real = cr_table_real(context);
    return real->shutdown(real->context, fd, how);
}

static int sim_set_option(void *context, int fd, const cr_socket_option *option)
{
    if (cr_is_virtual(fd))
        return cr_net_set_option(context, fd, option);
    const cr_sys *real = cr_table_real(context);
    return real->set_option(real->context, fd, option);
}

static int sim_get_option(void *context, int fd, cr_socket_option *option)
{
    if (cr_is_virtual(fd))
        return cr_net_get_option(context, fd, option);
    const cr_sys *real = cr_table_real(context);
    return real->get_option(real->context, fd, option);
}

static int sim_own_name(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    if (cr_is_virtual(fd))
        return cr_net_own_name(context, fd, address, size);
    const cr_sys *real = cr_table_real(context);
    return real->own_name(real->context, fd, address, size);
}

static int sim_peer_name(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    if (cr_is_virtual(fd))
        return cr_net_peer_name(context, fd, address, size);
    const cr_sys *real = cr_table_real(context);
    return real->peer_name(real->context, fd, address, size);
}

void cr_table_network_add(cr_sys *table)
{
    table->interface_index = sim_interface_index;
    table->descriptors_max = sim_descriptors_max;
    table->spawn = sim_spawn;
    table->wait_pidfd = sim_wait_pidfd;
    table->signal_pidfd = sim_signal_pidfd;
    table->signal_group = sim_signal_group;
    table->resolve = sim_resolve;
    table->socket = sim_socket;
    table->socket_pair = sim_socket_pair;
    table->bind = sim_bind;
    table->listen = sim_listen;
    table->accept = sim_accept;
    table->connect = sim_connect;
    table->recv = sim_recv;
    table->send = sim_send;
    table->receive_message = sim_receive_message;
    table->send_message = sim_send_message;
    table->receive_messages = sim_receive_messages;
    table->send_messages = sim_send_messages;
    table->shutdown = sim_shutdown;
    table->set_option = sim_set_option;
    table->get_option = sim_get_option;
    table->own_name = sim_own_name;
    table->peer_name = sim_peer_name;
}
