/* SPDX-License-Identifier: MIT */
/* text.c: text in a buffer of fixed size.
 *
 * Owns nothing. What does not fit any more is left out and counted, so that a pass without a buffer
 * gives the length to allocate. */
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>

void cr_text_add(cr_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool room = text->length < text->size;
    int n = vsnprintf(
        room ? text->buf + text->length : NULL, room ? text->size - text->length : 0, format, args);
    va_end(args);
    if (n > 0)
        text->length += (size_t)n;
}

size_t cr_text_format(char *buf, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(buf, size, format, args);
    va_end(args);
    return n > 0 ? (size_t)n : 0;
}
