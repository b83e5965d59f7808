/* SPDX-License-Identifier: MIT */
/* interruption_once.c: each child is cancelled once by whatever ends it, and what cuts a cleanup cuts one. */
#include "seen.h"

/* ---- R5: who asks whom, how often */

static int awaits_handle(struct seen *seen, crank_task **child)
{
    seen->edge = (int)crank_await(*child);
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_an_awaiter_and_of_the_task_awaited_in_one_turn_cuts_that_once)
{
    for (int first = 0; first < 2; first++) {
        struct seen a = { 0 }, b = { 0 };
        crank_task *child = crank_spawn(cleaning, &b, 1.0, -ECANCELED);
        crank_task *waiter = crank_spawn(awaits_handle, &a, &child);
        crank_try(crank_sleep(0.5));
        for (int i = 0; i < 2; i++)
            crank_cancel(i == first ? waiter : child);
        EXPECT_EQ(crank_await(waiter), 0);
        EXPECT_SEEN(a, -ECANCELED, 0);
        EXPECT(b.tidy);
        EXPECT_EQ(b.count, 2);
    }
    return 0;
}

TEST_SIM(interruption, of_a_group_of_an_awaiter_and_the_task_awaited_cuts_that_once)
{
    for (int first = 0; first < 2; first++) {
        struct seen a = { 0 }, b = { 0 }, other = { 0 };
        crank_task *child = NULL;
        CRANK_GROUP(group);
        if (first)
            crank_group_spawn(&group, sleeps, &other);
        child = crank_spawn(cleaning, &b, 1.0, -ECANCELED);
        crank_group_spawn(&group, awaits_handle, &a, &child);
        crank_try(crank_sleep(0.5));
        crank_cancel(child);
        crank_group_cancel(&group);
        EXPECT_EQ(crank_group_wait(&group), 0);
        EXPECT_SEEN(a, -ECANCELED, 0);
        EXPECT(b.tidy);
    }
    return 0;
}

static crank_task *shared_child; /* outlives app, whose frame has gone when its children are cancelled */
static int app_with_both(struct seen *a, struct seen *b, bool waiter_first)
{
    if (waiter_first)
        crank_spawn(awaits_handle, a, &shared_child);
    shared_child = crank_spawn(cleaning, b, 1.0, -ECANCELED);
    if (!waiter_first)
        crank_spawn(awaits_handle, a, &shared_child);
    return crank_sleep(0.5);
}

TEST_SIM(interruption, again_of_an_awaiter_is_passed_on_while_the_task_cleans_up)
{
    struct seen a = { 0 }, b = { 0 };
    crank_task *child = crank_spawn(cleaning, &b, 1.0, -ECANCELED);
    crank_task *waiter = crank_spawn(awaits_handle, &a, &child);
    crank_try(crank_sleep(0.5));
    crank_cancel(waiter);
    crank_try(crank_sleep(0.5));
    crank_cancel(waiter);
    EXPECT_EQ(crank_await(waiter), 0);
    EXPECT_SEEN(a, -ECANCELED, 0);
    EXPECT_EQ(b.after, -ECANCELED);
    EXPECT_EQ(b.count, 2);
    return 0;
}

TEST_SIM(interruption, again_of_a_gather_is_passed_on_while_its_tasks_clean_up)
{
    struct seen a = { 0 }, b = { 0 };
    crank_task *waiter = crank_spawn(limited_gather, &a, &b);
    crank_try(crank_sleep(0.5));
    crank_cancel(waiter);
    crank_try(crank_sleep(0.25));
    crank_cancel(waiter);
    EXPECT_EQ(crank_await(waiter), 0);
    EXPECT_SEEN(a, -ECANCELED, 0);
    EXPECT_EQ(b.after, -ECANCELED);
    return 0;
}

static int ends_a_group(struct seen *seen, struct seen *child)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, cleaning, child, 3.0, -ECANCELED);
    crank_try(crank_sleep(0));
    crank_group_cancel(&group);
    seen->edge = crank_sleep(0.5);
    crank_group_cancel(&group);
    seen->wait = crank_within(1, crank_group_wait(&group));
    return 0;
}

TEST_SIM(interruption, of_a_group_that_is_ending_asks_its_children_no_more)
{
    struct seen seen = { 0 }, child = { 0 };
    run_cancelled(crank_spawn(ends_a_group, &seen, &child), 1.25, 2);
    EXPECT(child.tidy);
    EXPECT_EQ(child.count, 1);
    return 0;
}

/* The block is left with -ECANCELED, which asks the child; the join at its end is interrupted twice. */
TEST_SIM(interruption, of_a_group_whose_edge_is_passed_asks_its_children_once)
{
    struct seen seen = { 0 }, child = { 0 };
    run_cancelled(crank_spawn(limited_block, &seen, &child), 1.5, 2);
    EXPECT(child.tidy);
    EXPECT_EQ(child.count, 1);
    return 0;
}

static int parent_of_helper(crank_task **ret_helper, struct seen *helper, double again)
{
    *ret_helper = crank_spawn(cleaning, helper, 2.0, -ECANCELED);
    crank_try(crank_sleep(1));
    crank_cancel(*ret_helper);
    if (again > 0)
        crank_try(crank_sleep(again));
    return -EIO; /* so its children are cancelled */
}

TEST_SIM(interruption, of_a_helper_by_hand_and_by_its_parents_end_is_one_in_one_turn_else_two)
{
    for (int later = 0; later < 2; later++) {
        struct seen helper = { 0 };
        crank_task *handle = NULL;
        EXPECT_EQ(crank_await(crank_spawn(parent_of_helper, &handle, &helper, later * 0.5)), -EIO);
        EXPECT_EQ(helper.tidy, !later);
        EXPECT_EQ(helper.count, 2);
    }
    return 0;
}

/* A task that has failed waits for its child's end: to cancel that task again does not ask the child again. */
static int fails_with_child(struct seen *child)
{
    crank_spawn(cleaning, child, 2.0, -ECANCELED);
    crank_try(crank_sleep(1));
    return -EIO;
}

TEST_SIM(interruption, of_a_task_that_has_failed_does_not_ask_its_children_again)
{
    struct seen child = { 0 };
    crank_task *task = crank_spawn(fails_with_child, &child);
    crank_task *canceller = crank_spawn(cancel_at, 2.0, &task, 2);
    EXPECT_EQ(crank_await_shared(task), -EIO);
    EXPECT(child.tidy);
    EXPECT_EQ(child.count, 1);
    EXPECT_EQ(crank_await(canceller), 0);
    crank_drop(task);
    return 0;
}

TEST(interruption, by_the_runs_end_is_one_with_that_of_the_awaiter)
{
    for (int waiter_first = 0; waiter_first < 2; waiter_first++) {
        struct seen a = { 0 }, b = { 0 };
        long result = crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM, .leftovers = CRANK_CANCEL),
            app_with_both, &a, &b, waiter_first);
        EXPECT_EQ(result, 0);
        EXPECT_EQ(a.edge, -ECANCELED);
        EXPECT(b.tidy);
    }
}

TEST_SIM(interruption, of_a_cleanup_longer_than_grace_is_the_waiters_new_request)
{
    struct seen child = { 0 };
    {
        CRANK_GROUP(group);
        crank_group_spawn(&group, cleaning, &child, 1000.0, -ECANCELED);
        crank_try(crank_sleep(0));
        test_capture();
        crank_group_cancel(&group);
        EXPECT_EQ(crank_group_wait(&group), 0);
        EXPECT(strstr(test_captured(), "10 s"));
    }
    EXPECT_EQ(child.after, -ECANCELED);
    EXPECT_EQ(child.count, 2);
    return 0;
}

/* ---- Generators, requests taken back */

static int values(struct seen *seen)
{
    int err = crank_yield(1);
    int cut = crank_sleep(1);
    seen->wait = err;
    seen->after = cut;
    seen->tidy = cut == 0;
    return err;
}

static int closes(struct seen *seen, struct seen *body)
{
    int value = 0;
    crank_generator *g = crank_generate(values, body);
    EXPECT_EQ(crank_next(g, &value), 1);
    seen->edge = crank_generator_close(g);
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_generators_cleanup_is_answered_by_its_close)
{
    struct seen seen = { 0 }, body = { 0 };
    run_cancelled(crank_spawn(closes, &seen, &body), 0.5, 1);
    EXPECT_SEEN(seen, -ECANCELED, 0);
    EXPECT_EQ(body.after, -ECANCELED);
    return 0;
}

static int open_three(struct seen bodies[3])
{
    int value = 0;
    CRANK_AUTO_GENERATOR crank_generator *a = crank_generate(values, &bodies[2]);
    CRANK_AUTO_GENERATOR crank_generator *b = crank_generate(values, &bodies[1]);
    CRANK_AUTO_GENERATOR crank_generator *c = crank_generate(values, &bodies[0]);
    EXPECT_EQ(crank_next(a, &value), 1);
    EXPECT_EQ(crank_next(b, &value), 1);
    EXPECT_EQ(crank_next(c, &value), 1);
    return 0;
}

static int closes_three(struct seen *seen, struct seen bodies[3])
{
    seen->edge = open_three(bodies);
    look_at_next(seen);
    return 0;
}

TEST_SIM(interruption, of_a_block_that_closes_three_generators_cuts_one_cleanup_and_the_next_wait)
{
    struct seen seen = { 0 }, bodies[3] = { { 0 } };
    run_cancelled(crank_spawn(closes_three, &seen, bodies), 0.5, 1);
    EXPECT_EQ(bodies[0].after, -ECANCELED);
    EXPECT(bodies[1].tidy);
    EXPECT(bodies[2].tidy);
    EXPECT_SEEN(seen, 0, -ECANCELED);
    return 0;
}

/* The body that is being closed closes two of its own at the end of a block: what cut the first of those cuts its own
 * next wait, and nothing else. */
static int nests(struct seen *seen, struct seen bodies[3])
{
    int err = crank_yield(1);
    seen->edge = open_three(bodies);
    seen->next = crank_sleep(0);
    seen->after = crank_sleep(0);
    return err;
}

static int closes_nested(struct seen *outer, struct seen *seen, struct seen bodies[3])
{
    {
        int value = 0;
        CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(nests, seen, bodies);
        EXPECT_EQ(crank_next(g, &value), 1);
    }
    look_at_next(outer);
    return 0;
}

TEST_SIM(interruption, of_a_block_in_a_cleanup_cuts_the_next_wait_of_that_cleanup)
{
    struct seen outer = { 0 }, seen = { 0 }, bodies[3] = { { 0 } };
    run_cancelled(crank_spawn(closes_nested, &outer, &seen, bodies), 0.5, 1);
    EXPECT_EQ(bodies[0].after, -ECANCELED);
    EXPECT(bodies[1].tidy);
    EXPECT(bodies[2].tidy);
    EXPECT_EQ(seen.next, -ECANCELED);
    EXPECT_EQ(seen.after, 0);
    EXPECT_EQ(outer.next, -ECANCELED);
    EXPECT_EQ(outer.after, 0);
    return 0;
}

TEST_EACH_BACKEND(interruption, under_way_comes_though_the_request_is_taken_back)
{
    struct seen seen = { 0 };
    crank_task *task = crank_spawn(sleeps, &seen);
    crank_try(crank_sleep(0));
    crank_cancel(task);
    EXPECT_EQ(crank_uncancel(task), 0);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_SEEN(seen, -ECANCELED, 0);
    EXPECT_EQ(seen.count, 0);
    return 0;
}

static int limit_of_nothing(struct seen *seen)
{
    seen->edge = crank_within(0, crank_sleep(1));
    look_at_next(seen);
    return 0;
}

TEST_EACH_BACKEND(interruption, of_a_request_pending_before_a_limit_of_0_is_one)
{
    struct seen seen = { 0 };
    crank_task *task = crank_spawn(limit_of_nothing, &seen);
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_SEEN(seen, -ECANCELED, 0);
    return 0;
}
