/* SPDX-License-Identifier: MIT */
/* writing.c: the calls that write a stream.
 *
 * They fill the out buffer; what becomes of it is the stream's type's to decide: a file's goes out
 * when it is full or flushed, a socket's by itself. Waiting, if any, is over before the first byte
 * is taken: a cancelled write has written nothing of its own. */
#include "io/stream.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "task/error.h"

/* A stream for both directions of one file has one place in it: what was read ahead of the place at
 * which something is now written is forgotten. */
static void forget_ahead(crank_stream *stream)
{
    if (stream->placed)
        cr_buffer_clear(&stream->in);
}

static void fill(crank_stream *stream, const void *bytes, size_t size)
{
    memcpy(stream->out.bytes + stream->out.end, bytes, size);
    stream->out.end += size;
}

CR_HOT static int put(const cr_caller *w, crank_stream *stream, const char *bytes, size_t size)
{
    if (stream->type->write_at_once && stream->type->write_at_once(stream, bytes, size))
        return 0;
    int err = stream->type->make_room(w, stream, size);
    if (err == -EMSGSIZE && stream->type->write_large) {
        const struct iovec all = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
        return stream->type->write_large(w, stream, &all, 1);
    }
    if (err < 0)
        return err;
    fill(stream, bytes, size);
    stream->type->put(stream, size);
    return 0;
}

void cr_writing_fill(crank_stream *stream, const char *bytes, size_t size)
{
    forget_ahead(stream);
    fill(stream, bytes, size);
    stream->type->put(stream, size);
}

CR_HOT int crank_write(crank_stream *stream, const void *buf, size_t size)
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

/* The compiler has checked the format against the arguments where crank_printf was called. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void format_text(void *arg)
{
    formatting *f = arg;
    f->length = vsnprintf(f->text, f->size, f->format, f->args);
}
#pragma GCC diagnostic pop

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

/* How many bytes the pieces have, or a negative errno with its message. */
static ssize_t size_of(const struct iovec *pieces, int n)
{
    size_t size = 0;
    CR_CHECK(n == 0 || pieces, "crank_write_vector: the pieces are NULL");
    if (n < 0)
        return cr_error_set(-EINVAL, "crank_write_vector: there cannot be %d pieces", n);
    for (int i = 0; i < n; i++) {
        if (pieces[i].iov_len > SSIZE_MAX - size)
            return cr_error_set(-EINVAL, "crank_write_vector: piece %d makes it too long", i);
        size += pieces[i].iov_len;
    }
    return (ssize_t)size;
}

static int put_vector(const cr_caller *w, crank_stream *stream, const struct iovec *pieces, int n)
{
    ssize_t size = size_of(pieces, n);
    if (size <= 0)
        return (int)size;
    forget_ahead(stream);
    int err = stream->type->make_room(w, stream, (size_t)size);
    if (err == -EMSGSIZE && stream->type->write_large)
        return stream->type->write_large(w, stream, pieces, n);
    if (err < 0)
        return err;
    for (int i = 0; i < n; i++)
        if (pieces[i].iov_len > 0)
            fill(stream, pieces[i].iov_base, pieces[i].iov_len);
    stream->type->put(stream, (size_t)size);
    return 0;
}

int crank_write_vector(crank_stream *stream, const struct iovec *pieces, int n)
{
    cr_caller w;
    int err = cr_stream_begin(&w, stream, false, "crank_write_vector");
    if (err == 0)
        err = put_vector(&w, stream, pieces, n);
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

int crank_write_eof(crank_stream *stream)
{
    cr_caller w;
    int err = cr_stream_begin(&w, stream, false, "crank_write_eof");
    if (err == 0)
        err = stream->type->write_eof
                  ? stream->type->write_eof(&w, stream)
                  : cr_error_set(-ENOTSUP, "crank_write_eof: %s ends where it is closed",
                        cr_stream_name(stream));
    return err;
}

/* ---- Without a wait ---- */

/* A file in which another task has its call is a CHECK for writers that may wait; this one is
 * refused by room_now instead. */
int crank_write_now(crank_stream *stream, const void *bytes, size_t size)
{
    CR_CHECK(stream, "crank_write_now: the stream is NULL");
    (void)cr_checked_loop("crank_write_now");
    if (!stream->writable)
        return cr_stream_refuse(stream, false, "crank_write_now");
    if (size == 0)
        return 0;
    int err = stream->type->room_now(stream, size);
    if (err == 0)
        cr_writing_fill(stream, bytes, size);
    return err;
}

int crank_wait_room(crank_stream *stream)
{
    cr_caller w;
    int err = cr_stream_begin(&w, stream, false, "crank_wait_room");
    if (err == 0)
        err = stream->type->wait_room(&w, stream);
    return err;
}

void crank_set_write_limit(crank_stream *stream, size_t high)
{
    CR_CHECK(stream, "crank_set_write_limit: the stream is NULL");
    if (stream->type->set_high)
        stream->type->set_high(stream, high > 0 ? high : CR_BUFFER_LARGE);
}

size_t crank_unsent(const crank_stream *stream)
{
    CR_CHECK(stream, "crank_unsent: the stream is NULL");
    return stream->type->unsent(stream);
}
