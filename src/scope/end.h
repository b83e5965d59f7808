/* SPDX-License-Identifier: MIT */
/* end.h: a task's end, from its function's return to the release of its record. */
#ifndef CR_END_H
#define CR_END_H
#include "scope/nursery.h"

/* End a task without a fiber (a job, a future, a held or stackless one) with what its function
 * returned. */
void cr_end_complete(crank_loop *loop, cr_task *task, uint64_t integer, double real);
/* The same with a failure (negative errno). */
void cr_end_complete_error(crank_loop *loop, cr_task *task, int error);
/* Give the record back: unlinks it; reports a failure that no task has seen. */
void cr_end_release(crank_loop *loop, cr_task *task);
/* Give back what few tasks have; it has one. */
void cr_end_free_ext(cr_task_state *tasks, cr_task *task);
/* Of a task that has returned: are its children cancelled rather than awaited? */
bool cr_end_children_unwanted(const crank_loop *loop, const cr_task *task);
/* A child of the parent's as it was spawned, for which no task waits: no flag, ext or joiner.
 * Nothing can then be wrong with the parent's waiting for it, and when it has ended there is no
 * more to giving it up than giving its record back. */
static inline bool cr_end_is_plain(const cr_task *parent, const cr_task *task)
{
    return task->owner == parent && !task->ext && !task->joiner &&
           !(task->fiber.flags & ~CR_FIBER_FLAG_LARGE);
}
static inline void cr_end_release_plain(cr_task_state *tasks, cr_task *parent, cr_task *task)
{
    cr_nursery_unlink(&parent->child, task);
    cr_record_put(tasks, task);
}
/* A child was taken from parent: end it if it has returned and waited for that one only. */
void cr_end_left(crank_loop *loop, cr_task *parent);

/* Take back a task that was made and is not ready yet. */
void cr_end_unmake(crank_loop *loop, cr_task *task);
/* It has a value: tell the tasks that wait for it. */
void cr_end_future(crank_loop *loop, cr_task *future);
/* Ask the children of one that has returned to end. It may have ended after. */
void cr_end_cancel_completing(crank_loop *loop, cr_task *task);
/* In debug mode: name those of a list that app's end cancels. */
void cr_end_name_leftovers(crank_loop *loop, cr_task *first);
#endif
