/* SPDX-License-Identifier: MIT */
/* closing.c: how a WebSocket ends.
 *
 * In order each side sends a close and reads the other's; then the server ends the connection. What
 * has failed sends a close where it can, and waits for none. A server's connection is closed by
 * crank_serve after the handler, which sends what is unsent while that makes progress; a client
 * closes its own. */
#include "http/websocket/socket.h"

#include <crank/error.h>
#include <crank/layer.h>
#include <crank/scope.h>
#include <crank/task.h>

/* Seconds for which a peer that does not read is sent what is left. */
static const double rest_seconds = 2;

/* Until the peer's close has come, or is not waited for any more. */
static int shake(crank_websocket *w)
{
    int got = cr_http_socket_refuses(w);
    w->drops = true;
    while (got >= 0 && !w->closed)
        got = cr_http_reading_next(w);
    return got < 0 ? got : 0;
}

/* The server ends the connection first, so that it is the one whose port stays taken for a while
 * (RFC 6455, 7.1.1). */
static void await_end(crank_websocket *w)
{
    const char *bytes;
    ssize_t n = 1;
    while (n > 0 && crank_time() < w->close_at) {
        n = crank_peek(w->stream, 1, &bytes);
        if (n > 0)
            crank_skip(w->stream, (size_t)n);
    }
}

static int end_connection(crank_websocket *w)
{
    if (w->closed && !w->error && !w->aborted)
        await_end(w);
    (void)crank_stream_limit(w->stream, crank_time() + rest_seconds);
    return crank_stream_close(w->stream);
}

/* A server's record goes with the request. */
static void free_socket(crank_websocket *w)
{
    cr_http_message *m = w->request;
    cr_http_socket_deinit(w);
    if (m) {
        m->socket = NULL;
        m->connection->socket = NULL;
    } else {
        crank_release(w);
    }
}

/* Tasks that write still end with the limit that the close has set, or now. */
static void await_writers(crank_websocket *w, bool waits)
{
    int err = 0;
    if (!waits && crank_lock_held(w->turn))
        (void)crank_stream_limit(w->stream, crank_time());
    while (err == 0 && crank_lock_held(w->turn)) {
        err = crank_shield(crank_lock_acquire(w->turn));
        if (err == 0)
            crank_lock_release(w->turn);
    }
}

static int end(crank_websocket *w, int code, const char *reason, bool waits)
{
    int err = 0;
    if (!w->error && !w->aborted)
        cr_http_socket_begin_close(w, code, reason);
    if (waits)
        err = shake(w);
    await_writers(w, waits && err != -ECANCELED);
    if (!w->request) {
        int closed = end_connection(w);
        err = err < 0 ? err : closed;
    }
    free_socket(w);
    return err;
}

int crank_websocket_close(crank_websocket *websocket, int code, const char *reason)
{
    if (!websocket)
        return 0;
    bool is_code = code > 0 && cr_http_frame_is_code((unsigned)code);
    int err = end(websocket, is_code ? code : 1011, reason, true);
    if (!is_code)
        err = crank_fail(EINVAL,
            "crank_websocket_close: %d is no code: they are 1000 to 1003, 1007 to 1014 and 3000 to "
            "4999",
            code);
    return err;
}

void crank_websocket_end_(crank_websocket *websocket)
{
    crank_layer_block kept;
    bool cancelled = crank_cancelled();
    if (!websocket)
        return;
    crank_layer_block_begin(&kept);
    (void)crank_shield(end(websocket, cancelled ? 1001 : 1000, NULL, !cancelled));
    crank_layer_block_end(&kept);
}

/* A limit that has passed ends the waits of all that are in a call. */
void crank_websocket_abort(crank_websocket *websocket, int code, const char *reason)
{
    crank_websocket *w = websocket;
    bool is_code = code > 0 && cr_http_frame_is_code((unsigned)code);
    if (w->aborted)
        return;
    w->aborted = true;
    cr_http_socket_begin_close(w, is_code ? code : 1011, reason);
    (void)crank_stream_limit(w->stream, crank_time());
}

int crank_websocket_closed(const crank_websocket *websocket, const char **ret_reason)
{
    if (ret_reason)
        *ret_reason = websocket->peer_reason;
    return websocket->peer_code;
}

const char *crank_websocket_protocol(const crank_websocket *websocket)
{
    return websocket->protocol;
}

void cr_http_closing_stop(crank_websocket *w)
{
    cr_http_socket_begin_close(w, 1001, "the server is stopping");
}

int cr_http_closing_end(cr_http_message *message)
{
    int code = message->result == -ECANCELED ? 1001 : message->result < 0 ? 1011 : 1000;
    if (!message->socket)
        return 0;
    int err = end(message->socket, code, NULL, message->result != -ECANCELED);
    return err == -ECANCELED ? err : 0;
}
