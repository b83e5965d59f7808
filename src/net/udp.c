/* SPDX-License-Identifier: MIT */
/* udp.c: sockets of datagrams.
 *
 * A call tries first and waits where the kernel says that there is nothing, or no room: only a task
 * takes a datagram, after the poll that has woken it, so that a cancelled call has taken none. The
 * two directions are alike: a poll that is pending while tasks wait, and the tasks. A poll wakes
 * one task; that one wakes the next, for there may be more, or it has taken an error that the next
 * will not see.
 *
 * An IPv6 socket that serves both families has IPv4 addresses in mapped form: address.c translates
 * them on the way in, this file on the way out.
 *
 * An error that the kernel tells once, a refusal above all, is lost where sendmmsg meets it behind
 * a datagram that was sent. Only a socket with a remote is told of such: it sends one by one, and
 * what comes behind the first is kept for the next call.
 *
 * Owns the socket, whose record outlives the caller's handle where the backend still has a poll of
 * it. Invariant: while a task waits in a direction, its poll is pending or a waiter was woken. */
#include <crank/net.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "base/check.h"
#include "base/text.h"
#include "net/resolve.h"
#include "net/socket.h"
#include "task/error.h"

enum { MANY_MAX = 64 };

/* Receiving, or sending. */
typedef struct direction {
    cr_op poll;
    bool polled; /* it is pending */
    cr_waitq waiters;
    crank_udp *udp;
} direction;

/* The messages of one call for several: in heap memory, for they are too much for a small stack.
 * Nothing of it is used beyond the system call. */
typedef struct batch {
    struct mmsghdr messages[MANY_MAX];
    struct iovec pieces[MANY_MAX];
    struct sockaddr_in6 names[MANY_MAX];
} batch;

struct crank_udp {
    crank_loop *loop;
    cr_fd fd;
    int family;
    bool remote; /* it has one */
    bool cut;
    bool closed;    /* the backend still has a poll */
    unsigned calls; /* tasks in a call, also while none waits */
    int error;      /* told by the next call; 0 */
    direction in, out;
    batch *many; /* made on demand */
    char name[CR_ADDRESS_ROOM];
};

/* ---- Waiting ---- */

static size_t describe(const crank_udp *udp, char *buf, size_t size)
{
    return cr_text_format(buf, size, "%s", udp->name);
}

static size_t describe_in(const cr_task *task, char *buf, size_t size)
{
    return describe(cr_container_of(task->wait_object, direction, waiters)->udp, buf, size);
}

static const cr_wait_ops receive_wait = {
    .what = "waits for a datagram at", .hibernatable = true, .describe = describe_in
};
static const cr_wait_ops send_wait = {
    .what = "waits to send from", .hibernatable = true, .describe = describe_in
};

static void wake_next(const crank_udp *udp, direction *d)
{
    cr_task *task = cr_waitq_pop(&d->waiters);
    if (task)
        cr_wake(udp->loop, task, 0);
}

/* Of one that is closed; unless the backend still has a poll: its completion comes here again. */
static void free_record(crank_udp *udp)
{
    const cr_sys *sys = udp->loop->sys;
    if (udp->in.polled || udp->out.polled)
        return;
    cr_free(sys, udp->many);
    cr_free(sys, udp);
}

/* The record of a closed socket is there for its polls alone: the last of them frees it. */
static void polled(cr_op *op, void *arg)
{
    direction *d = arg;
    (void)op;
    d->polled = false;
    if (d->udp->closed)
        free_record(d->udp);
    else
        wake_next(d->udp, d);
}

/* After an attempt in vain. 0: try again; or a negative errno. */
static int await(const cr_caller *w, crank_udp *udp, direction *d)
{
    if (!d->polled)
        d->polled = cr_loop_submit(udp->loop, &d->poll) == CR_PENDING;
    if (!d->polled && d->poll.result >= 0)
        return 0;
    if (!d->polled) {
        wake_next(udp, d); /* it waits for a poll that is none */
        return (int)d->poll.result;
    }
    int err = cr_waitq_park(w, &d->waiters, d == &udp->in ? &receive_wait : &send_wait);
    if (err < 0)
        return err;
    err = cr_checkpoint_again(w);
    if (err < 0)
        wake_next(udp, d);
    return err;
}

/* What a call does, once and without waiting: a count, -EAGAIN, or another negative errno. */
typedef struct attempt {
    long (*once)(crank_udp *udp, const struct attempt *how);
    void *buf;
    size_t size;
    const crank_address *to;
    crank_address *ret_from;
    const crank_datagram *sent;
    crank_datagram *received;
} attempt;

/* An error that an earlier call has kept is told first, and once. */
static long try_once(crank_udp *udp, const attempt *how)
{
    long n = udp->error;
    udp->error = 0;
    if (n < 0)
        return n;
    do
        n = how->once(udp, how);
    while (n == -EINTR);
    return n;
}

/* Whatever the call has come to, the next waiter may try: each datagram, and each error, is for one
 * task, and the poll has woken one only. */
static long attempt_until(const cr_caller *w, crank_udp *udp, direction *d, const attempt *how)
{
    for (;;) {
        long n = try_once(udp, how);
        if (n != -EAGAIN) {
            wake_next(udp, d);
            return n;
        }
        n = await(w, udp, d);
        if (n < 0)
            return n;
    }
}

static long failed(const crank_udp *udp, const char *what, long err)
{
    if (err == -ECANCELED)
        return err;
    if (err == -ECONNREFUSED)
        return cr_error_set(-ECONNREFUSED,
            "cannot %s %s: an earlier datagram was refused, for no socket receives it", what,
            udp->name);
    return cr_error_set(
        (int)err, "cannot %s %s: %s", what, udp->name, cr_failure_error_words((int)err));
}

static long call(crank_udp *udp, const char *name, bool receives, const attempt *how)
{
    cr_caller w;
    udp->calls++;
    long n = cr_checkpoint(&w, name);
    if (n == 0) {
        cr_checkpoint_costs(&w, CR_BUDGET_STREAM);
        n = attempt_until(&w, udp, receives ? &udp->in : &udp->out, how);
        if (n < 0)
            n = failed(udp, receives ? "receive at" : "send from", n);
    }
    udp->calls--;
    return n;
}

/* ---- Addresses ---- */

/* As a socket of both families has it. */
static void to_kernel(const crank_udp *udp, const crank_address *address, struct msghdr *message,
    struct sockaddr_in6 *room)
{
    socklen_t size;
    const struct sockaddr *from = cr_address_sockaddr(address, &size);
    if (size > sizeof *room)
        size = sizeof *room; /* a unix address, which the kernel refuses by its family */
    *room = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
    if (udp->family == AF_INET6 && from->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        room->sin6_port = v4->sin_port;
        memset(&room->sin6_addr.s6_addr[10], 0xff, 2);
        memcpy(&room->sin6_addr.s6_addr[12], &v4->sin_addr, sizeof v4->sin_addr);
        size = sizeof *room;
    } else {
        memcpy(room, from, size);
    }
    message->msg_name = size > 0 ? room : NULL;
    message->msg_namelen = size;
}

/* ---- One datagram ---- */

/* An address that is all zeros has no name for the kernel, which takes the remote then. */
static long send_one(crank_udp *udp, const attempt *how)
{
    struct sockaddr_in6 name;
    struct iovec piece = { how->buf, how->size };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    if (how->to)
        to_kernel(udp, how->to, &message, &name);
    return udp->loop->sys->send_message(udp->loop->sys->context, udp->fd.number, &message, 0);
}

int crank_udp_send(crank_udp *udp, const void *buf, size_t size, const crank_address *to)
{
    union {
        const void *given;
        void *bytes;
    } from = { .given = buf };
    CR_CHECK(udp, "crank_udp_send: the socket is NULL; crank_udp_open gives that when it fails");
    CR_CHECK(buf || size == 0, "crank_udp_send: the buffer is NULL");
    const attempt how = { .once = send_one, .buf = from.bytes, .size = size, .to = to };
    long n = call(udp, "crank_udp_send", false, &how);
    return n < 0 ? (int)n : 0;
}

static long receive_one(crank_udp *udp, const attempt *how)
{
    const cr_sys *sys = udp->loop->sys;
    struct sockaddr_in6 name = { 0 };
    struct iovec piece = { how->buf, how->size };
    struct msghdr message = {
        .msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &piece, .msg_iovlen = 1
    };
    long n = sys->receive_message(sys->context, udp->fd.number, &message, 0);
    if (n < 0)
        return n;
    udp->cut = message.msg_flags & MSG_TRUNC;
    if (how->ret_from)
        cr_address_from_sockaddr(
            how->ret_from, (const struct sockaddr *)&name, message.msg_namelen);
    return n;
}

ssize_t crank_udp_receive(crank_udp *udp, void *buf, size_t size, crank_address *ret_from)
{
    CR_CHECK(udp, "crank_udp_receive: the socket is NULL; crank_udp_open gives that when it fails");
    CR_CHECK(buf || size == 0, "crank_udp_receive: the buffer is NULL");
    const attempt how = { .once = receive_one, .buf = buf, .size = size, .ret_from = ret_from };
    return call(udp, "crank_udp_receive", true, &how);
}

/* ---- Several ---- */

/* False when memory is short. */
static bool have_batch(crank_udp *udp)
{
    if (!udp->many)
        udp->many = cr_alloc(udp->loop->sys, sizeof *udp->many);
    return udp->many;
}

/* The kernel writes into the messages, so each call fills them anew. */
static void prepare(batch *b, size_t i, void *buf, size_t size)
{
    b->pieces[i] = (struct iovec){ buf, size };
    b->messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &b->pieces[i], .msg_iovlen = 1 } };
}

static unsigned at_once(size_t n) { return n < MANY_MAX ? (unsigned)n : MANY_MAX; }

/* As many as are there: the socket does not wait, so the kernel gives fewer than it has room
 * for. */
static long receive_many(crank_udp *udp, const attempt *how)
{
    const cr_sys *sys = udp->loop->sys;
    unsigned max = at_once(how->size);
    if (!have_batch(udp))
        return -ENOMEM;
    batch *b = udp->many;
    for (unsigned i = 0; i < max; i++) {
        prepare(b, i, how->received[i].buf, how->received[i].size);
        b->names[i] = (struct sockaddr_in6){ 0 };
        b->messages[i].msg_hdr.msg_name = &b->names[i];
        b->messages[i].msg_hdr.msg_namelen = sizeof b->names[i];
    }
    int n = sys->receive_messages(sys->context, udp->fd.number, b->messages, max, 0);
    if (n < 0)
        return n;
    udp->cut = false;
    for (int i = 0; i < n; i++) {
        const struct msghdr *message = &b->messages[i].msg_hdr;
        how->received[i].length = b->messages[i].msg_len;
        cr_address_from_sockaddr(
            &how->received[i].peer, (const struct sockaddr *)&b->names[i], message->msg_namelen);
        udp->cut |= (message->msg_flags & MSG_TRUNC) != 0;
    }
    return n;
}

ssize_t crank_udp_receive_many(crank_udp *udp, crank_datagram *ret_datagrams, size_t max)
{
    CR_CHECK(udp, "crank_udp_receive_many: the socket is NULL");
    CR_CHECK(ret_datagrams && max > 0, "crank_udp_receive_many: there is no datagram to fill");
    const attempt how = { .once = receive_many, .received = ret_datagrams, .size = max };
    return call(udp, "crank_udp_receive_many", true, &how);
}

/* With a remote: one after the other. What no later datagram would meet again is kept. */
static long send_each(crank_udp *udp, const attempt *how)
{
    unsigned n = at_once(how->size), done = 0;
    long err = 0;
    for (; done < n; done++) {
        const crank_datagram *d = &how->sent[done];
        socklen_t size;
        (void)cr_address_sockaddr(&d->peer, &size);
        const attempt one = { .buf = d->buf, .size = d->size, .to = size > 0 ? &d->peer : NULL };
        err = send_one(udp, &one);
        if (err < 0)
            break;
    }
    if (done > 0 && err < 0 && err != -EAGAIN && err != -EINTR && err != -EMSGSIZE)
        udp->error = (int)err;
    return done > 0 ? (long)done : err;
}

static long send_many(crank_udp *udp, const attempt *how)
{
    const cr_sys *sys = udp->loop->sys;
    unsigned n = at_once(how->size);
    if (udp->remote)
        return send_each(udp, how);
    if (!have_batch(udp))
        return -ENOMEM;
    batch *b = udp->many;
    for (unsigned i = 0; i < n; i++) {
        prepare(b, i, how->sent[i].buf, how->sent[i].size);
        to_kernel(udp, &how->sent[i].peer, &b->messages[i].msg_hdr, &b->names[i]);
    }
    return sys->send_messages(sys->context, udp->fd.number, b->messages, n, 0);
}

ssize_t crank_udp_send_many(crank_udp *udp, const crank_datagram *datagrams, size_t n)
{
    CR_CHECK(udp, "crank_udp_send_many: the socket is NULL");
    CR_CHECK(datagrams || n == 0, "crank_udp_send_many: the datagrams are NULL");
    const attempt how = { .once = send_many, .sent = datagrams, .size = n };
    return call(udp, "crank_udp_send_many", false, &how);
}

/* ---- What it is ---- */

bool crank_udp_cut(const crank_udp *udp)
{
    CR_CHECK(udp, "crank_udp_cut: the socket is NULL");
    return udp->cut;
}

const char *crank_udp_address(const crank_udp *udp)
{
    CR_CHECK(udp, "crank_udp_address: the socket is NULL");
    return udp->name;
}

int crank_udp_fd(const crank_udp *udp)
{
    CR_CHECK(udp, "crank_udp_fd: the socket is NULL");
    return udp->fd.number;
}

int crank_udp_close(crank_udp *udp)
{
    if (!udp)
        return 0;
    CR_CHECK(udp->calls == 0,
        "crank_udp_close: a task still sends or receives at %s; cancel it before, and wait for its "
        "end",
        udp->name);
    /* The port is free when this returns; the record waits for the polls that are pending. */
    udp->closed = true;
    if (udp->in.polled)
        cr_loop_cancel_poll(udp->loop, &udp->in.poll);
    if (udp->out.polled)
        cr_loop_cancel_poll(udp->loop, &udp->out.poll);
    udp->loop->backend->type->close_fd(udp->loop->backend, udp->fd);
    free_record(udp);
    return 0;
}

/* ---- Opening ---- */

static void prepare_direction(crank_udp *udp, direction *d, uint32_t events)
{
    d->udp = udp;
    d->poll = (cr_op){ .code = CR_OP_POLL,
        .fd = udp->fd.number,
        .generation = udp->fd.generation,
        .events = events,
        .completed = polled,
        .arg = d };
}

/* From here on the socket is the record's. NULL when memory is short. */
static crank_udp *udp_new(crank_loop *loop, int fd, int family, bool remote)
{
    const cr_sys *sys = loop->sys;
    crank_udp *udp = cr_alloc_zero(sys, sizeof *udp);
    if (!udp)
        return NULL;
    *udp = (crank_udp){ .loop = loop, .family = family, .remote = remote };
    if (loop->backend->type->attach(loop->backend, fd, CR_FD_OTHER, &udp->fd) < 0) {
        cr_free(sys, udp);
        return NULL;
    }
    prepare_direction(udp, &udp->in, EPOLLIN);
    prepare_direction(udp, &udp->out, EPOLLOUT);
    crank_address own = cr_socket_own_address(sys, fd);
    (void)crank_address_format(&own, udp->name, sizeof udp->name);
    return udp;
}

/* One way to have the socket. */
typedef struct ends {
    const crank_address *local, *remote; /* NULL: any, none */
    bool both;                           /* an IPv6 socket serves IPv4 as well */
} ends;

/* An IPv6 socket says in any case whether it takes IPv4: the system's default differs. A port that
 * is taken is refused: with SO_REUSEADDR two sockets would share its datagrams. */
static int prepare_socket(const cr_sys *sys, int fd, int family, const ends *e)
{
    socklen_t size;
    int err = 0;
    if (family == AF_INET6)
        err = cr_socket_set(sys, fd, IPPROTO_IPV6, IPV6_V6ONLY, !e->both);
    if (err == 0 && e->local) {
        const struct sockaddr *local = cr_address_sockaddr(e->local, &size);
        err = sys->bind(sys->context, fd, local, size);
    }
    if (err == 0 && e->remote) {
        const struct sockaddr *remote = cr_address_sockaddr(e->remote, &size);
        err = sys->connect(sys->context, fd, remote, size);
    }
    return err;
}

static int open_socket(crank_loop *loop, const ends *e, crank_udp **ret_udp)
{
    const cr_sys *sys = loop->sys;
    socklen_t size;
    int family = cr_address_sockaddr(e->remote ? e->remote : e->local, &size)->sa_family;
    if (family == AF_UNIX)
        return -EAFNOSUPPORT;
    int fd = sys->socket(sys->context, family, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    int err = prepare_socket(sys, fd, family, e);
    crank_udp *udp = err == 0 ? udp_new(loop, fd, family, e->remote) : NULL;
    if (udp) {
        *ret_udp = udp;
        return 0;
    }
    (void)sys->close(sys->context, fd);
    return err < 0 ? err : -ENOMEM;
}

/* All interfaces: an IPv6 socket for both families, or an IPv4 one where there is no IPv6. */
static int open_any(crank_loop *loop, unsigned port, crank_udp **ret_udp)
{
    crank_address address;
    const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port) };
    const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
    cr_address_from_sockaddr(&address, (const struct sockaddr *)&v6, sizeof v6);
    int err = open_socket(loop, &(ends){ .local = &address, .both = true }, ret_udp);
    if (err != -EAFNOSUPPORT && err != -EADDRNOTAVAIL)
        return err;
    cr_address_from_sockaddr(&address, (const struct sockaddr *)&v4, sizeof v4);
    return open_socket(loop, &(ends){ .local = &address }, ret_udp);
}

/* The first that can be had of all pairs of one family; either may be NULL, but not both. */
static int open_first(
    crank_loop *loop, const cr_resolved *local, const cr_resolved *remote, crank_udp **ret_udp)
{
    int err = -EAFNOSUPPORT;
    size_t locals = local ? local->count : 1, remotes = remote ? remote->count : 1;
    for (size_t i = 0; i < locals * remotes && err < 0; i++) {
        const ends e = { .local = local ? &local->addresses[i % locals] : NULL,
            .remote = remote ? &remote->addresses[i / locals] : NULL };
        if (!e.local || !e.remote || cr_address_family(e.local) == cr_address_family(e.remote))
            err = open_socket(loop, &e, ret_udp);
    }
    return err;
}

static int resolve(const cr_caller *w, const char *text, cr_resolved **ret_resolved)
{
    cr_address_parts parts;
    int err = cr_address_split(text, &parts);
    return err < 0 ? err : cr_resolve_parts(w, text, &parts, ret_resolved);
}

static int refuse(const char *local, const char *remote, int err)
{
    return cr_error_set(err, "cannot open a socket of datagrams %s%.160s%s%s%.160s: %s",
        local ? "at " : "", local ? local : "", local && remote ? " " : "", remote ? "to " : "",
        remote ? remote : "", cr_failure_error_words(err));
}

static int open_both(const cr_caller *w, const char *local, const char *remote, crank_udp **ret_udp)
{
    cr_resolved *from = NULL, *to = NULL;
    int err = local ? resolve(w, local, &from) : 0;
    if (err == 0 && remote)
        err = resolve(w, remote, &to);
    if (err == 0) {
        err = open_first(w->loop, from, to, ret_udp);
        if (err < 0)
            err = refuse(local, remote, err);
    }
    cr_free(w->loop->sys, from);
    cr_free(w->loop->sys, to);
    return err;
}

/* "*" beside a remote is any of the remote's family. */
static int open_by_text(const char *local, const char *remote, crank_udp **ret_udp)
{
    cr_caller w;
    cr_address_parts parts = { .kind = CR_ADDRESS_ANY };
    int err = cr_checkpoint(&w, "crank_udp_open");
    if (err == 0 && local)
        err = cr_address_split(local, &parts);
    if (err < 0)
        return err;
    if (parts.kind != CR_ADDRESS_ANY)
        return open_both(&w, local, remote, ret_udp);
    if (remote && parts.port == 0)
        return open_both(&w, NULL, remote, ret_udp);
    if (remote)
        return cr_error_set(-EINVAL,
            "crank_udp_open: %s beside a remote: name an address to bind, as 0.0.0.0:%u", local,
            parts.port);
    err = open_any(w.loop, parts.port, ret_udp);
    return err < 0 ? refuse(local ? local : "*:0", NULL, err) : 0;
}

crank_udp *crank_udp_open(const char *local, const char *remote)
{
    crank_udp *udp = NULL;
    int err = open_by_text(local, remote, &udp);
    if (err < 0)
        errno = -err;
    return udp;
}
