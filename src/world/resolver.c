/* SPDX-License-Identifier: MIT */
/* resolver.c: names on the simulated network, and their addresses.
 *
 * Owns no hosts: each is found by the name it was made with (hosts.h). A host sees itself and
 * "localhost" at the loopback, as a machine whose hosts file says so, and every other host at that
 * host's own addresses. IPv6 comes first, in the order of a machine that has both families. */
#include "world/resolver.h"

#include <string.h>
#include <strings.h>

#include "world/endpoints.h"
#include "world/hosts.h"

static void fill(struct sockaddr_in6 *ret_address, const cr_name *name)
{
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address, &name->any, name->size);
}

static void make(cr_world *world, int family, int host, cr_name *ret_name)
{
    *ret_name = (cr_name){ .size = family == AF_INET ? sizeof ret_name->v4 : sizeof ret_name->v6 };
    if (host != cr_host_here(world)) {
        cr_name_make_own(ret_name, family, host, 0);
    } else if (family == AF_INET) {
        ret_name->v4.sin_family = AF_INET;
        ret_name->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        ret_name->v6.sin6_family = AF_INET6;
        ret_name->v6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
    }
}

int cr_resolver_find(
    cr_world *world, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max)
{
    static const int families[] = { AF_INET6, AF_INET };
    bool local = strcasecmp(name, "localhost") == 0;
    int host = local ? cr_host_here(world) : cr_host_find(world, name);
    if (host < 0)
        return host;
    unsigned n = 0;
    for (; n < 2 && n < max; n++) {
        cr_name found;
        make(world, families[n], host, &found);
        fill(&ret_addresses[n], &found);
    }
    return (int)n;
}
