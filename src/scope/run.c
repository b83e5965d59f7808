/* SPDX-License-Identifier: MIT */
/* run.c: a whole program: the outermost scope.
 *
 * Owns: the way from crank_run to the root task and back: opening loop and tasks, driving until
 * root and detached tasks have ended, what a deadlock and Ctrl-C do, and what main is told.
 *
 * The root is owned by an owner that has no opener, detached tasks by the loop's own; when the root
 * has ended the detached ones are cancelled, and when they have ended too the loop stops. So
 * nothing is left when crank_run returns, as after Trio's run and unlike a process that exits with
 * threads.
 *
 * A deadlock is reported, then the root is cancelled so that every cleanup runs; a program that
 * starves again after that is left as it is. */
#include <crank/loop.h>
#include <crank/run.h>
#include "scope/run.h"
#include "scope/generator.h"
#include "scope/open.h"
#include "scope/scope.h"
#include "task/cancel.h"
#include "task/describe.h"
#include "task/end.h"
#include "task/error.h"
#include "task/handle.h"
#include "task/hibernate.h"
#include "task/native.h"
#include "task/owner.h"
#include "task/reap.h"
#include "task/report.h"
#include "task/result.h"
#include "task/spawn.h"
#include "task/wait.h"
#include "base/check.h"
#include "base/fork.h"
#include "loop/options.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

typedef struct run {
    crank_loop *loop;
    cr_owner top;        /* owns the root */
    cr_owner detached;   /* owns what crank_detach gives up */
    bool ended;          /* the root has */
    long result;         /* of the root, as a long */
    bool failed;         /* the root did */
    int error;           /* why there was no result: deadlock, interrupt */
    cr_failure *failure; /* the root's, in memory that outlives the loop */
    crank_handle *grace; /* calls grace_over */
    bool named;          /* those that do not end were reported */
    cr_post interrupt;   /* Ctrl-C has come: on its way until the loop is closed, at the latest */
} run;

/* What was asked to end, by Ctrl-C or since the root has ended, is given so long. */
static void start_grace(run *r);

/* ---- Ctrl-C: process-wide, as signals are */

static _Atomic(run *) interrupted_run;
static _Atomic int interrupts;
static _Atomic int handling; /* handlers under way, on any thread: they may hold the run */
static struct sigaction handled_before; /* interrupted_run's, while there is one */

/* Async-signal-safe: two atomics and a post, which is one exchange and at most one write. The
 * second Ctrl-C puts the default action back and sends it again: a program that cannot end must
 * be endable. */
static void on_interrupt(int signal)
{
    int saved = errno;
    atomic_fetch_add(&handling, 1);
    run *r = atomic_load(&interrupted_run);
    if (!r) { /* the run has just ended, and whoever handled this before does again */
        raise(signal);
    } else if (atomic_fetch_add(&interrupts, 1) > 0) {
        struct sigaction standard = { .sa_handler = SIG_DFL };
        sigaction(signal, &standard, NULL);
        raise(signal);
    } else {
        (void)cr_loop_post(r->loop, &r->interrupt); /* refused: it came when the run was over */
    }
    atomic_fetch_sub(&handling, 1);
    errno = saved;
}

static run *run_of(crank_loop *loop) { return cr_tasks_of(loop)->run; }

/* In the loop, as a post. A root that has ended has nothing to cancel; the status says 130
 * anyway. */
static void interrupted(cr_post *post)
{
    run *r = cr_container_of(post, run, interrupt);
    if (!cr_loop_here)
        return; /* it came when the run was over, and is delivered as the loop is closed */
    r->error = -EINTR;
    if (r->ended)
        return;
    start_grace(r);
    (void)crank_cancel_because(cr_handle(cr_tasks_of(r->loop)->root), "interrupted (Ctrl-C)");
}

/* In the child of a fork the run goes on no more. */
static void forget_interrupts(void)
{
    if (atomic_exchange(&interrupted_run, NULL))
        sigaction(SIGINT, &handled_before, NULL);
    atomic_store(&handling, 0);
}
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static void prepare(void) { cr_fork_prepare(forget_interrupts); }

/* The first run that asks for it handles SIGINT; one at a time in a process. */
static bool handle_interrupts(run *r)
{
    run *none = NULL;
    r->interrupt.deliver = interrupted;
    (void)pthread_once(&prepared, prepare);
    if (!r->loop->options.handle_interrupt ||
        !atomic_compare_exchange_strong(&interrupted_run, &none, r))
        return false;
    atomic_store(&interrupts, 0);
    struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART | SA_ONSTACK };
    sigaction(SIGINT, NULL, &handled_before);
    if (handled_before.sa_handler == SIG_IGN) { /* nohup, background jobs: stay as we began */
        atomic_store(&interrupted_run, NULL);
        return false;
    }
    sigaction(SIGINT, &action, NULL);
    return true;
}

/* Afterwards no handler has the run any more, on whichever thread it ran. */
static void leave_interrupts(void)
{
    sigaction(SIGINT, &handled_before, NULL);
    atomic_store(&interrupted_run, NULL);
    while (atomic_load(&handling) > 0)
        sched_yield();
}

/* ---- the end of the root */

/* The only place where a run's loop is told to stop. Generators left open are closed before, by one
 * more detached task. */
static void stop_if_done(run *r)
{
    if (!r->ended || cr_tasks_of(r->loop)->detached->alive > 0)
        return;
    if (r->grace) {
        (void)crank_handle_cancel(r->grace);
        cr_tasks_of(r->loop)->graces--;
    }
    r->grace = NULL;
    if (!cr_generators_end(r->loop))
        r->loop->stopping = true;
}

/* Named once, and asked again: over and over while anything else goes on. Where nothing does, no
 * timer of ours may hide that the run starves. */
static void grace_over(void *arg)
{
    run *r = arg;
    crank_loop *loop = r->loop;
    cr_tasks *tasks = cr_tasks_of(loop);
    bool more = cr_grace_over(loop);
    char what[128];
    r->grace = NULL;
    if (loop->stopping)
        return;
    snprintf(what, sizeof what,
        "not ended within %g s of being asked, with the program about to end; asked again:",
        loop->options.grace);
    if (!r->named)
        r->named = cr_report_ignoring(loop, what) > 0;
    if (more)
        start_grace(r);
    if (!r->ended)
        (void)cr_task_cancel(loop, tasks->root);
    else
        cr_children_cancel(loop, tasks->detached->child);
}

/* Without memory for it nobody is named. After a deadlock there is none, which would hide that
 * nothing else happens. */
static void start_grace(run *r)
{
    cr_tasks *tasks = cr_tasks_of(r->loop);
    if (r->grace || tasks->stuck > 0)
        return;
    r->grace = crank_call_later(r->loop, r->loop->options.grace, grace_over, r);
    tasks->graces += r->grace != NULL;
}

/* The failure is copied to memory that outlives the loop before the root's record goes. */
static void root_ended(crank_loop *loop, cr_owner *owner, cr_task *root)
{
    run *r = cr_container_of(owner, run, top);
    cr_tasks *tasks = cr_tasks_of(loop);
    uint64_t bits = cr_task_bits(root);
    double real;
    memcpy(&real, &bits, sizeof real);
    bool is_real = root->site->kind == CRANK_KIND_DOUBLE || root->site->kind == CRANK_KIND_FLOAT;
    r->ended = true;
    r->failed = root->fiber.flags & CR_TASK_FAILED;
    r->result = is_real && !r->failed ? (long)real : (long)bits;
    r->failure = r->failed ? cr_failure_outlive(cr_failure_take(root)) : NULL;
    if (r->error == -EINTR && CR_TALLY_REQUESTS(root) == 0)
        r->error = 0; /* app took the request back: it has dealt with it, and its result stands */
    root->fiber.flags |= CR_TASK_CLAIMED;
    tasks->root = NULL;
    cr_task_release(loop, root);
    r->named = false;
    cr_name_leftovers(loop, tasks->detached->child);
    if (tasks->detached->alive > 0)
        start_grace(r);
    cr_children_cancel(loop, tasks->detached->child);
    stop_if_done(r);
}

/* Nobody holds a detached task's handle: its failure, if any, is reported by the release. */
static void detached_ended(crank_loop *loop, cr_owner *owner, cr_task *task)
{
    (void)owner;
    cr_task_release(loop, task);
    stop_if_done(run_of(loop));
}

/* ---- starving */

/* Everybody who is left is asked to end, so that cleanups run. The first time by the tree, so
 * that every task learns of it through its parent; then, since somebody did not end, each by
 * itself. */
static void cancel_all(crank_loop *loop)
{
    cr_tasks *tasks = cr_tasks_of(loop);
    if (tasks->stuck == 1) {
        if (tasks->root)
            (void)cr_task_cancel(loop, tasks->root);
        cr_children_cancel(loop, tasks->detached->child);
        return;
    }
    size_t at = 0;
    for (cr_task *t = cr_record_next(tasks, &at); t; t = cr_record_next(tasks, &at))
        if (t->fiber.life == CR_ALIVE && t != tasks->spare)
            (void)cr_task_cancel(loop, t);
}

/* Each try lets cleanups run until nothing moves again; a program that starves eight times has
 * tasks that ignore being cancelled, and is given up with its tasks unended. */
static bool starved(crank_loop *loop)
{
    enum { TRIES = 8 };
    cr_tasks *tasks = cr_tasks_of(loop);
    run *r = run_of(loop);
    if (tasks->stuck++ == 0) {
        r->error = -EDEADLK;
        cr_report_deadlock(loop);
    }
    if (tasks->stuck > TRIES) {
        (void)cr_report_ignoring(
            loop, "been given up, since the program cannot end and they ignore being asked to:");
        return true;
    }
    cancel_all(loop);
    return false;
}

/* Some stacks stay hot, and what is more than those is given back only when nobody has wanted it
 * for a second: a program that was idle for a moment is often not idle for the next. */
static enum cr_idle idle(crank_loop *loop)
{
    enum { KEEP = 64 };
    cr_stacks *stacks = cr_tasks_of(loop)->stacks;
    if (cr_stacks_trim(stacks))
        return CR_IDLE_NOW;
    return cr_stacks_set_aside(stacks, KEEP) ? CR_IDLE_LATER : CR_IDLE_DONE;
}

static const cr_hooks hooks = {
    .need_stack = cr_need_stack,
    .starved = starved,
    .idle = idle,
    .timer_due = { [CR_TIMER_TASK] = cr_task_timer_due,
        [CR_TIMER_SCOPE] = cr_scope_timer_due,
        [CR_TIMER_OTHER] = cr_naps_due },
};

/* On the alternate stack of a thread that is about to die, perhaps inside of malloc or printf. */
static void report_overflow(const void *address, size_t depth, size_t limit)
{
    char text[800], line[512] = "";
    const cr_task *self = cr_self();
    if (!cr_loop_here)
        return;
    if (self)
        (void)cr_task_describe(self, line, sizeof line);
    size_t head = cr_report_head(CRANK_REPORT_OVERFLOW, text, sizeof text);
    snprintf(text + head, sizeof text - head,
        "%zu bytes deep of %zu, at %p, in\n  %s\n  give it more with "
        "options.stack_size, or make its frames smaller\n",
        depth, limit, address, line);
    cr_report_plainly(cr_loop_here, &(crank_report){ .kind = CRANK_REPORT_OVERFLOW,
                                        .error = -EFAULT,
                                        .task = self ? cr_task_name(self) : NULL,
                                        .text = text });
}

/* ---- running */

/* The hooks by which lower layers reach up: set before the first task exists. */
static void tasks_prepare(run *r)
{
    cr_tasks *tasks = cr_tasks_of(r->loop);
    tasks->run = r;
    tasks->deliverable = cr_scopes_deliverable;
    tasks->interrupt = cr_scopes_interrupt;
    tasks->run_on = cr_scopes_run_on;
    tasks->absorb = cr_scopes_absorb;
    tasks->shielded = cr_scopes_shielded;
    tasks->uncancelled = cr_scopes_uncancelled;
    tasks->leave_scopes = cr_scopes_leave;
    tasks->may_nap = cr_scopes_may_nap;
    cr_owner_init(&r->top, root_ended);
    cr_owner_init(&r->detached, detached_ended);
    tasks->detached = &r->detached;
    cr_generators_open(r->loop);
    r->loop->hooks = &hooks;
    cr_describe_install();
}

/* The captured call as it was when crank_run was called: opening a loop must not disturb it. */
struct captured {
    cr_few_args few;
    cr_many_args many;
};

/* The call was captured before there was a loop: it is put where spawning looks for it. */
static int start_root(
    run *r, crank_function_ *fn, const crank_site *site, const struct captured *args)
{
    *cr_captured_few() = args->few;
    *cr_captured_many() = args->many;
    cr_task *root = cr_task_make_owned(r->loop, &r->top, fn, site);
    if (!root)
        return -ENOMEM;
    root->fiber.flags |= CR_TASK_ROOT;
    cr_tasks_of(r->loop)->root = root;
    cr_task_ready(r->loop, root);
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
        (void)cr_loop_turn(loop, false, CR_NEVER);
}

/* Opened from the inside out and closed in the opposite order. Ctrl-C is handled only while
 * there is a loop to post to; interrupted_run is cleared after the handler is gone. */
static int drive(run *r, crank_function_ *fn, const crank_site *site, const struct captured *args)
{
    crank_loop *loop = r->loop;
    int err = cr_tasks_open(loop);
    if (err < 0)
        return err;
    cr_loop_here = loop;
    tasks_prepare(r);
    cr_capture_into(cr_fiber_few(&cr_tasks_of(loop)->spare->fiber));
    err = cr_overflow_install(loop->sys, cr_tasks_of(loop)->stacks, report_overflow);
    if (err == 0) {
        err = cr_naps_open(loop);
        bool interrupts_here = handle_interrupts(r);
        if (err == 0)
            err = start_root(r, fn, site, args);
        if (err == 0) {
            cr_loop_drive(loop);
            cr_wakeup_close(loop->wakeup);
            run_out(loop);
            cr_dones_left(loop);
        }
        if (r->grace)
            (void)crank_handle_cancel(r->grace);
        cr_naps_close(loop);
        if (interrupts_here)
            leave_interrupts();
        cr_overflow_remove(cr_tasks_of(loop)->stacks);
    }
    cr_generators_free(loop);
    cr_tasks_close(loop);
    cr_capture_into(NULL);
    cr_capture_into_block(NULL);
    cr_loop_here = NULL;
    return err;
}

/* Whoever set a seed expects the same run each time, and wonders. */
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
static void run_program(run *r, const cr_sys *sys, const crank_options *options,
    crank_function_ *fn, const crank_site *site)
{
    struct captured args = { *cr_captured_few(), *cr_captured_many() };
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
        r->error = cr_failed(err, "crank_run: cannot run: %s", why ? why : cr_error_words(err));
}

/* The root's failure becomes the thread's, where crank_last_failure finds it after the run. */
static long run_on(
    const cr_sys *sys, const crank_options *options, crank_function_ *fn, const crank_site *site)
{
    run r = { 0 };
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
    *cr_captured_few() = (cr_few_args){ .general = { (uint64_t)(uintptr_t)arg } };
    return run_on(sys, options, (crank_function_ *)fn, &site);
}

long crank_run_raw(const crank_options *options, long (*fn)(void *), void *arg)
{
    return cr_run_raw_on(NULL, options, fn, arg);
}

/* What main is told of a failed app. */
static void print_failure(const run *r, const crank_site *site)
{
    fflush(stdout);
    if (r->failure) {
        crank_error_print(); /* it is this thread's by now */
    } else {
        fprintf(stderr, "crank: %s failed: %s [%s]\n", site->function, cr_error_words(r->result),
            crank_errno_name(cr_errno_of(r->result)));
    }
}

/* The statuses main gives: 130 is what a shell says of SIGINT, 70 is sysexits' internal error.
 * The result is cut to what a process can return. */
int crank_run_(int zero, crank_function_ *fn, const crank_site *site)
{
    enum { FAILED = 1, DEADLOCK = 70, INTERRUPTED = 130 };
    (void)zero;
    run r = { 0 };
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
