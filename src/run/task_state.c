/* SPDX-License-Identifier: MIT */
/* task_state.c: the tasks of a loop, from before the first to after the last.
 *
 * Owns: the opening and closing of what all ranks keep in cr_task_state. Does not own the records
 * (record.c) nor the tasks that run in them (run.c). */
#include "run/task_state.h"
#include "group/results.h"
#include "scope/end.h"
#include "scope/release.h"
#include "scope/scope.h"
#include "task/wait_times.h"
#include <stdatomic.h>

/* The first spare is taken here, for the root's call is captured into it. */
int cr_task_state_open(crank_loop *loop)
{
    cr_task_state *tasks = cr_alloc_zero(loop->sys, sizeof *tasks);
    if (!tasks)
        return -ENOMEM;
    tasks->loop = loop;
    cr_freelist_init(&tasks->exts, loop->sys, sizeof(cr_ext));
    cr_freelist_init(&tasks->scopes, loop->sys, CR_SCOPE_SIZE);
    cr_freelist_init(&tasks->manys, loop->sys, sizeof(cr_large_args));
    cr_freelist_init(&tasks->deliveries, loop->sys, CR_DELIVERY_SIZE);
    size_t usable = loop->options.stack_size;
    int err = cr_stacks_new(
        loop->sys, usable ? usable : (size_t)192 * 1024, &loop->runner.stacks, &tasks->stacks);
    if (err == 0)
        loop->runner.stack_usable = (uint32_t)cr_stacks_usable(tasks->stacks);
    tasks->spare = err < 0 ? NULL : cr_record_get(tasks);
    loop->tasks = tasks;
    if (err == 0 && !tasks->spare)
        err = -ENOMEM;
    if (err < 0)
        cr_task_state_close(loop);
    else if (loop->options.debug)
        cr_wait_times_trace(tasks);
    return err;
}

/* Half-opened ones too. A slab leaves the table before its memory goes: a stale handle that
 * another thread looks up finds nothing rather than an unmapped page. */
void cr_task_state_close(crank_loop *loop)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    cr_turn_end_operations(loop); /* of tasks that could not be made to end */
    if (tasks->leave_locks)
        tasks->leave_locks(loop, NULL);
    cr_loop_ends(loop);
    size_t at = 0;
    for (cr_task *t = cr_record_next(tasks, &at); t; t = cr_record_next(tasks, &at)) {
        if (t->ext) { /* one that could not be made to end: a deadlock */
            cr_release_dones_free(loop, t->ext);
            cr_end_free_ext(tasks, t);
        }
    }
    while (tasks->slabs) {
        cr_slab *slab = tasks->slabs;
        tasks->slabs = slab->next;
        atomic_store(&cr_slabs[slab->index], NULL);
        loop->sys->unmap(loop->sys->context, slab->records, CR_SLAB_RECORDS * sizeof(cr_task));
        cr_free(loop->sys, slab->since);
        cr_free(loop->sys, slab);
    }
    cr_free(loop->sys, tasks->put_off);
    cr_freelist_deinit(&tasks->exts);
    cr_freelist_deinit(&tasks->scopes);
    cr_freelist_deinit(&tasks->manys);
    cr_freelist_deinit(&tasks->deliveries);
    cr_freelist_deinit(&tasks->sendings);
    if (tasks->stacks)
        cr_stacks_free(tasks->stacks);
    cr_free(loop->sys, tasks);
    loop->tasks = NULL;
}
