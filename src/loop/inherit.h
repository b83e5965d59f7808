/* SPDX-License-Identifier: MIT */
/* inherit.h: the child of a fork, and the loops it finds in its memory. */
#ifndef CR_INHERIT_H
#define CR_INHERIT_H
#include "base/fork.h"
#include "loop/loop.h"

/* Before a loop is opened: from now on children find their memory put right. */
void cr_inherit_prepare(void);
/* Behind the sentence of a CHECK: that this thread was in a run when its process was forked; else
 * "". */
const char *cr_inherit_note(void);

/* Was the loop opened in a process that forked this one? */
static inline bool cr_inherit_is_needed(const crank_loop *loop) { return loop->forks != cr_forks; }
/* Before a call of the loop's own thread on an inherited loop: it becomes this process's, which
 * gives up what the parent shares. From then on operations can be cancelled, and the loop be
 * closed. A CHECK naming call where it is the loop of a crank_run. */
CR_COLD void cr_inherit_loop(crank_loop *loop, const char *call);
/* Before a call that needs the kernel: an inherited loop gets descriptors of its own, at which its
 * operations wait as they did. 0 or a negative errno. */
int cr_inherit_renew(crank_loop *loop);
/* A callback has returned in a child that was forked in it: a CHECK. */
CRANK_NORETURN CR_COLD void cr_inherit_came_back(void);
#endif
