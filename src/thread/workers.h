/* SPDX-License-Identifier: MIT */
/* workers.h: jobs for threads, and the threads of one loop that do them.
 *
 * A job is made and submitted by the loop's thread, run by a worker, and comes back to the loop,
 * which is then told. The loop's thread alone makes, submits, cancels and frees; a worker touches a
 * job only between taking it off the queue and giving it back.
 *
 * Two pools do jobs: real_pool.c, and under the simulator sim_pool.c. Callers reach both through
 * one interface, cr_workers_ops, and do not know which of the two a loop has; workers.c chooses.
 * Both are built on job_queue.c, the queue, and on workers.c, which holds what they have in common.
 *
 * Each loop has its own: no lock is shared between loops, and a job's memory comes from its loop's
 * freelist, which needs none. Threads are joined before the run ends, so no job outlives what it
 * uses. */
#ifndef CR_WORKERS_H
#define CR_WORKERS_H
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include "loop/wakeup.h"
#include "task/task.h"

typedef struct cr_job cr_job;
typedef struct cr_worker cr_worker;
typedef struct cr_workers cr_workers;
typedef struct cr_workers_ops cr_workers_ops;
typedef struct cr_sim_pool cr_sim_pool;

typedef struct cr_job_type {
    /* Do it, on a worker. */
    void (*run)(cr_job *job);
    /* It has run, in the loop's thread. The job is freed after. */
    void (*finished)(crank_loop *loop, cr_job *job);
    /* The simulator: it has blocked for long where nothing can wake it. End its task, forget the
     * job. NULL: wait on. */
    void (*stuck)(crank_loop *loop, cr_job *job);
} cr_job_type;

/* Only from QUEUED does a state change, by one exchange: so a cancel and a worker never both
 * have it. */
enum { CR_JOB_QUEUED, CR_JOB_RUNNING, CR_JOB_CANCELLED };
#define CR_JOB_BYTES 48

/* The beginning of every job; what follows is its type's, CR_JOB_BYTES in all. */
struct cr_job {
    cr_job *next; /* among those that have come back */
    const cr_job_type *type;
    _Atomic uint32_t state; /* taken from QUEUED by a worker, or by a cancellation */
    _Atomic(void *) about;  /* what its worker will read first, fetched ahead of its turn */
};

/* ---- job_queue.c: the queue. One thread puts, all take, in order; what has run comes back through
 * a list. */
typedef struct cr_job_ring cr_job_ring;
typedef struct cr_job_queue {
    const cr_sys *sys;
    uint64_t head_seen; /* the loop's: head is at least this */
    char apart1[64];
    _Atomic(cr_job_ring *) ring;
    _Atomic uint64_t tail;
    char apart2[64];
    _Atomic uint64_t head;
    char apart3[64];
    _Atomic(cr_job *) back;
    char apart4[64];
} cr_job_queue;

int cr_job_queue_init(cr_job_queue *jobs, const cr_sys *sys); /* 0 or -ENOMEM */
void cr_job_queue_deinit(cr_job_queue *jobs);
int cr_job_queue_put(cr_job_queue *jobs, cr_job *job); /* 0 or -ENOMEM */
/* The oldest, now the caller's to run; NULL when there is none. Cancelled ones on the way come
 * back. */
cr_job *cr_job_queue_take(cr_job_queue *jobs);
void cr_job_queue_give_back(cr_job_queue *jobs, cr_job *job);
/* All that have come back, oldest first, linked by next. */
cr_job *cr_job_queue_collect(cr_job_queue *jobs);
static inline bool cr_job_queue_waiting(cr_job_queue *jobs)
{
    return atomic_load(&jobs->tail) != atomic_load(&jobs->head);
}

/* ---- The workers of a loop. */
/* A condition whose timed waits go by the monotonic clock, which no administrator sets. */
static inline void cr_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}
static inline struct timespec cr_timespec(int64_t instant)
{
    return (struct timespec){ (time_t)(instant / CR_SECOND), (long)(instant % CR_SECOND) };
}
/* A place for a worker: never used, with a thread, or with a thread that has ended and is not
 * joined. */
enum cr_worker_life { CR_WORKER_NONE, CR_WORKER_LIVE, CR_WORKER_OVER };
/* One per thread, in an array as long as there may be threads: it never moves, and ends with the
 * loop. */
struct cr_worker {
    cr_workers *workers;
    cr_worker *below; /* in the stack of those that rest */
    unsigned long thread;
    pthread_cond_t wake;
    uint8_t life;   /* under the lock */
    bool woken;     /* taken out of that stack, under the lock */
    bool searching; /* counted in workers->searching */
    /* the simulator's, touched by the thread that has the baton */
    uint8_t turn;
    bool lost;         /* its job was stuck: it must touch nothing more; under the baton's lock */
    cr_worker *behind; /* in the line of those that may go on */
    cr_job *job;
};

/* Invariant of the real pool: with a job in the queue, a worker is searching, or the loop is going
 * to look, or every worker there may be is at work. */
struct cr_workers {
    cr_closer closer;
    crank_loop *loop;
    const cr_workers_ops *ops;
    cr_freelist memory; /* of jobs */
    cr_job_queue jobs;
    cr_post signal;        /* something has come back */
    atomic_bool signalled; /* signal is on its way */
    /* the real pool's, as far as live */
    atomic_bool poll_planned; /* the loop looks by itself soon: no worker need be woken */
    crank_handle *poll_timer; /* when it looks; NULL while it does not */
    uint64_t head_then;       /* the queue's head when that was planned */
    int64_t planned_at;       /* and when that was */
    int64_t put_at;           /* when a job was last put while no look was planned */
    atomic_uint searching;    /* about to look into the queue */
    atomic_uint resting_count;
    atomic_uint live;
    size_t out; /* jobs submitted that have not come back, nor been cancelled */
    /* the real pool's, as far as closing */
    uint32_t failed_spins; /* spins in vain in a row, then plans made without one */
    bool spinning;         /* the loop was told to spin */
    pthread_mutex_t lock;  /* of what follows */
    pthread_cond_t ended;  /* a worker has */
    cr_worker *resting;    /* last in, first out: the longest idle end first */
    bool closing;
    cr_sim_pool *sim; /* the simulated pool's own, else NULL */
    unsigned cores;
    unsigned max;
    cr_worker all[];
};

/* ---- The contract of a pool: when a job finds a worker, and how workers end. */
struct cr_workers_ops {
    /* Set up what this pool alone has, and signal.deliver. 0 or -ENOMEM. */
    int (*open)(cr_workers *workers);
    /* Put the job into the queue (cr_job_put) and see to it that a worker takes it. 0 or a negative
     * errno, as cr_job_submit. */
    int (*submit)(cr_workers *workers, cr_job *job);
    /* The run ends: end every thread and join it. False when one was lost: then the memory of the
     * workers must stay, for its thread may still read it. */
    bool (*close)(cr_workers *workers);
    /* Give up what open has set up, unless a thread was lost. */
    void (*free)(cr_workers *workers);
};
extern const cr_workers_ops cr_real_pool_ops; /* real_pool.c: threads as the kernel runs them */
extern const cr_workers_ops cr_sim_pool_ops;  /* sim_pool.c: one at a time, as the seed says */

/* ---- workers.c */
/* The loop's workers, made when missing; NULL when memory is short. */
cr_workers *cr_workers_of(crank_loop *loop);

/* ---- job.c: jobs, for callers that need one done */
/* CR_JOB_BYTES, of which the cr_job is set up; NULL when memory is short. */
void *cr_job_new(cr_workers *workers, const cr_job_type *type);
/* Give one back that was not submitted. */
void cr_job_free(cr_workers *workers, void *job);
/* In its turn it runs. 0; -ENOMEM, or -EAGAIN when no thread can be made: then it is freed. */
static inline int cr_job_submit(cr_workers *workers, cr_job *job)
{
    return workers->ops->submit(workers, job);
}
/* True: it had not started, never will, and is freed. False: it runs, or has run. */
bool cr_job_cancel(cr_workers *workers, cr_job *job);

/* ---- job.c, workers.c: what both pools need */
/* Into the queue. From here on the job counts as outside: while it is out, the loop waits rather
 * than report a deadlock. 0, or -ENOMEM: then it is freed. */
static inline int cr_job_put(cr_workers *workers, cr_job *job)
{
    int err = cr_job_queue_put(&workers->jobs, job);
    if (CR_UNLIKELY(err < 0)) {
        cr_freelist_put(&workers->memory, job);
        return err;
    }
    workers->loop->external_refs++;
    workers->out++;
    return 0;
}
/* No thread could be made, for err. 0 where there is one: it takes the job in time. Else the job is
 * out of the queue and freed, and the result is err. */
CR_COLD int cr_job_refused(cr_workers *workers, cr_job *job, int err);
/* A worker's: a job has come back; the loop is told, once until it has looked. */
static inline void cr_workers_signal(cr_workers *workers)
{
    if (!atomic_load(&workers->signalled) && !atomic_exchange(&workers->signalled, true))
        (void)cr_loop_post(workers->loop, &workers->signal);
}
/* Take back what has run and tell the waiters. Gives how many. */
size_t cr_workers_collect(cr_workers *workers);
/* Start a worker in a free place. Under the lock. 0 or a negative errno. */
int cr_worker_start(cr_workers *workers, void *(*body)(void *), cr_worker **ret_worker);
/* A worker's thread has ended within a job, as pthread_exit does: its job would never come back,
 * and its task be waited for for ever. A CHECK. */
CR_COLD void cr_worker_gone(void *arg);
/* Join all threads, which are about to end, but for the lost. */
void cr_workers_join(cr_workers *workers);
/* The worker this thread is, NULL elsewhere. */
extern __thread cr_worker *cr_worker_here __attribute__((tls_model("initial-exec")));

/* ---- sim_pool.c: where a job meets others. On a thread that is no worker of a simulated pool, and
 * for such a worker, these do nothing. */
/* The simulator may stop this worker here and let others go first. */
void cr_sim_pool_preempt(void);
/* This worker lets the others go on until the loop calls cr_sim_pool_resume. */
void cr_sim_pool_wait(cr_worker *self);
/* In the loop's thread: a worker in cr_sim_pool_wait may go on. */
void cr_sim_pool_resume(cr_worker *worker);
#endif
