/* SPDX-License-Identifier: MIT */
/* registry.h: which loops are alive.
 *
 * Another thread may hold the pointer of a loop that has ended. It asks here before it touches
 * one, and while it holds the answer the loop does not end. Threads of the loop's own (workers)
 * need not ask: the loop waits for them. */
#ifndef CR_REGISTRY_H
#define CR_REGISTRY_H
#include "loop/loop.h"

/* From now on other threads may hold the loop. */
void cr_registry_add(crank_loop *loop);
/* From now on none may; waits until the last thread that holds it has released it. A loop that was
 * never added is ignored. */
void cr_registry_remove(crank_loop *loop);
/* True: the loop is alive and stays so until cr_registry_release. False: it has ended. Not for
 * signal handlers. */
bool cr_registry_hold(const crank_loop *loop);
void cr_registry_release(void);
/* In the child of a fork: no loop is alive. */
void cr_registry_forget(void);
/* Is no loop alive in this process? */
bool cr_registry_empty(void);
/* The simulated loop for which this thread, a worker, runs a job; NULL elsewhere. It may have
 * ended. */
extern __thread crank_loop *cr_loop_served __attribute__((tls_model("initial-exec")));
#endif
