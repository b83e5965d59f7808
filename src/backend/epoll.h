/* SPDX-License-Identifier: MIT */
/* epoll.h: what the two halves of the epoll backend share: epoll.c, for the contract and for
 * descriptors of others, and epoll_attached.c, for those that are attached. */
#ifndef CR_EPOLL_H
#define CR_EPOLL_H
#include "backend/backend.h"
#include "backend/readiness.h"

#define CR_EPOLL_EVENTS 512 /* asked for at once */
/* Of them so many are looked at in one turn: what they bring is still in the processor's cache when
 * the tasks run that wait for it. */
#define CR_EPOLL_AT_ONCE 16
#define CR_EPOLL_NO_SLOT 0u /* slot 0 is never used */

/* A pending operation other than RECV and SEND. */
typedef struct cr_epoll_slot {
    cr_op *op;     /* NULL: in the free list */
    uint32_t next; /* in the line it stands in, or the free list */
    uint32_t prev;
    bool finished; /* it has its result, or -ECANCELED, and waits to be delivered */
} cr_epoll_slot;

typedef struct cr_epoll {
    cr_backend base;
    const cr_sys *sys;
    int fd;
    int wake_fd;      /* an eventfd: see epoll_wake */
    int timer_fd;     /* a timerfd; -1: none was to be had */
    int64_t timer_at; /* until when it is armed; 0: it is not */
    cr_epoll_slot *slots;
    uint32_t slots_room;
    uint32_t slots_free;          /* first of the free list */
    cr_slot_line finished;        /* in the order in which they were found */
    cr_readiness readiness;       /* also those of others */
    int events_first, events_end; /* those not looked at yet */
    struct epoll_event events[CR_EPOLL_EVENTS];
} cr_epoll;

/* Links are numbers: slots move when their array grows. */
static inline void cr_epoll_queue_add(cr_epoll *e, cr_slot_line *line, uint32_t slot)
{
    e->slots[slot].next = CR_EPOLL_NO_SLOT;
    e->slots[slot].prev = line->last;
    *(line->last ? &e->slots[line->last].next : &line->first) = slot;
    line->last = slot;
}

/* From anywhere in the line: a cancelled operation leaves as cheaply as it came. */
static inline void cr_epoll_queue_remove(cr_epoll *e, cr_slot_line *line, uint32_t slot)
{
    uint32_t next = e->slots[slot].next;
    uint32_t prev = e->slots[slot].prev;
    *(next ? &e->slots[next].prev : &line->last) = prev;
    *(prev ? &e->slots[prev].next : &line->first) = next;
}

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
/* cr_readiness' functions. */
int cr_epoll_attached_watch(cr_backend *backend, int fd, uint32_t events);
enum cr_submitted cr_epoll_attached_poll(cr_backend *backend, cr_op *op);
void cr_epoll_attached_cancel(cr_epoll *e, cr_op *op);
/* An event of one: complete what it allows. How many completions were delivered. */
long cr_epoll_attached_ready(cr_epoll *e, int fd, uint32_t events);
/* In the child of a fork: register it as it was. 0 or a negative errno. */
int cr_epoll_attached_reopen(cr_epoll *e, int fd);
#endif
