/* SPDX-License-Identifier: MIT */
/* report.c: what crank tells the user unasked: failures that were not awaited, deadlocks, tasks
 * that do not end. One form, through the run's hook where there is one, else to stderr, in colour
 * on a terminal.
 *
 * Owns: the sentences and their form. Does not own when something is worth saying, which is
 * decided where it is found, nor how a task reads (describe.c). Reports come when memory may be
 * short and stacks small: every text has a bounded size, larger ones are allocated, and without
 * memory a shorter sentence is said instead of none. */
#include "task/report.h"
#include "error/failure.h"
#include "task/describe.h"
#include "task/record.h"
#include "task/result.h"
#include "task/wait.h"
#include "base/check.h"
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The word for each kind: second in every report, behind "crank: ". */
static const char *const kinds[] = {
    [CRANK_REPORT_UNAWAITED] = "unawaited failure",
    [CRANK_REPORT_DEADLOCK] = "deadlock",
    [CRANK_REPORT_SWALLOWED] = "ignored cancellation",
    [CRANK_REPORT_UNCLAIMED] = "unclaimed tasks",
    [CRANK_REPORT_LEFTOVER] = "leftover",
    [CRANK_REPORT_NOTE] = "note",
    [CRANK_REPORT_OVERFLOW] = "stack overflow",
    [CRANK_REPORT_BLOCKED] = "blocked loop",
    [CRANK_REPORT_HELD] = "lost lock",
};

/* The report as it will be read: its head before it, a newline behind it. NULL when memory is
 * short. */
static char *whole_text(crank_loop *loop, enum crank_report_kind kind, const char *text)
{
    size_t length = strlen(text), size = length + strlen(kinds[kind]) + sizeof "crank: : \n";
    bool ends = length > 0 && text[length - 1] == '\n';
    char *whole = cr_alloc(loop->sys, size);
    if (whole)
        snprintf(whole, size, "crank: %s: %s%s", kinds[kind], text, ends ? "" : "\n");
    return whole;
}

/* "crank: deadlock:", the part in colour, ends behind the second colon. */
static size_t head_length(enum crank_report_kind kind)
{
    return sizeof "crank: :" - 1 + strlen(kinds[kind]);
}

/* Reports are made amid the end of a task or the giving up of a handle. So the hook is called as a
 * callback is, in no task: what it spawns is app's, and waiting is a CHECK. */
static void call_hook(crank_loop *loop, const crank_report *report)
{
    cr_fiber *current = loop->runner.current;
    loop->runner.current = NULL;
    loop->options.on_report(report, loop->options.on_report_arg);
    loop->runner.current = current;
}

/* stdout is flushed first, so that the report stands behind what the program had printed. */
void cr_report(
    crank_loop *loop, enum crank_report_kind kind, int error, const cr_task *task, const char *text)
{
    char spare[96];
    char *whole = whole_text(loop, kind, text);
    snprintf(spare, sizeof spare, "crank: %s: its text was lost: out of memory\n", kinds[kind]);
    const char *said = whole ? whole : spare;
    if (loop->options.on_report) {
        crank_report report = {
            .kind = kind, .error = error, .task = task ? cr_describe_name(task) : NULL, .text = said
        };
        call_hook(loop, &report);
    } else {
        cr_paint paint = cr_check_paint();
        size_t head = head_length(kind);
        fflush(stdout);
        fprintf(stderr, "%s%.*s%s%s", paint.on, (int)head, said, paint.off, said + head);
    }
    cr_free(loop->sys, whole);
}

/* ---- where neither stdio nor the allocator may be called */

size_t cr_report_head(enum crank_report_kind kind, char *buf, size_t size)
{
    return cr_text_format(buf, size, "crank: %s: ", kinds[kind]);
}

static void write_all(const cr_sys *sys, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t wrote = sys->write(sys->context, STDERR_FILENO, text, length);
        if (wrote < 0 && wrote != -EINTR)
            return;
        text += wrote > 0 ? wrote : 0;
        length -= wrote > 0 ? (size_t)wrote : 0;
    }
}

/* The head goes out apart where it has a colour; else all in one write, so that lines of several
 * threads do not mix. */
void cr_report_plainly(crank_loop *loop, const crank_report *report)
{
    cr_paint paint = cr_check_paint();
    const char *rest = report->text;
    char head[80];
    if (loop->options.on_report) {
        loop->options.on_report(report, loop->options.on_report_arg);
        return;
    }
    if (*paint.on) {
        size_t length = head_length(report->kind);
        int used = snprintf(head, sizeof head, "%s%.*s%s", paint.on, (int)length, rest, paint.off);
        write_all(loop->base_sys, head, used > 0 ? (size_t)used : 0);
        rest += length;
    }
    write_all(loop->base_sys, rest, strlen(rest));
}

/* Without memory for the whole text the introduction alone is said. */
void cr_report_failure(
    crank_loop *loop, const cr_task *task, const cr_failure *failure, const char *introduction)
{
    size_t before = strlen(introduction), size = before + cr_failure_format(failure, NULL, 0) + 1;
    char *text = cr_alloc(loop->sys, size);
    if (text) {
        memcpy(text, introduction, before + 1);
        (void)cr_failure_format(failure, text + before, size - before);
    }
    cr_report(
        loop, CRANK_REPORT_UNAWAITED, cr_failure_error(failure), task, text ? text : introduction);
    cr_free(loop->sys, text);
}

/* A task that failed by its bare result has no failure; its spawn place is all there is to say. */
void cr_report_unawaited(crank_loop *loop, cr_task *task)
{
    cr_failure *failure = cr_failure_of(task);
    if (failure) {
        cr_failure_spawned(failure, task->site);
        cr_report_failure(loop, task, failure, "");
        return;
    }
    char text[768];
    long value = cr_result_value(task);
    bool future = task->fiber.flags & CR_TASK_FUTURE;
    const crank_site *site = task->site;
    snprintf(text, sizeof text, "%s '%s' failed: %s [%s]\n  %s%s, %s at %s:%d in %s()\n",
        future ? "future" : "task", cr_describe_name(task), cr_failure_error_words(value),
        crank_errno_name(cr_errno_of(value)), future ? "future" : "task ",
        future ? "" : site->function, future ? "made" : "spawned", site->file, site->line,
        site->caller);
    cr_report(loop, CRANK_REPORT_UNAWAITED, -cr_errno_of(value), task, text);
}

/* The wait it is in names the place: that is where the request was swallowed, or is still due. */
void cr_report_swallowed(crank_loop *loop, const cr_task *task)
{
    char line[512], text[800];
    (void)cr_describe_task(task, line, sizeof line);
    snprintf(text, sizeof text,
        "a task has not ended within %g s of being asked; it is asked again:\n  %s\n",
        loop->options.grace, line);
    cr_report(loop, CRANK_REPORT_SWALLOWED, 0, task, text);
}

/* ---- deadlock, and tasks that do not end */

/* One step along the edges of the waits-for graph, of which every task has one at most. */
static cr_task *holder_of(const cr_task *task)
{
    if (!cr_task_parked(task))
        return NULL;
    const cr_wait_ops *wait = task->fiber.wait;
    return wait->blocked_by ? wait->blocked_by(task) : NULL;
}

/* Does following holders from task come back to it? Then name the ring. With one edge per task
 * there is nothing to search: follow it, for at most 64 steps, since a ring that task is not
 * part of would lead on for ever. */
static bool list_cycle(cr_text *l, const cr_task *task)
{
    const cr_task *slow = task, *fast = holder_of(task);
    for (size_t steps = 0; fast && fast != task && steps < 64; steps++)
        fast = holder_of(fast);
    if (fast != task)
        return false;
    cr_text_add(l, "  cycle: '%s'", cr_describe_name(task));
    do {
        slow = holder_of(slow);
        cr_text_add(l, " -> '%s'", cr_describe_name(slow));
    } while (slow != task);
    cr_text_add(l, "\n");
    return true;
}

/* The task that can end its wait is named beside it: often that is all the reader needs to know. */
static void list_task(cr_text *l, const cr_task *task)
{
    char text[512];
    (void)cr_describe_task(task, text, sizeof text);
    cr_text_add(l, "  %s\n", text);
    const cr_task *holder = holder_of(task);
    if (holder && !(holder->fiber.flags & CR_TASK_FUTURE))
        cr_text_add(
            l, "    up to task '%s' (%s)\n", cr_describe_name(holder), holder->site->function);
    else if (holder)
        cr_text_add(l, "    up to future '%s'\n", cr_describe_name(holder));
}

/* One ring is enough: it is the reason, and the others hang off it as a rule. A task that waits
 * for no other task may be one that a thread was going to wake: the loop cannot know of that. */
static void list_deadlock(cr_text *l, size_t shown, crank_task **handles)
{
    size_t count = crank_tasks(handles, shown);
    bool cycle = false, by_no_task = false;
    cr_text_add(l, "%zu task%s wait%s and nothing can wake %s\n", count, count == 1 ? "" : "s",
        count == 1 ? "s" : "", count == 1 ? "it" : "them");
    for (size_t i = 0; i < count && i < shown; i++) {
        const cr_task *task = cr_task_of(handles[i], "deadlock");
        list_task(l, task);
        const cr_task *holder = holder_of(task);
        by_no_task |= cr_task_parked(task) && (!holder || (holder->fiber.flags & CR_TASK_FUTURE));
        if (!cycle)
            cycle = list_cycle(l, task);
    }
    if (count > shown)
        cr_text_add(l, "  and %zu more\n", count - shown);
    if (by_no_task || count > shown)
        cr_text_add(l,
            "  if another thread is still going to wake one (crank_post, crank_submit), hold a "
            "crank_waker until it has\n");
}

/* The whole list of a program with a million tasks is of no help: the oldest hundred are shown, the
 * rest is a number. */
void cr_report_deadlock(crank_loop *loop)
{
    enum { SHOWN = 100, SIZE = 64 * 1024 };
    cr_text l = { cr_alloc(loop->sys, SIZE), SIZE, 0 };
    crank_task **handles = cr_alloc(loop->sys, SHOWN * sizeof(crank_task *));
    if (l.buf && handles)
        list_deadlock(&l, SHOWN, handles);
    cr_report(loop, CRANK_REPORT_DEADLOCK, -EDEADLK, NULL,
        l.length ? l.buf : "tasks wait and nothing can wake them (out of memory to list them)");
    cr_free(loop->sys, handles);
    cr_free(loop->sys, l.buf);
}

/* Has it been asked to end, and not done so? Futures and the spare record have no code that could
 * end. */
static bool ignores(const cr_task_state *tasks, const cr_task *task)
{
    return task->fiber.life != CR_ENDED && !(task->fiber.flags & CR_TASK_FUTURE) &&
           task != tasks->spare && CR_COUNTS_REQUESTS(task) > 0;
}

/* The first of them in the order of their records, which is that of their spawns as a rule. */
size_t cr_report_ignoring(crank_loop *loop, const char *what)
{
    enum { SHOWN = 20, SIZE = 12 * 1024 };
    const cr_task_state *tasks = cr_task_state_of(loop);
    cr_text l = { cr_alloc(loop->sys, SIZE), SIZE, 0 };
    size_t count = 0, at = 0, shown = 0;
    for (cr_task *t = cr_record_next(cr_task_state_of(loop), &at); t;
         t = cr_record_next(cr_task_state_of(loop), &at))
        count += ignores(tasks, t);
    if (count > 0 && l.buf) {
        cr_text_add(&l, "%zu task%s %s\n", count, count == 1 ? " has" : "s have", what);
        at = 0;
        for (cr_task *t = cr_record_next(cr_task_state_of(loop), &at); t && shown < SHOWN;
             t = cr_record_next(cr_task_state_of(loop), &at)) {
            if (!ignores(tasks, t))
                continue;
            list_task(&l, t);
            shown++;
        }
        if (count > shown)
            cr_text_add(&l, "  and %zu more\n", count - shown);
    }
    if (count > 0)
        cr_report(loop, CRANK_REPORT_SWALLOWED, 0, NULL,
            l.buf ? l.buf : "tasks were asked to end and have not (out of memory to list them)");
    cr_free(loop->sys, l.buf);
    return count;
}
