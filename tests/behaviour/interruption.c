/* SPDX-License-Identifier: MIT */
/* interruption.c: what one -ECANCELED answers: all that came before the task ran on, and nothing after. */
#include <signal.h>
#include <unistd.h>
#include "seen.h"

/* ---- R1: once for all that is pending */

TEST_EACH_BACKEND(interruption, is_one_for_three_requests_to_a_parked_task)
{
    struct seen seen = { 0 };
    crank_task *task = crank_spawn(sleeps, &seen);
    crank_try(crank_sleep(0));
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_SEEN(seen, -ECANCELED, 0);
    EXPECT_EQ(seen.count, 3);
    return 0;
}

TEST_EACH_BACKEND(interruption, is_one_for_three_requests_before_the_first_run)
{
    struct seen seen = { 0 };
    crank_task *task = crank_spawn(sleeps, &seen);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_SEEN(seen, -ECANCELED, 0);
    EXPECT_EQ(seen.count, 3);
    return 0;
}

TEST_EACH_BACKEND(interruption, of_a_deferred_child_is_its_end_without_a_run)
{
    struct seen first = { 0 }, second = { 0 };
    CRANK_GROUP_LIMIT(group, 1);
    crank_group_spawn(&group, sleeps, &first);
    crank_task *deferred = crank_group_spawn(&group, sleeps, &second);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_cancel(deferred), 0);
    crank_group_cancel(&group);
    EXPECT_EQ(crank_group_wait(&group), 0);
    EXPECT_EQ(first.edge, -ECANCELED);
    EXPECT_EQ(second.edge, 0);
    return 0;
}

/* ---- R2: an -ECANCELED answers all that came before the task ran on */

static int limited_sleep(struct seen *seen)
{
    seen->edge = crank_within(1, crank_sleep(100));
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_limit_and_then_a_request_is_one)
{
    struct seen seen = { 0 };
    crank_task *task = NULL;
    crank_task *canceller = crank_spawn(cancel_at, 1.0, &task, 1);
    crank_try(crank_sleep(0));
    task = crank_spawn(limited_sleep, &seen);
    EXPECT_EQ(crank_await_shared(task), 0);
    EXPECT_SEEN(seen, -ECANCELED, 0);
    EXPECT_EQ(crank_await(canceller), 0);
    crank_drop(task);
    return 0;
}

static int limited_await(struct seen *seen, struct seen *child)
{
    seen->edge = (int)crank_within(1, crank_await(crank_spawn(cleaning, child, 2.0, -ECANCELED)));
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_limit_and_a_request_while_an_await_is_aborted_is_one)
{
    for (double at = 0.5; at < 3; at += 1) {
        struct seen seen = { 0 }, child = { 0 };
        run_cancelled(crank_spawn(limited_await, &seen, &child), at, 1);
        EXPECT_SEEN(seen, -ECANCELED, 0);
    }
    return 0;
}

TEST_SIM(interruption, of_a_limit_and_a_request_while_a_gather_is_aborted_is_one)
{
    for (double at = 0.5; at < 3; at += 1) {
        struct seen seen = { 0 }, child = { 0 };
        run_cancelled(crank_spawn(limited_gather, &seen, &child), at, 1);
        EXPECT_SEEN(seen, -ECANCELED, 0);
    }
    return 0;
}

static int limited_group(struct seen *seen, struct seen *child)
{
    seen->edge = crank_within(1, wait_for_group(child, -ECANCELED));
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_limit_and_a_request_while_a_group_wait_is_aborted_is_one)
{
    for (double at = 0.5; at < 3; at += 1) {
        struct seen seen = { 0 }, child = { 0 };
        run_cancelled(crank_spawn(limited_group, &seen, &child), at, 1);
        EXPECT_SEEN(seen, -ECANCELED, 0);
        EXPECT(child.tidy);
    }
    return 0;
}

struct shared {
    crank_lock *lock;
    crank_condition *condition;
};

static int wait_for_condition(const struct shared *shared)
{
    crank_try(crank_lock_acquire(shared->lock));
    int err = crank_condition_wait(shared->condition);
    crank_lock_release(shared->lock);
    return err;
}

static int limited_condition(struct seen *seen, const struct shared *shared)
{
    seen->edge = crank_within(1, wait_for_condition(shared));
    look_at_next(seen);
    return 0;
}

static int hold(const struct shared *shared)
{
    CRANK_WITH_LOCK(shared->lock);
    return crank_sleep(2.5);
}

TEST_SIM(interruption, of_a_limit_and_a_request_while_a_condition_locks_again_is_one)
{
    struct shared shared = { .lock = crank_lock_new() };
    shared.condition = crank_condition_new(shared.lock);
    for (double at = 0.5; at < 2.4; at += 1) {
        struct seen seen = { 0 };
        crank_task *task = crank_spawn(limited_condition, &seen, &shared);
        crank_task *canceller = crank_spawn(cancel_at, at, &task, 1);
        crank_task *holder = crank_spawn(hold, &shared);
        EXPECT_EQ(crank_await_shared(task), 0);
        EXPECT_SEEN(seen, -ECANCELED, 0);
        EXPECT_EQ(seen.count, 1);
        EXPECT_EQ(crank_await(canceller), 0);
        EXPECT_EQ(crank_await(holder), 0);
        crank_drop(task);
    }
    crank_condition_free(shared.condition);
    crank_lock_free(shared.lock);
    return 0;
}

TEST_SIM(interruption, of_a_limit_is_answered_with_a_request_in_the_join_by_the_edge)
{
    struct seen seen = { 0 }, child = { 0 };
    run_cancelled(crank_spawn(limited_block, &seen, &child), 1.5, 1);
    EXPECT_SEEN(seen, -ECANCELED, 0);
    EXPECT(child.tidy);
    return 0;
}

static int try_in_a_limit(struct seen *child)
{
    CRANK_TIMEOUT(limit, 1);
    CRANK_GROUP(group);
    crank_group_spawn(&group, cleaning, child, 1.0, -ECANCELED);
    crank_try(crank_sleep(100));
    return 0;
}

static int tries_in_a_limit(struct seen *seen, struct seen *child)
{
    seen->edge = try_in_a_limit(child);
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_limit_that_crank_try_has_claimed_leaves_a_request_in_the_join)
{
    struct seen seen = { 0 }, child = { 0 };
    run_cancelled(crank_spawn(tries_in_a_limit, &seen, &child), 1.5, 1);
    EXPECT_SEEN(seen, -ETIMEDOUT, -ECANCELED);
    EXPECT(child.tidy);
    return 0;
}

static int leaves_without_an_edge(struct seen *seen, struct seen *child)
{
    CRANK_TIMEOUT(limit, 1);
    seen->edge = leave_a_group(child);
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_limit_without_an_edge_leaves_a_request_in_the_join)
{
    struct seen seen = { 0 }, child = { 0 };
    run_cancelled(crank_spawn(leaves_without_an_edge, &seen, &child), 1.5, 1);
    EXPECT_SEEN(seen, -ECANCELED, -ECANCELED);
    return 0;
}

/* ---- R6: what comes after the task has run on is new */

static int cancels_itself(struct seen *seen)
{
    seen->wait = crank_sleep(100);
    crank_cancel(crank_self());
    look_at_next(seen);
    return 0;
}

TEST_EACH_BACKEND(interruption, does_not_answer_a_request_made_after_the_task_ran_on)
{
    struct seen seen = { 0 };
    crank_task *task = crank_spawn(cancels_itself, &seen);
    crank_try(crank_sleep(0));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_EQ(seen.wait, -ECANCELED);
    EXPECT_SEEN(seen, 0, -ECANCELED);
    EXPECT_EQ(seen.count, 2);
    return 0;
}

static int fails_late(void)
{
    int err = crank_sleep(100);
    crank_cancel(crank_self());
    return err;
}

TEST_SIM(interruption, of_a_limit_is_claimed_by_it_though_the_task_has_asked_itself_since)
{
    struct seen seen = { 0 };
    seen.edge = crank_within(1, fails_late());
    look_at_next(&seen);
    EXPECT_SEEN(seen, -ETIMEDOUT, -ECANCELED);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    return 0;
}

static int all_taken_back(struct seen *seen)
{
    seen->edge = crank_sleep(100);
    while (crank_uncancel(NULL) > 0)
        ;
    look_at_next(seen);
    return 0;
}

TEST_EACH_BACKEND(interruption, answers_several_requests_which_a_loop_of_uncancel_takes_back)
{
    struct seen seen = { 0 };
    crank_task *task = crank_spawn(all_taken_back, &seen);
    crank_try(crank_sleep(0));
    for (int i = 0; i < 70000; i++)
        crank_cancel(task);
    EXPECT_EQ(crank_cancelling(task), 65535);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_SEEN(seen, -ECANCELED, 0);
    EXPECT_EQ(seen.count, 0);
    return 0;
}

static int limited_later(struct seen *seen, int requests)
{
    (void)crank_sleep(0);
    EXPECT_EQ(crank_cancelling(NULL), requests);
    seen->edge = crank_within(1, crank_sleep(100));
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_limit_is_claimed_by_it_after_300_requests_and_not_with_one_more)
{
    for (int more = 0; more < 2; more++) {
        struct seen seen = { 0 };
        crank_task *task = NULL;
        crank_task *canceller = crank_spawn(cancel_at, 1.0, &task, more);
        task = crank_spawn(limited_later, &seen, 300);
        for (int i = 0; i < 300; i++)
            crank_cancel(task);
        EXPECT_EQ(crank_await_shared(task), 0);
        EXPECT_SEEN(seen, more ? -ECANCELED : -ETIMEDOUT, 0);
        EXPECT_EQ(crank_await(canceller), 0);
        crank_drop(task);
    }
    return 0;
}

/* Ctrl-C and a request of the program's own reach app in one turn: one -ECANCELED answers both, a loop takes both back,
 * and app's result counts. */
static void cancel_posted(void *app) { (void)crank_cancel(app); }

static int interrupt_app(crank_task *app)
{
    EXPECT_EQ(kill(getpid(), SIGINT), 0);
    EXPECT_EQ(crank_post(crank_current_loop(), cancel_posted, app), 0);
    return 0;
}

static int app_that_takes_back(struct seen *seen)
{
    crank_task *interrupter = crank_spawn(interrupt_app, crank_self());
    seen->edge = crank_sleep(100);
    EXPECT_EQ(crank_cancelling(NULL), 2);
    while (crank_uncancel(NULL) > 0)
        ;
    EXPECT_EQ(crank_await(interrupter), 0);
    look_at_next(seen);
    return 7;
}

TEST(interruption, by_ctrl_c_is_taken_back_with_a_loop_of_uncancel)
{
    struct seen seen = { 0 };
    long result = crank_run_with(CRANK_OPTIONS(.handle_interrupt = true), app_that_takes_back, &seen);
    EXPECT_EQ(result, 7);
    EXPECT_SEEN(seen, -ECANCELED, 0);
}
