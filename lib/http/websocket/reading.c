/* SPDX-License-Identifier: MIT */
/* reading.c: messages from the peer, and what else it sends.
 *
 * Owns the frame that is being read and the message that it is of. All of that lies in the record,
 * so a read that is cancelled loses nothing. Bytes are unmasked, and text is checked, as they
 * arrive; memory grows with what has arrived, never with what was announced.
 *
 * Silence is counted while a task waits to read, not while its handler computes: silence.c says
 * what follows from it. */
#include "http/websocket/socket.h"

#include <stdint.h>
#include <string.h>

#include <crank/error.h>
#include <crank/layer.h>
#include <crank/scope.h>
#include <crank/task.h>

enum {
    ROOM_MIN = 512,          /* of a message, at first */
    ROOM_GUESSED = 64 << 10, /* at first, where the peer has announced more */
    ROOM_KEPT = 4 << 10      /* while the next message is waited for */
};
/* Until a pong that found no room is tried again; and for which a wait lasts at least. */
static const double again_seconds = 1, look_seconds = 0.05;

/* ---- Failures ---- */

static int failed(crank_websocket *w, int err, const char *why)
{
    (void)cr_http_socket_fail(w, err, why);
    return crank_fail(err, "%.100s: %s", crank_peer_name(w->stream), why);
}

/* The peer is told by a close. */
static int blame(crank_websocket *w, int err, int code, const char *why)
{
    cr_http_socket_begin_close(w, code, why);
    return failed(w, err, why);
}

static int broken(crank_websocket *w, const char *why) { return blame(w, -EPROTO, 1002, why); }

static int no_text(crank_websocket *w)
{
    return blame(w, -EPROTO, 1007, "a text message is no UTF-8");
}

static int ended(crank_websocket *w)
{
    return failed(w, -ECONNRESET, "the connection ended without a close of the WebSocket");
}

static int not_closed(crank_websocket *w)
{
    (void)cr_http_socket_fail(w, -ETIMEDOUT, "the peer does not answer the close");
    return cr_http_socket_refuses(w);
}

/* What is dropped behind this side's close may come without end, and then no wait is limited. */
static int check_drop(crank_websocket *w)
{
    return w->drops && !w->closed && crank_time() >= w->close_at ? not_closed(w) : 0;
}

/* ---- Waiting for bytes ---- */

/* A limit of time has ended a wait: 0 where it goes on. */
static int on_limit(crank_websocket *w)
{
    int err = cr_http_socket_refuses(w);
    if (err == 0 && w->closing && crank_time() >= w->close_at)
        err = not_closed(w);
    if (err == 0 && w->ping > 0 && !w->closing && w->silence >= w->ping)
        err = cr_http_silence_passed(w);
    if (err == 0)
        cr_http_socket_flush(w);
    return err;
}

/* A reader that comes back late looks for what has come meanwhile. */
static double seconds_left(const crank_websocket *w)
{
    double left = w->ping < 0 || w->closing ? CRANK_FOREVER : w->ping - w->silence;
    if (w->pong_waits && left > again_seconds)
        left = again_seconds;
    return left > look_seconds ? left : look_seconds;
}

static ssize_t await_more(crank_websocket *w, size_t want, const char **ret_bytes)
{
    for (;;) {
        double begun = crank_time();
        ssize_t n = crank_within(seconds_left(w), crank_peek(w->stream, want, ret_bytes));
        w->silence += crank_time() - begun;
        int err = n == -ETIMEDOUT ? on_limit(w) : 0;
        if (err < 0 || n != -ETIMEDOUT)
            return err < 0 ? err : n;
    }
}

/* At least so many bytes, without taking them. What the stream has failed with is for good. */
static ssize_t await_bytes(crank_websocket *w, size_t want, const char **ret_bytes)
{
    ssize_t n = crank_peek(w->stream, 0, ret_bytes);
    if ((size_t)n >= want)
        return n;
    n = await_more(w, want, ret_bytes);
    if (n == -ECANCELED || n == -ENOMEM || (n < 0 && w->error))
        return n;
    if (n < 0)
        return cr_http_socket_fail(w, (int)n, "reading has failed");
    cr_http_silence_heard(w);
    return (size_t)n >= want ? n : ended(w);
}

/* ---- Control frames ---- */

static int take_close(crank_websocket *w, const char *bytes, size_t size)
{
    unsigned code =
        size < 2 ? 1005 : (unsigned)((unsigned char)bytes[0] << 8 | (unsigned char)bytes[1]);
    if (size == 1 || (size >= 2 && !cr_http_frame_is_code(code)))
        return broken(w, "a close has a code that it may not have");
    if (size > 2 && !cr_http_utf8_is(bytes + 2, size - 2))
        return no_text(w);
    w->closed = true;
    w->peer_code = (int)code;
    if (size > 2)
        memcpy(w->peer_reason, bytes + 2, size - 2);
    cr_http_socket_begin_close(w, size < 2 ? 0 : (int)code, NULL);
    return 0;
}

static int take_control(crank_websocket *w)
{
    const char *bytes;
    char text[CR_HTTP_FRAME_CONTROL_MAX];
    size_t size = (size_t)w->frame.size;
    ssize_t n = await_bytes(w, size, &bytes);
    if (n < 0)
        return (int)n;
    cr_http_frame_copy(&w->frame, 0, text, bytes, size);
    crank_skip(w->stream, size);
    w->in_frame = false;
    if (w->frame.opcode == CR_HTTP_FRAME_CLOSE)
        return take_close(w, text, size);
    if (w->frame.opcode == CR_HTTP_FRAME_PING) {
        memcpy(w->pong, text, size);
        w->pong_size = (unsigned char)size;
        w->pong_waits = true;
        cr_http_socket_flush(w);
    }
    return 0;
}

/* ---- Messages ---- */

static int begin_message(crank_websocket *w)
{
    const cr_http_frame *f = &w->frame;
    bool continues = f->opcode == CR_HTTP_FRAME_CONTINUATION;
    if (continues != (w->kind != 0))
        return broken(
            w, continues ? "a fragment continues no message" : "a message begins within another");
    if (!continues) {
        w->kind = (crank_websocket_kind)f->opcode;
        w->utf8 = (cr_http_utf8){ 0 };
        w->fragments = 0;
    }
    if (w->drops)
        return 0;
    if (++w->fragments > CR_HTTP_SOCKET_FRAGMENTS)
        return blame(w, -EMSGSIZE, 1008, "a message has too many fragments");
    if (f->size > w->message_max - w->size)
        return blame(w, -EMSGSIZE, 1009, "a message is too long");
    return 0;
}

static int take_header(crank_websocket *w)
{
    const char *bytes;
    ssize_t n = await_bytes(w, CR_HTTP_FRAME_HEADER_MIN, &bytes);
    if (n < 0)
        return (int)n;
    size_t size = cr_http_frame_header_size(bytes);
    n = await_bytes(w, size, &bytes);
    if (n < 0)
        return (int)n;
    const char *wrong = cr_http_frame_parse(bytes, &w->frame);
    if (wrong)
        return broken(w, wrong);
    if (w->frame.masked != (w->request != NULL))
        return broken(
            w, w->request ? "a client's frame has no mask" : "a server's frame has a mask");
    crank_skip(w->stream, size);
    w->in_frame = true;
    w->frame_taken = 0;
    return cr_http_frame_is_control(&w->frame) ? 0 : begin_message(w);
}

/* Room for so many bytes more, and the 0 behind. */
static int reserve(crank_websocket *w, size_t more)
{
    size_t needed = w->size + more + 1, left = (size_t)(w->frame.size - w->frame_taken);
    size_t wanted = 2 * w->room;
    if (needed <= w->room)
        return 0;
    if (w->room == 0)
        wanted = left < ROOM_GUESSED ? left + 1 : ROOM_GUESSED;
    if (wanted < ROOM_MIN)
        wanted = ROOM_MIN;
    if (wanted < needed)
        wanted = needed;
    char *text = crank_alloc(wanted);
    if (!text)
        return crank_fail(ENOMEM, "out of memory for a message of more than %zu bytes", w->size);
    if (w->size > 0)
        memcpy(text, w->text, w->size);
    crank_release(w->text);
    w->text = text;
    w->room = wanted;
    return 0;
}

static int take_piece(crank_websocket *w, const char *bytes, size_t size)
{
    int err = w->drops ? 0 : reserve(w, size);
    if (err < 0)
        return err;
    if (!w->drops) {
        char *to = w->text + w->size;
        cr_http_frame_copy(&w->frame, w->frame_taken, to, bytes, size);
        if (w->kind == CRANK_TEXT && !cr_http_utf8_take(&w->utf8, to, size))
            return no_text(w);
        w->size += size;
    }
    w->frame_taken += size;
    crank_skip(w->stream, size);
    return check_drop(w);
}

/* The message is whole. */
static int give(crank_websocket *w)
{
    int err = w->drops ? 0 : reserve(w, 0);
    if (err < 0)
        return err;
    if (!w->drops && w->kind == CRANK_TEXT && !cr_http_utf8_is_whole(&w->utf8))
        return no_text(w);
    if (!w->drops)
        w->text[w->size] = '\0';
    w->in_frame = false;
    w->given = true;
    return 1;
}

static int take_data(crank_websocket *w)
{
    while (w->frame_taken < w->frame.size) {
        const char *bytes;
        uint64_t left = w->frame.size - w->frame_taken;
        ssize_t n = await_bytes(w, 1, &bytes);
        int err =
            n < 0 ? (int)n : take_piece(w, bytes, left < (size_t)n ? (size_t)left : (size_t)n);
        if (err < 0)
            return err;
    }
    if (w->frame.final)
        return give(w);
    w->in_frame = false;
    return 0;
}

/* What the caller was given is the socket's again. */
static void take_back(crank_websocket *w)
{
    if (!w->given)
        return;
    w->given = false;
    w->kind = 0;
    w->size = 0;
    if (w->room > ROOM_KEPT) {
        crank_release(w->text);
        w->text = NULL;
        w->room = 0;
    }
}

static int next(crank_websocket *w)
{
    int got = 0;
    take_back(w);
    while (got == 0 && !w->closed) {
        if (!w->in_frame)
            got = take_header(w);
        if (got == 0)
            got = cr_http_frame_is_control(&w->frame) ? take_control(w) : take_data(w);
        int dropped = got >= 0 ? check_drop(w) : 0;
        got = dropped < 0 ? dropped : got;
    }
    return got;
}

int cr_http_reading_next(crank_websocket *w)
{
    int got = cr_http_silence_await_look(w);
    if (got < 0)
        return got;
    w->reading = true;
    got = next(w);
    w->reading = false;
    return got;
}

int crank_websocket_read(crank_websocket *websocket, crank_websocket_message *ret_message)
{
    crank_websocket *w = websocket;
    int got = cr_http_socket_check(w);
    if (got == 0)
        got = cr_http_socket_refuses(w);
    if (got == 0)
        got = cr_http_reading_next(w);
    if (got == 1)
        *ret_message =
            (crank_websocket_message){ .kind = w->kind, .bytes = w->text, .size = w->size };
    return got;
}

int crank_websocket_drain(crank_websocket *websocket)
{
    crank_websocket_message message;
    int got = 1;
    while (got == 1)
        got = crank_websocket_read(websocket, &message);
    return got;
}
