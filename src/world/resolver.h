/* SPDX-License-Identifier: MIT */
/* resolver.h: names on the simulated network, and their addresses. */
#ifndef CR_RESOLVER_H
#define CR_RESOLVER_H
#include <netinet/in.h>

#include "base/sys.h"

typedef struct cr_world cr_world;

/* What a name server says of a name. */
#define CR_KNOWN_NAME_MAX 253
#define CR_KNOWN_MAX 8
typedef struct cr_known cr_known;
struct cr_known {
    cr_known *next;
    char name[CR_KNOWN_NAME_MAX + 1];
    int error;     /* negative: its lookup fails with that */
    int64_t delay; /* nanoseconds until there is an answer */
    unsigned count;
    struct sockaddr_in6 addresses[CR_KNOWN_MAX];
};

/* The addresses of a name, for the host that asks: how many are filled in, -ENOENT, or what was
 * asked for. Known are the names that were given, and the hosts. */
int cr_resolver_find(
    cr_world *world, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max);
/* How long its lookup takes. */
int64_t cr_resolver_delay(const cr_world *world, const char *name);
/* From now on that is said of the name; a copy is kept. 0, -ENOMEM. */
int cr_resolver_give(cr_world *world, const cr_known *known);
/* The addresses of a host for the other hosts: at most two, how many are filled in; -ENOENT. */
int cr_resolver_host(const cr_world *world, const char *name, struct sockaddr_in6 *ret_addresses);
void cr_resolver_deinit(cr_world *world);
#endif
