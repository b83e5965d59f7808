/* SPDX-License-Identifier: MIT */
/* linger.c: how a server closes a connection.
 *
 * A kernel that is given bytes after close, or closes with input unread, answers with a reset, and
 * a reset makes the peer's kernel drop what its program has not read yet: the answer to an upload
 * that was refused early would be lost (RFC 7230, 6.6). So a server ends its own direction first,
 * and then reads and drops what still comes, so many bytes and for so long, or until the peer's
 * end. A connection whose end has been read has nothing to wait for.
 *
 * What stands on the connection, TLS say, is closed first, and may have bytes of its own to send.
 *
 * A peer that does not read is given time as long as bytes make progress; then, and where the task
 * is asked to end meanwhile, it sees a reset. A task that was asked before tries once and waits for
 * nothing; where bytes are left then, closing is a reset too. */
#include "net/linger.h"

#include <crank/scope.h>

#include "task/error.h"

enum { DROPPED_MAX = 256 * 1024 };

/* Each wait ends when some bytes more have gone: only a stall is limited. */
static int send_rest(const cr_caller *w, cr_socketlike *s, double seconds)
{
    int err = 0;
    cr_sending_start(s);
    while (err == 0 && cr_sending_unsent(s) > 0)
        err = crank_within(seconds, cr_sending_wait(w, s, s->sent + 1));
    return err;
}

/* Up to the peer's end, or so many bytes. */
static int drop_input(const cr_caller *w, cr_socketlike *s)
{
    crank_stream *stream = &s->stream;
    size_t dropped = 0;
    long n = cr_socketlike_write_eof(w, s);
    while (n >= 0 && !s->read_ended && dropped < DROPPED_MAX) {
        dropped += cr_buffer_held(&stream->in);
        cr_buffer_clear(&stream->in);
        n = cr_reading_fill(w, stream, 1);
    }
    return n < 0 ? (int)n : 0;
}

void cr_linger_close(cr_connection *c, double seconds, double usual)
{
    cr_socketlike *s = &c->socket;
    cr_caller w = { s->loop, cr_self() };
    if (s->stream.above) {
        cr_limit_stall(s, seconds > 0 ? seconds : usual);
        cr_stream_end_above(&s->stream);
        cr_limit_end(s);
    }
    int err = s->ended;
    if (err == 0 && cr_task_requests(w.self) > 0)
        err = -ECANCELED;
    bool sent = false;
    if (err == 0) {
        err = send_rest(&w, s, seconds > 0 ? seconds : usual);
        sent = err == 0;
        if (!sent)
            cr_socketlike_abort(s); /* an end would tell the peer that it has all */
    }
    if (sent && seconds >= 0 && !s->read_ended && !s->stream.reader)
        (void)crank_within(seconds > 0 ? seconds : usual, drop_input(&w, s));
    crank_error_clear();
    cr_stream_end(&s->stream, false);
}
