/* SPDX-License-Identifier: MIT */
/* run.c: a whole program: the outermost scope.
 *
 * Owns: the way from crank_run to the root task and back: opening loop and tasks, setting the hooks
 * by which lower ranks reach up, driving until root and detached tasks have ended, and what main is
 * told. Does not own when that is (shutdown.c), nor what Ctrl-C does (interrupt.c).
 *
 * The root is owned by an owner that has no parent, detached tasks by the loop's own; when the root
 * has ended the detached ones are cancelled, and when they have ended too the loop stops. So
 * nothing is left when crank_run returns, as after Trio's run and unlike a process that exits with
 * threads. */
#include <crank/loop.h>
#include <crank/run.h>
#include "run/run.h"
#include "generator/generator.h"
#include "io/socketlike.h"
#include "run/interrupt.h"
#include "run/task_state.h"
#include "run/program.h"
#include "run/shutdown.h"
#include "scope/nursery.h"
#include "scope/release.h"
#include "scope/scope.h"
#include "scope/sleeper.h"
#include "scope/spawn.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/hibernate.h"
#include "task/report.h"
#include "task/wait.h"
#include "base/check.h"
#include "loop/options.h"
#include <stdio.h>
#include <string.h>

/* Some stacks stay hot, and what is more than those is given back only when no task has needed it
 * for a second: a program that was idle for a moment is often not idle for the next. */
static enum cr_idle idle(crank_loop *loop)
{
    enum { KEEP = 64 };
    cr_stacks *stacks = cr_task_state_of(loop)->stacks;
    if (cr_stacks_trim(stacks))
        return CR_IDLE_NOW;
    return cr_stacks_set_aside(stacks, KEEP) ? CR_IDLE_LATER : CR_IDLE_DONE;
}

static const cr_hooks hooks = {
    .need_stack = cr_sleeper_need_stack,
    .starved = cr_shutdown_starved,
    .idle = idle,
    .timer_due = { [CR_TIMER_TASK] = cr_task_timer_due,
        [CR_TIMER_SCOPE] = cr_timeout_due,
        [CR_TIMER_OTHER] = cr_hibernate_due,
        [CR_TIMER_STREAM] = cr_limit_due },
};

/* On the alternate stack of a thread that is about to die, perhaps inside of malloc or printf. */
static void report_overflow(const void *address, size_t depth, size_t limit)
{
    char text[800], line[512] = "";
    const cr_task *self = cr_self();
    if (!cr_loop_here)
        return;
    if (self)
        (void)cr_describe_task(self, line, sizeof line);
    size_t head = cr_report_head(CRANK_REPORT_OVERFLOW, text, sizeof text);
    snprintf(text + head, sizeof text - head,
        "%zu bytes deep of %zu, at %p, in\n  %s\n  give it more with "
        "options.stack_size, or make its frames smaller\n",
        depth, limit, address, line);
    cr_report_plainly(cr_loop_here, &(crank_report){ .kind = CRANK_REPORT_OVERFLOW,
                                        .error = -EFAULT,
                                        .task = self ? cr_describe_name(self) : NULL,
                                        .text = text });
}

/* ---- running */

/* The hooks by which lower layers reach up: set before the first task exists. */
static void tasks_prepare(cr_run *r)
{
    cr_task_state *tasks = cr_task_state_of(r->loop);
    tasks->run = r;
    tasks->pending = &cr_interruption_ops;
    cr_nursery_init(&r->top, cr_shutdown_root_ended);
    cr_nursery_init(&r->detached, cr_shutdown_detached_ended);
    tasks->detached = &r->detached;
    cr_generators_open(r->loop);
    r->loop->hooks = &hooks;
    cr_describe_install();
}

/* The captured call as it was when crank_run was called: opening a loop must not disturb it. */
struct captured {
    cr_small_args few;
    cr_large_args many;
};

/* The call was captured before there was a loop: it is put where spawning looks for it. */
static int start_root(
    cr_run *r, crank_function_ *fn, const crank_site *site, const struct captured *args)
{
    *cr_fiber_captured_small() = args->few;
    *cr_fiber_captured_large() = args->many;
    cr_task *root = cr_spawn_make_owned(r->loop, &r->top, fn, site);
    if (!root)
        return -ENOMEM;
    root->fiber.flags |= CR_TASK_ROOT;
    cr_task_state_of(r->loop)->root = root;
    cr_spawn_ready(r->loop, root);
    return 0;
}

/* The callbacks that the last ends and the last posts have put into the ready line. Not what these
 * put there: one that calls itself again would never let the run end. */
static void run_out(crank_loop *loop)
{
    size_t ready = 0;
    for (const cr_fiber *item = loop->runner.head; item; item = item->next)
        ready++;
    for (size_t turns = (ready + CR_STEPS - 1) / CR_STEPS; turns > 0; turns--)
        (void)cr_turn(loop, false, CR_NEVER);
}

/* Opened from the inside out and closed in the opposite order. Ctrl-C is handled only while
 * there is a loop to post to; interrupted_run is cleared after the handler is gone. */
static int drive(
    cr_run *r, crank_function_ *fn, const crank_site *site, const struct captured *args)
{
    crank_loop *loop = r->loop;
    int err = cr_task_state_open(loop);
    if (err < 0)
        return err;
    cr_loop_here = loop;
    tasks_prepare(r);
    cr_capture_into(cr_fiber_small(&cr_task_state_of(loop)->spare->fiber));
    err = cr_overflow_install(loop->sys, cr_task_state_of(loop)->stacks, report_overflow);
    if (err == 0) {
        err = cr_hibernate_open(loop);
        bool interrupts_here = cr_interrupts_handle(r);
        if (err == 0)
            err = start_root(r, fn, site, args);
        if (err == 0) {
            cr_turn_drive(loop);
            cr_wakeup_close(loop->wakeup);
            run_out(loop);
            cr_release_dones_left(loop);
        }
        if (r->grace)
            (void)crank_handle_cancel(r->grace);
        cr_hibernate_close(loop);
        if (interrupts_here)
            cr_interrupts_leave();
        cr_overflow_remove(cr_task_state_of(loop)->stacks);
    }
    cr_generators_free(loop);
    cr_task_state_close(loop);
    cr_capture_into(NULL);
    cr_capture_into_block(NULL);
    cr_loop_here = NULL;
    return err;
}

/* A user that has set a seed expects the same run each time. Where the run is not simulated, say
 * that it has no effect. */
static void note_ignored(crank_loop *loop)
{
    const char *name = loop->simulated ? NULL : cr_options_ignored();
    char text[160];
    if (!name)
        return;
    snprintf(text, sizeof text,
        "%s has no effect: this run is on %s, and the variable is for the simulator "
        "(CRANK_BACKEND=sim)\n",
        name, loop->backend->type->name);
    cr_report(loop, CRANK_REPORT_NOTE, 0, NULL, text);
}

/* Open, run, close. r->error, failure and result say what became of it. */
static void run_program(cr_run *r, const cr_sys *sys, const crank_options *options,
    crank_function_ *fn, const crank_site *site)
{
    struct captured args = { *cr_fiber_captured_small(), *cr_fiber_captured_large() };
    const char *why = NULL;
    CR_CHECK(!cr_loop_here,
        "crank_run: a program runs on this thread already; call the function itself, or spawn it");
    int err = cr_loop_open(options, sys, &r->loop, &why);
    if (err == 0) {
        note_ignored(r->loop);
        err = drive(r, fn, site, &args);
        if (r->loop->options.print_trace_hash && r->loop->simulated)
            fprintf(stderr, "crank: trace hash %016llx\n",
                (unsigned long long)r->loop->backend->type->trace_hash(r->loop->backend));
        cr_loop_close(r->loop);
    }
    if (err < 0)
        r->error =
            cr_error_set(err, "crank_run: cannot run: %s", why ? why : cr_failure_error_words(err));
}

/* The root's failure becomes the thread's, where crank_last_failure finds it after the run. */
static long run_on(
    const cr_sys *sys, const crank_options *options, crank_function_ *fn, const crank_site *site)
{
    cr_run r = { 0 };
    run_program(&r, sys, options, fn, site);
    if (r.failure)
        cr_failure_set_thread(r.failure);
    return r.error < 0 ? r.error : r.result;
}

long crank_run_with_(const crank_options *options, crank_function_ *fn, const crank_site *site)
{
    return run_on(NULL, options, fn, site);
}

long cr_run_raw_on(const cr_sys *sys, const crank_options *options, long (*fn)(void *), void *arg)
{
    static const crank_site site = { "(raw)", "", "", 0, CRANK_KIND_SIGNED, sizeof(long), 1, false,
        1, 0 };
    *cr_fiber_captured_small() = (cr_small_args){ .general = { (uint64_t)(uintptr_t)arg } };
    return run_on(sys, options, (crank_function_ *)fn, &site);
}

long crank_run_raw(const crank_options *options, long (*fn)(void *), void *arg)
{
    return cr_run_raw_on(NULL, options, fn, arg);
}

/* What main is told of a failed app. */
static void print_failure(const cr_run *r, const crank_site *site)
{
    fflush(stdout);
    if (r->failure) {
        crank_error_print(); /* it is this thread's by now */
    } else {
        fprintf(stderr, "crank: %s failed: %s [%s]\n", site->function,
            cr_failure_error_words(r->result), crank_errno_name(cr_errno_of(r->result)));
    }
}

/* The statuses main gives: 130 is what a shell says of SIGINT, 70 is sysexits' internal error.
 * The result is cut to what a process can return. */
int crank_run_(int zero, crank_function_ *fn, const crank_site *site)
{
    enum { FAILED = 1, DEADLOCK = 70, INTERRUPTED = 130 };
    (void)zero;
    cr_run r = { 0 };
    run_program(&r, NULL, &(crank_options){ .handle_interrupt = true }, fn, site);
    int status = (int)(r.result & 0xff);
    if (r.failure)
        cr_failure_set_thread(r.failure);
    if (r.error < 0 && r.failed && r.result != -ECANCELED)
        print_failure(&r, site); /* it gave in, and failed on its way out */
    if (r.error == -EDEADLK) {
        status = DEADLOCK;
    } else if (r.error == -EINTR) {
        status = INTERRUPTED;
    } else if (r.error < 0) {
        fprintf(stderr, "crank: %s\n", crank_error());
        status = FAILED;
    } else if (r.failed) {
        print_failure(&r, site);
        status = FAILED;
    }
    cr_failure_free(cr_failure_take_thread());
    return status;
}
