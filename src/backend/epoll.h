/* SPDX-License-Identifier: MIT */
/* epoll.h: what the two halves of the epoll backend share: epoll.c, for the contract and for
 * descriptors of others, and epoll_attached.c, for those that are attached. */
#ifndef CR_EPOLL_H
#define CR_EPOLL_H
#include <sys/epoll.h>
#include "backend/backend.h"

#define CR_EPOLL_EVENTS 512 /* asked for at once */
/* Of them so many are looked at in one turn: what they bring is still in the processor's cache when
 * the tasks run that wait for it. */
#define CR_EPOLL_AT_ONCE 16
#define CR_EPOLL_NO_SLOT 0u /* slot 0 is never used */
#define CR_EPOLL_NO_FD UINT32_MAX
/* Events that are reported without being asked for. */
#define CR_EPOLL_ALWAYS (uint32_t)(EPOLLERR | EPOLLHUP)

/* A pending operation other than RECV and SEND. */
typedef struct cr_epoll_slot {
    cr_op *op;     /* NULL: in the free list */
    uint32_t next; /* in the line it stands in, or the free list */
    uint32_t prev;
    bool finished; /* it has its result, or -ECANCELED, and waits to be delivered */
} cr_epoll_slot;

/* First come, first served: several may wait for one descriptor, and are tried in this order. */
typedef struct cr_epoll_queue {
    uint32_t first;
    uint32_t last;
} cr_epoll_queue;

typedef struct cr_epoll_descriptor {
    cr_epoll_queue waiting; /* operations with a slot */
    cr_op *receiving;       /* attached: the pending RECV; NULL */
    cr_op *sending;         /* attached: the pending SEND; NULL */
    uint32_t armed;         /* events that the kernel reports; one-shot: 0 after one has come */
    uint32_t generation;    /* of the registration, or of what is attached; never 0 then */
    uint32_t next;          /* of those with a cancelled RECV or SEND; CR_EPOLL_NO_FD */
    /* What each message asks for has a byte of its own: there is one descriptor per connection. */
    bool readable; /* a recv may find something */
    bool writable; /* a send may find room */
    bool registered : 1;
    bool attached : 1;
    bool stream : 1; /* CR_FD_TCP */
    bool ended : 1;  /* the end or an error is on its way: a short transfer says nothing */
    bool receive_canceled : 1; /* receiving completes in the next turn, with -ECANCELED */
    bool send_canceled : 1;    /* sending does */
} cr_epoll_descriptor;

typedef struct cr_epoll {
    cr_backend base;
    const cr_sys *sys;
    int fd;
    int wake_fd; /* an eventfd: see epoll_wake */
    cr_epoll_slot *slots;
    uint32_t slots_room;
    uint32_t slots_free;              /* first of the free list */
    cr_epoll_queue finished;          /* in the order in which they were found */
    uint32_t canceled;                /* first of the descriptors with a cancelled RECV or SEND */
    cr_epoll_descriptor *descriptors; /* by number */
    size_t descriptors_room;          /* so many are cleared: up to the highest number there was */
    size_t descriptors_memory;        /* for so many: what is above the room has not been touched */
    int events_first, events_end;     /* those not looked at yet */
    struct epoll_event events[CR_EPOLL_EVENTS];
} cr_epoll;

/* Links are numbers: slots move when their array grows. */
static inline void cr_epoll_queue_add(cr_epoll *e, cr_epoll_queue *line, uint32_t slot)
{
    e->slots[slot].next = CR_EPOLL_NO_SLOT;
    e->slots[slot].prev = line->last;
    *(line->last ? &e->slots[line->last].next : &line->first) = slot;
    line->last = slot;
}

/* From anywhere in the line: a cancelled operation leaves as cheaply as it came. */
static inline void cr_epoll_queue_remove(cr_epoll *e, cr_epoll_queue *line, uint32_t slot)
{
    uint32_t next = e->slots[slot].next;
    uint32_t prev = e->slots[slot].prev;
    *(next ? &e->slots[next].prev : &line->last) = prev;
    *(prev ? &e->slots[prev].next : &line->first) = next;
}

/* Room for a descriptor of that number. 0, -EBADF, -ENOMEM. */
int cr_epoll_reserve(cr_epoll *e, int fd);
/* epoll_ctl, with what tells this registration's events from others. */
int cr_epoll_control(cr_epoll *e, int how, int fd, uint32_t events);
/* A slot for an operation. 0 or -ENOMEM. */
int cr_epoll_take_slot(cr_epoll *e, cr_op *op);
void cr_epoll_give_slot(cr_epoll *e, uint32_t slot);
/* An operation with a slot, in no line, has its result: it is delivered in this turn or the
 * next. */
void cr_epoll_finish(cr_epoll *e, cr_op *op, long result);

/* ---- Attached descriptors: epoll_attached.c ---- */

int cr_epoll_attach(cr_backend *backend, int fd, enum cr_fd_kind kind, cr_fd *ret_fd);
void cr_epoll_close_fd(cr_backend *backend, cr_fd fd);
void cr_epoll_detach(cr_backend *backend, cr_fd fd);
enum cr_submitted cr_epoll_attached_submit(cr_epoll *e, cr_op *op);
void cr_epoll_attached_cancel(cr_epoll *e, cr_op *op);
/* An event of one: complete what it allows. How many completions were delivered. */
long cr_epoll_attached_ready(cr_epoll *e, int fd, uint32_t events);
/* Deliver the cancelled ones: how many. */
long cr_epoll_attached_deliver(cr_epoll *e);
/* In the child of a fork: register it as it was. 0 or a negative errno. */
int cr_epoll_attached_reopen(cr_epoll *e, int fd);
#endif
