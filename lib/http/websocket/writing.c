/* SPDX-License-Identifier: MIT */
/* writing.c: messages that a program writes, each as one frame.
 *
 * A message goes into the stream's buffer where there is room, and where it is longer than that
 * may hold from its writer's memory to the kernel. Owns the turn: a task that writes so holds it
 * until its frame is whole, and sends the control frames that came meanwhile before it gives the
 * turn on. A client's message is copied, for it is masked. */
#include "http/websocket/socket.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include <crank/error.h>
#include <crank/layer.h>
#include <crank/scope.h>

#include "http/text.h"

enum { NEAR = 1024 }; /* bytes of a frame that is put together on the stack */

static int refuses(crank_websocket *w)
{
    int err = cr_http_socket_refuses(w);
    if (err == 0 && w->closing) {
        err =
            crank_fail(EPIPE, "%.100s: the WebSocket is being closed", crank_peer_name(w->stream));
        if (w->request)
            w->request->socket_error = err;
    }
    return err;
}

static int check_message(crank_websocket_kind kind, const void *bytes, size_t size)
{
    if (kind != CRANK_TEXT && kind != CRANK_BINARY)
        return crank_fail(
            EINVAL, "%d is no kind of a message: CRANK_TEXT and CRANK_BINARY are", (int)kind);
    if (size > PTRDIFF_MAX / 2)
        return crank_fail(EINVAL, "a message of %zu bytes is too long", size);
    if (kind == CRANK_TEXT && !cr_http_utf8_is(bytes, size))
        return crank_fail(EINVAL, "a text message is no UTF-8: what has other bytes is "
                                  "CRANK_BINARY");
    return 0;
}

static cr_http_frame frame_of(const crank_websocket *w, crank_websocket_kind kind, size_t size)
{
    cr_http_frame frame = { .size = size, .opcode = (unsigned char)kind, .final = true };
    cr_http_socket_mask(w, &frame);
    return frame;
}

/* What the stream has failed with is the socket's failure, but for a wait that has ended early. */
static int settle(crank_websocket *w, int err)
{
    if (err >= 0 || err == -ECANCELED || err == -EAGAIN || err == -ENOMEM)
        return err;
    if (err == -ETIMEDOUT) /* the limit that an abort or a close has set */
        return refuses(w);
    bool is_told = w->aborted || w->error == -ETIMEDOUT; /* by silence.c */
    return is_told ? refuses(w) : cr_http_socket_fail(w, err, "writing has failed");
}

/* ---- Waiting ---- */

/* A frame as two pieces, or where it is masked as a copy. */
static int write_frame(crank_websocket *w, const cr_http_frame *frame, const void *bytes)
{
    char header[CR_HTTP_FRAME_HEADER_MAX];
    size_t size = (size_t)frame->size, length = cr_http_frame_format(frame, header);
    struct iovec pieces[] = {
        { .iov_base = header, .iov_len = length },
        { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size },
    };
    if (!frame->masked)
        return crank_write_vector(w->stream, pieces, 2);
    char *copy = crank_alloc(size + 1);
    if (!copy)
        return crank_fail(ENOMEM, "out of memory for a message of %zu bytes", size);
    cr_http_frame_copy(frame, 0, copy, bytes, size);
    pieces[1].iov_base = copy;
    int err = crank_write_vector(w->stream, pieces, 2);
    crank_release(copy);
    return err;
}

static int write_in_turn(crank_websocket *w, const cr_http_frame *frame, const void *bytes)
{
    int err = crank_lock_acquire_nowait(w->turn);
    if (err < 0)
        err = crank_lock_acquire(w->turn);
    if (err < 0)
        return err;
    err = refuses(w);
    if (err == 0)
        err = cr_http_silence_look(w);
    if (err == 0) {
        cr_http_silence_watch(w, (size_t)frame->size);
        err = settle(w, write_frame(w, frame, bytes));
        cr_http_silence_watch_no_more(w);
    }
    w->written += err == 0;
    cr_http_socket_put_waiting(w);
    crank_lock_release(w->turn);
    return err;
}

int crank_websocket_write(
    crank_websocket *websocket, crank_websocket_kind kind, const void *bytes, size_t size)
{
    crank_websocket *w = websocket;
    int err = check_message(kind, bytes, size);
    if (err == 0)
        err = refuses(w);
    if (err < 0) {
        int cancelled = cr_http_socket_check(w);
        return cancelled < 0 ? cancelled : err;
    }
    const cr_http_frame frame = frame_of(w, kind, size);
    return write_in_turn(w, &frame, bytes);
}

int crank_websocket_print(crank_websocket *websocket, const char *format, ...)
{
    cr_http_text text;
    va_list args;
    va_start(args, format);
    int err = cr_http_text_format(&text, "crank_websocket_print", "a message", format, args);
    va_end(args);
    if (err == 0)
        err = crank_websocket_write(websocket, CRANK_TEXT, text.bytes, text.size);
    cr_http_text_free(&text);
    return err;
}

/* ---- Without a wait ---- */

static int put_near(crank_websocket *w, const cr_http_frame *frame, const void *bytes)
{
    char text[CR_HTTP_FRAME_HEADER_MAX + NEAR];
    size_t length = cr_http_frame_format(frame, text);
    cr_http_frame_copy(frame, 0, text + length, bytes, (size_t)frame->size);
    return crank_write_now(w->stream, text, length + (size_t)frame->size);
}

/* The second piece lacks only memory: then half a frame is written, and none can follow. */
static int put_pieces(crank_websocket *w, const cr_http_frame *frame, const void *bytes)
{
    char header[CR_HTTP_FRAME_HEADER_MAX];
    size_t length = cr_http_frame_format(frame, header), size = (size_t)frame->size;
    size_t unsent = crank_unsent(w->stream);
    if (unsent > 0 && unsent + length + size > CR_HTTP_SOCKET_MARK)
        return -EAGAIN;
    crank_set_write_limit(w->stream, SIZE_MAX);
    int err = crank_write_now(w->stream, header, length);
    if (err == 0) {
        err = crank_write_now(w->stream, bytes, size);
        if (err < 0)
            crank_abort(w->stream);
    }
    crank_set_write_limit(w->stream, CR_HTTP_SOCKET_MARK);
    return err;
}

static int put_copy(crank_websocket *w, const cr_http_frame *frame, const void *bytes)
{
    size_t size = (size_t)frame->size;
    char *copy = crank_alloc(CR_HTTP_FRAME_HEADER_MAX + size);
    if (!copy)
        return crank_fail(ENOMEM, "out of memory for a message of %zu bytes", size);
    size_t length = cr_http_frame_format(frame, copy);
    cr_http_frame_copy(frame, 0, copy + length, bytes, size);
    int err = crank_write_now(w->stream, copy, length + size);
    crank_release(copy);
    return err;
}

int crank_websocket_write_now(
    crank_websocket *websocket, crank_websocket_kind kind, const void *bytes, size_t size)
{
    crank_websocket *w = websocket;
    int err = check_message(kind, bytes, size);
    if (err == 0)
        err = refuses(w);
    if (err < 0)
        return err;
    if (crank_lock_held(w->turn))
        return -EAGAIN;
    const cr_http_frame frame = frame_of(w, kind, size);
    if (size <= NEAR)
        err = put_near(w, &frame, bytes);
    else
        err = frame.masked ? put_copy(w, &frame, bytes) : put_pieces(w, &frame, bytes);
    return settle(w, err);
}

size_t crank_websocket_unsent(const crank_websocket *websocket)
{
    return crank_unsent(websocket->stream);
}
