/* SPDX-License-Identifier: MIT */
/* text.c: a text that a program has made by a format. */
#include "http/text.h"

#include <crank/error.h>
#include <errno.h>
#include <stdio.h>

#include "http/memory.h"

int cr_http_text_format(
    cr_http_text *ret_text, const char *call, const char *what, const char *format, va_list args)
{
    va_list again;
    ret_text->bytes = ret_text->near;
    va_copy(again, args);
    int length = vsnprintf(ret_text->near, sizeof ret_text->near, format, args);
    if (length >= (int)sizeof ret_text->near) {
        ret_text->bytes = crank_alloc((size_t)length + 1);
        if (ret_text->bytes)
            vsnprintf(ret_text->bytes, (size_t)length + 1, format, again);
    }
    va_end(again);
    if (length < 0)
        return crank_fail(EINVAL, "%s: the format cannot be followed", call);
    if (!ret_text->bytes)
        return crank_fail(ENOMEM, "out of memory for %s of %d bytes", what, length);
    ret_text->size = (size_t)length;
    return 0;
}

void cr_http_text_free(cr_http_text *text)
{
    if (text->bytes != text->near)
        crank_release(text->bytes);
}
