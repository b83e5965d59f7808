/* SPDX-License-Identifier: MIT */
/* echo.c: what a message costs: which calls to the OS, and no memory. Counted on a table in the place of the real
 * one. */
#include "links.h"
#include "run/run.h"

static struct counts {
    long received, sent, controlled, allocated;
} counts, seen; /* now; of the messages alone */

static ssize_t counted_recv(void *c, int fd, void *buf, size_t size, int flags)
{
    counts.received++;
    return cr_sys_real.recv(c, fd, buf, size, flags);
}
static ssize_t counted_send(void *c, int fd, const void *buf, size_t size, int flags)
{
    counts.sent++;
    return cr_sys_real.send(c, fd, buf, size, flags);
}
static int counted_control(void *c, int epfd, int op, int fd, struct epoll_event *event)
{
    counts.controlled++;
    return cr_sys_real.epoll_ctl(c, epfd, op, fd, event);
}
/* Each request of io_uring's but the waits. */
static int counted_enter(void *c, int ring, const cr_uring_enter *asked)
{
    counts.controlled += asked->submit;
    return cr_sys_real.uring_enter(c, ring, asked);
}
static void *counted_alloc(void *c, size_t size)
{
    counts.allocated++;
    return cr_sys_real.alloc(c, size);
}
static void *counted_alloc_zero(void *c, size_t size)
{
    counts.allocated++;
    return cr_sys_real.alloc_zero(c, size);
}
static void *counted_resize(void *c, void *memory, size_t size)
{
    counts.allocated++;
    return cr_sys_real.resize(c, memory, size);
}
static void *counted_map(void *c, size_t size)
{
    counts.allocated++;
    return cr_sys_real.map(c, size);
}

/* Run it on a table that counts. */
static void run_counted(crank_backend backend, long (*program)(void *arg))
{
    cr_sys sys = cr_sys_real;
    crank_options options = { .backend = backend };
    sys.recv = counted_recv;
    sys.send = counted_send;
    sys.epoll_ctl = counted_control;
    sys.uring_enter = counted_enter;
    sys.alloc = counted_alloc;
    sys.alloc_zero = counted_alloc_zero;
    sys.resize = counted_resize;
    sys.map = counted_map;
    EXPECT_EQ(cr_run_raw_on(&sys, &options, program, NULL), 0);
}

static int echo(crank_stream *s)
{
    char line[100];
    while (crank_try(crank_read_line(s, line, sizeof line)) > 0)
        crank_try(crank_printf(s, "%s", line));
    return 0;
}
static int ask(crank_stream *s, int rounds)
{
    char line[100];
    for (int i = 0; i < rounds; i++) {
        crank_try(crank_printf(s, "message %d\n", i));
        EXPECT(crank_try(crank_read_line(s, line, sizeof line)) > 8);
        EXPECT_EQ(atoi(line + 8), i);
    }
    return 0;
}
static int ask_counted(ends *l, int rounds)
{
    CRANK_GROUP(tasks);
    crank_task *echoing = crank_group_spawn(&tasks, echo, l->b);
    crank_try(ask(l->a, 10));
    counts = (struct counts){ 0 };
    crank_try(ask(l->a, rounds));
    seen = counts;
    crank_try(crank_close(l->a));
    crank_try(crank_await(echoing));
    crank_try(crank_close(l->b));
    return 0;
}

static const char *ran_on;
static long over_tcp(void *arg)
{
    ends l = { 0 };
    (void)arg;
    ran_on = crank_backend_name();
    crank_try(nets_pair(&l.a, &l.b));
    return ask_counted(&l, 1000);
}
static void expect_one_of_each(crank_backend backend, const char *name)
{
    run_counted(backend, over_tcp);
    if (strcmp(ran_on, name) != 0)
        test_skip("io_uring is not to be had here");
    EXPECT_EQ(seen.received, 2000);
    EXPECT_EQ(seen.sent, 2000);
    EXPECT_EQ(seen.controlled, 0);
}
TEST(echo, makes_one_receive_and_one_send_of_each_message_on_epoll)
{
    expect_one_of_each(CRANK_BACKEND_EPOLL, "epoll");
}
TEST(echo, makes_one_receive_and_one_send_of_each_message_on_uring)
{
    expect_one_of_each(CRANK_BACKEND_URING, "uring");
}

static long over_tcp_for_long(void *arg)
{
    ends l = { 0 };
    (void)arg;
    crank_try(nets_pair(&l.a, &l.b));
    return ask_counted(&l, 100000);
}
TEST(echo, takes_no_memory_in_a_hundred_thousand_round_trips_on_epoll)
{
    test_needs_long();
    run_counted(CRANK_BACKEND_EPOLL, over_tcp_for_long);
    EXPECT_EQ(seen.allocated, 0);
}
TEST(echo, takes_no_memory_on_epoll)
{
    run_counted(CRANK_BACKEND_EPOLL, over_tcp);
    EXPECT_EQ(seen.allocated, 0);
}
TEST(echo, takes_no_memory_on_uring)
{
    run_counted(CRANK_BACKEND_URING, over_tcp);
    EXPECT_EQ(seen.allocated, 0);
}

static long print_three_times(void *arg)
{
    ends l = { 0 };
    char text[100] = "";
    (void)arg;
    crank_try(nets_pair(&l.a, &l.b));
    counts = (struct counts){ 0 };
    crank_try(crank_printf(l.a, "one "));
    crank_try(crank_printf(l.a, "two "));
    crank_try(crank_printf(l.a, "three\n"));
    EXPECT_EQ(crank_read(l.b, text, sizeof text - 1), 14);
    EXPECT_STR(text, "one two three\n");
    crank_try(crank_close(l.a));
    crank_try(crank_close(l.b));
    return 0;
}
TEST(three_prints, are_one_send_on_epoll)
{
    run_counted(CRANK_BACKEND_EPOLL, print_three_times);
    EXPECT_EQ(counts.sent, 1);
}
TEST(three_prints, are_one_send_on_uring)
{
    run_counted(CRANK_BACKEND_URING, print_three_times);
    EXPECT_EQ(counts.sent, 1);
}
TEST(three_prints, are_one_arrival_in_the_simulator) { run_counted(CRANK_BACKEND_SIM, print_three_times); }
