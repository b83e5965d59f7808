/* SPDX-License-Identifier: MIT */
/* group.h: a group, for the files that open one and add children to it. */
#ifndef CR_GROUP_H
#define CR_GROUP_H
#include <crank/scope.h>
#include "scope/nursery.h"

typedef struct cr_group cr_group;
struct cr_delivery;
struct cr_results;

/* Open a group on the running task, with no limit where that is 0. NULL when memory is short: its
 * first wait says so. */
cr_group *cr_group_open(crank_group *g, size_t limit, const char *function, const void *frame);
/* The group is a pool: it keeps its children's results there, and frees them at its end. NULL:
 * there was no memory for them, and the group fails as if a spawn had. */
void cr_group_keep_results(cr_group *group, struct cr_results *results);
/* Where a pool has its results, NULL there when memory was short; NULL for a group that is none. */
struct cr_results **cr_group_results(const crank_group *g, const char *call);

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
