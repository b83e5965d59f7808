/* SPDX-License-Identifier: MIT */
/* memory.h: the library's memory, which is the loop's (crank/layer.h): a test that makes memory
 * short reaches it. */
#ifndef CR_HTTP_MEMORY_H
#define CR_HTTP_MEMORY_H
#include <crank/layer.h>
#include <string.h>

/* As calloc. */
static inline void *cr_http_alloc_zero(size_t size)
{
    void *memory = crank_alloc(size);
    return memory ? memset(memory, 0, size) : NULL;
}

/* As realloc of memory of which so many bytes are used, for more. */
static inline void *cr_http_grow(void *memory, size_t used, size_t size)
{
    void *larger = crank_alloc(size);
    if (!larger)
        return NULL;
    if (used > 0)
        memcpy(larger, memory, used);
    crank_release(memory);
    return larger;
}
#endif
