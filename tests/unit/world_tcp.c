/* SPDX-License-Identifier: MIT */
/* world_tcp.c: TCP connections of the simulated network, through its table and without a loop, beside the same programs
 * on the real loopback. */
#include "nets.h"

static void carry(net *n, int family)
{
    net_pair p = connect_tcp(n, family);
    send_all(n, p.client, "hello");
    receive_all(n, p.server, 5);
    EXPECT(memcmp(n->buf, "hello", 5) == 0);
    send_all(n, p.server, "yo");
    EXPECT_EQ(receive(n, p.client, 1), 1);
    EXPECT_EQ(receive(n, p.client, 64), 1);
    EXPECT_EQ(n->buf[0], 'o');
    EXPECT_EQ(CALL(n, recv, p.client, n->buf, 1, 0), -EAGAIN);
    EXPECT_EQ(CALL(n, recv, p.client, n->buf, 0, 0), -EAGAIN);
    EXPECT_EQ(CALL(n, send, p.client, "", 0, 0), 0);
    close_pair(n, &p);
}
EACH_NET(tcp, carries_bytes_both_ways) { carry(n, AF_INET); }
EACH_NET(tcp, carries_bytes_over_ipv6) { carry(n, AF_INET6); }

EACH_NET(tcp, what_is_peeked_stays)
{
    net_pair p = connect_tcp(n, AF_INET);
    send_all(n, p.client, "a");
    await_events(n, p.server, EPOLLIN);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, MSG_PEEK), 1);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 0, 0), 0);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), 1);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, MSG_PEEK), -EAGAIN);
    close_pair(n, &p);
}

/* ---- connecting ---- */

EACH_NET(tcp, nobody_listening_refuses)
{
    int listener = listen_tcp(n, AF_INET, 1);
    unsigned port = port_of(n, listener);
    EXPECT_EQ(CALL(n, close, listener), 0);
    int fd = open_tcp(n, AF_INET);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port), -EINPROGRESS);
    await_exactly(n, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    EXPECT_EQ(error_of(n, fd), ECONNREFUSED);
    EXPECT_EQ(error_of(n, fd), 0);
    EXPECT_EQ(CALL(n, recv, fd, n->buf, 1, 0), 0);
    EXPECT_EQ(CALL(n, send, fd, "x", 1, 0), -EPIPE);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port), -ECONNABORTED);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port), -EINPROGRESS);
    await_events(n, fd, EPOLLERR);
    EXPECT_EQ(CALL(n, recv, fd, n->buf, 1, 0), -ECONNREFUSED);
    EXPECT_EQ(CALL(n, recv, fd, n->buf, 1, 0), 0);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

EACH_NET(tcp, a_call_made_again_tells_how_the_first_went)
{
    int listener = listen_tcp(n, AF_INET, 1);
    unsigned port = port_of(n, listener);
    int fd = open_tcp(n, AF_INET);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port), -EINPROGRESS);
    if (n->world) { /* the kernel's is over before one can ask */
        EXPECT_EQ(call_tcp(n, fd, AF_INET, port), -EALREADY);
        EXPECT_EQ(CALL(n, send, fd, "x", 1, 0), -EAGAIN);
        EXPECT_EQ(CALL(n, recv, fd, n->buf, 1, 0), -EAGAIN);
        EXPECT_EQ(events_now(n, fd), 0);
    }
    await_exactly(n, fd, EPOLLOUT);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port), 0);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port), -EISCONN);
    EXPECT_EQ(call_tcp(n, listener, AF_INET, port), -EISCONN);
    EXPECT_EQ(CALL(n, close, fd), 0);
    fd = open_tcp(n, AF_INET);
    EXPECT_EQ(CALL(n, close, listener), 0);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port), -EINPROGRESS);
    await_events(n, fd, EPOLLERR);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port), -ECONNREFUSED);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

EACH_NET(tcp, a_fresh_socket_is_not_connected)
{
    unsigned size = sizeof(address);
    address peer;
    int fd = open_tcp(n, AF_INET);
    EXPECT_EQ(events_now(n, fd), EPOLLOUT | EPOLLHUP);
    EXPECT_EQ(CALL(n, recv, fd, n->buf, 1, 0), -ENOTCONN);
    EXPECT_EQ(CALL(n, send, fd, "x", 1, 0), -EPIPE);
    EXPECT_EQ(CALL(n, peer_name, fd, &peer.any, &size), -ENOTCONN);
    EXPECT_EQ(CALL(n, accept, fd, NULL, NULL), -EINVAL);
    EXPECT_EQ(CALL(n, shutdown, fd, SHUT_WR), -ENOTCONN);
    EXPECT_EQ(CALL(n, shutdown, fd, 3), -EINVAL);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

EACH_NET(tcp, a_listener_neither_sends_nor_receives)
{
    int fd = listen_tcp(n, AF_INET, 1);
    EXPECT_EQ(events_now(n, fd), 0);
    EXPECT_EQ(CALL(n, recv, fd, n->buf, 1, 0), -ENOTCONN);
    EXPECT_EQ(CALL(n, send, fd, "x", 1, 0), -EPIPE);
    EXPECT_EQ(CALL(n, accept, fd, NULL, NULL), -EAGAIN);
    EXPECT_EQ(CALL(n, shutdown, fd, SHUT_WR), 0);
    EXPECT_EQ(CALL(n, listen, fd, 5), 0);
    EXPECT_EQ(CALL(n, accept, fd, NULL, NULL), -EAGAIN);
    EXPECT_EQ(CALL(n, shutdown, fd, SHUT_RD), 0);
    EXPECT_EQ(CALL(n, accept, fd, NULL, NULL), -EINVAL);
    EXPECT_EQ(events_now(n, fd), EPOLLOUT | EPOLLHUP);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

EACH_NET(tcp, accept_gives_them_in_order_and_names_them)
{
    int clients[3];
    address peer;
    int listener = listen_tcp(n, AF_INET, 8);
    for (int i = 0; i < 3; i++) {
        clients[i] = open_tcp(n, AF_INET);
        EXPECT_EQ(call_tcp(n, clients[i], AF_INET, port_of(n, listener)), -EINPROGRESS);
        await_events(n, clients[i], EPOLLOUT);
        settle_net(n);
    }
    for (int i = 0; i < 3; i++) {
        unsigned size = sizeof peer;
        await_events(n, listener, EPOLLIN);
        int fd = CALL(n, accept, listener, &peer.any, &size);
        EXPECT(fd >= 0);
        EXPECT_EQ(size, sizeof peer.v4);
        EXPECT_EQ(ntohs(peer.v4.sin_port), port_of(n, clients[i]));
        EXPECT_EQ(ntohl(peer.v4.sin_addr.s_addr), INADDR_LOOPBACK);
        EXPECT_EQ(port_of(n, fd), port_of(n, listener));
        memset(&peer, 0, sizeof peer);
        EXPECT_EQ(CALL(n, peer_name, fd, &peer.any, &size), 0);
        EXPECT_EQ(ntohs(peer.v4.sin_port), port_of(n, clients[i]));
        EXPECT_EQ(CALL(n, close, fd), 0);
        EXPECT_EQ(CALL(n, close, clients[i]), 0);
    }
    EXPECT_EQ(CALL(n, accept, listener, NULL, NULL), -EAGAIN);
    EXPECT_EQ(CALL(n, close, listener), 0);
}

EACH_NET(tcp, who_waits_at_a_listener_that_closes_is_reset)
{
    int listener = listen_tcp(n, AF_INET, 8);
    int fd = open_tcp(n, AF_INET);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port_of(n, listener)), -EINPROGRESS);
    await_events(n, fd, EPOLLOUT);
    settle_net(n);
    EXPECT_EQ(CALL(n, close, listener), 0);
    await_exactly(n, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    EXPECT_EQ(CALL(n, recv, fd, n->buf, 1, 0), -ECONNRESET);
    EXPECT_EQ(CALL(n, recv, fd, n->buf, 1, 0), 0);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

/* ---- ends ---- */

EACH_NET(tcp, the_end_comes_behind_the_bytes)
{
    net_pair p = connect_tcp(n, AF_INET);
    send_all(n, p.client, "last");
    EXPECT_EQ(CALL(n, shutdown, p.client, SHUT_WR), 0);
    EXPECT_EQ(CALL(n, shutdown, p.client, SHUT_WR), 0);
    EXPECT_EQ(CALL(n, send, p.client, "x", 1, 0), -EPIPE);
    await_exactly(n, p.server, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    EXPECT_EQ(events_now(n, p.client), EPOLLOUT);
    receive_all(n, p.server, 4);
    EXPECT_EQ(receive(n, p.server, 4), 0);
    EXPECT_EQ(receive(n, p.server, 4), 0);
    send_all(n, p.server, "answer");
    receive_all(n, p.client, 6);
    EXPECT_EQ(CALL(n, recv, p.client, n->buf, 1, 0), -EAGAIN);
    EXPECT_EQ(CALL(n, shutdown, p.server, SHUT_WR), 0);
    await_exactly(n, p.client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    await_exactly(n, p.server, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    EXPECT_EQ(CALL(n, recv, p.client, n->buf, 1, 0), 0);
    EXPECT_EQ(CALL(n, shutdown, p.client, SHUT_WR), -ENOTCONN);
    EXPECT_EQ(CALL(n, shutdown, p.server, SHUT_RDWR), -ENOTCONN);
    EXPECT_EQ(error_of(n, p.client), 0);
    close_pair(n, &p);
}

EACH_NET(tcp, one_that_reads_no_more_reads_what_is_there)
{
    net_pair p = connect_tcp(n, AF_INET);
    send_all(n, p.client, "ab");
    await_events(n, p.server, EPOLLIN);
    settle_net(n);
    EXPECT_EQ(CALL(n, shutdown, p.server, SHUT_RD), 0);
    EXPECT_EQ(events_now(n, p.server), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    receive_all(n, p.server, 2);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), 0);
    send_all(n, p.client, "c");
    settle_net(n);
    EXPECT_EQ(events_now(n, p.client), EPOLLOUT);
    close_pair(n, &p);
}

EACH_NET(tcp, a_peer_that_closes_has_ended)
{
    net_pair p = connect_tcp(n, AF_INET);
    send_all(n, p.client, "bye");
    EXPECT_EQ(CALL(n, close, p.client), 0);
    p.client = 0;
    receive_all(n, p.server, 3);
    EXPECT_EQ(receive(n, p.server, 1), 0);
    await_exactly(n, p.server, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    send_all(n, p.server, "nobody takes this");
    await_exactly(n, p.server, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), 0);
    EXPECT_EQ(CALL(n, send, p.server, "x", 1, 0), -EPIPE);
    EXPECT_EQ(error_of(n, p.server), 0);
    EXPECT_EQ(CALL(n, shutdown, p.server, SHUT_WR), -ENOTCONN);
    close_pair(n, &p);
}

EACH_NET(tcp, a_peer_that_closes_with_input_unread_resets)
{
    net_pair p = connect_tcp(n, AF_INET);
    unsigned size = sizeof(address);
    address peer;
    send_all(n, p.server, "unread");
    await_events(n, p.client, EPOLLIN);
    settle_net(n);
    EXPECT_EQ(CALL(n, close, p.client), 0);
    p.client = 0;
    await_exactly(n, p.server, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), -ECONNRESET);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), 0);
    EXPECT_EQ(CALL(n, send, p.server, "x", 1, 0), -EPIPE);
    EXPECT_EQ(CALL(n, peer_name, p.server, &peer.any, &size), -ENOTCONN);
    close_pair(n, &p);
}

EACH_NET(tcp, a_reset_is_told_to_the_sender_once)
{
    net_pair p = connect_tcp(n, AF_INET);
    drop(n, p.client);
    p.client = 0;
    await_events(n, p.server, EPOLLERR);
    EXPECT_EQ(CALL(n, send, p.server, "x", 1, 0), -ECONNRESET);
    EXPECT_EQ(CALL(n, send, p.server, "x", 1, 0), -EPIPE);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), 0);
    close_pair(n, &p);
}

EACH_NET(tcp, bytes_that_came_before_a_reset_are_read_before_it)
{
    net_pair p = connect_tcp(n, AF_INET);
    send_all(n, p.client, "abc");
    await_events(n, p.server, EPOLLIN);
    settle_net(n);
    drop(n, p.client);
    p.client = 0;
    await_events(n, p.server, EPOLLERR);
    receive_all(n, p.server, 3);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), -ECONNRESET);
    close_pair(n, &p);
}

EACH_NET(tcp, one_that_was_reset_in_the_queue_is_accepted)
{
    net_pair p = { .listener = listen_tcp(n, AF_INET, 8), .client = open_tcp(n, AF_INET) };
    EXPECT_EQ(call_tcp(n, p.client, AF_INET, port_of(n, p.listener)), -EINPROGRESS);
    await_events(n, p.client, EPOLLOUT);
    await_events(n, p.listener, EPOLLIN);
    drop(n, p.client);
    p.client = 0;
    settle_net(n);
    address peer;
    unsigned size = sizeof peer;
    p.server = CALL(n, accept, p.listener, &peer.any, &size);
    EXPECT(p.server >= 0);
    EXPECT_EQ(size, sizeof peer.v4);
    EXPECT(peer.v4.sin_port != 0);
    EXPECT_EQ(receive(n, p.server, 1), -ECONNRESET);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), 0);
    close_pair(n, &p);
}

EACH_NET(tcp, bytes_for_one_that_is_shut_down_both_ways_reset_the_connection)
{
    net_pair p = connect_tcp(n, AF_INET);
    send_all(n, p.client, "ab");
    await_events(n, p.server, EPOLLIN);
    settle_net(n);
    EXPECT_EQ(CALL(n, shutdown, p.server, SHUT_RDWR), 0);
    await_exactly(n, p.client, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    send_all(n, p.client, "c");
    await_exactly(n, p.client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    EXPECT_EQ(error_of(n, p.client), EPIPE);
    await_events(n, p.server, EPOLLERR);
    receive_all(n, p.server, 2);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), -ECONNRESET);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), 0);
    close_pair(n, &p);
}

EACH_NET(tcp, both_may_close_at_once)
{
    net_pair p = connect_tcp(n, AF_INET);
    send_all(n, p.client, "a");
    send_all(n, p.server, "b");
    close_pair(n, &p);
    settle_net(n);
}

/* ---- windows ---- */

EACH_NET(tcp, a_peer_that_does_not_read_stops_the_sender)
{
    static char block[65536];
    net_pair p = connect_tcp(n, AF_INET);
    size_t sent = 0;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i % 251);
    for (int quiet = 0; quiet < 3;) {
        ssize_t more = CALL(n, send, p.client, block, sizeof block, 0);
        EXPECT(more > 0 || more == -EAGAIN);
        sent += more > 0 ? (size_t)more : 0;
        quiet = more > 0 ? 0 : quiet + 1;
        settle_net(n);
    }
    EXPECT(!(events_now(n, p.client) & EPOLLOUT));
    EXPECT(sent >= 65536);
    for (size_t got = 0; got < sent;) {
        ssize_t more = receive(n, p.server, sizeof n->buf);
        EXPECT(more > 0);
        got += (size_t)more;
    }
    await_exactly(n, p.client, EPOLLOUT);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), -EAGAIN);
    close_pair(n, &p);
}

/* Each byte tells its place, over more than one turn of the ring. */
EACH_NET(tcp, no_byte_is_lost_or_moved)
{
    static char block[30000];
    net_pair p = connect_tcp(n, AF_INET);
    size_t sent = 0, got = 0;
    const size_t all = 400000;
    for (int tries = 0; got < all;) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (char)((sent + i) % 251);
        size_t left = all - sent < sizeof block ? all - sent : sizeof block;
        ssize_t more = left ? CALL(n, send, p.client, block, left, 0) : -EAGAIN;
        EXPECT(more > 0 || more == -EAGAIN);
        sent += more > 0 ? (size_t)more : 0;
        more = CALL(n, recv, p.server, n->buf, 20000, 0);
        EXPECT(more > 0 || more == -EAGAIN);
        for (ssize_t i = 0; i < more; i++)
            EXPECT_EQ(n->buf[i], (char)((got + (size_t)i) % 251));
        got += more > 0 ? (size_t)more : 0;
        if (more < 0 && got < sent)
            wait_a_little(n, &tries);
    }
    close_pair(n, &p);
}

EACH_NET(tcp, the_end_waits_for_the_window)
{
    static char block[65536];
    net_pair p = connect_tcp(n, AF_INET);
    size_t sent = 0, got = 0;
    for (int quiet = 0; quiet < 3;) {
        ssize_t more = CALL(n, send, p.client, block, sizeof block, 0);
        sent += more > 0 ? (size_t)more : 0;
        quiet = more > 0 ? 0 : quiet + 1;
        settle_net(n);
    }
    EXPECT_EQ(CALL(n, close, p.client), 0);
    p.client = 0;
    settle_net(n);
    for (ssize_t more; (more = receive(n, p.server, sizeof n->buf)) != 0;) {
        EXPECT(more > 0);
        got += (size_t)more;
    }
    EXPECT_EQ(got, sent);
    close_pair(n, &p);
}
