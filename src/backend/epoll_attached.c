/* SPDX-License-Identifier: MIT */
/* epoll_attached.c: crank's own descriptors on epoll.
 *
 * One is registered when an operation first has to wait, edge-triggered and for good; what the
 * events say is readiness.c's. Here are the registration and the POLLs, which have slots. */
#include "backend/epoll.h"

#include "base/check.h"

int cr_epoll_attach(cr_backend *backend, int fd, enum cr_fd_kind kind, cr_fd *ret_fd)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    return cr_readiness_attach(&e->readiness, fd, kind, ret_fd);
}

/* Closing takes the file out of epoll's set, for it has no duplicate; an event of it that was
 * looked at already, or is in this turn's batch, has an older generation. */
void cr_epoll_close_fd(cr_backend *backend, cr_fd fd)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    cr_readiness_forget(&e->readiness, fd);
    (void)e->sys->close(e->sys->context, fd.number);
}

/* The file may live on in a duplicate, of which epoll would go on telling. */
void cr_epoll_detach(cr_backend *backend, cr_fd fd)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    if (e->readiness.all[fd.number].registered)
        (void)cr_epoll_control(e, EPOLL_CTL_DEL, fd.number, 0);
    cr_readiness_forget(&e->readiness, fd);
}

/* Without a try: the registration itself reports what is ready. Outwards is added with the first
 * sender that has to wait, and stays. A descriptor that was polled by its number before it was
 * attached is registered already: that registration becomes this one. */
int cr_epoll_attached_watch(cr_backend *backend, int fd, uint32_t events)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    cr_descriptor *d = &e->readiness.all[fd];
    uint32_t wanted = d->armed | CR_EVENTS_INWARDS | EPOLLET | (events & EPOLLOUT);
    if (wanted == d->armed)
        return 0;
    int err = cr_epoll_control(e, d->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, wanted);
    if (err == -EEXIST)
        err = cr_epoll_control(e, EPOLL_CTL_MOD, fd, wanted);
    if (err == 0) {
        d->registered = true;
        d->armed = wanted;
    }
    return err;
}

/* The submitter has tried in vain, so it waits for the next event, whatever is remembered. */
enum cr_submitted cr_epoll_attached_poll(cr_backend *backend, cr_op *op)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    op->result = cr_epoll_take_slot(e, op);
    if (op->result < 0)
        return CR_DONE_NOW;
    op->result = cr_epoll_attached_watch(backend, op->fd, op->events);
    if (op->result < 0) {
        cr_epoll_give_slot(e, op->slot);
        return CR_DONE_NOW;
    }
    cr_epoll_queue_add(e, &e->readiness.all[op->fd].waiting, op->slot);
    return CR_PENDING;
}

/* The registration stays, also where a poll is cancelled: it is for good. */
void cr_epoll_attached_cancel(cr_epoll *e, cr_op *op)
{
    if (op->code != CR_OP_POLL) {
        cr_readiness_cancel(&e->readiness, op);
    } else if (!e->slots[op->slot].finished) {
        cr_epoll_queue_remove(e, &e->readiness.all[op->fd].waiting, op->slot);
        cr_epoll_finish(e, op, -ECANCELED);
    }
}

static CR_NOINLINE void finish_polls(cr_epoll *e, cr_descriptor *d, uint32_t events)
{
    for (uint32_t slot = d->waiting.first, next; slot != CR_EPOLL_NO_SLOT; slot = next) {
        cr_op *op = e->slots[slot].op;
        uint32_t asked = op->events | CR_EVENTS_ALWAYS;
        next = e->slots[slot].next;
        if (op->events & EPOLLIN)
            asked |= EPOLLRDHUP;
        if (events & asked) {
            cr_epoll_queue_remove(e, &d->waiting, slot);
            cr_epoll_finish(e, op, (long)(events & asked));
        }
    }
}

CR_HOT long cr_epoll_attached_ready(cr_epoll *e, int fd, uint32_t events)
{
    cr_descriptor *d = &e->readiness.all[fd];
    if (CR_UNLIKELY(d->waiting.first != CR_EPOLL_NO_SLOT))
        finish_polls(e, d, events);
    return cr_readiness_ready(&e->readiness, fd, events);
}

int cr_epoll_attached_reopen(cr_epoll *e, int fd)
{ /* unreached: descriptors are attached to a program's loop, which no child of fork inherits */
    cr_descriptor *d = &e->readiness.all[fd];
    uint32_t armed = d->armed;
    d->registered = false;
    d->armed = 0;
    return armed ? cr_epoll_attached_watch(&e->base, fd, armed) : 0;
}
