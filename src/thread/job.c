/* SPDX-License-Identifier: MIT */
/* job.c: a job, from its making to its cancellation, whichever pool does it.
 *
 * Owns: the memory of jobs, and whether a job that was submitted is out. Does not own the queue
 * (job_queue.c) nor how jobs come back to the loop (workers.c). */
#include "thread/workers.h"

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

/* No thread could be made and there is none: only the loop can empty the queue. */
int cr_job_refused(cr_workers *workers, cr_job *job, int err)
{
    if (atomic_load(&workers->live) > 0 || !cr_job_cancel(workers, job))
        return 0;
    (void)cr_job_queue_take(&workers->jobs);
    (void)cr_workers_collect(workers);
    return err;
}
