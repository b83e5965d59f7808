/* SPDX-License-Identifier: MIT */
/* describe.c: a task in words: its name, state, place and what it waits for; and the questions one
 * may ask about tasks.
 *
 * Owns: the text of one task, as reports, CHECKs and crank_describe give it. Does not own what a
 * wait is called, which the wait itself says (cr_wait). Allocates nothing: it is called where
 * memory has run out and from the handler of a stack overflow, and its frames are kept small,
 * for the caller may be a task with little stack left. */
#include "task/tasks.h"
#include "base/check.h"
#include <stdio.h>
#include <string.h>

/* Most tasks are never named: their number is their name, made when asked. */
const char *cr_task_name(const cr_task *task)
{
    /* several may stand in one sentence; initial-exec, for the handler of an overflow asks too */
    static __thread __attribute__((tls_model("initial-exec"))) char names[4][32];
    static __thread __attribute__((tls_model("initial-exec"))) unsigned next;
    if (task->ext && task->ext->name[0])
        return task->ext->name;
    char *name = names[next++ % 4];
    snprintf(name, sizeof names[0], "%s-%llu",
        task->fiber.flags & CR_TASK_FUTURE ? "Future" : "Task",
        (unsigned long long)cr_task_number(task));
    return name;
}

/* The words of asyncio where it has them (pending, cancelling, finished), for who comes from
 * there. */
static const char *state_of(const cr_task *task)
{
    switch ((enum cr_life)task->fiber.life) {
    case CR_FREE: return "free";
    case CR_HELD: return "held";
    case CR_ASIDE: return task->fiber.flags & CR_TASK_FUTURE ? "unset" : "in a thread";
    case CR_RETURNED: return "returned, waits for its children";
    case CR_ENDED:
        return task->fiber.flags & CR_TASK_CANCELED ? "cancelled"
               : task->fiber.flags & CR_TASK_FAILED ? "failed"
                                                    : "finished";
    case CR_ALIVE: break;
    }
    if (cr_self() == task)
        return "running";
    if (CR_TALLY_REQUESTS(task))
        return "cancelling";
    return cr_task_is_new(task) ? "new" : "pending";
}

/* Gives the length the whole text would have, as snprintf does; every part is cut to its own
 * room, so that a long name cannot push out what the task waits for. */
size_t cr_task_describe(const cr_task *task, char *buf, size_t size)
{
    const crank_site *site = task->site;
    char place[96] = "", wait[160] = "", result[48] = "";
    const char *file = strrchr(site->file, '/');
    bool future = task->fiber.flags & CR_TASK_FUTURE;
    if (site->line > 0)
        snprintf(place, sizeof place, " %s at %s:%d", future ? "made" : "spawned",
            file ? file + 1 : site->file, site->line);
    if (cr_task_parked(task)) {
        const cr_wait *w = task->fiber.wait;
        char what[120] = "";
        if (w->describe)
            (void)w->describe(task, what, sizeof what);
        snprintf(wait, sizeof wait, " %s %s", w->what, what);
        size_t end = strlen(wait);
        while (end > 0 && wait[end - 1] == ' ')
            wait[--end] = '\0';
    }
    if (task->fiber.life == CR_ENDED && site->kind <= CRANK_KIND_UNSIGNED)
        snprintf(result, sizeof result, " result=%ld", cr_task_value(task));
    int n = snprintf(buf, size, "<%s %s name='%s'%s%s%s%s%s>", future ? "Future" : "Task",
        state_of(task), cr_task_name(task), future ? "" : " fn=", future ? "" : site->function,
        place, wait, result);
    return n > 0 ? (size_t)n : 0;
}

/* Stands behind the sentence of every failed CHECK: which task it was. */
static size_t check_line(char *buf, size_t size)
{
    const cr_task *self = cr_self();
    return self ? cr_task_describe(self, buf, size) : 0;
}

/* Every loop's thread sets it, to the same. */
void cr_describe_install(void) { __atomic_store_n(&cr_check_hook, check_line, __ATOMIC_RELAXED); }

/* ---- questions */

/* NULL means the running task, in all calls that ask. */
static cr_task *asked(crank_task *task, const char *call)
{
    return task ? cr_task_of(task, call) : cr_self_checked(call);
}

size_t(crank_describe)(crank_task *task, char *buf, size_t size)
{
    return cr_task_describe(asked(task, "crank_describe"), buf, size);
}

crank_task *crank_self(void)
{
    const cr_task *self = cr_self();
    return self ? cr_handle(self) : NULL;
}

crank_task *crank_parent(crank_task *task)
{
    const cr_task *parent = cr_task_parent(asked(task, "crank_parent"));
    return parent ? cr_handle(parent) : NULL;
}

void(crank_set_name)(crank_task *handle, const char *name)
{
    cr_task *task = asked(handle, "crank_set_name");
    cr_ext *ext = cr_task_ext(cr_tasks_of(cr_loop_here), task);
    if (ext) /* short memory costs the name, no more */
        snprintf(ext->name, sizeof ext->name, "%s", name ? name : "");
}

/* The caller may keep it: a task without a name of its own has its number for one from now on. */
const char *(crank_name)(crank_task *handle)
{
    cr_task *task = asked(handle, "crank_name");
    cr_ext *ext = cr_task_ext(cr_tasks_of(cr_loop_here), task);
    if (ext && !ext->name[0])
        snprintf(ext->name, sizeof ext->name, "%s", cr_task_name(task));
    return cr_task_name(task);
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
 * others. Whoever asks knows of it: it is not reported any more. */
int(crank_result)(crank_task *handle, long *ret_value)
{
    if (!handle) {
        *ret_value =
            cr_failed(-ENOMEM, "crank_result: the task could not be spawned: out of memory");
        return 0;
    }
    cr_task *task = cr_task_of(handle, "crank_result");
    if (task->fiber.life != CR_ENDED)
        return -EAGAIN;
    CR_CHECK(task->site->kind <= CRANK_KIND_UNSIGNED || (task->fiber.flags & CR_TASK_BROKEN),
        "crank_result: task '%s' does not return an integer; await it", cr_task_name(task));
    *ret_value = cr_task_value(task);
    if (task->fiber.flags & CR_TASK_FAILED) {
        task->fiber.flags |= CR_TASK_CLAIMED;
        if (cr_self())
            cr_failure_copy(cr_loop_here, task, cr_self());
    }
    return 0;
}

/* Numbers grow with every spawn in the process, so they order tasks by age; but they begin again:
 * what counts is how long before the next one, at the loop, it was given. */
static uint64_t order_of(const crank_task *handle)
{
    return cr_number_after((uintptr_t)handle, cr_tasks_of(cr_loop_here)->number);
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

/* The spare record looks alive to the walk, but is nobody's task. */
size_t crank_tasks(crank_task **ret_tasks, size_t max)
{
    cr_tasks *tasks = cr_tasks_of(cr_loop_checked("crank_tasks"));
    listing list = { .at = ret_tasks, .max = max, .ordered = true };
    size_t count = 0, at = 0;
    for (cr_task *t = cr_record_next(tasks, &at); t; t = cr_record_next(tasks, &at)) {
        if (t->fiber.life == CR_ENDED || (t->fiber.flags & CR_TASK_FUTURE) || t == tasks->spare)
            continue;
        add(&list, cr_handle(t));
        count++;
    }
    put_in_order(&list);
    return count;
}
