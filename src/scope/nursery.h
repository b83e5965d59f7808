/* SPDX-License-Identifier: MIT */
/* nursery.h: which tasks belong to which owner.
 *
 * A task is owned by its parent, or by an owner that is no task: a group, the loop's detached
 * ones. */
#ifndef CR_NURSERY_H
#define CR_NURSERY_H
#include "task/record.h"

/* An owner of tasks that is none itself: a group, the owner of the loop's detached tasks. */
typedef struct cr_nursery cr_nursery;
struct cr_nursery {
    cr_task *parent; /* the task that waits for the children; NULL for the loop's own */
    cr_task *child;  /* first; its sibling_prev is the last, the last's sibling_next is NULL */
    size_t alive;
    /* A child has ended; called before its record is released. */
    void (*child_ended)(crank_loop *loop, cr_nursery *owner, cr_task *child);
    /* A held child is being cancelled: forget it; its end follows. */
    void (*undefer)(cr_nursery *owner, cr_task *child);
};
/* The children of an owner or a parent. The list is not circular, but the first one's sibling_prev
 * is the last one: linking at the end, in spawn order, takes no walk. */
static inline void cr_nursery_link(cr_task **list, cr_task *task)
{
    cr_task *first = *list;
    task->sibling_next = NULL;
    if (!first) {
        *list = task;
        task->sibling_prev = task;
        return;
    }
    task->sibling_prev = first->sibling_prev;
    first->sibling_prev->sibling_next = task;
    first->sibling_prev = task;
}
static inline void cr_nursery_unlink(cr_task **list, cr_task *task)
{
    cr_task *first = *list, *next = task->sibling_next;
    if (task == first)
        *list = next;
    else
        task->sibling_prev->sibling_next = next;
    if (next)
        next->sibling_prev = task->sibling_prev;
    else if (task != first)
        first->sibling_prev = task->sibling_prev;
}
/* The task it belongs to, by way of a group too; NULL at the top. */
static inline cr_task *cr_task_parent(const cr_task *task)
{
    return task->fiber.flags & CR_TASK_IN_GROUP ? ((cr_nursery *)task->owner)->parent
                                                : (cr_task *)task->owner;
}
/* The list that a task is in: its group's or its parent's; the sibling links do not say which. */
static inline cr_task **cr_nursery_list_of(const cr_task *task)
{
    if (task->fiber.flags & CR_TASK_IN_GROUP)
        return &((cr_nursery *)task->owner)->child;
    return &((cr_task *)task->owner)->child;
}
void cr_nursery_init(cr_nursery *owner, void (*child_ended)(crank_loop *, cr_nursery *, cr_task *));
/* The first of a list of children that has not ended and can; NULL. */
cr_task *cr_nursery_alive(cr_task *first);
/* From a parent to another owner. */
void cr_nursery_adopt(cr_task *task, cr_nursery *owner);
/* A future made as a task: it does not keep its owner from ending. */
void cr_nursery_uncount_future(crank_loop *loop, cr_task *future);
#endif
