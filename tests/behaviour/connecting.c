/* SPDX-License-Identifier: MIT */
/* connecting.c: crank_connect: one address, and the race of several. */
#include "nets.h"
#include "resolver.h"
#include "scratch.h"
#include <crank/sim.h>
#include <netinet/tcp.h>
#include "loop/loop.h"

/* A port at which no socket listens now. */
static unsigned free_port(void)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_listen("[::1]:0");
    EXPECT(l);
    return nets_port(l, 0);
}

/* Sockets that hold a port of both loopbacks and do not listen at it: no other process's does then. */
typedef struct held_port {
    int fds[2];
    unsigned port;
} held_port;
static void let_go(held_port *held)
{
    const cr_sys *sys = cr_loop_here->sys;
    for (size_t i = 0; i < CRANK_COUNT(held->fds); i++) {
        if (held->fds[i] >= 0)
            sys->close(sys->context, held->fds[i]);
        held->fds[i] = -1;
    }
    held->port = 0;
}
static bool hold(held_port *held, unsigned port)
{
    const cr_sys *sys = cr_loop_here->sys;
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT
    };
    held->port = port;
    held->fds[0] = sys->socket(sys->context, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    held->fds[1] = sys->socket(sys->context, AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return held->fds[0] >= 0 && held->fds[1] >= 0 &&
           sys->bind(sys->context, held->fds[0], (const struct sockaddr *)&v4, sizeof v4) == 0 &&
           sys->bind(sys->context, held->fds[1], (const struct sockaddr *)&v6, sizeof v6) == 0;
}
#define HELD_PORT(name) \
    __attribute__((cleanup(let_go))) held_port name = { { -1, -1 }, 0 }; \
    for (int tries = 0; tries < 20 && !hold(&(name), free_port()); tries++) \
        let_go(&(name)); \
    EXPECT((name).port > 0)

TEST_EACH_BACKEND(connect, that_is_refused_names_the_address)
{
    HELD_PORT(held);
    const char *text = nets_at_port("127.0.0.1", held.port);
    EXPECT(!crank_connect(text));
    EXPECT_EQ(errno, ECONNREFUSED);
    EXPECT_CONTAINS(crank_error(), text);
    return 0;
}

TEST_EACH_BACKEND(connect, refuses_what_is_no_address_to_connect_to)
{
    EXPECT(!crank_connect("*:80"));
    EXPECT_EQ(errno, EINVAL);
    EXPECT(!crank_connect("127.0.0.1"));
    EXPECT_EQ(errno, EINVAL);
    EXPECT(!crank_connect_with(&(crank_connect_options){ .attempt_delay = -1 }, "127.0.0.1:1"));
    EXPECT_EQ(errno, EINVAL);
    EXPECT(!crank_connect_with(&(crank_connect_options){ .keepalive = NAN }, "127.0.0.1:1"));
    EXPECT_EQ(errno, EINVAL);
    EXPECT(!crank_connect_with(&(crank_connect_options){ .local = "name:0" }, "127.0.0.1:1"));
    EXPECT_EQ(errno, EINVAL);
    return 0;
}

TEST_EACH_BACKEND(connect, tries_the_next_address_at_once_when_one_has_failed)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_listen("127.0.0.1:0");
    crank_try(l ? 0 : -errno);
    double before = crank_time();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(nets_at_port("localhost", nets_port(l, 0))));
    double spent = crank_time() - before;
    EXPECT(strcmp(crank_backend_name(), "sim") == 0 ? spent == 0 : spent < 0.2);
    EXPECT_STR(crank_peer_name(s), crank_listener_address(l, 0));
    return 0;
}

TEST_EACH_BACKEND(connect, names_each_address_that_it_has_tried)
{
    HELD_PORT(held);
    unsigned port = held.port;
    EXPECT(!crank_connect(nets_at_port("localhost", port)));
    EXPECT_EQ(errno, ECONNREFUSED);
    EXPECT_CONTAINS(crank_error(), nets_at_port("localhost", port));
    EXPECT_CONTAINS(crank_error(), nets_at_port("[::1]", port));
    EXPECT_CONTAINS(crank_error(), nets_at_port("127.0.0.1", port));
    return 0;
}

/* ---- A server that does not answer: its backlog is full. ---- */

typedef struct busy {
    crank_listener *listener;
    crank_stream *waiting[2];
} busy;

static void end_busy(busy *b)
{
    for (size_t i = 0; i < CRANK_COUNT(b->waiting); i++)
        (void)crank_close(b->waiting[i]);
    (void)crank_listener_close(b->listener);
}

/* With a backlog of 1 two wait to be accepted, and the next gets no answer. */
static int make_busy(busy *b, const char *address)
{
    b->listener = crank_try(crank_listen_with(&(crank_listen_options){ .backlog = 1 }, address));
    for (size_t i = 0; i < CRANK_COUNT(b->waiting); i++)
        b->waiting[i] = crank_try(crank_connect(crank_listener_address(b->listener, 0)));
    return 0;
}
#define BUSY(b, address) \
    CRANK_CLEANUP_(end_busy) busy b = { 0 }; \
    crank_try(make_busy(&b, address))

TEST_SIM(connect, tries_the_next_address_beside_a_slow_one_after_a_quarter_of_a_second)
{
    BUSY(b, "[::1]:0");
    const char *second = nets_at_port("127.0.0.1", nets_port(b.listener, 0));
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen(second));
    double before = crank_time();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(nets_at_port("localhost", nets_port(l, 0))));
    EXPECT_NEAR(crank_time() - before, 0.25, 1e-6);
    EXPECT_STR(crank_peer_name(s), second);
    crank_try(crank_finish(s));
    return 0;
}

/* The first does not answer, the second is tried after 0.25 s and refuses. */
TEST_SIM(connect, tries_the_next_address_at_once_when_one_has_failed_beside_a_slow_one)
{
    BUSY(b, "127.0.0.1:0");
    unsigned port = nets_port(b.listener, 0);
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen(nets_at_port("127.0.0.2", port)));
    crank_try(crank_sim_name("three", "127.0.0.1, ::1, 127.0.0.2", 0, 0));
    double before = crank_time();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(nets_at_port("three", port)));
    EXPECT_NEAR(crank_time() - before, 0.25, 1e-6);
    EXPECT_STR(crank_peer_name(s), crank_listener_address(l, 0));
    crank_try(crank_finish(s));
    return 0;
}

TEST_SIM(connect, waits_as_long_as_it_is_told_before_it_tries_the_next)
{
    BUSY(b, "[::1]:0");
    CRANK_AUTO_LISTENER crank_listener *l =
        crank_try(crank_listen(nets_at_port("127.0.0.1", nets_port(b.listener, 0))));
    crank_connect_options options = { .attempt_delay = 0.5 };
    double before = crank_time();
    CRANK_AUTO_STREAM crank_stream *s =
        crank_try(crank_connect_with(&options, nets_at_port("localhost", nets_port(l, 0))));
    EXPECT_NEAR(crank_time() - before, 0.5, 1e-6);
    crank_try(crank_finish(s));
    options.attempt_delay = CRANK_FOREVER;
    s = NULL;
    EXPECT_EQ(
        crank_within(3, (s = crank_connect_with(&options, nets_at_port("localhost", nets_port(l, 0)))) ? 0 : -errno),
        -ETIMEDOUT);
    EXPECT(!s);
    return 0;
}

static int accept_later(crank_listener *listener, double delay)
{
    crank_try(crank_sleep(delay));
    for (int i = 0; i < 3; i++) {
        crank_stream *s = crank_try(crank_accept(listener));
        crank_try(crank_finish(s));
    }
    return 0;
}

TEST_SIM(connect, takes_a_slow_first_address_that_answers_at_last)
{
    BUSY(first, "[::1]:0");
    BUSY(second, nets_at_port("127.0.0.1", nets_port(first.listener, 0)));
    CRANK_GROUP(group);
    crank_group_spawn(&group, accept_later, first.listener, 0.5);
    CRANK_AUTO_STREAM crank_stream *s =
        crank_try(crank_connect(nets_at_port("localhost", nets_port(first.listener, 0))));
    EXPECT_STR(crank_peer_name(s), nets_at_port("[::1]", nets_port(first.listener, 0)));
    return crank_group_wait(&group);
}

TEST_SIM(connect, ends_with_its_limit_and_leaves_no_socket)
{
    BUSY(first, "[::1]:0");
    BUSY(second, nets_at_port("127.0.0.1", nets_port(first.listener, 0)));
    crank_stream *s = NULL;
    double before = crank_time();
    EXPECT_EQ(
        crank_within(1.5, (s = crank_connect(nets_at_port("localhost", nets_port(first.listener, 0)))) ? 0 : -errno),
        -ETIMEDOUT);
    EXPECT(!s);
    EXPECT_NEAR(crank_time() - before, 1.5, 1e-6);
    return 0;
}

static int connect_with(const crank_connect_options *options, const char *address, crank_stream **ret_stream)
{
    *ret_stream = crank_connect_with(options, address);
    return *ret_stream ? 0 : -errno;
}
static int connect_and_close(const char *address)
{
    crank_stream *s = crank_try(crank_connect(address));
    return crank_close(s);
}

TEST_EACH_BACKEND(connect, cancelled_in_the_race_leaves_no_socket_and_its_numbers_can_be_used_at_once)
{
    BUSY(b, "[::1]:0");
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    for (int turns = 0; turns < 4; turns++) {
        crank_task *connecting = crank_spawn(connect_and_close, crank_listener_address(b.listener, 0));
        for (int i = 0; i < turns; i++)
            crank_try(crank_sleep(0));
        crank_cancel(connecting);
        EXPECT_EQ(crank_await(connecting), -ECANCELED);
        crank_try(connect_and_close(crank_listener_address(l, 0)));
    }
    return 0;
}

/* Neither address answers, and both have been tried. */
TEST_EACH_BACKEND(connect, cancelled_with_two_addresses_under_way_leaves_no_socket)
{
    enum { EACH = 2 };
    NETS_STREAMS(waiting);
    char text[200] = "";
    crank_stream *s = NULL;
    const crank_listen_options few = { .backlog = 1 };
    const crank_connect_options options = { .attempt_delay = 1e-9 };
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen_with(&few, "localhost:0"));
    for (int i = 0; i < 2 * EACH; i++)
        waiting.at[i] = crank_try(crank_connect(crank_listener_address(l, (size_t)i / EACH)));
    const char *address = nets_at_port("localhost", nets_port(l, 0));
    crank_task *connecting = crank_spawn(connect_with, &options, address, &s);
    for (double until = crank_time() + nets_patience(); !strstr(text, "127.0.0.1");) {
        EXPECT(crank_time() < until && !crank_done(connecting));
        crank_try(crank_sleep(0.0002));
        crank_describe(connecting, text, sizeof text);
    }
    EXPECT_CONTAINS(text, "waits for a connection to 127.0.0.1:");
    crank_cancel(connecting);
    EXPECT_EQ(crank_await(connecting), -ECANCELED);
    EXPECT(!s);
    return nets_close_all(&waiting);
}

/* ---- Options ---- */

TEST_EACH_BACKEND(connect, binds_a_local_address_first)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    crank_connect_options options = { .local = "127.0.0.3:0" };
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect_with(&options, crank_listener_address(l, 0)));
    EXPECT_EQ(strncmp(crank_own_name(s), "127.0.0.3:", 10), 0);
    crank_try(crank_finish(s));
    s = crank_try(crank_connect_with(&options, nets_at_port("localhost", nets_port(l, 0))));
    crank_try(crank_finish(s));
    EXPECT(!crank_connect_with(&options, nets_at_port("[::1]", nets_port(l, 0))));
    EXPECT_EQ(errno, EAFNOSUPPORT);
    return 0;
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    cr_socket_option option = { .level = level, .name = name, .value = &value, .size = sizeof value };
    const cr_sys *sys = cr_loop_here->sys;
    EXPECT_EQ(sys->get_option(sys->context, fd, &option), 0);
    return value;
}

TEST_EACH_BACKEND(listener, gives_accepted_connections_its_options)
{
    crank_listen_options options = { .keepalive = 7.5, .nagle = true };
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen_with(&options, "127.0.0.1:0"));
    int fd = crank_listener_fd(l, 0);
    EXPECT_EQ(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 8);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    EXPECT_EQ(crank_listener_fd(l, 1), -EBADF);
    options = (crank_listen_options){ .keepalive = -1 };
    CRANK_AUTO_LISTENER crank_listener *other = crank_try(crank_listen_with(&options, "127.0.0.1:0"));
    fd = crank_listener_fd(other, 0);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    EXPECT_EQ(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    return 0;
}

/* ---- What the kernel may say ---- */

static int interrupted_connect(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    (void)context;
    int err = cr_sys_real.connect(cr_sys_real.context, fd, address, size);
    return err == -EINPROGRESS || err == 0 ? -EINTR : err;
}

RESOLVING(connect, that_is_interrupted_goes_on)
{
    resolver.connect = interrupted_connect;
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    return connect_and_close(crank_listener_address(l, 0));
}

static int connect_under_way(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    (void)context;
    int err = cr_sys_real.connect(cr_sys_real.context, fd, address, size);
    return err == -EINPROGRESS || err == 0 ? -EALREADY : err;
}

RESOLVING(connect, that_is_under_way_already_goes_on)
{
    resolver.connect = connect_under_way;
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    return connect_and_close(crank_listener_address(l, 0));
}

static int name_of_peer(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    (void)context;
    return cr_sys_real.peer_name(cr_sys_real.context, fd, address, size);
}

RESOLVING(connect, to_itself_is_refused)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    resolver.own_name = name_of_peer;
    EXPECT_EQ(connect_and_close(crank_listener_address(l, 0)), -ECONNREFUSED);
    return 0;
}

/* A socket that is bound to the address it connects to is connected to itself by the kernel. Another process may take
 * the free port before: then another is tried. */
TEST_EACH_BACKEND(connect, from_the_address_that_it_connects_to_is_refused)
{
    const char *address;
    int tries = 0;
    do {
        address = nets_at_port("127.0.0.1", free_port());
        EXPECT(!crank_connect_with(&(crank_connect_options){ .local = address }, address));
    } while (errno == EADDRINUSE && ++tries < 100);
    EXPECT_EQ(errno, ECONNREFUSED);
    EXPECT_CONTAINS(crank_error(), address);
    return 0;
}

static char tried[256];

static int note_and_refuse(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    char text[INET6_ADDRSTRLEN];
    const void *host = &((const struct sockaddr_in *)address)->sin_addr;
    (void)context, (void)fd, (void)size;
    if (address->sa_family == AF_INET6)
        host = &((const struct sockaddr_in6 *)address)->sin6_addr;
    inet_ntop(address->sa_family, host, text, sizeof text);
    snprintf(tried + strlen(tried), sizeof tried - strlen(tried), "%s ", text);
    return -EHOSTUNREACH;
}

RESOLVING(connect, alternates_between_the_families)
{
    resolver.connect = note_and_refuse;
    EXPECT_EQ(connect_and_close("many:80"), -EHOSTUNREACH);
    EXPECT_STR(tried, "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 2001:db8::3 ");
    return 0;
}

TEST_SIM(connect, names_the_addresses_in_the_order_in_which_it_has_tried_them)
{
    static const char *const order[] = { "[fd00::1]", "10.0.0.1", "[::1]", "127.0.0.1" };
    unsigned port = free_port();
    crank_try(crank_sim_name("many", "fd00::1, ::1, 10.0.0.1, 127.0.0.1", 0, 0));
    EXPECT(!crank_connect(nets_at_port("many", port)));
    EXPECT_EQ(errno, ECONNREFUSED);
    const char *at = crank_error();
    for (size_t i = 0; i < CRANK_COUNT(order); i++) {
        at = strstr(at, nets_at_port(order[i], port));
        EXPECT(at);
    }
    return 0;
}

RESOLVING(connect, tells_of_a_name_that_is_none)
{
    EXPECT_EQ(connect_and_close("none:80"), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "none");
    return 0;
}

RESOLVING(connect, ends_with_its_limit_while_the_name_is_looked_up)
{
    EXPECT_EQ(crank_within(0.001, connect_and_close("slow:80")), -ETIMEDOUT);
    return 0;
}

/* The lookup takes two seconds of it, and the connection has the third. */
TEST_SIM(connect, has_one_limit_for_lookup_and_connection)
{
    BUSY(b, "127.0.0.1:0");
    const char *address = nets_at_port("slow.example.org", nets_port(b.listener, 0));
    crank_try(crank_sim_name("slow.example.org", "127.0.0.1", 0, 2));
    double before = crank_time();
    EXPECT_EQ(crank_within(3, connect_and_close(address)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - before, 3, 1e-9);
    before = crank_time();
    EXPECT_EQ(crank_within(1, connect_and_close(address)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - before, 1, 1e-9);
    return 0;
}

/* ---- Unix sockets ---- */

static int accept_and_close(crank_listener *listener, int n)
{
    for (int i = 0; i < n; i++) {
        crank_stream *s = crank_try(crank_accept(listener));
        crank_try(crank_finish(s));
    }
    return 0;
}

TEST_EACH_BACKEND(connect, waits_for_room_in_a_unix_sockets_backlog)
{
    enum { CLIENTS = 6 };
    crank_task *clients[CLIENTS];
    crank_listen_options options = { .backlog = 1 };
    static char address[400];
    snprintf(address, sizeof address, "unix:%s", scratch("socket"));
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen_with(&options, address));
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = crank_spawn(connect_and_close, address);
    crank_try(crank_sleep(0));
    crank_try(crank_within(nets_patience(), accept_and_close(l, CLIENTS)));
    for (int i = 0; i < CLIENTS; i++)
        crank_try(crank_await(clients[i]));
    return 0;
}

TEST_EACH_BACKEND(connect, to_a_full_unix_socket_can_be_cancelled)
{
    crank_listen_options options = { .backlog = 1 };
    static char address[400];
    snprintf(address, sizeof address, "unix:%s", scratch("socket"));
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen_with(&options, address));
    CRANK_AUTO_STREAM crank_stream *first = crank_try(crank_connect(address));
    CRANK_AUTO_STREAM crank_stream *second = crank_try(crank_connect(address));
    EXPECT(l && first && second);
    crank_task *waiting = crank_spawn(connect_and_close, address);
    crank_try(crank_sleep(0.002));
    EXPECT(!crank_done(waiting));
    crank_cancel(waiting);
    EXPECT_EQ(crank_await(waiting), -ECANCELED);
    return 0;
}
