/* SPDX-License-Identifier: MIT */
/* file.c: files as streams, and whole files at once.
 *
 * A regular file blocks whoever reads it, so it is opened, read and written on workers
 * (thread/blocking.h); what the kernel has in memory already is read at once, where it can tell
 * (RWF_NOWAIT). What may have nothing to give for long (a pipe, a terminal) is waited for by the
 * backend, so that waiting for it can be cancelled and holds no worker. A file open for reading and
 * writing is addressed by explicit places, one for both. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/check.h"
#include "task/error.h"
#include "task/wait.h"
#include "thread/blocking.h"
#include "io/stream.h"

/* From so much on a file of unknown size grows by half, not to twice: memory is short before
 * address space is. */
#define PIECE ((size_t)1024 * 1024)
/* A worker reads so much before the task may notice that it was asked to stop: some
 * milliseconds. */
#define AT_ONCE ((size_t)16 * 1024 * 1024)
/* PIPE_BUF on Linux: what a pipe that polls as writable takes without blocking. */
#define PIPE_PIECE ((size_t)4096)

/* One open file. What a worker or the backend needs stands here, never on the task's stack. */
typedef struct file {
    crank_stream stream;
    const cr_sys *sys;
    int fd;
    int flags; /* of open */
    bool regular;
    bool no_now;    /* the kernel cannot tell what it has in memory */
    bool addressed; /* by place */
    int64_t place;  /* of the next byte the user reads or writes */
    int64_t at;     /* what a worker is to do: where (-1: where the file stands), with what */
    char *bytes;
    size_t size;
    cr_op op;             /* the one in flight, of a pipe or terminal */
    cr_caller op_waiting; /* who waits for it */
    char path[];          /* for messages */
} file;

/* A stream of this type is always part of a file. */
static file *file_of(crank_stream *stream) { return cr_container_of(stream, file, stream); }

/* Reading and writing it never waits for anybody: a worker does that. */
static bool is_regular(const struct stat *status)
{
    return S_ISREG(status->st_mode) || S_ISDIR(status->st_mode) || S_ISBLK(status->st_mode);
}

/* ---- On workers ---- */

/* Signals that arrive on a worker interrupt nothing of the user's. */
static ssize_t read_some(const cr_sys *sys, int fd, void *bytes, size_t size, int64_t at)
{
    struct iovec piece = { .iov_base = bytes, .iov_len = size };
    ssize_t n;
    do
        n = sys->read_at(sys->context, fd, &piece, at, 0);
    while (n == -EINTR);
    return n;
}

/* A write of nothing would be tried for ever. */
static ssize_t write_some(const cr_sys *sys, int fd, const void *bytes, size_t size, int64_t at)
{
    struct iovec piece = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
    ssize_t n;
    do
        n = sys->write_at(sys->context, fd, &piece, at, 0);
    while (n == -EINTR);
    return n == 0 && size > 0 ? -EIO : n;
}

/* Network file systems interrupt an open; which is no error of the call's. */
static int open_retrying(const cr_sys *sys, const char *path, int flags)
{
    int fd;
    do
        fd = sys->open(sys->context, path, flags | O_CLOEXEC, 0666);
    while (fd == -EINTR);
    return fd;
}

/* One trip to a worker learns what the file is as well. Where that cannot be asked it stays shut: a
 * worker that read a pipe, taken for a file, could not be called back. */
static long do_open(void *arg)
{
    file *f = arg;
    struct stat status;
    f->fd = open_retrying(f->sys, f->path, f->flags);
    if (f->fd < 0)
        return f->fd;
    int err = f->sys->stat(f->sys->context, f->fd, &status);
    if (err < 0) {
        (void)f->sys->close(f->sys->context, f->fd);
        return err;
    }
    f->regular = is_regular(&status);
    f->addressed = f->regular && (f->flags & O_ACCMODE) == O_RDWR;
    f->stream.placed = f->addressed;
    return 0;
}

/* The kernel may give less than asked; the stream asks again when it needs more. */
static long do_read(void *arg)
{
    file *f = arg;
    return read_some(f->sys, f->fd, f->bytes, f->size, f->at);
}

/* After an append the file's end is where its place is. */
static long do_write(void *arg)
{
    file *f = arg;
    struct stat status;
    long n = write_some(f->sys, f->fd, f->bytes, f->size, f->at);
    if (n > 0 && f->addressed && (f->flags & O_APPEND) &&
        f->sys->stat(f->sys->context, f->fd, &status) == 0)
        f->place = status.st_size;
    return n;
}

static long do_close(void *arg)
{
    file *f = arg;
    int err = f->sys->close(f->sys->context, f->fd);
    return err == -EINTR ? 0 : err; /* the descriptor is gone all the same */
}

/* ---- Through the backend ---- */

static void op_completed(cr_op *op, void *arg)
{
    file *f = arg;
    cr_wake(f->op_waiting.loop, f->op_waiting.self, op->result);
}

/* The backend ends it soon, with -ECANCELED or with what it had read by then, which is kept. */
static bool op_abort(cr_task *task)
{
    file *f = task->on;
    cr_loop_cancel(f->op_waiting.loop, &f->op);
    return false;
}

static size_t op_describe(const cr_task *task, char *buf, size_t size)
{
    const file *f = task->on;
    int length = snprintf(buf, size, "%s", f->path);
    return length < 0 ? 0 : (size_t)length;
}

static const cr_wait_ops op_wait = {
    .what = "waits for",
    .hibernatable = true,
    .abort = op_abort,
    .describe = op_describe,
};

/* What has been asked of the task since the wait before, delivered where the call delivers. */
static int look_up(const cr_caller *w, const file *f)
{
    if (f->stream.closing)
        return cr_stream_abandoned(w, &f->stream) ? -ECANCELED : 0;
    return cr_checkpoint_again(w);
}

/* Have the backend do f->op and wait for its end; it may be one of several waits of a call. Where
 * it ended because a request to cancel undid it, the request has been answered. It is the file's
 * operation and not the task's record's: a file is read by one task at a time. */
static long await_op(const cr_caller *w, file *f)
{
    int err = look_up(w, f);
    if (err < 0)
        return err;
    f->op.fd = f->fd;
    f->op.offset = -1;
    f->op.completed = op_completed;
    f->op.arg = f;
    f->op_waiting = *w;
    w->self->on = f;
    if (cr_loop_submit(w->loop, &f->op) == CR_DONE_NOW)
        return f->op.result;
    long result = cr_park(w, &op_wait);
    if (result == -ECANCELED)
        (void)look_up(w, f);
    return result;
}

/* ---- The stream's type ---- */

/* What the kernel has in memory. Not under the simulator, whose runs must not depend on that. */
static long read_now(const cr_caller *w, file *f)
{
    struct iovec piece = { .iov_base = f->bytes, .iov_len = f->size };
    if (w->loop->simulated || f->no_now)
        return -EAGAIN;
    ssize_t n = f->sys->read_at(f->sys->context, f->fd, &piece, f->at, RWF_NOWAIT);
    if (n >= 0 || n == -EAGAIN)
        return n;
    f->no_now = true;
    return -EAGAIN;
}

/* For a file of both directions the place is counted: the kernel's own is not where the user is. */
static long file_fill(const cr_caller *w, crank_stream *stream, char *into, size_t size)
{
    file *f = file_of(stream);
    f->sys = w->loop->sys;
    f->bytes = into;
    f->size = size;
    f->at = f->addressed ? f->place + (int64_t)(stream->in.end - stream->in.start) : -1;
    if (!f->regular) {
        f->op = (cr_op){ .code = CR_OP_READ, .buf = into, .size = size };
        return await_op(w, f);
    }
    long n = read_now(w, f);
    return n != -EAGAIN ? n : cr_blocking_call(w, do_read, f, f->path);
}

/* A pipe takes PIPE_PIECE without blocking once it is ready; the write itself is a worker's,
 * where SIGPIPE is blocked. A pipe that nobody empties may be waited for without end: that wait
 * can be cancelled, also when the stream is being closed. RWF_NOWAIT is not tried for writes:
 * the kernel would often have to allocate, and then wait. */
static long file_drain(const cr_caller *w, crank_stream *stream, const char *from, size_t size)
{
    file *f = file_of(stream);
    f->sys = w->loop->sys;
    f->bytes = (char *)(uintptr_t)from;
    f->size = size;
    f->at = f->addressed && !(f->flags & O_APPEND) ? f->place - (int64_t)size : -1;
    if (!f->regular) {
        f->op = (cr_op){ .code = CR_OP_POLL, .events = EPOLLOUT };
        long ready = await_op(w, f);
        if (ready < 0 && ready != -EPERM)
            return ready;
        if (f->size > PIPE_PIECE)
            f->size = PIPE_PIECE;
    }
    return stream->closing ? cr_blocking_call_uncancellable(w, do_write, f, f->path)
                           : cr_blocking_call(w, do_write, f, f->path);
}

/* Closing what was only read does not wait; closing what was written may (network file systems). */
static int file_shut(const cr_caller *w, crank_stream *stream, bool written)
{
    file *f = file_of(stream);
    f->sys = w->loop->sys;
    return (int)(written ? cr_blocking_call_uncancellable(w, do_close, f, f->path) : do_close(f));
}

/* Counted from the buffer's side, since the kernel's place runs ahead of it. */
static void file_moved(crank_stream *stream, size_t size)
{
    file_of(stream)->place += (int64_t)size;
}

static const cr_stream_type file_type = {
    .fill = file_fill,
    .drain = file_drain,
    .shut = file_shut,
    .moved = file_moved,
};

/* ---- Opening ---- */

/* fopen's modes as open's flags, or -EINVAL: what else fopen might know is refused, not ignored.
 * 'b' and 'e' say what is always so. */
static int flags_of(const char *mode)
{
    bool both = false, exclusive = false;
    int kind = mode ? mode[0] : 0;
    if (kind != 'r' && kind != 'w' && kind != 'a')
        return -EINVAL;
    for (const char *at = mode + 1; *at; at++) {
        if (*at == '+' && !both)
            both = true;
        else if (*at == 'x' && kind == 'w' && !exclusive)
            exclusive = true;
        else if (*at != 'b' && *at != 'e')
            return -EINVAL;
    }
    int flags = both ? O_RDWR : kind == 'r' ? O_RDONLY : O_WRONLY;
    if (kind == 'w')
        flags |= O_CREAT | (exclusive ? O_EXCL : O_TRUNC);
    if (kind == 'a')
        flags |= O_CREAT | O_APPEND;
    return flags;
}

/* The path is kept for messages, and because the caller's may be gone by the time a worker opens
 * it. The struct and the path are one block, freed with the stream. */
static file *file_new(const cr_sys *sys, const char *path, int flags)
{
    size_t length = strlen(path);
    file *f = cr_alloc_zero(sys, sizeof *f + length + 1);
    if (!f)
        return NULL;
    memcpy(f->path, path, length + 1);
    f->stream.type = &file_type;
    f->stream.name = f->path;
    f->stream.readable = (flags & O_ACCMODE) != O_WRONLY;
    f->stream.writable = (flags & O_ACCMODE) != O_RDONLY;
    f->sys = sys;
    f->fd = -1;
    f->flags = flags;
    return f;
}

/* A cancellation is no failure with a sentence: it passes as it is. */
static int cannot(const char *verb, const char *path, int err)
{
    if (err == -ECANCELED)
        return err;
    return cr_failed(err, "cannot %s %s: %s", verb, path, cr_error_words(err));
}

/* The mode is looked at after the wait has been opened: a cancelled caller hears of that first. */
static int open_file(const char *path, const char *mode, file **ret_file)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_open");
    if (err < 0)
        return err;
    int flags = flags_of(mode);
    if (flags < 0)
        return cr_failed(-EINVAL,
            "crank_open: %s: the mode \"%s\" is none of r, w, a, with +, and x after w", path,
            mode ? mode : "(null)");
    file *f = file_new(w.loop->sys, path, flags);
    if (!f)
        return cannot("open", path, -ENOMEM);
    err = (int)cr_blocking_call(&w, do_open, f, f->path);
    if (err < 0) {
        cr_free(w.loop->sys, f);
        return cannot("open", path, err);
    }
    *ret_file = f;
    return 0;
}

/* errno last: it must survive the waits in between. */
crank_stream *crank_open(const char *path, const char *mode)
{
    file *f = NULL;
    CR_CHECK(path, "crank_open: the path is NULL");
    int err = open_file(path, mode, &f);
    if (err == 0)
        return &f->stream;
    errno = -err;
    return NULL;
}

/* ---- Whole files ---- */

/* One file read or written in a piece, in heap memory that a worker may use whatever becomes of
 * the task. */
typedef struct whole {
    const cr_sys *sys;
    const char *path; /* a copy behind this struct */
    char *data;
    size_t size, room;
    int fd;
    bool ended;
} whole;

/* Read until the end, or so much that it is time to ask whether the task still wants it. */
static long read_on(void *arg)
{
    whole *all = arg;
    size_t before = all->size;
    while (!all->ended && all->size - before < AT_ONCE) {
        if (all->room - all->size < 2) {
            size_t more = all->room < PIECE ? all->room * 2 : all->room + all->room / 2;
            char *data = cr_resize(all->sys, all->data, more);
            if (!data)
                return -ENOMEM;
            all->data = data;
            all->room = more;
        }
        size_t room = all->room - all->size - 1;
        ssize_t n = read_some(all->sys, all->fd, all->data + all->size, room, -1);
        if (n < 0)
            return n;
        all->size += (size_t)n;
        all->ended = n == 0;
    }
    return 0;
}

/* Room for the whole file and the 0 behind it, so that it is usually read by one call and its
 * end seen by the next. */
static long open_and_read(void *arg)
{
    whole *all = arg;
    struct stat status;
    all->fd = open_retrying(all->sys, all->path, O_RDONLY);
    if (all->fd < 0)
        return all->fd;
    int err = all->sys->stat(all->sys->context, all->fd, &status);
    if (err < 0)
        return err;
    /* Files of the kernel say they are empty: their end is found by reading. */
    bool known = S_ISREG(status.st_mode) && status.st_size > 0;
    all->room = (known ? (size_t)status.st_size : 4096) + 2;
    all->data = cr_alloc(all->sys, all->room);
    return all->data ? read_on(all) : -ENOMEM;
}

/* The path is copied: the caller's may lie on the task's stack, which a worker must not need. */
static whole *whole_new(const cr_sys *sys, const char *path)
{
    size_t length = strlen(path);
    whole *all = cr_alloc_zero(sys, sizeof *all + length + 1);
    if (!all)
        return NULL;
    all->sys = sys;
    all->fd = -1;
    all->path = memcpy(all + 1, path, length + 1);
    return all;
}

/* One trip to a worker for all but huge files; between two pieces of those a request to cancel
 * is noticed. */
int crank_read_file(const char *path, char **ret_data, size_t *ret_size)
{
    cr_caller w;
    CR_CHECK(path && ret_data && ret_size,
        "crank_read_file: the path, or where to put data or size, is NULL");
    int err = cr_checkpoint(&w, "crank_read_file");
    if (err < 0)
        return err;
    const cr_sys *sys = w.loop->sys;
    whole *all = whole_new(sys, path);
    if (!all)
        return cannot("open", path, -ENOMEM);
    err = (int)cr_blocking_call(&w, open_and_read, all, all->path);
    while (err == 0 && !all->ended) {
        err = cr_checkpoint(&w, "crank_read_file");
        if (err == 0)
            err = (int)cr_blocking_call(&w, read_on, all, all->path);
    }
    bool opened = all->fd >= 0;
    if (opened)
        (void)sys->close(sys->context, all->fd);
    if (err == 0) {
        all->data[all->size] = '\0';
        *ret_data = all->data;
        *ret_size = all->size;
    } else {
        cr_free(sys, all->data);
        err = cannot(opened ? "read" : "open", path, err);
    }
    cr_free(sys, all);
    return err;
}

/* What closing says counts too: a file system may report only then that it is full. */
static long write_all(void *arg)
{
    whole *all = arg;
    all->fd = open_retrying(all->sys, all->path, O_WRONLY | O_CREAT | O_TRUNC);
    if (all->fd < 0)
        return all->fd;
    long err = 0;
    for (size_t done = 0; done < all->size && err >= 0;) {
        err = write_some(all->sys, all->fd, all->data + done, all->size - done, -1);
        done += err > 0 ? (size_t)err : 0;
    }
    int closed = all->sys->close(all->sys->context, all->fd);
    return err < 0 ? err : closed == -EINTR ? 0 : closed;
}

/* Data that may lie on the task's stack is copied: the worker must not depend on the stack of a
 * parked task. No stack is larger than what is copied. */
int crank_write_file(const char *path, const void *data, size_t size)
{
    enum { stack_max = 8 << 20 };
    cr_caller w;
    CR_CHECK(path && (data || size == 0), "crank_write_file: the path or the data is NULL");
    int err = cr_checkpoint(&w, "crank_write_file");
    if (err < 0)
        return err;
    const cr_sys *sys = w.loop->sys;
    whole *all = whole_new(sys, path);
    char *copy = all && size > 0 && size <= stack_max ? cr_alloc(sys, size) : NULL;
    if (!all || (size > 0 && size <= stack_max && !copy)) {
        cr_free(sys, all);
        return cannot("open", path, -ENOMEM);
    }
    if (copy)
        memcpy(copy, data, size);
    all->data = copy ? copy : (char *)(uintptr_t)data;
    all->size = size;
    err = (int)cr_blocking_call(&w, write_all, all, all->path);
    if (err < 0)
        err = cannot(all->fd >= 0 ? "write" : "open", path, err);
    cr_free(sys, copy);
    cr_free(sys, all);
    return err;
}
