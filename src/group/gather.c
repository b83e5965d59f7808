/* SPDX-License-Identifier: MIT */
/* gather.c: waiting for several tasks: for all of them, or for the first success.
 *
 * A gather takes its tasks over: it is their joiner, and goes on only when all have ended, because
 * an orphan would write into a frame that is gone. That is where it parts from asyncio's, which
 * returns with the first failure and leaves the others running. crank_any is a gather that the
 * first success stops, in place of the first failure. crank_wait only watches.
 *
 * The state lies in the scopes' freelist and not on the stack while it waits; the array of handles
 * is the caller's and may lie on its stack, so it is touched (cr_hibernate_ensure) before it is
 * read from outside.
 *
 * Invariant: left counts the tasks that have not ended. Each of them has this gather as its joiner,
 * so no other call can give up the handle of one, and none can be awaited twice. */
#include "group/results.h"
#include "scope/cancel.h"
#include "scope/end.h"
#include "scope/join.h"
#include "scope/reap.h"
#include "scope/scope.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/hibernate.h"
#include "task/result.h"
#include "task/wait.h"
#include "base/check.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

typedef struct gather {
    cr_gather base;
    crank_loop *loop;
    cr_task *self;
    const char *call;         /* its name, for CHECKs */
    crank_task *const *tasks; /* the caller's */
    size_t n;
    size_t left;
    int error;       /* of the first to fail */
    uint64_t failed; /* which */
    uint64_t won;    /* crank_any: the first to succeed; 0 while none has */
    bool any;        /* crank_any: a success is the reason to stop; error counts while none won */
    bool settled;    /* failures are outcomes, not reasons to stop */
    bool waiting;
    bool interrupted;
    bool stopped; /* all were cancelled */
    bool named;   /* one that does not end was reported */
} gather;

/* By number and not by handle check: that a task was given up meanwhile is no mistake here. */
static void cancel_rest(gather *g)
{
    g->stopped = true;
    cr_hibernate_ensure(g->tasks);
    for (size_t i = 0; i < g->n; i++) {
        cr_task *task = g->tasks[i] ? cr_task_find((uint64_t)(uintptr_t)g->tasks[i]) : NULL;
        if (task && task->fiber.life != CR_ENDED)
            (void)cr_cancel_task(g->loop, task);
    }
}

/* All are asked to end while the caller waits: it waits with the grace period's timer now. */
static void stop_all(gather *g);

/* The first failure in time wins, not the first in the array: it is the reason for the others. */
static void note_failure(gather *g, const cr_task *task)
{
    int error = cr_result_error(task);
    bool real = g->interrupted && g->error == -ECANCELED && error != -ECANCELED;
    if (g->settled || (g->error && !real))
        return;
    g->error = error;
    g->failed = task->id;
    if (!g->stopped)
        stop_all(g);
}

/* crank_any: the first success decides, and failures of before it count no more. Among failures the
 * first that is no cancellation stands for all; that of a task that could not be spawned has no
 * id. */
static void judge(gather *g, uint64_t id, int error)
{
    if (g->won)
        return;
    if (error == 0) {
        g->won = id;
        g->error = 0;
    } else if (g->error == 0 || (g->error == -ECANCELED && error != -ECANCELED)) {
        g->error = error;
        g->failed = id;
    }
}

static void note_for_any(gather *g, const cr_task *task)
{
    bool decided = g->won != 0;
    judge(g, task->id, cr_result_error(task));
    if (!decided && g->won && !g->stopped)
        stop_all(g);
}

/* The plain wait and the one after all tasks were asked to end, which has the grace period's
 * timer. */
static bool gather_abort(cr_task *self);
static void gather_repeat(cr_task *self);
static cr_task *gather_holder(const cr_task *self);
static cr_task *gather_unnamed(cr_task *self);
static void gather_ask(crank_loop *loop, cr_task *self);
static size_t gather_describe(const cr_task *self, char *buf, size_t size);
static const cr_wait_ops gather_wait, gather_end_wait;
static const cr_reap gather_reap = {
    .plain = &gather_wait, .graced = &gather_end_wait, .unnamed = gather_unnamed, .ask = gather_ask
};
static const cr_wait_ops gather_wait = { .what = "gathers",
    .abort = gather_abort,
    .repeat = gather_repeat,
    .reap = &gather_reap,
    .blocked_by = gather_holder,
    .describe = gather_describe };
static const cr_wait_ops gather_end_wait = { .what = "gathers",
    .abort = gather_abort,
    .repeat = gather_repeat,
    .on_timeout = cr_reap_due,
    .reap = &gather_reap,
    .blocked_by = gather_holder,
    .describe = gather_describe };

static inline void go_on(crank_loop *loop, gather *g)
{
    if (g->left > 0 || !g->waiting)
        return;
    g->waiting = false;
    cr_reap_end(loop, g->self, &gather_reap);
    g->self->fiber.flags = (uint16_t)(g->self->fiber.flags & ~CR_TASK_DELIVERING);
    cr_wake(loop, g->self, 0);
}

/* Called at each end, from within it. The caller is woken by the last one only, and while it is
 * not parked yet (waiting is false) it finds left at 0 itself. */
static void one_ended(crank_loop *loop, cr_gather *base, cr_task *task)
{
    gather *g = cr_container_of(base, gather, base);
    g->left--;
    if (CR_UNLIKELY(task->fiber.flags & CR_TASK_FAILED))
        note_failure(g, task);
    go_on(loop, g);
}

/* The same for crank_any. */
static void one_of_any_ended(crank_loop *loop, cr_gather *base, cr_task *task)
{
    gather *g = cr_container_of(base, gather, base);
    g->left--;
    if (g->any)
        note_for_any(g, task);
    go_on(loop, g);
}

/* A request is passed on also where a failure has stopped them all before; a limit that passes then
 * has no more to ask of them. */
static bool gather_abort(cr_task *self)
{
    gather *g = self->wait_object;
    self->fiber.flags |= CR_TASK_DELIVERING;
    g->interrupted = true;
    if (!g->stopped || cr_interruption_requested(self))
        stop_all(g);
    return false;
}
static void gather_repeat(cr_task *self) { stop_all(self->wait_object); }

/* The first that has not ended. */
static cr_task *gather_holder(const cr_task *self)
{
    const gather *g = self->wait_object;
    for (size_t i = 0; i < g->n; i++) {
        cr_task *task = g->tasks[i] ? cr_task_find((uint64_t)(uintptr_t)g->tasks[i]) : NULL;
        if (task && task->fiber.life != CR_ENDED)
            return task;
    }
    return NULL;
}
static size_t gather_describe(const cr_task *self, char *buf, size_t size)
{
    const gather *g = self->wait_object;
    return cr_text_format(buf, size, "%zu of %zu tasks", g->left, g->n);
}

/* Cancelling may end all of them at once and wake the caller: only one that still waits gets a
 * timer. */
static void stop_all(gather *g)
{
    cancel_rest(g);
    if (g->waiting)
        cr_reap_asked(g->loop, g->self, &gather_reap);
}

static cr_task *gather_unnamed(cr_task *self)
{
    gather *g = self->wait_object;
    bool named = g->named;
    g->named = true;
    return named ? NULL : gather_holder(self);
}
static void gather_ask(crank_loop *loop, cr_task *self)
{
    (void)loop;
    cancel_rest(self->wait_object);
}

/* Does a result of this kind fit the results' array? A future's kind is not known before it is set,
 * and is looked at again then; a void result fits everywhere, as 0. */
static CR_NOINLINE void kind_check_all(const cr_task *task, size_t size, unsigned char kind)
{
    bool unset = (task->fiber.flags & CR_TASK_FUTURE) &&
                 (task->fiber.life != CR_ENDED || (task->fiber.flags & CR_TASK_FAILED));
    CR_CHECK(unset || cr_results_fits(task->site, size, kind),
        "crank_gather: the result of task '%s' (%s) does not fit the results' array of %zu-byte %s",
        cr_describe_name(task), cr_results_words(task->site), size,
        cr_results_variables_words(kind));
}

/* Most arrays are of the very type of the tasks' results. */
static inline void kind_check(const cr_task *task, size_t size, unsigned char kind)
{
    if (CR_UNLIKELY(task->site->kind != kind || task->site->size > size))
        kind_check_all(task, size, kind);
}

/* A gather gives the handles up, so it is the only one to wait. */
static void join_check(const cr_task *self, const cr_task *task, const char *call)
{
    cr_join_check(self, task, call);
    CR_CHECK(!task->joiner && !(task->fiber.flags & (CR_TASK_DROPPED | CR_TASK_IN_GROUP)),
        "%s: task '%s' is awaited by somebody else, was dropped, belongs to a group "
        "(crank_group_spawn_into and CRANK_POOL keep its children's results), or is given twice",
        call, cr_describe_name(task));
}

/* crank_any, before it waits: of several that have succeeded the first to end wins. fiber.wake of
 * an ended task numbers the ends. */
static void judge_ended(gather *g, const cr_task *task)
{
    const cr_task *winner = g->won ? cr_task_find(g->won) : NULL;
    if (winner && task->fiber.wake < winner->fiber.wake && cr_result_error(task) == 0)
        g->won = task->id;
    judge(g, task->id, cr_result_error(task));
}

/* Become the joiner of every task; the dead and the missing count at once. */
static void take_over(gather *g, size_t size, unsigned char kind)
{
    for (size_t i = 0; i < g->n; i++) {
        if (!g->tasks[i]) {
            if (g->any)
                judge(g, 0, -ENOMEM);
            else if (!g->error && !g->settled)
                g->error = cr_error_set(
                    -ENOMEM, "crank_gather: a task could not be spawned: out of memory");
            continue;
        }
        cr_task *task = cr_task_of(g->tasks[i], g->call);
        join_check(g->self, task, g->call);
        kind_check(task, size, kind);
        if (task->fiber.life != CR_ENDED) {
            g->left++;
        } else if (g->any) {
            judge_ended(g, task);
        } else if (!g->settled && !g->error && (task->fiber.flags & CR_TASK_FAILED)) {
            g->error = cr_result_error(task);
            g->failed = task->id;
        }
        task->joiner = (uintptr_t)&g->base | 1;
    }
}

/* What the caller is told, when all have ended. pending: it had been asked to stop before it began,
 * and is told so whatever came out, or a loop of such calls could not be cancelled. */
static int outcome(gather *g, bool pending)
{
    bool interrupted = g->interrupted && cr_interruption_deliverable(g->self);
    if (g->error && g->error != -ECANCELED)
        return g->error; /* a failure is not hidden by a request, which stays */
    if (g->error == 0 && !(interrupted && (g->settled || pending)))
        return 0; /* they all gave results in spite of it: those stand, the request stays */
    cr_interruption_give(g->self);
    return -ECANCELED;
}

/* Wait until all have ended. Gives 0, the first failure, or -ECANCELED; the tasks are still to
 * be claimed. */
static int wait_for_all(gather *g, size_t size, unsigned char kind)
{
    cr_caller w = { cr_checked_loop(g->call), cr_checked_self(g->call) };
    *g = (gather){ .base.ended = g->any ? one_of_any_ended : one_ended,
        .loop = w.loop,
        .self = w.self,
        .call = g->call,
        .tasks = g->tasks,
        .n = g->n,
        .any = g->any,
        .settled = g->settled };
    take_over(g, size, kind);
    int err = cr_checkpoint_no_cancel(&w);
    if (CR_UNLIKELY(err < 0)) {
        g->error = err;
        g->any = false; /* that is what it fails with, whichever task may succeed */
    }
    bool pending = g->interrupted = cr_checkpoint_pending(&w);
    if ((g->any ? g->won != 0 : g->error != 0) || pending)
        cancel_rest(g);
    if (g->left > 0) {
        g->waiting = true;
        w.self->wait_object = g;
        (void)cr_park(&w, g->stopped ? cr_reap_begin(w.loop, w.self, &gather_reap) : &gather_wait);
    }
    return outcome(g, pending);
}

/* Only called when every task has a result: the array is untouched by a failed gather. */
static void store(void *results, size_t i, size_t size, unsigned char kind, const cr_task *task)
{
    char *at = (char *)results + i * size;
    if (kind == CRANK_KIND_DOUBLE) {
        uint64_t bits = cr_result_bits(task);
        memcpy(at, &bits, sizeof bits);
    } else if (size == sizeof(long)) {
        *(long *)(void *)at = cr_result_value(task);
    } else {
        long value = cr_result_value(task);
        memcpy(at, &value, size); /* little-endian: the low bytes */
    }
}

/* Give up a task of a gather: its failure becomes the caller's where it is the one returned.
 * Futures are not given up by an await, nor here: several may wait for one. */
static void give_up(gather *g, cr_task *task, int result)
{
    bool ours = task->id == g->failed && result == g->error && result < 0;
    task->joiner = 0;
    if (CR_LIKELY(cr_end_is_plain(g->self, task))) {
        cr_end_release_plain(cr_task_state_of(g->loop), g->self, task);
        return;
    }
    task->fiber.flags |= CR_TASK_CLAIMED;
    if (task->fiber.flags & CR_TASK_FUTURE) {
        if (ours)
            cr_error_copy(g->loop, task, g->self);
        if (task->fiber.flags & CR_TASK_DROPPED)
            cr_end_release(g->loop, task);
        return;
    }
    if (ours)
        cr_join_claim(g->loop, task, g->self);
    else
        cr_end_release(g->loop, task);
}

/* Shares the scopes' freelist: both live for the length of one block, and both are about that
 * large. */
static gather *gather_new(crank_task *const *tasks, size_t n, bool settled, const char *call)
{
    CR_CHECK(tasks || n == 0, "%s: the array of tasks is NULL", call);
    _Static_assert(sizeof(gather) <= CR_SCOPE_SIZE, "a gather fits the scopes' freelist");
    gather *g = cr_freelist_get(&cr_task_state_of(cr_checked_loop(call))->scopes);
    if (!g)
        return NULL;
    g->call = call;
    g->tasks = tasks;
    g->n = n;
    g->any = false;
    g->settled = settled;
    return g;
}

/* Not even memory to wait for them together: they are asked to end, and awaited one after another.
 * Marked as joined meanwhile, each shows that it is given once. One that is another's child may be
 * gone with its parent when its turn comes. */
static CR_COLD int without_memory(crank_task *const *tasks, size_t n, const char *call)
{
    const uintptr_t mark = 1;
    const cr_task *self = cr_checked_self(call);
    for (size_t i = 0; i < n; i++) {
        if (!tasks[i])
            continue;
        cr_task *task = cr_task_of(tasks[i], call);
        join_check(self, task, call);
        task->joiner = mark;
    }
    for (size_t i = 0; i < n; i++)
        if (tasks[i])
            cr_task_of(tasks[i], call)->joiner = 0;
    for (size_t i = 0; i < n; i++)
        (void)crank_cancel(tasks[i]);
    for (size_t i = 0; i < n; i++) {
        cr_task *task = cr_task_find((uint64_t)(uintptr_t)tasks[i]);
        if (task)
            cr_join_end_of(task);
    }
    return cr_error_set(-ENOMEM, "%s: out of memory", call);
}

/* Handles are looked up again after the wait: the array may have lain on a stack that was put
 * away. */
int crank_gather_(
    crank_task *const *tasks, size_t n, void *results, size_t size, unsigned char kind)
{
    CR_CHECK(kind != CRANK_KIND_STRUCT && kind != CRANK_KIND_BOOL && kind != CRANK_KIND_FLOAT,
        "crank_gather: results is an array of integers, doubles or pointers, or NULL");
    gather *g = gather_new(tasks, n, false, "crank_gather");
    if (!g)
        return without_memory(tasks, n, "crank_gather");
    int result = wait_for_all(g, size, results ? kind : (unsigned char)CRANK_KIND_VOID);
    for (size_t i = 0; i < n; i++) {
        if (!tasks[i])
            continue;
        cr_task *task = cr_task_of(tasks[i], "crank_gather");
        if (result == 0 && results) {
            kind_check(task, size, kind);
            store(results, i, size, kind, task);
        }
        give_up(g, task, result);
    }
    cr_freelist_put(&cr_task_state_of(cr_loop_here)->scopes, g);
    return result;
}

/* The text is copied, cut where it does not fit: the failure goes with its task. */
static void fill_outcome(crank_outcome *outcome, const cr_task *task)
{
    memset(outcome, 0, sizeof *outcome);
    outcome->error = cr_result_error(task);
    uint64_t bits = cr_result_bits(task);
    if (outcome->error == 0) {
        memcpy(&outcome->value, &bits, sizeof bits);
        return;
    }
    const cr_failure *failure = cr_failure_of(task);
    snprintf(outcome->message, sizeof outcome->message, "%s",
        failure ? cr_failure_text(failure) : cr_failure_error_words(outcome->error));
}

/* A failure here is an outcome: it is copied out, and counts as seen. */
int crank_gather_settled_n(crank_task *const *tasks, size_t n, crank_outcome *ret_outcomes)
{
    CR_CHECK(ret_outcomes || n == 0,
        "crank_gather_settled: the array of outcomes is NULL; use crank_gather, which needs none");
    gather *g = gather_new(tasks, n, true, "crank_gather_settled");
    if (!g) {
        for (size_t i = 0; i < n; i++)
            ret_outcomes[i] = (crank_outcome){ .error = -ENOMEM, .message = "out of memory" };
        return without_memory(tasks, n, "crank_gather_settled");
    }
    int result = wait_for_all(g, 0, CRANK_KIND_VOID);
    for (size_t i = 0; i < n; i++) {
        if (!tasks[i]) {
            ret_outcomes[i] = (crank_outcome){ .error = -ENOMEM, .message = "out of memory" };
            continue;
        }
        cr_task *task = cr_task_of(tasks[i], "crank_gather_settled");
        fill_outcome(&ret_outcomes[i], task);
        give_up(g, task, 0);
    }
    cr_freelist_put(&cr_task_state_of(cr_loop_here)->scopes, g);
    return result;
}

/* ---- the first to succeed */

/* The failure that stands for all; a task that could not be spawned has no id. */
static size_t first_failed(const gather *g)
{
    size_t i = 0;
    while ((uint64_t)(uintptr_t)g->tasks[i] != g->failed)
        i++;
    return i;
}

static void collect(const gather *g, cr_failure **all, size_t i)
{
    cr_task *task = g->tasks[i] ? cr_task_of(g->tasks[i], "crank_any") : NULL;
    int error = task ? cr_result_error(task) : -ENOMEM;
    if (error < 0 && error != -ECANCELED) /* one that was only cancelled has not failed */
        cr_error_collect(g->loop, all, task, error);
}

/* All have failed: the first failure becomes the caller's, with all beneath it: itself, and the
 * others in the order of the array. */
static void collect_failures(const gather *g)
{
    cr_failure *all = NULL;
    size_t first = first_failed(g);
    collect(g, &all, first);
    for (size_t i = 0; i < g->n; i++)
        if (i != first)
            collect(g, &all, i);
    if (all)
        cr_error_give(g->loop, g->self, all);
}

static void fill_outcomes(crank_task *const *tasks, size_t n, crank_outcome *outcomes)
{
    for (size_t i = 0; i < n; i++) {
        if (tasks[i])
            fill_outcome(&outcomes[i], cr_task_of(tasks[i], "crank_any"));
        else
            outcomes[i] = (crank_outcome){ .error = -ENOMEM, .message = "out of memory" };
    }
}

/* Gives the index of the one that won. */
static int give_up_all(gather *g)
{
    int won = 0;
    for (size_t i = 0; i < g->n; i++) {
        cr_task *task = g->tasks[i] ? cr_task_of(g->tasks[i], "crank_any") : NULL;
        if (!task)
            continue;
        if (task->id == g->won)
            won = (int)i;
        give_up(g, task, 0);
    }
    return won;
}

static int any_of_none(void)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_any");
    return err < 0 ? err : cr_error_set(-EINVAL, "crank_any: there is nothing to wait for");
}

/* Outcomes and failures come before the tasks are given up, with which they go. */
int crank_any_n(crank_task *const *tasks, size_t n, crank_outcome *ret_outcomes)
{
    if (n == 0)
        return any_of_none();
    gather *g = gather_new(tasks, n, false, "crank_any");
    if (!g) {
        for (size_t i = 0; ret_outcomes && i < n; i++)
            ret_outcomes[i] = (crank_outcome){ .error = -ENOMEM, .message = "out of memory" };
        return without_memory(tasks, n, "crank_any");
    }
    g->any = true;
    int result = wait_for_all(g, 0, CRANK_KIND_VOID);
    if (ret_outcomes)
        fill_outcomes(tasks, n, ret_outcomes);
    if (g->any && result < 0 && result != -ECANCELED)
        collect_failures(g);
    int won = give_up_all(g);
    cr_freelist_put(&cr_task_state_of(cr_loop_here)->scopes, g);
    return result < 0 ? result : won;
}
