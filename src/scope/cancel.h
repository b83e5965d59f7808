/* SPDX-License-Identifier: MIT */
/* cancel.h: requests to stop. */
#ifndef CR_CANCEL_H
#define CR_CANCEL_H
#include "task/record.h"

/* The children of a list that are alive, asked to stop. */
void cr_cancel_children(crank_loop *loop, cr_task *first);
/* Ask a task to stop. 0 or -ESRCH. */
int cr_cancel_task(crank_loop *loop, cr_task *task);
/* A request is pending (flags say so): deliver it to a parked task where it may be delivered. */
void cr_cancel_deliver(crank_loop *loop, cr_task *task);
#endif
