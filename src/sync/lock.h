/* SPDX-License-Identifier: MIT */
/* lock.h: what a condition must know of its lock.
 *
 * Invariant: a lock with tasks in line is held, so a free lock can be taken without looking at
 * the line. What a task in the line has in place says what its wait will give: a negative errno
 * is that (a cancelled condition wait, which may only return with the lock), anything else 0
 * (NULL, or the condition whose notification it carries). */
#ifndef CR_LOCK_H
#define CR_LOCK_H
#include "sync/object.h"

struct crank_lock {
    cr_object object;
    uint64_t holder; /* id of the task that has it, 0: free; a number, as tasks end and go */
    cr_waitq line;
};

/* The lock is free or leaves its holder: it becomes the first's in line, who goes on, or
 * nobody's. */
static inline void cr_lock_pass_on(crank_lock *lock, crank_loop *loop)
{
    cr_task *next = cr_waitq_pop(&lock->line);
    lock->holder = next ? next->id : 0;
    if (!next)
        return;
    /* It is often the only one ready: its stack begins to come while this task goes on. */
    __builtin_prefetch(next->fiber.sp);
    long value = (long)(intptr_t)next->place;
    cr_wake(loop, next, value < 0 ? value : 0);
}

/* For the wait kinds of tasks whose on is a lock's line. */
cr_task *cr_lock_holder(const cr_task *task);
size_t cr_lock_describe(const cr_task *task, char *buf, size_t size);
#endif
