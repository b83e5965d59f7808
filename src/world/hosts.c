/* SPDX-License-Identifier: MIT */
/* hosts.c: the hosts of the simulated network and what lies between them.
 *
 * Owns the table of routes, one for each pair and direction, and decides by it when something
 * arrives: what has a bandwidth is passed on one after the other, then come latency, and by choice
 * jitter and the long tail. With seed 0 only the first two. A cut is asked for when something
 * arrives, not when it is sent: what was under way is cut off too. */
#include "world/hosts.h"

#include <string.h>
#include <strings.h>

#include "world/world.h"

#define JITTER_STEPS 4
#define TAIL_ONE_OF 64

/* NULL: of host 0 alone. */
static cr_route *route(const cr_world *world, int from, int to)
{
    const cr_hosts *hosts = &world->net.hosts;
    return from < hosts->count && to < hosts->count ? &hosts->routes[from * hosts->count + to]
                                                    : NULL;
}

/* As names are compared by resolvers. */
int cr_host_find(const cr_world *world, const char *name)
{
    const cr_hosts *hosts = &world->net.hosts;
    for (int i = 0; i < hosts->count; i++)
        if (strcasecmp(hosts->all[i].name, name) == 0)
            return i;
    return strcasecmp(name, CR_WORLD_HOST) == 0 ? 0 : -ENOENT;
}

/* One host more, or from none to host 0 and one more. */
static int grow(cr_world *world)
{
    cr_hosts *hosts = &world->net.hosts;
    int count = hosts->count ? hosts->count + 1 : 2;
    cr_host *all = cr_resize(world->real, hosts->all, (size_t)count * sizeof *all);
    if (!all)
        return -ENOMEM;
    /* Should the routes find no memory, this array is longer than the count says: no harm. */
    hosts->all = all;
    cr_route *routes = cr_alloc_zero(world->real, (size_t)(count * count) * sizeof *routes);
    if (!routes)
        return -ENOMEM;
    for (int from = 0; from < hosts->count; from++)
        for (int to = 0; to < hosts->count; to++)
            routes[from * count + to] = hosts->routes[from * hosts->count + to];
    cr_free(world->real, hosts->routes);
    if (hosts->count == 0)
        all[0] = (cr_host){ .name = CR_WORLD_HOST };
    all[count - 1] = (cr_host){ .down = false };
    hosts->routes = routes;
    hosts->count = count;
    for (int other = 0; other < count - 1; other++)
        routes[other * count + count - 1].link = routes[(count - 1) * count + other].link =
            hosts->usual;
    return 0;
}

int cr_host_add(cr_world *world, const char *name)
{
    cr_hosts *hosts = &world->net.hosts;
    size_t length = strlen(name);
    if (length > CR_WORLD_NAME_MAX)
        return -ENAMETOOLONG;
    int known = cr_host_find(world, name);
    if (known >= 0)
        return known;
    if (hosts->count == CR_HOSTS_MAX)
        return -ENOSPC;
    int err = grow(world);
    if (err < 0)
        return err;
    memcpy(hosts->all[hosts->count - 1].name, name, length + 1);
    return hosts->count - 1;
}

void cr_host_act(cr_world *world, int host) { world->net.hosts.acting = host; }

int cr_host_here(const cr_world *world)
{
    const cr_hosts *hosts = &world->net.hosts;
    return hosts->here ? hosts->here() : hosts->acting;
}

/* Of the pairs that are meant the next behind *at; a host is not linked to itself. */
static cr_route *next_route(const cr_world *world, int from, int to, int *at)
{
    const cr_hosts *hosts = &world->net.hosts;
    while (*at < hosts->count * hosts->count) {
        int i = *at / hosts->count, k = *at % hosts->count;
        (*at)++;
        if (i != k && (from == CR_HOST_EVERY || from == i) && (to == CR_HOST_EVERY || to == k))
            return route(world, i, k);
    }
    return NULL;
}

void cr_host_link(cr_world *world, int from, int to, const cr_link *link)
{
    cr_route *r;
    int at = 0;
    if (from == CR_HOST_EVERY && to == CR_HOST_EVERY)
        world->net.hosts.usual = *link;
    while ((r = next_route(world, from, to, &at)))
        r->link = *link;
}

static void set_cut(cr_world *world, int from, int to, bool cut)
{
    cr_route *r;
    int at = 0;
    while ((r = next_route(world, from, to, &at)))
        r->cut = cut;
}

void cr_host_cut(cr_world *world, int from, int to) { set_cut(world, from, to, true); }
void cr_host_heal(cr_world *world, int from, int to) { set_cut(world, from, to, false); }

/* Host 0 alone is not in memory, and on. */
void cr_host_power(cr_world *world, int host, bool on)
{
    if (world->net.hosts.count > 0)
        world->net.hosts.all[host].down = !on;
}

bool cr_host_is_cut(const cr_world *world, int from, int to)
{
    const cr_hosts *hosts = &world->net.hosts;
    const cr_route *r = route(world, from, to);
    return r && (r->cut || hosts->all[from].down || hosts->all[to].down);
}

/* From a host to itself too. */
static cr_route *way(cr_world *world, int from, int to)
{
    return from == to ? &world->net.hosts.within : route(world, from, to);
}

int64_t cr_host_arrival(cr_world *world, int from, int to, size_t n)
{
    cr_route *r = way(world, from, to);
    int64_t at = cr_world_now(world);
    /* The link passes bytes on one after the other: what is sent while it is busy queues up. */
    if (r->link.bandwidth) {
        double span = (double)n / (double)r->link.bandwidth * (double)CR_SECOND;
        r->free_at = (r->free_at > at ? r->free_at : at) + (int64_t)span;
        at = r->free_at;
    }
    at += r->link.latency;
    /* One of a few steps: all outcomes of a small choice can be tried. */
    if (r->link.jitter && cr_world_perturbed(world))
        at += r->link.jitter / (JITTER_STEPS - 1) * (int64_t)cr_world_choose(world, JITTER_STEPS);
    if (r->link.tail && cr_world_perturbed(world))
        at += cr_world_choose(world, TAIL_ONE_OF) == TAIL_ONE_OF - 1 ? r->link.tail : 0;
    return at;
}

bool cr_host_loses(cr_world *world, int from, int to)
{
    return cr_world_strikes(world, way(world, from, to)->link.loss);
}

bool cr_host_copies(cr_world *world, int from, int to)
{
    return cr_world_strikes(world, way(world, from, to)->link.copies);
}

void cr_host_deinit(cr_world *world)
{
    cr_free(world->real, world->net.hosts.all);
    cr_free(world->real, world->net.hosts.routes);
    world->net.hosts = (cr_hosts){ .count = 0 };
}
