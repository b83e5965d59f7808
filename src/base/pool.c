/* SPDX-License-Identifier: MIT */
/* pool.c: blocks of equal objects.
 *
 * A block is a header of one object's alignment and a run of objects, which are put on the free
 * list from the last to the first, so that fresh objects come out in address order. Blocks double
 * until they reach 64 KiB: small pools stay small, large ones call the allocator rarely. */
#include "base/pool.h"

#define FIRST_OBJECTS 8
#define BLOCK_MAX 65536
#define ALIGNMENT 16

void cr_pool_init(cr_pool *pool, const cr_sys *sys, size_t object_size)
{
    *pool = (cr_pool){
        .sys = sys,
        .size = (object_size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1),
        .next = FIRST_OBJECTS,
    };
}

void cr_pool_deinit(cr_pool *pool)
{
    while (pool->blocks) {
        void *block = pool->blocks;
        pool->blocks = *(void **)block;
        cr_free(pool->sys, block);
    }
    pool->free = NULL;
    pool->in_use = 0;
}

int cr_pool_grow(cr_pool *pool)
{
    size_t n = pool->next;
    char *block = cr_alloc(pool->sys, ALIGNMENT + n * pool->size);
    if (!block)
        return -ENOMEM;
    *(void **)(void *)block = pool->blocks;
    pool->blocks = block;
    for (char *object = block + ALIGNMENT + n * pool->size; n > 0; n--) {
        object -= pool->size;
        *(void **)(void *)object = pool->free;
        pool->free = object;
    }
    if (pool->next * 2 * pool->size <= BLOCK_MAX)
        pool->next *= 2;
    return 0;
}
