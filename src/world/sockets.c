/* SPDX-License-Identifier: MIT */
/* sockets.c: the records of the simulated sockets.
 *
 * Owns their numbers, the lowest free one first, as the kernel gives them; the queues in which they
 * wait to be accepted; and their life: a socket ends when it is closed and its peer is, for until
 * then the peer may read what it has sent. So two connected sockets are freed together. What they
 * do to each other is written in handshake.c and wire.c. */
#include "world/sockets.h"

#include <string.h>

#define ROOM_FIRST 16

cr_socket *cr_socket_find(const cr_world *world, int fd)
{
    size_t at = (size_t)fd - CR_VIRTUAL_FIRST;
    return cr_is_virtual(fd) && at < world->net.room ? world->net.sockets[at] : NULL;
}

cr_socket *cr_socket_new(cr_world *world, int family)
{
    cr_socket *s = cr_alloc_zero(world->real, sizeof *s);
    if (!s)
        return NULL;
    s->family = family;
    return s;
}

int cr_socket_number(cr_world *world, cr_socket *s)
{
    cr_net *net = &world->net;
    size_t at = 0;
    while (at < net->room && net->sockets[at])
        at++;
    if (at == net->room) {
        size_t room = net->room ? 2 * net->room : ROOM_FIRST;
        cr_socket **sockets = cr_resize(world->real, net->sockets, room * sizeof(cr_socket *));
        if (!sockets)
            return -ENOMEM;
        memset(sockets + net->room, 0, (room - net->room) * sizeof(cr_socket *));
        net->sockets = sockets;
        net->room = room;
    }
    net->sockets[at] = s;
    net->open++;
    s->number = CR_VIRTUAL_FIRST + (int)at;
    return s->number;
}

void cr_socket_join(cr_world *world, cr_socket *a, cr_socket *b)
{
    uint64_t number = ++world->net.connections;
    a->peer = b;
    b->peer = a;
    for (int i = 0; i < 2; i++) {
        cr_socket *s = i == 0 ? a : b;
        s->handshake.connection = s->bytes.connection = number;
        s->fin.connection = s->reset.connection = number;
    }
}

static void free_one(cr_world *world, cr_socket *s)
{
    cr_arrival_drop(&world->net.arrivals, &s->handshake);
    cr_arrival_drop(&world->net.arrivals, &s->bytes);
    cr_arrival_drop(&world->net.arrivals, &s->fin);
    cr_arrival_drop(&world->net.arrivals, &s->reset);
    cr_flow_deinit(&s->out, world->real);
    cr_free(world->real, s);
}

void cr_socket_release(cr_world *world, cr_socket *s)
{
    cr_socket *peer = s->peer;
    if (!s->closed || (peer && !peer->closed))
        return;
    free_one(world, s);
    if (peer)
        free_one(world, peer);
}

/* ---- the queue of a listener ---- */

void cr_backlog_push(cr_socket *listener, cr_socket *s)
{
    cr_socket **at = &listener->first;
    while (*at)
        at = &(*at)->next;
    *at = s;
    s->next = NULL;
    s->listener = listener;
    listener->waiting++;
}

void cr_backlog_leave(cr_socket *s)
{
    cr_socket **at = &s->listener->first;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->listener->waiting--;
    s->listener = s->next = NULL;
}

/* To the end: connections are accepted in the order in which they were made. */
void cr_backlog_done(cr_socket *s)
{
    if (s->state != CR_SOCKET_ANSWERING)
        return;
    cr_socket *listener = s->listener;
    cr_backlog_leave(s);
    cr_backlog_push(listener, s);
    s->state = CR_SOCKET_OPEN;
}
