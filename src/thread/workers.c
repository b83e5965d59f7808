/* SPDX-License-Identifier: MIT */
/* workers.c: the workers of a loop, real or simulated: made when the first job needs them, closed
 * when the run ends; and what the two pools have in common.
 *
 * Owns: the memory of the workers, which pool a loop has, the start of a worker's thread, and the
 * way of finished jobs back to the loop. Does not own when a worker runs, rests or ends:
 * real_pool.c and sim_pool.c say that. */
#include "base/check.h"
#include "base/fork.h"
#include "thread/workers.h"

/* Jobs are ordinary C, which is used to the stacks of main threads; untouched pages cost
 * nothing. */
#define STACK_BYTES (8u << 20)

__thread cr_worker *cr_worker_here __attribute__((tls_model("initial-exec")));

/* Places are used again: a thread that has ended is joined only when its place is needed, or at the
 * end of all. It counts as searching from birth, so that no second one is woken for the same job
 * while the first is still starting. */
int cr_worker_start(cr_workers *workers, void *(*body)(void *), cr_worker **ret_worker)
{
    const cr_sys *sys = workers->loop->sys;
    cr_worker *worker = workers->all;
    while (worker->life == CR_WORKER_LIVE)
        worker++;
    if (worker->life == CR_WORKER_OVER)
        (void)sys->thread_join(sys->context, worker->thread);
    worker->life = CR_WORKER_NONE;
    worker->thread = 0;
    worker->workers = workers;
    worker->woken = false;
    worker->searching = true;
    int err = sys->thread_start(sys->context, &worker->thread, body, worker, STACK_BYTES);
    if (err < 0)
        return err;
    worker->life = CR_WORKER_LIVE;
    atomic_fetch_add(&workers->live, 1);
    *ret_worker = worker;
    return 0;
}

void cr_worker_gone(void *arg)
{
    (void)arg;
    cr_check_failed("pthread_exit: called in a thread job, or pthread_cancel for the thread of "
                    "one; let the job return instead");
}

/* A lost worker's thread may never end. */
void cr_workers_join(cr_workers *workers)
{
    const cr_sys *sys = workers->loop->sys;
    for (unsigned i = 0; i < workers->max; i++)
        if (workers->all[i].thread && !workers->all[i].lost)
            (void)sys->thread_join(sys->context, workers->all[i].thread);
}

/* Cancelled jobs come back too, only to be freed: their tasks ended when they were cancelled.
 * What finished calls may submit new jobs, which is why the list is taken off whole before. */
size_t cr_workers_collect(cr_workers *workers)
{
    crank_loop *loop = workers->loop;
    size_t count = 0;
    cr_job *job = cr_job_queue_collect(&workers->jobs);
    while (job) {
        cr_job *next = job->next;
        if (atomic_load_explicit(&job->state, memory_order_relaxed) == CR_JOB_RUNNING) {
            loop->external_refs--;
            workers->out--;
            count++;
            job->type->finished(loop, job);
        }
        cr_freelist_put(&workers->memory, job);
        job = next;
    }
    return count;
}

/* ---- opening and closing */

/* Every thread has ended. */
static void free_workers(cr_workers *workers)
{
    const cr_sys *sys = workers->loop->sys;
    workers->ops->free(workers);
    for (unsigned i = 0; i < workers->max; i++)
        pthread_cond_destroy(&workers->all[i].wake);
    pthread_cond_destroy(&workers->ended);
    pthread_mutex_destroy(&workers->lock);
    cr_job_queue_deinit(&workers->jobs);
    cr_freelist_deinit(&workers->memory);
    cr_free(sys, workers);
}

/* Called when the run ends, with the tasks' memory still there: jobs that were abandoned end
 * their tasks now. */
static void close_workers(crank_loop *loop, cr_closer *closer)
{
    cr_workers *workers = cr_container_of(closer, cr_workers, closer);
    bool whole = workers->ops->close(workers);
    cr_wakeup_deliver(loop->wakeup); /* our signal may be on its way */
    (void)cr_workers_collect(workers);
    loop->workers = NULL;
    loop->spin_ns = 0;
    if (whole)
        free_workers(workers);
}

/* More threads than cores, since jobs often wait; as Python's executor chooses. Under the simulator
 * nothing depends on the machine: a seed means the same everywhere. */
static void choose_size(crank_loop *loop, unsigned *ret_cores, unsigned *ret_max)
{
    enum { cores_simulated = 4, max_usual = 32 };
    unsigned cores = loop->simulated ? cores_simulated : loop->sys->cores(loop->sys->context);
    unsigned max = cores + 4 < max_usual ? cores + 4 : max_usual;
    *ret_cores = cores;
    *ret_max = loop->options.threads_max ? loop->options.threads_max : max;
}

static void init_locks(cr_workers *workers)
{
    pthread_mutex_init(&workers->lock, NULL);
    cr_cond_init(&workers->ended);
    for (unsigned i = 0; i < workers->max; i++)
        cr_cond_init(&workers->all[i].wake);
}

/* In the child of a fork that a job has called: its thread is a worker no more. */
static void forget_worker(void) { cr_worker_here = NULL; }
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static void prepare(void) { cr_fork_prepare(forget_worker); }

/* No thread is made yet: a program that needs none has none. */
static CR_NOINLINE cr_workers *workers_new(crank_loop *loop)
{
    unsigned cores, max;
    (void)pthread_once(&prepared, prepare);
    choose_size(loop, &cores, &max);
    cr_workers *workers = cr_alloc_zero(loop->sys, sizeof *workers + max * sizeof workers->all[0]);
    if (!workers)
        return NULL;
    workers->loop = loop;
    workers->ops = loop->simulated ? &cr_sim_pool_ops : &cr_real_pool_ops;
    workers->cores = cores;
    workers->max = max;
    workers->closer.close = close_workers;
    cr_freelist_init(&workers->memory, loop->sys, CR_JOB_BYTES);
    if (cr_job_queue_init(&workers->jobs, loop->sys) < 0)
        goto no_jobs;
    if (workers->ops->open(workers) < 0)
        goto no_pool;
    init_locks(workers);
    cr_loop_at_close(loop, &workers->closer);
    loop->workers = workers;
    return workers;
no_pool:
    cr_job_queue_deinit(&workers->jobs);
no_jobs:
    cr_free(loop->sys, workers);
    return NULL;
}

/* Made by the first call that needs one: a program without jobs has no workers' memory. */
cr_workers *cr_workers_of(crank_loop *loop)
{
    return CR_LIKELY(loop->workers != NULL) ? loop->workers : workers_new(loop);
}
