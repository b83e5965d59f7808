/* SPDX-License-Identifier: MIT */
/* cancel.c: requests to stop.
 *
 * Owns: the count of requests a task has had (fiber.counts) and the flag of one not yet delivered.
 * A request is delivered once, by the next wait that may notice it: at once where the task is
 * parked, by undoing that wait. What may be delivered now is interruption.c's to say, which knows
 * shields.
 *
 * Edge-triggered and counted, as in asyncio (Trio's is level-triggered): once delivered, cleanup
 * code may wait again without being told again, and crank_uncancel takes a request back. One
 * -ECANCELED answers all requests that came before the task ran on with it, so a request counts but
 * is not pending while one is on its way (CR_TASK_INTERRUPTED). The request is also the only thing
 * one task can do to another, so everything else that stops tasks (timeouts, groups, Ctrl-C, the
 * end of the program) comes through cr_cancel_task. */
#include "scope/cancel.h"
#include "error/failure.h"
#include "scope/end.h"
#include "scope/nursery.h"
#include "task/describe.h"
#include "task/wait.h"
#include "base/check.h"
#include <stdlib.h>
#include <string.h>

/* A wait that cannot be undone at once answers false and stays as it is: its own completion wakes
 * the task and says then whether the request was delivered. Delivered comes before the wake-up, so
 * that no task is ever both ready and still to be told of its request. */
void cr_cancel_deliver(crank_loop *loop, cr_task *task)
{
    if (!cr_task_parked(task) || !cr_task_state_of(loop)->pending->deliverable(task))
        return;
    const cr_wait_ops *wait = task->fiber.wait;
    if (!wait->abort)
        cr_waitq_leave(task->wait_object, task);
    else if (!wait->abort(task) || !task->fiber.wait)
        return; /* undoing may have ended what asked for this task too, and woken it */
    cr_task_state_of(loop)->pending->interrupt(task);
    cr_wake(loop, task, -ECANCELED);
}

/* Eight bits of counts hold the count; few tasks need the rest of it, which lies in the ext. At the
 * top it sticks, since wrapping would lose all requests. */
static void count_request(cr_task_state *tasks, cr_task *task)
{
    if (CR_LIKELY(CR_COUNTS_REQUESTS(task) < CR_COUNTS_REQUESTS_MAX)) {
        task->fiber.counts += CR_COUNTS_ASKED;
        return;
    }
    cr_ext *ext = cr_record_ext(tasks, task);
    if (ext && ext->more_requests < CR_REQUESTS_MAX - CR_COUNTS_REQUESTS_MAX)
        ext->more_requests++;
}

/* The running task has asked itself. */
static void count_own_request(cr_task_state *tasks, const cr_task *task)
{
    if (tasks->own_requests.id != task->id) {
        tasks->own_requests.id = task->id;
        tasks->own_requests.count = 0;
        tasks->own_requests.alone = !(task->fiber.flags & CR_TASK_CANCEL_PENDING);
    }
    tasks->own_requests.count++;
}

/* A request to a task that can notice by itself. Where its wait is being aborted already, or gives
 * -ECANCELED in any case, the request is passed on to the tasks it waits for. */
static void request(crank_loop *loop, cr_task *task)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    bool running = loop->runner.current == &task->fiber;
    bool absorbed =
        !running && (task->fiber.flags & CR_TASK_INTERRUPTED) && tasks->pending->absorb(task);
    if (running)
        count_own_request(tasks, task);
    if (!absorbed) {
        task->fiber.flags |= CR_TASK_CANCEL_PENDING;
        if (task->ext)
            task->ext->deferred_at = 0;
    }
    if (!(task->fiber.flags & (CR_TASK_DELIVERING | CR_TASK_INTERRUPTED))) {
        cr_cancel_deliver(loop, task);
    } else if (cr_task_parked(task) && !tasks->pending->shielded(task)) {
        const cr_wait_ops *wait = task->fiber.wait;
        if (wait->repeat)
            wait->repeat(task);
    }
}

/* What has no fiber has no wait to abort: a future ends here; a job ends here only where no
 * worker has taken it yet, else when it comes back. */
static void cancel_aside(crank_loop *loop, cr_task *task)
{
    if (task->fiber.flags & CR_TASK_FUTURE || cr_task_state_of(loop)->cancel_job(loop, task))
        cr_end_complete_error(loop, task, -ECANCELED);
}

/* What a request means depends on how far the task is: one that can notice by itself is asked,
 * one that cannot (held, aside) is ended here, one that only waits for its children passes it
 * on. */
static void cancel_now(crank_loop *loop, cr_task *task)
{
    cr_trace_emit(loop->runner.tracer, CR_EVENT_ASKED, task, 0);
    switch ((enum cr_life)task->fiber.life) {
    case CR_FREE:
    case CR_ENDED: return;
    case CR_DEFERRED:
        count_request(cr_task_state_of(loop), task);
        ((cr_nursery *)task->owner)->undefer(task->owner, task);
        cr_end_complete_error(loop, task, -ECANCELED);
        return;
    case CR_EXTERNAL:
        count_request(cr_task_state_of(loop), task);
        cancel_aside(loop, task);
        return;
    case CR_COMPLETING:
        count_request(cr_task_state_of(loop), task);
        cr_end_cancel_completing(loop, task);
        return;
    case CR_ALIVE:
        count_request(cr_task_state_of(loop), task);
        request(loop, task);
        return;
    }
}

/* Undoing a wait may cancel what was waited for, and so on down a chain as long as the program
 * likes, on the stack of the first caller. Requests further down than this are put off until those
 * above are through: in the order in which they came, or, where there is no memory to note that, in
 * any. */
enum { CHAIN_MAX = 16, MARKS = 64 };
static void put_off(cr_task_state *tasks, const cr_task *task)
{
    if (tasks->put_off_count == tasks->put_off_room) {
        size_t room = tasks->put_off_room ? 2 * tasks->put_off_room : 64;
        uint64_t *ids = cr_resize(tasks->loop->sys, tasks->put_off, room * sizeof *ids);
        if (!ids) {
            cr_slab *slab = cr_slab_of(task->id);
            size_t i = (size_t)(task - slab->records);
            tasks->put_off_marked += !(slab->put_off[i / MARKS] >> i % MARKS & 1);
            slab->put_off[i / MARKS] |= UINT64_C(1) << i % MARKS;
            return;
        }
        tasks->put_off = ids;
        tasks->put_off_room = room;
    }
    tasks->put_off[tasks->put_off_count++] = task->id;
}

/* One that has ended meanwhile is free: nothing is spawned while requests go down. */
static CR_COLD void ask_marked(crank_loop *loop, cr_task_state *tasks)
{
    for (cr_slab *slab = tasks->slabs; slab; slab = slab->next) {
        for (size_t word = 0; word < CR_SLAB_RECORDS / MARKS; word++) {
            while (slab->put_off[word]) {
                size_t bit = (size_t)__builtin_ctzll(slab->put_off[word]);
                slab->put_off[word] &= slab->put_off[word] - 1;
                tasks->put_off_marked--;
                cancel_now(loop, &slab->records[word * MARKS + bit]);
            }
        }
    }
}

/* By id, for one put off may have ended meanwhile, and its record have gone. */
static void ask_put_off(crank_loop *loop, cr_task_state *tasks)
{
    do {
        for (size_t i = 0; i < tasks->put_off_count; i++) {
            cr_task *task = cr_task_find(tasks->put_off[i]);
            if (task)
                cancel_now(loop, task);
        }
        tasks->put_off_count = 0;
        if (CR_UNLIKELY(tasks->put_off_marked > 0))
            ask_marked(loop, tasks);
    } while (tasks->put_off_count > 0 || tasks->put_off_marked > 0);
}

int cr_cancel_task(crank_loop *loop, cr_task *task)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    if (task->fiber.life == CR_ENDED || task->fiber.life == CR_FREE)
        return -ESRCH;
    if (CR_UNLIKELY(tasks->chain == CHAIN_MAX)) {
        put_off(tasks, task);
        return 0;
    }
    tasks->chain++;
    cancel_now(loop, task);
    if (CR_UNLIKELY(tasks->put_off_count + tasks->put_off_marked > 0) && tasks->chain == 1)
        ask_put_off(loop, tasks);
    tasks->chain--;
    return 0;
}

/* The next one is read first: a child that can end at once (a future, a job not started, one
 * held) is released within the call. */
void cr_cancel_children(crank_loop *loop, cr_task *first)
{
    cr_task *next;
    for (cr_task *child = first; child; child = next) {
        next = child->sibling_next;
        if (child->fiber.life != CR_ENDED)
            (void)cr_cancel_task(loop, child);
    }
}

int(crank_cancel)(crank_task *task)
{
    return task ? cr_cancel_task(cr_loop_here, cr_task_of(task, "crank_cancel")) : -ESRCH;
}

/* The reason is kept before the request is made, because the request may end the task within the
 * call. */
int(crank_cancel_because)(crank_task *handle, const char *format, ...)
{
    if (!handle)
        return -ESRCH;
    crank_loop *loop = cr_loop_here;
    cr_task *task = cr_task_of(handle, "crank_cancel_because");
    if (task->fiber.life == CR_ENDED)
        return -ESRCH;
    cr_ext *ext = cr_record_ext(cr_task_state_of(loop), task);
    cr_failure *reason = ext ? cr_failure_new(-ECANCELED, cr_describe_name(task)) : NULL;
    if (reason) { /* short memory costs the reason, not the request */
        va_list args;
        va_start(args, format);
        cr_failure_message_list(reason, format, args);
        va_end(args);
        cr_failure_free(ext->reason);
        ext->reason = reason;
    }
    return cr_cancel_task(loop, task);
}

unsigned crank_cancelling(crank_task *task)
{
    return cr_task_requests(cr_task_or_self(task, "crank_cancelling"));
}

/* Of those the task has made to itself the last first. */
static void take_back(cr_task_state *tasks, cr_task *task)
{
    if (task->ext && task->ext->more_requests > 0)
        task->ext->more_requests--;
    else if (CR_COUNTS_REQUESTS(task) > 0)
        task->fiber.counts -= CR_COUNTS_ASKED;
    if (tasks->own_requests.id != task->id)
        return;
    if (CR_COUNTS_REQUESTS(task) == 0 || --tasks->own_requests.count == 0)
        tasks->own_requests.id = 0;
}

/* With the last request taken back, one not yet delivered is withdrawn too: the task goes on as if
 * there had been no request. */
unsigned crank_uncancel(crank_task *handle)
{
    cr_task *task = cr_task_or_self(handle, "crank_uncancel");
    take_back(cr_task_state_of(cr_loop_here), task);
    if (CR_COUNTS_REQUESTS(task) == 0) {
        task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_TASK_CANCEL_PENDING);
        if (task->ext) {
            cr_failure_free(task->ext->reason);
            task->ext->reason = NULL;
        }
    }
    if (task->fiber.life == CR_ALIVE && !cr_task_is_new(task))
        cr_task_state_of(cr_loop_here)->pending->uncancelled(task);
    return cr_task_requests(task);
}

bool crank_cancelled(void) { return CR_COUNTS_REQUESTS(cr_checked_self("crank_cancelled")) > 0; }
