/* SPDX-License-Identifier: MIT */
/* serve.c: a task for each connection.
 *
 * A server is straight-line code: a group, a loop that accepts, a child for each connection. Owns
 * the connections that are served: the handler borrows its peer, and may close or abort it, but the
 * record stays until the child that runs the handler has closed it for good.
 *
 * A failing handler ends its connection and nothing else: the child reports the failure and
 * succeeds. A child that could not be given a stack never runs; its connection is ended by the
 * serving task.
 *
 * Short of descriptors or memory the server neither spins, for a connection that cannot be accepted
 * keeps its socket ready, nor leaves the peers without a word: it gives up a spare descriptor,
 * accepts with it what waits, closes that, and rests. */
#include <crank/net.h>
#include <crank/scope.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "group/group.h"
#include "net/linger.h"
#include "net/listener.h"
#include "task/error.h"
#include "task/report.h"

/* Descriptors that are left to the rest of the program, and seconds. */
enum { NOT_SERVED = 32 };
static const double default_linger = 2, rest = 0.1;

typedef struct serving {
    cr_server server; /* first */
    crank_loop *loop;
    crank_listener *listener;
    crank_kept_call *call;
    crank_serve_options options;
    cr_connection *first; /* served now, in no order */
    size_t count;         /* of them */
    int spare;            /* a descriptor to be given up; negative: none */
    bool is_short;        /* of descriptors or memory, and that was reported */
} serving;

/* kept: when the handler closes its stream the memory stays, for this list refers to it. */
static void link_connection(serving *s, cr_connection *c)
{
    c->socket.kept = true;
    c->next = s->first;
    if (c->next)
        c->next->prev = c;
    s->first = c;
    s->count++;
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
    s->count--;
    s->listener->connections--;
    c->socket.kept = false;
    c->socket.stream.type->free(s->loop, cr_connection_stream(c));
    cr_waitq_wake_all(s->loop, &s->listener->full, 0);
}

/* ---- In the child ---- */

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

/* CR_NOINLINE: what reporting needs of the stack is no part of the frame under the handler. */
static CR_NOINLINE void tell(const serving *s, const cr_connection *c, int err)
{
    if (s->options.on_failure)
        s->options.on_failure(cr_stream_name(&c->socket.stream), err, s->options.arg);
    else if (!is_peers(err))
        report(c, err);
}

static long serve_one(serving *s, cr_connection *c)
{
    long result = crank_kept_call_make_(s->call, cr_connection_stream(c));
    int err = result < 0 && result >= -4095 ? (int)result : 0;
    if (err < 0 && err != -ECANCELED)
        tell(s, c, err);
    crank_error_clear();
    cr_linger_close(c, s->options.linger, default_linger);
    give_up(s, c);
    return err == -ECANCELED ? err : 0;
}

/* ---- In the serving task ---- */

/* The child's site is the handler's, so that it is named by it. The call is put where spawning
 * looks for a captured one. */
static bool spawn_handler(serving *s, crank_group *handlers, cr_connection *c)
{
    const crank_site *site = crank_kept_call_site_(s->call);
    uint64_t *general = cr_fiber_captured_small()->general;
    if (site->large)
        general = cr_fiber_captured_large()->general;
    general[0] = (uint64_t)(uintptr_t)s;
    general[1] = (uint64_t)(uintptr_t)c;
    crank_task *task = crank_group_spawn_(handlers, (crank_function_ *)serve_one, site);
    c->handler = (uint64_t)(uintptr_t)task;
    return task;
}

/* Reset the connections without a child, or with one that has ended without running. Their peers
 * see a reset, not silence. */
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

static size_t describe_room(const cr_task *task, char *buf, size_t size)
{
    const crank_listener *l = cr_container_of(task->wait_object, crank_listener, full);
    return cr_text_format(
        buf, size, "the end of one of %zu connections to %s", l->connections, l->sockets[0]->name);
}

static const cr_wait_ops room_wait = {
    .what = "waits for",
    .hibernatable = true,
    .describe = describe_room,
};

/* More connections than this stay in the kernel's backlog. */
static int await_room(const cr_caller *w, serving *s)
{
    int err = 0;
    while (err == 0 && s->count >= s->options.connections_max && !s->listener->stopped) {
        err = cr_waitq_park(w, &s->listener->full, &room_wait);
        if (err == 0)
            err = cr_checkpoint_again(w);
    }
    return err;
}

/* These are the machine's failures, not the listener's, and pass: the server rests and goes on.
 * ENOSPC: the user has as many descriptors in epoll's sets as the system allows. */
static bool is_shortage(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM || err == -ENOSPC;
}

/* Any descriptor will do. Without one the server can only rest when descriptors are short. */
static void take_spare(serving *s)
{
    const cr_sys *sys = s->loop->sys;
    s->spare = sys->open(sys->context, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
}

static void give_spare(serving *s)
{
    const cr_sys *sys = s->loop->sys;
    if (s->spare >= 0)
        (void)sys->close(sys->context, s->spare);
    s->spare = -1;
}

/* One report for all failures up to the next connection that can be served. */
static void report_shortage(serving *s, int err, size_t ended)
{
    char text[320];
    if (s->is_short)
        return;
    s->is_short = true;
    snprintf(text, sizeof text,
        "cannot accept on %.160s: %s [%s]; ended %zu connections that waited, and tries again "
        "every 0.1 s\n",
        s->listener->sockets[0]->name, cr_failure_error_words(err), crank_errno_name(err), ended);
    cr_report(s->loop, CRANK_REPORT_NOTE, err, cr_self(), text);
}

/* Where there is no memory for a limit of time either, a rest that stopping does not end. */
static int overcome_shortage(serving *s, int err)
{
    give_spare(s);
    size_t ended = cr_listener_refuse(s->listener);
    take_spare(s);
    report_shortage(s, err, ended);
    err = crank_within(rest, crank_listener_wait_stop(s->listener));
    crank_error_clear();
    if (err == -ENOMEM)
        return crank_sleep(rest);
    return err == -ETIMEDOUT ? 0 : err;
}

/* 0 with *ret_connection or, after a shortage, without. A checkpoint's -ENOMEM is none: it says
 * that the block around the server could not be made. */
static int accept_one(serving *s, cr_connection **ret_connection)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_serve");
    if (err == 0)
        err = await_room(&w, s);
    if (err < 0)
        return err;
    err = cr_listener_accept(&w, s->listener, ret_connection);
    if (err == 0)
        cr_checkpoint_costs(&w, CR_BUDGET_STREAM);
    return is_shortage(err) ? overcome_shortage(s, err) : err;
}

static int accept_all(serving *s, crank_group *handlers)
{
    size_t failed = 0;
    for (;;) {
        cr_connection *c = NULL;
        int err = accept_one(s, &c);
        if (err < 0)
            return err;
        if (!c)
            continue;
        s->is_short = false;
        link_connection(s, c);
        bool spawned = spawn_handler(s, handlers, c);
        /* A child that ended without running its handler has left its connection in the list. */
        if (!spawned || cr_group_tolerated(handlers) != failed)
            end_orphans(s);
        failed = cr_group_tolerated(handlers);
    }
}

/* When the grace is over the handlers are cancelled, and the wait returns when they have ended. A
 * later crank_listener_stop moves the limit. */
static int await_handlers(serving *s, crank_group *handlers)
{
    double seconds = cr_listener_grace_left(s->listener);
    crank_within_begin_(&s->server.limit, seconds, __func__, CRANK_FRAME_);
    long err = crank_within_end_(&s->server.limit, crank_group_wait(handlers));
    crank_timeout_end_(&s->server.limit);
    return err == -ETIMEDOUT ? 0 : (int)err;
}

/* The block's edge ends what is left: the handlers are cancelled and waited for. */
static int serve(serving *s)
{
    CRANK_GROUP(handlers);
    if (!handlers.state)
        return crank_group_wait(&handlers);
    cr_group_tolerate(&handlers);
    int err = accept_all(s, &handlers);
    return err == -ESHUTDOWN ? await_handlers(s, &handlers) : err;
}

static int choose(serving *s, const crank_serve_options *options)
{
    if (options)
        s->options = *options;
    if (s->options.linger != s->options.linger)
        return cr_error_set(-EINVAL, "crank_serve_with: linger is no number");
    if (s->options.connections_max == 0) {
        size_t most = crank_descriptors_max();
        s->options.connections_max = most > NOT_SERVED ? most - NOT_SERVED : 1;
    }
    return 0;
}

static int serve_with(serving *s, const crank_serve_options *options)
{
    int err = choose(s, options);
    if (err < 0)
        return err;
    take_spare(s);
    /* From here on crank_listener_stop can find the limit of await_handlers, and move it. */
    cr_listener_add_server(s->listener, &s->server);
    err = serve(s);
    end_orphans(s);
    cr_listener_remove_server(s->listener, &s->server);
    give_spare(s);
    if (err == 0 || err == -ECANCELED)
        return err;
    return cr_error_set(err, "cannot serve %s: %s", crank_listener_address(s->listener, 0),
        cr_failure_error_words(err));
}

/* The captured call lies in the loop's spare record: it is copied before anything else runs. */
int crank_serve_(crank_serve_what_ what, crank_function_ *handler, const crank_site *site)
{
    CR_CHECK(
        what.listener, "crank_serve: the listener is NULL; crank_listen gives that when it fails");
    crank_loop *loop = cr_checked_loop("crank_serve");
    (void)cr_checked_self("crank_serve");
    crank_kept_call *call = crank_kept_call_new_(handler, site);
    serving *s = call ? cr_alloc_zero(loop->sys, sizeof *s) : NULL;
    if (!s) {
        crank_kept_call_free_(call);
        return cr_error_set(-ENOMEM, "crank_serve: out of memory");
    }
    s->loop = loop;
    s->listener = what.listener;
    s->call = call;
    int err = serve_with(s, what.options);
    crank_kept_call_free_(call);
    cr_free(loop->sys, s);
    return err;
}
