/* SPDX-License-Identifier: MIT */
/* runs.c: what a run of the library holds of its own when it is over, just before all its memory goes at once.
 *
 * Owns the counts of what was lost so, over all runs of the process: that memory is given back whole, so neither the
 * heap nor the mappings would show a task or a stack that is lost; sockets of the simulated network are no
 * descriptors of the kernel's. A run that was given up since its tasks ignored being cancelled is not counted: it says
 * so, and ends with -EDEADLK. Bound in by the linker (--wrap); where that cannot be (link-time optimisation) the counts
 * stay zero. A test without the layers above has none of what is named here, so all of it is weak. */
#include "internal.h"
#include "scope/nursery.h"
#include "world/world.h"
#include <stdatomic.h>

extern void __real_cr_task_state_close(crank_loop *loop);
extern void __wrap_cr_task_state_close(crank_loop *loop);
extern void __real_cr_world_deinit(cr_world *world);
extern void __wrap_cr_world_deinit(cr_world *world);
#pragma weak __real_cr_task_state_close
#pragma weak __real_cr_world_deinit
#pragma weak cr_stacks_in_use

static atomic_size_t tasks_lost;
static atomic_size_t stacks_lost;
static atomic_size_t objects_lost;
static atomic_size_t sockets_lost;
static __thread bool run_given_up; /* this thread's last one */

void test_runs_count(test_lost *ret_lost)
{
    ret_lost->tasks = tasks_lost;
    ret_lost->stacks = stacks_lost;
    ret_lost->objects = objects_lost;
    ret_lost->sockets = sockets_lost;
}

/* Records that are not free, but for the one that waits for the next call: of tasks that have not ended, of ended ones
 * that nobody has given back, and those that nobody has any more. */
static size_t count_records(const cr_task_state *tasks)
{
    size_t count = 0;
    for (const cr_slab *slab = tasks->slabs; slab; slab = slab->next)
        count += slab->used;
    for (const cr_task *task = tasks->free; task; task = (const cr_task *)(const void *)task->fiber.next)
        count--;
    return count - (tasks->spare != NULL);
}

/* Blocks of arguments come back to a list of the runner's, and one waits for the next call. */
static size_t count_arguments(const cr_task_state *tasks)
{
    size_t count = tasks->manys.in_use - (cr_capture_block != NULL);
    for (void *block = tasks->loop->runner.large_free; block; block = *(void **)block)
        count--;
    return count;
}

void __wrap_cr_task_state_close(crank_loop *loop)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    run_given_up = tasks->stuck > 0 && (tasks->root || tasks->detached->alive > 0);
    if (!run_given_up) {
        tasks_lost += count_records(tasks);
        stacks_lost += cr_stacks_in_use(tasks->stacks);
        objects_lost += tasks->exts.in_use + tasks->scopes.in_use + count_arguments(tasks);
    }
    __real_cr_task_state_close(loop);
}

void __wrap_cr_world_deinit(cr_world *world)
{
    if (!run_given_up)
        sockets_lost += world->net.open;
    run_given_up = false;
    __real_cr_world_deinit(world);
}
