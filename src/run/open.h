/* SPDX-License-Identifier: MIT */
/* open.h: the tasks of a loop, from before the first to after the last. */
#ifndef CR_OPEN_H
#define CR_OPEN_H
#include "task/record.h"

int cr_task_state_open(crank_loop *loop); /* 0 or -ENOMEM */
void cr_task_state_close(crank_loop *loop);
#endif
