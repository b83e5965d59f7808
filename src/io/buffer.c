/* SPDX-License-Identifier: MIT */
/* buffer.c: room for bytes in the buffers of streams that send by themselves.
 *
 * Up to 64 KiB their memory comes from the backend's pool, which also fills them where it reads;
 * what is larger, for one long line or a peek, is the heap's. Full bytes always lie together. */
#include "io/buffer.h"

#include <string.h>

CR_HOT void cr_buffer_release(crank_loop *loop, cr_buffer *buffer)
{
    if (buffer->bytes && buffer->room <= CR_BUFFER_LARGE)
        cr_buffers_give(&loop->backend->buffers, buffer->bytes, (enum cr_buffer_size)buffer->room);
    else
        cr_free(loop->sys, buffer->bytes);
    *buffer = (cr_buffer){ 0 };
}

/* Beyond the largest of the backend's the room doubles. */
CR_HOT int cr_buffer_reserve(crank_loop *loop, cr_buffer *buffer, size_t size)
{
    size_t held = cr_buffer_held(buffer);
    if (CR_LIKELY(size - held <= buffer->room - buffer->end))
        return 0;
    if (CR_LIKELY(!buffer->bytes && size <= CR_BUFFER_SMALL)) {
        buffer->bytes = cr_buffers_take(&loop->backend->buffers, CR_BUFFER_SMALL);
        buffer->room = buffer->bytes ? CR_BUFFER_SMALL : 0;
        return buffer->bytes ? 0 : -ENOMEM;
    }
    if (size <= buffer->room) {
        memmove(buffer->bytes, cr_buffer_first(buffer), held);
        buffer->start = 0;
        buffer->end = held;
        return 0;
    }
    cr_buffer larger = { .end = held, .room = cr_buffers_fit(size) };
    while (larger.room < size)
        larger.room *= 2;
    larger.bytes = larger.room <= CR_BUFFER_LARGE
                       ? cr_buffers_take(&loop->backend->buffers, cr_buffers_fit(size))
                       : cr_alloc(loop->sys, larger.room);
    if (!larger.bytes)
        return -ENOMEM;
    if (held > 0)
        memcpy(larger.bytes, cr_buffer_first(buffer), held);
    if (buffer->bytes)
        cr_buffer_release(loop, buffer);
    *buffer = larger;
    return 0;
}

size_t cr_buffer_grown(const cr_buffer *buffer, size_t want)
{
    size_t held = cr_buffer_held(buffer), room = buffer->room;
    size_t more = want > held ? want : held + 1;
    if (held < room)
        return held < room / 2 ? held + room / 2 : room;
    return more < 2 * room ? more : 2 * room;
}
