/* SPDX-License-Identifier: MIT */
/* uring.c: the completion backend, on io_uring.
 *
 * Files are read and written by requests, POLLs are requests. Bytes of attached descriptors are
 * moved by calls, when polls that go on say so: uring_attached.c.
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
#include "backend/uring.h"

#include "base/check.h"
#include "backend/nonblocking.h"
#include "backend/requests.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

/* So many completions are looked at in one turn: what they bring is still in the processor's cache
 * when the tasks run that wait for it. */
#define AT_ONCE 16

static cr_uring *uring_of(cr_backend *backend) { return cr_container_of(backend, cr_uring, base); }

/* The one final completion. A slot that still stands in the backlog is freed when it leaves it.
 * The slot is free before the submitter is called, which may submit at once. */
static long finish(cr_uring *uring, uint32_t index, long result)
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

static bool request_cancel(cr_uring *uring, uint64_t tag)
{
    return cr_requests_cancel(uring->sys, &uring->ring, tag, CR_TAG_CANCEL);
}

static bool issue(cr_uring *uring, uint32_t index)
{
    cr_slot *slot = &uring->slots.all[index];
    const cr_op *op = slot->op;
    cr_ring *ring = &uring->ring;
    uint64_t tag = cr_slots_tag(&uring->slots, index);
    bool issued;
    slot->state = CR_SLOT_ISSUED;
    if (op->code == CR_OP_POLL)
        issued = cr_requests_poll(uring->sys, ring, op, tag);
    else
        issued = cr_requests_transfer(uring->sys, ring, op, tag);
    if (!issued)
        slot->state = CR_SLOT_WAITING;
    return issued;
}

/* No operation overtakes the backlog, or one might wait there for ever. */
static void issue_or_wait(cr_uring *uring, uint32_t index)
{
    uring->slots.all[index].state = CR_SLOT_WAITING;
    if (uring->slots.backlog_head != CR_SLOT_NONE || !issue(uring, index))
        cr_slots_join(&uring->slots, index);
}

/* Descriptors that do not wait in the kernel (a terminal set to O_NONBLOCK, say) are polled
 * first. Without room for the poll, the operation is simply tried again later. The poll takes
 * the slot's place in the kernel: still one request per slot. */
static void poll_first(cr_uring *uring, uint32_t index)
{
    cr_slot *slot = &uring->slots.all[index];
    if (cr_requests_poll(uring->sys, &uring->ring, slot->op, cr_slots_tag(&uring->slots, index)))
        slot->state = CR_SLOT_POLLING;
    else
        issue_or_wait(uring, index);
}

/* Do for one slot of the backlog what it waits for. False when there is no room. */
static bool serve_waiting(cr_uring *uring, uint32_t index, long *delivered)
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
static long run_backlog(cr_uring *uring)
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

/* -EAGAIN is no answer for a completion backend: the file is polled and tried again; and a poll
 * that has come leads to a new try. One asked to end meanwhile is not tried again. */
static long on_result(cr_uring *uring, uint32_t index, long result)
{
    cr_slot *slot = &uring->slots.all[index];
    bool polled = slot->state == CR_SLOT_POLLING, unsure = cr_requests_unsure(slot->op, result);
    if (unsure)
        result = cr_nonblocking(uring->sys, slot->op);
    bool tries = slot->op->code != CR_OP_POLL || unsure;
    bool again = polled ? result >= 0 : tries && (result == -EAGAIN || result == -EINTR);
    if (again && slot->cancelled)
        return finish(uring, index, -ECANCELED);
    if (!again)
        return finish(uring, index, result);
    if (polled || unsure || result == -EINTR)
        issue_or_wait(uring, index);
    else
        poll_first(uring, index);
    return 0;
}

/* The slot's operation is to end early. Without room for the cancel the backlog asks for it. */
static void end_early(cr_uring *uring, uint32_t index)
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
static long on_events(cr_uring *uring, uint32_t index, const cr_ring_completion *taken)
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
static long on_completion(cr_uring *uring, const cr_ring_completion *taken)
{
    if (taken->tag == CR_TAG_CANCEL)
        return 0;
    if (taken->tag == CR_TAG_WAKE) {
        uring->wake_armed = taken->flags & IORING_CQE_F_MORE;
        return 0;
    }
    if (cr_uring_attached_is_event(taken->tag))
        return cr_uring_attached_event(uring, taken);
    uint32_t index = (uint32_t)taken->tag;
    CR_ASSERT(index < uring->slots.count);
    cr_slot *slot = &uring->slots.all[index];
    bool ours = slot->state == CR_SLOT_ISSUED || slot->state == CR_SLOT_POLLING;
    if (!ours || slot->generation != taken->tag >> 32)
        return 0;
    if (taken->result == -ECANCELED && !slot->cancelled) {
        issue_or_wait(uring, index); /* the thread has ended that had submitted it */
        return 0;
    }
    if (is_multishot(slot->op))
        return on_events(uring, index, taken);
    return on_result(uring, index, taken->result);
}

/* What completes meanwhile is for a later turn. */
CR_HOT static long reap(cr_uring *uring, unsigned most)
{
    cr_ring *ring = &uring->ring;
    unsigned completed = cr_ring_completed(ring);
    long delivered = 0;
    for (unsigned n = completed < most ? completed : most; n > 0; n--) {
        if (completed > 4)
            cr_uring_attached_prefetch(uring, cr_ring_tag(ring, 4), cr_ring_tag(ring, 2));
        cr_ring_completion taken = cr_ring_take(ring);
        completed--;
        delivered += on_completion(uring, &taken);
    }
    return delivered;
}

/* Without room it is armed by a later turn, which does not wait before it is. */
static void arm_wake(cr_uring *uring)
{
    if (!uring->wake_armed)
        uring->wake_armed =
            cr_requests_watch(uring->sys, &uring->ring, uring->wake_fd, EPOLLIN, CR_TAG_WAKE);
}

/* The contract's calls. */

void cr_uring_flush_embedded(cr_uring *uring)
{
    if (uring->embedded && cr_ring_unsubmitted(&uring->ring))
        cr_ring_enter(uring->sys, &uring->ring, 0, 0);
}

/* What the next turn must not sleep before. */
static bool owes(const cr_uring *uring)
{
    return uring->slots.backlog_head != CR_SLOT_NONE || uring->owes_watch ||
           uring->readiness.canceled != CR_DESCRIPTOR_NONE;
}

/* A wait that a signal or its limit has ended runs no completions. They are run now: what is due is
 * taken behind this turn, and a loop that had no processor for long would give up what has come. */
static void enter_and_wait(cr_uring *uring, int64_t timeout)
{
    cr_ring_enter(uring->sys, &uring->ring, 1, timeout);
    if (!cr_ring_completed(&uring->ring) && cr_ring_worth_entering(&uring->ring))
        cr_ring_enter(uring->sys, &uring->ring, 0, 0);
}

/* What the ring had no room for must not sleep behind a wait: then the turn only looks. The kernel
 * is asked for more when all that it has told of has been looked at. */
static long turn(cr_backend *backend, int64_t deadline)
{
    cr_uring *uring = uring_of(backend);
    cr_ring *ring = &uring->ring;
    const cr_sys *sys = uring->sys;
    arm_wake(uring);
    if (CR_UNLIKELY(uring->owes_watch))
        cr_uring_attached_watch_owed(uring);
    long delivered = run_backlog(uring);
    int64_t timeout = deadline;
    if (deadline != CR_NEVER && deadline > 0)
        timeout = deadline - sys->now(sys->context);
    bool has = cr_ring_completed(ring);
    if (timeout > 0 && !owes(uring) && uring->wake_armed && !delivered && !has)
        enter_and_wait(uring, timeout);
    else if (has ? cr_ring_unsubmitted(ring) : cr_ring_worth_entering(ring))
        cr_ring_enter(sys, ring, 0, 0);
    delivered += reap(uring, AT_ONCE) + cr_readiness_deliver(&uring->readiness);
    if (CR_UNLIKELY(uring->embedded)) {
        arm_wake(uring);
        cr_uring_flush_embedded(uring);
    }
    return delivered;
}

static enum cr_submitted refuse(cr_op *op, long result)
{
    op->result = result;
    return CR_DONE_NOW;
}

/* A READ, a WRITE or a POLL: given to the kernel with the wait, and may be found done then. */
static enum cr_submitted request(cr_backend *backend, cr_op *op)
{
    cr_uring *uring = uring_of(backend);
    if (!cr_slots_take(&uring->slots, uring->sys, op))
        return refuse(op, -ENOMEM);
    issue_or_wait(uring, op->slot);
    cr_uring_flush_embedded(uring);
    return CR_PENDING;
}

CR_HOT static enum cr_submitted submit(cr_backend *backend, cr_op *op)
{
    cr_uring *uring = uring_of(backend);
    if (op->code > CR_OP_SEND)
        return refuse(op, -EINVAL);
    if (op->generation || op->code >= CR_OP_RECV)
        return cr_readiness_submit(&uring->readiness, op);
    if (cr_readiness_attached(&uring->readiness, op->fd))
        return refuse(op, -EBUSY);
    return request(backend, op);
}

/* Not given to the kernel yet: the backlog ends it in the next turn, since completions come only
 * from there. */
static void cancel(cr_backend *backend, cr_op *op)
{
    cr_uring *uring = uring_of(backend);
    if (op->code >= CR_OP_RECV) {
        cr_readiness_cancel(&uring->readiness, op);
        return;
    }
    CR_ASSERT(uring->slots.all[op->slot].op == op);
    end_early(uring, op->slot);
    cr_uring_flush_embedded(uring);
}

static void cancel_all(cr_backend *backend)
{
    cr_uring *uring = uring_of(backend);
    const cr_slots *slots = &uring->slots;
    for (uint32_t i = 0; i < slots->count; i++)
        if (slots->all[i].state != CR_SLOT_FREE)
            cancel(backend, slots->all[i].op);
    cr_readiness_cancel_all(&uring->readiness);
}

/* A request holds its file until the kernel has run what the cancel leaves of it: our thread does
 * that when it enters, another that had made the request does so when it next leaves the kernel, a
 * thread of the kernel's where that one has ended. The completion shows that it was run; of another
 * thread the file may go a moment later, but before the ring's lock does, which the second cancel
 * waits for. Where the completion does not show, the next turn must do. */
void cr_uring_await_end(cr_uring *uring, uint64_t tag)
{
    enum { TRIES = 50 };
    cr_ring *ring = &uring->ring;
    if (!ring->enabled)
        return;
    cr_ring_enter(uring->sys, ring, 0, 0);
    for (int i = 0; i < TRIES && !cr_ring_has(ring, tag) && !cr_ring_full(ring); i++)
        cr_ring_enter(uring->sys, ring, cr_ring_completed(ring) + 1, CR_SECOND / 1000);
    if (!ring->deferred && request_cancel(uring, tag))
        cr_ring_enter(uring->sys, ring, 0, 0);
}

/* Of a poll: no RECV or SEND is with the kernel. */
static void let_go(cr_backend *backend, cr_op *op)
{
    cr_uring *uring = uring_of(backend);
    const cr_slot *slot = &uring->slots.all[op->slot];
    if (slot->state != CR_SLOT_WAITING && !slot->in_backlog)
        cr_uring_await_end(uring, cr_slots_tag(&uring->slots, op->slot));
}

/* The eventfd is never read: each write is an event of the multishot poll. */
static void wake(cr_backend *backend)
{
    cr_uring *uring = uring_of(backend);
    static const uint64_t one = 1;
    (void)uring->sys->write(uring->sys->context, uring->wake_fd, &one, sizeof one);
}

static const cr_sys *sys_of(cr_backend *backend) { return uring_of(backend)->sys; }

/* The ring is taken down by the kernel in its own time; the poll behind wake is ended before, so
 * that nothing of ours is in it any more. Another thread than the ring's may not, and need not. */
static void end_wake(cr_uring *uring)
{
    cr_ring *ring = &uring->ring;
    if (!uring->wake_armed || !ring->enabled || !request_cancel(uring, CR_TAG_WAKE))
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
        reap(uring, UINT_MAX);
    }
}

/* Another ring in its place, of the kind whose completions wake a poll of its descriptor.
 * Operations in flight cannot move to it. */
static int replace_ring(cr_uring *uring)
{
    cr_ring ring;
    if (uring->slots.live > 0)
        return -EBUSY;
    int result = cr_ring_open(uring->sys, &ring, true);
    if (result < 0)
        return result;
    end_wake(uring);
    cr_uring_attached_end_watches(uring, true);
    cr_ring_close(uring->sys, &uring->ring);
    uring->ring = ring;
    uring->wake_armed = false;
    return 0;
}

/* The ring itself: it is readable as soon as something can be completed. */
static int pollable(cr_backend *backend)
{
    cr_uring *uring = uring_of(backend);
    int result = uring->ring.deferred ? replace_ring(uring) : 0;
    if (result < 0)
        return result;
    uring->embedded = true;
    arm_wake(uring);
    cr_uring_flush_embedded(uring);
    return uring->ring.enabled ? uring->ring.fd : -ENOTSUP;
}

/* What the kernel has refused to take until now, or had no room for. */
static bool owes_turn(cr_backend *backend)
{
    const cr_uring *uring = uring_of(backend);
    return owes(uring) || cr_ring_unsubmitted(&uring->ring) || cr_ring_completed(&uring->ring);
}

/* Every operation has come back, so the kernel has no buffer of theirs any more. */
static void close_backend(cr_backend *backend)
{
    cr_uring *uring = uring_of(backend);
    const cr_sys *sys = uring->sys;
    CR_ASSERT(uring->slots.live == 0);
    end_wake(uring);
    cr_ring_close(sys, &uring->ring);
    if (uring->wake_fd >= 0)
        sys->close(sys->context, uring->wake_fd);
    cr_buffers_deinit(&uring->base.buffers);
    cr_free(sys, uring->readiness.all);
    cr_free(sys, uring->slots.all);
    cr_free(sys, uring);
}

/* What the kernel has of each operation is the parent's: here they stand in the backlog. */
static void leave_parent(cr_backend *backend)
{
    cr_uring *uring = uring_of(backend);
    cr_ring_leave(uring->sys, &uring->ring);
    cr_uring_attached_end_watches(uring, false);
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
    cr_uring *uring = uring_of(backend);
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
    cr_uring *uring = cr_alloc_zero(sys, sizeof *uring);
    if (!uring)
        return -ENOMEM;
    *uring = (cr_uring){ .base.type = &cr_backend_uring, .sys = sys };
    uring->readiness = (cr_readiness){ .backend = &uring->base,
        .sys = sys,
        .watch = cr_uring_attached_watch,
        .poll = request,
        .canceled = CR_DESCRIPTOR_NONE };
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
    .attach = cr_uring_attach,
    .close_fd = cr_uring_close_fd,
    .detach = cr_uring_detach,
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
