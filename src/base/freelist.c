/* SPDX-License-Identifier: MIT */
/* freelist.c: blocks of equal objects.
 *
 * A block is a header of one object's alignment and a run of objects, which are put on the free
 * list from the last to the first, so that fresh objects come out in address order. Blocks double
 * until they reach 64 KiB: small freelists stay small, large ones call the allocator rarely.
 *
 * Why not malloc: taking and giving back are two loads and a store with nothing shared, what was
 * used last comes first (it is still in the cache), and the objects of one kind lie together. No
 * block is given back before the freelist goes: knowing when it could be would cost every call. */
#include "base/freelist.h"
#include "base/pages.h"

#define FIRST_OBJECTS 8
#define BLOCK_MAX 65536
#define ALIGNMENT 16

void cr_freelist_init(cr_freelist *freelist, const cr_sys *sys, size_t object_size)
{
    *freelist = (cr_freelist){
        .sys = sys,
        .size = (object_size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1),
        .next = FIRST_OBJECTS,
    };
}

/* Free and used objects alike: the blocks do not know which is which. */
void cr_freelist_deinit(cr_freelist *freelist)
{
    while (freelist->blocks) {
        void *block = freelist->blocks;
        freelist->blocks = *(void **)block;
        cr_free(freelist->sys, block);
    }
    freelist->free = NULL;
    freelist->in_use = 0;
}

/* Objects begin one alignment behind the header, which keeps them aligned to 16. */
int cr_freelist_grow(cr_freelist *freelist)
{
    size_t n = freelist->next;
    char *block = cr_alloc(freelist->sys, ALIGNMENT + n * freelist->size);
    if (!block)
        return -ENOMEM;
    cr_pages_commit(freelist->sys, block, ALIGNMENT + n * freelist->size);
    *(void **)(void *)block = freelist->blocks;
    freelist->blocks = block;
    for (char *object = block + ALIGNMENT + n * freelist->size; n > 0; n--) {
        object -= freelist->size;
        *(void **)(void *)object = freelist->free;
        freelist->free = object;
    }
    if (freelist->next * 2 * freelist->size <= BLOCK_MAX)
        freelist->next *= 2;
    return 0;
}
