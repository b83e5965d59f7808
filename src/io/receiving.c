/* SPDX-License-Identifier: MIT */
/* receiving.c: what comes to a socketlike stream: into its in buffer, or into the reader's memory.
 *
 * Owns the pending RECV, and how much room the next one has. A task that waits for bytes holds no
 * buffer: the backend takes one when there is something to put into it.
 *
 * Invariant: while a RECV into the reader's memory is pending the reader waits for it, also where
 * it was cancelled, and its stack is not put away. */
#include "io/socketlike.h"

#include <sys/epoll.h>

#include "backend/nonblocking.h"
#include "task/hibernate.h"

static cr_socketlike *of(crank_stream *stream)
{
    return cr_container_of(stream, cr_socketlike, stream);
}

static bool abort_receive(cr_task *task)
{
    cr_socketlike *s = task->wait_object;
    cr_loop_cancel(s->loop, &s->receiving);
    return false;
}

static const cr_wait_ops receive_wait = {
    .what = "waits for bytes from",
    .hibernatable = true,
    .abort = abort_receive,
    .describe = cr_socketlike_describe,
};

/* The same where the backend writes to the caller's stack, which therefore stays. */
static const cr_wait_ops receive_on_stack_wait = {
    .what = "waits for bytes from",
    .abort = abort_receive,
    .describe = cr_socketlike_describe,
};

/* Does that lie on the stack of the task that runs? */
static CR_NOINLINE bool on_own_stack(const cr_task *self, const void *buf)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return (uintptr_t)buf > here && (uintptr_t)buf < (uintptr_t)self->fiber.stack;
}

/* The frames that it returns through are in the processor's cache when it goes on. */
static void prefetch_stack(const cr_task *task)
{
    const char *frames = task->fiber.sp;
#pragma GCC unroll 8
    for (int line = 0; line < 512; line += 64)
        __builtin_prefetch(frames + line);
}

CR_HOT void cr_receiving_completed(cr_op *op, void *arg)
{
    cr_socketlike *s = arg;
    s->receive_pending = false;
    prefetch_stack(s->stream.reader);
    cr_wake(s->loop, s->stream.reader, op->result);
    cr_socketlike_drop(s);
}

/* Where to: a buffer of the backend's, or behind the bytes that the in buffer has, or buf. */
static CR_NOINLINE int prepare_behind(cr_socketlike *s, size_t want)
{
    cr_buffer *in = &s->stream.in;
    if (cr_socketlike_reserve(s, in, cr_buffer_grown(in, want)) < 0)
        return -ENOMEM;
    s->receiving.buf = in->bytes + in->end;
    s->receiving.size = in->room - in->end;
    return 0;
}

CR_HOT static inline int prepare(cr_socketlike *s, void *buf, size_t size)
{
    cr_buffer *in = &s->stream.in;
    if (CR_UNLIKELY(cr_buffer_held(in) > 0))
        return prepare_behind(s, size);
    cr_socketlike_release(s, in);
    s->receiving.buf = buf;
    s->receiving.size = buf ? size : s->in_size;
    return 0;
}

/* A transfer that filled its buffer is followed by one with more room; two that used little of
 * theirs, by one with little. One alone says nothing: where a peer writes 64 KiB at a time, the
 * last piece of each that the network makes of them is small. */
static CR_NOINLINE void adapt(cr_socketlike *s, size_t n)
{
    bool little = n < s->in_size / 8;
    if (n == s->in_size)
        s->in_size = cr_buffers_fit(n + 1);
    else if (little && s->in_little)
        s->in_size = CR_BUFFER_SMALL;
    s->in_little = little && !s->in_little;
}

CR_HOT static void adopt(cr_socketlike *s, size_t n)
{
    cr_buffer *in = &s->stream.in;
    if (!in->bytes) {
        *in = (cr_buffer){ .bytes = s->receiving.buf, .room = s->receiving.size };
        if (CR_UNLIKELY(n == CR_BUFFER_SMALL || s->in_size != CR_BUFFER_SMALL))
            adapt(s, n);
    }
    in->end += n;
}

/* What has come by now, and behind that the error of sending. A POLL was tried in vain before. */
static long receive_last(cr_socketlike *s)
{
    long n = -EAGAIN;
    if (s->receiving.code == CR_OP_RECV)
        n = cr_nonblocking_receive(s->loop->backend, s->loop->sys, &s->receiving);
    return n == -EAGAIN ? s->send_error : n;
}

CR_HOT static long receive(const cr_caller *w, cr_socketlike *s)
{
    if (CR_UNLIKELY(s->send_error && cr_sending_failed_alone(s)))
        return receive_last(s);
    if (cr_loop_submit(s->loop, &s->receiving) == CR_DONE_NOW)
        return s->receiving.result;
    s->receive_pending = true;
    s->stream.calls++;
    w->self->wait_object = s;
    if (CR_UNLIKELY(s->expired))
        cr_loop_cancel(s->loop, &s->receiving);
    bool on_stack = CR_UNLIKELY(s->receiving.buf) && on_own_stack(w->self, s->receiving.buf);
    long n = cr_park(w, on_stack ? &receive_on_stack_wait : &receive_wait);
    cr_socketlike_left(&s->stream);
    return n == -ECANCELED && !s->ended ? cr_socketlike_why_canceled(w, s) : n;
}

long cr_receiving_poll(const cr_caller *w, cr_socketlike *s, uint32_t events)
{
    long n = s->ended;
    if (n == 0)
        n = cr_checkpoint_again(w);
    if (n < 0)
        return n;
    s->receiving.code = CR_OP_POLL;
    s->receiving.events = events;
    s->stream.reader = w->self;
    n = receive(w, s);
    s->stream.reader = NULL;
    s->receiving.code = CR_OP_RECV;
    return s->ended ? s->ended : n;
}

/* By the kind's own call: tried first, polled for where there is nothing. A buffer is held only
 * while there are bytes for it. */
static CR_NOINLINE long receive_by_kind(const cr_caller *w, cr_socketlike *s)
{
    for (;;) {
        cr_buffer taken = { 0 };
        void *buf = s->receiving.buf;
        if (!buf && cr_socketlike_reserve(s, &taken, s->receiving.size) < 0)
            return -ENOMEM;
        long n = s->kind->receive(s, buf ? buf : taken.bytes, s->receiving.size);
        if (n > 0) {
            s->receiving.buf = buf ? buf : taken.bytes;
            return n;
        }
        cr_socketlike_release(s, &taken);
        if (n == -EAGAIN)
            n = cr_receiving_poll(w, s, EPOLLIN);
        else if (n != -EINTR)
            return n;
        if (n < 0 && n != -EINTR)
            return n;
    }
}

/* What was written goes out first, and is not waited for: two peers that both write before they
 * read would wait for each other. An error is given once, and then the end. To buf, which has room
 * for so many bytes; NULL: to the in buffer. */
CR_HOT static inline long receive_to(const cr_caller *w, cr_socketlike *s, void *buf, size_t size)
{
    if (s->sending && s->sending->settle.place)
        cr_sending_start(s);
    if (s->ended || s->read_ended)
        return s->ended;
    long n = cr_checkpoint_again(w);
    if (n == 0)
        n = prepare(s, buf, size);
    if (n < 0)
        return n;
    n = s->kind->receive ? receive_by_kind(w, s) : receive(w, s);
    if (n == 0 && cr_sending_broke_connection(s))
        n = s->send_error;
    if (n > 0 && !buf)
        adopt(s, (size_t)n);
    else if (n <= 0 && n != -ECANCELED && n != -ENOMEM && !(buf && n == -EFAULT) &&
             !(n == -ETIMEDOUT && s->expired))
        s->read_ended = true;
    return s->ended ? s->ended : n;
}

CR_HOT long cr_receiving_fill(const cr_caller *w, crank_stream *stream, size_t want)
{
    return receive_to(w, of(stream), NULL, want);
}

/* The stack of another task may be put away before the bytes come. */
long cr_receiving_read_large(const cr_caller *w, crank_stream *stream, void *buf, size_t size)
{
    cr_socketlike *s = of(stream);
    if (!on_own_stack(w->self, buf) && cr_hibernate_may_take(buf))
        return -EFAULT;
    long n = receive_to(w, s, buf, size);
    s->receiving.buf = NULL;
    return n;
}
