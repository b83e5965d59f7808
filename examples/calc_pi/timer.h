/* SPDX-License-Identifier: MIT */
/* timer.h: a scope that notes how long it lasted: WITH_TIMER(&t) to the end of the block. */
#ifndef TIMER_H
#define TIMER_H
#include <crank.h>

struct elapsed {
    double time; /* seconds, set at the end of the block */
};

struct timer {
    struct elapsed *elapsed;
    double started;
};

static inline void timer_end(struct timer *timer) { timer->elapsed->time = crank_time() - timer->started; }

#define WITH_TIMER(elapsed) \
    __attribute__((cleanup(timer_end), unused)) struct timer timer_scope = { (elapsed), crank_time() }

#endif
