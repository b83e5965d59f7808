/* SPDX-License-Identifier: MIT */
/* to_thread.c: crank_to_thread: a captured call as a task that runs on a worker.
 *
 * The task has no fiber: its record holds the captured arguments until the worker loads them, and
 * the loop leaves those bytes alone until the job has come back. The worker writes its result and
 * its error message into the job, never into the record. A queued job's record is linked to the job
 * by the word that links fibers in the ready line, where it never stands.
 *
 * Owns: the way between a task and its job. Does not own the threads (workers.h) or what an end
 * means (scope/end.c): once the job is back, the task ends like any other. Invariant: from submit
 * to the end the record is read by the worker and not written, but for flags the worker never looks
 * at. */
#include <crank/thread.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "task/describe.h"
#include "scope/end.h"
#include "task/error.h"
#include "task/local.h"
#include "task/report.h"
#include "scope/spawn.h"
#include "thread/workers.h"

/* Beside the record and a place in the queue this is all that a job in flight costs. */
typedef struct task_job {
    cr_job job; /* about the task */
    union {
        const struct cr_locals *locals; /* until it runs: the task's */
        uint64_t result;                /* after: as in a task's record, a real one's bits */
    };
    cr_failure *failure; /* what crank_fail said on the worker */
} task_job;
_Static_assert(sizeof(task_job) <= CR_JOB_BYTES, "a job fits its memory");

static cr_task *task_of(const task_job *job)
{
    return atomic_load_explicit(&job->job.about, memory_order_relaxed);
}

/* Only while the task's life is CR_EXTERNAL. */
static task_job *job_of(const cr_task *task) { return (task_job *)(void *)task->fiber.next; }

static bool is_real(const crank_site *site)
{
    return site->kind == CRANK_KIND_DOUBLE || site->kind == CRANK_KIND_FLOAT;
}

/* Only what stays as it is while the job is out is read: not the flags, which the loop may set. */
static void task_run(cr_job *base)
{
    task_job *job = cr_container_of(base, task_job, job);
    const cr_task *task = task_of(job);
    const cr_fiber *fiber = &task->fiber;
    const cr_large_args *many = task->site->large ? fiber->many : NULL;
    cr_returned returned;
    cr_locals_lend(job->locals);
    cr_call_captured(
        fiber->function, cr_fiber_small((cr_fiber *)(uintptr_t)fiber), many, &returned);
    cr_locals_lend(NULL);
    job->result = returned.integer;
    if (is_real(task->site))
        memcpy(&job->result, &returned.real, sizeof job->result);
    job->failure = cr_failure_take_thread();
}

/* The message first: ending the task hands it on to the task that awaits it. */
static void task_finished(crank_loop *loop, cr_job *base)
{
    task_job *job = cr_container_of(base, task_job, job);
    cr_task *task = task_of(job);
    if (job->failure)
        cr_error_give(loop, task, job->failure);
    double real;
    memcpy(&real, &job->result, sizeof real);
    cr_end_complete(loop, task, job->result, real);
}

/* For a job that never ran, or will never come back. */
static void end_failed(crank_loop *loop, cr_task *task, int err, const char *why)
{
    const crank_site *site = task->site;
    cr_failure *failure = cr_failure_new(err, cr_describe_name(task));
    if (failure) {
        cr_failure_message(failure, "%s: %s", site->function, why);
        cr_error_give(loop, task, failure);
    }
    cr_end_complete_error(loop, task, err);
}

/* The job is forgotten, not freed: its thread may still write to it, and read the task's values. */
static void task_stuck(crank_loop *loop, cr_job *base)
{
    task_job *job = cr_container_of(base, task_job, job);
    cr_task *task = task_of(job);
    const crank_site *site = task->site;
    char text[512];
    snprintf(text, sizeof text,
        "job %s, spawned at %s:%d, has blocked its thread for 5 seconds: under the simulator a job "
        "may wait for others only with crank_submission_wait",
        site->function, site->file, site->line);
    cr_report(loop, CRANK_REPORT_NOTE, -ETIMEDOUT, task, text);
    cr_locals_keep(task);
    end_failed(loop, task, -ETIMEDOUT, "blocked its thread for 5 seconds under the simulator");
}

static const cr_job_type task_type = {
    .run = task_run,
    .finished = task_finished,
    .stuck = task_stuck,
};

/* The task layer's hook. It ends the task itself where this gives true. */
static bool cancel_job(crank_loop *loop, cr_task *task)
{
    return cr_job_cancel(cr_workers_of(loop), &job_of(task)->job);
}

/* The arguments are in the record already: the stub wrote them there. */
static cr_task *make_task(
    crank_loop *loop, crank_function_ *fn, const crank_site *site, task_job *job)
{
    cr_task *task = cr_spawn_make(loop, fn, site);
    if (!task)
        return NULL;
    task->fiber.life = CR_EXTERNAL;
    task->fiber.next = (cr_fiber *)(void *)job;
    atomic_store_explicit(&job->job.about, task, memory_order_relaxed);
    job->failure = NULL;
    job->locals = cr_locals_of(task);
    return task;
}

/* The job's memory comes first, for a task once made must end and can fail only by its result. */
crank_task *crank_to_thread_(int zero, crank_function_ *fn, const crank_site *site)
{
    (void)zero;
    cr_check_site = site;
    crank_loop *loop = cr_checked_loop("crank_to_thread");
    cr_check_site = NULL;
    if (cr_spawn_unwanted(loop)) { /* cancelled before its start it would never run */
        errno = ESHUTDOWN;
        return NULL;
    }
    cr_workers *workers = cr_workers_of(loop);
    task_job *job = workers ? cr_job_new(workers, &task_type) : NULL;
    if (!job) {
        errno = ENOMEM;
        return NULL;
    }
    cr_task *task = make_task(loop, fn, site, job);
    if (!task) {
        cr_job_free(workers, job);
        return NULL;
    }
    cr_task_state_of(loop)->cancel_job = cancel_job;
    int err = cr_job_submit(workers, &job->job);
    if (CR_UNLIKELY(err < 0))
        end_failed(loop, task, err, err == -EAGAIN ? "no thread can be made" : "out of memory");
    return cr_task_handle(task);
}

size_t crank_thread_count(void)
{
    crank_loop *loop = cr_loop_here;
    return loop && loop->workers ? atomic_load(&((cr_workers *)loop->workers)->live) : 0;
}
