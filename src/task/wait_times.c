/* SPDX-License-Identifier: MIT */
/* wait_times.c: when each task began to wait, noted in debug mode for a debugger that looks from
 * outside.
 *
 * A record has no room for it and a wait no instruction to spare, so it is a tracer's work
 * (base/probe.h): an instant per record, in a block beside each slab. Nothing in the program reads
 * it; a debugger does (tools/gdb/records.py), as long as this is the loop's tracer. Where there
 * is no memory for a block its tasks have no instant, and all else goes on. */
#include "task/wait_times.h"

/* Making room for others is no wait: only what has a cr_wait_ops is noted. */
static void on_event(cr_tracer *tracer, enum cr_event event, const void *fiber, uintptr_t detail)
{
    const cr_task_state *tasks = cr_container_of(tracer, cr_task_state, since);
    const cr_task *task = fiber;
    if (event != CR_EVENT_WAITS || !detail)
        return;
    cr_slab *slab = cr_slab_of(task->id);
    if (!slab->since)
        slab->since = cr_alloc_zero(tasks->loop->sys, CR_SLAB_RECORDS * sizeof *slab->since);
    if (slab->since)
        slab->since[task - slab->records] = cr_now(tasks->loop);
}

void cr_wait_times_trace(cr_task_state *tasks)
{
    tasks->since.on_event = on_event;
    cr_loop_trace(tasks->loop, &tasks->since);
}
