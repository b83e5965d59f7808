/* SPDX-License-Identifier: MIT */
/* epoll.c: readiness, turned into completions.
 *
 * An operation is tried first and armed where it would wait; the turn then performs it. Owns
 * descriptors (one per number: the operations waiting for it, what is registered) and slots (one
 * per pending operation, but for RECV and SEND, which stand in their descriptor). Does not own the
 * operations. What the kernel carries is the descriptor's number and a generation: an event of an
 * earlier file of the same number is recognised and dropped.
 *
 * Descriptors of others are registered one-shot: an event disarms, so that a descriptor that was
 * closed while a duplicate lives cannot go on reporting. What epoll refuses (regular files) is
 * always ready. Attached descriptors are registered once, edge-triggered, and what the events have
 * said is remembered: a message costs no epoll_ctl and no recv that finds nothing.
 *
 * Completions of RECV and SEND are delivered as their event is looked at. All others are first
 * collected, then delivered, in the order in which they were found. A completion may submit and
 * cancel whatever it likes: nothing is kept across one but numbers.
 *
 * Invariant: a pending operation's slot stands in exactly one line: its descriptor's, or that of
 * the finished. Of a descriptor of others armed is at least what its waiting operations want. */
#include "backend/epoll.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "backend/nonblocking.h"

#define ROOM_FIRST 16
#define WAKE_DATA UINT64_MAX /* no descriptor's number and generation */

/* The new ones go on the free list from the last to the first, so that low numbers are used
 * first. */
static int grow_slots(cr_epoll *e)
{
    uint32_t room = e->slots_room ? 2 * e->slots_room : ROOM_FIRST;
    cr_epoll_slot *slots = cr_resize(e->sys, e->slots, room * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    e->slots = slots;
    for (uint32_t i = room; i-- > (e->slots_room ? e->slots_room : 1);) {
        slots[i] = (cr_epoll_slot){ .next = e->slots_free };
        e->slots_free = i;
    }
    e->slots_room = room;
    return 0;
}

/* A free slot's next links the free list; a used one's its line. */
int cr_epoll_take_slot(cr_epoll *e, cr_op *op)
{
    if (e->slots_free == CR_EPOLL_NO_SLOT && grow_slots(e) < 0)
        return -ENOMEM;
    op->slot = e->slots_free;
    e->slots_free = e->slots[op->slot].next;
    e->slots[op->slot] = (cr_epoll_slot){ .op = op };
    return 0;
}

/* op is NULL from here on, which is how a free slot is told. */
void cr_epoll_give_slot(cr_epoll *e, uint32_t slot)
{
    e->slots[slot] = (cr_epoll_slot){ .next = e->slots_free };
    e->slots_free = slot;
}

/* The number and the generation come back with each event of this registration. */
int cr_epoll_control(cr_epoll *e, int how, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events };
    event.data.u64 = (uint64_t)e->readiness.all[fd].generation << 32 | (uint32_t)fd;
    return e->sys->epoll_ctl(e->sys->context, e->fd, how, fd, &event);
}

/* The number may have been closed and given to another file since, also while operations wait: then
 * the kernel knows no registration of it, and the new one has a new generation. So it is asked even
 * where what waits already has armed the same. One that cannot be changed stands as it was, for the
 * operations that wait already. */
static int arm(cr_epoll *e, int fd, uint32_t events)
{
    cr_descriptor *d = &e->readiness.all[fd];
    uint32_t wanted = d->armed | events;
    int err =
        d->registered ? cr_epoll_control(e, EPOLL_CTL_MOD, fd, wanted | EPOLLONESHOT) : -ENOENT;
    if (err == -ENOENT) {
        d->generation++;
        err = cr_epoll_control(e, EPOLL_CTL_ADD, fd, wanted | EPOLLONESHOT);
        if (err == -EEXIST)
            err = cr_epoll_control(e, EPOLL_CTL_MOD, fd, wanted | EPOLLONESHOT);
        d->registered = err == 0;
        d->armed = 0;
    }
    if (err == 0)
        d->armed = wanted;
    return err;
}

/* Not called at once: the contract promises that completions come from the turn only, and one
 * after another. */
void cr_epoll_finish(cr_epoll *e, cr_op *op, long result)
{
    op->result = result;
    e->slots[op->slot].finished = true;
    cr_epoll_queue_add(e, &e->finished, op->slot);
}

/* The descriptor cannot be armed: its operations would wait for ever, and end with err instead. */
static void tell_waiting(cr_epoll *e, cr_descriptor *d, int err)
{
    while (d->waiting.first) {
        cr_op *op = e->slots[d->waiting.first].op;
        cr_epoll_queue_remove(e, &d->waiting, op->slot);
        cr_epoll_finish(e, op, err);
    }
}

/* The slot, if it had one, is the caller's to give back. */
static enum cr_submitted done(cr_op *op, long result)
{
    op->result = result;
    return CR_DONE_NOW;
}

/* A poll is armed without a try: a caller that waits for readiness has mostly just found the
 * descriptor not ready. */
CR_HOT static enum cr_submitted epoll_submit(cr_backend *backend, cr_op *op)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    if (op->generation)
        return cr_readiness_submit(&e->readiness, op);
    if (op->code != CR_OP_POLL) {
        long result = cr_nonblocking(e->sys, op);
        if (result != -EAGAIN)
            return done(op, result);
    }
    int err = cr_readiness_reserve(&e->readiness, op->fd);
    if (!err && e->readiness.all[op->fd].attached)
        err = -EBUSY;
    if (!err)
        err = cr_epoll_take_slot(e, op);
    if (err < 0)
        return done(op, err);
    err = arm(e, op->fd, cr_nonblocking_events(op));
    if (err == 0) {
        cr_epoll_queue_add(e, &e->readiness.all[op->fd].waiting, op->slot);
        return CR_PENDING;
    }
    cr_epoll_give_slot(e, op->slot);
    if (!e->readiness.all[op->fd].registered)
        tell_waiting(e, &e->readiness.all[op->fd], err);
    return done(op, err == -EPERM ? cr_nonblocking_or_wait(e->sys, op) : err);
}

/* With no operation waiting for it, the descriptor leaves epoll's sight: it may be closed, or
 * polled from outside. */
static void epoll_cancel(cr_backend *backend, cr_op *op)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    if (op->generation) {
        cr_epoll_attached_cancel(e, op);
        return;
    }
    if (e->slots[op->slot].finished)
        return;
    cr_descriptor *d = &e->readiness.all[op->fd];
    cr_epoll_queue_remove(e, &d->waiting, op->slot);
    cr_epoll_finish(e, op, -ECANCELED);
    if (d->waiting.first == CR_EPOLL_NO_SLOT && d->armed) {
        cr_epoll_control(e, EPOLL_CTL_DEL, op->fd, 0);
        d->registered = false;
        d->armed = 0;
    }
}

static void epoll_cancel_all(cr_backend *backend)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    for (uint32_t slot = CR_EPOLL_NO_SLOT + 1; slot < e->slots_room; slot++)
        if (e->slots[slot].op)
            epoll_cancel(backend, e->slots[slot].op);
    cr_readiness_cancel_all(&e->readiness);
}

/* Readiness is a hint: another reader may have been faster, and then the operation waits on. */
static long try_ready(cr_epoll *e, const cr_op *op, uint32_t events)
{
    uint32_t seen = events & (cr_nonblocking_events(op) | CR_EVENTS_ALWAYS);
    if (!seen)
        return -EAGAIN;
    return op->code == CR_OP_POLL ? (long)seen : cr_nonblocking(e->sys, op);
}

/* Events of a descriptor: complete what they allow, arm again for what is left. */
static void descriptor_ready(cr_epoll *e, int fd, uint32_t events)
{
    cr_descriptor *d = &e->readiness.all[fd];
    uint32_t left = 0;
    d->armed = 0;
    for (uint32_t slot = d->waiting.first, next; slot; slot = next) {
        cr_op *op = e->slots[slot].op;
        next = e->slots[slot].next;
        long result = try_ready(e, op, events);
        if (result == -EAGAIN) {
            left |= cr_nonblocking_events(op);
        } else {
            cr_epoll_queue_remove(e, &d->waiting, slot);
            cr_epoll_finish(e, op, result);
        }
    }
    int err = left ? arm(e, fd, left) : 0;
    if (err < 0)
        tell_waiting(e, d, err);
}

/* A stale event means nothing: what waits now is armed under a newer generation. */
CR_HOT static long dispatch(cr_epoll *e, const struct epoll_event *event)
{
    uint32_t fd = (uint32_t)event->data.u64;
    if (event->data.u64 == WAKE_DATA || fd >= e->readiness.room ||
        !e->readiness.all[fd].registered ||
        e->readiness.all[fd].generation != (uint32_t)(event->data.u64 >> 32))
        return 0;
    if (e->readiness.all[fd].attached)
        return cr_epoll_attached_ready(e, (int)fd, event->events);
    descriptor_ready(e, (int)fd, event->events);
    return 0;
}

/* The descriptor of an event to come, and of one that comes sooner, whose descriptor is here by
 * now, the operation with what its completion touches: they are in the processor's cache when their
 * turns come. */
static void prefetch(const cr_epoll *e, int later, int sooner)
{
    if (later < e->events_end) {
        uint32_t fd = (uint32_t)e->events[later].data.u64;
        if (fd < e->readiness.room)
            __builtin_prefetch(&e->readiness.all[fd]);
    }
    if (sooner < e->events_end) {
        uint32_t fd = (uint32_t)e->events[sooner].data.u64;
        if (fd < e->readiness.room)
            cr_op_prefetch(e->readiness.all[fd].receiving);
    }
}

/* Those finished by now; what the completions themselves finish comes with the next turn. */
static long deliver(cr_epoll *e)
{
    uint32_t last = e->finished.last;
    long delivered = 0;
    for (uint32_t slot = CR_EPOLL_NO_SLOT; slot != last; delivered++) {
        slot = e->finished.first;
        cr_op *op = e->slots[slot].op;
        CR_ASSUME(op != NULL); /* only slots in use stand in a line */
        cr_epoll_queue_remove(e, &e->finished, slot);
        cr_epoll_give_slot(e, slot);
        op->completed(op, op->arg);
    }
    return delivered;
}

/* What was cancelled between turns ends in the next one, and so does what the last one left. */
static bool epoll_owes_turn(cr_backend *backend)
{
    const cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    return e->finished.first != CR_EPOLL_NO_SLOT || e->readiness.canceled != CR_DESCRIPTOR_NONE ||
           e->events_first < e->events_end;
}

/* Deadlines so far away are a timer's, which stays armed over many waits: a timeout is set up and
 * taken down by the kernel in each, which costs half a microsecond, and a loop that serves
 * connections always has one. */
#define FAR_NS 10000000

/* Will the timer end a wait by then? It is armed anew only for a sooner deadline, or when it has
 * come: so it may end a wait too early, and the loop waits again. */
static bool timer_covers(cr_epoll *e, int64_t now, int64_t deadline)
{
    if (CR_LIKELY(e->timer_at > now && e->timer_at <= deadline))
        return true;
    if (e->timer_fd < 0)
        return false;
    int err = e->sys->timerfd_set(e->sys->context, e->timer_fd, deadline);
    e->timer_at = err < 0 ? 0 : deadline;
    return err == 0;
}

/* With something to deliver it only looks. A deadline in the past is no wait, CR_NEVER is all of
 * it; the table rounds up, so that the loop never wakes before its timer. A wait that a signal has
 * ended has not been told what came: what is due is taken behind this turn, and would win. */
static void fetch(cr_epoll *e, int64_t deadline)
{
    int64_t span = 0;
    if (deadline == CR_NEVER)
        span = -1;
    else if (deadline > 0)
        span = deadline - e->sys->now(e->sys->context);
    if (epoll_owes_turn(&e->base) || (span < 0 && deadline != CR_NEVER))
        span = 0;
    if (span > FAR_NS && timer_covers(e, deadline - span, deadline))
        span = -1;
    int n = e->sys->epoll_wait(e->sys->context, e->fd, e->events, CR_EPOLL_EVENTS, span);
    if (CR_UNLIKELY(n == -EINTR))
        n = e->sys->epoll_wait(e->sys->context, e->fd, e->events, CR_EPOLL_EVENTS, 0);
    e->events_first = 0;
    e->events_end = n > 0 ? n : 0;
}

/* The kernel is asked again when all it has told of has been looked at. What an event is about may
 * have been closed, or cancelled, since: dispatch finds out. */
CR_HOT static long epoll_turn(cr_backend *backend, int64_t deadline)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    long delivered = 0;
    if (e->events_first == e->events_end)
        fetch(e, deadline);
    for (int i = 0; i < CR_EPOLL_AT_ONCE && e->events_first < e->events_end; i++) {
        prefetch(e, e->events_first + 4, e->events_first + 2);
        delivered += dispatch(e, &e->events[e->events_first++]);
    }
    delivered += cr_readiness_deliver(&e->readiness);
    return delivered + deliver(e);
}

/* The eventfd is edge-triggered and never read: each write is an edge. */
static void epoll_wake(cr_backend *backend)
{
    static const uint64_t one = 1;
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    (void)e->sys->write(e->sys->context, e->wake_fd, &one, sizeof one);
}

static int epoll_pollable(cr_backend *backend)
{
    return cr_container_of(backend, cr_epoll, base)->fd;
}

static const cr_sys *epoll_sys(cr_backend *backend)
{
    return cr_container_of(backend, cr_epoll, base)->sys;
}

/* They are -1 until they are there, and again after this. */
static void close_descriptors(cr_epoll *e)
{
    const cr_sys *sys = e->sys;
    if (e->wake_fd >= 0)
        sys->close(sys->context, e->wake_fd);
    if (e->timer_fd >= 0)
        sys->close(sys->context, e->timer_fd);
    if (e->fd >= 0)
        sys->close(sys->context, e->fd);
    e->wake_fd = e->timer_fd = e->fd = -1;
    e->timer_at = 0;
}

/* Also of one that was only half opened. */
static void epoll_close(cr_backend *backend)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    const cr_sys *sys = e->sys;
    close_descriptors(e);
    cr_buffers_deinit(&e->base.buffers);
    cr_free(sys, e->slots);
    cr_free(sys, e->readiness.all);
    cr_free(sys, e);
}

/* Registered as wake_fd is, and never read: to be armed anew makes the next time an edge. Where it
 * is not to be had, waits have timeouts; so they have in the child of a fork. */
static void open_timer(cr_epoll *e)
{
    const cr_sys *sys = e->sys;
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = WAKE_DATA };
    e->timer_fd = sys->timerfd(sys->context);
    if (e->timer_fd < 0)
        return;
    if (sys->epoll_ctl(sys->context, e->fd, EPOLL_CTL_ADD, e->timer_fd, &event) < 0) {
        (void)sys->close(sys->context, e->timer_fd);
        e->timer_fd = -1;
    }
}

/* What was opened before a failure is closed by the caller, with the rest. */
static int open_descriptors(cr_epoll *e)
{
    struct epoll_event wake = { .events = EPOLLIN | EPOLLET, .data.u64 = WAKE_DATA };
    e->fd = e->sys->epoll_create(e->sys->context, EPOLL_CLOEXEC);
    if (e->fd < 0)
        return e->fd;
    e->wake_fd = e->sys->eventfd(e->sys->context, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (e->wake_fd < 0)
        return e->wake_fd;
    return e->sys->epoll_ctl(e->sys->context, e->fd, EPOLL_CTL_ADD, e->wake_fd, &wake);
}

/* To the child nothing is registered: so it removes nothing from the parent's set. */
static void epoll_leave_parent(cr_backend *backend)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    close_descriptors(e);
    e->events_first = e->events_end = 0;
    for (size_t fd = 0; fd < e->readiness.room; fd++) {
        e->readiness.all[fd].registered = false;
        if (!e->readiness.all[fd].attached)
            e->readiness.all[fd].armed = 0;
    }
}

static uint32_t events_wanted(const cr_epoll *e, const cr_descriptor *d)
{
    uint32_t wanted = 0;
    for (uint32_t slot = d->waiting.first; slot; slot = e->slots[slot].next)
        wanted |= cr_nonblocking_events(e->slots[slot].op);
    return wanted;
}

/* Where the child has closed a descriptor, the operations that wait for it end with -EBADF. */
static int epoll_reopen(cr_backend *backend)
{
    cr_epoll *e = cr_container_of(backend, cr_epoll, base);
    int err = open_descriptors(e);
    if (err < 0) {
        close_descriptors(e);
        return err;
    }
    for (size_t fd = 0; fd < e->readiness.room; fd++) {
        uint32_t wanted = events_wanted(e, &e->readiness.all[fd]);
        if (e->readiness.all[fd].attached)
            err = cr_epoll_attached_reopen(e, (int)fd);
        else
            err = wanted ? arm(e, (int)fd, wanted) : 0;
        if (err < 0)
            tell_waiting(e, &e->readiness.all[fd], err);
    }
    return 0;
}

static int epoll_open(const cr_sys *sys, uint64_t seed, cr_backend **ret_backend)
{
    (void)seed;
    cr_epoll *e = cr_alloc_zero(sys, sizeof *e);
    if (!e)
        return -ENOMEM;
    e->base.type = &cr_backend_epoll;
    cr_buffers_init(&e->base.buffers, sys);
    e->readiness = (cr_readiness){ .backend = &e->base,
        .sys = sys,
        .watch = cr_epoll_attached_watch,
        .poll = cr_epoll_attached_poll,
        .canceled = CR_DESCRIPTOR_NONE };
    e->sys = sys;
    e->fd = -1;
    e->wake_fd = -1;
    e->timer_fd = -1;
    int err = open_descriptors(e);
    if (err < 0) {
        epoll_close(&e->base);
        return err;
    }
    open_timer(e);
    *ret_backend = &e->base;
    return 0;
}

const cr_backend_type cr_backend_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .submit = epoll_submit,
    .attach = cr_epoll_attach,
    .close_fd = cr_epoll_close_fd,
    .detach = cr_epoll_detach,
    .cancel = epoll_cancel,
    .cancel_all = epoll_cancel_all,
    .turn = epoll_turn,
    .wake = epoll_wake,
    .pollable = epoll_pollable,
    .owes_turn = epoll_owes_turn,
    .leave_parent = epoll_leave_parent,
    .reopen = epoll_reopen,
    .sys = epoll_sys,
};
