/* SPDX-License-Identifier: MIT */
/* fork.h: is this process the one that it was? */
#ifndef CR_FORK_H
#define CR_FORK_H
#include "base/base.h"

/* How many forks lie between this process and the first that called cr_fork_prepare. What is shared
 * with the parent notes it when it is opened: where the two differ it was inherited. */
extern unsigned cr_forks;

/* From now on every child of fork counts, and then calls in_child, on its one thread and before
 * fork returns there. Once for each function. Without memory for it a child does not. */
void cr_fork_prepare(void (*in_child)(void));
#endif
