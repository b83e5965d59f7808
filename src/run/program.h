/* SPDX-License-Identifier: MIT */
/* program.h: one run of a program, from crank_run to its return. */
#ifndef CR_PROGRAM_H
#define CR_PROGRAM_H
#include "error/failure.h"
#include "scope/nursery.h"

typedef struct cr_run {
    crank_loop *loop;
    cr_nursery top;      /* owns the root */
    cr_nursery detached; /* owns what crank_detach gives up */
    bool ended;          /* the root has */
    long result;         /* of the root, as a long */
    bool failed;         /* the root did */
    int error;           /* why there was no result: deadlock, interrupt */
    cr_failure *failure; /* the root's, in memory that outlives the loop */
    crank_handle *grace; /* calls grace_over (shutdown.c) */
    bool named;          /* those that do not end were reported */
    cr_post interrupt;   /* Ctrl-C has come: on its way until the loop is closed, at the latest */
} cr_run;
static inline cr_run *cr_run_of(crank_loop *loop) { return cr_task_state_of(loop)->run; }
#endif
