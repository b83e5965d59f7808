/* SPDX-License-Identifier: MIT */
/* putting.c: what is written to a transport.
 *
 * Written bytes are buffered and put at the end of the pass, when the stream is read, or at the
 * mark, as a socket's are sent. put never waits, and the stream below takes all that is put: so
 * what bounds the memory is that a writer waits while too much is unsent in both together, for the
 * stream below to have sent it. A transport that has write in place of put is not buffered: each
 * call is written by the task that makes it.
 *
 * put runs on the loop's own stack and as if no task ran: it cannot wait, and what it needs of the
 * stack is not a task's.
 *
 * Invariant: while out has bytes, settle is in the loop's list, or the task that wrote them is in
 * its call, or the writing is broken. */
#include "base/check.h"
#include "io/socketlike.h"
#include "io/transport.h"

/* A large write is put in pieces of this size, which is also that of a record of TLS. */
#define PIECE_MAX ((size_t)16 * 1024)

typedef struct putting {
    cr_transport *t;
    const char *bytes;
    size_t size;
    int result;
} putting;

/* What it says of a failure belongs to no task: the caller's message stays. */
static void run_put(void *arg)
{
    putting *p = arg;
    cr_sched *runner = &p->t->loop->runner;
    cr_fiber *running = runner->current;
    runner->current = NULL;
    p->result = p->t->calls->put(p->t->self, p->bytes, p->size);
    if (p->result < 0)
        crank_error_clear();
    runner->current = running;
}

static int put_bytes(cr_transport *t, const char *bytes, size_t size)
{
    putting p = { .t = t, .bytes = bytes, .size = size };
    if (t->loop->runner.current)
        cr_sched_call(&t->loop->runner, run_put, &p);
    else
        run_put(&p);
    return p.result < 0 ? p.result : 0;
}

void cr_putting_break(cr_transport *t, int error)
{
    if (cr_buffer_held(&t->stream.out) > 0)
        t->stream.lost = true;
    t->send_error = error;
    cr_loop_unsettle(t->loop, &t->settle);
    cr_buffer_release(t->loop, &t->stream.out);
}

/* The buffer is empty while its bytes are put. */
void cr_putting_all(cr_transport *t)
{
    cr_buffer going = t->stream.out;
    cr_loop_unsettle(t->loop, &t->settle);
    if (t->send_error || cr_buffer_held(&going) == 0)
        return;
    t->stream.out = (cr_buffer){ 0 };
    int err = put_bytes(t, cr_buffer_first(&going), cr_buffer_held(&going));
    cr_buffer_release(t->loop, &going);
    if (err == 0) {
        t->stream.written = true;
    } else if (!t->send_error) {
        t->stream.lost = true;
        cr_putting_break(t, err);
    }
}

void cr_putting_start(crank_stream *stream)
{
    cr_putting_all(cr_transport_of(stream));
    if (stream->below && stream->below->type->start)
        stream->below->type->start(stream->below);
}

static void settle(crank_loop *loop, cr_settle *item)
{
    (void)loop;
    cr_putting_all(cr_container_of(item, cr_transport, settle));
}

static int broken(cr_transport *t)
{
    return t->ended ? t->ended : cr_stream_tell(&t->stream, t->send_error);
}

int cr_putting_refuses(cr_transport *t)
{
    int err = broken(t);
    return err == 0 && t->eof_given ? -EPIPE : err;
}

/* ---- Room ---- */

size_t cr_putting_unsent(const crank_stream *stream)
{
    size_t size = cr_buffer_held(&stream->out);
    return stream->below ? size + stream->below->type->unsent(stream->below) : size;
}

static bool has_room(const cr_transport *t, size_t size)
{
    return cr_stream_has_room(cr_putting_unsent(&t->stream), t->high, size);
}

/* One wait until at most so many bytes are unsent below; it may end before. A stream below that has
 * lost bytes has none unsent, and says why. */
int cr_putting_progress(const cr_caller *w, crank_stream *stream, size_t most)
{
    cr_transport *t = cr_transport_of(stream);
    cr_putting_all(t);
    int err = broken(t);
    const crank_stream *below = stream->below;
    if (err == 0 && below && (below->lost || cr_putting_unsent(stream) > most))
        err = stream->below->type->progress(w, stream->below, most);
    if (err < 0 && err != -ECANCELED && err != -ETIMEDOUT && !t->send_error && !t->ended) {
        cr_putting_break(t, err);
        stream->told = err;
    }
    return err;
}

/* For the writer whose turn it is. */
static int await_room(const cr_caller *w, cr_transport *t, size_t size)
{
    cr_visit visit;
    int err = cr_visit_begin(&visit, &t->stream, NULL);
    if (err < 0)
        return err;
    while (err == 0 && !has_room(t, size))
        err = cr_putting_progress(w, &t->stream, cr_sending_low_mark(t->high, size));
    return cr_transport_ended_or(t, (int)cr_visit_end(&visit, err));
}

static int wait_for_room(const cr_caller *w, cr_transport *t, size_t size)
{
    int err = cr_stream_take_turn(w, &t->stream);
    if (err < 0)
        return err;
    err = await_room(w, t, size);
    cr_stream_give_turn(t->loop, &t->stream);
    return err;
}

int cr_putting_make_room(const cr_caller *w, crank_stream *stream, size_t size)
{
    cr_transport *t = cr_transport_of(stream);
    int err = cr_putting_refuses(t);
    if (err == 0 && (size > t->high || !t->calls->put))
        return -EMSGSIZE;
    if (err == 0 && (stream->writer || !has_room(t, size)))
        err = wait_for_room(w, t, size);
    if (err == 0)
        err = cr_putting_refuses(t);
    if (err == 0)
        err = cr_buffer_reserve(t->loop, &stream->out, cr_buffer_held(&stream->out) + size);
    return err < 0 ? cr_stream_failed(stream, "write", err) : 0;
}

int cr_putting_room_now(crank_stream *stream, size_t size)
{
    cr_transport *t = cr_transport_of(stream);
    int err = cr_putting_refuses(t);
    if (err == 0 && !t->calls->put)
        return cr_error_set(-ENOTSUP, "crank_write_now: %s is written by waiting: it has no put",
            cr_stream_name(stream));
    if (err == 0 && (stream->writer || !has_room(t, size))) {
        t->refused = size;
        return -EAGAIN;
    }
    if (err == 0)
        err = cr_buffer_reserve(t->loop, &stream->out, cr_buffer_held(&stream->out) + size);
    if (err == 0)
        t->refused = 0;
    return err < 0 ? cr_stream_failed(stream, "write", err) : 0;
}

int cr_putting_wait_room(const cr_caller *w, crank_stream *stream)
{
    cr_transport *t = cr_transport_of(stream);
    size_t size = t->refused > 0 ? t->refused : 1;
    int err = cr_putting_refuses(t);
    if (err == 0 && (stream->writer || !has_room(t, size)))
        err = wait_for_room(w, t, size);
    if (err == 0)
        err = cr_putting_refuses(t);
    return err < 0 ? cr_stream_failed(stream, "write", err) : 0;
}

void cr_putting_put(crank_stream *stream, size_t size)
{
    cr_transport *t = cr_transport_of(stream);
    (void)size;
    if (cr_putting_unsent(stream) >= t->high)
        cr_putting_start(stream);
    else
        cr_loop_settle(t->loop, &t->settle);
}

/* The writer that waits for room looks again; it waits in the stream at the bottom. */
void cr_putting_set_high(crank_stream *stream, size_t high)
{
    cr_socketlike *bottom = cr_socketlike_of(cr_stream_bottom(stream));
    cr_transport_of(stream)->high = high;
    if (bottom && bottom != cr_socketlike_of(stream))
        cr_sending_look_again(bottom, stream->writer);
}

/* ---- Large writes, and those of a transport that has no put ---- */

/* One large write, while its writer has the turn. */
typedef struct large {
    const struct iovec *pieces;
    int n;
    size_t done;    /* bytes put, or written */
    bool explained; /* the user's call has a message for the failure */
} large;

static int write_piece(cr_transport *t, large *l, const struct iovec *piece)
{
    const cr_failure *before = cr_error_here();
    int err = cr_putting_refuses(t);
    if (err == 0 && piece->iov_len > 0)
        err = t->calls->write(t->self, piece->iov_base, piece->iov_len);
    l->explained = err < 0 && cr_transport_explains(before, err);
    if (err >= 0)
        l->done += piece->iov_len;
    return err < 0 ? err : 0;
}

static int put_piece(const cr_caller *w, cr_transport *t, large *l, const struct iovec *piece)
{
    int err = 0;
    for (size_t at = 0; err == 0 && at < piece->iov_len;) {
        size_t size = piece->iov_len - at < PIECE_MAX ? piece->iov_len - at : PIECE_MAX;
        while (err == 0 && cr_putting_unsent(&t->stream) >= t->high)
            err = cr_putting_progress(w, &t->stream, t->high / 4);
        if (err == 0)
            err = cr_putting_refuses(t);
        if (err == 0)
            err = put_bytes(t, (const char *)piece->iov_base + at, size);
        if (err == 0)
            l->done += size;
        at += size;
    }
    return err;
}

/* Half a write cannot be taken back: nothing more is written after one. Of a write of the user's
 * that failed it is not known how much it has written. */
static void end_large(cr_transport *t, const large *l, int err)
{
    bool early = err == -ECANCELED || err == -ETIMEDOUT;
    if (l->done > 0)
        t->stream.lost = true;
    if (t->send_error || t->ended || (l->done == 0 && early && t->calls->put))
        return;
    t->stream.lost = true;
    cr_putting_break(t, early ? -EPIPE : err);
    t->stream.told = t->send_error;
}

static int write_pieces(const cr_caller *w, cr_transport *t, large *l)
{
    cr_visit visit;
    int err = cr_visit_begin(&visit, &t->stream, NULL);
    if (err < 0)
        return err;
    cr_putting_all(t);
    for (int i = 0; err == 0 && i < l->n; i++)
        err = t->calls->put ? put_piece(w, t, l, &l->pieces[i]) : write_piece(t, l, &l->pieces[i]);
    t->stream.written = t->stream.written || l->done > 0;
    return cr_transport_ended_or(t, (int)cr_visit_end(&visit, err));
}

int cr_putting_write_large(
    const cr_caller *w, crank_stream *stream, const struct iovec *pieces, int n)
{
    cr_transport *t = cr_transport_of(stream);
    large l = { .pieces = pieces, .n = n };
    int err = cr_stream_take_turn(w, stream);
    if (err < 0)
        return cr_stream_failed(stream, "write", err);
    err = write_pieces(w, t, &l);
    if (err < 0)
        end_large(t, &l, err);
    cr_stream_give_turn(t->loop, stream);
    return err < 0 ? cr_transport_failed(t, "write", err, l.explained) : 0;
}

int cr_putting_flush(const cr_caller *w, crank_stream *stream)
{
    cr_visit visit;
    cr_transport *t = cr_transport_of(stream);
    cr_putting_all(t);
    int err = broken(t);
    if (err == 0 && stream->below)
        err = cr_visit_begin(&visit, stream, NULL);
    if (err < 0)
        return cr_stream_failed(stream, "write", err);
    if (!stream->below)
        return 0;
    do
        err = cr_putting_progress(w, stream, 0);
    while (err == 0 && cr_putting_unsent(stream) > 0);
    err = cr_transport_ended_or(t, (int)cr_visit_end(&visit, err));
    return err < 0 ? cr_stream_failed(stream, "write", err) : 0;
}

void cr_putting_init(cr_transport *t)
{
    t->high = CR_BUFFER_LARGE;
    t->settle.run = settle;
}
