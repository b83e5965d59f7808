/* SPDX-License-Identifier: MIT */
/* silence.c: is the peer of a WebSocket still there?
 *
 * After so many seconds without a byte from it a ping is sent, and after as many more the peer is
 * not there: the connection ends. A task that reads counts the seconds in which it waits, not those
 * in which its handler computes. Where no task reads, a write looks for what has come; one that
 * waits for room has a timer beside it, which ends the connection where as long nothing leaves
 * either, for a ping could not.
 *
 * Invariant: a write looks while it has the turn, and a task that reads then waits for that. */
#include "http/websocket/socket.h"

#include <crank/error.h>
#include <crank/loop.h>
#include <crank/scope.h>
#include <crank/task.h>

enum { UNREAD_MAX = 32 << 10 }; /* bytes that no task reads: then there is no look for more */
/* For which a look waits; and what the clock's steps add up to. */
static const double look_seconds = 0.05, exact = 1e-6;

void cr_http_silence_heard(crank_websocket *w)
{
    w->silence = 0;
    w->pinged = false;
    w->heard_at = crank_time();
}

static void ask(crank_websocket *w)
{
    w->ping_waits = w->pinged = true;
    w->silence = 0;
    w->unsent = crank_unsent(w->stream);
}

/* Tasks that write end too. */
static int not_there(crank_websocket *w, const char *why)
{
    crank_abort(w->stream);
    (void)cr_http_socket_fail(w, -ETIMEDOUT, why);
    return cr_http_socket_refuses(w);
}

/* Has something left since the last look? */
static bool moves(crank_websocket *w)
{
    size_t unsent = crank_unsent(w->stream);
    bool has_moved = unsent != w->unsent || w->written != w->written_seen;
    w->unsent = unsent;
    w->written_seen = w->written;
    return has_moved;
}

/* The seconds of a ping that stands behind a long message begin when it leaves. */
int cr_http_silence_passed(crank_websocket *w)
{
    if (!w->pinged) {
        ask(w);
        cr_http_socket_flush(w);
        return 0;
    }
    double since = crank_time() - w->pinged_at;
    if (w->ping_waits ? !moves(w) : since > w->ping - exact)
        return not_there(w, "no answer to a ping");
    w->silence = w->ping_waits ? 0 : since;
    return 0;
}

/* ---- Where no task reads ---- */

/* The pong lies with the kernel, or does not. */
static int look(crank_websocket *w)
{
    const char *bytes;
    size_t held = (size_t)crank_peek(w->stream, 0, &bytes);
    ssize_t n = (ssize_t)held + 1;
    w->looking = true;
    if (held < UNREAD_MAX)
        n = crank_within(look_seconds, crank_peek(w->stream, held + 1, &bytes));
    w->looking = false;
    if (n == -ETIMEDOUT)
        return not_there(w, "no answer to a ping");
    if (n >= 0 && (size_t)n == held)
        return cr_http_socket_fail(w, -ECONNRESET, "the connection has ended");
    if (n > 0)
        cr_http_silence_heard(w);
    return n > 0 ? 0 : (int)n;
}

int cr_http_silence_look(crank_websocket *w)
{
    if (w->reading || w->ping < 0 || crank_time() - w->heard_at < w->ping)
        return 0;
    if (!w->pinged)
        ask(w);
    else if (!w->ping_waits && crank_time() - w->pinged_at > w->ping)
        return look(w);
    return 0;
}

int cr_http_silence_await_look(crank_websocket *w)
{
    int err = 0;
    while (err == 0 && w->looking)
        err = crank_sleep(look_seconds / 10);
    return err;
}

/* ---- Where it waits for room ---- */

static void on_watch(void *arg)
{
    crank_websocket *w = arg;
    bool is_there = w->reading || moves(w);
    w->stills = is_there ? 0 : w->stills + 1;
    w->watch = NULL;
    if (w->stills < 2) {
        w->watch = crank_call_later(crank_current_loop(), w->ping, on_watch, w);
        return;
    }
    (void)cr_http_socket_fail(w, -ETIMEDOUT, "the peer takes nothing");
    crank_abort(w->stream);
}

/* Without memory for the timer there is none. */
void cr_http_silence_watch(crank_websocket *w, size_t more)
{
    if (w->ping < 0 || crank_unsent(w->stream) + more <= CR_HTTP_SOCKET_MARK)
        return;
    (void)moves(w);
    w->stills = 0;
    w->watch = crank_call_later(crank_current_loop(), w->ping, on_watch, w);
}

void cr_http_silence_watch_no_more(crank_websocket *w)
{
    (void)crank_handle_cancel(w->watch);
    w->watch = NULL;
}
