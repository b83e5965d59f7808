/* SPDX-License-Identifier: MIT */
/* trust.c: which https servers are trusted, as the command line has it. */
#include "fetch.h"

#ifndef WITHOUT_TLS
#include <crank/tls.h>

int trust_open(const char *file, bool insecure, struct crank_tls **ret_tls)
{
    if (file || insecure)
        *ret_tls = crank_try(crank_tls_with(&(crank_tls_options){ .trust = file, .insecure = insecure }));
    return 0;
}

void trust_close(struct crank_tls *tls) { crank_tls_free(tls); }

#else /* crank was built without OpenSSL: https URLs fail, and say what to do */

int trust_open(const char *file, bool insecure, struct crank_tls **ret_tls)
{
    (void)file, (void)insecure, (void)ret_tls;
    return 0;
}

void trust_close(struct crank_tls *tls) { (void)tls; }
#endif
