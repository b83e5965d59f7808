/* SPDX-License-Identifier: MIT */
/* nets.h: small programs of sockets that run on the machine's own loopback and on the simulated network, under many
 * seeds, and must find the same: numbers, errors, order. */
#ifndef NETS_H
#define NETS_H
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "test.h"
#include "world/net.h"
#include "world/world.h"

typedef struct net {
    const cr_sys *sys;
    cr_world *world; /* NULL: the real one */
    char buf[256 * 1024];
} net;

#define CALL(n, entry, ...) ((n)->sys->entry((n)->sys->context, __VA_ARGS__))

static inline void run_net(void (*body)(net *n), uint64_t seed)
{
    net *n = test_memory(sizeof *n);
    cr_world world;
    cr_world_init(&world, &cr_sys_real, seed);
    n->sys = &world.table;
    n->world = &world;
    body(n);
    EXPECT_EQ(world.net.open, 0);
    cr_world_deinit(&world);
}

static inline void run_net_really(void (*body)(net *n))
{
    net *n = test_memory(sizeof *n);
    n->sys = &cr_sys_real;
    body(n);
}

#define NET_SEEDS 40
#define EACH_NET(subject, sentence) \
    static void subject##_##sentence(net *n); \
    TEST(subject, sentence##_simulated) { run_net(subject##_##sentence, 0); } \
    TEST(subject, sentence##_under_seeds) \
    { \
        for (uint64_t seed = 1; seed <= NET_SEEDS; seed++) \
            run_net(subject##_##sentence, seed); \
    } \
    TEST(subject, sentence##_really) { run_net_really(subject##_##sentence); } \
    static void subject##_##sentence(net *n)

/* What epoll would show. */
static inline uint32_t events_now(net *n, int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };
    if (n->world)
        return (uint32_t)cr_net_events(n->world, fd);
    EXPECT(poll(&one, 1, 0) >= 0);
    return (uint32_t)(unsigned short)one.revents;
}

/* Let something more arrive. The kernel's own loopback is quick, and gets a second. */
static inline void wait_a_little(net *n, int *tries)
{
    if (!n->world) {
        EXPECT(++*tries < 1000);
        poll(NULL, 0, *tries < 10 ? 0 : 1);
        return;
    }
    EXPECT(cr_net_next(n->world) != CR_NEVER);
    if (cr_net_next(n->world) > cr_world_now(n->world))
        cr_world_pass(n->world, cr_net_next(n->world));
    cr_net_deliver(n->world);
}

/* All of these, and perhaps others. */
static inline void await_events(net *n, int fd, uint32_t events)
{
    for (int tries = 0; (events_now(n, fd) & events) != events;)
        wait_a_little(n, &tries);
}

/* These and no others. */
static inline void await_exactly(net *n, int fd, uint32_t events)
{
    for (int tries = 0; events_now(n, fd) != events;) {
        if (n->world && cr_net_next(n->world) == CR_NEVER)
            EXPECT_EQ(events_now(n, fd), events);
        wait_a_little(n, &tries);
    }
}

/* Until all that is on its way has arrived. */
static inline void settle_net(net *n)
{
    int tries = 0;
    while (n->world && cr_net_next(n->world) != CR_NEVER)
        wait_a_little(n, &tries);
}

/* Once there is something to tell: what recv gives. */
static inline ssize_t receive(net *n, int fd, size_t size)
{
    await_events(n, fd, EPOLLIN);
    return CALL(n, recv, fd, n->buf, size, 0);
}

static inline void receive_all(net *n, int fd, size_t size)
{
    for (size_t got = 0; got < size;) {
        await_events(n, fd, EPOLLIN);
        ssize_t more = CALL(n, recv, fd, n->buf + got, size - got, 0);
        EXPECT(more > 0);
        got += (size_t)more;
    }
}

static inline void send_all(net *n, int fd, const char *text)
{
    EXPECT_EQ(CALL(n, send, fd, text, strlen(text), 0), strlen(text));
}

static inline int option_of(net *n, int fd, int level, int name)
{
    int value = -1;
    cr_socket_option option = { level, name, &value, sizeof value };
    EXPECT_EQ(CALL(n, get_option, fd, &option), 0);
    EXPECT_EQ(option.size, sizeof value);
    return value;
}

static inline int set_option(net *n, int fd, int level, int name, int value)
{
    cr_socket_option option = { level, name, &value, sizeof value };
    return CALL(n, set_option, fd, &option);
}

static inline int error_of(net *n, int fd) { return option_of(n, fd, SOL_SOCKET, SO_ERROR); }

/* ---- TCP ---- */

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
} address;

static inline unsigned address_size(int family)
{
    return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static inline address loopback(int family, unsigned port)
{
    address a = { .v4 = { .sin_family = (sa_family_t)family, .sin_port = htons((uint16_t)port) } };
    if (family == AF_INET)
        a.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        a.v6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
    return a;
}

static inline unsigned port_of(net *n, int fd)
{
    address own;
    unsigned size = sizeof own;
    EXPECT_EQ(CALL(n, own_name, fd, &own.any, &size), 0);
    return ntohs(own.v4.sin_port);
}

static inline int open_tcp(net *n, int family)
{
    int fd = CALL(n, socket, family, SOCK_STREAM, 0);
    if (fd == -EAFNOSUPPORT && !n->world)
        test_skip("this machine has no IPv6");
    EXPECT(fd >= 0);
    return fd;
}

static inline int listen_tcp(net *n, int family, int backlog)
{
    address any = loopback(family, 0);
    int fd = open_tcp(n, family);
    int err = CALL(n, bind, fd, &any.any, address_size(family));
    if (err == -EADDRNOTAVAIL && !n->world) {
        CALL(n, close, fd);
        test_skip("this machine has no address of the loopback");
    }
    EXPECT_EQ(err, 0);
    EXPECT_EQ(CALL(n, listen, fd, backlog), 0);
    return fd;
}

static inline int call_tcp(net *n, int fd, int family, unsigned port)
{
    address to = loopback(family, port);
    return CALL(n, connect, fd, &to.any, address_size(family));
}

typedef struct net_pair {
    int listener;
    int client;
    int server;
} net_pair;

static inline net_pair connect_tcp(net *n, int family)
{
    net_pair p = { .listener = listen_tcp(n, family, 8), .client = open_tcp(n, family) };
    EXPECT_EQ(call_tcp(n, p.client, family, port_of(n, p.listener)), -EINPROGRESS);
    await_events(n, p.client, EPOLLOUT);
    EXPECT_EQ(error_of(n, p.client), 0);
    await_events(n, p.listener, EPOLLIN);
    p.server = CALL(n, accept, p.listener, NULL, NULL);
    EXPECT(p.server >= 0);
    return p;
}

static inline void close_pair(net *n, const net_pair *p)
{
    if (p->client)
        EXPECT_EQ(CALL(n, close, p->client), 0);
    if (p->server)
        EXPECT_EQ(CALL(n, close, p->server), 0);
    EXPECT_EQ(CALL(n, close, p->listener), 0);
}

static inline void drop(net *n, int fd)
{
    struct linger none = { 1, 0 };
    cr_socket_option option = { SOL_SOCKET, SO_LINGER, &none, sizeof none };
    EXPECT_EQ(CALL(n, set_option, fd, &option), 0);
    EXPECT_EQ(CALL(n, close, fd), 0);
}
#endif
