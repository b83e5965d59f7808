/* SPDX-License-Identifier: MIT */
/* handles.c: records of calls in slabs, and the table from slots to slabs.
 *
 * Owns: the slabs of each loop, the process's table of them, the numbers that tell one use of a
 * record from the next. The table is the process's because a handle may outlive its loop: it then
 * finds no slab, or one of another loop whose records have other numbers. Records stay where they
 * are while their loop lives. */
#include "loop/handles.h"

#include <stdatomic.h>

#define NUMBER_BITS 40
#define NUMBER_MASK ((UINT64_C(1) << NUMBER_BITS) - 1)
#define NUMBERS_AT_ONCE 256u
#define SLAB_CALLS 256u
#define SLABS_MAX 65536u /* 16 million calls at a time in the process */

typedef struct cr_handle_slab {
    struct cr_handle_slab *next; /* of this loop, older */
    size_t index;                /* in the table */
    size_t used;                 /* records ever handed out */
    cr_call calls[SLAB_CALLS];
} slab;

static _Atomic(slab *) call_slabs[SLABS_MAX];
static _Atomic size_t call_slabs_from; /* where a free entry of the table may be */
static _Atomic uint64_t call_numbers = NUMBERS_AT_ONCE;

void cr_handles_init(cr_handles *handles, crank_loop *loop)
{
    *handles = (cr_handles){ .loop = loop };
}

/* A slab leaves the table before its memory goes. */
void cr_handles_deinit(cr_handles *handles)
{
    while (handles->slabs) {
        slab *first = handles->slabs;
        handles->slabs = first->next;
        atomic_store(&call_slabs[first->index], NULL);
        atomic_store_explicit(&call_slabs_from, first->index, memory_order_relaxed);
        cr_free(handles->loop->sys, first);
    }
}

/* Loops of other threads look for a free entry at the same time: one exchange takes it. */
static bool enter(slab *fresh)
{
    size_t from = atomic_load_explicit(&call_slabs_from, memory_order_relaxed);
    for (size_t n = 0; n < SLABS_MAX; n++) {
        slab *none = NULL;
        size_t i = (from + n) % SLABS_MAX;
        if (!atomic_load_explicit(&call_slabs[i], memory_order_relaxed) &&
            atomic_compare_exchange_strong(&call_slabs[i], &none, fresh)) {
            fresh->index = i;
            atomic_store_explicit(&call_slabs_from, (i + 1) % SLABS_MAX, memory_order_relaxed);
            return true;
        }
    }
    return false;
}

static slab *slab_new(cr_handles *handles)
{
    slab *fresh = cr_alloc_zero(handles->loop->sys, sizeof *fresh);
    if (!fresh)
        return NULL;
    if (!enter(fresh)) {
        cr_free(handles->loop->sys, fresh);
        return NULL;
    }
    fresh->next = handles->slabs;
    handles->slabs = fresh;
    return fresh;
}

static CR_NOINLINE cr_call *call_fresh(cr_handles *handles)
{
    slab *newest = handles->slabs;
    if (!newest || newest->used == SLAB_CALLS)
        newest = slab_new(handles);
    if (!newest)
        return NULL;
    cr_call *call = &newest->calls[newest->used];
    call->id = (uint64_t)(newest->index * SLAB_CALLS + newest->used) << NUMBER_BITS;
    newest->used++;
    return call;
}

/* By the hundred, so that threads do not fight for the counter. 0 and those beside it are left out
 * when the numbers begin again, after 2^40. */
static CR_NOINLINE void reserve_numbers(cr_handles *handles)
{
    do
        handles->number = NUMBER_MASK & atomic_fetch_add_explicit(
                                            &call_numbers, NUMBERS_AT_ONCE, memory_order_relaxed);
    while (handles->number == 0);
    handles->number_end = handles->number + NUMBERS_AT_ONCE;
}

cr_call *cr_handles_get(cr_handles *handles)
{
    cr_call *call = handles->free;
    if (CR_LIKELY(call != NULL))
        handles->free = (cr_call *)(void *)call->service.item.next;
    else if (!(call = call_fresh(handles)))
        return NULL;
    if (CR_UNLIKELY(handles->number == handles->number_end))
        reserve_numbers(handles);
    __atomic_store_n(&call->id, (call->id & ~NUMBER_MASK) | handles->number++, __ATOMIC_RELAXED);
    return call;
}

/* Atomic, for a thread that has a handle of an ended loop may compare it with this one. */
void cr_handles_forget(cr_call *call)
{
    __atomic_store_n(&call->id, call->id & ~NUMBER_MASK, __ATOMIC_RELAXED);
}

void cr_handles_put(cr_handles *handles, cr_call *call)
{
    cr_handles_forget(call);
    call->service.item.next = (cr_fiber *)(void *)handles->free;
    handles->free = call;
}

cr_call *cr_handles_find(const crank_handle *handle)
{
    uint64_t id = (uint64_t)(uintptr_t)handle;
    if ((id & NUMBER_MASK) == 0)
        return NULL;
    slab *found =
        atomic_load_explicit(&call_slabs[(id >> NUMBER_BITS) / SLAB_CALLS], memory_order_acquire);
    if (!found)
        return NULL;
    cr_call *call = &found->calls[(id >> NUMBER_BITS) % SLAB_CALLS];
    return __atomic_load_n(&call->id, __ATOMIC_RELAXED) == id ? call : NULL;
}
