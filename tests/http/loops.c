/* SPDX-License-Identifier: MIT */
/* loops.c: servers of two loops on one port, and what ends with one of them. */
#include "loops.h"

enum { CONNECTIONS = 64 };

static int ask_both(const loops_server *servers)
{
    int answered[2] = { 0, 0 };
    crank_try(loops_ask("http", servers, NULL, CONNECTIONS, answered));
    EXPECT(answered[0] > 0 && answered[1] > 0); /* the kernel deals them by chance */
    EXPECT_EQ(answered[0] + answered[1], CONNECTIONS);
    return 0;
}
static int ask_the_second(const loops_server *servers)
{
    int answered[2] = { 0, 0 };
    crank_try(loops_ask("http", servers, NULL, CONNECTIONS, answered));
    EXPECT_EQ(answered[1], CONNECTIONS);
    return 0;
}

static void serve_with_two_loops(crank_backend backend)
{
    loops_server servers[2] = { { .number = 0, .backend = backend, .address = "127.0.0.1:0" },
        { .number = 1, .backend = backend } };
    const crank_options options = { .backend = backend };
    loops_start(&servers[0]);
    memcpy(servers[1].address, servers[0].address, sizeof servers[1].address);
    loops_start(&servers[1]);
    EXPECT_EQ(crank_run_with(&options, ask_both, (const loops_server *)servers), 0);
    loops_stop(&servers[0]);
    EXPECT_EQ(crank_run_with(&options, ask_the_second, (const loops_server *)servers), 0);
    loops_stop(&servers[1]);
    EXPECT_EQ(servers[0].requests + servers[1].requests, 4 * CONNECTIONS);
}
TEST(servers, of_two_loops_share_a_port_and_end_one_by_one)
{
    serve_with_two_loops(CRANK_BACKEND_EPOLL);
    serve_with_two_loops(CRANK_BACKEND_URING);
}
