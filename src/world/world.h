/* SPDX-License-Identifier: MIT */
/* world.h: what a simulated run is made of: its clock, its chance, its choices, and the hash of all
 * that happens. It knows no loop and no backend: the simulator (backend/sim.c) asks it. */
#ifndef CR_WORLD_H
#define CR_WORLD_H
#include <stdatomic.h>

#include "base/prng.h"
#include "base/sys.h"
#include "world/arrivals.h"
#include "world/choices.h"

#define CR_WORLD_NAME_MAX 63

/* What lies between two hosts: spans in nanoseconds; 0: none of it. */
typedef struct cr_link cr_link;
struct cr_link {
    int64_t latency;
    int64_t jitter;     /* what the seed adds at most */
    int64_t tail;       /* what it adds besides to one of many */
    uint64_t bandwidth; /* bytes per second */
    double loss;        /* the share of datagrams that do not arrive */
    double copies;      /* and of the others the share that arrives twice */
};

/* From one host to another. */
typedef struct cr_route {
    cr_link link;
    int64_t free_at; /* what was sent before is on its way then */
    bool cut;
} cr_route;

/* Host 0 is where a program begins; as long as there is no other it is not in memory. */
typedef struct cr_host {
    char name[CR_WORLD_NAME_MAX + 1];
    bool down; /* powered off */
} cr_host;

typedef struct cr_hosts {
    cr_host *all;
    cr_route *routes;  /* of count times count */
    int count;         /* 0: there is host 0 alone */
    int acting;        /* sockets are made on this one, where here is NULL */
    int (*here)(void); /* the host of the running task: the ranks above know tasks */
    cr_link usual;     /* between hosts that are not made yet */
    cr_route within;   /* between the sockets of one host: weather.c's alone */
} cr_hosts;

/* Sockets of the simulated network have numbers where no real descriptor is. */
#define CR_VIRTUAL_FIRST (1 << 20)
static inline bool cr_is_virtual(int fd) { return fd >= CR_VIRTUAL_FIRST; }

typedef struct cr_endpoint cr_endpoint;
typedef struct cr_known cr_known;

/* What goes wrong by chance: shares, from 0 to 1, of calls, connections or lookups. */
typedef struct cr_faults {
    double refuse; /* of calls, which are refused */
    double reset;  /* of connections, which are reset at both sides, early on */
    double half;   /* of connections, which end so at one side: the other is told nothing */
    double accept; /* of connections, which are reset before they are accepted */
    double lookup; /* of lookups, which no name server answers */
    double spawn;  /* of starts of programs, for which there is no process */
} cr_faults;

/* The simulated network: see net.h. */
typedef struct cr_net {
    cr_endpoint **endpoints; /* by number, less CR_VIRTUAL_FIRST; NULL: the number is free */
    size_t room;
    size_t open;          /* how many numbers are not free */
    cr_arrivals arrivals; /* what is on its way */
    cr_hosts hosts;
    cr_faults faults;
    cr_known *names; /* that were given: resolver.h */
    bool half_open;  /* one has just broken at one side: net.c asks what the other learns */
    uint64_t connections;
    unsigned last_port; /* of the ephemeral ones: the next is sought behind it */
} cr_net;

/* table is the OS as the program sees it: the given one, with the world's clock, chance and
 * sockets. */
struct cr_world {
    cr_sys table;        /* its context is this record, which does not move */
    const cr_sys *real;  /* what the simulator stands on */
    _Atomic int64_t now; /* workers read it too */
    cr_prng random;      /* the program's own, a stream apart from the choices */
    bool seeded;         /* the seed is not 0 */
    bool listed;         /* choices come from the list first */
    cr_prng chance;
    cr_choices list;
    uint64_t hash; /* of all that happened */
    cr_net net;
};

void cr_world_init(cr_world *world, const cr_sys *real, uint64_t seed);
/* Close what of its sockets is open. */
void cr_world_deinit(cr_world *world);
/* Take the choices from a list and tell of them: options.choices and choices_to. continued: the
 * list is the process's, see choices.h. */
void cr_world_follow(cr_world *world, const char *choices, bool continued, int to);

/* What happened becomes part of the hash. */
void cr_world_note(cr_world *world, uint64_t word);
/* One of n: 0 when nothing is perturbed, else the seed's or the list's. Noted, so that runs with
 * seed 0 have a hash as well. */
size_t cr_world_choose(cr_world *world, size_t n);
/* Does something go wrong that goes wrong in a share of all cases? Not in the plain order of a
 * list; else by chance, with seed 0 too, for the program has asked for it. */
bool cr_world_strikes(cr_world *world, double share);
/* Is there anything to choose: a seed, or a list? */
static inline bool cr_world_perturbed(const cr_world *world)
{
    return world->seeded || world->listed;
}
/* What host 0 is called. */
#define CR_WORLD_HOST "sim"
static inline int64_t cr_world_now(cr_world *world)
{
    return atomic_load_explicit(&world->now, memory_order_relaxed);
}
/* What the clock shows first: at zero it would be taken for no instant by careless code. */
#define CR_WORLD_FIRST CR_SECOND
/* The OS table's wall_now. The calendar begins at a date, so that what is signed or printed is the
 * same in every run. */
int64_t cr_world_wall_now(void *context);
/* The clock goes to an instant after the one it shows. */
void cr_world_pass(cr_world *world, int64_t instant);
#endif
