/* SPDX-License-Identifier: MIT */
/* pool.c: what the real pool and the simulated one have in common: a job from its making to its
 * return to the loop, and the start of a worker's thread.
 *
 * Owns: the memory of jobs, the counts of those that are out, the places of workers. Does not own
 * when a worker runs, rests or ends: real_pool.c and sim_pool.c say that. */
#include "thread/pool.h"
#include "base/check.h"

/* Jobs are ordinary C, which is used to the stacks of main threads; untouched pages cost
 * nothing. */
#define STACK_BYTES (8u << 20)

__thread cr_worker *cr_worker_here __attribute__((tls_model("initial-exec")));

/* ---- Workers ---- */

/* Places are used again: a thread that has ended is joined only when its place is needed, or at
 * the end of all. It counts as searching from birth, so that nobody wakes a second one for the
 * same job while the first is still starting. */
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

/* ---- Jobs ---- */

/* From a freelist of the loop's, which needs no lock, for only the loop's thread makes and frees
 * jobs. */
void *cr_job_new(cr_workers *workers, const cr_job_type *type)
{
    cr_job *job = cr_freelist_get(&workers->memory);
    if (job) {
        job->type = type;
        atomic_init(&job->state, CR_JOB_QUEUED);
        atomic_store_explicit(&job->about, NULL, memory_order_relaxed);
    }
    return job;
}

void cr_job_free(cr_workers *workers, void *job) { cr_freelist_put(&workers->memory, job); }

/* It stays where it is in the ring, and comes back when its turn has come. */
bool cr_job_cancel(cr_workers *workers, cr_job *job)
{
    uint32_t queued = CR_JOB_QUEUED;
    if (!atomic_compare_exchange_strong(&job->state, &queued, CR_JOB_CANCELLED))
        return false;
    workers->loop->external_refs--;
    workers->out--;
    return true;
}

/* No thread could be made and there is none: nobody but the loop can empty the queue. */
int cr_job_refused(cr_workers *workers, cr_job *job, int err)
{
    if (atomic_load(&workers->live) > 0 || !cr_job_cancel(workers, job))
        return 0;
    (void)cr_jobs_take(&workers->jobs);
    (void)cr_workers_collect(workers);
    return err;
}

/* Cancelled jobs come back too, only to be freed: their tasks ended when they were cancelled.
 * What finished calls may submit new jobs, which is why the list is taken off whole before. */
size_t cr_workers_collect(cr_workers *workers)
{
    crank_loop *loop = workers->loop;
    size_t count = 0;
    cr_job *job = cr_jobs_collect(&workers->jobs);
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
