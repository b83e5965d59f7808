/* SPDX-License-Identifier: MIT */
/* pool.h: objects of one size, taken and given back in O(1), last in first out. Memory comes in
 * blocks that double up to 64 KiB and goes only with the pool. Single-threaded. */
#ifndef CR_POOL_H
#define CR_POOL_H
#include "base/sys.h"

/* Free objects are linked through their own memory: an object in use has no header. */
typedef struct cr_pool {
    const cr_sys *sys;
    void *free;   /* list through the objects' first word */
    void *blocks; /* list through the blocks' first word */
    size_t size;  /* of an object, rounded up to 16 */
    size_t next;  /* objects in the next block */
    size_t in_use;
} cr_pool;

void cr_pool_init(cr_pool *pool, const cr_sys *sys, size_t object_size);
void cr_pool_deinit(cr_pool *pool); /* frees every block; objects still out are lost with it */
/* Memory that is about to be written from one end to the other: one call of the kernel's instead
 * of a page fault for each page, which cost ten times as much. */
void cr_commit(const cr_sys *sys, void *memory, size_t size);
/* The pages that lie in it whole are given back, and read as zero from now on. */
void cr_uncommit(const cr_sys *sys, void *memory, size_t size);
int cr_pool_grow(cr_pool *pool); /* 0 or -ENOMEM */

/* An object, not cleared; NULL when memory is short. */
static inline void *cr_pool_get(cr_pool *pool)
{
    if (CR_UNLIKELY(!pool->free) && cr_pool_grow(pool) < 0)
        return NULL;
    void *object = pool->free;
    pool->free = *(void **)object;
    pool->in_use++;
    return object;
}
static inline void cr_pool_put(cr_pool *pool, void *object)
{
    *(void **)object = pool->free;
    pool->free = object;
    pool->in_use--;
}
#endif
