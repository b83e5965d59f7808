/* SPDX-License-Identifier: MIT */
/* requests.c: what the io_uring backend asks of the kernel.
 *
 * Owns nothing: each function fills in one request of the ring and pushes it. What the completion
 * means is uring.c's to say. */
#include "backend/requests.h"

#include "backend/nonblocking.h"
#include "base/valgrind.h"

#if CR_MSAN
#include <sanitizer/msan_interface.h>
#endif

#define TRANSFER_MAX 0x7ffff000 /* what the kernel moves at most in one call */

static bool push(const cr_sys *sys, cr_ring *ring, const struct io_uring_sqe *asked)
{
    struct io_uring_sqe *sqe = cr_ring_request(sys, ring);
    if (!sqe)
        return false;
    *sqe = *asked;
    cr_ring_push(ring);
    return true;
}

/* Longer ones are cut, as the kernel itself would: a short transfer is an answer that callers
 * expect. */
static uint32_t length_of(const cr_op *op)
{
    return op->size < TRANSFER_MAX ? (uint32_t)op->size : TRANSFER_MAX;
}

/* The kernel adds the end of one half to what it is asked for, and would complete at once where
 * that was seen before: so a poll for no event by name is told of that, and goes on. And it lets no
 * wake-up pass for EPOLLPRI alone (io_poll_wake): EPOLLRDBAND, which no socket is found ready for,
 * comes with the same wake-ups, as they come with other data. */
bool cr_requests_poll(const cr_sys *sys, cr_ring *ring, const cr_op *op, uint64_t tag)
{
    uint32_t events = cr_nonblocking_events(op);
    const struct io_uring_sqe asked = {
        .opcode = IORING_OP_POLL_ADD,
        .fd = op->fd,
        .poll32_events = events & EPOLLPRI ? events | EPOLLRDBAND : events,
        .user_data = tag,
        .len = events ? 0 : IORING_POLL_ADD_MULTI,
    };
    return push(sys, ring, &asked);
}

bool cr_requests_unsure(const cr_op *op, long result)
{
    return op->code == CR_OP_POLL && (op->events & EPOLLPRI) && result > 0;
}

/* Multishot: one request completes as often as something has changed. */
bool cr_requests_watch(const cr_sys *sys, cr_ring *ring, int fd, uint32_t events, uint64_t tag)
{
    const struct io_uring_sqe asked = {
        .opcode = IORING_OP_POLL_ADD,
        .fd = fd,
        .poll32_events = events,
        .user_data = tag,
        .len = events & EPOLLOUT ? 0 : IORING_POLL_ADD_MULTI,
    };
    return push(sys, ring, &asked);
}

bool cr_requests_transfer(const cr_sys *sys, cr_ring *ring, const cr_op *op, uint64_t tag)
{
    const struct io_uring_sqe asked = {
        .opcode = op->code == CR_OP_READ ? IORING_OP_READ : IORING_OP_WRITE,
        .fd = op->fd,
        .off = (uint64_t)op->offset,
        .addr = (uint64_t)(uintptr_t)op->buf,
        .len = length_of(op),
        .user_data = tag,
    };
    return push(sys, ring, &asked);
}

void cr_requests_announce(const cr_op *op, long result)
{
    if (op->code != CR_OP_READ || result <= 0)
        return;
#if CR_MSAN
    __msan_unpoison(op->buf, (size_t)result);
#endif
    (void)VALGRIND_MAKE_MEM_DEFINED(op->buf, (size_t)result);
}

/* By tag: had the operation ended meanwhile, the kernel finds none, and says so in a completion
 * that is dropped. */
bool cr_requests_cancel(const cr_sys *sys, cr_ring *ring, uint64_t tag, uint64_t tag_of_cancel)
{
    const struct io_uring_sqe asked = {
        .opcode = IORING_OP_ASYNC_CANCEL,
        .addr = tag,
        .user_data = tag_of_cancel,
    };
    return push(sys, ring, &asked);
}
