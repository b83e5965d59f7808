/* SPDX-License-Identifier: MIT */
/* reading.c: the calls that read a stream.
 *
 * Each looks into the in buffer first and fills it only when it lacks what the call needs. A line
 * or a piece is gathered in the buffer, never in the caller's memory, so that a cancelled call
 * leaves every byte where it was. What is in the buffer is taken by the call that returns it. */
#include "io/stream.h"

#include <string.h>

#include "task/error.h"

/* An emptied buffer starts at its beginning again, so that its whole room can be filled at once. */
static void taken(crank_stream *stream, size_t size)
{
    stream->in.start += size;
    if (stream->in.start == stream->in.end)
        cr_buffer_clear(&stream->in);
    if (stream->type->taken)
        stream->type->taken(stream, size);
}

/* More bytes into the in buffer, behind those it has, at least one where its end has not come;
 * want in all would do. How many, 0 at the end, or a negative errno. */
static long read_in(const cr_caller *w, crank_stream *stream, size_t want)
{
    stream->reader = w->self;
    long n = stream->type->fill(w, stream, want);
    stream->reader = NULL;
    return n < 0 ? cr_stream_failed(stream, "read", (int)n) : n;
}

/* No more than one trip for more: what is there is better than what might come. */
ssize_t crank_read(crank_stream *stream, void *buf, size_t size)
{
    cr_caller w;
    long n = cr_stream_begin(&w, stream, true, "crank_read");
    if (n < 0 || size == 0)
        return n;
    cr_buffer *in = &stream->in;
    if (cr_buffer_held(in) == 0) {
        n = read_in(&w, stream, 1);
        if (n <= 0)
            return n;
    }
    if (size > cr_buffer_held(in))
        size = cr_buffer_held(in);
    memcpy(buf, cr_buffer_first(in), size);
    taken(stream, size);
    return (ssize_t)size;
}

ssize_t crank_read_exactly(crank_stream *stream, void *buf, size_t size)
{
    cr_caller w;
    long n = cr_stream_begin(&w, stream, true, "crank_read_exactly");
    if (n < 0)
        return n;
    cr_buffer *in = &stream->in;
    while (cr_buffer_held(in) < size) {
        n = read_in(&w, stream, size);
        if (n < 0)
            return n;
        if (n == 0)
            return cr_error_set(-ENODATA, "%s ended after %zu of %zu bytes", cr_stream_name(stream),
                cr_buffer_held(in), size);
    }
    if (size > 0) {
        memcpy(buf, cr_buffer_first(in), size);
        taken(stream, size);
    }
    return (ssize_t)size;
}

/* How many bytes of the buffer make the line, or the piece of it that fits; 0 when that cannot
 * be told yet. searched: no newline lies in so many. */
static size_t line_in(const cr_buffer *in, size_t most, size_t searched)
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
ssize_t crank_read_line(crank_stream *stream, char *buf, size_t size)
{
    cr_caller w;
    long n = cr_stream_begin(&w, stream, true, "crank_read_line");
    if (n < 0)
        return n;
    if (size < 2)
        return cr_error_set(-EINVAL,
            "crank_read_line: a buffer of %zu bytes has no room for a byte and the end", size);
    cr_buffer *in = &stream->in;
    size_t length = line_in(in, size - 1, 0);
    while (length == 0) {
        size_t searched = cr_buffer_held(in);
        n = read_in(&w, stream, size - 1);
        if (n < 0)
            return n;
        length = n == 0 ? cr_buffer_held(in) : line_in(in, size - 1, searched);
        if (n == 0)
            break;
    }
    if (length > 0)
        memcpy(buf, cr_buffer_first(in), length);
    buf[length] = '\0';
    taken(stream, length);
    return (ssize_t)length;
}
