/* SPDX-License-Identifier: MIT */
/* target.c: paths, queries and forms, decoded.
 *
 * A path is decoded once, and dots are taken away after that: "%2e%2e" is "..". An encoded slash
 * stays "%2F", so that it never makes a segment of its own; "%25" in front of "2F" makes the same
 * bytes, which only names a file that does not exist. */
#include "http/target.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <crank/error.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%41" stands for; negative: it is no encoding. */
static int decoded(const char *at, const char *end)
{
    if (end - at < 3 || hex(at[1]) < 0 || hex(at[2]) < 0)
        return -1;
    return hex(at[1]) << 4 | hex(at[2]);
}

/* ---- Paths ---- */

/* Of the segment that ends at `to`, after its slash at `from`: where writing goes on. NULL: above
 * the root. */
static char *end_segment(char *begin, char *from, char *to)
{
    size_t size = (size_t)(to - from) - 1;
    if (size == 1 && from[1] == '.')
        return from;
    if (size != 2 || from[1] != '.' || from[2] != '.')
        return to;
    if (from == begin)
        return NULL;
    do
        from--;
    while (*from != '/');
    return from;
}

/* One byte of the path, decoded, or "%2F". How many bytes were read; negative: it is broken. */
static int decode_one(const char *at, const char *end, char **to)
{
    int byte = *at == '%' ? decoded(at, end) : (unsigned char)*at;
    if (byte <= 0)
        return -1;
    if (*at == '%' && byte == '/') {
        memcpy(*to, "%2F", 3);
        *to += 3;
    } else {
        *(*to)++ = (char)byte;
    }
    return *at == '%' ? 3 : 1;
}

/* Dots at the end leave their slash: "/a/.." is "/". */
static char *end_path(char *begin, char *segment, char *to)
{
    char *end = end_segment(begin, segment, to);
    if (end && end != to)
        *end++ = '/';
    return end;
}

long cr_http_target_path(const char *path, size_t size, char *ret_path)
{
    const char *end = path + size;
    char *to = ret_path, *segment = ret_path;
    if (size == 0)
        *to++ = '/';
    while (path < end) {
        if (*path == '/' && to > ret_path) {
            to = end_segment(ret_path, segment, to);
            if (!to)
                return crank_fail(EPROTO, "the path leads above the root");
            segment = to;
        }
        int read = decode_one(path, end, &to);
        if (read < 0)
            return crank_fail(EPROTO, "the path has a '%%' that encodes no byte");
        path += read;
    }
    if (*segment == '/' && to > ret_path)
        to = end_path(ret_path, segment, to);
    if (!to)
        return crank_fail(EPROTO, "the path leads above the root");
    *to = '\0';
    return to - ret_path;
}

/* ---- Queries and forms ---- */

size_t cr_http_target_decode(const char *text, size_t size, char *buf)
{
    const char *end = text + size;
    char *to = buf;
    while (text < end) {
        int byte = *text == '%' ? decoded(text, end) : -1;
        /* A 0 would end the string early. */
        if (byte > 0) {
            *to++ = (char)byte;
            text += 3;
        } else {
            *to++ = *text == '+' ? ' ' : *text;
            text++;
        }
    }
    *to = '\0';
    return (size_t)(to - buf);
}

/* Is the encoded text of size bytes this name? */
static bool is_name(const char *text, size_t size, const char *name)
{
    const char *end = text + size;
    for (; text < end; name++) {
        int byte = *text == '%' ? decoded(text, end) : -1;
        char c = *text == '+' ? ' ' : *text;
        if (byte > 0)
            c = (char)byte;
        if (*name == '\0' || c != *name)
            return false;
        text += byte > 0 ? 3 : 1;
    }
    return *name == '\0';
}

const char *cr_http_target_find(const char *pairs, const char *name, size_t *ret_size)
{
    while (*pairs) {
        size_t size = strcspn(pairs, "&");
        const char *equals = memchr(pairs, '=', size);
        size_t key = equals ? (size_t)(equals - pairs) : size;
        if (is_name(pairs, key, name)) {
            *ret_size = equals ? size - key - 1 : 0;
            return equals ? equals + 1 : pairs + size;
        }
        pairs += size + (pairs[size] == '&');
    }
    return NULL;
}

size_t cr_http_target_count(const char *pairs)
{
    size_t n = 1;
    for (; (pairs = strchr(pairs, '&')); pairs++)
        n++;
    return n;
}
