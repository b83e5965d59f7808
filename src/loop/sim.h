/* SPDX-License-Identifier: MIT */
/* sim.h: the simulator's OS table. */
#ifndef CR_SIM_H
#define CR_SIM_H
#include <stdatomic.h>

#include "base/prng.h"
#include "base/sys.h"

/* The real table with another clock and other chance. The clock is read by workers too. */
typedef struct cr_sim_sys {
    cr_sys table; /* its context is this record */
    const cr_sys *real;
    _Atomic int64_t now;
    cr_prng chance;
} cr_sim_sys;

/* record must not move while the table is in use. */
void cr_sim_sys_init(cr_sim_sys *record, const cr_sys *real, uint64_t seed);
#endif
