/* SPDX-License-Identifier: MIT */
/* bio.h: OpenSSL's side of the stream below. */
#ifndef CR_TLS_BIO_H
#define CR_TLS_BIO_H
#include <crank/stream.h>
#include <openssl/bio.h>

/* What a BIO reads and writes. */
typedef struct cr_tls_wire {
    crank_stream *below;
    const char *bytes; /* of its buffer, while OpenSSL is called to read; NULL else */
    size_t size, used;
    bool ended;      /* nothing comes behind them */
    bool reading;    /* OpenSSL is called to read: what it writes are answers to the peer */
    size_t answered; /* bytes of such answers since none was unsent */
    int error;       /* with which writing has failed; 0 */
} cr_tls_wire;

/* The kind of BIO for wires, to be freed with BIO_meth_free; NULL when memory is short. */
BIO_METHOD *cr_tls_bio_method(void);
/* For both directions of an SSL, which owns it. NULL when memory is short. */
BIO *cr_tls_bio_new(BIO_METHOD *method, cr_tls_wire *wire);
/* Before and behind a call of OpenSSL's that reads: it may have what the stream has buffered. */
void cr_tls_bio_show(cr_tls_wire *wire);
void cr_tls_bio_take(cr_tls_wire *wire);
/* Until there is more to show, or the end has come. 0, or what crank_peek failed with. May wait. */
int cr_tls_bio_await(cr_tls_wire *wire);
#endif
