/* SPDX-License-Identifier: MIT */
/* interrupt.h: Ctrl-C. */
#ifndef CR_INTERRUPT_H
#define CR_INTERRUPT_H
#include "run/program.h"

/* Handle SIGINT for this run, where its options ask for it and no other run of the process does:
 * true then, and cr_interrupts_leave is due. */
bool cr_interrupts_handle(cr_run *r);
void cr_interrupts_leave(void);
#endif
