/* SPDX-License-Identifier: MIT */
/* embed.c: what calls of the callback layer that cannot be right are told. */
#include "test.h"

/* ---- the loop of a program ends when its app does, and not before */

TEST_CHECKS(loop, of_a_program_is_not_stopped,
    "crank_loop_stop: this is the loop of a program, which ends when app returns")
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
