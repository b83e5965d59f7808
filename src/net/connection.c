/* SPDX-License-Identifier: MIT */
/* connection.c: a connected socket as a stream: its names.
 *
 * Owns what a connection has beside the stream: the peer's address, and the texts of both ends,
 * which are made when they are first asked for and live as long as the stream. */
#include "net/connection.h"

#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "net/address.h"

static const char *describe(cr_socketlike *s)
{
    const char *name = crank_peer_name(&s->stream);
    return *name ? name : "a socket";
}

static void deinit(cr_socketlike *s)
{
    cr_connection *c = cr_container_of(s, cr_connection, socket);
    if (c->peer_name != c->short_name)
        cr_free(s->loop->sys, c->peer_name);
    cr_free(s->loop->sys, c->own_name);
}

static void deinit_unix(cr_socketlike *s)
{
    cr_passing_close_all(s, &cr_container_of(s, cr_connection, socket)->passing);
    deinit(s);
}

static long receive(cr_socketlike *s, void *buf, size_t size)
{
    return cr_passing_receive(s, &cr_container_of(s, cr_connection, socket)->passing, buf, size);
}

/* Unix sockets stop at the boundaries of passed descriptors; of TCP a short transfer says that
 * there is nothing more. */
static const cr_socketlike_kind tcp_kind = {
    .size = offsetof(cr_connection, passing),
    .fd = CR_FD_TCP,
    .describe = describe,
    .deinit = deinit,
};
static const cr_socketlike_kind unix_kind = {
    .size = sizeof(cr_connection),
    .fd = CR_FD_OTHER,
    .receive = receive,
    .describe = describe,
    .deinit = deinit_unix,
};

cr_connection *cr_connection_of(const crank_stream *stream)
{
    cr_socketlike *s = cr_socketlike_of((crank_stream *)(uintptr_t)stream);
    return s && (s->kind == &tcp_kind || s->kind == &unix_kind)
               ? cr_container_of(s, cr_connection, socket)
               : NULL;
}

cr_connection *cr_connection_open(crank_loop *loop, int fd, int family)
{
    cr_socketlike *s = cr_socketlike_open(loop, fd, family == AF_UNIX ? &unix_kind : &tcp_kind);
    return s ? cr_container_of(s, cr_connection, socket) : NULL;
}

void cr_connection_discard(cr_connection *c) { cr_socketlike_discard(&c->socket); }

/* The kernel's answer as text of CR_ADDRESS_ROOM: its size with the 0 behind; 0 where it has
 * none. */
static size_t name_of(const void *address, socklen_t size, char *text)
{
    crank_address parsed;
    cr_address_from_sockaddr(&parsed, address, size);
    size_t length = crank_address_format(&parsed, text, CR_ADDRESS_ROOM);
    return length > 0 && length < CR_ADDRESS_ROOM ? length + 1 : 0;
}

/* The same, kept where *ret_name is. "" where it has none, or memory is short. */
static const char *keep_name(
    const cr_connection *c, const void *address, socklen_t size, char **ret_name)
{
    char text[CR_ADDRESS_ROOM];
    size_t room = name_of(address, size, text);
    if (room > 0)
        *ret_name = cr_alloc(c->socket.loop->sys, room);
    return *ret_name ? memcpy(*ret_name, text, room) : "";
}

/* Of the peer's address, which is not needed any more then. */
static const char *keep_short_name(cr_connection *c)
{
    char text[CR_ADDRESS_ROOM];
    size_t room = name_of(&c->peer, c->peer_size, text);
    if (room == 0 || room > sizeof c->short_name)
        return keep_name(c, &c->peer, c->peer_size, &c->peer_name);
    c->peer_name = memcpy(c->short_name, text, room);
    return c->peer_name;
}

typedef int name_call(void *context, int fd, struct sockaddr *address, unsigned *size);

static const char *ask_name(const cr_connection *c, name_call *ask, char **ret_name)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    const cr_sys *sys = c->socket.loop->sys;
    if (!c->socket.receiving.generation ||
        ask(sys->context, c->socket.receiving.fd, (struct sockaddr *)&address, &size) < 0)
        return "";
    return keep_name(c, &address, size, ret_name);
}

const char *crank_peer_name(const crank_stream *stream)
{
    CR_CHECK(stream, "crank_peer_name: the stream is NULL");
    cr_connection *c = cr_connection_of(cr_stream_bottom((crank_stream *)(uintptr_t)stream));
    if (!c)
        return "";
    if (c->peer_name)
        return c->peer_name;
    if (c->peer_size > 0)
        return keep_short_name(c);
    return ask_name(c, c->socket.loop->sys->peer_name, &c->peer_name);
}

const char *crank_own_name(const crank_stream *stream)
{
    CR_CHECK(stream, "crank_own_name: the stream is NULL");
    cr_connection *c = cr_connection_of(cr_stream_bottom((crank_stream *)(uintptr_t)stream));
    if (!c)
        return "";
    return c->own_name ? c->own_name : ask_name(c, c->socket.loop->sys->own_name, &c->own_name);
}
