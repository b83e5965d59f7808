/* SPDX-License-Identifier: MIT */
/* syscalls.h: system calls by name. */
#ifndef CR_INSPECT_CALL_H
#define CR_INSPECT_CALL_H
#include "base/base.h"

/* "clock_nanosleep", or NULL for one that hardly ever waits. */
const char *cr_syscalls_name(long number);
#endif
