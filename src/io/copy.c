/* SPDX-License-Identifier: MIT */
/* copy.c: from one stream to another.
 *
 * A file's bytes the kernel copies by itself, where it can (copy_file.h), behind what is buffered.
 * Other bytes lie in the buffer of the stream that is read until the other one has taken them: so a
 * copy that ends early, for whatever reason, has nothing in hand, and what was read ahead is still
 * to be read. Nothing more is read while the other stream has no room: its peer's slowness is
 * passed on.
 *
 * The copying task is the reader of the one stream and a writer of the other, one of several where
 * that allows several. It is a visit of both (visit.h): each may be closed or aborted by other
 * tasks while it waits in the other one. */
#include "io/stream.h"

#include "base/check.h"
#include "io/copy_file.h"
#include "io/visit.h"
#include "task/error.h"

/* One call. */
typedef struct copying {
    crank_stream *from, *to;
    int64_t left;    /* of the limit */
    int64_t *copied; /* taken from the one and given to the other, for others to see meanwhile */
    cr_copy_file *by_kernel; /* NULL: through the buffers */
} copying;

/* The calls below leave the stream when they return, and this one is still in it. */
static void stay(const cr_caller *w, const copying *c)
{
    c->from->reader = w->self;
    if (!c->to->type->duplex)
        c->to->writer = w->self;
}

static void leave(const cr_caller *w, const copying *c)
{
    c->from->reader = NULL;
    if (!c->to->type->duplex && c->to->writer == w->self)
        c->to->writer = NULL;
}

/* What is in from's buffer, or some of it, to the other stream: how many bytes. A piece is never
 * larger than what the stream takes in whole, for a larger write breaks it when it is cancelled;
 * where it takes nothing so, the write itself is the stream's. */
static long give(const cr_caller *w, const copying *c)
{
    cr_buffer *in = &c->from->in;
    size_t held = cr_buffer_held(in);
    size_t all = (uint64_t)c->left < held ? (size_t)c->left : held, size = all;
    int err;
    while ((err = c->to->type->make_room(w, c->to, size)) == -EMSGSIZE && size > 1)
        size /= 2;
    if (err == 0) {
        cr_writing_fill(c->to, cr_buffer_first(in), size);
    } else if (err == -EMSGSIZE) {
        const struct iovec piece = { .iov_base = cr_buffer_first(in), .iov_len = all };
        size = all;
        err = c->to->type->write_large(w, c->to, &piece, 1);
    }
    return err < 0 ? err : (long)size;
}

/* Each 64 KiB cost what a call on a stream costs: two quick peers must not keep other tasks from
 * running. */
static int spend(const cr_caller *w, size_t size)
{
    if (--w->loop->runner.budget == 0)
        cr_checkpoint_yield(w);
    int err = cr_checkpoint_again(w);
    cr_checkpoint_costs(w, CR_BUDGET_STREAM * (uint32_t)(1 + size / CR_BUFFER_LARGE));
    return err;
}

/* How many bytes, 0 at the end. */
static long copy_by_buffer(const cr_caller *w, const copying *c)
{
    long n = cr_buffer_held(&c->from->in) > 0 ? 1 : cr_reading_fill(w, c->from, 1);
    stay(w, c);
    if (n > 0)
        n = give(w, c);
    if (n > 0)
        cr_reading_take(c->from, (size_t)n);
    return n;
}

/* 0: by the buffer, from now on. */
static long copy_by_kernel(const cr_caller *w, copying *c)
{
    if (!c->by_kernel || cr_buffer_held(&c->from->in) > 0)
        return 0;
    size_t size = (uint64_t)c->left < SIZE_MAX ? (size_t)c->left : SIZE_MAX;
    long n = cr_copy_file_some(w, c->by_kernel, size);
    if (n == 0) {
        cr_free(w->loop->sys, c->by_kernel);
        c->by_kernel = NULL;
    }
    return n;
}

static int copy_all(const cr_caller *w, copying *c)
{
    int err = 0;
    stay(w, c);
    while (err == 0 && c->left > 0) {
        long n = copy_by_kernel(w, c);
        stay(w, c);
        if (n == 0)
            n = copy_by_buffer(w, c);
        stay(w, c);
        if (n <= 0)
            return (int)n;
        c->left -= n;
        *c->copied += n;
        err = spend(w, (size_t)n);
    }
    return err;
}

static int copy(cr_caller *w, copying *c)
{
    cr_visit visit;
    if (c->from == c->to && !c->to->type->duplex)
        return cr_error_set(-EINVAL, "crank_copy: %s is a file, and cannot be copied to itself",
            cr_stream_name(c->to));
    int err = cr_visit_begin(&visit, c->from, c->to);
    if (err < 0)
        return err;
    c->from->reader = w->self;
    err = cr_stream_begin(w, c->to, false, "crank_copy");
    if (err == 0) {
        c->by_kernel = cr_copy_file_new(w, c->from, c->to);
        err = copy_all(w, c);
        cr_free(w->loop->sys, c->by_kernel);
    }
    leave(w, c);
    bool waited = err == -ECANCELED;
    err = (int)cr_visit_end(&visit, err);
    if (waited && err != -ECANCELED)
        cr_error_set(err, "cannot copy %s to %s: one of them was closed or aborted meanwhile",
            cr_stream_name(c->from), cr_stream_name(c->to));
    return err;
}

int crank_copy(crank_stream *from, crank_stream *to, int64_t limit, int64_t *ret_copied)
{
    cr_caller w;
    int64_t copied = 0;
    copying c = { .from = from, .to = to, .left = limit < 0 ? INT64_MAX : limit };
    c.copied = ret_copied ? ret_copied : &copied;
    *c.copied = 0;
    CR_CHECK(to, "crank_copy: the stream to copy to is NULL");
    int err = cr_stream_begin(&w, from, true, "crank_copy");
    if (err == 0)
        err = copy(&w, &c);
    return err;
}
