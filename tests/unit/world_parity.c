/* SPDX-License-Identifier: MIT */
/* world_parity.c: scenes of sockets, step by step, on the simulated network and on the machine's own. */
#include <stddef.h>
#include <unistd.h>
#include "parity.h"

static void run_scene(void (*scene)(net *n))
{
    EXPECT_EQ(chdir(getenv("TMPDIR")), 0); /* for the files of unix sockets */
    run_net(scene, 0);
    EXPECT(steps.at > 0);
    steps.known = true;
    for (uint64_t seed = 1; seed <= NET_SEEDS; seed++) {
        steps.at = 0;
        run_net(scene, seed);
    }
    steps.at = 0;
    run_net_really(scene);
}
#define SCENE(sentence) \
    static void scene_##sentence(net *n); \
    TEST(on_both_networks, sentence) { run_scene(scene_##sentence); } \
    static void scene_##sentence(net *n)

/* All that is told of one, but for its bytes. */
#define SEE_ALL(fd) \
    do { \
        SEE(events_now(n, fd)); \
        SEE(error_of(n, fd)); \
        SEE(events_now(n, fd)); \
    } while (0)

/* ---- TCP ---- */

SCENE(a_refused_call_leaves_its_error_once)
{
    int listener = listen_tcp(n, AF_INET, 1), fd = open_tcp(n, AF_INET);
    unsigned port = port_of(n, listener);
    EXPECT_EQ(CALL(n, close, listener), 0);
    STEP(call_tcp(n, fd, AF_INET, port));
    SEE(events_now(n, fd));
    STEP(error_of(n, fd));
    SEE_ALL(fd);
    STEP(take(n, fd, 8));
    STEP(put(n, fd, "x"));
    STEP(has_peer(n, fd, port));
    STEP(CALL(n, shutdown, fd, SHUT_RDWR));
    STEP(CALL(n, listen, fd, 1));
    STEP(CALL(n, close, fd));
    STEP(CALL(n, close, fd));
}

SCENE(a_listener_that_is_full_answers_no_more)
{
    int listener = listen_tcp(n, AF_INET, 1), fds[3];
    unsigned port = port_of(n, listener);
    for (int i = 0; i < 3; i++) {
        fds[i] = open_tcp(n, AF_INET);
        STEP(call_tcp(n, fds[i], AF_INET, port));
        SEE(events_now(n, fds[i]));
    }
    STEP(put(n, fds[2], "x"));
    STEP(take(n, fds[2], 8));
    STEP(call_tcp(n, fds[2], AF_INET, port));
    STEP(has_peer(n, fds[2], port));
    STEP(CALL(n, shutdown, fds[2], SHUT_WR));
    SEE_ALL(fds[2]);
    for (int i = 0; i < 2; i++) {
        SEE(events_now(n, listener));
        int server = CALL(n, accept, listener, NULL, NULL);
        STEP(server >= 0);
        STEP(CALL(n, close, server));
    }
    SEE(events_now(n, listener));
    STEP(CALL(n, accept, listener, NULL, NULL));
    STEP(CALL(n, close, listener));
    for (int i = 0; i < 3; i++)
        STEP(CALL(n, close, fds[i]));
}

SCENE(a_half_closed_connection_carries_the_other_half)
{
    net_pair p = connect_tcp(n, AF_INET);
    STEP(put(n, p.client, "question"));
    STEP(CALL(n, shutdown, p.client, SHUT_WR));
    SEE(events_now(n, p.client));
    SEE(events_now(n, p.server));
    STEP(put(n, p.client, "more"));
    STEP(take(n, p.server, 8));
    STEP(take(n, p.server, 8));
    STEP(put(n, p.server, "answer"));
    SEE(events_now(n, p.client));
    STEP(take(n, p.client, 3));
    STEP(CALL(n, shutdown, p.server, SHUT_WR));
    STEP(take(n, p.client, 8));
    STEP(take(n, p.client, 8));
    SEE_ALL(p.client);
    SEE_ALL(p.server);
    STEP(put(n, p.server, "late"));
    STEP(CALL(n, shutdown, p.client, SHUT_RD));
    close_pair(n, &p);
}

SCENE(one_that_reads_no_more_is_sent_to_all_the_same)
{
    net_pair p = connect_tcp(n, AF_INET);
    STEP(CALL(n, shutdown, p.server, SHUT_RD));
    SEE(events_now(n, p.server));
    STEP(take(n, p.server, 8));
    STEP(put(n, p.client, "abc"));
    SEE(events_now(n, p.client));
    STEP(take(n, p.server, 2));
    STEP(put(n, p.server, "still"));
    STEP(take(n, p.client, 8));
    STEP(CALL(n, close, p.server));
    p.server = 0;
    SEE(events_now(n, p.client));
    STEP(take(n, p.client, 8));
    close_pair(n, &p);
}

SCENE(shutdowns_in_any_order_come_to_the_same)
{
    static const int orders[][3] = { { SHUT_RD, SHUT_WR, SHUT_RDWR }, { SHUT_WR, SHUT_RD, SHUT_RD },
        { SHUT_RDWR, SHUT_RDWR, SHUT_WR } };
    for (size_t i = 0; i < CRANK_COUNT(orders); i++) {
        net_pair p = connect_tcp(n, AF_INET);
        for (int k = 0; k < 3; k++) {
            STEP(CALL(n, shutdown, p.client, orders[i][k]));
            SEE(events_now(n, p.client));
            SEE(events_now(n, p.server));
        }
        STEP(take(n, p.client, 8));
        STEP(put(n, p.client, "x"));
        STEP(take(n, p.server, 8));
        STEP(CALL(n, shutdown, p.server, SHUT_RDWR));
        SEE_ALL(p.server);
        SEE_ALL(p.client);
        STEP(CALL(n, shutdown, p.client, SHUT_RDWR));
        close_pair(n, &p);
    }
}

SCENE(a_read_after_a_reset_is_an_end)
{
    net_pair p = connect_tcp(n, AF_INET);
    unsigned port = port_of(n, p.client);
    drop(n, p.client);
    p.client = 0;
    SEE(events_now(n, p.server));
    STEP(take(n, p.server, 8));
    STEP(take(n, p.server, 8));
    STEP(put(n, p.server, "x"));
    SEE_ALL(p.server);
    STEP(has_peer(n, p.server, port));
    STEP(CALL(n, shutdown, p.server, SHUT_WR));
    close_pair(n, &p);
}

SCENE(a_reset_leaves_what_had_come_and_its_error)
{
    net_pair p = connect_tcp(n, AF_INET);
    STEP(put(n, p.client, "came"));
    SEE(events_now(n, p.server));
    STEP(CALL(n, recv, p.server, n->buf, 2, MSG_PEEK));
    drop(n, p.client);
    p.client = 0;
    SEE(events_now(n, p.server));
    STEP(take(n, p.server, 2));
    STEP(error_of(n, p.server));
    STEP(take(n, p.server, 8));
    STEP(take(n, p.server, 8));
    SEE(events_now(n, p.server));
    close_pair(n, &p);
}

SCENE(a_send_to_one_that_has_closed_breaks_the_connection)
{
    net_pair p = connect_tcp(n, AF_INET);
    unsigned port = port_of(n, p.client);
    STEP(CALL(n, close, p.client));
    p.client = 0;
    SEE(events_now(n, p.server));
    STEP(has_peer(n, p.server, port));
    STEP(put(n, p.server, "first"));
    SEE(events_now(n, p.server));
    STEP(has_peer(n, p.server, port));
    STEP(put(n, p.server, "second"));
    STEP(put(n, p.server, "third"));
    STEP(take(n, p.server, 8));
    SEE_ALL(p.server);
    close_pair(n, &p);
}

SCENE(one_that_closes_with_bytes_unread_resets_a_half_closed_peer)
{
    net_pair p = connect_tcp(n, AF_INET);
    STEP(put(n, p.client, "unread"));
    STEP(CALL(n, shutdown, p.client, SHUT_WR));
    SEE(events_now(n, p.server));
    STEP(put(n, p.server, "answer"));
    SEE(events_now(n, p.client));
    STEP(CALL(n, close, p.server));
    p.server = 0;
    SEE(events_now(n, p.client));
    STEP(take(n, p.client, 8));
    STEP(take(n, p.client, 8));
    STEP(take(n, p.client, 8));
    SEE_ALL(p.client);
    close_pair(n, &p);
}

SCENE(both_that_have_ended_are_connected_to_none)
{
    net_pair p = connect_tcp(n, AF_INET);
    unsigned client = port_of(n, p.client), server = port_of(n, p.server);
    STEP(has_peer(n, p.client, server));
    STEP(has_peer(n, p.server, client));
    STEP(CALL(n, shutdown, p.server, SHUT_WR));
    SEE(events_now(n, p.client));
    STEP(has_peer(n, p.client, server));
    STEP(has_peer(n, p.server, client));
    STEP(CALL(n, shutdown, p.client, SHUT_WR));
    SEE(events_now(n, p.server));
    SEE(has_peer(n, p.server, client));
    STEP(port_of(n, p.client) == client);
    STEP(port_of(n, p.server) == server);
    close_pair(n, &p);
}

SCENE(sockets_are_used_for_one_thing)
{
    net_pair p = connect_tcp(n, AF_INET);
    address any = loopback(AF_INET, 0);
    unsigned port = port_of(n, p.listener);
    const int all[] = { p.listener, p.client, p.server };
    for (size_t i = 0; i < CRANK_COUNT(all); i++) {
        STEP(CALL(n, bind, all[i], &any.any, sizeof any.v4));
        STEP(call_tcp(n, all[i], AF_INET, port));
        STEP(CALL(n, accept, all[i], NULL, NULL));
        STEP(CALL(n, listen, all[i], 1));
        STEP(option_of(n, all[i], SOL_SOCKET, SO_ACCEPTCONN));
        SEE(events_now(n, all[i]));
    }
    close_pair(n, &p);
}

SCENE(one_that_has_gone_before_it_is_accepted_is_accepted)
{
    int listener = listen_tcp(n, AF_INET, 8);
    for (int how = 0; how < 3; how++) {
        int fd = open_tcp(n, AF_INET);
        STEP(call_tcp(n, fd, AF_INET, port_of(n, listener)));
        SEE(events_now(n, fd));
        STEP(put(n, fd, "bye"));
        SEE(events_now(n, listener));
        if (how == 0)
            STEP(CALL(n, shutdown, fd, SHUT_WR));
        else if (how == 1)
            STEP(CALL(n, close, fd));
        else
            drop(n, fd);
        arrive(n);
        int server = CALL(n, accept, listener, NULL, NULL);
        STEP(server >= 0);
        SEE(events_now(n, server));
        STEP(take(n, server, 8));
        STEP(take(n, server, 8));
        STEP(put(n, server, "x"));
        STEP(CALL(n, close, server));
        if (how == 0)
            STEP(CALL(n, close, fd));
    }
    STEP(CALL(n, close, listener));
}

SCENE(nothing_is_there_until_it_is_sent)
{
    net_pair p = connect_tcp(n, AF_INET);
    STEP(take(n, p.client, 8));
    STEP(CALL(n, recv, p.client, n->buf, 8, MSG_PEEK));
    STEP(take(n, p.server, 0));
    STEP(CALL(n, send, p.client, n->buf, 0, 0));
    SEE(events_now(n, p.server));
    STEP(CALL(n, accept, p.listener, NULL, NULL));
    SEE(events_now(n, p.listener));
    close_pair(n, &p);
}

/* ---- UDP ---- */

SCENE(a_datagram_that_is_too_long_is_cut)
{
    int a = open_udp(n, false), b = open_udp(n, true);
    STEP(call_tcp(n, a, AF_INET, port_of(n, b)));
    STEP(put(n, a, "0123456789"));
    STEP(put(n, a, "abc"));
    STEP(put(n, a, ""));
    STEP(CALL(n, recv, b, n->buf, 4, MSG_PEEK));
    STEP(CALL(n, recv, b, n->buf, 4, MSG_PEEK | MSG_TRUNC));
    STEP(take(n, b, 4));
    STEP(n->buf[3]);
    STEP(CALL(n, recv, b, n->buf, 2, MSG_TRUNC));
    SEE(events_now(n, b));
    STEP(take(n, b, 8));
    SEE(events_now(n, b));
    STEP(take(n, b, 8));
    STEP(CALL(n, close, a));
    STEP(CALL(n, close, b));
}

SCENE(a_refused_datagram_is_told_to_one_with_a_remote_alone)
{
    int gone = open_udp(n, true), a = open_udp(n, false), b = open_udp(n, true);
    address to = loopback(AF_INET, port_of(n, gone));
    struct iovec piece = { n->buf, 3 };
    struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof to.v4, .msg_iov = &piece, .msg_iovlen = 1 };
    STEP(put(n, b, "abc"));
    STEP(call_tcp(n, a, AF_INET, port_of(n, gone)));
    STEP(CALL(n, close, gone));
    STEP(put(n, a, "abc"));
    SEE(events_now(n, a));
    STEP(take(n, a, 8));
    STEP(take(n, a, 8));
    STEP(put(n, a, "abc"));
    SEE(events_now(n, a));
    STEP(put(n, a, "abc"));
    SEE_ALL(a);
    STEP(CALL(n, send_message, b, &message, 0));
    SEE(events_now(n, b));
    STEP(take(n, b, 8));
    STEP(CALL(n, close, a));
    STEP(CALL(n, close, b));
}

SCENE(a_udp_socket_with_a_remote_may_be_given_another)
{
    int a = open_udp(n, false), b = open_udp(n, true), c = open_udp(n, true);
    STEP(has_peer(n, a, 1));
    STEP(call_tcp(n, a, AF_INET, port_of(n, b)));
    STEP(has_peer(n, a, port_of(n, b)));
    unsigned port = port_of(n, a);
    STEP(put(n, a, "b"));
    STEP(call_tcp(n, a, AF_INET, port_of(n, c)));
    STEP(has_peer(n, a, port_of(n, c)));
    STEP(port_of(n, a) == port);
    STEP(put(n, a, "cc"));
    STEP(take(n, b, 8));
    STEP(take(n, b, 8));
    STEP(take(n, c, 8));
    STEP(CALL(n, close, a));
    STEP(CALL(n, close, b));
    STEP(CALL(n, close, c));
}

SCENE(a_udp_socket_that_is_shut_down_has_ended)
{
    int a = open_udp(n, true), b = open_udp(n, true);
    STEP(CALL(n, shutdown, a, SHUT_RD));
    SEE(events_now(n, a));
    STEP(call_tcp(n, a, AF_INET, port_of(n, b)));
    STEP(call_tcp(n, b, AF_INET, port_of(n, a)));
    SEE(events_now(n, a));
    STEP(CALL(n, shutdown, b, SHUT_RD));
    SEE(events_now(n, b));
    STEP(take(n, b, 8));
    STEP(put(n, a, "abc"));
    STEP(take(n, b, 8));
    STEP(CALL(n, shutdown, b, SHUT_WR));
    SEE(events_now(n, b));
    STEP(put(n, b, "abc"));
    STEP(CALL(n, close, a));
    STEP(CALL(n, close, b));
}

/* ---- Unix sockets ---- */

static unsigned name_it(address *a, const char *name)
{
    memset(a, 0, sizeof *a);
    a->local.sun_family = AF_UNIX;
    memcpy(a->local.sun_path, name, strlen(name));
    return (unsigned)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
}

SCENE(a_unix_path_is_had_by_one)
{
    address at;
    unsigned size = name_it(&at, "scene");
    int first = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0), second = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    STEP(CALL(n, connect, second, &at.any, size));
    STEP(CALL(n, bind, first, &at.any, size));
    STEP(CALL(n, bind, second, &at.any, size));
    STEP(CALL(n, connect, second, &at.any, size));
    STEP(CALL(n, listen, first, 0));
    STEP(CALL(n, listen, second, 0));
    STEP(CALL(n, connect, second, &at.any, size));
    SEE(events_now(n, first));
    SEE(events_now(n, second));
    STEP(put(n, second, "early"));
    int third = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    STEP(CALL(n, connect, third, &at.any, size));
    SEE(events_now(n, third));
    STEP(CALL(n, close, first));
    SEE(events_now(n, second));
    STEP(take(n, second, 8));
    STEP(take(n, second, 8));
    STEP(put(n, second, "x"));
    STEP(CALL(n, close, second));
    STEP(CALL(n, close, third));
    if (!n->world)
        EXPECT_EQ(unlink("scene"), 0);
}

SCENE(a_pair_ends_half_by_half)
{
    int fds[2];
    EXPECT_EQ(CALL(n, socket_pair, AF_UNIX, SOCK_STREAM, fds), 0);
    STEP(put(n, fds[0], "abc"));
    STEP(CALL(n, shutdown, fds[0], SHUT_WR));
    SEE(events_now(n, fds[0]));
    SEE(events_now(n, fds[1]));
    STEP(put(n, fds[0], "x"));
    STEP(take(n, fds[1], 2));
    STEP(CALL(n, shutdown, fds[1], SHUT_RD));
    STEP(take(n, fds[1], 8));
    STEP(take(n, fds[1], 8));
    STEP(put(n, fds[1], "answer"));
    STEP(CALL(n, close, fds[1]));
    SEE(events_now(n, fds[0]));
    STEP(take(n, fds[0], 8));
    STEP(take(n, fds[0], 8));
    STEP(put(n, fds[0], "x"));
    SEE_ALL(fds[0]);
    STEP(CALL(n, shutdown, fds[0], SHUT_RDWR));
    STEP(CALL(n, close, fds[0]));
}

SCENE(a_pair_whose_peer_has_not_read_is_reset)
{
    int fds[2];
    EXPECT_EQ(CALL(n, socket_pair, AF_UNIX, SOCK_STREAM, fds), 0);
    STEP(put(n, fds[0], "unread"));
    STEP(put(n, fds[1], "ab"));
    STEP(CALL(n, close, fds[1]));
    SEE(events_now(n, fds[0]));
    STEP(put(n, fds[0], "x"));
    SEE(events_now(n, fds[0]));
    STEP(take(n, fds[0], 1));
    STEP(error_of(n, fds[0]));
    STEP(take(n, fds[0], 8));
    STEP(take(n, fds[0], 8));
    SEE_ALL(fds[0]);
    STEP(CALL(n, close, fds[0]));
}
