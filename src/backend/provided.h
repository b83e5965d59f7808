/* SPDX-License-Identifier: MIT */
/* provided.h: buffers that the kernel has beforehand, and fills when bytes come.
 *
 * A RECV that waits so holds no memory: the kernel takes one of these when there is something to
 * put into it, and says which. One set for each ring, of small buffers. */
#ifndef CR_PROVIDED_H
#define CR_PROVIDED_H
#include "backend/backend.h"
#include "backend/ring.h"

/* The group that requests name. */
#define CR_PROVIDED_GROUP 0

enum { CR_PROVIDED_MAX = 128 };

typedef struct cr_provided {
    struct io_uring_buf_ring *shared; /* with the kernel; NULL: it has none */
    bool refused;                     /* by the kernel, which is not asked again */
    uint16_t tail;
    uint16_t missing; /* how many could not be replaced, for memory was short */
    uint16_t missing_ids[CR_PROVIDED_MAX];
    void *buffers[CR_PROVIDED_MAX]; /* by the number the kernel gives them */
} cr_provided;

/* Can it be made so: a RECV of a socket that asks for a small buffer? */
static inline bool cr_provided_serves(const cr_op *op)
{
    return op->code == CR_OP_RECV && !op->buf && op->size == CR_BUFFER_SMALL &&
           op->kind < CR_FD_PIPE;
}
/* Has the kernel the buffers? The first call gives them to it. */
bool cr_provided_ready(
    cr_provided *provided, const cr_sys *sys, const cr_ring *ring, cr_buffers *buffers);
/* The result of a RECV that was made so, with its buffer where that is positive; another of buffers
 * is given in its place. -EAGAIN: none was left, so it is to be tried in another way. */
long cr_provided_received(
    cr_provided *provided, cr_buffers *buffers, cr_op *op, const cr_ring_completion *taken);
/* The ring is closed, or was the parent's of this process: it can be asked anew for another. */
void cr_provided_close(cr_provided *provided, const cr_sys *sys, cr_buffers *buffers, bool unmap);
#endif
