/* SPDX-License-Identifier: MIT */
/* events.h: what is on its way through the simulated network, and when it arrives. */
#ifndef CR_EVENTS_H
#define CR_EVENTS_H
#include "base/base.h"

typedef struct cr_world cr_world;
typedef struct cr_event cr_event;

typedef struct cr_event_type {
    uint64_t kind; /* what the hash calls it */
    void (*arrive)(cr_world *world, cr_event *event);
} cr_event_type;

/* It lies in the record of its sender: planning one needs no memory. Zero: not planned. */
struct cr_event {
    const cr_event_type *type; /* NULL: not planned */
    cr_event *next;
    cr_event *before;
    int64_t at;
    uint64_t connection; /* what the hash calls whose it is */
};

/* By instant, and in the order of planning where that is the same. */
typedef struct cr_events {
    cr_event *first;
    cr_event *last;
} cr_events;

/* Let it arrive at that instant, or when that is past, soon. It is not planned yet. */
void cr_event_plan(cr_events *events, cr_event *event, int64_t at, const cr_event_type *type);
/* Take it back; one that is not planned is left alone. */
void cr_event_drop(cr_events *events, cr_event *event);
/* How many are due, all at one instant, the earliest. */
size_t cr_events_due(const cr_events *events, int64_t now);
/* The n-th of them, which stays planned. */
cr_event *cr_events_at(const cr_events *events, size_t n);
#endif
