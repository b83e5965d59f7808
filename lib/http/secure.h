/* SPDX-License-Identifier: MIT */
/* secure.h: encrypted connections. secure.c asks crank-tls for them; where crank-http is built
 * without OpenSSL, without/secure.c stands in its place. */
#ifndef CR_HTTP_SECURE_H
#define CR_HTTP_SECURE_H
#include <crank/http.h>

/* Encrypt a connection to "host:443" in place, for its host. tls NULL: the system's trust. 0; on
 * failure it is closed and NULL: as crank_tls_start, -ENOTSUP without OpenSSL. May wait. */
int cr_http_secure_connect(crank_tls *tls, crank_stream **stream, const char *address);
/* A server's side of it. */
int cr_http_secure_accept(crank_tls *tls, crank_stream **stream);
/* Is a stream an encrypted one? */
bool cr_http_secure_is(const crank_stream *stream);
#endif
