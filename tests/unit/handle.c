/* SPDX-License-Identifier: MIT */
/* handle.c: crank_handle_cancel says whether the call was taken back, however old the handle is. */
#include "loops.h"

static void count(void *arg) { ++*(int *)arg; }

EACH_LOOP(handle, cancelled_in_time_takes_the_call_back)
{
    int calls = 0;
    EXPECT_EQ(crank_handle_cancel(crank_call_soon(loop, count, &calls)), 0);
    EXPECT_EQ(crank_handle_cancel(crank_call_later(loop, 0.001, count, &calls)), 0);
    EXPECT_EQ(crank_handle_cancel(crank_call_at(loop, 1e300, count, &calls)), 0);
    EXPECT_EQ(crank_handle_cancel(NULL), -ESRCH);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(calls, 0);
}

EACH_LOOP(handle, cancelled_twice_takes_nothing_back_the_second_time)
{
    int calls = 0, others = 0;
    crank_handle *soon = crank_call_soon(loop, count, &calls);
    crank_handle *later = crank_call_later(loop, 0.001, count, &calls);
    EXPECT_EQ(crank_handle_cancel(soon), 0);
    EXPECT_EQ(crank_handle_cancel(later), 0);
    for (int i = 0; i < 4; i++)
        EXPECT(crank_call_later(loop, 0.001, count, &others));
    EXPECT_EQ(crank_handle_cancel(soon), -ESRCH);
    EXPECT_EQ(crank_handle_cancel(later), -ESRCH);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(calls, 0);
    EXPECT_EQ(others, 4);
}

EACH_LOOP(handle, cancelled_after_its_call_leaves_the_next_one_alone)
{
    int calls = 0;
    crank_handle *soon = crank_call_soon(loop, count, &calls);
    crank_handle *later = crank_call_later(loop, 0.001, count, &calls);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(calls, 2);
    for (int i = 0; i < 4; i++)
        EXPECT(crank_call_soon(loop, count, &calls));
    EXPECT_EQ(crank_handle_cancel(soon), -ESRCH);
    EXPECT_EQ(crank_handle_cancel(later), -ESRCH);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(calls, 6);
}

static void nothing(void *arg) { (void)arg; }
static crank_handle *own;
static void cancel_own(void *arg)
{
    EXPECT_EQ(crank_handle_cancel(own), -ESRCH);
    EXPECT(crank_call_soon(arg, nothing, NULL) != own);
    EXPECT_EQ(crank_handle_cancel(own), -ESRCH);
}
EACH_LOOP(handle, cancelled_in_its_own_call_is_too_late)
{
    own = crank_call_soon(loop, cancel_own, loop);
    EXPECT_EQ(crank_loop_run(loop), 0);
    own = crank_call_later(loop, 0.001, cancel_own, loop);
    EXPECT_EQ(crank_loop_run(loop), 0);
}

/* The next loop's records may well lie where those of the first lay. */
EACH_LOOP(handle, of_a_loop_that_was_freed_is_recognised)
{
    int calls = 0;
    crank_loop *first = open_loop(loop->options.backend, 0);
    crank_handle *soon = crank_call_soon(first, count, &calls);
    crank_handle *later = crank_call_later(first, 1, count, &calls);
    crank_loop_free(first);
    EXPECT_EQ(crank_handle_cancel(soon), -ESRCH);
    crank_loop *second = open_loop(loop->options.backend, 0);
    EXPECT(crank_call_soon(second, count, &calls));
    EXPECT(crank_call_soon(second, count, &calls));
    EXPECT_EQ(crank_handle_cancel(soon), -ESRCH);
    EXPECT_EQ(crank_handle_cancel(later), -ESRCH);
    EXPECT_EQ(crank_loop_run(second), 0);
    EXPECT_EQ(calls, 2);
    crank_loop_free(second);
}

EACH_LOOP(handle, comes_in_thousands)
{
    enum { N = 3000 };
    static crank_handle *handles[N];
    int calls = 0;
    for (int i = 0; i < N; i++)
        handles[i] = i % 2 ? crank_call_soon(loop, count, &calls) : crank_call_later(loop, 1, count, &calls);
    for (int i = 0; i < N; i += 3)
        EXPECT_EQ(crank_handle_cancel(handles[i]), 0);
    for (int i = 0; i < N; i++)
        EXPECT_EQ(crank_handle_cancel(handles[i]), i % 3 ? 0 : -ESRCH);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(calls, 0);
}
