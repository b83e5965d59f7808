/* SPDX-License-Identifier: MIT */
/* listening.c: crank_listen: ports, names, several sockets, sockets from elsewhere, the files of unix sockets. */
#include <fcntl.h>
#include <sys/un.h>
#include <netinet/in.h>
#include "loop/loop.h"
#include "nets.h"
#include "resolver.h"
#include "scratch.h"

/* A connection to address, accepted by the listener. */
static int reach(crank_listener *listener, const char *address)
{
    CRANK_AUTO_STREAM crank_stream *client = crank_try(crank_connect(address));
    CRANK_AUTO_STREAM crank_stream *peer = crank_try(crank_accept(listener));
    EXPECT_STR(crank_peer_name(client), crank_own_name(peer));
    return 0;
}

static int listen_error(const char *address)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_listen(address);
    return l ? 0 : -errno;
}

TEST_EACH_BACKEND(listener, tells_the_port_that_was_chosen)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    EXPECT(nets_port(l, 0) > 0);
    EXPECT(!crank_listener_address(l, 1));
    return reach(l, crank_listener_address(l, 0));
}

TEST_EACH_BACKEND(listener, of_localhost_has_both_families_on_one_port)
{
    for (int i = 0; i < 10; i++) {
        CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("localhost:0"));
        unsigned port = nets_port(l, 0);
        EXPECT_STR(crank_listener_address(l, 0), nets_at_port("[::1]", port));
        EXPECT_STR(crank_listener_address(l, 1), nets_at_port("127.0.0.1", port));
        crank_try(reach(l, nets_at_port("[::1]", port)));
        crank_try(reach(l, nets_at_port("127.0.0.1", port)));
        crank_try(reach(l, nets_at_port("localhost", port)));
    }
    return 0;
}

TEST_EACH_BACKEND(listener, of_all_interfaces_serves_both_families)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("*:0"));
    unsigned port = nets_port(l, 0);
    EXPECT_STR(crank_listener_address(l, 0), nets_at_port("[::]", port));
    EXPECT_STR(crank_listener_address(l, 1), nets_at_port("0.0.0.0", port));
    crank_try(reach(l, nets_at_port("[::1]", port)));
    return reach(l, nets_at_port("127.0.0.1", port));
}

/* At a port that IPv6 has free: another process may have it. */
static crank_listener *listen_in_ipv4_alone(void)
{
    for (int tries = 0;; tries++) {
        crank_listener *l = crank_listen("127.0.0.1:0");
        if (!l || tries == 100 || listen_error(nets_at_port("[::1]", nets_port(l, 0))) != -EADDRINUSE)
            return l;
        (void)crank_listener_close(l);
    }
}
TEST_EACH_BACKEND(listener, at_a_port_in_use_fails_and_closes_the_sockets_that_it_had)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(listen_in_ipv4_alone());
    unsigned port = nets_port(l, 0);
    EXPECT_EQ(listen_error(nets_at_port("127.0.0.1", port)), -EADDRINUSE);
    EXPECT_CONTAINS(crank_error(), nets_at_port("127.0.0.1", port));
    EXPECT_EQ(listen_error(nets_at_port("localhost", port)), -EADDRINUSE);
    EXPECT_CONTAINS(crank_error(), nets_at_port("localhost", port));
    EXPECT_CONTAINS(crank_error(), nets_at_port("127.0.0.1", port));
    return listen_error(nets_at_port("[::1]", port));
}

TEST_EACH_BACKEND(listener, refuses_options_that_mean_nothing)
{
    EXPECT(!crank_listen_with(&(crank_listen_options){ .backlog = -1 }, "127.0.0.1:0"));
    EXPECT_EQ(errno, EINVAL);
    EXPECT(!crank_listen_with(&(crank_listen_options){ .keepalive = NAN }, "127.0.0.1:0"));
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(listen_error("nowhere"), -EINVAL);
    return 0;
}

TEST_EACH_BACKEND(listener, shares_its_port_with_another_where_both_say_so)
{
    const crank_listen_options options = { .reuse_port = true };
    CRANK_AUTO_LISTENER crank_listener *first = crank_try(crank_listen_with(&options, "127.0.0.1:0"));
    const char *address = crank_listener_address(first, 0);
    CRANK_AUTO_LISTENER crank_listener *second = crank_try(crank_listen_with(&options, address));
    EXPECT_STR(crank_listener_address(second, 0), address);
    EXPECT_EQ(listen_error(address), -EADDRINUSE);
    return 0;
}

/* Two loops, each in a thread of its own, listen at one port: the kernel gives connections to both. */
static struct shared {
    pthread_barrier_t both_listen;
    char address[64];
    crank_backend backend;
    atomic_int accepted[2];
} shared;
enum { SHARED_CONNECTIONS = 64 }; /* that all come to one loop has a chance of 2 in 2^64 */

static int accept_some(int which)
{
    const crank_listen_options options = { .reuse_port = true };
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen_with(&options, shared.address));
    pthread_barrier_wait(&shared.both_listen);
    while (atomic_load(&shared.accepted[0]) + atomic_load(&shared.accepted[1]) < SHARED_CONNECTIONS) {
        crank_stream *peer = crank_within(0.002, crank_accept(l));
        if (!peer && errno == ETIMEDOUT)
            continue;
        crank_try(peer ? crank_printf(peer, "%d", which) : -errno);
        crank_try(crank_close(peer));
        atomic_fetch_add(&shared.accepted[which], 1);
    }
    return 0;
}
static void *accept_beside(void *arg)
{
    crank_options options = { .backend = shared.backend };
    EXPECT_EQ(crank_run_with(&options, accept_some, *(int *)arg), 0);
    return NULL;
}
static int share_a_port(void)
{
    static int numbers[] = { 0, 1 };
    char byte;
    int by[2] = { 0 };
    pthread_t threads[2];
    const crank_listen_options options = { .reuse_port = true };
    crank_listener *chosen = crank_try(crank_listen_with(&options, "127.0.0.1:0"));
    snprintf(shared.address, sizeof shared.address, "%s", crank_listener_address(chosen, 0));
    pthread_barrier_init(&shared.both_listen, NULL, 3);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, accept_beside, &numbers[i]), 0);
    pthread_barrier_wait(&shared.both_listen);
    crank_try(crank_listener_close(chosen));
    for (int i = 0; i < SHARED_CONNECTIONS; i++) {
        CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(shared.address));
        EXPECT_EQ(crank_read(s, &byte, 1), 1);
        EXPECT(byte == '0' || byte == '1');
        by[byte - '0']++;
    }
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(pthread_join(threads[i], NULL), 0);
        EXPECT_EQ(by[i], atomic_load(&shared.accepted[i]));
        EXPECT(by[i] > 0);
    }
    pthread_barrier_destroy(&shared.both_listen);
    return 0;
}
static void share_a_port_on(crank_backend backend)
{
    shared.backend = backend;
    EXPECT_EQ(crank_run_with(CRANK_OPTIONS(.backend = backend), share_a_port), 0);
}
TEST(listener, that_shares_its_port_with_another_loops_has_a_part_of_the_connections_on_epoll)
{
    share_a_port_on(CRANK_BACKEND_EPOLL);
}
TEST(listener, that_shares_its_port_with_another_loops_has_a_part_of_the_connections_on_uring)
{
    share_a_port_on(CRANK_BACKEND_URING);
}

/* ---- A family that this machine has not ---- */

static int no_v6_socket(void *context, int family, int type, int protocol)
{
    (void)context;
    if (family == AF_INET6)
        return -EAFNOSUPPORT;
    return cr_sys_real.socket(cr_sys_real.context, family, type, protocol);
}

static int no_v6_address(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    (void)context;
    if (address->sa_family == AF_INET6)
        return -EADDRNOTAVAIL;
    return cr_sys_real.bind(cr_sys_real.context, fd, address, size);
}

static int expect_v4_alone(const char *address)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen(address));
    EXPECT(strchr(crank_listener_address(l, 0), '.'));
    EXPECT(!crank_listener_address(l, 1));
    return reach(l, nets_at_port("127.0.0.1", nets_port(l, 0)));
}

RESOLVING(listener, leaves_a_family_out_that_has_no_sockets)
{
    resolver.socket = no_v6_socket;
    crank_try(expect_v4_alone("localhost:0"));
    crank_try(expect_v4_alone("*:0"));
    EXPECT_EQ(listen_error("[::1]:0"), -EAFNOSUPPORT);
    return 0;
}

RESOLVING(listener, leaves_a_family_out_that_has_no_loopback)
{
    resolver.bind = no_v6_address;
    crank_try(expect_v4_alone("localhost:0"));
    crank_try(expect_v4_alone("*:0"));
    EXPECT_EQ(listen_error("[::1]:0"), -EADDRNOTAVAIL);
    return 0;
}

RESOLVING(listener, of_a_name_fails_where_one_of_its_addresses_is_not_this_machines)
{
    EXPECT_EQ(listen_error("two.example:0"), -EADDRNOTAVAIL);
    EXPECT_CONTAINS(crank_error(), "2001:db8::1");
    EXPECT_EQ(listen_error("none:0"), -ENOENT);
    return 0;
}

/* ---- Sockets from elsewhere ---- */

static int raw_listener(int family)
{
    struct sockaddr_storage address = { .ss_family = (sa_family_t)family };
    const cr_sys *sys = cr_loop_here->sys;
    unsigned size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    int fd = sys->socket(sys->context, family, SOCK_STREAM, 0);
    EXPECT(fd >= 0);
    EXPECT_EQ(sys->bind(sys->context, fd, (struct sockaddr *)&address, size), 0);
    EXPECT_EQ(sys->listen(sys->context, fd, 16), 0);
    return fd;
}

TEST_EACH_BACKEND(listener, takes_over_sockets_that_listen)
{
    int fds[2] = { raw_listener(AF_INET), raw_listener(AF_INET6) };
    CRANK_AUTO_LISTENER crank_listener *l = crank_listener_from_fds(fds, 2);
    EXPECT(l);
    EXPECT_EQ(crank_listener_fd(l, 1), fds[1]);
    crank_try(reach(l, nets_at_port("127.0.0.1", nets_port(l, 0))));
    return reach(l, nets_at_port("[::1]", nets_port(l, 1)));
}

TEST_EACH_BACKEND(listener, refuses_a_descriptor_that_does_not_listen_and_leaves_it_alone)
{
    const cr_sys *sys = cr_loop_here->sys;
    int fds[2] = { raw_listener(AF_INET), sys->socket(sys->context, AF_INET, SOCK_STREAM, 0) };
    EXPECT(fds[1] >= 0);
    EXPECT(!crank_listener_from_fds(fds, 2));
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(sys->close(sys->context, fds[0]), 0);
    EXPECT_EQ(sys->close(sys->context, fds[1]), 0);
    EXPECT(!crank_listener_from_fds(fds, 1));
    EXPECT_EQ(errno, EBADF);
    return 0;
}

TEST_EACH_BACKEND(listener, makes_an_inherited_socket_its_own)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (cr_loop_here->simulated)
        return close(fd);
    EXPECT(fd >= 0 && listen(fd, 4) == 0);
    CRANK_AUTO_LISTENER crank_listener *l = crank_listener_from_fds(&fd, 1);
    if (!l) {
        int err = -errno;
        close(fd);
        return err;
    }
    EXPECT(fcntl(fd, F_GETFL) & O_NONBLOCK);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    return reach(l, nets_at_port("127.0.0.1", nets_port(l, 0)));
}

/* ---- The files of unix sockets: of the simulated network they are none ---- */

static char address[400];
static const char *path;

static void make_address(void)
{
    path = scratch("socket");
    snprintf(address, sizeof address, "unix:%s", path);
}

static mode_t mode_of(const char *file)
{
    struct stat status;
    return lstat(file, &status) == 0 ? status.st_mode : 0;
}

/* A file at which no process listens, as a server that was killed leaves it. */
static void leave_stale_file(void)
{
    const cr_sys *sys = &cr_sys_real;
    struct sockaddr_un local = { .sun_family = AF_UNIX };
    int fd = sys->socket(sys->context, AF_UNIX, SOCK_STREAM, 0);
    snprintf(local.sun_path, sizeof local.sun_path, "%s", path);
    EXPECT_EQ(sys->bind(sys->context, fd, (struct sockaddr *)&local, sizeof local), 0);
    EXPECT_EQ(sys->listen(sys->context, fd, 1), 0);
    EXPECT_EQ(sys->close(sys->context, fd), 0);
}

TEST_EACH_BACKEND(unix_listener, serves_its_path_and_removes_it)
{
    make_address();
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen(address));
    EXPECT_STR(crank_listener_address(l, 0), address);
    EXPECT_EQ(S_ISSOCK(mode_of(path)), !cr_loop_here->simulated);
    crank_try(reach(l, address));
    crank_listener_close(l);
    l = NULL;
    EXPECT_EQ(mode_of(path), 0);
    return listen_error(address);
}

TEST_EACH_BACKEND(unix_listener, has_abstract_names)
{
    static char name[64];
    snprintf(name, sizeof name, "unix:@crank-test-%d", (int)getpid());
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen(name));
    EXPECT_EQ(listen_error(name), -EADDRINUSE);
    return reach(l, name);
}

static int real_listen_sees_mode;

static int look_and_listen(void *context, int fd, int backlog)
{
    (void)context;
    real_listen_sees_mode = (int)(mode_of(path) & 0777);
    return cr_sys_real.listen(cr_sys_real.context, fd, backlog);
}

RESOLVING(unix_listener, has_its_permissions_before_it_can_be_connected_to)
{
    make_address();
    resolver.listen = look_and_listen;
    crank_try(listen_error(address));
    EXPECT_EQ(real_listen_sees_mode, 0600);
    CRANK_AUTO_LISTENER crank_listener *l =
        crank_try(crank_listen_with(&(crank_listen_options){ .mode = 0666 }, address));
    EXPECT(l);
    EXPECT_EQ(real_listen_sees_mode, 0666);
    return 0;
}

RESOLVING(unix_listener, leaves_a_stale_file_unless_it_may_replace_it)
{
    const crank_listen_options options = { .replace = true };
    make_address();
    leave_stale_file();
    EXPECT_EQ(listen_error(address), -EADDRINUSE);
    EXPECT_CONTAINS(crank_error(), "Address already in use: where no process listens there, remove the file, or");
    EXPECT(S_ISSOCK(mode_of(path)));
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen_with(&options, address));
    EXPECT_EQ(mode_of(scratch("socket.lock")), 0);
    return reach(l, address);
}

RESOLVING(unix_listener, does_not_replace_one_that_listens)
{
    const crank_listen_options options = { .replace = true };
    make_address();
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen_with(&options, address));
    EXPECT(!crank_listen_with(&options, address));
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT(!strstr(crank_error(), "remove the file"));
    CRANK_AUTO_STREAM crank_stream *probe = crank_within(1, crank_accept(l)); /* it looked whether we live */
    EXPECT(probe);
    return reach(l, address);
}

RESOLVING(unix_listener, does_not_replace_a_file)
{
    const crank_listen_options options = { .replace = true };
    make_address();
    scratch_file("socket", "text", 4);
    EXPECT(!crank_listen_with(&options, address));
    EXPECT_EQ(errno, EADDRINUSE);
    expect_file(path, "text", 4);
    return 0;
}

RESOLVING(unix_listener, waits_for_no_other_that_replaces_the_same)
{
    const crank_listen_options options = { .replace = true };
    const cr_sys *sys = &cr_sys_real;
    make_address();
    leave_stale_file();
    int held = open(scratch("socket.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(sys->lock(sys->context, held), 0);
    EXPECT(!crank_listen_with(&options, address));
    EXPECT_EQ(errno, EADDRINUSE);
    close(held);
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen_with(&options, address));
    EXPECT(l);
    EXPECT_EQ(mode_of(scratch("socket.lock")), 0);
    return 0;
}

RESOLVING(unix_listener, removes_no_file_but_its_own)
{
    make_address();
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen(address));
    EXPECT_EQ(unlink(path), 0);
    leave_stale_file();
    crank_listener_close(l);
    l = NULL;
    EXPECT(S_ISSOCK(mode_of(path)));
    return 0;
}
