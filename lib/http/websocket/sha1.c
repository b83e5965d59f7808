/* SPDX-License-Identifier: MIT */
/* sha1.c: SHA-1 of text that is in memory as a whole.
 *
 * The handshake of a WebSocket shows by it that the peer has read the request; there is nothing
 * to be kept secret or unforged. So it is here, sixty lines long, and a program with a WebSocket
 * needs no library of cryptography. */
#include "http/websocket/sha1.h"

#include <stdint.h>
#include <string.h>

enum { BLOCK = 64, ROUNDS = 80 };

static uint32_t turn(uint32_t word, unsigned bits) { return word << bits | word >> (32 - bits); }

static uint32_t word_at(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* What the four stretches of twenty rounds differ in. */
static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
    switch (round / 20) {
    case 0: return ((b & c) | (~b & d)) + 0x5A827999u;
    case 1: return (b ^ c ^ d) + 0x6ED9EBA1u;
    case 2: return ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDCu;
    default: return (b ^ c ^ d) + 0xCA62C1D6u;
    }
}

static void take_block(uint32_t *state, const unsigned char *block)
{
    uint32_t w[ROUNDS];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (unsigned i = 0; i < ROUNDS; i++) {
        w[i] = i < 16 ? word_at(block + (size_t)4 * i)
                      : turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        uint32_t next = turn(a, 5) + mix(i, b, c, d) + e + w[i];
        e = d;
        d = c;
        c = turn(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* Behind the bytes stand a 1 bit, zeros, and how many bits they are, at the end of a block. */
void cr_http_sha1(const void *bytes, size_t size, unsigned char *ret_digest)
{
    uint32_t state[5] = { 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0 };
    unsigned char last[2 * BLOCK] = { 0 };
    const unsigned char *at = bytes;
    size_t left = size;
    for (; left >= BLOCK; left -= BLOCK, at += BLOCK)
        take_block(state, at);
    if (left > 0)
        memcpy(last, at, left);
    last[left] = 0x80;
    size_t padded = left + 1 + 8 <= BLOCK ? BLOCK : 2 * BLOCK;
    for (size_t i = 0; i < 8; i++)
        last[padded - 1 - i] = (unsigned char)((uint64_t)size * 8 >> 8 * i);
    for (size_t i = 0; i < padded; i += BLOCK)
        take_block(state, last + i);
    for (size_t i = 0; i < CR_HTTP_SHA1_SIZE; i++)
        ret_digest[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}
