/* SPDX-License-Identifier: MIT */
/* pump.c: bodies as streams.
 *
 * A handler reads a body, and writes an answer, as a stream of its own: one end of a pair of
 * sockets. A helper task of the request moves the bytes between the other end and the connection,
 * where the framing is. Back-pressure passes through: a pair's buffers are bounded.
 *
 * Owns both ends of both pairs. A failure of the connection's must not look like an end: the
 * handler's own stream is aborted then, and its calls fail. */
#include "http/pump.h"

#include <errno.h>
#include <stdlib.h>

#include <crank/error.h>
#include <crank/net.h>
#include <crank/task.h>

#include "http/answer.h"
#include "http/receive.h"

enum { PIECE = 16 * 1024 };

/* ---- The body ---- */

static int move_body(cr_http_message *m, char *buf)
{
    for (;;) {
        ssize_t n = cr_http_receive(m, buf, PIECE);
        if (n <= 0)
            return (int)n;
        int err = crank_write(m->body_source, buf, (size_t)n);
        if (err < 0)
            return err;
    }
}

static int pump_body(cr_http_message *m)
{
    char *buf = malloc(PIECE);
    int err = buf ? move_body(m, buf) : -ENOMEM;
    free(buf);
    if (err == 0)
        err = crank_write_eof(m->body_source);
    if (err < 0 && err != -ECANCELED)
        crank_abort(m->body_stream);
    m->body_pump = NULL;
    return 0;
}

/* Where no pair can be had the connection's own stream is given, aborted: every read of it fails,
 * and no answer can leave. */
crank_stream *crank_http_request_body_(crank_http_request *request)
{
    cr_http_message *m = cr_http_message_of(request);
    if (m->body_stream)
        return m->body_stream;
    if (crank_socket_pair(&m->body_stream, &m->body_source) < 0) {
        m->body_stream = m->body_source = NULL;
        m->broken = true;
        crank_abort(m->connection->stream);
        return m->connection->stream;
    }
    m->body_pump = crank_group_spawn(m->helpers, pump_body, m);
    if (!m->body_pump)
        crank_abort(m->body_stream);
    return m->body_stream;
}

/* ---- The answer ---- */

static int move_answer(cr_http_message *m)
{
    for (;;) {
        const char *bytes;
        ssize_t n = crank_peek(m->answer_sink, 1, &bytes);
        if (n <= 0)
            return (int)n;
        int err = cr_http_answer_write(m, bytes, (size_t)n);
        if (err < 0)
            return err;
        crank_skip(m->answer_sink, (size_t)n);
    }
}

static int pump_answer(cr_http_message *m)
{
    if (move_answer(m) < 0) {
        m->broken = true;
        if (m->answer_stream)
            crank_abort(m->answer_stream);
        crank_abort(m->answer_sink); /* the end of a handler's stream that is being closed */
    }
    return 0;
}

crank_stream *crank_http_begin(crank_http_request *request, int status, const char *type)
{
    cr_http_message *m = cr_http_message_of(request);
    int err =
        m->state == CR_HTTP_UNANSWERED ? crank_socket_pair(&m->answer_stream, &m->answer_sink) : 0;
    if (err == 0)
        err = cr_http_answer_begin(m, status, type, CR_HTTP_STREAM);
    if (err == 0 && !crank_group_spawn(m->helpers, pump_answer, m)) {
        m->broken = true;
        err = crank_fail(ENOMEM, "out of memory for an answer");
    }
    if (err == 0)
        return m->answer_stream;
    errno = -err;
    return NULL;
}

/* ---- The end ---- */

static void stop(crank_task **helper)
{
    if (*helper)
        crank_cancel(*helper);
}

/* A handler's stream that cannot be written out, or should not be. */
static void close_answer(cr_http_message *m)
{
    crank_stream *stream = m->answer_stream;
    if (!stream)
        return;
    if (m->result < 0) {
        m->broken = true;
        crank_abort(stream);
    }
    m->answer_stream = NULL;
    if (crank_stream_close(stream) < 0)
        m->broken = true;
}

int cr_http_pump_finish(cr_http_message *message)
{
    stop(&message->watcher);
    stop(&message->body_pump);
    stop(&message->heart);
    close_answer(message);
    int err = crank_group_count(message->helpers) > 0 ? crank_group_wait(message->helpers) : 0;
    if (message->answer_sink)
        (void)crank_stream_close(message->answer_sink);
    if (message->body_stream) {
        (void)crank_stream_close(message->body_stream);
        (void)crank_stream_close(message->body_source);
    }
    return err;
}
