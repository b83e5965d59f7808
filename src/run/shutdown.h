/* SPDX-License-Identifier: MIT */
/* shutdown.h: the end of a run, and what is done for it to come. */
#ifndef CR_SHUTDOWN_H
#define CR_SHUTDOWN_H
#include "run/program.h"

/* What was asked to end, by Ctrl-C or since the root has ended, is given so long. */
void cr_shutdown_start_grace(cr_run *r);
/* The owners' hooks: the root has ended; a detached task has. */
void cr_shutdown_root_ended(crank_loop *loop, cr_nursery *owner, cr_task *root);
void cr_shutdown_detached_ended(crank_loop *loop, cr_nursery *owner, cr_task *task);
/* The loop's hook: tasks wait and nothing can wake them. True: the run is given up. */
bool cr_shutdown_starved(crank_loop *loop);
#endif
