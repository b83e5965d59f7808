/* SPDX-License-Identifier: MIT */
/* local.h: the values of task-locals. */
#ifndef CR_LOCAL_H
#define CR_LOCAL_H
#include "task/record.h"

/* false: no memory */
bool cr_locals_inherit(cr_task_state *tasks, cr_task *child, const cr_task *parent);
void cr_locals_drop(cr_task_state *tasks, struct cr_locals *locals);
/* A task's value; NULL where it has none. */
void *cr_local_of(const cr_task *task, const crank_local *key);
/* Until cr_local_restore the task has another value, which is what it is for to be inherited by the
 * tasks that it spawns meanwhile. It must not set any itself. -ENOMEM: nothing has changed. */
int cr_local_replace(
    cr_task *task, const crank_local *key, void *value, struct cr_locals **ret_before);
void cr_local_restore(cr_task *task, struct cr_locals *before);
/* A task's values, for a thread job to read; never NULL. */
const struct cr_locals *cr_locals_of(const cr_task *task);
/* What crank_local_get reads on this thread, which runs a job; NULL after the job. */
void cr_locals_lend(const struct cr_locals *locals);
/* Never free the task's values: a job that was given up may still read them. */
void cr_locals_keep(const cr_task *task);
#endif
