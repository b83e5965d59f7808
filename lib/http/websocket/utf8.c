/* SPDX-License-Identifier: MIT */
/* utf8.c: reading UTF-8 strictly (RFC 3629).
 *
 * What the second byte of a character may be depends on the first, and rules out all that is
 * wrong; the further ones are 0x80 to 0xBF. So the first byte that is wrong is seen at once. */
#include "http/websocket/utf8.h"

#include <stdint.h>
#include <string.h>

/* How many bytes from here on are ASCII, eight at a time. */
static size_t skip_ascii(const char *bytes, size_t size)
{
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

static bool begin(cr_http_utf8 *u, unsigned char byte)
{
    u->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    u->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    u->left = byte < 0x80 ? 0 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    return byte < 0x80 || (byte >= 0xC2 && byte <= 0xF4);
}

bool cr_http_utf8_take(cr_http_utf8 *utf8, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (utf8->left > 0) {
            if (byte < utf8->low || byte > utf8->high)
                return false;
            utf8->left--;
            utf8->low = 0x80;
            utf8->high = 0xBF;
        } else if (byte >= 0x80) {
            if (!begin(utf8, byte))
                return false;
        } else {
            size_t skipped = skip_ascii(bytes + i, size - i);
            i += skipped > 0 ? skipped - 1 : 0;
        }
    }
    return true;
}

bool cr_http_utf8_is(const char *bytes, size_t size)
{
    cr_http_utf8 utf8 = { 0 };
    return cr_http_utf8_take(&utf8, bytes, size) && cr_http_utf8_is_whole(&utf8);
}

size_t cr_http_utf8_cut(const char *text, size_t max)
{
    cr_http_utf8 utf8 = { 0 };
    size_t whole = 0;
    for (size_t i = 0; i < max && text[i]; i++) {
        if (!cr_http_utf8_take(&utf8, text + i, 1))
            break;
        if (cr_http_utf8_is_whole(&utf8))
            whole = i + 1;
    }
    return whole;
}
