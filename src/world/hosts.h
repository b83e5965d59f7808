/* SPDX-License-Identifier: MIT */
/* hosts.h: the hosts of the simulated network and what lies between them. */
#ifndef CR_HOSTS_H
#define CR_HOSTS_H
#include "base/sys.h"

typedef struct cr_world cr_world;
typedef struct cr_link cr_link;

#define CR_HOST_EVERY (-1)

/* The host of that name, made when new: its number, -ENOMEM, -ENAMETOOLONG, -ENOSPC. Host n has the
 * addresses 10.0.0.(n + 1) and fd00::(n + 1), besides the loopback's. */
#define CR_HOSTS_MAX 254
int cr_host_add(cr_world *world, const char *name);
/* Its number, or -ENOENT. */
int cr_host_find(const cr_world *world, const char *name);
/* Sockets are made on it from now on, where nothing else decides that: world.h's here. */
void cr_host_act(cr_world *world, int host);
/* On which host a socket that is made now belongs. */
int cr_host_here(const cr_world *world);
/* What lies between two hosts, in this direction; CR_HOST_EVERY: every other, and where both are
 * meant so also those that are made later. */
void cr_host_link(cr_world *world, int from, int to, const cr_link *link);
/* What is sent in this direction does not arrive until it is healed. */
void cr_host_cut(cr_world *world, int from, int to);
void cr_host_heal(cr_world *world, int from, int to);
/* A host that is off sends nothing and gets nothing. Not host 0, where it is alone. */
void cr_host_power(cr_world *world, int host, bool on);
bool cr_host_is_cut(const cr_world *world, int from, int to);
/* When so many bytes that are sent now arrive. */
int64_t cr_host_arrival(cr_world *world, int from, int to, size_t n);
/* Is the datagram that is sent now lost on its way, or does it arrive twice? A fault, by the link's
 * share (cr_world_strikes). */
bool cr_host_loses(cr_world *world, int from, int to);
bool cr_host_copies(cr_world *world, int from, int to);
void cr_host_deinit(cr_world *world);
#endif
