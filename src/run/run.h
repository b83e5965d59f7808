/* SPDX-License-Identifier: MIT */
/* run.h: a whole program. */
#ifndef CR_RUN_H
#define CR_RUN_H
#include <crank/run.h>
#include "base/sys.h"

/* crank_run_raw on another OS table (NULL: the real one), for tests. */
long cr_run_raw_on(const cr_sys *sys, const crank_options *options, long (*fn)(void *), void *arg);
#endif
