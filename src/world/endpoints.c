/* SPDX-License-Identifier: MIT */
/* endpoints.c: the records of the simulated sockets.
 *
 * Owns their numbers, the lowest free one first, as the kernel gives them, of which a socket may
 * have several, as one has that was passed over another (rights.c); the queues in which they
 * wait to be accepted; and their life: a socket ends when it is closed and its peer is, for until
 * then the peer may read what it has sent. So two connected sockets are freed together. What they
 * do to each other is written in handshake.c and wire.c. */
#include "world/endpoints.h"

#include <string.h>

#include "base/check.h"
#include "world/hosts.h"

#define ROOM_FIRST 16

cr_endpoint *cr_endpoint_find(const cr_world *world, int fd)
{
    size_t at = (size_t)fd - CR_VIRTUAL_FIRST;
    return cr_is_virtual(fd) && at < world->net.room ? world->net.endpoints[at] : NULL;
}

cr_endpoint *cr_endpoint_new(cr_world *world, int family)
{
    cr_endpoint *s = cr_alloc_zero(world->real, sizeof *s);
    if (!s)
        return NULL;
    s->family = family;
    s->type = SOCK_STREAM;
    s->host = cr_host_here(world);
    s->handshake.sender = s->bytes.sender = s->fin.sender = s;
    s->reset.sender = s->timeout.sender = s;
    return s;
}

int cr_endpoint_number(cr_world *world, cr_endpoint *s)
{
    cr_net *net = &world->net;
    size_t at = 0;
    while (at < net->room && net->endpoints[at])
        at++;
    if (at == net->room) {
        size_t room = net->room ? 2 * net->room : ROOM_FIRST;
        cr_endpoint **endpoints =
            cr_resize(world->real, net->endpoints, room * sizeof(cr_endpoint *));
        if (!endpoints)
            return -ENOMEM;
        memset(endpoints + net->room, 0, (room - net->room) * sizeof(cr_endpoint *));
        net->endpoints = endpoints;
        net->room = room;
    }
    int number = CR_VIRTUAL_FIRST + (int)at;
    net->endpoints[at] = s;
    net->open++;
    if (s->numbers++ == 0)
        s->number = number;
    return number;
}

/* By the lowest of the others it is found from now on. */
unsigned cr_endpoint_forget(cr_world *world, cr_endpoint *s, int fd)
{
    cr_net *net = &world->net;
    size_t at = 0;
    net->endpoints[fd - CR_VIRTUAL_FIRST] = NULL;
    net->open--;
    s->numbers--;
    while (s->numbers > 0 && net->endpoints[at] != s)
        at++;
    s->number = s->numbers > 0 ? CR_VIRTUAL_FIRST + (int)at : 0;
    return s->numbers;
}

cr_endpoint *cr_endpoint_next(const cr_world *world, size_t *at)
{
    while (*at < world->net.room) {
        int number = CR_VIRTUAL_FIRST + (int)*at;
        cr_endpoint *s = world->net.endpoints[(*at)++];
        if (s && s->number == number)
            return s;
    }
    return NULL;
}

/* One that has given a call up may have memory from it. */
bool cr_endpoint_join(cr_world *world, cr_endpoint *a, cr_endpoint *b)
{
    cr_flow_deinit(&a->out, world->real);
    if (!cr_flow_init(&a->out, world->real) || !cr_flow_init(&b->out, world->real)) {
        cr_flow_deinit(&a->out, world->real);
        return false;
    }
    /* In the trace's hash the arrivals of both sides have this one number. */
    uint64_t number = ++world->net.connections;
    a->peer = b;
    b->peer = a;
    for (int i = 0; i < 2; i++) {
        cr_endpoint *s = i == 0 ? a : b;
        s->heard_at = cr_world_now(world);
        s->handshake.connection = s->bytes.connection = number;
        s->fin.connection = s->reset.connection = s->timeout.connection = number;
    }
    return true;
}

/* Its arrivals lie in the record: none of them may stay planned. Descriptors that it has sent were
 * received, or closed when its peer was. */
static void free_one(cr_world *world, cr_endpoint *s)
{
    CR_ASSERT(!s->rights);
    cr_arrival_drop(&world->net.arrivals, &s->handshake);
    cr_arrival_drop(&world->net.arrivals, &s->bytes);
    cr_arrival_drop(&world->net.arrivals, &s->fin);
    cr_arrival_drop(&world->net.arrivals, &s->reset);
    cr_arrival_drop(&world->net.arrivals, &s->timeout);
    cr_flow_deinit(&s->out, world->real);
    cr_free(world->real, s);
}

void cr_endpoint_release(cr_world *world, cr_endpoint *s)
{
    cr_endpoint *peer = s->peer;
    if (!s->closed || (peer && !peer->closed))
        return;
    /* Each reads from the other's flow, so neither can go alone. */
    free_one(world, s);
    if (peer)
        free_one(world, peer);
}

/* ---- the queue of a listener ---- */

void cr_endpoint_queue(cr_endpoint *listener, cr_endpoint *s)
{
    cr_endpoint **at = &listener->first;
    while (*at)
        at = &(*at)->next;
    *at = s;
    s->next = NULL;
    s->listener = listener;
    listener->waiting++;
}

void cr_endpoint_leave(cr_endpoint *s)
{
    cr_endpoint **at = &s->listener->first;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->listener->waiting--;
    s->listener = s->next = NULL;
}

/* To the end: connections are accepted in the order in which they were made. */
void cr_endpoint_answered(cr_endpoint *s)
{
    if (s->state != CR_ENDPOINT_ANSWERING)
        return;
    cr_endpoint *listener = s->listener;
    cr_endpoint_leave(s);
    cr_endpoint_queue(listener, s);
    s->state = CR_ENDPOINT_OPEN;
}
