/* SPDX-License-Identifier: MIT */
/* group_results.c: where the results of a group's children go: a pool's array, variables. */
#include "trail.h"

static int thing;
static double half_of(double x, double seconds)
{
    crank_sleep(seconds);
    return x / 2;
}
static float quarter_of(float x) { return x / 4; }
static void *give_pointer(void *p) { return p; }
static int give(int n) { return n; }
static short give_short(short n) { return n; }
static void give_nothing(void) {}

/* ---- pools */

TEST_EACH_BACKEND(pool, keeps_doubles_and_floats)
{
    double results[3] = { 0 };
    CRANK_POOL(pool, 2);
    crank_pool_spawn(&pool, half_of, 1.0, 0.002);
    crank_pool_spawn(&pool, half_of, 3.0, 0.001);
    crank_pool_spawn(&pool, quarter_of, 3.0f);
    EXPECT_EQ(crank_pool_wait(&pool, results, 3), 0);
    EXPECT_NEAR(results[0], 0.5, 0);
    EXPECT_NEAR(results[1], 1.5, 0);
    EXPECT_NEAR(results[2], 0.75, 0);
    return 0;
}

TEST_EACH_BACKEND(pool, keeps_pointers)
{
    int *results[2] = { NULL, NULL };
    CRANK_POOL(pool, 1);
    crank_pool_spawn(&pool, give_pointer, &thing);
    crank_pool_spawn(&pool, give_nothing);
    results[1] = &thing;
    EXPECT_EQ(crank_pool_wait(&pool, results, 2), 0);
    EXPECT(results[0] == &thing);
    EXPECT(results[1] == NULL);
    return 0;
}

TEST_EACH_BACKEND(pool, fills_an_array_of_ints)
{
    int results[4] = { 0, 0, 0, 7 };
    CRANK_POOL(pool, 2);
    crank_pool_spawn(&pool, give, 40000);
    crank_pool_spawn(&pool, give_short, (short)300);
    crank_pool_spawn(&pool, give, 3);
    EXPECT_EQ(crank_pool_wait(&pool, results, 3), 0);
    EXPECT_EQ(results[0], 40000);
    EXPECT_EQ(results[1], 300);
    EXPECT_EQ(results[2], 3);
    EXPECT_EQ(results[3], 7);
    return 0;
}

TEST_EACH_BACKEND(pool, whose_results_nobody_wants_is_waited_for_with_null)
{
    CRANK_POOL(pool, 2);
    crank_pool_spawn(&pool, half_of, 1.0, 0.0);
    crank_pool_spawn(&pool, give_pointer, &thing);
    EXPECT_EQ(crank_pool_wait(&pool, NULL, 2), 0);
    crank_pool_spawn(&pool, give, 5);
    long result;
    EXPECT_EQ((crank_pool_wait)(&pool, &result, 1), 0);
    EXPECT_EQ(result, 5);
    return 0;
}

static double sleep_real(void) { return crank_sleep(10) < 0 ? 7.0 : 8.0; }
static void *sleep_pointer(void) { return crank_sleep(10) < 0 ? NULL : &thing; }

TEST_EACH_BACKEND(pool, gives_nan_for_a_real_child_that_never_ran)
{
    double results[2] = { 0 };
    CRANK_POOL(pool, 1);
    crank_pool_spawn(&pool, sleep_real);
    crank_pool_spawn(&pool, sleep_real);
    crank_try(crank_sleep(0));
    crank_group_cancel(&pool);
    EXPECT_EQ(crank_pool_wait(&pool, results, 2), 0);
    EXPECT_NEAR(results[0], 7, 0); /* it refused */
    EXPECT(isnan(results[1]));
    return 0;
}

TEST_EACH_BACKEND(pool, gives_null_for_a_child_without_a_pointer)
{
    void *results[2] = { &thing, &thing };
    CRANK_POOL(pool, 1);
    crank_pool_spawn(&pool, give_pointer, &thing);
    crank_pool_spawn(&pool, sleep_pointer);
    crank_group_cancel(&pool);
    EXPECT_EQ(crank_pool_wait(&pool, results, 2), 0);
    EXPECT(results[1] == NULL);
    return 0;
}

static int sum_into(int *results, size_t n)
{
    CRANK_POOL(pool, 2);
    for (size_t i = 0; i < n; i++)
        crank_pool_spawn(&pool, labs, (long)i);
    return crank_pool_wait(&pool, results, n);
}
TEST_CHECKS(pool, gives_no_long_as_an_int, "does not fit the results' array of 4-byte integers")
{
    int results[2];
    return sum_into(results, 2);
}
TEST_CHECKS(pool, gives_no_pointer_as_a_double, "the result of child 1 (from 0), a pointer by give_pointer")
{
    double results[2];
    CRANK_POOL(pool, 2);
    crank_pool_spawn(&pool, quarter_of, 1.0f);
    crank_pool_spawn(&pool, give_pointer, &thing);
    return crank_pool_wait(&pool, results, 2);
}
TEST_CHECKS(pool, has_no_arrays_of_floats, "an array of integers, doubles or pointers")
{
    float results[1];
    CRANK_POOL(pool, 2);
    crank_pool_spawn(&pool, quarter_of, 1.0f);
    return crank_pool_wait(&pool, results, 1);
}

/* ---- spawn_into */

static bool truth(int n) { return n > 0; }
static unsigned char give_byte(void) { return 250; }
static signed char give_char(void) { return -3; }
static long add_up(long a, double b, const char *c, long d, long e, long f, long g)
{
    return a + (long)b + (long)strlen(c) + d + e + f + g;
}

TEST_EACH_BACKEND(spawn_into, writes_results_of_every_kind)
{
    int a = 0;
    double b = 0;
    float c = 0;
    void *d = NULL;
    bool e = false;
    unsigned char f = 0;
    signed char h = 0;
    short i[3] = { 7, 7, 7 };
    long j = 0;
    CRANK_GROUP(g);
    crank_group_spawn_into(&g, &a, give, 41);
    crank_group_spawn_into(&g, &b, half_of, 5.0, 0.001);
    crank_group_spawn_into(&g, &c, quarter_of, 5.0f);
    crank_group_spawn_into(&g, &d, give_pointer, &thing);
    crank_group_spawn_into(&g, &e, truth, 1);
    crank_group_spawn_into(&g, &f, give_byte);
    crank_group_spawn_into(&g, &h, give_char);
    crank_group_spawn_into(&g, i + 1, give_short, (short)-300);
    crank_group_spawn_into(&g, &j, add_up, 1, 2.0, "three", 4, 5, 6, 7);
    EXPECT_EQ(a, 0);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(a, 41);
    EXPECT_NEAR(b, 2.5, 0);
    EXPECT_NEAR(c, 1.25, 0);
    EXPECT(d == &thing);
    EXPECT(e);
    EXPECT_EQ(f, 250);
    EXPECT_EQ(h, -3);
    EXPECT_EQ(i[0], 7);
    EXPECT_EQ(i[1], -300);
    EXPECT_EQ(i[2], 7);
    EXPECT_EQ(j, 30);
    return 0;
}

static int fail_with(int n) { return crank_fail(EPROTO, "no. %d", n); }
static int sleep_and_give(int n)
{
    crank_try(crank_sleep(10));
    return n;
}
static int refuse_and_give(int n)
{
    (void)crank_sleep(10);
    return n;
}

TEST_EACH_BACKEND(spawn_into, leaves_the_variable_of_a_child_that_fails_or_is_cancelled_alone)
{
    int failed = 1, cancelled = 2, refused = 3;
    CRANK_GROUP(g);
    crank_group_spawn_into(&g, &cancelled, sleep_and_give, 20);
    crank_group_spawn_into(&g, &refused, refuse_and_give, 30);
    crank_try(crank_sleep(0));
    crank_group_spawn_into(&g, &failed, fail_with, 10);
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    EXPECT_STR(crank_error(), "no. 10");
    EXPECT_EQ(failed, 1);
    EXPECT_EQ(cancelled, 2);
    EXPECT_EQ(refused, 30);
    return 0;
}

TEST_EACH_BACKEND(spawn_into, gives_the_borrowed_handle_and_works_beside_other_watchers)
{
    int result = 0;
    CRANK_GROUP(g);
    crank_task *task = crank_group_spawn_into(&g, &result, give, 5);
    EXPECT(!crank_done(task));
    EXPECT_EQ(crank_await_shared(task), 5);
    EXPECT_EQ(result, 5);
    return crank_group_wait(&g);
}

TEST_EACH_BACKEND(spawn_into, holds_children_back_beyond_a_limit_and_forgets_one_that_never_ran)
{
    int results[3] = { 7, 7, 7 };
    CRANK_GROUP_LIMIT(g, 1);
    crank_group_spawn_into(&g, &results[0], give, 1);
    crank_task *second = crank_group_spawn_into(&g, &results[1], give, 2);
    crank_group_spawn_into(&g, &results[2], give, 3);
    EXPECT_EQ(crank_cancel(second), 0);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(results[0], 1);
    EXPECT_EQ(results[1], 7);
    EXPECT_EQ(results[2], 3);
    return 0;
}

TEST_EACH_BACKEND(spawn_into, null_drops_the_result)
{
    int *nowhere = NULL;
    CRANK_GROUP(g);
    crank_group_spawn_into(&g, nowhere, give, 1);
    return crank_group_wait(&g);
}

TEST_EACH_BACKEND(spawn_into, a_pool_gives_the_result_to_its_array_too)
{
    int one = 0;
    long results[2];
    CRANK_POOL(pool, 2);
    crank_pool_spawn(&pool, give, 1);
    crank_group_spawn_into(&pool, &one, give, 2);
    EXPECT_EQ(crank_pool_wait(&pool, results, 2), 0);
    EXPECT_EQ(results[1], 2);
    EXPECT_EQ(one, 2);
    return 0;
}

static int evaluated;
static int *once(int *result)
{
    evaluated++;
    return result;
}

TEST_EACH_BACKEND(spawn_into, evaluates_its_arguments_once_and_stands_inside_another)
{
    int inner = 0;
    crank_task *task = NULL;
    CRANK_GROUP(g);
    void *(*fn)(void *) = give_pointer;
    void *outer = NULL;
    crank_group_spawn_into(&g, &outer, fn, (task = crank_group_spawn_into(&g, once(&inner), give, ++evaluated)));
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT(outer == (void *)task);
    EXPECT_EQ(evaluated, 2);
    EXPECT(inner == 1 || inner == 2);
    return 0;
}

static int spawn_sibling(crank_group *group, int *results)
{
    crank_group_spawn_into(group, &results[1], give, 11);
    return 10;
}

TEST_EACH_BACKEND(spawn_into, works_from_a_child_of_the_group)
{
    int results[2] = { 0, 0 };
    CRANK_GROUP(g);
    crank_group_spawn_into(&g, &results[0], spawn_sibling, &g, results);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(results[0], 10);
    EXPECT_EQ(results[1], 11);
    return 0;
}

/* ---- spawn_into: hibernation and debug mode */

static int write_into_one_that_sleeps(int *result)
{
    CRANK_GROUP(g);
    crank_group_spawn_into(&g, result, refuse_and_give, 9);
    return crank_group_wait(&g);
}
static int sleeps_meanwhile(void)
{
    int result = 0;
    crank_task *task = crank_spawn(write_into_one_that_sleeps, &result);
    crank_try(crank_sleep(20));
    EXPECT_EQ(result, 9);
    return (int)crank_await(task);
}
TEST(spawn_into, writes_into_a_stack_that_is_put_away)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .hibernate_after = 1 };
    EXPECT_EQ(crank_run_with(&options, sleeps_meanwhile), 0);
}

static const crank_options debug = { .backend = CRANK_BACKEND_SIM, .debug = true };

/* Far below the frame that waits, which a sanitizer's own code makes larger. */
__attribute__((noinline)) static void spawn_into_a_local(crank_group *group, int depth)
{
    char room[1000];
    double result = 0;
    __asm__ volatile("" : : "r"(room) : "memory");
    if (depth > 0)
        spawn_into_a_local(group, depth - 1);
    else
        crank_group_spawn_into(group, &result, half_of, 1.0, 1.0);
    __asm__ volatile("" : : "r"(room) : "memory");
}
static int wait_after_the_frame_has_gone(void)
{
    CRANK_GROUP(g);
    spawn_into_a_local(&g, 10);
    return crank_group_wait(&g);
}
TEST_CHECKS_OUTSIDE(debug, a_result_for_a_frame_that_has_gone_is_refused, "into a frame that has gone")
{
    (void)crank_run_with(&debug, wait_after_the_frame_has_gone);
}

static int spawn_into_own_local(crank_group *group)
{
    int result = 0;
    crank_group_spawn_into(group, &result, refuse_and_give, 1);
    return result;
}
static int wait_after_the_task_has_ended(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, spawn_into_own_local, &g);
    return crank_group_wait(&g);
}
TEST_CHECKS_OUTSIDE(debug, a_result_for_a_task_that_has_ended_is_refused, "declare the variable before the group")
{
    (void)crank_run_with(&debug, wait_after_the_task_has_ended);
}

static int spawn_sibling_into(crank_group *group, int *result)
{
    crank_try(crank_sleep(1));
    crank_group_spawn_into(group, result, give, 11);
    return 0;
}
static int results_in_frames_that_stay(void)
{
    int results[3] = { 0 };
    CRANK_GROUP_LIMIT(g, 2);
    crank_group_spawn_into(&g, &results[0], refuse_and_give, 1);
    crank_group_spawn(&g, spawn_sibling_into, &g, &results[1]);
    crank_group_spawn_into(&g, &results[2], give, 3);
    crank_try(crank_sleep(0));
    crank_group_cancel(&g);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(results[0], 1);
    EXPECT_EQ(results[1], 0);
    EXPECT_EQ(results[2], 0);
    crank_group_spawn(&g, spawn_sibling_into, &g, &results[1]);
    crank_group_spawn_into(&g, &results[2], give, 3);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(results[1], 11);
    EXPECT_EQ(results[2], 3);
    return 0;
}
TEST(debug, results_for_frames_that_stay_are_written)
{
    EXPECT_EQ(crank_run_with(&debug, results_in_frames_that_stay), 0);
}

/* ---- what is awaited too late */

TEST_CHECKS(
    await, of_a_group_s_child_that_has_ended_names_what_keeps_its_result, "crank_group_spawn_into and CRANK_POOL")
{
    CRANK_GROUP(g);
    crank_task *task = crank_group_spawn(&g, give, 1);
    crank_try(crank_group_wait(&g));
    return (int)crank_await(task);
}
TEST_CHECKS(gather, of_a_group_s_child_names_what_keeps_its_result, "crank_group_spawn_into and CRANK_POOL")
{
    CRANK_GROUP(g);
    return crank_gather(NULL, crank_group_spawn(&g, give, 1));
}
