/* SPDX-License-Identifier: MIT */
/* flow.c: the bytes that one socket sends another.
 *
 * Owns their order, which nothing here can change: there are no segments, only positions in one
 * sequence of bytes, and instants at which it has arrived so far. What was sent at different times
 * and arrives at one instant is one arrival. Knows no sockets. */
#include "world/flow.h"

#include <string.h>

#define ROOM_FIRST 4096

/* Copy between the ring and buf, at a position. */
static void copy(const cr_flow *flow, uint64_t position, void *buf, size_t n, bool inwards)
{
    size_t at = (size_t)position & (flow->room - 1);
    size_t first = flow->room - at < n ? flow->room - at : n;
    unsigned char *other = buf;
    if (inwards) {
        memcpy(flow->ring + at, other, first);
        memcpy(flow->ring, other + first, n - first);
    } else {
        memcpy(other, flow->ring + at, first);
        memcpy(other + first, flow->ring, n - first);
    }
}

bool cr_flow_init(cr_flow *flow, const cr_sys *sys)
{
    *flow = (cr_flow){ .ring = cr_alloc(sys, ROOM_FIRST), .room = ROOM_FIRST };
    return flow->ring;
}

/* A byte's place is its position modulo the room, so all places change: the old ring is copied run
 * by run. It is freed last: where memory is short nothing has changed. */
static bool grow(cr_flow *flow, const cr_sys *sys, size_t room)
{
    cr_flow grown = { .ring = cr_alloc(sys, room), .room = room };
    if (!grown.ring)
        return false;
    for (uint64_t at = flow->taken; at < flow->written;) {
        size_t from = (size_t)at & (flow->room - 1);
        size_t n = flow->room - from;
        n = n < flow->written - at ? n : (size_t)(flow->written - at);
        copy(&grown, at, flow->ring + from, n, true);
        at += n;
    }
    cr_free(sys, flow->ring);
    flow->ring = grown.ring;
    flow->room = room;
    return true;
}

size_t cr_flow_reserve(cr_flow *flow, const cr_sys *sys, size_t n)
{
    size_t held = (size_t)(flow->written - flow->taken);
    size_t room = flow->room;
    while (room < held + n)
        room *= 2;
    /* Memory is short: the sender gets the room that is left, and no error. */
    if (room > flow->room && !grow(flow, sys, room))
        n = flow->room - held;
    flow->cramped = n == 0;
    return n;
}

/* Where there are too many instants the last ones are one, the latest of them. */
void cr_flow_write(cr_flow *flow, const void *buf, size_t n, int64_t at)
{
    /* copy serves both directions, so its buffer is not const; inwards it only reads. */
    union {
        const void *given;
        void *bytes;
    } from = { .given = buf };
    copy(flow, flow->written, from.bytes, n, true);
    flow->written += n;
    flow->latest = at > flow->latest ? at : flow->latest;
    cr_mark *last = flow->marked ? &flow->marks[flow->marked - 1] : NULL;
    if (last && (last->at == flow->latest || flow->marked == CR_MARKS))
        *last = (cr_mark){ .position = flow->written, .at = flow->latest };
    else
        flow->marks[flow->marked++] = (cr_mark){ .position = flow->written, .at = flow->latest };
}

size_t cr_flow_pending(const cr_flow *flow, int64_t now)
{
    uint64_t to = flow->due;
    for (unsigned i = 0; i < flow->marked && flow->marks[i].at <= now; i++)
        to = flow->marks[i].position;
    return (size_t)(to - flow->due);
}

void cr_flow_advance(cr_flow *flow, size_t n)
{
    /* A sender's end makes bytes due before their instant: then all marks go at once. */
    unsigned past = 0;
    flow->due += n;
    while (past < flow->marked && flow->marks[past].position <= flow->due)
        past++;
    flow->marked -= past;
    memmove(flow->marks, flow->marks + past, flow->marked * sizeof *flow->marks);
}

void cr_flow_arrive(cr_flow *flow, size_t window)
{
    uint64_t limit = flow->taken + window;
    uint64_t to = flow->due < limit ? flow->due : limit;
    flow->arrived = to > flow->arrived ? to : flow->arrived;
}

size_t cr_flow_peek(const cr_flow *flow, void *buf, size_t size)
{
    size_t n = cr_flow_readable(flow) < size ? cr_flow_readable(flow) : size;
    if (n > 0)
        copy(flow, flow->taken, buf, n, false);
    return n;
}

void cr_flow_take(cr_flow *flow, size_t n)
{
    flow->taken += n;
    flow->cramped = flow->cramped && n == 0;
}

void cr_flow_cut(cr_flow *flow)
{
    /* The receiver may still read what has arrived. */
    flow->written = flow->due = flow->arrived;
    flow->marked = 0;
}

void cr_flow_deinit(cr_flow *flow, const cr_sys *sys)
{
    cr_free(sys, flow->ring);
    *flow = (cr_flow){ .room = 0 };
}
