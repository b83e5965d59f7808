/* SPDX-License-Identifier: MIT */
/* checked.c: what a public call looks up first: the running task, its loop, the task behind a
 * handle.
 *
 * Owns the sentences that say what is wrong with a handle or with the calling thread. Does not own
 * records and handles: record.c says where they live. */
#include "base/check.h"
#include "loop/inherit.h"
#include "task/record.h"

/* Cold, and apart from the check that is inlined everywhere: here it is found out what was
 * wrong. */
CRANK_NORETURN CR_COLD void cr_checked_task_failed(const crank_task *handle, const char *call)
{
    CR_CHECK(handle, "%s: the task is NULL", call);
    cr_slab *slab = cr_slab_of((uint64_t)(uintptr_t)handle);
    CR_CHECK(!slab || slab->loop == cr_loop_here,
        "%s: task %p belongs to another thread's loop; use crank_submit or crank_post to reach "
        "it%s",
        call, (const void *)handle, cr_inherit_note());
    cr_check_failed(
        "%s: handle %p was given up before (awaited, dropped or freed, or gone with the task that "
        "made it) or is no task; a handle can be given up once. That of a group's child goes when "
        "the child ends: crank_group_spawn_into and CRANK_POOL keep its result",
        call, (const void *)handle);
}

/* For calls that need a task and do not wait; those that wait ask by cr_checkpoint. */
cr_task *cr_checked_self(const char *call)
{
    cr_task *self = cr_self();
    CR_CHECK(self,
        "%s: not in a task; call it from a function that crank_run or crank_spawn runs%s", call,
        cr_inherit_note());
    return self;
}

crank_loop *cr_checked_loop(const char *call)
{
    crank_loop *loop = cr_loop_here;
    CR_CHECK(loop && loop->tasks, "%s: no program runs on this thread; call it inside crank_run%s",
        call, cr_inherit_note());
    return loop;
}
