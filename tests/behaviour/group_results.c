/* SPDX-License-Identifier: MIT */
/* group_results.c: where the results of a group's children go: a pool's array. */
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
