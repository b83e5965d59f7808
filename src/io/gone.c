/* SPDX-License-Identifier: MIT */
/* gone.c: being told that the peer has gone while no task reads.
 *
 * A handler that computes an answer does not read, and would finish it for a peer that has left. So
 * the end of its sending is polled for beside the reading, and the task that was named is asked to
 * end. Gone is a peer that has reset the connection, or has ended and left nothing unread: what is
 * still to be read may be its last request, behind which the reader finds the end. Where a stream
 * that is read stands on the socket nothing can be said of what is unread, and any end counts. A
 * peer that may end its half and read on is gone when it resets the connection: behind the end of
 * its half the poll waits for no event by name, and so for an error or the end of both.
 *
 * Owns the poll, which lives in memory of its own, because its completion may come after the
 * stream's end. Invariant: while a task is named the poll is pending, or the end was seen with
 * bytes unread (then reading looks again), or nothing more will come. */
#include "io/socketlike.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "scope/cancel.h"
#include "world/world.h"

#define ENDS (uint32_t)(EPOLLRDHUP | EPOLLHUP)
_Static_assert((int)POLLRDHUP == (int)EPOLLRDHUP && (int)POLLHUP == (int)EPOLLHUP &&
                   (int)POLLERR == (int)EPOLLERR,
    "poll and epoll say it alike");

struct cr_gone {
    cr_op op;
    cr_socketlike *s; /* NULL: the stream has ended, and the completion frees this */
    crank_loop *loop;
    uint64_t task; /* the id of the one to be cancelled; 0: none */
    bool resets;   /* an end alone is no going */
    bool half;     /* the peer has ended its half */
    bool seen;     /* the last that was named was cancelled */
    bool pending;  /* the poll is the backend's */
    bool canceled; /* and was asked to end */
};

static bool has_unread(const cr_socketlike *s)
{
    char byte;
    ssize_t n = cr_buffer_held(&s->stream.in) > 0 ? 1 : -EINTR;
    const cr_sys *sys = s->loop->sys;
    while (n == -EINTR)
        n = sys->recv(sys->context, s->receiving.fd, &byte, 1, MSG_PEEK);
    return n > 0;
}

static bool says_gone(const cr_gone *gone, uint32_t events)
{
    const cr_socketlike *s = gone->s;
    const crank_stream *above = s->stream.above;
    if ((events & EPOLLERR) || gone->resets)
        return events & (EPOLLERR | EPOLLHUP);
    return (events & ENDS) && ((above && above->readable) || !has_unread(s));
}

/* One that has ended meanwhile needs no request. */
static void cancel_task(cr_gone *gone)
{
    cr_task *task = cr_task_in(gone->loop, gone->task);
    gone->task = 0;
    gone->seen = true;
    gone->s->stream.watched = false;
    if (task)
        (void)cr_cancel_task(gone->loop, task);
}

/* What the socket says now. A poll that is submitted completes with what comes after that; a
 * simulated one with what is there. */
static uint32_t events_now(const cr_socketlike *s)
{
    const cr_sys *sys = s->loop->sys;
    struct pollfd asked = { .fd = s->receiving.fd, .events = POLLRDHUP };
    int n = cr_is_virtual(s->receiving.fd) ? 0 : -EINTR;
    while (n == -EINTR)
        n = sys->poll(sys->context, &asked, 1, 0);
    return n > 0 ? (uint32_t)asked.revents : 0;
}

/* Poll for what is still to come: 0, and *ret_events where it is there; or -ENOMEM. */
static int submit(cr_gone *gone, uint32_t *ret_events)
{
    cr_socketlike *s = gone->s;
    gone->op = (cr_op){ .code = CR_OP_POLL,
        .fd = s->receiving.fd,
        .generation = s->receiving.generation,
        .events = gone->half ? 0 : EPOLLRDHUP,
        .completed = gone->op.completed,
        .arg = gone };
    gone->pending = cr_loop_submit(s->loop, &gone->op) == CR_PENDING;
    if (!gone->pending && gone->op.result < 0)
        return (int)gone->op.result;
    *ret_events = gone->pending ? 0 : (uint32_t)gone->op.result;
    return 0;
}

/* 0, also where the peer has gone and the task was cancelled; or -ENOMEM. */
static int look(cr_gone *gone)
{
    const cr_socketlike *s = gone->s;
    int err = 0;
    if (!s->receiving.generation)
        return 0;
    uint32_t events = gone->half ? EPOLLRDHUP : 0;
    if (!gone->pending)
        events |= events_now(s);
    gone->half = (events & EPOLLRDHUP) != 0;
    bool is_over = events & (EPOLLHUP | EPOLLERR);
    if (!gone->pending && !is_over && (gone->resets || !gone->half))
        err = submit(gone, &events);
    if (err == 0 && says_gone(gone, events))
        cancel_task(gone);
    return err;
}

/* Of a half's end that a peer may have, the poll has told for the last time. */
cr_socketlike *cr_gone_completed(cr_gone *gone)
{
    cr_socketlike *s = gone->s;
    long events = gone->op.result;
    gone->pending = gone->canceled = false;
    if (s && events > 0)
        gone->half = gone->half || (events & EPOLLRDHUP) != 0;
    if (!s)
        cr_free(gone->loop->sys, gone);
    else if (events > 0 && gone->task && s->receiving.generation &&
             says_gone(gone, (uint32_t)events))
        cancel_task(gone);
    else if (events > 0 && gone->task && gone->resets)
        (void)look(gone);
    return s;
}

bool cr_gone_seen(const cr_gone *gone) { return gone->seen; }

void cr_gone_read(cr_socketlike *s) { (void)look(s->gone); }

bool cr_gone_pending(const cr_socketlike *s) { return s->gone && s->gone->pending; }

void cr_gone_cancel(cr_socketlike *s)
{
    cr_gone *gone = s->gone;
    if (!gone || !gone->pending || gone->canceled)
        return;
    gone->canceled = true;
    cr_loop_cancel_poll(s->loop, &gone->op);
}

void cr_gone_free(cr_socketlike *s)
{
    cr_gone *gone = s->gone;
    cr_gone_cancel(s);
    s->gone = NULL;
    s->stream.watched = false;
    if (gone && gone->pending)
        gone->s = NULL;
    else
        cr_free(s->loop->sys, gone);
}

/* The poll stays pending when the task is taken back: it is needed again with the next message. */
int cr_gone_watch(
    cr_socketlike *s, uint64_t task, bool resets, void (*completed)(cr_op *op, void *arg))
{
    if (!s->gone && task)
        s->gone = cr_alloc_zero(s->loop->sys, sizeof *s->gone);
    if (!s->gone)
        return task ? -ENOMEM : 0;
    s->gone->s = s;
    s->gone->loop = s->loop;
    s->gone->task = task;
    s->stream.watched = task != 0;
    if (task) {
        s->gone->resets = resets;
        s->gone->seen = false;
    }
    s->gone->op.completed = completed;
    int err = task ? look(s->gone) : 0;
    if (err < 0) {
        s->gone->task = 0;
        s->stream.watched = false;
    }
    return err;
}
