/* SPDX-License-Identifier: MIT */
/* checkpoint.c: the slow half of opening a wait.
 *
 * A waiting call first notices a pending cancellation; then, if its task has made many calls
 * without a wait, it lets the others run. Both are rare, so the fast half in wait.h is two tests.
 *
 * Owns: the checkpoint, and what is told of parking and waking. Trio makes every waiting call a
 * switch; in C a call that need not wait costs a few nanoseconds and a switch several times that,
 * so the budget stands in for it: what is promised is that no task is starved, not that all others
 * run at each call. */
#include "task/error.h"
#include "task/wait.h"
#include "base/check.h"
#include "loop/inherit.h"
#include "loop/registry.h"

/* To the end of the line: all tasks that are ready now run before. */
static void yield(const cr_caller *w)
{
    w->self->fiber.wake = 0;
    cr_sched_push(&w->loop->runner, &w->self->fiber);
    (void)cr_park(w, NULL);
}

/* The flags may say asked while a shield hides it: the chain of scopes decides. */
bool cr_checkpoint_pending(const cr_caller *w)
{
    return (w->self->fiber.flags & CR_TASK_ANY_PENDING) &&
           cr_task_state_of(w->loop)->pending->deliverable(w->self);
}

/* A timeout or group of the running task could not be made: its block must not go on as if it were
 * there. */
int cr_checkpoint_without_scope(crank_loop *loop)
{
    cr_task_state_of(loop)->out_of_memory = 0;
    loop->runner.budget = 1; /* a caller that came by the fast half has spent the last of it */
    return cr_error_set(-ENOMEM, "out of memory for a timeout, group or shield");
}

/* The budget is spent. How large it is, is not promised: where choices are explored each call may
 * be the one that makes room, if another task is ready. */
static bool makes_room(crank_loop *loop)
{
    if (!loop->explored)
        return true;
    loop->runner.budget = 1;
    bool others = loop->runner.head || loop->in_flight > 0 || !cr_wakeup_empty(loop->wakeup);
    return others && cr_loop_choose(loop, 2) == 1;
}

/* For calls that must not return before others have ended: whether they are cancelled is asked
 * after, with cr_checkpoint_pending, and a request stays to be delivered. */
int cr_checkpoint_no_cancel(const cr_caller *w)
{
    if (CR_UNLIKELY(w->self->fiber.flags & CR_TASK_ANY_PENDING))
        cr_task_state_of(w->loop)->pending->run_on(w->self);
    if (cr_task_state_of(w->loop)->out_of_memory == w->self->id)
        return cr_checkpoint_without_scope(w->loop);
    w->loop->runner.budget--;
    cr_checkpoint_yield(w);
    return 0;
}

cr_block_end cr_checkpoint_block_end(const cr_caller *w)
{
    cr_task_state *tasks = cr_task_state_of(w->loop);
    cr_block_end kept = { cr_error_take(w->self), tasks->out_of_memory == w->self->id };
    if (kept.without_scope)
        tasks->out_of_memory = 0;
    return kept;
}

/* The next waiting call says that there is no scope: it must take the slow half. */
void cr_checkpoint_block_left(const cr_caller *w, const cr_block_end *kept)
{
    if (kept->without_scope) {
        cr_task_state_of(w->loop)->out_of_memory = w->self->id;
        w->loop->runner.budget = 1;
    }
    crank_error_clear();
    if (kept->failure)
        cr_error_give(w->loop, w->self, kept->failure);
}

/* Mistakes that look alike to the fast half, told apart for the reader of the message. Where no
 * loop is alive the call came before or after the run; else it may be in a thread job. */
CRANK_NORETURN static CR_COLD void not_in_a_task(crank_loop *loop, const char *call)
{
    if (loop && loop->running)
        cr_check_failed(
            "%s: called in a callback of the loop, which must not wait; spawn a task that does",
            call);
    cr_check_failed(
        "%s: called outside a task; only a function that crank_run or crank_spawn runs can "
        "wait%s%s",
        call, cr_inherit_note(),
        cr_registry_empty() ? ""
                            : ", a thread job or another thread cannot: call crank_post or "
                              "crank_submit there");
}

/* The cancellation comes first, the budget second: where it is 0, room is due. */
int cr_checkpoint_no_yield_slow(crank_loop *loop, const char *call)
{
    cr_task *self = loop ? cr_task_of_fiber(loop->runner.current) : NULL;
    if (!self)
        not_in_a_task(loop, call);
    cr_caller w = { loop, self };
    if (cr_task_state_of(loop)->out_of_memory == self->id)
        return cr_checkpoint_without_scope(loop);
    if (self->fiber.flags & CR_TASK_ANY_PENDING) {
        if (cr_checkpoint_again_slow(&w) < 0)
            return -ECANCELED;
        if (loop->runner.budget > 0)
            loop->runner.budget--; /* hidden by a shield: the fast half did not count this call */
    }
    return 0;
}

void cr_checkpoint_yield_slow(crank_loop *loop)
{
    cr_caller w = { loop, cr_task_of_fiber(loop->runner.current) };
    if (makes_room(loop))
        yield(&w);
}

/* After making room the flags are looked at again, for the others may have asked meanwhile. */
int cr_checkpoint_slow(crank_loop *loop, const char *call)
{
    int err = cr_checkpoint_no_yield_slow(loop, call);
    if (err < 0 || loop->runner.budget > 0)
        return err;
    cr_caller w = { loop, cr_task_of_fiber(loop->runner.current) };
    cr_checkpoint_yield(&w);
    return cr_checkpoint_again(&w);
}

int cr_checkpoint_again_slow(const cr_caller *w)
{
    cr_task_state_of(w->loop)->pending->run_on(w->self);
    if (!cr_checkpoint_pending(w))
        return 0;
    cr_task_state_of(w->loop)->pending->interrupt(w->self);
    return -ECANCELED;
}

/* What runs after is told of by the loop, to which the processor goes: see cr_loop_trace. */
long cr_park_traced(cr_sched *runner, cr_fiber *self, const cr_wait_ops *wait)
{
    cr_trace_emit(runner->tracer, CR_EVENT_WAITS, self, (uintptr_t)wait);
    return cr_fiber_park(runner, self, wait);
}

void cr_wake_traced(crank_loop *loop, cr_task *task, long result)
{
    cr_trace_emit(loop->runner.tracer, CR_EVENT_WOKEN, task, (uintptr_t)result);
    cr_wake_untraced(loop, task, result);
}

/* The loop's hook: a task's own timer is due. */
void cr_task_timer_due(crank_loop *loop, cr_timer *timer)
{
    cr_task *task = cr_container_of(timer, cr_task, timer);
    const cr_wait_ops *wait = task->fiber.wait;
    if (CR_UNLIKELY(wait->on_timeout != NULL))
        wait->on_timeout(loop, task);
    else
        cr_wake(loop, task, 0);
}
