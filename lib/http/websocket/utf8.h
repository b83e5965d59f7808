/* SPDX-License-Identifier: MIT */
/* utf8.h: is it UTF-8, of text that comes in pieces? */
#ifndef CR_HTTP_UTF8_H
#define CR_HTTP_UTF8_H
#include <stdbool.h>
#include <stddef.h>

/* Where in a character the text has stopped. All zeros: at the beginning, and between two. */
typedef struct cr_http_utf8 {
    unsigned char left;      /* bytes that the character still has */
    unsigned char low, high; /* between which the next of them is */
} cr_http_utf8;

/* Can the text go on with these bytes? False at the first byte with which no character can begin
 * or go on: a surrogate, a value beyond U+10FFFF, a form that is too long. */
bool cr_http_utf8_take(cr_http_utf8 *utf8, const char *bytes, size_t size);
/* May the text end here? */
static inline bool cr_http_utf8_is_whole(const cr_http_utf8 *utf8) { return utf8->left == 0; }
/* Is it, as a whole? */
bool cr_http_utf8_is(const char *bytes, size_t size);
/* How many bytes of at most max its whole characters have, up to the first that is none. */
size_t cr_http_utf8_cut(const char *text, size_t max);
#endif
