/* SPDX-License-Identifier: MIT */
#ifndef CRANK_NET_H
#define CRANK_NET_H
/* Connections, servers and addresses. An address is text: "1.2.3.4:80", "[::1]:80", "[fe80::1%eth0]:80" (the interface
 * by name or number), "unix:/path", "unix:@name" (abstract); where names are looked up also "host:80", where a program
 * listens also "*:80" (all interfaces, both families). The port is 0 to 65535, decimal. Nothing is trimmed or guessed:
 * what has another form is refused with -EINVAL, and crank_error shows the place. */
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

/* ---- Connections ----------------------------------------------------------------------------------------------- */

/* Connect, and give the connection as a stream, the caller's to close. What is written leaves by itself, when the
 * stream is read or the task waits: crank_flush is for a peer that must hear before a long computation. NULL on
 * failure, errno is set, crank_error names the address: connect's errors, those of crank_address_parse, -EMFILE,
 * -ECANCELED (no socket is left). The caller sets the limit of time. */
CRANK_API CRANK_BLOCKS crank_stream *crank_connect(const char *address);
/* "93.184.216.34:80", also where the socket is IPv6; "" for what has none. Valid while the stream lives. */
CRANK_API const char *crank_peer_name(const crank_stream *stream);
CRANK_API const char *crank_own_name(const crank_stream *stream);
/* Two streams that are connected with each other. 0; fails with socketpair's errors, -ENOMEM. */
CRANK_API CRANK_MUST_USE int crank_socket_pair(crank_stream **ret_a, crank_stream **ret_b);

/* ---- Servers --------------------------------------------------------------------------------------------------- */

/* Listen on an address, and give the listener, to be closed with crank_close; port 0 is one that the kernel chooses.
 * NULL on failure, errno is set, crank_error names the address: bind's and listen's errors, those of
 * crank_address_parse, -ECANCELED. */
CRANK_API CRANK_BLOCKS crank_listener *crank_listen(const char *address);
/* "127.0.0.1:41234", the i-th socket as bound; NULL beyond the last. Valid while the listener lives. */
CRANK_API const char *crank_listener_address(const crank_listener *listener, size_t i);
/* The next connection, the caller's to close. NULL on failure, errno is set: -ECANCELED (none is lost), -ESHUTDOWN once
 * the listener is stopped, accept's errors. */
CRANK_API CRANK_BLOCKS crank_stream *crank_accept(crank_listener *listener);
/* Accept no more, now: crank_accept fails with -ESHUTDOWN; crank_serve ends with its handlers, and cancels those that
 * have not ended after grace seconds. Never waits. Called again, the earlier end counts. 0. */
CRANK_API int crank_listener_stop(crank_listener *listener, double grace);
/* How many connections crank_serve has a handler for now. */
CRANK_API size_t crank_listener_connections(const crank_listener *listener);

#ifndef __cplusplus
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_serve_(
    crank_listener *listener, crank_function_ *handler, const crank_site *site);
/* Run handler(peer, extra...) as a task for each connection: crank_serve(listener, handler, extra...). peer is the
 * server's, which sends the rest and closes it after the handler. A failing handler is reported and disturbs no other;
 * -EPIPE, -ECONNRESET, -ECONNABORTED and -ETIMEDOUT are how connections end, and not reported. 0 when the listener was
 * stopped and the last handler has ended; fails with -ECANCELED: the handlers were cancelled and have ended; else the
 * listener is broken: accept's errors, -ENOMEM. */
#define crank_serve(listener, ...) CRANK_CAT_(CRANK_SERVE_, CRANK_HAS_ARGS_(__VA_ARGS__))(listener, __VA_ARGS__)
#define CRANK_SERVE_0(listener, handler) \
    CRANK_CAPTURE_(__COUNTER__, crank_serve_, listener, handler, (crank_stream *)0)
#define CRANK_SERVE_1(listener, handler, ...) \
    CRANK_CAPTURE_(__COUNTER__, crank_serve_, listener, handler, (crank_stream *)0, __VA_ARGS__)

/* CRANK_AUTO_LISTENER crank_listener *l = ...: closed at the end of its block. */
#define CRANK_AUTO_LISTENER CRANK_CLEANUP_(crank_listener_drop_)
static inline void crank_listener_drop_(crank_listener **listener)
{
    (void)crank_listener_close(*listener);
}
#endif

CRANK_END_DECLS
#endif
