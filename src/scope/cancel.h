/* SPDX-License-Identifier: MIT */
/* cancel.h: requests to stop. */
#ifndef CR_CANCEL_H
#define CR_CANCEL_H
#include "task/record.h"

/* The children of a list that are alive, asked to stop. */
void cr_children_cancel(crank_loop *loop, cr_task *first);
/* Ask a task to stop. 0 or -ESRCH. */
int cr_task_cancel(crank_loop *loop, cr_task *task);
/* Requests that have been made and not taken back: exact below CR_REQUESTS_MAX. */
static inline unsigned cr_task_requests(const cr_task *task)
{
    unsigned count = CR_TALLY_REQUESTS(task);
    return CR_LIKELY(count < CR_TALLY_REQUESTS_MAX) || !task->ext
               ? count
               : count + task->ext->more_requests;
}
/* May the task have had more than are counted? */
static inline bool cr_task_requests_saturated(const cr_task *task)
{
    unsigned count = cr_task_requests(task);
    return count == CR_REQUESTS_MAX || (count == CR_TALLY_REQUESTS_MAX && !task->ext);
}
/* Of those, how many it has made to itself since its last wait began. */
static inline unsigned cr_task_own_requests(const cr_tasks *tasks, const cr_task *task)
{
    return tasks->own_requests.id == task->id ? tasks->own_requests.count : 0;
}
/* A request is pending (flags say so): deliver it to a parked task where it may be delivered. */
void cr_task_notice(crank_loop *loop, cr_task *task);
/* A request is delivered: its reason, if it has one, is the task's last error now. */
void cr_reason_deliver(cr_task *task);
#endif
