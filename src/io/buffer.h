/* SPDX-License-Identifier: MIT */
/* buffer.h: room for bytes in the buffers of streams that send by themselves. */
#ifndef CR_BUFFER_H
#define CR_BUFFER_H
#include "io/stream.h"

/* Make room for size bytes in all, counted from the first full one; buffers of up to
 * CR_BUFFER_LARGE are the backend's. 0 or -ENOMEM, and nothing is lost. */
int cr_buffer_reserve(crank_loop *loop, cr_buffer *buffer, size_t size);
/* Give its memory back. */
void cr_buffer_release(crank_loop *loop, cr_buffer *buffer);
/* How many bytes to make room for where a buffer has some, all of which a reader wants more of. */
size_t cr_buffer_grown(const cr_buffer *buffer, size_t want);
#endif
