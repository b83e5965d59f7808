/* SPDX-License-Identifier: MIT */
#ifndef CRANK_SIGNAL_H
#define CRANK_SIGNAL_H
/* Signals to this process, received by tasks. */
#include "base.h"
/* Not a system header, as scope.h is none: gcc would then keep silent about an ignored result. */

CRANK_BEGIN_DECLS

/* On the user's stack it is two words; its state is in heap memory. */
typedef struct crank_signals {
    void *state;
    int error;
} crank_signals;

#ifndef __cplusplus
/* CRANK_SIGNALS(asked, SIGTERM, SIGHUP): to the end of the block these signals are received here, by
 * crank_signals_next, and do nothing else. Several receivers, in any threads' runs, are each given a signal that they
 * name. The handler from before is back when the last has ended, and is called then for a signal that no task has
 * taken. While one names SIGINT, Ctrl-C does not cancel app; a second one ends the process where the first has not been
 * taken. Programs that are started have none of it. A signal that no program can handle, SIGKILL or SIGSTOP, and those
 * of faults make the first wait fail with -EINVAL. */
#define CRANK_SIGNALS(name, ...) \
    crank_signals name CRANK_CLEANUP_(crank_signals_end_) = { NULL, 0 }; \
    crank_signals_begin_( \
        &(name), (const int[]){ __VA_ARGS__ }, sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))
#endif
CRANK_API void crank_signals_begin_(crank_signals *signals, const int *numbers, size_t n);
CRANK_API void crank_signals_end_(crank_signals *signals);
/* Wait for the next signal: its number. Equal ones that came meanwhile are one; of different ones each has its turn.
 * Fails with -ECANCELED (none is lost), -EINVAL and -ENOMEM where they cannot be received. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_signals_next(crank_signals *signals);

CRANK_END_DECLS
#endif
