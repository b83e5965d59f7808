/* SPDX-License-Identifier: MIT */
/* readiness.c: crank's own descriptors on epoll and io_uring.
 *
 * The kernel is asked once to report what becomes ready, when an operation first has to wait; what
 * its events have said since is remembered. So a message costs one recv and one send: no call that
 * registers anything, and no recv that finds nothing. Owns what is remembered (readable, writable,
 * ended) and the place of the one RECV and the one SEND that may be pending.
 *
 * The invariant: while an operation is pending, the bit that it waits for is false, or its event is
 * in the kernel's list. A bit becomes false only when the kernel has said -EAGAIN, or has moved
 * fewer bytes of a TCP connection than were asked for; both mean that an event will follow, if the
 * kernel watches. But where the end was announced (RDHUP) no event follows: then only -EAGAIN
 * counts (dotnet/runtime#38747, netty#4325).
 *
 * Completions come as the event is looked at: nothing is kept across one but the number. */
#include "backend/readiness.h"

#include <errno.h>
#include <string.h>
#include "backend/nonblocking.h"
#include "base/check.h"

#define ROOM_FIRST 16
#define ENDS (uint32_t)(EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)

/* Memory doubles, and most of what is added is not needed soon: it is not touched before. */
static int grow(cr_readiness *all, int fd)
{
    size_t memory = all->memory ? all->memory : ROOM_FIRST;
    while (memory <= (size_t)fd)
        memory *= 2;
    cr_descriptor *grown = cr_resize(all->sys, all->all, memory * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    all->all = grown;
    all->memory = memory;
    return 0;
}

int cr_readiness_reserve(cr_readiness *all, int fd)
{
    if (fd < 0)
        return -EBADF;
    if ((size_t)fd < all->room)
        return 0;
    if ((size_t)fd >= all->memory) {
        int err = grow(all, fd);
        if (err < 0)
            return err;
    }
    size_t more = (size_t)fd + 1 - all->room;
    memset(all->all + all->room, 0, more * sizeof *all->all);
    all->room += more;
    return 0;
}

/* The generation goes on counting where the number was used before. */
int cr_readiness_attach(cr_readiness *all, int fd, enum cr_fd_kind kind, cr_fd *ret_fd)
{
    int err = cr_readiness_reserve(all, fd);
    if (err < 0)
        return err;
    cr_descriptor *d = &all->all[fd];
    CR_ASSERT(!d->attached && !d->waiting.first);
    uint32_t generation = d->generation + 1 ? d->generation + 1 : 1;
    *d = (cr_descriptor){ .generation = generation,
        .next = CR_DESCRIPTOR_NONE,
        .attached = true,
        .stream = kind == CR_FD_TCP,
        .readable = kind == CR_FD_FILE,
        .writable = true };
    *ret_fd = (cr_fd){ .number = fd, .generation = generation };
    return 0;
}

/* An event that is on its way has an older generation. */
void cr_readiness_forget(cr_readiness *all, cr_fd fd)
{
    cr_descriptor *d = &all->all[fd.number];
    CR_ASSERT(d->attached && d->generation == fd.generation);
    CR_ASSERT(!d->receiving && !d->sending && !d->waiting.first);
    *d = (cr_descriptor){ .generation = d->generation + 1 };
}

static enum cr_submitted done(cr_op *op, long result)
{
    op->result = result;
    return CR_DONE_NOW;
}

static void complete(cr_op *op, long result)
{
    op->result = result;
    op->completed(op, op->arg);
}

static bool is_drained(const cr_descriptor *d, const cr_op *op, long n)
{
    return n == -EAGAIN || (d->stream && n > 0 && (size_t)n < op->size);
}

CR_HOT static long try_receive(cr_readiness *all, cr_descriptor *d, cr_op *op)
{
    long n = cr_nonblocking_receive(all->backend, all->sys, op);
    if (n == -EAGAIN)
        d->ended = false;
    if (!d->ended && is_drained(d, op, n))
        d->readable = false;
    return n;
}

CR_HOT static long try_send(cr_readiness *all, cr_descriptor *d, const cr_op *op)
{
    long n = cr_nonblocking_send(all->sys, op);
    if (is_drained(d, op, n))
        d->writable = false;
    return n;
}

static int watch(cr_readiness *all, int fd, uint32_t events)
{
    return all->all[fd].armed & events ? 0 : all->watch(all->backend, fd, events);
}

CR_HOT static CR_NOINLINE enum cr_submitted submit_receive(
    cr_readiness *all, cr_descriptor *d, cr_op *op)
{
    CR_ASSERT(!d->receiving);
    long n = d->readable ? try_receive(all, d, op) : -EAGAIN;
    if (n != -EAGAIN)
        return done(op, n);
    int err = watch(all, op->fd, EPOLLIN);
    if (err < 0)
        return done(op, err);
    d->receiving = op;
    return CR_PENDING;
}

/* Where the kernel does not watch, what is remembered may have changed since. */
CR_HOT static CR_NOINLINE enum cr_submitted submit_send(
    cr_readiness *all, cr_descriptor *d, cr_op *op)
{
    CR_ASSERT(!d->sending);
    long n = d->writable || !(d->armed & EPOLLOUT) ? try_send(all, d, op) : -EAGAIN;
    if (n != -EAGAIN)
        return done(op, n);
    int err = watch(all, op->fd, EPOLLOUT);
    if (err < 0)
        return done(op, err);
    d->sending = op;
    return CR_PENDING;
}

CR_HOT enum cr_submitted cr_readiness_submit(cr_readiness *all, cr_op *op)
{
    cr_descriptor *d = op->fd >= 0 && (size_t)op->fd < all->room ? &all->all[op->fd] : NULL;
    if (!d || !d->attached || d->generation != op->generation)
        return done(op, -EBADF);
    switch (op->code) {
    case CR_OP_RECV:
        if (CR_LIKELY(!d->readable && d->armed & EPOLLIN)) {
            CR_ASSERT(!d->receiving);
            d->receiving = op;
            return CR_PENDING;
        }
        return submit_receive(all, d, op);
    case CR_OP_SEND: return submit_send(all, d, op);
    case CR_OP_POLL: return all->poll(all->backend, op);
    case CR_OP_READ:
    case CR_OP_WRITE: break;
    }
    return done(op, -EINVAL);
}

/* The kernel goes on watching. The descriptor stands in a list until the next turn. */
void cr_readiness_cancel(cr_readiness *all, const cr_op *op)
{
    cr_descriptor *d = &all->all[op->fd];
    bool listed = d->receive_canceled || d->send_canceled;
    if (op->code == CR_OP_RECV)
        d->receive_canceled = true;
    else
        d->send_canceled = true;
    if (!listed) {
        d->next = all->canceled;
        all->canceled = (uint32_t)op->fd;
    }
}

void cr_readiness_cancel_all(cr_readiness *all)
{
    for (size_t fd = 0; fd < all->room; fd++) {
        const cr_descriptor *d = &all->all[fd];
        if (d->receiving && !d->receive_canceled)
            cr_readiness_cancel(all, d->receiving);
        if (d->sending && !d->send_canceled)
            cr_readiness_cancel(all, d->sending);
    }
}

static cr_op *take_canceled(bool canceled, cr_op **pending)
{
    cr_op *op = canceled ? *pending : NULL;
    if (op)
        *pending = NULL;
    return op;
}

/* Those in the list now; what the completions themselves cancel comes with the next turn. */
long cr_readiness_deliver(cr_readiness *all)
{
    long delivered = 0;
    uint32_t fd = all->canceled;
    all->canceled = CR_DESCRIPTOR_NONE;
    while (fd != CR_DESCRIPTOR_NONE) {
        cr_descriptor *d = &all->all[fd];
        cr_op *receiving = take_canceled(d->receive_canceled, &d->receiving);
        cr_op *sending = take_canceled(d->send_canceled, &d->sending);
        d->receive_canceled = d->send_canceled = false;
        fd = d->next;
        delivered += (receiving != NULL) + (sending != NULL);
        if (receiving)
            complete(receiving, -ECANCELED);
        if (sending)
            complete(sending, -ECANCELED);
    }
    return delivered;
}

/* The completion of the first may close the descriptor, or make the array move. */
static CR_NOINLINE long ready(cr_readiness *all, int fd, uint32_t events)
{
    cr_descriptor *d = &all->all[fd];
    uint32_t generation = d->generation;
    long delivered = 0, n = -EAGAIN;
    if (events & ENDS)
        d->ended = true;
    d->readable = d->readable || d->ended || (events & EPOLLIN);
    d->writable = d->writable || (events & (EPOLLOUT | CR_EVENTS_ALWAYS));
    cr_op *op = d->receiving;
    if (op && d->readable && !d->receive_canceled)
        n = try_receive(all, d, op);
    if (n != -EAGAIN) {
        d->receiving = NULL;
        complete(op, n);
        delivered++;
        d = &all->all[fd];
    }
    op = d->generation == generation ? d->sending : NULL;
    n = op && d->writable && !d->send_canceled ? try_send(all, d, op) : -EAGAIN;
    if (n != -EAGAIN) {
        d->sending = NULL;
        complete(op, n);
        delivered++;
    }
    return delivered;
}

/* Most events tell a RECV of bytes, and nothing else of anything. */
CR_HOT long cr_readiness_ready(cr_readiness *all, int fd, uint32_t events)
{
    cr_descriptor *d = &all->all[fd];
    cr_op *op = d->receiving;
    if (CR_UNLIKELY((events & ~(uint32_t)EPOLLOUT) != EPOLLIN || !op || d->ended ||
                    d->receive_canceled || d->sending))
        return ready(all, fd, events);
    d->readable = true;
    if (events & EPOLLOUT)
        d->writable = true;
    long n = try_receive(all, d, op);
    if (n == -EAGAIN)
        return 0;
    d->receiving = NULL;
    complete(op, n);
    return 1;
}
