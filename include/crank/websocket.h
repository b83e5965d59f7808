/* SPDX-License-Identifier: MIT */
#ifndef CRANK_WEBSOCKET_H
#define CRANK_WEBSOCKET_H
/* WebSocket (RFC 6455), of crank-http: a request of a server becomes one, and a client connects one. Messages are read
 * whole by one task at a time, and written whole by any number. Pings and a close are answered where the socket is
 * read: so some task must read. Where none does, a write finds a peer that has vanished, and answers nothing. No
 * extension is agreed on: a message is what its frames carry. */
#include "base.h"
#include "http.h"
/* Not a system header, as http.h is none: gcc would then keep silent about an ignored result. */

CRANK_BEGIN_DECLS

typedef struct crank_websocket crank_websocket;

/* Text is UTF-8. */
typedef enum crank_websocket_kind { CRANK_TEXT = 1, CRANK_BINARY = 2 } crank_websocket_kind;

/* What crank_websocket_read gives. */
typedef struct crank_websocket_message {
    crank_websocket_kind kind;
    const char *bytes; /* valid until the next read or the close; with a 0 behind */
    size_t size;
} crank_websocket_message;

/* What the calls with _with are told. Each field may be zero: its default. */
typedef struct crank_websocket_options {
    size_t message_max; /* bytes of a message that is read, else -EMSGSIZE: 0 is 1 MiB */
    double ping;        /* seconds without a byte after which the peer is sent a ping, and as many again for an answer,
                         * then the connection ends; it ends too when a write waits so long and nothing leaves, and no
                         * task reads: 0 is 20; negative: none is sent, and no write ends so */
    const char *protocols; /* subprotocols by preference: "chat.v2 chat.v1". A client asks for them; a server takes the
                            * first of them that the client has asked for, or none */
    const char *const *headers; /* of a client's request: "name: value", ..., NULL */
    crank_tls *tls;             /* of a client, for wss: its trusted certificates; NULL: the system's */
} crank_websocket_options;

/* ---- Beginning ------------------------------------------------------------------------------------------------- */

/* Answer a request's handshake: from then on the connection is the socket's, until the handler returns. What the
 * handler has not closed then is closed with 1000, or with 1011 where it has failed. A client that shows another site's
 * Origin is refused, but for those that crank_http_options.origins names. When the listener is stopped the socket is
 * closed with 1001: writes fail with -EPIPE then, reads give what still comes and 0 after the peer's close. What the
 * handler returns of this socket's failures is not reported. NULL on failure, errno is set: -EPROTO (it is no
 * handshake: 400 or 426 was answered, and crank_error says why), -EACCES (a foreign origin: 403), -ENOMEM, else as
 * crank_http_respond. */
CRANK_API CRANK_BLOCKS crank_websocket *crank_websocket_accept(crank_http_request *request);
/* The same as options say; NULL: all defaults. Fails with -EINVAL (ping is no number) besides. */
CRANK_API CRANK_BLOCKS crank_websocket *crank_websocket_accept_with(
    const crank_websocket_options *options, crank_http_request *request);

/* Connect to a URL, "wss://host/path?query", and give the socket, the caller's to close. The caller sets the limit of
 * time (crank_within); a server that says nothing is waited for 60 s. No redirect is followed. NULL on failure, errno
 * is set, crank_error says what and where: those of crank_connect; -EINVAL (the URL: the place is shown; a header with
 * a control byte, or that the handshake sets itself; protocols that are no words), -EREMOTEIO (the server gives another
 * answer: "GET ws://host/: 404 Not Found"), -EPROTO (its answer is no handshake), -EMSGSIZE (its head has more than 256
 * KiB or 256 fields), -ENODATA (the connection ended before), -ETIMEDOUT, for wss as crank_http_get for https, -ENOMEM,
 * -ECANCELED. */
CRANK_API CRANK_BLOCKS crank_websocket *crank_websocket_connect(const char *url);
/* The same as options say; NULL: all defaults. Fails with -EINVAL (ping is no number) besides. */
CRANK_API CRANK_BLOCKS crank_websocket *crank_websocket_connect_with(
    const crank_websocket_options *options, const char *url);

/* ---- Messages -------------------------------------------------------------------------------------------------- */

/* The next message: 1; 0: the peer has closed the socket, crank_websocket_closed says with what. Fails with -EPROTO
 * (the peer breaks the protocol, or its text is no UTF-8: 1002 or 1007 went out), -EMSGSIZE (more bytes than there may
 * be, 1009, or than 1,024 fragments, 1008), -ETIMEDOUT (the peer does not answer a ping, or this side's close; told
 * once, then it is -ECONNABORTED), -ECONNABORTED (crank_websocket_abort), -ECONNRESET (the connection ended without a
 * close), -ENOMEM, -ECANCELED: nothing is lost, the next call goes on. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_websocket_read(
    crank_websocket *websocket, crank_websocket_message *ret_message);
/* Write a message, waiting while more than 64 KiB are unsent. 0; fails with -EINVAL (the text is no UTF-8), -EPIPE (the
 * socket is being closed, by either side), -ETIMEDOUT (no task reads, and the peer does not answer a ping or takes
 * nothing; told once, then it is -ECONNABORTED), -ECONNABORTED (crank_websocket_abort, or the peer is not there any
 * more), -ENOMEM, -ECANCELED: nothing was written, or so much of a long message that none can follow. Else as
 * crank_write. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_websocket_write(
    crank_websocket *websocket, crank_websocket_kind kind, const void *bytes, size_t size);
/* The same of text, formatted. */
CRANK_API CRANK_BLOCKS int crank_websocket_print(crank_websocket *websocket, const char *format, ...)
    CRANK_PRINTF(2, 3);
/* Write without ever waiting, for one task that writes to many peers. 0; -EAGAIN: nothing was taken, for with so many
 * bytes more than 64 KiB were unsent, or another task waits to write. Else fails as crank_websocket_write. */
CRANK_API int crank_websocket_write_now(
    crank_websocket *websocket, crank_websocket_kind kind, const void *bytes, size_t size);
/* How many bytes were written and are not with the kernel. */
CRANK_API size_t crank_websocket_unsent(const crank_websocket *websocket);
/* For a task that only writes: read to the end and drop what comes. 0: the peer has closed the socket. Fails as
 * crank_websocket_read. */
CRANK_API CRANK_BLOCKS int crank_websocket_drain(crank_websocket *websocket);

/* ---- Ending ---------------------------------------------------------------------------------------------------- */

/* Send a close with a code and a reason of at most 123 bytes, which is cut; NULL: none. Wait for the peer's, 5 s at
 * most, dropping messages that still come; then free the socket, in any case. Codes are 1000 to 1003, 1007 to 1014 and
 * 3000 to 4999: for another one 1011 is sent, and it fails with -EINVAL. No other task may read the socket, and those
 * that write it, which fail, must not use it again. NULL is ignored. 0: the peer has closed too. Fails with -ETIMEDOUT
 * (it has not), -ECANCELED (it was not waited for), else as crank_websocket_read, as also where the socket had failed
 * before. */
CRANK_API CRANK_BLOCKS int crank_websocket_close(crank_websocket *websocket, int code, const char *reason);
/* End it now: its calls, those too that wait, fail with -ECONNABORTED, and no message is sent any more. What was
 * written and the code (1011 in place of one that crank_websocket_close refuses) go out to a peer that still reads.
 * Never waits. It is still to be closed; a second abort changes nothing. */
CRANK_API void crank_websocket_abort(crank_websocket *websocket, int code, const char *reason);
/* The code with which the peer has closed the socket, 1005 where it gave none, and its reason, which may be ""; 0: it
 * has not. ret_reason may be NULL; valid until the socket is closed. */
CRANK_API int crank_websocket_closed(const crank_websocket *websocket, const char **ret_reason);
/* The subprotocol that was agreed on, or "". Valid until the socket is closed. */
CRANK_API const char *crank_websocket_protocol(const crank_websocket *websocket);

CRANK_API void crank_websocket_end_(crank_websocket *websocket);

#ifndef __cplusplus
/* CRANK_AUTO_WEBSOCKET crank_websocket *w = ...: closed at the end of its block, with 1000; in a task that was
 * cancelled with 1001, and without waiting for the peer. It answers no request to cancel: that stays for the next wait.
 * A variable whose socket was closed before is to be NULL. */
#define CRANK_AUTO_WEBSOCKET CRANK_CLEANUP_(crank_websocket_drop_)
static inline void crank_websocket_drop_(crank_websocket **websocket) { crank_websocket_end_(*websocket); }
#endif

CRANK_END_DECLS
#endif
