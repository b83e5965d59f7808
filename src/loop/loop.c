/* SPDX-License-Identifier: MIT */
/* loop.c: one turn after another.
 *
 * Owns the order within a turn: what was posted, what is due, what the backend has completed, then
 * a pass over the ready line. While fibers are ready the world is looked at once per millisecond
 * only; when none is, the backend waits for the next deadline, a completion or a post. A loop that
 * could wait for nothing is starved: the layer above decides what that means, and a loop without
 * one stops.
 *
 * Invariant: between the last look for posts and the wait nothing can be missed, for falling asleep
 * fails where a post has come (wakeup.c). While the loop does not run it counts as asleep, so that
 * its descriptor tells another loop's poll. */
#include "loop/loop.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "loop/callback.h"
#include "loop/options.h"
#include "loop/registry.h"
#include "loop/wakeup.h"

#define LOOK_ONLY INT64_MIN
#define TIDY_NS CR_SECOND
/* Under the simulator computing takes no time. Fibers that only make room for each other would hold
 * the clock for ever: after so many turns with something always ready, each further one lets it
 * pass by a microsecond per step. */
#define BUSY_TURNS 10000
#define BUSY_STEP_NS 1000
#define BUSY_LOOK 16

__thread crank_loop *cr_loop_here __attribute__((tls_model("initial-exec")));

int64_t cr_nanoseconds(double seconds)
{
    if (__builtin_isnan(seconds))
        return -1;
    if (seconds <= 0)
        return 0;
    double span = seconds * (double)CR_SECOND;
    if (span >= (double)CR_NEVER)
        return CR_NEVER;
    return span < 1 ? 1 : (int64_t)(span + 0.5);
}

static long backend_turn(crank_loop *loop, int64_t deadline)
{
    long completed = loop->backend->type->turn(loop->backend, deadline);
    if (completed > 0)
        loop->in_flight -= (size_t)completed;
    return completed;
}

/* Only as many as there are: what a due timer starts is due in the next turn at the earliest. */
static void take_due(crank_loop *loop, int64_t now)
{
    for (size_t n = cr_timers_count(loop->timers); n > 0; n--) {
        cr_timer *timer = cr_timers_pop(loop->timers, now);
        if (!timer)
            return;
        enum cr_timer_kind kind = cr_timer_kind(timer);
        if (kind == CR_TIMER_CALLBACK)
            cr_callback_due(loop, timer);
        else
            loop->hooks->timer_due[kind](loop, timer);
    }
}

/* One pass: at most CR_STEPS items of the ready line. */
static long run_ready(crank_loop *loop)
{
    cr_runner *runner = &loop->runner;
    cr_fiber *fiber;
    runner->steps = CR_STEPS;
    while ((fiber = cr_runner_enter(runner))) {
        if (fiber->run == CR_RUN_SERVICE) {
            cr_service *service = cr_container_of(fiber, cr_service, item);
            service->run(loop, service);
        } else {
            loop->hooks->need_stack(loop, fiber);
        }
    }
    return CR_STEPS - (runner->steps > 0 ? runner->steps : 0);
}

/* Fibers are ready: look at the world from time to time. */
static void look(crank_loop *loop, int64_t now)
{
    if (loop->simulated) {
        if (++loop->busy >= BUSY_TURNS)
            backend_turn(loop, cr_after(now, CR_STEPS * BUSY_STEP_NS));
        else if (loop->busy % BUSY_LOOK == 0 && loop->in_flight > 0)
            backend_turn(loop, LOOK_ONLY);
    } else if (now - loop->polled_at >= CR_POLL_NS) {
        loop->polled_at = now;
        if (loop->in_flight > 0)
            backend_turn(loop, LOOK_ONLY);
    }
}

/* Could anything still happen? A timer that never comes counts for real, where Ctrl-C ends the
 * wait. */
static bool hopeless(const crank_loop *loop, int64_t next)
{
    return next == CR_NEVER && (loop->simulated || cr_timers_count(loop->timers) == 0) &&
        loop->in_flight == 0 && loop->outside == 0 && cr_wakeup_empty(loop->wakeup);
}

/* Housekeeping, at most once a second: what a program lets go of it often needs again soon. Gives
 * until when to wait. A loop in which nothing has run since is left to sleep; one that would sleep
 * for long wakes once for it. */
static int64_t tidy(crank_loop *loop, int64_t now, int64_t deadline)
{
    if (!loop->hooks || !loop->hooks->idle || loop->tidied == loop->runner.switches)
        return deadline;
    if (now < loop->tidy_at)
        return deadline < loop->tidy_at || loop->simulated ? deadline : loop->tidy_at;
    if (loop->hooks->idle(loop))
        return LOOK_ONLY;
    loop->tidied = loop->runner.switches;
    loop->tidy_at = cr_after(now, TIDY_NS);
    return deadline;
}

/* Nothing is ready: wait for the world, at most until limit. False: it is of no use, and nobody
 * objects to stopping. */
static bool wait_for_world(crank_loop *loop, int64_t now, int64_t limit)
{
    int64_t next = cr_timers_next(loop->timers);
    if (limit == CR_NEVER && hopeless(loop, next))
        return loop->hooks && loop->hooks->starved && !loop->hooks->starved(loop);
    int64_t deadline = tidy(loop, now, next < limit ? next : limit);
    if (loop->spin_ns > 0 && deadline > now &&
        !cr_wakeup_spin(loop->wakeup, loop->spin_ns, deadline))
        loop->spin_ns = 0;
    if (loop->runner.head || !cr_wakeup_sleep(loop->wakeup))
        deadline = LOOK_ONLY;
    backend_turn(loop, deadline);
    cr_wakeup_deliver(loop->wakeup);
    loop->polled_at = cr_now(loop);
    take_due(loop, loop->polled_at);
    return true;
}

/* Fill the ready line with what has happened. */
static bool collect(crank_loop *loop, bool wait, int64_t limit)
{
    int64_t now = cr_now(loop);
    cr_wakeup_deliver(loop->wakeup);
    take_due(loop, now);
    if (loop->runner.head) {
        look(loop, now);
        return true;
    }
    loop->busy = 0;
    return wait_for_world(loop, now, wait && !loop->stopping ? limit : LOOK_ONLY);
}

long cr_loop_turn(crank_loop *loop, bool wait, int64_t limit)
{
    if (!collect(loop, wait, limit))
        loop->stopping = true;
    return run_ready(loop);
}

void cr_loop_drive(crank_loop *loop)
{
    loop->stopping = false;
    loop->running = true;
    while (!loop->stopping)
        cr_loop_turn(loop, true, CR_NEVER);
    loop->running = false;
}

size_t cr_choose(crank_loop *loop, size_t n)
{
    const cr_backend_type *type = loop->backend->type;
    return type->choose && n > 1 ? type->choose(loop->backend, n) : 0;
}

static void say_fallback(const crank_loop *loop, int err)
{
    char line[160];
    int length = snprintf(line, sizeof line,
        "crank: io_uring is not available here (%s): using epoll\n", strerror(-err));
    if (length > 0)
        (void)loop->sys->write(loop->sys->context, STDERR_FILENO, line, (size_t)length);
}

static int open_backend(crank_loop *loop)
{
    const crank_options *options = &loop->options;
    if (options->backend == CRANK_BACKEND_SIM)
        return cr_backend_sim.open(loop->sys, options->seed, &loop->backend);
    if (options->backend == CRANK_BACKEND_URING) {
        int err = cr_backend_uring.open(loop->sys, options->seed, &loop->backend);
        if (err == 0)
            return 0;
        if (options->debug)
            say_fallback(loop, err);
    }
    return cr_backend_epoll.open(loop->sys, options->seed, &loop->backend);
}

/* Of a loop that is only half made, too. The record is of the table it was opened with, all else of
 * the backend's. */
static void destroy(crank_loop *loop, const cr_sys *sys)
{
    if (loop->wakeup)
        cr_watch_free(loop);
    cr_wakeup_free(loop->wakeup);
    cr_timers_free(loop->timers);
    if (loop->backend)
        loop->backend->type->close(loop->backend);
    cr_free(sys, loop);
}

static int furnish(crank_loop *loop)
{
    int err = open_backend(loop);
    if (err < 0)
        return err;
    loop->simulated = loop->backend->type == &cr_backend_sim;
    loop->sys = loop->backend->type->sys(loop->backend);
    loop->polled_at = cr_now(loop);
    loop->tidy_at = cr_after(loop->polled_at, TIDY_NS);
    err = cr_timers_new(loop->sys, loop->polled_at, &loop->timers);
    if (!err)
        err = cr_wakeup_new(loop->sys, loop->backend, &loop->wakeup);
    if (!err)
        err = cr_watch_new(loop);
    return err;
}

int cr_loop_open(const crank_options *options, const cr_sys *sys, crank_loop **ret_loop,
    const char **ret_why)
{
    crank_options filled;
    *ret_why = NULL;
    int err = cr_options_fill(options, &filled, ret_why);
    if (err < 0)
        return err;
    if (!sys)
        sys = &cr_sys_real;
    crank_loop *loop = cr_alloc_zero(sys, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    loop->sys = sys;
    loop->base_sys = sys;
    loop->options = filled;
    cr_runner_init(&loop->runner);
    err = furnish(loop);
    if (err < 0) {
        destroy(loop, sys);
        return err;
    }
    cr_registry_add(loop);
    *ret_loop = loop;
    return 0;
}

/* What was posted and not delivered is told so, for its memory may be its own to free: no loop is
 * here then. */
void cr_loop_close(crank_loop *loop)
{
    cr_registry_remove(loop);
    cr_wakeup_deliver(loop->wakeup);
    destroy(loop, loop->base_sys);
}

crank_loop *crank_loop_new(const crank_options *options)
{
    crank_loop *loop = NULL;
    const char *why;
    int err = cr_loop_open(options, NULL, &loop, &why);
    if (err < 0)
        errno = -err;
    return loop;
}

void crank_loop_free(crank_loop *loop)
{
    if (!loop)
        return;
    CR_CHECK(!loop->running,
        "crank_loop_free: the loop still runs; stop it with crank_loop_stop first");
    cr_loop_close(loop);
}

/* This thread's errno may be another than that of the thread which made the loop. */
static void enter(crank_loop *loop, const char *call)
{
    CR_CHECK(!cr_loop_here, "%s: a loop already runs on this thread", call);
    CR_CHECK(!loop->running, "%s: the loop runs on another thread", call);
    cr_loop_here = loop;
    loop->running = true;
    loop->runner.errno_at = &errno;
}

/* Where a post has come meanwhile, its poster saw the loop awake: the descriptor must say so all
 * the same. */
static void leave(crank_loop *loop)
{
    if (!cr_wakeup_sleep(loop->wakeup))
        loop->backend->type->wake(loop->backend);
    loop->running = false;
    cr_loop_here = NULL;
}

int crank_loop_run(crank_loop *loop)
{
    enter(loop, "crank_loop_run");
    do
        cr_loop_turn(loop, !loop->stopping, CR_NEVER);
    while (!loop->stopping);
    loop->stopping = false;
    leave(loop);
    return 0;
}

/* Stands at the end of what is ready when run_once begins: what is added after it waits for the
 * next call. Reaching it ends the pass, with the steps that were left noted. */
typedef struct marker {
    cr_service service;
    bool reached;
    long unused;
} marker;

static void reach_marker(crank_loop *loop, cr_service *service)
{
    marker *end = cr_container_of(service, marker, service);
    end->reached = true;
    end->unused = loop->runner.steps + 1;
    loop->runner.steps = 0;
}

long crank_loop_run_once(crank_loop *loop, double wait)
{
    marker end = { .service.run = reach_marker };
    int64_t span = cr_nanoseconds(wait);
    long ran = 0;
    enter(loop, "crank_loop_run_once");
    if (loop->runner.head && loop->in_flight > 0)
        backend_turn(loop, LOOK_ONLY);
    collect(loop, span > 0, span > 0 ? cr_after(cr_now(loop), span) : 0);
    if (loop->runner.head) {
        cr_service_push(loop, &end.service);
        while (!end.reached)
            ran += run_ready(loop);
        ran -= end.unused;
    }
    leave(loop);
    return ran;
}

void crank_loop_stop(crank_loop *loop) { loop->stopping = true; }

double crank_loop_time(crank_loop *loop) { return (double)cr_now(loop) / (double)CR_SECOND; }

int crank_loop_fd(crank_loop *loop) { return loop->backend->type->pollable(loop->backend); }

double crank_loop_next(crank_loop *loop)
{
    if (loop->runner.head || !cr_wakeup_empty(loop->wakeup))
        return 0;
    int64_t next = cr_timers_next(loop->timers);
    if (next == CR_NEVER)
        return CRANK_FOREVER;
    int64_t now = cr_now(loop);
    return next > now ? (double)(next - now) / (double)CR_SECOND : 0;
}

crank_loop *crank_current_loop(void) { return cr_loop_here; }

const char *crank_backend_name(void)
{
    return cr_loop_here ? cr_loop_here->backend->type->name : NULL;
}

uint64_t crank_trace_hash(void)
{
    crank_loop *loop = cr_loop_here;
    if (!loop || !loop->backend->type->trace_hash)
        return 0;
    return loop->backend->type->trace_hash(loop->backend);
}
