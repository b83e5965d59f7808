/* SPDX-License-Identifier: MIT */
/* flow.h: the bytes that one socket sends another. */
#ifndef CR_FLOW_H
#define CR_FLOW_H
#include "base/sys.h"

/* Bytes up to position have arrived at that instant. */
typedef struct cr_mark {
    uint64_t position;
    int64_t at;
} cr_mark;
#define CR_MARKS 16

/* Positions count from the connection's first byte: taken <= arrived <= due <= written. What is due
 * and has not arrived finds no room at the receiver. */
typedef struct cr_flow {
    unsigned char *ring; /* what is written and not taken, each byte at its position modulo room */
    size_t room;         /* a power of 2 */
    uint64_t written;
    uint64_t due;
    uint64_t arrived;
    uint64_t taken;
    cr_mark marks[CR_MARKS]; /* of what is not due yet, in order */
    unsigned marked;
    int64_t latest; /* nothing that is sent from now on arrives before */
    bool fin_due;   /* the end arrives with the last byte */
    bool cramped;   /* the ring is full and could not grow: it waits for the receiver */
} cr_flow;

/* False when memory is short. */
bool cr_flow_init(cr_flow *flow, const cr_sys *sys);
/* Make room for at most n more: for how many there is. Fewer when memory is short, and none where
 * the ring is full besides. */
size_t cr_flow_reserve(cr_flow *flow, const cr_sys *sys, size_t n);
/* Room is reserved; they arrive at that instant, or later where earlier ones do. */
void cr_flow_write(cr_flow *flow, const void *buf, size_t n, int64_t at);
/* How many become due by that instant. */
size_t cr_flow_pending(const cr_flow *flow, int64_t now);
/* So many become due, whenever they were to arrive. */
void cr_flow_advance(cr_flow *flow, size_t n);
/* Let arrive what is due, with no more than so many waiting at the receiver. */
void cr_flow_arrive(cr_flow *flow, size_t window);
/* Copy at most size bytes of what has arrived: how many. */
size_t cr_flow_peek(const cr_flow *flow, void *buf, size_t size);
/* So many of those were taken. */
void cr_flow_take(cr_flow *flow, size_t n);
/* What has not arrived never will. */
void cr_flow_cut(cr_flow *flow);
void cr_flow_deinit(cr_flow *flow, const cr_sys *sys);

static inline size_t cr_flow_readable(const cr_flow *flow)
{
    return (size_t)(flow->arrived - flow->taken);
}
#endif
