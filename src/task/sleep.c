/* SPDX-License-Identifier: MIT */
/* sleep.c: waiting for time, and asking what time it is.
 *
 * Owns: crank_sleep, crank_sleep_until, crank_time. Nothing of a sleep lies on the sleeper's stack:
 * it ends by the task's own timer. crank_spawn(crank_sleep, s) comes here only where it is called,
 * for a task made so has no stack (sleeper.c). */
#include "task/sleep.h"
#include "base/text.h"
#include "task/error.h"
#include "task/wait.h"
#include "loop/registry.h"
#include <math.h>

static bool sleep_abort(cr_task *task)
{
    cr_timer_stop(cr_loop_here, &task->timer);
    return true;
}

size_t cr_sleep_describe(const cr_task *task, char *buf, size_t size)
{
    double left = (double)(task->timer.deadline - cr_now(cr_loop_here)) / 1e9;
    return cr_text_format(buf, size, "%.3f s more", left > 0 ? left : 0.0);
}

/* Nothing of a sleep lies on the stack, and no task can end it: it ends by its own timer. */
static const cr_wait_ops sleep_wait = {
    .what = "sleeps", .hibernatable = true, .abort = sleep_abort, .describe = cr_sleep_describe
};

/* Out of line: the plain path of a sleep is a timer and a jump. */
static CR_NOINLINE int cannot_sleep(int err, const char *call)
{
    return err == -EINVAL ? cr_error_set(err, "%s: the time is not a number", call)
                          : cr_error_set(err, "%s: out of memory for a timer", call);
}

/* Parking last, so that the compiler makes it a tail call out of the public function. */
static inline int sleep_to(const cr_caller *w, int64_t deadline, const char *call)
{
    int err = cr_timer_start(w->loop, &w->self->timer, CR_TIMER_TASK, deadline);
    if (CR_UNLIKELY(err < 0))
        return cannot_sleep(err, call);
    return cr_park_int(w, &sleep_wait);
}

/* No time to wait still makes room: every ready task runs once. Where none is, a switch would come
 * straight back: it counts as one, towards the loop's next look at the world. */
static inline int make_room(const cr_caller *w)
{
    cr_sched *runner = &w->loop->runner;
    if (!runner->head && runner->steps > 0 && CR_LIKELY(!runner->tracer)) {
        runner->steps--;
        runner->budget = runner->budget_full;
        return 0;
    }
    w->self->fiber.wake = 0;
    cr_sched_push(runner, &w->self->fiber);
    return cr_park_int(w, NULL);
}

static CR_NOINLINE int sleep_for(double seconds)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_sleep");
    if (CR_UNLIKELY(err < 0))
        return err;
    if (seconds <= 0)
        return make_room(&w);
    int64_t span = cr_loop_nanoseconds(seconds);
    if (CR_UNLIKELY(span < 0))
        return cannot_sleep(-EINVAL, "crank_sleep");
    return sleep_to(&w, cr_after(cr_now(w.loop), span), "crank_sleep");
}

/* crank_sleep(0) is how a task lets the others run: the way there has no frame of its own. */
int crank_sleep(double seconds)
{
    cr_caller w;
    if (seconds <= 0 && CR_LIKELY(cr_checkpoint_fast(&w)))
        return make_room(&w);
    return sleep_for(seconds);
}

/* An instant that has passed is no error; it makes room like a sleep of nothing. */
int crank_sleep_until(double time)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_sleep_until");
    if (CR_UNLIKELY(err < 0))
        return err;
    int64_t deadline = cr_loop_instant(time);
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
