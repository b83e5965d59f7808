/* SPDX-License-Identifier: MIT */
/* describe.h: a task in words. */
#ifndef CR_DESCRIBE_H
#define CR_DESCRIBE_H
#include "task/task.h"

/* into a thread's buffer where it has no name of its own */
const char *cr_describe_name(const cr_task *task);
size_t cr_describe_task(const cr_task *task, char *buf, size_t size);
void cr_describe_install(void); /* cr_check_hook */
#endif
