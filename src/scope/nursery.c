/* SPDX-License-Identifier: MIT */
/* nursery.c: which tasks belong to which owner.
 *
 * Owns: the moves of a task from one owner to another, and what is counted meanwhile. Does not own
 * what becomes of the children when their owner ends (end.c, group.c). */
#include "scope/nursery.h"

void cr_nursery_init(cr_nursery *owner, void (*child_ended)(crank_loop *, cr_nursery *, cr_task *))
{
    *owner = (cr_nursery){ .child_ended = child_ended };
}

/* Futures have nothing that could end. */
cr_task *cr_nursery_alive(cr_task *first)
{
    cr_task *child = first;
    while (child && (child->fiber.life == CR_ENDED || (child->fiber.flags & CR_TASK_FUTURE)))
        child = child->sibling_next;
    return child;
}

void cr_nursery_uncount_future(crank_loop *loop, cr_task *future)
{
    cr_task_state_of(loop)->alive--;
    ((cr_task *)future->owner)->fiber.counts -= CR_COUNTS_CHILD;
}

/* From now on its end is told to the owner and not to its parent. A future is counted by neither,
 * nor is a task that has ended. */
void cr_nursery_adopt(cr_task *task, cr_nursery *owner)
{
    cr_nursery_unlink(cr_nursery_list_of(task), task);
    if (!(task->fiber.flags & CR_TASK_FUTURE) && task->fiber.life != CR_ENDED) {
        ((cr_task *)task->owner)->fiber.counts -= CR_COUNTS_CHILD;
        owner->alive++;
    }
    task->fiber.flags |= CR_TASK_IN_GROUP;
    task->owner = owner;
    cr_nursery_link(&owner->child, task);
}

crank_task *crank_parent(crank_task *task)
{
    const cr_task *parent = cr_task_parent(cr_task_or_self(task, "crank_parent"));
    return parent ? cr_task_handle(parent) : NULL;
}
