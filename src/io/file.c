/* SPDX-License-Identifier: MIT */
/* file.c: files as streams.
 *
 * A regular file blocks the thread that reads it, so it is opened, read and written on workers
 * (thread/blocking.h); what the kernel has in memory already is read at once, where it can tell
 * (RWF_NOWAIT). What may have nothing to give for long (a pipe, a terminal) is waited for by the
 * backend, so that waiting for it can be cancelled and holds no worker. A file open for reading and
 * writing is addressed by explicit places, one for both. */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/check.h"
#include "base/text.h"
#include "task/error.h"
#include "task/wait.h"
#include "thread/blocking.h"
#include "io/file.h"
#include "io/stream.h"

/* As much as a pipe holds, and where reading a cached file stops getting faster. */
#define ROOM_FIRST ((size_t)64 * 1024)
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
    int64_t end;    /* its size when it was opened or taken over */
    int64_t at;     /* what a worker is to do: where (-1: where the file stands), with what */
    char *bytes;
    size_t size;
    cr_op op;             /* the one in flight, of a pipe or terminal */
    cr_caller op_waiting; /* the task that waits for it */
    char path[];          /* for messages */
} file;

/* A stream of this type is always part of a file. */
static file *file_of(crank_stream *stream) { return cr_container_of(stream, file, stream); }

/* Reading and writing it never waits for another program: a worker does that. */
static bool is_regular(const struct stat *status)
{
    return S_ISREG(status->st_mode) || S_ISDIR(status->st_mode) || S_ISBLK(status->st_mode);
}

/* ---- On workers ---- */

ssize_t cr_file_read_some(const cr_sys *sys, int fd, void *bytes, size_t size, int64_t at)
{
    struct iovec piece = { .iov_base = bytes, .iov_len = size };
    ssize_t n;
    do
        n = sys->read_at(sys->context, fd, &piece, at, 0);
    while (n == -EINTR);
    return n;
}

/* A write of nothing would be tried for ever. */
ssize_t cr_file_write_some(const cr_sys *sys, int fd, const void *bytes, size_t size, int64_t at)
{
    struct iovec piece = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
    ssize_t n;
    do
        n = sys->write_at(sys->context, fd, &piece, at, 0);
    while (n == -EINTR);
    return n == 0 && size > 0 ? -EIO : n;
}

/* Network file systems interrupt an open; which is no error of the call's. */
int cr_file_open_retrying(const cr_sys *sys, const char *path, int flags)
{
    int fd;
    do
        fd = sys->open(sys->context, path, flags | O_CLOEXEC, 0666);
    while (fd == -EINTR);
    return fd;
}

static void note_kind(file *f, const struct stat *status)
{
    f->regular = is_regular(status);
    f->addressed = f->regular && (f->flags & O_ACCMODE) == O_RDWR;
    f->stream.placed = f->addressed;
    f->end = status->st_size;
}

/* One trip to a worker learns what the file is as well. Where that cannot be asked it stays shut: a
 * worker that read a pipe, taken for a file, could not be called back. */
static long do_open(void *arg)
{
    file *f = arg;
    struct stat status;
    f->fd = cr_file_open_retrying(f->sys, f->path, f->flags);
    if (f->fd < 0)
        return f->fd;
    int err = f->sys->stat(f->sys->context, f->fd, &status);
    if (err < 0) {
        (void)f->sys->close(f->sys->context, f->fd);
        return err;
    }
    note_kind(f, &status);
    return 0;
}

/* The kernel may give less than asked; the stream asks again when it needs more. */
static long do_read(void *arg)
{
    file *f = arg;
    return cr_file_read_some(f->sys, f->fd, f->bytes, f->size, f->at);
}

/* After an append the file's end is where its place is. */
static long do_write(void *arg)
{
    file *f = arg;
    struct stat status;
    long n = cr_file_write_some(f->sys, f->fd, f->bytes, f->size, f->at);
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
    file *f = task->wait_object;
    cr_loop_cancel(f->op_waiting.loop, &f->op);
    return false;
}

static size_t op_describe(const cr_task *task, char *buf, size_t size)
{
    const file *f = task->wait_object;
    return cr_text_format(buf, size, "%s", f->path);
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
    w->self->wait_object = f;
    if (cr_loop_submit(w->loop, &f->op) == CR_DONE_NOW)
        return f->op.result;
    long result = cr_park(w, &op_wait);
    if (result == -ECANCELED)
        (void)look_up(w, f);
    return result;
}

/* ---- Moving bytes ---- */

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

/* Up to size bytes, at least one, into a part of the in buffer. For a file of both directions the
 * place is counted: the kernel's own is not where the user is. */
static long read_into(const cr_caller *w, crank_stream *stream, char *into, size_t size)
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

/* A pipe takes PIPE_PIECE without blocking once it is ready; the write itself is a worker's, where
 * SIGPIPE is blocked. A pipe that no reader empties may be waited for without end: that wait can be
 * cancelled, also when the stream is being closed. RWF_NOWAIT is not tried for writes: the kernel
 * would often have to allocate, and then wait. */
static long write_from(const cr_caller *w, crank_stream *stream, const char *from, size_t size)
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
static int shut(const cr_caller *w, crank_stream *stream, bool written)
{
    file *f = file_of(stream);
    f->sys = w->loop->sys;
    return (int)(written ? cr_blocking_call_uncancellable(w, do_close, f, f->path) : do_close(f));
}

/* ---- The stream's type ---- */

/* Make room for size bytes in all, counted from the first full one. 0 or -ENOMEM; nothing is
 * lost. Moved to the front first: one large move instead of a buffer that creeps through memory. */
static int reserve(const cr_sys *sys, cr_buffer *buffer, size_t size)
{
    if (buffer->start > 0) {
        memmove(buffer->bytes, cr_buffer_first(buffer), cr_buffer_held(buffer));
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

/* Everything in the out buffer to the kernel. On failure the rest stays. writer is set while it
 * waits: a second writer is found by the CHECK, not by mixed bytes. */
static int write_out(const cr_caller *w, crank_stream *stream)
{
    cr_buffer *out = &stream->out;
    stream->writer = w->self;
    long n = 0;
    while (cr_buffer_held(out) > 0 && n >= 0) {
        n = write_from(w, stream, cr_buffer_first(out), cr_buffer_held(out));
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
    cr_buffer_clear(out);
    return 0;
}

/* What was written goes out before something is read. The buffer is grown only when full, and no
 * further than it must: a line or a piece lies in it whole, nothing larger. */
static long file_fill(const cr_caller *w, crank_stream *stream, size_t want)
{
    cr_buffer *in = &stream->in;
    if (cr_buffer_held(&stream->out) > 0) {
        int err = write_out(w, stream);
        if (err < 0)
            return err;
    }
    size_t room = in->room ? in->room : ROOM_FIRST;
    size_t grown = cr_buffer_held(in) < room ? room : want < 2 * room ? want : 2 * room;
    if (reserve(w->loop->sys, in, grown) < 0)
        return -ENOMEM;
    long n = read_into(w, stream, in->bytes + in->end, in->room - in->end);
    if (n > 0)
        in->end += (size_t)n;
    return n;
}

/* Give back what one large write has made the buffer grow to. */
static void shrink(const cr_sys *sys, cr_buffer *buffer)
{
    if (buffer->room > 4 * ROOM_FIRST && cr_buffer_held(buffer) == 0) {
        cr_free(sys, buffer->bytes);
        *buffer = (cr_buffer){ 0 };
    }
}

/* What is in the buffer goes out first where size more bytes do not fit behind it. A buffer not
 * made yet counts with the size it will have. */
static int file_make_room(const cr_caller *w, crank_stream *stream, size_t size)
{
    cr_buffer *out = &stream->out;
    size_t usual = out->room ? out->room : ROOM_FIRST;
    if (cr_buffer_held(out) > 0 && size > usual - cr_buffer_held(out)) {
        int err = write_out(w, stream);
        if (err < 0)
            return err;
        shrink(w->loop->sys, out);
    }
    if (reserve(w->loop->sys, out, cr_buffer_held(out) + size) < 0)
        return cr_stream_failed(stream, "write", -ENOMEM);
    return 0;
}

/* What a failure leaves in the buffer the next flush tries again. */
static int file_flush(const cr_caller *w, crank_stream *stream)
{
    int err = write_out(w, stream);
    shrink(w->loop->sys, &stream->out);
    return err;
}

static int file_progress(const cr_caller *w, crank_stream *stream, size_t most)
{
    return cr_buffer_held(&stream->out) > most ? file_flush(w, stream) : 0;
}

/* The place of the next byte to be read or written, counted from the buffer's side, since the
 * kernel's place runs ahead of it. */
static void file_moved(crank_stream *stream, size_t size)
{
    file_of(stream)->place += (int64_t)size;
}

/* A cancelled task's bytes are written all the same: it asked for that before. */
static int file_finish(const cr_caller *w, crank_stream *stream)
{
    cr_stream_check_alone(stream, stream->reader, "crank_close");
    cr_stream_check_alone(stream, stream->writer, "crank_close");
    int err = write_out(w, stream);
    int closed = shut(w, stream, stream->written);
    if (err == 0 && closed < 0)
        err = cr_stream_failed(stream, "close", closed);
    return err;
}

static void file_free(crank_loop *loop, crank_stream *stream)
{
    cr_free(loop->sys, stream->in.bytes);
    cr_free(loop->sys, stream->out.bytes);
    cr_free(loop->sys, file_of(stream));
}

/* Nothing of a file leaves by itself: what does not fit is written out by the call that waits. */
static int file_room_now(crank_stream *stream, size_t size)
{
    cr_buffer *out = &stream->out;
    size_t usual = out->room ? out->room : ROOM_FIRST;
    bool both = stream->readable && stream->writable;
    if (stream->writer || (both && stream->reader) ||
        (cr_buffer_held(out) > 0 && size > usual - cr_buffer_held(out)))
        return -EAGAIN;
    if (reserve(file_of(stream)->sys, out, cr_buffer_held(out) + size) < 0)
        return cr_stream_failed(stream, "write", -ENOMEM);
    return 0;
}

static size_t file_unsent(const crank_stream *stream) { return cr_buffer_held(&stream->out); }

static int file_fd(const crank_stream *stream)
{
    return file_of((crank_stream *)(uintptr_t)stream)->fd;
}

static int file_release(crank_stream *stream) { return file_of(stream)->fd; }

/* A worker may be reading or writing its buffers. */
static void file_abort(crank_stream *stream)
{
    cr_stream_check_alone(stream, stream->reader, "crank_abort");
    cr_stream_check_alone(stream, stream->writer, "crank_abort");
    cr_buffer_clear(&stream->in);
    cr_buffer_clear(&stream->out);
    stream->readable = stream->writable = false;
    stream->aborted = true;
}

static const cr_stream_type file_type = {
    .fill = file_fill,
    .make_room = file_make_room,
    .put = file_moved,
    .room_now = file_room_now,
    .wait_room = file_flush,
    .progress = file_progress,
    .unsent = file_unsent,
    .fd = file_fd,
    .release = file_release,
    .abort = file_abort,
    .taken = file_moved,
    .flush = file_flush,
    .finish = file_finish,
    .free = file_free,
};

bool cr_file_look_ahead(crank_stream *stream, cr_file_ahead *ret_ahead)
{
    const file *f = file_of(stream);
    if (stream->type != &file_type || !f->regular)
        return false;
    *ret_ahead = (cr_file_ahead){
        .place = { .fd = f->fd, .at = f->addressed ? f->place : -1 },
        .at = f->place,
        .end = f->end,
    };
    return true;
}

/* ---- Opening ---- */

/* fopen's modes as open's flags, or -EINVAL: what else fopen might know is refused, not ignored.
 * 'b' and 'e' say what is always so. */
int cr_file_flags(const char *mode)
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

crank_stream *cr_file_adopt(
    crank_loop *loop, int fd, int flags, const struct stat *status, const char *name)
{
    file *f = file_new(loop->sys, name, flags);
    if (!f)
        return NULL;
    f->fd = fd;
    note_kind(f, status);
    return &f->stream;
}

void cr_file_discard(crank_loop *loop, crank_stream *stream) { file_free(loop, stream); }

int cr_file_failed(const char *verb, const char *path, int err)
{
    if (err == -ECANCELED)
        return err;
    return cr_error_set(err, "cannot %s %s: %s", verb, path, cr_failure_error_words(err));
}

/* The mode is looked at after the wait has been opened: a cancelled caller hears of that first. */
static int open_file(const char *path, const char *mode, file **ret_file)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_open");
    if (err < 0)
        return err;
    int flags = cr_file_flags(mode);
    if (flags < 0)
        return cr_error_set(-EINVAL,
            "crank_open: %s: the mode \"%s\" is none of r, w, a, with +, and x after w", path,
            mode ? mode : "(null)");
    file *f = file_new(w.loop->sys, path, flags);
    if (!f)
        return cr_file_failed("open", path, -ENOMEM);
    err = (int)cr_blocking_call(&w, do_open, f, f->path);
    if (err < 0) {
        cr_free(w.loop->sys, f);
        return cr_file_failed("open", path, err);
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
