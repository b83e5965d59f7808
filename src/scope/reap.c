/* SPDX-License-Identifier: MIT */
/* reap.c: waiting for the end of tasks that were asked to end.
 *
 * Owns: the grace period of every such wait (an await, a group, a gather, a start, a task that has
 * returned): its timer, which is the waiter's own, how many of these run, whether they hide that
 * nothing else happens, and what is done when one is due. Which task is named and which are asked
 * again is the wait's to say (cr_reap). */
#include "scope/reap.h"
#include "task/record.h"
#include "task/report.h"
#include "task/wait.h"

/* The timer is the waiter's own, which is free: a task that waits for others has no sleep
 * running. */
bool cr_reap_grace_start(crank_loop *loop, cr_task *task, const cr_wait_ops *graced)
{
    int64_t deadline = cr_after(cr_now(loop), cr_loop_nanoseconds(loop->options.grace));
    if (cr_task_state_of(loop)->stuck > 0) /* nothing else happens: its timer would hide that */
        return false;
    if (cr_timer_start(loop, &task->timer, CR_TIMER_TASK, deadline) < 0)
        return false;
    task->fiber.wait = graced;
    cr_task_state_of(loop)->graces++;
    return true;
}

void cr_reap_grace_stop(crank_loop *loop, cr_task *task)
{
    cr_timer_stop(loop, &task->timer);
    cr_task_state_of(loop)->graces--;
}

bool cr_reap_grace_over(crank_loop *loop)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    tasks->graces--;
    if (tasks->grace_at != loop->polled_at) /* else what the others set going would be seen */
        tasks->grace_more = cr_loop_expects(loop, tasks->graces);
    tasks->grace_at = loop->polled_at;
    return tasks->grace_more;
}

const cr_wait_ops *cr_reap_begin(crank_loop *loop, cr_task *waiter, const cr_reap *reap)
{
    return cr_reap_grace_start(loop, waiter, reap->graced) ? reap->graced : reap->plain;
}

void cr_reap_asked(crank_loop *loop, cr_task *waiter, const cr_reap *reap)
{
    if (waiter->fiber.wait == reap->plain)
        (void)cr_reap_grace_start(loop, waiter, reap->graced);
}

void cr_reap_end(crank_loop *loop, cr_task *waiter, const cr_reap *reap)
{
    if (waiter->fiber.wait == reap->graced)
        cr_reap_grace_stop(loop, waiter);
}

/* Named once: a report per period would bury the first. The report's hook may end what is waited
 * for, and the waiter be woken or gone after it. Asking may do so too, and is last. */
void cr_reap_due(crank_loop *loop, cr_task *waiter)
{
    const cr_reap *reap = ((const cr_wait_ops *)waiter->fiber.wait)->reap;
    bool more = cr_reap_grace_over(loop);
    cr_task *late = reap->unnamed(waiter);
    uint64_t id = waiter->id;
    uint8_t life = waiter->fiber.life;
    waiter->fiber.wait = reap->plain;
    if (late)
        cr_report_swallowed(loop, late);
    if (cr_task_find(id) != waiter || waiter->fiber.life != life ||
        waiter->fiber.wait != reap->plain)
        return;
    if (more)
        (void)cr_reap_grace_start(loop, waiter, reap->graced);
    reap->ask(loop, waiter);
}
