/* SPDX-License-Identifier: MIT */
/* blocking.c: a job that one parked task waits for.
 *
 * Its arguments are no captured call but a function and a pointer, it is no task, and it costs one
 * small object while it is out. The parked task is woken with the result.
 *
 * Owns: the two waits and the job between them. Does not own what the job works on, which is heap
 * memory of the caller's: a task that is cancelled before its job has started goes on at once, and
 * one whose job runs waits for it, so in both cases the memory is the caller's again when the call
 * returns. It being heap memory is also why the stack may hibernate in both waits: no worker
 * touches a stack. */
#include "thread/blocking.h"
#include "base/text.h"
#include "task/wait.h"

#include "thread/workers.h"

/* What the worker needs, and the task that is to be woken. The task's wait_object points here, and
 * its wait_data.call to the name. */
typedef struct call_job {
    cr_job job; /* about arg */
    union {
        long (*fn)(void *arg); /* before it runs */
        long result;           /* after */
    };
    cr_task *task;
} call_job;
_Static_assert(sizeof(call_job) <= CR_JOB_BYTES, "a job fits its memory");

static void call_run(cr_job *job)
{
    call_job *call = cr_container_of(job, call_job, job);
    void *arg = atomic_load_explicit(&job->about, memory_order_relaxed);
    call->result = call->fn(arg);
}

/* The result is the wake value, so the call returns it without looking here again. */
static void call_finished(crank_loop *loop, cr_job *job)
{
    call_job *call = cr_container_of(job, call_job, job);
    cr_wake(loop, call->task, call->result);
}

static const cr_job_type call_type = { .run = call_run, .finished = call_finished };

/* The worker that has started goes on and wakes the task in time: false. */
static bool abort_call(cr_task *task)
{
    return cr_job_cancel(cr_workers_of(cr_loop_here), task->wait_object);
}

static size_t describe(const cr_task *task, char *buf, size_t size)
{
    return cr_text_format(buf, size, "%s", task->wait_data.call);
}

static const cr_wait_ops call_wait = {
    .what = "waits for a file",
    .hibernatable = true,
    .abort = abort_call,
    .describe = describe,
};
static const cr_wait_ops sure_wait = {
    .what = "waits for a file",
    .hibernatable = true,
    .abort = cr_wait_abort_nothing,
    .describe = describe,
};

/* On failure nothing is out and the task must not park. */
static int submit(const cr_caller *w, long (*fn)(void *arg), void *arg, const char *name)
{
    cr_workers *workers = cr_workers_of(w->loop);
    call_job *call = workers ? cr_job_new(workers, &call_type) : NULL;
    if (!call)
        return -ENOMEM;
    call->fn = fn;
    atomic_store_explicit(&call->job.about, arg, memory_order_relaxed);
    call->task = w->self;
    w->self->wait_data.call = name;
    w->self->wait_object = call;
    return cr_job_submit(workers, &call->job);
}

/* Parking last: the caller's frame may be gone as far as the processor is concerned. It may be one
 * of several waits of a call. */
long cr_blocking_call(const cr_caller *w, long (*fn)(void *arg), void *arg, const char *name)
{
    int err = cr_checkpoint_again(w);
    if (err == 0)
        err = submit(w, fn, arg, name);
    if (err < 0)
        return err;
    return cr_park(w, &call_wait);
}

/* Blocking the loop is bad, losing what must be done is worse. As on a worker, a pipe whose reader
 * has gone is an error and no signal. */
long cr_blocking_call_uncancellable(
    const cr_caller *w, long (*fn)(void *arg), void *arg, const char *name)
{
    const cr_sys *sys = w->loop->sys;
    if (submit(w, fn, arg, name) < 0)
        return sys->without_sigpipe(sys->context, fn, arg);
    return cr_park(w, &sure_wait);
}
