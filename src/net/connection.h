/* SPDX-License-Identifier: MIT */
/* connection.h: a connected socket as a stream. */
#ifndef CR_CONNECTION_H
#define CR_CONNECTION_H
#include <crank/net.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "net/passing.h"

typedef struct cr_connection {
    cr_socketlike socket;
    /* What the kernel said of the peer when the connection was made: known also after a reset. A
     * name that fits takes its place. */
    union {
        struct sockaddr_in6 peer;
        char short_name[sizeof(struct sockaddr_in6)];
    };
    socklen_t peer_size;        /* 0: a socket of the family unix */
    char *peer_name, *own_name; /* made on demand; NULL */
    /* A server's: serve.c. The record stays until the server gives it up, whatever the handler
     * closes. */
    struct cr_connection *next, *prev;
    uint64_t handler; /* the id of its task */
    /* A unix socket's: the record of a TCP connection ends before. */
    cr_passing passing;
} cr_connection;

/* Take over a connected socket of the family. NULL when memory is short: fd stays the caller's. */
cr_connection *cr_connection_open(crank_loop *loop, int fd, int family);
/* Forget one that was never connected, or whose calls have all ended: never waits. Its unsent bytes
 * are dropped. */
void cr_connection_discard(cr_connection *c);
/* NULL where the stream is no connection. */
cr_connection *cr_connection_of(const crank_stream *stream);
/* Unix sockets are read by a call of their own, for the descriptors that may come. */
static inline bool cr_connection_is_unix(const cr_connection *c) { return c->socket.kind->receive; }
static inline crank_stream *cr_connection_stream(cr_connection *c) { return &c->socket.stream; }
#endif
