/* SPDX-License-Identifier: MIT */
/* wait.h: the one way to wait. Everything that can wait is built on this page.
 *
 * A waiting call looks like this:
 *
 *     int crank_event_wait(crank_event *event)
 *     {
 *         cr_caller w;
 *         int err = cr_checkpoint(&w, "crank_event_wait");
 *         if (err < 0)
 *             return err;
 *         if (event->raised)
 *             return 0;
 *         return cr_waitq_park(&w, &event->waiters, &event_wait);
 *     }
 *
 * cr_checkpoint sees that it is called in a task, delivers a cancellation that is pending, and lets
 * the others run where the task's budget is spent: so every waiting call is a checkpoint, also
 * where it need not wait. Parking is its last thing: the processor is handed to the next task from
 * there, and that one is resumed by a jump to where its own parking call was called from.
 *
 * The waker has already undone the wait (node unlinked, timer stopped) and written the results; the
 * wake value is what the call returns. A cancellation calls wait->abort. Memory of the user's on a
 * parked task's stack is written only after cr_hibernate_ensure.
 *
 * That the blocking call hands over the function which undoes it is Trio's (wait_task_rescheduled)
 * and Eio's: so cancellation knows of no lock, no timer and no file, and a new kind of wait is a
 * new table and nothing else. */
#ifndef CR_WAIT_H
#define CR_WAIT_H
#include "task/task.h"

/* What a task can wait for; one static const per kind. A task's wait (fiber.wait) may be changed
 * while it is parked, by the file that owns the wait: that is how a wait gets a grace period, or
 * moves from a condition to its lock. */
typedef struct cr_wait_ops {
    const char *what; /* "waits for a lock": for descriptions and reports */
    /* The waiting task's stack may be put away meanwhile: neither the kernel nor another thread
     * touches it, and the waker reads or writes user memory on it only after
     * cr_hibernate_ensure. */
    bool hibernatable;
    /* Undo the wait of a parked task, for a cancellation. True: it is undone, the caller wakes it
     * with -ECANCELED. False: it has been asked to end and will be woken later, when the wait
     * completes. NULL: task->wait_object is the cr_waitq it stands in, which it leaves. */
    bool (*abort)(cr_task *task);
    /* A further request to a task whose wait is being aborted already, or gives -ECANCELED in any
     * case: pass it on to the tasks that are waited for. NULL: it concerns no other task. */
    void (*repeat)(cr_task *task);
    /* The task's timer is due (it has been taken off); NULL: wake it with 0. */
    void (*on_timeout)(crank_loop *loop, cr_task *task);
    /* How tasks that are waited for are asked to end, and named when they do not: see scope/reap.h.
     * NULL: none is asked. */
    const struct cr_reap *reap;
    /* The task that must act for the wait to end (the holder of a lock, the task awaited), or NULL
     * if none is known. */
    cr_task *(*blocked_by)(const cr_task *task);
    /* The name of the thing waited for into buf ("lock 0x..."); NULL: just what. */
    size_t (*describe)(const cr_task *task, char *buf, size_t size);
} cr_wait_ops;

/* An abort for waits that end by themselves, soon: the request stays pending until then. */
static inline bool cr_wait_abort_nothing(cr_task *task)
{
    (void)task;
    return false;
}

/* State of one waiting call, on the caller's stack. Parking is a tail call and may discard this
 * frame: read what is needed first, see cr_checkpoint_slow. */
typedef struct cr_caller {
    crank_loop *loop;
    cr_task *self;
} cr_caller;

/* A request or a scope that fired is pending, or the last wait was interrupted: the fast half looks
 * no further. */
#define CR_TASK_ANY_PENDING (CR_TASK_CANCEL_PENDING | CR_TASK_SCOPE_PENDING | CR_TASK_INTERRUPTED)
/* The fast half of opening a waiting call: false where there is more to do, or no task. */
static inline bool cr_checkpoint_open(cr_caller *w)
{
    w->loop = cr_loop_here;
    w->self = w->loop ? cr_task_of_fiber(w->loop->runner.current) : NULL;
    return w->self && !(w->self->fiber.flags & CR_TASK_ANY_PENDING) && --w->loop->runner.budget;
}
/* The slow half of cr_checkpoint: delivers a cancellation (-ECANCELED), or yields when the budget
 * is spent. It takes the loop (NULL: a CHECK) and not w: were w's address given away, no compiler
 * would make parking a tail call. */
CR_NOINLINE int cr_checkpoint_slow(crank_loop *loop, const char *call);
/* Open a waiting call. A CHECK outside a task. 0 or -ECANCELED. */
static inline int cr_checkpoint(cr_caller *w, const char *call)
{
    if (CR_LIKELY(cr_checkpoint_open(w)))
        return 0;
    int err = cr_checkpoint_slow(w->loop, call);
    CR_ASSUME(w->self != NULL);
    return err;
}
/* As cr_checkpoint, for a call that has looked something up by a handle, which may be gone when the
 * others have run: no room is made yet. Where it parks at once there is no need; else
 * cr_checkpoint_yield is the last thing it does. */
CR_NOINLINE int cr_checkpoint_no_yield_slow(crank_loop *loop, const char *call);
static inline int cr_checkpoint_no_yield(cr_caller *w, const char *call)
{
    if (CR_LIKELY(cr_checkpoint_open(w)))
        return 0;
    int err = cr_checkpoint_no_yield_slow(w->loop, call);
    CR_ASSUME(w->self != NULL);
    return err;
}
CR_NOINLINE void cr_checkpoint_yield_slow(crank_loop *loop);
static inline void cr_checkpoint_yield(const cr_caller *w)
{
    if (CR_UNLIKELY(w->loop->runner.budget == 0))
        cr_checkpoint_yield_slow(w->loop);
}
/* The quick way into a waiting call: true when there is nothing to deliver and budget is left,
 * some of which it spends. Where it is false, or the call must wait, the full way follows from
 * cr_checkpoint on, in a function of its own that is called in tail position: so the quick way
 * needs no frame. */
static inline bool cr_checkpoint_fast_in(crank_loop *loop, cr_caller *w)
{
    w->loop = loop;
    w->self = cr_task_of_fiber(loop->runner.current);
    if (CR_UNLIKELY(!w->self || (w->self->fiber.flags & CR_TASK_ANY_PENDING)))
        return false;
    if (CR_LIKELY(--loop->runner.budget))
        return true;
    loop->runner.budget = 1; /* for the full way to spend */
    return false;
}
/* Before the second wait of a call and those after it: a request that came too late to abort the
 * one before is delivered now, for no later call would deliver it. 0 or -ECANCELED. */
int cr_checkpoint_again_slow(const cr_caller *w);
static inline int cr_checkpoint_again(const cr_caller *w)
{
    return CR_LIKELY(!(w->self->fiber.flags & CR_TASK_ANY_PENDING)) ? 0
                                                                    : cr_checkpoint_again_slow(w);
}
/* What cr_checkpoint fails with where a scope of the task's could not be made: -ENOMEM, said. */
CR_COLD int cr_checkpoint_without_scope(crank_loop *loop);
/* Behind cr_checkpoint, in calls that take longer than the quick ones: spend what they cost more
 * than one. */
static inline void cr_checkpoint_costs(const cr_caller *w, uint32_t cost)
{
    uint32_t left = w->loop->runner.budget;
    w->loop->runner.budget = left > cost ? left - (cost - 1) : 1;
}
static inline bool cr_checkpoint_fast(cr_caller *w)
{
    return cr_loop_here && cr_checkpoint_fast_in(cr_loop_here, w);
}

/* The same with a tracer: apart, so that nothing need be kept over the call that tells it. */
CR_COLD long cr_park_traced(cr_sched *runner, cr_fiber *self, const cr_wait_ops *wait);
CR_COLD void cr_wake_traced(crank_loop *loop, cr_task *task, long result);
/* Park. The last thing a waiting call does: its caller's frame may be left without a return. */
static inline long cr_park(const cr_caller *w, const cr_wait_ops *wait)
{
    if (CR_UNLIKELY(w->loop->runner.tracer != NULL))
        return cr_park_traced(&w->loop->runner, &w->self->fiber, wait);
    return cr_fiber_park(&w->loop->runner, &w->self->fiber, wait);
}
/* The same for calls that give int: a call whose result must be narrowed is no tail call. */
static inline int cr_park_int(const cr_caller *w, const cr_wait_ops *wait)
{
    if (CR_UNLIKELY(w->loop->runner.tracer != NULL))
        return (int)cr_park_traced(&w->loop->runner, &w->self->fiber, wait);
    return cr_fiber_park_int(&w->loop->runner, &w->self->fiber, wait);
}
/* The waking itself; for cr_wake. */
static inline void cr_wake_untraced(crank_loop *loop, cr_task *task, long result)
{
    task->fiber.wake = result;
    task->fiber.wait = NULL;
    cr_sched_push(&loop->runner, &task->fiber);
}
/* Make a parked task ready with a result; its wait has been undone already. wait is cleared first
 * of all, so that no task is ever ready and seems to wait. */
static inline void cr_wake(crank_loop *loop, cr_task *task, long result)
{
    if (CR_UNLIKELY(loop->runner.tracer != NULL))
        cr_wake_traced(loop, task, result);
    else
        cr_wake_untraced(loop, task, result);
}
/* Tasks in line for one thing, first come first served. A task is in the line or has been woken,
 * never both. Zeroed memory is an empty line. */
typedef struct cr_waitq {
    cr_task *head;
    cr_task *tail;
} cr_waitq;
/* The links are in the task's record: standing in line allocates nothing and cannot fail. */
static inline void cr_waitq_join(cr_waitq *waiters, cr_task *task)
{
    task->node.next = NULL;
    task->node.prev = waiters->tail;
    if (waiters->tail)
        waiters->tail->node.next = task;
    else
        waiters->head = task;
    waiters->tail = task;
}
/* Into the line, in front of that task; NULL: at its end. */
static inline void cr_waitq_join_before(cr_waitq *waiters, cr_task *task, cr_task *next)
{
    if (!next) {
        cr_waitq_join(waiters, task);
        return;
    }
    task->node.next = next;
    task->node.prev = next->node.prev;
    if (task->node.prev)
        task->node.prev->node.next = task;
    else
        waiters->head = task;
    next->node.prev = task;
}
/* From anywhere in the line, without a walk: a cancelled task leaves as cheaply as it came. */
static inline void cr_waitq_leave(cr_waitq *waiters, cr_task *task)
{
    if (task->node.prev)
        task->node.prev->node.next = task->node.next;
    else
        waiters->head = task->node.next;
    if (task->node.next)
        task->node.next->node.prev = task->node.prev;
    else
        waiters->tail = task->node.prev;
}
/* Take the first out of the line, NULL when it is empty. */
static inline cr_task *cr_waitq_pop(cr_waitq *waiters)
{
    cr_task *first = waiters->head;
    if (!first)
        return NULL;
    waiters->head = first->node.next;
    if (waiters->head)
        waiters->head->node.prev = NULL;
    else
        waiters->tail = NULL;
    return first;
}
/* Wake all waiters, each with the same result. */
static inline void cr_waitq_wake_all(crank_loop *loop, cr_waitq *waiters, long result)
{
    for (cr_task *task = waiters->head, *next; task; task = next) {
        next = task->node.next;
        cr_wake(loop, task, result);
    }
    waiters->head = waiters->tail = NULL;
}
/* Stand at the end of the line (task->wait_object is the line then) and park. What the waker
 * must know stands in task->wait_data before. */
static inline int cr_waitq_park(const cr_caller *w, cr_waitq *waiters, const cr_wait_ops *wait)
{
    w->self->wait_object = waiters;
    cr_waitq_join(waiters, w->self);
    return cr_park_int(w, wait);
}
/* The loop's hook: a task's own timer is due. */
void cr_task_timer_due(crank_loop *loop, cr_timer *timer);
/* As cr_checkpoint, without delivering a cancellation: true when one is to be delivered. */
bool cr_checkpoint_pending(const cr_caller *w);
/* Spend the budget as cr_checkpoint does, delivering nothing. 0, or -ENOMEM where a scope of the
 * task could not be made. */
int cr_checkpoint_no_cancel(const cr_caller *w);
/* What the waits of a call that the end of a block makes must not touch: the failure with which the
 * block is left, and that a scope of the task could not be made. They are kept apart meanwhile. */
typedef struct cr_block_end {
    struct cr_failure *failure;
    bool without_scope;
} cr_block_end;
cr_block_end cr_checkpoint_block_end(const cr_caller *w);
void cr_checkpoint_block_left(const cr_caller *w, const cr_block_end *kept);
#endif
