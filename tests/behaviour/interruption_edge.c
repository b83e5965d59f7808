/* SPDX-License-Identifier: MIT */
/* interruption_edge.c: whose an -ECANCELED is at the edges of scopes, and what stays pending after. */
#include "seen.h"

/* ---- R4: limits and groups within each other */

static int two_limits(struct seen *seen)
{
    CRANK_TIMEOUT(outer, 1);
    seen->wait = crank_within(1, crank_sleep(100));
    crank_try(seen->wait);
    return 0;
}

TEST_SIM(interruption, of_two_limits_of_one_instant_is_claimed_by_the_outer)
{
    struct seen seen = { 0 };
    seen.edge = two_limits(&seen);
    look_at_next(&seen);
    EXPECT_EQ(seen.wait, -ECANCELED);
    EXPECT_SEEN(seen, -ETIMEDOUT, 0);
    return 0;
}

static int failing_group(struct seen *seen)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, fail_at, 1.0);
    seen->wait = crank_sleep(100);
    seen->edge = crank_group_wait(&group);
    look_at_next(seen);
    return 0;
}

static int count_reports(const crank_report *report, void *arg)
{
    (void)report;
    return ++*(int *)arg;
}
static void on_report(const crank_report *report, void *arg) { (void)count_reports(report, arg); }

static int failure_and_request(struct seen *seen)
{
    crank_task *task = NULL;
    crank_task *canceller = crank_spawn(cancel_at, 1.0, &task, 1);
    task = crank_spawn(failing_group, seen);
    EXPECT_EQ(crank_await_shared(task), 0);
    EXPECT_EQ(crank_await(canceller), 0);
    crank_drop(task);
    return 0;
}

TEST(interruption, of_a_group_that_failed_leaves_a_request_of_the_same_turn)
{
    struct seen seen = { 0 };
    int reports = 0;
    long result =
        crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM, .on_report = on_report, .on_report_arg = &reports),
            failure_and_request, &seen);
    EXPECT_EQ(result, 0);
    EXPECT_EQ(seen.wait, -ECANCELED);
    EXPECT_SEEN(seen, -EIO, -ECANCELED);
    EXPECT_EQ(reports, 0);
}

static int failing_group_tried(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, fail_at, 1.0);
    crank_try(crank_sleep(100));
    return 0;
}

static int tries_a_group(struct seen *seen)
{
    seen->edge = failing_group_tried();
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, that_crank_try_claims_for_a_group_leaves_a_request_of_the_same_turn)
{
    struct seen seen = { 0 };
    crank_task *task = NULL;
    crank_task *canceller = crank_spawn(cancel_at, 1.0, &task, 1);
    crank_try(crank_sleep(0));
    task = crank_spawn(tries_a_group, &seen);
    EXPECT_EQ(crank_await_shared(task), 0);
    EXPECT_SEEN(seen, -EIO, -ECANCELED);
    EXPECT_EQ(crank_await(canceller), 0);
    crank_drop(task);
    return 0;
}

static int group_fails_in_its_cleanup(struct seen *seen, struct seen *child)
{
    seen->edge = wait_for_group(child, -EIO);
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_group_wait_whose_child_then_fails_stays_for_the_next)
{
    struct seen seen = { 0 }, child = { 0 };
    run_cancelled(crank_spawn(group_fails_in_its_cleanup, &seen, &child), 1.0, 1);
    EXPECT_SEEN(seen, -EIO, -ECANCELED);
    return 0;
}

static int fail_so(double seconds, int error)
{
    crank_try(crank_sleep(seconds));
    return -error;
}

TEST_SIM(interruption, of_two_groups_that_fail_in_one_turn_comes_out_of_both)
{
    CRANK_GROUP(outer);
    crank_group_spawn(&outer, fail_so, 1.0, ENOENT);
    struct seen seen = { 0 };
    {
        CRANK_GROUP(inner);
        crank_group_spawn(&inner, fail_so, 1.0, EIO);
        EXPECT_EQ(crank_sleep(100), -ECANCELED);
        seen.edge = crank_group_wait(&inner);
    }
    look_at_next(&seen);
    EXPECT_SEEN(seen, -EIO, -ECANCELED);
    EXPECT_EQ(crank_group_wait(&outer), -ENOENT);
    EXPECT_EQ(crank_sleep(0), 0);
    return 0;
}

static int cancelled_group(struct seen *seen, struct seen *child, double limit)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, cleaning, child, 2.0, -ECANCELED);
    crank_try(crank_sleep(0));
    crank_group_cancel(&group);
    seen->edge = crank_within(limit, crank_group_wait(&group));
    return 0;
}

TEST_SIM(interruption, of_a_wait_for_a_cancelled_group_is_told)
{
    struct seen seen = { 0 }, child = { 0 };
    EXPECT_EQ(cancelled_group(&seen, &child, 1), 0);
    EXPECT_EQ(seen.edge, -ETIMEDOUT);
    EXPECT(child.tidy);

    run_cancelled(crank_spawn(cancelled_group, &seen, &child, 100.0), 1.0, 1);
    EXPECT_EQ(seen.edge, -ECANCELED);
    EXPECT(child.tidy);
    return 0;
}

/* ---- R3: a value or a failure answers nothing */

static int awaits(struct seen *seen, struct seen *child, int result)
{
    seen->edge = (int)crank_await(crank_spawn(cleaning, child, 1.0, result));
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_an_await_whose_task_gives_a_value_or_fails_stays)
{
    for (int result = 7; result >= -EIO; result -= 7 + EIO) {
        struct seen seen = { 0 }, child = { 0 };
        run_cancelled(crank_spawn(awaits, &seen, &child, result), 1.0, 1);
        EXPECT_SEEN(seen, result, -ECANCELED);
        EXPECT(child.tidy);
    }
    return 0;
}

TEST_SIM(interruption, of_an_await_that_began_with_one_pending_is_one_for_both)
{
    struct seen seen = { 0 }, child = { 0 };
    crank_task *task = crank_spawn(awaits, &seen, &child, 7);
    crank_cancel(task);
    crank_task *canceller = crank_spawn(cancel_at, 0.5, &task, 1);
    EXPECT_EQ(crank_await_shared(task), 0);
    EXPECT_SEEN(seen, -ECANCELED, 0);
    EXPECT_EQ(seen.count, 2);
    EXPECT_EQ(crank_await(canceller), 0);
    crank_drop(task);
    return 0;
}

static int gets(struct seen *seen, crank_queue *queue)
{
    int value = 0;
    seen->edge = crank_get(queue, &value);
    look_at_next(seen);
    return 0;
}

TEST_EACH_BACKEND(interruption, after_a_value_was_handed_over_is_of_the_next_wait)
{
    struct seen seen = { 0 };
    CRANK_QUEUE(queue, int, 1);
    crank_task *task = crank_spawn(gets, &seen, queue);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_put_nowait(queue, 7), 0);
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_SEEN(seen, 0, -ECANCELED);
    return 0;
}

static int awaits_future(struct seen *seen, crank_future *future)
{
    seen->edge = (int)crank_await(future);
    look_at_next(seen);
    return 0;
}

TEST_EACH_BACKEND(interruption, of_an_awaiter_and_its_future_is_one_in_either_order)
{
    for (int first = 0; first < 2; first++) {
        struct seen seen = { 0 };
        crank_future *future = crank_future_new();
        crank_task *task = crank_spawn(awaits_future, &seen, future);
        crank_try(crank_sleep(0));
        for (int i = 0; i < 2; i++)
            (void)crank_cancel(i == first ? task : crank_future_task(future));
        EXPECT_EQ(crank_await(task), 0);
        EXPECT_SEEN(seen, -ECANCELED, 0);
        crank_future_free(future);
    }
    return 0;
}

/* ---- Shields, generators, requests taken back */

static int limited_in_a_shield(struct seen *seen)
{
    seen->edge = crank_shield(crank_within(1, crank_sleep(100)));
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_limit_inside_a_shield_leaves_the_request_outside)
{
    struct seen seen = { 0 };
    crank_task *task = NULL;
    crank_task *canceller = crank_spawn(cancel_at, 1.0, &task, 1);
    crank_try(crank_sleep(0));
    task = crank_spawn(limited_in_a_shield, &seen);
    EXPECT_EQ(crank_await_shared(task), 0);
    EXPECT_SEEN(seen, -ETIMEDOUT, -ECANCELED);
    EXPECT_EQ(crank_await(canceller), 0);
    crank_drop(task);
    return 0;
}

/* ---- A -ECANCELED that nobody asked for is no failure */

static int gives_up(void) { return -ECANCELED; }

TEST_SIM(interruption, that_a_task_returns_unasked_is_no_failure_of_it)
{
    crank_task *tasks[] = { crank_spawn(gives_up), crank_spawn(fail_at, 1.0) };
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_FIRST_ERROR, CRANK_FOREVER), 2);
    EXPECT_EQ(crank_await(tasks[0]), -ECANCELED);
    EXPECT_EQ(crank_await(tasks[1]), -EIO);
    CRANK_GROUP(group);
    crank_group_spawn(&group, gives_up);
    EXPECT_EQ(crank_group_wait(&group), 0);
    return 0;
}
