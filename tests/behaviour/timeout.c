/* SPDX-License-Identifier: MIT */
/* timeout.c: time limits, nested, moved, crossed with cancellation; shields. */
#include <setjmp.h>
#include "trail.h"

static int sleeper(double seconds) { return crank_sleep(seconds); }

TEST_SIM(within, gives_the_value_in_time)
{
    EXPECT_EQ(crank_within(2.0, sleeper(1)), 0);
    EXPECT_EQ(crank_within(0.5, 42), 42);
    return 0;
}

static double half(double x) { return x / 2; }
static float third(void) { return 2.5f; }
TEST_SIM(within, gives_real_values_whole)
{
    EXPECT_NEAR(crank_within(1.0, half(1.5)), 0.75, 0);
    EXPECT_NEAR((double)crank_within(1.0, third()), 2.5, 0);
    EXPECT_NEAR(crank_within(1.0, crank_await_double(crank_spawn(half, 0.5))), 0.25, 0);
    return 0;
}

TEST_SIM(within, turns_the_interruption_into_a_timeout)
{
    double started = crank_time();
    EXPECT_EQ(crank_within(1.0, sleeper(10)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - started, 1, 0);
    EXPECT_STR(crank_error(), "timed out");
    EXPECT_EQ(crank_sleep(1), 0);
    EXPECT(!crank_cancelled());
    return 0;
}

TEST_SIM(within, zero_or_less_interrupts_the_first_wait)
{
    EXPECT_EQ(crank_within(0.0, sleeper(1)), -ETIMEDOUT);
    EXPECT_EQ(crank_within(-1.0, sleeper(1)), -ETIMEDOUT);
    EXPECT_EQ(crank_within(0.0, 7), 7);
    EXPECT_EQ(crank_sleep(0), 0);
    return 0;
}

TEST_SIM(within, forever_is_no_limit)
{
    EXPECT_EQ(crank_within(CRANK_FOREVER, sleeper(100000)), 0);
    return 0;
}

static int block_without_a_number(void)
{
    CRANK_TIMEOUT(t, NAN);
    crank_try(crank_sleep(1));
    return 0;
}
TEST_SIM(within, of_what_is_not_a_number_fails_at_the_first_wait)
{
    EXPECT_EQ(crank_within(NAN, sleeper(1)), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "not a number");
    EXPECT_EQ(block_without_a_number(), -EINVAL);
    CRANK_TIMEOUT(t, -NAN);
    EXPECT_EQ(crank_reschedule(&t, 5), -EINVAL);
    EXPECT(!crank_expired(&t));
    EXPECT_EQ(crank_sleep(1), -ECANCELED);
    EXPECT_EQ(crank_sleep(1), 0);
    return 0;
}

TEST_SIM(within, takes_times_of_every_size)
{
    EXPECT_EQ(crank_within((double)-INFINITY, sleeper(1)), -ETIMEDOUT);
    EXPECT_EQ(crank_within(1e300, sleeper(1)), 0);
    CRANK_TIMEOUT(t, 5);
    EXPECT_EQ(crank_reschedule(&t, 1e300), 0);
    EXPECT_EQ(crank_sleep(10), 0);
    EXPECT_EQ(crank_reschedule(&t, (double)-INFINITY), 0);
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    return 0;
}

static int tries_inside(double limit)
{
    return crank_within(limit, ({
        crank_try(crank_sleep(10));
        0;
    }));
}
static int tries_inside_a_limited_block(void)
{
    CRANK_TIMEOUT(t, 1);
    return crank_within(5.0, ({
        crank_try(crank_sleep(10));
        0;
    }));
}
TEST_SIM(within, left_by_a_try_inside_has_timed_out)
{
    EXPECT_EQ(tries_inside(1), -ETIMEDOUT);
    EXPECT_EQ(tries_inside_a_limited_block(), -ETIMEDOUT);
    EXPECT_EQ(crank_sleep(1), 0);
    return 0;
}

static const char *slow_text(double seconds)
{
    int err = crank_sleep(seconds);
    if (err < 0) {
        errno = -err;
        return NULL;
    }
    return "text";
}

TEST_SIM(within, serves_pointers_too)
{
    const char *text = crank_within(2.0, slow_text(1));
    EXPECT_STR(text, "text");
    text = crank_within(1.0, slow_text(2));
    EXPECT(text == NULL);
    EXPECT_EQ(errno, ETIMEDOUT);
    return 0;
}

TEST_SIM(within, a_value_in_spite_of_it_stands)
{
    int stubborn = crank_within(1.0, ({
        (void)crank_sleep(5);
        3;
    }));
    EXPECT_EQ(stubborn, 3);
    EXPECT_EQ(crank_sleep(0), 0);
    return 0;
}

static int declared(double limit, double seconds)
{
    CRANK_TIMEOUT(t, limit);
    crank_try(crank_sleep(seconds));
    say("in time");
    EXPECT(!crank_expired(&t));
    return 0;
}

TEST_SIM(timeout, of_no_time_has_passed_when_it_is_declared)
{
    CRANK_TIMEOUT(none, 0);
    EXPECT(crank_expired(&none));
    CRANK_TIMEOUT(some, 1e-9);
    EXPECT(!crank_expired(&some));
    return 0;
}

TEST_SIM(timeout, lasts_to_the_end_of_the_block)
{
    EXPECT_EQ(declared(2, 1), 0);
    EXPECT_EQ(declared(1, 2), -ETIMEDOUT);
    EXPECT_EQ(crank_sleep(5), 0);
    EXPECT_TRAIL("in time");
    return 0;
}

static int helper(void)
{
    crank_try(crank_sleep(10));
    return 0;
}
static int through_calls(void)
{
    CRANK_TIMEOUT(t, 1.0);
    crank_try(helper());
    return 0;
}

TEST_SIM(timeout, changes_at_the_function_that_declared_it)
{
    EXPECT_EQ(through_calls(), -ETIMEDOUT);
    return 0;
}

/* A compiler would make one frame of these calls, were the function not kept from being inlined. */
static int calls_itself(int depth)
{
    if (depth == 0)
        return crank_sleep(10);
    if (depth == 2) {
        CRANK_TIMEOUT(t, 1);
        crank_try_or(calls_itself(1), say("%d", crank_failed_); return crank_failed_);
        return 0;
    }
    crank_try_or(calls_itself(depth - 1), say("%d", crank_failed_); return crank_failed_);
    return 0;
}

TEST_SIM(timeout, changes_at_the_very_call_that_declared_it)
{
    EXPECT_EQ(calls_itself(3), -ETIMEDOUT);
    EXPECT_TRAIL("-125 -110 -110");
    return 0;
}

TEST_SIM(timeout, interrupts_once_and_says_that_it_passed)
{
    CRANK_TIMEOUT(t, 1.0);
    EXPECT_NEAR(crank_remaining(&t), 1, 0);
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    EXPECT(crank_expired(&t));
    EXPECT_EQ(crank_sleep(1), 0);
    EXPECT_NEAR(crank_remaining(&t), -1, 0);
    CRANK_TIMEOUT(none, 0);
    EXPECT_NEAR(crank_remaining(&none), 0, 0);
    return 0;
}

TEST_SIM(timeout, can_be_moved)
{
    CRANK_TIMEOUT(t, 1.0);
    EXPECT_EQ(crank_reschedule(&t, 5), 0);
    EXPECT_EQ(crank_sleep(3), 0);
    EXPECT_EQ(crank_reschedule(&t, CRANK_FOREVER), 0);
    EXPECT(crank_remaining(&t) == CRANK_FOREVER);
    EXPECT_EQ(crank_sleep(100), 0);
    EXPECT_EQ(crank_reschedule(&t, NAN), -EINVAL);
    EXPECT_EQ(crank_reschedule(&t, 0), 0);
    EXPECT_EQ(crank_sleep(1), -ECANCELED);
    EXPECT_EQ(crank_reschedule(&t, 1), -ETIME);
    return 0;
}

static int inner_first(void)
{
    CRANK_TIMEOUT(outer, 5.0);
    int err = crank_within(1.0, sleeper(10));
    say("inner=%d", err);
    crank_try(crank_sleep(10));
    return 0;
}

TEST_SIM(timeout, nested_the_inner_one_passes_first)
{
    double started = crank_time();
    EXPECT_EQ(inner_first(), -ETIMEDOUT);
    EXPECT_TRAIL("inner=-110");
    EXPECT_NEAR(crank_time() - started, 5, 0);
    return 0;
}

static int outer_first(void)
{
    CRANK_TIMEOUT(outer, 1.0);
    int err = crank_within(5.0, sleeper(10));
    say("inner=%d", err);
    crank_try(err);
    return 0;
}

TEST_SIM(timeout, nested_the_outer_one_goes_through_the_inner)
{
    EXPECT_EQ(outer_first(), -ETIMEDOUT);
    EXPECT_TRAIL("inner=-125");
    return 0;
}

static int both_at_once(void)
{
    CRANK_TIMEOUT(outer, 1.0);
    int err = crank_within(1.0, sleeper(10));
    say("inner=%d", err);
    return err;
}

TEST_SIM(timeout, nested_with_equal_times_the_older_wins)
{
    EXPECT_EQ(both_at_once(), -ECANCELED);
    EXPECT_TRAIL("inner=-125");
    return 0;
}

/* The outer limit passes after the inner one has interrupted, and before a wait could tell of it. */
static int cleanup_in_a_shield(void)
{
    int err = crank_sleep(10);
    EXPECT_EQ(crank_shield(crank_sleep(5)), 0);
    return err;
}
static int declared_around_cleanup(void)
{
    CRANK_TIMEOUT(t, 1);
    crank_try(cleanup_in_a_shield());
    return 0;
}

TEST_SIM(timeout, nested_the_outer_one_passing_during_cleanup_leaves_the_inner_its_own)
{
    EXPECT_EQ(crank_within(3.0, crank_within(1.0, cleanup_in_a_shield())), -ETIMEDOUT);
    EXPECT_EQ(crank_within(3.0, declared_around_cleanup()), -ETIMEDOUT);
    EXPECT_EQ(crank_sleep(1), 0);
    return 0;
}

static int cleanup_with_limit(void)
{
    CRANK_TIMEOUT(outer, 1.0);
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    EXPECT_EQ(crank_within(1.0, sleeper(10)), -ETIMEDOUT);
    return 0;
}

TEST_SIM(timeout, inside_an_expired_one_is_its_own)
{
    EXPECT_EQ(cleanup_with_limit(), 0);
    return 0;
}

static int limited(double limit, double seconds)
{
    int err = crank_within(limit, sleeper(seconds));
    say("%d", err);
    return err;
}

TEST_SIM(timeout, a_request_from_outside_is_not_a_timeout)
{
    crank_task *task = crank_spawn(limited, 5.0, 10.0);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("-125");
    return 0;
}

TEST_SIM(timeout, a_request_in_the_same_instant_wins_over_it)
{
    crank_task *task = crank_spawn(limited, 1.0, 10.0);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    return 0;
}

static int limited_cleanup(void)
{
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    return crank_within(1.0, sleeper(10));
}

TEST_SIM(timeout, in_the_cleanup_of_a_cancelled_task_works)
{
    crank_task *task = crank_spawn(limited_cleanup);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ETIMEDOUT);
    return 0;
}

static int limited_behind_a_shield(void)
{
    EXPECT_EQ(crank_shield(crank_within(1, crank_sleep(10))), -ETIMEDOUT);
    return crank_sleep(1);
}
TEST_SIM(timeout, behind_a_shield_leaves_the_request_outside_to_be_delivered)
{
    double started = crank_time();
    crank_task *task = crank_spawn(limited_behind_a_shield);
    crank_try(crank_sleep(0.5));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT(crank_time() == started + 1);
    return 0;
}

static int limited_after_a_request(void)
{
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    EXPECT_STR(crank_error(), "enough");
    CRANK_TIMEOUT(limit, 1);
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    EXPECT_STR(crank_error(), "enough");
    return -ECANCELED;
}
TEST_SIM(timeout, that_passes_leaves_the_reason_of_an_earlier_request)
{
    crank_task *task = crank_spawn(limited_after_a_request);
    crank_try(crank_sleep(0.5));
    crank_cancel_because(task, "enough");
    EXPECT_EQ(crank_await(task), -ECANCELED);
    return 0;
}

/* As where its frame has gone and a group's stands there. */
TEST_CHECKS(reschedule, of_a_limit_in_whose_place_a_group_is_by_now_is_refused, "the block it was declared in")
{
    CRANK_GROUP(g);
    return crank_reschedule((crank_timeout *)(void *)&g, 1);
}

static int await_child(double seconds) { return (int)crank_await(crank_spawn(sleeper, seconds)); }

TEST_SIM(timeout, cancels_a_child_that_is_awaited_inside)
{
    double started = crank_time();
    EXPECT_EQ(crank_within(1.0, await_child(10)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - started, 1, 0);
    return 0;
}

TEST_SIM(timeout, many_at_once_fire_in_order)
{
    static crank_task *tasks[100];
    double started = crank_time();
    for (int i = 0; i < 100; i++)
        tasks[i] = crank_spawn(limited, 0.1 * (100 - i), 1000.0);
    crank_outcome outcomes[100];
    EXPECT_EQ(crank_gather_settled_n(tasks, 100, outcomes), 0);
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(outcomes[i].error, -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - started, 10, 1e-6);
    return 0;
}

/* ---- shields */

static int shielded(void)
{
    int inside = crank_shield(sleeper(2));
    int after = crank_sleep(1);
    say("%d %d", inside, after);
    return after;
}

TEST_SIM(shield, hides_a_request_until_its_end)
{
    crank_task *task = crank_spawn(shielded);
    crank_try(crank_sleep(1));
    double asked = crank_time();
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("0 -125");
    EXPECT_NEAR(crank_time() - asked, 1, 0);
    return 0;
}

static int shielded_with_limit(void)
{
    int inside = crank_shield(crank_within(1.0, sleeper(10)));
    int after = crank_sleep(0);
    say("%d %d", inside, after);
    return 0;
}

TEST_SIM(shield, lets_limits_inside_it_work)
{
    crank_task *task = crank_spawn(shielded_with_limit);
    crank_try(crank_sleep(0.5));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("-110 -125");
    return 0;
}

static int limit_around_shield(void)
{
    double started = crank_time();
    int err = crank_within(1.0, crank_shield(sleeper(3)));
    say("%d %.0f", err, crank_time() - started);
    return 0;
}

TEST_SIM(shield, hides_a_limit_around_it)
{
    crank_try(limit_around_shield());
    EXPECT_TRAIL("0 3");
    EXPECT_EQ(crank_sleep(0), 0);
    return 0;
}

TEST_SIM(shield, a_request_made_before_it_stays_pending_through_it)
{
    crank_cancel(crank_self());
    EXPECT_EQ(crank_shield(sleeper(1)), 0);
    EXPECT_EQ(crank_sleep(1), -ECANCELED);
    crank_uncancel(NULL);
    return 0;
}

/* ---- sleep */

TEST_SIM(sleep, takes_exactly_as_long_as_asked)
{
    double started = crank_time();
    EXPECT_EQ(crank_sleep(1.5), 0);
    EXPECT_NEAR(crank_time() - started, 1.5, 0);
    EXPECT_EQ(crank_sleep(-5), 0);
    EXPECT_EQ(crank_sleep(0), 0);
    EXPECT_NEAR(crank_time() - started, 1.5, 0);
    return 0;
}

TEST_EACH_BACKEND(sleep, refuses_what_is_not_a_number)
{
    EXPECT_EQ(crank_sleep(NAN), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "not a number");
    EXPECT_EQ(crank_sleep_until(NAN), -EINVAL);
    return 0;
}

TEST_SIM(sleep, huge_and_infinite_times_clamp)
{
    EXPECT_EQ(crank_within(1.0, crank_sleep(1e300)), -ETIMEDOUT);
    EXPECT_EQ(crank_within(1.0, crank_sleep(CRANK_FOREVER)), -ETIMEDOUT);
    return 0;
}

TEST_SIM(sleep, until_a_time_gone_by_lets_others_run_once)
{
    EXPECT_EQ(crank_sleep_until(crank_time() + 2), 0);
    EXPECT_EQ(crank_sleep_until(0), 0);
    return 0;
}

TEST_SIM(sleep, until_a_time_does_not_end_before_it)
{
    double begin = crank_time();
    for (int i = 1; i <= 100; i++) {
        double time = begin + i * 0.0123456789012345;
        EXPECT_EQ(crank_sleep_until(time), 0);
        EXPECT(crank_time() >= time);
    }
    return 0;
}

static int sleep_and_say(double seconds, const char *name)
{
    crank_try(crank_sleep(seconds));
    say("%s", name);
    return 0;
}

TEST_EACH_BACKEND(sleep, wakes_in_the_order_of_deadlines_and_age)
{
    double soon = SOON;
    crank_task *a = crank_spawn(say_at, soon + 0.002, "c"), *b = crank_spawn(say_at, soon, "a"),
               *c = crank_spawn(say_at, soon + 0.001, "b");
    crank_try(crank_gather(NULL, a, b, c));
    EXPECT_TRAIL("a b c");
    return 0;
}

TEST_SIM(sleep, with_equal_deadlines_wakes_in_the_order_of_asking)
{
    crank_task *a = crank_spawn(sleep_and_say, 1.0, "a"), *b = crank_spawn(sleep_and_say, 1.0, "b"),
               *c = crank_spawn(sleep_and_say, 1.0, "c");
    crank_try(crank_gather(NULL, a, b, c));
    EXPECT_TRAIL("a b c");
    return 0;
}

/* ---- scopes left by longjmp */

static jmp_buf outside;
__attribute__((noinline)) static void jump_out_of_a_limit(void)
{
    CRANK_TIMEOUT(t, 5);
    longjmp(outside, 1);
}
__attribute__((noinline)) static void jump_out_of_a_group(void)
{
    CRANK_GROUP(g);
    longjmp(outside, 1);
}
__attribute__((noinline)) static int enter_and_leave(void)
{
    CRANK_TIMEOUT(t, 5);
    return 0;
}

TEST_CHECKS(timeout, left_by_longjmp_is_refused_at_the_edge_around_it, "longjmp")
{
    CRANK_TIMEOUT(t, 10);
    if (setjmp(outside) == 0)
        jump_out_of_a_limit();
    return 0;
}
TEST_CHECKS(timeout, left_by_longjmp_is_refused_when_the_task_ends, "longjmp")
{
    if (setjmp(outside) == 0)
        jump_out_of_a_limit();
    return enter_and_leave();
}
TEST_CHECKS(group, left_by_longjmp_is_refused, "longjmp")
{
    if (setjmp(outside) == 0)
        jump_out_of_a_group();
    return enter_and_leave();
}
