/* SPDX-License-Identifier: MIT */
/* cancel.c: requests to stop: delivered once, by a wait, counted, refusable, never losing a result. */
#include "trail.h"

static int sleeper(double seconds)
{
    int err = crank_sleep(seconds);
    say("%d", err);
    return err;
}

TEST_EACH_BACKEND(cancel, makes_the_current_wait_return)
{
    crank_task *task = crank_spawn(sleeper, 3600.0);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("-125");
    return 0;
}

TEST_EACH_BACKEND(cancel, before_the_first_run_lets_it_start_and_fails_its_first_wait)
{
    crank_task *task = crank_spawn(sleeper, 3600.0);
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("-125");
    return 0;
}

static int wait_twice(void)
{
    int first = crank_sleep(10);
    int second = crank_sleep(1);
    say("%d %d", first, second);
    return 0;
}

TEST_SIM(cancel, is_delivered_once_so_that_cleanup_may_wait)
{
    crank_task *task = crank_spawn(wait_twice);
    crank_try(crank_sleep(1));
    double asked = crank_time();
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("-125 0");
    EXPECT_NEAR(crank_time() - asked, 1, 0);
    return 0;
}

TEST_SIM(cancel, twice_before_delivery_is_one_interruption_and_two_requests)
{
    crank_task *task = crank_spawn(wait_twice);
    crank_cancel(task);
    crank_cancel(task);
    EXPECT_EQ(crank_cancelling(task), 2);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("-125 0");
    return 0;
}

TEST_SIM(cancel, again_during_cleanup_interrupts_the_cleanup)
{
    crank_task *task = crank_spawn(wait_twice);
    crank_try(crank_sleep(0));
    crank_cancel(task);
    crank_try(crank_sleep(0.5));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("-125 -125");
    return 0;
}

static int uncancelled(void)
{
    int err = crank_sleep(10);
    EXPECT_EQ(err, -ECANCELED);
    EXPECT(crank_cancelled());
    EXPECT_EQ(crank_cancelling(NULL), 1);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    EXPECT(!crank_cancelled());
    EXPECT_EQ(crank_uncancel(NULL), 0);
    return crank_sleep(1);
}

TEST_SIM(cancel, can_be_taken_back_by_the_task)
{
    crank_task *task = crank_spawn(uncancelled);
    crank_try(crank_sleep(0));
    crank_cancel(task);
    EXPECT_EQ(crank_await_shared(task), 0);
    EXPECT(!crank_was_cancelled(task));
    EXPECT_EQ(crank_await(task), 0);
    return 0;
}

/* Both are over at once: the limit, and a request that comes after the first was taken back. */
static int takes_back_in_a_limit(void)
{
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    CRANK_TIMEOUT(limit, 1.0);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    crank_try(crank_sleep(2));
    return 0;
}
static int takes_back_before_a_limit(void)
{
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    CRANK_TIMEOUT(limit, 1.0);
    crank_try(crank_sleep(2));
    return 0;
}
static int takes_back_one_of_two(void)
{
    EXPECT_EQ(crank_sleep(10), -ECANCELED);
    CRANK_TIMEOUT(limit, 0.0);
    crank_cancel(crank_self()); /* pending: it stays */
    EXPECT_EQ(crank_uncancel(NULL), 1);
    crank_try(crank_sleep(2));
    return 0;
}
static int cancelled_twice(int (*fn)(void), double second)
{
    crank_task *task = crank_spawn(fn);
    crank_try(crank_sleep(0.5));
    crank_cancel(task);
    crank_try(crank_sleep(second));
    crank_cancel(task);
    int err = (int)crank_await_shared(task);
    EXPECT_EQ(crank_was_cancelled(task), err == -ECANCELED);
    crank_drop(task);
    return err;
}
TEST_SIM(cancel, again_after_it_was_taken_back_inside_a_limit_is_not_taken_for_that)
{
    EXPECT_EQ(cancelled_twice(takes_back_in_a_limit, 1), -ECANCELED);
    EXPECT_EQ(cancelled_twice(takes_back_before_a_limit, 1), -ECANCELED);
    EXPECT_EQ(cancelled_twice(takes_back_one_of_two, 1), -ECANCELED);
    EXPECT_EQ(cancelled_twice(takes_back_in_a_limit, 3), -ETIMEDOUT);
    EXPECT_EQ(cancelled_twice(takes_back_before_a_limit, 3), -ETIMEDOUT);
    return 0;
}

TEST_SIM(cancel, taken_back_before_delivery_is_not_delivered)
{
    crank_task *task = crank_spawn(sleeper, 1.0);
    crank_cancel(task);
    EXPECT_EQ(crank_uncancel(task), 0);
    EXPECT_EQ(crank_await(task), 0);
    return 0;
}

TEST_EACH_BACKEND(cancel, of_oneself_is_noticed_by_the_next_wait_even_one_that_need_not_wait)
{
    CRANK_EVENT(event);
    crank_event_set(event);
    crank_try(crank_event_wait(event));
    crank_cancel(crank_self());
    EXPECT_EQ(crank_event_wait(event), -ECANCELED);
    EXPECT_EQ(crank_event_wait(event), 0);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    return 0;
}

TEST_EACH_BACKEND(cancel, of_an_ended_task_fails)
{
    crank_task *task = crank_spawn(sleeper, 0.0);
    crank_try(settle());
    EXPECT_EQ(crank_cancel(task), -ESRCH);
    EXPECT_EQ(crank_cancel_because(task, "too late"), -ESRCH);
    EXPECT_EQ(crank_await(task), 0);
    return 0;
}

static int reason(void)
{
    int err = crank_sleep(10);
    say("%s", crank_error());
    return err;
}

TEST_EACH_BACKEND(cancel, because_gives_the_reason_to_the_task_and_to_who_awaits_it)
{
    crank_task *task = crank_spawn(reason);
    crank_try(crank_sleep(0));
    crank_cancel_because(task, "shutting %s", "down");
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("shutting down");
    EXPECT_STR(crank_error(), "shutting down");
    return 0;
}

static int await_sleeper(double seconds)
{
    crank_task *child = crank_spawn(sleeper, seconds);
    long value = crank_await(child);
    say("awaited %ld", value);
    return (int)value;
}

TEST_SIM(cancel, of_an_awaiting_task_cancels_what_it_awaits_and_waits_for_it)
{
    crank_task *task = crank_spawn(await_sleeper, 10.0);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("-125 awaited -125");
    return 0;
}

static int stubborn(void)
{
    int err = crank_sleep(10);
    (void)err;
    crank_try(crank_sleep(1));
    return 42;
}
static int await_stubborn(void)
{
    long value = crank_await(crank_spawn(stubborn));
    int err = crank_sleep(1);
    say("%ld then %d", value, err);
    return 0;
}

TEST_SIM(cancel, a_result_beats_it_and_the_request_stays)
{
    crank_task *task = crank_spawn(await_stubborn);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("42 then -125");
    return 0;
}

static int cancelled_before_await(crank_task *child)
{
    crank_cancel(crank_self());
    long value = crank_await(child);
    say("%ld", value);
    return 0;
}

TEST_SIM(cancel, pending_when_an_await_begins_ends_the_child_first)
{
    crank_task *child = crank_spawn(sleeper, 10.0);
    crank_try(crank_await(crank_spawn(cancelled_before_await, child)));
    EXPECT_TRAIL("-125 -125");
    return 0;
}

static int wake_then_cancel(crank_event *event, crank_task *task, bool cancel_first)
{
    if (cancel_first)
        crank_cancel(task);
    crank_event_set(event);
    if (!cancel_first)
        crank_cancel(task);
    return 0;
}
static int wait_event(crank_event *event)
{
    int first = crank_event_wait(event);
    int second = crank_sleep(0);
    say("%d %d", first, second);
    return 0;
}

TEST_EACH_BACKEND(cancel, in_the_same_turn_after_the_wake_keeps_the_result_and_stays_pending)
{
    CRANK_EVENT(event);
    crank_task *task = crank_spawn(wait_event, event);
    crank_try(crank_sleep(0));
    crank_try(crank_await(crank_spawn(wake_then_cancel, event, task, false)));
    crank_try((int)crank_await(task));
    EXPECT_TRAIL("0 -125");
    return 0;
}

TEST_EACH_BACKEND(cancel, in_the_same_turn_before_the_wake_wins)
{
    CRANK_EVENT(event);
    crank_task *task = crank_spawn(wait_event, event);
    crank_try(crank_sleep(0));
    crank_try(crank_await(crank_spawn(wake_then_cancel, event, task, true)));
    crank_try((int)crank_await(task));
    EXPECT_TRAIL("-125 0");
    return 0;
}

static int report_count;
static char report_text[2048];
static void keep_report(const crank_report *report, void *arg)
{
    (void)arg;
    if (report->kind == CRANK_REPORT_SWALLOWED)
        report_count++;
    snprintf(report_text, sizeof report_text, "%s", report->text);
}
static int ignore_for(double seconds)
{
    double until = crank_time() + seconds;
    while (crank_time() < until)
        (void)crank_sleep(1);
    return 0;
}
static int leave_an_ignorer(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, ignore_for, 25.0);
    crank_try(crank_sleep(0.5));
    return 0;
}

TEST(cancel, that_is_ignored_is_named_after_the_grace_period)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .grace = 5, .on_report = keep_report };
    EXPECT_EQ(crank_run_with(&options, leave_an_ignorer), 0);
    EXPECT_EQ(report_count, 1);
    EXPECT_CONTAINS(report_text, "has not ended within 5 s");
    EXPECT_CONTAINS(report_text, "ignore_for");
}

static int ignored_in_await(void)
{
    crank_task *self_child = crank_spawn(ignore_for, 25.0);
    long value = crank_await(self_child);
    return value == 0 ? 0 : (int)value;
}
static int cancel_ignored_await(void)
{
    crank_task *task = crank_spawn(ignored_in_await);
    crank_try(crank_sleep(0.5));
    crank_cancel(task);
    return crank_await(task) == 0 ? 0 : 1;
}

static int cancel_then_await(void)
{
    crank_task *task = crank_spawn(ignore_for, 25.0);
    crank_try(crank_sleep(0.5));
    crank_cancel(task);
    return (int)crank_await(task);
}
TEST(cancel, ignored_by_a_task_that_is_awaited_after_is_named_too)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .grace = 5, .on_report = keep_report };
    report_count = 0;
    EXPECT_EQ(crank_run_with(&options, cancel_then_await), 0);
    EXPECT_EQ(report_count, 1);
}

TEST(cancel, ignored_by_what_is_awaited_is_named_too)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .grace = 5, .on_report = keep_report };
    report_count = 0;
    EXPECT_EQ(crank_run_with(&options, cancel_ignored_await), 0);
    EXPECT_EQ(report_count, 2); /* by its parent, and by app, which cancelled that */
}

/* Whoever waits for tasks that were asked to end names one that does not, once, and asks again. */
static int fails_soon(void)
{
    crank_try(crank_sleep(1));
    return crank_fail(EPROTO, "broke");
}
static int gathers_an_ignorer(void)
{
    return crank_gather(NULL, crank_spawn(ignore_for, 26.0), crank_spawn(fails_soon)) == -EPROTO ? 0 : 1;
}
static int groups_an_ignorer(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, ignore_for, 26.0);
    crank_group_spawn(&g, fails_soon);
    return crank_group_wait(&g) == -EPROTO ? 0 : 1;
}
static int limits_an_ignorer(void) { return crank_within(1.0, (int)crank_await(crank_spawn(ignore_for, 26.0))); }
static int leaves_one_and_fails(void)
{
    crank_spawn(ignore_for, 26.0);
    return fails_soon();
}
static int awaits_who_left_one(void) { return crank_await(crank_spawn(leaves_one_and_fails)) == -EPROTO ? 0 : 1; }
static int leaves_one(void)
{
    crank_spawn(ignore_for, 26.0);
    return 0;
}
static int cancels_who_left_one(void)
{
    crank_task *task = crank_spawn(leaves_one);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    return (int)crank_await_shared(task);
}
static int detaches_one(void)
{
    crank_detach(crank_spawn(ignore_for, 26.0));
    return crank_sleep(0.5);
}

TEST(cancel, ignored_is_named_by_all_who_wait_for_the_end)
{
    int (*const apps[])(void) = { gathers_an_ignorer, groups_an_ignorer, limits_an_ignorer, awaits_who_left_one,
        cancels_who_left_one, leaves_one, detaches_one };
    for (size_t i = 0; i < CRANK_COUNT(apps); i++) {
        crank_options options = {
            .backend = CRANK_BACKEND_SIM, .grace = 5, .leftovers = CRANK_CANCEL, .on_report = keep_report
        };
        report_count = 0;
        EXPECT_EQ(crank_run_with(&options, apps[i]), 0);
        EXPECT_EQ(report_count, 1);
        EXPECT_CONTAINS(report_text, "has not ended within 5 s");
        EXPECT_CONTAINS(report_text, "ignore_for");
    }
}

static int counts_requests(void)
{
    int count = 0;
    double until = crank_time() + 26;
    while (crank_time() < until)
        count += crank_sleep(1) == -ECANCELED;
    say("%d", count);
    return 0;
}
static int group_left_with_one(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, counts_requests);
    return crank_sleep(0.5);
}
static int left_with_one(void)
{
    crank_spawn(counts_requests);
    return crank_sleep(0.5);
}
static int detached_with_one(void)
{
    crank_detach(crank_spawn(counts_requests));
    return crank_sleep(0.5);
}
TEST(cancel, ignored_is_asked_again_after_each_grace_period)
{
    int (*const apps[])(void) = { group_left_with_one, left_with_one, detached_with_one };
    for (size_t i = 0; i < CRANK_COUNT(apps); i++) {
        crank_options options = {
            .backend = CRANK_BACKEND_SIM, .grace = 5, .leftovers = CRANK_CANCEL, .on_report = keep_report
        };
        EXPECT_EQ(crank_run_with(&options, apps[i]), 0);
        EXPECT_TRAIL("6"); /* at 0.5 s, and 5 times 5 s after */
    }
}
