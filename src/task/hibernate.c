/* SPDX-License-Identifier: MIT */
/* hibernate.c: idle tasks give their stack's pages back.
 *
 * Owns: the stacks that are hibernated. While a task has been parked for long, the used part of its
 * stack is copied to the heap and the pages are dropped and guarded; waking removes the guard and
 * copies back, to the same address. The runtime itself touches nothing on a parked task's stack,
 * but for user memory after cr_hibernate_ensure; other code of this thread that touches it takes a
 * fault, which restores it and goes on. What the kernel or another thread may touch is never put
 * away: only waits that say hibernatable, of tasks without children, generators or a group with
 * children.
 *
 * A scan goes over all tasks once per hibernate_after and marks those that are parked in
 * fiber.next, which waking overwrites; those it finds still marked go to sleep. Nothing is done in
 * a wait or a wake, and where nothing has run since the last scan there is no next one. In builds
 * whose switches are announced stacks stay: a tool's shadow of them could not follow. */
#include "task/hibernate.h"
#include "task/record.h"
#include "task/wait.h"
#include "base/check.h"
#include <string.h>

/* Guards and advice go to the kernel for many stacks in one call. A stack in use deeper than
 * USED_MAX costs more to copy back and forth than its pages are worth. */
enum { BATCH = 256, PAGE = 4096, USED_MAX = 64 * 1024 };
#define WAKE_AT_ONCE 64u /* of the ready line's first: they have their turn within microseconds */
#define AT_ONCE 1000 /* a hibernate_after below a microsecond: no task need be found parked twice */

/* A stack that is away. fiber.sp of its task points here meanwhile, and fiber.run says so. */
typedef struct hibernated hibernated;
struct hibernated {
    hibernated *next; /* in its bucket, or among the ended */
    cr_task *task;
    char *sp;      /* of the parked context */
    char *low;     /* of the slot: the key */
    char *guarded; /* pages from here to the slot's end are away */
    size_t size;   /* of these */
    size_t used;   /* bytes kept, from sp */
    char kept[];
};

struct cr_hibernation {
    crank_loop *loop;     /* of the tasks */
    hibernated **buckets; /* by the slot's lowest address */
    size_t n_buckets;     /* a power of two */
    size_t count;         /* stacks that are away */
    /* restored by a fault: freed at the next scan, not in a signal handler */
    hibernated *ended;
    int64_t period;    /* between two scans, nanoseconds */
    uint64_t switches; /* at the last scan */
    bool armed;        /* the timer runs */
    bool again;        /* something ran before the last scan: tasks may be marked */
    bool unavailable;  /* this kernel has no guards of this kind */
    cr_timer timer;
    hibernated *batch[BATCH]; /* copied, not yet put away; in a waking those that come back */
    size_t n_batch;           /* of the former */
    struct iovec upper[BATCH], whole[BATCH]; /* of their stacks: what is in use, all */
};

static const cr_fiber mark; /* what fiber.next of a parked task points to after a scan */

__thread struct cr_hibernation *cr_hibernation_here;

/* Keyed by the slot's lowest address, which is what a faulting address can be brought to. */
static hibernated **bucket_of(const struct cr_hibernation *hibernation, const char *low)
{
    uint64_t hash = (uint64_t)(uintptr_t)low * UINT64_C(0x9e3779b97f4a7c15);
    return &hibernation->buckets[(hash >> 32) & (hibernation->n_buckets - 1)];
}

/* The new table is filled before the old one goes: without memory for it the old one stays. */
static int grow_buckets(struct cr_hibernation *hibernation)
{
    const cr_sys *sys = hibernation->loop->sys;
    size_t n = hibernation->n_buckets ? 2 * hibernation->n_buckets : 64;
    struct cr_hibernation grown = { .buckets = cr_alloc_zero(sys, n * sizeof(hibernated *)),
        .n_buckets = n };
    if (!grown.buckets)
        return -ENOMEM;
    for (size_t i = 0; i < hibernation->n_buckets; i++) {
        hibernated *next;
        for (hibernated *one = hibernation->buckets[i]; one; one = next) {
            next = one->next;
            hibernated **bucket = bucket_of(&grown, one->low);
            one->next = *bucket;
            *bucket = one;
        }
    }
    cr_free(sys, hibernation->buckets);
    hibernation->buckets = grown.buckets;
    hibernation->n_buckets = n;
    return 0;
}

/* ---- waking. Also in the fault handler: system calls and copying only. */

static void forget(struct cr_hibernation *hibernation, hibernated *one)
{
    hibernated **at = bucket_of(hibernation, one->low);
    while (*at != one)
        at = &(*at)->next;
    *at = one->next;
    hibernation->count--;
}

/* Its guard is gone. */
static void bring_back(struct cr_hibernation *hibernation, hibernated *one)
{
    memcpy(one->sp, one->kept, one->used);
    one->task->fiber.sp = one->sp;
    one->task->fiber.run = CR_RUN_RESUME;
    one->next = hibernation->ended;
    hibernation->ended = one;
}

/* Out of the table first, then the guard, then the copy: the copy writes to the guarded pages. */
static void restore(struct cr_hibernation *hibernation, hibernated *one)
{
    const cr_sys *sys = hibernation->loop->sys;
    forget(hibernation, one);
    int err = sys->advise(sys->context, one->guarded, one->size, MADV_GUARD_REMOVE);
    CR_CHECK(err == 0, "internal: the kernel does not give a task's stack back (%d)", err);
    bring_back(hibernation, one);
}

static void free_ended(struct cr_hibernation *hibernation)
{
    while (hibernation->ended) {
        hibernated *one = hibernation->ended;
        hibernation->ended = one->next;
        cr_free(hibernation->loop->sys, one);
    }
}

/* Called by cr_hibernate_ensure and by the fault handler. Restoring is all it does: the record is
 * freed later, since a signal handler must not. */
bool cr_hibernate_ensure_slow(const void *address)
{
    struct cr_hibernation *hibernation = cr_hibernation_here;
    char *low, *high;
    if (!hibernation || hibernation->count == 0 ||
        !cr_stacks_find(cr_task_state_of(hibernation->loop)->stacks, address, &low, &high))
        return false;
    for (hibernated *one = *bucket_of(hibernation, low); one; one = one->next) {
        if (one->low == low) {
            restore(hibernation, one);
            return true;
        }
    }
    return false;
}

bool cr_hibernate_may_take_slow(const void *address)
{
    char *low, *high;
    return cr_stacks_find(
        cr_task_state_of(cr_hibernation_here->loop)->stacks, address, &low, &high);
}

/* Those that stand in line behind it come back with it: one call takes all their guards off, and
 * one commits their pages, which by touch would come one fault each. */
void cr_hibernate_wake(cr_task *task)
{
    struct cr_hibernation *hibernation = cr_hibernation_here;
    cr_stacks *stacks = cr_task_state_of(hibernation->loop)->stacks;
    const cr_fiber *next = hibernation->loop->runner.head;
    size_t n = 0;
    hibernation->batch[n++] = task->fiber.sp;
    for (size_t looked = 1; next && looked < WAKE_AT_ONCE; looked++, next = next->next)
        if (next->run == CR_RUN_HIBERNATED)
            hibernation->batch[n++] = next->sp;
    for (size_t i = 0; i < n; i++) {
        forget(hibernation, hibernation->batch[i]);
        hibernation->upper[i] =
            (struct iovec){ hibernation->batch[i]->guarded, hibernation->batch[i]->size };
    }
    int err = cr_stacks_advise(stacks, hibernation->upper, n, MADV_GUARD_REMOVE);
    CR_CHECK(err == 0, "internal: the kernel does not give a task's stack back (%d)", err);
    (void)cr_stacks_advise(stacks, hibernation->upper, n, MADV_POPULATE_WRITE);
    for (size_t i = 0; i < n; i++)
        bring_back(hibernation, hibernation->batch[i]);
    free_ended(hibernation);
}

/* ---- going to sleep */

/* The wait, the scopes and the family must all agree: no code may hold an address in this stack
 * that it would have to touch. */
static bool hibernatable(const cr_task_state *tasks, const cr_task *task)
{
    const cr_wait_ops *wait = task->fiber.wait;
    return cr_task_parked(task) && wait->hibernatable && CR_COUNTS_CHILDREN(task) == 0 &&
           !task->fiber.generator && (!task->fiber.scope || tasks->pending->hibernatable(task));
}

/* A copy of the used part of its stack; NULL when there is no memory for it or too much to copy. */
static hibernated *hibernated_new(struct cr_hibernation *hibernation, cr_task *task)
{
    char *sp = task->fiber.sp, *top = task->fiber.stack, *low, *high;
    size_t used = (size_t)(top - sp);
    if (used > USED_MAX ||
        !cr_stacks_find(cr_task_state_of(hibernation->loop)->stacks, sp, &low, &high))
        return NULL;
    if (hibernation->count + hibernation->n_batch >= hibernation->n_buckets &&
        grow_buckets(hibernation) < 0)
        return NULL;
    hibernated *one = cr_alloc(hibernation->loop->sys, sizeof *one + used);
    if (!one)
        return NULL;
    char *guarded = (char *)((uintptr_t)sp & ~(uintptr_t)(PAGE - 1));
    *one = (hibernated){ .task = task,
        .sp = sp,
        .low = low,
        .guarded = guarded,
        .size = (size_t)(high - guarded),
        .used = used };
    memcpy(one->kept, sp, used);
    hibernation->upper[hibernation->n_batch] = (struct iovec){ guarded, one->size };
    hibernation->whole[hibernation->n_batch] = (struct iovec){ low, (size_t)(high - low) };
    return one;
}

/* No guard was to be had: those that were put up come down, and all stacks stay. */
static void call_off(struct cr_hibernation *hibernation)
{
    const cr_sys *sys = hibernation->loop->sys;
    for (size_t i = 0; i < hibernation->n_batch; i++) {
        hibernated *one = hibernation->batch[i];
        (void)sys->advise(sys->context, one->guarded, one->size, MADV_GUARD_REMOVE);
        memcpy(one->sp, one->kept, one->used);
        cr_free(sys, one);
    }
    hibernation->n_batch = 0;
    hibernation->unavailable = true;
}

/* All pages are dropped, and what was in use is guarded. In this order, for then the guards find no
 * pages to drop, each with a flush of all cores' address caches; dropped first they share one. Only
 * then does the task count as away. */
static void put_away(struct cr_hibernation *hibernation)
{
    cr_stacks *stacks = cr_task_state_of(hibernation->loop)->stacks;
    if (hibernation->n_batch == 0)
        return;
    (void)cr_stacks_advise(stacks, hibernation->whole, hibernation->n_batch, MADV_DONTNEED);
    if (cr_stacks_advise(stacks, hibernation->upper, hibernation->n_batch, MADV_GUARD_INSTALL) <
        0) {
        call_off(hibernation);
        return;
    }
    for (size_t i = 0; i < hibernation->n_batch; i++) {
        hibernated *one = hibernation->batch[i];
        hibernated **bucket = bucket_of(hibernation, one->low);
        one->next = *bucket;
        *bucket = one;
        one->task->fiber.sp = one;
        one->task->fiber.run = CR_RUN_HIBERNATED;
        hibernation->count++;
    }
    hibernation->n_batch = 0;
}

/* Found parked twice: the mark in fiber.next has survived a whole period, for waking overwrites
 * it. */
static void consider(struct cr_hibernation *hibernation, cr_task *task)
{
    if (task->fiber.life != CR_ALIVE || task->fiber.run != CR_RUN_RESUME ||
        !hibernatable(cr_task_state_of(hibernation->loop), task))
        return;
    if (hibernation->period > AT_ONCE && task->fiber.next != &mark) {
        task->fiber.next = (cr_fiber *)(uintptr_t)&mark; /* compared, never followed */
        return;
    }
    hibernated *one = hibernated_new(hibernation, task);
    if (!one)
        return;
    hibernation->batch[hibernation->n_batch++] = one;
    if (hibernation->n_batch == BATCH)
        put_away(hibernation);
}

/* Where memory for the timer is short no stack hibernates until the next program: nothing is lost.
 * */
static void start_timer(struct cr_hibernation *hibernation)
{
    int64_t deadline = cr_after(cr_now(hibernation->loop), hibernation->period);
    hibernation->switches = hibernation->loop->runner.switches;
    (void)cr_timer_start(hibernation->loop, &hibernation->timer, CR_TIMER_OTHER, deadline);
}

/* One scan. It starts the timer again only if something has run since, or has been marked and
 * must be looked at once more: a program that does nothing is left to sleep. */
void cr_hibernate_due(crank_loop *loop, cr_timer *timer)
{
    struct cr_hibernation *hibernation = cr_container_of(timer, struct cr_hibernation, timer);
    cr_task_state *tasks = cr_task_state_of(loop);
    size_t at = 0;
    free_ended(hibernation);
    /* An emulator may ignore guards and say nothing: what the stacks have found out holds. */
    hibernation->unavailable |= !cr_stacks_guards_marked(tasks->stacks);
    for (cr_task *t = cr_record_next(tasks, &at); t && !hibernation->unavailable;
         t = cr_record_next(tasks, &at))
        consider(hibernation, t);
    put_away(hibernation);
    hibernation->armed = false;
    if (!hibernation->unavailable &&
        (hibernation->switches != loop->runner.switches || hibernation->again)) {
        hibernation->again =
            hibernation->switches !=
            loop->runner.switches; /* a stack marked in this scan is put away in the next */
        hibernation->armed = true;
        start_timer(hibernation);
    }
}

/* ---- beginning and end */

/* again is set from the start, so that the first scan is followed by a second whatever happens. */
int cr_hibernate_open(crank_loop *loop)
{
    if (loop->options.hibernate_after <= 0 || CR_SWITCH_SANITIZED)
        return 0;
    struct cr_hibernation *hibernation = cr_alloc_zero(loop->sys, sizeof *hibernation);
    if (!hibernation)
        return -ENOMEM;
    hibernation->loop = loop;
    hibernation->period = cr_loop_nanoseconds(loop->options.hibernate_after);
    if (hibernation->period < 1)
        hibernation->period = 1;
    hibernation->again = true;
    hibernation->armed = true;
    cr_hibernation_here = hibernation;
    cr_stack_restore = cr_hibernate_ensure_slow;
    cr_task_state_of(loop)->hibernation = hibernation;
    start_timer(hibernation);
    return 0;
}

/* Tasks that still sleep are lost with their stacks: a deadlock that no cancellation ended. */
void cr_hibernate_close(crank_loop *loop)
{
    struct cr_hibernation *hibernation = cr_task_state_of(loop)->hibernation;
    if (!hibernation)
        return;
    for (size_t i = 0; i < hibernation->n_buckets; i++)
        while (hibernation->buckets[i])
            restore(hibernation, hibernation->buckets[i]);
    free_ended(hibernation);
    if (hibernation->armed)
        cr_timer_stop(loop, &hibernation->timer);
    cr_free(loop->sys, hibernation->buckets);
    cr_free(loop->sys, hibernation);
    cr_task_state_of(loop)->hibernation = NULL;
    cr_hibernation_here = NULL;
    cr_stack_restore = NULL;
}
