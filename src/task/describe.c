/* SPDX-License-Identifier: MIT */
/* describe.c: a task in words: its name, state, place and what it waits for.
 *
 * Owns: the text of one task, as reports, CHECKs and crank_describe give it. Does not own what a
 * wait is called, which the wait itself says (cr_wait_ops). Allocates nothing: it is called where
 * memory has run out and from the handler of a stack overflow, and its frames are kept small,
 * for the caller may be a task with little stack left. */
#include "task/describe.h"
#include "task/record.h"
#include "task/result.h"
#include "task/wait.h"
#include "base/check.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

/* Most tasks are never named: their number is their name, made when asked. */
const char *cr_describe_name(const cr_task *task)
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

/* The words of asyncio where it has them (pending, cancelling, finished), for programmers coming
 * from there. */
static const char *state_of(const cr_task *task)
{
    switch ((enum cr_life)task->fiber.life) {
    case CR_FREE: return "free";
    case CR_DEFERRED: return "held";
    case CR_EXTERNAL: return task->fiber.flags & CR_TASK_FUTURE ? "unset" : "in a thread";
    case CR_COMPLETING: return "returned, waits for its children";
    case CR_ENDED:
        return task->fiber.flags & CR_TASK_CANCELED ? "cancelled"
               : task->fiber.flags & CR_TASK_FAILED ? "failed"
                                                    : "finished";
    case CR_ALIVE: break;
    }
    if (cr_self() == task)
        return "running";
    if (CR_COUNTS_REQUESTS(task))
        return "cancelling";
    return cr_task_is_new(task) ? "new" : "pending";
}

/* Gives the length the whole text would have, as snprintf does; every part is cut to its own
 * room, so that a long name cannot push out what the task waits for. */
size_t cr_describe_task(const cr_task *task, char *buf, size_t size)
{
    const crank_site *site = task->site;
    char place[96] = "", wait[160] = "", result[48] = "";
    const char *file = strrchr(site->file, '/');
    bool future = task->fiber.flags & CR_TASK_FUTURE;
    if (site->line > 0)
        snprintf(place, sizeof place, " %s at %s:%d", future ? "made" : "spawned",
            file ? file + 1 : site->file, site->line);
    if (cr_task_parked(task)) {
        const cr_wait_ops *w = task->fiber.wait;
        char what[120] = "";
        if (w->describe)
            (void)w->describe(task, what, sizeof what);
        snprintf(wait, sizeof wait, " %s %s", w->what, what);
        size_t end = strlen(wait);
        while (end > 0 && wait[end - 1] == ' ')
            wait[--end] = '\0';
    }
    if (task->fiber.life == CR_ENDED && site->kind <= CRANK_KIND_UNSIGNED)
        snprintf(result, sizeof result, " result=%ld", cr_result_value(task));
    return cr_text_format(buf, size, "<%s %s name='%s'%s%s%s%s%s>", future ? "Future" : "Task",
        state_of(task), cr_describe_name(task), future ? "" : " fn=", future ? "" : site->function,
        place, wait, result);
}

/* Stands behind the sentence of every failed CHECK: which task it was. */
static size_t check_line(char *buf, size_t size)
{
    const cr_task *self = cr_self();
    return self ? cr_describe_task(self, buf, size) : 0;
}

/* Every loop's thread sets it, to the same. */
void cr_describe_install(void) { __atomic_store_n(&cr_check_hook, check_line, __ATOMIC_RELAXED); }
