/* SPDX-License-Identifier: MIT */
/* join.h: waiting for a task's end, and being told of it. */
#ifndef CR_JOIN_H
#define CR_JOIN_H
#include "scope/end.h"
#include "task/wait.h"

/* Told of a task's end: shared awaits, crank_wait, done callbacks. Lies in the watcher's own
 * memory. */
typedef struct cr_watcher cr_watcher;
struct cr_watcher {
    cr_watcher *next;
    void (*ended)(crank_loop *loop, cr_watcher *watcher, cr_task *task);
};

/* The exclusive waiter for a task's end, in task->joiner: 0, an awaiting task, or with bit 0 set a
 * gather. One pointer, for it is in every record; records and gathers are aligned, so the bit is
 * free. */
typedef struct cr_gather cr_gather;
struct cr_gather {
    void (*ended)(crank_loop *loop, cr_gather *gather, cr_task *task);
};

/* Give up an ended task: its failure becomes to's (may be NULL: it is dropped silently). */
void cr_join_claim(crank_loop *loop, cr_task *task, cr_task *to);
void cr_join_watch(cr_task *task, cr_watcher *watcher); /* task->ext must exist */
void cr_join_unwatch(cr_task *task, cr_watcher *watcher);
/* Does the task wait in an await that has not been interrupted? */
extern const cr_wait_ops cr_join_wait;
static inline bool cr_join_waits_plainly(const cr_task *waiter)
{
    return waiter->fiber.wait == &cr_join_wait && !(waiter->fiber.flags & CR_TASK_DELIVERING);
}
/* The gather that waits for it; NULL where none does. */
static inline cr_gather *cr_join_gather(const cr_task *task)
{
    return task->joiner & 1 ? (cr_gather *)(task->joiner & ~(uintptr_t)1) : NULL;
}
/* An ended task's result goes to its waiter (task->joiner is set). */
void cr_join_deliver(crank_loop *loop, cr_task *task);
/* Wait for the end of a task that was asked to, whatever is asked meanwhile, and give it up. */
void cr_join_end_of(cr_task *task);
/* A CHECK where self may not wait for task: itself, an ancestor. */
void cr_join_check_ancestors(const cr_task *self, const cr_task *task, const char *call);
static inline void cr_join_check(const cr_task *self, const cr_task *task, const char *call)
{
    if (CR_UNLIKELY(task->owner != self || task == self))
        cr_join_check_ancestors(self, task, call);
}
#endif
