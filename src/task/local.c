/* SPDX-License-Identifier: MIT */
/* local.c: task-locals.
 *
 * A task's values are an array that is never changed once shared: a child takes a reference when
 * spawned, and whoever sets a value takes a copy first if others have it too. So a child sees what
 * its spawner had set, and neither sees what the other sets later, as with Python's contextvars
 * (which share a hash trie; few keys are expected here, so a copy and a scan are cheaper).
 *
 * References are counted without atomics: all tasks that share an array are of one loop. */
#include "task/tasks.h"
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

void cr_locals_drop(cr_tasks *tasks, struct cr_locals *locals)
{
    if (--locals->references == 0)
        cr_free(tasks->loop->sys, locals);
}

/* Costs a spawner with locals one ext per child, and one without them nothing. */
bool cr_locals_inherit(cr_tasks *tasks, cr_task *child, const cr_task *parent)
{
    cr_ext *ext = cr_task_ext(tasks, child);
    if (!ext)
        return false;
    ext->locals = parent->ext->locals;
    ext->locals->references++;
    return true;
}

static struct entry *find(const cr_task *task, const crank_local *key)
{
    struct cr_locals *locals = task->ext ? task->ext->locals : NULL;
    for (size_t i = 0; locals && i < locals->count; i++)
        if (locals->entries[i].key == key)
            return &locals->entries[i];
    return NULL;
}

/* A key that was never set has NULL: no error, since a default is what a local is for. */
void *crank_local_get(const crank_local *key)
{
    const struct entry *entry = find(cr_self_checked("crank_local_get"), key);
    return entry ? entry->value : NULL;
}

/* The task's own array with room for one more, in place of the one it has. */
static struct cr_locals *own_copy(cr_tasks *tasks, cr_ext *ext)
{
    size_t count = ext->locals ? ext->locals->count : 0;
    struct cr_locals *copy =
        cr_alloc(tasks->loop->sys, sizeof *copy + (count + 1) * sizeof copy->entries[0]);
    if (!copy)
        return NULL;
    copy->references = 1;
    copy->count = count;
    if (count > 0)
        memcpy(copy->entries, ext->locals->entries, count * sizeof copy->entries[0]);
    if (ext->locals)
        cr_locals_drop(tasks, ext->locals);
    ext->locals = copy;
    return copy;
}

/* In place only where nobody shares the array. find is asked again after the copy, for the entry
 * found before lay in the old one. */
int crank_local_set(const crank_local *key, void *value)
{
    cr_task *self = cr_self_checked("crank_local_set");
    cr_tasks *tasks = cr_tasks_of(cr_loop_here);
    struct entry *entry = find(self, key);
    if (entry && self->ext->locals->references == 1) {
        entry->value = value;
        return 0;
    }
    cr_ext *ext = cr_task_ext(tasks, self);
    struct cr_locals *locals = ext ? own_copy(tasks, ext) : NULL;
    if (!locals)
        return cr_failed(-ENOMEM, "crank_local_set: out of memory");
    entry = find(self, key);
    if (!entry)
        entry = &locals->entries[locals->count++];
    *entry = (struct entry){ key, value };
    return 0;
}
