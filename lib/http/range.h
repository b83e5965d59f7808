/* SPDX-License-Identifier: MIT */
/* range.h: which bytes of a whole a request wants. */
#ifndef CR_HTTP_RANGE_H
#define CR_HTTP_RANGE_H
#include <stdint.h>

typedef struct cr_http_range {
    uint64_t first, size;
} cr_http_range;

/* What "bytes=0-499", "bytes=500-" or "bytes=-500" means of a whole of so many bytes: 206, and
 * *ret_range lies within it; 416: nothing of it does; 200: the whole, where text is NULL, asks for
 * several ranges, is no range of bytes, or the whole is empty. */
int cr_http_range_read(const char *text, uint64_t whole, cr_http_range *ret_range);
#endif
