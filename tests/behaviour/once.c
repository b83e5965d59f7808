/* SPDX-License-Identifier: MIT */
/* once.c: a request reaches each task once, and none is lost on its way.
 *
 * Requests travel: from a caller to what it awaits, from a group to its children, from a future to who
 * waits for it. Where two of these ways meet, a task must not be asked or woken twice for one reason. */
#include "context/fiber.h"
#include "trail.h"

/* Sleeps until asked to stop, cleans up for a second, and says what each wait gave. */
static int slow_to_end(void)
{
    int first = crank_sleep(100);
    int second = crank_sleep(1);
    say("%d %d %u", first, second, crank_cancelling(NULL));
    return first;
}

static int await_future(crank_future *future)
{
    int err = (int)crank_await(future);
    int after = crank_sleep(0);
    say("%d %d", err, after);
    return err;
}

TEST_EACH_BACKEND(once, who_waits_for_a_future_gathered_beside_it_is_woken_once)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_task *waiter = crank_spawn(await_future, future);
    crank_task *other = crank_spawn(slow_to_end);
    crank_task *canceller = crank_spawn(crank_cancel, waiter);
    EXPECT_EQ(crank_gather(NULL, waiter, future, other), -ECANCELED);
    crank_try(settle());
    EXPECT_EQ(crank_await(canceller), 0);
    EXPECT_TRAIL("-125 0 -125 0 1");
    return 0;
}

static int gather_both(crank_future *future, crank_task *task) { return crank_gather(NULL, future, task); }

TEST_SIM(once, a_cancelled_gather_asks_each_task_once_though_a_future_ends_at_once)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_task *task = crank_spawn(slow_to_end);
    crank_task *both = crank_spawn(gather_both, future, task);
    crank_try(crank_sleep(1));
    crank_cancel(both);
    EXPECT_EQ(crank_await(both), -ECANCELED);
    EXPECT_TRAIL("-125 0 1");
    return 0;
}

TEST_SIM(once, a_gather_begun_with_a_failure_asks_each_task_once)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_task *task = crank_spawn(slow_to_end);
    crank_task *bad = crank_spawn(crank_sleep, (double)NAN);
    crank_try(crank_sleep(1));
    EXPECT_EQ(crank_gather(NULL, bad, future, task), -EINVAL);
    EXPECT_TRAIL("-125 0 1");
    return 0;
}

static int fail_in_cleanup(void)
{
    (void)crank_sleep(100);
    return crank_fail(EIO, "while cleaning up");
}

static int open_two(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, slow_to_end);
    crank_group_spawn(&group, fail_in_cleanup);
    return crank_group_wait(&group);
}

TEST_SIM(once, a_child_that_fails_in_its_cleanup_does_not_disturb_that_of_others)
{
    crank_task *opener = crank_spawn(open_two);
    crank_try(crank_sleep(1));
    crank_cancel(opener);
    EXPECT_EQ(crank_await(opener), -EIO);
    EXPECT_TRAIL("-125 0 1");
    return 0;
}

static int leave_two(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, slow_to_end);
    crank_group_spawn(&group, fail_in_cleanup);
    return crank_sleep(0);
}

static char reported[512];
static int reports;
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    reports++;
    snprintf(reported, sizeof reported, "%s", report->text);
}
static const crank_options kept = { .backend = CRANK_BACKEND_SIM, .on_report = keep };

TEST(once, nor_does_it_where_the_block_is_left)
{
    EXPECT_EQ(crank_run_with(&kept, leave_two), 0);
    EXPECT_TRAIL("-125 0 1");
    EXPECT_CONTAINS(reported, "while cleaning up");
    EXPECT_EQ(reports, 1);
}

static int two_requests(void)
{
    crank_task *opener = crank_spawn(open_two);
    crank_try(crank_sleep(1));
    crank_cancel(opener);
    crank_try(crank_sleep(0.5));
    crank_cancel(opener);
    return (int)crank_await(opener) == -EIO ? 0 : -EINVAL;
}

TEST_SIM(once, a_second_request_to_the_opener_is_not_passed_on)
{
    crank_try(two_requests());
    EXPECT_TRAIL("-125 0 1");
    return 0;
}

/* ---- nothing is lost between */

/* So many calls without a wait that the next one makes room for others. */
static void spend_budget(crank_event *set)
{
    for (int i = 0; i < CR_BUDGET - 1; i++)
        EXPECT_EQ(crank_event_wait(set), 0);
}

static int seven(void) { return 7; }

static int gather_at_the_end_of_the_budget(crank_event *set)
{
    long result = 0;
    crank_task *task = crank_spawn(seven);
    crank_try(crank_sleep(0));
    spend_budget(set);
    int err = crank_gather(&result, task);
    int after = crank_sleep(0);
    say("%d %d", err, after);
    return 0;
}

TEST_SIM(once, a_request_that_comes_while_a_gather_makes_room_is_not_lost)
{
    CRANK_EVENT(set);
    crank_event_set(set);
    crank_task *task = crank_spawn(gather_at_the_end_of_the_budget, set);
    crank_try(crank_sleep(0));
    crank_try(crank_sleep(0));
    crank_cancel(task);
    crank_try((int)crank_await(task));
    EXPECT_TRAIL("-125 0");
    return 0;
}

static int group_at_the_end_of_the_budget(crank_event *set)
{
    CRANK_GROUP(group);
    crank_try(crank_sleep(0));
    crank_try(crank_sleep(0));
    spend_budget(set);
    int err = crank_group_wait(&group);
    int after = crank_sleep(0);
    say("%d %d", err, after);
    return 0;
}

TEST_SIM(once, a_request_that_comes_while_a_group_makes_room_is_not_lost)
{
    CRANK_EVENT(set);
    crank_event_set(set);
    crank_task *task = crank_spawn(group_at_the_end_of_the_budget, set);
    crank_try(crank_sleep(0));
    crank_try(crank_sleep(0));
    crank_try(crank_sleep(0));
    crank_cancel(task);
    crank_try((int)crank_await(task));
    EXPECT_TRAIL("-125 0");
    return 0;
}

static int gather_forever(int *rounds)
{
    for (;; ++*rounds) {
        if (*rounds == 10)
            return -ELOOP;
        crank_try(crank_gather(NULL, crank_spawn(seven), crank_spawn(seven)));
    }
}

TEST_SIM(once, a_loop_of_gathers_whose_tasks_never_wait_can_be_cancelled)
{
    int rounds = 0;
    crank_task *task = crank_spawn(gather_forever, &rounds);
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_EQ(rounds, 0);
    return 0;
}

static int fail_at_once(void) { return crank_fail(EIO, "the disk is gone"); }

static int gather_and_fail(void) { return crank_gather(NULL, crank_spawn(fail_in_cleanup), crank_spawn(slow_to_end)); }

TEST_SIM(once, a_failure_beats_the_request_to_a_gather_which_stays)
{
    crank_task *task = crank_spawn(gather_and_fail);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -EIO);
    EXPECT_STR(crank_error(), "while cleaning up");
    EXPECT_TRAIL("-125 0 1");
    return 0;
}

static int await_when_asked(int (*what)(void), bool ended)
{
    crank_task *child = crank_spawn(what);
    if (ended)
        crank_try(crank_sleep(0));
    crank_cancel(crank_self());
    EXPECT_EQ(crank_await(child), -ECANCELED);
    return 0;
}

TEST(once, a_failure_that_a_pending_request_hides_is_reported)
{
    EXPECT_EQ(crank_run_with(&kept, await_when_asked, fail_at_once, true), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_EQ(crank_run_with(&kept, await_when_asked, fail_at_once, false), 0);
    EXPECT_EQ(reports, 2);
    EXPECT_CONTAINS(reported, "the disk is gone");
    EXPECT_EQ(crank_run_with(&kept, await_when_asked, slow_to_end, false), 0);
    EXPECT_EQ(reports, 2);
}

/* A function that gives a pointer, in crank_try's way. */
static void *pointer_after_a_wait(void)
{
    static int thing;
    crank_try_null(crank_sleep(100));
    return &thing;
}
static int await_pointer(void)
{
    (void)crank_fail(EIO, "dealt with");
    errno = 0;
    const void *p = crank_await_ptr(crank_spawn(pointer_after_a_wait));
    int err = errno;
    int after = crank_sleep(0);
    say("%d %d %d", p == NULL, err, after);
    return 0;
}

TEST_SIM(once, a_cancelled_await_of_a_pointer_is_one_interruption)
{
    crank_task *task = crank_spawn(await_pointer);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    crank_try((int)crank_await(task));
    EXPECT_TRAIL("1 125 0");
    return 0;
}

/* ---- reasons */

static int fail_and_clean_up(void)
{
    int err = crank_fail(EIO, "the disk is gone");
    (void)crank_shield(crank_sleep(1));
    return err;
}

TEST_SIM(reason, of_a_cancellation_leaves_the_tasks_own_failure_alone)
{
    crank_task *task = crank_spawn(fail_and_clean_up);
    crank_try(crank_sleep(0.5));
    crank_cancel_because(task, "no longer needed");
    EXPECT_EQ(crank_await(task), -EIO);
    EXPECT_STR(crank_error(), "the disk is gone");
    return 0;
}

static int asked_twice(void)
{
    EXPECT_EQ(crank_sleep(100), -ECANCELED);
    EXPECT_STR(crank_error(), "first");
    crank_uncancel(NULL);
    EXPECT_EQ(crank_sleep(100), -ECANCELED);
    EXPECT_STR(crank_error(), "");
    return 0;
}

TEST_SIM(reason, of_an_earlier_request_is_not_that_of_the_next)
{
    crank_task *task = crank_spawn(asked_twice);
    crank_try(crank_sleep(1));
    crank_cancel_because(task, "first");
    crank_try(crank_sleep(1));
    crank_cancel(task);
    return (int)crank_await(task);
}

TEST_SIM(reason, reaches_who_awaits_a_task_that_never_ran)
{
    CRANK_GROUP_LIMIT(group, 1);
    crank_group_spawn(&group, crank_sleep, 1.0);
    crank_task *held = crank_group_spawn(&group, crank_sleep, 1.0);
    crank_cancel_because(held, "too late");
    EXPECT_EQ(crank_group_wait(&group), 0);
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_cancel_because(crank_future_task(future), "nobody sets it");
    EXPECT_EQ(crank_await(future), -ECANCELED);
    EXPECT_STR(crank_error(), "nobody sets it");
    return 0;
}

/* ---- in the same instant */

static int within_when_asked(void)
{
    crank_cancel(crank_self());
    return crank_within(0, crank_sleep(1));
}

TEST_SIM(once, a_request_pending_when_a_limit_begins_is_no_timeout)
{
    EXPECT_EQ(crank_await(crank_spawn(within_when_asked)), -ECANCELED);
    return 0;
}

static int within_an_expired_one(void)
{
    CRANK_TIMEOUT(outer, 0);
    int err = crank_within(0, crank_sleep(1));
    int after = crank_sleep(0);
    say("%d %d %d", err, after, crank_expired(&outer));
    return 0;
}

TEST_SIM(once, a_limit_around_that_has_passed_unnoticed_goes_before_one_inside)
{
    crank_try((int)crank_await(crank_spawn(within_an_expired_one)));
    EXPECT_TRAIL("-125 0 1");
    return 0;
}

/* ---- chains of waits */

static int await_below(int depth)
{
    return depth == 0 ? crank_sleep(100) : (int)crank_await(crank_spawn(await_below, depth - 1));
}
static int group_below(int depth)
{
    CRANK_GROUP(group);
    if (depth == 0)
        return crank_sleep(100);
    crank_group_spawn(&group, group_below, depth - 1);
    return crank_group_wait(&group);
}
static int gather_below(int depth)
{
    return depth == 0 ? crank_sleep(100) : crank_gather(NULL, crank_spawn(gather_below, depth - 1));
}

static int cancel_chain(int (*below)(int depth))
{
    crank_task *task = crank_spawn(below, 3000);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    return 0;
}
TEST_SIM(once, a_request_goes_down_a_chain_of_three_thousand_awaits) { return cancel_chain(await_below); }
TEST_SIM(once, a_request_goes_down_a_chain_of_three_thousand_groups) { return cancel_chain(group_below); }
TEST_SIM(once, a_request_goes_down_a_chain_of_three_thousand_gathers) { return cancel_chain(gather_below); }
