/* SPDX-License-Identifier: MIT */
/* record.c: where task records live, and how a handle finds its record.
 *
 * Owns: the slabs of one loop, the table from slot numbers to slabs (process-wide: a handle of
 * another thread's loop must be recognised), task numbers. A handle is slot << 40 | number; the
 * number is unique in the process, so that a record used again is another task. Records are never
 * unmapped while their loop lives: a stale handle finds a record of another number, not freed
 * memory. */
#include "task/record.h"
#include "base/pages.h"
#include <stdatomic.h>
#include <string.h>

/* So many numbers a loop reserves at a time: few enough that none to speak of are lost with it. */
#define NUMBERS_AT_ONCE 256u
/* Fresh records are committed so many at a time: one call of the kernel's instead of a page fault
 * each. Not the first of a loop, which may never have more. */
#define COMMIT_RECORDS 256u

_Atomic(cr_slab *) cr_slabs[CR_SLABS_MAX];
_Atomic uint64_t cr_numbers = 1;

/* A slab enters the table by one exchange against NULL: loops of other threads look for a free
 * entry at the same time. The table has room for 16 million records in the process; then spawns
 * fail. */
static cr_slab *slab_new(cr_task_state *tasks)
{
    const cr_sys *sys = tasks->loop->sys;
    cr_slab *slab = cr_alloc_zero(sys, sizeof *slab);
    if (!slab)
        return NULL;
    slab->loop = tasks->loop;
    slab->records = sys->map(sys->context, CR_SLAB_RECORDS * sizeof(cr_task));
    if (!slab->records) {
        cr_free(sys, slab);
        return NULL;
    }
    for (size_t i = 0; i < CR_SLABS_MAX; i++) {
        cr_slab *none = NULL;
        if (!atomic_load_explicit(&cr_slabs[i], memory_order_relaxed) &&
            atomic_compare_exchange_strong(&cr_slabs[i], &none, slab)) {
            slab->index = i;
            slab->next = tasks->slabs;
            *(tasks->slabs ? &tasks->slabs->newer : &tasks->oldest) = slab;
            tasks->slabs = slab;
            return slab;
        }
    }
    sys->unmap(sys->context, slab->records, CR_SLAB_RECORDS * sizeof(cr_task));
    cr_free(sys, slab);
    return NULL;
}

/* A record never used before: the newest slab hands them out in order, so that memory is touched
 * only as needed. */
CR_NOINLINE cr_task *cr_record_fresh(cr_task_state *tasks)
{
    cr_slab *slab = tasks->slabs;
    if (!slab || slab->used == CR_SLAB_RECORDS)
        slab = slab_new(tasks);
    if (!slab)
        return NULL;
    cr_task *task = &slab->records[slab->used];
    if (slab->used % COMMIT_RECORDS == 0 && (slab->used > 0 || slab->next))
        cr_pages_commit(tasks->loop->sys, task, COMMIT_RECORDS * sizeof *task);
    task->id = (uint64_t)(slab->index * CR_SLAB_RECORDS + slab->used) << 40;
    slab->used++;
    return task;
}

/* Numbers are taken from the process's counter by the hundred, so that threads which spawn do
 * not fight for it. After 2^40, half a day of nothing but spawning, they begin again: a handle
 * given up so long ago is no longer known for one. 0 is left out, which is no task's, and so are
 * those among which is the loop's address, cut to a number: no task's id is that address
 * (sync/lock.h). */
void cr_record_reserve_numbers(cr_task_state *tasks)
{
    uint64_t taken;
    do {
        taken = atomic_fetch_add_explicit(&cr_numbers, NUMBERS_AT_ONCE, memory_order_relaxed);
        tasks->number = taken & CR_NUMBER_MASK;
    } while (cr_number_after((uintptr_t)tasks->loop, tasks->number) < NUMBERS_AT_ONCE ||
             cr_number_after(0, tasks->number) < NUMBERS_AT_ONCE);
    tasks->number_end = tasks->number + NUMBERS_AT_ONCE;
}

/* An index and not a pointer, so that a caller may release the one it was given, and others,
 * between two calls. */
cr_task *cr_record_next(cr_task_state *tasks, size_t *at)
{
    cr_slab *slab = tasks->oldest;
    size_t i = 0;
    if (*at > 0) { /* behind the last one given, in a slab of ours */
        slab = atomic_load_explicit(&cr_slabs[(*at - 1) / CR_SLAB_RECORDS], memory_order_relaxed);
        i = (*at - 1) % CR_SLAB_RECORDS + 1;
    }
    for (; slab; slab = slab->newer, i = 0) {
        for (; i < slab->used; i++) {
            if (slab->records[i].fiber.life != CR_FREE && cr_task_number(&slab->records[i])) {
                *at = slab->index * CR_SLAB_RECORDS + i + 1;
                return &slab->records[i];
            }
        }
    }
    return NULL;
}

/* Most tasks never have one; a function that needs one must be able to go on, or fail, without. */
cr_ext *cr_record_ext(cr_task_state *tasks, cr_task *task)
{
    if (!task->ext) {
        task->ext = cr_freelist_get(&tasks->exts);
        if (task->ext)
            memset(task->ext, 0, sizeof *task->ext);
    }
    return task->ext;
}
