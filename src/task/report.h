/* SPDX-License-Identifier: MIT */
/* report.h: what crank tells the user unasked. */
#ifndef CR_REPORT_H
#define CR_REPORT_H
#include "error/failure.h"
#include "task/task.h"

/* Send a report to the run's hook, or to stderr. */
void cr_report(crank_loop *loop, enum crank_report_kind kind, int error, const cr_task *task,
    const char *text);
/* The same from where neither stdio nor the allocator may be called: a signal handler, another
 * thread. The text is whole: it begins with cr_report_head. */
void cr_report_plainly(crank_loop *loop, const crank_report *report);
size_t cr_report_head(enum crank_report_kind kind, char *buf, size_t size); /* as snprintf */
/* A failure that was not awaited, after an introduction. */
void cr_report_failure(
    crank_loop *loop, const cr_task *task, const cr_failure *failure, const char *introduction);
void cr_report_unawaited(crank_loop *loop, cr_task *task);
/* A cancelled task that has not ended within the grace period. */
void cr_report_swallowed(crank_loop *loop, const cr_task *task);
/* Every task that was asked to end and has not, after "N tasks have" and what; nothing where there
 * is none. Gives how many there are. */
size_t cr_report_ignoring(crank_loop *loop, const char *what);
/* Every task, where it waits, which task holds what it waits for. */
void cr_report_deadlock(crank_loop *loop);
#endif
