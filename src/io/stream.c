/* SPDX-License-Identifier: MIT */
/* stream.c: reading and writing by way of a buffer.
 *
 * Owns the two buffers of a stream and the calls on them. Reading calls look into the in buffer
 * first and fill it only when it lacks what they need, growing it where a line or a piece must
 * lie in it whole: so a cancelled call leaves every byte where it was. Writing calls only fill
 * the out buffer; what is in it goes out before more is taken. A stream for both directions of
 * one file has one place in it: what was read ahead is forgotten when something is written, what
 * was written goes out before something is read. */
#include "io/stream.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "scope/scope.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/report.h"
#include "task/wait.h"

/* As much as a pipe holds, and where reading a cached file stops getting faster. */
#define ROOM_FIRST ((size_t)64 * 1024)

/* Every call's failures read alike: what could not be done, to what, and why. A cancellation has
 * no sentence, for it is no failure of the stream's. */
int cr_stream_failed(const crank_stream *stream, const char *verb, int err)
{
    if (err == -ECANCELED)
        return err;
    return cr_failed(err, "cannot %s %s: %s", verb, stream->name, cr_error_words(err));
}

/* The three words in which the rest speaks of a buffer. */
static size_t held(const cr_buffer *buffer) { return buffer->end - buffer->start; }
static const char *first(const cr_buffer *buffer) { return buffer->bytes + buffer->start; }
static void clear(cr_buffer *buffer) { buffer->start = buffer->end = 0; }

/* Make room for size bytes in all, counted from the first full one. 0 or -ENOMEM; nothing is
 * lost. Moved to the front first: one large move instead of a buffer that creeps through memory. */
static int reserve(const cr_sys *sys, cr_buffer *buffer, size_t size)
{
    if (buffer->start > 0) {
        memmove(buffer->bytes, first(buffer), held(buffer));
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    if (size <= buffer->room)
        return 0;
    size_t room = buffer->room ? buffer->room : ROOM_FIRST;
    while (room < size && room <= SIZE_MAX / 2)
        room *= 2;
    if (room < size)
        room = size;
    char *bytes = buffer->bytes ? cr_resize(sys, buffer->bytes, room) : cr_alloc(sys, room);
    if (!bytes)
        return -ENOMEM;
    buffer->bytes = bytes;
    buffer->room = room;
    return 0;
}

/* ---- Entering and leaving a call ---- */

/* Two readers would each take part of the other's line: refused, for no order would be right. */
static void check_alone(const crank_stream *stream, const cr_task *other, const char *call)
{
    CR_CHECK(!other,
        "%s: task '%s' is still %s %s; one task may read and one may write a stream at a time, and "
        "one in all where a file is open for both",
        call, cr_task_name(other), other == stream->reader ? "reading" : "writing", stream->name);
}

/* What every call begins with. 0, -ECANCELED, or -EBADF where the stream is not open for this.
 * Whether the stream is open for this comes last: misuse is found also where it is not. */
static int begin(cr_caller *w, crank_stream *stream, bool reads, const char *call)
{
    CR_CHECK(stream, "%s: the stream is NULL; crank_open gives that when it fails", call);
    int err = cr_checkpoint(w, call);
    if (err < 0)
        return err;
    cr_checkpoint_costs(w, CR_BUDGET_STREAM);
    bool both = stream->readable && stream->writable;
    if (reads || both)
        check_alone(stream, stream->reader, call);
    if (!reads || both)
        check_alone(stream, stream->writer, call);
    if (reads ? stream->readable : stream->writable)
        return 0;
    return cr_failed(
        -EBADF, "%s: %s is not open for %s", call, stream->name, reads ? "reading" : "writing");
}

/* An emptied buffer starts at its beginning again, so that its whole room can be filled at once. */
static void taken(crank_stream *stream, size_t size)
{
    stream->in.start += size;
    if (stream->in.start == stream->in.end)
        clear(&stream->in);
    if (stream->type->moved)
        stream->type->moved(stream, size);
}

/* ---- Writing out ---- */

/* Everything in the out buffer to the kernel. On failure the rest stays. writer is set while it
 * waits: a second writer is found by check_alone, not by mixed bytes. */
static int write_out(const cr_caller *w, crank_stream *stream)
{
    cr_buffer *out = &stream->out;
    stream->writer = w->self;
    long n = 0;
    while (held(out) > 0 && n >= 0) {
        n = stream->type->drain(w, stream, first(out), held(out));
        if (n > 0) {
            out->start += (size_t)n;
            stream->written = true;
        }
    }
    stream->writer = NULL;
    if (!stream->closing && n != -ECANCELED)
        stream->told = n < 0 ? (int)n : 0;
    if (n < 0)
        return cr_stream_failed(stream, "write", (int)n);
    clear(out);
    return 0;
}

/* Give back what one large write has made the buffer grow to. */
static void shrink(const cr_sys *sys, cr_buffer *buffer)
{
    if (buffer->room > 4 * ROOM_FIRST && held(buffer) == 0) {
        cr_free(sys, buffer->bytes);
        *buffer = (cr_buffer){ 0 };
    }
}

/* Room for size more bytes: what is in the buffer goes out first where they do not fit behind
 * it. */
static int make_room(const cr_caller *w, crank_stream *stream, size_t size)
{
    cr_buffer *out = &stream->out;
    /* A buffer not made yet counts with the size it will have. */
    size_t usual = out->room ? out->room : ROOM_FIRST;
    if (held(out) > 0 && size > usual - held(out)) {
        int err = write_out(w, stream);
        if (err < 0)
            return err;
        shrink(w->loop->sys, out);
    }
    if (reserve(w->loop->sys, out, held(out) + size) < 0)
        return cr_stream_failed(stream, "write", -ENOMEM);
    return 0;
}

/* What was read ahead of the place at which something is now written. */
static void forget_ahead(crank_stream *stream)
{
    if (stream->placed)
        clear(&stream->in);
}

/* The bytes stand behind the full ones already. */
static void put(crank_stream *stream, size_t size)
{
    stream->out.end += size;
    if (stream->type->moved)
        stream->type->moved(stream, size);
}

/* Waiting, if any, is over before the first byte is taken: a cancelled write has written nothing
 * of its own. */
int crank_write(crank_stream *stream, const void *buf, size_t size)
{
    cr_caller w;
    int err = begin(&w, stream, false, "crank_write");
    if (err < 0 || size == 0)
        return err;
    forget_ahead(stream);
    err = make_room(&w, stream, size);
    if (err < 0)
        return err;
    memcpy(stream->out.bytes + stream->out.end, buf, size);
    put(stream, size);
    return 0;
}

/* Formatted in place where it fits; else aside, for a wait could change what the arguments point
 * to. */
int crank_printf(crank_stream *stream, const char *format, ...)
{
    cr_caller w;
    va_list args;
    int err = begin(&w, stream, false, "crank_printf");
    if (err < 0)
        return err;
    forget_ahead(stream);
    const cr_sys *sys = w.loop->sys;
    cr_buffer *out = &stream->out;
    if (!out->bytes && reserve(sys, out, ROOM_FIRST) < 0)
        return cr_stream_failed(stream, "write", -ENOMEM);
    size_t room = out->room - out->end;
    va_start(args, format);
    int length = vsnprintf(out->bytes + out->end, room, format, args);
    va_end(args);
    if (length < 0)
        return cr_stream_failed(stream, "format for", errno ? -errno : -EINVAL);
    if ((size_t)length < room) {
        put(stream, (size_t)length);
        return 0;
    }
    char *text = cr_alloc(sys, (size_t)length + 1);
    if (!text)
        return cr_stream_failed(stream, "write", -ENOMEM);
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    err = make_room(&w, stream, (size_t)length);
    if (err == 0) {
        memcpy(out->bytes + out->end, text, (size_t)length);
        put(stream, (size_t)length);
    }
    cr_free(sys, text);
    return err;
}

/* What a failure leaves in the buffer the next flush tries again. */
int crank_flush(crank_stream *stream)
{
    cr_caller w;
    int err = begin(&w, stream, false, "crank_flush");
    if (err < 0)
        return err;
    err = write_out(&w, stream);
    shrink(w.loop->sys, &stream->out);
    return err;
}

/* ---- Closing ---- */

bool cr_stream_abandoned(const cr_caller *w, const crank_stream *stream)
{
    return cr_scopes_pending(w->self) > stream->asked;
}

/* A cancelled task's bytes are written all the same: it asked for that before. No request is
 * delivered: whether one is answered is known when it is known what the call returns. */
static int finish(const cr_caller *w, crank_stream *stream)
{
    check_alone(stream, stream->reader, "crank_close");
    check_alone(stream, stream->writer, "crank_close");
    stream->closing = true;
    stream->asked = cr_scopes_pending(w->self);
    int err = write_out(w, stream);
    int closed = stream->type->shut(w, stream, stream->written);
    if (err == 0 && closed < 0)
        err = cr_stream_failed(stream, "close", closed);
    return err;
}

static void stream_free(const cr_sys *sys, crank_stream *stream)
{
    cr_free(sys, stream->in.bytes);
    cr_free(sys, stream->out.bytes);
    cr_free(sys, stream);
}

/* A request that came before the call is answered by it, unless it has a failure to tell of: then
 * it stays for the next wait. */
int crank_stream_close(crank_stream *stream)
{
    if (!stream)
        return 0;
    cr_caller w = { cr_loop_checked("crank_close"), cr_self_checked("crank_close") };
    int missing = cr_checkpoint_no_cancel(&w);
    bool asked = cr_cancel_pending(&w);
    int err = finish(&w, stream);
    stream_free(w.loop->sys, stream);
    if (err == 0)
        err = missing;
    if (err == -ECANCELED || (err == 0 && asked))
        return cr_checkpoint_again(&w) < 0 ? -ECANCELED : err;
    return err;
}

/* A failure that a call has given before is no news, nor is one that has lost nothing; whoever asks
 * a task to end while a pipe is full has asked for the loss. */
static void report_loss(const cr_caller *w, const crank_stream *stream, int err)
{
    char text[768];
    bool lost = stream->written || held(&stream->out) > 0;
    if (err == 0 || err == -ECANCELED || err == stream->told || !lost)
        return;
    snprintf(text, sizeof text,
        "task '%s' lost some of what it wrote to %.400s, closed at the end of a block: %s [%s]\n"
        "  crank_flush or crank_close before the end of the block gives the error\n",
        cr_task_name(w->self), stream->name, cr_error_words(err), crank_errno_name(err));
    cr_report(w->loop, CRANK_REPORT_UNAWAITED, err, w->self, text);
}

/* At the end of a block nobody can be given an error: a failure is reported, the request to cancel
 * stays for the next wait, so does what is to be said of a scope that could not be made, and the
 * error with which the block is being left is kept apart meanwhile. */
void crank_stream_end_(crank_stream *stream)
{
    cr_caller w = { cr_loop_checked("crank_close"), cr_self_checked("crank_close") };
    cr_task_state *tasks = cr_task_state_of(w.loop);
    cr_failure *before = cr_failure_take(w.self);
    bool scopeless = tasks->out_of_memory == w.self->id;
    if (scopeless)
        tasks->out_of_memory = 0;
    (void)cr_checkpoint_no_cancel(&w);
    report_loss(&w, stream, finish(&w, stream));
    stream_free(w.loop->sys, stream);
    if (scopeless) {
        tasks->out_of_memory = w.self->id;
        w.loop->runner.budget = 1;
    }
    crank_error_clear();
    if (before)
        cr_failure_give(w.loop, w.self, before);
}

/* ---- Reading ---- */

/* More bytes into the in buffer, behind those it has, at least one where its end has not come;
 * want in all would do. How many, 0 at the end, or a negative errno. */
static long read_in(const cr_caller *w, crank_stream *stream, size_t want)
{
    cr_buffer *in = &stream->in;
    if (held(&stream->out) > 0) {
        int err = write_out(w, stream);
        if (err < 0)
            return err;
    }
    size_t room = in->room ? in->room : ROOM_FIRST;
    /* Grown only when full, and no further than it must: a line or a piece lies in it whole,
     * nothing larger. */
    size_t grown = held(in) < room ? room : want < 2 * room ? want : 2 * room;
    if (reserve(w->loop->sys, in, grown) < 0)
        return cr_stream_failed(stream, "read", -ENOMEM);
    stream->reader = w->self;
    long n = stream->type->fill(w, stream, in->bytes + in->end, in->room - in->end);
    stream->reader = NULL;
    if (n < 0)
        return cr_stream_failed(stream, "read", (int)n);
    in->end += (size_t)n;
    return n;
}

/* No more than one trip for more: what is there is better than what might come. */
ssize_t crank_read(crank_stream *stream, void *buf, size_t size)
{
    cr_caller w;
    long n = begin(&w, stream, true, "crank_read");
    if (n < 0 || size == 0)
        return n;
    if (held(&stream->in) == 0) {
        n = read_in(&w, stream, 1);
        if (n <= 0)
            return n;
    }
    if (size > held(&stream->in))
        size = held(&stream->in);
    memcpy(buf, first(&stream->in), size);
    taken(stream, size);
    return (ssize_t)size;
}

/* All of it is gathered in the buffer first, so that a cancelled call leaves it there. */
ssize_t crank_read_exactly(crank_stream *stream, void *buf, size_t size)
{
    cr_caller w;
    long n = begin(&w, stream, true, "crank_read_exactly");
    if (n < 0)
        return n;
    while (held(&stream->in) < size) {
        n = read_in(&w, stream, size);
        if (n < 0)
            return n;
        if (n == 0) {
            size_t had = held(&stream->in);
            taken(stream, had);
            return cr_failed(-EPIPE, "%s ended after %zu of %zu bytes", stream->name, had, size);
        }
    }
    if (size > 0) {
        memcpy(buf, first(&stream->in), size);
        taken(stream, size);
    }
    return (ssize_t)size;
}

/* How many bytes of the buffer make the line, or the piece of it that fits; 0 when that cannot
 * be told yet. searched: no newline lies in so many. */
static size_t line_in(const cr_buffer *in, size_t most, size_t searched)
{
    size_t size = held(in) < most ? held(in) : most;
    const char *end = size > searched ? memchr(first(in) + searched, '\n', size - searched) : NULL;
    if (end)
        return (size_t)(end - first(in)) + 1;
    return size == most ? most : 0;
}

/* The line is gathered in the buffer, never in the caller's memory, so that a cancelled call
 * takes nothing. What has been searched once is not searched again, however small the pieces
 * that come. */
ssize_t crank_read_line(crank_stream *stream, char *buf, size_t size)
{
    cr_caller w;
    long n = begin(&w, stream, true, "crank_read_line");
    if (n < 0)
        return n;
    if (size < 2)
        return cr_failed(-EINVAL,
            "crank_read_line: a buffer of %zu bytes has no room for a byte and the end", size);
    cr_buffer *in = &stream->in;
    size_t length = line_in(in, size - 1, 0);
    while (length == 0) {
        size_t searched = held(in);
        n = read_in(&w, stream, size - 1);
        if (n < 0)
            return n;
        length = n == 0 ? held(in) : line_in(in, size - 1, searched);
        if (n == 0)
            break;
    }
    if (length > 0)
        memcpy(buf, first(in), length);
    buf[length] = '\0';
    taken(stream, length);
    return (ssize_t)length;
}
