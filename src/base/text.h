/* SPDX-License-Identifier: MIT */
/* text.h: text in a buffer of fixed size, at once or growing. */
#ifndef CR_TEXT_H
#define CR_TEXT_H
#include "base/base.h"

typedef struct cr_text {
    char *buf; /* NULL where size is 0; with a size it ends with a NUL after the first addition */
    size_t size;
    size_t length; /* it would have: counts on where the buffer is full */
} cr_text;

/* Add what fits. Calls no allocator. */
void cr_text_add(cr_text *text, const char *format, ...) CRANK_PRINTF(2, 3);
/* As snprintf, with a size_t: 0 where that fails. Calls no allocator. */
size_t cr_text_format(char *buf, size_t size, const char *format, ...) CRANK_PRINTF(3, 4);
#endif
