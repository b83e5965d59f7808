/* SPDX-License-Identifier: MIT */
/* local.c: task-locals.
 *
 * A task's values are an array that is never changed once shared: a child takes a reference when
 * spawned, and a task that sets a value takes a copy first if others have the array too. So a child
 * sees what its spawner had set, and neither sees what the other sets later, as with Python's
 * contextvars (which share a hash trie; few keys are expected here, so a copy and a scan are
 * cheaper).
 *
 * A worker thread reads the array of the job that it runs, which its loop keeps and never changes
 * while the job is out.
 *
 * References are counted without atomics: all tasks that share an array are of one loop, and a
 * worker counts for none. */
#include "task/local.h"
#include "task/error.h"
#include "base/check.h"
#include <string.h>

/* The key is an address, unique by nature: no names to register, none to collide. */
struct entry {
    const crank_local *key;
    void *value;
};
struct cr_locals {
    size_t references;
    size_t count;
    struct entry entries[];
};

/* What this thread's job may read: an array with nothing in it where its task has no values; NULL
 * outside a job. */
static __thread const struct cr_locals *lent;
static const struct cr_locals no_values;

const struct cr_locals *cr_locals_of(const cr_task *task)
{
    return task->ext && task->ext->locals ? task->ext->locals : &no_values;
}

void cr_locals_lend(const struct cr_locals *locals) { lent = locals; }

void cr_locals_keep(const cr_task *task)
{
    if (task->ext && task->ext->locals)
        task->ext->locals->references++;
}

void cr_locals_drop(cr_task_state *tasks, struct cr_locals *locals)
{
    if (--locals->references == 0)
        cr_free(tasks->loop->sys, locals);
}

/* Costs a spawner with locals one ext per child, and one without them nothing. */
bool cr_locals_inherit(cr_task_state *tasks, cr_task *child, const cr_task *parent)
{
    cr_ext *ext = cr_record_ext(tasks, child);
    if (!ext)
        return false;
    ext->locals = parent->ext->locals;
    ext->locals->references++;
    return true;
}

/* The entry's index; count where there is none. */
static size_t find(const struct cr_locals *locals, const crank_local *key)
{
    size_t i = 0;
    while (i < locals->count && locals->entries[i].key != key)
        i++;
    return i;
}

void *cr_local_of(const cr_task *task, const crank_local *key)
{
    const struct cr_locals *locals = cr_locals_of(task);
    size_t i = find(locals, key);
    return i < locals->count ? locals->entries[i].value : NULL;
}

/* A key that was never set has NULL: no error, since a default is what a local is for. A loop that
 * a job runs has tasks of its own. */
void *crank_local_get(const crank_local *key)
{
    const struct cr_locals *locals =
        lent && !cr_loop_here ? lent : cr_locals_of(cr_checked_self("crank_local_get"));
    size_t i = find(locals, key);
    return i < locals->count ? locals->entries[i].value : NULL;
}

/* The same values in an array with room for one more. */
static struct cr_locals *copy_of(cr_task_state *tasks, const struct cr_locals *locals)
{
    size_t count = locals ? locals->count : 0;
    struct cr_locals *copy =
        cr_alloc(tasks->loop->sys, sizeof *copy + (count + 1) * sizeof copy->entries[0]);
    if (!copy)
        return NULL;
    copy->references = 1;
    copy->count = count;
    if (count > 0)
        memcpy(copy->entries, locals->entries, count * sizeof copy->entries[0]);
    return copy;
}

/* The task's own array, in place of the one it has. */
static struct cr_locals *own_copy(cr_task_state *tasks, cr_ext *ext)
{
    struct cr_locals *copy = copy_of(tasks, ext->locals);
    if (!copy)
        return NULL;
    if (ext->locals)
        cr_locals_drop(tasks, ext->locals);
    ext->locals = copy;
    return copy;
}

/* The task keeps its reference to what it had, so that going back cannot fail. */
int cr_local_replace(
    cr_task *task, const crank_local *key, void *value, struct cr_locals **ret_before)
{
    cr_task_state *tasks = cr_task_state_of(cr_loop_here);
    cr_ext *ext = cr_record_ext(tasks, task);
    struct cr_locals *copy = ext ? copy_of(tasks, ext->locals) : NULL;
    if (!copy)
        return -ENOMEM;
    size_t i = find(copy, key);
    copy->count += i == copy->count;
    copy->entries[i] = (struct entry){ key, value };
    *ret_before = ext->locals;
    ext->locals = copy;
    return 0;
}

void cr_local_restore(cr_task *task, struct cr_locals *before)
{
    cr_locals_drop(cr_task_state_of(cr_loop_here), task->ext->locals);
    task->ext->locals = before;
}

/* In place only where no other task shares the array. */
int crank_local_set(const crank_local *key, void *value)
{
    CR_CHECK(!lent || cr_loop_here,
        "crank_local_set: called in a thread job, which can only read the values that its task had "
        "when it was spawned; set them before crank_to_thread, or return what the job has found");
    cr_task *self = cr_checked_self("crank_local_set");
    cr_task_state *tasks = cr_task_state_of(cr_loop_here);
    size_t i = find(cr_locals_of(self), key);
    struct cr_locals *locals = self->ext ? self->ext->locals : NULL;
    if (!locals || i == locals->count || locals->references > 1) {
        cr_ext *ext = cr_record_ext(tasks, self);
        locals = ext ? own_copy(tasks, ext) : NULL;
        if (!locals)
            return cr_error_set(-ENOMEM, "crank_local_set: out of memory");
        locals->count += i == locals->count;
    }
    locals->entries[i] = (struct entry){ key, value };
    return 0;
}
