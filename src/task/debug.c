/* SPDX-License-Identifier: MIT */
/* debug.c: what debug mode looks for: children that were given a pointer into a frame that has
 * gone, and handles that are never given up.
 *
 * When a task is spawned, its arguments are searched for addresses in the spawner's own stack; the
 * lowest is kept. A frame has gone when the spawner's stack no longer reaches down to it: looked at
 * when it spawns again and when its function returns. Children of a group need no such care: the
 * group ends before what was declared before it. But where the result of one is to be written into
 * a variable (crank_group_spawn_into), its frame is looked for when the child ends: a function that
 * is handed a group and returns before the group has ended may not name a variable of its own.
 *
 * And ended tasks of one place that pile up, because their handles are never given up. */
#include "task/debug.h"
#include "task/describe.h"
#include "task/record.h"
#include "task/report.h"
#include "base/check.h"
#include <stdio.h>

/* The first of the registers that surely hold arguments, as far as the last pointer; behind those
 * may lie whatever was there before. An integer constant may have become a real number, which lies
 * elsewhere, and so counts for none, as reals and structs do. Fill in which argument is in each. */
static size_t sure_words(const crank_site *site, unsigned char ret_arguments[16])
{
    size_t words = 0, n = 0;
    for (unsigned i = 0; i < site->args; i++) {
        bool pointer = site->pointers >> i & 1, integer = site->integers >> i & 1;
        if (pointer || integer)
            ret_arguments[words++] = (unsigned char)(i + 1);
        if (pointer)
            n = words;
    }
    return n;
}

/* The parent's frames lie between here and the top of its stack. A generator's body runs on
 * another stack, of which this cannot tell; nothing is claimed about its frames. */
void cr_debug_spawned(crank_loop *loop, cr_task *task)
{
    cr_task *parent = task->owner;
    unsigned char arguments[16];
    bool many = task->fiber.flags & CR_FIBER_FLAG_LARGE;
    const uint64_t *words =
        many ? task->fiber.many->general : cr_fiber_small(&task->fiber)->general;
    size_t room = many ? CRANK_COUNT(task->fiber.many->general)
                       : CRANK_COUNT(cr_fiber_small(&task->fiber)->general);
    size_t n = sure_words(task->site, arguments);
    uintptr_t low = (uintptr_t)__builtin_frame_address(0), high = (uintptr_t)parent->fiber.stack;
    if (n == 0 || parent->fiber.generator || low > high || high - low > loop->options.stack_size)
        return;
    cr_ext *ext = cr_record_ext(cr_task_state_of(loop), task);
    if (!ext)
        return;
    for (size_t i = 0; i < n && i < room; i++) {
        bool inside = words[i] >= low && words[i] < high;
        if (inside && (!ext->points_at || words[i] < ext->points_at)) {
            ext->points_at = (uintptr_t)words[i];
            ext->argument = arguments[i];
        }
    }
}

/* An address below the frame that runs belongs to a frame that has returned. One above may
 * belong to one that has returned too and was entered again: what is found is sure, what is not
 * is not. */
void cr_debug_frames(const cr_task *parent, uintptr_t frame)
{
    for (const cr_task *child = parent->child; child; child = child->sibling_next) {
        bool alive = child->fiber.life != CR_ENDED && child->ext && child->ext->points_at;
        if (!alive || child->ext->points_at >= frame)
            continue;
        cr_check_failed(
            "argument %u of task '%s' (%s), spawned at %s:%d, points into a frame of its parent "
            "that has gone; "
            "await the task there, or spawn it in a CRANK_GROUP declared after what it uses",
            child->ext->argument, cr_describe_name(child), child->site->function, child->site->file,
            child->site->line);
    }
}

/* The lowest address in use of a task's own stack. */
static uintptr_t lowest(const cr_task *task)
{
    return task == cr_self() ? (uintptr_t)__builtin_frame_address(0) : (uintptr_t)task->fiber.sp;
}

/* As for pointers among arguments, nothing is claimed of a task that runs a generator's body. */
uint64_t cr_debug_stack_of(const crank_loop *loop, const cr_task *task, const void *address)
{
    if (!task || task->fiber.life != CR_ALIVE || task->fiber.run != CR_RUN_RESUME ||
        task->fiber.generator)
        return 0;
    uintptr_t at = (uintptr_t)address, low = lowest(task), high = (uintptr_t)task->fiber.stack;
    return at >= low && at < high && high - low <= loop->options.stack_size ? task->id : 0;
}

/* Whether the child has succeeded or not: then a mistake is found in each run, and not only where
 * memory would be written over. */
void cr_debug_result(const cr_task *child, uint64_t stack_of, const void *address)
{
    const cr_task *task = cr_task_find(stack_of);
    bool alive = task && task->fiber.life == CR_ALIVE;
    if (alive && (task->fiber.run != CR_RUN_RESUME || task->fiber.generator))
        return;
    CR_CHECK(alive && (uintptr_t)address >= lowest(task),
        "the result of task '%s' (%s), spawned at %s:%d, was to be written into a frame that has "
        "gone; declare the variable before the group",

        cr_describe_name(child), child->site->function, child->site->file, child->site->line);
}

/* In debug mode: a place where children were spawned that have ended and pile up, because their
 * handles are never given up. Counting one place takes a walk over all records, so the total must
 * reach the limit first and must double before the next walk: the work stays proportional to the
 * spawns. */
CR_NOINLINE void cr_debug_unclaimed(crank_loop *loop, cr_task *task)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    task->fiber.flags |= CR_TASK_COUNTED;
    if (++tasks->unclaimed < 1000 || tasks->unclaimed < tasks->unclaimed_next)
        return;
    size_t same = 0, at = 0;
    for (cr_task *t = cr_record_next(tasks, &at); t; t = cr_record_next(tasks, &at))
        same += t->site == task->site && (t->fiber.flags & CR_TASK_COUNTED);
    if (same < 1000)
        return;
    tasks->unclaimed_next = tasks->unclaimed * 2;
    char text[400];
    snprintf(text, sizeof text,
        "%zu ended tasks of %s, spawned at %s:%d, keep their records, because their handles were "
        "not given up: await them, crank_drop them, or spawn them in a group\n",
        same, task->site->function, task->site->file, task->site->line);
    cr_report(loop, CRANK_REPORT_UNCLAIMED, 0, task, text);
}
