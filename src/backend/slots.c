/* SPDX-License-Identifier: MIT */
/* slots.c: the operations of the io_uring backend that are under way.
 *
 * Owns the slots, the list of those that are free, and the backlog. A slot that is used again has
 * another generation, so that what the kernel still says of the operation before is recognised. */
#include "backend/slots.h"

#define SLOTS_FIRST 64
#define SLOTS_MAX (CR_SLOT_NONE - 1)

void cr_slots_init(cr_slots *slots)
{
    *slots = (cr_slots){ .free = CR_SLOT_NONE, .backlog_head = CR_SLOT_NONE };
}

static bool grow(cr_slots *slots, const cr_sys *sys)
{
    uint32_t count = slots->count ? slots->count * 2 : SLOTS_FIRST;
    if (count <= slots->count || count > SLOTS_MAX)
        return false;
    cr_slot *all = cr_resize(sys, slots->all, count * sizeof *all);
    if (!all)
        return false;
    for (uint32_t i = count; i-- > slots->count;) {
        all[i] = (cr_slot){ .next = slots->free };
        slots->free = i;
    }
    slots->all = all;
    slots->count = count;
    return true;
}

bool cr_slots_take(cr_slots *slots, const cr_sys *sys, cr_op *op)
{
    if (slots->free == CR_SLOT_NONE && !grow(slots, sys))
        return false;
    cr_slot *slot = &slots->all[slots->free];
    op->slot = slots->free;
    slots->free = slot->next;
    slots->live++;
    slot->op = op;
    slot->seen = 0;
    slot->cancelled = false;
    return true;
}

void cr_slots_give(cr_slots *slots, uint32_t index)
{
    slots->all[index].next = slots->free;
    slots->free = index;
}

void cr_slots_join(cr_slots *slots, uint32_t index)
{
    cr_slot *slot = &slots->all[index];
    if (slot->in_backlog)
        return;
    slot->in_backlog = true;
    slot->next = CR_SLOT_NONE;
    if (slots->backlog_head == CR_SLOT_NONE)
        slots->backlog_head = index;
    else
        slots->all[slots->backlog_tail].next = index;
    slots->backlog_tail = index;
}
