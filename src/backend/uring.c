/* SPDX-License-Identifier: MIT */
/* uring.c: the completion backend, on io_uring.
 *
 * Owns: the ring and its mappings, the table of operations in flight, the eventfd behind wake. Does
 * not own the operations. Submissions gather in the submission ring and go to the kernel together
 * with the wait: one system call per turn, none for a turn that only looks and finds nothing. No
 * thread of the kernel's polls for us (SQPOLL): it would cost a core that the program may want.
 *
 * Invariants: a slot has at most one request of its own in the kernel, so its buffer is free again
 * when its completion has been seen, never earlier. What the kernel carries is slot and generation;
 * a completion for an older generation is dropped. An operation that finds the submission ring full
 * waits in the backlog: taking one never fails for lack of room in the ring.
 *
 * A cancel is a request like others and may be overtaken by the result; so it is never the
 * cancel that completes an operation, but its own completion, whatever that says. */
#include "backend/backend.h"

#include "base/check.h"
#include "backend/attached.h"
#include "backend/nonblocking.h"
#include "backend/provided.h"
#include "backend/requests.h"
#include "backend/slots.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

/* So many SENDs of a pass are calls: for few, two entries in the rings cost more than one. */
#define SENDS_NOW 3
#define TAG_WAKE UINT64_MAX
#define TAG_CANCEL (UINT64_MAX - 1)

/* wake_armed is what the kernel has said last: a multishot poll may end by itself, and is then
 * armed again by the next turn. */
struct uring {
    cr_backend base;
    const cr_sys *sys;
    cr_ring ring;
    int wake_fd; /* an eventfd: see wake */
    bool wake_armed;
    bool embedded;  /* another loop waits for us: nothing may stay in the submission ring */
    unsigned sends; /* that were tried since the last turn */
    cr_slots slots;
    cr_attached attached;
    cr_provided provided;
};

static struct uring *uring_of(cr_backend *backend)
{
    return cr_container_of(backend, struct uring, base);
}

/* The one final completion. A slot that still stands in the backlog is freed when it leaves it.
 * The slot is free before the submitter is called, which may submit at once. */
static long finish(struct uring *uring, uint32_t index, long result)
{
    cr_slot *slot = &uring->slots.all[index];
    cr_op *op = slot->op;
    slot->op = NULL;
    slot->state = CR_SLOT_FREE;
    slot->generation++;
    uring->slots.live--;
    if (!slot->in_backlog)
        cr_slots_give(&uring->slots, index);
    cr_requests_announce(op, result);
    op->result = result;
    op->completed(op, op->arg);
    return 1;
}

/* Requests. */

static bool request_cancel(struct uring *uring, uint64_t tag)
{
    return cr_requests_cancel(uring->sys, &uring->ring, tag, TAG_CANCEL);
}

static bool is_transfer_of_file(const cr_op *op)
{
    return op->code == CR_OP_READ || op->code == CR_OP_WRITE;
}

static bool is_provided(struct uring *uring, const cr_op *op)
{
    return cr_provided_serves(op) &&
           cr_provided_ready(&uring->provided, uring->sys, &uring->ring, &uring->base.buffers);
}

static bool is_socket_send(const cr_op *op)
{
    return op->code == CR_OP_SEND && op->kind < CR_FD_PIPE;
}

/* Other RECVs and SENDs were tried in vain: the kernel is asked to poll for them. */
static bool issue(struct uring *uring, uint32_t index)
{
    cr_slot *slot = &uring->slots.all[index];
    const cr_op *op = slot->op;
    cr_ring *ring = &uring->ring;
    uint64_t tag = cr_slots_tag(&uring->slots, index);
    bool issued;
    slot->state = CR_SLOT_ISSUED;
    if (is_transfer_of_file(op)) {
        issued = cr_requests_transfer(uring->sys, ring, op, tag);
    } else if (is_provided(uring, op)) {
        issued = cr_requests_receive(uring->sys, ring, op, tag);
    } else if (is_socket_send(op)) {
        issued = cr_requests_send(uring->sys, ring, op, tag);
    } else {
        issued = cr_requests_poll(uring->sys, ring, op, tag);
        if (op->code != CR_OP_POLL)
            slot->state = CR_SLOT_POLLING;
    }
    if (!issued)
        slot->state = CR_SLOT_WAITING;
    return issued;
}

/* No operation overtakes the backlog, or one might wait there for ever. */
static void issue_or_wait(struct uring *uring, uint32_t index)
{
    uring->slots.all[index].state = CR_SLOT_WAITING;
    if (uring->slots.backlog_head != CR_SLOT_NONE || !issue(uring, index))
        cr_slots_join(&uring->slots, index);
}

/* Descriptors that do not wait in the kernel (a terminal set to O_NONBLOCK, say) are polled
 * first. Without room for the poll, the operation is simply tried again later. The poll takes
 * the slot's place in the kernel: still one request per slot. */
static void poll_first(struct uring *uring, uint32_t index)
{
    cr_slot *slot = &uring->slots.all[index];
    if (cr_requests_poll(uring->sys, &uring->ring, slot->op, cr_slots_tag(&uring->slots, index)))
        slot->state = CR_SLOT_POLLING;
    else
        issue_or_wait(uring, index);
}

/* Do for one slot of the backlog what it waits for. False when there is no room. */
static bool serve_waiting(struct uring *uring, uint32_t index, long *delivered)
{
    cr_slot *slot = &uring->slots.all[index];
    if (slot->state == CR_SLOT_WAITING && !slot->cancelled)
        return issue(uring, index);
    if (slot->state == CR_SLOT_ISSUED || slot->state == CR_SLOT_POLLING)
        return request_cancel(uring, cr_slots_tag(&uring->slots, index));
    if (slot->state == CR_SLOT_WAITING)
        *delivered += finish(uring, index, -ECANCELED);
    return true;
}

/* The head is taken off after it was served: with no room it stays the first. */
static long run_backlog(struct uring *uring)
{
    long delivered = 0;
    while (uring->slots.backlog_head != CR_SLOT_NONE) {
        uint32_t index = uring->slots.backlog_head;
        if (!serve_waiting(uring, index, &delivered))
            break;
        cr_slot *slot = &uring->slots.all[index];
        uring->slots.backlog_head = slot->next;
        slot->in_backlog = false;
        if (slot->state == CR_SLOT_FREE)
            cr_slots_give(&uring->slots, index);
    }
    return delivered;
}

/* Completions. */

/* RECV or SEND of an attached descriptor. Of a stream's socket fewer bytes than there was room for
 * are all that had come. */
static long transfer_now(struct uring *uring, cr_op *op)
{
    if (op->code == CR_OP_SEND)
        return cr_nonblocking_send(uring->sys, op);
    long n = cr_nonblocking_receive(&uring->base, uring->sys, op);
    op->drained = op->kind == CR_FD_TCP && n > 0 && (size_t)n < op->size;
    return n;
}

/* -EAGAIN is no answer for a completion backend: the file is polled and tried again; and a poll
 * that has come leads to a new try. One asked to end meanwhile is not tried again. */
static long on_result(struct uring *uring, uint32_t index, long result)
{
    cr_slot *slot = &uring->slots.all[index];
    bool polled = slot->state == CR_SLOT_POLLING, unsure = cr_requests_unsure(slot->op, result);
    if (unsure)
        result = cr_nonblocking(uring->sys, slot->op);
    bool tries = slot->op->code != CR_OP_POLL || unsure;
    bool again = polled ? result >= 0 : tries && (result == -EAGAIN || result == -EINTR);
    if (again && slot->cancelled)
        return finish(uring, index, -ECANCELED);
    if (again && polled && !is_transfer_of_file(slot->op)) {
        result = transfer_now(uring, slot->op);
        again = result == -EAGAIN;
    }
    if (!again)
        return finish(uring, index, result);
    if (polled || unsure || result == -EINTR)
        issue_or_wait(uring, index);
    else
        poll_first(uring, index);
    return 0;
}

/* The slot's operation is to end early. Without room for the cancel the backlog asks for it. */
static void end_early(struct uring *uring, uint32_t index)
{
    cr_slot *slot = &uring->slots.all[index];
    if (slot->cancelled)
        return;
    slot->cancelled = true;
    bool with_kernel = slot->state != CR_SLOT_WAITING;
    if (with_kernel && !request_cancel(uring, cr_slots_tag(&uring->slots, index)))
        cr_slots_join(&uring->slots, index);
}

static bool is_multishot(const cr_op *op) { return op->code == CR_OP_POLL && !op->events; }

/* Of a poll for no event by name: what it waits for has come, or the end of one half. It is over
 * when the kernel has ended it, which it is asked for. */
static long on_events(struct uring *uring, uint32_t index, const cr_ring_completion *taken)
{
    cr_slot *slot = &uring->slots.all[index];
    if (taken->result > 0 && !slot->seen)
        slot->seen = (uint32_t)taken->result & (EPOLLERR | EPOLLHUP);
    if (taken->flags & IORING_CQE_F_MORE) {
        if (slot->seen)
            end_early(uring, index);
        return 0;
    }
    if (slot->seen || taken->result < 0)
        return finish(uring, index, slot->seen ? (long)slot->seen : taken->result);
    if (slot->cancelled)
        return finish(uring, index, -ECANCELED);
    issue_or_wait(uring, index);
    return 0;
}

/* Late completions of a slot that has been used again are recognised by the generation. */
static long on_completion(struct uring *uring, const cr_ring_completion *taken)
{
    if (taken->tag == TAG_CANCEL)
        return 0;
    if (taken->tag == TAG_WAKE) {
        uring->wake_armed = taken->flags & IORING_CQE_F_MORE;
        return 0;
    }
    uint32_t index = (uint32_t)taken->tag;
    CR_ASSERT(index < uring->slots.count);
    cr_slot *slot = &uring->slots.all[index];
    bool ours = slot->state == CR_SLOT_ISSUED || slot->state == CR_SLOT_POLLING;
    if (!ours || slot->generation != taken->tag >> 32)
        return 0;
    if (is_multishot(slot->op))
        return on_events(uring, index, taken);
    long result = taken->result;
    if (slot->state == CR_SLOT_ISSUED && slot->op->code == CR_OP_RECV)
        result = cr_provided_received(&uring->provided, &uring->base.buffers, slot->op, taken);
    return on_result(uring, index, result);
}

/* Deliver what has completed until now; what completes meanwhile is for the next turn. */
static long reap(struct uring *uring)
{
    cr_ring *ring = &uring->ring;
    long delivered = 0;
    for (unsigned n = cr_ring_completed(ring); n > 0; n--) {
        cr_ring_completion taken = cr_ring_take(ring);
        delivered += on_completion(uring, &taken);
    }
    return delivered;
}

/* Without room it is armed by a later turn, which does not wait before it is. */
static void arm_wake(struct uring *uring)
{
    if (!uring->wake_armed)
        uring->wake_armed = cr_requests_poll_on(uring->sys, &uring->ring, uring->wake_fd, TAG_WAKE);
}

/* The contract's calls. */

/* Another loop sleeps on our descriptor, which tells only of what the kernel has been given. */
static void flush_embedded(struct uring *uring)
{
    if (uring->embedded && cr_ring_unsubmitted(&uring->ring))
        cr_ring_enter(uring->sys, &uring->ring, 0, 0);
}

/* A wait that a signal or its limit has ended runs no completions. They are run now: what is due is
 * taken behind this turn, and a loop that had no processor for long would give up what has come. */
static void enter_and_wait(struct uring *uring, int64_t timeout)
{
    cr_ring_enter(uring->sys, &uring->ring, 1, timeout);
    if (!cr_ring_completed(&uring->ring) && cr_ring_worth_entering(&uring->ring))
        cr_ring_enter(uring->sys, &uring->ring, 0, 0);
}

/* What the ring had no room for must not sleep behind a wait: then the turn only looks. */
static long turn(cr_backend *backend, int64_t deadline)
{
    struct uring *uring = uring_of(backend);
    const cr_sys *sys = uring->sys;
    uring->sends = 0;
    arm_wake(uring);
    long delivered = run_backlog(uring);
    int64_t timeout = deadline;
    if (deadline != CR_NEVER && deadline > 0)
        timeout = deadline - sys->now(sys->context);
    bool settled = uring->slots.backlog_head == CR_SLOT_NONE && uring->wake_armed;
    bool wait = timeout > 0 && settled && !delivered && !cr_ring_completed(&uring->ring);
    if (wait)
        enter_and_wait(uring, timeout);
    else if (cr_ring_worth_entering(&uring->ring))
        cr_ring_enter(sys, &uring->ring, 0, 0);
    delivered += reap(uring);
    if (CR_UNLIKELY(uring->embedded)) {
        arm_wake(uring);
        flush_embedded(uring);
    }
    return delivered;
}

static enum cr_submitted refuse(cr_op *op, long result)
{
    op->result = result;
    return CR_DONE_NOW;
}

/* Would the kernel do it as well with the wait? A RECV that would find nothing, and a SEND that is
 * one of several. */
static bool is_for_turn(struct uring *uring, const cr_op *op)
{
    if (op->code == CR_OP_RECV)
        return op->drained && is_provided(uring, op);
    return is_socket_send(op) && uring->sends++ >= SENDS_NOW;
}

/* Other RECVs and SENDs are tried first. All others go to the kernel with the wait, and may be
 * found done then. */
static enum cr_submitted submit(cr_backend *backend, cr_op *op)
{
    struct uring *uring = uring_of(backend);
    bool transfers = op->code == CR_OP_RECV || op->code == CR_OP_SEND;
    if (op->code > CR_OP_SEND)
        return refuse(op, -EINVAL);
    if ((transfers || op->generation) && !cr_attached_has(&uring->attached, op))
        return refuse(op, -EBADF);
    if (!op->generation && cr_attached_number(&uring->attached, op->fd))
        return refuse(op, -EBUSY);
    long result = transfers && !is_for_turn(uring, op) ? transfer_now(uring, op) : -EAGAIN;
    if (result != -EAGAIN)
        return refuse(op, result);
    if (!cr_slots_take(&uring->slots, uring->sys, op))
        return refuse(op, -ENOMEM);
    issue_or_wait(uring, op->slot);
    flush_embedded(uring);
    return CR_PENDING;
}

static int attach(cr_backend *backend, int fd, enum cr_fd_kind kind, cr_fd *ret_fd)
{
    struct uring *uring = uring_of(backend);
    (void)kind;
    return cr_attached_add(&uring->attached, uring->sys, fd, ret_fd);
}

/* A request holds its file, but none is pending: so the kernel closes it at once. */
static void close_fd(cr_backend *backend, cr_fd fd)
{
    struct uring *uring = uring_of(backend);
    cr_attached_remove(&uring->attached, fd);
    (void)uring->sys->close(uring->sys->context, fd.number);
}

static void detach(cr_backend *backend, cr_fd fd)
{
    cr_attached_remove(&uring_of(backend)->attached, fd);
}

/* Not given to the kernel yet: the backlog ends it in the next turn, since completions come only
 * from there. */
static void cancel(cr_backend *backend, cr_op *op)
{
    struct uring *uring = uring_of(backend);
    CR_ASSERT(uring->slots.all[op->slot].op == op);
    end_early(uring, op->slot);
    flush_embedded(uring);
}

static void cancel_all(cr_backend *backend)
{
    const cr_slots *slots = &uring_of(backend)->slots;
    for (uint32_t i = 0; i < slots->count; i++)
        if (slots->all[i].state != CR_SLOT_FREE)
            cancel(backend, slots->all[i].op);
}

/* A request holds its file until the kernel has run what the cancel leaves of it: our thread does
 * that when it enters, another that had made the request does so when it next leaves the kernel, a
 * thread of the kernel's where that one has ended. The completion shows that it was run; of another
 * thread the file may go a moment later, but before the ring's lock does, which the second cancel
 * waits for. Where the completion does not show, the next turn must do. */
static void let_go(cr_backend *backend, cr_op *op)
{
    enum { TRIES = 50 };
    struct uring *uring = uring_of(backend);
    cr_ring *ring = &uring->ring;
    const cr_slot *slot = &uring->slots.all[op->slot];
    uint64_t tag = cr_slots_tag(&uring->slots, op->slot);
    if (!ring->enabled || slot->state == CR_SLOT_WAITING || slot->in_backlog)
        return;
    cr_ring_enter(uring->sys, ring, 0, 0);
    for (int i = 0; i < TRIES && !cr_ring_has(ring, tag); i++)
        cr_ring_enter(uring->sys, ring, cr_ring_completed(ring) + 1, CR_SECOND / 1000);
    if (!ring->deferred && request_cancel(uring, tag))
        cr_ring_enter(uring->sys, ring, 0, 0);
}

/* The eventfd is never read: each write is an event of the multishot poll. */
static void wake(cr_backend *backend)
{
    struct uring *uring = uring_of(backend);
    static const uint64_t one = 1;
    (void)uring->sys->write(uring->sys->context, uring->wake_fd, &one, sizeof one);
}

static const cr_sys *sys_of(cr_backend *backend) { return uring_of(backend)->sys; }

/* The ring is taken down by the kernel in its own time; the poll behind wake is ended before, so
 * that nothing of ours is in it any more. Another thread than the ring's may not, and need not. */
static void end_wake(struct uring *uring)
{
    cr_ring *ring = &uring->ring;
    if (!uring->wake_armed || !ring->enabled || !request_cancel(uring, TAG_WAKE))
        return;
    const cr_sys *sys = uring->sys;
    while (uring->wake_armed) {
        cr_uring_enter asked = {
            .submit = cr_ring_unsubmitted(ring),
            .wait = 1,
            .flags = IORING_ENTER_GETEVENTS,
        };
        if (sys->uring_enter(sys->context, ring->fd, &asked) < 0)
            return;
        reap(uring);
    }
}

/* Another ring in its place, of the kind whose completions wake a poll of its descriptor.
 * Operations in flight cannot move to it. */
static int replace_ring(struct uring *uring)
{
    cr_ring ring;
    if (uring->slots.live > 0)
        return -EBUSY;
    int result = cr_ring_open(uring->sys, &ring, true);
    if (result < 0)
        return result;
    end_wake(uring);
    cr_ring_close(uring->sys, &uring->ring);
    cr_provided_close(&uring->provided, uring->sys, &uring->base.buffers, true);
    uring->ring = ring;
    uring->wake_armed = false;
    return 0;
}

/* The ring itself: it is readable as soon as something can be completed. */
static int pollable(cr_backend *backend)
{
    struct uring *uring = uring_of(backend);
    int result = uring->ring.deferred ? replace_ring(uring) : 0;
    if (result < 0)
        return result;
    uring->embedded = true;
    arm_wake(uring);
    flush_embedded(uring);
    return uring->ring.enabled ? uring->ring.fd : -ENOTSUP;
}

/* What the kernel has refused to take until now, or had no room for. */
static bool owes_turn(cr_backend *backend)
{
    const struct uring *uring = uring_of(backend);
    return uring->slots.backlog_head != CR_SLOT_NONE || cr_ring_unsubmitted(&uring->ring);
}

/* Every operation has come back, so the kernel has no buffer of theirs any more. */
static void close_backend(cr_backend *backend)
{
    struct uring *uring = uring_of(backend);
    const cr_sys *sys = uring->sys;
    CR_ASSERT(uring->slots.live == 0);
    end_wake(uring);
    cr_ring_close(sys, &uring->ring);
    cr_provided_close(&uring->provided, sys, &uring->base.buffers, true);
    if (uring->wake_fd >= 0)
        sys->close(sys->context, uring->wake_fd);
    cr_buffers_deinit(&uring->base.buffers);
    cr_free(sys, uring->attached.generations);
    cr_free(sys, uring->slots.all);
    cr_free(sys, uring);
}

/* What the kernel has of each operation is the parent's: here they stand in the backlog. */
static void leave_parent(cr_backend *backend)
{
    struct uring *uring = uring_of(backend);
    cr_ring_leave(uring->sys, &uring->ring);
    cr_provided_close(&uring->provided, uring->sys, &uring->base.buffers, false);
    if (uring->wake_fd >= 0)
        uring->sys->close(uring->sys->context, uring->wake_fd);
    uring->wake_fd = -1;
    uring->wake_armed = false;
    for (uint32_t index = 0; index < uring->slots.count; index++) {
        cr_slot *slot = &uring->slots.all[index];
        if (slot->state == CR_SLOT_FREE)
            continue;
        slot->state = CR_SLOT_WAITING;
        cr_slots_join(&uring->slots, index);
    }
}

static int reopen(cr_backend *backend)
{
    struct uring *uring = uring_of(backend);
    int fd = uring->sys->eventfd(uring->sys->context, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return fd;
    cr_ring ring;
    int result = cr_ring_open(uring->sys, &ring, true);
    if (result < 0) {
        uring->sys->close(uring->sys->context, fd);
        return result;
    }
    uring->ring = ring;
    uring->wake_fd = fd;
    return 0;
}

/* The ring is not enabled here: the kernel ties it to the thread that enables it, and a loop may
 * be made on another than the one that runs it. One that is shared is tied to none. */
static int open_ring(const cr_sys *sys, bool shared, cr_backend **ret_backend)
{
    struct uring *uring = cr_alloc_zero(sys, sizeof *uring);
    if (!uring)
        return -ENOMEM;
    *uring = (struct uring){ .base.type = &cr_backend_uring, .sys = sys };
    cr_slots_init(&uring->slots);
    cr_buffers_init(&uring->base.buffers, sys);
    int result = cr_ring_open(sys, &uring->ring, shared);
    if (result < 0) {
        cr_free(sys, uring);
        return result;
    }
    uring->wake_fd = sys->eventfd(sys->context, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (uring->wake_fd < 0) {
        result = uring->wake_fd;
        cr_ring_close(sys, &uring->ring);
        cr_free(sys, uring);
        return result;
    }
    *ret_backend = &uring->base;
    return 0;
}

static int open_backend(const cr_sys *sys, uint64_t seed, cr_backend **ret_backend)
{
    (void)seed;
    return open_ring(sys, false, ret_backend);
}

int cr_uring_open_shared(const cr_sys *sys, cr_backend **ret_backend)
{
    return open_ring(sys, true, ret_backend);
}

const cr_backend_type cr_backend_uring = {
    .name = "uring",
    .open = open_backend,
    .close = close_backend,
    .submit = submit,
    .attach = attach,
    .close_fd = close_fd,
    .detach = detach,
    .cancel = cancel,
    .cancel_all = cancel_all,
    .let_go = let_go,
    .turn = turn,
    .wake = wake,
    .pollable = pollable,
    .owes_turn = owes_turn,
    .leave_parent = leave_parent,
    .reopen = reopen,
    .sys = sys_of,
};
