/* SPDX-License-Identifier: MIT */
/* reap.c: the grace period of tasks that were asked to end.
 *
 * Owns: the timer of a task that waits for others it has asked to end, which is its own; how many
 * of these run, and whether they hide that nothing else happens. Does not own who is named and
 * asked again when one is due: that is the waiter's. */
#include "scope/reap.h"
#include "task/record.h"
#include "task/wait.h"

/* The timer is the waiter's own, which is free: a task that waits for others has no sleep
 * running. */
bool cr_grace_start(crank_loop *loop, cr_task *task, const cr_wait *graced)
{
    int64_t deadline = cr_after(cr_now(loop), cr_nanoseconds(loop->options.grace));
    if (cr_tasks_of(loop)->stuck > 0) /* nothing else happens: its timer would hide that */
        return false;
    if (cr_timer_start(loop, &task->timer, CR_TIMER_TASK, deadline) < 0)
        return false;
    task->fiber.wait = graced;
    cr_tasks_of(loop)->graces++;
    return true;
}

void cr_grace_stop(crank_loop *loop, cr_task *task)
{
    cr_timer_stop(loop, &task->timer);
    cr_tasks_of(loop)->graces--;
}

bool cr_grace_over(crank_loop *loop)
{
    cr_tasks *tasks = cr_tasks_of(loop);
    tasks->graces--;
    if (tasks->grace_at != loop->polled_at) /* else what the others set going would be seen */
        tasks->grace_more = cr_loop_expects(loop, tasks->graces);
    tasks->grace_at = loop->polled_at;
    return tasks->grace_more;
}
