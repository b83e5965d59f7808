/* SPDX-License-Identifier: MIT */
/* ring.h: the two rings shared with the kernel, and the one system call that moves them.
 *
 * Owns: the descriptor, the mappings, the heads and tails. Knows no operations: requests are filled
 * in by the caller, and what a completion means is the caller's. Single-threaded.
 *
 * Here and not in uring.c, so that memory order, which is easy to get wrong and cannot be
 * tested, has a page of its own. */
#ifndef CR_RING_H
#define CR_RING_H
#include "base/sys.h"

#include <linux/io_uring.h>

/* Heads and tails lie in memory shared with the kernel: each is written by one side only, and
 * read with acquire, written with release, where the other side is meant. */
typedef struct cr_ring {
    int fd;        /* the ring's */
    bool enabled;  /* by the thread that uses it */
    bool deferred; /* one thread's: completions wait until that enters, and wake no poll of it */
    char *memory;  /* both rings, shared with the kernel */
    size_t size;
    struct io_uring_sqe *sqes; /* the requests, shared too */
    size_t sqes_size;
    unsigned *sq_head; /* the kernel's */
    unsigned *sq_tail;
    unsigned *sq_flags; /* the kernel's */
    unsigned sq_mask;
    unsigned sq_entries; /* a power of two; sq_mask is one less */
    unsigned *cq_head;
    unsigned *cq_tail; /* the kernel's */
    unsigned cq_mask;
    struct io_uring_cqe *cqes;
    unsigned nothing; /* heads and tails of one that was left to the parent: see cr_ring_leave */
} cr_ring;

typedef struct cr_ring_completion {
    uint64_t tag; /* the request's user_data */
    int32_t result;
    uint32_t flags; /* IORING_CQE_F_ */
} cr_ring_completion;

/* A ring, still disabled; shared: another loop sleeps on its descriptor, or several threads use it,
 * one at a time. 0 or what the kernel said (-ENOSYS, -EPERM ...); one too old gives -ENOSYS or
 * -EINVAL. */
int cr_ring_open(const cr_sys *sys, cr_ring *ring, bool shared);
void cr_ring_close(const cr_sys *sys, cr_ring *ring);
/* In the child of a fork, which has not inherited the mappings: give the descriptor up. From then
 * on the ring takes no request, and can be closed. */
void cr_ring_leave(const cr_sys *sys, cr_ring *ring);
/* Give the kernel what was submitted and let it complete things; wait until so many completions
 * are there, or timeout_ns have passed (CR_NEVER: for ever). Failures are for the next time:
 * nothing is lost, the requests stay in the ring. */
void cr_ring_enter(const cr_sys *sys, cr_ring *ring, unsigned wait, int64_t timeout_ns);
/* A request to fill in, cleared; NULL when the ring is full and the kernel takes nothing. It counts
 * once it is pushed. */
struct io_uring_sqe *cr_ring_request(const cr_sys *sys, cr_ring *ring);
/* Release: the kernel must not see the tail before the request it stands for. */
static inline void cr_ring_push(cr_ring *ring)
{
    __atomic_store_n(ring->sq_tail, *ring->sq_tail + 1, __ATOMIC_RELEASE);
}
/* Acquire: an entry may be filled in again only when the kernel has read it. */
static inline unsigned cr_ring_unsubmitted(const cr_ring *ring)
{
    return *ring->sq_tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE);
}
/* Acquire: the completions up to the tail are read after it. */
static inline unsigned cr_ring_completed(const cr_ring *ring)
{
    return __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) - *ring->cq_head;
}
/* Of the completion that stands so many behind the first; there must be one. */
static inline uint64_t cr_ring_tag(const cr_ring *ring, unsigned behind)
{
    return ring->cqes[(*ring->cq_head + behind) & ring->cq_mask].user_data;
}
/* Is there no room for another completion? The kernel keeps those that come then. */
static inline bool cr_ring_full(const cr_ring *ring)
{
    return cr_ring_completed(ring) > ring->cq_mask;
}
/* Take the first completion; there must be one. */
static inline cr_ring_completion cr_ring_take(cr_ring *ring)
{
    const struct io_uring_cqe *cqe = &ring->cqes[*ring->cq_head & ring->cq_mask];
    cr_ring_completion taken = { cqe->user_data, cqe->res, cqe->flags };
    __atomic_store_n(ring->cq_head, *ring->cq_head + 1, __ATOMIC_RELEASE);
    return taken;
}
/* Is there the last completion of the request with this tag, to be taken? */
bool cr_ring_has(const cr_ring *ring, uint64_t tag);
/* Would entering the kernel without a wait do anything? */
static inline bool cr_ring_worth_entering(const cr_ring *ring)
{
    unsigned flags = __atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED);
    return cr_ring_unsubmitted(ring) || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}
#endif
