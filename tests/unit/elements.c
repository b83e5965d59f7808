/* SPDX-License-Identifier: MIT */
/* elements.c: the memory of a queue: ring from both ends, heap, growth at every place of the head. */
#include <errno.h>
#include "base/sys.h"
#include "sync/elements.h"
#include "test.h"

static bool less_int(const void *a, const void *b) { return *(const int *)a < *(const int *)b; }

static cr_elements store_of(size_t size, enum cr_order order, bool (*less)(const void *, const void *))
{
    cr_elements store;
    memset(&store, 0, sizeof store);
    cr_elements_init(&store, size, order, less);
    return store;
}

static void add(cr_elements *store, const void *element)
{
    if (store->count == store->capacity)
        EXPECT_EQ(cr_elements_grow(store, &cr_sys_real), 0);
    cr_elements_put(store, element);
}

/* Not inlined: the compiler would see branches for elements larger than this test's variables. */
__attribute__((noinline)) static void take(cr_elements *store, void *ret) { cr_elements_take(store, ret); }

static unsigned next_random(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return *state >> 16;
}

TEST(store, takes_no_memory_before_the_first_element)
{
    cr_elements store = store_of(8, CR_OLDEST_FIRST, NULL);
    EXPECT(store.elements == NULL);
    EXPECT_EQ(store.capacity, 0);
    cr_elements_deinit(&store, &cr_sys_real);
}

TEST(store, as_a_ring_gives_the_oldest_wherever_it_grows)
{
    for (int shift = 0; shift < 40; shift++) {
        cr_elements store = store_of(sizeof(int), CR_OLDEST_FIRST, NULL);
        int put = 0, got = 0, value;
        for (; put < shift; put++, got++) {
            add(&store, &put);
            take(&store, &value);
            EXPECT_EQ(value, got);
        }
        for (; put < 100; put++)
            add(&store, &put);
        for (; got < 100; got++) {
            take(&store, &value);
            EXPECT_EQ(value, got);
        }
        EXPECT_EQ(store.count, 0);
        cr_elements_deinit(&store, &cr_sys_real);
    }
}

TEST(store, as_a_stack_gives_the_newest)
{
    cr_elements store = store_of(sizeof(int), CR_NEWEST_FIRST, NULL);
    int model[200], depth = 0;
    unsigned random = 7;
    for (int i = 0; i < 2000; i++) {
        if (depth < 200 && next_random(&random) % 3) {
            model[depth++] = i;
            add(&store, &i);
        } else if (depth) {
            int value;
            take(&store, &value);
            EXPECT_EQ(value, model[--depth]);
        }
    }
    EXPECT_EQ(store.count, depth);
    cr_elements_deinit(&store, &cr_sys_real);
}

TEST(store, copies_elements_of_every_size)
{
    for (size_t size = 1; size <= 40; size++) {
        cr_elements store = store_of(size, CR_OLDEST_FIRST, NULL);
        unsigned char element[41], got[41];
        for (int i = 0; i < 50; i++) {
            memset(element, i, sizeof element);
            add(&store, element);
        }
        for (int i = 0; i < 50; i++) {
            memset(got, 0xee, sizeof got);
            memset(element, i, sizeof element);
            take(&store, got);
            EXPECT(memcmp(got, element, size) == 0);
            EXPECT_EQ(got[size], 0xee);
        }
        cr_elements_deinit(&store, &cr_sys_real);
    }
}

TEST(store, as_a_heap_gives_the_smallest_and_equals_in_order)
{
    struct keyed {
        int key, age;
    };
    for (unsigned seed = 1; seed <= 50; seed++) {
        cr_elements store = store_of(sizeof(struct keyed), CR_SMALLEST_FIRST, less_int);
        struct keyed model[300];
        size_t count = 0;
        unsigned random = seed;
        for (int i = 0; i < 600; i++) {
            if (count < 300 && next_random(&random) % 5 < 3) {
                struct keyed element = { (int)(next_random(&random) % 10), i };
                model[count++] = element;
                add(&store, &element);
            } else if (count) {
                size_t best = 0;
                for (size_t j = 1; j < count; j++)
                    if (model[j].key < model[best].key)
                        best = j;
                struct keyed got;
                take(&store, &got);
                EXPECT_EQ(got.key, model[best].key);
                EXPECT_EQ(got.age, model[best].age);
                memmove(&model[best], &model[best + 1], (--count - best) * sizeof *model);
            }
            EXPECT_EQ(store.count, count);
        }
        cr_elements_deinit(&store, &cr_sys_real);
    }
}

static bool less_long_double(const void *a, const void *b)
{
    EXPECT_EQ((uintptr_t)a % _Alignof(long double), 0);
    EXPECT_EQ((uintptr_t)b % _Alignof(long double), 0);
    return *(const long double *)a < *(const long double *)b;
}

TEST(store, as_a_heap_keeps_elements_aligned)
{
    cr_elements store = store_of(sizeof(long double), CR_SMALLEST_FIRST, less_long_double);
    for (int i = 0; i < 100; i++) {
        long double element = (i * 37) % 100;
        add(&store, &element);
    }
    for (int i = 0; i < 100; i++) {
        long double got;
        take(&store, &got);
        EXPECT_EQ((int)got, i);
    }
    cr_elements_deinit(&store, &cr_sys_real);
}

static void *refuse_alloc(void *context, size_t size)
{
    (void)context, (void)size;
    return NULL;
}

static void *refuse_resize(void *context, void *memory, size_t size)
{
    (void)context, (void)memory, (void)size;
    return NULL;
}

TEST(store, survives_a_failed_growth)
{
    cr_sys poor = cr_sys_real;
    poor.alloc = refuse_alloc;
    poor.resize = refuse_resize;
    cr_elements store = store_of(sizeof(int), CR_OLDEST_FIRST, NULL);
    EXPECT_EQ(cr_elements_grow(&store, &poor), -ENOMEM);
    EXPECT_EQ(store.capacity, 0);
    for (int i = 0; i < 16; i++)
        add(&store, &i);
    EXPECT_EQ(cr_elements_grow(&store, &poor), -ENOMEM);
    for (int i = 0, value; i < 16; i++) {
        take(&store, &value);
        EXPECT_EQ(value, i);
    }
    cr_elements_deinit(&store, &cr_sys_real);
}

TEST(store, refuses_a_size_beyond_memory)
{
    cr_elements store = store_of(SIZE_MAX / 4, CR_OLDEST_FIRST, NULL);
    EXPECT_EQ(cr_elements_grow(&store, &cr_sys_real), -ENOMEM);
}
