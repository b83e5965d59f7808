/* SPDX-License-Identifier: MIT */
/* nonblocking.h: perform an operation now, if it need not wait. What the backends without a
 * completion queue share. */
#ifndef CR_NONBLOCKING_H
#define CR_NONBLOCKING_H
#include <sys/epoll.h>
#include "backend/backend.h"

/* The readiness an operation waits for. */
static inline uint32_t cr_nonblocking_events(const cr_op *op)
{
    switch (op->code) {
    case CR_OP_READ:
    case CR_OP_RECV: return EPOLLIN;
    case CR_OP_WRITE:
    case CR_OP_SEND: return EPOLLOUT;
    case CR_OP_POLL: break;
    }
    return op->events;
}

/* The result, or -EAGAIN where it would have to wait: also on a descriptor that is not
 * O_NONBLOCK. */
long cr_nonblocking(const cr_sys *sys, const cr_op *op);
/* The same where waiting is fine: for files that are always ready. */
long cr_nonblocking_or_wait(const cr_sys *sys, const cr_op *op);
/* RECV, now: as its operation says, or -EAGAIN. A buffer of the backend's is taken where the
 * operation has none, and given back where nothing came. */
long cr_nonblocking_receive(cr_backend *backend, const cr_sys *sys, cr_op *op);
/* SEND, now: how many, or a negative errno; -EAGAIN. */
long cr_nonblocking_send(const cr_sys *sys, const cr_op *op);
#endif
