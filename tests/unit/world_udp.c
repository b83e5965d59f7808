/* SPDX-License-Identifier: MIT */
/* world_udp.c: UDP sockets of the simulated network, beside the machine's own; then what only a simulated link does. */
#include "nets.h"
#include "world/hosts.h"

enum { MS = 1000000 };

static int open_udp(net *n, int family)
{
    int fd = CALL(n, socket, family, SOCK_DGRAM, 0);
    if (fd == -EAFNOSUPPORT && !n->world)
        test_skip("this machine has no IPv6");
    EXPECT(fd >= 0);
    return fd;
}

static int bind_udp(net *n, int family)
{
    address any = loopback(family, 0);
    int fd = open_udp(n, family);
    int err = CALL(n, bind, fd, &any.any, address_size(family));
    if (err == -EADDRNOTAVAIL && !n->world) {
        CALL(n, close, fd);
        test_skip("this machine has no address of the loopback");
    }
    EXPECT_EQ(err, 0);
    return fd;
}

static void connect_udp(net *n, int fd, int family, unsigned port)
{
    address to = loopback(family, port);
    EXPECT_EQ(CALL(n, connect, fd, &to.any, address_size(family)), 0);
}

static ssize_t send_to(net *n, int fd, const char *text, int family, unsigned port)
{
    address to = loopback(family, port);
    struct iovec piece = { (void *)(uintptr_t)text, strlen(text) };
    struct msghdr message = {
        .msg_name = &to, .msg_namelen = address_size(family), .msg_iov = &piece, .msg_iovlen = 1
    };
    return CALL(n, send_message, fd, &message, 0);
}

static ssize_t receive_from(net *n, int fd, size_t size, address *ret_from, int *ret_flags)
{
    struct iovec piece = { n->buf, size };
    struct msghdr message = {
        .msg_name = ret_from, .msg_namelen = sizeof *ret_from, .msg_iov = &piece, .msg_iovlen = 1
    };
    await_events(n, fd, EPOLLIN);
    ssize_t got = CALL(n, receive_message, fd, &message, 0);
    *ret_flags = message.msg_flags;
    return got;
}

static void echo(net *n, int family)
{
    int a = bind_udp(n, family), b = bind_udp(n, family), flags;
    address from;
    EXPECT_EQ(send_to(n, a, "hello", family, port_of(n, b)), 5);
    EXPECT_EQ(receive_from(n, b, 100, &from, &flags), 5);
    EXPECT(memcmp(n->buf, "hello", 5) == 0);
    EXPECT_EQ(ntohs(from.v4.sin_port), port_of(n, a));
    EXPECT_EQ(flags & MSG_TRUNC, 0);
    EXPECT_EQ(send_to(n, b, "you", family, ntohs(from.v4.sin_port)), 3);
    EXPECT_EQ(receive_from(n, a, 100, &from, &flags), 3);
    EXPECT_EQ(CALL(n, recv, a, n->buf, 1, 0), -EAGAIN);
    EXPECT_EQ(CALL(n, close, a), 0);
    EXPECT_EQ(CALL(n, close, b), 0);
}

EACH_NET(udp, carries_datagrams_both_ways) { echo(n, AF_INET); }
EACH_NET(udp, carries_them_over_v6) { echo(n, AF_INET6); }

EACH_NET(udp, knows_what_it_is)
{
    int fd = open_udp(n, AF_INET);
    EXPECT_EQ(option_of(n, fd, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
    EXPECT_EQ(option_of(n, fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
    EXPECT_EQ(CALL(n, listen, fd, 1), -EOPNOTSUPP);
    EXPECT_EQ(CALL(n, accept, fd, NULL, NULL), -EOPNOTSUPP);
    EXPECT_EQ(CALL(n, send, fd, "a", 1, 0), -EDESTADDRREQ);
    EXPECT_EQ(events_now(n, fd), EPOLLOUT);
    EXPECT_EQ(CALL(n, shutdown, fd, SHUT_WR), -ENOTCONN);
    EXPECT_EQ(CALL(n, close, fd), 0);
    EXPECT_EQ(CALL(n, socket, AF_INET, SOCK_DGRAM, IPPROTO_TCP), -EPROTONOSUPPORT);
}

EACH_NET(udp, shares_no_port_with_another_but_with_tcp)
{
    int a = bind_udp(n, AF_INET), b = open_udp(n, AF_INET), tcp = open_tcp(n, AF_INET);
    address taken = loopback(AF_INET, port_of(n, a));
    EXPECT_EQ(CALL(n, bind, b, &taken.any, sizeof taken.v4), -EADDRINUSE);
    int err = CALL(n, bind, tcp, &taken.any, sizeof taken.v4);
    EXPECT(err == 0 || (!n->world && err == -EADDRINUSE)); /* the machine's may be another program's */
    EXPECT_EQ(CALL(n, close, tcp), 0);
    EXPECT_EQ(CALL(n, close, a), 0);
    EXPECT_EQ(CALL(n, close, b), 0);
}

EACH_NET(udp, keeps_the_bounds_of_datagrams_and_cuts_one_that_is_too_long)
{
    int a = bind_udp(n, AF_INET), b = bind_udp(n, AF_INET), flags;
    unsigned port = port_of(n, b);
    address from;
    connect_udp(n, a, AF_INET, port);
    EXPECT_EQ(CALL(n, send, a, "", 0, 0), 0);
    EXPECT_EQ(receive_from(n, b, 100, &from, &flags), 0);
    EXPECT_EQ(CALL(n, send, a, "0123456789", 10, 0), 10);
    EXPECT_EQ(receive_from(n, b, 4, &from, &flags), 4);
    EXPECT_EQ(flags & MSG_TRUNC, MSG_TRUNC);
    EXPECT_EQ(CALL(n, recv, b, n->buf, 10, 0), -EAGAIN);
    EXPECT_EQ(CALL(n, send, a, n->buf, 65508, 0), -EMSGSIZE);
    EXPECT_EQ(CALL(n, send, a, n->buf, 65507, 0), 65507);
    EXPECT_EQ(receive(n, b, 70000), 65507);
    EXPECT_EQ(CALL(n, close, a), 0);
    EXPECT_EQ(CALL(n, close, b), 0);
}

EACH_NET(udp, tells_a_refusal_once_and_only_where_there_is_a_remote)
{
    int gone = bind_udp(n, AF_INET), a = bind_udp(n, AF_INET), b = bind_udp(n, AF_INET);
    unsigned port = port_of(n, gone);
    EXPECT_EQ(CALL(n, close, gone), 0);
    connect_udp(n, a, AF_INET, port);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(CALL(n, send, a, "hello", 5, 0), 5);
        await_events(n, a, EPOLLERR);
        if (i == 0)
            EXPECT_EQ(CALL(n, send, a, "hello", 5, 0), -ECONNREFUSED);
        else if (i == 1)
            EXPECT_EQ(CALL(n, recv, a, n->buf, 5, 0), -ECONNREFUSED);
        else
            EXPECT_EQ(error_of(n, a), ECONNREFUSED);
        settle_net(n);
        EXPECT_EQ(events_now(n, a), EPOLLOUT);
        EXPECT_EQ(CALL(n, recv, a, n->buf, 5, 0), -EAGAIN);
    }
    EXPECT_EQ(send_to(n, b, "hello", AF_INET, port), 5);
    settle_net(n);
    EXPECT_EQ(events_now(n, b), EPOLLOUT);
    EXPECT_EQ(CALL(n, close, a), 0);
    EXPECT_EQ(CALL(n, close, b), 0);
}

EACH_NET(udp, with_a_remote_takes_nothing_from_others)
{
    int a = bind_udp(n, AF_INET), b = bind_udp(n, AF_INET), other = bind_udp(n, AF_INET), flags;
    unsigned port = port_of(n, a);
    address from;
    connect_udp(n, a, AF_INET, port_of(n, b));
    EXPECT_EQ(send_to(n, other, "other", AF_INET, port), 5);
    settle_net(n);
    EXPECT_EQ(send_to(n, b, "b", AF_INET, port), 1);
    EXPECT_EQ(receive_from(n, a, 100, &from, &flags), 1);
    settle_net(n);
    EXPECT_EQ(CALL(n, recv, a, n->buf, 100, 0), -EAGAIN);
    EXPECT_EQ(CALL(n, close, a), 0);
    EXPECT_EQ(CALL(n, close, b), 0);
    EXPECT_EQ(CALL(n, close, other), 0);
}

EACH_NET(udp, receives_and_sends_several_at_once)
{
    int a = bind_udp(n, AF_INET), b = bind_udp(n, AF_INET);
    struct iovec pieces[4];
    struct mmsghdr all[4];
    connect_udp(n, a, AF_INET, port_of(n, b));
    for (size_t i = 0; i < 4; i++) {
        pieces[i] = (struct iovec){ n->buf + 100 * i, i + 1 };
        all[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &pieces[i], .msg_iovlen = 1 } };
    }
    EXPECT_EQ(CALL(n, send_messages, a, all, 3, 0), 3);
    for (size_t got = 0; got < 3;) {
        await_events(n, b, EPOLLIN);
        for (size_t i = 0; i < 4; i++)
            pieces[i].iov_len = 100;
        int more = CALL(n, receive_messages, b, all, 4, 0);
        EXPECT(more >= 1);
        for (int i = 0; i < more; i++)
            EXPECT(all[i].msg_len >= 1 && all[i].msg_len <= 3);
        got += (size_t)more;
    }
    EXPECT_EQ(CALL(n, receive_messages, b, all, 4, 0), -EAGAIN);
    EXPECT_EQ(CALL(n, close, a), 0);
    EXPECT_EQ(CALL(n, close, b), 0);
}

EACH_NET(udp, shut_down_for_reading_says_so_to_a_poll_alone)
{
    int a = bind_udp(n, AF_INET), b = bind_udp(n, AF_INET);
    connect_udp(n, a, AF_INET, port_of(n, b));
    connect_udp(n, b, AF_INET, port_of(n, a));
    EXPECT_EQ(CALL(n, shutdown, b, SHUT_RD), 0);
    EXPECT_EQ(events_now(n, b), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    EXPECT_EQ(CALL(n, recv, b, n->buf, 8, 0), -EAGAIN);
    EXPECT_EQ(CALL(n, send, a, "abc", 3, 0), 3);
    settle_net(n);
    EXPECT_EQ(receive(n, b, 8), 3);
    EXPECT_EQ(CALL(n, close, a), 0);
    EXPECT_EQ(CALL(n, close, b), 0);
}

EACH_NET(udp, drops_what_a_full_queue_has_no_room_for)
{
    int a = bind_udp(n, AF_INET), b = bind_udp(n, AF_INET);
    int got = 0;
    connect_udp(n, a, AF_INET, port_of(n, b));
    for (int i = 0; i < 2000; i++) {
        await_events(n, a, EPOLLOUT);
        EXPECT_EQ(CALL(n, send, a, n->buf, 1000, 0), 1000);
    }
    settle_net(n);
    while (CALL(n, recv, b, n->buf, 1000, 0) == 1000)
        got++;
    EXPECT(got > 10 && got < 1900);
    EXPECT_EQ(CALL(n, send, a, "after", 5, 0), 5);
    EXPECT_EQ(receive(n, b, 100), 5);
    EXPECT_EQ(CALL(n, close, a), 0);
    EXPECT_EQ(CALL(n, close, b), 0);
}

/* ---- Links ---- */

typedef struct far {
    int one; /* a host */
    int here, there;
} far;

/* A socket of host 0 whose remote is one on another host. */
static far connect_far(net *n, cr_link link)
{
    far f = { .one = cr_host_add(n->world, "one") };
    address to = { .v4 = { .sin_family = AF_INET, .sin_port = htons(53) } };
    cr_host_link(n->world, CR_HOST_EVERY, CR_HOST_EVERY, &link);
    cr_host_act(n->world, f.one);
    f.there = open_udp(n, AF_INET);
    cr_host_act(n->world, 0);
    f.here = open_udp(n, AF_INET);
    EXPECT_EQ(set_option(n, f.there, SOL_SOCKET, SO_RCVBUF, 1 << 20), 0);
    EXPECT_EQ(CALL(n, bind, f.there, &to.any, sizeof to.v4), 0);
    to.v4.sin_addr.s_addr = htonl(10u << 24 | (unsigned)(f.one + 1));
    EXPECT_EQ(CALL(n, connect, f.here, &to.any, sizeof to.v4), 0);
    return f;
}

static void close_far(net *n, const far *f)
{
    EXPECT_EQ(CALL(n, close, f->here), 0);
    if (f->there)
        EXPECT_EQ(CALL(n, close, f->there), 0);
}

/* Send datagrams of one number each, all at once, and give how often each has arrived, and how many
 * have come behind a later one. */
enum { SENT = 100 };
typedef struct seen {
    int times[SENT];
    int total, late;
} seen;

static seen send_numbers(net *n, const far *f)
{
    seen s = { .total = 0 };
    unsigned char number = 0, last = 0;
    for (; number < SENT; number++)
        EXPECT_EQ(CALL(n, send, f->here, &number, 1, 0), 1);
    settle_net(n);
    while (CALL(n, recv, f->there, &number, 1, 0) == 1) {
        s.times[number]++;
        s.total++;
        s.late += number < last;
        last = number;
    }
    return s;
}

static void run_seeds(void (*body)(net *n))
{
    for (uint64_t seed = 1; seed <= NET_SEEDS; seed++)
        run_net(body, seed);
}

static void loses(net *n)
{
    far f = connect_far(n, (cr_link){ .latency = 10 * MS, .loss = 0.3 });
    seen s = send_numbers(n, &f);
    EXPECT(s.total > 40 && s.total < 95);
    for (int i = 0; i < SENT; i++)
        EXPECT(s.times[i] <= 1);
    close_far(n, &f);
}
TEST(link, loses_its_share_of_datagrams)
{
    run_net(loses, 0);
    run_seeds(loses);
}

static void copies(net *n)
{
    far f = connect_far(n, (cr_link){ .latency = 10 * MS, .copies = 0.3 });
    seen s = send_numbers(n, &f);
    EXPECT(s.total > 105 && s.total < 160);
    for (int i = 0; i < SENT; i++)
        EXPECT(s.times[i] == 1 || s.times[i] == 2);
    close_far(n, &f);
}
TEST(link, delivers_its_share_of_datagrams_twice)
{
    run_net(copies, 0);
    run_seeds(copies);
}

static int late_in_all;
static void reorders(net *n)
{
    far f = connect_far(n, (cr_link){ .latency = 10 * MS, .jitter = 30 * MS });
    seen s = send_numbers(n, &f);
    EXPECT_EQ(s.total, SENT);
    late_in_all += s.late;
    close_far(n, &f);
}
TEST(link, delivers_datagrams_in_another_order)
{
    run_seeds(reorders);
    EXPECT(late_in_all > NET_SEEDS);
}

static void in_order(net *n)
{
    far f = connect_far(n, (cr_link){ .latency = 10 * MS, .jitter = 30 * MS });
    int64_t start = cr_world_now(n->world);
    seen s = send_numbers(n, &f);
    EXPECT_EQ(s.total, SENT);
    EXPECT_EQ(s.late, 0);
    EXPECT_EQ(cr_world_now(n->world) - start, 10 * MS);
    close_far(n, &f);
}
TEST(link, without_a_seed_changes_nothing_but_the_time) { run_net(in_order, 0); }

static void loses_all(net *n)
{
    far f = connect_far(n, (cr_link){ .loss = 1 });
    EXPECT_EQ(send_numbers(n, &f).total, 0);
    close_far(n, &f);
}
TEST(link, loses_all_where_it_always_does)
{
    run_net(loses_all, 0);
    run_seeds(loses_all);
}

static void cut(net *n)
{
    far f = connect_far(n, (cr_link){ .latency = 10 * MS });
    EXPECT_EQ(CALL(n, send, f.here, "lost", 4, 0), 4);
    cr_host_cut(n->world, 0, f.one);
    settle_net(n);
    cr_net_heal(n->world, 0, f.one);
    EXPECT_EQ(events_now(n, f.there), EPOLLOUT);
    EXPECT_EQ(CALL(n, send, f.here, "b", 1, 0), 1);
    EXPECT_EQ(receive(n, f.there, 10), 1);
    close_far(n, &f);
}
TEST(link, that_is_cut_loses_datagrams_for_good)
{
    run_net(cut, 0);
    run_seeds(cut);
}

/* What a killed host has sent does not arrive, though it is on again by then; its sockets are of no use. */
static void killed(net *n)
{
    char byte = 'a';
    far f = connect_far(n, (cr_link){ .latency = 10 * MS });
    EXPECT_EQ(CALL(n, send, f.here, &byte, 1, 0), 1);
    cr_net_kill(n->world, 0);
    cr_net_start(n->world, 0);
    settle_net(n);
    EXPECT_EQ(events_now(n, f.there), EPOLLOUT);
    EXPECT_EQ(CALL(n, send, f.here, &byte, 1, 0), -EPIPE);
    close_far(n, &f);
}
TEST(link, of_a_killed_host_carries_nothing_that_it_has_sent)
{
    run_net(killed, 0);
    run_seeds(killed);
}

/* A refusal takes the way back; the socket that has sent may be gone by then. */
static void refused_late(net *n)
{
    far f = connect_far(n, (cr_link){ .latency = 10 * MS });
    EXPECT_EQ(CALL(n, close, f.there), 0);
    f.there = 0;
    int64_t start = cr_world_now(n->world);
    EXPECT_EQ(CALL(n, send, f.here, "a", 1, 0), 1);
    await_events(n, f.here, EPOLLERR);
    EXPECT_EQ(cr_world_now(n->world) - start, 20 * MS);
    EXPECT_EQ(error_of(n, f.here), ECONNREFUSED);
    EXPECT_EQ(CALL(n, send, f.here, "a", 1, 0), 1);
    close_far(n, &f);
    settle_net(n);
}
TEST(link, carries_refusals_back)
{
    run_net(refused_late, 0);
    run_seeds(refused_late);
}

static void full(net *n)
{
    far f = connect_far(n, (cr_link){ .latency = 10 * MS });
    size_t sent = 0;
    while (CALL(n, send, f.here, n->buf, 1000, 0) == 1000)
        sent++;
    EXPECT_EQ(sent, 66);
    EXPECT_EQ(events_now(n, f.here), 0);
    EXPECT_EQ(CALL(n, send, f.here, n->buf, 1000, 0), -EAGAIN);
    await_events(n, f.here, EPOLLOUT);
    EXPECT_EQ(CALL(n, send, f.here, n->buf, 1000, 0), 1000);
    close_far(n, &f);
}
TEST(link, holds_no_more_than_the_send_buffer)
{
    run_net(full, 0);
    run_seeds(full);
}
