/* SPDX-License-Identifier: MIT */
#ifndef CRANK_TLS_H
#define CRANK_TLS_H
/* TLS 1.2 and 1.3, by OpenSSL: a stream over a stream, with all that streams offer. Included by itself, linked with
 * -lcrank-tls (pkg-config crank-tls): crank.h does not include it. One task may read such a stream while others write.
 * A handshake costs each side about half a millisecond of computing, on the loop; with an RSA certificate the server
 * three times that. docs/how-to/certificates.md says how to make certificates, and what to do when one is refused. */
#include "base.h"
#include "call.h"
#include "net.h"
#include "stream.h"
/* Not a system header, as net.h is none: gcc would then keep silent about an ignored result. */

CRANK_BEGIN_DECLS

/* ---- Certificates, one's own and trusted ones -------------------------------------------------------------------- */

/* A server's certificates and keys, or what a client trusts. Used by any number of streams, also by several loops and
 * threads at a time; one that was made in a simulated run is for that run. */
typedef struct crank_tls crank_tls;

/* What crank_tls_with is told. Each field may be zero: its default. */
typedef struct crank_tls_options {
    const char *certificate; /* a PEM file, the server's own first, then those between it and a trusted one; NULL: this
                              * is a client */
    const char *key;         /* a PEM file; NULL: it is in the certificate's. One under a pass phrase is refused */
    const char *trust;       /* of a client: a PEM file, or a folder with hashed names; NULL: what the system trusts */
    const char *protocols;   /* ALPN, the most wanted first: "h2,http/1.1". Where the peer has others alone the
                              * handshake fails; where it has none, crank_tls_protocol gives "" */
    double handshake;        /* seconds for a handshake: 0 is 10 */
    bool only_13;            /* TLS 1.3 alone */
    bool insecure;           /* of a client: the peer's certificate is not checked; crank_tls_describe says so */
} crank_tls_options;

/* A server's: its certificate and key. They are read now. NULL on failure, errno is set, crank_error names the file and
 * says what to do: those of crank_read_file, -EINVAL (a file is no PEM, the key is another certificate's or is under a
 * pass phrase), -ENOMEM, -ECANCELED. */
CRANK_API CRANK_BLOCKS crank_tls *crank_tls_server(const char *certificate, const char *key);
/* A client's: the file of those it trusts, or NULL for the system's. Fails as crank_tls_server. */
CRANK_API CRANK_BLOCKS crank_tls *crank_tls_client(const char *trust);
/* Either, as options say; they are copied. Fails as crank_tls_server; -EINVAL for fields that do not fit each other. */
CRANK_API CRANK_BLOCKS crank_tls *crank_tls_with(const crank_tls_options *options);
/* One certificate more for a server, given to clients that ask for one of its names; all others are given the first. 0;
 * fails as crank_tls_server, -EINVAL for a client's: then nothing has changed. From any task of any thread, as
 * crank_tls_reload, also while another of these calls goes on. */
CRANK_API CRANK_BLOCKS int crank_tls_add(crank_tls *tls, const char *certificate, const char *key);
/* Read all files again, for handshakes from now on. 0; fails as crank_tls_server: then nothing has changed. */
CRANK_API CRANK_BLOCKS int crank_tls_reload(crank_tls *tls);
/* How many handshakes have failed: for a server, which does not report them. */
CRANK_API size_t crank_tls_failures(const crank_tls *tls);
/* Its streams live on, calls of it must have returned. NULL is ignored. */
CRANK_API void crank_tls_free(crank_tls *tls);

/* ---- Streams --------------------------------------------------------------------------------------------------- */

/* Connect to "host:443" by crank_connect and shake hands; tls NULL: the system's trust, read anew each time. The host
 * is sent as the name that is asked for, and its certificate must be for it. The stream is the caller's to close: that
 * sends what was written and TLS's end. Where the peer's end comes without that, reads fail with -EPROTO, for what was
 * read may not be all. crank_write_eof is of TLS 1.3, in 1.2 it gives -ENOTSUP. NULL on failure, errno is set,
 * crank_error says what was wrong: those of crank_connect; -EKEYREJECTED (the certificate is not trusted, or for
 * another name), -EKEYEXPIRED (it has expired, or is not valid yet), -EPROTO (OpenSSL's reason; no TLS at all),
 * -ETIMEDOUT, -EINVAL (a unix socket: crank_tls_start takes its name; tls is a server's, or was made in another run
 * than this simulated one), -ENOMEM, -ECANCELED. */
CRANK_API CRANK_BLOCKS crank_stream *crank_tls_connect(crank_tls *tls, const char *address);
/* Encrypt a stream from here on, in place: *stream is the encrypted one then, to be closed as the old one would have
 * been, which is used no more; also a handler's peer. name: the peer's, a host's name or a number; NULL: this
 * is the server. Bytes that were read ahead belong to the handshake, so that none can be slipped in before it. 0; on
 * failure the stream is closed and *stream NULL: as crank_tls_connect, -EINVAL where name and tls do not fit. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_tls_start(crank_tls *tls, crank_stream **stream, const char *name);

#ifndef __cplusplus
/* As crank_serve(listener, handler, extra...), with encrypted peers. A handshake that fails is counted
 * (crank_tls_failures), and neither reported nor the handler's, but for -EINVAL: where tls is a client's each
 * connection is reported. Fails as crank_serve; -EINVAL where tls is NULL. */
#define crank_tls_serve(tls, listener, ...) CRANK_TLS_SERVE_((tls), (listener), __VA_ARGS__)
#define CRANK_TLS_SERVE_(tls, listener, ...) \
    CRANK_CAT_(CRANK_TLS_SERVE_, CRANK_HAS_ARGS_(__VA_ARGS__))(((crank_tls_serve_what_){ tls, listener }), __VA_ARGS__)
#define CRANK_TLS_SERVE_0(what, handler) CRANK_CAPTURE_(__COUNTER__, crank_tls_serve_, what, handler, (crank_stream *)0)
#define CRANK_TLS_SERVE_1(what, handler, ...) \
    CRANK_CAPTURE_(__COUNTER__, crank_tls_serve_, what, handler, (crank_stream *)0, __VA_ARGS__)
typedef struct crank_tls_serve_what_ {
    crank_tls *tls;
    crank_listener *listener;
} crank_tls_serve_what_;
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_tls_serve_(
    crank_tls_serve_what_ what, crank_function_ *handler, const crank_site *site);
#endif

/* "TLSv1.3 TLS_AES_256_GCM_SHA384, CN=localhost": the version, the cipher, and what the peer's certificate names; ""
 * for a stream without TLS. Valid while the stream lives. */
CRANK_API const char *crank_tls_describe(const crank_stream *stream);
/* The protocol that both have chosen, "h2"; "" where there is none. Valid while the stream lives. */
CRANK_API const char *crank_tls_protocol(const crank_stream *stream);
/* OpenSSL's SSL, to be asked by what openssl/ssl.h has, not to be read, written or ended; NULL for a stream without
 * TLS. */
CRANK_API void *crank_tls_native(const crank_stream *stream);

#ifndef __cplusplus
/* CRANK_AUTO_TLS crank_tls *t = ...: freed at the end of its block. */
#define CRANK_AUTO_TLS CRANK_CLEANUP_(crank_tls_drop_)
static inline void crank_tls_drop_(crank_tls **tls) { crank_tls_free(*tls); }
#endif

CRANK_END_DECLS
#endif
