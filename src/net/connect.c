/* SPDX-License-Identifier: MIT */
/* connect.c: making connections.
 *
 * Owns the socket until it is connected; then it is the stream's. A connection is waited for with
 * POLL, so that the wait can be cancelled: then no socket is left. */
#include <crank/net.h>

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <string.h>

#include "base/check.h"
#include "net/address.h"
#include "net/connection.h"
#include "net/socket.h"
#include "task/error.h"

/* The kernel connects a socket to itself where the port it chooses is the one asked for and nobody
 * listens there (tokio#3405): refused, as one port later it would have been. */
static bool is_own_address(const cr_connection *c, const struct sockaddr *to, socklen_t size)
{
    struct sockaddr_storage own = { 0 };
    socklen_t own_size = sizeof own;
    const cr_sys *sys = c->socket.loop->sys;
    if (to->sa_family == AF_UNIX)
        return false;
    int err = sys->own_name(sys->context, c->socket.fd.number, (struct sockaddr *)&own, &own_size);
    crank_address mine, other;
    cr_address_from_sockaddr(&mine, (struct sockaddr *)&own, own_size);
    cr_address_from_sockaddr(&other, to, size);
    return err == 0 && crank_address_equal(&mine, &other);
}

/* Until the kernel has an answer. 0, or why there is no connection. */
static int await_answer(const cr_caller *w, cr_connection *c)
{
    const cr_sys *sys = w->loop->sys;
    int error = 0;
    cr_socket_option option = {
        .level = SOL_SOCKET, .name = SO_ERROR, .value = &error, .size = sizeof error
    };
    long ready = cr_socketlike_poll(w, &c->socket, EPOLLOUT);
    if (ready < 0)
        return (int)ready;
    int err = sys->get_option(sys->context, c->socket.fd.number, &option);
    return err < 0 ? err : -error;
}

/* An interrupted connect goes on in the background, as one that says EINPROGRESS. */
static int connect_now(
    const cr_caller *w, cr_connection *c, const struct sockaddr *to, socklen_t size)
{
    const cr_sys *sys = w->loop->sys;
    int err = sys->connect(sys->context, c->socket.fd.number, to, size);
    if (err == -EINPROGRESS || err == -EINTR)
        err = await_answer(w, c);
    if (err == 0 && is_own_address(c, to, size))
        err = -ECONNREFUSED;
    return err;
}

/* A socket connected to that address. 0 or a negative errno: then there is none. */
static int connect_to(
    const cr_caller *w, const crank_address *address, cr_connection **ret_connection)
{
    socklen_t size;
    const struct sockaddr *to = cr_address_sockaddr(address, &size);
    const cr_sys *sys = w->loop->sys;
    int fd = sys->socket(sys->context, to->sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    if (to->sa_family != AF_UNIX)
        cr_socket_prepare(sys, fd);
    cr_connection *c = cr_connection_open(w->loop, fd, to->sa_family);
    if (!c) {
        (void)sys->close(sys->context, fd);
        return -ENOMEM;
    }
    int err = connect_now(w, c, to, size);
    if (err < 0) {
        cr_connection_discard(c);
        return err;
    }
    if (size <= sizeof c->peer && to->sa_family != AF_UNIX) {
        memcpy(&c->peer, to, size);
        c->peer_size = size;
    }
    *ret_connection = c;
    return 0;
}

static int connect_by_text(const char *text, cr_connection **ret_connection)
{
    cr_caller w;
    cr_address_parts parts;
    int err = cr_checkpoint(&w, "crank_connect");
    if (err < 0)
        return err;
    err = cr_address_split(text, &parts);
    if (err < 0)
        return err;
    if (parts.kind == CR_ADDRESS_ANY)
        return cr_error_set(
            -EINVAL, "cannot connect to %s: it means all interfaces; name one", text);
    if (parts.kind == CR_ADDRESS_NAME)
        return cr_error_set(-ENOTSUP, "cannot connect to %s: names are not looked up yet", text);
    err = connect_to(&w, &parts.address, ret_connection);
    if (err == -ECANCELED)
        return err;
    return err < 0
               ? cr_error_set(err, "cannot connect to %s: %s", text, cr_failure_error_words(err))
               : 0;
}

crank_stream *crank_connect(const char *address)
{
    cr_connection *connection = NULL;
    CR_CHECK(address, "crank_connect: the address is NULL");
    int err = connect_by_text(address, &connection);
    if (err == 0)
        return cr_connection_stream(connection);
    errno = -err;
    return NULL;
}
