/* SPDX-License-Identifier: MIT */
/* group_add.c: taking a task that runs already into a group.
 *
 * Owns: which task may be taken in: a child of the caller's, the end of which the group's parent
 * can wait for. Does not own what it is from then on, a child as others (group.c), nor the way of
 * its result (results.c).
 *
 * Invariant: after the call the task is no longer the caller's, whatever the call gives: a caller
 * that does not look has no task on its hands. Only where the group could not be made there is no
 * owner to take it. */
#include "base/check.h"
#include "group/group.h"
#include "group/results.h"
#include "scope/cancel.h"
#include "scope/end.h"
#include "scope/nursery.h"
#include "task/describe.h"
#include "task/error.h"

/* In a callback the caller's children are the root's. */
static void check_giver(crank_loop *loop, const cr_task *task, const char *call)
{
    const cr_task *caller = cr_self();
    if (!caller)
        caller = cr_task_state_of(loop)->root;
    CR_CHECK(!(task->fiber.flags & CR_TASK_FUTURE),
        "%s: this is the handle of a future, which no group can own; await it", call);
    CR_CHECK(!task->joiner && !(task->fiber.flags & (CR_TASK_DROPPED | CR_TASK_IN_GROUP)),
        "%s: the handle of task '%s' is not the caller's to give: it is awaited, was dropped or "
        "detached, or belongs to a group already",
        call, cr_describe_name(task));
    CR_CHECK(task->owner == caller, "%s: task '%s' is not a child of the caller's", call,
        cr_describe_name(task));
}

/* The parent waits for the group: one that descends from the task would wait for its own end. Of
 * the tasks above the parent those from the caller upwards are no children of the caller's. */
static void check_parent(const cr_nursery *group, const cr_task *task, const char *call)
{
    for (const cr_task *up = group->parent; up && up != task->owner; up = cr_task_parent(up))
        CR_CHECK(up != task,
            "%s: task '%s' has opened the group, or is an ancestor of the task that has: it would "
            "wait for its own end",
            call, cr_describe_name(task));
}

/* It is asked to end, for its caller may not look. */
static CR_COLD int no_group(crank_loop *loop, cr_task *task, const char *call)
{
    if (task)
        (void)cr_cancel_task(loop, task);
    return cr_error_set(-ENOMEM, "%s: there was no memory for the group", call);
}

/* The task's parent may have returned, and have waited for this child alone. */
static int add(crank_group *g, crank_task *handle, cr_delivery *delivery, const char *call)
{
    crank_loop *loop = cr_checked_loop(call);
    cr_task *task = handle ? cr_task_of(handle, call) : NULL;
    if (task)
        check_giver(loop, task, call);
    if (CR_UNLIKELY(!g->state))
        return no_group(loop, task, call);
    cr_nursery *group = cr_group_nursery(g, call);
    int err = -ENOMEM;
    if (task) {
        check_parent(group, task, call);
        cr_task *parent = task->owner;
        err = cr_group_take(loop, group, task, delivery);
        cr_end_left(loop, parent);
    }
    if (CR_UNLIKELY(err < 0))
        cr_group_lacks(loop, group, call);
    return err;
}

int crank_group_add(crank_group *group, crank_task *task)
{
    return add(group, task, &(cr_delivery){ .result = NULL }, "crank_group_add");
}

int crank_group_add_into_(
    crank_group *group, crank_task *handle, void *result, size_t size, unsigned char kind)
{
    static const char call[] = "crank_group_add_into";
    const cr_task *task = handle && result ? cr_task_of(handle, call) : NULL;
    CR_CHECK(
        !task || (task->fiber.flags & CR_TASK_FUTURE) || cr_results_fits(task->site, size, kind),
        "%s: the result of task '%s' (%s) does not fit the variable, which is for %zu-byte %s",
        call, cr_describe_name(task), cr_results_words(task->site), size,
        cr_results_variables_words(kind));
    cr_delivery delivery = { .result = result, .size = (unsigned char)size, .kind = kind };
    return add(group, handle, &delivery, call);
}
