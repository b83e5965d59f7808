/* SPDX-License-Identifier: MIT */
/* ring.c: opening a ring, and entering the kernel with it.
 *
 * The ring is spoken to directly and not through liburing, whose calls cannot be replaced by the OS
 * table. It is made disabled and enabled by the thread that first uses it, since the kernel accepts
 * only one (and is told to: it then runs completions when that thread enters, and never interrupts
 * it), unless it is shared. It is restricted to the few requests used here, for the filters that
 * guard system calls do not see what goes through a ring. */
#include "backend/ring.h"

#include "base/check.h"

#include <errno.h>
#include <linux/time_types.h>
#include <string.h>
#include <sys/mman.h>

/* As many submissions as a busy turn makes; more enter the kernel earlier. Completions that find
 * their ring full are kept by the kernel and cost it memory, so that ring is larger. */
enum { SUBMISSIONS = 256, COMPLETIONS = 4 * SUBMISSIONS };

/* Also of a ring that was only half mapped. Requests still in the kernel are ended by it in its
 * own time, which is why uring.c ends its own before. */
void cr_ring_close(const cr_sys *sys, cr_ring *ring)
{
    if (ring->sqes)
        sys->unmap(sys->context, ring->sqes, ring->sqes_size);
    if (ring->memory)
        sys->unmap(sys->context, ring->memory, ring->size);
    if (ring->fd >= 0)
        sys->close(sys->context, ring->fd);
}

/* What else lies at those addresses by now is not ours. The heads and tails of a ring without
 * entries are all the same, and none is ever moved. */
void cr_ring_leave(const cr_sys *sys, cr_ring *ring)
{
    unsigned *none = &ring->nothing;
    if (ring->fd >= 0)
        sys->close(sys->context, ring->fd);
    *ring = (cr_ring){ .fd = -1,
        .sq_head = none,
        .sq_tail = none,
        .sq_flags = none,
        .cq_head = none,
        .cq_tail = none };
}

/* A child of fork must not share the rings: two processes would write the same heads and tails. */
static void *map(const cr_sys *sys, int fd, size_t size, int64_t offset)
{
    void *memory = sys->uring_map(sys->context, fd, size, offset);
    if (!memory)
        return NULL;
    if (sys->advise(sys->context, memory, size, MADV_DONTFORK) < 0) {
        sys->unmap(sys->context, memory, size);
        return NULL;
    }
    return memory;
}

/* Both rings lie in one mapping since Linux 5.4 (FEAT_SINGLE_MMAP, which setup insists on). */
static int map_all(const cr_sys *sys, cr_ring *ring, const struct io_uring_params *params)
{
    size_t sq_size = params->sq_off.array + params->sq_entries * sizeof(unsigned);
    size_t cq_size = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    ring->size = sq_size > cq_size ? sq_size : cq_size;
    ring->memory = map(sys, ring->fd, ring->size, IORING_OFF_SQ_RING);
    if (!ring->memory)
        return -ENOMEM;
    ring->sqes_size = params->sq_entries * sizeof(struct io_uring_sqe);
    ring->sqes = map(sys, ring->fd, ring->sqes_size, IORING_OFF_SQES);
    if (!ring->sqes)
        return -ENOMEM;
    return 0;
}

static unsigned *word_at(const cr_ring *ring, unsigned offset)
{
    return (unsigned *)(void *)(ring->memory + offset);
}

/* The array between ring and requests is filled once, one to one: crank has no other use for it. */
static void lay_out(cr_ring *ring, const struct io_uring_params *params)
{
    ring->sq_head = word_at(ring, params->sq_off.head);
    ring->sq_tail = word_at(ring, params->sq_off.tail);
    ring->sq_flags = word_at(ring, params->sq_off.flags);
    ring->sq_mask = *word_at(ring, params->sq_off.ring_mask);
    ring->sq_entries = params->sq_entries;
    ring->cq_head = word_at(ring, params->cq_off.head);
    ring->cq_tail = word_at(ring, params->cq_off.tail);
    ring->cq_mask = *word_at(ring, params->cq_off.ring_mask);
    ring->cqes = (struct io_uring_cqe *)(void *)(ring->memory + params->cq_off.cqes);
    unsigned *array = word_at(ring, params->sq_off.array);
    for (unsigned i = 0; i < params->sq_entries; i++)
        array[i] = i;
}

/* The best first: completions run only when our thread enters (6.1), then those that at least do
 * not interrupt it (5.19). A kernel that knows neither is served by epoll. The first is of no use
 * where several threads enter, one at a time, nor to a sleeper on the ring's descriptor: what
 * waits for us to enter does not make it readable. */
static const unsigned setups[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
};
#define SETUP_ALWAYS (IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED)
#define FEATURES \
    (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_RW_CUR_POS | \
        IORING_FEAT_POLL_32BITS)

/* -EINVAL means a flag it does not know; any other error is final. */
static int setup(const cr_sys *sys, struct io_uring_params *params, bool shared)
{
    int fd = -EINVAL;
    for (size_t i = shared; fd == -EINVAL && i < sizeof setups / sizeof *setups; i++) {
        *params = (struct io_uring_params){ .flags = SETUP_ALWAYS | setups[i],
            .cq_entries = COMPLETIONS };
        fd = sys->uring_setup(sys->context, SUBMISSIONS, params);
    }
    if (fd >= 0 && (params->features & FEATURES) != FEATURES) {
        sys->close(sys->context, fd);
        return -ENOSYS;
    }
    return fd;
}

/* A precaution, and the first call that may be refused by a filter of system calls which lets rings
 * be made: better known now, while there is epoll to turn to, than when the ring is to be enabled.
 * The order is the kernel's: restrictions can be set only while the ring is disabled. */
static int restrict_to_used(const cr_sys *sys, const cr_ring *ring)
{
    static const uint8_t used[] = { IORING_OP_POLL_ADD, IORING_OP_READ, IORING_OP_WRITE,
        IORING_OP_ASYNC_CANCEL };
    enum { COUNT = sizeof used };
    struct io_uring_restriction allowed[COUNT];
    memset(allowed, 0, sizeof allowed);
    for (size_t i = 0; i < sizeof used; i++) {
        allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
        allowed[i].sqe_op = used[i];
    }
    return sys->uring_register(
        sys->context, ring->fd, IORING_REGISTER_RESTRICTIONS, allowed, COUNT);
}

/* Whatever was mapped before a failure is taken down by the same call that ends a whole one. */
int cr_ring_open(const cr_sys *sys, cr_ring *ring, bool shared)
{
    struct io_uring_params params;
    int fd = setup(sys, &params, shared);
    if (fd < 0)
        return fd;
    *ring = (cr_ring){ .fd = fd, .deferred = params.flags & IORING_SETUP_DEFER_TASKRUN };
    int result = map_all(sys, ring, &params);
    if (result == 0)
        result = restrict_to_used(sys, ring);
    if (result < 0) {
        cr_ring_close(sys, ring);
        return result;
    }
    lay_out(ring, &params);
    return 0;
}

/* By the thread that uses it: it becomes the only one that may. */
static int enable(const cr_sys *sys, cr_ring *ring)
{
    int result = sys->uring_register(sys->context, ring->fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    ring->enabled = result >= 0;
    return result;
}

/* Every error but one is left to the next call: requests stay in the ring, and completions that
 * did not fit are kept by the kernel (FEAT_NODROP). */
void cr_ring_enter(const cr_sys *sys, cr_ring *ring, unsigned wait, int64_t timeout_ns)
{
    if (!ring->enabled && enable(sys, ring) < 0)
        return;
    struct __kernel_timespec timeout = { timeout_ns / CR_SECOND, timeout_ns % CR_SECOND };
    struct io_uring_getevents_arg arg = {
        .ts = wait && timeout_ns != CR_NEVER ? (uint64_t)(uintptr_t)&timeout : 0,
    };
    cr_uring_enter asked = {
        .submit = cr_ring_unsubmitted(ring),
        .wait = wait,
        .flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
        .arg = &arg,
        .size = sizeof arg,
    };
    int result = sys->uring_enter(sys->context, ring->fd, &asked);
    CR_CHECK(result != -EEXIST, "a loop is used by another thread than the one that first ran it");
}

/* From the last: it is looked for as soon as it may be there. */
bool cr_ring_has(const cr_ring *ring, uint64_t tag)
{
    unsigned head = *ring->cq_head, at = head + cr_ring_completed(ring);
    while (at != head) {
        const struct io_uring_cqe *cqe = &ring->cqes[--at & ring->cq_mask];
        if (cqe->user_data == tag && !(cqe->flags & IORING_CQE_F_MORE))
            return true;
    }
    return false;
}

/* A full ring is emptied by entering: the kernel copies the requests when it takes them. */
struct io_uring_sqe *cr_ring_request(const cr_sys *sys, cr_ring *ring)
{
    if (cr_ring_unsubmitted(ring) >= ring->sq_entries) {
        cr_ring_enter(sys, ring, 0, 0);
        if (cr_ring_unsubmitted(ring) >= ring->sq_entries)
            return NULL;
    }
    struct io_uring_sqe *sqe = &ring->sqes[*ring->sq_tail & ring->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}
