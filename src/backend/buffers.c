/* SPDX-License-Identifier: MIT */
/* buffers.c: memory for bytes on their way.
 *
 * Owns the buffers that are free, a list for each size; a stream that takes one owns it until it is
 * given back. Of each size so many are kept as take a few megabytes; more go back to the allocator
 * at once, so that a burst of traffic does not stay in memory. */
#include "backend/buffers.h"

#define KEPT_BYTES ((size_t)4 * 1024 * 1024)

void cr_buffers_init(cr_buffers *buffers, const cr_sys *sys)
{
    static const enum cr_buffer_size sizes[] = { CR_BUFFER_SMALL, CR_BUFFER_MIDDLE,
        CR_BUFFER_LARGE };
    *buffers = (cr_buffers){ .sys = sys };
    for (size_t i = 0; i < CR_BUFFER_SIZES; i++)
        buffers->sizes[i].most = (uint32_t)(KEPT_BYTES / sizes[i]);
}

void cr_buffers_deinit(cr_buffers *buffers)
{
    for (size_t i = 0; i < CR_BUFFER_SIZES; i++)
        while (buffers->sizes[i].first) {
            cr_free_buffer *first = buffers->sizes[i].first;
            buffers->sizes[i].first = first->next;
            cr_free(buffers->sys, first);
        }
}
