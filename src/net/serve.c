/* SPDX-License-Identifier: MIT */
/* serve.c: a task for each connection.
 *
 * A server is straight-line code: a group, a loop that accepts, a child for each connection. Owns
 * the connections that are served: the handler borrows its peer, and may close or abort it, but the
 * record stays until the child that runs the handler has closed it for good.
 *
 * The handler's call is captured once, with NULL for the peer; each child calls it with the peer in
 * the first general register. The copy of the captured call lies in heap memory, for the stack of
 * the serving task may hibernate.
 *
 * A failing handler ends its connection and nothing else: the child reports the failure and
 * succeeds. A child that could not be given a stack never runs; its connection is ended by the
 * serving task. */
#include <crank/net.h>
#include <crank/scope.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "group/group.h"
#include "net/listener.h"
#include "task/error.h"
#include "task/report.h"
#include "task/result.h"

typedef struct serving {
    crank_loop *loop;
    crank_listener *listener;
    crank_function_ *handler;
    const crank_site *site;
    cr_connection *first; /* served now, in no order */
    cr_small_args few;
    cr_large_args many; /* where the call is a large one */
} serving;

static void link_connection(serving *s, cr_connection *c)
{
    c->socket.kept = true;
    c->next = s->first;
    if (c->next)
        c->next->prev = c;
    s->first = c;
    s->listener->connections++;
}

/* The stream's memory goes here, also where the handler has closed it. */
static void give_up(serving *s, cr_connection *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        s->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->listener->connections--;
    c->socket.kept = false;
    c->socket.stream.type->free(s->loop, cr_connection_stream(c));
}

/* ---- In the child ---- */

/* As a task's result is read: by its kind. What is no number is no error. */
static int error_of(const crank_site *site, const cr_returned *returned)
{
    if (site->kind != CRANK_KIND_SIGNED)
        return 0;
    long value = site->size == sizeof(int) ? (int)returned->integer : (long)returned->integer;
    return value < 0 && value >= -4095 ? (int)value : 0;
}

/* The peer's going away is no failure of the handler's: it is how connections end. */
static bool is_peers(int err)
{
    return err == -EPIPE || err == -ECONNRESET || err == -ECONNABORTED || err == -ETIMEDOUT;
}

static void report(const cr_connection *c, int err)
{
    char introduction[256];
    cr_task *self = cr_self();
    const cr_failure *failure = cr_error_here();
    snprintf(introduction, sizeof introduction, "the handler of %.160s failed\n",
        cr_stream_name(&c->socket.stream));
    if (failure && cr_failure_error(failure) == err)
        cr_report_failure(c->socket.loop, self, failure, introduction);
    else {
        size_t length = strlen(introduction);
        snprintf(introduction + length - 1, sizeof introduction - length + 1, ": %s [%s]\n",
            cr_failure_error_words(err), crank_errno_name(err));
        cr_report(c->socket.loop, CRANK_REPORT_UNAWAITED, err, self, introduction);
    }
}

/* CR_NOINLINE: the copies of the call are gone from the stack while the peer is being closed. */
static CR_NOINLINE int call_handler(const serving *s, cr_connection *c)
{
    cr_small_args few = s->few;
    cr_large_args many;
    cr_returned returned = { 0 };
    uint64_t peer = (uint64_t)(uintptr_t)cr_connection_stream(c);
    few.general[0] = peer;
    if (s->site->large) {
        many = s->many;
        many.general[0] = peer;
    }
    cr_call_captured(s->handler, &few, s->site->large ? &many : NULL, &returned);
    return error_of(s->site, &returned);
}

static long serve_one(serving *s, cr_connection *c)
{
    int err = call_handler(s, c);
    if (err < 0 && err != -ECANCELED && !is_peers(err))
        report(c, err);
    crank_error_clear();
    cr_stream_end(cr_connection_stream(c), false);
    give_up(s, c);
    return err == -ECANCELED ? err : 0;
}

/* ---- In the serving task ---- */

/* The child's site is the handler's, so that it is named by it. The call is put where spawning
 * looks for a captured one. */
static bool spawn_handler(serving *s, crank_group *handlers, cr_connection *c)
{
    uint64_t *general = cr_fiber_captured_small()->general;
    if (s->site->large)
        general = cr_fiber_captured_large()->general;
    general[0] = (uint64_t)(uintptr_t)s;
    general[1] = (uint64_t)(uintptr_t)c;
    crank_task *task = crank_group_spawn_(handlers, (crank_function_ *)serve_one, s->site);
    c->handler = (uint64_t)(uintptr_t)task;
    return task;
}

/* Those without a child, or whose child has ended without running. Their peers see a reset, not
 * silence. */
static void end_orphans(serving *s)
{
    for (cr_connection *c = s->first, *next; c; c = next) {
        next = c->next;
        if (c->handler && cr_task_in(s->loop, c->handler))
            continue;
        cr_socketlike_abort(&c->socket);
        cr_stream_end(cr_connection_stream(c), false);
        give_up(s, c);
    }
}

static int accept_all(serving *s, crank_group *handlers)
{
    size_t failed = 0;
    for (;;) {
        cr_caller w;
        cr_connection *c = NULL;
        int err = cr_checkpoint(&w, "crank_serve");
        if (err == 0)
            err = cr_listener_accept(&w, s->listener, &c);
        if (err < 0)
            return err;
        cr_checkpoint_costs(&w, CR_BUDGET_STREAM);
        link_connection(s, c);
        bool spawned = spawn_handler(s, handlers, c);
        if (!spawned || cr_group_tolerated(handlers) != failed)
            end_orphans(s);
        failed = cr_group_tolerated(handlers);
    }
}

/* The block's edge ends what is left: the handlers are cancelled and waited for. A limit that
 * passes cancels them too, and its wait returns when they have ended. */
static int serve(serving *s)
{
    CRANK_GROUP(handlers);
    if (!handlers.state)
        return crank_group_wait(&handlers);
    cr_group_tolerate(&handlers);
    int err = accept_all(s, &handlers);
    if (err != -ESHUTDOWN)
        return err;
    err = crank_within(s->listener->grace, crank_group_wait(&handlers));
    return err == -ETIMEDOUT ? 0 : err;
}

/* Copied before anything else runs: the captured call lies in the loop's spare record. */
static serving *serving_new(crank_loop *loop, crank_function_ *handler, const crank_site *site)
{
    serving *s = cr_alloc_zero(loop->sys, sizeof *s);
    if (!s)
        return NULL;
    s->loop = loop;
    s->handler = handler;
    s->site = site;
    if (site->large)
        s->many = *cr_fiber_captured_large();
    else
        s->few = *cr_fiber_captured_small();
    return s;
}

int crank_serve_(crank_listener *listener, crank_function_ *handler, const crank_site *site)
{
    CR_CHECK(listener, "crank_serve: the listener is NULL; crank_listen gives that when it fails");
    crank_loop *loop = cr_checked_loop("crank_serve");
    (void)cr_checked_self("crank_serve");
    serving *s = serving_new(loop, handler, site);
    if (!s)
        return cr_error_set(-ENOMEM, "crank_serve: out of memory");
    s->listener = listener;
    listener->serving++;
    int err = serve(s);
    end_orphans(s);
    listener->serving--;
    cr_free(loop->sys, s);
    if (err == 0 || err == -ECANCELED)
        return err;
    return cr_error_set(err, "cannot serve %s: %s", crank_listener_address(listener, 0),
        cr_failure_error_words(err));
}
