/* SPDX-License-Identifier: MIT */
/* socket.c: options of sockets, pairs, and what unix sockets alone can do.
 *
 * Owns the options that every TCP connection has. Accepted sockets inherit them from the one that
 * listens, so that accepting costs no further call. */
#include "net/socket.h"

#include <crank/net.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "net/connection.h"
#include "task/error.h"

/* A peer that is gone without a word is found after two minutes: four probes, 15 seconds apart. */
enum { KEEPALIVE_IDLE = 60, KEEPALIVE_EVERY = 15, KEEPALIVE_PROBES = 4 };
/* What the kernel takes at most. */
enum { KEEPALIVE_MAX = 32767 };

/* Rounded up, for 0 would mean none; without libm, which the library does not link. */
static int whole_seconds(double seconds)
{
    int whole = (int)seconds;
    return whole + (whole < seconds);
}

int cr_socket_choose(double keepalive, bool nagle, cr_socket_manner *ret_manner)
{
    if (isnan(keepalive))
        return -EINVAL;
    *ret_manner = (cr_socket_manner){ .keepalive = KEEPALIVE_IDLE, .nagle = nagle };
    if (keepalive < 0)
        ret_manner->keepalive = 0;
    else if (keepalive > 0)
        ret_manner->keepalive =
            keepalive < KEEPALIVE_MAX ? whole_seconds(keepalive) : KEEPALIVE_MAX;
    return 0;
}

int cr_socket_set(const cr_sys *sys, int fd, int level, int name, int value)
{
    const cr_socket_option option = {
        .level = level, .name = name, .value = &value, .size = sizeof value
    };
    return sys->set_option(sys->context, fd, &option);
}

crank_address cr_socket_own_address(const cr_sys *sys, int fd)
{
    struct sockaddr_storage own = { 0 };
    socklen_t size = sizeof own;
    crank_address address = { 0 };
    if (sys->own_name(sys->context, fd, (struct sockaddr *)&own, &size) == 0)
        cr_address_from_sockaddr(&address, (struct sockaddr *)&own, size);
    return address;
}

/* The stream gathers what is written in one pass, so the kernel need not wait for more (Nagle). */
void cr_socket_prepare(const cr_sys *sys, int fd, const cr_socket_manner *manner)
{
    if (!manner->nagle)
        (void)cr_socket_set(sys, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (!manner->keepalive)
        return;
    (void)cr_socket_set(sys, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)cr_socket_set(sys, fd, IPPROTO_TCP, TCP_KEEPIDLE, manner->keepalive);
    (void)cr_socket_set(sys, fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY);
    (void)cr_socket_set(sys, fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

/* Both, or neither. */
static int open_pair(crank_loop *loop, cr_connection *ret_ends[2])
{
    const cr_sys *sys = loop->sys;
    int fds[2];
    int err = sys->socket_pair(sys->context, AF_UNIX, SOCK_STREAM, fds);
    if (err < 0)
        return err;
    ret_ends[0] = cr_connection_open(loop, fds[0], AF_UNIX);
    ret_ends[1] = ret_ends[0] ? cr_connection_open(loop, fds[1], AF_UNIX) : NULL;
    if (ret_ends[1])
        return 0;
    if (ret_ends[0])
        cr_connection_discard(ret_ends[0]);
    else
        (void)sys->close(sys->context, fds[0]);
    (void)sys->close(sys->context, fds[1]);
    return -ENOMEM;
}

int crank_socket_pair(crank_stream **ret_a, crank_stream **ret_b)
{
    cr_connection *ends[2];
    CR_CHECK(ret_a && ret_b, "crank_socket_pair: where to put an end is NULL");
    crank_loop *loop = cr_checked_loop("crank_socket_pair");
    int err = open_pair(loop, ends);
    if (err < 0)
        return cr_error_set(err, "cannot make a pair of sockets: %s", cr_failure_error_words(err));
    *ret_a = cr_connection_stream(ends[0]);
    *ret_b = cr_connection_stream(ends[1]);
    return 0;
}

/* ---- Unix sockets ---- */

/* NULL where the stream is no unix socket. */
static cr_connection *unix_connection(const crank_stream *stream)
{
    cr_connection *c = cr_connection_of(stream);
    return c && cr_connection_is_unix(c) ? c : NULL;
}

/* The kernel has noted them at connect and listen: what the peer has become since does not
 * count. */
int crank_peer_credentials(
    const crank_stream *stream, pid_t *ret_pid, uid_t *ret_uid, gid_t *ret_gid)
{
    struct ucred peer;
    cr_socket_option option = {
        .level = SOL_SOCKET, .name = SO_PEERCRED, .value = &peer, .size = sizeof peer
    };
    CR_CHECK(stream, "crank_peer_credentials: the stream is NULL");
    const cr_connection *c = unix_connection(cr_stream_bottom((crank_stream *)(uintptr_t)stream));
    if (!c)
        return cr_error_set(-ENOTSUP, "crank_peer_credentials: the stream is no unix socket");
    const cr_sys *sys = c->socket.loop->sys;
    int err = c->socket.receiving.generation
                  ? sys->get_option(sys->context, c->socket.receiving.fd, &option)
                  : -EBADF;
    if (err < 0)
        return cr_error_set(err, "crank_peer_credentials: %s", cr_failure_error_words(err));
    if (ret_pid)
        *ret_pid = peer.pid;
    if (ret_uid)
        *ret_uid = peer.uid;
    if (ret_gid)
        *ret_gid = peer.gid;
    return 0;
}

/* ---- Receiving a descriptor ---- */

/* So that a descriptor's place is exact, whatever the peer sends with it. */
static long read_one_byte(const cr_caller *w, cr_connection *c)
{
    c->passing.single = true;
    long n = cr_reading_fill(w, cr_connection_stream(c), 1);
    c->passing.single = false;
    return n;
}

int crank_receive_fd(crank_stream *stream)
{
    cr_caller w;
    long n = cr_stream_begin(&w, stream, true, "crank_receive_fd");
    cr_connection *c = n < 0 ? NULL : unix_connection(stream);
    if (n < 0)
        return (int)n;
    if (!c)
        return cr_error_set(
            -ENOTSUP, "%s: only unix sockets pass descriptors", cr_stream_name(stream));
    if (cr_buffer_held(&stream->in) == 0)
        n = read_one_byte(&w, c);
    if (n < 0)
        return (int)n;
    int fd = cr_passing_take(&c->socket, &c->passing);
    if (fd == -ENODATA)
        (void)cr_error_set(fd, "%s: the next byte brings no descriptor", cr_stream_name(stream));
    else if (fd < 0)
        (void)cr_error_set(fd, "%s: a descriptor was lost: %s", cr_stream_name(stream),
            cr_failure_error_words(fd));
    return fd;
}

/* ---- Sending a descriptor ---- */

/* Without waiting: 1, or a negative errno. */
static ssize_t send_now(const cr_socketlike *s, int fd)
{
    union {
        struct cmsghdr first;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .bytes = { 0 } };
    char byte = 0;
    struct iovec piece = { &byte, 1 };
    const struct msghdr message = { .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control };
    control.first.cmsg_level = SOL_SOCKET;
    control.first.cmsg_type = SCM_RIGHTS;
    control.first.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.first), &fd, sizeof fd);
    return s->loop->sys->send_message(s->loop->sys->context, s->receiving.fd, &message, 0);
}

/* The caller has the turn: no other task writes before it gives that. */
static int send_in_turn(const cr_caller *w, cr_socketlike *s, int fd)
{
    int err = cr_sending_wait(w, s, s->sent + cr_sending_unsent(s));
    while (err == 0) {
        err = cr_sending_refuses(s);
        ssize_t n = err == 0 ? send_now(s, fd) : err;
        if (n > 0)
            break;
        err = n == -EAGAIN ? cr_sending_poll(w, s) : n == -EINTR ? 0 : (int)n;
    }
    if (err == 0) {
        cr_sending_note(s, 1);
    } else if (err == -EPIPE || err == -ECONNRESET) {
        cr_sending_break(s, err);
        s->stream.told = err;
    }
    return err;
}

/* Among writers it is one of them: what was written before goes first. */
static int send_fd(const cr_caller *w, cr_socketlike *s, int fd)
{
    int err = cr_sending_refuses(s);
    if (err == 0)
        err = cr_sending_take_turn(w, s);
    if (err < 0)
        return err;
    err = send_in_turn(w, s, fd);
    cr_sending_give_turn(s);
    if (s->eof_asked)
        cr_sending_start(s);
    return err;
}

int crank_send_fd(crank_stream *stream, int fd)
{
    cr_caller w;
    int err = cr_stream_begin(&w, stream, false, "crank_send_fd");
    cr_connection *c = err < 0 ? NULL : unix_connection(stream);
    if (err < 0)
        return err;
    if (!c)
        return cr_error_set(
            -ENOTSUP, "%s: only unix sockets pass descriptors", cr_stream_name(stream));
    err = send_fd(&w, &c->socket, fd);
    if (err < 0)
        return cr_stream_failed(stream, "send a descriptor to", err);
    return 0;
}
