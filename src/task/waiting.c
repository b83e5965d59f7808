/* SPDX-License-Identifier: MIT */
/* waiting.c: the slow half of opening a wait, and waiting for time.
 *
 * A waiting call first notices a pending cancellation; then, if its task has made many calls
 * without a wait, it lets the others run. Both are rare, so the fast half in park.h is two tests.
 *
 * Owns: the checkpoint, the sleeping calls, and the grace period's timer of a task that waits
 * for others. Trio makes every waiting call a switch; in C a call that need not wait costs a few
 * nanoseconds and a switch several times that, so the budget stands in for it: what is promised
 * is that nobody is starved, not that everybody runs at each call. */
#include "task/tasks.h"
#include "base/check.h"
#include "loop/inherit.h"
#include "loop/registry.h"
#include <math.h>
#include <stdio.h>

/* To the end of the line: everybody who is ready now runs before. */
void cr_yield(const cr_waiting *w)
{
    w->self->fiber.wake = 0;
    cr_runner_push(&w->loop->runner, &w->self->fiber);
    (void)cr_park(w, NULL);
}

/* The flags may say asked while a shield hides it: the chain of scopes decides. */
bool cr_wait_noticed(const cr_waiting *w)
{
    return (w->self->fiber.flags & CR_TASK_NOTICE) && cr_tasks_of(w->loop)->deliverable(w->self);
}

/* A timeout or group of the running task could not be made: its block must not go on as if it were
 * there. */
int cr_scope_missing(crank_loop *loop)
{
    cr_tasks_of(loop)->out_of_memory = 0;
    loop->runner.budget = 1; /* who came by the fast half has spent the last of it */
    return cr_failed(-ENOMEM, "out of memory for a timeout, group or shield");
}

/* The budget is spent. How large it is nobody is promised: where choices are explored each call may
 * be the one that makes room, if there is anybody to make it for. */
static bool makes_room(crank_loop *loop)
{
    if (!loop->explored)
        return true;
    loop->runner.budget = 1;
    bool others = loop->runner.head || loop->in_flight > 0 || !cr_wakeup_empty(loop->wakeup);
    return others && cr_choose(loop, 2) == 1;
}

/* For calls that must not return before others have ended: whether they are cancelled is asked
 * after, with cr_wait_noticed, and a request stays to be delivered. */
int cr_wait_room(const cr_waiting *w)
{
    if (CR_UNLIKELY(w->self->fiber.flags & CR_TASK_NOTICE))
        cr_tasks_of(w->loop)->run_on(w->self);
    if (cr_tasks_of(w->loop)->out_of_memory == w->self->id)
        return cr_scope_missing(w->loop);
    w->loop->runner.budget--;
    cr_wait_end(w);
    return 0;
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
        call, cr_fork_note(),
        cr_registry_empty() ? ""
                            : ", a thread job or another thread cannot: call crank_post or "
                              "crank_submit there");
}

/* The cancellation comes first, the budget second: where it is 0, room is due. */
int cr_wait_begin_at_once_slow(crank_loop *loop, const char *call)
{
    cr_task *self = loop ? cr_task_of_fiber(loop->runner.current) : NULL;
    if (!self)
        not_in_a_task(loop, call);
    cr_waiting w = { loop, self };
    if (cr_tasks_of(loop)->out_of_memory == self->id)
        return cr_scope_missing(loop);
    if (self->fiber.flags & CR_TASK_NOTICE) {
        if (cr_wait_on_slow(&w) < 0)
            return -ECANCELED;
        if (loop->runner.budget > 0)
            loop->runner.budget--; /* hidden by a shield: the fast half did not count this call */
    }
    return 0;
}

void cr_wait_end_slow(crank_loop *loop)
{
    cr_waiting w = { loop, cr_task_of_fiber(loop->runner.current) };
    if (makes_room(loop))
        cr_yield(&w);
}

/* After making room the flags are looked at again, for the others may have asked meanwhile. */
int cr_wait_begin_slow(crank_loop *loop, const char *call)
{
    int err = cr_wait_begin_at_once_slow(loop, call);
    if (err < 0 || loop->runner.budget > 0)
        return err;
    cr_waiting w = { loop, cr_task_of_fiber(loop->runner.current) };
    cr_wait_end(&w);
    return cr_wait_on(&w);
}

int cr_wait_on_slow(const cr_waiting *w)
{
    cr_tasks_of(w->loop)->run_on(w->self);
    if (!cr_wait_noticed(w))
        return 0;
    cr_tasks_of(w->loop)->interrupt(w->self);
    return -ECANCELED;
}

/* What runs after is told of by the loop, to which the processor goes: see cr_loop_listen. */
long cr_park_told(cr_runner *runner, cr_fiber *self, const cr_wait *wait)
{
    cr_tell(runner->listener, CR_EVENT_WAITS, self, (uintptr_t)wait);
    return cr_fiber_park(runner, self, wait);
}

void cr_wake_told(crank_loop *loop, cr_task *task, long result)
{
    cr_tell(loop->runner.listener, CR_EVENT_WOKEN, task, (uintptr_t)result);
    cr_wake_untold(loop, task, result);
}

static bool sleep_undo(cr_task *task)
{
    cr_timer_stop(cr_loop_here, &task->timer);
    return true;
}

size_t cr_sleep_describe(const cr_task *task, char *buf, size_t size)
{
    double left = (double)(task->timer.deadline - cr_now(cr_loop_here)) / 1e9;
    int n = snprintf(buf, size, "%.3f s more", left > 0 ? left : 0.0);
    return n > 0 ? (size_t)n : 0;
}

/* Nothing of a sleep lies on the stack, and nobody holds it: it ends by its own timer. */
static const cr_wait sleep_wait = {
    .what = "sleeps", .may_nap = true, .undo = sleep_undo, .describe = cr_sleep_describe
};

/* Out of line: the plain path of a sleep is a timer and a jump. */
static CR_NOINLINE int cannot_sleep(int err, const char *call)
{
    return err == -EINVAL ? cr_failed(err, "%s: the time is not a number", call)
                          : cr_failed(err, "%s: out of memory for a timer", call);
}

/* Parking last, so that the compiler makes it a tail call out of the public function. */
static inline int sleep_to(const cr_waiting *w, int64_t deadline, const char *call)
{
    int err = cr_timer_start(w->loop, &w->self->timer, CR_TIMER_TASK, deadline);
    if (CR_UNLIKELY(err < 0))
        return cannot_sleep(err, call);
    return cr_park_int(w, &sleep_wait);
}

/* No time to wait still makes room: every ready task runs once. Where none is, a switch would come
 * straight back: it counts as one, towards the loop's next look at the world. */
static inline int make_room(const cr_waiting *w)
{
    cr_runner *runner = &w->loop->runner;
    if (!runner->head && runner->steps > 0 && CR_LIKELY(!runner->listener)) {
        runner->steps--;
        runner->budget = runner->budget_full;
        return 0;
    }
    w->self->fiber.wake = 0;
    cr_runner_push(runner, &w->self->fiber);
    return cr_park_int(w, NULL);
}

static CR_NOINLINE int sleep_for(double seconds)
{
    cr_waiting w;
    int err = cr_wait_begin(&w, "crank_sleep");
    if (CR_UNLIKELY(err < 0))
        return err;
    if (seconds <= 0)
        return make_room(&w);
    int64_t span = cr_nanoseconds(seconds);
    if (CR_UNLIKELY(span < 0))
        return cannot_sleep(-EINVAL, "crank_sleep");
    return sleep_to(&w, cr_after(cr_now(w.loop), span), "crank_sleep");
}

/* crank_sleep(0) is how a task lets the others run: the way there has no frame of its own. */
int crank_sleep(double seconds)
{
    cr_waiting w;
    if (seconds <= 0 && CR_LIKELY(cr_wait_quick(&w)))
        return make_room(&w);
    return sleep_for(seconds);
}

/* An instant that has passed is no error; it makes room like a sleep of nothing. */
int crank_sleep_until(double time)
{
    cr_waiting w;
    int err = cr_wait_begin(&w, "crank_sleep_until");
    if (CR_UNLIKELY(err < 0))
        return err;
    int64_t deadline = cr_instant(time);
    if (CR_UNLIKELY(deadline < 0))
        return cannot_sleep(-EINVAL, "crank_sleep_until");
    if (deadline <= cr_now(w.loop))
        return make_room(&w);
    return sleep_to(&w, deadline, "crank_sleep_until");
}

/* On a worker of a simulated loop it is that one's time, which is not the world's. */
static CR_NOINLINE int64_t now_outside(void)
{
    crank_loop *loop = cr_loop_served;
    if (!loop || !cr_registry_hold(loop))
        return cr_sys_real.now(cr_sys_real.context);
    int64_t now = cr_now(loop);
    cr_registry_release();
    return now;
}

double crank_time(void)
{
    crank_loop *loop = cr_loop_here;
    int64_t now = loop ? cr_now(loop) : now_outside();
    return (double)now / 1e9;
}

/* The timer is the waiter's own, which is free: a task that waits for others has no sleep
 * running. */
bool cr_grace_start(crank_loop *loop, cr_task *task, const cr_wait *graced)
{
    int64_t deadline = cr_after(cr_now(loop), cr_nanoseconds(loop->options.grace));
    if (cr_tasks_of(loop)->stuck > 0) /* nothing else happens: its timer would hide that */
        return false;
    if (cr_timer_start(loop, &task->timer, CR_TIMER_TASK, deadline) < 0)
        return false;
    task->fiber.wait = graced;
    cr_tasks_of(loop)->graces++;
    return true;
}

void cr_grace_stop(crank_loop *loop, cr_task *task)
{
    cr_timer_stop(loop, &task->timer);
    cr_tasks_of(loop)->graces--;
}

bool cr_grace_over(crank_loop *loop)
{
    cr_tasks *tasks = cr_tasks_of(loop);
    tasks->graces--;
    if (tasks->grace_at != loop->polled_at) /* else what the others set going would be seen */
        tasks->grace_more = cr_loop_expects(loop, tasks->graces);
    tasks->grace_at = loop->polled_at;
    return tasks->grace_more;
}

/* The loop's hook: a task's own timer is due. */
void cr_task_timer_due(crank_loop *loop, cr_timer *timer)
{
    cr_task *task = cr_container_of(timer, cr_task, timer);
    const cr_wait *wait = task->fiber.wait;
    if (CR_UNLIKELY(wait->due != NULL))
        wait->due(loop, task);
    else
        cr_wake(loop, task, 0);
}
