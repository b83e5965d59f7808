/* SPDX-License-Identifier: MIT */
/* elements.c: the memory of a queue's elements, and the heap.
 *
 * Taking from the heap walks the hole at the root down to a leaf along the smaller children,
 * then the last element up from there (Wegener's bottom-up heapsort): it came from a leaf and
 * seldom climbs, so this asks less about once a level instead of twice. Asking is the user's
 * function and dear, moving is a copy. Age decides between equals, and decides which of the two
 * questions "a < b" and "b < a" must be asked, so that one is enough. */
#include "sync/elements.h"
#include "base/check.h"

/* Elements at first: small enough for a queue of structs, large enough that few ever grow. */
#define FIRST_CAPACITY 16

/* The strictest alignment a type of this size can have, up to that of allocated memory. */
static size_t alignment_of(size_t size)
{
    size_t lowest = size & (~size + 1);
    return lowest < 16 ? lowest : 16;
}

/* The next multiple of unit, not below size. */
static size_t round_up(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

/* The age lies behind the element. */
static size_t age_offset(size_t size) { return round_up(size, sizeof(uint64_t)); }

/* Only a heap keeps ages behind its elements; a ring's are as close as an array's. */
void cr_elements_init(
    cr_elements *store, size_t size, enum cr_order order, bool (*less)(const void *, const void *))
{
    store->size = size;
    store->order = order;
    store->less = less;
    store->stride = size;
    if (order == CR_SMALLEST_FIRST)
        store->stride = round_up(age_offset(size) + sizeof(uint64_t), alignment_of(size));
}

/* Elements are bytes here: what they point to is the program's and is not freed. */
void cr_elements_deinit(cr_elements *store, const cr_sys *sys) { cr_free(sys, store->elements); }

/* Resized in place where the allocator can: a ring then has its newest elements, those before head,
 * at the wrong end, and only they are copied. */
int cr_elements_grow(cr_elements *store, const cr_sys *sys)
{
    size_t old = store->capacity;
    size_t capacity = old ? old * 2 : FIRST_CAPACITY;
    size_t size;
    if (capacity < old || __builtin_mul_overflow(capacity, store->stride, &size))
        return -ENOMEM;
    unsigned char *elements = old ? cr_resize(sys, store->elements, size) : cr_alloc(sys, size);
    if (!elements)
        return -ENOMEM;
    store->elements = elements;
    store->capacity = capacity;
    /* A full ring begins at head: what lay before it follows in the new half. */
    if (old && store->order != CR_SMALLEST_FIRST) {
        store->head &= old - 1;
        memcpy(elements + old * store->stride, elements, store->head * store->stride);
    }
    return 0;
}

/* The memory stays: it goes with the store. */
void cr_elements_clear(cr_elements *store)
{
    CR_CHECK(!store->comparing, "crank_queue_shutdown: called by the comparison of the same queue");
    store->count = 0;
}

/* Place 0 is the root, the children of i are 2i + 1 and 2i + 2. */
static void *heap_at(const cr_elements *store, size_t i)
{
    return store->elements + i * store->stride;
}

static uint64_t *age_at(const cr_elements *store, size_t i)
{
    return (uint64_t *)(void *)(store->elements + i * store->stride + age_offset(store->size));
}

/* Does a leave before b? */
static bool before(const cr_elements *store, size_t a, size_t b)
{
    if (*age_at(store, a) < *age_at(store, b))
        return !store->less(heap_at(store, b), heap_at(store, a));
    return store->less(heap_at(store, a), heap_at(store, b));
}

/* The age moves with the element: stride covers both. */
static void move(const cr_elements *store, size_t target, size_t source)
{
    cr_element_copy(heap_at(store, target), heap_at(store, source), store->stride);
}

/* less is the user's: were it to put or get here, it would find the heap with a hole in it. */
static void begin_comparing(cr_elements *store)
{
    CR_CHECK(!store->comparing,
        "crank_put, crank_get: called by the comparison of the same queue; a comparison may only "
        "look at the two elements it is given");
    store->comparing = true;
}

/* The newcomer climbs past greater elements only: among equals it is the youngest. */
void cr_elements_heap_put(cr_elements *store, const void *element)
{
    begin_comparing(store);
    size_t hole = store->count++;
    while (hole && store->less(element, heap_at(store, (hole - 1) / 2))) {
        move(store, hole, (hole - 1) / 2);
        hole = (hole - 1) / 2;
    }
    cr_element_copy(heap_at(store, hole), element, store->size);
    *age_at(store, hole) = store->age++;
    store->comparing = false;
}

/* The last element keeps its bytes beyond the end until the hole has found its place. */
void cr_elements_heap_take(cr_elements *store, void *ret)
{
    begin_comparing(store);
    cr_element_copy(ret, heap_at(store, 0), store->size);
    size_t last = --store->count;
    size_t hole = 0;
    for (size_t child; (child = 2 * hole + 1) < last; hole = child) {
        if (child + 1 < last && before(store, child + 1, child))
            child++;
        move(store, hole, child);
    }
    for (; hole && before(store, last, (hole - 1) / 2); hole = (hole - 1) / 2)
        move(store, hole, (hole - 1) / 2);
    if (hole != last)
        move(store, hole, last);
    store->comparing = false;
}
