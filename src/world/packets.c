/* SPDX-License-Identifier: MIT */
/* packets.c: the simulated UDP sockets.
 *
 * Owns the datagrams: on their way, where each is an arrival of its own and outlives the socket
 * that has sent it, and in the queue of the socket that receives. What a link loses or sends twice
 * is decided when it is sent; the order is the order of arrivals, which a link's jitter and the
 * seed change. A queue that is full drops what comes, as the kernel's does, and tells no one.
 *
 * Where no socket takes a datagram its host sends a refusal back (ICMP's port unreachable), which
 * only a socket with that remote is told of, by the next call: once, and that call does nothing
 * else. Errors and their order are Linux's (net/ipv4/udp.c, net/core/datagram.c). Left out:
 * multicast, broadcast, fragments. */
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "world/endpoints.h"
#include "world/hosts.h"
#include "world/net.h"

#define OVERHEAD 512u /* what a datagram takes of a receive buffer besides its bytes */
#define SIZE_MAX_V4 65507u
#define SIZE_MAX_V6 65527u

/* On its way from one host to another. Its origin's send buffer has it until it arrives. */
struct cr_packet {
    cr_arrival arrival;  /* stays the first member */
    cr_packet *next;     /* in its receiver's queue */
    cr_endpoint *origin; /* NULL: closed, or it has arrived */
    int from, to;
    cr_name source, target;
    size_t size;
    unsigned char bytes[];
};

/* What it takes of the receive buffer: the kernel counts its own record of a datagram as well, so
 * that many small ones fill a buffer too. */
static size_t weight(const cr_packet *p) { return p->size + OVERHEAD; }

/* It is out of its origin's send buffer. */
static void land(cr_packet *p)
{
    if (p->origin)
        p->origin->packets.flying -= p->size;
    p->origin = NULL;
}

static cr_packet *packet_of(cr_arrival *arrival)
{
    return cr_container_of(arrival, cr_packet, arrival);
}

/* ---- Arrivals ---- */

/* A way is looked at when the datagram arrives, not when it is sent: a cut loses what is under
 * way. It is never sent again. */
static bool packet_is_cut(const cr_world *world, const cr_arrival *arrival)
{
    const cr_packet *p = (const cr_packet *)arrival;
    return cr_host_is_cut(world, p->from, p->to);
}

/* Also called for all that a host has sent when that host goes off (cr_packets_drop). The sender's
 * buffer has its room back either way. */
static void packet_is_lost(cr_world *world, cr_arrival *arrival)
{
    cr_packet *p = packet_of(arrival);
    land(p);
    cr_free(world->real, p);
}

/* The receiver of a refusal is the socket that would get an answer. One without a remote is told
 * nothing, as the kernel tells it nothing: it could not know which of its peers is meant. */
static void refusal_arrives(cr_world *world, cr_arrival *arrival)
{
    cr_packet *p = packet_of(arrival);
    cr_endpoint *s = cr_name_receiver(world, p->to, &p->source, &p->target);
    if (s && s->state == CR_ENDPOINT_OPEN)
        s->error = ECONNREFUSED;
    cr_free(world->real, p);
}
static const cr_arrival_type refusal = {
    .kind = 11, .is_cut = packet_is_cut, .lost = packet_is_lost, .arrive = refusal_arrives
};

/* The packet itself goes back. */
static void refuse(cr_world *world, cr_packet *p)
{
    int from = p->from;
    p->from = p->to;
    p->to = from;
    cr_arrival_plan(
        &world->net.arrivals, &p->arrival, cr_host_arrival(world, p->from, p->to, 0), &refusal);
}

/* A datagram of any size finds room in an empty queue. */
static void packet_arrives(cr_world *world, cr_arrival *arrival)
{
    cr_packet *p = packet_of(arrival);
    cr_endpoint *s = cr_name_receiver(world, p->to, &p->target, &p->source);
    land(p);
    if (!s) {
        refuse(world, p);
        return;
    }
    cr_packets *all = &s->packets;
    if (all->waiting >= (size_t)s->options[CR_OPTION_RECEIVE_BUFFER]) {
        cr_free(world->real, p);
        return;
    }
    *(all->first ? &all->last->next : &all->first) = p;
    all->last = p;
    all->waiting += weight(p);
}
static const cr_arrival_type packet = {
    .kind = 10, .is_cut = packet_is_cut, .lost = packet_is_lost, .arrive = packet_arrives
};

/* As datagram_poll: there is room again when half of the send buffer is free. */
int64_t cr_packets_events(const cr_endpoint *s)
{
    size_t room = (size_t)s->options[CR_OPTION_SEND_BUFFER];
    uint32_t events = s->error ? EPOLLERR : 0;
    if (s->packets.first || (s->shut & CR_SHUT_RECV))
        events |= EPOLLIN;
    if (s->shut & CR_SHUT_RECV)
        events |= EPOLLRDHUP;
    if (s->shut == CR_SHUT_BOTH)
        events |= EPOLLHUP;
    if (s->packets.flying * 2 < room)
        events |= EPOLLOUT;
    return events;
}

/* ---- Sending ---- */

/* All pieces of a message are one datagram. */
static size_t size_of(const struct msghdr *message)
{
    size_t size = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        size += message->msg_iov[i].iov_len;
    return size;
}

/* Copied, for the caller's pieces are its own again after the call. A piece without bytes may have
 * NULL for an address, which memcpy must not see. */
static void gather(const struct msghdr *message, unsigned char *bytes)
{
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *piece = &message->msg_iov[i];
        if (piece->iov_len > 0)
            memcpy(bytes, piece->iov_base, piece->iov_len);
        bytes += piece->iov_len;
    }
}

/* Where it comes from and goes to. An unbound socket is bound by its first call. */
static int address_packet(
    cr_world *world, cr_endpoint *s, const struct msghdr *message, cr_packet *ret_addressed)
{
    cr_packet *p = ret_addressed;
    int err = s->state == CR_ENDPOINT_ENDED ? -EPIPE : 0;
    p->target = s->peer_name;
    if (err == 0 && message->msg_name)
        err = cr_name_read(s->family, message->msg_name, message->msg_namelen, &p->target);
    else if (err == 0 && s->state != CR_ENDPOINT_OPEN)
        err = -EDESTADDRREQ;
    if (err == 0 && cr_name_port(&p->target) == 0)
        err = -EINVAL;
    if (err == 0 && !s->bound)
        err = cr_name_choose(world, s);
    if (err < 0)
        return err;
    p->from = s->host;
    p->to = cr_name_host(world, s->host, &p->target);
    p->source = s->name;
    cr_name_route(s, &p->source, &p->target);
    if (p->to < 0 || p->source.any.sa_family != p->target.any.sa_family)
        return -ENETUNREACH;
    p->origin = s;
    return 0;
}

/* False when memory is short. */
static bool launch(cr_world *world, const cr_packet *addressed, const struct msghdr *message)
{
    cr_packet *p = cr_alloc(world->real, sizeof *p + addressed->size);
    if (!p)
        return false;
    *p = *addressed;
    p->arrival.connection = ++world->net.connections;
    gather(message, p->bytes);
    p->origin->packets.flying += p->size;
    int64_t at = cr_host_arrival(world, p->from, p->to, p->size);
    cr_arrival_plan(&world->net.arrivals, &p->arrival, at, &packet);
    return true;
}

/* An earlier refusal is told before anything is sent. What a link loses was sent all the same: the
 * sender cannot know. */
ssize_t cr_packets_send(cr_world *world, cr_endpoint *s, const struct msghdr *message)
{
    cr_packet one = { .size = size_of(message) };
    size_t room = (size_t)s->options[CR_OPTION_SEND_BUFFER];
    int err = one.size > SIZE_MAX_V6 ? -EMSGSIZE : address_packet(world, s, message, &one);
    if (err == 0 && one.target.any.sa_family == AF_INET && one.size > SIZE_MAX_V4)
        err = -EMSGSIZE;
    if (err == 0)
        err = cr_endpoint_take_error(s);
    if (err == 0 && (s->shut & CR_SHUT_SEND))
        err = -EPIPE;
    if (err == 0 && s->packets.flying >= room)
        err = -EAGAIN;
    if (err < 0)
        return err;
    if (cr_host_loses(world, one.from, one.to))
        return (ssize_t)one.size;
    if (!launch(world, &one, message))
        return -ENOBUFS;
    if (cr_host_copies(world, one.from, one.to))
        (void)launch(world, &one, message);
    return (ssize_t)one.size;
}

int cr_packets_connect(cr_world *world, cr_endpoint *s, const cr_name *to)
{
    int host = cr_name_host(world, s->host, to);
    if (host < 0)
        return host;
    if (!s->bound && cr_name_choose(world, s) < 0)
        return -EAGAIN;
    s->peer_name = *to;
    s->peer_host = host;
    cr_name_route(s, &s->name, &s->peer_name);
    s->state = CR_ENDPOINT_OPEN;
    return 0;
}

/* ---- Receiving ---- */

/* As many pieces as it takes; what finds no room in them is cut off, as recvmsg does. */
static size_t scatter(const cr_packet *p, const struct msghdr *message)
{
    size_t done = 0;
    for (size_t i = 0; i < message->msg_iovlen && done < p->size; i++) {
        const struct iovec *piece = &message->msg_iov[i];
        size_t n = p->size - done < piece->iov_len ? p->size - done : piece->iov_len;
        if (n > 0)
            memcpy(piece->iov_base, p->bytes + done, n);
        done += n;
    }
    return done;
}

/* The receive buffer has its room back, so what arrives next may be kept. */
static void take_first(cr_world *world, cr_packets *all)
{
    cr_packet *first = all->first;
    all->first = first->next;
    all->waiting -= weight(first);
    cr_free(world->real, first);
}

/* An earlier refusal comes before what waits. What has no room in the message is lost. That the
 * socket reads no more is seen in the kernel only by calls that would wait. */
ssize_t cr_packets_receive(cr_world *world, cr_endpoint *s, struct msghdr *message, int flags)
{
    const cr_packet *first = s->packets.first;
    if (s->error)
        return cr_endpoint_take_error(s);
    if (!first)
        return -EAGAIN;
    size_t size = first->size, n = scatter(first, message);
    message->msg_controllen = 0;
    message->msg_flags = n < size ? MSG_TRUNC : 0;
    if (message->msg_name)
        (void)cr_name_show(&first->source, s->family, message->msg_name, &message->msg_namelen);
    if (!(flags & MSG_PEEK))
        take_first(world, &s->packets);
    return (ssize_t)(flags & MSG_TRUNC ? size : n);
}

/* ---- The end ---- */

/* What it has sent and has not arrived needs no room of its any more. */
static void forget_origin(const cr_world *world, const cr_endpoint *s)
{
    for (cr_arrival *at = world->net.arrivals.first; at; at = at->next)
        if (at->type == &packet && packet_of(at)->origin == s)
            packet_of(at)->origin = NULL;
}

void cr_packets_close(cr_world *world, cr_endpoint *s)
{
    if (s->packets.flying > 0)
        forget_origin(world, s);
    while (s->packets.first)
        take_first(world, &s->packets);
}

void cr_packets_end(cr_world *world, cr_endpoint *s)
{
    cr_packets_close(world, s);
    s->packets.flying = 0;
    s->state = CR_ENDPOINT_ENDED;
    s->error = 0;
}

void cr_packets_drop(cr_world *world, int host)
{
    cr_arrivals *all = &world->net.arrivals;
    for (cr_arrival *at = all->first, *next; at; at = next) {
        next = at->next;
        if (at->type != &packet && at->type != &refusal)
            continue;
        if (host != CR_HOST_EVERY && packet_of(at)->from != host)
            continue;
        cr_arrival_drop(all, at);
        packet_is_lost(world, at);
    }
}

/* ---- The entries ---- */

ssize_t cr_net_receive_message(cr_world *world, int fd, struct msghdr *message, int flags)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    return s->type == SOCK_DGRAM ? cr_packets_receive(world, s, message, flags)
                                 : cr_wire_receive(world, s, message, flags);
}

ssize_t cr_net_send_message(cr_world *world, int fd, const struct msghdr *message, int flags)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (message->msg_controllen > 0 && !cr_endpoint_is_local(s))
        return -ENOTSUP;
    return s->type == SOCK_DGRAM ? cr_packets_send(world, s, message)
                                 : cr_wire_send(world, s, message);
}

/* An error behind the first message is kept for the next call. */
int cr_net_receive_messages(
    cr_world *world, int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    unsigned done = 0;
    ssize_t size = 0;
    for (; done < n; done++) {
        size = cr_net_receive_message(world, fd, &messages[done].msg_hdr, flags);
        if (size < 0)
            break;
        messages[done].msg_len = (unsigned)size;
    }
    if (done > 0 && size < 0 && size != -EAGAIN)
        cr_endpoint_find(world, fd)->error = (int)-size;
    return done > 0 || n == 0 ? (int)done : (int)size;
}

/* An error behind the first message is told to no one: so is sendmmsg's. */
int cr_net_send_messages(cr_world *world, int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    unsigned done = 0;
    ssize_t size = 0;
    for (; done < n; done++) {
        size = cr_net_send_message(world, fd, &messages[done].msg_hdr, flags);
        if (size < 0)
            break;
        messages[done].msg_len = (unsigned)size;
    }
    return done > 0 || n == 0 ? (int)done : (int)size;
}
