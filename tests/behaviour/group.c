/* SPDX-License-Identifier: MIT */
/* group.c: children that end before the block does; failing fast; limits and pools. */
#include <sched.h>
#include <stdatomic.h>
#include "trail.h"

static int work(const char *name, double seconds)
{
    int err = crank_sleep(seconds);
    say("%s%s", name, err < 0 ? "!" : "");
    return err;
}

static int fail_after(double seconds, int error, const char *why)
{
    crank_try(crank_sleep(seconds));
    return crank_fail(error, "%s", why);
}

static int plain_failure(void) { return -EIO; }

TEST_EACH_BACKEND(group, of_nobody_is_done_at_once)
{
    CRANK_GROUP(g);
    EXPECT_EQ(crank_group_count(&g), 0);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(crank_group_wait(&g), 0);
    return 0;
}

TEST_EACH_BACKEND(group, waits_for_all_its_children)
{
    CRANK_GROUP(g);
    double soon = SOON;
    crank_group_spawn(&g, say_at, soon + 0.001, "a");
    crank_group_spawn(&g, say_at, soon, "b");
    EXPECT_EQ(crank_group_count(&g), 2);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_TRAIL("b a");
    return 0;
}

static int leave_early(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, work, "a", 10.0);
    crank_try(crank_sleep(1));
    say("leaving");
    return 0;
}

TEST_SIM(group, left_early_cancels_and_joins_its_children)
{
    double started = crank_time();
    crank_try(leave_early());
    EXPECT_TRAIL("leaving a!");
    EXPECT_NEAR(crank_time() - started, 1, 0);
    return 0;
}

TEST_SIM(group, is_ended_by_break_and_goto_too)
{
    for (int i = 0; i < 2; i++) {
        CRANK_GROUP(g);
        crank_group_spawn(&g, work, "a", 10.0);
        crank_try(crank_sleep(0));
        if (i == 0)
            continue;
        break;
    }
    EXPECT_TRAIL("a! a!");
    return 0;
}

TEST_SIM(group, the_first_failure_cancels_the_others)
{
    double started = crank_time();
    CRANK_GROUP(g);
    crank_group_spawn(&g, work, "a", 10.0);
    crank_group_spawn(&g, fail_after, 1.0, EPROTO, "nonsense");
    crank_group_spawn(&g, work, "b", 0.5);
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    EXPECT_TRAIL("b a!");
    EXPECT_STR(crank_error(), "nonsense");
    EXPECT_NEAR(crank_time() - started, 1, 0);
    return 0;
}

TEST_SIM(group, can_be_used_again_after_a_failure)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, fail_after, 1.0, EPROTO, "first");
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    crank_group_spawn(&g, work, "again", 1.0);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_TRAIL("again");
    return 0;
}

static int fail_in_cleanup(const char *why)
{
    if (crank_sleep(10) == -ECANCELED)
        return crank_fail(EBUSY, "%s", why);
    return 0;
}

TEST_SIM(group, keeps_every_childs_failure_in_order)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, fail_in_cleanup, "second");
    crank_group_spawn(&g, fail_after, 1.0, EPROTO, "first");
    crank_group_spawn(&g, fail_in_cleanup, "third");
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    const crank_failure *failure = crank_last_failure();
    EXPECT_EQ(failure->child_count, 3);
    EXPECT_STR(failure->children[0]->message, "first");
    EXPECT_STR(failure->children[1]->message, "second");
    EXPECT_STR(failure->children[2]->message, "third");
    EXPECT_EQ(failure->children[2]->error, -EBUSY);
    char text[4096];
    crank_error_format(text, sizeof text);
    EXPECT_CONTAINS(text, "3. Task-");
    EXPECT_CONTAINS(text, "third [EBUSY]");
    return 0;
}

TEST_SIM(group, names_a_failure_without_a_message)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, plain_failure);
    EXPECT_EQ(crank_group_wait(&g), -EIO);
    EXPECT_STR(crank_error(), "Input/output error");
    return 0;
}

static int interrupted_opener(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, fail_after, 1.0, EPROTO, "nonsense");
    int err = crank_sleep(10);
    say("%d", err);
    crank_try(err);
    return 0;
}

TEST_SIM(group, a_failure_interrupts_the_openers_wait_and_becomes_its_error_by_try)
{
    double started = crank_time();
    EXPECT_EQ(crank_await(crank_spawn(interrupted_opener)), -EPROTO);
    EXPECT_TRAIL("-125");
    EXPECT_STR(crank_error(), "nonsense");
    EXPECT_NEAR(crank_time() - started, 1, 0);
    return 0;
}

static int sleeps_inside(void)
{
    crank_try(crank_sleep(10));
    return 0;
}
static int opener_calls_others(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, fail_after, 1.0, EPROTO, "nonsense");
    crank_try(sleeps_inside());
    return 0;
}

TEST_SIM(group, its_failure_crosses_calls_as_a_cancellation_and_changes_at_the_block)
{
    EXPECT_EQ(opener_calls_others(), -EPROTO);
    EXPECT_STR(crank_error(), "nonsense");
    EXPECT(!crank_cancelled());
    EXPECT_EQ(crank_sleep(0), 0);
    return 0;
}

static int swallow_and_go_on(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, fail_after, 1.0, EPROTO, "nonsense");
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    EXPECT_EQ(crank_sleep(1), 0);
    return crank_group_wait(&g);
}

TEST_SIM(group, interrupts_the_opener_once)
{
    EXPECT_EQ(swallow_and_go_on(), -EPROTO);
    return 0;
}

static char reported[4096];
static int reports;
static void keep_report(const crank_report *report, void *arg)
{
    (void)arg;
    reports++;
    snprintf(reported, sizeof reported, "%s", report->text);
}
static int forget_the_failure(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, fail_after, 1.0, EPROTO, "forgotten");
    (void)crank_sleep(10);
    return 0;
}

TEST(group, a_failure_nobody_asked_for_is_reported)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep_report };
    EXPECT_EQ(crank_run_with(&options, forget_the_failure), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(reported, "forgotten");
}

static int group_of_two(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, work, "a", 10.0);
    crank_group_spawn(&g, work, "b", 20.0);
    int err = crank_group_wait(&g);
    say("wait=%d", err);
    return err;
}

TEST_SIM(group, cancelled_from_outside_cancels_its_children_and_waits_for_them)
{
    crank_task *task = crank_spawn(group_of_two);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("a! b! wait=-125");
    return 0;
}

static int cancelled_with_failing_cleanup(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, fail_in_cleanup, "cleanup broke");
    int err = crank_group_wait(&g);
    int next = crank_sleep(0);
    say("%d %d", err, next);
    return 0;
}

TEST_SIM(group, cancelled_while_a_child_fails_gives_the_failure_and_keeps_the_request)
{
    crank_task *task = crank_spawn(cancelled_with_failing_cleanup);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("-16 -125");
    return 0;
}

static int cancel_own_group(crank_group *g)
{
    crank_try(crank_sleep(1));
    crank_group_cancel(g);
    return 0;
}

TEST_SIM(group, cancelled_from_inside_ends_without_an_error)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, work, "a", 10.0);
    crank_group_spawn(&g, cancel_own_group, &g);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_TRAIL("a!");
    return 0;
}

static int spawn_sibling(crank_group *g)
{
    crank_group_spawn(g, work, "sibling", 1.0);
    say("first");
    return 0;
}

TEST_SIM(group, children_may_add_siblings)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, spawn_sibling, &g);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_TRAIL("first sibling");
    return 0;
}

TEST_SIM(group, refuses_children_once_it_has_failed)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, fail_after, 0.0, EPROTO, "x");
    EXPECT_EQ(crank_sleep(1), -ECANCELED);
    EXPECT(crank_group_spawn(&g, work, "late", 1.0) == NULL);
    EXPECT_EQ(errno, ECANCELED);
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    EXPECT_TRAIL("");
    return 0;
}

static int cancelled_child_only(void)
{
    CRANK_GROUP(g);
    crank_task *one = crank_group_spawn(&g, work, "one", 10.0);
    crank_group_spawn(&g, work, "two", 2.0);
    crank_try(crank_sleep(1));
    crank_cancel(one);
    return crank_group_wait(&g);
}

TEST_SIM(group, a_child_that_was_cancelled_alone_is_no_failure)
{
    EXPECT_EQ(cancelled_child_only(), 0);
    EXPECT_TRAIL("one! two");
    return 0;
}

static int inner_group(void)
{
    CRANK_GROUP(inner);
    crank_group_spawn(&inner, work, "leaf", 10.0);
    crank_try(crank_group_wait(&inner));
    return 0;
}

TEST_SIM(group, nests_in_tasks)
{
    CRANK_GROUP(outer);
    crank_group_spawn(&outer, inner_group);
    crank_group_spawn(&outer, fail_after, 1.0, EPROTO, "outer");
    EXPECT_EQ(crank_group_wait(&outer), -EPROTO);
    EXPECT_TRAIL("leaf!");
    EXPECT_EQ(crank_last_failure()->child_count, 1);
    return 0;
}

static int nested_in_one_function(void)
{
    CRANK_GROUP(outer);
    crank_group_spawn(&outer, fail_after, 1.0, EPROTO, "outer failed");
    {
        CRANK_GROUP(inner);
        crank_group_spawn(&inner, work, "inner", 10.0);
        crank_try(crank_group_wait(&inner));
    }
    return 0;
}

TEST_SIM(group, nested_in_one_function_the_outer_failure_wins)
{
    EXPECT_EQ(nested_in_one_function(), -EPROTO);
    EXPECT_TRAIL("inner!");
    EXPECT_STR(crank_error(), "outer failed");
    return 0;
}

static int deeper(int depth)
{
    CRANK_GROUP(g);
    if (depth > 0) {
        crank_group_spawn(&g, deeper, depth - 1);
        crank_group_spawn(&g, deeper, depth - 1);
    } else {
        crank_group_spawn(&g, work, "leaf", 1.0);
    }
    return crank_group_wait(&g);
}

TEST_SIM(group, nests_deeply)
{
    EXPECT_EQ(deeper(4), 0);
    EXPECT_EQ(strlen(trail), 16 * 5 - 1);
    return 0;
}

static int wait_for_it(crank_group *g) { return crank_group_wait(g); }
TEST_CHECKS(group, waited_for_by_a_stranger_is_refused, "only the task that opened the group")
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, wait_for_it, &g);
    return crank_group_wait(&g);
}

/* ---- limits and pools */

static int running, most;
static int counted(int n, double seconds)
{
    running++;
    most = running > most ? running : most;
    int err = crank_sleep(seconds);
    running--;
    return err < 0 ? err : n * n;
}

TEST_SIM(limit, is_never_exceeded_and_turns_come_in_order)
{
    CRANK_GROUP_LIMIT(g, 3);
    double started = crank_time();
    for (int i = 0; i < 9; i++)
        crank_group_spawn(&g, counted, 0, 1.0);
    EXPECT_EQ(crank_group_count(&g), 9);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(most, 3);
    EXPECT_NEAR(crank_time() - started, 3, 0);
    return 0;
}

TEST_SIM(limit, children_that_wait_for_a_turn_never_run_once_the_group_failed)
{
    CRANK_GROUP_LIMIT(g, 1);
    crank_group_spawn(&g, fail_after, 1.0, EPROTO, "x");
    crank_group_spawn(&g, work, "held", 1.0);
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    EXPECT_TRAIL("");
    return 0;
}

TEST_SIM(limit, a_held_child_can_be_cancelled)
{
    CRANK_GROUP_LIMIT(g, 1);
    crank_group_spawn(&g, work, "a", 1.0);
    crank_task *b = crank_group_spawn(&g, work, "b", 1.0);
    crank_group_spawn(&g, work, "c", 1.0);
    EXPECT_EQ(crank_cancel(b), 0);
    EXPECT_EQ(crank_group_count(&g), 2);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_TRAIL("a c");
    return 0;
}

static int add_up(int a, int b, int c, int d, int e, int f, int g) { return a + b + c + d + e + f + g; }
TEST_SIM(limit, held_children_with_many_arguments_can_be_cancelled)
{
    CRANK_POOL(pool, 1);
    crank_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = crank_pool_spawn(&pool, add_up, i, 1, 2, 3, 4, 5, 6);
    EXPECT_EQ(crank_cancel(tasks[1]), 0);
    EXPECT_EQ(crank_cancel(tasks[2]), 0);
    EXPECT_EQ(crank_group_count(&pool), 2);
    long results[4];
    EXPECT_EQ(crank_pool_wait(&pool, results, 4), 0);
    EXPECT_EQ(results[0], 21);
    EXPECT_EQ(results[1], -ECANCELED);
    EXPECT_EQ(results[2], -ECANCELED);
    EXPECT_EQ(results[3], 24);
    return 0;
}

TEST_SIM(pool, gives_a_thousand_results_in_order)
{
    enum { N = 1000 };
    long results[N];
    CRANK_POOL(pool, 10);
    for (int i = 0; i < N; i++)
        crank_pool_spawn(&pool, counted, i, 0.001 * ((i * 7) % 13));
    EXPECT_EQ(crank_pool_wait(&pool, results, N), 0);
    EXPECT_EQ(most, 10);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(results[i], (long)i * i);
    return 0;
}

TEST_SIM(pool, can_be_filled_again_and_gives_no_more_than_asked)
{
    long results[2] = { 7, 7 };
    CRANK_POOL(pool, 2);
    crank_pool_spawn(&pool, counted, 3, 1.0);
    EXPECT_EQ(crank_pool_wait(&pool, results, 2), 0);
    EXPECT_EQ(results[0], 9);
    EXPECT_EQ(results[1], 7);
    crank_pool_spawn(&pool, counted, 4, 1.0);
    crank_pool_spawn(&pool, counted, 5, 1.0);
    EXPECT_EQ(crank_pool_wait(&pool, results, 1), 0);
    EXPECT_EQ(results[0], 16);
    EXPECT_EQ(results[1], 7);
    return 0;
}

static void give_nothing(void) {}
static double give_a_half(void) { return 0.5; }
static int fill_with_a_half_at_last(size_t max)
{
    long results[3] = { 0 };
    CRANK_POOL(pool, 2);
    crank_pool_spawn(&pool, counted, 3, 1.0);
    crank_pool_spawn(&pool, give_nothing);
    crank_pool_spawn(&pool, give_a_half);
    crank_try(crank_pool_wait(&pool, results, max));
    EXPECT_EQ(results[0], 9);
    crank_pool_spawn(&pool, counted, 4, 1.0);
    crank_try(crank_pool_wait(&pool, results, 3));
    EXPECT_EQ(results[0], 16);
    return 0;
}
TEST_SIM(pool, takes_children_of_any_kind_whose_results_nobody_asks_for) { return fill_with_a_half_at_last(2); }
TEST_CHECKS(pool, gives_no_double_as_an_integer, "child 2 (from 0), floating point by give_a_half")
{
    return fill_with_a_half_at_last(3);
}
TEST_SIM(pool, fails_with_its_first_failure)
{
    long result = 5;
    CRANK_POOL(pool, 2);
    crank_pool_spawn(&pool, fail_after, 1.0, EPROTO, "job");
    EXPECT_EQ(crank_pool_wait(&pool, &result, 1), -EPROTO);
    EXPECT_EQ(result, 5);
    EXPECT_STR(crank_error(), "job");
    return 0;
}

static int fail_soon(void)
{
    crank_try(crank_sleep(0.01));
    return crank_fail(EIO, "broken");
}
static int sleep_a_second(void) { return crank_sleep(1); }
TEST_EACH_BACKEND(limit, a_failure_that_ends_all_held_children_at_once_is_over_with_the_wait)
{
    CRANK_GROUP_LIMIT(group, 1);
    crank_group_spawn(&group, fail_soon);
    crank_group_spawn(&group, sleep_a_second);
    crank_group_spawn(&group, sleep_a_second);
    EXPECT_EQ(crank_group_wait(&group), -EIO);
    EXPECT_EQ(crank_sleep(0.001), 0);
    crank_group_spawn(&group, sleep_a_second);
    EXPECT_EQ(crank_group_wait(&group), 0);
    return 0;
}

/* A child that has returned, and whose job stands in line for the only thread, ends as soon as it is cancelled. */
static atomic_bool is_held, may_end;
static int hold_the_thread(void)
{
    atomic_store(&is_held, true);
    while (!atomic_load(&may_end))
        sched_yield();
    return 0;
}
static int leave_a_job_in_line(void)
{
    crank_drop(crank_to_thread(hold_the_thread));
    return 0;
}
static int cancel_soon(crank_group *group)
{
    crank_try(crank_sleep(0.01));
    crank_group_cancel(group);
    return 0;
}
static int wait_for_a_group_cancelled_at_once(void)
{
    crank_task *holder = crank_to_thread(hold_the_thread);
    EXPECT(holder);
    while (!atomic_load(&is_held) && !crank_done(holder))
        crank_try(crank_sleep(0));
    EXPECT(atomic_load(&is_held)); /* or the job in line would get the thread, and hold it */
    CRANK_GROUP(group);
    crank_group_spawn(&group, leave_a_job_in_line);
    crank_task *canceller = crank_spawn(cancel_soon, &group);
    EXPECT(canceller);
    EXPECT_EQ(crank_group_wait(&group), 0);
    EXPECT_EQ(crank_sleep(0.001), 0);
    atomic_store(&may_end, true);
    return crank_gather(NULL, holder, canceller);
}
/* Whatever was not as expected, the thread is let go. */
static int let_the_thread_go_after_that(void)
{
    int err = wait_for_a_group_cancelled_at_once();
    atomic_store(&may_end, true);
    return err;
}
TEST(group, cancelled_while_it_is_waited_for_is_over_with_the_wait)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL, .threads_max = 1 };
    EXPECT_EQ(crank_run_with(&options, let_the_thread_go_after_that), 0);
}

static long far_below(void) { return -(1L << 32); }
TEST_SIM(group, fails_with_an_error_no_int_holds)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, far_below);
    crank_group_spawn(&group, sleep_a_second);
    EXPECT_EQ(crank_group_wait(&group), INT32_MIN);
    return 0;
}
