/* SPDX-License-Identifier: MIT */
/* reason.h: what OpenSSL says went wrong, as a sentence of ours. */
#ifndef CR_TLS_REASON_H
#define CR_TLS_REASON_H
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum { CR_TLS_WHY_MAX = 400, CR_TLS_FIRST_MAX = 5 };

/* Fail with error (positive) and what was going on; behind that stands OpenSSL's first reason, and
 * its queue is emptied. Gives -error. */
__attribute__((format(printf, 2, 3))) int cr_tls_reason_fail(int error, const char *format, ...);

/* What is known of a handshake that has failed. */
typedef struct cr_tls_attempt {
    bool is_server;
    const char *name;                      /* the host that the client wanted; NULL */
    const char *protocols;                 /* that were offered, "h2,http/1.1"; NULL */
    unsigned char first[CR_TLS_FIRST_MAX]; /* the first bytes that the peer has sent */
    size_t seen;
    bool ended; /* the peer's end has come */
} cr_tls_attempt;

/* From OpenSSL's queue, which is emptied: why, and what to do. */
void cr_tls_reason_handshake(const cr_tls_attempt *attempt, char *ret_why, size_t size);
#endif
