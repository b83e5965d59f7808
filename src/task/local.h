/* SPDX-License-Identifier: MIT */
/* local.h: the values of task-locals. */
#ifndef CR_LOCAL_H
#define CR_LOCAL_H
#include "task/record.h"

/* false: no memory */
bool cr_locals_inherit(cr_task_state *tasks, cr_task *child, const cr_task *parent);
void cr_locals_drop(cr_task_state *tasks, struct cr_locals *locals);
/* A task's values, for a thread job to read; never NULL. */
const struct cr_locals *cr_locals_of(const cr_task *task);
/* What crank_local_get reads on this thread, which runs a job; NULL after the job. */
void cr_locals_lend(const struct cr_locals *locals);
/* Never free the task's values: a job that was given up may still read them. */
void cr_locals_keep(const cr_task *task);
#endif
