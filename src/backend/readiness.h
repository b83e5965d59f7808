/* SPDX-License-Identifier: MIT */
/* readiness.h: crank's own descriptors on epoll and io_uring: what the kernel has said of each of
 * them, and the one RECV and the one SEND of each that may be pending. */
#ifndef CR_READINESS_H
#define CR_READINESS_H
#include <sys/epoll.h>
#include "backend/backend.h"

#define CR_DESCRIPTOR_NONE UINT32_MAX
/* Events that are reported without being asked for. */
#define CR_EVENTS_ALWAYS (uint32_t)(EPOLLERR | EPOLLHUP)
/* All that tells of something to read. The end, errors and urgent data are found by recv. */
#define CR_EVENTS_INWARDS (uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLPRI)

/* First come, first served. Of slots, by number: 0 is none. */
typedef struct cr_slot_line {
    uint32_t first;
    uint32_t last;
} cr_slot_line;

typedef struct cr_descriptor {
    cr_slot_line waiting; /* on epoll: operations with a slot */
    cr_op *receiving;     /* attached: the pending RECV; NULL */
    cr_op *sending;       /* attached: the pending SEND; NULL */
    uint32_t armed;       /* events that the kernel reports; one-shot: 0 after one has come */
    uint32_t generation;  /* of the registration, or of what is attached; never 0 then */
    uint32_t next;        /* of those with a cancelled RECV or SEND; CR_DESCRIPTOR_NONE */
    /* What each message asks for has a byte of its own: there is one descriptor per connection. */
    bool readable;       /* a recv may find something */
    bool writable;       /* a send may find room */
    bool registered : 1; /* on epoll */
    bool attached : 1;
    bool stream : 1; /* CR_FD_TCP */
    bool ended : 1;  /* the end or an error is on its way: a short transfer says nothing */
    bool receive_canceled : 1; /* receiving completes in the next turn, with -ECANCELED */
    bool send_canceled : 1;    /* sending does */
} cr_descriptor;

typedef struct cr_readiness {
    cr_backend *backend;
    const cr_sys *sys;
    /* Have the kernel report these events (EPOLLIN or EPOLLOUT) from now on, and at once where they
     * are there already; armed says that it does. 0 or a negative errno. */
    int (*watch)(cr_backend *backend, int fd, uint32_t events);
    /* A POLL of an attached descriptor. */
    enum cr_submitted (*poll)(cr_backend *backend, cr_op *op);
    cr_descriptor *all; /* by number, as descriptors are: small and used again */
    size_t room;        /* so many are cleared: up to the highest number there was */
    size_t memory;      /* for so many: what is above the room has not been touched */
    uint32_t canceled;  /* first of those with a cancelled RECV or SEND */
} cr_readiness;

/* Room for a descriptor of that number. 0, -EBADF, -ENOMEM. */
int cr_readiness_reserve(cr_readiness *all, int fd);
/* The contract's, but that closing and registering are the backend's. */
int cr_readiness_attach(cr_readiness *all, int fd, enum cr_fd_kind kind, cr_fd *ret_fd);
void cr_readiness_forget(cr_readiness *all, cr_fd fd);
enum cr_submitted cr_readiness_submit(cr_readiness *all, cr_op *op);
/* Of a RECV or a SEND. It completes with cr_readiness_deliver. */
void cr_readiness_cancel(cr_readiness *all, const cr_op *op);
void cr_readiness_cancel_all(cr_readiness *all);
/* Deliver the cancelled ones: how many. */
long cr_readiness_deliver(cr_readiness *all);
/* Events of an attached descriptor: complete what they allow. How many completions were
 * delivered. */
long cr_readiness_ready(cr_readiness *all, int fd, uint32_t events);
/* Is what has this number now attached? */
static inline bool cr_readiness_attached(const cr_readiness *all, int fd)
{
    return fd >= 0 && (size_t)fd < all->room && all->all[fd].attached;
}
#endif
