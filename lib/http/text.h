/* SPDX-License-Identifier: MIT */
/* text.h: a text that a program has made by a format, on the stack where it is short. */
#ifndef CR_HTTP_TEXT_H
#define CR_HTTP_TEXT_H
#include <stdarg.h>
#include <stddef.h>

typedef struct cr_http_text {
    char *bytes; /* a 0 behind */
    size_t size;
    char near[512];
} cr_http_text;

/* What the format makes of its arguments, for the call of that name, of "an event" say. 0, -EINVAL,
 * -ENOMEM; freed in any case. */
__attribute__((format(printf, 4, 0))) int cr_http_text_format(
    cr_http_text *ret_text, const char *call, const char *what, const char *format, va_list args);
void cr_http_text_free(cr_http_text *text);
#endif
