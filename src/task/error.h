/* SPDX-License-Identifier: MIT */
/* error.h: the failures of tasks: which task has which, and how they pass from task to task. */
#ifndef CR_ERROR_H
#define CR_ERROR_H
#include "error/failure.h"
#include "task/record.h"

/* The running task's failure, or this thread's outside one; NULL if none. */
cr_failure *cr_error_here(void);
/* Record an error of ours with a message; gives error (negative). Never fails: short memory costs
 * the message. */
int cr_error_set(int error, const char *format, ...) CRANK_PRINTF(2, 3);
/* What a call that was cancelled has said of itself, where it has since that interruption of the
 * running task or a later one: its text, until another failure takes its place; NULL. */
const char *cr_error_cut_since(uint64_t interruption);
/* What a call that was cancelled says of itself, as cr_error_set does; but the reason of the
 * request, where it has one, stays. Gives -ECANCELED. */
int cr_error_set_cut(const char *format, ...) CRANK_PRINTF(1, 2);
/* Move the failure of one ended task to another (or to this thread outside one), noting where it
 * was spawned. */
void cr_error_move(crank_loop *loop, cr_task *from, cr_task *to);
/* The same, leaving it with from too (several may await one task). */
void cr_error_copy(crank_loop *loop, cr_task *from, cr_task *to);
void cr_error_give(crank_loop *loop, cr_task *task, cr_failure *failure);
/* Take a task's failure off; NULL if it has none. */
cr_failure *cr_error_take(cr_task *task);
/* A request is delivered: its reason, if it has one, is the task's last error now. */
void cr_error_deliver_reason(cr_task *task);
/* Keep what a failed task (NULL: one that could not be spawned) has to say below *all. The first
 * stands for all: where *all is NULL it is made, with that one's error and message. Short memory
 * costs texts. */
void cr_error_collect(crank_loop *loop, cr_failure **all, cr_task *task, int error);
#endif
