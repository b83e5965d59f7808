/* SPDX-License-Identifier: MIT */
/* lock.h: what a condition must know of its lock.
 *
 * Invariant: a lock with waiters is held, and while it has any its quick field is CR_LOCK_SLOW. So
 * the quick way to acquire a free lock, and to release one that no task waits for, compares that
 * field alone. The wait_data of a waiter says what its wait will return: a negative errno stands
 * for itself (a cancelled condition wait, which may only return with the lock), anything else for 0
 * (NULL, or the condition that has notified the task).
 *
 * In debug mode quick always is CR_LOCK_SLOW, and the locks that are held hang in a list of their
 * loop's, so that a task which ends with one is found (lock_debug.c). Elsewhere no more is
 * written. */
#ifndef CR_LOCK_H
#define CR_LOCK_H
#include "sync/object.h"

#define CR_LOCK_SLOW UINT64_MAX /* no id and no address */

/* Holders are known by number, as tasks end and go. No task's id is its loop's address: see
 * cr_record_reserve_numbers. */
struct crank_lock {
    cr_object object;
    uint64_t quick;  /* free: its loop's address, held: the holder's id; CR_LOCK_SLOW: see holder */
    uint64_t holder; /* while quick is CR_LOCK_SLOW: the same id, 0: free */
    cr_waitq waiters;
    const cr_task *record; /* with holder: its record, NULL where that is gone */
    crank_lock *next;      /* in the list of those held, in debug mode */
    crank_lock **link;     /* what points at it there; NULL: it is not in it */
    uint64_t taken_by;     /* debug mode: the last task that found it free (no hand-over) */
    const void *taken_at;  /* where to that acquisition returns; NULL: not known */
};

/* 0: it is free. */
static inline uint64_t cr_lock_holder_id(const crank_lock *lock)
{
    if (lock->quick == CR_LOCK_SLOW)
        return lock->holder;
    return lock->quick == (uintptr_t)lock->object.loop ? 0 : lock->quick;
}

static inline void cr_lock_slow(crank_lock *lock, uint64_t holder, const cr_task *record)
{
    lock->holder = holder;
    lock->record = record;
    lock->quick = CR_LOCK_SLOW;
}
/* Before a task joins the line of a lock that the task of this number has. */
static inline void cr_lock_expect(crank_lock *lock, uint64_t holder)
{
    if (lock->quick != CR_LOCK_SLOW)
        cr_lock_slow(lock, holder, cr_task_find(holder));
}

/* ---- lock_debug.c, in debug mode only */
/* The lock is task's from now on, which asked for it at the call that returns to taken_at. Short
 * memory costs the trace, no more. */
CR_COLD void cr_lock_debug_takes(
    crank_lock *lock, crank_loop *loop, cr_task *task, const void *taken_at);
/* Task is going to wait for a lock, and may end with it. The lock is in the list already, for
 * another task holds it. */
CR_COLD void cr_lock_debug_waits(crank_loop *loop, cr_task *task);
CR_COLD void cr_lock_debug_forget(crank_lock *lock);

/* A free lock becomes task's. */
static inline void cr_lock_taken(crank_lock *lock, crank_loop *loop, cr_task *task, const void *at)
{
    lock->quick = task->id;
    if (CR_UNLIKELY(loop->options.debug)) {
        cr_lock_slow(lock, task->id, task);
        cr_lock_debug_takes(lock, loop, task, at);
    }
}

/* The holder gives up the lock: the first waiter has it now and is woken; without waiters it is
 * free. */
static inline void cr_lock_pass_on(crank_lock *lock, crank_loop *loop)
{
    cr_task *next = cr_waitq_pop(&lock->waiters);
    if (!next) {
        lock->holder = 0;
        if (CR_LIKELY(!loop->options.debug))
            lock->quick = (uintptr_t)loop;
        return;
    }
    lock->holder = next->id;
    lock->record = next;
    /* It is often the only one ready: its stack begins to come while this task goes on, and the
     * record of the one after it. */
    __builtin_prefetch(next->fiber.sp);
    __builtin_prefetch(lock->waiters.head);
    long value = next->wait_data.error;
    cr_wake(loop, next, value < 0 ? value : 0);
}

/* blocked_by and describe of every wait that has a lock's waiters as its wait_object. */
cr_task *cr_lock_holder(const cr_task *task);
size_t cr_lock_describe(const cr_task *task, char *buf, size_t size);
#endif
