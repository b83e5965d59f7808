/* SPDX-License-Identifier: MIT */
/* connection.h: one encrypted stream. */
#ifndef CR_TLS_CONNECTION_H
#define CR_TLS_CONNECTION_H
#include <crank/stream.h>
#include "tls/bio.h"
#include "tls/context.h"
#include "tls/reason.h"

typedef struct cr_tls_connection {
    crank_tls *tls; /* shared */
    SSL *ssl;
    cr_tls_wire wire;
    cr_tls_attempt attempt; /* the handshake */
    int refusal;            /* of the peer's certificate; 0 */
    char why[CR_TLS_WHY_MAX];
    int failed;    /* nothing more can be written, or read; 0 */
    char *delayed; /* bytes that are put when a message of the peer's is there as a whole; NULL */
    size_t delayed_size;
    char description[200], protocol[CR_TLS_PROTOCOL_MAX + 1];
} cr_tls_connection;
#endif
