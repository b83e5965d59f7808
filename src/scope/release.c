/* SPDX-License-Identifier: MIT */
/* release.c: giving handles up without waiting, and being told of an end by a callback.
 *
 * Owns: crank_drop, crank_detach, crank_abandon, the done callbacks, and what lets a user's own
 * awaitable stand where a task is expected. Ownership itself does not change when a handle is
 * given up: a dropped task still belongs to its parent, which does not end before it; only a
 * detached one goes to the loop. A done callback runs from the ready line and not from within
 * the end of the task, so that it sees a loop at rest and may call whatever it likes. */
#include "scope/release.h"
#include "scope/cancel.h"
#include "scope/end.h"
#include "scope/join.h"
#include "scope/nursery.h"
#include "task/describe.h"
#include "task/error.h"
#include "base/check.h"
#include "loop/callback.h"

/* A group's child and a future are borrowed by this handle: there is nothing to give up. */
static void give_up_check(const cr_task *task, const char *call)
{
    CR_CHECK(!(task->fiber.flags & CR_TASK_FUTURE),
        "%s: this is the borrowed handle of a future; crank_future_free lets that go", call);
    CR_CHECK(!task->joiner && !(task->fiber.flags & (CR_TASK_DROPPED | CR_TASK_IN_GROUP)),
        "%s: the handle of task '%s' is not the caller's to give up: it is awaited, was dropped or "
        "detached, or belongs to a group",
        call, cr_describe_name(task));
}

void crank_drop(crank_task *handle)
{
    if (!handle)
        return;
    crank_loop *loop = cr_checked_loop("crank_drop");
    cr_task *task = cr_task_of(handle, "crank_drop");
    give_up_check(task, "crank_drop");
    if (task->fiber.life == CR_ENDED)
        cr_end_release(loop, task);
    else
        task->fiber.flags |= CR_TASK_DROPPED;
}

/* The old parent may have returned and have waited for this child alone: it is told when the task
 * has its new owner. When app has ended the detached tasks are being cancelled: this one is too. */
static void detach(cr_task *task, const char *call)
{
    crank_loop *loop = cr_loop_here;
    cr_task_state *tasks = cr_task_state_of(loop);
    give_up_check(task, call);
    if (task->fiber.life == CR_ENDED) {
        cr_end_release(loop, task);
        return;
    }
    cr_task *parent = task->owner;
    uint64_t id = task->id;
    task->fiber.flags |= CR_TASK_DETACHED;
    cr_nursery_adopt(task, tasks->detached);
    cr_end_left(loop, parent);
    if (!tasks->root && cr_task_find(id))
        (void)cr_cancel_task(loop, task);
}

void crank_detach(crank_task *task)
{
    if (task)
        detach(cr_task_of(task, "crank_detach"), "crank_detach");
}

/* A started job cannot be interrupted, so it is handed to the loop first and then asked: one not
 * started yet ends here, another when it comes back. */
void crank_abandon(crank_task *handle)
{
    if (!handle)
        return;
    cr_task *task = cr_task_of(handle, "crank_abandon");
    give_up_check(task, "crank_abandon");
    bool is_job = task->fiber.life == CR_EXTERNAL; /* a future's handle is not given up so */
    if (is_job)
        task->fiber.flags |= CR_TASK_CLAIMED; /* its failure is not reported */
    detach(task, "crank_abandon");
    task = is_job ? cr_task_find((uint64_t)(uintptr_t)handle) : NULL;
    if (task && task->fiber.life == CR_EXTERNAL)
        (void)cr_cancel_task(cr_loop_here, task);
}

/* ---- callbacks */

/* One per callback, on the heap. From the end of the task to the call it is linked to the others of
 * that task, so that it can be taken back; where it was, fn is NULL in its turn. */
struct done {
    cr_watcher watcher;
    struct done *next, **link;
    cr_service service; /* its turn in the ready line: no memory is needed when the task ends */
    cr_task *task;      /* that has ended; its record is kept until the call */
    void (*fn)(crank_task *task, void *arg);
    void *arg;
};

/* The record is kept until here, also where the handle was given up meanwhile. */
static void done_over(crank_loop *loop, struct done *done)
{
    cr_task *task = done->task;
    cr_free(loop->sys, done);
    if (--task->ext->pins == 0 && task->ext->released) {
        cr_end_free_ext(cr_task_state_of(loop), task);
        cr_record_put(cr_task_state_of(loop), task);
    }
}

static void done_unlink(struct done *done)
{
    *done->link = done->next;
    if (done->next)
        done->next->link = done->link;
}

/* It is not there to be removed any more when it is called. */
static void done_call(crank_loop *loop, cr_service *service)
{
    struct done *done = cr_container_of(service, struct done, service);
    if (done->fn) {
        done_unlink(done);
        done->fn(cr_task_handle(done->task), done->arg);
    }
    done_over(loop, done);
}

/* The pin keeps the record for the callback's handle, also when the handle is given up
 * meanwhile. */
static void done_ended(crank_loop *loop, cr_watcher *watcher, cr_task *task)
{
    struct done *done = cr_container_of(watcher, struct done, watcher);
    cr_ext *ext = task->ext;
    ext->pins++;
    done->next = ext->dones;
    done->link = &ext->dones;
    if (done->next)
        done->next->link = &done->next;
    ext->dones = done;
    done->task = task;
    done->service.run = done_call;
    cr_service_push(loop, &done->service);
}

/* On a task that has ended already it is queued at once: the caller need not look first. */
int(crank_on_done)(crank_task *handle, void (*fn)(crank_task *task, void *arg), void *arg)
{
    if (!handle)
        return cr_error_set(-ENOMEM, "crank_on_done: the task could not be spawned: out of memory");
    cr_task *task = cr_task_of(handle, "crank_on_done");
    CR_CHECK(fn, "crank_on_done: the function is NULL");
    crank_loop *loop = cr_loop_here;
    struct done *done = cr_alloc(loop->sys, sizeof *done);
    if (!done || !cr_record_ext(cr_task_state_of(loop), task)) {
        cr_free(loop->sys, done);
        return cr_error_set(-ENOMEM, "crank_on_done: out of memory");
    }
    *done = (struct done){ .watcher = { NULL, done_ended }, .fn = fn, .arg = arg };
    if (task->fiber.life == CR_ENDED)
        done_ended(loop, &done->watcher, task);
    else
        cr_join_watch(task, &done->watcher);
    return 0;
}

static bool is_done(
    const struct done *done, void (*fn)(crank_task *task, void *arg), const void *arg)
{
    return done->fn == fn && done->arg == arg;
}

/* What waits for the end is freed; what stands in the ready line stays there until its turn. */
int(crank_remove_on_done)(crank_task *handle, void (*fn)(crank_task *task, void *arg), void *arg)
{
    if (!handle)
        return 0;
    cr_task *task = cr_task_of(handle, "crank_remove_on_done");
    int count = 0;
    cr_watcher *next;
    for (cr_watcher *w = task->ext ? task->ext->watchers : NULL; w; w = next) {
        next = w->next;
        struct done *done = cr_container_of(w, struct done, watcher);
        if (w->ended != done_ended || !is_done(done, fn, arg))
            continue;
        cr_join_unwatch(task, w);
        cr_free(cr_loop_here->sys, done);
        count++;
    }
    for (struct done *done = task->ext ? task->ext->dones : NULL; done; done = done->next) {
        if (!is_done(done, fn, arg))
            continue;
        done_unlink(done);
        done->fn = NULL;
        count++;
    }
    return count;
}

/* What else is ready keeps its place: it is its owner's to free. */
void cr_release_dones_left(crank_loop *loop)
{
    cr_sched *runner = &loop->runner;
    cr_fiber *next = runner->head;
    runner->head = NULL;
    runner->tail = &runner->head;
    for (cr_fiber *item = next; item; item = next) {
        next = item->next;
        cr_service *service = cr_container_of(item, cr_service, item);
        if (item->run != CR_RUN_SERVICE || service->run != done_call) {
            cr_sched_push(runner, item);
            continue;
        }
        struct done *done = cr_container_of(service, struct done, service);
        if (done->fn)
            done_unlink(done);
        done_over(loop, done);
    }
}

void cr_release_dones_free(crank_loop *loop, cr_ext *ext)
{
    cr_watcher *next;
    for (cr_watcher *w = ext->watchers; w; w = next) {
        next = w->next;
        if (w->ended == done_ended)
            cr_free(loop->sys, cr_container_of(w, struct done, watcher));
    }
}

/* ---- awaitables */

static long await_awaitable(crank_awaitable *awaitable) { return awaitable->await(awaitable); }

/* An awaitable among tasks becomes a task that awaits it, so that gather and wait know one kind
 * only. */
crank_task *crank_task_of_(const void *x, enum crank_awaited what)
{
    if (what != CRANK_IS_AWAITABLE_ || !x)
        return (crank_task *)(uintptr_t)x;
    static const crank_site site = { "(awaitable)", "", "", 0, CRANK_KIND_SIGNED, sizeof(long), 1,
        false, 1, 0 };
    *cr_fiber_captured_small() = (cr_small_args){ .general = { (uint64_t)(uintptr_t)x } };
    return crank_spawn_(0, (crank_function_ *)await_awaitable, &site);
}
