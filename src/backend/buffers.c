/* SPDX-License-Identifier: MIT */
/* buffers.c: memory for bytes on their way.
 *
 * Owns the buffers that are free, a list for each size; a stream that takes one owns it until it is
 * given back. The last one given is the first one taken, for it is still in the processor's cache.
 * Of each size so many are kept as take a few megabytes; more go back to the allocator at once, so
 * that a burst of traffic does not stay in memory. */
#include "backend/buffers.h"

#define KEPT_BYTES ((size_t)4 * 1024 * 1024)

static size_t index_of(enum cr_buffer_size size)
{
    return size == CR_BUFFER_SMALL ? 0 : size == CR_BUFFER_MIDDLE ? 1 : 2;
}

void cr_buffers_init(cr_buffers *buffers, const cr_sys *sys)
{
    *buffers = (cr_buffers){ .sys = sys };
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

void *cr_buffers_take(cr_buffers *buffers, enum cr_buffer_size size)
{
    size_t i = index_of(size);
    cr_free_buffer *first = buffers->sizes[i].first;
    if (CR_UNLIKELY(!first))
        return cr_alloc(buffers->sys, size);
    buffers->sizes[i].first = first->next;
    buffers->sizes[i].free--;
    return first;
}

void cr_buffers_give(cr_buffers *buffers, void *buf, enum cr_buffer_size size)
{
    size_t i = index_of(size);
    if (CR_UNLIKELY(buffers->sizes[i].free >= KEPT_BYTES / size)) {
        cr_free(buffers->sys, buf);
        return;
    }
    cr_free_buffer *first = buf;
    first->next = buffers->sizes[i].first;
    buffers->sizes[i].first = first;
    buffers->sizes[i].free++;
}
