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
    if (err < 0 || size == 0)
        return err;
    forget_ahead(stream);
    return put(&w, stream, buf, size);
}

/* Formatted aside, for a wait could change what the arguments point to. Most texts fit on the
 * stack. */
int crank_printf(crank_stream *stream, const char *format, ...)
{
    enum { usual = 256 };
    cr_caller w;
    char near[usual];
    va_list args;
    int err = cr_stream_begin(&w, stream, false, "crank_printf");
    if (err < 0)
        return err;
    forget_ahead(stream);
    va_start(args, format);
    int length = vsnprintf(near, sizeof near, format, args);
    va_end(args);
    if (length < 0)
        return cr_stream_failed(stream, "format for", errno ? -errno : -EINVAL);
    if (length < usual)
        return length ? put(&w, stream, near, (size_t)length) : 0;
    const cr_sys *sys = w.loop->sys;
    char *text = cr_alloc(sys, (size_t)length + 1);
    if (!text)
        return cr_stream_failed(stream, "write", -ENOMEM);
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    err = put(&w, stream, text, (size_t)length);
    cr_free(sys, text);
    return err;
}

int crank_flush(crank_stream *stream)
{
    cr_caller w;
    int err = cr_stream_begin(&w, stream, false, "crank_flush");
    return err < 0 ? err : stream->type->flush(&w, stream);
}
