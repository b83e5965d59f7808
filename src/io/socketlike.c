/* SPDX-License-Identifier: MIT */
/* socketlike.c: attached descriptors as streams: what they are, and their end.
 *
 * Owns the descriptor, the in buffer's memory, and the three ways to end: the end of writing
 * (behind the bytes), abort (everything fails now, the handle stays) and close. Receiving is
 * receiving.c's, sending is sending.c's.
 *
 * A stream may be closed or aborted while other tasks are in calls on it: those calls fail with
 * -ECONNABORTED, and the closer waits until they have left. The descriptor is closed when no
 * operation of it is pending, so the kernel never writes to memory that has been freed.
 *
 * Invariant: receive_pending and send_pending say which of the two operations are the backend's;
 * the record is freed when neither is, and calls is 0. */
#include "io/socketlike.h"

#include <sys/socket.h>

#include "base/check.h"
#include "base/text.h"
#include "io/visit.h"
#include "scope/scope.h"
#include "task/error.h"

static cr_socketlike *of(crank_stream *stream)
{
    return cr_container_of(stream, cr_socketlike, stream);
}

size_t cr_socketlike_describe(const cr_task *task, char *buf, size_t size)
{
    const cr_socketlike *s = task->wait_object;
    return cr_text_format(buf, size, "%s", cr_stream_name(&s->stream));
}

long cr_socketlike_why_canceled(const cr_caller *w, const cr_socketlike *s)
{
    if (cr_checkpoint_again(w) < 0)
        return -ECANCELED;
    if (s->expired)
        return -ETIMEDOUT;
    return cr_sending_failed_alone(s) ? s->send_error : -ECANCELED;
}

/* ---- Ending ---- */

/* Can it be ended for writing alone? A pipe's end is ended by closing it; what is borrowed, and a
 * terminal that is also read, cannot be. */
static bool has_half(const cr_socketlike *s)
{
    return s->kind->fd < CR_FD_PIPE || !s->kind->close ||
           !(s->stream.readable || s->stream.borrowed);
}

/* Writers that wait come before the end; so does what they wrote. */
int cr_socketlike_write_eof(const cr_caller *w, cr_socketlike *s)
{
    if (s->eof_asked && !s->send_error && !s->ended)
        return 0;
    int err = cr_sending_refuses(s);
    if (err == 0 && !has_half(s))
        err = -ENOTSUP;
    if (err == 0)
        err = cr_sending_take_turn(w, s);
    if (err < 0)
        return cr_stream_failed(&s->stream, "end", err);
    if (!s->eof_asked)
        err = cr_sending_refuses(s);
    if (err == 0)
        s->eof_asked = true;
    cr_sending_start(s);
    cr_sending_give_turn(s);
    return err < 0 ? cr_stream_failed(&s->stream, "end", err) : 0;
}

/* So that close sends a reset, and drops what the kernel has not sent. */
static void ask_for_reset(const cr_socketlike *s)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    if (s->kind->fd >= CR_FD_PIPE)
        return;
    const cr_socket_option option = {
        .level = SOL_SOCKET, .name = SO_LINGER, .value = &now, .size = sizeof now
    };
    (void)s->loop->sys->set_option(s->loop->sys->context, s->receiving.fd, &option);
}

void cr_socketlike_shut(cr_socketlike *s)
{
    cr_gone_cancel(s);
    if (s->receiving.generation && s->kind->close)
        s->kind->close(s);
    else if (s->receiving.generation)
        s->loop->backend->type->close_fd(s->loop->backend, cr_socketlike_fd(s));
    s->receiving.generation = 0;
}

static void wake_closer(cr_socketlike *s)
{
    if (!s->closer_waits || s->stream.calls > 0 || s->receive_pending ||
        (s->closer_awaits_send && (s->send_pending || cr_gone_pending(s))))
        return;
    s->closer_waits = false;
    cr_wake(s->loop, s->stream.closer, 0);
}

CR_HOT void cr_socketlike_left(crank_stream *stream)
{
    cr_socketlike *s = of(stream);
    stream->calls--;
    if (CR_UNLIKELY(s->closer_waits))
        wake_closer(s);
}

CR_HOT void cr_socketlike_drop(cr_socketlike *s)
{
    if (CR_LIKELY(!s->ended))
        return;
    if (s->aborted && !s->lent && !s->receive_pending && !s->send_pending &&
        s->receiving.generation) {
        ask_for_reset(s);
        cr_socketlike_shut(s);
    }
    wake_closer(s);
}

/* Tasks that wait in calls are woken, with -ECONNABORTED now or by the end of their operation. */
static void eject(cr_socketlike *s)
{
    s->ended = -ECONNABORTED;
    cr_sending_eject(s, -ECONNABORTED);
    cr_visit_eject(s->loop, &s->stream, -ECONNABORTED);
    if (s->receive_pending)
        cr_loop_cancel(s->loop, &s->receiving);
}

void cr_socketlike_expire(cr_socketlike *s)
{
    s->expired = true;
    cr_sending_eject(s, -ETIMEDOUT);
    for (crank_stream *above = s->stream.above; above; above = above->above)
        cr_stream_eject_turn(s->loop, above, -ETIMEDOUT);
    if (s->receive_pending)
        cr_loop_cancel(s->loop, &s->receiving);
}

void cr_socketlike_abort(cr_socketlike *s)
{
    if (s->aborted)
        return;
    s->aborted = true;
    eject(s);
    cr_sending_break(s, -ECONNABORTED);
    s->stream.told = -ECONNABORTED;
    cr_socketlike_drop(s);
}

/* Nothing ends this wait early: the calls are leaving, and the operations have been cancelled. */
static const cr_wait_ops leave_wait = {
    .what = "waits for other tasks to leave",
    .abort = cr_wait_abort_nothing,
    .describe = cr_socketlike_describe,
};

/* Until no call is left and RECV is not pending; with sending: nor any other operation. */
static void await_leaving(const cr_caller *w, cr_socketlike *s, bool sending)
{
    if (s->stream.calls == 0 && !s->receive_pending &&
        !(sending && (s->send_pending || cr_gone_pending(s))))
        return;
    cr_task *closer = s->stream.closer; /* NULL where it is ended by its owner */
    s->closer_awaits_send = sending;
    s->closer_waits = true;
    s->stream.closer = w->self;
    w->self->wait_object = s;
    (void)cr_park(w, &leave_wait);
    s->stream.closer = closer;
}

static size_t describe_rest(const cr_task *task, char *buf, size_t size)
{
    const cr_socketlike *s = cr_container_of(task->wait_object, cr_sending, progress)->op.arg;
    return cr_text_format(
        buf, size, "%zu bytes to be sent to %s", cr_sending_unsent(s), cr_stream_name(&s->stream));
}

static const cr_wait_ops rest_wait = {
    .what = "waits for",
    .hibernatable = true,
    .describe = describe_rest,
};

/* May the closing task try only once, and why? A peer that does not read would hold it for ever: so
 * it is where the task has been asked to end, or is beyond a limit of time, or lacks one. */
static int once(const cr_caller *w)
{
    if (cr_task_requests(w->self) > 0 || cr_checkpoint_pending(w))
        return -ECANCELED;
    return cr_interruption_fired(w->self);
}

/* A task that is asked meanwhile gives up. */
static int send_rest(const cr_caller *w, cr_socketlike *s)
{
    uint64_t all = s->sent + cr_sending_unsent(s);
    int gives_up = once(w);
    cr_sending_start(s);
    while (s->sent < all && !s->send_error) {
        if (gives_up == -ENOMEM)
            return cr_error_set(-ENOMEM, "cannot close %s: out of memory for a time limit",
                cr_stream_name(&s->stream));
        if (gives_up < 0 || cr_stream_abandoned(w, &s->stream))
            return -ECANCELED;
        if (s->expired)
            return cr_stream_failed(&s->stream, "write", -ETIMEDOUT);
        w->self->wait_data.position = all;
        if (cr_waitq_park(w, &s->sending->progress, &rest_wait) == -ECANCELED)
            return -ECANCELED;
    }
    return 0;
}

static int finish(const cr_caller *w, crank_stream *stream)
{
    cr_socketlike *s = of(stream);
    int err = 0;
    eject(s);
    await_leaving(w, s, false);
    if (!s->send_error)
        err = send_rest(w, s);
    if (s->send_error && stream->told != s->send_error)
        err = cr_stream_failed(stream, "write", s->send_error);
    if (err < 0)
        cr_sending_break(s, err);
    cr_gone_cancel(s);
    await_leaving(w, s, true);
    cr_gone_free(s);
    cr_limit_free(s);
    if (stream->lost)
        ask_for_reset(s); /* an end would tell the peer that it has all */
    cr_socketlike_shut(s);
    return err;
}

/* The owner does not wait for a peer that does not read: what is unsent is lost. */
static bool await_close(const cr_caller *w, crank_stream *stream)
{
    cr_socketlike *s = of(stream);
    if (!s->kept)
        return false;
    if (!s->send_error)
        cr_sending_break(s, -ECONNABORTED);
    s->owner = w->self;
    w->self->wait_object = s;
    (void)cr_park(w, &leave_wait);
    return true;
}

static void free_stream(crank_loop *loop, crank_stream *stream)
{
    cr_socketlike *s = of(stream);
    if (s->kept) {
        if (s->owner)
            cr_wake(loop, s->owner, 0);
        s->owner = NULL;
        return;
    }
    cr_socketlike_release(s, &stream->in);
    cr_sending_deinit(s);
    if (s->kind->deinit)
        s->kind->deinit(s);
    cr_free(loop->sys, s);
}

void cr_socketlike_discard(cr_socketlike *s)
{
    cr_limit_free(s);
    cr_gone_free(s);
    cr_socketlike_shut(s);
    free_stream(s->loop, &s->stream);
}

static const char *describe(crank_stream *stream)
{
    cr_socketlike *s = of(stream);
    return s->kind->describe(s);
}

static int write_eof(const cr_caller *w, crank_stream *stream)
{
    return cr_socketlike_write_eof(w, of(stream));
}

static int fd_of(const crank_stream *stream)
{
    const cr_socketlike *s = of((crank_stream *)(uintptr_t)stream);
    return s->receiving.generation ? s->receiving.fd : -1;
}

/* One that is kept is another's to end. */
static int release(crank_stream *stream)
{
    cr_socketlike *s = of(stream);
    if (s->kept || stream->calls > 0 || s->receive_pending || s->send_pending)
        return -EBUSY;
    cr_gone_free(s);
    int fd = s->kind->release ? s->kind->release(s) : s->receiving.fd;
    if (!s->kind->release)
        s->loop->backend->type->detach(s->loop->backend, cr_socketlike_fd(s));
    s->receiving.generation = 0;
    if (s->sending)
        cr_loop_unsettle(s->loop, &s->sending->settle);
    cr_limit_free(s);
    return fd;
}

static void abort_stream(crank_stream *stream) { cr_socketlike_abort(of(stream)); }

static void start(crank_stream *stream) { cr_sending_start(of(stream)); }

static void gone_completed(cr_op *op, void *arg)
{
    (void)op;
    cr_socketlike *s = cr_gone_completed(arg);
    if (s)
        cr_socketlike_drop(s);
}

static void emptied(crank_stream *stream) { cr_gone_read(of(stream)); }

static int on_gone(crank_stream *stream, uint64_t task, bool resets)
{
    cr_socketlike *s = of(stream);
    if (s->kind->fd >= CR_FD_PIPE)
        return -ENOTSUP;
    return s->ended ? s->ended : cr_gone_watch(s, task, resets, gone_completed);
}

static bool gone(const crank_stream *stream)
{
    const cr_socketlike *s = of((crank_stream *)(uintptr_t)stream);
    return s->gone && cr_gone_seen(s->gone);
}

static const cr_stream_type socketlike_type = {
    .duplex = true,
    .fill = cr_receiving_fill,
    .read_large = cr_receiving_read_large,
    .make_room = cr_sending_make_room,
    .write_large = cr_large_write,
    .write_at_once = cr_sending_write_at_once,
    .put = cr_sending_put,
    .room_now = cr_sending_room_now,
    .wait_room = cr_sending_wait_room,
    .start = start,
    .progress = cr_sending_progress,
    .unsent = cr_sending_bytes,
    .set_high = cr_sending_set_high,
    .write_eof = write_eof,
    .fd = fd_of,
    .release = release,
    .on_gone = on_gone,
    .gone = gone,
    .emptied = emptied,
    .abort = abort_stream,
    .flush = cr_sending_flush,
    .left = cr_socketlike_left,
    .finish = finish,
    .await_close = await_close,
    .free = free_stream,
    .describe = describe,
};

cr_socketlike *cr_socketlike_of(crank_stream *stream)
{
    return stream->type == &socketlike_type ? of(stream) : NULL;
}

cr_socketlike *cr_socketlike_open(crank_loop *loop, int fd, const cr_socketlike_kind *kind)
{
    cr_socketlike *s = cr_alloc_zero(loop->sys, kind->size);
    if (!s)
        return NULL;
    s->stream.type = &socketlike_type;
    s->stream.readable = s->stream.writable = true;
    s->kind = kind;
    s->loop = loop;
    s->in_size = CR_BUFFER_SMALL;
    s->high = CR_BUFFER_LARGE;
    cr_sending_init(loop);
    cr_fd attached;
    if (loop->backend->type->attach(loop->backend, fd, kind->fd, &attached) < 0) {
        cr_free(loop->sys, s);
        return NULL;
    }
    s->receiving = (cr_op){ .code = CR_OP_RECV,
        .fd = attached.number,
        .generation = attached.generation,
        .kind = (uint8_t)kind->fd,
        .completed = cr_receiving_completed,
        .arg = s };
    return s;
}
