/* SPDX-License-Identifier: MIT */
/* debug.h: what debug mode looks for. */
#ifndef CR_DEBUG_H
#define CR_DEBUG_H
#include "task/task.h"

void cr_debug_spawned(crank_loop *loop, cr_task *task);
/* The id of the task where address lies in the part of its own stack that is in use; else 0. */
uint64_t cr_debug_stack_of(const crank_loop *loop, const cr_task *task, const void *address);
/* A child has ended, and its result is to be written to an address in that task's stack: is the
 * frame still there? */
void cr_debug_result(const cr_task *child, uint64_t stack_of, const void *address);
/* No child alive may point below frame, the address of the parent's frame that is running. */
void cr_debug_frames(const cr_task *parent, uintptr_t frame);
/* A child has ended, its handle is kept, and no task waits for it: do many pile up? */
void cr_debug_unclaimed(crank_loop *loop, cr_task *task);
#endif
