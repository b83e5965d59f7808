/* SPDX-License-Identifier: MIT */
/* transport.c: streams over functions of the user's: reading them, and their end.
 *
 * What TLS, or any protocol that carries bytes, is made of: its author writes how bytes are read
 * and how they are put, as straight-line code over the stream below, and the result is a stream as
 * any other. read, write, write_eof and close run in the calling task and wait where their author
 * wants. They are visits (visit.h), so that closing or aborting the stream ends them. Writing is
 * putting.c's.
 *
 * Owns the user's object until close has been called, which frees it, and with it the stream
 * below. */
#include "io/transport.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "io/buffer.h"

/* ---- Reading ---- */

static int prepare(cr_transport *t, size_t want)
{
    cr_buffer *in = &t->stream.in;
    size_t size = cr_buffer_held(in) > 0 ? cr_buffer_grown(in, want) : CR_BUFFER_MIDDLE;
    return cr_buffer_reserve(t->loop, in, size);
}

static long read_some(cr_transport *t)
{
    cr_visit visit;
    cr_buffer *in = &t->stream.in;
    size_t room = in->room - in->end;
    const cr_failure *before = cr_error_here();
    long n = cr_visit_begin(&visit, &t->stream, NULL);
    if (n < 0)
        return n;
    n = t->calls->read(t->self, in->bytes + in->end, room);
    CR_CHECK(n <= (long)room, "crank_transport: the read of %s gave %ld bytes for a buffer of %zu",
        cr_stream_name(&t->stream), n, room);
    n = cr_visit_end(&visit, n);
    t->stream.explained = n < 0 && cr_transport_explains(before, n);
    return n;
}

/* Without a buffer, which an idle stream need not have. */
static int await_some(cr_transport *t)
{
    cr_visit visit;
    const cr_failure *before = cr_error_here();
    if (t->stream.in.bytes)
        cr_buffer_release(t->loop, &t->stream.in);
    long n = cr_visit_begin(&visit, &t->stream, NULL);
    if (n < 0)
        return (int)n;
    n = cr_visit_end(&visit, t->calls->await_read(t->self));
    t->stream.explained = n < 0 && cr_transport_explains(before, n);
    return (int)n;
}

/* As a socket's: what was written goes out first. An error is given once, and then the end; what
 * ends a wait early may be tried again. */
static long fill(const cr_caller *w, crank_stream *stream, size_t want)
{
    cr_transport *t = cr_transport_of(stream);
    if (t->settle.place)
        cr_putting_all(t);
    if (t->ended || t->read_ended)
        return t->ended;
    long n = cr_checkpoint_again(w);
    if (n < 0)
        return n;
    if (t->calls->await_read && cr_buffer_held(&stream->in) == 0)
        n = await_some(t);
    if (n == 0)
        n = prepare(t, want);
    if (n == 0)
        n = read_some(t);
    if (n > 0)
        stream->in.end += (size_t)n;
    else if (n != -ECANCELED && n != -ENOMEM && n != -ETIMEDOUT)
        t->read_ended = true;
    return t->ended ? t->ended : n;
}

/* ---- Ending ---- */

static int give_eof(cr_transport *t, bool *ret_explained)
{
    cr_visit visit;
    const cr_failure *before = cr_error_here();
    cr_putting_all(t);
    int err = cr_putting_refuses(t);
    if (err == 0)
        err = cr_visit_begin(&visit, &t->stream, NULL);
    if (err < 0)
        return err;
    err = t->calls->write_eof(t->self);
    *ret_explained = err < 0 && cr_transport_explains(before, err);
    err = cr_transport_ended_or(t, (int)cr_visit_end(&visit, err < 0 ? err : 0));
    t->eof_given = err == 0;
    return err;
}

/* Writers that wait come before the end. One that is cancelled may be tried again. */
static int write_eof(const cr_caller *w, crank_stream *stream)
{
    cr_transport *t = cr_transport_of(stream);
    bool explained = false;
    if (t->eof_given && !t->send_error && !t->ended)
        return 0;
    int err = cr_putting_refuses(t);
    if (err == 0 && !t->calls->write_eof)
        err = -ENOTSUP;
    if (err == 0)
        err = cr_stream_take_turn(w, stream);
    if (err < 0)
        return cr_stream_failed(stream, "end", err);
    if (!t->eof_given)
        err = give_eof(t, &explained);
    cr_stream_give_turn(t->loop, stream);
    return err < 0 ? cr_transport_failed(t, "end", err, explained) : 0;
}

/* Tasks that wait in calls leave them. */
static void eject(cr_transport *t)
{
    t->ended = -ECONNABORTED;
    cr_stream_eject_turn(t->loop, &t->stream, -ECONNABORTED);
    cr_visit_eject(t->loop, &t->stream, -ECONNABORTED);
}

/* A file below may be in use by a worker: it ends where it is closed. */
static void abort_stream(crank_stream *stream)
{
    cr_transport *t = cr_transport_of(stream);
    if (t->aborted)
        return;
    t->aborted = true;
    cr_putting_break(t, -ECONNABORTED);
    stream->told = -ECONNABORTED;
    eject(t);
    if (stream->below && stream->below->type->duplex)
        stream->below->type->abort(stream->below);
}

static void left(crank_stream *stream)
{
    cr_transport *t = cr_transport_of(stream);
    cr_task *closer = t->closer;
    stream->calls--;
    if (!closer || stream->calls > 0)
        return;
    t->closer = NULL;
    cr_wake(t->loop, closer, 0);
}

/* Nothing ends this wait early: the calls are leaving. */
static bool abort_nothing(cr_task *task)
{
    (void)task;
    return false;
}

static size_t describe_wait(const cr_task *task, char *buf, size_t size)
{
    cr_transport *t = task->wait_object;
    return cr_text_format(buf, size, "%s", cr_stream_name(&t->stream));
}

static const cr_wait_ops leave_wait = {
    .what = "waits for other tasks to leave",
    .abort = abort_nothing,
    .describe = describe_wait,
};

/* The user's close ends what is below, which knows its failures. Where the writing has broken the
 * peer must not take what it has for all. */
static int close_self(cr_transport *t, int err)
{
    const cr_failure *before = cr_error_here();
    void *self = t->self;
    if (t->stream.below)
        t->stream.below->above = NULL;
    t->self = NULL;
    t->stream.below = NULL;
    int closed =
        t->calls->close ? t->calls->close(self, t->aborted || t->send_error || t->stream.lost) : 0;
    if (err == 0 && closed < 0)
        err = cr_transport_failed(t, "close", closed, cr_transport_explains(before, closed));
    return err;
}

static int finish(const cr_caller *w, crank_stream *stream)
{
    cr_transport *t = cr_transport_of(stream);
    int err = 0;
    eject(t);
    if (stream->calls > 0) {
        t->closer = w->self;
        w->self->wait_object = t;
        (void)cr_park(w, &leave_wait);
    }
    cr_putting_all(t);
    if (t->send_error && stream->told != t->send_error)
        err = cr_stream_failed(stream, "write", t->send_error);
    return close_self(t, err);
}

static void free_stream(crank_loop *loop, crank_stream *stream)
{
    cr_transport *t = cr_transport_of(stream);
    cr_loop_unsettle(loop, &t->settle);
    cr_buffer_release(loop, &stream->in);
    cr_buffer_release(loop, &stream->out);
    cr_free(loop->sys, t->label);
    cr_free(loop->sys, t);
}

/* ---- What it is called, and what is below ---- */

static const char *describe(crank_stream *stream)
{
    cr_transport *t = cr_transport_of(stream);
    const char *name = t->calls->name ? t->calls->name : "a transport";
    const char *below = t->stream.below ? cr_stream_name(t->stream.below) : NULL;
    if (t->label || !below)
        return t->label ? t->label : name;
    size_t size = strlen(name) + strlen(below) + sizeof " over ";
    t->label = cr_alloc(t->loop->sys, size);
    if (!t->label)
        return name;
    snprintf(t->label, size, "%s over %s", name, below);
    return t->label;
}

static int fd_of(const crank_stream *stream)
{
    return stream->below ? stream->below->type->fd(stream->below) : -ENOTSUP;
}

/* Its bytes are none of the descriptor's. */
static int release(crank_stream *stream)
{
    (void)stream;
    return -EBUSY;
}

static const cr_stream_type transport_type = {
    .duplex = true,
    .delivers = true,
    .fill = fill,
    .make_room = cr_putting_make_room,
    .write_large = cr_putting_write_large,
    .room_now = cr_putting_room_now,
    .wait_room = cr_putting_wait_room,
    .start = cr_putting_start,
    .progress = cr_putting_progress,
    .unsent = cr_putting_unsent,
    .set_high = cr_putting_set_high,
    .write_eof = write_eof,
    .fd = fd_of,
    .release = release,
    .abort = abort_stream,
    .put = cr_putting_put,
    .flush = cr_putting_flush,
    .left = left,
    .finish = finish,
    .free = free_stream,
    .describe = describe,
};

/* The stream below buffers what is put, however much: this one's writers wait in its place. */
crank_stream *crank_stream_new(const crank_transport *calls, void *self, crank_stream *below)
{
    CR_CHECK(calls, "crank_stream_new: the transport is NULL");
    crank_loop *loop = cr_checked_loop("crank_stream_new");
    CR_CHECK(!below || !below->above, "crank_stream_new: %s carries %s already",
        cr_stream_name(below), cr_stream_name(below->above));
    CR_CHECK(!(calls->put && calls->write),
        "crank_stream_new: %s has put and write; one of them is used",
        calls->name ? calls->name : "the transport");
    cr_transport *t = cr_alloc_zero(loop->sys, sizeof *t);
    if (!t) {
        errno = ENOMEM;
        cr_error_set(-ENOMEM, "crank_stream_new: out of memory");
        return NULL;
    }
    t->stream.type = &transport_type;
    t->stream.readable = calls->read;
    t->stream.writable = calls->put || calls->write;
    t->stream.below = below;
    t->calls = calls;
    t->self = self;
    t->loop = loop;
    cr_putting_init(t);
    if (below)
        below->above = &t->stream;
    if (below && calls->put)
        crank_set_write_limit(below, SIZE_MAX);
    return &t->stream;
}

void *crank_stream_self(const crank_stream *stream, const crank_transport *transport)
{
    CR_CHECK(stream, "crank_stream_self: the stream is NULL");
    if (stream->type != &transport_type)
        return NULL;
    const cr_transport *t =
        cr_container_of((crank_stream *)(uintptr_t)stream, cr_transport, stream);
    return t->calls == transport ? t->self : NULL;
}
