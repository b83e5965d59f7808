/* SPDX-License-Identifier: MIT */
/* freelist.c: objects of one size. */
#include "base/freelist.h"
#include "base/pages.h"
#include "test.h"

TEST(pool, gives_back_the_last_one_first)
{
    cr_freelist pool;
    cr_freelist_init(&pool, &cr_sys_real, 40);
    void *a = cr_freelist_get(&pool);
    void *b = cr_freelist_get(&pool);
    EXPECT(a && b && a != b);
    cr_freelist_put(&pool, a);
    cr_freelist_put(&pool, b);
    EXPECT(cr_freelist_get(&pool) == b);
    EXPECT(cr_freelist_get(&pool) == a);
    EXPECT_EQ(pool.in_use, 2);
    cr_freelist_deinit(&pool);
}

TEST(pool, objects_do_not_overlap_and_are_aligned_to_16)
{
    enum { many = 5000, size = 33 };
    static unsigned char *object[many];
    cr_freelist pool;
    cr_freelist_init(&pool, &cr_sys_real, size);
    for (int i = 0; i < many; i++) {
        object[i] = cr_freelist_get(&pool);
        EXPECT(object[i] && (uintptr_t)object[i] % 16 == 0);
        memset(object[i], i & 255, size);
    }
    for (int i = 0; i < many; i++)
        for (int k = 0; k < size; k++)
            EXPECT_EQ(object[i][k], i & 255);
    EXPECT_EQ(pool.in_use, many);
    cr_freelist_deinit(&pool);
}

TEST(pool, fresh_objects_come_in_address_order)
{
    cr_freelist pool;
    cr_freelist_init(&pool, &cr_sys_real, 64);
    char *first = cr_freelist_get(&pool);
    for (int i = 1; i < 8; i++)
        EXPECT(cr_freelist_get(&pool) == first + 64 * i);
    cr_freelist_deinit(&pool);
}

TEST(pool, of_objects_larger_than_a_block_works)
{
    cr_freelist pool;
    cr_freelist_init(&pool, &cr_sys_real, 100000);
    for (int i = 0; i < 20; i++) {
        char *object = cr_freelist_get(&pool);
        EXPECT(object);
        memset(object, 1, 100000);
    }
    cr_freelist_deinit(&pool);
}

static int advised;
static char *advised_at;
static size_t advised_size;
static int advise(void *context, void *memory, size_t size, int advice)
{
    (void)context, (void)advice;
    advised++;
    advised_at = memory;
    advised_size = size;
    return 0;
}

/* What shares a page with something else is left alone; one page comes by one fault anyway. */
TEST(memory, is_given_back_and_fetched_by_whole_pages)
{
    enum { page = 4096 };
    static _Alignas(page) char memory[4 * page];
    cr_sys sys = cr_sys_real;
    sys.advise = advise;
    cr_pages_release(&sys, memory, page - 1);
    cr_pages_release(&sys, memory + 1, page);
    cr_pages_commit(&sys, memory, page);
    cr_pages_commit(&sys, memory + 1, 2 * page);
    EXPECT_EQ(advised, 0);
    cr_pages_release(&sys, memory, page);
    EXPECT_EQ(advised, 1);
    EXPECT(advised_at == memory && advised_size == page);
    cr_pages_release(&sys, memory + 1, 3 * page);
    EXPECT_EQ(advised, 2);
    EXPECT(advised_at == memory + page && advised_size == 2 * page);
    cr_pages_commit(&sys, memory + 1, 3 * page);
    EXPECT_EQ(advised, 3);
    EXPECT(advised_at == memory + page && advised_size == 2 * page);
}

static void *no_memory(void *context, size_t size)
{
    (void)context;
    (void)size;
    return NULL;
}

TEST(pool, without_memory_gives_null_and_recovers)
{
    cr_sys sys = cr_sys_real;
    cr_freelist pool;
    sys.alloc = no_memory;
    cr_freelist_init(&pool, &sys, 16);
    EXPECT(!cr_freelist_get(&pool));
    EXPECT_EQ(cr_freelist_grow(&pool), -ENOMEM);
    EXPECT_EQ(pool.in_use, 0);
    sys.alloc = cr_sys_real.alloc;
    EXPECT(cr_freelist_get(&pool));
    cr_freelist_deinit(&pool);
}
