/* SPDX-License-Identifier: MIT */
/* key.c: keys of handshakes.
 *
 * A key is no secret: it only keeps a cache from giving an old answer. */
#include "http/websocket/key.h"

#include <stdint.h>
#include <string.h>

#include <crank/layer.h>

#include "http/websocket/sha1.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Three bytes are four digits; what the last are short of is filled up with '='. */
static void encode(const unsigned char *bytes, size_t size, char *to)
{
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t word = (uint32_t)bytes[i] << 16;
        word |= n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        word |= n > 2 ? bytes[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            *to++ = k <= n ? digits[word >> (18 - 6 * k) & 0x3F] : '=';
    }
    *to = '\0';
}

void cr_http_key_make(char *ret_key)
{
    uint64_t words[2] = { crank_random(), crank_random() };
    unsigned char bytes[sizeof words];
    memcpy(bytes, words, sizeof bytes);
    encode(bytes, sizeof bytes, ret_key);
}

bool cr_http_key_is(const char *text)
{
    size_t n = strspn(text, digits);
    return n == 22 && strcmp(text + n, "==") == 0;
}

void cr_http_key_answer(const char *key, char *ret_answer)
{
    static const char constant[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[CR_HTTP_KEY_SIZE + sizeof constant];
    unsigned char digest[CR_HTTP_SHA1_SIZE];
    size_t size = strlen(key);
    memcpy(text, key, size);
    memcpy(text + size, constant, sizeof constant - 1);
    cr_http_sha1(text, size + sizeof constant - 1, digest);
    encode(digest, sizeof digest, ret_answer);
}
