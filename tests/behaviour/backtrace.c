/* SPDX-License-Identifier: MIT */
/* backtrace.c: a task's stack, seen by the C library's backtrace(), has a base. */
#include "base/base.h"
#include "test.h"
#include <execinfo.h>

enum { ROOM = 64, BASE_FRAMES = 4 }; /* of crank's own, below a task's or a generator's function, at most */

static void *frames[ROOM];
static int count;
static void *in_function; /* an address in the function that was spawned, and one in who called it */
static void *in_base;

/* The first call loads the unwinder, which stays. */
__attribute__((constructor)) static void load(void) { (void)backtrace(frames, ROOM); }

static int place_of(const void *address)
{
    for (int i = 0; i < count; i++)
        if (frames[i] == address)
            return i;
    return -1;
}

CR_NOINLINE static void look(void)
{
    in_function = __builtin_return_address(0);
    count = backtrace(frames, ROOM);
}

CR_NOINLINE static int deeper(int depth)
{
    volatile int result = depth; /* used after the call, or it would be a tail call */
    if (depth > 0)
        result += deeper(depth - 1);
    else
        look();
    return result;
}

static void expect_a_base(int between)
{
    EXPECT(count > 0 && count < ROOM);
    EXPECT(place_of(in_function) >= 0);
    EXPECT(place_of(in_base) > place_of(in_function));
    EXPECT_EQ(place_of(in_base) - place_of(in_function), between + 1);
    EXPECT(count - place_of(in_base) <= BASE_FRAMES);
}

static int task(int depth)
{
    in_base = __builtin_return_address(0);
    return deeper(depth) < 0;
}

TEST_EACH_BACKEND(backtrace, of_a_task_ends_at_the_function_that_was_spawned)
{
    EXPECT_EQ(crank_await(crank_spawn(task, 7)), 0);
    expect_a_base(8);
    return 0;
}

static int sleeping_task(int depth)
{
    in_base = __builtin_return_address(0);
    crank_try(crank_sleep(0.001));
    return deeper(depth) < 0;
}

TEST_EACH_BACKEND(backtrace, is_as_long_after_a_wait)
{
    EXPECT_EQ(crank_await(crank_spawn(sleeping_task, 3)), 0);
    expect_a_base(4);
    return 0;
}

static int numbers(int depth)
{
    in_base = __builtin_return_address(0);
    crank_try(crank_yield(1));
    crank_try(crank_yield(deeper(depth)));
    return 0;
}

TEST_EACH_BACKEND(backtrace, of_a_generator_ends_at_its_function)
{
    crank_generator *g = crank_generate(numbers, 5);
    int value;
    EXPECT_EQ(crank_next(g, &value), 1);
    EXPECT_EQ(crank_next(g, &value), 1);
    expect_a_base(6);
    EXPECT_EQ(crank_generator_close(g), 0);
    return 0;
}
