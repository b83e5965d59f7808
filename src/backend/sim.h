/* SPDX-License-Identifier: MIT */
/* sim.h: the simulator's OS table, and where its choices come from. */
#ifndef CR_SIM_H
#define CR_SIM_H
#include <stdatomic.h>

#include "base/prng.h"
#include "base/sys.h"
#include "backend/backend.h"

/* The real table with another clock and other chance. The clock is read by workers too. */
typedef struct cr_sim_sys {
    cr_sys table; /* its context is this record */
    const cr_sys *real;
    _Atomic int64_t now;
    cr_prng chance;
} cr_sim_sys;

/* record must not move while the table is in use. */
void cr_sim_sys_init(cr_sim_sys *record, const cr_sys *real, uint64_t seed);

/* Time passes, whatever is ready: the clock goes to an instant after the one it shows. */
void cr_sim_pass(cr_backend *backend, int64_t instant);

/* Let an open simulator take its choices from a list and tell of them: options.choices and
 * choices_to. continued: the list is the process's, see choices.h. */
void cr_sim_follow(cr_backend *backend, const char *choices, bool continued, int to);
#endif
