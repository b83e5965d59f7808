/* SPDX-License-Identifier: MIT */
/* net.c: the simulated network as its users call it.
 *
 * Owns the beginning and the end of a socket, and the arrival of what is due. What is due at one
 * instant arrives in any order: with seed 0 that in which it was planned, else chosen one by one.
 * Then it is also chosen, after each, whether the rest waits for the next turn, so that tasks run
 * between two arrivals of one instant as they do on a real network. One at least arrives in each
 * turn. */
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "world/endpoints.h"
#include "world/hosts.h"
#include "world/keepalive.h"
#include "world/net.h"

/* ---- the entries ---- */

/* Protocol 0 means the only one there is. unix_create accepts PF_UNIX as its number. */
static int protocol_of(int family, int type)
{
    return family == AF_UNIX ? PF_UNIX : type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP;
}

int cr_net_socket(cr_world *world, int family, int type, int protocol)
{
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return -EAFNOSUPPORT;
    type &= ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (type != SOCK_STREAM && (type != SOCK_DGRAM || family == AF_UNIX))
        return -ESOCKTNOSUPPORT;
    if (protocol != 0 && protocol != protocol_of(family, type))
        return -EPROTONOSUPPORT;
    cr_endpoint *s = cr_endpoint_new(world, family);
    if (!s)
        return -ENOBUFS;
    s->type = type;
    cr_socket_options_init(s);
    int number = cr_endpoint_number(world, s);
    if (number < 0)
        cr_free(world->real, s);
    return number;
}

int cr_net_pair(cr_world *world, int family, int type, int ret_fds[2])
{
    cr_endpoint *pair[2];
    int fds[2];
    if (family == AF_INET || family == AF_INET6)
        return -EOPNOTSUPP;
    for (int i = 0; i < 2; i++) {
        fds[i] = cr_net_socket(world, family, type, 0);
        if (fds[i] < 0 && i > 0)
            (void)cr_net_close(world, fds[0]);
        if (fds[i] < 0)
            return fds[i];
        pair[i] = cr_endpoint_find(world, fds[i]);
        pair[i]->state = CR_ENDPOINT_OPEN;
    }
    /* Both have numbers by now: closing frees them, and the caller's array stays as it was. */
    if (!cr_endpoint_join(world, pair[0], pair[1])) {
        (void)cr_net_close(world, fds[1]);
        (void)cr_net_close(world, fds[0]);
        return -ENOBUFS;
    }
    memcpy(ret_fds, fds, sizeof fds);
    return 0;
}

int cr_net_duplicate(cr_world *world, int fd)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    return s ? cr_endpoint_number(world, s) : -EBADF;
}

/* The number is free at once; the record stays while a peer may read from it. */
int cr_net_close(cr_world *world, int fd)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    if (cr_endpoint_forget(world, s, fd) > 0)
        return 0;
    if (s->type == SOCK_DGRAM)
        cr_packets_close(world, s);
    else if (s->state == CR_ENDPOINT_LISTENING)
        cr_handshake_stop(world, s);
    else
        cr_wire_close(world, s);
    s->closed = true;
    cr_endpoint_release(world, s);
    return 0;
}

int cr_net_stat(cr_world *world, int fd, struct stat *ret_stat)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    *ret_stat = (struct stat){ .st_mode = S_IFSOCK | 0777, .st_nlink = 1, .st_ino = (ino_t)fd };
    return 0;
}

void cr_net_deinit(cr_world *world)
{
    for (size_t at = 0; at < world->net.room; at++)
        if (world->net.endpoints[at])
            (void)cr_net_close(world, CR_VIRTUAL_FIRST + (int)at);
    /* Datagrams outlive the sockets that have sent them. */
    cr_packets_drop(world, CR_HOST_EVERY);
    cr_host_deinit(world);
    cr_free(world->real, world->net.endpoints);
    world->net.endpoints = NULL;
    world->net.room = 0;
}

/* ---- what epoll would say ---- */

/* EPOLLHUP says that both directions have ended: a peer that has ended only its own may still be
 * answered. A socket that was never connected has it as well, for its state in the kernel is
 * TCP_CLOSE. */
static uint32_t ends_of(const cr_endpoint *s)
{
    uint32_t events = s->error ? EPOLLERR : 0;
    if (s->shut == CR_SHUT_BOTH || s->state == CR_ENDPOINT_FRESH || s->state == CR_ENDPOINT_ENDED)
        events |= EPOLLHUP;
    if (s->shut & CR_SHUT_RECV)
        events |= EPOLLIN | EPOLLRDHUP;
    return events;
}

/* As tcp_poll and unix_poll. */
int64_t cr_net_events(cr_world *world, int fd)
{
    const cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    if (s->type == SOCK_DGRAM)
        return cr_packets_events(s);
    bool local = cr_endpoint_is_local(s);
    if (s->state == CR_ENDPOINT_LISTENING) {
        const cr_endpoint *waiting = s->first;
        while (waiting && waiting->state == CR_ENDPOINT_ANSWERING)
            waiting = waiting->next;
        return (waiting ? EPOLLIN : 0) | (local ? ends_of(s) : 0);
    }
    uint32_t events = ends_of(s);
    if (s->state == CR_ENDPOINT_CALLING)
        return events;
    if (cr_wire_readable(s))
        events |= EPOLLIN;
    if ((!local && (s->shut & CR_SHUT_SEND)) || cr_wire_writable(s))
        events |= EPOLLOUT;
    return events;
}

/* ---- arrivals ---- */

int64_t cr_net_next(const cr_world *world)
{
    return world->net.arrivals.first ? world->net.arrivals.first->at : CR_NEVER;
}

/* What was sent and is cut off is given up after so long, by its sender alone. */
#define ANSWER_MAX (15 * 60 * CR_SECOND)

static void sender_gives_up(cr_world *world, cr_arrival *arrival)
{
    cr_wire_break(world, arrival->sender, ETIMEDOUT);
}
static const cr_arrival_type unanswered = { .kind = 9, .here = true, .arrive = sender_gives_up };

/* A timeout happens at the sender's own host and crosses no link. A datagram knows its two hosts
 * itself, for its socket may be gone. */
static bool is_cut_off(const cr_world *world, const cr_arrival *arrival)
{
    const cr_endpoint *s = arrival->sender;
    if (arrival->type->here)
        return false;
    if (arrival->type->is_cut)
        return arrival->type->is_cut(world, arrival);
    return arrival->type->backwards ? cr_host_is_cut(world, s->peer_host, s->host)
                                    : cr_host_is_cut(world, s->host, s->peer_host);
}

/* It has no instant until the way is healed. */
static void cut_off(cr_world *world, cr_arrival *arrival, const cr_arrival_type *type)
{
    if (type->lost) {
        type->lost(world, arrival);
        return;
    }
    cr_arrival *timeout = &arrival->sender->timeout;
    cr_arrival_plan(&world->net.arrivals, arrival, CR_NEVER, type);
    if (cr_keepalive_has(timeout))
        cr_arrival_drop(&world->net.arrivals, timeout);
    if (!timeout->type)
        cr_arrival_plan(
            &world->net.arrivals, timeout, cr_world_now(world) + ANSWER_MAX, &unanswered);
}

/* When it arrives, sent now: a refusal takes the way back to its sender. */
static int64_t arrival_again(cr_world *world, const cr_arrival *arrival)
{
    const cr_endpoint *s = arrival->sender;
    return arrival->type->backwards ? cr_host_arrival(world, s->peer_host, s->host, 0)
                                    : cr_wire_arrival(world, s, 0);
}

/* What has no instant, and is not cut off any more, is under way again. */
static void resume(cr_world *world)
{
    cr_arrivals *all = &world->net.arrivals;
    for (cr_arrival *arrival = all->first, *next; arrival; arrival = next) {
        const cr_arrival_type *type = arrival->type;
        cr_endpoint *s = arrival->sender;
        next = arrival->next;
        if (arrival->at != CR_NEVER || is_cut_off(world, arrival))
            continue;
        int64_t at = arrival_again(world, arrival);
        cr_arrival_drop(all, arrival);
        cr_arrival_plan(all, arrival, at, type);
        if (s->timeout.type == &unanswered)
            cr_arrival_drop(all, &s->timeout);
    }
}

void cr_net_cut(cr_world *world, int from, int to)
{
    cr_host_cut(world, from, to);
    cr_keepalive_look(world);
}

void cr_net_heal(cr_world *world, int from, int to)
{
    cr_host_heal(world, from, to);
    resume(world);
    cr_keepalive_look(world);
}

void cr_net_start(cr_world *world, int host)
{
    cr_host_power(world, host, true);
    resume(world);
    cr_keepalive_look(world);
}

/* Those that wait to be accepted go with their listener. Nothing has a port any more: the host may
 * be on again before its tasks have closed what they had. */
void cr_net_kill(cr_world *world, int host)
{
    cr_host_power(world, host, false);
    cr_packets_drop(world, host);
    cr_endpoint *s;
    size_t at = 0;
    while ((s = cr_endpoint_next(world, &at))) {
        if (s->host != host || cr_endpoint_is_local(s))
            continue;
        if (s->state == CR_ENDPOINT_LISTENING) {
            cr_handshake_forget(world, s);
            s->state = CR_ENDPOINT_FRESH;
        }
        if (s->type == SOCK_DGRAM)
            cr_packets_end(world, s);
        else
            cr_wire_vanish(world, s);
        s->bound = false;
    }
    cr_keepalive_look(world);
}

/* As links are meant: every host is every other. */
static bool goes_between(const cr_endpoint *s, int a, int b)
{
    bool within = s->host == s->peer_host && (a == CR_HOST_EVERY || b == CR_HOST_EVERY);
    return !within && (a == CR_HOST_EVERY || s->host == a) &&
           (b == CR_HOST_EVERY || s->peer_host == b);
}

void cr_net_reset(cr_world *world, int a, int b)
{
    cr_endpoint *s;
    size_t at = 0;
    while ((s = cr_endpoint_next(world, &at))) {
        if (s->state == CR_ENDPOINT_OPEN && s->peer && s->peer->state == CR_ENDPOINT_OPEN &&
            !cr_endpoint_is_local(s) && goes_between(s, a, b)) {
            /* Not by arrivals: what is under way in both directions is lost as well. */
            cr_wire_end(world, s->peer, ECONNRESET);
            cr_wire_end(world, s, ECONNRESET);
        }
    }
}

/* The arrival is out of the list before it is handled, for handling may plan the same record again.
 * What a cut holds up goes into the hash too: it is a part of the run. */
static void let_arrive(cr_world *world, cr_arrival *arrival)
{
    const cr_arrival_type *type = arrival->type;
    bool is_cut = is_cut_off(world, arrival);
    cr_arrival_drop(&world->net.arrivals, arrival);
    cr_world_note(world, type->kind);
    cr_world_note(world, arrival->connection);
    if (is_cut)
        cut_off(world, arrival, type);
    else
        type->arrive(world, arrival);
    /* One side alone has learned that its connection broke: the other has keepalive, or waits. */
    if (world->net.half_open)
        cr_keepalive_look(world);
    world->net.half_open = false;
}

void cr_net_deliver(cr_world *world)
{
    const cr_arrivals *arrivals = &world->net.arrivals;
    size_t due = cr_arrivals_due(arrivals, cr_world_now(world));
    while (due > 0) {
        let_arrive(world, cr_arrivals_at(arrivals, due > 1 ? cr_world_choose(world, due) : 0));
        due = cr_arrivals_due(arrivals, cr_world_now(world));
        if (due > 0 && cr_world_perturbed(world) && cr_world_choose(world, 2))
            return;
    }
}
