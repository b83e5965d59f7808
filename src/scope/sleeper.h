/* SPDX-License-Identifier: MIT */
/* sleeper.h: tasks that run without a stack, and what else the runner cannot run by itself. */
#ifndef CR_SLEEPER_H
#define CR_SLEEPER_H
#include "loop/loop.h"

/* The loop's hook: the runner has taken the fiber off the line and cannot run it. */
void cr_sleeper_need_stack(crank_loop *loop, cr_fiber *fiber);
#endif
