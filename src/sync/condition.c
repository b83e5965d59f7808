/* SPDX-License-Identifier: MIT */
/* condition.c: wait for something to become true under a lock.
 *
 * A waiting task stands in one of two lines: the condition's until it is notified, then the
 * lock's until the lock is handed to it. Notifying is moving it from the one to the other,
 * without running it: no crowd wakes to fight for the lock. A cancelled wait goes the same way,
 * because it may only return with the lock. If it had been notified already, that notification
 * goes to the next in the condition's line. The request is delivered when it is accepted, not
 * when the lock comes: one that comes meanwhile is answered with it. */
#include "sync/lock.h"
#include "task/record.h"
#include "task/wait.h"

struct crank_condition {
    cr_object object;
    crank_lock *lock;
    cr_waitq waiters; /* those not yet notified; the notified stand in the lock's */
};

static void notify_first(crank_condition *condition);

/* What the lock's line gives to a task in it: see lock.h. */
static void will_be_cancelled(cr_task *task)
{
    task->wait_data.error = -ECANCELED;
    cr_task_state_of(cr_loop_here)->pending->interrupt(task);
}

/* Cancelled with the notification at hand: the task stays in the lock's line, its notification
 * does not. */
static bool retake_abort(cr_task *task)
{
    crank_condition *condition = task->wait_data.notified_by;
    if (task->wait_data.error < 0)
        return false;
    will_be_cancelled(task);
    notify_first(condition);
    return false;
}

/* A wait of its own, so that reports name the lock and its holder, and a cancel finds the
 * notification in wait_data. */
static const cr_wait_ops retake_wait = {
    .hibernatable = true,
    .what = "waits to take a condition's lock again",
    .abort = retake_abort,
    .blocked_by = cr_lock_holder,
    .describe = cr_lock_describe,
};

/* From whichever line it has just left into the lock's, which is held. */
static void stand_for_lock(crank_lock *lock, cr_task *task, crank_condition *notified_by)
{
    task->wait_data.notified_by = notified_by;
    task->wait_object = &lock->waiters;
    task->fiber.wait = &retake_wait;
    cr_lock_expect(lock, cr_lock_holder_id(lock));
    cr_waitq_join(&lock->waiters, task);
}

/* The lock is held: by the notifying task, or by the one for which a cancelled waiter waits. So the
 * first waiter must wait for the lock in any case. */
static void notify_first(crank_condition *condition)
{
    cr_task *first = cr_waitq_pop(&condition->waiters);
    if (first)
        stand_for_lock(condition->lock, first, condition);
}

static crank_condition *condition_of(const cr_task *task)
{
    return cr_container_of(task->wait_object, crank_condition, waiters);
}

/* Cancelled before a notification: with a free lock the wait is over, else it goes on for the
 * lock. */
static bool wait_abort(cr_task *task)
{
    crank_condition *condition = condition_of(task);
    crank_lock *lock = condition->lock;
    cr_waitq_leave(&condition->waiters, task);
    if (cr_lock_holder_id(lock)) {
        stand_for_lock(lock, task, NULL);
        will_be_cancelled(task);
        return false;
    }
    cr_lock_taken(lock, cr_loop_here, task, NULL);
    return true;
}

static size_t condition_describe(const cr_task *task, char *buf, size_t size)
{
    return cr_object_print(buf, size, "%p", (void *)condition_of(task));
}

/* No blocked_by: which task may notify is not known. */
static const cr_wait_ops condition_wait = {
    .hibernatable = true,
    .what = "waits for a condition",
    .abort = wait_abort,
    .describe = condition_describe,
};

/* The lock is the user's and may serve other conditions too. */
crank_condition *crank_condition_new(crank_lock *lock)
{
    CR_CHECK(lock, "crank_condition_new: the lock is NULL; make the condition's lock first");
    crank_condition *condition = cr_object_new(sizeof(crank_condition));
    if (condition)
        condition->lock = lock;
    return condition;
}

void crank_condition_free(crank_condition *condition)
{
    if (!condition)
        return;
    cr_object_look(&condition->object, "crank_condition_free");
    /* The notified have the condition in their wait_data, to pass their notification on. */
    bool waited_for = condition->waiters.head;
    const cr_task *task = condition->lock->waiters.head;
    for (; task && !waited_for; task = task->node.next)
        waited_for = task->wait_data.notified_by == condition;
    CR_CHECK(!waited_for, "crank_condition_free: tasks wait for condition %p; let them end first",
        (void *)condition);
    cr_object_free(condition);
}

static CR_COLD void not_held(const crank_condition *condition, const char *call)
{
    cr_object_look(&condition->object, call);
    cr_object_look(&condition->lock->object, call);
    cr_check_failed("%s: lock %p of condition %p is not held by the running task; acquire it first",
        call, (void *)condition->lock, (const void *)condition);
}

/* Notifying, too, wants the lock: else what is waited for could change between test and wait. */
static void check_held(const crank_condition *condition, const cr_task *self, const char *call)
{
    if (CR_UNLIKELY(!self || cr_lock_holder_id(condition->lock) != self->id))
        not_held(condition, call);
}

/* Between the release and the place in line nothing runs: no notification falls in the gap. */
int crank_condition_wait(crank_condition *condition)
{
    cr_caller w;
    cr_object_given(condition, "crank_condition_wait");
    int err = cr_checkpoint(&w, "crank_condition_wait");
    if (err < 0)
        return err;
    check_held(condition, w.self, "crank_condition_wait");
    cr_object_use(&condition->object, w.loop, condition->waiters.head, "crank_condition_wait");
    cr_lock_pass_on(condition->lock, w.loop);
    return cr_waitq_park(&w, &condition->waiters, &condition_wait);
}

void crank_condition_notify(crank_condition *condition, size_t n)
{
    cr_object_given(condition, "crank_condition_notify");
    check_held(condition, cr_self(), "crank_condition_notify");
    for (; n && condition->waiters.head; n--)
        notify_first(condition);
}

void crank_condition_notify_all(crank_condition *condition)
{
    cr_object_given(condition, "crank_condition_notify_all");
    check_held(condition, cr_self(), "crank_condition_notify_all");
    while (condition->waiters.head)
        notify_first(condition);
}
