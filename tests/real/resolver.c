/* SPDX-License-Identifier: MIT */
/* resolver.c: libc's own resolver, and the race of addresses in real time. */
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "base/sys.h"
#include "test.h"

/* libc keeps what it has read of its configuration: once, before anything is counted. */
__attribute__((constructor)) static void read_configuration(void)
{
    struct addrinfo *found;
    if (getaddrinfo("localhost", NULL, NULL, &found) == 0)
        freeaddrinfo(found);
}

static bool is_loopback(const struct sockaddr_in6 *address)
{
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    if (v4.sin_family == AF_INET)
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    return address->sin6_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->sin6_addr);
}

TEST(resolver, gives_each_address_once)
{
    struct sockaddr_in6 found[64];
    int n = cr_sys_real.resolve(cr_sys_real.context, "localhost", found, 64);
    EXPECT(n >= 1);
    for (int i = 0; i < n; i++) {
        EXPECT(is_loopback(&found[i]));
        for (int k = 0; k < i; k++)
            EXPECT(memcmp(&found[i], &found[k], sizeof found[i]) != 0);
    }
}

TEST(resolver, fills_in_no_more_than_there_is_room_for)
{
    struct sockaddr_in6 found[2] = { 0 };
    EXPECT_EQ(cr_sys_real.resolve(cr_sys_real.context, "localhost", found, 1), 1);
    EXPECT_EQ(found[1].sin6_family, 0);
}

/* Behind a full backlog the kernel answers no more. */
static int race(void)
{
    char second[64];
    crank_stream *waiting[2];
    const crank_listen_options options = { .backlog = 1 };
    CRANK_AUTO_LISTENER crank_listener *busy = crank_try(crank_listen_with(&options, "[::1]:0"));
    const char *port = strrchr(crank_listener_address(busy, 0), ':');
    snprintf(second, sizeof second, "127.0.0.1%s", port);
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen(second));
    EXPECT(l);
    for (size_t i = 0; i < CRANK_COUNT(waiting); i++)
        waiting[i] = crank_try(crank_connect(crank_listener_address(busy, 0)));
    snprintf(second, sizeof second, "localhost%s", port);
    double before = crank_time();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(second));
    double spent = crank_time() - before;
    EXPECT_EQ(strncmp(crank_peer_name(s), "127.0.0.1:", 10), 0);
    EXPECT(spent >= 0.25 && spent < 0.9); /* after a second the kernel would ask the first again */
    for (size_t i = 0; i < CRANK_COUNT(waiting); i++)
        crank_try(crank_close(waiting[i]));
    return 0;
}

static void run_race(crank_backend backend)
{
    test_needs_long();
    crank_options options = { .backend = backend };
    EXPECT_EQ(crank_run_with(&options, race), 0);
}
TEST(connect, tries_the_next_address_after_a_quarter_of_a_second_on_epoll) { run_race(CRANK_BACKEND_EPOLL); }
TEST(connect, tries_the_next_address_after_a_quarter_of_a_second_on_uring) { run_race(CRANK_BACKEND_URING); }
