/* SPDX-License-Identifier: MIT */
/* end.c: how a task ends.
 *
 * Owns: the way from a function's return to the release of the record. A function that returns
 * gives its stack back at once; the task ends when its children have ended; then its watchers are
 * told, the task that awaits it, and its owner. A record is released when its handle is given up,
 * when a group's child has ended, or with its owner.
 *
 * Invariant: a task ends once, after all it owns has ended, and its record is not touched after the
 * last of those told, which may have released it. That lifetimes nest is the rule of structured
 * concurrency (Sústrik's libdill, Smith's Trio); here it holds for plain spawns too, not for groups
 * only.
 *
 * No recursion: the end of a last child may end its parent, which may be the last child that its
 * own parent waits for, and so on up a chain of any length: a loop climbs it on a stack of constant
 * depth. */
#include "scope/end.h"
#include "scope/cancel.h"
#include "scope/join.h"
#include "scope/nursery.h"
#include "scope/reap.h"
#include "task/debug.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/local.h"
#include "task/report.h"
#include "task/result.h"
#include "task/wait.h"
#include "base/check.h"
#include "loop/inherit.h"
#include <stdio.h>
#include <string.h>

/* A record that outlives its owner, for a gather that still needs it. It is no task's child, and
 * its handle is given up. */
static void disown(cr_task *task)
{
    task->owner = NULL;
    task->fiber.flags =
        (uint16_t)((task->fiber.flags & ~(CR_TASK_IN_GROUP | CR_TASK_COUNTED)) | CR_TASK_DROPPED);
}

/* Its owner or maker has gone, and a gather has been told of its end but has not gone on yet: what
 * it gave is still wanted, and the gather releases it. */
static CR_COLD void leave_to_gather(cr_task_state *tasks, cr_task *task)
{
    if (task->owner)
        cr_nursery_unlink(cr_nursery_list_of(task), task);
    if (task->fiber.flags & CR_TASK_COUNTED)
        tasks->unclaimed--;
    disown(task);
}

CR_NOINLINE void cr_end_free_ext(cr_task_state *tasks, cr_task *task)
{
    cr_ext *ext = task->ext;
    cr_failure_free(ext->failure);
    cr_failure_free(ext->reason);
    if (ext->locals)
        cr_locals_drop(tasks, ext->locals);
    cr_freelist_put(&tasks->exts, ext);
    task->ext = NULL;
}

/* Reported here and not at the end of the task: until the handle is given up a task may still await
 * this one, and only now is it sure that none does. When the error hook is called the handle is
 * given up and the task has no parent any more: the hook may end the parent. */
void cr_end_release(crank_loop *loop, cr_task *task)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    uint16_t flags = task->fiber.flags;
    if (CR_UNLIKELY(task->joiner & 1)) {
        leave_to_gather(tasks, task);
        return;
    }
    if (task->owner)
        cr_nursery_unlink(cr_nursery_list_of(task), task);
    if (CR_UNLIKELY((flags & (CR_TASK_FAILED | CR_TASK_CLAIMED)) == CR_TASK_FAILED)) {
        disown(task);
        cr_report_unawaited(loop, task);
    }
    if (CR_UNLIKELY(flags & CR_TASK_COUNTED))
        tasks->unclaimed--;
    if (CR_UNLIKELY(task->ext != NULL)) {
        if (task->ext->pins) { /* a done callback still names it: it releases the rest */
            task->ext->released = true;
            disown(task);
            return;
        }
        cr_end_free_ext(tasks, task);
    }
    cr_record_put(tasks, task);
}

/* Has it failed, by the convention of its result type? Then the error. A pointer that is NULL is
 * a failure only where its function said so by crank_fail: NULL may as well be an answer. That it
 * was cancelled it says by errno alone, a cancellation being no failure. */
static int error_of(const cr_task *task, int number)
{
    const crank_site *site = task->site;
    if (site->kind == CRANK_KIND_SIGNED && site->size >= sizeof(int)) {
        long value = cr_result_value(task);
        return value >= 0 ? 0 : value < INT32_MIN ? INT32_MIN : (int)value;
    }
    if (site->kind == CRANK_KIND_POINTER && task->fiber.result == 0 && cr_failure_of(task))
        return cr_failure_error(cr_failure_of(task));
    if (site->kind == CRANK_KIND_POINTER && task->fiber.result == 0 && number == ECANCELED &&
        CR_COUNTS_REQUESTS(task) > 0)
        return -ECANCELED;
    return 0;
}

/* ---- a task that has returned and waits for its children
 *
 * It has no fiber any more, so its wait field and its own timer serve this alone. Children that
 * were asked to end are waited for like any task one has cancelled: one that does not end is named
 * after the grace period, and asked again each time. Children that are wanted may take as long as
 * they like, which is worth a line in debug mode only.
 *
 * Invariant: while the timer runs, wait is one of the two below; the task's end stops it.
 * wait_data.named is set once a child was reported, so that none is reported twice.
 * CR_TASK_CANCEL_PENDING says that the children have been cancelled: a later request to the task
 * does not cancel them again, only the timer does. */

bool cr_end_children_unwanted(const crank_loop *loop, const cr_task *task)
{
    return (task->fiber.flags & CR_TASK_FAILED) || CR_COUNTS_REQUESTS(task) > 0 ||
           ((task->fiber.flags & CR_TASK_ROOT) && loop->options.leftovers == CRANK_CANCEL);
}

static cr_task *unwanted_unnamed(cr_task *task)
{
    bool named = task->wait_data.named;
    task->wait_data.named = true;
    return named ? NULL : cr_nursery_alive(task->child);
}

/* It may end the last child, and this task with it. */
static void unwanted_ask(crank_loop *loop, cr_task *task) { cr_cancel_children(loop, task->child); }

static const cr_wait_ops unwanted_wait;
static const cr_reap unwanted_reap = {
    .graced = &unwanted_wait, .unnamed = unwanted_unnamed, .ask = unwanted_ask
};
static const cr_wait_ops unwanted_wait = {
    .what = "awaits the end of", .on_timeout = cr_reap_due, .reap = &unwanted_reap
};

/* Said once: a program may mean it so, and reports at each grace period would bury the first. */
static void wanted_due(crank_loop *loop, cr_task *task)
{
    char line[512], text[800];
    loop->unref_timers--;
    (void)cr_reap_grace_over(loop);
    task->fiber.wait = NULL;
    (void)cr_describe_task(task, line, sizeof line);
    snprintf(text, sizeof text, "a task returned %g s ago and its children have not ended:\n  %s\n",
        loop->options.grace, line);
    cr_report(loop, CRANK_REPORT_LEFTOVER, 0, task, text);
}

static const cr_wait_ops wanted_wait = { .what = "has returned", .on_timeout = wanted_due };

/* asyncio.run is silent about them: a program that came from there may wonder where they went. The
 * next one is looked up after the report, for the program's hook that it calls may end it. */
void cr_end_name_leftovers(crank_loop *loop, cr_task *first)
{
    char line[512], text[800];
    cr_task *child = loop->options.debug ? cr_nursery_alive(first) : NULL;
    while (child) {
        const cr_task *next = cr_nursery_alive(child->sibling_next);
        uint64_t next_id = next ? next->id : 0;
        (void)cr_describe_task(child, line, sizeof line);
        snprintf(text, sizeof text, "a task is cancelled because app has ended:\n  %s\n", line);
        cr_report(loop, CRANK_REPORT_LEFTOVER, 0, child, text);
        child = next_id ? cr_task_find(next_id) : NULL;
    }
}

static void returned_over(crank_loop *loop, cr_task *task)
{
    if (task->fiber.wait)
        cr_reap_grace_stop(loop, task);
    loop->unref_timers -= task->fiber.wait == &wanted_wait;
    task->fiber.wait = NULL;
}

void cr_end_cancel_completing(crank_loop *loop, cr_task *task)
{
    if (task->fiber.flags & CR_TASK_CANCEL_PENDING)
        return;
    task->fiber.flags |= CR_TASK_CANCEL_PENDING;
    returned_over(loop, task);
    if (cr_task_state_of(loop)->stuck == 0)
        (void)cr_reap_grace_start(loop, task, &unwanted_wait);
    cr_cancel_children(loop, task->child);
}

static void returned_begin(crank_loop *loop, cr_task *task)
{
    bool debug = loop->options.debug;
    task->fiber.life = CR_COMPLETING;
    task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_TASK_CANCEL_PENDING);
    task->fiber.wait = NULL; /* CR_WAIT_EAGER where it has not waited since an eager spawn */
    task->wait_data.named = false;
    if (CR_UNLIKELY(debug))
        cr_debug_frames(task, UINTPTR_MAX);
    if (CR_UNLIKELY(task->ext != NULL) && task->ext->took_locks)
        cr_task_state_of(loop)->leave_locks(loop, task); /* its children may wait for one */
    if (cr_end_children_unwanted(loop, task)) {
        if (task->fiber.flags & CR_TASK_ROOT)
            cr_end_name_leftovers(loop, task->child);
        cr_end_cancel_completing(loop, task);
    } else if (CR_UNLIKELY(debug)) {
        loop->unref_timers += cr_reap_grace_start(loop, task, &wanted_wait);
    }
}

/* ---- the end */

/* NOLINTBEGIN(misc-no-recursion): what ends within another's end is a future, which has no
 * children: one deep. */
/* What an ending task still owns has ended too, but for futures that were never set: the tasks that
 * await one get -ECANCELED. */
static void release_child(crank_loop *loop, cr_task *child)
{
    if (child->fiber.life != CR_ENDED)
        cr_end_complete_error(loop, child, -ECANCELED);
    cr_end_release(loop, child);
}

/* What hangs off the record of a task that is ending. */
static CR_NOINLINE void leave_ext(crank_loop *loop, cr_task *task)
{
    if (task->ext->took_locks)
        cr_task_state_of(loop)->leave_locks(loop, task);
    while (task->ext && task->ext->watchers) {
        cr_watcher *watcher = task->ext->watchers;
        task->ext->watchers = watcher->next;
        watcher->ended(loop, watcher, task);
    }
}

static bool waits_for_none(const cr_task *parent)
{
    return parent->fiber.life == CR_COMPLETING && CR_COUNTS_CHILDREN(parent) == 0;
}

/* Tell the watchers, the waiter and the owner. Gives its parent if that has returned and waited for
 * this child only. life is set first: watchers and waiters may look at it. Children that have ended
 * are released before that, for a waiter may release this record, on which their list hangs.
 * Watchers come before the joiner, which takes the record; the group's child_ended comes last, for
 * the same reason. */
static cr_task *end_one(crank_loop *loop, cr_task *task)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    if (CR_UNLIKELY(task->fiber.life == CR_COMPLETING))
        returned_over(loop, task);
    cr_trace_emit(loop->runner.tracer, CR_EVENT_ENDED, task, 0);
    task->fiber.life = CR_ENDED;
    task->fiber.wake = (long)tasks->ended++;
    while (CR_UNLIKELY(task->child != NULL))
        release_child(loop, task->child);
    if (CR_UNLIKELY(task->ext != NULL))
        leave_ext(loop, task);
    if (CR_UNLIKELY(task->fiber.flags & CR_TASK_FUTURE)) {
        if (task->joiner)
            cr_join_deliver(loop, task);
        return NULL;
    }
    tasks->alive--;
    uintptr_t joiner = task->joiner;
    if (CR_UNLIKELY(task->fiber.flags & CR_TASK_IN_GROUP)) {
        cr_nursery *owner = task->owner;
        owner->alive--;
        if (joiner)
            cr_join_deliver(loop, task);
        owner->child_ended(loop, owner, task);
        return NULL;
    }
    cr_task *parent = task->owner;
    parent->fiber.counts -= CR_COUNTS_CHILD;
    /* Looked at now: telling the joiner may give back the record that says so. */
    bool last = waits_for_none(parent);
    if (CR_LIKELY(joiner))
        cr_join_deliver(loop, task);
    else if (task->fiber.flags & CR_TASK_DROPPED)
        cr_end_release(loop, task);
    else if (CR_UNLIKELY(loop->options.debug))
        cr_debug_unclaimed(loop, task);
    /* Looked at again: an error hook may have spawned a child of app's meanwhile. */
    return CR_UNLIKELY(last) && (joiner || waits_for_none(parent)) ? parent : NULL;
}

/* See the head: the parent's end, where this was what it waited for, is a turn of the loop. */
static void end(crank_loop *loop, cr_task *task)
{
    while (task)
        task = end_one(loop, task);
}
/* NOLINTEND(misc-no-recursion) */

/* What it noted of another error, which it handled, says nothing about the one it ends with. */
static void forget_others(cr_task *task, int error)
{
    const cr_failure *noted = cr_failure_of(task);
    if (noted && cr_failure_error(noted) != error)
        cr_failure_free(cr_error_take(task));
}

/* The function has returned, the result stands: wait for children, or end. A -ECANCELED is claimed
 * at birth: that a task stopped needs no report. It counts as cancelled only where a request was
 * made; else the function merely returned that number. */
static void finish(crank_loop *loop, cr_task *task, int number)
{
    int err = error_of(task, number);
    if (CR_UNLIKELY(err < 0)) {
        task->fiber.flags |= CR_TASK_FAILED;
        forget_others(task, err);
        if (err == -ECANCELED)
            task->fiber.flags |=
                CR_COUNTS_REQUESTS(task) ? CR_TASK_CANCELED | CR_TASK_CLAIMED : CR_TASK_CLAIMED;
    }
    if (CR_LIKELY(CR_COUNTS_CHILDREN(task) == 0)) {
        end(loop, task);
        return;
    }
    returned_begin(loop, task);
}

/* Out of line and left for good, so that the plain end saves no registers. */
CRANK_NORETURN static CR_NOINLINE void return_slow(
    crank_loop *loop, cr_task *task, uint64_t integer, double real)
{
    CR_CHECK(!task->fiber.scope && !task->fiber.generator,
        "%s returned while a timeout, group or generator of it was open: was it left by longjmp?",
        task->site->function);
    cr_stack_push(&loop->runner.stacks, task->fiber.stack);
    if (cr_kind_is_real(task->site->kind))
        memcpy(&integer, &real, sizeof integer);
    task->fiber.result = integer;
    loop->runner.current = NULL;
    finish(loop, task, errno);
    cr_fiber_leave(&loop->runner);
}

/* The end most tasks come to: with an int, a long or nothing, and only its waiter to tell. Gives
 * what an await of the parent's returns; negative where there is more to it. */
static inline long plain_value(const crank_loop *loop, const cr_task *task, uint64_t integer)
{
    const crank_site *site = task->site;
    if (task->fiber.scope || task->fiber.generator || task->ext || task->child ||
        (task->fiber.flags & ~CR_FIBER_FLAG_LARGE) || loop->runner.tracer)
        return -1;
    if (site->kind == CRANK_KIND_SIGNED && site->size == sizeof(int))
        return (int32_t)integer;
    if (site->kind == CRANK_KIND_SIGNED && site->size == sizeof(long))
        return (long)integer;
    return site->kind == CRANK_KIND_VOID ? 0 : -1;
}

CRANK_NORETURN static CR_NOINLINE void return_to_gather(crank_loop *loop, cr_task *task)
{
    cr_gather *gather = cr_join_gather(task);
    gather->ended(loop, gather, task);
    cr_fiber_leave(&loop->runner);
}

/* The switch jumps here when a task's function returns, on that task's stack. The stack is pushed
 * to the free stacks and used to the end of this call all the same: no other fiber runs before
 * cr_fiber_leave, and its next user overwrites only what is dead. current is NULL from then on, for
 * what is called from here runs in no task. The plain end does what finish and end_one do, in one
 * piece: its parent awaits it or will, or a gather does, which may be another task's. */
CRANK_NORETURN void cr_fiber_returned(uint64_t integer, double real)
{
    crank_loop *loop = cr_loop_here;
    if (CR_UNLIKELY(!loop))
        cr_inherit_came_back();
    cr_task_state *tasks = cr_task_state_of(loop);
    cr_task *task = cr_task_of_fiber(loop->runner.current), *parent = task->owner;
    long value = plain_value(loop, task, integer);
    if (CR_UNLIKELY(value < 0 || parent->fiber.life != CR_ALIVE))
        return_slow(loop, task, integer, real);
    bool awaited = task->joiner == (uintptr_t)parent;
    if (CR_UNLIKELY(awaited        ? !cr_join_waits_plainly(parent)
                    : task->joiner ? !cr_join_gather(task)
                                   : loop->options.debug))
        return_slow(loop, task, integer, real);
    cr_stack_push(&loop->runner.stacks, task->fiber.stack);
    loop->runner.current = NULL;
    tasks->alive--;
    tasks->ended++;
    parent->fiber.counts -= CR_COUNTS_CHILD;
    if (awaited) {
        parent->wait_data.failed = false;
        cr_end_release_plain(tasks, parent, task);
        cr_wake_untraced(loop, parent, value);
        cr_fiber_leave(&loop->runner);
    }
    task->fiber.result = integer;
    task->fiber.life = CR_ENDED;
    task->fiber.wake = (long)(tasks->ended - 1);
    if (task->joiner)
        return_to_gather(loop, task);
    cr_fiber_leave(&loop->runner);
}

/* A task without a fiber loses what its first run would have given back. A record that never ran
 * has its arguments where a run one has its wait and its children: those fields must read as
 * empty before the task can be asked about or ended. */
static void drop_arguments(crank_loop *loop, cr_task *task)
{
    if (task->fiber.flags & CR_FIBER_FLAG_LARGE) {
        *(void **)task->fiber.many = loop->runner.large_free;
        loop->runner.large_free = task->fiber.many;
        task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_FIBER_FLAG_LARGE);
    }
    task->child = NULL;
    task->fiber.wait = NULL;
    task->fiber.run = CR_RUN_RESUME;
}

/* The end of what has no stack. From here on it is like a function's return. */
void cr_end_complete(crank_loop *loop, cr_task *task, uint64_t integer, double real)
{
    drop_arguments(loop, task);
    if (cr_kind_is_real(task->site->kind))
        memcpy(&integer, &real, sizeof integer);
    task->fiber.result = integer;
    finish(loop, task, 0);
}

/* Ended by us, not by its function: the error stands, whatever the result type. It goes to end,
 * not to finish: a task that did not run has no children to wait for. */
/* NOLINTNEXTLINE(misc-no-recursion): see release_child. */
void cr_end_complete_error(crank_loop *loop, cr_task *task, int error)
{
    drop_arguments(loop, task);
    task->fiber.result = (uint64_t)(int64_t)error;
    task->fiber.flags |= CR_TASK_FAILED | CR_TASK_BROKEN;
    if (error == -ECANCELED) {
        task->fiber.flags |= CR_TASK_CANCELED | CR_TASK_CLAIMED;
        cr_error_deliver_reason(task);
    }
    end(loop, task);
}

/* As if the spawn had never been: no watcher or waiter is told. It only takes back what making it
 * counted. */
void cr_end_unmake(crank_loop *loop, cr_task *task)
{
    drop_arguments(loop, task);
    cr_task_state_of(loop)->alive--;
    if (task->fiber.flags & CR_TASK_IN_GROUP)
        ((cr_nursery *)task->owner)->alive--;
    else
        ((cr_task *)task->owner)->fiber.counts -= CR_COUNTS_CHILD;
    cr_end_release(loop, task);
}

void cr_end_future(crank_loop *loop, cr_task *future) { end(loop, future); }

/* The parent may have returned already and have waited for the one that has just been taken
 * away. */
void cr_end_left(crank_loop *loop, cr_task *parent)
{
    if (parent->fiber.life == CR_COMPLETING && CR_COUNTS_CHILDREN(parent) == 0)
        end(loop, parent);
}
