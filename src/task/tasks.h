/* SPDX-License-Identifier: MIT */
/* tasks.h: all tasks of one loop, and what this folder's files offer each other and the layers
 * above.
 *
 * One cr_tasks hangs off each loop that runs a program. record.c keeps the records, spawn.c makes
 * tasks, end.c ends them, join.c lets others wait for that, cancel.c carries requests, error.c
 * keeps failures. */
#ifndef CR_TASKS_H
#define CR_TASKS_H
#include "context/stack.h"
#include "task/park.h"

/* Whoever owns tasks and is none itself: a group, the loop's detached ones. */
typedef struct cr_owner cr_owner;
struct cr_owner {
    cr_task *opener; /* who waits for the children; NULL for the loop's own */
    cr_task *child;  /* first; its sibling_prev is the last, the last's sibling_next is NULL */
    size_t alive;
    /* A child has ended; called before its record is released. */
    void (*child_ended)(crank_loop *loop, cr_owner *owner, cr_task *child);
    /* A held child is being cancelled: forget it; its end follows. */
    void (*unhold)(cr_owner *owner, cr_task *child);
};
/* One size for all, so that opening a scope is taking an object from a pool. */
#define CR_SCOPE_SIZE 256   /* bytes of the scope layer's objects, kept in one pool */
#define CR_DELIVERY_SIZE 64 /* and of what it knows of a result that goes into a variable */

/* Told of a task's end: shared awaits, crank_wait, done callbacks. Lies in the watcher's own
 * memory. */
typedef struct cr_watcher cr_watcher;
struct cr_watcher {
    cr_watcher *next;
    void (*ended)(crank_loop *loop, cr_watcher *watcher, cr_task *task);
};

/* Who waits exclusively for a task's end, in task->joiner: 0, an awaiting task, or with bit 0
 * set a gather. One pointer, for it is in every record; records and gathers are aligned, so the
 * bit is free. */
typedef struct cr_gather cr_gather;
struct cr_gather {
    void (*ended)(crank_loop *loop, cr_gather *gather, cr_task *task);
};

struct cr_slab;
struct cr_failure;
struct cr_locals;
struct start;

/* What few tasks have, made on demand. */
struct cr_ext {
    cr_watcher *watchers;
    struct cr_failure *failure;
    struct cr_failure *reason; /* of a request that is not yet delivered */
    uint64_t deferred_at; /* scope.c's: since when the pending request is the next own wait's; 0 */
    uint16_t more_requests; /* beyond CR_TALLY_REQUESTS_MAX */
    struct cr_locals *locals;
    struct start *start; /* the scope layer's: who waits until it says that it has started */
    uintptr_t points_at; /* debug: the lowest address in the spawner's stack among its arguments */
    unsigned argument;   /* debug: which argument that is, from 1 */
    struct done *dones;  /* handle.c's: done callbacks in the ready line */
    unsigned pins;       /* how many of them still name the record, removed ones too */
    bool released;       /* given up meanwhile */
    bool took_locks;     /* debug, the sync layer's: it may still hold one */
    char name[64];
};

/* All of a run's tasks and what they share. Touched by the loop's own thread only; the hooks are
 * set by the layers above before the first task is made. */
typedef struct cr_tasks {
    crank_loop *loop;
    cr_task *free;         /* records, through fiber.next */
    cr_task *spare;        /* the record into which the next call is captured */
    struct cr_slab *slabs; /* newest first */
    struct cr_slab *oldest;
    uint64_t number, number_end; /* task numbers reserved for this loop */
    size_t alive;                /* tasks that have not ended */
    cr_pool exts, scopes, manys, deliveries;
    cr_stacks *stacks;
    cr_task *root;
    cr_owner detached;
    /* The scope layer's: is anything pending (a request, a limit that passed, a group that failed)
     * that no shield hides from the running or parked task? */
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
    /* The scope layer's: a running or parked task has fewer requests than it had. */
    void (*uncancelled)(cr_task *task);
    /* The scope layer's: error (-ECANCELED) leaves a function by crank_try: what it becomes at the
     * scopes opened there. */
    int (*leave_scopes)(crank_loop *loop, cr_task *task, const char *function, const void *frame);
    /* The thread layer's: true when the job had not started and has been taken off its queue. */
    bool (*cancel_job)(crank_loop *loop, cr_task *task);
    /* The sync layer's, in debug mode: locks that are held, and what it does when a task that took
     * some has returned; NULL: when the run ends. */
    struct crank_lock *locks;
    void (*leave_locks)(crank_loop *loop, cr_task *task);
    struct crank_generator *generators; /* the scope layer's: those that are not closed */
    cr_pool generator_pool;             /* the scope layer's */
    void *run;                          /* run.c's */
    struct cr_naps *naps;               /* stacks put away; NULL where that is off */
    /* the scope layer's: none of its scopes has somebody who may touch its stack */
    bool (*may_nap)(const cr_task *task);
    /* the task that could not open a scope: its next wait fails with -ENOMEM */
    uint64_t out_of_memory;
    unsigned chain;    /* calls of cr_task_cancel under way, one within the other */
    uint64_t *put_off; /* tasks to be cancelled when they are through */
    size_t put_off_count, put_off_room;
    size_t put_off_marked; /* more of them, for which there was no memory: marked in their slabs */
    unsigned stuck;        /* times the loop starved */
    size_t graces;         /* timers of grace periods that run */
    int64_t grace_at;      /* when some ended last, and whether anything else went on then */
    bool grace_more;
    uint64_t ended;   /* counts ends: the order of an ended task, in its fiber.wake */
    uint64_t moments; /* counts scopes opened and fired, to tell which came first */
    /* Requests that the running task has made to itself since its last wait began: no -ECANCELED
     * from before answers them. */
    struct {
        uint64_t id; /* of the task; 0: none */
        unsigned count;
        bool alone; /* nothing else was pending when the first came */
    } own_requests;
    /* ended children whose handles are kept; when to look again */
    size_t unclaimed, unclaimed_next;
    cr_listener since; /* debug mode's: notes when waits begin */
} cr_tasks;

/* The task it belongs to, by way of a group too; NULL at the top. */
static inline cr_task *cr_task_parent(const cr_task *task)
{
    return task->fiber.flags & CR_TASK_IN_GROUP ? ((cr_owner *)task->owner)->opener
                                                : (cr_task *)task->owner;
}
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
static inline cr_tasks *cr_tasks_of(crank_loop *loop) { return loop->tasks; }

/* ---- record.c */
int cr_tasks_open(crank_loop *loop); /* 0 or -ENOMEM */
void cr_tasks_close(crank_loop *loop);
cr_task *cr_record_fresh(cr_tasks *tasks); /* one never used before */
/* Not cleared; NULL when memory is short. */
static inline cr_task *cr_record_get(cr_tasks *tasks)
{
    cr_task *task = tasks->free;
    if (CR_UNLIKELY(!task))
        return cr_record_fresh(tasks);
    tasks->free = (cr_task *)(void *)task->fiber.next;
    return task;
}
/* The number is cleared and the slot stays: a handle never matches a free record. */
static inline void cr_record_put(cr_tasks *tasks, cr_task *task)
{
    task->id &= ~CR_NUMBER_MASK;
    task->fiber.life = CR_FREE;
    task->fiber.next = (cr_fiber *)(void *)tasks->free;
    tasks->free = task;
}
void cr_numbers_reserve(cr_tasks *tasks);
/* The next ones nobody has reserved; a test may set it before the first loop. */
extern _Atomic uint64_t cr_numbers;
/* The next record in use after *at, an index to start at 0; NULL at the end. */
cr_task *cr_record_next(cr_tasks *tasks, size_t *at);
static inline uint64_t cr_task_number(const cr_task *task) { return task->id & CR_NUMBER_MASK; }
/* The ext, made when missing; NULL when memory is short. */
cr_ext *cr_task_ext(cr_tasks *tasks, cr_task *task);
void cr_ext_free(cr_tasks *tasks, cr_task *task);

/* ---- spawn.c */
/* A record with the captured call in it, alive, new, owned by the running task (outside a task by
 * the root), not yet ready. NULL when memory is short (errno ENOMEM). */
cr_task *cr_task_make(crank_loop *loop, crank_function_ *fn, const crank_site *site);
/* Called in a callback as the root ends its children: what is made now has to end as well. */
bool cr_spawn_unwanted(crank_loop *loop);
/* The same, owned by owner. */
cr_task *cr_task_make_owned(
    crank_loop *loop, cr_owner *owner, crank_function_ *fn, const crank_site *site);
/* Copy the captured call into a task made elsewhere (the arguments of one posted from another
 * thread). */
cr_task *cr_task_make_from(
    crank_loop *loop, crank_function_ *fn, const crank_site *site, const void *args);
static inline void cr_task_ready(crank_loop *loop, cr_task *task)
{
    cr_runner_push(&loop->runner, &task->fiber);
}
/* The loop of this thread, a CHECK naming call where no program runs. */
crank_loop *cr_loop_checked(const char *call);
/* The loop's hook: see spawn.c. */
void cr_need_stack(crank_loop *loop, cr_fiber *fiber);

/* ---- end.c */
/* End a task without a fiber (a job, a future, a held or stackless one) with what its function
 * returned. */
void cr_task_complete(crank_loop *loop, cr_task *task, uint64_t integer, double real);
/* The same with a failure (negative errno). */
void cr_task_complete_error(crank_loop *loop, cr_task *task, int error);
/* Give the record back: unlinks it; reports a failure nobody saw. */
void cr_task_release(crank_loop *loop, cr_task *task);
/* A task that has returned: is it one whose children are cancelled rather than awaited? */
bool cr_children_unwanted(const crank_loop *loop, const cr_task *task);
/* Its children alive, asked to stop. */
void cr_children_cancel(crank_loop *loop, cr_task *first);
void cr_owner_init(cr_owner *owner, void (*child_ended)(crank_loop *, cr_owner *, cr_task *));
/* An owner's children. The list is not circular, but the first one's sibling_prev is the last one:
 * linking at the end, in spawn order, takes no walk. */
static inline void cr_child_link(cr_task **list, cr_task *task)
{
    cr_task *first = *list;
    task->sibling_next = NULL;
    if (!first) {
        *list = task;
        task->sibling_prev = task;
        return;
    }
    task->sibling_prev = first->sibling_prev;
    first->sibling_prev->sibling_next = task;
    first->sibling_prev = task;
}
static inline void cr_child_unlink(cr_task **list, cr_task *task)
{
    cr_task *first = *list, *next = task->sibling_next;
    if (task == first)
        *list = next;
    else
        task->sibling_prev->sibling_next = next;
    if (next)
        next->sibling_prev = task->sibling_prev;
    else if (task != first)
        first->sibling_prev = task->sibling_prev;
}
/* A child of the parent's as it was spawned, for which nobody waits: no flag, ext or joiner.
 * Nothing can then be wrong with the parent's waiting for it, and when it has ended there is no
 * more to giving it up than giving its record back. */
static inline bool cr_task_is_plain(const cr_task *parent, const cr_task *task)
{
    return task->owner == parent && !task->ext && !task->joiner &&
           !(task->fiber.flags & ~CR_FIBER_FLAG_MANY);
}
static inline void cr_task_release_plain(cr_tasks *tasks, cr_task *parent, cr_task *task)
{
    cr_child_unlink(&parent->child, task);
    cr_record_put(tasks, task);
}
/* A child was taken from parent: end it if it has returned and waited for that one only. */
void cr_task_left(crank_loop *loop, cr_task *parent);
/* From a parent to another owner. */
void cr_task_adopt(cr_task *task, cr_owner *owner);

/* Take back a task that was made and is not ready yet. */
void cr_task_unmake(crank_loop *loop, cr_task *task);
/* A future made as a task: it does not keep its owner from ending. */
void cr_future_uncount(crank_loop *loop, cr_task *future);
/* It has a value: tell whoever waits. */
void cr_future_ended(crank_loop *loop, cr_task *future);

/* ---- returned.c */
/* Its function has returned, and it waits for its children; where they are not wanted they are
 * asked to end. It may have ended after. */
void cr_returned_begin(crank_loop *loop, cr_task *task);
/* Ask the children of one that has returned to end. It may have ended after. */
void cr_returned_cancel(crank_loop *loop, cr_task *task);
/* It ends: nothing more is said. */
void cr_returned_over(crank_loop *loop, cr_task *task);
/* The first of a list of children that has not ended and can; NULL. */
cr_task *cr_child_alive(cr_task *first);
/* In debug mode: name those of a list that app's end cancels. */
void cr_name_leftovers(crank_loop *loop, cr_task *first);

/* ---- join.c */
/* The integer result of an ended task, by its site's kind and size; its failure where it failed. */
long cr_task_value_of_kind(const cr_task *task);
static inline long cr_task_value(const cr_task *task)
{
    const crank_site *site = task->site;
    if (CR_LIKELY(site->kind == CRANK_KIND_SIGNED && site->size == sizeof(int) &&
                  !(task->fiber.flags & CR_TASK_BROKEN)))
        return (int32_t)task->fiber.result;
    return cr_task_value_of_kind(task);
}
/* What a task has failed with: a negative errno; 0 where it has not. */
int cr_task_error(const cr_task *task);
/* The result as it is handed to a waiter: an integer's value, a double's or pointer's bits;
 * where the task has failed its error, but for a double's (NaN is the waiter's to make). */
uint64_t cr_task_bits(const cr_task *task);
/* Give up an ended task: its failure becomes to's (may be NULL: it is dropped silently). */
void cr_task_claim(crank_loop *loop, cr_task *task, cr_task *to);
void cr_task_watch(cr_task *task, cr_watcher *watcher); /* task->ext must exist */
void cr_task_unwatch(cr_task *task, cr_watcher *watcher);
/* Does the task wait in an await that nobody has interrupted? */
extern const cr_wait cr_join_wait;
static inline bool cr_join_waits_plainly(const cr_task *waiter)
{
    return waiter->fiber.wait == &cr_join_wait && !(waiter->fiber.flags & CR_TASK_DELIVERING);
}
/* The gather that waits for it; NULL where none does. */
static inline cr_gather *cr_join_gather(const cr_task *task)
{
    return task->joiner & 1 ? (cr_gather *)(task->joiner & ~(uintptr_t)1) : NULL;
}
/* An ended task's result goes to who waits for it (task->joiner is set). */
void cr_join_deliver(crank_loop *loop, cr_task *task);
/* Wait for the end of a task that was asked to, whatever is asked meanwhile, and give it up. */
void cr_task_end_of(cr_task *task);
/* A CHECK where self may not wait for task: itself, an ancestor. */
void cr_join_check_ancestors(const cr_task *self, const cr_task *task, const char *call);
static inline void cr_join_check(const cr_task *self, const cr_task *task, const char *call)
{
    if (CR_UNLIKELY(task->owner != self || task == self))
        cr_join_check_ancestors(self, task, call);
}

/* ---- native.c */
/* A task without a stack has its turn: it begins, or ends with its wake. */
void cr_native_turn(crank_loop *loop, cr_task *task);

/* ---- waiting.c */
size_t cr_sleep_describe(const cr_task *task, char *buf, size_t size); /* by its timer */
/* Let every ready task run once. */
void cr_yield(const cr_waiting *w);
/* A parked task waits for others it has asked to end: from now on its timer runs for the grace
 * period, and wait is graced. Whoever wakes it stops the timer by the second; when it is due the
 * third comes first, and says whether anything else is going to happen by itself: else the period
 * is not begun again, for several that wait for each other's would hide that the run starves.
 * False, and no change, where there is no memory for a timer. */
bool cr_grace_start(crank_loop *loop, cr_task *task, const cr_wait *graced);
void cr_grace_stop(crank_loop *loop, cr_task *task);
bool cr_grace_over(crank_loop *loop);
/* The loop's hook: a task's own timer is due. */
void cr_task_timer_due(crank_loop *loop, cr_timer *timer);
/* As cr_wait_begin, without delivering a cancellation: true when one is to be delivered. */
bool cr_wait_noticed(const cr_waiting *w);
/* Spend the budget as cr_wait_begin does, delivering nothing. 0, or -ENOMEM where a scope of the
 * task could not be made. */
int cr_wait_room(const cr_waiting *w);

/* ---- cancel.c */
/* Ask a task to stop. 0 or -ESRCH. */
int cr_task_cancel(crank_loop *loop, cr_task *task);
/* Requests that have been made and not taken back: exact below CR_REQUESTS_MAX. */
static inline unsigned cr_task_requests(const cr_task *task)
{
    unsigned count = CR_TALLY_REQUESTS(task);
    return CR_LIKELY(count < CR_TALLY_REQUESTS_MAX) || !task->ext
               ? count
               : count + task->ext->more_requests;
}
/* May the task have had more than are counted? */
static inline bool cr_task_requests_saturated(const cr_task *task)
{
    unsigned count = cr_task_requests(task);
    return count == CR_REQUESTS_MAX || (count == CR_TALLY_REQUESTS_MAX && !task->ext);
}
/* Of those, how many it has made to itself since its last wait began. */
static inline unsigned cr_task_own_requests(const cr_tasks *tasks, const cr_task *task)
{
    return tasks->own_requests.id == task->id ? tasks->own_requests.count : 0;
}
/* A request is pending (flags say so): deliver it to a parked task where it may be delivered. */
void cr_task_notice(crank_loop *loop, cr_task *task);
/* A request is delivered: its reason, if it has one, is the task's last error now. */
void cr_reason_deliver(cr_task *task);

/* ---- error.c */
typedef struct cr_failure cr_failure;
/* The running task's failure, or this thread's outside one; NULL if none. */
cr_failure *cr_failure_here(void);
/* The failure of an ended or parked task; NULL. */
cr_failure *cr_failure_of(const cr_task *task);
int cr_failure_error(const cr_failure *failure);
/* The errno of a failed result: one whose negative no int holds counts as the last there is. */
static inline int cr_errno_of(long error) { return error < -INT32_MAX ? INT32_MAX : (int)-error; }
const char *cr_error_words(long error);
/* Record an error of ours with a message; gives error (negative). Never fails: short memory costs
 * the message. */
int cr_failed(int error, const char *format, ...) CRANK_PRINTF(2, 3);
/* Move the failure of one ended task to another (or to this thread outside one), noting where it
 * was spawned. */
void cr_failure_move(crank_loop *loop, cr_task *from, cr_task *to);
/* The same, leaving it with from too (several may await one task). */
void cr_failure_copy(crank_loop *loop, cr_task *from, cr_task *to);
/* Take this thread's own failure off (worker threads), to be given to a task. */
cr_failure *cr_failure_take_thread(void);
/* The same failure in memory that outlives the loop; NULL stays NULL. */
cr_failure *cr_failure_outlive(cr_failure *failure);
void cr_failure_set_thread(cr_failure *failure);
void cr_failure_give(crank_loop *loop, cr_task *task, cr_failure *failure);
/* Take a task's failure off; NULL if it has none. */
cr_failure *cr_failure_take(cr_task *task);
/* Make child part of parent's failures (freed with it). 0, or -ENOMEM (then child is the caller's).
 */
int cr_failure_add_child(cr_failure *parent, cr_failure *child);
/* Keep what a failed task (NULL: one that could not be spawned) has to say below *all. The first
 * stands for all: where *all is NULL it is made, with that one's error and message. Short memory
 * costs texts. */
void cr_failure_collect(crank_loop *loop, cr_failure **all, cr_task *task, int error);
cr_failure *cr_failure_new(int error, const char *task_name);
void cr_failure_of_future(cr_failure *failure); /* it is a future's, not a task's */
void cr_failure_free(cr_failure *failure);      /* takes NULL; frees its children */
void cr_failure_message(cr_failure *failure, const char *format, ...) CRANK_PRINTF(2, 3);
void cr_failure_message_list(cr_failure *failure, const char *format, va_list args)
    CRANK_PRINTF(2, 0);
void cr_failure_spawned(cr_failure *failure, const crank_site *site);
size_t cr_failure_format(const cr_failure *failure, char *buf, size_t size);
const char *cr_failure_text(const cr_failure *failure);
const crank_failure *cr_failure_public(const cr_failure *failure);

/* ---- report.c */
/* Send a report to the run's hook, or to stderr. */
void cr_report(crank_loop *loop, enum crank_report_kind kind, int error, const cr_task *task,
    const char *text);
/* The same from where neither stdio nor the allocator may be called: a signal handler, another
 * thread. The text is whole: it begins with cr_report_head. */
void cr_report_plainly(crank_loop *loop, const crank_report *report);
size_t cr_report_head(enum crank_report_kind kind, char *buf, size_t size); /* as snprintf */
/* A failure nobody awaited, after an introduction. */
void cr_report_failure(
    crank_loop *loop, const cr_task *task, const cr_failure *failure, const char *introduction);
void cr_report_unawaited(crank_loop *loop, cr_task *task);
/* A cancelled task that has not ended within the grace period. */
void cr_report_swallowed(crank_loop *loop, const cr_task *task);
/* Every task that was asked to end and has not, after "N tasks have" and what; nothing where there
 * is none. Gives how many there are. */
size_t cr_report_ignoring(crank_loop *loop, const char *what);
/* Every task, where it waits, who holds what it waits for. */
void cr_report_deadlock(crank_loop *loop);

/* ---- describe.c */
/* into a thread's buffer where it has no name of its own */
const char *cr_task_name(const cr_task *task);
size_t cr_task_describe(const cr_task *task, char *buf, size_t size);
void cr_describe_install(void); /* cr_check_hook */

/* ---- handle.c */
/* Free the done callbacks of a task that will never end. */
void cr_dones_free(crank_loop *loop, cr_ext *ext);
/* Free those that are ready and will not be called any more: the run is over. */
void cr_dones_left(crank_loop *loop);

/* ---- debug.c: in debug mode only */
void cr_debug_spawned(crank_loop *loop, cr_task *task);
/* The id of the task where address lies in the part of its own stack that is in use; else 0. */
uint64_t cr_debug_stack_of(const crank_loop *loop, const cr_task *task, const void *address);
/* A child has ended, whose result is to be written to an address in that task's stack: is its frame
 * still there? */
void cr_debug_result(const cr_task *child, uint64_t stack_of, const void *address);
/* No child alive may point below frame, the address of the parent's frame that is running. */
void cr_debug_frames(const cr_task *parent, uintptr_t frame);

/* ---- since.c: in debug mode only */
void cr_since_listen(cr_tasks *tasks);

/* ---- hibernate.c */
int cr_naps_open(crank_loop *loop); /* where the run's options ask for it. 0 or -ENOMEM */
void cr_naps_close(crank_loop *loop);
/* Give a task's stack back: it is on the ready line and has a turn. */
void cr_nap_wake(cr_task *task);
void cr_naps_due(crank_loop *loop, cr_timer *timer);

/* ---- local.c */
/* false: no memory */
bool cr_locals_inherit(cr_tasks *tasks, cr_task *child, const cr_task *parent);
void cr_locals_drop(cr_tasks *tasks, struct cr_locals *locals);
/* A task's values, for a thread job to read; never NULL. */
const struct cr_locals *cr_locals_of(const cr_task *task);
/* What crank_local_get reads on this thread, which runs a job; NULL after the job. */
void cr_locals_lend(const struct cr_locals *locals);
/* Never free the task's values: a job that was given up may still read them. */
void cr_locals_keep(const cr_task *task);
#endif
