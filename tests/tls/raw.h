/* SPDX-License-Identifier: MIT */
/* raw.h: a peer that is OpenSSL alone, over a plain stream: it can do what crank-tls does not. */
#ifndef RAW_H
#define RAW_H
#include "certs.h"

typedef struct raw {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    crank_stream *stream; /* its owner closes it */
} raw;

static inline void raw_set_context(raw *r, bool is_server)
{
    r->context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    certs_need(r->context, "a context");
    if (!is_server)
        return;
    X509 *certificate = certs_read(certs_localhost.certificate);
    EVP_PKEY *key = certs_read_key(certs_localhost.key);
    SSL_CTX_use_certificate(r->context, certificate);
    SSL_CTX_use_PrivateKey(r->context, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* Behind raw_set_context, and what else is set on it. */
static inline void raw_open(raw *r, crank_stream *stream, bool is_server)
{
    r->ssl = SSL_new(r->context);
    r->in = BIO_new(BIO_s_mem());
    r->out = BIO_new(BIO_s_mem());
    r->stream = stream;
    SSL_set_bio(r->ssl, r->in, r->out);
    if (is_server)
        SSL_set_accept_state(r->ssl);
    else
        SSL_set_connect_state(r->ssl);
}

static inline void raw_close(raw *r)
{
    SSL_free(r->ssl);
    SSL_CTX_free(r->context);
    ERR_clear_error();
}

/* What OpenSSL has written goes out. */
static inline int raw_send(raw *r)
{
    char bytes[4096];
    int n;
    while ((n = BIO_read(r->out, bytes, sizeof bytes)) > 0)
        crank_try(crank_write(r->stream, bytes, (size_t)n));
    return crank_flush(r->stream);
}
/* What has come goes in: 0 at the end. */
static inline ssize_t raw_receive(raw *r)
{
    char bytes[4096];
    ssize_t n = crank_read(r->stream, bytes, sizeof bytes);
    if (n > 0)
        BIO_write(r->in, bytes, (int)n);
    return n;
}

/* 0; -EPROTO where it fails, -ENODATA where the peer has ended. */
static inline int raw_shake(raw *r)
{
    for (;;) {
        int good = SSL_do_handshake(r->ssl);
        bool wants = good != 1 && SSL_get_error(r->ssl, good) == SSL_ERROR_WANT_READ;
        ERR_clear_error();
        crank_try(raw_send(r));
        if (good == 1)
            return 0;
        if (!wants)
            return -EPROTO;
        if (crank_try(raw_receive(r)) == 0)
            return -ENODATA;
    }
}

/* Some bytes; 0 at TLS's end. */
static inline ssize_t raw_read(raw *r, char *buf, int size)
{
    for (;;) {
        int n = SSL_read(r->ssl, buf, size);
        if (n > 0 || SSL_get_error(r->ssl, n) == SSL_ERROR_ZERO_RETURN)
            return n > 0 ? n : 0;
        ERR_clear_error();
        if (crank_try(raw_receive(r)) == 0)
            return -ENODATA;
    }
}
#endif
