/* SPDX-License-Identifier: MIT */
/* sha1.h: SHA-1 (FIPS 180-4), which a WebSocket's handshake asks for. It protects nothing. */
#ifndef CR_HTTP_SHA1_H
#define CR_HTTP_SHA1_H
#include <stddef.h>

enum { CR_HTTP_SHA1_SIZE = 20 };

/* The digest of size bytes. */
void cr_http_sha1(const void *bytes, size_t size, unsigned char *ret_digest);
#endif
