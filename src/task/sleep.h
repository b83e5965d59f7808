/* SPDX-License-Identifier: MIT */
/* sleep.h: waiting for time. */
#ifndef CR_SLEEP_H
#define CR_SLEEP_H
#include "task/task.h"

size_t cr_sleep_describe(const cr_task *task, char *buf, size_t size); /* by its timer */
#endif
