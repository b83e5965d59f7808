/* SPDX-License-Identifier: MIT */
/* reap.h: the grace period of tasks that were asked to end. */
#ifndef CR_REAP_H
#define CR_REAP_H
#include "task/wait.h"

/* A parked task waits for others it has asked to end: from now on its timer runs for the grace
 * period, and wait is graced. Whoever wakes it stops the timer by the second; when it is due the
 * third comes first, and says whether anything else is going to happen by itself: else the period
 * is not begun again, for several that wait for each other's would hide that the run starves.
 * False, and no change, where there is no memory for a timer. */
bool cr_grace_start(crank_loop *loop, cr_task *task, const cr_wait *graced);
void cr_grace_stop(crank_loop *loop, cr_task *task);
bool cr_grace_over(crank_loop *loop);
#endif
