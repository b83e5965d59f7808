/* SPDX-License-Identifier: MIT */
/* hibernate.h: idle tasks give their stack's pages back. */
#ifndef CR_HIBERNATE_H
#define CR_HIBERNATE_H
#include "task/task.h"

/* Before memory of the user's that may lie on a parked task's stack is read or written. */
extern __thread struct cr_hibernation *cr_hibernation_here
    __attribute__((tls_model("initial-exec"), visibility("hidden")));
bool cr_hibernate_ensure_slow(const void *address);
static inline void cr_hibernate_ensure(const void *address)
{
    if (CR_UNLIKELY(cr_hibernation_here != NULL))
        (void)cr_hibernate_ensure_slow(address);
}
/* Is that memory on a task's stack which may be put away, now or later? */
bool cr_hibernate_may_take_slow(const void *address);
static inline bool cr_hibernate_may_take(const void *address)
{
    return CR_UNLIKELY(cr_hibernation_here != NULL) && cr_hibernate_may_take_slow(address);
}

int cr_hibernate_open(crank_loop *loop); /* where the run's options ask for it. 0 or -ENOMEM */
void cr_hibernate_close(crank_loop *loop);
/* Give a task's stack back: it is on the ready line and has a turn. */
void cr_hibernate_wake(cr_task *task);
void cr_hibernate_due(crank_loop *loop, cr_timer *timer);
#endif
