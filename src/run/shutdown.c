/* SPDX-License-Identifier: MIT */
/* shutdown.c: the end of a run.
 *
 * Owns: when the loop stops, which is when the root and the detached tasks have ended; the grace
 * period of what was asked to end for that; and what a deadlock does. A deadlock is reported, then
 * the root is cancelled so that every cleanup runs; a program that starves again after that is left
 * as it is. */
#include "run/shutdown.h"
#include "generator/generator.h"
#include "io/standard.h"
#include "run/program.h"
#include "scope/cancel.h"
#include "scope/end.h"
#include "scope/nursery.h"
#include "scope/reap.h"
#include "task/error.h"
#include "task/report.h"
#include "task/result.h"
#include <crank/loop.h>
#include <stdio.h>
#include <string.h>

/* The only place where a run's loop is told to stop. Generators left open are closed before, and
 * standard output is written, each by one more detached task. */
static void stop_if_done(cr_run *r)
{
    if (!r->ended || cr_task_state_of(r->loop)->detached->alive > 0)
        return;
    if (r->grace) {
        (void)crank_handle_cancel(r->grace);
        cr_task_state_of(r->loop)->graces--;
    }
    r->grace = NULL;
    if (!cr_generators_end(r->loop) && !cr_standard_end(r->loop))
        r->loop->stopping = true;
}

/* Named once, and asked again: over and over while anything else goes on. Where nothing does, no
 * timer of ours may hide that the run starves. */
static void grace_over(void *arg)
{
    cr_run *r = arg;
    crank_loop *loop = r->loop;
    cr_task_state *tasks = cr_task_state_of(loop);
    bool more = cr_reap_grace_over(loop);
    char what[128];
    r->grace = NULL;
    if (loop->stopping)
        return;
    snprintf(what, sizeof what,
        "not ended within %g s of being asked, with the program about to end; asked again:",
        loop->options.grace);
    if (!r->named)
        r->named = cr_report_ignoring(loop, what) > 0;
    if (more)
        cr_shutdown_start_grace(r);
    if (!r->ended)
        (void)cr_cancel_task(loop, tasks->root);
    else
        cr_cancel_children(loop, tasks->detached->child);
}

/* Without memory for its timer no task is named. After a deadlock there is no grace period: its
 * timer would hide that nothing else happens. */
void cr_shutdown_start_grace(cr_run *r)
{
    cr_task_state *tasks = cr_task_state_of(r->loop);
    if (r->grace || tasks->stuck > 0)
        return;
    r->grace = crank_call_later(r->loop, r->loop->options.grace, grace_over, r);
    tasks->graces += r->grace != NULL;
}

/* The failure is copied to memory that outlives the loop before the root's record goes. */
void cr_shutdown_root_ended(crank_loop *loop, cr_nursery *owner, cr_task *root)
{
    cr_run *r = cr_container_of(owner, cr_run, top);
    cr_task_state *tasks = cr_task_state_of(loop);
    uint64_t bits = cr_result_bits(root);
    double real;
    memcpy(&real, &bits, sizeof real);
    bool is_real = cr_kind_is_real(root->site->kind);
    r->ended = true;
    r->failed = root->fiber.flags & CR_TASK_FAILED;
    r->result = is_real && !r->failed ? (long)real : (long)bits;
    r->failure = r->failed ? cr_failure_outlive(cr_error_take(root)) : NULL;
    if (r->error == -EINTR && CR_COUNTS_REQUESTS(root) == 0)
        r->error = 0; /* app took the request back: it has dealt with it, and its result stands */
    root->fiber.flags |= CR_TASK_CLAIMED;
    tasks->root = NULL;
    cr_end_release(loop, root);
    r->named = false;
    cr_end_name_leftovers(loop, tasks->detached->child);
    if (tasks->detached->alive > 0)
        cr_shutdown_start_grace(r);
    cr_cancel_children(loop, tasks->detached->child);
    stop_if_done(r);
}

/* No handle leads to a detached task any more: its failure, if any, is reported by the release. */
void cr_shutdown_detached_ended(crank_loop *loop, cr_nursery *owner, cr_task *task)
{
    (void)owner;
    cr_end_release(loop, task);
    stop_if_done(cr_run_of(loop));
}

/* ---- starving */

/* Cancel every task that is left, so that cleanups run. The first time by the tree, so that every
 * task's request comes through its parent; then, since some task did not end, each by itself. */
static void cancel_all(crank_loop *loop)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    if (tasks->stuck == 1) {
        if (tasks->root)
            (void)cr_cancel_task(loop, tasks->root);
        cr_cancel_children(loop, tasks->detached->child);
        return;
    }
    size_t at = 0;
    for (cr_task *t = cr_record_next(tasks, &at); t; t = cr_record_next(tasks, &at))
        if (t->fiber.life == CR_ALIVE && t != tasks->spare)
            (void)cr_cancel_task(loop, t);
}

/* Each try lets cleanups run until nothing moves again; a program that starves eight times has
 * tasks that ignore being cancelled, and is given up with its tasks unended. */
bool cr_shutdown_starved(crank_loop *loop)
{
    enum { TRIES = 8 };
    cr_task_state *tasks = cr_task_state_of(loop);
    cr_run *r = cr_run_of(loop);
    if (tasks->stuck++ == 0) {
        r->error = -EDEADLK;
        cr_report_deadlock(loop);
    }
    if (tasks->stuck > TRIES) {
        (void)cr_report_ignoring(
            loop, "been given up, since the program cannot end and they ignore being asked to:");
        return true;
    }
    cancel_all(loop);
    return false;
}
