/* SPDX-License-Identifier: MIT */
/* context.h: a crank_tls: its files, and what OpenSSL has made of them. */
#ifndef CR_TLS_CONTEXT_H
#define CR_TLS_CONTEXT_H
#include <crank/tls.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include "tls/simulated.h"

enum { CR_TLS_PROTOCOL_MAX = 255 };

/* The files of one certificate, as they were named. */
typedef struct cr_tls_files {
    struct cr_tls_files *next;
    char *certificate, *key; /* key NULL: the same file */
} cr_tls_files;

/* What the files were when they were last read: one context for each of them, the first for
 * clients that ask for no name that another has. Never changed: new ones take their place. */
typedef struct cr_tls_contexts {
    atomic_size_t refs;
    size_t count;
    SSL_CTX *list[];
} cr_tls_contexts;

struct crank_tls {
    atomic_size_t refs; /* the user's, and one for each stream */
    atomic_size_t failures;
    pthread_mutex_t mutex; /* of contexts and files, between threads; no task waits with it */
    cr_tls_contexts *contexts;
    cr_tls_files *files; /* NULL: a client */
    char *trust;         /* of a client */
    char *protocols;     /* as named; NULL */
    unsigned char *wire; /* and as they are sent: each behind its length */
    unsigned wire_size;
    double handshake; /* seconds */
    bool only_13, insecure;
    cr_tls_simulated simulated; /* zeros: OpenSSL's own library of the process is used */
    BIO_METHOD *method;         /* bio.c's */
};

/* The contexts as they are now, held until cr_tls_context_drop; NULL before there are any. */
cr_tls_contexts *cr_tls_context_hold(crank_tls *tls);
void cr_tls_context_drop(cr_tls_contexts *contexts);
/* One holder more; crank_tls_free is one less. */
void cr_tls_context_share(crank_tls *tls);
/* Is it a server's? */
bool cr_tls_context_serves(const crank_tls *tls);
#endif
