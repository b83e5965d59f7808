/* SPDX-License-Identifier: MIT */
/* stop.c: what belongs to one turn of a loop, what stopping it does, and what is left of that. */
#include "loops.h"

static int count;
static void count_one(void *arg)
{
    (void)arg;
    count++;
}
static void stop_it(void *loop) { crank_loop_stop(loop); }

/* Asks for its next call first: that one belongs to the next turn. */
static void count_on(void *loop)
{
    EXPECT(crank_call_soon(loop, count_on, loop));
    if (++count == 5)
        crank_loop_stop(loop);
}

EACH_LOOP(turn, calls_what_is_asked_for_in_it_in_the_next_one)
{
    count = 0;
    EXPECT(crank_call_soon(loop, count_on, loop));
    EXPECT_EQ(crank_loop_run_once(loop, 0), 1);
    EXPECT_EQ(count, 1);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(count, 5);
}

EACH_LOOP(turn, in_which_the_loop_was_stopped_calls_all_that_was_ready)
{
    count = 0;
    EXPECT(crank_call_soon(loop, stop_it, loop));
    for (int i = 0; i < 200; i++)
        EXPECT(crank_call_soon(loop, count_one, NULL));
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(count, 200);
}

static void make_readable(int ends[2])
{
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
}

EACH_LOOP(turn, calls_a_reader_once_though_its_descriptor_stays_readable)
{
    int ends[2];
    make_readable(ends);
    count = 0;
    EXPECT_EQ(crank_add_reader(loop, ends[0], count_one, NULL), 0);
    for (int i = 1; i <= 5; i++) {
        EXPECT_EQ(crank_loop_run_once(loop, 1), 1);
        EXPECT_EQ(count, i);
    }
    EXPECT_EQ(crank_remove_reader(loop, ends[0]), 1);
    close(ends[0]);
    close(ends[1]);
}

EACH_LOOP(stop, before_the_run_lets_one_turn_look_at_descriptors_too)
{
    int ends[2];
    make_readable(ends);
    count = 0;
    EXPECT_EQ(crank_add_reader(loop, ends[0], count_one, NULL), 0);
    for (int i = 0; i < 100; i++)
        EXPECT(crank_call_soon(loop, count_one, NULL));
    crank_loop_stop(loop);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(count, 101);
    EXPECT_EQ(crank_remove_reader(loop, ends[0]), 1);
    close(ends[0]);
    close(ends[1]);
}

EACH_LOOP(loop, that_waits_for_what_never_comes_ends)
{
    crank_handle *never = crank_call_later(loop, CRANK_FOREVER, count_one, NULL);
    EXPECT(never);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(crank_loop_run_once(loop, CRANK_FOREVER), 0);
    EXPECT_EQ(crank_handle_cancel(never), 0);
}

EACH_LOOP(stop, is_over_with_the_run_once_that_it_ended)
{
    count = 0;
    crank_handle *far = crank_call_later(loop, 3600, count_one, NULL);
    crank_loop_stop(loop);
    double began = crank_loop_time(loop);
    EXPECT_EQ(crank_loop_run_once(loop, 1800), 0);
    EXPECT(crank_loop_time(loop) < began + 1000);
    began = crank_loop_time(loop);
    EXPECT_EQ(crank_loop_run_once(loop, 0.002), 0);
    EXPECT(crank_loop_time(loop) >= began + 0.002);
    EXPECT_EQ(crank_handle_cancel(far), 0);
    EXPECT(crank_call_soon(loop, stop_it, loop));
    EXPECT_EQ(crank_loop_run_once(loop, 0), 1);
    EXPECT(crank_call_later(loop, 0.001, count_one, NULL));
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(count, 1);
}

static void expect_running(void *loop)
{
    EXPECT(crank_loop_running(loop));
    crank_loop_stop(loop);
    EXPECT(crank_loop_running(loop));
}
EACH_LOOP(loop, runs_from_the_beginning_of_the_call_to_its_return)
{
    EXPECT(!crank_loop_running(loop));
    crank_loop_stop(loop);
    EXPECT(!crank_loop_running(loop));
    for (int i = 0; i < 2; i++) {
        EXPECT(crank_call_soon(loop, expect_running, loop));
        if (i == 0)
            EXPECT_EQ(crank_loop_run(loop), 0);
        else
            EXPECT_EQ(crank_loop_run_once(loop, 0), 1);
        EXPECT(!crank_loop_running(loop));
    }
}
TEST_EACH_BACKEND(loop, of_a_program_runs)
{
    EXPECT(crank_loop_running(crank_current_loop()));
    return 0;
}
