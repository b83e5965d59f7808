/* SPDX-License-Identifier: MIT */
/* resolver.h: names on the simulated network, and their addresses. */
#ifndef CR_RESOLVER_H
#define CR_RESOLVER_H
#include "base/sys.h"

typedef struct cr_world cr_world;

/* The addresses of a host as the host sees them that asks: how many are filled in, -ENOENT. Known
 * are the hosts, and "localhost". */
int cr_resolver_find(
    cr_world *world, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max);
#endif
