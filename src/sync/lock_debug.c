/* SPDX-License-Identifier: MIT */
/* lock_debug.c: a task that ends while it holds a lock, found at its end.
 *
 * In debug mode only, since a lock would have to note more than its holder, and taking one costs a
 * few instructions: elsewhere the next task that asks for the lock finds it out, and a deadlock's
 * report says that the holder has ended.
 *
 * Owns the list of the locks that are held, one per loop. Releasing takes a lock out of no list;
 * what is not held any more leaves when the list is walked. The lock stays held: what it guards was
 * left in the middle of a change, and the next holder would not know. */
#include "base/symbolize.h"
#include "sync/lock.h"
#include "task/describe.h"
#include "task/record.h"
#include "task/report.h"
#include <stdio.h>

void cr_lock_debug_forget(crank_lock *lock)
{
    *lock->link = lock->next;
    if (lock->next)
        lock->next->link = lock->link;
    lock->link = NULL;
}

static void report(crank_loop *loop, const cr_task *task, const crank_lock *lock)
{
    char text[800], where[160] = "", line[400];
    (void)cr_describe_task(task, line, sizeof line);
    if (lock->taken_at && lock->taken_by == task->id)
        (void)cr_symbolize_print((uintptr_t)lock->taken_at - 1, where, sizeof where);
    snprintf(text, sizeof text,
        "task '%s' has returned and holds lock %p, which nobody can release any more%s%s\n  %s\n  "
        "release a lock on every way out, as CRANK_WITH_LOCK does\n",
        cr_describe_name(task), (const void *)lock, *where ? "; it took it at " : "", where, line);
    cr_report(loop, CRANK_REPORT_HELD, 0, task, text);
}

/* With task NULL the run is over, and no list may lead into memory of its. The next lock is read
 * after the report, which calls a hook that may free any lock that is not held. */
static void leave(crank_loop *loop, cr_task *task)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    if (task)
        task->ext->took_locks = false;
    for (crank_lock *lock = tasks->locks, *next; lock; lock = next) {
        bool lost = task && cr_lock_holder_id(lock) == task->id;
        if (lost)
            report(loop, task, lock);
        next = lock->next;
        if (lost || !task || !cr_lock_holder_id(lock))
            cr_lock_debug_forget(lock);
    }
}

void cr_lock_debug_waits(crank_loop *loop, cr_task *task)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    cr_ext *ext = cr_record_ext(tasks, task);
    if (ext)
        ext->took_locks = true;
    tasks->leave_locks = leave;
}

void cr_lock_debug_takes(crank_lock *lock, crank_loop *loop, cr_task *task, const void *taken_at)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    cr_lock_debug_waits(loop, task);
    lock->taken_by = task->id;
    lock->taken_at = taken_at;
    if (lock->link)
        return;
    lock->link = &tasks->locks;
    lock->next = tasks->locks;
    if (lock->next)
        lock->next->link = &lock->next;
    tasks->locks = lock;
}
