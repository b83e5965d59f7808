/* SPDX-License-Identifier: MIT */
/* debug.c: what debug mode looks for: children that were given a pointer into a frame that has
 * gone.
 *
 * When a task is spawned, its arguments are searched for addresses in the spawner's own stack; the
 * lowest is kept. A frame has gone when the spawner's stack no longer reaches down to it: looked at
 * when it spawns again and when its function returns. Children of a group need no such care: the
 * group ends before what was declared before it. */
#include "task/tasks.h"
#include "base/check.h"
#include <stdio.h>

/* The lowest of n words that points into [low, high), and which it is. */
static void lowest(const uint64_t *words, size_t n, uintptr_t low, uintptr_t high, cr_ext *ext)
{
    for (size_t i = 0; i < n; i++) {
        bool inside = words[i] >= low && words[i] < high;
        if (inside && (!ext->points_at || words[i] < ext->points_at)) {
            ext->points_at = (uintptr_t)words[i];
            ext->argument = (unsigned)i + 1;
        }
    }
}

/* The parent's frames lie between here and the top of its stack. A generator's body runs on
 * another stack, of which this cannot tell; nothing is claimed about its frames. */
void cr_debug_spawned(crank_loop *loop, cr_task *task)
{
    cr_task *parent = task->owner;
    unsigned args = task->site->args;
    uintptr_t low = (uintptr_t)__builtin_frame_address(0), high = (uintptr_t)parent->fiber.stack;
    if (args == 0 || parent->fiber.generator || low > high || high - low > loop->options.stack_size)
        return;
    cr_ext *ext = cr_task_ext(cr_tasks_of(loop), task);
    if (!ext)
        return;
    if (task->fiber.flags & CR_FIBER_FLAG_MANY)
        lowest(task->fiber.many->general, CRANK_COUNT(task->fiber.many->general), low, high, ext);
    else
        lowest(cr_fiber_few(&task->fiber)->general, args, low, high, ext);
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
            child->ext->argument, cr_task_name(child), child->site->function, child->site->file,
            child->site->line);
    }
}
