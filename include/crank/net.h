/* SPDX-License-Identifier: MIT */
#ifndef CRANK_NET_H
#define CRANK_NET_H
/* Connections, servers, datagrams and addresses. An address is text: "1.2.3.4:80", "[::1]:80", "[fe80::1%eth0]:80" (the
 * interface by name or number), "unix:/path", "unix:@name" (abstract); where names are looked up also "host:80", where
 * a program listens also "*:80" (all interfaces, both families). The port is 0 to 65535, decimal. Nothing is trimmed or
 * guessed: what has another form is refused with -EINVAL, and crank_error shows the place. */
#include "base.h"
#include "call.h"
#include "stream.h"
/* Not a system header, as scope.h is none: gcc would then keep silent about an ignored result. */

CRANK_BEGIN_DECLS

/* ---- Addresses ------------------------------------------------------------------------------------------------- */

/* A value, which is assigned and passed like a number. All zeros are no address. */
typedef struct crank_address {
    uint64_t opaque[16];
} crank_address;

/* An address from its text; looks no host name up. 0; fails with -EINVAL (another form, a name, or "*"), -ENAMETOOLONG
 * (more than 107 bytes behind "unix:"), -ENODEV (no interface has this name), -EMFILE and -ENFILE (none left to ask for
 * the interface): then *ret_address is untouched and crank_error shows what is wrong, and where. */
CRANK_API int crank_address_parse(const char *text, crank_address *ret_address);
/* The text of an address into buf, cut to size and terminated; gives the length it would have. "" where there is none.
 * An interface is shown by its number. Parsing the text gives an equal address, but for some unix addresses that other
 * programs chose: an abstract name that is empty or has a 0 in it, shown as '@'; a path of 108 bytes; a path that
 * begins with '@', shown as "./@". */
CRANK_API size_t crank_address_format(const crank_address *address, char *buf, size_t size);
/* Are they one address? An IPv4 address mapped into IPv6, "[::ffff:1.2.3.4]:80", is that IPv4 address. */
CRANK_API bool crank_address_equal(const crank_address *a, const crank_address *b);

/* The addresses of a host, with the port, in the order in which the system would try them: how many there are, at most
 * 64, of which max are filled in. To connect to one of them give crank_connect its text, of crank_address_format. A
 * name is looked up on a thread of the process's lookups, where it is left when the caller is cancelled; a number and
 * "localhost", the loopback of both families, need none. Fails with -ENOENT (there is no such name), -EAGAIN (no name
 * server answers, or no thread can be made), -EINVAL (another form: nothing was asked), -ENODEV, -ENOMEM, -ECANCELED,
 * or with what the resolver lacks, as -EMFILE. */
CRANK_API CRANK_BLOCKS ssize_t crank_resolve(
    const char *name, unsigned port, crank_address *ret_addresses, size_t max);

/* ---- Connections ----------------------------------------------------------------------------------------------- */

/* What crank_connect_with is told. Each field may be zero: its default. */
typedef struct crank_connect_options {
    const char *local;    /* an address to bind first; addresses of another family are left out */
    double attempt_delay; /* seconds until the next address is tried beside: 0 is 0.25; CRANK_FOREVER: one by one */
    double keepalive;     /* seconds without a word after which the peer is asked whether it is there: 0 is 60, negative
                           * never */
    bool nagle;           /* the kernel holds small pieces back while it waits for the peer: else TCP_NODELAY */
} crank_connect_options;

/* Connect, and give the connection as a stream, the caller's to close. What is written leaves by itself, when the
 * stream is read or the task waits: crank_flush is for a peer that must hear before a long computation. The addresses
 * of a name are tried in turn, the families alternating, each when the one before has failed or a quarter of a second
 * has passed; the first that answers is taken. NULL on failure, errno is set, crank_error names each address tried:
 * connect's errors, of the last that failed; those of crank_address_parse and crank_resolve, -EMFILE, -ECANCELED (no
 * socket is left; crank_error has the reason of the request, else the address). The caller sets the limit of time. */
CRANK_API CRANK_BLOCKS crank_stream *crank_connect(const char *address);
/* The same as options say; NULL: all defaults. Fails with -EAFNOSUPPORT where no address has the local one's family. */
CRANK_API CRANK_BLOCKS crank_stream *crank_connect_with(const crank_connect_options *options, const char *address);
/* "93.184.216.34:80", also where the socket is IPv6; "" for what has none. Valid while the stream lives. */
CRANK_API const char *crank_peer_name(const crank_stream *stream);
CRANK_API const char *crank_own_name(const crank_stream *stream);
/* Which process connected a unix socket, or listens at it, and as which user and group; of a stream over a transport,
 * the socket below. Where to put one may be NULL. 0; fails with -ENOTSUP for other streams, getsockopt's errors. */
CRANK_API int crank_peer_credentials(
    const crank_stream *stream, pid_t *ret_pid, uid_t *ret_uid, gid_t *ret_gid);
/* Send a descriptor with a byte 0, behind what was written, over a unix socket; fd stays the caller's. 0; fails with
 * -ENOTSUP for other streams, -EBADF (fd is none), -ETOOMANYREFS (too many are under way), -ECANCELED (nothing was
 * sent), and as crank_flush. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_send_fd(crank_stream *stream, int fd);
/* The next descriptor, close-on-exec, the caller's to close; its byte is taken. Fails with -ENODATA (the next byte
 * brings none, and stays; or the end has come, and crank_at_end says so), -EMFILE (it came and was lost: this process
 * may open no more), -ENOTSUP for other streams, and as crank_read. A descriptor whose byte is read as a byte is
 * closed; of the unread at most 32 are kept. Under the simulator that of a listener or a UDP socket is one for crank's
 * own calls alone, such as crank_listener_from_fds. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_receive_fd(crank_stream *stream);
/* Two streams that are connected with each other. 0; fails with socketpair's errors, -ENOMEM. */
CRANK_API CRANK_MUST_USE int crank_socket_pair(crank_stream **ret_a, crank_stream **ret_b);

/* ---- Servers --------------------------------------------------------------------------------------------------- */

/* What crank_listen_with is told. Each field may be zero: its default. */
typedef struct crank_listen_options {
    int backlog;      /* how many connections wait to be accepted: 0 is 4096; the kernel has a limit of its own */
    bool reuse_port;  /* other sockets may listen on the port as well, as of several loops */
    bool replace;     /* unix: take the place of a socket's file at which no process listens */
    unsigned mode;    /* unix: the file's permissions: 0 is 0600 */
    double keepalive; /* as in crank_connect_options, of accepted connections */
    bool nagle;       /* the same */
} crank_listen_options;

/* Listen on an address, and give the listener, to be closed with crank_close; port 0 is one that the kernel chooses.
 * "*", "localhost" and names may mean several sockets, on one port: all or none of them, but for a family that this
 * machine has not. Waits only for a name. NULL on failure, errno is set, crank_error names the address: bind's and
 * listen's errors, those of crank_address_parse and crank_resolve, -ECANCELED. */
CRANK_API CRANK_BLOCKS crank_listener *crank_listen(const char *address);
/* The same as options say; NULL: all defaults. */
CRANK_API CRANK_BLOCKS crank_listener *crank_listen_with(const crank_listen_options *options, const char *address);
/* Take over n stream sockets that listen already, as a service manager gives them: they are O_NONBLOCK and
 * close-on-exec from then on. NULL on failure, errno is set: -EINVAL (one does not listen, or is no stream socket),
 * -ENOTSOCK, -EBADF, -ENOMEM: then all are the caller's still. */
CRANK_API crank_listener *crank_listener_from_fds(const int *fds, size_t n);
/* "127.0.0.1:41234", the i-th socket as bound; NULL beyond the last. Valid while the listener lives. */
CRANK_API const char *crank_listener_address(const crank_listener *listener, size_t i);
/* The i-th socket's descriptor, for setsockopt and its like: not to be accepted from or closed. -EBADF beyond the
 * last, and once the listener is stopped. */
CRANK_API int crank_listener_fd(const crank_listener *listener, size_t i);
/* The next connection, the caller's to close. NULL on failure, errno is set: -ECANCELED (none is lost), -ESHUTDOWN once
 * the listener is stopped, accept's errors. */
CRANK_API CRANK_BLOCKS crank_stream *crank_accept(crank_listener *listener);
/* Accept no more, now: its sockets are closed, so that peers are refused, also those that wait to be accepted;
 * crank_accept fails with -ESHUTDOWN; crank_serve ends with its handlers, and cancels those that have not ended after
 * grace seconds. Never waits. Called again, the earlier end counts. 0. */
CRANK_API int crank_listener_stop(crank_listener *listener, double grace);
/* Wait until the listener is stopped: for a handler that would wait for its peer without end, or a task that watches
 * the server. 0; -ECANCELED. */
CRANK_API CRANK_BLOCKS int crank_listener_wait_stop(crank_listener *listener);
/* How many connections crank_serve has a handler for now. */
CRANK_API size_t crank_listener_connections(const crank_listener *listener);
/* How many descriptors this process may have, once the soft limit has been raised to the hard one, which this call
 * does: a program is started with 1,024 as a rule, of which crank needs one for each connection. Under the simulator
 * 65,536. */
CRANK_API size_t crank_descriptors_max(void);

/* What crank_serve_with is told. Each field may be zero: its default. */
typedef struct crank_serve_options {
    size_t connections_max; /* more wait to be accepted: 0 is crank_descriptors_max() less 32 */
    /* Seconds in which input that the handler has not read is read and dropped, 256 KiB of it at most, until the peer
     * ends: closed at once, the connection would be reset, and what was written last be lost. For so long, too, what
     * was written is sent without progress before the connection is reset. 0 is 2; negative: unread input is not waited
     * for. */
    double linger;
    /* Called in the handler's task with each failure but -ECANCELED, instead of a report; crank_error tells more. */
    void (*on_failure)(const char *peer, int error, void *arg);
    void *arg;
} crank_serve_options;

#ifndef __cplusplus
/* Run handler(peer, extra...) as a task for each connection: crank_serve(listener, handler, extra...). peer is the
 * server's, which sends the rest and closes it after the handler. A failing handler is reported and disturbs no other;
 * -EPIPE, -ECONNRESET, -ECONNABORTED and -ETIMEDOUT are how connections end, and not reported. Short of descriptors or
 * memory, the connections that wait are ended, and it tries again every 0.1 s. 0 when the listener was stopped and the
 * last handler has ended; fails with -ECANCELED: the handlers were cancelled and have ended; -ENOMEM; else the listener
 * is broken: accept's errors. */
#define crank_serve(listener, ...) CRANK_SERVE_((listener), 0, __VA_ARGS__)
/* The same as options say; they are copied, NULL: all defaults. Fails with -EINVAL (linger is no number). */
#define crank_serve_with(options, listener, ...) CRANK_SERVE_((listener), (options), __VA_ARGS__)
#define CRANK_SERVE_(listener, options, ...) \
    CRANK_CAT_(CRANK_SERVE_, CRANK_HAS_ARGS_(__VA_ARGS__))(((crank_serve_what_){ listener, options }), __VA_ARGS__)
#define CRANK_SERVE_0(what, handler) CRANK_CAPTURE_(__COUNTER__, crank_serve_, what, handler, (crank_stream *)0)
#define CRANK_SERVE_1(what, handler, ...) \
    CRANK_CAPTURE_(__COUNTER__, crank_serve_, what, handler, (crank_stream *)0, __VA_ARGS__)
typedef struct crank_serve_what_ {
    crank_listener *listener;
    const crank_serve_options *options;
} crank_serve_what_;
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_serve_(
    crank_serve_what_ what, crank_function_ *handler, const crank_site *site);

/* CRANK_AUTO_LISTENER crank_listener *l = ...: closed at the end of its block. */
#define CRANK_AUTO_LISTENER CRANK_CLEANUP_(crank_listener_drop_)
static inline void crank_listener_drop_(crank_listener **listener)
{
    (void)crank_listener_close(*listener);
}
#endif

/* ---- Datagrams ------------------------------------------------------------------------------------------------- */

/* A UDP socket, to be closed with crank_close. local is an address to bind, "*:53" for all interfaces of both families;
 * NULL: any, and a port that the kernel chooses. With a remote it sends to that peer, receives from it alone, and is
 * told of refusals; NULL: from all. Of a name the first address is taken that the socket can have. Waits only for a
 * name. NULL on failure, errno is set, crank_error names the address: bind's and connect's errors, those of
 * crank_address_parse and crank_resolve, -EAFNOSUPPORT (no local address has a remote one's family; a unix address),
 * -ENOMEM, -ECANCELED. */
CRANK_API CRANK_BLOCKS crank_udp *crank_udp_open(const char *local, const char *remote);
/* Send one datagram, whole or not at all, to an address, or to the remote where that is NULL; waits while the kernel
 * has no room. 0: it is on its way, and may be lost there. Fails with -ECANCELED (it was not sent), -EMSGSIZE (no
 * datagram is so large), -EDESTADDRREQ (there is no remote), -ECONNREFUSED (no socket receives at the remote: an
 * earlier datagram was refused. It is told once, by the next call that sends or receives, which does nothing else),
 * sendto's errors. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_udp_send(
    crank_udp *udp, const void *buf, size_t size, const crank_address *to);
/* Receive one datagram: how many of its bytes are in buf, at most size; what it has beyond is lost, and crank_udp_cut
 * says so. 0 is a datagram without bytes. *ret_from is its sender; NULL: not asked for. Any number of tasks may
 * receive, each datagram comes to one. Fails with -ECANCELED (nothing was taken), -ECONNREFUSED as crank_udp_send,
 * recvfrom's errors. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_udp_receive(
    crank_udp *udp, void *buf, size_t size, crank_address *ret_from);
/* Was a datagram longer than its buffer, of those that the last call has received? */
CRANK_API bool crank_udp_cut(const crank_udp *udp);

/* One of several. */
typedef struct crank_datagram {
    void *buf;
    size_t size;        /* of what is sent; of buf */
    size_t length;      /* received: so many bytes are in buf */
    crank_address peer; /* received from, or to be sent to: all zeros: the remote */
} crank_datagram;

/* Wait for one, and receive what is there by then, at most max and at most 64, with one system call: how many. Fails as
 * crank_udp_receive. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_udp_receive_many(
    crank_udp *udp, crank_datagram *ret_datagrams, size_t max);
/* Wait for room for one, and send as many of n as the kernel takes then, in order and at most 64: how many, at least
 * one where n is not 0. It is one system call where the socket has no remote. Fails as crank_udp_send, of the first. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_udp_send_many(
    crank_udp *udp, const crank_datagram *datagrams, size_t n);
/* "0.0.0.0:41234", as bound. Valid while the socket lives. */
CRANK_API const char *crank_udp_address(const crank_udp *udp);
/* Its descriptor, for setsockopt and its like: not to be read from, written to or closed. */
CRANK_API int crank_udp_fd(const crank_udp *udp);

#ifndef __cplusplus
/* CRANK_AUTO_UDP crank_udp *u = ...: closed at the end of its block. */
#define CRANK_AUTO_UDP CRANK_CLEANUP_(crank_udp_drop_)
static inline void crank_udp_drop_(crank_udp **udp) { (void)crank_udp_close(*udp); }
#endif

CRANK_END_DECLS
#endif
