/* SPDX-License-Identifier: MIT */
/* returned.c: a task whose function has returned and that waits for its children.
 *
 * Owns: what is said of such a wait, and the timer it is said by. The task has no fiber any more,
 * so its wait field and its own timer serve this alone. Children that were asked to end are waited
 * for like any task one has cancelled: one that does not end is named after the grace period, and
 * asked again each time. Children that are wanted may take as long as they like, which is worth a
 * line in debug mode only.
 *
 * Invariant: while the timer runs, wait is one of the two below; the task's end stops it. place is
 * set once a child was named, so that none is named twice. CR_TASK_ASKED says that the children
 * have been cancelled: a later request to the task does not cancel them again, only the timer
 * does. */
#include "task/tasks.h"
#include <stdio.h>

/* Futures have nothing that could end. */
cr_task *cr_child_alive(cr_task *first)
{
    cr_task *child = first;
    while (child && (child->fiber.life == CR_ENDED || (child->fiber.flags & CR_TASK_FUTURE)))
        child = child->sibling_next;
    return child;
}

static void unwanted_due(crank_loop *loop, cr_task *task);
static const cr_wait unwanted_wait = { .what = "awaits the end of", .due = unwanted_due };

/* Asking may end the last child, and this task with it: that is last. place says whether one was
 * named. Where nothing else is going to happen this timer must not hide it: then the run starves,
 * and what can be done about that is done. */
static void unwanted_due(crank_loop *loop, cr_task *task)
{
    const cr_task *child = cr_child_alive(task->child);
    bool more = cr_grace_over(loop), named = task->place;
    uint64_t id = task->id;
    task->place = task;
    task->fiber.wait = NULL;
    if (!named && child)
        cr_report_swallowed(loop, child);
    if (cr_task_find(id) != task || task->fiber.life != CR_RETURNED)
        return; /* the hook has given up its last child */
    if (more)
        (void)cr_grace_start(loop, task, &unwanted_wait);
    cr_children_cancel(loop, task->child);
}

/* Said once: a program may mean it so, and reports at each grace period would bury the first. */
static void wanted_due(crank_loop *loop, cr_task *task)
{
    char line[512], text[800];
    loop->remarks--;
    (void)cr_grace_over(loop);
    task->fiber.wait = NULL;
    (void)cr_task_describe(task, line, sizeof line);
    snprintf(text, sizeof text, "a task returned %g s ago and its children have not ended:\n  %s\n",
        loop->options.grace, line);
    cr_report(loop, CRANK_REPORT_LEFTOVER, 0, task, text);
}

static const cr_wait wanted_wait = { .what = "has returned", .due = wanted_due };

/* asyncio.run is silent about them: a program that came from there may wonder where they went. The
 * next one is looked up after the report, whose hook may end it. */
void cr_name_leftovers(crank_loop *loop, cr_task *first)
{
    char line[512], text[800];
    cr_task *child = loop->options.debug ? cr_child_alive(first) : NULL;
    while (child) {
        const cr_task *next = cr_child_alive(child->sibling_next);
        uint64_t next_id = next ? next->id : 0;
        (void)cr_task_describe(child, line, sizeof line);
        snprintf(text, sizeof text, "a task is cancelled because app has ended:\n  %s\n", line);
        cr_report(loop, CRANK_REPORT_LEFTOVER, 0, child, text);
        child = next_id ? cr_task_find(next_id) : NULL;
    }
}

void cr_returned_cancel(crank_loop *loop, cr_task *task)
{
    if (task->fiber.flags & CR_TASK_ASKED)
        return;
    task->fiber.flags |= CR_TASK_ASKED;
    cr_returned_over(loop, task);
    if (cr_tasks_of(loop)->stuck == 0)
        (void)cr_grace_start(loop, task, &unwanted_wait);
    cr_children_cancel(loop, task->child);
}

void cr_returned_begin(crank_loop *loop, cr_task *task)
{
    bool debug = loop->options.debug;
    task->fiber.life = CR_RETURNED;
    task->fiber.flags = (uint16_t)(task->fiber.flags & ~CR_TASK_ASKED);
    task->fiber.wait = NULL; /* CR_WAIT_EAGER where it has not waited since an eager spawn */
    task->place = NULL;
    if (CR_UNLIKELY(debug))
        cr_debug_frames(task, UINTPTR_MAX);
    if (CR_UNLIKELY(task->ext != NULL) && task->ext->took_locks)
        cr_tasks_of(loop)->leave_locks(loop, task); /* its children may wait for one */
    if (cr_children_unwanted(loop, task)) {
        if (task->fiber.flags & CR_TASK_ROOT)
            cr_name_leftovers(loop, task->child);
        cr_returned_cancel(loop, task);
    } else if (CR_UNLIKELY(debug)) {
        loop->remarks += cr_grace_start(loop, task, &wanted_wait);
    }
}

void cr_returned_over(crank_loop *loop, cr_task *task)
{
    if (task->fiber.wait)
        cr_grace_stop(loop, task);
    loop->remarks -= task->fiber.wait == &wanted_wait;
    task->fiber.wait = NULL;
}
