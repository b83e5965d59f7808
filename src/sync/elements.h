/* SPDX-License-Identifier: MIT */
/* elements.h: where a queue keeps its elements: a ring, taken from either end, or a heap.
 *
 * Owns: the elements' memory, which doubles when it is full and is kept until the store goes;
 * their order. Knows no task. A heap keeps behind each element its age, so that equals leave in
 * the order in which they came. */
#ifndef CR_ELEMENTS_H
#define CR_ELEMENTS_H
#include <string.h>
#include "base/sys.h"

enum cr_order { CR_OLDEST_FIRST, CR_NEWEST_FIRST, CR_SMALLEST_FIRST };

/* Places in the ring are counted without end and masked when used, so that full and empty
 * differ. */
typedef struct cr_elements {
    unsigned char *elements;
    size_t count;
    size_t head;     /* ring: taken at the old end so far; masked, the place of the oldest */
    size_t capacity; /* elements there is memory for: 0 or a power of two */
    size_t size;     /* of an element */
    size_t stride;   /* from one element to the next */
    enum cr_order order;
    bool comparing; /* less is running: it must not come back to this store */
    uint64_t age;   /* of the next element: heap */
    bool (*less)(const void *a, const void *b);
} cr_elements;

/* A cleared store; less is for CR_SMALLEST_FIRST. Takes no memory yet. */
void cr_elements_init(
    cr_elements *store, size_t size, enum cr_order order, bool (*less)(const void *, const void *));
void cr_elements_deinit(cr_elements *store, const cr_sys *sys);
/* Memory for one more. 0 or -ENOMEM. */
int cr_elements_grow(cr_elements *store, const cr_sys *sys);
void cr_elements_clear(cr_elements *store);
void cr_elements_heap_put(cr_elements *store, const void *element);
void cr_elements_heap_take(cr_elements *store, void *ret);

/* Copy an element: the sizes of numbers, pointers and pairs of them without a call. */
static inline void cr_element_copy(void *target, const void *source, size_t size)
{
    switch (size) {
    case 4: memcpy(target, source, 4); break;
    case 8: memcpy(target, source, 8); break;
    case 16: memcpy(target, source, 16); break;
    default: memcpy(target, source, size);
    }
}

static inline void *cr_elements_ring_at(const cr_elements *store, size_t place)
{
    return store->elements + (place & (store->capacity - 1)) * store->stride;
}

/* Put where there is memory for it (count < capacity); take the next of at least one. size is
 * store->size. */
static inline void cr_elements_ring_put(cr_elements *store, const void *element, size_t size)
{
    cr_element_copy(cr_elements_ring_at(store, store->head + store->count++), element, size);
}
static inline void cr_elements_ring_take(cr_elements *store, void *ret, size_t size)
{
    store->count--;
    size_t place = store->order == CR_OLDEST_FIRST ? store->head++ : store->head + store->count;
    cr_element_copy(ret, cr_elements_ring_at(store, place), size);
}
static inline void cr_elements_put(cr_elements *store, const void *element)
{
    if (store->order == CR_SMALLEST_FIRST)
        cr_elements_heap_put(store, element);
    else
        cr_elements_ring_put(store, element, store->size);
}
static inline void cr_elements_take(cr_elements *store, void *ret)
{
    if (store->order == CR_SMALLEST_FIRST)
        cr_elements_heap_take(store, ret);
    else
        cr_elements_ring_take(store, ret, store->size);
}
#endif
