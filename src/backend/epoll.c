/* SPDX-License-Identifier: MIT */
/* epoll.c: readiness, turned into completions.
 *
 * An operation is tried first and armed where it would wait; the turn then performs it. Owns slots
 * (one per pending operation) and descriptors (one per number: the operations waiting for it, what
 * is armed). Does not own the operations, nor the files. Registrations are one-shot: an event
 * disarms, so that a descriptor that was closed while a duplicate lives cannot go on reporting, and
 * what the kernel carries is the descriptor's number and the generation of its registration: an
 * event of an earlier file of the same number is recognised and dropped. What epoll refuses
 * (regular files) is always ready.
 *
 * Completions are first collected, then delivered, in the order in which they were found: a
 * completion may submit and cancel whatever it likes.
 *
 * Invariant: a pending operation's slot stands in exactly one line: its descriptor's, or that of
 * the finished. armed is at least what those who wait for the descriptor want. */
#include "backend/backend.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "backend/attempt.h"

#define EVENTS_AT_ONCE 128 /* the rest comes with the next turn */
#define ROOM_FIRST 16
#define WAKE_DATA UINT64_MAX /* no descriptor's number and generation */
#define NONE 0u              /* slot 0 is never used */

/* Events that are reported without being asked for. */
#define ALWAYS (uint32_t)(EPOLLERR | EPOLLHUP)

struct slot {
    cr_op *op;     /* NULL: in the free list */
    uint32_t next; /* in the line it stands in, or the free list */
    uint32_t prev;
    bool finished; /* it has its result, or -ECANCELED, and waits to be delivered */
};

/* First come, first served: several may wait for one descriptor, and are tried in this order. */
struct line {
    uint32_t first;
    uint32_t last;
};

struct descriptor {
    struct line waiting;
    uint32_t armed;      /* events; 0 after one has come */
    uint32_t generation; /* of the registration */
    bool registered;
};

typedef struct epoll {
    cr_backend base;
    const cr_sys *sys;
    int fd;
    int wake_fd; /* an eventfd: see epoll_wake */
    struct slot *slots;
    uint32_t slots_room;
    uint32_t slots_free;            /* first of the free list */
    struct line finished;           /* in the order in which they were found */
    struct descriptor *descriptors; /* by number */
    size_t descriptors_room;
    struct epoll_event events[EVENTS_AT_ONCE];
} epoll;

/* Links are numbers: slots move when their array grows. */
static void line_add(epoll *e, struct line *line, uint32_t slot)
{
    e->slots[slot].next = NONE;
    e->slots[slot].prev = line->last;
    *(line->last ? &e->slots[line->last].next : &line->first) = slot;
    line->last = slot;
}

/* From anywhere in the line: a cancelled operation leaves as cheaply as it came. */
static void line_remove(epoll *e, struct line *line, uint32_t slot)
{
    uint32_t next = e->slots[slot].next;
    uint32_t prev = e->slots[slot].prev;
    *(next ? &e->slots[next].prev : &line->last) = prev;
    *(prev ? &e->slots[prev].next : &line->first) = next;
}

/* The new ones go on the free list from the last to the first, so that low numbers are used
 * first. */
static int grow_slots(epoll *e)
{
    uint32_t room = e->slots_room ? 2 * e->slots_room : ROOM_FIRST;
    struct slot *slots = cr_resize(e->sys, e->slots, room * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    e->slots = slots;
    for (uint32_t i = room; i-- > (e->slots_room ? e->slots_room : 1);) {
        slots[i] = (struct slot){ .next = e->slots_free };
        e->slots_free = i;
    }
    e->slots_room = room;
    return 0;
}

/* A free slot's next links the free list; a used one's its line. */
static int take_slot(epoll *e, cr_op *op)
{
    if (e->slots_free == NONE && grow_slots(e) < 0)
        return -ENOMEM;
    op->slot = e->slots_free;
    e->slots_free = e->slots[op->slot].next;
    e->slots[op->slot] = (struct slot){ .op = op };
    return 0;
}

/* op is NULL from here on, which is how a free slot is told. */
static void give_slot(epoll *e, uint32_t slot)
{
    e->slots[slot] = (struct slot){ .next = e->slots_free };
    e->slots_free = slot;
}

/* By number, as descriptors are: small and used again. */
static int reserve_descriptor(epoll *e, int fd)
{
    if (fd < 0)
        return -EBADF;
    size_t room = e->descriptors_room ? e->descriptors_room : ROOM_FIRST;
    while (room <= (size_t)fd)
        room *= 2;
    if (room == e->descriptors_room)
        return 0;
    struct descriptor *descriptors = cr_resize(e->sys, e->descriptors, room * sizeof *descriptors);
    if (!descriptors)
        return -ENOMEM;
    memset(
        descriptors + e->descriptors_room, 0, (room - e->descriptors_room) * sizeof *descriptors);
    e->descriptors = descriptors;
    e->descriptors_room = room;
    return 0;
}

/* The number and the generation come back with each event of this registration. */
static int control(epoll *e, int how, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events | EPOLLONESHOT };
    event.data.u64 = (uint64_t)e->descriptors[fd].generation << 32 | (uint32_t)fd;
    return e->sys->epoll_ctl(e->sys->context, e->fd, how, fd, &event);
}

/* The number may have been closed and given to another file since: then the kernel knows no
 * registration of it, and the new one has a new generation. One that cannot be changed stands as it
 * was, for those who wait already. */
static int arm(epoll *e, int fd, uint32_t events)
{
    struct descriptor *d = &e->descriptors[fd];
    uint32_t wanted = d->armed | events;
    if (d->registered && wanted == d->armed)
        return 0;
    int err = d->registered ? control(e, EPOLL_CTL_MOD, fd, wanted) : -ENOENT;
    if (err == -ENOENT) {
        d->generation++;
        err = control(e, EPOLL_CTL_ADD, fd, wanted);
        if (err == -EEXIST)
            err = control(e, EPOLL_CTL_MOD, fd, wanted);
        d->registered = err == 0;
        d->armed = 0;
    }
    if (err == 0)
        d->armed = wanted;
    return err;
}

/* Not called at once: the contract promises that completions come from the turn only, and one
 * after another. */
static void finish(epoll *e, cr_op *op, long result)
{
    op->result = result;
    e->slots[op->slot].finished = true;
    line_add(e, &e->finished, op->slot);
}

/* Who waits for a descriptor that cannot be armed would wait for ever. */
static void tell_waiting(epoll *e, struct descriptor *d, int err)
{
    while (d->waiting.first) {
        cr_op *op = e->slots[d->waiting.first].op;
        line_remove(e, &d->waiting, op->slot);
        finish(e, op, err);
    }
}

/* The slot, if it had one, is the caller's to give back. */
static enum cr_submitted done(cr_op *op, long result)
{
    op->result = result;
    return CR_DONE_NOW;
}

/* A poll is armed without a try: who waits for readiness has mostly just found the descriptor not
 * ready. */
static enum cr_submitted epoll_submit(cr_backend *backend, cr_op *op)
{
    epoll *e = cr_container_of(backend, epoll, base);
    if (op->code != CR_OP_POLL) {
        long result = cr_attempt(e->sys, op);
        if (result != -EAGAIN)
            return done(op, result);
    }
    int err = reserve_descriptor(e, op->fd);
    if (!err)
        err = take_slot(e, op);
    if (err < 0)
        return done(op, err);
    err = arm(e, op->fd, cr_op_events(op));
    if (err == 0) {
        line_add(e, &e->descriptors[op->fd].waiting, op->slot);
        return CR_PENDING;
    }
    give_slot(e, op->slot);
    if (!e->descriptors[op->fd].registered)
        tell_waiting(e, &e->descriptors[op->fd], err);
    return done(op, err == -EPERM ? cr_attempt_waiting(e->sys, op) : err);
}

/* With nobody waiting for it, the descriptor leaves epoll's sight: it may be closed, or polled from
 * outside. */
static void epoll_cancel(cr_backend *backend, cr_op *op)
{
    epoll *e = cr_container_of(backend, epoll, base);
    if (e->slots[op->slot].finished)
        return;
    struct descriptor *d = &e->descriptors[op->fd];
    line_remove(e, &d->waiting, op->slot);
    finish(e, op, -ECANCELED);
    if (d->waiting.first == NONE && d->armed) {
        control(e, EPOLL_CTL_DEL, op->fd, 0);
        d->registered = false;
        d->armed = 0;
    }
}

/* Readiness is a hint: another reader may have been faster, and then the operation waits on. */
static long try_ready(epoll *e, const cr_op *op, uint32_t events)
{
    uint32_t seen = events & (cr_op_events(op) | ALWAYS);
    if (!seen)
        return -EAGAIN;
    return op->code == CR_OP_POLL ? (long)seen : cr_attempt(e->sys, op);
}

/* Events of a descriptor: complete what they allow, arm again for what is left. */
static void descriptor_ready(epoll *e, int fd, uint32_t events)
{
    struct descriptor *d = &e->descriptors[fd];
    uint32_t left = 0;
    d->armed = 0;
    for (uint32_t slot = d->waiting.first, next; slot; slot = next) {
        cr_op *op = e->slots[slot].op;
        next = e->slots[slot].next;
        long result = try_ready(e, op, events);
        if (result == -EAGAIN) {
            left |= cr_op_events(op);
        } else {
            line_remove(e, &d->waiting, slot);
            finish(e, op, result);
        }
    }
    int err = left ? arm(e, fd, left) : 0;
    if (err < 0)
        tell_waiting(e, d, err);
}

/* A stale event means nothing: whoever waits now is armed under a newer generation. */
static void dispatch(epoll *e, const struct epoll_event *event)
{
    if (event->data.u64 == WAKE_DATA)
        return;
    uint32_t fd = (uint32_t)event->data.u64;
    if (fd < e->descriptors_room && e->descriptors[fd].registered &&
        e->descriptors[fd].generation == (uint32_t)(event->data.u64 >> 32))
        descriptor_ready(e, (int)fd, event->events);
}

/* Those finished by now; what the completions themselves finish comes with the next turn. */
static long deliver(epoll *e)
{
    uint32_t last = e->finished.last;
    long delivered = 0;
    for (uint32_t slot = NONE; slot != last; delivered++) {
        slot = e->finished.first;
        cr_op *op = e->slots[slot].op;
        CR_ASSUME(op != NULL); /* only slots in use stand in a line */
        line_remove(e, &e->finished, slot);
        give_slot(e, slot);
        op->completed(op, op->arg);
    }
    return delivered;
}

/* With something to deliver it only looks. A deadline in the past is no wait, CR_NEVER is all of
 * it; the table rounds up, so that the loop never wakes before its timer. */
static long epoll_turn(cr_backend *backend, int64_t deadline)
{
    epoll *e = cr_container_of(backend, epoll, base);
    int64_t span = 0;
    if (deadline == CR_NEVER)
        span = -1;
    else if (deadline > 0)
        span = deadline - e->sys->now(e->sys->context);
    if (e->finished.first || (span < 0 && deadline != CR_NEVER))
        span = 0;
    int n = e->sys->epoll_wait(e->sys->context, e->fd, e->events, EVENTS_AT_ONCE, span);
    for (int i = 0; i < n; i++)
        dispatch(e, &e->events[i]);
    return deliver(e);
}

/* The eventfd is edge-triggered and never read: each write is an edge. */
static void epoll_wake(cr_backend *backend)
{
    static const uint64_t one = 1;
    epoll *e = cr_container_of(backend, epoll, base);
    (void)e->sys->write(e->sys->context, e->wake_fd, &one, sizeof one);
}

static int epoll_pollable(cr_backend *backend) { return cr_container_of(backend, epoll, base)->fd; }

/* What was cancelled between turns ends in the next one. */
static bool epoll_owes_turn(cr_backend *backend)
{
    return cr_container_of(backend, epoll, base)->finished.first != NONE;
}

static const cr_sys *epoll_sys(cr_backend *backend)
{
    return cr_container_of(backend, epoll, base)->sys;
}

/* They are -1 until they are there, and again after this. */
static void close_descriptors(epoll *e)
{
    const cr_sys *sys = e->sys;
    if (e->wake_fd >= 0)
        sys->close(sys->context, e->wake_fd);
    if (e->fd >= 0)
        sys->close(sys->context, e->fd);
    e->wake_fd = e->fd = -1;
}

/* Also of one that was only half opened. */
static void epoll_close(cr_backend *backend)
{
    epoll *e = cr_container_of(backend, epoll, base);
    const cr_sys *sys = e->sys;
    close_descriptors(e);
    cr_free(sys, e->slots);
    cr_free(sys, e->descriptors);
    cr_free(sys, e);
}

/* What was opened before a failure is closed by the caller, with the rest. */
static int open_descriptors(epoll *e)
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
    epoll *e = cr_container_of(backend, epoll, base);
    close_descriptors(e);
    for (size_t fd = 0; fd < e->descriptors_room; fd++) {
        e->descriptors[fd].registered = false;
        e->descriptors[fd].armed = 0;
    }
}

static uint32_t events_wanted(const epoll *e, const struct descriptor *d)
{
    uint32_t wanted = 0;
    for (uint32_t slot = d->waiting.first; slot; slot = e->slots[slot].next)
        wanted |= cr_op_events(e->slots[slot].op);
    return wanted;
}

/* A descriptor that the child has closed is told to those who wait for it. */
static int epoll_reopen(cr_backend *backend)
{
    epoll *e = cr_container_of(backend, epoll, base);
    int err = open_descriptors(e);
    if (err < 0) {
        close_descriptors(e);
        return err;
    }
    for (size_t fd = 0; fd < e->descriptors_room; fd++) {
        uint32_t wanted = events_wanted(e, &e->descriptors[fd]);
        err = wanted ? arm(e, (int)fd, wanted) : 0;
        if (err < 0)
            tell_waiting(e, &e->descriptors[fd], err);
    }
    return 0;
}

static int epoll_open(const cr_sys *sys, uint64_t seed, cr_backend **ret_backend)
{
    (void)seed;
    epoll *e = cr_alloc_zero(sys, sizeof *e);
    if (!e)
        return -ENOMEM;
    e->base.type = &cr_backend_epoll;
    e->sys = sys;
    e->fd = -1;
    e->wake_fd = -1;
    int err = open_descriptors(e);
    if (err < 0) {
        epoll_close(&e->base);
        return err;
    }
    *ret_backend = &e->base;
    return 0;
}

const cr_backend_type cr_backend_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .submit = epoll_submit,
    .cancel = epoll_cancel,
    .turn = epoll_turn,
    .wake = epoll_wake,
    .pollable = epoll_pollable,
    .owes_turn = epoll_owes_turn,
    .leave_parent = epoll_leave_parent,
    .reopen = epoll_reopen,
    .sys = epoll_sys,
};
