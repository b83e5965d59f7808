/* SPDX-License-Identifier: MIT */
/* group.h: a group, for those who add children to it. */
#ifndef CR_GROUP_H
#define CR_GROUP_H
#include <crank/scope.h>
#include "scope/nursery.h"

struct cr_delivery;

/* The part of a group that owns its children; a CHECK naming call where it has ended. */
cr_nursery *cr_group_nursery(const crank_group *group, const char *call);
/* A task that is its parent's becomes a child of the group's. It may have ended, or end
 * within the call, and be gone after. 0, or -ENOMEM: there was no memory for the delivery of its
 * result. */
int cr_group_take(crank_loop *loop, cr_nursery *owner, cr_task *task, struct cr_delivery *delivery);
/* From now on a child's failure is its own: it neither fails the group nor is it kept. The same for
 * a child that cannot be made. */
void cr_group_tolerate(crank_group *group);
/* How many have failed so. */
size_t cr_group_tolerated(const crank_group *group);
/* It has failed or was cancelled, and takes no children. */
bool cr_group_ending(cr_nursery *owner);
/* Memory was short for a child: the group fails. */
void cr_group_lacks(crank_loop *loop, cr_nursery *owner, const char *call);
#endif
