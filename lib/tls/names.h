/* SPDX-License-Identifier: MIT */
/* names.h: the names that a certificate is for, and why one is refused. */
#ifndef CR_TLS_NAMES_H
#define CR_TLS_NAMES_H
#include <openssl/ssl.h>
#include <stdbool.h>

/* Have a client's handshake send this name, and take only a certificate that is for it; trusted at
 * the time of crank_wall_time. insecure: only send it. False when memory is short, or it is no
 * name. */
bool cr_tls_names_expect(SSL *ssl, const char *name, bool insecure);
/* Is a certificate for this host? */
bool cr_tls_names_has(X509 *certificate, const char *host);
/* "CN=localhost", or a name that it is for; "" where there is neither. */
void cr_tls_names_subject(X509 *certificate, char *buf, size_t size);
/* Why a peer's certificate was refused, when name was wanted: a negative errno, and the sentence.
 * For OpenSSL's callback. */
int cr_tls_names_refusal(X509_STORE_CTX *checked, const char *name, char *ret_why, size_t size);
#endif
