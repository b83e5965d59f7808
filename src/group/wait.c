/* SPDX-License-Identifier: MIT */
/* wait.c: waiting until some of several tasks have ended, without taking them over.
 *
 * Owns: crank_wait and what crank_foreach_completed asks. The tasks keep their handles, their
 * results and their failures; nothing is cancelled, whatever happens to the wait. The watchers lie
 * in one block on the heap and not on the stack, for they are written by ends while the caller is
 * parked.
 *
 * One block per call costs n watchers each time, and a loop over completions n times as many;
 * that is the price of a call that keeps no state between two of its uses. */
#include <crank/scope.h>
#include "scope/join.h"
#include "task/error.h"
#include "task/result.h"
#include "task/wait.h"
#include "base/check.h"
#include "base/text.h"
#include <string.h>

struct waiter; /* one wait for several */
typedef struct watch {
    cr_watcher base;
    struct waiter *waiter;
    bool watching;
} watch;
typedef struct waiter {
    crank_loop *loop;
    cr_task *self;
    size_t left; /* ends until it goes on */
    bool on_error;
    bool parked;
    bool timed;
    crank_task *const *tasks;
    size_t n;
    watch watches[];
} waiter;

/* The wait is over: its timer must not find a task that no longer waits. */
static void wait_over(waiter *w)
{
    w->parked = false;
    if (w->timed)
        cr_timer_stop(w->loop, &w->self->timer);
}

/* That a task was stopped, or stopped by itself, is no failure of it, as in asyncio's
 * FIRST_EXCEPTION. */
static bool has_failed(const cr_task *task)
{
    return (task->fiber.flags & CR_TASK_FAILED) && cr_result_error(task) != -ECANCELED;
}

/* One is enough, or the last, or one that failed. It counts also while the caller is not parked:
 * ends may come between watching and parking. */
static void one_ended(crank_loop *loop, cr_watcher *base, cr_task *task)
{
    watch *w = cr_container_of(base, watch, base);
    waiter *of = w->waiter;
    w->watching = false;
    if (of->left > 0)
        of->left--;
    if (of->on_error && has_failed(task))
        of->left = 0;
    if (of->left == 0 && of->parked) {
        wait_over(of);
        cr_wake(loop, of->self, 0);
    }
}

/* The watchers stay: wait_until takes them off, on the way out. */
static bool wait_abort(cr_task *self)
{
    wait_over(self->wait_object);
    return true;
}
/* The timeout is no error: crank_wait gives how many have ended, which may be none. */
static void wait_due(crank_loop *loop, cr_task *self)
{
    waiter *w = self->wait_object;
    w->parked = false;
    cr_wake(loop, self, 0);
}
static size_t wait_describe(const cr_task *self, char *buf, size_t size)
{
    const waiter *w = self->wait_object;
    return cr_text_format(buf, size, "%zu of %zu tasks", w->left, w->n);
}
/* Any of those that live will do, as with a group. */
static cr_task *wait_holder(const cr_task *self)
{
    const waiter *w = self->wait_object;
    for (size_t i = 0; i < w->n; i++)
        if (w->watches[i].watching)
            return cr_task_find((uint64_t)(uintptr_t)w->tasks[i]);
    return NULL;
}
static const cr_wait_ops some_wait = { .what = "waits for",
    .abort = wait_abort,
    .on_timeout = wait_due,
    .blocked_by = wait_holder,
    .describe = wait_describe };

/* A spawn that failed has ended, and failed. A task whose record went while we waited, with its
 * owner, has ended too. */
static const cr_task *still_there(const crank_task *handle)
{
    return handle ? cr_task_find((uint64_t)(uintptr_t)handle) : NULL;
}
static bool has_ended(const crank_task *handle)
{
    const cr_task *task = still_there(handle);
    return !task || task->fiber.life == CR_ENDED;
}
static long ended_at(const crank_task *handle)
{
    const cr_task *task = still_there(handle);
    return task ? task->fiber.wake : -1;
}

/* Also the check of every handle, before anything is watched. */
static size_t count_ended(crank_task *const *tasks, size_t n, bool *ret_failed)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const cr_task *task = tasks[i] ? cr_task_of(tasks[i], "crank_wait") : NULL;
        bool ended = has_ended(tasks[i]);
        count += ended;
        *ret_failed |= ended && (!task || has_failed(task));
    }
    return count;
}

/* Watch all that live. -ENOMEM leaves some watched. */
static int watch_all(waiter *w, crank_task *const *tasks)
{
    for (size_t i = 0; i < w->n; i++) {
        if (has_ended(tasks[i]))
            continue;
        cr_task *task = cr_task_of(tasks[i], "crank_wait");
        cr_join_check(w->self, task, "crank_wait");
        if (!cr_record_ext(cr_task_state_of(w->loop), task))
            return -ENOMEM;
        w->watches[i] = (watch){ { NULL, one_ended }, w, true };
        cr_join_watch(task, &w->watches[i].base);
    }
    return 0;
}

/* Those that have ended have left the list themselves. */
static void unwatch_all(waiter *w, crank_task *const *tasks)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->watches[i].watching)
            cr_join_unwatch(cr_task_of(tasks[i], "crank_wait"), &w->watches[i].base);
}

/* Park until enough have ended or span has passed. The function that ends the wait has stopped its
 * timer. */
static int wait_parked(waiter *w, int64_t span)
{
    cr_caller waiting = { w->loop, w->self };
    if (span != CR_NEVER) {
        int err = cr_timer_start(
            w->loop, &w->self->timer, CR_TIMER_TASK, cr_after(cr_now(w->loop), span));
        if (err < 0)
            return err;
        w->timed = true;
    }
    w->parked = true;
    w->self->wait_object = w;
    return (int)cr_park(&waiting, &some_wait);
}

/* Memory first, watching second, parking last; the way back undoes what was done, however far it
 * came. The one waiting call of this folder that must do something after it has parked: take its
 * watchers back. */
static int wait_until(
    crank_task *const *tasks, size_t n, size_t needed, bool on_error, int64_t span)
{
    crank_loop *loop = cr_loop_here;
    waiter *w = cr_alloc_zero(loop->sys, sizeof *w + n * sizeof w->watches[0]);
    if (!w)
        return cr_error_set(-ENOMEM, "crank_wait: out of memory");
    w->loop = loop;
    w->self = cr_self();
    w->left = needed;
    w->on_error = on_error;
    w->tasks = tasks;
    w->n = n;
    int err = watch_all(w, tasks);
    if (err == 0)
        err = wait_parked(w, span);
    unwatch_all(w, tasks);
    cr_free(loop->sys, w);
    return err == -ENOMEM ? cr_error_set(err, "crank_wait: out of memory") : err;
}

/* The ended ones to the front, in the order in which they stood. The order of the others stays
 * as well: a caller may count on its own order. */
static size_t partition(crank_task **tasks, size_t n)
{
    size_t front = 0;
    for (size_t i = 0; i < n; i++) {
        if (!has_ended(tasks[i]))
            continue;
        crank_task *ended = tasks[i];
        memmove(&tasks[front + 1], &tasks[front], (i - front) * sizeof *tasks);
        tasks[front++] = ended;
    }
    return front;
}

/* Where enough have ended already nothing is allocated, and nothing waits. */
ssize_t crank_wait(crank_task **tasks, size_t n, crank_when when, double timeout)
{
    cr_caller w;
    CR_CHECK(tasks || n == 0, "crank_wait: the array of tasks is NULL");
    int err = cr_checkpoint(&w, "crank_wait");
    if (err < 0)
        return err;
    int64_t span = timeout < 0 ? 0 : cr_loop_nanoseconds(timeout);
    if (span < 0)
        return cr_error_set(-EINVAL, "crank_wait: the timeout is not a number");
    if (n == 0)
        return cr_error_set(-EINVAL, "crank_wait: there is nothing to wait for");
    bool failed = false;
    size_t ended = count_ended(tasks, n, &failed);
    bool enough = ended == n || (when == CRANK_FIRST_COMPLETED && ended > 0) ||
                  (when == CRANK_FIRST_ERROR && failed);
    if (!enough) {
        size_t needed = when == CRANK_FIRST_COMPLETED ? 1 : n - ended;
        err = wait_until(tasks, n, needed, when == CRANK_FIRST_ERROR, span);
        if (err < 0)
            return err;
    }
    return (ssize_t)partition(tasks, n);
}

/* Of several that have ended the first to end: fiber.wake of an ended task numbers the ends. */
int crank_wait_next_(crank_task **tasks, size_t n)
{
    ssize_t ended = crank_wait(tasks, n, CRANK_FIRST_COMPLETED, CRANK_FOREVER);
    if (ended < 0)
        return (int)ended;
    ssize_t first = 0;
    for (ssize_t i = 1; i < ended; i++)
        if (ended_at(tasks[i]) < ended_at(tasks[first]))
            first = i;
    crank_task *chosen = tasks[first];
    memmove(&tasks[1], &tasks[0], (size_t)first * sizeof *tasks);
    tasks[0] = chosen;
    return 0;
}
