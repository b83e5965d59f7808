/* SPDX-License-Identifier: MIT */
/* buffers.c: memory for bytes on their way: which of it is kept. */
#include "backend/buffers.h"
#include "base/base.h"
#include "test.h"

static long live;

static void *alloc(void *c, size_t size)
{
    live++;
    return cr_sys_real.alloc(c, size);
}
static void release(void *c, void *memory)
{
    live -= memory != NULL;
    cr_sys_real.free(c, memory);
}

/* Taken all at once and given back: so many stay as take a few megabytes. */
static void expect_kept(enum cr_buffer_size size, long kept)
{
    static void *taken[2048];
    static cr_sys sys;
    cr_buffers buffers;
    sys = cr_sys_real;
    sys.alloc = alloc;
    sys.free = release;
    cr_buffers_init(&buffers, &sys);
    for (size_t i = 0; i < CRANK_COUNT(taken); i++)
        EXPECT(taken[i] = cr_buffers_take(&buffers, size));
    EXPECT_EQ(live, CRANK_COUNT(taken));
    for (size_t i = 0; i < CRANK_COUNT(taken); i++)
        cr_buffers_give(&buffers, taken[i], size);
    EXPECT_EQ(live, kept);
    EXPECT(cr_buffers_take(&buffers, size) == taken[kept - 1]); /* the last that was kept, still in the cache */
    cr_buffers_give(&buffers, taken[kept - 1], size);
    cr_buffers_deinit(&buffers);
    EXPECT_EQ(live, 0);
}

TEST(buffers, of_each_size_keep_four_megabytes)
{
    expect_kept(CR_BUFFER_SMALL, 1024);
    expect_kept(CR_BUFFER_MIDDLE, 256);
    expect_kept(CR_BUFFER_LARGE, 64);
}
