/* SPDX-License-Identifier: MIT */
/* world_walks.c: calls on two connected sockets in any order, step by step, on the simulated network and on the
 * machine's own. */
#include "parity.h"

/* Calls in any order, as the walk's own number decides; after each both ends are looked at. */
static void step_at(net *n, int fd, cr_prng *random)
{
    static const char *const texts[] = { "a", "bcd", "efghijklm" };
    size_t which = cr_prng_below(random, 3);
    switch (cr_prng_below(random, 8)) {
    case 0:
    case 1: STEP(put(n, fd, texts[which])); break;
    case 2: STEP(take(n, fd, 2)); break;
    case 3: STEP(take(n, fd, 64)); break;
    case 4: STEP(CALL(n, recv, fd, n->buf, 2, MSG_PEEK)); break;
    case 5: STEP(error_of(n, fd)); break;
    case 6: STEP(has_peer(n, fd, 0)); break;
    default: STEP(CALL(n, shutdown, fd, (int)which)); break;
    }
}

static void close_at(net *n, int *fd, bool drops)
{
    if (drops)
        drop(n, *fd);
    else
        STEP(CALL(n, close, *fd));
    *fd = 0;
}

static void walk_along(net *n, int fds[2], bool drops)
{
    cr_prng random = { .state = walk };
    for (int i = 0; i < 16; i++) {
        int *fd = &fds[cr_prng_below(&random, 2)];
        if (*fd && cr_prng_below(&random, 12) == 0)
            close_at(n, fd, drops && cr_prng_below(&random, 2));
        else if (*fd)
            step_at(n, *fd, &random);
        for (int k = 0; k < 2; k++)
            if (fds[k])
                SEE(events_now(n, fds[k]));
    }
    for (int k = 0; k < 2; k++)
        if (fds[k])
            EXPECT_EQ(CALL(n, close, fds[k]), 0);
}

static void walk_tcp(net *n)
{
    net_pair p = connect_tcp(n, AF_INET);
    int fds[2] = { p.client, p.server };
    for (int i = 0; i < 2; i++) /* the kernel would hold bytes back until those before are acknowledged */
        EXPECT_EQ(set_option(n, fds[i], IPPROTO_TCP, TCP_NODELAY, 1), 0);
    walk_along(n, fds, true);
    EXPECT_EQ(CALL(n, close, p.listener), 0);
}

static void walk_local(net *n)
{
    int fds[2];
    EXPECT_EQ(CALL(n, socket_pair, AF_UNIX, SOCK_STREAM, fds), 0);
    walk_along(n, fds, false);
}

static void walk_udp(net *n)
{
    int fds[2] = { open_udp(n, true), open_udp(n, true) };
    EXPECT_EQ(call_tcp(n, fds[0], AF_INET, port_of(n, fds[1])), 0);
    EXPECT_EQ(call_tcp(n, fds[1], AF_INET, port_of(n, fds[0])), 0);
    walk_along(n, fds, false);
}

enum { WALKS = 100 };
static void run_walks(void (*scene)(net *n))
{
    for (walk = 1; walk <= WALKS; walk++) {
        steps.known = false;
        steps.at = 0;
        run_net(scene, 0);
        steps.known = true;
        steps.at = 0;
        run_net(scene, walk);
        steps.at = 0;
        run_net_really(scene);
    }
}
TEST(on_both_networks, walks_over_a_tcp_connection_are_the_same) { run_walks(walk_tcp); }
TEST(on_both_networks, walks_over_a_unix_pair_are_the_same) { run_walks(walk_local); }
TEST(on_both_networks, walks_over_two_udp_sockets_are_the_same) { run_walks(walk_udp); }
