/* SPDX-License-Identifier: MIT */
/* record.h: all tasks of one loop, and the records they lie in.
 *
 * One cr_task_state hangs off each loop that runs a program. */
#ifndef CR_RECORD_H
#define CR_RECORD_H
#include "context/stack.h"
#include "task/task.h"

struct cr_failure;
struct cr_locals;
struct cr_nursery;
struct cr_watcher;
struct start;

/* What few tasks have, made on demand. */
struct cr_ext {
    struct cr_watcher *watchers;
    struct cr_failure *failure;
    struct cr_failure *reason; /* of a request that is not yet delivered */
    uint64_t deferred_at; /* scope.c's: since when the pending request is the next own wait's; 0 */
    uint16_t more_requests; /* beyond CR_COUNTS_REQUESTS_MAX */
    struct cr_locals *locals;
    /* the group rank's: the task that waits until this one says that it has started */
    struct start *start;
    uintptr_t points_at; /* debug: the lowest address in the spawner's stack among its arguments */
    unsigned argument;   /* debug: which argument that is, from 1 */
    struct done *dones;  /* release.c's: done callbacks in the ready line */
    unsigned pins;       /* how many of them still name the record, removed ones too */
    bool released;       /* given up meanwhile */
    bool took_locks;     /* debug, the sync layer's: it may still hold one */
    char name[64];
};

/* What is pending for a task (requests, limits that passed, groups that failed) and what one
 * -ECANCELED answers: asked for here, known to the scopes. */
typedef struct cr_pending_ops {
    /* Is anything pending that no shield hides from the running or parked task? */
    bool (*deliverable)(const cr_task *task);
    /* The task's wait gives -ECANCELED: all that is deliverable is answered by it, and so is what
     * comes before the task runs on. */
    void (*interrupt)(cr_task *task);
    /* The task begins another wait: what comes from now on is no longer answered by the last. */
    void (*run_on)(cr_task *task);
    /* One more request, of which the task's count knows: true where the -ECANCELED on its way
     * answers it. */
    bool (*absorb)(cr_task *task);
    /* Would a request be hidden from the task by a shield? */
    bool (*shielded)(const cr_task *task);
    /* A running or parked task has fewer requests than it had. */
    void (*uncancelled)(cr_task *task);
    /* -ECANCELED leaves a function by crank_try: what it becomes at the scopes opened there. */
    int (*leave_scopes)(crank_loop *loop, cr_task *task, const char *function, const void *frame);
    /* No other task may touch its stack by way of one of its scopes. */
    bool (*hibernatable)(const cr_task *task);
} cr_pending_ops;

/* All of a run's tasks and what they share. Touched by the loop's own thread only; the hooks are
 * set by the ranks above before the first task is made. */
typedef struct cr_task_state {
    crank_loop *loop;
    cr_task *free;         /* records, through fiber.next */
    cr_task *spare;        /* the record into which the next call is captured */
    struct cr_slab *slabs; /* newest first */
    struct cr_slab *oldest;
    uint64_t number, number_end; /* task numbers reserved for this loop */
    size_t alive;                /* tasks that have not ended */
    cr_freelist exts, scopes, manys, deliveries;
    cr_stacks *stacks;
    cr_task *root;
    struct cr_nursery *detached;   /* the owner of crank_detach's tasks: of the run */
    const cr_pending_ops *pending; /* interruption.c's */
    /* The thread layer's: true when the job had not started and has been taken off its queue. */
    bool (*cancel_job)(crank_loop *loop, cr_task *task);
    /* The sync layer's, in debug mode: locks that are held, and what it does when a task that took
     * some has returned; NULL: when the run ends. */
    struct crank_lock *locks;
    void (*leave_locks)(crank_loop *loop, cr_task *task);
    struct crank_generator *generators; /* the generator rank's: those that are not closed */
    cr_freelist generator_freelist;     /* the generator rank's */
    cr_freelist sendings; /* the io rank's, which opens it: of streams with unsent bytes */
    struct cr_sending *sending_free;    /* of these */
    void *run;                          /* run.c's */
    struct cr_hibernation *hibernation; /* stacks put away; NULL where that is off */
    /* the task that could not open a scope: its next wait fails with -ENOMEM */
    uint64_t out_of_memory;
    unsigned chain;    /* calls of cr_cancel_task under way, one within the other */
    uint64_t *put_off; /* tasks to be cancelled when they are through */
    size_t put_off_count, put_off_room;
    size_t put_off_marked; /* more of them, for which there was no memory: marked in their slabs */
    unsigned stuck;        /* times the loop starved */
    size_t graces;         /* timers of grace periods that run */
    int64_t grace_at;      /* when some ended last, and whether anything else went on then */
    bool grace_more;
    uint64_t ended;    /* counts ends: the order of an ended task, in its fiber.wake */
    uint64_t sequence; /* counts scopes opened and fired, to tell which came first */
    /* Requests that the running task has made to itself since its last wait began: no -ECANCELED
     * from before answers them. */
    struct {
        uint64_t id; /* of the task; 0: none */
        unsigned count;
        bool alone; /* nothing else was pending when the first came */
    } own_requests;
    /* ended children whose handles are kept; when to look again */
    size_t unclaimed, unclaimed_next;
    cr_tracer since; /* debug mode's: notes when waits begin */
} cr_task_state;

/* Its record holds captured arguments where it will have its wait. */
static inline bool cr_task_is_new(const cr_task *task)
{
    return task->fiber.run == CR_RUN_NEW || task->fiber.run == CR_RUN_NATIVE;
}
/* Has it a wait that can be undone or described? */
static inline bool cr_task_parked(const cr_task *task)
{
    return task->fiber.life == CR_ALIVE && !cr_task_is_new(task) &&
           (uintptr_t)task->fiber.wait > (uintptr_t)CR_WAIT_EAGER;
}
static inline cr_task_state *cr_task_state_of(crank_loop *loop) { return loop->tasks; }
/* The loop of this thread, a CHECK naming call where no program runs. */
crank_loop *cr_checked_loop(const char *call);
/* The failure of an ended or parked task; NULL. */
static inline struct cr_failure *cr_failure_of(const cr_task *task)
{
    return task->ext ? task->ext->failure : NULL;
}

cr_task *cr_record_fresh(cr_task_state *tasks); /* one never used before */
/* Not cleared; NULL when memory is short. */
static inline cr_task *cr_record_get(cr_task_state *tasks)
{
    cr_task *task = tasks->free;
    if (CR_UNLIKELY(!task))
        return cr_record_fresh(tasks);
    tasks->free = (cr_task *)(void *)task->fiber.next;
    return task;
}
/* The number is cleared and the slot stays: a handle never matches a free record. */
static inline void cr_record_put(cr_task_state *tasks, cr_task *task)
{
    task->id &= ~CR_NUMBER_MASK;
    task->fiber.life = CR_FREE;
    task->fiber.next = (cr_fiber *)(void *)tasks->free;
    tasks->free = task;
}
void cr_record_reserve_numbers(cr_task_state *tasks);
/* The next ones that are not reserved; a test may set it before the first loop. */
extern _Atomic uint64_t cr_numbers;
/* The next record in use after *at, an index to start at 0; NULL at the end. */
cr_task *cr_record_next(cr_task_state *tasks, size_t *at);
static inline uint64_t cr_task_number(const cr_task *task) { return task->id & CR_NUMBER_MASK; }
/* The ext, made when missing; NULL when memory is short. */
cr_ext *cr_record_ext(cr_task_state *tasks, cr_task *task);

/* Requests that have been made and not taken back: exact below CR_REQUESTS_MAX. */
static inline unsigned cr_task_requests(const cr_task *task)
{
    unsigned count = CR_COUNTS_REQUESTS(task);
    return CR_LIKELY(count < CR_COUNTS_REQUESTS_MAX) || !task->ext
               ? count
               : count + task->ext->more_requests;
}
/* May the task have had more than are counted? */
static inline bool cr_task_requests_saturated(const cr_task *task)
{
    unsigned count = cr_task_requests(task);
    return count == CR_REQUESTS_MAX || (count == CR_COUNTS_REQUESTS_MAX && !task->ext);
}
/* Of those, how many it has made to itself since its last wait began. */
static inline unsigned cr_task_own_requests(const cr_task_state *tasks, const cr_task *task)
{
    return tasks->own_requests.id == task->id ? tasks->own_requests.count : 0;
}
#endif
