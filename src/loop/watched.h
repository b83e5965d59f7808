/* SPDX-License-Identifier: MIT */
/* watched.h: how a loop is seen from the watchdog's thread.
 *
 * Whether it goes on is read off what it changes anyhow, the runner's counts and the time of its
 * last look at the world; whether it sleeps is read off its wakeup. What the loop does on its way:
 * now and then it postpones the watchdog's next look, which for a loop that is the only one so
 * never comes while it goes on; and it tells a watchdog that has gone to sleep itself, since no
 * loop had anything to do. That is a load and a branch per look at the world and per wait.
 *
 * The watchdog lies in a layer above; its functions are called by name, as the runner calls those
 * of the task layer. */
#ifndef CR_WATCHED_H
#define CR_WATCHED_H
#include "base/base.h"

/* What changes when the loop goes on to its next task, callback or turn. */
typedef struct cr_beat {
    uint64_t switches;
    int64_t polled_at;
    int32_t steps;
} cr_beat;

/* For how long the thread had waited for a processor, all in all, at some instant. */
typedef struct cr_delays {
    int64_t at; /* 0: not asked */
    int64_t sum;
} cr_delays;

/* In each loop. What stands before postpone_at is written before it is watched, the rest but that
 * is the watchdog's. */
typedef struct cr_watched {
    crank_loop *next;    /* of those that are watched */
    int thread;          /* which runs it, as the kernel numbers it; 0: not watched */
    unsigned long self;  /* the same, as the OS table does */
    void *frame;         /* of the function that runs the loop: its stack is looked at up to here */
    int64_t limit;       /* nanoseconds */
    int64_t postpone_at; /* the loop's: when to postpone again; CR_NEVER: not watched */
    cr_beat beat;        /* as last seen */
    int64_t since;       /* instant at which beat was first seen; 0: it was asleep */
    int64_t computed;    /* processor time of the thread then */
    cr_delays before;    /* at most a second earlier */
    cr_delays after;     /* when it was seen to stand */
    int64_t again;       /* before this it cannot have stood for long enough */
    bool told;           /* this standstill is reported, or counted */
    bool doubted;        /* it ran when it was last examined, and is looked at again soon */
    int64_t quiet;       /* no report before this instant */
    int64_t span;        /* between the next two */
    unsigned untold;     /* standstills that were only counted */
} cr_watched;

/* The inspect layer's, in the loop's thread: the loop is about to run here, and has run. Nothing
 * where it is simulated or its options say never. */
void cr_watchdog_watch(crank_loop *loop, void *frame);
void cr_watchdog_leave(crank_loop *loop);
/* The loop goes on, at this instant, which is postpone_at or later. */
void cr_watchdog_postpone(crank_loop *loop, int64_t at);
/* Not NULL: the watchdog sleeps; call it, a loop has something to do. */
extern void (*cr_watchdog_sleeps)(void);
#endif
