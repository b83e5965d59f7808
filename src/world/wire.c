/* SPDX-License-Identifier: MIT */
/* wire.c: what two connected sockets tell each other: bytes, ends, resets.
 *
 * TCP goes by arrivals: what is sent arrives later, at the same instant where both are on one host,
 * in whole, as a byte, or as a half and the rest. An end comes behind all bytes; a reset may
 * overtake them, and then they are lost. Sockets of AF_UNIX need none: what one has sent the
 * other has, as the kernel promises.
 *
 * Where memory is short a sender finds no room, as in the kernel, and not an error.
 *
 * States, errors and the order in which they are told are Linux's (net/ipv4/tcp.c, tcp_input.c,
 * net/unix/af_unix.c). Left out: retransmission, urgent data, TIME_WAIT. */
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "world/endpoints.h"
#include "world/hosts.h"
#include "world/net.h"
#include "world/rights.h"

#define FLIGHT_MAX ((size_t)64 * 1024) /* sent and not arrived */
#define WINDOW ((size_t)64 * 1024)     /* arrived and not read */
#define LOCAL_MAX ((size_t)128 * 1024) /* AF_UNIX: sent and not read */
#define DOOM_MAX 8                     /* arrivals until a connection breaks */
#define PASSING 512u                   /* what a message with descriptors takes of that besides */
#define LOCAL_KIND 16                  /* in the hash */

int64_t cr_wire_arrival(cr_world *world, const cr_endpoint *s, size_t n)
{
    return cr_host_arrival(world, s->host, s->peer_host, n);
}

bool cr_wire_readable(const cr_endpoint *s)
{
    return s->peer && cr_flow_readable(&s->peer->out) > 0;
}

/* How much of what it has sent is still held for it. The kernel counts its own record of a message
 * too: so descriptors that are not received stop a sender, though each comes with one byte. */
static size_t held(const cr_endpoint *s)
{
    uint64_t until = cr_endpoint_is_local(s) ? s->out.taken : s->out.arrived;
    return (size_t)(s->out.written - until) + s->passing * PASSING;
}

static size_t room_of(const cr_endpoint *s)
{
    size_t max = cr_endpoint_is_local(s) ? LOCAL_MAX : FLIGHT_MAX;
    return held(s) < max ? max - held(s) : 0;
}

/* As sk_stream_is_writeable and unix_writable: a sender is woken when there is some room again. */
bool cr_wire_writable(const cr_endpoint *s)
{
    if (s->out.cramped)
        return false;
    if (cr_endpoint_is_local(s))
        return held(s) * 4 <= LOCAL_MAX;
    return held(s) * 3 <= FLIGHT_MAX * 2;
}

/* All but the reset, which may be on its way to tell the peer of the end. */
static void drop_arrivals(cr_world *world, cr_endpoint *s)
{
    cr_arrival_drop(&world->net.arrivals, &s->handshake);
    cr_arrival_drop(&world->net.arrivals, &s->bytes);
    cr_arrival_drop(&world->net.arrivals, &s->fin);
    cr_arrival_drop(&world->net.arrivals, &s->timeout);
}

void cr_wire_end(cr_world *world, cr_endpoint *s, int error)
{
    drop_arrivals(world, s);
    cr_arrival_drop(&world->net.arrivals, &s->reset);
    s->state = CR_ENDPOINT_ENDED;
    s->shut = CR_SHUT_BOTH;
    s->error = error;
    s->out.fin_due = false;
    cr_flow_cut(&s->out);
}

void cr_wire_break(cr_world *world, cr_endpoint *s, int error)
{
    if (s->state == CR_ENDPOINT_OPEN)
        cr_wire_end(world, s, error);
}

void cr_wire_vanish(cr_world *world, cr_endpoint *s)
{
    bool fresh = s->state == CR_ENDPOINT_FRESH || s->state == CR_ENDPOINT_LISTENING;
    /* The other side of a call may stand in a listener's queue, and leaves it here. */
    if (s->state == CR_ENDPOINT_CALLING)
        cr_wire_close(world, s);
    if (!fresh)
        cr_wire_end(world, s, 0);
}

/* ---- arrivals ---- */

/* It was not accepted yet when it was answered, or it knows the end of what it has sent. */
static void reset_arrives(cr_world *world, cr_arrival *arrival)
{
    cr_endpoint *from = cr_container_of(arrival, cr_endpoint, reset);
    cr_endpoint *to = from->peer;
    drop_arrivals(world, from);
    cr_flow_cut(&from->out);
    if (!to || to->state == CR_ENDPOINT_ENDED)
        return;
    int error = to->state == CR_ENDPOINT_CALLING ? ECONNREFUSED : to->done ? EPIPE : ECONNRESET;
    bool accepted = to->state != CR_ENDPOINT_ANSWERING;
    if (!accepted)
        cr_endpoint_leave(to);
    cr_wire_end(world, to, error);
    if (!accepted) {
        to->closed = true;
        cr_endpoint_release(world, to);
    }
}
/* It is not sent again. */
static void reset_is_lost(cr_world *world, cr_arrival *arrival) { (void)world, (void)arrival; }
static const cr_arrival_type reset = { .kind = 6, .arrive = reset_arrives, .lost = reset_is_lost };

void cr_wire_reset(cr_world *world, cr_endpoint *s)
{
    /* One reset is enough: it ends the connection, and a second one would find none. */
    if (s->peer && !s->reset.type)
        cr_arrival_plan(&world->net.arrivals, &s->reset, cr_wire_arrival(world, s, 0), &reset);
}

/* The end has arrived where all bytes before it have. With both ends the connection is no more. */
static void arrive(cr_endpoint *from)
{
    cr_endpoint *to = from->peer;
    cr_flow_arrive(&from->out, WINDOW);
    if (to->done || !from->out.fin_due || from->out.arrived < from->out.written)
        return;
    to->done = true;
    to->shut |= CR_SHUT_RECV;
    if (from->done)
        from->state = to->state = CR_ENDPOINT_ENDED;
}

/* How many of n bytes arrive now: all, one, or half. */
static size_t choose_part(cr_world *world, size_t n)
{
    if (n < 2 || !cr_world_perturbed(world))
        return n;
    size_t chosen = cr_world_choose(world, 3);
    return chosen == 0 ? n : chosen == 1 ? 1 : n / 2;
}

static void bytes_arrive(cr_world *world, cr_arrival *arrival);
static const cr_arrival_type bytes = { .kind = 4, .arrive = bytes_arrive };

/* It breaks at one of its first arrivals of bytes, if it has so many. */
void cr_wire_doom(cr_world *world, cr_endpoint *s)
{
    const cr_faults *faults = &world->net.faults;
    bool reset_both = cr_world_strikes(world, faults->reset);
    s->doom_half = !reset_both && cr_world_strikes(world, faults->half);
    if (reset_both || s->doom_half)
        s->doom = 1 + (unsigned)cr_world_choose(world, DOOM_MAX);
}

/* True: the connection has broken, and nothing arrives any more. */
static bool breaks(cr_world *world, cr_endpoint *from)
{
    cr_endpoint *doomed = from->doom ? from : from->peer;
    if (!doomed->doom || --doomed->doom > 0)
        return false;
    if (!doomed->doom_half)
        cr_wire_break(world, doomed->peer, ECONNRESET);
    cr_wire_break(world, doomed, ECONNRESET);
    world->net.half_open |= doomed->doom_half;
    return true;
}

/* Bytes for a socket that is closed, or gone with its host, are answered by a reset, as by a kernel
 * that has no place for them. They end one that neither reads nor writes any more
 * (tcp_rcv_state_process), though it is open: what it had before can still be read. */
static void take_in(cr_world *world, cr_endpoint *from, size_t n)
{
    cr_endpoint *to = from->peer;
    bool bytes_come = from->out.arrived < from->out.due;
    cr_world_note(world, n);
    cr_endpoint_answered(to);
    to->heard_at = cr_world_now(world);
    if (bytes_come && to->state == CR_ENDPOINT_OPEN && to->shut == CR_SHUT_BOTH && !to->closed) {
        to->state = CR_ENDPOINT_ENDED;
        to->error = ECONNRESET;
    }
    if (bytes_come && (to->closed || to->state == CR_ENDPOINT_ENDED)) {
        cr_flow_cut(&from->out);
        cr_wire_reset(world, to);
    } else {
        arrive(from);
    }
}

static void bytes_arrive(cr_world *world, cr_arrival *arrival)
{
    cr_endpoint *from = cr_container_of(arrival, cr_endpoint, bytes);
    int64_t now = cr_world_now(world);
    cr_endpoint_answered(from->peer); /* as by the ACK that they have overtaken */
    if (breaks(world, from))
        return;
    size_t n = choose_part(world, cr_flow_pending(&from->out, now));
    cr_flow_advance(&from->out, n);
    /* What is left of this instant, and what is sent for a later one, comes with the next
     * arrival. */
    if (from->out.marked > 0)
        cr_arrival_plan(&world->net.arrivals, arrival, from->out.marks[0].at, &bytes);
    take_in(world, from, n);
}

/* The end comes behind all bytes, so those that are still under way arrive with it. */
static void fin_arrives(cr_world *world, cr_arrival *arrival)
{
    cr_endpoint *from = cr_container_of(arrival, cr_endpoint, fin);
    size_t n = (size_t)(from->out.written - from->out.due);
    cr_arrival_drop(&world->net.arrivals, &from->bytes);
    cr_flow_advance(&from->out, n);
    from->out.fin_due = true;
    take_in(world, from, n);
}
static const cr_arrival_type fin = { .kind = 5, .arrive = fin_arrives };

/* ---- sending and receiving ---- */

/* Why nothing can be sent; 0: it can. */
static int refuse_send(cr_endpoint *s)
{
    if (cr_endpoint_is_local(s)) {
        if (s->state != CR_ENDPOINT_OPEN)
            return -ENOTCONN;
        return s->shut & CR_SHUT_SEND ? -EPIPE : 0;
    }
    if (s->state == CR_ENDPOINT_CALLING)
        return -EAGAIN;
    if (s->error)
        return cr_endpoint_take_error(s);
    return s->state != CR_ENDPOINT_OPEN || (s->shut & CR_SHUT_SEND) ? -EPIPE : 0;
}

/* One record stands for all bytes under way: it is planned while there is none, and then plans
 * itself (bytes_arrive). With AF_UNIX the peer has the bytes before the call returns. */
static void send_now(cr_world *world, cr_endpoint *s, const void *buf, size_t n)
{
    cr_flow_write(&s->out, buf, n, cr_wire_arrival(world, s, n));
    if (!cr_endpoint_is_local(s)) {
        if (!s->bytes.type)
            cr_arrival_plan(&world->net.arrivals, &s->bytes, s->out.marks[0].at, &bytes);
        return;
    }
    cr_flow_advance(&s->out, n);
    cr_flow_arrive(&s->out, LOCAL_MAX);
    cr_world_note(world, LOCAL_KIND);
    cr_world_note(world, s->bytes.connection);
    cr_world_note(world, n);
}

/* send is sendmsg of one piece without an address. The union takes the const away that struct iovec
 * has no place for: the piece is only read. */
static ssize_t send_datagram(cr_world *world, cr_endpoint *s, const void *buf, size_t size)
{
    union {
        const void *given;
        void *bytes;
    } from = { .given = buf };
    struct iovec piece = { from.bytes, size };
    return cr_packets_send(world, s, &(struct msghdr){ .msg_iov = &piece, .msg_iovlen = 1 });
}

static ssize_t send_bytes(cr_world *world, cr_endpoint *s, const void *buf, size_t size)
{
    int err = refuse_send(s);
    if (err < 0 || size == 0)
        return err;
    size_t n = size < room_of(s) ? size : room_of(s);
    if (n > 0)
        n = cr_flow_reserve(&s->out, world->real, n);
    if (n == 0)
        return -EAGAIN;
    send_now(world, s, buf, n);
    return (ssize_t)n;
}

ssize_t cr_net_send(cr_world *world, int fd, const void *buf, size_t size, int flags)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    return s->type == SOCK_DGRAM ? send_datagram(world, s, buf, size)
                                 : send_bytes(world, s, buf, size);
}

/* A message of no bytes is none, and what it would pass is lost, as in the kernel. */
ssize_t cr_wire_send(cr_world *world, cr_endpoint *s, const struct msghdr *message)
{
    const struct iovec *piece = message->msg_iov;
    cr_rights *rights;
    ssize_t n = cr_rights_take(world, message, &rights);
    if (n == 0)
        n = send_bytes(world, s, piece->iov_base, piece->iov_len);
    if (n > 0 && rights)
        cr_rights_send(s, rights, (size_t)n);
    else
        cr_rights_drop(world, rights);
    return n;
}

/* What a reader is told where nothing has arrived. */
static int tell_reader(cr_endpoint *s)
{
    bool local = cr_endpoint_is_local(s);
    if (s->done)
        return 0;
    if (s->error)
        return cr_endpoint_take_error(s);
    if (s->shut & CR_SHUT_RECV)
        return 0;
    if (!local && (s->state == CR_ENDPOINT_FRESH || s->state == CR_ENDPOINT_ENDED))
        return -ENOTCONN;
    return -EAGAIN;
}

/* There is room for what was due and could not arrive. */
static void open_window(cr_world *world, cr_endpoint *from)
{
    bool held_back = from->out.arrived < from->out.due;
    if (held_back && !from->bytes.type && from->state != CR_ENDPOINT_ENDED)
        cr_arrival_plan(
            &world->net.arrivals, &from->bytes, cr_wire_arrival(world, from, 0), &bytes);
}

static ssize_t receive_datagram(cr_world *world, cr_endpoint *s, void *buf, size_t size, int flags)
{
    struct iovec piece = { buf, size };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    return cr_packets_receive(world, s, &message, flags);
}

/* message: where to put what comes with the bytes; NULL: then it is lost. */
static ssize_t receive_bytes(
    cr_world *world, cr_endpoint *s, const struct iovec *piece, int flags, struct msghdr *message)
{
    if (flags & MSG_OOB)
        return cr_endpoint_is_local(s) ? -EOPNOTSUPP : -EINVAL;
    if (cr_endpoint_is_local(s) && s->state != CR_ENDPOINT_OPEN)
        return -EINVAL;
    if (s->state == CR_ENDPOINT_LISTENING)
        return -ENOTCONN;
    if (!cr_wire_readable(s))
        return tell_reader(s);
    cr_endpoint *from = s->peer;
    size_t n = cr_flow_peek(&from->out, piece->iov_base, cr_rights_limit(from, piece->iov_len));
    if (message)
        cr_rights_give(world, from, message, n);
    if (!(flags & MSG_PEEK)) {
        cr_flow_take(&from->out, n);
        cr_rights_pass(world, from);
        open_window(world, from);
    }
    return (ssize_t)n;
}

ssize_t cr_net_recv(cr_world *world, int fd, void *buf, size_t size, int flags)
{
    const struct iovec piece = { buf, size };
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    return s->type == SOCK_DGRAM ? receive_datagram(world, s, buf, size, flags)
                                 : receive_bytes(world, s, &piece, flags, NULL);
}

/* What is not received leaves no trace in the message. */
ssize_t cr_wire_receive(cr_world *world, cr_endpoint *s, struct msghdr *message, int flags)
{
    struct msghdr received = *message;
    received.msg_flags = 0;
    ssize_t n = receive_bytes(world, s, message->msg_iov, flags, &received);
    message->msg_flags = n > 0 ? received.msg_flags : 0;
    message->msg_controllen = n > 0 ? received.msg_controllen : 0;
    return n;
}

/* ---- ending ---- */

/* Never before the last byte, however fast the link is now: TCP keeps the order. shutdown and a
 * later close send one end together. */
static void send_fin(cr_world *world, cr_endpoint *s)
{
    int64_t at = cr_wire_arrival(world, s, 0);
    if (s->shut & CR_SHUT_SEND)
        return;
    s->shut |= CR_SHUT_SEND;
    cr_arrival_plan(&world->net.arrivals, &s->fin, at > s->out.latest ? at : s->out.latest, &fin);
}

/* As unix_shutdown: the peer's opposite direction has ended when the call returns. */
static int shut_local(cr_endpoint *s, unsigned what)
{
    s->shut |= what;
    if (s->peer && (what & CR_SHUT_RECV))
        s->peer->shut |= CR_SHUT_SEND;
    if (s->peer && (what & CR_SHUT_SEND))
        s->peer->shut |= CR_SHUT_RECV;
    return 0;
}

/* What its call has come to at the other side is forgotten. It is in no queue where the listener
 * has been closed since and has sent a reset. */
static void give_up(cr_world *world, cr_endpoint *s)
{
    cr_endpoint *peer = s->peer;
    drop_arrivals(world, s);
    if (!peer)
        return;
    if (peer->listener)
        cr_endpoint_leave(peer);
    peer->closed = true;
    s->peer = peer->peer = NULL;
    cr_endpoint_release(world, peer);
}

int cr_net_shutdown(cr_world *world, int fd, int how)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    unsigned what = (unsigned)how + 1;
    if (s->type == SOCK_DGRAM) {
        s->shut |= what;
        return s->state == CR_ENDPOINT_OPEN ? 0 : -ENOTCONN;
    }
    if (cr_endpoint_is_local(s))
        return shut_local(s, what);
    /* As inet_shutdown: a listener and a call are disconnected, and the socket may be used again. A
     * call that is ended so leaves ECONNRESET, as tcp_disconnect does. */
    if (s->state == CR_ENDPOINT_LISTENING && (what & CR_SHUT_RECV)) {
        cr_handshake_stop(world, s);
        s->state = CR_ENDPOINT_FRESH;
    } else if (s->state == CR_ENDPOINT_CALLING) {
        give_up(world, s);
        s->state = CR_ENDPOINT_FRESH;
        s->call = CR_CALL_NONE;
        s->error = ECONNRESET;
    } else if (s->state == CR_ENDPOINT_OPEN) {
        if (what & CR_SHUT_SEND)
            send_fin(world, s);
        s->shut |= what;
    } else if (s->state != CR_ENDPOINT_LISTENING) {
        s->shut |= what;
        return -ENOTCONN;
    }
    return 0;
}

/* What it has not read is told to the peer as a reset, and so is that it was never accepted; what
 * the peer has sent has room again. */
static void close_local(cr_world *world, cr_endpoint *s)
{
    cr_endpoint *peer = s->peer;
    if (!peer)
        return;
    peer->shut = CR_SHUT_BOTH;
    if (cr_wire_readable(s) || s->listener)
        peer->error = ECONNRESET;
    cr_flow_take(&peer->out, (size_t)(peer->out.written - peer->out.taken));
    cr_rights_pass(world, peer);
}

/* As tcp_close: unread input, or a linger of 0 seconds, makes it a reset instead of an end. */
void cr_wire_close(cr_world *world, cr_endpoint *s)
{
    bool drop = s->options[CR_OPTION_LINGER] && !s->options[CR_OPTION_LINGER_SECONDS];
    if (cr_endpoint_is_local(s)) {
        close_local(world, s);
    } else if (s->state == CR_ENDPOINT_CALLING) {
        give_up(world, s);
    } else if (s->state == CR_ENDPOINT_OPEN && (drop || cr_wire_readable(s))) {
        cr_wire_reset(world, s);
        s->state = CR_ENDPOINT_ENDED;
    } else if (s->state == CR_ENDPOINT_OPEN) {
        send_fin(world, s);
    }
}
