/* SPDX-License-Identifier: MIT */
/* wait_times.h: when each task began to wait, noted in debug mode. */
#ifndef CR_WAIT_TIMES_H
#define CR_WAIT_TIMES_H
#include "task/record.h"

void cr_wait_times_trace(cr_task_state *tasks);
#endif
