/* SPDX-License-Identifier: MIT */
/* uring_attached.c: crank's own descriptors on io_uring.
 *
 * The kernel watches one by requests of ours: a poll for something to read, which goes on for good
 * and tells of each change, and one for room, which ends when it has told. What they tell is
 * readiness.c's: bytes are moved by recv and send, as on epoll.
 *
 * A request for each RECV cost a tenth more than that, one RECV that goes on for good the same; but
 * the latter takes bytes before a task asks for them, and must be cancelled where they are many.
 *
 * Such a request holds its file. So it is cancelled before the descriptor is closed, and the kernel
 * entered, or the peer would not be told of the end. */
#include "backend/uring.h"

#include "backend/requests.h"
#include <errno.h>

/* The tag: the generation, this bit, whether it is the poll for room, the number. */
#define TAG_DESCRIPTOR (UINT32_C(1) << 31)
#define TAG_ROOM (UINT32_C(1) << 30)

static uint64_t tag_of(const cr_uring *uring, int fd, uint32_t events)
{
    uint32_t low = (uint32_t)fd | TAG_DESCRIPTOR | (events == EPOLLOUT ? TAG_ROOM : 0);
    return (uint64_t)uring->readiness.all[fd].generation << 32 | low;
}

static uint32_t number_of(uint64_t tag) { return (uint32_t)tag & ~(TAG_DESCRIPTOR | TAG_ROOM); }

/* NULL: the descriptor was closed meanwhile. */
static cr_descriptor *descriptor_of(const cr_uring *uring, uint64_t tag)
{
    uint32_t fd = number_of(tag);
    cr_descriptor *d = fd < uring->readiness.room ? &uring->readiness.all[fd] : NULL;
    return d && d->attached && d->generation == tag >> 32 ? d : NULL;
}

int cr_uring_attach(cr_backend *backend, int fd, enum cr_fd_kind kind, cr_fd *ret_fd)
{
    cr_uring *uring = cr_container_of(backend, cr_uring, base);
    return cr_readiness_attach(&uring->readiness, fd, kind, ret_fd);
}

static bool request(cr_uring *uring, int fd, uint32_t events)
{
    uint32_t asked = events == EPOLLOUT ? events : CR_EVENTS_INWARDS | EPOLLRDBAND;
    uint64_t tag = tag_of(uring, fd, events);
    return cr_requests_watch(uring->sys, &uring->ring, fd, asked, tag);
}

/* Without room in the ring the next turn does it. */
int cr_uring_attached_watch(cr_backend *backend, int fd, uint32_t events)
{
    cr_uring *uring = cr_container_of(backend, cr_uring, base);
    if (!uring->owes_watch && request(uring, fd, events))
        uring->readiness.all[fd].armed |= events;
    else
        uring->owes_watch = true;
    cr_uring_flush_embedded(uring);
    return 0;
}

static bool watch_owed(cr_uring *uring, int fd)
{
    cr_descriptor *d = &uring->readiness.all[fd];
    uint32_t owed = (d->receiving ? EPOLLIN : 0u) | (d->sending ? EPOLLOUT : 0u);
    owed &= ~d->armed;
    if (owed & EPOLLIN && request(uring, fd, EPOLLIN))
        d->armed |= EPOLLIN;
    if (owed & EPOLLOUT && request(uring, fd, EPOLLOUT))
        d->armed |= EPOLLOUT;
    return !(owed & ~d->armed);
}

void cr_uring_attached_watch_owed(cr_uring *uring)
{
    bool all = true;
    for (size_t fd = 0; all && fd < uring->readiness.room; fd++)
        all = watch_owed(uring, (int)fd);
    uring->owes_watch = !all;
}

/* The kernel may end a poll that was to go on, as it does when the thread ends that has asked for
 * it: what still waits then has another. */
static long after_event(cr_uring *uring, int fd, long delivered)
{
    if (CR_UNLIKELY(!watch_owed(uring, fd)))
        uring->owes_watch = true;
    return delivered;
}

/* The poll could not be made, and so what waits for it fails. */
static long fail(cr_descriptor *d, uint32_t events, long error)
{
    cr_op **pending = events == EPOLLIN ? &d->receiving : &d->sending, *op = *pending;
    bool canceled = events == EPOLLIN ? d->receive_canceled : d->send_canceled;
    if (!op || canceled)
        return 0;
    *pending = NULL;
    op->result = error;
    op->completed(op, op->arg);
    return 1;
}

/* The kernel tells of one wake-up as the waker has named it, and sockets name urgent data and a
 * band with any data; of several it tells what the descriptor is ready for, which is no band.
 * Urgent data makes two. */
static uint32_t events_of(const cr_ring_completion *taken)
{
    uint32_t events = taken->result > 0 ? (uint32_t)taken->result : 0;
    return events & EPOLLRDBAND ? events & ~(uint32_t)(EPOLLRDBAND | EPOLLPRI) : events;
}

CR_HOT long cr_uring_attached_event(cr_uring *uring, const cr_ring_completion *taken)
{
    cr_descriptor *d = descriptor_of(uring, taken->tag);
    int fd = (int)number_of(taken->tag);
    bool goes_on = taken->flags & IORING_CQE_F_MORE;
    if (CR_LIKELY(d && goes_on && taken->result > 0))
        return cr_readiness_ready(&uring->readiness, fd, events_of(taken));
    if (!d) {
        if (goes_on)
            (void)cr_requests_cancel(uring->sys, &uring->ring, taken->tag, CR_TAG_CANCEL);
        return 0;
    }
    uint32_t events = taken->tag & TAG_ROOM ? EPOLLOUT : EPOLLIN;
    if (!goes_on)
        d->armed &= ~events;
    if (taken->result < 0 && taken->result != -ECANCELED)
        return fail(d, events, taken->result);
    return after_event(uring, fd, cr_readiness_ready(&uring->readiness, fd, events_of(taken)));
}

void cr_uring_attached_prefetch(const cr_uring *uring, uint64_t later, uint64_t sooner)
{
    if (cr_uring_attached_is_event(later) && number_of(later) < uring->readiness.room)
        __builtin_prefetch(&uring->readiness.all[number_of(later)]);
    if (cr_uring_attached_is_event(sooner) && number_of(sooner) < uring->readiness.room)
        cr_op_prefetch(uring->readiness.all[number_of(sooner)].receiving);
}

static void unwatch(cr_uring *uring, int fd, uint32_t events)
{
    enum { TRIES = 50 };
    uint64_t tag = tag_of(uring, fd, events);
    if (!(uring->readiness.all[fd].armed & events))
        return;
    for (int i = 0; i < TRIES; i++)
        if (cr_requests_cancel(uring->sys, &uring->ring, tag, CR_TAG_CANCEL)) {
            cr_uring_await_end(uring, tag);
            return;
        }
}

static void unwatch_all(cr_uring *uring, int fd)
{
    unwatch(uring, fd, EPOLLIN);
    unwatch(uring, fd, EPOLLOUT);
}

void cr_uring_detach(cr_backend *backend, cr_fd fd)
{
    cr_uring *uring = cr_container_of(backend, cr_uring, base);
    unwatch_all(uring, fd.number);
    cr_readiness_forget(&uring->readiness, fd);
}

void cr_uring_close_fd(cr_backend *backend, cr_fd fd)
{
    const cr_sys *sys = cr_container_of(backend, cr_uring, base)->sys;
    cr_uring_detach(backend, fd);
    (void)sys->close(sys->context, fd.number);
}

void cr_uring_attached_end_watches(cr_uring *uring, bool ours)
{
    for (size_t fd = 0; fd < uring->readiness.room; fd++) {
        if (ours)
            unwatch_all(uring, (int)fd);
        uring->readiness.all[fd].armed = 0;
    }
    uring->owes_watch = true;
}
