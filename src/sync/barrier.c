/* SPDX-License-Identifier: MIT */
/* barrier.c: lets so many tasks through together, again and again.
 *
 * The last to arrive wakes the others with their places in the line as results and begins the next
 * round at once: tasks of the old round are out of the line already, so there is no time of
 * draining in which the barrier is closed, as the classic barrier with two counters has. A
 * cancelled task leaves the line, and those behind it move up: the results of a round are always 0
 * to parties - 1.
 *
 * Invariant: fewer than parties tasks wait, and none while the barrier is broken. */
#include <limits.h>
#include "sync/object.h"

struct crank_barrier {
    cr_object object;
    size_t parties;   /* so many go through together */
    size_t waiting;   /* tasks in line, always fewer than parties */
    cr_waitq waiters; /* those waiting, in the order in which they came */
    bool broken;      /* until a reset */
};

/* wait_object is the line, as for everything that waits in one. */
static crank_barrier *barrier_of(const cr_task *task)
{
    return cr_container_of(task->wait_object, crank_barrier, waiters);
}

/* The others wait on, for one more than before. */
static bool barrier_abort(cr_task *task)
{
    crank_barrier *barrier = barrier_of(task);
    cr_waitq_leave(&barrier->waiters, task);
    barrier->waiting--;
    return true;
}

static size_t barrier_describe(const cr_task *task, char *buf, size_t size)
{
    const crank_barrier *barrier = barrier_of(task);
    return cr_object_print(buf, size, "%p, %zu of %zu have come", (const void *)barrier,
        barrier->waiting, barrier->parties);
}

static const cr_wait_ops barrier_wait = {
    .hibernatable = true,
    .what = "waits at a barrier",
    .abort = barrier_abort,
    .describe = barrier_describe,
};

/* A round of no parties would never end, nor begin. */
crank_barrier *crank_barrier_new(size_t parties)
{
    CR_CHECK(parties > 0 && parties <= INT_MAX,
        "crank_barrier_new: %zu parties; a barrier takes 1 to %d", parties, INT_MAX);
    crank_barrier *barrier = cr_object_new(sizeof(crank_barrier));
    if (barrier)
        barrier->parties = parties;
    return barrier;
}

void crank_barrier_free(crank_barrier *barrier)
{
    if (!barrier)
        return;
    cr_object_look(&barrier->object, "crank_barrier_free");
    CR_CHECK(!barrier->waiters.head,
        "crank_barrier_free: %zu tasks wait at barrier %p; let them end first", barrier->waiting,
        (void *)barrier);
    cr_object_free(barrier);
}

/* The last task of the round has come: the others go on, each with its place among the waiters as
 * result. */
static void let_through(crank_barrier *barrier)
{
    long place = 0;
    for (cr_task *task = barrier->waiters.head, *next; task; task = next) {
        next = task->node.next;
        cr_wake(barrier->object.loop, task, place++);
    }
    barrier->waiters = (cr_waitq){ NULL, NULL };
    barrier->waiting = 0;
}

/* The last to come does not wait, and does not switch: the others run when it does. */
int crank_barrier_wait(crank_barrier *barrier)
{
    cr_caller w;
    cr_object_given(barrier, "crank_barrier_wait");
    int err = cr_checkpoint(&w, "crank_barrier_wait");
    if (err < 0)
        return err;
    cr_object_use(&barrier->object, w.loop, barrier->waiting, "crank_barrier_wait");
    if (barrier->broken)
        return -EPIPE;
    if (barrier->waiting + 1 == barrier->parties) {
        let_through(barrier);
        return (int)(barrier->parties - 1);
    }
    barrier->waiting++;
    return cr_waitq_park(&w, &barrier->waiters, &barrier_wait);
}

/* End the round for the tasks that wait, with -EPIPE. Tasks let through before are no waiters any
 * more and keep their results. */
static void turn_away(crank_barrier *barrier)
{
    cr_waitq_wake_all(barrier->object.loop, &barrier->waiters, -EPIPE);
    barrier->waiting = 0;
}

/* The waiting tasks are turned away, since their round is not going to be completed. */
void crank_barrier_reset(crank_barrier *barrier)
{
    cr_object_given(barrier, "crank_barrier_reset");
    cr_object_use(&barrier->object, cr_loop_here, barrier->waiting, "crank_barrier_reset");
    barrier->broken = false;
    turn_away(barrier);
}

/* It stays broken: a task that comes later must not wait for tasks that will not come. */
void crank_barrier_abort(crank_barrier *barrier)
{
    cr_object_given(barrier, "crank_barrier_abort");
    cr_object_use(&barrier->object, cr_loop_here, barrier->waiting, "crank_barrier_abort");
    barrier->broken = true;
    turn_away(barrier);
}

size_t crank_barrier_waiting(const crank_barrier *barrier)
{
    cr_object_given(barrier, "crank_barrier_waiting");
    cr_object_look(&barrier->object, "crank_barrier_waiting");
    return barrier->waiting;
}

bool crank_barrier_broken(const crank_barrier *barrier)
{
    cr_object_given(barrier, "crank_barrier_broken");
    cr_object_look(&barrier->object, "crank_barrier_broken");
    return barrier->broken;
}
