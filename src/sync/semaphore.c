/* SPDX-License-Identifier: MIT */
/* semaphore.c: so many permits, handed out first come first served.
 *
 * A released permit goes straight to the first waiter. Invariant: while tasks wait no permit is
 * free. So a task that comes later cannot overtake them, and one that is cancelled between being
 * given a permit and running has that permit.
 *
 * A permit has no owner: one task may acquire and another release, which is what makes it a
 * semaphore and not a lock with a count. So nothing can be said of one that was never given
 * back. */
#include "sync/object.h"

struct crank_semaphore {
    cr_object object;
    size_t permits; /* free now */
    size_t bound;   /* most it may hold */
    cr_waitq waiters;
};

static size_t semaphore_describe(const cr_task *task, char *buf, size_t size)
{
    const crank_semaphore *semaphore = cr_container_of(task->wait_object, crank_semaphore, waiters);
    return cr_object_print(buf, size, "%p", (const void *)semaphore);
}

/* No abort: a permit is given with the wake-up, never before. */
static const cr_wait_ops semaphore_wait = {
    .hibernatable = true,
    .what = "waits for a permit",
    .describe = semaphore_describe,
};

/* One without a bound has one that no count reaches: the same test serves both, and overflow. */
static crank_semaphore *semaphore_new(size_t permits, size_t bound)
{
    crank_semaphore *semaphore = cr_object_new(sizeof(crank_semaphore));
    if (semaphore) {
        semaphore->permits = permits;
        semaphore->bound = bound;
    }
    return semaphore;
}

crank_semaphore *crank_semaphore_new(size_t permits) { return semaphore_new(permits, SIZE_MAX); }

/* The bound finds a release too many, which otherwise shows much later, as one task too many. */
crank_semaphore *crank_semaphore_new_bounded(size_t permits)
{
    return semaphore_new(permits, permits);
}

void crank_semaphore_free(crank_semaphore *semaphore)
{
    if (!semaphore)
        return;
    cr_object_look(&semaphore->object, "crank_semaphore_free");
    CR_CHECK(!semaphore->waiters.head,
        "crank_semaphore_free: tasks wait for semaphore %p; let them end first", (void *)semaphore);
    cr_object_free(semaphore);
}

/* The whole way: notices a cancellation, and waits in line. */
static CR_NOINLINE int acquire(crank_semaphore *semaphore)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_semaphore_acquire");
    if (err < 0)
        return err;
    cr_object_use(&semaphore->object, w.loop, semaphore->waiters.head, "crank_semaphore_acquire");
    if (semaphore->permits) {
        semaphore->permits--;
        return 0;
    }
    return cr_waitq_park(&w, &semaphore->waiters, &semaphore_wait);
}

/* The quick way: while a permit is free no task waits, so taking it overtakes none. */
CR_QUICK int crank_semaphore_acquire(crank_semaphore *semaphore)
{
    cr_caller w;
    if (CR_LIKELY(cr_object_quick(&semaphore->object, &w) && semaphore->permits)) {
        semaphore->permits--;
        return 0;
    }
    return acquire(semaphore);
}

/* Needs no task: a permit has no owner. */
int crank_semaphore_acquire_nowait(crank_semaphore *semaphore)
{
    cr_object_given(semaphore, "crank_semaphore_acquire_nowait");
    cr_object_use(&semaphore->object, cr_loop_here, semaphore->waiters.head,
        "crank_semaphore_acquire_nowait");
    if (!semaphore->permits)
        return -EAGAIN;
    semaphore->permits--;
    return 0;
}

/* The permit goes to the first in line without being free in between. */
static CR_NOINLINE void hand_over(crank_semaphore *semaphore)
{
    cr_task *first = cr_waitq_pop(&semaphore->waiters);
    CR_ASSUME(first != NULL); /* the caller has looked */
    cr_wake(semaphore->object.loop, first, 0);
}

/* From any task or callback of the loop: a permit is not tied to the task that acquired it. */
void crank_semaphore_release(crank_semaphore *semaphore)
{
    cr_object_given(semaphore, "crank_semaphore_release");
    cr_object_use(
        &semaphore->object, cr_loop_here, semaphore->waiters.head, "crank_semaphore_release");
    CR_CHECK(semaphore->permits < semaphore->bound,
        "crank_semaphore_release: semaphore %p already holds all of its %zu permits; release once "
        "for each acquire",
        (void *)semaphore, semaphore->bound);
    if (CR_LIKELY(!semaphore->waiters.head))
        semaphore->permits++;
    else
        hand_over(semaphore);
}

size_t crank_semaphore_value(const crank_semaphore *semaphore)
{
    cr_object_given(semaphore, "crank_semaphore_value");
    cr_object_look(&semaphore->object, "crank_semaphore_value");
    return semaphore->permits;
}
