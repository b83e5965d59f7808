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

typedef struct formatting {
    char *text; /* cut to size and terminated */
    size_t size;
    const char *format;
    va_list args;
    int length; /* uncut; negative: errno says why */
} formatting;

static void format_text(void *arg)
{
    formatting *f = arg;
    f->length = vsnprintf(f->text, f->size, f->format, f->args);
}

/* Of a text that does not fit on the stack. */
static CR_NOINLINE int print_long(const cr_caller *w, crank_stream *stream, formatting *f)
{
    const cr_sys *sys = w->loop->sys;
    f->size = (size_t)f->length + 1;
    f->text = cr_alloc(sys, f->size);
    if (!f->text)
        return cr_stream_failed(stream, "write", -ENOMEM);
    cr_sched_call(&w->loop->runner, format_text, f);
    int err = put(w, stream, f->text, f->size - 1);
    cr_free(sys, f->text);
    return err;
}

/* Formatted aside, for a wait could change what the arguments point to. Most texts fit on the
 * stack. vsnprintf itself takes 5 KiB of a stack for a floating point number: of the loop's, for a
 * task that waits for its peer afterwards would keep those pages as long as that. */
int crank_printf(crank_stream *stream, const char *format, ...)
{
    enum { usual = 256 };
    cr_caller w;
    char near[usual];
    int err = cr_stream_begin(&w, stream, false, "crank_printf");
    if (err < 0)
        return err;
    forget_ahead(stream);
    formatting f = { .text = near, .size = sizeof near, .format = format };
    va_start(f.args, format);
    cr_sched_call(&w.loop->runner, format_text, &f);
    va_end(f.args);
    if (f.length < 0)
        return cr_stream_failed(stream, "format for", errno ? -errno : -EINVAL);
    if (f.length < usual)
        return f.length ? put(&w, stream, near, (size_t)f.length) : 0;
    va_start(f.args, format);
    err = print_long(&w, stream, &f);
    va_end(f.args);
    return err;
}

int crank_flush(crank_stream *stream)
{
    cr_caller w;
    int err = cr_stream_begin(&w, stream, false, "crank_flush");
    return err < 0 ? err : stream->type->flush(&w, stream);
}
