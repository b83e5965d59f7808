/* SPDX-License-Identifier: MIT */
/* world_hosts.c: several hosts on the simulated network: addresses, latency, bandwidth, cuts. Times are exact. */
#include "nets.h"
#include "world/hosts.h"

enum { MS = 1000000 };

static void with_seeds(void (*body)(net *n))
{
    for (uint64_t seed = 0; seed < 30; seed++)
        run_net(body, seed);
}
#define HOSTS(sentence) \
    static void hosts_##sentence(net *n); \
    TEST(hosts, sentence) { with_seeds(hosts_##sentence); } \
    static void hosts_##sentence(net *n)

static address own_address(int host, unsigned port)
{
    address a = loopback(AF_INET, port);
    a.v4.sin_addr.s_addr = htonl(10u << 24 | (unsigned)(host + 1));
    return a;
}

static int open_on(net *n, int host)
{
    cr_host_act(n->world, host);
    int fd = open_tcp(n, AF_INET);
    cr_host_act(n->world, 0);
    return fd;
}

static int listen_on(net *n, int host, unsigned port)
{
    int fd = open_on(n, host);
    address any = { .v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) } };
    EXPECT_EQ(CALL(n, bind, fd, &any.any, sizeof any.v4), 0);
    EXPECT_EQ(CALL(n, listen, fd, 8), 0);
    return fd;
}

static int call_host(net *n, int fd, int host, unsigned port)
{
    address to = own_address(host, port);
    return CALL(n, connect, fd, &to.any, sizeof to.v4);
}

/* From host 0 to another; ends when both sides have it. */
static net_pair connect_hosts(net *n, int host)
{
    net_pair p = { .listener = listen_on(n, host, 80), .client = open_on(n, 0) };
    EXPECT_EQ(call_host(n, p.client, host, 80), -EINPROGRESS);
    await_events(n, p.listener, EPOLLIN);
    p.server = CALL(n, accept, p.listener, NULL, NULL);
    EXPECT(p.server >= 0);
    EXPECT_EQ(error_of(n, p.client), 0);
    settle_net(n);
    return p;
}

static void link_all(net *n, cr_link link) { cr_host_link(n->world, CR_HOST_EVERY, CR_HOST_EVERY, &link); }

HOSTS(are_made_once_by_their_name)
{
    EXPECT_EQ(cr_host_add(n->world, "one"), 1);
    EXPECT_EQ(cr_host_add(n->world, "two"), 2);
    EXPECT_EQ(cr_host_add(n->world, "one"), 1);
    EXPECT_EQ(
        cr_host_add(n->world, "a name of sixty-four characters, which is one more than there may be"), -ENAMETOOLONG);
}

HOSTS(have_addresses_and_ports_of_their_own)
{
    int one = cr_host_add(n->world, "one");
    address peer, foreign = own_address(0, 80);
    unsigned size = sizeof peer;
    int here = listen_on(n, 0, 80);
    net_pair p = connect_hosts(n, one);
    EXPECT_EQ(CALL(n, peer_name, p.client, &peer.any, &size), 0);
    EXPECT_EQ(ntohl(peer.v4.sin_addr.s_addr), 0x0a000002);
    EXPECT_EQ(CALL(n, peer_name, p.server, &peer.any, &size), 0);
    EXPECT_EQ(ntohl(peer.v4.sin_addr.s_addr), 0x0a000001);
    EXPECT_EQ(CALL(n, accept, here, NULL, NULL), -EAGAIN);
    int fd = open_on(n, one);
    EXPECT_EQ(CALL(n, bind, fd, &foreign.any, sizeof foreign.v4), -EADDRNOTAVAIL);
    EXPECT_EQ(call_host(n, fd, 2, 80), -ENETUNREACH);
    EXPECT_EQ(CALL(n, close, fd), 0);
    EXPECT_EQ(CALL(n, close, here), 0);
    fd = open_on(n, 0);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, 80), -EINPROGRESS);
    await_events(n, fd, EPOLLERR);
    EXPECT_EQ(error_of(n, fd), ECONNREFUSED);
    EXPECT_EQ(CALL(n, close, fd), 0);
    close_pair(n, &p);
}

HOSTS(are_as_far_apart_as_their_link_says)
{
    int one = cr_host_add(n->world, "one");
    link_all(n, (cr_link){ .latency = 50 * MS });
    int listener = listen_on(n, one, 80), fd = open_on(n, 0);
    int64_t start = cr_world_now(n->world);
    EXPECT_EQ(call_host(n, fd, one, 80), -EINPROGRESS);
    await_exactly(n, fd, EPOLLOUT);
    EXPECT_EQ(cr_world_now(n->world) - start, 100 * MS);
    await_events(n, listener, EPOLLIN);
    EXPECT_EQ(cr_world_now(n->world) - start, 150 * MS);
    int server = CALL(n, accept, listener, NULL, NULL);
    settle_net(n);
    start = cr_world_now(n->world);
    send_all(n, fd, "hello");
    receive_all(n, server, 5);
    EXPECT_EQ(cr_world_now(n->world) - start, 50 * MS);
    EXPECT_EQ(CALL(n, close, fd), 0);
    await_exactly(n, server, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    EXPECT_EQ(cr_world_now(n->world) - start, 100 * MS);
    EXPECT_EQ(CALL(n, close, listener), 0);
    EXPECT_EQ(CALL(n, close, server), 0);
    fd = open_on(n, 0);
    start = cr_world_now(n->world);
    EXPECT_EQ(call_host(n, fd, one, 80), -EINPROGRESS);
    await_events(n, fd, EPOLLERR);
    EXPECT_EQ(error_of(n, fd), ECONNREFUSED);
    EXPECT_EQ(cr_world_now(n->world) - start, 100 * MS);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

HOSTS(have_a_bandwidth_between_them)
{
    int one = cr_host_add(n->world, "one");
    net_pair p = connect_hosts(n, one);
    link_all(n, (cr_link){ .latency = 10 * MS, .bandwidth = 1000000 });
    int64_t start = cr_world_now(n->world);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(CALL(n, send, p.client, n->buf, 10000, 0), 10000);
    receive_all(n, p.server, 40000);
    EXPECT_EQ(cr_world_now(n->world) - start, 50 * MS);
    close_pair(n, &p);
}

HOSTS(keep_the_order_of_bytes_whatever_their_jitter)
{
    int one = cr_host_add(n->world, "one");
    link_all(n, (cr_link){ .latency = 10 * MS, .jitter = 30 * MS, .tail = 200 * MS });
    net_pair p = connect_hosts(n, one);
    for (int i = 0; i < 50; i++) {
        int64_t start = cr_world_now(n->world);
        char byte = (char)i;
        EXPECT_EQ(CALL(n, send, p.client, &byte, 1, 0), 1);
        byte++;
        EXPECT_EQ(CALL(n, send, p.client, &byte, 1, 0), 1);
        receive_all(n, p.server, 2);
        EXPECT(n->buf[0] == (char)i && n->buf[1] == (char)(i + 1));
        int64_t took = cr_world_now(n->world) - start;
        EXPECT(took >= 10 * MS && took <= 240 * MS);
    }
    close_pair(n, &p);
}

HOSTS(that_are_cut_off_get_their_bytes_when_they_are_healed)
{
    int one = cr_host_add(n->world, "one");
    net_pair p = connect_hosts(n, one);
    cr_host_cut(n->world, 0, one);
    send_all(n, p.client, "late");
    send_all(n, p.server, "other way");
    EXPECT_EQ(CALL(n, shutdown, p.client, SHUT_WR), 0);
    receive_all(n, p.client, 9);
    while (cr_net_next(n->world) <= cr_world_now(n->world))
        cr_net_deliver(n->world);
    EXPECT_EQ(events_now(n, p.server), EPOLLOUT);
    cr_world_pass(n->world, cr_world_now(n->world) + 60 * CR_SECOND);
    cr_net_heal(n->world, 0, one);
    int64_t start = cr_world_now(n->world);
    receive_all(n, p.server, 4);
    EXPECT_EQ(receive(n, p.server, 1), 0);
    EXPECT_EQ(cr_world_now(n->world), start);
    EXPECT_EQ(cr_net_next(n->world), CR_NEVER);
    close_pair(n, &p);
}

HOSTS(that_stay_cut_off_are_given_up_by_the_sender_alone)
{
    int one = cr_host_add(n->world, "one");
    net_pair p = connect_hosts(n, one);
    cr_host_cut(n->world, CR_HOST_EVERY, CR_HOST_EVERY);
    int64_t start = cr_world_now(n->world);
    send_all(n, p.client, "never");
    await_events(n, p.client, EPOLLERR);
    EXPECT_EQ(cr_world_now(n->world) - start, 15 * 60 * CR_SECOND);
    EXPECT_EQ(CALL(n, recv, p.client, n->buf, 1, 0), -ETIMEDOUT);
    EXPECT_EQ(CALL(n, recv, p.client, n->buf, 1, 0), 0);
    EXPECT_EQ(events_now(n, p.server), EPOLLOUT);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), -EAGAIN);
    close_pair(n, &p);
}

HOSTS(that_are_cut_off_cannot_be_called)
{
    int one = cr_host_add(n->world, "one");
    int listener = listen_on(n, one, 80);
    for (int way = 0; way < 2; way++) {
        int fd = open_on(n, 0);
        cr_host_cut(n->world, way ? one : 0, way ? 0 : one);
        int64_t start = cr_world_now(n->world);
        EXPECT_EQ(call_host(n, fd, one, 80), -EINPROGRESS);
        await_events(n, fd, EPOLLERR);
        EXPECT_EQ(error_of(n, fd), ETIMEDOUT);
        EXPECT_EQ(cr_world_now(n->world) - start, 127 * CR_SECOND);
        EXPECT_EQ(events_now(n, listener), 0);
        cr_net_heal(n->world, CR_HOST_EVERY, CR_HOST_EVERY);
        EXPECT_EQ(CALL(n, close, fd), 0);
    }
    int fd = open_on(n, 0);
    cr_host_cut(n->world, 0, one);
    int64_t start = cr_world_now(n->world);
    EXPECT_EQ(call_host(n, fd, one, 80), -EINPROGRESS);
    int tries = 0;
    while (cr_world_now(n->world) - start < CR_SECOND)
        wait_a_little(n, &tries);
    cr_net_heal(n->world, 0, one);
    await_exactly(n, fd, EPOLLOUT);
    EXPECT((cr_world_now(n->world) - start) % CR_SECOND == 0 && cr_world_now(n->world) - start <= 3 * CR_SECOND);
    EXPECT_EQ(CALL(n, close, fd), 0);
    settle_net(n);
    EXPECT_EQ(CALL(n, close, listener), 0);
}

/* The listener is closed when it has answered a call and the answer is on its way; then the caller gives up. */
HOSTS(that_answered_a_call_and_then_listen_no_more_are_given_up_by_the_caller)
{
    int one = cr_host_add(n->world, "one"), listener = listen_on(n, one, 80), fd = open_on(n, 0), tries = 0;
    cr_host_link(n->world, 0, one, &(cr_link){ .latency = 10 * MS });
    cr_host_link(n->world, one, 0, &(cr_link){ .latency = 70 * MS });
    int64_t start = cr_world_now(n->world);
    EXPECT_EQ(call_host(n, fd, one, 80), -EINPROGRESS);
    while (cr_world_now(n->world) - start < 10 * MS)
        wait_a_little(n, &tries);
    EXPECT_EQ(CALL(n, close, listener), 0);
    EXPECT_EQ(CALL(n, close, fd), 0);
    settle_net(n);
}

/* The refusal is held on the way back, which is the slower one, and takes that way when it is healed. */
HOSTS(that_are_healed_have_a_refusal_by_the_way_that_it_takes)
{
    int one = cr_host_add(n->world, "one"), fd = open_on(n, 0), tries = 0;
    cr_host_link(n->world, 0, one, &(cr_link){ .latency = 10 * MS });
    cr_host_link(n->world, one, 0, &(cr_link){ .latency = 70 * MS });
    EXPECT_EQ(call_host(n, fd, one, 80), -EINPROGRESS);
    cr_host_cut(n->world, one, 0);
    int64_t start = cr_world_now(n->world);
    while (cr_world_now(n->world) - start < 80 * MS)
        wait_a_little(n, &tries);
    EXPECT_EQ(events_now(n, fd), 0);
    cr_world_pass(n->world, start + 60 * CR_SECOND);
    cr_net_heal(n->world, one, 0);
    await_events(n, fd, EPOLLERR);
    EXPECT_EQ(cr_world_now(n->world) - start, 60 * CR_SECOND + 70 * MS);
    EXPECT_EQ(error_of(n, fd), ECONNREFUSED);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

HOSTS(that_are_cut_off_hear_of_no_reset)
{
    int one = cr_host_add(n->world, "one");
    net_pair p = connect_hosts(n, one);
    cr_host_cut(n->world, 0, one);
    drop(n, p.client);
    p.client = 0;
    settle_net(n);
    EXPECT_EQ(events_now(n, p.server), EPOLLOUT);
    cr_net_heal(n->world, 0, one);
    send_all(n, p.server, "anyone there?");
    await_events(n, p.server, EPOLLERR);
    EXPECT_EQ(error_of(n, p.server), ECONNRESET);
    close_pair(n, &p);
}

/* Half-open: the peer of one that is gone learns of it when it sends, and when there is a host again to answer. */
HOSTS(that_are_killed_tell_nobody)
{
    int one = cr_host_add(n->world, "one");
    net_pair p = connect_hosts(n, one);
    send_all(n, p.server, "never arrives");
    cr_net_kill(n->world, one);
    settle_net(n);
    EXPECT_EQ(events_now(n, p.client), EPOLLOUT);
    EXPECT_EQ(CALL(n, close, p.server), 0);
    EXPECT_EQ(CALL(n, close, p.listener), 0);
    settle_net(n);
    EXPECT_EQ(events_now(n, p.client), EPOLLOUT);
    send_all(n, p.client, "anyone there?");
    while (cr_net_next(n->world) <= cr_world_now(n->world))
        cr_net_deliver(n->world);
    EXPECT_EQ(events_now(n, p.client), EPOLLOUT);
    cr_net_start(n->world, one);
    int64_t start = cr_world_now(n->world);
    await_events(n, p.client, EPOLLERR);
    EXPECT_EQ(cr_world_now(n->world), start);
    EXPECT_EQ(error_of(n, p.client), ECONNRESET);
    p.listener = listen_on(n, one, 80);
    EXPECT_EQ(CALL(n, close, p.client), 0);
    EXPECT_EQ(CALL(n, close, p.listener), 0);
}

HOSTS(that_are_killed_cannot_be_called_until_they_start)
{
    int one = cr_host_add(n->world, "one");
    int listener = listen_on(n, one, 80), fd = open_on(n, 0);
    EXPECT_EQ(call_host(n, fd, one, 80), -EINPROGRESS);
    cr_net_kill(n->world, one);
    int64_t start = cr_world_now(n->world);
    await_events(n, fd, EPOLLERR);
    EXPECT_EQ(error_of(n, fd), ETIMEDOUT);
    EXPECT_EQ(cr_world_now(n->world) - start, 127 * CR_SECOND);
    EXPECT_EQ(CALL(n, close, fd), 0);
    EXPECT_EQ(CALL(n, close, listener), 0);
    cr_net_start(n->world, one);
    net_pair p = connect_hosts(n, one);
    close_pair(n, &p);
}

HOSTS(may_have_their_connections_reset)
{
    int one = cr_host_add(n->world, "one");
    net_pair p = connect_hosts(n, one);
    send_all(n, p.client, "lost");
    cr_net_reset(n->world, 0, one);
    EXPECT_EQ(CALL(n, recv, p.server, n->buf, 1, 0), -ECONNRESET);
    EXPECT_EQ(CALL(n, recv, p.client, n->buf, 1, 0), -ECONNRESET);
    EXPECT_EQ(cr_net_next(n->world), CR_NEVER);
    close_pair(n, &p);
}
