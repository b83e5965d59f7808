/* SPDX-License-Identifier: MIT */
/* secure.c: the load over TLS, by OpenSSL.
 *
 * All servers are asked in the same words: TLS 1.3 with AES-256-GCM and P-256, no tickets wanted, no ALPN; so none has
 * cheaper work than another. Sockets are OpenSSL's to read and write; where one would have to wait that is EAGAIN, as
 * of a socket. */
#include <errno.h>
#include "../measure.h"
#include "load.h"

#ifdef BENCH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *context_of_all(void)
{
    static SSL_CTX *context;
    if (context)
        return context;
    context = SSL_CTX_new(TLS_client_method());
    if (context && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) &&
        SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") && SSL_CTX_set1_groups_list(context, "P-256")) {
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        return context;
    }
    SSL_CTX_free(context);
    return context = NULL;
}

void *secure_connect(int fd)
{
    SSL_CTX *context = context_of_all();
    SSL *ssl = context ? SSL_new(context) : NULL;
    if (ssl && SSL_set_fd(ssl, fd) && SSL_connect(ssl) == 1)
        return ssl;
    fprintf(stderr, "load: the server does not shake hands:\n");
    ERR_print_errors_fp(stderr);
    SSL_free(ssl);
    return NULL;
}

/* What a call that has not succeeded would have given of a socket. */
static ssize_t failure(SSL *ssl, int result)
{
    int error = SSL_get_error(ssl, result);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (error != SSL_ERROR_SYSCALL || errno == 0)
        errno = EPROTO;
    ERR_clear_error();
    return -1;
}

ssize_t secure_send(void *secure, const void *bytes, size_t size)
{
    size_t sent;
    errno = 0;
    int result = SSL_write_ex(secure, bytes, size, &sent);
    return result == 1 ? (ssize_t)sent : failure(secure, result);
}

ssize_t secure_receive(void *secure, void *buf, size_t size)
{
    size_t got;
    errno = 0;
    int result = SSL_read_ex(secure, buf, size, &got);
    return result == 1 ? (ssize_t)got : failure(secure, result);
}

void secure_free(void *secure) { SSL_free(secure); }

#else /* this build has no OpenSSL: none of its connections is encrypted */

void *secure_connect(int fd)
{
    (void)fd;
    fprintf(stderr, "load: this was built without OpenSSL; it needs Debian's package libssl-dev\n");
    return NULL;
}

ssize_t secure_send(void *secure, const void *bytes, size_t size)
{
    (void)secure, (void)bytes, (void)size;
    errno = ENOTSUP;
    return -1;
}

ssize_t secure_receive(void *secure, void *buf, size_t size)
{
    (void)secure, (void)buf, (void)size;
    errno = ENOTSUP;
    return -1;
}

void secure_free(void *secure) { (void)secure; }
#endif
