/* SPDX-License-Identifier: MIT */
/* lock.c: one task at a time, first come first served.
 *
 * A released lock is handed to the first waiter before that task runs, and stays held all the
 * while: no other task can take it in between. So a task that is cancelled after the hand-over has
 * the lock; the cancellation is delivered by its next wait. The holder is remembered by number, and
 * a holder that ended without releasing is found when the next task asks.
 *
 * Handing over costs throughput where tasks take the lock again at once (each time they stand in
 * line behind the others), and buys that no task starves; with one thread there is no convoy to
 * fear. */
#include <inttypes.h>
#include "sync/lock.h"

/* No abort: a task in line has nothing but its place there. */
static const cr_wait_ops lock_wait = {
    .hibernatable = true,
    .what = "waits for a lock",
    .blocked_by = cr_lock_holder,
    .describe = cr_lock_describe,
};

/* wait_object is the lock's line, for acquirers and for condition waits that take the lock again
 * alike. */
static const crank_lock *lock_of(const cr_task *task)
{
    return cr_container_of(task->wait_object, crank_lock, waiters);
}

cr_task *cr_lock_holder(const cr_task *task)
{
    return cr_task_find(cr_lock_holder_id(lock_of(task)));
}

size_t cr_lock_describe(const cr_task *task, char *buf, size_t size)
{
    const crank_lock *lock = lock_of(task);
    const cr_task *holder = cr_task_find(cr_lock_holder_id(lock));
    return cr_object_print(buf, size, "%p, held by %s", (const void *)lock,
        holder ? crank_name(cr_task_handle(holder)) : "a task that has ended");
}

crank_lock *crank_lock_new(void)
{
    crank_lock *lock = cr_object_new(sizeof(crank_lock));
    if (lock)
        lock->quick = CR_LOCK_SLOW;
    return lock;
}

/* What would be found by a hanging task otherwise is found here. */
void crank_lock_free(crank_lock *lock)
{
    if (!lock)
        return;
    cr_object_look(&lock->object, "crank_lock_free");
    CR_CHECK(!lock->waiters.head, "crank_lock_free: tasks wait for lock %p; let them end first",
        (void *)lock);
    CR_CHECK(!cr_lock_holder_id(lock), "crank_lock_free: lock %p is held; release it first",
        (void *)lock);
    if (lock->link)
        cr_lock_debug_forget(lock);
    cr_object_free(lock);
}

/* For messages. NULL: the holder's record is gone, or belongs to another thread's loop. */
static const char *name_of(const cr_task *holder)
{
    return holder ? crank_name(cr_task_handle(holder)) : "unknown here";
}

/* A holder that has returned will never release the lock: a task that waits for it would wait for
 * ever. */
static inline void check_holder(const crank_lock *lock, uint64_t id, const cr_task *self)
{
    CR_CHECK(id != self->id,
        "crank_lock_acquire: the running task already holds lock %p; a lock cannot be taken twice",
        (const void *)lock);
    const cr_task *holder = cr_task_find(id);
    CR_CHECK(holder && holder->fiber.life != CR_ENDED && holder->fiber.life != CR_COMPLETING,
        "crank_lock_acquire: lock %p is still held by task %s (number %" PRIu64 "), which has "
        "ended; release a lock on every way out, as CRANK_WITH_LOCK does",
        (const void *)lock, name_of(holder), id & CR_NUMBER_MASK);
}

/* The whole way: notices a cancellation, checks, and waits in line. */
static CR_NOINLINE int acquire(crank_lock *lock)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_lock_acquire");
    if (err < 0)
        return err;
    uint64_t holder = cr_lock_holder_id(lock);
    cr_object_use(&lock->object, w.loop, holder, "crank_lock_acquire");
    if (!holder) {
        cr_lock_taken(lock, w.loop, w.self, __builtin_return_address(0));
        return 0;
    }
    check_holder(lock, holder, w.self);
    cr_lock_expect(lock, holder);
    if (CR_UNLIKELY(w.loop->options.debug))
        cr_lock_debug_waits(w.loop, w.self);
    w.self->wait_data.error = 0;
    return cr_waitq_park(&w, &lock->waiters, &lock_wait);
}

/* Whether the running task may join the waiters with no more to check. There must be others: they
 * wait on the lock's own loop, so that lock->record, the holder's, is still a record of that
 * loop. */
static inline bool can_join(const crank_lock *lock)
{
    const crank_loop *loop = lock->object.loop;
    const cr_task *holder = lock->record;
    return lock->waiters.tail && holder && &holder->fiber != loop->runner.current &&
           holder->id == lock->holder && holder->fiber.life == CR_ALIVE && !loop->options.debug;
}

/* Quick does not say that the lock is free: join the waiters where that is all there is to do, else
 * go the whole way. */
static CR_NOINLINE int acquire_held(crank_lock *lock)
{
    cr_caller w;
    crank_loop *loop = cr_loop_here;
    if (CR_LIKELY(lock->object.loop == loop && can_join(lock) && cr_checkpoint_fast_in(loop, &w))) {
        w.self->wait_data.error = 0;
        return cr_waitq_park(&w, &lock->waiters, &lock_wait);
    }
    return acquire(lock);
}

/* A free lock has no waiters, so that taking it overtakes none. */
CR_QUICK int crank_lock_acquire(crank_lock *lock)
{
    cr_caller w;
    crank_loop *loop = cr_loop_here;
    if (CR_LIKELY(lock->quick == (uintptr_t)loop && cr_checkpoint_fast_in(loop, &w))) {
        lock->quick = w.self->id;
        return 0;
    }
    return acquire_held(lock);
}

/* Needs a task, for a lock has a holder; but never waits, so it notices no cancellation either. */
int crank_lock_acquire_nowait(crank_lock *lock)
{
    cr_object_given(lock, "crank_lock_acquire_nowait");
    bool held = cr_lock_holder_id(lock);
    cr_object_use(&lock->object, cr_loop_here, held, "crank_lock_acquire_nowait");
    cr_task *self = cr_checked_self("crank_lock_acquire_nowait");
    if (held)
        return -EAGAIN;
    cr_lock_taken(lock, cr_loop_here, self, __builtin_return_address(0));
    return 0;
}

/* Out of line: which of the two mistakes it was is of interest only then. */
static CR_COLD void release_refused(const crank_lock *lock)
{
    cr_object_given(lock, "crank_lock_release");
    uint64_t id = cr_lock_holder_id(lock);
    const cr_task *holder = cr_task_find(id);
    if (!id)
        cr_object_look(&lock->object, "crank_lock_release");
    CR_CHECK(id, "crank_lock_release: nobody holds lock %p; release once for each acquire",
        (const void *)lock);
    CR_CHECK(lock->object.loop == cr_loop_here,
        "crank_lock_release: lock %p is held by a task of another thread's loop; only that task "
        "may release it",
        (const void *)lock);
    cr_check_failed("crank_lock_release: lock %p is held by task %s, not by the caller; only the "
                    "task that acquired it may release it",
        (const void *)lock, name_of(holder));
}

/* Works in the holder only, which runs on the lock's own loop: the line needs no further check. */
CR_QUICK void crank_lock_release(crank_lock *lock)
{
    const cr_task *self = cr_self();
    if (CR_LIKELY(self && lock->quick == self->id))
        lock->quick = (uintptr_t)cr_loop_here;
    else if (self && lock->quick == CR_LOCK_SLOW && lock->holder == self->id)
        cr_lock_pass_on(lock, cr_loop_here);
    else
        release_refused(lock);
}

bool crank_lock_held(const crank_lock *lock)
{
    cr_object_given(lock, "crank_lock_held");
    cr_object_look(&lock->object, "crank_lock_held");
    return cr_lock_holder_id(lock);
}
