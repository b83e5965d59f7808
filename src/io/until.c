/* SPDX-License-Identifier: MIT */
/* until.c: the calls that read up to something: a separator, or the end.
 *
 * As in reading.c, bytes are gathered in the in buffer and taken by the call that returns them.
 * What comes of a call depends on the bytes alone, not on the pieces in which they arrive: that a
 * separator is too far away is said as soon as the buffer of the caller is full without one, though
 * more has arrived already. */
#include "io/stream.h"

#include <limits.h>
#include <string.h>

#include "base/check.h"
#include "task/error.h"

/* ---- Separators ---- */

/* What one call looks for, and where it has looked. */
typedef struct search {
    const char *const *separators;
    size_t n;
    size_t longest;
    size_t most;     /* a separator has to end within so many bytes */
    size_t searched; /* none ends within so many */
} search;

/* 0, or -EINVAL with its message: an empty separator would be found everywhere. */
static int begin_search(search *s, const char *call)
{
    if (s->most == 0 || s->most == SIZE_MAX)
        return cr_error_set(-EINVAL, "%s: a buffer of %zu bytes has no room for a byte and the end",
            call, s->most + 1);
    if (s->n == 0)
        return cr_error_set(-EINVAL, "%s: there is no separator", call);
    for (size_t i = 0; i < s->n; i++) {
        CR_CHECK(s->separators[i], "%s: separator %zu is NULL", call, i);
        size_t length = strlen(s->separators[i]);
        if (length == 0)
            return cr_error_set(-EINVAL, "%s: separator %zu is empty", call, i);
        if (length > s->longest)
            s->longest = length;
    }
    return 0;
}

/* Up to and with the separator that ends first; 0 where none ends within the bytes. One that ended
 * in what has been searched would have been found: only its last byte has to be new. */
static size_t find(search *s, const char *bytes, size_t size)
{
    size_t found = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t length = strlen(s->separators[i]);
        size_t from = s->searched >= length ? s->searched - (length - 1) : 0;
        size_t end = found ? found : size;
        const char *at = end >= from + length
                             ? memmem(bytes + from, end - from, s->separators[i], length)
                             : NULL;
        if (at)
            found = (size_t)(at - bytes) + length;
    }
    s->searched = size;
    return found;
}

static int too_far(const crank_stream *stream, const search *s)
{
    return cr_error_set(-EMSGSIZE, "%s: no separator within %zu bytes; they can still be read",
        cr_stream_name(stream), s->most);
}

static int ended_before(const crank_stream *stream)
{
    return cr_error_set(-ENODATA, "%s ended without a separator, after %zu bytes",
        cr_stream_name(stream), cr_buffer_held(&stream->in));
}

/* How many bytes there are up to and with a separator; 0 at the end, or a negative errno. */
static long gather(const cr_caller *w, crank_stream *stream, search *s)
{
    const cr_buffer *in = &stream->in;
    for (;;) {
        size_t held = cr_buffer_held(in);
        size_t size = held < s->most ? held : s->most;
        size_t found = size > s->searched ? find(s, cr_buffer_first(in), size) : 0;
        if (found > 0)
            return (long)found;
        if (size == s->most)
            return too_far(stream, s);
        long n = cr_reading_fill(w, stream, s->most);
        if (n < 0)
            return n;
        if (n == 0)
            return held > 0 ? ended_before(stream) : 0;
    }
}

static long find_and_take(const cr_caller *w, crank_stream *stream, search *s, char *buf)
{
    long n = gather(w, stream, s);
    if (n < 0)
        return n;
    if (n > 0)
        memcpy(buf, cr_buffer_first(&stream->in), (size_t)n);
    buf[n] = '\0';
    cr_reading_take(stream, (size_t)n);
    return n;
}

static ssize_t read_until(crank_stream *stream, search *s, char *buf, const char *call)
{
    cr_caller w;
    long n = cr_stream_begin(&w, stream, true, call);
    if (n == 0)
        n = begin_search(s, call);
    if (n == 0)
        n = find_and_take(&w, stream, s, buf);
    return n;
}

ssize_t crank_read_until(crank_stream *stream, const char *separator, char *buf, size_t size)
{
    search s = { .separators = &separator, .n = 1, .most = size - 1 };
    return read_until(stream, &s, buf, "crank_read_until");
}

ssize_t crank_read_until_any(
    crank_stream *stream, const char *const *separators, size_t n, char *buf, size_t size)
{
    search s = { .separators = separators, .n = n, .most = size - 1 };
    return read_until(stream, &s, buf, "crank_read_until_any");
}

/* ---- The end ---- */

/* Until the end, or more than limit bytes, are in the in buffer. */
static int gather_all(const cr_caller *w, crank_stream *stream, size_t limit)
{
    const cr_buffer *in = &stream->in;
    for (;;) {
        if (cr_buffer_held(in) > limit)
            return cr_error_set(-EMSGSIZE,
                "%s does not end within %zu bytes; they can still be read", cr_stream_name(stream),
                limit);
        long n = cr_reading_fill(w, stream, limit < SSIZE_MAX ? limit + 1 : SSIZE_MAX);
        if (n <= 0)
            return (int)n;
    }
}

static int take_all(const cr_caller *w, crank_stream *stream, char **ret_data, size_t *ret_size)
{
    size_t size = cr_buffer_held(&stream->in);
    char *data = cr_alloc(w->loop->sys, size + 1);
    if (!data)
        return cr_stream_failed(stream, "read", -ENOMEM);
    if (size > 0)
        memcpy(data, cr_buffer_first(&stream->in), size);
    data[size] = '\0';
    cr_reading_take(stream, size);
    *ret_data = data;
    *ret_size = size;
    return 0;
}

int crank_read_to_end(crank_stream *stream, size_t limit, char **ret_data, size_t *ret_size)
{
    cr_caller w;
    CR_CHECK(ret_data && ret_size, "crank_read_to_end: where to put data or size is NULL");
    int err = cr_stream_begin(&w, stream, true, "crank_read_to_end");
    if (err == 0)
        err = gather_all(&w, stream, limit);
    if (err == 0)
        err = take_all(&w, stream, ret_data, ret_size);
    return err;
}
