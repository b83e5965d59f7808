/* SPDX-License-Identifier: MIT */
/* identity.h: certificates and keys, from their files to OpenSSL. */
#ifndef CR_TLS_IDENTITY_H
#define CR_TLS_IDENTITY_H
#include <openssl/ssl.h>

/* All give 0, or a negative errno with a message that names the file. They read files, and so may
 * wait. library: OpenSSL's, in which objects are made; NULL is the process's own. */

/* Give a context the certificates of one file and the key of the other; NULL: of the same. */
int cr_tls_identity_load(
    SSL_CTX *context, OSSL_LIB_CTX *library, const char *certificate, const char *key);
/* Have a context trust what the file, or folder, has; NULL: what the system does. */
int cr_tls_identity_trust(SSL_CTX *context, OSSL_LIB_CTX *library, const char *path);
#endif
