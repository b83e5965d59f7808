/* SPDX-License-Identifier: MIT */
/* endpoints.h: the simulated sockets, as the files of the network share them. */
#ifndef CR_ENDPOINTS_H
#define CR_ENDPOINTS_H
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "world/flow.h"
#include "world/world.h"

/* An IPv4 address is one also where an IPv6 socket has it: it is mapped when it is shown. */
typedef struct cr_name {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    };
    unsigned size; /* 0: none */
} cr_name;

typedef struct cr_packet cr_packet;
typedef struct cr_rights cr_rights;

/* What a UDP socket has received, oldest first, and what it has sent. */
typedef struct cr_packets {
    cr_packet *first, *last;
    size_t waiting; /* what they take of its receive buffer */
    size_t flying;  /* bytes it has sent that are on their way */
} cr_packets;

enum cr_endpoint_state {
    CR_ENDPOINT_FRESH,
    CR_ENDPOINT_LISTENING,
    CR_ENDPOINT_CALLING,   /* SYN_SENT */
    CR_ENDPOINT_ANSWERING, /* SYN_RECV: in the listener's queue, not to be accepted yet */
    CR_ENDPOINT_OPEN,
    CR_ENDPOINT_ENDED, /* refused, reset, or both ends have arrived */
};

/* What the last connect has come to, as the caller knows. */
enum cr_endpoint_call { CR_CALL_NONE, CR_CALL_PENDING, CR_CALL_DONE };

/* The kernel's sk_shutdown. */
enum { CR_SHUT_RECV = 1, CR_SHUT_SEND = 2, CR_SHUT_BOTH = 3 };

#define CR_SOCKET_OPTIONS 20

/* Alive as long as it is open, waits to be accepted, or what it has sent may still be read. */
struct cr_endpoint {
    int number; /* the descriptor, of several the one it is found by (cr_endpoint_next); 0: none */
    unsigned numbers;
    int family;
    int type; /* SOCK_STREAM, or SOCK_DGRAM: then OPEN means that it has a remote */
    enum cr_endpoint_state state;
    enum cr_endpoint_call call;
    bool closed; /* it belongs to no descriptor and to no listener any more */
    bool done;   /* the peer's end has arrived, and all before it */
    bool bound;
    unsigned shut; /* CR_SHUT_ */
    int error;     /* for the next call that tells of one; not negative */
    cr_name name;
    cr_name peer_name;
    cr_endpoint *peer;
    cr_flow out;
    cr_rights *rights; /* descriptors that go with bytes of it, in their order: rights.c */
    unsigned passing;  /* how many messages have some */
    cr_arrival handshake;
    cr_arrival bytes;
    cr_arrival fin;
    cr_arrival reset;
    cr_arrival timeout; /* of a call, of what was sent and is cut off, or of keepalive.c */
    unsigned doom;      /* so many more arrivals until the connection breaks; 0: it does not */
    bool doom_half;     /* and then this side alone learns of it */
    int host;
    int peer_host;
    int64_t heard_at; /* when it was connected, or had bytes from its peer */
    int64_t retry;    /* of a SYN that found no room: until the next one, nanoseconds */
    /* a listener: what waits to be accepted, oldest first, and what is being answered */
    cr_endpoint *first;
    cr_endpoint *next; /* the next of its listener's */
    cr_endpoint *listener;
    unsigned waiting;
    unsigned backlog;
    cr_packets packets;
    int options[CR_SOCKET_OPTIONS]; /* as socket_options.c numbers them */
};

static inline bool cr_endpoint_is_local(const cr_endpoint *s) { return s->family == AF_UNIX; }
/* Read its error, which is then gone: 0 or negative. */
static inline int cr_endpoint_take_error(cr_endpoint *s)
{
    int error = s->error;
    s->error = 0;
    return -error;
}

/* ---- endpoints.c ---- */

/* NULL: it is not open. */
cr_endpoint *cr_endpoint_find(const cr_world *world, int fd);
/* One without a number; NULL when memory is short. */
cr_endpoint *cr_endpoint_new(cr_world *world, int family);
/* Give it the lowest number that is free, also beside others: that, or -ENOMEM. */
int cr_endpoint_number(cr_world *world, cr_endpoint *s);
/* Take a number back: how many are left. */
unsigned cr_endpoint_forget(cr_world *world, cr_endpoint *s, int fd);
/* Each that is open, once, in the order of the descriptors, which is the same in equal runs: the
 * next from *at on, 0 at first; NULL behind the last. */
cr_endpoint *cr_endpoint_next(const cr_world *world, size_t *at);
/* They are connected from now on. False when memory is short. */
bool cr_endpoint_join(cr_world *world, cr_endpoint *a, cr_endpoint *b);
/* Free what is closed and of no use to its peer either. */
void cr_endpoint_release(cr_world *world, cr_endpoint *s);
/* To the end of a listener's queue. */
void cr_endpoint_queue(cr_endpoint *listener, cr_endpoint *s);
/* Out of its listener's queue. */
void cr_endpoint_leave(cr_endpoint *s);
/* If its handshake was not over yet, now it is, and it can be accepted. */
void cr_endpoint_answered(cr_endpoint *s);

/* ---- names.c ---- */

/* What a caller has passed, as a socket of a family takes it for a name. 0, -EINVAL,
 * -EAFNOSUPPORT. */
int cr_name_read(int family, const struct sockaddr *address, unsigned size, cr_name *ret_name);
/* Show it to a caller, as a socket of a family does; *size as getsockname has it. */
int cr_name_show(const cr_name *name, int family, struct sockaddr *address, unsigned *size);
/* In the order of the network. */
in_port_t cr_name_port(const cr_name *name);
/* Bind it to any address and an ephemeral port. 0 or -EADDRNOTAVAIL. */
int cr_name_choose(cr_world *world, cr_endpoint *s);
/* The address that a connection to a name comes from and goes to, instead of any. */
void cr_name_route(const cr_endpoint *s, cr_name *own, cr_name *to);
/* A host's own address. */
void cr_name_make_own(cr_name *name, int family, int host, in_port_t port);
/* The number of the host that has this address, as seen from a host; or -ENETUNREACH. */
int cr_name_host(const cr_world *world, int host, const cr_name *name);
/* Does another socket have what this one would listen at? */
bool cr_name_taken(const cr_world *world, const cr_endpoint *s, bool listening);
/* The socket that listens there; of several one by choice. NULL. */
cr_endpoint *cr_name_listener(cr_world *world, int host, const cr_name *name);
/* The UDP socket of a host that takes what comes for a name from another: one whose remote is that
 * other before one without a remote, and of several like it one by choice. NULL. */
cr_endpoint *cr_name_receiver(cr_world *world, int host, const cr_name *name, const cr_name *from);
/* The socket that is bound to a path or an abstract name; NULL. */
cr_endpoint *cr_name_local(const cr_world *world, const cr_name *name);

/* ---- handshake.c ---- */

/* What waits to be accepted is gone, and its peers are told nothing. */
void cr_handshake_forget(cr_world *world, cr_endpoint *listener);
/* It listens no more: what waits to be accepted is reset. */
void cr_handshake_stop(cr_world *world, cr_endpoint *listener);

/* ---- wire.c ---- */

/* So many bytes that it sends now arrive then. */
int64_t cr_wire_arrival(cr_world *world, const cr_endpoint *s, size_t n);
bool cr_wire_readable(const cr_endpoint *s);
bool cr_wire_writable(const cr_endpoint *s);
/* A new connection, by the side that answers: does it break one day? */
void cr_wire_doom(cr_world *world, cr_endpoint *s);
/* sendmsg and recvmsg of a stream. */
ssize_t cr_wire_send(cr_world *world, cr_endpoint *s, const struct msghdr *message);
ssize_t cr_wire_receive(cr_world *world, cr_endpoint *s, struct msghdr *message, int flags);
/* The descriptor goes: as Linux ends a connection, by its end or by a reset. */
void cr_wire_close(cr_world *world, cr_endpoint *s);
/* Tell the peer that the connection is no more. */
void cr_wire_reset(cr_world *world, cr_endpoint *s);
/* It is no more, and nothing that it has sent arrives: the peer is told nothing. */
void cr_wire_vanish(cr_world *world, cr_endpoint *s);
/* It is no more. */
void cr_wire_end(cr_world *world, cr_endpoint *s, int error);
/* The same, unless its end, a reset or a refusal has ended it before: then it is no failure any
 * more. */
void cr_wire_break(cr_world *world, cr_endpoint *s, int error);

/* ---- packets.c: of UDP sockets ---- */

int64_t cr_packets_events(const cr_endpoint *s);
/* As udp_connect: what comes from others is not for it any more. 0 or a negative errno. */
int cr_packets_connect(cr_world *world, cr_endpoint *s, const cr_name *to);
ssize_t cr_packets_send(cr_world *world, cr_endpoint *s, const struct msghdr *message);
ssize_t cr_packets_receive(cr_world *world, cr_endpoint *s, struct msghdr *message, int flags);
/* The descriptor goes: what it has sent arrives all the same. */
void cr_packets_close(cr_world *world, cr_endpoint *s);
/* Its host is gone: it has nothing, and is of no use. */
void cr_packets_end(cr_world *world, cr_endpoint *s);
/* What a host has sent, or every host, does not arrive. */
void cr_packets_drop(cr_world *world, int host);

/* ---- socket_options.c ---- */

enum cr_option_index { /* those that the network itself looks at */
    CR_OPTION_REUSE_ADDRESS,
    CR_OPTION_REUSE_PORT,
    CR_OPTION_ONLY_V6,
    CR_OPTION_LINGER,
    CR_OPTION_LINGER_SECONDS,
    CR_OPTION_KEEPALIVE,
    CR_OPTION_KEEP_IDLE,
    CR_OPTION_KEEP_EVERY,
    CR_OPTION_KEEP_PROBES,
    CR_OPTION_SEND_BUFFER,
    CR_OPTION_RECEIVE_BUFFER,
};
void cr_socket_options_init(cr_endpoint *s);
#endif
