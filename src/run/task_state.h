/* SPDX-License-Identifier: MIT */
/* task_state.h: the tasks of a loop, from before the first to after the last. */
#ifndef CR_TASK_STATE_H
#define CR_TASK_STATE_H
#include "task/record.h"

int cr_task_state_open(crank_loop *loop); /* 0 or -ENOMEM */
void cr_task_state_close(crank_loop *loop);
#endif
