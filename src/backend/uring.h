/* SPDX-License-Identifier: MIT */
/* uring.h: what the two halves of the io_uring backend share: uring.c, for the contract and for
 * operations that are requests of the kernel's, and uring_attached.c, for attached descriptors. */
#ifndef CR_URING_H
#define CR_URING_H
#include "backend/readiness.h"
#include "backend/ring.h"
#include "backend/slots.h"

/* Completions of requests that are no operation's. */
#define CR_TAG_WAKE UINT64_MAX
#define CR_TAG_CANCEL (UINT64_MAX - 1)

/* wake_armed is what the kernel has said last: a multishot poll may end by itself, and is then
 * armed again by the next turn. */
typedef struct cr_uring {
    cr_backend base;
    const cr_sys *sys;
    cr_ring ring;
    int wake_fd; /* an eventfd: see wake */
    bool wake_armed;
    bool embedded;   /* another loop waits for us: nothing may stay in the submission ring */
    bool owes_watch; /* of some pending RECV or SEND the kernel does not watch the descriptor yet */
    cr_slots slots;
    cr_readiness readiness;
} cr_uring;

/* Another loop sleeps on our descriptor, which tells only of what the kernel has been given. */
void cr_uring_flush_embedded(cr_uring *uring);
/* Behind the cancel of a request: return when the request holds its file no more. */
void cr_uring_await_end(cr_uring *uring, uint64_t tag);

/* ---- Attached descriptors: uring_attached.c ---- */

int cr_uring_attach(cr_backend *backend, int fd, enum cr_fd_kind kind, cr_fd *ret_fd);
void cr_uring_close_fd(cr_backend *backend, cr_fd fd);
void cr_uring_detach(cr_backend *backend, cr_fd fd);
/* cr_readiness' function. */
int cr_uring_attached_watch(cr_backend *backend, int fd, uint32_t events);
/* Is it a completion of a request that watches an attached descriptor? */
static inline bool cr_uring_attached_is_event(uint64_t tag) { return tag >> 31 & 1; }
/* That completion: how many it delivered. */
long cr_uring_attached_event(cr_uring *uring, const cr_ring_completion *taken);
/* Its descriptor, and what the completion touches, will be needed soon. */
void cr_uring_attached_prefetch(const cr_uring *uring, uint64_t later, uint64_t sooner);
/* Watch for all that is pending and not watched, as far as there is room. */
void cr_uring_attached_watch_owed(cr_uring *uring);
/* The ring is about to be replaced, or was the parent's of this process and is not ours: what is
 * pending is watched by the next. */
void cr_uring_attached_end_watches(cr_uring *uring, bool ours);
#endif
