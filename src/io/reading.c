/* SPDX-License-Identifier: MIT */
/* reading.c: the calls that read a stream.
 *
 * Each looks into the in buffer first and fills it only when it lacks what the call needs. A line
 * or a piece is gathered in the buffer, never in the caller's memory, so that a cancelled call
 * leaves every byte where it was. What is in the buffer is taken by the call that returns it. Only
 * crank_read, which gathers nothing, reads past the buffer, where it is empty and the caller has
 * much room: bytes that have come so are returned, also where the call is cancelled then. */
#include "io/stream.h"

#include <string.h>

#include "base/check.h"
#include "task/error.h"

/* As much as crank_peek shows at once: parsers that need more want another call. */
#define PEEK_MAX ((size_t)64 * 1024)

/* From so much room on what comes goes straight into the caller's memory: there is much to copy. */
#define LARGE_MIN ((size_t)16 * 1024)

/* An emptied buffer starts at its beginning again, so that its whole room can be filled at once. */
CR_HOT void cr_reading_take(crank_stream *stream, size_t size)
{
    stream->in.start += size;
    if (stream->in.start == stream->in.end) {
        cr_buffer_clear(&stream->in);
        if (CR_UNLIKELY(stream->watched))
            stream->type->emptied(stream);
    }
    if (stream->type->taken)
        stream->type->taken(stream, size);
}

/* Behind a trip for more, which gave n. */
static inline long filled(crank_stream *stream, long n)
{
    stream->reader = NULL;
    stream->end_seen = n == 0;
    return n < 0 && !stream->explained ? cr_stream_failed(stream, "read", (int)n) : n;
}

CR_HOT long cr_reading_fill(const cr_caller *w, crank_stream *stream, size_t want)
{
    stream->reader = w->self;
    stream->explained = false;
    long n = stream->type->fill(w, stream, want);
    return filled(stream, n);
}

/* Past the in buffer, which is empty. -EFAULT: by way of it, please. */
static CR_NOINLINE long read_large(const cr_caller *w, crank_stream *stream, void *buf, size_t size)
{
    if (!stream->type->read_large)
        return -EFAULT;
    stream->reader = w->self;
    stream->explained = false;
    long n = stream->type->read_large(w, stream, buf, size);
    if (n == -EFAULT) {
        stream->reader = NULL;
        return n;
    }
    if (n > 0 && CR_UNLIKELY(stream->watched))
        stream->type->emptied(stream);
    return filled(stream, n);
}

/* No more than one trip for more: what is there is better than what might come. */
static long read_some(const cr_caller *w, crank_stream *stream, void *buf, size_t size)
{
    cr_buffer *in = &stream->in;
    if (cr_buffer_held(in) == 0) {
        long n = size >= LARGE_MIN ? read_large(w, stream, buf, size) : -EFAULT;
        if (n != -EFAULT)
            return n;
        n = cr_reading_fill(w, stream, 1);
        if (n <= 0)
            return n;
    }
    if (size > cr_buffer_held(in))
        size = cr_buffer_held(in);
    memcpy(buf, cr_buffer_first(in), size);
    cr_reading_take(stream, size);
    return (long)size;
}

ssize_t crank_read(crank_stream *stream, void *buf, size_t size)
{
    cr_caller w;
    long n = cr_stream_begin(&w, stream, true, "crank_read");
    if (n == 0 && size > 0)
        n = read_some(&w, stream, buf, size);
    return n;
}

static long read_all(const cr_caller *w, crank_stream *stream, void *buf, size_t size)
{
    cr_buffer *in = &stream->in;
    while (cr_buffer_held(in) < size) {
        long n = cr_reading_fill(w, stream, size);
        if (n < 0)
            return n;
        if (n == 0)
            return cr_error_set(-ENODATA, "%s ended after %zu of %zu bytes", cr_stream_name(stream),
                cr_buffer_held(in), size);
    }
    memcpy(buf, cr_buffer_first(in), size);
    cr_reading_take(stream, size);
    return (long)size;
}

ssize_t crank_read_exactly(crank_stream *stream, void *buf, size_t size)
{
    cr_caller w;
    long n = cr_stream_begin(&w, stream, true, "crank_read_exactly");
    if (n == 0 && size > 0)
        n = read_all(&w, stream, buf, size);
    return n;
}

/* How many bytes of the buffer make the line, or the piece of it that fits; 0 when that cannot
 * be told yet. searched: no newline lies in so many. */
CR_HOT static inline size_t line_in(const cr_buffer *in, size_t most, size_t searched)
{
    size_t held = cr_buffer_held(in);
    size_t size = held < most ? held : most;
    const char *first = cr_buffer_first(in);
    const char *end = size > searched ? memchr(first + searched, '\n', size - searched) : NULL;
    if (end)
        return (size_t)(end - first) + 1;
    return size == most ? most : 0;
}

/* What has been searched once is not searched again, however small the pieces that come. */
CR_HOT static long read_line(const cr_caller *w, crank_stream *stream, char *buf, size_t size)
{
    if (size < 2)
        return cr_error_set(-EINVAL,
            "crank_read_line: a buffer of %zu bytes has no room for a byte and the end", size);
    cr_buffer *in = &stream->in;
    size_t length = cr_buffer_held(in) > 0 ? line_in(in, size - 1, 0) : 0;
    while (length == 0) {
        size_t searched = cr_buffer_held(in);
        long n = cr_reading_fill(w, stream, size - 1);
        if (n < 0)
            return n;
        length = n == 0 ? cr_buffer_held(in) : line_in(in, size - 1, searched);
        if (n == 0)
            break;
    }
    if (length > 0)
        memcpy(buf, cr_buffer_first(in), length);
    buf[length] = '\0';
    cr_reading_take(stream, length);
    return (long)length;
}

CR_HOT ssize_t crank_read_line(crank_stream *stream, char *buf, size_t size)
{
    cr_caller w;
    long n = cr_stream_begin(&w, stream, true, "crank_read_line");
    if (n == 0)
        n = read_line(&w, stream, buf, size);
    return n;
}

/* ---- For parsers ---- */

static long look(const crank_stream *stream, const char **ret_bytes)
{
    *ret_bytes = cr_buffer_held(&stream->in) > 0 ? cr_buffer_first(&stream->in) : "";
    return (long)cr_buffer_held(&stream->in);
}

static long peek(const cr_caller *w, crank_stream *stream, size_t want, const char **ret_bytes)
{
    if (want > PEEK_MAX)
        return cr_error_set(-EMSGSIZE,
            "crank_peek: %zu bytes of %s are more than the %zu that are shown at once", want,
            cr_stream_name(stream), PEEK_MAX);
    while (cr_buffer_held(&stream->in) < want) {
        long n = cr_reading_fill(w, stream, want);
        if (n < 0)
            return n;
        if (n == 0)
            break;
    }
    return look(stream, ret_bytes);
}

/* What a call that never waits, and so is no checkpoint, begins with. */
static void check_parser(const crank_stream *stream, const char *call)
{
    CR_CHECK(stream, "%s: the stream is NULL", call);
    (void)cr_checked_self(call);
    cr_stream_check_alone(stream, stream->reader, call);
}

ssize_t crank_peek(crank_stream *stream, size_t want, const char **ret_bytes)
{
    cr_caller w;
    CR_CHECK(ret_bytes, "crank_peek: where to put the bytes is NULL");
    if (want == 0) {
        check_parser(stream, "crank_peek");
        return look(stream, ret_bytes);
    }
    long n = cr_stream_begin(&w, stream, true, "crank_peek");
    if (n == 0)
        n = peek(&w, stream, want, ret_bytes);
    return n;
}

void crank_skip(crank_stream *stream, size_t size)
{
    check_parser(stream, "crank_skip");
    CR_CHECK(size <= cr_buffer_held(&stream->in),
        "crank_skip: %zu bytes of %s are more than the %zu that crank_peek has shown", size,
        cr_stream_name(stream), cr_buffer_held(&stream->in));
    if (size > 0)
        cr_reading_take(stream, size);
}

bool crank_at_end(const crank_stream *stream)
{
    CR_CHECK(stream, "crank_at_end: the stream is NULL");
    return stream->end_seen && cr_buffer_held(&stream->in) == 0;
}
