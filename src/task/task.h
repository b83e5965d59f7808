/* SPDX-License-Identifier: MIT */
/* task.h: the task's record and its life, for the layers above.
 *
 * A task is a record of 192 bytes, three cache lines, in a slab of its loop. life says where it is:
 * see enum cr_life. The fiber part belongs to context/, the rest to this folder; the layers above
 * use the functions of wait.h and the other headers.
 *
 * Fields are shared by what is never needed at once: the captured arguments lie where the running
 * task keeps its wait, its timer and its children; a waiting task's node where it has a watcher; an
 * ended task's result where its stack pointer was. A function that changes the life of a task must
 * therefore know which of them hold now. */
#ifndef CR_TASK_H
#define CR_TASK_H
#include <crank/error.h>
#include <crank/task.h>
#include <stdatomic.h>
#include "base/freelist.h"
#include "context/fiber.h"
#include "loop/loop.h"

typedef struct cr_task cr_task;
typedef struct cr_ext cr_ext;

/* Roughly in the order in which a task passes through them: spawn.c makes it alive, group.c may
 * hold it, to_thread.c and future.c put it aside; only end.c takes it to the last two, and nothing
 * leads back but the record's release. */
enum cr_life {
    CR_FREE,       /* in the free list */
    CR_DEFERRED,   /* spawned into a full group, not yet ready */
    CR_ALIVE,      /* spawned; new, ready, running or parked */
    CR_EXTERNAL,   /* a thread job or a future: alive without a fiber */
    CR_COMPLETING, /* its function has returned, its children have not */
    CR_ENDED /* it has a result; the record stays until the handle is given up or the owner ends */
};

/* cr_fiber.flags of a task; bit 0 is CR_FIBER_FLAG_LARGE. The two PENDING flags and INTERRUPTED are
 * what a waiting call tests; cancel.c sets the first and scope.c the second, and both are cleared
 * where a request is delivered. INTERRUPTED is set with the -ECANCELED that wakes a task and
 * cleared by the task's next waiting call. FAILED, CANCELED and BROKEN are set once, at the end.
 * CLAIMED may be set at any time by code that makes sure that a failure is not lost. DELIVERING is
 * set by the waits for other tasks (join.c, gather.c), from the abort until those tasks have
 * ended. */
enum {
    CR_TASK_CANCEL_PENDING = 1 << 1, /* a request to cancel is not yet delivered */
    CR_TASK_SCOPE_PENDING = 1 << 2,  /* a scope of it fired and has not delivered */
    CR_TASK_DROPPED = 1 << 3,        /* the handle was given up */
    CR_TASK_FAILED = 1 << 4,         /* ended with a failure */
    CR_TASK_CANCELED = 1 << 5,       /* ended with -ECANCELED after being asked */
    CR_TASK_IN_GROUP = 1 << 6,       /* owner is a group */
    CR_TASK_DETACHED = 1 << 7,
    CR_TASK_UNLIMITED = 1 << 8, /* in a block without its time limit: memory was short for that */
    CR_TASK_FUTURE = 1 << 9,
    CR_TASK_CLAIMED = 1 << 10, /* its failure was seen, or needs no report */
    CR_TASK_ROOT = 1 << 11,
    CR_TASK_INTERRUPTED = 1 << 12, /* its wait gives -ECANCELED, and no other has begun since */
    CR_TASK_DELIVERING = 1 << 13,  /* it was cancelled in a wait that cannot be undone at once */
    CR_TASK_COUNTED = 1 << 14,     /* among the ended children whose handles are kept */
    CR_TASK_BROKEN = 1 << 15       /* ended by us: the result is an error, whatever the type */
};

/* A place in a line: in one at a time, since a task waits for one thing at a time. */
struct cr_node {
    cr_task *next;
    cr_task *prev;
};

/* The offsets in bytes stand beside the first field of each part. */
struct cr_task {
    cr_fiber fiber;          /* 0 */
    union {                  /* 64 */
        struct cr_node node; /* in line for what it waits for */
        struct {             /* a cr_watcher: told of another task's end */
            void *next;
            void *ended;
        } watcher;
    };
    void *wait_object; /* what it waits for: a lock, a queue, a task */
    /* Between a waiter and its waker; the kind of wait says which member holds. */
    union cr_wait_data {
        void *element;     /* of a queue's waiter: where its element lies, or goes */
        const char *call;  /* of a blocking call: its name */
        void *notified_by; /* of a lock's waiter: the condition that has notified it; or */
        long error;        /* below 0: what its wait gives once it has the lock */
        uint64_t position; /* of a writer: how many bytes must have been sent; of an accepting
                              task: its number among those that came */
        bool named;        /* a task that does not end, for which it waits, has been reported */
        bool failed;       /* of an await, from the end of the task awaited: did that fail? */
        int expected;      /* of a shared await until then: which class of result it wants */
    } wait_data;
    cr_timer timer; /* 96 */
    cr_task *child; /* 128: first of those it owns */
    uint64_t id;    /* slot << 40 | number; number 0 when free */
    const crank_site *site;
    uintptr_t joiner; /* the waiter for its end: join.c says how */
    cr_ext *ext;      /* name, failure, locals, watchers: made on demand */
    void *owner;      /* parent cr_task, or group */
    cr_task *sibling_next;
    cr_task *sibling_prev;
};
_Static_assert(sizeof(cr_task) == 192, "a task record is 192 bytes");
_Static_assert(offsetof(cr_task, child) == CR_FIBER_CHILD, "the assembly clears child");

/* fiber.counts: children alive, and requests not taken back. Both in one word, so that ending a
 * child is one subtraction and asking whether any is left is one test. 24 bits of children are
 * as many as there are record slots. */
#define CR_COUNTS_CHILD 1u
#define CR_COUNTS_CHILDREN(t) ((t)->fiber.counts & 0xffffffu)
#define CR_COUNTS_ASKED 0x1000000u
#define CR_COUNTS_REQUESTS(t) ((t)->fiber.counts >> 24)
/* Eight bits count requests up to this many; those beyond are counted in the task's ext. */
#define CR_COUNTS_REQUESTS_MAX 255u
#define CR_REQUESTS_MAX 65535u

/* The fiber is the record's first member: the same address, two views. */
static inline cr_task *cr_task_of_fiber(cr_fiber *fiber) { return (cr_task *)(void *)fiber; }
static inline crank_task *cr_task_handle(const cr_task *task)
{
    return (crank_task *)(uintptr_t)task->id;
}
#define CR_NUMBER_MASK ((UINT64_C(1) << 40) - 1) /* of an id: the task's number in the process */
/* How many spawns lie between two numbers, or ids; numbers begin again after 2^40. */
static inline uint64_t cr_number_after(uint64_t number, uint64_t earlier)
{
    return (number - earlier) & CR_NUMBER_MASK;
}

/* Where the records of one loop lie, 4,096 at a time; the table is the process's. record.c says
 * more. */
#define CR_SLAB_RECORDS 4096u
#define CR_SLABS_MAX 4096u
typedef struct cr_slab {
    crank_loop *loop;
    struct cr_slab *next; /* of this loop, older */
    struct cr_slab *newer;
    size_t index; /* in the table */
    size_t used;  /* records ever handed out */
    cr_task *records;
    int64_t
        *since; /* by record, when its last wait began: wait_times.c; NULL while it is not noted */
    uint64_t put_off[CR_SLAB_RECORDS / 64]; /* a bit by record: to be cancelled (cancel.c) */
} cr_slab;
/* Looked up by any thread, for a handle may be shown to the wrong one; written when a slab is
 * made or its loop ends. The pages behind a slab stay while its loop lives. */
extern _Atomic(cr_slab *) cr_slabs[CR_SLABS_MAX];
static inline cr_slab *cr_slab_of(uint64_t id)
{
    return atomic_load_explicit(&cr_slabs[(id >> 40) / CR_SLAB_RECORDS], memory_order_acquire);
}
CRANK_NORETURN CR_COLD void cr_checked_task_failed(const crank_task *handle, const char *call);
/* The record of loop with this id; NULL where it is stale or of another loop. */
static inline cr_task *cr_task_in(const crank_loop *loop, uint64_t id)
{
    cr_slab *slab = cr_slab_of(id);
    if (CR_UNLIKELY(!slab || slab->loop != loop))
        return NULL;
    cr_task *task = &slab->records[(id >> 40) % CR_SLAB_RECORDS];
    return CR_LIKELY(task->id == id) ? task : NULL;
}
/* For code that remembers a task without holding it: NULL where it is stale. */
static inline cr_task *cr_task_find(uint64_t id) { return cr_task_in(cr_loop_here, id); }
/* The record behind a handle: a CHECK naming call where the handle is stale or of another thread's
 * loop. */
static inline cr_task *cr_task_of(const crank_task *handle, const char *call)
{
    cr_task *task = cr_task_find((uint64_t)(uintptr_t)handle);
    if (CR_UNLIKELY(!task))
        cr_checked_task_failed(handle, call);
    return task;
}
/* The running task, NULL outside one. */
static inline cr_task *cr_self(void)
{
    crank_loop *loop = cr_loop_here;
    return loop ? cr_task_of_fiber(loop->runner.current) : NULL;
}
/* The running task: a CHECK naming call outside one. */
cr_task *cr_checked_self(const char *call);
/* For calls that ask of a task: NULL is the running one. */
static inline cr_task *cr_task_or_self(const crank_task *handle, const char *call)
{
    return handle ? cr_task_of(handle, call) : cr_checked_self(call);
}
#endif
