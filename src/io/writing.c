/* SPDX-License-Identifier: MIT */
/* writing.c: the calls that write a stream.
 *
 * They fill the out buffer; what becomes of it is the stream's type's to decide: a file's goes out
 * when it is full or flushed, a socket's by itself. Waiting, if any, is over before the first byte
 * is taken: a cancelled write has written nothing of its own. */
#include "io/stream.h"

#include <stdio.h>
#include <string.h>

#include "task/error.h"

/* A stream for both directions of one file has one place in it: what was read ahead of the place at
 * which something is now written is forgotten. */
static void forget_ahead(crank_stream *stream)
{
    if (stream->placed)
        cr_buffer_clear(&stream->in);
}

static int put(const cr_caller *w, crank_stream *stream, const char *bytes, size_t size)
{
    int err = stream->type->make_room(w, stream, size);
    if (err == -EMSGSIZE && stream->type->write_large)
        return stream->type->write_large(w, stream, bytes, size);
    if (err < 0)
        return err;
    memcpy(stream->out.bytes + stream->out.end, bytes, size);
    stream->out.end += size;
    stream->type->put(stream, size);
    return 0;
}

int crank_write(crank_stream *stream, const void *buf, size_t size)
{
    cr_caller w;
    int err = cr_stream_begin(&w, stream, false, "crank_write");
    if (err == 0 && size > 0) {
        forget_ahead(stream);
        err = put(&w, stream, buf, size);
    }
    return (int)cr_stream_leave(&w, err);
}

/* Of a text that does not fit on the stack. */
static int print_long(
    const cr_caller *w, crank_stream *stream, size_t length, const char *format, va_list args)
{
    const cr_sys *sys = w->loop->sys;
    char *text = cr_alloc(sys, length + 1);
    if (!text)
        return cr_stream_failed(stream, "write", -ENOMEM);
    vsnprintf(text, length + 1, format, args);
    int err = put(w, stream, text, length);
    cr_free(sys, text);
    return err;
}

/* Formatted aside, for a wait could change what the arguments point to. Most texts fit on the
 * stack. */
static int print(const cr_caller *w, crank_stream *stream, const char *format, va_list args)
{
    enum { usual = 256 };
    char near[usual];
    va_list again;
    forget_ahead(stream);
    va_copy(again, args);
    int length = vsnprintf(near, sizeof near, format, args);
    int err = 0;
    if (length < 0)
        err = cr_stream_failed(stream, "format for", errno ? -errno : -EINVAL);
    else if (length >= usual)
        err = print_long(w, stream, (size_t)length, format, again);
    else if (length > 0)
        err = put(w, stream, near, (size_t)length);
    va_end(again);
    return err;
}

int crank_printf(crank_stream *stream, const char *format, ...)
{
    cr_caller w;
    va_list args;
    int err = cr_stream_begin(&w, stream, false, "crank_printf");
    va_start(args, format);
    if (err == 0)
        err = print(&w, stream, format, args);
    va_end(args);
    return (int)cr_stream_leave(&w, err);
}

int crank_flush(crank_stream *stream)
{
    cr_caller w;
    int err = cr_stream_begin(&w, stream, false, "crank_flush");
    if (err == 0)
        err = stream->type->flush(&w, stream);
    return (int)cr_stream_leave(&w, err);
}
