/* SPDX-License-Identifier: MIT */
/* names.c: addresses and ports of the simulated sockets.
 *
 * Owns which socket may be bound where. Nothing is indexed: the sockets that are open are looked
 * through. A host has the addresses of the loopback, IPv4 and IPv6, and its own (hosts.h). Paths
 * and abstract names of AF_UNIX are the hosts' together; they are no files, and are free again when
 * their socket is closed. A port below 1024 is one like the others. */
#include <stddef.h>
#include <string.h>

#include "world/endpoints.h"
#include "world/net.h"

#define PORT_FIRST 32768u
#define PORTS 28232u /* net.ipv4.ip_local_port_range */
#define PATH_OFFSET ((unsigned)offsetof(struct sockaddr_un, sun_path))
#define V6_SHORTEST 24u /* without sin6_scope_id: RFC 2133 */

/* ---- reading and showing ---- */

static int read_local(const struct sockaddr *address, unsigned size, cr_name *ret_name)
{
    if (size <= PATH_OFFSET || size > sizeof ret_name->local || address->sa_family != AF_UNIX)
        return -EINVAL;
    *ret_name = (cr_name){ .size = size };
    memcpy(&ret_name->local, address, size);
    if (ret_name->local.sun_path[0]) /* a path ends at its first 0, which counts */
        ret_name->size =
            PATH_OFFSET +
            (unsigned)strnlen(ret_name->local.sun_path, sizeof ret_name->local.sun_path) + 1;
    return 0;
}

/* Assigning the whole record clears sin_zero as well, which the kernel shows as zeros. */
static void make_v4(cr_name *name, uint32_t host, in_port_t port)
{
    *name = (cr_name){ .size = sizeof name->v4 };
    name->v4.sin_family = AF_INET;
    name->v4.sin_addr.s_addr = htonl(host);
    name->v4.sin_port = port;
}

/* An IPv6 socket that is given ::ffff:a.b.c.d speaks IPv4. Names keep the IPv4 form, so that the
 * address finds the IPv4 socket that is bound to it. */
static void unmap(cr_name *name)
{
    uint32_t host;
    if (!IN6_IS_ADDR_V4MAPPED(&name->v6.sin6_addr))
        return;
    memcpy(&host, &name->v6.sin6_addr.s6_addr[12], sizeof host);
    make_v4(name, ntohl(host), name->v6.sin6_port);
}

int cr_name_read(int family, const struct sockaddr *address, unsigned size, cr_name *ret_name)
{
    if (family == AF_UNIX)
        return read_local(address, size, ret_name);
    /* The size is checked before the family, as inet_bind and tcp_v4_connect do. */
    unsigned whole = family == AF_INET ? sizeof ret_name->v4 : sizeof ret_name->v6;
    if (size < (family == AF_INET ? whole : V6_SHORTEST))
        return -EINVAL;
    if (address->sa_family != family)
        return -EAFNOSUPPORT;
    *ret_name = (cr_name){ .size = whole };
    memcpy(&ret_name->any, address, size < whole ? size : whole);
    if (family == AF_INET)
        memset(ret_name->v4.sin_zero, 0, sizeof ret_name->v4.sin_zero);
    else
        unmap(ret_name);
    return 0;
}

/* The caller of getsockname or accept expects the family of its socket, whatever the peer
 * speaks. */
static void map(cr_name *name)
{
    struct sockaddr_in v4 = name->v4;
    *name = (cr_name){ .size = sizeof name->v6 };
    name->v6.sin6_family = AF_INET6;
    name->v6.sin6_port = v4.sin_port;
    if (v4.sin_addr.s_addr == htonl(INADDR_ANY))
        return;
    memset(&name->v6.sin6_addr.s6_addr[10], 0xff, 2);
    memcpy(&name->v6.sin6_addr.s6_addr[12], &v4.sin_addr, sizeof v4.sin_addr);
}

/* Of a socket without a name: its family, and for TCP any address and no port. */
int cr_name_show(const cr_name *name, int family, struct sockaddr *address, unsigned *size)
{
    cr_name shown = *name;
    if ((int)*size < 0)
        return -EINVAL;
    if (shown.size == 0) {
        shown.any.sa_family = (sa_family_t)family;
        shown.size = family == AF_UNIX    ? PATH_OFFSET
                     : family == AF_INET6 ? sizeof shown.v6
                                          : sizeof shown.v4;
    } else if (family == AF_INET6 && shown.any.sa_family == AF_INET) {
        map(&shown);
    }
    memcpy(address, &shown.any, *size < shown.size ? *size : shown.size);
    *size = shown.size;
    return 0;
}

/* ---- addresses ---- */

in_port_t cr_name_port(const cr_name *name)
{
    return name->any.sa_family == AF_INET6 ? name->v6.sin6_port : name->v4.sin_port;
}

/* In the order of the network, as cr_name_port gives it. */
static void set_port(cr_name *name, in_port_t port)
{
    *(name->any.sa_family == AF_INET6 ? &name->v6.sin6_port : &name->v4.sin_port) = port;
}

static bool is_any(const cr_name *name)
{
    if (name->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&name->v6.sin6_addr);
    return name->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* Names of two families are never equal: a mapped address was unmapped when it was read. */
static bool same_address(const cr_name *a, const cr_name *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET6)
        return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
    return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
}

/* As on Linux all of 127.0.0.0/8 is the host itself: no other host and no cut lies on the way. */
static bool is_loopback(const cr_name *name)
{
    if (name->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&name->v6.sin6_addr);
    return ntohl(name->v4.sin_addr.s_addr) >> 24 == 127;
}

void cr_name_make_own(cr_name *name, int family, int host, in_port_t port)
{
    static const unsigned char prefix[] = { 0xfd };
    /* 10.0.0.0 and fd00:: would be names of the network: hosts count from 1. */
    unsigned number = (unsigned)host + 1;
    make_v4(name, 10u << 24 | number, port);
    if (family != AF_INET6)
        return;
    *name = (cr_name){ .size = sizeof name->v6 };
    name->v6.sin6_family = AF_INET6;
    name->v6.sin6_port = port;
    memcpy(&name->v6.sin6_addr, prefix, sizeof prefix);
    name->v6.sin6_addr.s6_addr[14] = (unsigned char)(number >> 8);
    name->v6.sin6_addr.s6_addr[15] = (unsigned char)number;
}

/* The first host, on which the program begins, is there before any other is made. */
int cr_name_host(const cr_world *world, int host, const cr_name *name)
{
    int hosts = world->net.hosts.count ? world->net.hosts.count : 1;
    if (is_any(name) || is_loopback(name))
        return host;
    unsigned number = ntohl(name->v4.sin_addr.s_addr) & 0xffffff;
    if (name->any.sa_family == AF_INET6)
        number = (unsigned)name->v6.sin6_addr.s6_addr[14] << 8 | name->v6.sin6_addr.s6_addr[15];
    if (number == 0 || number > (unsigned)hosts)
        return -ENETUNREACH;
    /* The number is only a part of the address: compare the whole with what that host has. */
    cr_name own;
    cr_name_make_own(&own, name->any.sa_family, (int)number - 1, 0);
    return same_address(&own, name) ? (int)number - 1 : -ENETUNREACH;
}

/* Does what is bound to name take what comes for the address of other? [::] takes IPv4 too. */
static bool takes(const cr_endpoint *s, const cr_name *name, const cr_name *other)
{
    if (!is_any(name))
        return same_address(name, other);
    if (name->any.sa_family == other->any.sa_family)
        return true;
    return name->any.sa_family == AF_INET6 && !s->options[CR_OPTION_ONLY_V6];
}

static cr_endpoint *next_bound(const cr_world *world, size_t *at)
{
    cr_endpoint *s;
    do
        s = cr_endpoint_next(world, at);
    while (s && !s->bound);
    return s;
}

/* May both have the port? */
static bool share(const cr_endpoint *a, const cr_endpoint *b, bool listening)
{
    if (a->options[CR_OPTION_REUSE_PORT] && b->options[CR_OPTION_REUSE_PORT])
        return true;
    return a->options[CR_OPTION_REUSE_ADDRESS] && b->options[CR_OPTION_REUSE_ADDRESS] &&
           !(listening && b->state == CR_ENDPOINT_LISTENING) && b->state != CR_ENDPOINT_LISTENING;
}

/* Each host has ports of its own. Looked at from both sides, for the later of the two may be the
 * one that is bound to any address. */
static bool overlap(const cr_endpoint *a, const cr_endpoint *b)
{
    return a->host == b->host && cr_name_port(&a->name) == cr_name_port(&b->name) &&
           (takes(a, &a->name, &b->name) || takes(b, &b->name, &a->name));
}

bool cr_name_taken(const cr_world *world, const cr_endpoint *s, bool listening)
{
    const cr_endpoint *other;
    size_t at = 0;
    while ((other = next_bound(world, &at)))
        if (other != s && other->type == s->type && !cr_endpoint_is_local(other) &&
            overlap(s, other) && !share(s, other, listening))
            return true;
    return false;
}

/* The next free one, or one of the few behind it. */
static int choose_port(cr_world *world, cr_endpoint *s)
{
    /* A seed skips up to three free ports, for no program may count on the next one. */
    size_t skip = cr_world_choose(world, 4);
    for (unsigned tries = 0; tries < PORTS; tries++) {
        unsigned port = PORT_FIRST + world->net.last_port++ % PORTS;
        set_port(&s->name, htons((uint16_t)port));
        if (!cr_name_taken(world, s, false) && skip-- == 0)
            return 0;
    }
    return -EADDRNOTAVAIL;
}

/* For bind with port 0, and for connect, listen and send on a socket that was never bound. */
int cr_name_choose(cr_world *world, cr_endpoint *s)
{
    bool named = s->name.size > 0;
    if (!named && s->family == AF_INET)
        make_v4(&s->name, INADDR_ANY, 0);
    if (!named && s->family == AF_INET6) {
        s->name = (cr_name){ .size = sizeof s->name.v6 };
        s->name.v6.sin6_family = AF_INET6;
    }
    int err = choose_port(world, s);
    s->bound = err == 0;
    return err;
}

static void make_loopback(cr_name *name, int family, in_port_t port)
{
    make_v4(name, INADDR_LOOPBACK, port);
    if (family != AF_INET6)
        return;
    *name = (cr_name){ .size = sizeof name->v6 };
    name->v6.sin6_family = AF_INET6;
    name->v6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
    name->v6.sin6_port = port;
}

void cr_name_route(const cr_endpoint *s, cr_name *own, cr_name *to)
{
    /* Linux takes a connect to 0.0.0.0 or [::] for one to the caller's own host. */
    if (is_any(to))
        make_loopback(to, to->any.sa_family, cr_name_port(to));
    if (is_any(own) && is_loopback(to))
        make_loopback(own, to->any.sa_family, cr_name_port(own));
    else if (is_any(own))
        cr_name_make_own(own, to->any.sa_family, s->host, cr_name_port(own));
}

cr_endpoint *cr_name_listener(cr_world *world, int host, const cr_name *name)
{
    cr_endpoint *best = NULL, *s;
    size_t equal = 0, at = 0;
    while ((s = next_bound(world, &at))) {
        if (s->state != CR_ENDPOINT_LISTENING || cr_endpoint_is_local(s) || s->host != host ||
            cr_name_port(&s->name) != cr_name_port(name) || !takes(s, &s->name, name))
            continue;
        /* A socket that is bound to the very address goes before one that takes any, as in
         * __inet_lookup_listener. */
        if (best && is_any(&s->name) && !is_any(&best->name))
            continue;
        /* Sockets that share a port by SO_REUSEPORT: the kernel's hash picks one of them, here each
         * is as likely, and seed 0 takes the first. */
        equal = best && is_any(&s->name) == is_any(&best->name) ? equal + 1 : 1;
        if (equal == 1 || cr_world_choose(world, equal) == equal - 1)
            best = s;
    }
    return best;
}

/* How well it does: port and address, and where it has a remote that too. Negative: not at all. */
static int fits(const cr_endpoint *s, const cr_name *name, const cr_name *from)
{
    if (s->type != SOCK_DGRAM || s->state == CR_ENDPOINT_ENDED ||
        cr_name_port(&s->name) != cr_name_port(name) || !takes(s, &s->name, name))
        return -1;
    bool specific = !is_any(&s->name);
    if (s->state != CR_ENDPOINT_OPEN)
        return specific;
    bool remote =
        cr_name_port(&s->peer_name) == cr_name_port(from) && same_address(&s->peer_name, from);
    return remote ? 2 + specific : -1;
}

cr_endpoint *cr_name_receiver(cr_world *world, int host, const cr_name *name, const cr_name *from)
{
    cr_endpoint *best = NULL, *s;
    size_t equal = 0, at = 0;
    int best_fit = -1;
    while ((s = next_bound(world, &at))) {
        int fit = s->host == host ? fits(s, name, from) : -1;
        if (fit < 0 || fit < best_fit)
            continue;
        equal = fit == best_fit ? equal + 1 : 1;
        best_fit = fit;
        if (equal == 1 || cr_world_choose(world, equal) == equal - 1)
            best = s;
    }
    return best;
}

cr_endpoint *cr_name_local(const cr_world *world, const cr_name *name)
{
    cr_endpoint *s;
    size_t at = 0;
    while ((s = next_bound(world, &at)))
        /* The size is part of an abstract name, which may contain zeros. */
        if (cr_endpoint_is_local(s) && s->name.size == name->size &&
            memcmp(&s->name.local, &name->local, name->size) == 0)
            return s;
    return NULL;
}

/* ---- the entries ---- */

/* Two errors, as in the kernel: -EADDRNOTAVAIL for an address that is not this host's, and
 * -EADDRINUSE where the port is taken, or every ephemeral one. */
static int bind_inet(cr_world *world, cr_endpoint *s)
{
    if (cr_name_host(world, s->host, &s->name) != s->host)
        return -EADDRNOTAVAIL;
    if (cr_name_port(&s->name) == 0)
        return cr_name_choose(world, s) < 0 ? -EADDRINUSE : 0;
    return cr_name_taken(world, s, false) ? -EADDRINUSE : 0;
}

int cr_net_bind(cr_world *world, int fd, const struct sockaddr *address, unsigned size)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    cr_name name;
    if (!s)
        return -EBADF;
    int err = cr_name_read(s->family, address, size, &name);
    if (err < 0)
        return err;
    bool local = cr_endpoint_is_local(s);
    if (local && name.local.sun_path[0] && cr_name_local(world, &name))
        return -EADDRINUSE; /* the kernel makes the file first */
    if (s->bound || s->state != CR_ENDPOINT_FRESH)
        return -EINVAL;
    s->name = name;
    if (!local)
        err = bind_inet(world, s);
    else if (cr_name_local(world, &name))
        err = -EADDRINUSE;
    s->bound = err == 0;
    /* The socket has no name again, so that the program may bind it to another one. */
    if (err < 0)
        s->name.size = 0;
    return err;
}

int cr_net_own_name(cr_world *world, int fd, struct sockaddr *address, unsigned *size)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    return s ? cr_name_show(&s->name, s->family, address, size) : -EBADF;
}

int cr_net_peer_name(cr_world *world, int fd, struct sockaddr *address, unsigned *size)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    if (s->state != CR_ENDPOINT_OPEN)
        return -ENOTCONN;
    return cr_name_show(&s->peer_name, s->family, address, size);
}
