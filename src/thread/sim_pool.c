/* SPDX-License-Identifier: MIT */
/* sim_pool.c: worker threads under the simulator.
 *
 * Workers are real threads (a job has its own stack and thread-locals and may block in
 * crank_submission_wait), but one thread runs at a time: the one that has the baton. The loop hands
 * it to a worker and waits until it comes back: at a job's end, where the job waits for a
 * submission, or where a choice of the simulator takes it away (post, submit, just before the end).
 * So a job takes no virtual time, and the order is the simulator's: without a seed, jobs run in the
 * order submitted, each to its end, in the turn after; with one, any may end first.
 *
 * A job that blocks elsewhere would stop the world. When it has used no processor time for five
 * real seconds it is given up: its task ends with -ETIMEDOUT, its thread is left to itself and
 * never touches the loop again. */
#include "thread/workers.h"
#include "loop/registry.h"

/* A job at work uses the processor; one that waits for the disk for so long is no longer
 * plausible. */
#define PATIENCE_SECONDS 5

/* Without a job; with the baton; amid a job and in the line; amid a job and waiting for a
 * submission. */
enum turn { TURN_FREE, TURN_RUNNING, TURN_READY, TURN_WAITING };

struct cr_sim_pool {
    cr_workers *workers;
    pthread_mutex_t lock; /* of holder and cr_worker.lost */
    pthread_cond_t back;  /* the baton has come back to the loop */
    cr_worker *holder;    /* NULL: the loop */
    cr_worker *runnable;  /* workers amid a job that may go on */
    size_t runnable_count;
    cr_post pump;
    bool pumped;  /* pump is on its way */
    bool put_off; /* the last choice was no worker for now */
    bool lost;
};

/* ---- A worker's side ---- */

/* Give the baton back and wait for it. False: it is time to end. */
static bool await_turn(cr_worker *self, bool give_back)
{
    cr_sim_pool *sim = self->workers->sim;
    pthread_mutex_lock(&sim->lock);
    if (give_back) {
        sim->holder = NULL;
        pthread_cond_signal(&sim->back);
    }
    while (sim->holder != self && !(self->workers->closing && self->turn == TURN_FREE))
        pthread_cond_wait(&self->wake, &sim->lock);
    bool mine = sim->holder == self;
    pthread_mutex_unlock(&sim->lock);
    return mine;
}

/* The job has run. False when it had been given up meanwhile. */
static bool bring_back(cr_worker *self)
{
    cr_sim_pool *sim = self->workers->sim;
    pthread_mutex_lock(&sim->lock);
    bool lost = self->lost;
    if (!lost) {
        cr_job_queue_give_back(&self->workers->jobs, self->job);
        cr_workers_signal(self->workers);
        self->job = NULL;
        self->turn = TURN_FREE;
    }
    pthread_mutex_unlock(&sim->lock);
    return !lost;
}

/* As a real worker, but that every job is handed over with the baton. */
static void *work(void *arg)
{
    cr_worker *self = arg;
    cr_worker_here = self;
    cr_loop_served = self->workers->loop;
    pthread_cleanup_push(cr_worker_gone, NULL);
    for (bool mine = await_turn(self, false); mine; mine = await_turn(self, true)) {
        self->job->type->run(self->job);
        cr_sim_pool_preempt();
        if (!bring_back(self))
            break;
    }
    pthread_cleanup_pop(0);
    return NULL;
}

/* The loop looks after the workers in its next turn, also where it would wait otherwise. */
static void pump_soon(cr_workers *workers)
{
    if (workers->sim->pumped)
        return;
    workers->sim->pumped = cr_loop_post(workers->loop, &workers->sim->pump);
}

/* Called by the thread that has the baton, a worker's or the loop's: the line needs no lock. */
static void join_line(cr_worker *worker)
{
    cr_sim_pool *sim = worker->workers->sim;
    cr_worker **last = &sim->runnable;
    while (*last)
        last = &(*last)->behind;
    worker->behind = NULL;
    worker->turn = TURN_READY;
    *last = worker;
    sim->runnable_count++;
    pump_soon(worker->workers);
}

/* Of this thread, if it is a simulated worker that has the baton. A lost one never has it again,
 * so that it finds nothing to do here. */
static cr_worker *holder_here(void)
{
    cr_worker *self = cr_worker_here;
    if (!self || !self->workers->sim)
        return NULL;
    cr_sim_pool *sim = self->workers->sim;
    pthread_mutex_lock(&sim->lock);
    bool mine = sim->holder == self;
    pthread_mutex_unlock(&sim->lock);
    return mine ? self : NULL;
}

/* With seed 0 the choice is always 0: no worker is interrupted. */
void cr_sim_pool_preempt(void)
{
    cr_worker *self = holder_here();
    if (!self || cr_loop_choose(self->workers->loop, 2) == 0)
        return;
    join_line(self);
    (void)await_turn(self, true);
}

void cr_sim_pool_wait(cr_worker *self)
{
    if (!self || holder_here() != self)
        return;
    self->turn = TURN_WAITING;
    self->workers->loop->external_refs--; /* it can wake no task while it waits */
    (void)await_turn(self, true);
}

void cr_sim_pool_resume(cr_worker *worker)
{
    if (worker->turn != TURN_WAITING)
        return;
    worker->workers->loop->external_refs++;
    join_line(worker);
}

/* ---- The loop's side ---- */

/* Wait under the lock for the baton to come back. False: the worker blocks. */
static bool await_back(cr_sim_pool *sim, cr_worker *worker)
{
    enum { little_ns = 50000000 };
    /* Busy is not blocked: some of the five seconds must have been spent computing. */
    int64_t used_before = 0;
    while (sim->holder) {
        struct timespec until = cr_timespec(cr_sys_real.now(NULL) + PATIENCE_SECONDS * CR_SECOND);
        int err = pthread_cond_timedwait(&sim->back, &sim->lock, &until);
        if (err != ETIMEDOUT || !sim->holder)
            continue;
        int64_t used = cr_sys_real.thread_time(NULL, worker->thread);
        if (used - used_before < little_ns && worker->job->type->stuck)
            return false;
        used_before = used;
    }
    return true;
}

/* Let the worker go on until it gives the baton back. */
static void hand_to(cr_worker *worker)
{
    cr_workers *workers = worker->workers;
    cr_sim_pool *sim = workers->sim;
    cr_job *job = worker->job;
    pthread_mutex_lock(&sim->lock);
    sim->holder = worker;
    worker->turn = TURN_RUNNING;
    pthread_cond_signal(&worker->wake);
    bool came_back = await_back(sim, worker);
    if (!came_back) {
        worker->lost = sim->lost = true;
        sim->holder = NULL;
    }
    pthread_mutex_unlock(&sim->lock);
    if (came_back)
        return;
    workers->loop->external_refs--;
    workers->out--;
    job->type->stuck(workers->loop, job);
}

/* A worker without a job, NULL when there is none. */
static cr_worker *free_worker(cr_workers *workers)
{
    for (unsigned i = 0; i < workers->max; i++) {
        cr_worker *worker = &workers->all[i];
        if (worker->life == CR_WORKER_LIVE && worker->turn == TURN_FREE && !worker->lost)
            return worker;
    }
    return NULL;
}

static cr_worker *leave_line(cr_sim_pool *sim, size_t index)
{
    cr_worker **at = &sim->runnable;
    while (index--)
        at = &(*at)->behind;
    cr_worker *worker = *at;
    *at = worker->behind;
    sim->runnable_count--;
    return worker;
}

/* The job last, for a thread may not be had; then it stays in the queue for the next worker that
 * is free. */
static cr_worker *start_job(cr_workers *workers)
{
    cr_worker *worker = free_worker(workers);
    if (!worker && cr_worker_start(workers, work, &worker) < 0)
        return NULL;
    worker->job = cr_job_queue_take(&workers->jobs);
    return worker->job ? worker : NULL;
}

/* A job in the queue and a worker to do it. */
static bool may_start(cr_workers *workers)
{
    return cr_job_queue_waiting(&workers->jobs) &&
           (atomic_load(&workers->live) < workers->max || free_worker(workers));
}

/* Could anything but the workers make a difference first? What is in flight may be done in the next
 * turn, but where it was given one already that may go on for ever. */
static bool others_first(const cr_workers *workers)
{
    const crank_loop *loop = workers->loop;
    return loop->runner.head || (loop->in_flight > 0 && !workers->sim->put_off);
}

/* Choose which worker goes on: the workers in the line, oldest first, or the next job; the last
 * choice is no worker for now, where the loop has other things to do. */
static bool run_one(cr_workers *workers)
{
    cr_sim_pool *sim = workers->sim;
    size_t count = sim->runnable_count + may_start(workers);
    if (count == 0)
        return false;
    size_t chosen = cr_loop_choose(workers->loop, count + others_first(workers));
    sim->put_off = chosen == count;
    if (sim->put_off) {
        pump_soon(workers);
        return false;
    }
    bool goes_on = chosen < sim->runnable_count;
    cr_worker *worker = goes_on ? leave_line(sim, chosen) : start_job(workers);
    /* the job was cancelled: no other thread tells the line */
    if (!worker && sim->runnable_count > 0)
        worker = leave_line(sim, 0);
    if (worker)
        hand_to(worker);
    return worker != NULL;
}

/* In the loop's thread, with the baton. */
static void pump_delivered(cr_post *post)
{
    cr_sim_pool *sim = cr_container_of(post, cr_sim_pool, pump);
    cr_workers *workers = sim->workers;
    sim->pumped = false;
    while (run_one(workers))
        continue;
}

/* Cleared before looking: what comes back from now on signals anew. */
static void signal_delivered(cr_post *post)
{
    cr_workers *workers = cr_container_of(post, cr_workers, signal);
    atomic_store(&workers->signalled, false);
    (void)cr_workers_collect(workers);
}

/* ---- The contract ---- */

/* Patience is real time, whatever the virtual clock does. */
static int open_pool(cr_workers *workers)
{
    cr_sim_pool *sim = cr_alloc_zero(workers->loop->sys, sizeof *sim);
    if (!sim)
        return -ENOMEM;
    pthread_mutex_init(&sim->lock, NULL);
    cr_cond_init(&sim->back);
    sim->workers = workers;
    sim->pump.deliver = pump_delivered;
    workers->sim = sim;
    workers->signal.deliver = signal_delivered;
    return 0;
}

/* The job runs before the loop waits. One thread must exist for it to count as taken; more are made
 * when they are needed. */
static int submit(cr_workers *workers, cr_job *job)
{
    cr_worker *first;
    int err = cr_job_put(workers, job);
    if (err < 0)
        return err;
    pump_soon(workers);
    if (atomic_load(&workers->live) == 0)
        err = cr_worker_start(workers, work, &first);
    return err < 0 ? cr_job_refused(workers, job, err) : 0;
}

/* Workers amid a job wait for submissions, which end now; then each finds its way to the end of
 * its job. */
static bool close_pool(cr_workers *workers)
{
    cr_sim_pool *sim = workers->sim;
    do
        cr_wakeup_deliver(workers->loop->wakeup);
    while (sim->pumped);
    pthread_mutex_lock(&sim->lock);
    workers->closing = true;
    for (unsigned i = 0; i < workers->max; i++)
        pthread_cond_signal(&workers->all[i].wake);
    pthread_mutex_unlock(&sim->lock);
    cr_workers_join(workers);
    return !sim->lost;
}

static void free_pool(cr_workers *workers)
{
    pthread_cond_destroy(&workers->sim->back);
    pthread_mutex_destroy(&workers->sim->lock);
    cr_free(workers->loop->sys, workers->sim);
}

const cr_workers_ops cr_sim_pool_ops = {
    .open = open_pool,
    .submit = submit,
    .close = close_pool,
    .free = free_pool,
};
