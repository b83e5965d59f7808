/* SPDX-License-Identifier: MIT */
/* number.c: the numbers of tasks begin again after 2^40. */
#include "task/record.h"
#include "test.h"

enum { COUNT = 600 };

static int value_of(int value)
{
    crank_try(crank_sleep(0.001));
    return value;
}

static int spawn_beyond_the_last(void)
{
    static crank_task *made[COUNT], *listed[COUNT + 1];
    static long results[COUNT];
    CRANK_POOL(pool, 4);
    for (int i = 0; i < COUNT; i++)
        made[i] = crank_pool_spawn(&pool, value_of, i);
    EXPECT(((uintptr_t)made[0] & CR_NUMBER_MASK) > ((uintptr_t)made[COUNT - 1] & CR_NUMBER_MASK));
    EXPECT_EQ(crank_tasks(listed, COUNT + 1), COUNT + 1);
    EXPECT(listed[0] == crank_self());
    for (int i = 0; i < COUNT; i++)
        EXPECT(listed[i + 1] == made[i]);
    EXPECT_EQ(crank_pool_wait(&pool, results, COUNT), 0);
    for (int i = 0; i < COUNT; i++) {
        EXPECT_EQ(results[i], i);
        EXPECT_EQ(crank_await(crank_spawn(value_of, i)), i);
    }
    return 0;
}
TEST(number, after_the_last_comes_the_first)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM };
    atomic_store(&cr_numbers, CR_NUMBER_MASK - 700);
    EXPECT_EQ(crank_run_with(&options, spawn_beyond_the_last), 0);
    EXPECT(atomic_load(&cr_numbers) > CR_NUMBER_MASK);
}
