/* SPDX-License-Identifier: MIT */
/* gather.c: waiting for several: gather in its three forms, wait, as-completed. */
#include "trail.h"

static long value_after(double seconds, long value)
{
    crank_try(crank_sleep(seconds));
    say("%ld", value);
    return value;
}
static int value_at(double time, int value)
{
    crank_try(crank_sleep_until(time));
    say("%d", value);
    return value;
}
static int fail_after(double seconds, const char *why)
{
    crank_try(crank_sleep(seconds));
    return crank_fail(EPROTO, "%s", why);
}
static double half(void) { return 0.5; }
static const char *text(void) { return "text"; }
static int seven(void) { return 7; }
static void nothing(void) {}

TEST_EACH_BACKEND(gather, gives_results_in_the_order_of_its_arguments)
{
    int r[3];
    double soon = SOON;
    EXPECT_EQ(crank_gather(r, crank_spawn(value_at, soon + 0.002, 1), crank_spawn(value_at, soon, 2),
                  crank_spawn(value_at, soon + 0.001, 3)),
        0);
    EXPECT_TRAIL("2 3 1");
    EXPECT(r[0] == 1 && r[1] == 2 && r[2] == 3);
    return 0;
}

static int order(const char *name)
{
    say("%s", name);
    return 0;
}
static crank_task *named(const char *name)
{
    say("spawn-%s", name);
    return crank_spawn(order, name);
}

TEST_EACH_BACKEND(gather, evaluates_its_arguments_left_to_right)
{
    EXPECT_EQ(crank_gather(NULL, named("a"), named("b"), named("c")), 0);
    EXPECT_TRAIL("spawn-a spawn-b spawn-c a b c");
    return 0;
}

TEST_EACH_BACKEND(gather, fills_arrays_of_int_double_and_pointer)
{
    int i[2];
    double d[2];
    const char *s[1];
    EXPECT_EQ(crank_gather(i, crank_spawn(seven), crank_spawn(nothing)), 0);
    EXPECT(i[0] == 7 && i[1] == 0);
    EXPECT_EQ(crank_gather(d, crank_spawn(half), crank_spawn(half)), 0);
    EXPECT_NEAR(d[0] + d[1], 1, 0);
    EXPECT_EQ(crank_gather(s, crank_spawn(text)), 0);
    EXPECT_STR(s[0], "text");
    return 0;
}

TEST_CHECKS(gather, of_a_double_into_longs_is_refused, "does not fit")
{
    long r[1];
    return crank_gather(r, crank_spawn(half));
}
TEST_CHECKS(gather, of_a_long_into_ints_is_refused, "does not fit")
{
    int r[1];
    return crank_gather(r, crank_spawn(value_after, 0.0, 1));
}
TEST_CHECKS(gather, of_one_task_twice_is_refused, "given twice")
{
    crank_task *t = crank_spawn(seven);
    return crank_gather(NULL, t, t);
}
TEST_CHECKS(gather, of_oneself_is_refused, "cannot wait for itself") { return crank_gather(NULL, crank_self()); }
TEST_CHECKS(gather, gives_its_handles_up, "was given up before")
{
    crank_task *t = crank_spawn(seven);
    crank_try(crank_gather(NULL, t));
    return (int)crank_await(t);
}

TEST_SIM(gather, the_first_failure_cancels_the_others_and_waits_for_them)
{
    long r[3] = { 9, 9, 9 };
    double started = crank_time();
    EXPECT_EQ(crank_gather(r, crank_spawn(value_after, 10.0, 1), crank_spawn(fail_after, 1.0, "first"),
                  crank_spawn(fail_after, 2.0, "second")),
        -EPROTO);
    EXPECT_NEAR(crank_time() - started, 1, 0);
    EXPECT_STR(crank_error(), "first");
    EXPECT(r[0] == 9 && r[1] == 9 && r[2] == 9);
    EXPECT_TRAIL("");
    return 0;
}

static int slow_cleanup(void)
{
    if (crank_sleep(10) == -ECANCELED)
        crank_try(crank_sleep(2));
    say("clean");
    return -ECANCELED;
}

TEST_SIM(gather, returns_only_when_all_have_ended)
{
    double started = crank_time();
    EXPECT_EQ(crank_gather(NULL, crank_spawn(slow_cleanup), crank_spawn(fail_after, 1.0, "x")), -EPROTO);
    EXPECT_TRAIL("clean");
    EXPECT_NEAR(crank_time() - started, 3, 0);
    return 0;
}

TEST_SIM(gather, of_tasks_that_ended_before_does_not_wait)
{
    crank_task *a = crank_spawn(seven), *b = crank_spawn(seven);
    crank_try(crank_sleep(1));
    int r[2];
    EXPECT_EQ(crank_gather(r, a, b), 0);
    EXPECT_EQ(r[0] + r[1], 14);
    return 0;
}

TEST_SIM(gather, of_one_that_failed_before_cancels_the_others)
{
    crank_task *bad = crank_spawn(fail_after, 0.0, "early");
    crank_try(crank_sleep(1));
    double started = crank_time();
    EXPECT_EQ(crank_gather(NULL, crank_spawn(value_after, 10.0, 1), bad), -EPROTO);
    EXPECT_NEAR(crank_time() - started, 0, 0);
    EXPECT_STR(crank_error(), "early");
    return 0;
}

TEST_SIM(gather, with_a_spawn_that_failed_cancels_the_others)
{
    crank_task *none = NULL;
    EXPECT_EQ(crank_gather(NULL, crank_spawn(value_after, 10.0, 1), none), -ENOMEM);
    EXPECT_TRAIL("");
    return 0;
}

static int gatherer(void)
{
    long r[2];
    int err = crank_gather(r, crank_spawn(value_after, 10.0, 1), crank_spawn(value_after, 20.0, 2));
    say("gather=%d", err);
    return err;
}

TEST_SIM(gather, cancelled_cancels_all_and_waits)
{
    crank_task *task = crank_spawn(gatherer);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("gather=-125");
    return 0;
}

TEST_SIM(gather, cancelled_before_it_began_does_the_same)
{
    crank_task *task = crank_spawn(gatherer);
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("gather=-125");
    return 0;
}

static long stubborn(long value)
{
    (void)crank_sleep(10);
    return value;
}
static int gather_stubborn(void)
{
    long r[2];
    int err = crank_gather(r, crank_spawn(stubborn, 1), crank_spawn(stubborn, 2));
    int next = crank_sleep(0);
    say("%d %ld%ld %d", err, r[0], r[1], next);
    return 0;
}

TEST_SIM(gather, results_beat_a_cancellation_which_stays)
{
    crank_task *task = crank_spawn(gather_stubborn);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("0 12 -125");
    return 0;
}

TEST_SIM(gather, one_task_cancelled_alone_is_a_failure_of_the_gather)
{
    crank_task *a = crank_spawn(value_after, 10.0, 1), *b = crank_spawn(value_after, 20.0, 2);
    crank_try(crank_sleep(0));
    crank_cancel(a);
    EXPECT_EQ(crank_gather(NULL, a, b), -ECANCELED);
    EXPECT_EQ(crank_sleep(0), 0);
    return 0;
}

TEST_SIM(gather, n_takes_an_array)
{
    crank_task *tasks[50];
    long r[50], sum = 0;
    for (int i = 0; i < 50; i++)
        tasks[i] = crank_spawn(value_after, 0.1, i);
    EXPECT_EQ(crank_gather_n(tasks, 50, r), 0);
    for (int i = 0; i < 50; i++)
        sum += r[i];
    EXPECT_EQ(sum, 1225);
    EXPECT_EQ(crank_gather_n(tasks, 0, r), 0);
    return 0;
}

TEST_SIM(settled, gives_every_outcome)
{
    crank_outcome o[4];
    EXPECT_EQ(crank_gather_settled(o, crank_spawn(value_after, 1.0, 5), crank_spawn(fail_after, 0.5, "broken"),
                  crank_spawn(half), crank_spawn(text)),
        0);
    EXPECT(o[0].error == 0 && o[0].value == 5);
    EXPECT_EQ(o[1].error, -EPROTO);
    EXPECT_STR(o[1].message, "broken");
    EXPECT_NEAR(o[2].number, 0.5, 0);
    EXPECT_STR(o[3].pointer, "text");
    return 0;
}

static int settle_some(void)
{
    crank_outcome o[2];
    int err = crank_gather_settled(o, crank_spawn(value_after, 10.0, 5), crank_spawn(fail_after, 0.5, "broken"));
    say("%d %d %d", err, o[0].error, o[1].error);
    return err;
}

TEST_SIM(settled, cancelled_cancels_all_and_fills_the_outcomes)
{
    crank_task *task = crank_spawn(settle_some);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("-125 -125 -71");
    return 0;
}

/* ---- awaitables and futures in a gather */

struct delayed {
    crank_awaitable base;
    double seconds;
    long value;
};
static long await_delayed(crank_awaitable *base)
{
    struct delayed *d = (struct delayed *)base;
    crank_try(crank_sleep(d->seconds));
    return d->value;
}

TEST_SIM(awaitable, is_taken_wherever_a_task_is)
{
    struct delayed a = { { await_delayed }, 1.0, 10 }, b = { { await_delayed }, 2.0, 20 };
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    crank_set_result(f, 30L);
    double started = crank_time();
    EXPECT_EQ(crank_await(&a.base), 10);
    long r[4];
    EXPECT_EQ(crank_gather(r, &a.base, &b.base, crank_spawn(value_after, 1.5, 40), f), 0);
    EXPECT_EQ(r[0] + r[1] + r[2] + r[3], 100);
    EXPECT_NEAR(crank_time() - started, 3, 0);
    EXPECT_EQ(crank_within(1.0, crank_await(&b.base)), -ETIMEDOUT);
    return 0;
}

static int set_later(crank_future *f, double seconds)
{
    crank_try(crank_sleep(seconds));
    return crank_set_result(f, 5L);
}

TEST_SIM(gather, waits_for_futures_too)
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    crank_task *setter = crank_spawn(set_later, f, 1.0);
    long r[2];
    EXPECT_EQ(crank_gather(r, f, setter), 0);
    EXPECT_EQ(r[0], 5);
    EXPECT_EQ(crank_await(f), 5);
    return 0;
}

/* ---- wait */

TEST_SIM(wait, first_completed_moves_the_ended_to_the_front)
{
    crank_task *a = crank_spawn(value_after, 3.0, 1), *b = crank_spawn(value_after, 1.0, 2),
               *c = crank_spawn(value_after, 2.0, 3);
    crank_task *tasks[] = { a, b, c };
    EXPECT_EQ(crank_wait(tasks, 3, CRANK_FIRST_COMPLETED, CRANK_FOREVER), 1);
    EXPECT(tasks[0] == b && tasks[1] == a && tasks[2] == c);
    EXPECT_EQ(crank_wait(tasks, 3, CRANK_ALL_COMPLETED, CRANK_FOREVER), 3);
    EXPECT_EQ(crank_await(a) + crank_await(b) + crank_await(c), 6);
    return 0;
}

TEST_SIM(wait, first_error_ends_at_a_failure_or_when_all_are_done)
{
    crank_task *tasks[] = { crank_spawn(value_after, 1.0, 1), crank_spawn(fail_after, 2.0, "x"),
        crank_spawn(value_after, 3.0, 2) };
    EXPECT_EQ(crank_wait(tasks, 3, CRANK_FIRST_ERROR, CRANK_FOREVER), 2);
    EXPECT_EQ(crank_wait(tasks + 2, 1, CRANK_FIRST_ERROR, CRANK_FOREVER), 1);
    EXPECT_EQ(crank_await(tasks[0]), 1);
    EXPECT_EQ(crank_await(tasks[1]), -EPROTO);
    EXPECT_EQ(crank_await(tasks[2]), 2);
    return 0;
}

TEST_SIM(wait, for_the_first_error_takes_a_cancelled_task_for_none)
{
    crank_task *tasks[] = { crank_spawn(value_after, 10.0, 1), crank_spawn(value_after, 3.0, 2),
        crank_spawn(fail_after, 2.0, "x"), crank_spawn(value_after, 11.0, 3) };
    double started = crank_time();
    crank_cancel(tasks[0]);
    crank_try(crank_sleep(0));
    crank_try(crank_sleep(0));
    EXPECT(crank_was_cancelled(tasks[0]));
    EXPECT_EQ(crank_wait(tasks, 4, CRANK_FIRST_ERROR, 1), 1);
    crank_cancel(tasks[3]);
    EXPECT_EQ(crank_wait(tasks, 4, CRANK_FIRST_ERROR, CRANK_FOREVER), 3);
    EXPECT_NEAR(crank_time() - started, 2, 0);
    EXPECT_EQ(crank_await(tasks[1]), -EPROTO);
    EXPECT_EQ(crank_await(tasks[2]), -ECANCELED);
    EXPECT_EQ(crank_await(tasks[3]), 2);
    return crank_await(tasks[0]) == -ECANCELED ? 0 : 1;
}

TEST_SIM(wait, with_a_timeout_cancels_nothing)
{
    crank_task *tasks[] = { crank_spawn(value_after, 5.0, 1), crank_spawn(value_after, 1.0, 2) };
    double started = crank_time();
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_ALL_COMPLETED, 2), 1);
    EXPECT_NEAR(crank_time() - started, 2, 0);
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_ALL_COMPLETED, 0), 1);
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_ALL_COMPLETED, -1), 1);
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_ALL_COMPLETED, (double)-INFINITY), 1);
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_FIRST_COMPLETED, 1e300), 1);
    EXPECT_EQ(crank_await(tasks[1]), 1);
    EXPECT_EQ(crank_await(tasks[0]), 2);
    return 0;
}

TEST_SIM(wait, refuses_nothing_and_nonsense)
{
    crank_task *tasks[1] = { crank_spawn(seven) };
    EXPECT_EQ(crank_wait(tasks, 0, CRANK_ALL_COMPLETED, 1), -EINVAL);
    EXPECT_EQ(crank_wait(tasks, 1, CRANK_ALL_COMPLETED, NAN), -EINVAL);
    EXPECT_EQ(crank_await(tasks[0]), 7);
    return 0;
}

static int waiter(crank_task **tasks)
{
    ssize_t n = crank_wait(tasks, 2, CRANK_ALL_COMPLETED, 100);
    say("wait=%zd", n);
    return (int)n;
}

TEST_SIM(wait, cancelled_leaves_the_tasks_alone)
{
    crank_task *tasks[] = { crank_spawn(value_after, 5.0, 1), crank_spawn(value_after, 6.0, 2) };
    crank_task *w = crank_spawn(waiter, tasks);
    crank_try(crank_sleep(1));
    crank_cancel(w);
    EXPECT_EQ(crank_await(w), -ECANCELED);
    EXPECT_EQ(crank_await(tasks[0]) + crank_await(tasks[1]), 3);
    EXPECT_TRAIL("wait=-125 1 2");
    return 0;
}

TEST_SIM(wait, two_may_wait_for_the_same_tasks)
{
    crank_task *tasks[] = { crank_spawn(value_after, 1.0, 1), crank_spawn(value_after, 2.0, 2) };
    crank_task *same[] = { tasks[0], tasks[1] };
    crank_task *w = crank_spawn(waiter, same);
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_FIRST_COMPLETED, CRANK_FOREVER), 1);
    EXPECT_EQ(crank_await(w), 2);
    EXPECT_EQ(crank_await(tasks[0]) + crank_await(tasks[1]), 3);
    return 0;
}

TEST_SIM(completed, gives_tasks_in_the_order_in_which_they_end)
{
    crank_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = crank_spawn(value_after, 4.0 - i, i);
    long order[4];
    int n = 0;
    crank_try(crank_sleep(2.5));
    crank_foreach_completed(t, tasks, 4) order[n++] = crank_await(t);
    EXPECT_EQ(n, 4);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(order[i], 3 - i);
    return 0;
}

TEST_SIM(completed, left_early_leaves_the_others_alone)
{
    crank_task *tasks[2] = { crank_spawn(value_after, 1.0, 1), crank_spawn(value_after, 2.0, 2) };
    crank_foreach_completed(t, tasks, 2)
    {
        EXPECT_EQ(crank_await(t), 1);
        break;
    }
    EXPECT_EQ(crank_await(tasks[1]), 2);
    return 0;
}

static int race_loser(crank_task **tasks)
{
    crank_foreach_completed(t, tasks, 2) crank_await(t);
    return 0;
}

TEST_SIM(completed, cancelled_returns_from_the_function)
{
    crank_task *tasks[2] = { crank_spawn(value_after, 10.0, 1), crank_spawn(value_after, 20.0, 2) };
    crank_task *loop = crank_spawn(race_loser, tasks);
    crank_try(crank_sleep(1));
    crank_cancel(loop);
    EXPECT_EQ(crank_await(loop), -ECANCELED);
    EXPECT_EQ(crank_gather_n(tasks, 2, NULL), 0);
    return 0;
}
