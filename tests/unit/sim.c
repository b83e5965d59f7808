/* SPDX-License-Identifier: MIT */
/* sim.c: the simulator: its orders, its choices, its time. */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "acts.h"

static uint64_t hash_of(uint64_t seed, journal *log)
{
    enum { many = 6 };
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, seed);
    int ends[many][2];
    act acts[many];
    for (int i = 0; i < many; i++) {
        open_pipe(ends[i], 0);
        acts[i] = new_act(loop, CR_OP_READ, ends[i][0], 8);
        acts[i].log = log;
        acts[i].letter = (char)('a' + i);
        submit(&acts[i]);
        EXPECT_EQ(write(ends[i][1], "12345678", 8), 8);
    }
    for (int i = 0; i < many; i++)
        await(&acts[i]);
    loop->backend->type->turn(loop->backend, cr_now(loop) + 1000);
    uint64_t hash = loop->backend->type->trace_hash(loop->backend);
    for (int i = 0; i < many; i++)
        close_both(ends[i]);
    crank_loop_free(loop);
    return hash;
}

TEST(sim, follows_the_plain_order_without_a_seed)
{
    journal log = { .length = 0 };
    hash_of(0, &log);
    EXPECT_STR(log.text, "abcdef");
}

TEST(sim, is_decided_by_its_seed)
{
    int orders = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        journal first = { .length = 0 };
        journal again = { .length = 0 };
        uint64_t hash = hash_of(seed, &first);
        EXPECT_EQ(hash, hash_of(seed, &again));
        EXPECT_STR(first.text, again.text);
        EXPECT(hash != hash_of(seed + 1, &again));
        orders += strcmp(first.text, "abcdef") != 0;
    }
    EXPECT(orders > 25);
}

TEST(sim, chance_comes_from_the_seed_and_not_from_the_choices)
{
    crank_loop *a = open_loop(CRANK_BACKEND_SIM, 7);
    crank_loop *b = open_loop(CRANK_BACKEND_SIM, 7);
    crank_loop *c = open_loop(CRANK_BACKEND_SIM, 8);
    for (int i = 0; i < 10; i++)
        EXPECT(cr_loop_choose(a, 5) < 5);
    uint64_t drawn = a->sys->random(a->sys->context);
    EXPECT(drawn == b->sys->random(b->sys->context));
    EXPECT(drawn != c->sys->random(c->sys->context));
    EXPECT(drawn != a->sys->random(a->sys->context));
    crank_loop_free(a);
    crank_loop_free(b);
    crank_loop_free(c);
}

/* What a program of one read in a pipe of so many bytes and one jump of the clock leaves. */
static uint64_t hash_after(size_t bytes, int64_t jump)
{
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    int ends[2];
    open_pipe(ends, 0);
    act a = new_act(loop, CR_OP_READ, ends[0], sizeof a.buf);
    EXPECT_EQ(write(ends[1], "12345678", bytes), bytes);
    submit(&a);
    await(&a);
    loop->backend->type->turn(loop->backend, cr_now(loop) + jump);
    uint64_t hash = loop->backend->type->trace_hash(loop->backend);
    close_both(ends);
    crank_loop_free(loop);
    return hash;
}
TEST(sim, trace_tells_results_and_jumps_apart)
{
    EXPECT(hash_after(3, 1000) == hash_after(3, 1000));
    EXPECT(hash_after(3, 1000) != hash_after(4, 1000));
    EXPECT(hash_after(3, 1000) != hash_after(3, 1001));
}

TEST(sim, choices_reach_every_value)
{
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 11);
    unsigned seen = 0;
    for (int i = 0; i < 200; i++)
        seen |= 1u << cr_loop_choose(loop, 7);
    EXPECT_EQ(seen, 127);
    EXPECT_EQ(cr_loop_choose(loop, 1), 0);
    crank_loop_free(loop);
}

static int looks;
static int waits;
static int wake_up_end;
static int poll_that_counts(void *context, struct pollfd *fds, size_t n, int64_t timeout)
{
    EXPECT(++looks < 100);
    if (timeout != 0 && waits++ == 0)
        EXPECT_EQ(write(wake_up_end, "x", 1), 1);
    return cr_sys_real.poll(context, fds, n, timeout);
}

/* What is told of are the beginning and the choices: one finished operation leaves none. */
TEST(sim, takes_and_tells_choices_by_their_number_and_none_where_there_is_one_way)
{
    int told[2], ends[2];
    crank_choice choice;
    open_pipe(told, O_NONBLOCK);
    open_pipe(ends, 0);
    crank_loop *loop =
        open_with(&(crank_options){ .backend = CRANK_BACKEND_SIM, .choices = "1:3,3:2", .choices_to = told[1] }, NULL);
    act a = new_act(loop, CR_OP_POLL, ends[1], 0);
    a.op.events = EPOLLOUT;
    submit(&a);
    await(&a);
    EXPECT_EQ(read(told[0], &choice, sizeof choice), sizeof choice);
    EXPECT_EQ(choice.options, 0);
    EXPECT_EQ(read(told[0], &choice, sizeof choice), -1);
    EXPECT_EQ(cr_loop_choose(loop, 5), 3);
    EXPECT_EQ(cr_loop_choose(loop, 5), 0);
    EXPECT_EQ(cr_loop_choose(loop, 5), 2);
    EXPECT_EQ(read(told[0], &choice, sizeof choice), sizeof choice);
    EXPECT(choice.chosen == 3 && choice.options == 5);
    close_both(told);
    close_both(ends);
    crank_loop_free(loop);
}

TEST(sim, waits_for_a_descriptor_in_one_call_where_time_has_no_end)
{
    int ends[2];
    cr_sys sys = cr_sys_real;
    sys.poll = poll_that_counts;
    open_pipe(ends, 0);
    wake_up_end = ends[1];
    crank_loop *loop = open_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, &sys);
    act a = new_act(loop, CR_OP_READ, ends[0], 1);
    submit(&a);
    await(&a);
    EXPECT_EQ(a.op.result, 1);
    EXPECT_EQ(waits, 1);
    close_both(ends);
    crank_loop_free(loop);
}

static int stats;
static int stat_that_counts(void *context, int fd, struct stat *ret_stat)
{
    stats++;
    return cr_sys_real.stat(context, fd, ret_stat);
}
static cr_sys table_that_counts(void)
{
    cr_sys sys = cr_sys_real;
    sys.poll = poll_that_counts;
    sys.stat = stat_that_counts;
    return sys;
}

TEST(sim, asks_the_kernel_for_nothing_that_is_simulated)
{
    int ends[2];
    cr_sys sys = table_that_counts();
    crank_loop *loop = open_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, &sys);
    EXPECT_EQ(loop->sys->socket_pair(loop->sys->context, AF_UNIX, SOCK_STREAM, ends), 0);
    for (int i = 0; i < 5; i++) {
        act a = new_act(loop, CR_OP_READ, ends[0], 1);
        submit(&a);
        settle(&a);
        EXPECT(a.pending);
        EXPECT_EQ(loop->sys->send(loop->sys->context, ends[1], "x", 1, 0), 1);
        await(&a);
        EXPECT_EQ(a.op.result, 1);
    }
    EXPECT_EQ(looks, 0);
    EXPECT_EQ(stats, 0);
    EXPECT_EQ(loop->sys->close(loop->sys->context, ends[0]), 0);
    EXPECT_EQ(loop->sys->close(loop->sys->context, ends[1]), 0);
    crank_loop_free(loop);
}

TEST(sim, asks_once_for_each_operation_what_its_descriptor_is)
{
    int ends[2];
    if (getenv("TEST_EMULATED"))
        test_skip("an emulator knows no RWF_NOWAIT, and its pipe is asked what it is each time");
    cr_sys sys = table_that_counts();
    open_pipe(ends, 0);
    wake_up_end = ends[1];
    crank_loop *loop = open_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, &sys);
    act a = new_act(loop, CR_OP_READ, ends[0], 1);
    submit(&a);
    settle(&a);
    EXPECT(a.pending);
    await(&a);
    EXPECT_EQ(a.op.result, 1);
    EXPECT_EQ(stats, 1);
    close_both(ends);
    crank_loop_free(loop);
}

/* From another thread, as far as the loop can tell. */
static crank_loop *waiting;
static int poll_that_is_woken(void *context, struct pollfd *fds, size_t n, int64_t timeout)
{
    if (timeout < 0)
        waiting->backend->type->wake(waiting->backend);
    return cr_sys_real.poll(context, fds, n, timeout);
}
TEST(sim, woken_while_it_waits_completes_nothing)
{
    int ends[2];
    cr_sys sys = cr_sys_real;
    sys.poll = poll_that_is_woken;
    open_pipe(ends, 0);
    crank_loop *loop = waiting = open_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, &sys);
    act a = new_act(loop, CR_OP_READ, ends[0], 1);
    act b = new_act(loop, CR_OP_POLL, ends[1], 0);
    b.op.events = EPOLLOUT;
    submit(&a);
    submit(&b);
    settle(&b); /* what it leaves behind in the array is nobody's */
    EXPECT(a.pending && !b.pending);
    loop->backend->type->turn(loop->backend, CR_NEVER);
    EXPECT(a.pending);
    EXPECT_EQ(b.completions, 1);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    await(&a);
    close_both(ends);
    crank_loop_free(loop);
}

TEST(sim, time_jumps_and_stands_still_while_it_computes)
{
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    int64_t start = cr_now(loop);
    EXPECT_EQ(cr_now(loop), start);
    loop->backend->type->turn(loop->backend, start + 1000000 * CR_SECOND);
    EXPECT_EQ(cr_now(loop), start + 1000000 * CR_SECOND);
    loop->backend->type->turn(loop->backend, start);
    EXPECT_EQ(cr_now(loop), start + 1000000 * CR_SECOND);
    crank_loop_free(loop);
}
