/* SPDX-License-Identifier: MIT */
/* world_memory.c: the simulated network where memory is short. */
#include "nets.h"

static int left; /* so many allocations succeed; negative: all */
static void *short_alloc(void *context, size_t size)
{
    return left == 0 ? NULL : (left -= left > 0, cr_sys_real.alloc(context, size));
}
static void *short_alloc_zero(void *context, size_t size)
{
    return left == 0 ? NULL : (left -= left > 0, cr_sys_real.alloc_zero(context, size));
}
static void *short_resize(void *context, void *memory, size_t size)
{
    return left == 0 ? NULL : (left -= left > 0, cr_sys_real.resize(context, memory, size));
}

static cr_sys table_that_fails(void)
{
    cr_sys sys = cr_sys_real;
    sys.alloc = short_alloc;
    sys.alloc_zero = short_alloc_zero;
    sys.resize = short_resize;
    return sys;
}

static void with_short_memory(void (*body)(net *n))
{
    net *n = test_memory(sizeof *n);
    cr_sys sys = table_that_fails();
    cr_world world;
    left = -1;
    cr_world_init(&world, &sys, 0);
    n->sys = &world.table;
    n->world = &world;
    body(n);
    left = -1;
    EXPECT_EQ(world.net.open, 0);
    cr_world_deinit(&world);
}

static void make_pair(net *n)
{
    int fds[2] = { -7, -7 };
    int tries = 0;
    for (left = 0; CALL(n, socket_pair, AF_UNIX, SOCK_STREAM, fds) < 0; left = ++tries) {
        EXPECT_EQ(fds[0], -7);
        EXPECT_EQ(n->world->net.open, 0);
        EXPECT(tries < 100);
    }
    EXPECT_EQ(tries, 4);
    left = -1;
    CALL(n, close, fds[0]);
    CALL(n, close, fds[1]);
}
TEST(memory, short_of_it_a_pair_is_made_whole_or_not_at_all) { with_short_memory(make_pair); }

/* The call is made again when there is some: after a second. */
static void call_again(net *n)
{
    int listener = listen_tcp(n, AF_INET, 1);
    int fd = open_tcp(n, AF_INET);
    EXPECT_EQ(call_tcp(n, fd, AF_INET, port_of(n, listener)), -EINPROGRESS);
    int64_t start = cr_world_now(n->world);
    int tries = 0;
    left = 0;
    wait_a_little(n, &tries);
    EXPECT_EQ(events_now(n, fd), 0);
    left = -1;
    await_exactly(n, fd, EPOLLOUT);
    EXPECT_EQ(cr_world_now(n->world), start + CR_SECOND);
    settle_net(n);
    EXPECT_EQ(events_now(n, listener), EPOLLIN);
    CALL(n, close, listener);
    CALL(n, close, fd);
}
TEST(memory, short_of_it_a_listener_does_not_answer) { with_short_memory(call_again); }

static void fill_and_drain(net *n, int from, int to)
{
    static char bytes[10000];
    size_t sent = 0, got = 0;
    ssize_t more;
    left = 0;
    while ((more = CALL(n, send, from, bytes, sizeof bytes, 0)) > 0)
        sent += (size_t)more;
    EXPECT_EQ(more, -EAGAIN);
    EXPECT_EQ(sent, 4096);
    EXPECT(!(events_now(n, from) & EPOLLOUT));
    while (got < sent)
        got += (size_t)receive(n, to, 100);
    EXPECT(events_now(n, from) & EPOLLOUT);
    EXPECT(CALL(n, send, from, bytes, sizeof bytes, 0) > 0);
    left = -1;
}
static void send_little(net *n)
{
    int fds[2];
    net_pair p = connect_tcp(n, AF_INET);
    fill_and_drain(n, p.client, p.server);
    close_pair(n, &p);
    EXPECT_EQ(CALL(n, socket_pair, AF_UNIX, SOCK_STREAM, fds), 0);
    fill_and_drain(n, fds[0], fds[1]);
    CALL(n, close, fds[0]);
    CALL(n, close, fds[1]);
}
TEST(memory, short_of_it_a_sender_has_less_room) { with_short_memory(send_little); }

static void open_none(net *n)
{
    left = 0;
    EXPECT_EQ(CALL(n, socket, AF_INET, SOCK_STREAM, 0), -ENOBUFS);
    left = 1;
    EXPECT_EQ(CALL(n, socket, AF_INET, SOCK_STREAM, 0), -ENOMEM);
}
TEST(memory, short_of_it_there_is_no_socket) { with_short_memory(open_none); }
