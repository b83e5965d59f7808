/* SPDX-License-Identifier: MIT */
/* buffers.h: memory for bytes on their way, of three sizes, kept for the next use.
 *
 * A connection that waits for bytes holds no buffer: the backend takes one when bytes are there.
 * One pool per backend, used by the loop's thread alone. */
#ifndef CR_BUFFERS_H
#define CR_BUFFERS_H
#include "base/sys.h"

/* What a message of most protocols fits in, what a page of text does, and where a transfer in bulk
 * stops getting faster. */
enum cr_buffer_size {
    CR_BUFFER_SMALL = 4 * 1024,
    CR_BUFFER_MIDDLE = 16 * 1024,
    CR_BUFFER_LARGE = 64 * 1024,
};
#define CR_BUFFER_SIZES 3

/* What stands at the beginning of one that is free. */
typedef struct cr_free_buffer {
    struct cr_free_buffer *next;
} cr_free_buffer;

typedef struct cr_buffers {
    const cr_sys *sys;
    struct {
        cr_free_buffer *first;
        uint32_t free; /* how many */
        uint32_t most; /* of these that are kept */
    } sizes[CR_BUFFER_SIZES];
} cr_buffers;

void cr_buffers_init(cr_buffers *buffers, const cr_sys *sys);
/* All that were taken have been given back. */
void cr_buffers_deinit(cr_buffers *buffers);
static inline size_t cr_buffers_index(enum cr_buffer_size size)
{
    return CR_LIKELY(size == CR_BUFFER_SMALL) ? 0 : size == CR_BUFFER_MIDDLE ? 1 : 2;
}
/* One of exactly that size, not cleared; NULL when memory is short. The last one given is the first
 * one taken, for it is still in the processor's cache. */
static inline void *cr_buffers_take(cr_buffers *buffers, enum cr_buffer_size size)
{
    size_t i = cr_buffers_index(size);
    cr_free_buffer *first = buffers->sizes[i].first;
    if (CR_UNLIKELY(!first))
        return cr_alloc(buffers->sys, size);
    buffers->sizes[i].first = first->next;
    buffers->sizes[i].free--;
    return first;
}
static inline void cr_buffers_give(cr_buffers *buffers, void *buf, enum cr_buffer_size size)
{
    size_t i = cr_buffers_index(size);
    cr_free_buffer *first = buf;
    if (CR_LIKELY(buffers->sizes[i].free < buffers->sizes[i].most)) {
        first->next = buffers->sizes[i].first;
        buffers->sizes[i].first = first;
        buffers->sizes[i].free++;
    } else {
        cr_free(buffers->sys, buf);
    }
}
/* The smallest size that holds so many bytes; the largest where none does. */
static inline enum cr_buffer_size cr_buffers_fit(size_t size)
{
    return size <= CR_BUFFER_SMALL    ? CR_BUFFER_SMALL
           : size <= CR_BUFFER_MIDDLE ? CR_BUFFER_MIDDLE
                                      : CR_BUFFER_LARGE;
}
#endif
