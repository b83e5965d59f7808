/* SPDX-License-Identifier: MIT */
/* sending.c: bytes written to a socketlike leave by themselves.
 *
 * A write fills the out buffer. Sending starts when the stream is read and lacks bytes (there an
 * echo is), else at the end of the pass over the ready line, else when the mark is reached. It is
 * the stream's doing and no task's: bytes that the kernel does not take at once lie in going, out
 * is filled meanwhile. Redis sends like this before it sleeps, uvloop at the end of an iteration.
 *
 * A write waits before it takes, and then takes all. While one waits the others stand behind it, so
 * each call's bytes stay together, and all calls' come in the order of the calls. A write of more
 * than the mark is large.c's.
 *
 * Invariant: while bytes are unsent, SEND is pending, or settle is in the loop's list, or the task
 * that wrote them is still in its call; or sending is broken. Unsent bytes, a task that waits for
 * them to go, and one that sends its own have a cr_sending. An error of sending is told once, by
 * the next write, flush or close; then it is -EPIPE. A reader that waits is told besides, for what
 * it waits for may be the answer to bytes that were lost. */
#include "io/socketlike.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/text.h"
#include "scope/scope.h"
#include "task/error.h"
#include "task/record.h"

static cr_socketlike *of(crank_stream *stream)
{
    return cr_container_of(stream, cr_socketlike, stream);
}

static size_t describe_progress(const cr_task *task, char *buf, size_t size)
{
    const cr_sending *sending = cr_container_of(task->wait_object, cr_sending, progress);
    const cr_socketlike *s = sending->op.arg;
    return cr_text_format(buf, size, "%s", cr_stream_name(&s->stream));
}

/* The backend ends it soon, with -ECANCELED or with what was sent by then. */
static bool abort_direct(cr_task *task)
{
    cr_socketlike *s = task->wait_object;
    cr_loop_cancel(s->loop, &s->sending->op);
    return false;
}

static const cr_wait_ops progress_wait = {
    .what = "waits to send to",
    .hibernatable = true,
    .describe = describe_progress,
};
/* The bytes may lie on the task's stack. */
static const cr_wait_ops direct_wait = {
    .what = "waits to send to",
    .abort = abort_direct,
    .describe = cr_socketlike_describe,
};

/* ---- What it takes ---- */

static void completed(cr_op *op, void *arg);
static void settle(crank_loop *loop, cr_settle *item);

void cr_sending_init(crank_loop *loop)
{
    cr_freelist *sendings = &cr_task_state_of(loop)->sendings;
    if (!sendings->sys)
        cr_freelist_init(sendings, loop->sys, sizeof(cr_sending));
}

static CR_NOINLINE cr_sending *new_sending(cr_task_state *tasks)
{
    cr_sending *sending = cr_freelist_get(&tasks->sendings);
    if (sending)
        *sending = (cr_sending){ .op = { .events = EPOLLOUT, .completed = completed },
            .settle.run = settle };
    return sending;
}

/* 0 or -ENOMEM. One that was given back is as it was when it was new: in a list of their own they
 * stay so, where the freelist's is for memory that is filled anew. */
CR_HOT static inline int take(cr_socketlike *s)
{
    if (s->sending)
        return 0;
    cr_task_state *tasks = cr_task_state_of(s->loop);
    cr_sending *sending = tasks->sending_free;
    if (CR_LIKELY(sending != NULL))
        tasks->sending_free = sending->next;
    else if (!(sending = new_sending(tasks)))
        return -ENOMEM;
    sending->op.kind = s->receiving.kind;
    sending->op.arg = s;
    s->sending = sending;
    return 0;
}

/* Where nothing is left to do with it: no task waits then, for what it waited for has been sent. */
CR_HOT static inline void give_back(cr_socketlike *s)
{
    cr_sending *sending = s->sending;
    if (!sending || s->send_pending || cr_sending_unsent(s) > 0)
        return;
    CR_ASSERT(!sending->direct && !sending->progress.head);
    cr_loop_unsettle(s->loop, &sending->settle);
    cr_task_state *tasks = cr_task_state_of(s->loop);
    sending->next = tasks->sending_free;
    tasks->sending_free = sending;
    s->sending = NULL;
}

void cr_sending_deinit(cr_socketlike *s)
{
    cr_socketlike_release(s, &s->stream.out);
    if (s->sending)
        cr_socketlike_release(s, &s->sending->going);
    give_back(s);
}

/* ---- Sending ---- */

/* Wake the tasks that waited for bytes which the kernel has by now, or all of them where it takes
 * no more. */
static void wake_progress(cr_socketlike *s)
{
    cr_waitq *waiters = &s->sending->progress;
    for (cr_task *task = waiters->head, *next; task; task = next) {
        next = task->node.next;
        if (!s->send_error && task->wait_data.position > s->sent)
            continue;
        cr_waitq_leave(waiters, task);
        cr_wake(s->loop, task, 0);
    }
}

/* The reader of a pipe that can be written no more is shown the end, and does not wait for ever. */
static void show_end(cr_socketlike *s)
{
    if (s->kind->fd == CR_FD_PIPE && !s->kind->close && !s->stream.readable)
        cr_socketlike_shut(s);
}

bool cr_sending_broke_connection(const cr_socketlike *s)
{
    int err = s->send_error;
    return err == -ECONNRESET || err == -ETIMEDOUT || err == -EHOSTUNREACH || err == -ENETUNREACH;
}

/* A peer that is gone has ended the reading too, behind what it sent; and behind half a write,
 * which is -EPIPE as well, reading goes on. -ECONNABORTED is crank's own. */
bool cr_sending_failed_alone(const cr_socketlike *s)
{
    int err = s->send_error;
    return err && err != -EPIPE && err != -ECONNABORTED && !cr_sending_broke_connection(s);
}

/* going may be with the backend: then it is given back by the completion, which also says how much
 * of it is lost, for the kernel may have been quicker than the cancel. */
void cr_sending_break(cr_socketlike *s, int error)
{
    cr_sending *sending = s->sending;
    s->stream.lost |= cr_buffer_held(&s->stream.out) > 0;
    s->send_error = error;
    if (s->receive_pending && cr_sending_failed_alone(s))
        cr_loop_cancel(s->loop, &s->receiving);
    cr_socketlike_release(s, &s->stream.out);
    if (s->send_pending) {
        cr_loop_cancel(s->loop, &sending->op);
    } else if (sending) {
        s->stream.lost |= cr_buffer_held(&sending->going) > 0;
        cr_socketlike_release(s, &sending->going);
    }
    if (!s->send_pending)
        show_end(s);
    if (sending) {
        cr_loop_unsettle(s->loop, &sending->settle);
        wake_progress(s);
    }
    give_back(s);
}

static void note_sent(cr_socketlike *s, cr_buffer *piece, long n)
{
    if (n <= 0)
        return;
    piece->start += (size_t)n;
    cr_sending_note(s, (size_t)n);
}

/* Some of the piece have been sent, or n says why not. */
CR_HOT static void on_result(cr_socketlike *s, cr_buffer *piece, long n)
{
    if (n < 0) {
        cr_sending_break(s, (int)n);
        return;
    }
    note_sent(s, piece, n);
    if (cr_buffer_held(piece) == 0)
        cr_socketlike_release(s, piece);
    if (CR_UNLIKELY(s->sending->progress.head != NULL))
        wake_progress(s);
}

CR_HOT static void prepare(cr_socketlike *s, enum cr_op_code code, const char *bytes, size_t size)
{
    cr_op *op = &s->sending->op;
    op->code = code;
    op->buf = (void *)(uintptr_t)bytes;
    op->size = size;
    op->fd = s->receiving.fd;
    op->generation = s->receiving.generation;
}

/* The rest of what has been begun, and then what was filled meanwhile. */
CR_HOT static void send_piece(cr_socketlike *s)
{
    cr_sending *sending = s->sending;
    cr_buffer *out = &s->stream.out, *going = &sending->going;
    cr_buffer *piece = CR_UNLIKELY(cr_buffer_held(going) > 0) ? going : out;
    prepare(s, CR_OP_SEND, cr_buffer_first(piece), cr_buffer_held(piece));
    if (cr_loop_submit(s->loop, &sending->op) == CR_DONE_NOW) {
        on_result(s, piece, sending->op.result);
        return;
    }
    s->send_pending = true;
    if (piece == out) {
        *going = *out;
        *out = (cr_buffer){ 0 };
    }
}

/* A peer that is gone has seen the end. The end of a pipe is that its writer is closed. */
static CR_NOINLINE void send_eof(cr_socketlike *s)
{
    s->eof_sent = true;
    if (s->kind->fd >= CR_FD_PIPE)
        cr_socketlike_shut(s);
    else
        (void)s->loop->sys->shutdown(s->loop->sys->context, s->receiving.fd, SHUT_WR);
}

CR_HOT void cr_sending_start(cr_socketlike *s)
{
    if (s->sending) {
        cr_loop_unsettle(s->loop, &s->sending->settle);
        while (!s->send_pending && !s->send_error && cr_sending_unsent(s) > 0)
            send_piece(s);
        give_back(s);
    }
    if (CR_UNLIKELY(s->eof_asked) && !s->eof_sent && !s->send_pending && !s->send_error &&
        s->receiving.generation)
        send_eof(s);
}

static void completed(cr_op *op, void *arg)
{
    cr_socketlike *s = arg;
    cr_sending *sending = s->sending;
    cr_task *direct = sending->direct;
    s->send_pending = false;
    if (direct) {
        sending->direct = NULL;
        cr_wake(s->loop, direct, op->result);
        give_back(s);
    } else if (s->send_error) {
        note_sent(s, &sending->going, op->result);
        s->stream.lost |= cr_buffer_held(&sending->going) > 0;
        cr_socketlike_release(s, &sending->going);
        show_end(s);
        give_back(s);
    } else {
        on_result(s, &sending->going, op->result);
        cr_sending_start(s);
    }
    cr_socketlike_drop(s);
}

CR_HOT static void settle(crank_loop *loop, cr_settle *item)
{
    (void)loop;
    cr_sending_start(cr_container_of(item, cr_sending, settle)->op.arg);
}

/* ---- Waiting ---- */

static int broken(cr_socketlike *s)
{
    return s->ended ? s->ended : cr_stream_tell(&s->stream, s->send_error);
}

int cr_sending_refuses(cr_socketlike *s)
{
    int err = broken(s);
    return err == 0 && s->eof_asked ? -EPIPE : err;
}

static inline bool is_open(const cr_socketlike *s)
{
    return !s->ended && !s->send_error && !s->eof_asked;
}

/* One wait until so many bytes in all are with the kernel; it may end before. A request to cancel
 * that comes while another task keeps this one waiting is delivered; the closer's own waiting is in
 * socketlike.c. */
static int progress(const cr_caller *w, cr_socketlike *s, uint64_t sent)
{
    int err = cr_checkpoint_again(w);
    if (err == 0 && s->expired)
        err = -ETIMEDOUT;
    if (err < 0)
        return err;
    s->stream.calls++;
    w->self->wait_data.position = sent;
    err = cr_waitq_park(w, &s->sending->progress, &progress_wait);
    cr_socketlike_left(&s->stream);
    return err;
}

int cr_sending_wait(const cr_caller *w, cr_socketlike *s, uint64_t sent)
{
    int err = 0;
    cr_sending_start(s);
    while (err == 0 && s->sent < sent) {
        err = broken(s);
        if (err == 0)
            err = progress(w, s, sent);
    }
    return err;
}

int cr_sending_take_turn(const cr_caller *w, cr_socketlike *s)
{
    if (s->stream.writer && s->expired)
        return -ETIMEDOUT;
    return cr_stream_take_turn(w, &s->stream);
}

void cr_sending_give_turn(cr_socketlike *s) { cr_stream_give_turn(s->loop, &s->stream); }

void cr_sending_eject(cr_socketlike *s, int error)
{
    cr_sending *sending = s->sending;
    cr_stream_eject_turn(s->loop, &s->stream, error);
    if (!sending)
        return;
    cr_waitq_wake_all(s->loop, &sending->progress, error);
    if (sending->direct)
        cr_loop_cancel(s->loop, &sending->op);
}

static uint64_t total(const cr_socketlike *s) { return s->sent + cr_sending_unsent(s); }

/* ---- The calls ---- */

CR_HOT static bool has_room(const cr_socketlike *s, size_t size)
{
    return cr_stream_has_room(cr_sending_unsent(s), s->high, size);
}

/* A quarter of the mark, or so much less that the bytes fit. With every byte that leaves waking a
 * writer, each would make the peer a packet of its own. */
size_t cr_sending_low_mark(size_t high, size_t size)
{
    size_t quarter = high / 4;
    if (size >= high)
        return 0;
    return quarter < high - size ? quarter : high - size;
}

/* The mark may be moved meanwhile. */
static int wait_for_room(const cr_caller *w, cr_socketlike *s, size_t size)
{
    if (!s->stream.writer && has_room(s, size))
        return 0;
    int err = cr_sending_take_turn(w, s);
    if (err < 0)
        return err;
    cr_sending_start(s);
    while (err == 0 && !has_room(s, size)) {
        err = broken(s);
        if (err == 0)
            err = progress(w, s, total(s) - cr_sending_low_mark(s->high, size));
    }
    cr_sending_give_turn(s);
    return err == 0 ? cr_sending_refuses(s) : err;
}

/* For size bytes more, and for sending them. */
static int reserve(cr_socketlike *s, size_t size)
{
    cr_buffer *out = &s->stream.out;
    int err = take(s);
    return err < 0 ? err : cr_socketlike_reserve(s, out, cr_buffer_held(out) + size);
}

int cr_sending_room_now(crank_stream *stream, size_t size)
{
    cr_socketlike *s = of(stream);
    int err = cr_sending_refuses(s);
    if (err == 0 && (stream->writer || !has_room(s, size))) {
        s->refused = size;
        return -EAGAIN;
    }
    if (err == 0)
        err = reserve(s, size);
    if (err == 0)
        s->refused = 0;
    return err < 0 ? cr_stream_failed(stream, "write", err) : 0;
}

int cr_sending_wait_room(const cr_caller *w, crank_stream *stream)
{
    cr_socketlike *s = of(stream);
    size_t size = s->refused > 0 ? s->refused : 1;
    int err = cr_sending_refuses(s);
    if (err == 0)
        err = wait_for_room(w, s, size);
    return err < 0 ? cr_stream_failed(stream, "write", err) : 0;
}

void cr_sending_look_again(cr_socketlike *s, cr_task *writer)
{
    cr_waitq *waiters = s->sending ? &s->sending->progress : NULL;
    if (waiters && writer && cr_task_parked(writer) && writer->wait_object == waiters) {
        cr_waitq_leave(waiters, writer);
        cr_wake(s->loop, writer, 0);
    }
}

/* The writer that waits for room may have it now. */
void cr_sending_set_high(crank_stream *stream, size_t high)
{
    cr_socketlike *s = of(stream);
    s->high = high;
    cr_sending_look_again(s, stream->writer);
}

int cr_sending_make_room(const cr_caller *w, crank_stream *stream, size_t size)
{
    cr_socketlike *s = of(stream);
    int err = cr_sending_refuses(s);
    if (err == 0 && size > s->high)
        return -EMSGSIZE;
    if (err == 0)
        err = wait_for_room(w, s, size);
    if (err == 0)
        err = reserve(s, size);
    return err < 0 ? cr_stream_failed(stream, "write", err) : 0;
}

CR_HOT void cr_sending_put(crank_stream *stream, size_t size)
{
    cr_socketlike *s = of(stream);
    (void)size;
    if (cr_sending_unsent(s) >= s->high)
        cr_sending_start(s);
    else if (!s->send_pending)
        cr_loop_settle(s->loop, &s->sending->settle);
}

/* What most writes find: that there is room for them. */
CR_HOT bool cr_sending_write_at_once(crank_stream *stream, const char *bytes, size_t size)
{
    cr_socketlike *s = of(stream);
    cr_buffer *out = &stream->out;
    if (CR_UNLIKELY(!is_open(s) || size > CR_BUFFER_SMALL || size > s->high || stream->writer ||
                    !has_room(s, size) || take(s) < 0))
        return false;
    if (!out->bytes) {
        out->bytes = cr_buffers_take(&s->loop->backend->buffers, CR_BUFFER_SMALL);
        out->room = out->bytes ? CR_BUFFER_SMALL : 0;
    }
    if (CR_UNLIKELY(size > out->room - out->end))
        return false;
    memcpy(out->bytes + out->end, bytes, size);
    out->end += size;
    cr_sending_put(stream, size);
    return true;
}

long cr_sending_direct(
    const cr_caller *w, cr_socketlike *s, enum cr_op_code code, const char *bytes, size_t size)
{
    int err = cr_sending_refuses(s);
    if (err == 0)
        err = cr_checkpoint_again(w);
    if (err == 0)
        err = take(s);
    if (err < 0)
        return err;
    cr_op *op = &s->sending->op;
    prepare(s, code, bytes, size);
    if (cr_loop_submit(s->loop, op) == CR_DONE_NOW) {
        long done = op->result;
        give_back(s);
        return done;
    }
    s->send_pending = true;
    s->sending->direct = w->self;
    s->stream.calls++;
    w->self->wait_object = s;
    if (CR_UNLIKELY(s->expired))
        cr_loop_cancel(s->loop, op);
    long n = cr_park(w, &direct_wait);
    cr_socketlike_left(&s->stream);
    if (n == -ECANCELED)
        n = cr_socketlike_why_canceled(w, s);
    return n == -ECANCELED && s->ended ? s->ended : n;
}

int cr_sending_poll(const cr_caller *w, cr_socketlike *s)
{
    long n = cr_sending_direct(w, s, CR_OP_POLL, NULL, 0);
    return n < 0 ? (int)n : 0;
}

int cr_sending_flush(const cr_caller *w, crank_stream *stream)
{
    cr_socketlike *s = of(stream);
    int err = broken(s);
    if (err == 0)
        err = cr_sending_wait(w, s, total(s));
    if (err == 0)
        err = broken(s);
    return err < 0 ? cr_stream_failed(stream, "write", err) : 0;
}

/* For a stream that stands on this one. */
int cr_sending_progress(const cr_caller *w, crank_stream *stream, size_t most)
{
    cr_socketlike *s = of(stream);
    cr_sending_start(s);
    int err = broken(s);
    if (err == 0 && cr_sending_unsent(s) > most)
        err = progress(w, s, total(s) - most);
    return err;
}

size_t cr_sending_bytes(const crank_stream *stream)
{
    const cr_socketlike *s = of((crank_stream *)(uintptr_t)stream);
    size_t direct = s->send_pending && s->sending->direct ? s->sending->op.size : 0;
    return cr_sending_unsent(s) + direct;
}
