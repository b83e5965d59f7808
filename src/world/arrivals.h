/* SPDX-License-Identifier: MIT */
/* arrivals.h: what is on its way through the simulated network, and when it arrives. */
#ifndef CR_ARRIVALS_H
#define CR_ARRIVALS_H
#include "base/base.h"

typedef struct cr_world cr_world;
typedef struct cr_arrival cr_arrival;

typedef struct cr_arrival_type {
    uint64_t kind;  /* what the hash calls it */
    bool backwards; /* it goes to its sender */
    bool here;      /* it goes nowhere: the sender's own clock */
    /* Is the way cut? NULL: as that between its sender and the peer is. */
    bool (*is_cut)(const cr_world *world, const cr_arrival *arrival);
    /* What becomes of it where the way is cut; NULL: it waits until that is healed. */
    void (*lost)(cr_world *world, cr_arrival *arrival);
    void (*arrive)(cr_world *world, cr_arrival *arrival);
} cr_arrival_type;

/* It lies in the record of its sender: planning one needs no memory. Zero: not planned. */
struct cr_arrival {
    const cr_arrival_type *type; /* NULL: not planned */
    cr_arrival *next;
    cr_arrival *before;
    int64_t at;
    uint64_t connection;        /* number of its connection in the hash */
    struct cr_endpoint *sender; /* NULL: a datagram, which may outlive it */
};

/* By instant, and in the order of planning where that is the same. */
typedef struct cr_arrivals {
    cr_arrival *first;
    cr_arrival *last;
} cr_arrivals;

/* Let it arrive at that instant, or when that is past, soon. It is not planned yet. */
void cr_arrival_plan(
    cr_arrivals *all, cr_arrival *arrival, int64_t at, const cr_arrival_type *type);
/* Take it back; one that is not planned is left alone. */
void cr_arrival_drop(cr_arrivals *all, cr_arrival *arrival);
/* How many are due, all at one instant, the earliest. */
size_t cr_arrivals_due(const cr_arrivals *all, int64_t now);
/* The n-th of them, which stays planned. */
cr_arrival *cr_arrivals_at(const cr_arrivals *all, size_t n);
#endif
