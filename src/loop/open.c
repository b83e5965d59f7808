/* SPDX-License-Identifier: MIT */
/* open.c: beginning and end of a loop.
 *
 * Owns the order in which its parts are made and unmade, and the choice of the backend: io_uring
 * where it is asked for and allowed, else epoll. A loop that is only half made is unmade by the
 * same function as a whole one, so that every failure on the way takes the same road back.
 *
 * The backend is made first and unmade last, since all the others use its table. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/check.h"
#include "loop/callback.h"
#include "loop/inherit.h"
#include "loop/loop.h"
#include "loop/options.h"
#include "loop/registry.h"
#include "backend/sim.h"

/* The first housekeeping comes after the first second. */
#define TIDY_FIRST_NS CR_SECOND

/* Nothing for stdio: the program may not have set up its own yet. */
static void say_fallback(const crank_loop *loop, int err)
{
    char line[160];
    int length = snprintf(line, sizeof line,
        "crank: note: io_uring is not available here (%s): using epoll\n", strerror(-err));
    if (length > 0)
        (void)loop->sys->write(loop->sys->context, STDERR_FILENO, line, (size_t)length);
}

/* Asking for io_uring and getting epoll is no error: containers often forbid it, and the program
 * is the same on both. The simulator, when asked for, is never replaced. */
static int open_backend(crank_loop *loop)
{
    const crank_options *options = &loop->options;
    if (options->backend == CRANK_BACKEND_SIM)
        return cr_backend_sim.open(loop->sys, options->seed, &loop->backend);
    if (options->backend == CRANK_BACKEND_URING) {
        int err = loop->bare ? cr_uring_open_shared(loop->sys, &loop->backend)
                             : cr_backend_uring.open(loop->sys, options->seed, &loop->backend);
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
        cr_callback_watch_free(loop);
    cr_wakeup_free(loop->wakeup);
    cr_timers_free(loop->timers);
    if (loop->backend)
        loop->backend->type->close(loop->backend);
    cr_free(sys, loop);
}

/* The list comes from the environment where the program gave none. With a budget of 1 each waiting
 * call takes the slow way, where it is chosen whether it makes room (task/checkpoint.c). */
static void explore(crank_loop *loop, bool continued)
{
    const crank_options *options = &loop->options;
    cr_sim_follow(loop->backend, options->choices, continued, options->choices_to);
    loop->explored = true;
    loop->runner.budget = loop->runner.budget_full = 1;
}

/* The backend comes first: it decides the table, and so the clock, for all that is made after
 * it. */
static int open_parts(crank_loop *loop)
{
    int err = open_backend(loop);
    if (err < 0)
        return err;
    loop->simulated = loop->backend->type == &cr_backend_sim;
    loop->sys = loop->backend->type->sys(loop->backend);
    loop->polled_at = cr_now(loop);
    loop->watched.postpone_at = CR_NEVER;
    loop->tidy_at = cr_after(loop->polled_at, TIDY_FIRST_NS);
    err = cr_timers_new(loop->sys, loop->polled_at, &loop->timers);
    if (!err)
        err = cr_wakeup_new(loop->sys, loop->backend, &loop->wakeup);
    if (!err)
        err = cr_callback_watch_new(loop);
    return err;
}

/* Registered last, when another thread may use all of it; removed first, for the same reason. */
static int open_loop(const crank_options *options, const cr_sys *sys, bool bare,
    crank_loop **ret_loop, const char **ret_why)
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
    loop->bare = bare;
    loop->options = filled;
    cr_sched_init(&loop->runner);
    err = open_parts(loop);
    if (err < 0) {
        destroy(loop, sys);
        return err;
    }
    if (loop->simulated && filled.choices)
        explore(loop, !options || !options->choices);
    if (loop->simulated && filled.sim_net)
        cr_sim_weather(loop->backend, filled.sim_net);
    cr_inherit_prepare();
    cr_registry_add(loop);
    *ret_loop = loop;
    return 0;
}

int cr_loop_open(
    const crank_options *options, const cr_sys *sys, crank_loop **ret_loop, const char **ret_why)
{
    return open_loop(options, sys, false, ret_loop, ret_why);
}

/* The closers' memory is theirs, so registering cannot fail. */
void cr_loop_at_close(crank_loop *loop, cr_closer *closer)
{
    closer->next = loop->closers;
    loop->closers = closer;
}

/* What is gone when the loop ends must not be told. */
void cr_loop_not_at_close(crank_loop *loop, cr_closer *closer)
{
    cr_closer **at = &loop->closers;
    while (*at && *at != closer)
        at = &(*at)->next;
    if (*at)
        *at = closer->next;
}

void cr_loop_ends(crank_loop *loop)
{
    while (loop->closers) {
        cr_closer *closer = loop->closers;
        loop->closers = closer->next;
        closer->close(loop, closer);
    }
}

/* What was posted and not delivered is told so, for its memory may be its own to free: no loop is
 * here then. */
void cr_loop_close(crank_loop *loop)
{
    cr_registry_remove(loop);
    cr_loop_ends(loop);
    cr_wakeup_deliver(loop->wakeup);
    destroy(loop, loop->base_sys);
}

crank_loop *crank_loop_new(const crank_options *options)
{
    crank_loop *loop = NULL;
    const char *why;
    int err = open_loop(options, NULL, true, &loop, &why);
    if (err < 0) {
        errno = -err;
        return NULL;
    }
    return loop;
}

/* One that runs is in use by its own frames. A garbage collector may free one that its process has
 * inherited. */
void crank_loop_free(crank_loop *loop)
{
    if (!loop)
        return;
    if (cr_inherit_is_needed(loop))
        cr_inherit_loop(loop, "crank_loop_free");
    CR_CHECK(
        !loop->running, "crank_loop_free: the loop still runs; stop it with crank_loop_stop first");
    cr_loop_close(loop);
}
