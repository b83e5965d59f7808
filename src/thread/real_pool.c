/* SPDX-License-Identifier: MIT */
/* real_pool.c: the threads of a loop: made as needed, asleep when idle, gone when idle for long.
 *
 * Waking another core is dear (20-60 us), so it is done once per burst, not once per job: the loop
 * that puts a job wakes a worker only when none is searching; a searcher that finds a job while
 * there are more wakes the next. A worker without work searches for some microseconds before it
 * rests. Amid a burst the loop puts that off and looks a little later whether those awake get on
 * with it: with short jobs they do, with long ones it calls more. The other way round, what has
 * come back wakes the loop once until it has looked; while jobs wait and the loop looks by itself
 * it is not woken; and with few jobs out and a core to spare it spins before it sleeps.
 *
 * No wake-up is lost: a job is put before searching is read, and a worker that stops searching
 * or lies down to rest says so before it looks into the queue once more. All of these are in one
 * order (sequentially consistent). */
#include "thread/workers.h"

/* Long enough that a program which needs threads now and then keeps them, short enough that one
 * burst does not keep its threads for ever. */
#define IDLE_NS (5 * CR_SECOND)
/* About as long as being woken from another core would take: a worker that finds a job in that time
 * has saved it, one that does not has doubled it at most. */
#define SEARCH_NS 20000
#define SPIN_NS 25000
/* So late a result may be while more jobs wait than there are threads: an eighth of the time that
 * the queue will take, within these. Waking the loop for each would take the processor from the
 * jobs themselves. */
#define POLL_SECONDS 250e-6
#define POLL_SECONDS_MAX 1e-3
/* Jobs put in quicker succession are a burst: it is cheaper to see how those at work get on with
 * it than to wake one more for each. So soon the loop sees. */
#define BURST_NS 10000
#define RAMP_SECONDS 50e-6

/* ---- Waking ---- */

/* A worker's whole life. What a job does to its thread (thread-locals, signal mask) the next one
 * finds: as in every pool. */
static void *work(void *arg);

/* Else all are at work: each looks into the queue before it does anything else. */
static bool may_wake_worker(cr_workers *workers)
{
    return atomic_load(&workers->resting_count) || atomic_load(&workers->live) < workers->max;
}

/* Make one more search, if there may be one more. Its search begins here, so that no second worker
 * is woken meanwhile. */
static CR_NOINLINE int wake_worker(cr_workers *workers)
{
    int err = 0;
    if (!may_wake_worker(workers))
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
            if (cr_job_queue_waiting(&workers->jobs)) {
                cr_job *job = cr_job_queue_take(&workers->jobs);
                if (job)
                    return job;
            }
            cr_relax();
        }
    } while (sys->now(sys->context) < end);
    return NULL;
}

/* Found one: if no other worker searches and there is more, one is woken to search, unless the loop
 * is going to see to that. */
static void stop_searching(cr_worker *self)
{
    cr_workers *workers = self->workers;
    self->searching = false;
    if (atomic_fetch_sub(&workers->searching, 1) == 1 && cr_job_queue_waiting(&workers->jobs) &&
        !atomic_load(&workers->poll_planned))
        (void)wake_worker(workers);
}

/* This worker was not woken: it takes itself out of the stack, where it may stand anywhere. */
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
    if (cr_job_queue_waiting(&workers->jobs)) {
        atomic_fetch_add(&workers->live, 1);
        return false;
    }
    self->life = CR_WORKER_OVER;
    pthread_cond_signal(&workers->ended);
    return true;
}

/* Sleep until woken. False: it is time to end. The order is the promise of the head comment:
 * counted as resting, no longer as searching, then a last look. A loop that puts a job in between
 * sees one of the two, or its job is seen. */
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
    bool more = cr_job_queue_waiting(&workers->jobs);
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
        cr_job *job = cr_job_queue_take(&self->workers->jobs);
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

/* ---- What has run comes back ---- */

/* While the loop will look by itself and there is more to do for the workers, it is left alone. */
static void job_done(cr_workers *workers, cr_job *job)
{
    cr_job_queue_give_back(&workers->jobs, job);
    /* With nothing more to do this may be the last result for long: it is not kept waiting. */
    if (atomic_load(&workers->poll_planned) && cr_job_queue_waiting(&workers->jobs))
        return;
    cr_workers_signal(workers);
}

static void *work(void *arg)
{
    cr_worker *self = arg;
    cr_worker_here = self;
    pthread_cleanup_push(cr_worker_gone, NULL);
    for (cr_job *job = next_job(self); job; job = next_job(self)) {
        job->type->run(job);
        job_done(self->workers, job);
    }
    pthread_cleanup_pop(0);
    return NULL;
}

/* With a core to spare, what is out may come back within microseconds: worth spinning, until
 * that is often in vain (the loop has cleared spin_ns then); after a while it is tried again. */
static void plan_spin(cr_workers *workers)
{
    enum { failed_spins_max = 8, again = 64 };
    crank_loop *loop = workers->loop;
    size_t busy = workers->out;
    if (workers->spinning)
        workers->failed_spins = loop->spin_ns > 0 ? 0 : workers->failed_spins + 1;
    else if (workers->failed_spins >= failed_spins_max &&
             ++workers->failed_spins == failed_spins_max + again)
        workers->failed_spins = failed_spins_max - 1;
    bool spare = busy > 0 && busy < workers->cores;
    workers->spinning = spare && workers->failed_spins < failed_spins_max;
    loop->spin_ns = workers->spinning ? SPIN_NS : 0;
}

/* From here on what comes back wakes the loop again, and searchers call the next; what came
 * before is found by the look that follows. */
static void end_poll(cr_workers *workers)
{
    workers->poll_timer = NULL;
    atomic_store(&workers->poll_planned, false);
}

static void poll_due(void *arg);

/* False without memory for the timer: then each must be woken in turn. */
static bool plan_poll(cr_workers *workers, double seconds)
{
    workers->poll_timer = crank_call_later(workers->loop, seconds, poll_due, workers);
    if (!workers->poll_timer)
        return false;
    workers->head_then = atomic_load(&workers->jobs.head);
    workers->planned_at = cr_now(workers->loop);
    atomic_store(&workers->poll_planned, true);
    return true;
}

/* How many more workers to call, since the last look has not emptied the queue. Where many jobs
 * were taken meanwhile they are short: then more workers than cores are of no use, and even those
 * only where the rest would take as long again. */
static unsigned workers_to_wake(cr_workers *workers, uint64_t taken, uint64_t waiting)
{
    enum { many = 8 };
    if (taken < many)
        return waiting < workers->cores ? (unsigned)waiting : workers->cores;
    unsigned awake = atomic_load(&workers->live) - atomic_load(&workers->resting_count);
    return waiting > taken && awake < workers->cores ? 1 : 0;
}

/* Until the next look, by how far the queue has moved since the last was planned. */
static double poll_delay(const cr_workers *workers, uint64_t taken, uint64_t waiting)
{
    double passed = (double)(cr_now(workers->loop) - workers->planned_at) / (double)CR_SECOND;
    double seconds = taken > 0 ? passed * (double)waiting / (double)taken / 8 : 0;
    if (seconds < POLL_SECONDS)
        return POLL_SECONDS;
    return seconds < POLL_SECONDS_MAX ? seconds : POLL_SECONDS_MAX;
}

/* Called again and again until the queue is empty or all are at long jobs: the plan is made anew
 * each time, by what was taken since. */
static void wake_more(cr_workers *workers)
{
    uint64_t head = atomic_load(&workers->jobs.head);
    uint64_t taken = head - workers->head_then;
    uint64_t waiting = atomic_load(&workers->jobs.tail) - head;
    unsigned more = workers_to_wake(workers, taken, waiting);
    unsigned called = 0;
    while (called < more && may_wake_worker(workers) && wake_worker(workers) == 0)
        called++;
    if (taken == 0 && called == 0)
        return; /* all are at long jobs: what comes back wakes the loop */
    if (!plan_poll(workers, called > 0 ? RAMP_SECONDS : poll_delay(workers, taken, waiting)))
        (void)wake_worker(workers);
}

/* The plan is ended before looking, so that what comes back during the look signals anew. */
static void poll_due(void *arg)
{
    cr_workers *workers = arg;
    end_poll(workers);
    (void)cr_workers_collect(workers);
    if (cr_job_queue_waiting(&workers->jobs))
        wake_more(workers);
    plan_spin(workers);
}

/* Cleared before looking: what comes back from now on signals anew. */
static void signal_delivered(cr_post *post)
{
    cr_workers *workers = cr_container_of(post, cr_workers, signal);
    atomic_store(&workers->signalled, false);
    size_t count = cr_workers_collect(workers);
    if (!workers->poll_timer && count > 0 && cr_job_queue_waiting(&workers->jobs))
        (void)plan_poll(workers, POLL_SECONDS);
    plan_spin(workers);
}

/* A job has been put. See that a worker takes it: now, or, amid a burst with a worker awake, when
 * the loop looks: by then it shows whether those awake are enough. */
static int call_worker(cr_workers *workers)
{
    if (atomic_load(&workers->poll_planned))
        return 0;
    int64_t now = cr_now(workers->loop);
    bool burst = now - workers->put_at < BURST_NS;
    workers->put_at = now;
    bool searched = atomic_load(&workers->searching) > 0;
    bool awake = searched || atomic_load(&workers->live) > atomic_load(&workers->resting_count);
    if (burst && awake && plan_poll(workers, RAMP_SECONDS))
        return 0;
    return searched ? 0 : wake_worker(workers);
}

/* ---- The contract ---- */

static int open_pool(cr_workers *workers)
{
    workers->signal.deliver = signal_delivered;
    return 0;
}

static int submit(cr_workers *workers, cr_job *job)
{
    int err = cr_job_put(workers, job);
    if (CR_UNLIKELY(err < 0))
        return err;
    err = call_worker(workers);
    if (CR_UNLIKELY(err < 0))
        return cr_job_refused(workers, job, err);
    plan_spin(workers);
    return 0;
}

/* A job still at work (one that was abandoned) may have submitted to this loop and wait for the
 * answer, which it gets. */
static void await_ends(cr_workers *workers)
{
    enum { poll_ns = 2000000 };
    const cr_sys *sys = workers->loop->sys;
    pthread_mutex_lock(&workers->lock);
    workers->closing = true;
    for (cr_worker *worker = workers->resting; worker; worker = worker->below)
        pthread_cond_signal(&worker->wake);
    while (atomic_load(&workers->live) > 0) {
        struct timespec until = cr_timespec(sys->now(sys->context) + poll_ns);
        (void)pthread_cond_timedwait(&workers->ended, &workers->lock, &until);
        pthread_mutex_unlock(&workers->lock);
        cr_wakeup_deliver(workers->loop->wakeup);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
}

static bool close_pool(cr_workers *workers)
{
    await_ends(workers);
    cr_workers_join(workers);
    if (workers->poll_timer)
        (void)crank_handle_cancel(workers->poll_timer);
    return true;
}

/* What it has is in the workers themselves. */
static void free_pool(cr_workers *workers) { (void)workers; }

const cr_workers_ops cr_real_pool_ops = {
    .open = open_pool,
    .submit = submit,
    .close = close_pool,
    .free = free_pool,
};
