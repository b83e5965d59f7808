/* SPDX-License-Identifier: MIT */
/* epoll_attached.c: crank's own descriptors on epoll.
 *
 * An attached descriptor is registered once, edge-triggered, when an operation first has to wait;
 * what the events have said since is remembered in it. So a message costs one recv and one send: no
 * epoll_ctl, and no recv that finds nothing. Owns what is remembered (readable, writable, ended)
 * and the place of the one RECV and the one SEND that may be pending.
 *
 * The invariant: while an operation is pending, the bit that it waits for is false, or its event is
 * in the kernel's list. A bit becomes false only when the kernel has said -EAGAIN, or has moved
 * fewer bytes of a TCP connection than were asked for; both mean that an event will follow. But
 * where the end was announced (RDHUP) no event follows: then only -EAGAIN counts
 * (dotnet/runtime#38747, netty#4325).
 *
 * Completions come as the event is looked at: nothing is kept across one but the number. */
#include "backend/epoll.h"

#include "backend/nonblocking.h"
#include "base/check.h"

/* Registered for good: all that tells of something to read. The end, errors and urgent data are
 * found by recv. */
#define INWARDS (uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET)
#define ENDS (uint32_t)(EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)

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

/* The generation goes on counting where the number was used before. */
int cr_epoll_attach(cr_backend *backend, int fd, enum cr_fd_kind kind, cr_fd *ret_fd)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    int err = cr_epoll_reserve(e, fd);
    if (err < 0)
        return err;
    cr_epoll_descriptor *d = &e->descriptors[fd];
    CR_ASSERT(!d->attached && !d->waiting.first);
    uint32_t generation = d->generation + 1 ? d->generation + 1 : 1;
    *d = (cr_epoll_descriptor){ .generation = generation,
        .next = CR_EPOLL_NO_FD,
        .attached = true,
        .stream = kind == CR_FD_TCP,
        .readable = kind == CR_FD_FILE,
        .writable = true };
    *ret_fd = (cr_fd){ .number = fd, .generation = generation };
    return 0;
}

/* Closing takes the file out of epoll's set, for it has no duplicate; an event of it that was
 * looked at already, or is in this turn's batch, has an older generation. */
void cr_epoll_close_fd(cr_backend *backend, cr_fd fd)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    cr_epoll_descriptor *d = &e->descriptors[fd.number];
    CR_ASSERT(d->attached && d->generation == fd.generation);
    CR_ASSERT(!d->receiving && !d->sending && !d->waiting.first);
    *d = (cr_epoll_descriptor){ .generation = d->generation + 1 };
    (void)e->sys->close(e->sys->context, fd.number);
}

/* The file may live on in a duplicate, of which epoll would go on telling. */
void cr_epoll_detach(cr_backend *backend, cr_fd fd)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    cr_epoll_descriptor *d = &e->descriptors[fd.number];
    CR_ASSERT(d->attached && d->generation == fd.generation);
    CR_ASSERT(!d->receiving && !d->sending && !d->waiting.first);
    if (d->registered)
        (void)cr_epoll_control(e, EPOLL_CTL_DEL, fd.number, 0);
    *d = (cr_epoll_descriptor){ .generation = d->generation + 1 };
}

/* Without a try: the registration itself reports what is ready. Outwards is added with the first
 * sender that has to wait, and stays. A descriptor that was polled by its number before it was
 * attached is registered already: that registration becomes this one. */
static CR_NOINLINE int watch_anew(cr_epoll *e, int fd, uint32_t wanted)
{
    cr_epoll_descriptor *d = &e->descriptors[fd];
    int err = cr_epoll_control(e, d->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, wanted);
    if (err == -EEXIST)
        err = cr_epoll_control(e, EPOLL_CTL_MOD, fd, wanted);
    if (err == 0) {
        d->registered = true;
        d->armed = wanted;
    }
    return err;
}

static inline int watch(cr_epoll *e, int fd, uint32_t events)
{
    uint32_t armed = e->descriptors[fd].armed, wanted = armed | INWARDS | (events & EPOLLOUT);
    return CR_LIKELY(wanted == armed) ? 0 : watch_anew(e, fd, wanted);
}

static bool is_drained(const cr_epoll_descriptor *d, const cr_op *op, long n)
{
    return n == -EAGAIN || (d->stream && n > 0 && (size_t)n < op->size);
}

CR_HOT static long try_receive(cr_epoll *e, cr_epoll_descriptor *d, cr_op *op)
{
    long n = cr_nonblocking_receive(&e->base, e->sys, op);
    if (n == -EAGAIN)
        d->ended = false;
    if (!d->ended && is_drained(d, op, n))
        d->readable = false;
    return n;
}

CR_HOT static long try_send(cr_epoll *e, cr_epoll_descriptor *d, const cr_op *op)
{
    long n = cr_nonblocking_send(e->sys, op);
    if (is_drained(d, op, n))
        d->writable = false;
    return n;
}

CR_HOT static CR_NOINLINE enum cr_submitted submit_receive(
    cr_epoll *e, cr_epoll_descriptor *d, cr_op *op)
{
    CR_ASSERT(!d->receiving);
    long n = d->readable ? try_receive(e, d, op) : -EAGAIN;
    if (n != -EAGAIN)
        return done(op, n);
    int err = watch(e, op->fd, EPOLLIN);
    if (err < 0)
        return done(op, err);
    d->receiving = op;
    return CR_PENDING;
}

CR_HOT static CR_NOINLINE enum cr_submitted submit_send(
    cr_epoll *e, cr_epoll_descriptor *d, cr_op *op)
{
    CR_ASSERT(!d->sending);
    long n = d->writable ? try_send(e, d, op) : -EAGAIN;
    if (n != -EAGAIN)
        return done(op, n);
    int err = watch(e, op->fd, EPOLLOUT);
    if (err < 0)
        return done(op, err);
    d->sending = op;
    return CR_PENDING;
}

/* The submitter has tried in vain, so it waits for the next event, whatever is remembered. */
static CR_NOINLINE enum cr_submitted submit_poll(cr_epoll *e, cr_epoll_descriptor *d, cr_op *op)
{
    int err = cr_epoll_take_slot(e, op);
    if (err < 0)
        return done(op, err);
    err = watch(e, op->fd, op->events);
    if (err < 0) {
        cr_epoll_give_slot(e, op->slot);
        return done(op, err);
    }
    cr_epoll_queue_add(e, &d->waiting, op->slot);
    return CR_PENDING;
}

CR_HOT enum cr_submitted cr_epoll_attached_submit(cr_epoll *e, cr_op *op)
{
    cr_epoll_descriptor *d =
        op->fd >= 0 && (size_t)op->fd < e->descriptors_room ? &e->descriptors[op->fd] : NULL;
    if (!d || !d->attached || d->generation != op->generation)
        return done(op, -EBADF);
    switch (op->code) {
    case CR_OP_RECV:
        if (CR_LIKELY(!d->readable && d->armed)) {
            CR_ASSERT(!d->receiving);
            d->receiving = op;
            return CR_PENDING;
        }
        return submit_receive(e, d, op);
    case CR_OP_SEND: return submit_send(e, d, op);
    case CR_OP_POLL: return submit_poll(e, d, op);
    case CR_OP_READ:
    case CR_OP_WRITE: break;
    }
    return done(op, -EINVAL);
}

/* A transfer completes with the next turn: its descriptor stands in a list until then. The
 * registration stays, also that of a poll: it is for good. */
void cr_epoll_attached_cancel(cr_epoll *e, cr_op *op)
{
    cr_epoll_descriptor *d = &e->descriptors[op->fd];
    if (op->code == CR_OP_POLL) {
        if (!e->slots[op->slot].finished) {
            cr_epoll_queue_remove(e, &d->waiting, op->slot);
            cr_epoll_finish(e, op, -ECANCELED);
        }
        return;
    }
    bool listed = d->receive_canceled || d->send_canceled;
    if (op->code == CR_OP_RECV)
        d->receive_canceled = true;
    else
        d->send_canceled = true;
    if (!listed) {
        d->next = e->canceled;
        e->canceled = (uint32_t)op->fd;
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
long cr_epoll_attached_deliver(cr_epoll *e)
{
    long delivered = 0;
    uint32_t fd = e->canceled;
    e->canceled = CR_EPOLL_NO_FD;
    while (fd != CR_EPOLL_NO_FD) {
        cr_epoll_descriptor *d = &e->descriptors[fd];
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

static void finish_polls(cr_epoll *e, cr_epoll_descriptor *d, uint32_t events)
{
    for (uint32_t slot = d->waiting.first, next; slot != CR_EPOLL_NO_SLOT; slot = next) {
        cr_op *op = e->slots[slot].op;
        uint32_t asked = op->events | CR_EPOLL_ALWAYS;
        next = e->slots[slot].next;
        if (op->events & EPOLLIN)
            asked |= EPOLLRDHUP;
        if (events & asked) {
            cr_epoll_queue_remove(e, &d->waiting, slot);
            cr_epoll_finish(e, op, (long)(events & asked));
        }
    }
}

/* The completion of the first may close the descriptor, or make the array move. */
static CR_NOINLINE long ready(cr_epoll *e, int fd, uint32_t events)
{
    cr_epoll_descriptor *d = &e->descriptors[fd];
    uint32_t generation = d->generation;
    long delivered = 0, n = -EAGAIN;
    if (events & ENDS)
        d->ended = true;
    d->readable = d->readable || d->ended || (events & EPOLLIN);
    d->writable = d->writable || (events & (EPOLLOUT | CR_EPOLL_ALWAYS));
    finish_polls(e, d, events);
    cr_op *op = d->receiving;
    if (op && d->readable && !d->receive_canceled)
        n = try_receive(e, d, op);
    if (n != -EAGAIN) {
        d->receiving = NULL;
        complete(op, n);
        delivered++;
        d = &e->descriptors[fd];
    }
    op = d->generation == generation ? d->sending : NULL;
    n = op && d->writable && !d->send_canceled ? try_send(e, d, op) : -EAGAIN;
    if (n != -EAGAIN) {
        d->sending = NULL;
        complete(op, n);
        delivered++;
    }
    return delivered;
}

/* Most events tell a RECV of bytes, and nothing else of anything. */
CR_HOT long cr_epoll_attached_ready(cr_epoll *e, int fd, uint32_t events)
{
    cr_epoll_descriptor *d = &e->descriptors[fd];
    cr_op *op = d->receiving;
    if (CR_UNLIKELY((events & ~(uint32_t)EPOLLOUT) != EPOLLIN || !op || d->ended ||
                    d->receive_canceled || d->sending || d->waiting.first != CR_EPOLL_NO_SLOT))
        return ready(e, fd, events);
    d->readable = true;
    if (events & EPOLLOUT)
        d->writable = true;
    long n = try_receive(e, d, op);
    if (n == -EAGAIN)
        return 0;
    d->receiving = NULL;
    complete(op, n);
    return 1;
}

int cr_epoll_attached_reopen(cr_epoll *e, int fd)
{ /* unreached: descriptors are attached to a program's loop, which no child of fork inherits */
    cr_epoll_descriptor *d = &e->descriptors[fd];
    uint32_t armed = d->armed;
    d->registered = false;
    d->armed = 0;
    return armed ? watch(e, fd, armed) : 0;
}
