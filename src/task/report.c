/* SPDX-License-Identifier: MIT */
/* report.c: what crank tells the user unasked: failures nobody awaited, deadlocks. One form, through the run's hook where
 * there is one, else to stderr, in colour on a terminal. */
#include "task/tasks.h"
#include "base/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool coloured(void)
{
    return isatty(STDERR_FILENO) && !getenv("NO_COLOR");
}

void cr_report(crank_loop *loop, enum crank_report_kind kind, int error, const cr_task *task, const char *text)
{
    char whole[16384];
    size_t n = (size_t)snprintf(whole, sizeof whole - 1, "crank: %s", text);
    if (n > sizeof whole - 2)
        n = sizeof whole - 2;
    if (n == 0 || whole[n - 1] != '\n') {
        whole[n] = '\n';
        whole[n + 1] = '\0';
    }
    if (loop->options.on_report) {
        crank_report report = { .kind = kind, .error = error, .task = task ? cr_task_name(task) : NULL, .text = whole };
        loop->options.on_report(&report, loop->options.on_report_arg);
        return;
    }
    fflush(stdout);
    if (coloured())
        fprintf(stderr, "\033[1;31mcrank:\033[0m%s", whole + strlen("crank:"));
    else
        fputs(whole, stderr);
}

void cr_report_unawaited(crank_loop *loop, cr_task *task)
{
    char text[8192];
    cr_failure *failure = cr_failure_of(task);
    size_t n = (size_t)snprintf(text, sizeof text, "a failure nobody awaited: ");
    if (failure) {
        cr_failure_spawned(failure, task->site);
        (void)cr_failure_format(failure, text + n, sizeof text - n);
    } else {
        long value = cr_task_value(task);
        snprintf(text + n, sizeof text - n, "task '%s' failed: %s [%s]\n  task %s, spawned at %s:%d in %s()\n",
            cr_task_name(task), strerror((int)-value), crank_errno_name((int)value), task->site->function,
            task->site->file, task->site->line, task->site->caller);
    }
    cr_report(loop, CRANK_REPORT_UNAWAITED, (int)cr_task_value(task), task, text);
}

void cr_report_swallowed(crank_loop *loop, const cr_task *task)
{
    char line[512], text[800];
    (void)cr_task_describe(task, line, sizeof line);
    snprintf(text, sizeof text, "a cancelled task has not ended within %g s; it is asked again:\n  %s\n",
        loop->options.grace, line);
    cr_report(loop, CRANK_REPORT_SWALLOWED, 0, task, text);
}

/* ---- deadlock */

struct listing {
    char *text;
    size_t size, length;
};

static void line(struct listing *l, const char *format, ...) CRANK_PRINTF(2, 3);
static void line(struct listing *l, const char *format, ...)
{
    if (l->length >= l->size)
        return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(l->text + l->length, l->size - l->length, format, args);
    va_end(args);
    l->length += n > 0 ? (size_t)n : 0;
}

static cr_task *holder_of(const cr_task *task)
{
    if (task->fiber.life != CR_ALIVE || task->fiber.run != CR_RUN_RESUME || !task->fiber.wait)
        return NULL;
    const cr_wait *wait = task->fiber.wait;
    return wait->holder ? wait->holder(task) : NULL;
}

/* Does following holders from task come back to it? Then name the ring. */
static bool list_cycle(struct listing *l, const cr_task *task)
{
    const cr_task *slow = task, *fast = holder_of(task);
    for (size_t steps = 0; fast && fast != task && steps < 64; steps++)
        fast = holder_of(fast);
    if (fast != task)
        return false;
    line(l, "  cycle: '%s'", cr_task_name(task));
    do {
        slow = holder_of(slow);
        line(l, " -> '%s'", cr_task_name(slow));
    } while (slow != task);
    line(l, "\n");
    return true;
}

static void list_task(struct listing *l, const cr_task *task)
{
    char text[512];
    (void)cr_task_describe(task, text, sizeof text);
    line(l, "  %s\n", text);
    const cr_task *holder = holder_of(task);
    if (holder)
        line(l, "    held by task '%s' (%s)\n", cr_task_name(holder), holder->site->function);
}

void cr_report_deadlock(crank_loop *loop)
{
    enum { SHOWN = 100 };
    crank_task *handles[SHOWN];
    char text[16000];
    struct listing l = { text, sizeof text, 0 };
    size_t count = crank_tasks(handles, SHOWN);
    line(&l, "deadlock: %zu task%s wait%s and nothing can wake %s\n", count, count == 1 ? "" : "s",
        count == 1 ? "s" : "", count == 1 ? "it" : "them");
    bool cycle = false;
    for (size_t i = 0; i < count && i < SHOWN; i++) {
        const cr_task *task = cr_task_of(handles[i], "deadlock");
        list_task(&l, task);
        if (!cycle)
            cycle = list_cycle(&l, task);
    }
    if (count > SHOWN)
        line(&l, "  and %zu more\n", count - SHOWN);
    cr_report(loop, CRANK_REPORT_DEADLOCK, -EDEADLK, NULL, text);
}
