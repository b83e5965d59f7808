/* SPDX-License-Identifier: MIT */
/* freelist.h: objects of one size, taken and given back in O(1), last in first out. Memory comes in
 * blocks that double up to 64 KiB and goes only with the freelist. Single-threaded. */
#ifndef CR_FREELIST_H
#define CR_FREELIST_H
#include "base/sys.h"

/* Free objects are linked through their own memory: an object in use has no header. */
typedef struct cr_freelist {
    const cr_sys *sys;
    void *free;   /* list through the objects' first word */
    void *blocks; /* list through the blocks' first word */
    size_t size;  /* of an object, rounded up to 16 */
    size_t next;  /* objects in the next block */
    size_t in_use;
} cr_freelist;

void cr_freelist_init(cr_freelist *freelist, const cr_sys *sys, size_t object_size);
/* Frees every block; objects still out are lost with it */
void cr_freelist_deinit(cr_freelist *freelist);
int cr_freelist_grow(cr_freelist *freelist); /* 0 or -ENOMEM */

/* An object, not cleared; NULL when memory is short. */
static inline void *cr_freelist_get(cr_freelist *freelist)
{
    if (CR_UNLIKELY(!freelist->free) && cr_freelist_grow(freelist) < 0)
        return NULL;
    void *object = freelist->free;
    freelist->free = *(void **)object;
    freelist->in_use++;
    return object;
}
static inline void cr_freelist_put(cr_freelist *freelist, void *object)
{
    *(void **)object = freelist->free;
    freelist->free = object;
    freelist->in_use--;
}
#endif
