/* SPDX-License-Identifier: MIT */
/* socket.c: sockets before they are connected, and pairs.
 *
 * Owns the options that every TCP connection has. Accepted sockets inherit them from the one that
 * listens, so that accepting costs no further call. */
#include "net/socket.h"

#include <crank/net.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/check.h"
#include "net/connection.h"
#include "task/error.h"

/* A peer that is gone without a word is found after two minutes: four probes, 15 seconds apart. */
enum { KEEPALIVE_IDLE = 60, KEEPALIVE_EVERY = 15, KEEPALIVE_PROBES = 4 };
/* What the kernel takes at most. */
enum { KEEPALIVE_MAX = 32767 };

int cr_socket_choose(double keepalive, bool nagle, cr_socket_manner *ret_manner)
{
    if (isnan(keepalive))
        return -EINVAL;
    *ret_manner = (cr_socket_manner){ .keepalive = KEEPALIVE_IDLE, .nagle = nagle };
    if (keepalive < 0)
        ret_manner->keepalive = 0;
    else if (keepalive > 0)
        ret_manner->keepalive = keepalive < KEEPALIVE_MAX ? (int)ceil(keepalive) : KEEPALIVE_MAX;
    return 0;
}

int cr_socket_set(const cr_sys *sys, int fd, int level, int name, int value)
{
    const cr_socket_option option = {
        .level = level, .name = name, .value = &value, .size = sizeof value
    };
    return sys->set_option(sys->context, fd, &option);
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
