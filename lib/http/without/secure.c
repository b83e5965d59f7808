/* SPDX-License-Identifier: MIT */
/* secure.c: what crank-http says of encrypted connections where it was built without OpenSSL. */
#include "http/secure.h"

#include <crank/error.h>

static int refuse(crank_stream **stream)
{
    (void)crank_stream_close(*stream);
    *stream = NULL;
    return crank_fail(ENOTSUP,
        "TLS is not there: crank was built without OpenSSL; to have it: sudo apt-get install -y "
        "libssl-dev, and build crank anew");
}

int cr_http_secure_connect(crank_tls *tls, crank_stream **stream, const char *address)
{
    (void)tls, (void)address;
    return refuse(stream);
}

int cr_http_secure_accept(crank_tls *tls, crank_stream **stream)
{
    (void)tls;
    return refuse(stream);
}

bool cr_http_secure_is(const crank_stream *stream)
{
    (void)stream;
    return false;
}
