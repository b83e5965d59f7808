/* SPDX-License-Identifier: MIT */
/* sleeper.c: tasks whose function is a call of crank's own: crank_spawn(crank_sleep, 1.0).
 *
 * Such a task runs no code of the user's, so it needs no stack: its record holds the arguments,
 * then the timer, then the result. A thousand timeouts spawned as tasks cost what a thousand timers
 * do. In all that can be seen from outside it is a task like any other: it begins at its turn, not
 * when it is spawned, it is cancelled, awaited, named and described the same way.
 *
 * A turn on the ready line begins it or ends it; which of the two, fiber.run says. Owns also
 * cr_sleeper_need_stack: what is done with whatever the runner cannot run by itself, such a task
 * among them. */
#include "scope/sleeper.h"
#include "scope/end.h"
#include "scope/spawn.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/hibernate.h"
#include "task/sleep.h"
#include "task/wait.h"
#include "base/check.h"
#include <string.h>

static bool native_abort(cr_task *task)
{
    cr_timer_stop(cr_loop_here, &task->timer);
    return true;
}

static void native_due(crank_loop *loop, cr_task *task) { cr_end_complete(loop, task, 0, 0); }

/* No hibernatable: there is nothing to put away. */
static const cr_wait_ops native_wait = {
    .what = "sleeps", .abort = native_abort, .on_timeout = native_due, .describe = cr_sleep_describe
};

static void fail(crank_loop *loop, cr_task *task, int err)
{
    cr_failure *failure = cr_failure_new(err, cr_describe_name(task));
    if (failure) {
        cr_failure_message(failure, "crank_sleep: %s",
            err == -EINVAL ? "the time is not a number" : "out of memory for a timer");
        cr_error_give(loop, task, failure);
    }
    cr_end_complete(loop, task, (uint64_t)(int64_t)err, 0);
}

static void wait_for_timer(crank_loop *loop, cr_task *task)
{
    cr_trace_emit(loop->runner.tracer, CR_EVENT_WAITS, task, (uintptr_t)&native_wait);
    task->fiber.wait = &native_wait;
}

/* The arguments lie where the timer and the rest of a running task's fields do: they are read
 * before those are written. Then as in crank_sleep: what was asked meanwhile comes first, and no
 * time to wait is a turn at the end of the line. */
static void begin(crank_loop *loop, cr_task *task)
{
    double seconds;
    memcpy(&seconds, cr_fiber_small(&task->fiber)->vector, sizeof seconds);
    task->fiber.run = CR_RUN_NATIVE_ENDS;
    task->fiber.wake = 0;
    task->fiber.wait = NULL;
    task->fiber.stack = NULL;
    task->fiber.scope = NULL;
    task->fiber.generator = NULL;
    task->child = NULL;
    task->timer = (cr_timer){ 0 };
    if (task->fiber.flags & CR_TASK_ANY_PENDING) {
        cr_task_state_of(loop)->pending->interrupt(task);
        cr_end_complete(loop, task, (uint64_t)(int64_t)-ECANCELED, 0);
        return;
    }
    if (seconds <= 0) {
        cr_spawn_ready(loop, task);
        return;
    }
    int64_t span = cr_loop_nanoseconds(seconds);
    int err = span < 0
                  ? -EINVAL
                  : cr_timer_start(loop, &task->timer, CR_TIMER_TASK, cr_after(cr_now(loop), span));
    if (err < 0)
        fail(loop, task, err);
    else
        wait_for_timer(loop, task);
}

static void turn(crank_loop *loop, cr_task *task)
{
    if (task->fiber.run == CR_RUN_NATIVE)
        begin(loop, task);
    else
        cr_end_complete(loop, task, (uint64_t)task->fiber.wake, 0);
}

/* The runner has taken the fiber off the line and cannot run it: it needs no stack, or its own is
 * put away, or there is none in the pool. It goes back to the front, where it was; a task for
 * which there is no stack ends without having run. */
void cr_sleeper_need_stack(crank_loop *loop, cr_fiber *fiber)
{
    if (fiber->run == CR_RUN_NATIVE || fiber->run == CR_RUN_NATIVE_ENDS) {
        turn(loop, cr_task_of_fiber(fiber));
        return;
    }
    if (fiber->run == CR_RUN_HIBERNATED) {
        cr_hibernate_wake(cr_task_of_fiber(fiber));
        cr_sched_push_front(&loop->runner, fiber);
        return;
    }
    int err = cr_stacks_refill(cr_task_state_of(loop)->stacks);
    if (err == 0)
        cr_sched_push_front(&loop->runner, fiber);
    else
        cr_end_complete_error(loop, cr_task_of_fiber(fiber), err);
}
