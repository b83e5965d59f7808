/* SPDX-License-Identifier: MIT */
/* simulated.h: OpenSSL under the simulator. */
#ifndef CR_TLS_SIMULATED_H
#define CR_TLS_SIMULATED_H
#include <openssl/provider.h>
#include <stdbool.h>

/* Is the running loop a simulated one? */
bool cr_tls_simulated_now(void);
/* What is made in library draws its chance from the simulator's seed, so that handshakes repeat
 * byte for byte. Never for real: its keys can be foretold. All zeros: there is none. */
typedef struct cr_tls_simulated {
    OSSL_LIB_CTX *library;
    OSSL_PROVIDER *seed, *usual;
} cr_tls_simulated;

/* False when memory is short; to be closed also then. */
bool cr_tls_simulated_open(cr_tls_simulated *ret_simulated);
void cr_tls_simulated_close(cr_tls_simulated *simulated);
#endif
