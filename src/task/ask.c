/* SPDX-License-Identifier: MIT */
/* ask.c: the questions one may ask about tasks: which one runs, what one is called, whether it has
 * ended and with what, which there are.
 *
 * Owns no state. None of the questions waits. crank_tasks sorts without memory of its own, for it
 * is asked when memory has run out, too. */
#include "task/describe.h"
#include "task/error.h"
#include "task/result.h"
#include "base/check.h"
#include <stdio.h>

size_t(crank_describe)(crank_task *task, char *buf, size_t size)
{
    return cr_describe_task(cr_task_or_self(task, "crank_describe"), buf, size);
}

crank_task *crank_self(void)
{
    const cr_task *self = cr_self();
    return self ? cr_task_handle(self) : NULL;
}

void(crank_set_name)(crank_task *handle, const char *name)
{
    cr_task *task = cr_task_or_self(handle, "crank_set_name");
    cr_ext *ext = cr_record_ext(cr_task_state_of(cr_loop_here), task);
    if (ext) /* short memory costs the name, no more */
        snprintf(ext->name, sizeof ext->name, "%s", name ? name : "");
}

/* The caller may keep it: a task without a name of its own has its number for one from now on. */
const char *(crank_name)(crank_task *handle)
{
    cr_task *task = cr_task_or_self(handle, "crank_name");
    cr_ext *ext = cr_record_ext(cr_task_state_of(cr_loop_here), task);
    if (ext && !ext->name[0])
        snprintf(ext->name, sizeof ext->name, "%s", cr_describe_name(task));
    return cr_describe_name(task);
}

/* NULL is a task that could not be spawned: it has ended with -ENOMEM. */
bool(crank_done)(crank_task *handle)
{
    return !handle || cr_task_of(handle, "crank_done")->fiber.life == CR_ENDED;
}

bool(crank_was_cancelled)(crank_task *handle)
{
    if (!handle)
        return false;
    const cr_task *task = cr_task_of(handle, "crank_was_cancelled");
    return task->fiber.life == CR_ENDED && (task->fiber.flags & CR_TASK_CANCELED);
}

/* Asks without waiting and without giving up the handle; a failure's number is a result like
 * others. The caller knows of it then: it is not reported any more. */
int(crank_result)(crank_task *handle, long *ret_value)
{
    if (!handle) {
        *ret_value =
            cr_error_set(-ENOMEM, "crank_result: the task could not be spawned: out of memory");
        return 0;
    }
    cr_task *task = cr_task_of(handle, "crank_result");
    if (task->fiber.life != CR_ENDED)
        return -EAGAIN;
    CR_CHECK(task->site->kind <= CRANK_KIND_UNSIGNED || (task->fiber.flags & CR_TASK_BROKEN),
        "crank_result: task '%s' does not return an integer; await it", cr_describe_name(task));
    *ret_value = cr_result_value(task);
    if (task->fiber.flags & CR_TASK_FAILED) {
        task->fiber.flags |= CR_TASK_CLAIMED;
        if (cr_self())
            cr_error_copy(cr_loop_here, task, cr_self());
    }
    return 0;
}

/* Numbers grow with every spawn in the process, so they order tasks by age; but they begin again:
 * what counts is how long before the next one, at the loop, it was given. */
static uint64_t order_of(const crank_task *handle)
{
    return cr_number_after((uintptr_t)handle, cr_task_state_of(cr_loop_here)->number);
}

/* The oldest max of all tasks, without memory of its own: in order while they come in order, else a
 * heap with the newest of them on top. */
typedef struct listing {
    crank_task **at;
    size_t count, max;
    bool ordered, heaped;
} listing;

/* Down only: the heap is made from the bottom up, and then only its top is replaced. */
static void sift(crank_task **at, size_t count, size_t i)
{
    crank_task *item = at[i];
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && order_of(at[child + 1]) > order_of(at[child]))
            child++;
        if (order_of(at[child]) <= order_of(item))
            break;
        at[i] = at[child];
    }
    at[i] = item;
}

/* Floyd's construction, in linear time; on an array that is a heap already it does nothing. */
static void make_heap(listing *list)
{
    for (size_t i = list->heaped ? 0 : list->count / 2; i-- > 0;)
        sift(list->at, list->count, i);
    list->heaped = true;
    list->ordered = false;
}

/* Records lie in slots that are used again, so the walk gives them out of order as a rule; where
 * it gives them in order, nothing is sorted at all. */
static void add(listing *list, crank_task *handle)
{
    bool newer = list->count == 0 || order_of(handle) > order_of(list->at[list->count - 1]);
    if (list->count < list->max) {
        list->ordered &= newer;
        list->at[list->count++] = handle;
    } else if (list->max > 0 && !(list->ordered && newer)) {
        make_heap(list);
        if (order_of(handle) < order_of(list->at[0])) {
            list->at[0] = handle;
            sift(list->at, list->count, 0);
        }
    }
}

/* The second half of a heapsort: the newest goes to the end, and so on. */
static void put_in_order(listing *list)
{
    if (list->ordered)
        return;
    make_heap(list);
    for (size_t n = list->count; n-- > 1;) {
        crank_task *last = list->at[n];
        list->at[n] = list->at[0];
        list->at[0] = last;
        sift(list->at, n, 0);
    }
}

/* The spare record looks alive to the walk, but is no task. */
size_t crank_tasks(crank_task **ret_tasks, size_t max)
{
    cr_task_state *tasks = cr_task_state_of(cr_checked_loop("crank_tasks"));
    listing list = { .at = ret_tasks, .max = max, .ordered = true };
    size_t count = 0, at = 0;
    for (cr_task *t = cr_record_next(tasks, &at); t; t = cr_record_next(tasks, &at)) {
        if (t->fiber.life == CR_ENDED || (t->fiber.flags & CR_TASK_FUTURE) || t == tasks->spare)
            continue;
        add(&list, cr_task_handle(t));
        count++;
    }
    put_in_order(&list);
    return count;
}
