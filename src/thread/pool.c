/* SPDX-License-Identifier: MIT */
/* pool.c: the threads of a loop: made as needed, asleep when idle, gone when idle for long.
 *
 * Waking another core is dear (20-60 us), so it is done once per burst, not once per job:
 * whoever puts a job wakes a worker only when none is searching; a searcher that finds a job
 * while there are more wakes the next. A worker without work searches for some microseconds
 * before it rests. Amid a burst the loop puts that off and looks a little later whether those
 * awake get on with it: with short jobs they do, with long ones it calls more. The other way
 * round, what has come back wakes the loop once until it has looked; while jobs wait and the loop
 * looks by itself it is not woken; and with few jobs out and a core to spare it spins before it
 * sleeps.
 *
 * No wake-up is lost: a job is put before searching is read, and a worker that stops searching
 * or lies down to rest says so before it looks into the queue once more. All of these are in one
 * order (sequentially consistent). */
#include "thread/pool.h"
#include "base/check.h"
#include "base/fork.h"

/* Long enough that a program which needs threads now and then keeps them, short enough that one
 * burst does not keep its threads for ever. */
#define IDLE_NS (5 * CR_SECOND)
/* About as long as being woken from another core would take: whoever finds a job in that time
 * has saved it, whoever does not has doubled it at most. */
#define SEARCH_NS 20000
#define SPIN_NS 25000
/* So late a result may be while more jobs wait than there are threads: an eighth of the time that
 * the queue will take, within these. Waking the loop for each would take the processor from the
 * jobs themselves. */
#define NAP_SECONDS 250e-6
#define NAP_SECONDS_MAX 1e-3
/* Jobs put in quicker succession are a burst: it is cheaper to see how those at work get on with
 * it than to wake one more for each. So soon the loop sees. */
#define BURST_NS 10000
#define RAMP_SECONDS 50e-6
/* Jobs are ordinary C, which is used to the stacks of main threads; untouched pages cost
 * nothing. */
#define STACK_BYTES (8u << 20)

__thread cr_worker *cr_worker_here __attribute__((tls_model("initial-exec")));

/* ---- Starting and waking ---- */

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

/* A worker's whole life. What a job does to its thread (thread-locals, signal mask) the next one
 * finds: as in every pool. */
static void *work(void *arg);

/* Else all are at work: each looks into the queue before it does anything else. */
static bool may_summon(cr_workers *workers)
{
    return atomic_load(&workers->resting_count) || atomic_load(&workers->live) < workers->max;
}

/* Make one more search, if there may be one more. Its search begins here, so that nobody wakes
 * another meanwhile. */
static CR_NOINLINE int summon(cr_workers *workers)
{
    int err = 0;
    if (!may_summon(workers))
        return 0;
    pthread_mutex_lock(&workers->lock);
    cr_worker *worker = workers->resting;
    if (worker) {
        workers->resting = worker->below;
        atomic_fetch_sub(&workers->resting_count, 1);
        atomic_fetch_add(&workers->searching, 1);
        worker->searching = worker->woken = true;
        pthread_cond_signal(&worker->wake);
    } else if (atomic_load(&workers->live) < workers->max && !workers->closing) {
        atomic_fetch_add(&workers->searching, 1);
        err = cr_worker_start(workers, work, &worker);
        if (err < 0)
            atomic_fetch_sub(&workers->searching, 1);
    }
    pthread_mutex_unlock(&workers->lock);
    return err;
}

/* ---- A worker's life ---- */

/* Look into the queue for some microseconds: jobs often come in quick succession. */
static cr_job *search(cr_workers *workers)
{
    const cr_sys *sys = workers->loop->sys;
    int64_t end = sys->now(sys->context) + SEARCH_NS;
    do {
        for (int i = 0; i < 32; i++) {
            if (cr_jobs_waiting(&workers->jobs)) {
                cr_job *job = cr_jobs_take(&workers->jobs);
                if (job)
                    return job;
            }
            cr_relax();
        }
    } while (sys->now(sys->context) < end);
    return NULL;
}

/* Found one: if nobody else searches and there is more, somebody should, unless the loop is going
 * to see to that. */
static void stop_searching(cr_worker *self)
{
    cr_workers *workers = self->workers;
    self->searching = false;
    if (atomic_fetch_sub(&workers->searching, 1) == 1 && cr_jobs_waiting(&workers->jobs) &&
        !atomic_load(&workers->looking))
        (void)summon(workers);
}

/* Nobody has woken this one: it takes itself out of the stack, where it may stand anywhere. */
static void leave_rest(cr_workers *workers, cr_worker *self)
{
    cr_worker **at = &workers->resting;
    while (*at != self)
        at = &(*at)->below;
    *at = self->below;
    atomic_fetch_sub(&workers->resting_count, 1);
}

/* Wait under the lock to be woken, at most until end. */
static void wait_for_wake(cr_workers *workers, cr_worker *self, int64_t end)
{
    struct timespec until = cr_timespec(end);
    int err = 0;
    while (!self->woken && !workers->closing && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&self->wake, &workers->lock, &until);
}

/* End, unless a job has come for which this worker still counted. */
static bool retire(cr_workers *workers, cr_worker *self)
{
    atomic_fetch_sub(&workers->live, 1);
    if (cr_jobs_waiting(&workers->jobs)) {
        atomic_fetch_add(&workers->live, 1);
        return false;
    }
    self->life = CR_WORKER_OVER;
    pthread_cond_signal(&workers->ended);
    return true;
}

/* Sleep until woken. False: it is time to end. The order is the promise of the head comment:
 * counted as resting, no longer as searching, then a last look. Whoever puts a job in between
 * sees one of the two, or is seen. */
static bool rest(cr_worker *self)
{
    cr_workers *workers = self->workers;
    const cr_sys *sys = workers->loop->sys;
    pthread_mutex_lock(&workers->lock);
    self->below = workers->resting;
    self->woken = false;
    workers->resting = self;
    atomic_fetch_add(&workers->resting_count, 1);
    if (self->searching) {
        self->searching = false;
        atomic_fetch_sub(&workers->searching, 1);
    }
    bool more = cr_jobs_waiting(&workers->jobs);
    if (!more)
        wait_for_wake(workers, self, sys->now(sys->context) + IDLE_NS);
    if (self->woken) {
        pthread_mutex_unlock(&workers->lock);
        return true;
    }
    leave_rest(workers, self);
    if (!more)
        more = !retire(workers, self);
    pthread_mutex_unlock(&workers->lock);
    return more;
}

/* One searches at a time: more would only keep cores busy. */
static void start_searching(cr_worker *self)
{
    unsigned none = 0;
    if (!self->searching && self->workers->cores > 1)
        self->searching = atomic_compare_exchange_strong(&self->workers->searching, &none, 1);
}

/* Take, else search, else rest; a job found by searching is one that others may be missing. */
static cr_job *next_job(cr_worker *self)
{
    for (;;) {
        cr_job *job = cr_jobs_take(&self->workers->jobs);
        if (!job) {
            start_searching(self);
            if (self->searching)
                job = search(self->workers);
        }
        if (job) {
            if (self->searching)
                stop_searching(self);
            return job;
        }
        if (!rest(self))
            return NULL;
    }
}

void cr_worker_gone(void *arg)
{
    (void)arg;
    cr_check_failed("pthread_exit: called in a thread job, or pthread_cancel for the thread of "
                    "one; let the job return instead");
}

static void *work(void *arg)
{
    cr_worker *self = arg;
    cr_worker_here = self;
    pthread_cleanup_push(cr_worker_gone, NULL);
    for (cr_job *job = next_job(self); job; job = next_job(self)) {
        job->type->run(job);
        cr_job_done(self->workers, job);
    }
    pthread_cleanup_pop(0);
    return NULL;
}

/* ---- What has run comes back ---- */

/* While the loop will look by itself and there is more to do for the workers, it is left alone. */
void cr_job_done(cr_workers *workers, cr_job *job)
{
    cr_jobs_give_back(&workers->jobs, job);
    /* With nothing more to do this may be the last result for long: it is not kept waiting. */
    if (atomic_load(&workers->looking) && cr_jobs_waiting(&workers->jobs))
        return;
    if (!atomic_load(&workers->signalled) && !atomic_exchange(&workers->signalled, true))
        (void)cr_loop_post(workers->loop, &workers->signal);
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
            loop->outside--;
            workers->out--;
            count++;
            job->type->finished(loop, job);
        }
        cr_pool_put(&workers->memory, job);
        job = next;
    }
    return count;
}

/* With a core to spare, what is out may come back within microseconds: worth spinning, until
 * that is often in vain (the loop has cleared spin_ns then); after a while it is tried again. */
static void plan_spin(cr_workers *workers)
{
    enum { vain_max = 8, again = 64 };
    crank_loop *loop = workers->loop;
    size_t busy = workers->out;
    if (workers->spinning)
        workers->vain = loop->spin_ns > 0 ? 0 : workers->vain + 1;
    else if (workers->vain >= vain_max && ++workers->vain == vain_max + again)
        workers->vain = vain_max - 1;
    bool spare = busy > 0 && busy < workers->cores;
    workers->spinning = spare && !workers->baton && workers->vain < vain_max;
    loop->spin_ns = workers->spinning ? SPIN_NS : 0;
}

/* From here on what comes back wakes the loop again, and searchers call the next; what came
 * before is found by the look that follows. */
static void end_look(cr_workers *workers)
{
    workers->look = NULL;
    atomic_store(&workers->looking, false);
}

static void look_due(void *arg);

/* False without memory for the timer: then each must be woken in turn. */
static bool look_in(cr_workers *workers, double seconds)
{
    workers->look = crank_call_later(workers->loop, seconds, look_due, workers);
    if (!workers->look)
        return false;
    workers->head_then = atomic_load(&workers->jobs.head);
    workers->planned_at = cr_now(workers->loop);
    atomic_store(&workers->looking, true);
    return true;
}

/* How many more workers to call, since the last look has not emptied the queue. Where many jobs
 * were taken meanwhile they are short: then more workers than cores are of no use, and even those
 * only where the rest would take as long again. */
static unsigned wanted(cr_workers *workers, uint64_t taken, uint64_t waiting)
{
    enum { many = 8 };
    if (taken < many)
        return waiting < workers->cores ? (unsigned)waiting : workers->cores;
    unsigned awake = atomic_load(&workers->live) - atomic_load(&workers->resting_count);
    return waiting > taken && awake < workers->cores ? 1 : 0;
}

/* Until the next look, by how far the queue has moved since the last was planned. */
static double nap(const cr_workers *workers, uint64_t taken, uint64_t waiting)
{
    double passed = (double)(cr_now(workers->loop) - workers->planned_at) / (double)CR_SECOND;
    double seconds = taken > 0 ? passed * (double)waiting / (double)taken / 8 : 0;
    if (seconds < NAP_SECONDS)
        return NAP_SECONDS;
    return seconds < NAP_SECONDS_MAX ? seconds : NAP_SECONDS_MAX;
}

/* Called again and again until the queue is empty or all are at long jobs: the plan is made anew
 * each time, by what was taken since. */
static void call_more(cr_workers *workers)
{
    uint64_t head = atomic_load(&workers->jobs.head);
    uint64_t taken = head - workers->head_then;
    uint64_t waiting = atomic_load(&workers->jobs.tail) - head;
    unsigned more = wanted(workers, taken, waiting);
    unsigned called = 0;
    while (called < more && may_summon(workers) && summon(workers) == 0)
        called++;
    if (taken == 0 && called == 0)
        return; /* all are at long jobs: what comes back wakes the loop */
    if (!look_in(workers, called > 0 ? RAMP_SECONDS : nap(workers, taken, waiting)))
        (void)summon(workers);
}

/* The plan is ended before looking, so that what comes back during the look signals anew. */
static void look_due(void *arg)
{
    cr_workers *workers = arg;
    end_look(workers);
    (void)cr_workers_collect(workers);
    if (cr_jobs_waiting(&workers->jobs))
        call_more(workers);
    plan_spin(workers);
}

/* Cleared before looking: what comes back from now on signals anew. */
static void signal_delivered(cr_post *post)
{
    cr_workers *workers = cr_container_of(post, cr_workers, signal);
    atomic_store(&workers->signalled, false);
    size_t count = cr_workers_collect(workers);
    if (!workers->baton && !workers->look && count > 0 && cr_jobs_waiting(&workers->jobs))
        (void)look_in(workers, NAP_SECONDS);
    plan_spin(workers);
}

/* A job has been put. See that somebody takes it: now, or, amid a burst with somebody awake, when
 * the loop looks: by then it shows whether those awake are enough. */
static int call_worker(cr_workers *workers)
{
    if (atomic_load(&workers->looking))
        return 0;
    int64_t now = cr_now(workers->loop);
    bool burst = now - workers->put_at < BURST_NS;
    workers->put_at = now;
    bool searched = atomic_load(&workers->searching) > 0;
    bool awake = searched || atomic_load(&workers->live) > atomic_load(&workers->resting_count);
    if (burst && awake && look_in(workers, RAMP_SECONDS))
        return 0;
    return searched ? 0 : summon(workers);
}

/* ---- The loop's side ---- */

/* From a pool of the loop's, which needs no lock, for only the loop's thread makes and frees
 * jobs. */
void *cr_job_new(cr_workers *workers, const cr_job_type *type)
{
    cr_job *job = cr_pool_get(&workers->memory);
    if (job) {
        job->type = type;
        atomic_init(&job->state, CR_JOB_QUEUED);
        atomic_store_explicit(&job->about, NULL, memory_order_relaxed);
    }
    return job;
}

void cr_job_free(cr_workers *workers, void *job) { cr_pool_put(&workers->memory, job); }

/* No thread could be made and there is none: nobody but the loop can empty the queue. */
static CR_COLD int nobody_works(cr_workers *workers, cr_job *job, int err)
{
    if (atomic_load(&workers->live) > 0 || !cr_job_cancel(workers, job))
        return 0;
    (void)cr_jobs_take(&workers->jobs);
    (void)cr_workers_collect(workers);
    return err;
}

/* The job counts as outside from here on: while it is out, the loop waits rather than report a
 * deadlock. */
int cr_job_submit(cr_workers *workers, cr_job *job)
{
    int err = cr_jobs_put(&workers->jobs, job);
    if (CR_UNLIKELY(err < 0)) {
        cr_pool_put(&workers->memory, job);
        return err;
    }
    workers->loop->outside++;
    workers->out++;
    if (CR_UNLIKELY(workers->baton != NULL))
        err = cr_baton_job(workers);
    else
        err = call_worker(workers);
    if (CR_UNLIKELY(err < 0))
        return nobody_works(workers, job, err);
    plan_spin(workers);
    return 0;
}

/* It stays where it is in the ring, and comes back when its turn has come. */
bool cr_job_cancel(cr_workers *workers, cr_job *job)
{
    uint32_t queued = CR_JOB_QUEUED;
    if (!atomic_compare_exchange_strong(&job->state, &queued, CR_JOB_CANCELLED))
        return false;
    workers->loop->outside--;
    workers->out--;
    return true;
}

/* A job still at work (one that was abandoned) may have submitted to this loop and wait for the
 * answer, which it gets. */
static void await_ends(cr_workers *workers)
{
    enum { look_ns = 2000000 };
    const cr_sys *sys = workers->loop->sys;
    pthread_mutex_lock(&workers->lock);
    workers->closing = true;
    for (cr_worker *worker = workers->resting; worker; worker = worker->below)
        pthread_cond_signal(&worker->wake);
    while (atomic_load(&workers->live) > 0) {
        struct timespec until = cr_timespec(sys->now(sys->context) + look_ns);
        (void)pthread_cond_timedwait(&workers->ended, &workers->lock, &until);
        pthread_mutex_unlock(&workers->lock);
        cr_wakeup_deliver(workers->loop->wakeup);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
}

/* Every thread has ended. */
static void free_workers(cr_workers *workers)
{
    const cr_sys *sys = workers->loop->sys;
    if (workers->baton)
        cr_baton_free(workers);
    for (unsigned i = 0; i < workers->max; i++)
        pthread_cond_destroy(&workers->all[i].wake);
    pthread_cond_destroy(&workers->ended);
    pthread_mutex_destroy(&workers->lock);
    cr_jobs_deinit(&workers->jobs);
    cr_pool_deinit(&workers->memory);
    cr_free(sys, workers);
}

/* Called when the run ends, with the tasks' memory still there: jobs that were abandoned end
 * their tasks now. */
static void close_workers(crank_loop *loop, cr_closer *closer)
{
    cr_workers *workers = cr_container_of(closer, cr_workers, closer);
    const cr_sys *sys = loop->sys;
    bool whole = true;
    if (workers->baton)
        whole = cr_baton_close(workers);
    else
        await_ends(workers);
    for (unsigned i = 0; i < workers->max; i++)
        if (workers->all[i].thread && !workers->all[i].lost)
            (void)sys->thread_join(sys->context, workers->all[i].thread);
    if (workers->look)
        (void)crank_handle_cancel(workers->look);
    cr_wakeup_deliver(loop->wakeup); /* our signal may be on its way */
    (void)cr_workers_collect(workers);
    loop->io = NULL;
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

/* Conditions wait by the clock that the table's now reads, which no administrator sets. */
static void init_locks(cr_workers *workers)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->ended, &monotonic);
    for (unsigned i = 0; i < workers->max; i++)
        pthread_cond_init(&workers->all[i].wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
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
    workers->cores = cores;
    workers->max = max;
    workers->signal.deliver = signal_delivered;
    workers->closer.close = close_workers;
    cr_pool_init(&workers->memory, loop->sys, CR_JOB_BYTES);
    if (cr_jobs_init(&workers->jobs, loop->sys) < 0)
        goto no_jobs;
    if (loop->simulated && cr_baton_new(workers) < 0)
        goto no_baton;
    init_locks(workers);
    cr_loop_at_close(loop, &workers->closer);
    loop->io = workers;
    return workers;
no_baton:
    cr_jobs_deinit(&workers->jobs);
no_jobs:
    cr_free(loop->sys, workers);
    return NULL;
}

/* Made by the first who needs one: a program without jobs has no workers' memory. */
cr_workers *cr_workers_of(crank_loop *loop)
{
    return CR_LIKELY(loop->io != NULL) ? loop->io : workers_new(loop);
}
