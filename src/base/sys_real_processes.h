/* SPDX-License-Identifier: MIT */
/* sys_real_processes.h: the process entries of cr_sys_real; sys.h says what each does. */
#ifndef CR_SYS_REAL_PROCESSES_H
#define CR_SYS_REAL_PROCESSES_H
#include "base/sys.h"

int cr_sys_real_spawn(void *context, const cr_spawn *asked, int *ret_pidfd);
int cr_sys_real_wait_pidfd(void *context, int fd, int *ret_status);
int cr_sys_real_signal_pidfd(void *context, int fd, int signal);
int cr_sys_real_signal_group(void *context, int id, int signal);
#endif
