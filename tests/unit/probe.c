/* SPDX-License-Identifier: MIT */
/* probe.c: a tracer hears of every task's life, in order, and of nothing else. */
#include "../behaviour/trail.h"
#include "task/describe.h"
#include "task/wait.h"

static void hear(cr_tracer *tracer, enum cr_event event, const void *fiber, uintptr_t detail)
{
    (void)tracer;
    const cr_task *task = fiber;
    const char *name = cr_describe_name(task);
    switch (event) {
    case CR_EVENT_SPAWNED: say("%s spawns", cr_describe_name((const cr_task *)detail)); break;
    case CR_EVENT_RUNS: say("%s runs", name); break;
    case CR_EVENT_WAITS: say("%s %s", name, detail ? ((const cr_wait_ops *)detail)->what : "makes room"); break;
    case CR_EVENT_WOKEN: say("%s is woken with %d", name, (int)detail); break;
    case CR_EVENT_ASKED: say("%s is asked", name); break;
    case CR_EVENT_ENDED: say("%s ends", name); break;
    }
}
static cr_tracer tracer = { .on_event = hear };
static void listen(bool on) { cr_loop_trace(cr_loop_here, on ? &tracer : NULL); }

static int sleeper(const char *name)
{
    crank_set_name(NULL, name);
    crank_try(crank_sleep(1));
    return 0;
}

TEST_SIM(probe, tells_of_spawning_running_waiting_waking_and_ending)
{
    crank_set_name(NULL, "app");
    listen(true);
    crank_task *task = crank_spawn(sleeper, "a");
    crank_set_name(task, "a");
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_EQ(crank_sleep(0), 0);
    listen(false);
    EXPECT_TRAIL("app spawns app awaits a runs a sleeps a is woken with 0 a runs a ends "
                 "app is woken with 0 app runs app makes room app runs");
    return 0;
}

TEST_SIM(probe, tells_of_a_request_before_what_comes_of_it)
{
    crank_set_name(NULL, "app");
    crank_task *task = crank_spawn(sleeper, "a");
    EXPECT_EQ(crank_sleep(0), 0);
    listen(true);
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    listen(false);
    EXPECT_TRAIL("a is asked a is woken with -125 app awaits the end of a runs a ends "
                 "app is woken with -125 app runs");
    return 0;
}

static int nothing(void) { return 0; }
TEST_SIM(probe, tells_of_tasks_that_end_at_once)
{
    crank_set_name(NULL, "app");
    listen(true);
    crank_task *task = crank_spawn_eager(nothing);
    listen(false);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_CONTAINS(trail, "app spawns app makes room");
    EXPECT_CONTAINS(trail, " ends app runs");
    return 0;
}

TEST_SIM(probe, that_nobody_listens_to_says_nothing)
{
    EXPECT_EQ(crank_await(crank_spawn(sleeper, "a")), 0);
    EXPECT_TRAIL("");
    return 0;
}
