/* SPDX-License-Identifier: MIT */
/* resolver.c: names on the simulated network, and their addresses.
 *
 * Owns the names that a program has given; they go before the hosts', each of which is found by the
 * name it was made with (hosts.h). A host sees itself at the loopback, as a machine whose hosts
 * file says so, and every other host at that host's own addresses; "localhost" is not asked for
 * (net/resolve.c). IPv6 comes first, in the order of a machine that has both families. */
#include "world/resolver.h"

#include <string.h>
#include <strings.h>

#include "world/endpoints.h"
#include "world/hosts.h"

static const int families[] = { AF_INET6, AF_INET };

/* The caller's array has the larger of the two forms; behind a sockaddr_in come zeros. */
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

static cr_known *find(const cr_world *world, const char *name)
{
    cr_known *known = world->net.names;
    while (known && strcasecmp(known->name, name) != 0)
        known = known->next;
    return known;
}

static int answer(const cr_known *known, struct sockaddr_in6 *ret_addresses, unsigned max)
{
    unsigned n = known->count < max ? known->count : max;
    if (known->error)
        return known->error;
    memcpy(ret_addresses, known->addresses, n * sizeof *ret_addresses);
    return (int)n;
}

int cr_resolver_find(
    cr_world *world, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max)
{
    const cr_known *known = find(world, name);
    if (cr_world_strikes(world, world->net.faults.lookup))
        return -EAGAIN;
    if (known)
        return answer(known, ret_addresses, max);
    int host = cr_host_find(world, name);
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

int64_t cr_resolver_delay(const cr_world *world, const char *name)
{
    const cr_known *known = find(world, name);
    return known ? known->delay : 0;
}

int cr_resolver_give(cr_world *world, const cr_known *known)
{
    cr_known *kept = find(world, known->name);
    if (!kept) {
        kept = cr_alloc_zero(world->real, sizeof *kept);
        if (!kept)
            return -ENOMEM;
        kept->next = world->net.names;
        world->net.names = kept;
    }
    /* A name that is given again gets the new answer, and keeps its place in the list. */
    cr_known *next = kept->next;
    *kept = *known;
    kept->next = next;
    return 0;
}

int cr_resolver_host(const cr_world *world, const char *name, struct sockaddr_in6 *ret_addresses)
{
    int host = cr_host_find(world, name);
    for (int i = 0; i < 2 && host >= 0; i++) {
        cr_name found;
        cr_name_make_own(&found, families[i], host, 0);
        fill(&ret_addresses[i], &found);
    }
    return host < 0 ? host : 2;
}

void cr_resolver_deinit(cr_world *world)
{
    while (world->net.names) {
        cr_known *known = world->net.names;
        world->net.names = known->next;
        cr_free(world->real, known);
    }
}
