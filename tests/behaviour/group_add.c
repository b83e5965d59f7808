/* SPDX-License-Identifier: MIT */
/* group_add.c: tasks that run already and are taken into a group. */
#include <stdatomic.h>
#include "trail.h"

static int thing;
static int give(int n) { return n; }
static long give_long(long n) { return n; }
static double half_of(double x) { return x / 2; }
static float quarter_of(float x) { return x / 4; }
static void *give_pointer(void *p) { return p; }
static void give_nothing(void) {}
static int fail_with(int n) { return crank_fail(EPROTO, "no. %d", n); }
static int give_after(double seconds, int n)
{
    crank_try(crank_sleep(seconds));
    return n;
}
static int say_end(double seconds, const char *name)
{
    int err = crank_sleep(seconds);
    say("%s%s", name, err < 0 ? "!" : "");
    return err;
}

TEST_EACH_BACKEND(group_add, takes_jobs_eager_tasks_and_new_ones)
{
    int a = 0, e = 7;
    double b = 0, f = 0;
    void *c = NULL;
    long d = 0, h = 0;
    CRANK_GROUP(g);
    EXPECT_EQ(crank_group_add_into(&g, &a, crank_to_thread(give, 41)), 0);
    EXPECT_EQ(crank_group_add_into(&g, &b, crank_to_thread(half_of, 5.0)), 0);
    EXPECT_EQ(crank_group_add_into(&g, &c, crank_spawn(give_pointer, &thing)), 0);
    EXPECT_EQ(crank_group_add_into(&g, &d, crank_spawn_eager(give_after, 0.001, 9)), 0);
    EXPECT_EQ(crank_group_add_into(&g, &e, crank_spawn(give_nothing)), 0);
    EXPECT_EQ(crank_group_add_into(&g, &f, crank_spawn_eager(quarter_of, 5.0f)), 0);
    EXPECT_EQ(crank_group_add_into(&g, &h, crank_spawn_eager(give_long, 1L << 40)), 0);
    EXPECT_EQ(crank_group_add(&g, crank_spawn(give, 3)), 0);
    EXPECT_NEAR(f, 1.25, 0); /* it had ended */
    EXPECT_EQ(h, 1L << 40);
    EXPECT(crank_group_count(&g) >= 4);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(a, 41);
    EXPECT_NEAR(b, 2.5, 0);
    EXPECT(c == &thing);
    EXPECT_EQ(d, 9);
    EXPECT_EQ(e, 0);
    return 0;
}

static int add_and_leave(void)
{
    CRANK_GROUP(g);
    crank_group_add(&g, crank_spawn_eager(say_end, 10.0, "a"));
    return 0;
}
TEST_EACH_BACKEND(group_add, makes_a_child_that_ends_with_the_block)
{
    crank_try(add_and_leave());
    EXPECT_TRAIL("a!");
    return 0;
}

TEST_EACH_BACKEND(group_add, of_a_task_that_fails_fails_the_group)
{
    CRANK_GROUP(g);
    int untouched = 5;
    crank_group_spawn(&g, say_end, 10.0, "a");
    crank_group_add_into(&g, &untouched, crank_to_thread(fail_with, 2));
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    EXPECT_STR(crank_error(), "no. 2");
    EXPECT_TRAIL("a!");
    EXPECT_EQ(untouched, 5);
    return 0;
}

TEST_EACH_BACKEND(group_add, of_a_task_that_has_failed_fails_the_group)
{
    CRANK_GROUP(g);
    crank_task *failed = crank_spawn_eager(fail_with, 3);
    EXPECT(crank_done(failed));
    crank_group_spawn(&g, say_end, 10.0, "a");
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_group_add(&g, failed), 0);
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    EXPECT_EQ(crank_last_failure()->child_count, 1);
    EXPECT_STR(crank_last_failure()->children[0]->message, "no. 3");
    EXPECT_TRAIL("a!");
    return 0;
}

TEST_EACH_BACKEND(group_add, of_the_only_child_that_has_ended_leaves_the_group_empty)
{
    CRANK_GROUP(g);
    EXPECT_EQ(crank_group_add(&g, crank_spawn_eager(give, 3)), 0);
    EXPECT_EQ(crank_group_count(&g), 0);
    EXPECT_EQ(crank_group_wait(&g), 0);
    crank_group_add(&g, crank_spawn_eager(fail_with, 4));
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    crank_group_add(&g, crank_spawn(give, 3));
    return crank_group_wait(&g);
}

TEST_EACH_BACKEND(group_add, of_null_fails_the_group_for_want_of_memory)
{
    int result = 5;
    CRANK_GROUP(g);
    crank_group_spawn(&g, say_end, 10.0, "a");
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_group_add(&g, NULL), -ENOMEM);
    EXPECT_EQ(crank_group_wait(&g), -ENOMEM);
    EXPECT_STR(crank_error(), "crank_group_add: out of memory");
    EXPECT_TRAIL("a!");
    EXPECT_EQ(crank_group_add_into(&g, &result, NULL), -ENOMEM);
    EXPECT_EQ(crank_group_wait(&g), -ENOMEM);
    EXPECT_EQ(result, 5);
    return 0;
}

TEST_EACH_BACKEND(group_add, to_a_group_that_is_ending_cancels_the_task)
{
    int refused = 0;
    CRANK_GROUP(g);
    crank_group_spawn(&g, say_end, 10.0, "a");
    crank_try(crank_sleep(0));
    crank_group_cancel(&g);
    EXPECT_EQ(crank_group_add(&g, crank_spawn_eager(say_end, 10.0, "b")), 0);
    EXPECT_EQ(crank_group_add_into(&g, &refused, crank_spawn_eager(give, 3)), 0);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_TRAIL("a! b!");
    EXPECT_EQ(refused, 3);
    return 0;
}

TEST_EACH_BACKEND(group_add, counts_against_a_limit_but_is_not_held_back)
{
    CRANK_GROUP_LIMIT(g, 2);
    for (int i = 0; i < 3; i++)
        crank_group_add(&g, crank_spawn_eager(say_end, 0.001 * (i + 1), "added"));
    crank_task *held = crank_group_spawn(&g, say_end, 0.0, "held");
    char text[200];
    crank_describe(held, text, sizeof text);
    EXPECT_CONTAINS(text, "held");
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(strncmp(trail, "added added ", 12), 0);
    return 0;
}

TEST_EACH_BACKEND(group_add, gives_a_pool_results_in_the_order_of_adding)
{
    enum { N = 40 };
    crank_task *tasks[N];
    long results[2 * N + 1];
    int first = 0;
    for (int i = 0; i < N; i++)
        tasks[i] = crank_spawn_eager(give_after, 0.0001 * (i * 7 % 13), i);
    CRANK_POOL(pool, 2);
    crank_group_add_into(&pool, &first, tasks[N - 1]);
    for (int i = 0; i < N - 1; i++) {
        crank_pool_spawn(&pool, give_after, 0.0001 * (i % 3), 1000 + i);
        crank_group_add(&pool, tasks[i]);
    }
    crank_group_add(&pool, crank_spawn_eager(give, 5));
    EXPECT_EQ(crank_pool_wait(&pool, results, 2 * N), 0);
    EXPECT_EQ(first, N - 1);
    EXPECT_EQ(results[0], N - 1);
    for (int i = 0; i < N - 1; i++) {
        EXPECT_EQ(results[2 * i + 1], 1000 + i);
        EXPECT_EQ(results[2 * i + 2], i);
    }
    EXPECT_EQ(results[2 * N - 1], 5);
    crank_pool_spawn(&pool, give, 6);
    EXPECT_EQ(crank_pool_wait(&pool, results, 1), 0);
    EXPECT_EQ(results[0], 6);
    return 0;
}

static int add_own(crank_group *group, int *result)
{
    return crank_group_add_into(group, result, crank_spawn_eager(give_after, 0.001, 8));
}
TEST_EACH_BACKEND(group_add, works_from_a_child_of_the_group)
{
    int result = 0;
    CRANK_GROUP(g);
    crank_group_spawn(&g, add_own, &g, &result);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(result, 8);
    return 0;
}

static crank_group *of_callback;
static int added;
static void add_in_a_callback(void *arg)
{
    (void)arg;
    added = 1 + crank_group_add(of_callback, crank_spawn(say_end, 0.0, "child"));
}
TEST_EACH_BACKEND(group_add, works_from_a_callback)
{
    CRANK_GROUP(g);
    of_callback = &g;
    crank_group_spawn(&g, give_after, 0.002, 1);
    crank_try(crank_post(crank_current_loop(), add_in_a_callback, NULL));
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(added, 1);
    EXPECT_TRAIL("child");
    return 0;
}

/* ---- refusals */

static int add_to(crank_group *group, crank_task *task) { return crank_group_add(group, task); }

TEST_CHECKS(group_add, of_another_s_child_is_refused, "is not a child of the caller's")
{
    CRANK_GROUP(g);
    crank_task *mine = crank_spawn(give, 1);
    return (int)crank_await(crank_spawn(add_to, &g, mine));
}
TEST_CHECKS(group_add, of_a_future_is_refused, "the handle of a future")
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    CRANK_GROUP(g);
    return crank_group_add(&g, crank_future_task(future));
}
TEST_CHECKS(group_add, twice_is_refused, "belongs to a group already")
{
    CRANK_GROUP(g);
    crank_task *task = crank_spawn(give, 1);
    crank_try(crank_group_add(&g, task));
    return crank_group_add(&g, task);
}
TEST_CHECKS(group_add, of_a_dropped_task_is_refused, "crank_group_add: the handle of task")
{
    CRANK_GROUP(g);
    crank_task *task = crank_spawn(give, 1);
    crank_drop(task);
    return crank_group_add(&g, task);
}
static int await_child(crank_task **ret_task)
{
    *ret_task = crank_spawn(give_after, 1.0, 1);
    return (int)crank_await(*ret_task);
}
TEST_CHECKS(group_add, of_an_awaited_task_is_refused, "is awaited")
{
    CRANK_GROUP(g);
    crank_task *task;
    (void)crank_spawn_eager(await_child, &task);
    return crank_group_add(&g, task);
}
static int open_and_wait(crank_group **ret_group)
{
    CRANK_GROUP(g);
    *ret_group = &g;
    return crank_sleep(1);
}
TEST_CHECKS(group_add, of_the_group_s_own_opener_is_refused, "has opened the group")
{
    crank_group *group;
    crank_task *opener = crank_spawn_eager(open_and_wait, &group);
    return crank_group_add(group, opener);
}
TEST_CHECKS(group_add, into_an_int_of_a_long_is_refused, "does not fit the variable, which is for 4-byte integers")
{
    int result;
    CRANK_GROUP(g);
    return crank_group_add_into(&g, &result, crank_spawn(give_long, 1L));
}
TEST_CHECKS(group_add, into_a_long_of_a_double_is_refused, "(floating point) does not fit")
{
    long result;
    CRANK_GROUP(g);
    return crank_group_add_into(&g, &result, crank_spawn(half_of, 1.0));
}
