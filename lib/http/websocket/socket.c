/* SPDX-License-Identifier: MIT */
/* socket.c: what of a WebSocket reading, writing and ending share: its record, its failure, and
 * its control frames.
 *
 * A message that does not fit is sent from its writer's memory while that waits, so no other frame
 * can be written then: a pong, ping or close that comes meanwhile waits in the record, and leaves
 * behind the message. Of the pings of a peer that does not read, the last is answered.
 *
 * Invariant: nothing is written behind a close, and the turn is free where a control frame is
 * put. */
#include "http/websocket/socket.h"

#include <stdint.h>
#include <string.h>

#include <crank/error.h>
#include <crank/layer.h>
#include <crank/task.h>

#define PING_SECONDS 20.0

int cr_http_socket_init(crank_websocket *w, const crank_websocket_options *options)
{
    static const crank_websocket_options defaults = { .message_max = 0 };
    const crank_websocket_options *o = options ? options : &defaults;
    w->message_max = o->message_max > 0 ? o->message_max : CR_HTTP_SOCKET_MESSAGE;
    if (w->message_max > PTRDIFF_MAX / 2)
        w->message_max = PTRDIFF_MAX / 2;
    w->ping = o->ping != 0 ? o->ping : PING_SECONDS;
    if (w->ping != w->ping)
        return crank_fail(EINVAL, "crank_websocket_options: ping is no number");
    w->protocol = "";
    w->heard_at = crank_time();
    w->turn = crank_lock_new();
    return w->turn ? 0 : crank_fail(ENOMEM, "out of memory for a WebSocket");
}

void cr_http_socket_deinit(crank_websocket *w)
{
    crank_release(w->text);
    crank_release(w->own_protocol);
    w->text = w->own_protocol = NULL;
    if (w->turn)
        crank_lock_free(w->turn);
    w->turn = NULL;
}

int cr_http_socket_check(crank_websocket *w)
{
    int err = crank_write(w->stream, "", 0);
    return err == -ECANCELED ? err : 0;
}

int cr_http_socket_fail(crank_websocket *w, int err, const char *why)
{
    if (w->error == 0) {
        w->error = err;
        w->why = why;
    }
    if (w->request)
        w->request->socket_error = err;
    return err;
}

int cr_http_socket_refuses(crank_websocket *w)
{
    int err = w->aborted ? -ECONNABORTED : w->error;
    if (err == 0)
        return 0;
    (void)cr_http_socket_fail(w, err, "");
    if (w->error == -ETIMEDOUT)
        w->error = -ECONNABORTED;
    return crank_fail(err, "%.100s: %s", crank_peer_name(w->stream),
        w->aborted ? "the WebSocket was aborted" : w->why);
}

/* ---- Control frames ---- */

void cr_http_socket_mask(const crank_websocket *w, cr_http_frame *frame)
{
    uint64_t word = w->request ? 0 : crank_random();
    frame->masked = !w->request;
    memcpy(frame->mask, &word, sizeof frame->mask);
}

/* At most 125 bytes, above the mark too. What cannot be written any more the next call is told. */
static void put(crank_websocket *w, unsigned char opcode, const char *bytes, size_t size)
{
    char text[CR_HTTP_FRAME_HEADER_MAX + CR_HTTP_FRAME_CONTROL_MAX];
    cr_http_frame frame = { .size = size, .opcode = opcode, .final = true };
    cr_http_socket_mask(w, &frame);
    size_t length = cr_http_frame_format(&frame, text);
    cr_http_frame_copy(&frame, 0, text + length, bytes, size);
    crank_set_write_limit(w->stream, SIZE_MAX);
    int err = crank_write_now(w->stream, text, length + size);
    (void)err;
    crank_set_write_limit(w->stream, CR_HTTP_SOCKET_MARK);
}

void cr_http_socket_put_waiting(crank_websocket *w)
{
    bool has_room = crank_unsent(w->stream) < CR_HTTP_SOCKET_MARK;
    if (w->closing && !w->close_waits)
        return;
    if (w->pong_waits && has_room) {
        w->pong_waits = false;
        put(w, CR_HTTP_FRAME_PONG, w->pong, w->pong_size);
    }
    if (w->ping_waits && has_room && !w->closing) {
        w->ping_waits = false;
        w->pinged_at = crank_time();
        put(w, CR_HTTP_FRAME_PING, "", 0);
    }
    if (w->close_waits) {
        w->close_waits = w->pong_waits = w->ping_waits = false;
        put(w, CR_HTTP_FRAME_CLOSE, w->close, w->close_size);
    }
}

void cr_http_socket_flush(crank_websocket *w)
{
    if (!crank_lock_held(w->turn))
        cr_http_socket_put_waiting(w);
}

void cr_http_socket_begin_close(crank_websocket *w, int code, const char *reason)
{
    if (w->closing)
        return;
    w->closing = w->close_waits = true;
    w->close_size = 0;
    if (code > 0) {
        size_t size = reason ? cr_http_utf8_cut(reason, CR_HTTP_SOCKET_REASON) : 0;
        w->close[0] = (char)(code >> 8);
        w->close[1] = (char)code;
        if (size > 0)
            memcpy(w->close + 2, reason, size);
        w->close_size = (unsigned char)(2 + size);
    }
    w->close_at = crank_time() + CR_HTTP_SOCKET_CLOSE_SECONDS;
    (void)crank_stream_limit(w->stream, w->close_at);
    cr_http_socket_flush(w);
}
