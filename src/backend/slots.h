/* SPDX-License-Identifier: MIT */
/* slots.h: the operations of the io_uring backend that are under way, each in a slot, and the line
 * of those for which the ring had no room. */
#ifndef CR_SLOTS_H
#define CR_SLOTS_H
#include "backend/backend.h"

#define CR_SLOT_NONE UINT32_MAX

/* From SLOT_WAITING an operation can be ended here; from the two behind it only the kernel can. */
enum cr_slot_state {
    CR_SLOT_FREE,
    CR_SLOT_WAITING, /* in the backlog, not yet with the kernel */
    CR_SLOT_ISSUED,  /* the operation itself is with the kernel */
    CR_SLOT_POLLING, /* it was told to try again: a poll is with the kernel */
};

typedef struct cr_slot {
    cr_op *op;
    uint32_t generation; /* of the operation in it: in the tag */
    uint32_t next;       /* in the free list or the backlog */
    uint32_t seen;       /* of a multishot poll: the events that complete it; 0: none yet */
    uint8_t state;
    bool cancelled;  /* an early end was asked for */
    bool in_backlog; /* to be issued, or to have its cancel issued */
} cr_slot;

/* Slots are named by number everywhere, for they move when there are more. */
typedef struct cr_slots {
    cr_slot *all;
    uint32_t count;
    uint32_t free;         /* first of the free list */
    uint32_t backlog_head; /* CR_SLOT_NONE: it is empty */
    uint32_t backlog_tail;
    size_t live; /* slots not free */
} cr_slots;

void cr_slots_init(cr_slots *slots);
/* Put the operation into a free slot; false when memory is short. */
bool cr_slots_take(cr_slots *slots, const cr_sys *sys, cr_op *op);
/* The slot has left the backlog, if it was there. */
void cr_slots_give(cr_slots *slots, uint32_t index);
/* Join the backlog, once. What the slot waits for is looked at when its turn comes. */
void cr_slots_join(cr_slots *slots, uint32_t index);
/* What the kernel is given with the slot's operation. Bit 31 is never set: numbers that have it are
 * for requests that are no slot's. */
static inline uint64_t cr_slots_tag(const cr_slots *slots, uint32_t index)
{
    return (uint64_t)slots->all[index].generation << 32 | index;
}
#endif
