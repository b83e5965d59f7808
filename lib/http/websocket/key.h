/* SPDX-License-Identifier: MIT */
/* key.h: the key of a WebSocket's handshake, and the answer to it (RFC 6455, 4). */
#ifndef CR_HTTP_KEY_H
#define CR_HTTP_KEY_H
#include <stdbool.h>

enum {
    CR_HTTP_KEY_SIZE = 25,   /* 16 random bytes in base64, with the 0 behind */
    CR_HTTP_KEY_ANSWER = 29, /* 20 bytes in base64, with the 0 behind */
};

/* A key that chance makes. */
void cr_http_key_make(char *ret_key);
/* Is it one: 16 bytes in base64? */
bool cr_http_key_is(const char *text);
/* What shows that a server has understood the request with this key. */
void cr_http_key_answer(const char *key, char *ret_answer);
#endif
