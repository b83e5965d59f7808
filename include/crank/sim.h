/* SPDX-License-Identifier: MIT */
#ifndef CRANK_SIM_H
#define CRANK_SIM_H
/* The simulator's network as a test sees it: several hosts in one program, what lies between them, and what goes wrong.
 * Included by itself: crank.h does not include it. A test that uses it also runs for real: there crank_sim_host is
 * crank_spawn, no host has a name or address of its own (connect to the loopback's), links are left as they are, and
 * what would make something go wrong fails with -ENOTSUP. A host is named by its name; NULL means every host.
 * docs/simulator.md says what the simulator chooses. */
#include "base.h"
#include "call.h"
#include "task.h"
/* Not a system header, as scope.h is none: gcc would then keep silent about an ignored result. */

CRANK_BEGIN_DECLS

/* ---- Hosts ----------------------------------------------------------------------------------------------------- */

/* Start a task that calls fn(args...) on a host, which is made when its name is new: as crank_spawn in every respect,
 * and the task's sockets, those of all tasks it spawns too, are the host's. The host's name is looked up as any name
 * is, and has the addresses fd00::N and 10.0.0.N; to itself a host is the loopback. The program begins on a host called
 * "sim". A host that was killed is powered on again. The task has not run when the call returns: a client that a
 * server must not refuse is begun after crank_sim_settle. NULL, and errno is set: ENOMEM, ENAMETOOLONG (more than 63
 * bytes), ENOSPC (more than 254 hosts). */
#ifndef __cplusplus
#define crank_sim_host(name, ...) CRANK_CAPTURE_(__COUNTER__, crank_sim_host_, &*(name), __VA_ARGS__)
CRANK_API crank_task *crank_sim_host_(const char *name, crank_function_ *fn, const crank_site *site);
#endif
/* The number of the running task's host, from 0, which is "sim"; 0 outside the simulator. */
CRANK_API int crank_sim_host_id(void);

/* ---- Links ----------------------------------------------------------------------------------------------------- */

/* What lies between two hosts, in one direction. Zero is none of it. */
typedef struct crank_sim_link {
    double latency;   /* seconds from one to the other */
    double jitter;    /* seconds that the seed adds at most, for each piece; nothing with seed 0 */
    double tail;      /* seconds that it adds besides to one piece of 64 */
    double bandwidth; /* bytes per second; 0: any number at once */
    double loss;      /* of datagrams the share, from 0 to 1, that does not arrive; streams lose nothing */
    double copies;    /* and of those that do the share that arrives twice */
} crank_sim_link;

/* Set what lies between two hosts, from one to the other; NULL for both: between all, also those that are made later.
 * What is under way already arrives as it would have. Within a host everything arrives at once. 0; fails with -ENOENT
 * (no host has the name), -EINVAL (a field is negative or not a number, or a share above 1). */
CRANK_API int crank_sim_set_link(const char *from, const char *to, const crank_sim_link *link);
/* Let nothing arrive any more, in both directions or one way: what is sent, or under way, is held until the hosts are
 * healed. Connections outlive a short cut. A call fails with -ETIMEDOUT after 127 seconds, a connection that waits for
 * an answer to what it has sent after 15 minutes, and one that only waits when its keepalive has run out: two minutes
 * after the last word, unless it was set otherwise. 0, -ENOENT. */
CRANK_API int crank_sim_cut(const char *from, const char *to, bool one_way);
/* Mend a cut, in both directions: what was held is on its way. 0, -ENOENT. */
CRANK_API int crank_sim_heal(const char *from, const char *to);
/* Reset all connections between two hosts, at both sides; those of a host with itself only where both names are its
 * own. 0, -ENOENT. */
CRANK_API int crank_sim_reset(const char *a, const char *b);
/* Wait until no other task has run for cushion seconds: what was to happen at once has happened, and what is left waits
 * for time, or for nothing. 0 is the least time there is, a nanosecond. Works outside the simulator, too. Where tasks
 * wake each other more often than that it does not end: the caller sets the limit of time. Fails with -EINVAL,
 * -ECANCELED, -ENOMEM. */
CRANK_API CRANK_BLOCKS int crank_sim_settle(double cushion);

/* ---- Faults ---------------------------------------------------------------------------------------------------- */

/* Power a host off: nothing that it has sent arrives any more, its peers are told nothing; its tasks are cancelled, and
 * the call waits until they have ended. crank_sim_host powers it on again. A task that waits so must not be on the host
 * itself, and the host not be "sim": a CHECK. Fails with -ENOENT, -ECANCELED (some tasks may not have ended). */
CRANK_API CRANK_BLOCKS int crank_sim_kill(const char *host);
/* What goes wrong by chance from now on: shares, from 0 to 1. Zero is never. */
typedef struct crank_sim_faults {
    double refuse; /* of calls, which are refused as if no socket listened: -ECONNREFUSED */
    double reset;  /* of connections, which are reset at both sides when some of the first bytes arrive: -ECONNRESET */
    double half;   /* of connections, which break so at the side that accepted, and the other is told nothing */
    double accept; /* of connections, which are reset just before they are accepted */
    double lookup; /* of lookups, which no name server answers: -EAGAIN */
    double spawn;  /* of starts of programs, which find no place for a process: -EAGAIN. The others give -ENOTSUP */
} crank_sim_faults;
/* 0; fails with -EINVAL (no share), -ENOTSUP. */
CRANK_API int crank_sim_set_faults(const crank_sim_faults *faults);
/* Say what a lookup of a name gives, and after how many seconds: addresses, "10.0.0.2, fd00::2" or hosts' names, at
 * most 8; or, with NULL for them, an error, -ENOENT or -EAGAIN say. It goes before a host's own name. 0; fails with
 * -EINVAL, -E2BIG (too many), -ENOENT (no such host), -ENOMEM. */
CRANK_API int crank_sim_name(const char *name, const char *addresses, int error, double delay);

CRANK_END_DECLS
#endif
