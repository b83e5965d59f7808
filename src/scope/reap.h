/* SPDX-License-Identifier: MIT */
/* reap.h: waiting for the end of tasks that were asked to end.
 *
 * Such a wait is named after a grace period, and the tasks are asked again, period after period.
 * The waiter's own timer runs meanwhile. */
#ifndef CR_REAP_H
#define CR_REAP_H
#include "task/wait.h"

/* One static const per kind of wait; both of the waits point to it. */
typedef struct cr_reap {
    const cr_wait_ops *plain;  /* no timer runs; NULL where the waiter has no fiber */
    const cr_wait_ops *graced; /* the timer runs; its due is cr_reap_due */
    /* A task waited for, to be named: NULL where one was named before, or none is left. */
    cr_task *(*unnamed)(cr_task *waiter);
    /* Ask them to end once more. It may end them, and wake the waiter. */
    void (*ask)(crank_loop *loop, cr_task *waiter);
} cr_reap;

/* They were asked: the grace period begins. Gives the wait to park on: the plain one where there is
 * no memory for a timer. */
const cr_wait_ops *cr_reap_begin(crank_loop *loop, cr_task *waiter, const cr_reap *reap);
/* The same where the waiter is parked, or has been woken by what was asked: it still waits plainly,
 * or there is nothing to do. */
void cr_reap_asked(crank_loop *loop, cr_task *waiter, const cr_reap *reap);
/* They have ended, and the waiter is going to be woken: the timer is off. */
void cr_reap_end(crank_loop *loop, cr_task *waiter, const cr_reap *reap);
/* The due of every graced wait. */
void cr_reap_due(crank_loop *loop, cr_task *waiter);

/* ---- the timer alone */

/* From now on the waiter's timer runs for the grace period, and its wait is graced. False, and no
 * change, where there is no memory for a timer. */
bool cr_reap_grace_start(crank_loop *loop, cr_task *waiter, const cr_wait_ops *graced);
/* The waker stops it when it wakes the waiter. */
void cr_reap_grace_stop(crank_loop *loop, cr_task *waiter);
/* It is due. Is anything else going to happen by itself? If not, the period is not begun again: the
 * timers of several that wait for each other would hide that the run starves. */
bool cr_reap_grace_over(crank_loop *loop);
#endif
