/* SPDX-License-Identifier: MIT */
/* requests.h: what the io_uring backend asks of the kernel. Each gives false when the ring is full.
 * tag comes back with the completion. */
#ifndef CR_REQUESTS_H
#define CR_REQUESTS_H
#include "backend/backend.h"
#include "backend/ring.h"

/* The events are those of poll, 32 bits of them. */
bool cr_requests_poll(const cr_sys *sys, cr_ring *ring, const cr_op *op, uint64_t tag);
/* The kernel's answer to a poll for urgent data is what a wake-up might have been for. */
bool cr_requests_unsure(const cr_op *op, long result);
/* Of a descriptor, whatever waits for it. One for room (EPOLLOUT) ends with its first event; others
 * go on, until they are cancelled or the kernel ends them. */
bool cr_requests_watch(const cr_sys *sys, cr_ring *ring, int fd, uint32_t events, uint64_t tag);
/* READ or WRITE, at the operation's offset. */
bool cr_requests_transfer(const cr_sys *sys, cr_ring *ring, const cr_op *op, uint64_t tag);
/* The operation's buffer was written by the kernel, which the tools do not see. */
void cr_requests_announce(const cr_op *op, long result);
/* Of the request with a tag. */
bool cr_requests_cancel(const cr_sys *sys, cr_ring *ring, uint64_t tag, uint64_t tag_of_cancel);
#endif
