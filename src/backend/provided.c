/* SPDX-License-Identifier: MIT */
/* provided.c: buffers that the kernel has beforehand.
 *
 * Owns the buffers while they are the kernel's, and the page that tells of them. One that was
 * filled is its taker's, and goes back to the backend's pool as any other does: its place is filled
 * by a new one at once, so that nothing has to come back here. Where all are used up the kernel
 * says so (ENOBUFS), and the request is made in another way. */
#include "backend/provided.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };
_Static_assert(CR_PROVIDED_MAX * sizeof(struct io_uring_buf) <= PAGE, "they fit into a page");
_Static_assert((CR_PROVIDED_MAX & (CR_PROVIDED_MAX - 1)) == 0, "a power of two");

/* Release: the kernel must not see the tail before the buffer it stands for. */
static bool provide(cr_provided *provided, cr_buffers *buffers, uint16_t id)
{
    void *buf = cr_buffers_take(buffers, CR_BUFFER_SMALL);
    if (!buf)
        return false;
    struct io_uring_buf *at = &provided->shared->bufs[provided->tail % CR_PROVIDED_MAX];
    at->addr = (uint64_t)(uintptr_t)buf;
    at->len = CR_BUFFER_SMALL;
    at->bid = id;
    provided->buffers[id] = buf;
    provided->tail++;
    __atomic_store_n(&provided->shared->tail, provided->tail, __ATOMIC_RELEASE);
    return true;
}

/* Those of before too, for which there was no memory. */
static void replace(cr_provided *provided, cr_buffers *buffers, uint16_t id)
{
    provided->missing_ids[provided->missing++] = id;
    while (provided->missing > 0 &&
           provide(provided, buffers, provided->missing_ids[provided->missing - 1]))
        provided->missing--;
}

/* A child of fork must not share the page, as it does not share the ring. */
static bool register_page(cr_provided *provided, const cr_sys *sys, const cr_ring *ring)
{
    void *page = sys->map(sys->context, PAGE);
    if (!page)
        return false;
    struct io_uring_buf_reg group = {
        .ring_addr = (uint64_t)(uintptr_t)page,
        .ring_entries = CR_PROVIDED_MAX,
        .bgid = CR_PROVIDED_GROUP,
    };
    if (sys->advise(sys->context, page, PAGE, MADV_DONTFORK) < 0 ||
        sys->uring_register(sys->context, ring->fd, IORING_REGISTER_PBUF_RING, &group, 1) < 0) {
        sys->unmap(sys->context, page, PAGE);
        return false;
    }
    provided->shared = page;
    return true;
}

bool cr_provided_ready(
    cr_provided *provided, const cr_sys *sys, const cr_ring *ring, cr_buffers *buffers)
{
    if (CR_LIKELY(provided->shared != NULL))
        return true;
    if (provided->refused || ring->fd < 0)
        return false;
    provided->refused = !register_page(provided, sys, ring);
    for (uint16_t id = 0; provided->shared && id < CR_PROVIDED_MAX; id++)
        replace(provided, buffers, id);
    return provided->shared;
}

/* The buffer that a completion names; NULL where the kernel has used none. */
static void *take(cr_provided *provided, cr_buffers *buffers, unsigned flags)
{
    if (!(flags & IORING_CQE_F_BUFFER))
        return NULL;
    uint16_t id = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
    CR_ASSERT(id < CR_PROVIDED_MAX && provided->buffers[id]);
    void *buf = provided->buffers[id];
    provided->buffers[id] = NULL;
    replace(provided, buffers, id);
    return buf;
}

long cr_provided_received(
    cr_provided *provided, cr_buffers *buffers, cr_op *op, const cr_ring_completion *taken)
{
    long n = taken->result;
    void *buf = take(provided, buffers, taken->flags);
    if (n <= 0 && buf)
        cr_buffers_give(buffers, buf, CR_BUFFER_SMALL);
    if (n > 0)
        op->buf = buf;
    bool more = taken->flags & IORING_CQE_F_SOCK_NONEMPTY;
    op->drained = op->kind == CR_FD_TCP && n > 0 && (size_t)n < op->size && !more;
    return n == -ENOBUFS && !buf ? -EAGAIN : n;
}

void cr_provided_close(cr_provided *provided, const cr_sys *sys, cr_buffers *buffers, bool unmap)
{
    for (size_t id = 0; id < CR_PROVIDED_MAX; id++)
        if (provided->buffers[id])
            cr_buffers_give(buffers, provided->buffers[id], CR_BUFFER_SMALL);
    if (provided->shared && unmap)
        sys->unmap(sys->context, provided->shared, PAGE);
    memset(provided, 0, sizeof *provided);
}
