/* SPDX-License-Identifier: MIT */
/* sim.c: the simulator, the reference of the backend contract. Read it first.
 *
 * Owns a virtual clock that jumps: a turn in which nothing completes moves it to the deadline, so
 * that a program that only waits for time takes none. On the way it stops where something arrives
 * over the simulated network, whose sockets are virtual descriptors (world/net.h). Pipes and files
 * are real ones, looked at without waiting; only where nothing is planned, neither a deadline nor
 * an arrival, does the turn wait for them, or for a wake, in real time. Whatever the contract
 * leaves open is one call of choose: with seed 0 the plain order, else a number from the seed, or
 * from a list. Every choice, jump and result goes into the trace's hash, which is thereby equal for
 * equal runs.
 *
 * Operations stand in an array in the order of their submission: few are pending in a simulation,
 * and a scan is easier to trust than an index. */
#include "backend/backend.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "backend/attached.h"
#include "backend/nonblocking.h"
#include "backend/sim.h"
#include "world/net.h"
#include "world/weather.h"
#include "world/world.h"

#define ROOM_FIRST 16

typedef struct pending {
    cr_op *op;
    uint64_t number; /* of the submission: what the hash calls it */
    bool is_file;    /* a regular one, for which no operation waits */
    bool finished;   /* op->result is set; to be delivered */
} pending;

/* woken and the descriptor say the same: the flag is what counts, the descriptor is there to end
 * a wait in real time. */
typedef struct sim {
    cr_backend base;
    cr_world world;
    cr_attached attached;
    cr_attached virtuals; /* those of the simulated network that are attached */
    const cr_sys *real;   /* what the simulator stands on */
    uint64_t submitted;   /* numbers the operations */
    pending *ops;
    struct pollfd *polled; /* room for the operations and the wake descriptor */
    size_t count;
    size_t room;
    int wake_fd; /* an eventfd, readable while woken */
    atomic_bool woken;
} sim;

static sim *sim_of(cr_backend *backend) { return cr_container_of(backend, sim, base); }

static void note(sim *s, uint64_t word) { cr_world_note(&s->world, word); }
static size_t choose(sim *s, size_t n) { return cr_world_choose(&s->world, n); }

static size_t sim_choose(cr_backend *backend, size_t n) { return choose(sim_of(backend), n); }

static uint64_t sim_trace_hash(cr_backend *backend) { return sim_of(backend)->world.hash; }

/* One more for the wake descriptor. Both arrays have grown, or neither counts. */
static int reserve(sim *s)
{
    if (s->count < s->room)
        return 0;
    size_t room = s->room ? 2 * s->room : ROOM_FIRST;
    pending *ops = cr_resize(s->real, s->ops, room * sizeof *ops);
    if (!ops)
        return -ENOMEM;
    s->ops = ops;
    struct pollfd *polled = cr_resize(s->real, s->polled, (room + 1) * sizeof *polled);
    if (!polled)
        return -ENOMEM;
    s->polled = polled;
    s->room = room;
    return 0;
}

/* Two tables, for each is indexed by descriptor, and virtual ones begin far above the real ones. */
static cr_attached *attached_with(sim *s, int fd)
{
    return cr_is_virtual(fd) ? &s->virtuals : &s->attached;
}

/* Of a virtual descriptor: the events that an operation waits for and that are there; those that
 * epoll reports unasked are waited for by all. -EBADF: it is not open any more. */
static int64_t virtual_events(sim *s, const cr_op *op)
{
    int64_t events = cr_net_events(&s->world, op->fd);
    return events < 0 ? events : events & (cr_nonblocking_events(op) | EPOLLERR | EPOLLHUP);
}

/* May it be submitted? 0, -EBADF (its descriptor is closed), -EBUSY (attached, and the operation
 * does not say so). What is attached has said of what kind it is; of other descriptors the kernel
 * is asked, once for each operation. */
static int admit(sim *s, const cr_op *op, bool *ret_is_file)
{
    const cr_sys *sys = &s->world.table;
    const cr_attached *attached = attached_with(s, op->fd);
    struct stat status = { 0 };
    int err = 0;
    if (op->generation)
        err = cr_attached_has(attached, op) ? 0 : -EBADF;
    else if (cr_attached_number(attached, op->fd))
        err = -EBUSY;
    else
        err = sys->stat(sys->context, op->fd, &status);
    *ret_is_file = S_ISREG(status.st_mode);
    return err;
}

/* What an operation comes to now, or -EAGAIN. A file is read at once, whether the kernel has it in
 * memory or not: that must not show. */
static long attempt_whole(sim *s, cr_op *op, bool is_file)
{
    const cr_sys *sys = &s->world.table;
    if (op->code == CR_OP_RECV)
        return cr_nonblocking_receive(&s->base, sys, op);
    if (op->code == CR_OP_SEND)
        return cr_nonblocking_send(sys, op);
    if (op->code != CR_OP_POLL || !cr_is_virtual(op->fd))
        return (is_file ? cr_nonblocking_or_wait : cr_nonblocking)(sys, op);
    int64_t events = virtual_events(s, op);
    return events ? (long)events : -EAGAIN;
}

/* A transfer may be shorter than asked for: half of those that could be are. Not one into a buffer
 * that is still to be taken, whose size says which. */
static long attempt(sim *s, cr_op *op, bool is_file)
{
    size_t whole = op->size;
    bool divisible = op->code != CR_OP_POLL && op->buf && op->size > 1;
    if (divisible && cr_world_perturbed(&s->world) && choose(s, 2))
        op->size = 1 + choose(s, op->size);
    long n = attempt_whole(s, op, is_file);
    op->size = whole;
    return n;
}

/* Noted in the hash like a completion: what was done at once is part of the run. */
static enum cr_submitted done(sim *s, cr_op *op, long result)
{
    note(s, (uint64_t)result);
    op->result = result;
    return CR_DONE_NOW;
}

/* What could be done now is done now, or found done by a later turn: the contract allows both. */
static enum cr_submitted sim_submit(cr_backend *backend, cr_op *op)
{
    sim *s = sim_of(backend);
    bool is_file;
    int err = admit(s, op, &is_file);
    if (!err)
        err = reserve(s);
    if (err < 0)
        return done(s, op, err);
    if (op->code != CR_OP_POLL && choose(s, 2) == 0) {
        long result = attempt(s, op, is_file);
        if (result != -EAGAIN)
            return done(s, op, result);
    }
    s->ops[s->count++] = (pending){ .op = op, .number = s->submitted++, .is_file = is_file };
    return CR_PENDING;
}

static int sim_attach(cr_backend *backend, int fd, enum cr_fd_kind kind, cr_fd *ret_fd)
{
    sim *s = sim_of(backend);
    (void)kind;
    return cr_attached_add(attached_with(s, fd), s->real, fd, ret_fd);
}

static void sim_close_fd(cr_backend *backend, cr_fd fd)
{
    sim *s = sim_of(backend);
    cr_attached_remove(attached_with(s, fd.number), fd);
    (void)s->world.table.close(s->world.table.context, fd.number);
}

static void sim_detach(cr_backend *backend, cr_fd fd)
{
    cr_attached_remove(attached_with(sim_of(backend), fd.number), fd);
}

/* The contract's slow way: it is marked here and delivered by the turn. */
static void sim_cancel(cr_backend *backend, cr_op *op)
{
    sim *s = sim_of(backend);
    for (size_t i = 0; i < s->count; i++)
        if (s->ops[i].op == op && !s->ops[i].finished) {
            s->ops[i].finished = true;
            op->result = -ECANCELED;
        }
}

static void sim_cancel_all(cr_backend *backend)
{
    sim *s = sim_of(backend);
    for (size_t i = 0; i < s->count; i++)
        sim_cancel(backend, s->ops[i].op);
}

/* Try what is ready. Has it finished by that? */
static bool try_ready(sim *s, pending *p, bool ready)
{
    if (p->finished || !ready)
        return false;
    long result = attempt(s, p->op, p->is_file);
    p->finished = result != -EAGAIN;
    p->op->result = result;
    return p->finished;
}

/* Mark what has finished of virtual descriptors: how much has, by now. */
static size_t find_virtual(sim *s)
{
    size_t finished = 0;
    for (size_t i = 0; i < s->count; i++) {
        pending *p = &s->ops[i];
        try_ready(s, p, cr_is_virtual(p->op->fd) && virtual_events(s, p->op));
        finished += p->finished;
    }
    return finished;
}

/* Wait in real time, at most span, for a real descriptor or a wake; mark what has finished. Gives
 * how much has. Without a wait the kernel is asked only for what is the kernel's: a wake shows in
 * the flag. */
static size_t find_finished(sim *s, int64_t span)
{
    size_t finished = find_virtual(s), real = 0;
    for (size_t i = 0; i < s->count; i++) {
        const pending *p = &s->ops[i];
        bool waits = !p->finished && !cr_is_virtual(p->op->fd);
        s->polled[i].fd = waits ? p->op->fd : -1;
        s->polled[i].events = (short)cr_nonblocking_events(p->op);
        real += waits;
    }
    if (real == 0 && (finished > 0 || span == 0))
        return finished;
    s->polled[s->count] = (struct pollfd){ .fd = s->wake_fd, .events = POLLIN };
    if (s->real->poll(s->real->context, s->polled, s->count + 1, finished ? 0 : span) <= 0)
        return finished;
    for (size_t i = 0; i < s->count; i++)
        finished += try_ready(s, &s->ops[i], s->polled[i].revents != 0);
    return finished;
}

/* Take the n-th finished operation out of the array, keeping the order of the others. */
static pending take_finished(sim *s, size_t n)
{
    size_t at = 0;
    while (!s->ops[at].finished || n-- > 0)
        at++;
    pending taken = s->ops[at];
    memmove(s->ops + at, s->ops + at + 1, (--s->count - at) * sizeof *s->ops);
    return taken;
}

/* As many as were found; what their completions submit or cancel meanwhile comes with the next
 * turn. The order is open. */
static long deliver(sim *s, size_t finished)
{
    for (size_t left = finished; left > 0; left--) {
        pending taken = take_finished(s, left > 1 ? choose(s, left) : 0);
        note(s, taken.number);
        note(s, (uint64_t)taken.op->result);
        taken.op->completed(taken.op, taken.op->arg);
    }
    return (long)finished;
}

/* Whether wake was called since the last time; empties the descriptor, so that it wakes once. */
static bool take_wake(sim *s)
{
    uint64_t count;
    if (!atomic_exchange(&s->woken, false))
        return false;
    (void)s->real->read(s->real->context, s->wake_fd, &count, sizeof count);
    return true;
}

void cr_sim_pass(cr_backend *backend, int64_t instant)
{
    cr_world_pass(&sim_of(backend)->world, instant);
}

/* When something happens by itself, the deadline included. */
static int64_t next_instant(const sim *s, int64_t deadline)
{
    int64_t arrival = cr_net_next(&s->world);
    return arrival < deadline ? arrival : deadline;
}

/* A real descriptor may become ready at any time; a virtual one only by what a task does, or what
 * is on its way. */
static bool sim_hopeless(cr_backend *backend)
{
    sim *s = sim_of(backend);
    if (cr_net_next(&s->world) != CR_NEVER)
        return false;
    for (size_t i = 0; i < s->count; i++) {
        const pending *p = &s->ops[i];
        if (p->finished || !cr_is_virtual(p->op->fd) || virtual_events(s, p->op))
            return false;
    }
    return true;
}

/* Real descriptors are looked at first, so that a program that reads a pipe sees what is there
 * before time passes. Time jumps only where nothing else has happened: that is the whole
 * simulation. It stops at each arrival on the way that completes something. Where the last one has
 * left no hope the caller learns of it before it waits for ever. */
static long sim_turn(cr_backend *backend, int64_t deadline)
{
    sim *s = sim_of(backend);
    bool woken = take_wake(s);
    bool quiet = cr_net_next(&s->world) == CR_NEVER;
    cr_net_deliver(&s->world);
    size_t finished = s->count ? find_finished(s, 0) : 0;
    while (!finished && !woken && deadline > cr_world_now(&s->world)) {
        int64_t next = next_instant(s, deadline);
        if (next == CR_NEVER && !quiet && sim_hopeless(backend))
            break;
        if (next == CR_NEVER) {
            finished = find_finished(s, -1);
            woken = take_wake(s);
            continue;
        }
        if (next > cr_world_now(&s->world))
            cr_world_pass(&s->world, next);
        cr_net_deliver(&s->world);
        finished = find_virtual(s);
    }
    return deliver(s, finished);
}

/* From other threads too, which exist under the simulator as well. */
static void sim_wake(cr_backend *backend)
{
    static const uint64_t one = 1;
    sim *s = sim_of(backend);
    if (!atomic_exchange(&s->woken, true))
        (void)s->real->write(s->real->context, s->wake_fd, &one, sizeof one);
}

/* No other loop can wait for a clock that jumps. */
static int sim_pollable(cr_backend *backend)
{
    (void)backend;
    return -ENOTSUP;
}

static const cr_sys *sim_table(cr_backend *backend) { return &sim_of(backend)->world.table; }

static void sim_leave_parent(cr_backend *backend)
{
    sim *s = sim_of(backend);
    if (s->wake_fd >= 0)
        s->real->close(s->real->context, s->wake_fd);
    s->wake_fd = -1;
    atomic_store(&s->woken, false);
}

static int sim_reopen(cr_backend *backend)
{
    sim *s = sim_of(backend);
    s->wake_fd = s->real->eventfd(s->real->context, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    return s->wake_fd < 0 ? s->wake_fd : 0;
}

/* Also of one that was only half opened. */
static void sim_close(cr_backend *backend)
{
    sim *s = sim_of(backend);
    const cr_sys *real = s->real;
    if (s->wake_fd >= 0)
        real->close(real->context, s->wake_fd);
    cr_world_deinit(&s->world);
    cr_buffers_deinit(&s->base.buffers);
    cr_free(real, s->attached.generations);
    cr_free(real, s->virtuals.generations);
    cr_free(real, s->ops);
    cr_free(real, s->polled);
    cr_free(real, s);
}

/* The given table is what the simulator itself stands on: memory, descriptors, real waiting. */
static int sim_open(const cr_sys *sys, uint64_t seed, cr_backend **ret_backend)
{
    sim *s = cr_alloc_zero(sys, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->base.type = &cr_backend_sim;
    s->real = sys;
    s->virtuals.first = CR_VIRTUAL_FIRST;
    cr_world_init(&s->world, sys, seed);
    cr_buffers_init(&s->base.buffers, sys);
    atomic_init(&s->woken, false);
    s->wake_fd = sys->eventfd(sys->context, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = s->wake_fd < 0 ? s->wake_fd : reserve(s);
    if (err < 0) {
        sim_close(&s->base);
        return err;
    }
    *ret_backend = &s->base;
    return 0;
}

void cr_sim_follow(cr_backend *backend, const char *choices, bool continued, int to)
{
    cr_world_follow(&sim_of(backend)->world, choices, continued, to);
}

/* The options have been looked at before. */
void cr_sim_weather(cr_backend *backend, const char *text)
{
    cr_weather weather;
    const char *why;
    if (cr_weather_read(text, &weather, &why) == 0)
        cr_weather_set(&sim_of(backend)->world, &weather);
}

cr_world *cr_sim_world(cr_backend *backend) { return &sim_of(backend)->world; }

const cr_backend_type cr_backend_sim = {
    .name = "sim",
    .open = sim_open,
    .close = sim_close,
    .submit = sim_submit,
    .attach = sim_attach,
    .close_fd = sim_close_fd,
    .detach = sim_detach,
    .cancel = sim_cancel,
    .cancel_all = sim_cancel_all,
    .turn = sim_turn,
    .hopeless = sim_hopeless,
    .wake = sim_wake,
    .pollable = sim_pollable,
    .leave_parent = sim_leave_parent,
    .reopen = sim_reopen,
    .sys = sim_table,
    .choose = sim_choose,
    .trace_hash = sim_trace_hash,
};
