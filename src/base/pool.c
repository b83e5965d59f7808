/* SPDX-License-Identifier: MIT */
/* pool.c: blocks of equal objects.
 *
 * A block is a header of one object's alignment and a run of objects, which are put on the free
 * list from the last to the first, so that fresh objects come out in address order. Blocks double
 * until they reach 64 KiB: small pools stay small, large ones call the allocator rarely.
 *
 * Why not malloc: taking and giving back are two loads and a store with nothing shared, what was
 * used last comes first (it is still in the cache), and the objects of one kind lie together. No
 * block is given back before the pool goes, for knowing when it could be would cost every call. */
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

/* Free and used objects alike: the blocks do not know which is which. */
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

/* The pages that lie in it whole: those at its edges are shared with others. Kernels before 5.14
 * refuse, and the pages come by fault. */
void cr_commit(const cr_sys *sys, void *memory, size_t size)
{
    enum { page = 4096, populate_write = 23 /* MADV_POPULATE_WRITE */ };
    uintptr_t start = ((uintptr_t)memory + page - 1) & ~(uintptr_t)(page - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(page - 1);
    if (end > start + page)
        (void)sys->advise(sys->context, (void *)start, end - start, populate_write);
}

void cr_uncommit(const cr_sys *sys, void *memory, size_t size)
{
    enum { page = 4096, dontneed = 4 /* MADV_DONTNEED */ };
    uintptr_t start = ((uintptr_t)memory + page - 1) & ~(uintptr_t)(page - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(page - 1);
    if (end > start)
        (void)sys->advise(sys->context, (void *)start, end - start, dontneed);
}

/* Objects begin one alignment behind the header, which keeps them aligned to 16. */
int cr_pool_grow(cr_pool *pool)
{
    size_t n = pool->next;
    char *block = cr_alloc(pool->sys, ALIGNMENT + n * pool->size);
    if (!block)
        return -ENOMEM;
    cr_commit(pool->sys, block, ALIGNMENT + n * pool->size);
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
