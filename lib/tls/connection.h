/* SPDX-License-Identifier: MIT */
/* connection.h: one encrypted stream. */
#ifndef CR_TLS_CONNECTION_H
#define CR_TLS_CONNECTION_H
#include <crank/stream.h>
#include "tls/bio.h"
#include "tls/context.h"
#include "tls/reason.h"

/* What a connection has only until it is encrypted, on the stack of the task that begins it. */
typedef struct cr_tls_handshake {
    cr_tls_attempt attempt;
    int refusal; /* of the peer's certificate; 0 */
    char why[CR_TLS_WHY_MAX];
} cr_tls_handshake;

typedef struct cr_tls_connection {
    crank_tls *tls; /* shared */
    SSL *ssl;
    cr_tls_wire wire;
    cr_tls_handshake *handshake; /* NULL behind it */
    bool is_server;
    int failed;    /* nothing more can be written, or read; 0 */
    char *delayed; /* bytes that are put when a message of the peer's is there as a whole; NULL */
    size_t delayed_size;
    char *description; /* and the protocol behind it, one block; NULL before the handshake's end */
    const char *protocol; /* that was agreed on, or "" */
} cr_tls_connection;
#endif
