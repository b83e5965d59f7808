/* SPDX-License-Identifier: MIT */
/* stream.c: bodies as streams.
 *
 * A handler reads a body, and writes an answer, as a stream of its own, over a transport. A read
 * takes the body's next bytes from the connection, in the task that reads. What is written is
 * gathered by the stream and put as one chunk into the connection's buffer, at the end of the
 * loop's pass. Back-pressure passes through: a read asks for no more than the stream has room for,
 * and writers wait while too much is unsent in the stream and the connection together.
 *
 * Owns both streams, and the timer by which the pace of a peer is looked at that reads the answer.
 * A failure of the connection's must not look like an end: the handler's stream is aborted then,
 * and all its calls fail. */
#include "http/stream.h"

#include <errno.h>
#include <stdio.h>

#include <crank/error.h>
#include <crank/loop.h>
#include <crank/scope.h>
#include <crank/task.h>

#include "http/answer.h"
#include "http/pace.h"
#include "http/receive.h"

/* ---- The body ---- */

/* Why it has failed is in the message of the one failure that the handler is given. */
static ssize_t read_body(void *self, void *buf, size_t size)
{
    cr_http_message *m = self;
    char why[200];
    ssize_t n = cr_http_receive(m, buf, size);
    if (n >= 0 || n == -ECANCELED)
        return n;
    snprintf(why, sizeof why, "%s", crank_error());
    crank_abort(m->body_stream);
    return crank_fail(ECONNABORTED, "%s", why);
}

/* Where memory is short the connection's own stream is given, aborted: every read of it fails, and
 * no answer can leave. */
crank_stream *crank_http_request_body_(crank_http_request *request)
{
    static const crank_transport body = { .name = "the body of a request", .read = read_body };
    cr_http_message *m = cr_http_message_of(request);
    if (!m->body_stream)
        m->body_stream = crank_stream_new(&body, m, NULL);
    if (m->body_stream)
        return m->body_stream;
    m->broken = true;
    crank_abort(m->connection->stream);
    return m->connection->stream;
}

/* ---- The answer ---- */

static void look_at_pace(void *arg);

/* Where there is no memory for the timer the next piece starts one. */
static void start_pacing(cr_http_message *m)
{
    if (!m->pacing.timer && m->connection->server->options.rate >= 0)
        m->pacing.timer =
            crank_call_later(crank_current_loop(), CR_HTTP_PACE_SLICE, look_at_pace, m);
}

/* The peer is given up also where no task waits for it just now. */
static void look_at_pace(void *arg)
{
    cr_http_message *m = arg;
    m->pacing.timer = NULL;
    if (!cr_http_pace_holds(m)) {
        m->broken = m->is_peers = true;
        crank_abort(m->connection->stream);
    } else if (crank_unsent(m->connection->stream) > 0) {
        start_pacing(m);
    }
}

static int put_answer(void *self, const void *bytes, size_t size)
{
    cr_http_message *m = self;
    int err = cr_http_answer_put(m, bytes, size);
    if (!m->pacing.timer) {
        cr_http_pace_begin(m);
        start_pacing(m);
    }
    return err;
}

/* It ends with the handler. */
static int end_writing(void *self)
{
    (void)self;
    return 0;
}

static int close_answer(void *self, bool abort)
{
    cr_http_message *m = self;
    m->broken = m->broken || abort;
    return 0;
}

static crank_stream *new_answer(cr_http_message *m)
{
    static const crank_transport answer = {
        .name = "an answer", .put = put_answer, .write_eof = end_writing, .close = close_answer
    };
    return crank_stream_new(&answer, m, m->connection->stream);
}

/* The stream above the connection is made last: what is above lifts the connection's own limit. */
crank_stream *crank_http_begin(crank_http_request *request, int status, const char *type)
{
    cr_http_message *m = cr_http_message_of(request);
    int err = cr_http_answer_begin(m, status, type, CR_HTTP_STREAM);
    if (err == 0) {
        m->answer_stream = new_answer(m);
        if (m->answer_stream)
            return m->answer_stream;
        m->broken = true;
        err = crank_fail(ENOMEM, "out of memory for an answer");
    }
    errno = -err;
    return NULL;
}

/* ECONNABORTED is an abort of this side's. */
bool cr_http_stream_failed(const cr_http_message *message)
{
    if (!message->answer_stream)
        return false;
    int err = crank_shield(crank_wait_room(message->connection->stream));
    return err < 0 && err != -ECONNABORTED;
}

/* ---- The end ---- */

static void end(crank_stream **stream)
{
    crank_stream *ended = *stream;
    *stream = NULL;
    if (ended)
        (void)crank_shield(crank_stream_close(ended));
}

void cr_http_stream_end(cr_http_message *message)
{
    end(&message->body_stream);
    if (!message->answer_stream)
        return;
    if (message->result < 0) {
        message->broken = true;
        crank_abort(message->answer_stream);
    }
    end(&message->answer_stream);
    (void)crank_handle_cancel(message->pacing.timer);
    crank_set_write_limit(message->connection->stream, 0);
}
