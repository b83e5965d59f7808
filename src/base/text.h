/* SPDX-License-Identifier: MIT */
/* text.h: text that grows in a buffer of fixed size. */
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
#endif
