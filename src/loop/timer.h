/* SPDX-License-Identifier: MIT */
/* timer.h: deadlines in (deadline, age) order.
 *
 * A timer is 32 bytes in its owner's record; it is started and stopped in O(1) on average, and
 * costs no allocation but for the growth of the heap that holds the near future. A wheel stores
 * only the far future. The next deadline is exact to the nanosecond: never early, never late by
 * more than the wait itself. Knows no loop. */
#ifndef CR_TIMER_H
#define CR_TIMER_H
#include "base/sys.h"

typedef struct cr_timer cr_timer;
/* In its owner's record, which may be any size: the structure allocates nothing for it. Between
 * start and stop (or pop) none of it may be written, nor may it move. */
struct cr_timer {
    int64_t deadline;
    uint64_t age_kind; /* age << 3 | kind: what the loop does when it is due */
    cr_timer *next;    /* the structure's own: list links, or the place in the heap */
    cr_timer *prev;
};
/* What the loop calls when it is due: cr_callback_due for its own callbacks, else the hook of the
 * kind. Three bits hold it. */
enum cr_timer_kind {
    CR_TIMER_CALLBACK,
    CR_TIMER_TASK,
    CR_TIMER_SCOPE,
    CR_TIMER_OTHER,
    CR_TIMER_STREAM,
    CR_TIMER_KINDS
};
static inline enum cr_timer_kind cr_timer_kind(const cr_timer *timer)
{
    return (enum cr_timer_kind)(timer->age_kind & 7);
}

typedef struct cr_timers cr_timers; /* timer.c says what it is; embedded by pointer */
int cr_timers_new(const cr_sys *sys, int64_t now, cr_timers **ret_timers); /* 0 or -ENOMEM */
void cr_timers_free(cr_timers *timers);                                    /* takes NULL */
/* timer must not be started. 0, or -ENOMEM (then it is not). */
int cr_timers_start(cr_timers *timers, cr_timer *timer, enum cr_timer_kind kind, int64_t deadline);
/* timer must be started. */
void cr_timers_stop(cr_timers *timers, cr_timer *timer);
/* Take the first timer with deadline <= now off; NULL when there is none. */
cr_timer *cr_timers_pop(cr_timers *timers, int64_t now);
/* The earliest deadline, CR_NEVER when there is none. */
int64_t cr_timers_next(cr_timers *timers);
size_t cr_timers_count(const cr_timers *timers);
#endif
