/* SPDX-License-Identifier: MIT */
/* handshake.c: how two sockets become connected.
 *
 * Owns what a listener's queue takes: as many connections as the backlog says and one more, those
 * that are being answered included. A TCP handshake is three arrivals, SYN, SYN-ACK and ACK. Where
 * no socket listens the second is a refusal; where the queue is full or memory is short the SYN is
 * lost, and sent again after 1, 2, 4 ... seconds, until the caller is told -ETIMEDOUT. Sockets of
 * AF_UNIX are connected in the call, as the kernel connects them. */
#include "world/endpoints.h"
#include "world/hosts.h"
#include "world/net.h"

#define RETRY_FIRST CR_SECOND
#define CALL_MAX (127 * CR_SECOND) /* the seventh SYN would be sent then */
#define BACKLOG_MAX 4096           /* net.core.somaxconn */

/* One more than the backlog fits, for sk_acceptq_is_full compares with >, too. */
static bool is_full(const cr_endpoint *listener) { return listener->waiting > listener->backlog; }

/* Out of the queue, and closed. */
static void leave_for_good(cr_world *world, cr_endpoint *s)
{
    cr_endpoint_leave(s);
    s->state = CR_ENDPOINT_ENDED;
    s->closed = true;
    cr_endpoint_release(world, s);
}

void cr_handshake_stop(cr_world *world, cr_endpoint *listener)
{
    while (listener->first) {
        if (cr_endpoint_is_local(listener))
            cr_wire_close(world, listener->first);
        else
            cr_wire_reset(world, listener->first);
        leave_for_good(world, listener->first);
    }
}

void cr_handshake_forget(cr_world *world, cr_endpoint *listener)
{
    while (!cr_endpoint_is_local(listener) && listener->first) {
        cr_wire_vanish(world, listener->first);
        leave_for_good(world, listener->first);
    }
}

/* What a listener hands out has its options. */
static cr_endpoint *answer(cr_world *world, cr_endpoint *listener, cr_endpoint *caller)
{
    cr_endpoint *s = cr_endpoint_new(world, listener->family);
    if (!s)
        return NULL;
    for (size_t i = 0; i < CR_SOCKET_OPTIONS; i++)
        s->options[i] = listener->options[i];
    s->name = caller->peer_name;
    s->bound = !cr_endpoint_is_local(s);
    s->peer_name = caller->name;
    s->host = caller->peer_host;
    s->peer_host = caller->host;
    s->call = CR_CALL_DONE;
    s->state = CR_ENDPOINT_ANSWERING;
    /* Memory is short: the SYN of a TCP caller then counts as lost, and a local connect fails. */
    if (!cr_endpoint_join(world, caller, s)) {
        cr_free(world->real, s);
        return NULL;
    }
    cr_endpoint_queue(listener, s);
    return s;
}

/* ---- TCP ---- */

/* From now on accept finds the connection. Bytes that overtake the ACK have the same effect: see
 * take_in in wire.c. */
static void ack_arrives(cr_world *world, cr_arrival *arrival)
{
    (void)world;
    cr_endpoint_answered(cr_container_of(arrival, cr_endpoint, handshake)->peer);
}
static const cr_arrival_type ack = { .kind = 3, .arrive = ack_arrives };

/* The caller's connect is complete one way before the listener can accept. The ACK travels in the
 * caller's own record, which its SYN has left free. */
static void syn_ack_arrives(cr_world *world, cr_arrival *arrival)
{
    cr_endpoint *caller = cr_container_of(arrival, cr_endpoint, handshake)->peer;
    caller->state = CR_ENDPOINT_OPEN;
    cr_arrival_drop(&world->net.arrivals, &caller->timeout);
    cr_arrival_plan(
        &world->net.arrivals, &caller->handshake, cr_wire_arrival(world, caller, 0), &ack);
}
static const cr_arrival_type syn_ack = { .kind = 2, .arrive = syn_ack_arrives };

/* No socket sends a refusal, so it travels in the caller's record, backwards: a cut from the
 * listener's host to the caller's holds it up. */
static void refusal_arrives(cr_world *world, cr_arrival *arrival)
{
    cr_wire_end(world, cr_container_of(arrival, cr_endpoint, handshake), ECONNREFUSED);
}
static const cr_arrival_type refusal = { .kind = 7, .backwards = true, .arrive = refusal_arrives };

/* The close comes first, for only a socket that is still calling gives its peer up; then the error
 * is set that connect and SO_ERROR tell. */
static void call_times_out(cr_world *world, cr_arrival *arrival)
{
    cr_endpoint *caller = arrival->sender;
    cr_wire_close(world, caller); /* what the other side has made of it is forgotten */
    cr_wire_end(world, caller, ETIMEDOUT);
}
static const cr_arrival_type timeout = { .kind = 8, .here = true, .arrive = call_times_out };

static void syn_arrives(cr_world *world, cr_arrival *arrival);
static void syn_is_lost(cr_world *world, cr_arrival *arrival);
static const cr_arrival_type syn = { .kind = 1, .arrive = syn_arrives, .lost = syn_is_lost };

/* Sent again when nothing has come of it for so long. */
static void syn_is_lost(cr_world *world, cr_arrival *arrival)
{
    cr_endpoint *caller = arrival->sender;
    int64_t at = cr_wire_arrival(world, caller, 0) + caller->retry;
    caller->retry *= 2;
    cr_arrival_plan(&world->net.arrivals, arrival, at, &syn);
}

/* The listener is looked for when the SYN arrives, not when it is sent: a server that starts to
 * listen meanwhile is found. */
static void syn_arrives(cr_world *world, cr_arrival *arrival)
{
    cr_endpoint *caller = cr_container_of(arrival, cr_endpoint, handshake);
    cr_endpoint *listener = cr_name_listener(world, caller->peer_host, &caller->peer_name);
    if (!listener || cr_world_strikes(world, world->net.faults.refuse)) {
        int64_t at = cr_host_arrival(world, caller->peer_host, caller->host, 0);
        cr_arrival_plan(&world->net.arrivals, arrival, at, &refusal);
        return;
    }
    cr_endpoint *s = is_full(listener) ? NULL : answer(world, listener, caller);
    if (!s) {
        syn_is_lost(world, arrival);
        return;
    }
    cr_wire_doom(world, s);
    cr_arrival_plan(&world->net.arrivals, &s->handshake, cr_wire_arrival(world, s, 0), &syn_ack);
}

/* Called again while a call is under way, or after it: as inet_stream_connect, but that one which
 * was connected is not used again. */
static int call_again(cr_endpoint *s)
{
    if (s->call == CR_CALL_DONE)
        return -EISCONN;
    if (s->state == CR_ENDPOINT_CALLING)
        return -EALREADY;
    if (s->state == CR_ENDPOINT_ENDED) {
        int error = cr_endpoint_take_error(s);
        if (!s->peer) {
            s->call = CR_CALL_NONE;
            s->state = CR_ENDPOINT_FRESH;
            s->shut = 0;
        }
        return error ? error : -ECONNABORTED;
    }
    s->call = CR_CALL_DONE;
    return 0;
}

/* As tcp_v4_connect: an unbound socket gets its port here and its own address from the way to the
 * peer. The timeout is planned with the first SYN, and the answer drops it. */
static int call(cr_world *world, cr_endpoint *s, const cr_name *to)
{
    int host = cr_name_host(world, s->host, to);
    if (host < 0)
        return host;
    s->peer_name = *to;
    s->peer_host = host;
    if (!s->bound) {
        int err = cr_name_choose(world, s);
        if (err < 0)
            return err;
    }
    cr_name_route(s, &s->name, &s->peer_name);
    s->state = CR_ENDPOINT_CALLING;
    s->call = CR_CALL_PENDING;
    s->retry = RETRY_FIRST;
    cr_arrival_plan(&world->net.arrivals, &s->timeout, cr_world_now(world) + CALL_MAX, &timeout);
    cr_arrival_plan(&world->net.arrivals, &s->handshake, cr_wire_arrival(world, s, 0), &syn);
    return -EINPROGRESS;
}

/* ---- AF_UNIX ---- */

/* As unix_stream_connect: the connection is complete before connect returns, and accept only
 * fetches it. A full queue is -EAGAIN, as for a socket that does not wait. */
static int connect_local(cr_world *world, cr_endpoint *s, const cr_name *to)
{
    cr_endpoint *listener = cr_name_local(world, to);
    if (!listener)
        return to->local.sun_path[0] ? -ENOENT : -ECONNREFUSED;
    if (listener->state != CR_ENDPOINT_LISTENING || (listener->shut & CR_SHUT_RECV))
        return -ECONNREFUSED;
    if (is_full(listener))
        return -EAGAIN;
    if (s->state != CR_ENDPOINT_FRESH)
        return s->state == CR_ENDPOINT_OPEN ? -EISCONN : -EINVAL;
    s->peer_name = *to;
    cr_endpoint *other = answer(world, listener, s);
    if (!other)
        return -ENOMEM;
    cr_endpoint_answered(other);
    s->state = CR_ENDPOINT_OPEN;
    return 0;
}

/* ---- the entries ---- */

int cr_net_connect(cr_world *world, int fd, const struct sockaddr *address, unsigned size)
{
    cr_name to;
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    if (s->type == SOCK_DGRAM) {
        int read = cr_name_read(s->family, address, size, &to);
        return read < 0 ? read : cr_packets_connect(world, s, &to);
    }
    /* A program may call connect again to learn what the first call has come to. */
    if (!cr_endpoint_is_local(s) && s->call != CR_CALL_NONE)
        return call_again(s);
    if (!cr_endpoint_is_local(s) && s->state != CR_ENDPOINT_FRESH)
        return -EISCONN;
    int err = cr_name_read(s->family, address, size, &to);
    if (err < 0)
        return err;
    return cr_endpoint_is_local(s) ? connect_local(world, s, &to) : call(world, s, &to);
}

int cr_net_listen(cr_world *world, int fd, int backlog)
{
    cr_endpoint *s = cr_endpoint_find(world, fd);
    if (!s)
        return -EBADF;
    if (s->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    bool fresh = s->state == CR_ENDPOINT_FRESH && s->call == CR_CALL_NONE;
    if (!fresh && s->state != CR_ENDPOINT_LISTENING)
        return -EINVAL;
    if (!s->bound && cr_endpoint_is_local(s))
        return -EINVAL;
    if (!s->bound && cr_name_choose(world, s) < 0)
        return -EADDRINUSE;
    /* With SO_REUSEADDR two sockets may be bound to one port, but only one may listen. */
    if (!cr_endpoint_is_local(s) && fresh && cr_name_taken(world, s, true))
        return -EADDRINUSE;
    s->backlog = backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (unsigned)backlog;
    s->state = CR_ENDPOINT_LISTENING;
    return 0;
}

/* A connection whose ACK is on its way stands in the queue, for it counts against the backlog, but
 * accept must pass it over. */
static cr_endpoint *first_done(const cr_endpoint *listener)
{
    cr_endpoint *s = listener->first;
    while (s && s->state == CR_ENDPOINT_ANSWERING)
        s = s->next;
    return s;
}

int cr_net_accept(cr_world *world, int fd, struct sockaddr *address, unsigned *size)
{
    cr_endpoint *listener = cr_endpoint_find(world, fd);
    if (!listener)
        return -EBADF;
    if (listener->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (listener->state != CR_ENDPOINT_LISTENING)
        return -EINVAL;
    cr_endpoint *s = first_done(listener);
    if (!s)
        return listener->shut & CR_SHUT_RECV ? -EINVAL : -EAGAIN;
    /* As if the peer had given up before the accept: a server has to go on with the next one. */
    if (!cr_endpoint_is_local(s) && cr_world_strikes(world, world->net.faults.accept)) {
        cr_wire_reset(world, s);
        leave_for_good(world, s);
        return -ECONNABORTED;
    }
    /* Before it leaves the queue: where memory is short a later accept finds it there. */
    int number = cr_endpoint_number(world, s);
    if (number < 0)
        return number;
    cr_endpoint_leave(s);
    if (address)
        (void)cr_name_show(&s->peer_name, s->family, address, size);
    return number;
}
