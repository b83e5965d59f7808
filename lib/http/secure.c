/* SPDX-License-Identifier: MIT */
/* secure.c: encrypted connections, by crank-tls. */
#include "http/secure.h"

#include <crank/error.h>
#include <crank/layer.h>
#include <crank/tls.h>
#include <string.h>

/* "host" of "host:443", "::1" of "[::1]:443"; the address is that of a URL. */
int cr_http_secure_connect(crank_tls *tls, crank_stream **stream, const char *address)
{
    const char *colon = strrchr(address, ':');
    bool bracket = *address == '[';
    size_t size = (size_t)(colon - address) - 2 * bracket;
    char *host = crank_alloc(size + 1);
    if (!host) {
        (void)crank_stream_close(*stream);
        *stream = NULL;
        return crank_fail(ENOMEM, "out of memory for a host's name");
    }
    memcpy(host, address + bracket, size);
    host[size] = '\0';
    int err = crank_tls_start(tls, stream, host);
    crank_release(host);
    return err;
}

int cr_http_secure_accept(crank_tls *tls, crank_stream **stream)
{
    return crank_tls_start(tls, stream, NULL);
}

bool cr_http_secure_is(const crank_stream *stream) { return *crank_tls_describe(stream) != '\0'; }
