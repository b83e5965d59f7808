/* SPDX-License-Identifier: MIT */
/* lock.h: what a condition must know of its lock.
 *
 * Invariant: a lock with tasks in line is held, and while there are any its quick field says
 * nothing: so whoever takes a free lock, or releases one that nobody waits for, looks at that
 * field alone. What a task in the line has in place says what its wait will give: a negative errno
 * is that (a cancelled condition wait, which may only return with the lock), anything else 0
 * (NULL, or the condition whose notification it carries). */
#ifndef CR_LOCK_H
#define CR_LOCK_H
#include "sync/object.h"

#define CR_LOCK_SLOW UINT64_MAX /* no id and no address */

/* Holders are known by number, as tasks end and go. No task's id is its loop's address: see
 * cr_numbers_reserve. */
struct crank_lock {
    cr_object object;
    uint64_t quick;  /* free: its loop's address, held: the holder's id; CR_LOCK_SLOW: see holder */
    uint64_t holder; /* while quick is CR_LOCK_SLOW: the same id, 0: free */
    cr_waitq line;
};

/* 0: it is free. */
static inline uint64_t cr_lock_holder_id(const crank_lock *lock)
{
    if (lock->quick == CR_LOCK_SLOW)
        return lock->holder;
    return lock->quick == (uintptr_t)lock->object.loop ? 0 : lock->quick;
}

/* Before a task joins the line of a lock that holder has. */
static inline void cr_lock_slow(crank_lock *lock, uint64_t holder)
{
    lock->holder = holder;
    lock->quick = CR_LOCK_SLOW;
}

/* The lock leaves its holder: it becomes the first's in line, who goes on, or nobody's. */
static inline void cr_lock_pass_on(crank_lock *lock, crank_loop *loop)
{
    cr_task *next = cr_waitq_pop(&lock->line);
    if (!next) {
        lock->quick = (uintptr_t)loop;
        return;
    }
    lock->holder = next->id;
    /* It is often the only one ready: its stack begins to come while this task goes on. */
    __builtin_prefetch(next->fiber.sp);
    long value = (long)(intptr_t)next->place;
    cr_wake(loop, next, value < 0 ? value : 0);
}

/* For the wait kinds of tasks whose on is a lock's line. */
cr_task *cr_lock_holder(const cr_task *task);
size_t cr_lock_describe(const cr_task *task, char *buf, size_t size);
#endif
