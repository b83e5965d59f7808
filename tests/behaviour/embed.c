/* SPDX-License-Identifier: MIT */
/* embed.c: what calls of the callback layer that cannot be right are told. */
#include <crank/thread.h>
#include "test.h"

/* ---- the loop of a program ends when its app does, and not before */

TEST_CHECKS(
    loop, of_a_program_is_not_stopped, "crank_loop_stop: this is the loop of a program, which ends when app returns")
{
    crank_loop_stop(crank_current_loop());
    return 0;
}

static void stop_it(void *loop) { crank_loop_stop(loop); }
TEST_CHECKS(loop, of_a_program_is_not_stopped_by_a_callback,
    "crank_loop_stop: this is the loop of a program, which ends when app returns")
{
    EXPECT(crank_call_soon(crank_current_loop(), stop_it, crank_current_loop()));
    return crank_sleep(1);
}

/* ---- NULL is told as such, whichever call it was */

static void nothing(void *arg) { (void)arg; }

#define NULL_LOOP(name, call) \
    TEST_CHECKS_OUTSIDE(name, of_no_loop_is_refused, #name ": the loop is NULL") { (void)(call); }

NULL_LOOP(crank_loop_run, crank_loop_run(NULL))
NULL_LOOP(crank_loop_run_once, crank_loop_run_once(NULL, 0))
NULL_LOOP(crank_loop_stop, (crank_loop_stop(NULL), 0))
NULL_LOOP(crank_loop_running, crank_loop_running(NULL))
NULL_LOOP(crank_loop_time, crank_loop_time(NULL) > 0)
NULL_LOOP(crank_loop_fd, crank_loop_fd(NULL))
NULL_LOOP(crank_loop_next, crank_loop_next(NULL) > 0)
NULL_LOOP(crank_call_soon, crank_call_soon(NULL, nothing, NULL))
NULL_LOOP(crank_call_later, crank_call_later(NULL, 1, nothing, NULL))
NULL_LOOP(crank_call_at, crank_call_at(NULL, 1, nothing, NULL))
NULL_LOOP(crank_add_reader, crank_add_reader(NULL, 0, nothing, NULL))
NULL_LOOP(crank_add_writer, crank_add_writer(NULL, 0, nothing, NULL))
NULL_LOOP(crank_remove_reader, crank_remove_reader(NULL, 0))
NULL_LOOP(crank_remove_writer, crank_remove_writer(NULL, 0))
NULL_LOOP(crank_waker_new, (crank_waker_new)(NULL, nothing, NULL))

TEST_CHECKS_OUTSIDE(crank_waker_wake, of_no_waker_is_refused, "crank_waker_wake: the waker is NULL")
{
    crank_waker_wake(NULL);
}

#define NULL_GENERATOR(name, call) \
    TEST_CHECKS(name, of_no_generator_is_refused, #name ": the generator is NULL") { return (int)(call); }

static long result;
NULL_GENERATOR(crank_generator_result, crank_generator_result(NULL, &result))
NULL_GENERATOR(crank_generator_line, crank_generator_line(NULL))
static char text[8];
NULL_GENERATOR(crank_generator_describe, crank_generator_describe(NULL, text, sizeof text))
