/* SPDX-License-Identifier: MIT */
/* open.h: the tasks of a loop, from before the first to after the last. */
#ifndef CR_OPEN_H
#define CR_OPEN_H
#include "task/record.h"

int cr_tasks_open(crank_loop *loop); /* 0 or -ENOMEM */
void cr_tasks_close(crank_loop *loop);
#endif
