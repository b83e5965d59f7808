/* SPDX-License-Identifier: MIT */
/* layer.c: what is true of what libraries beside the core take from it. */
#include <crank/layer.h>
#include <sys/mman.h>
#include <time.h>

#include "nets.h"

static char reported[200];
static int reported_error;
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    EXPECT_EQ(report->kind, CRANK_REPORT_NOTE);
    snprintf(reported, sizeof reported, "%s", report->text);
    reported_error = report->error;
}
static long say(void *arg)
{
    (void)arg;
    crank_layer_report(-EIO, "the cellar is full of water");
    return 0;
}
TEST(layer_report, comes_to_the_runs_hook)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    EXPECT_EQ(crank_run_raw(&options, say, NULL), 0);
    EXPECT_CONTAINS(reported, "crank: note: the cellar is full of water");
    EXPECT_EQ(reported_error, -EIO);
}
TEST(layer_report, outside_a_run_comes_to_stderr)
{
    test_capture();
    say(NULL);
    EXPECT_STR(test_captured(), "crank: note: the cellar is full of water\n");
}

static int leaves_by(int err)
{
    crank_layer_block kept;
    if (err < 0)
        err = crank_fail(err, "the first");
    crank_layer_block_begin(&kept);
    EXPECT_STR(crank_error(), "");
    (void)crank_fail(EIO, "of the clean-up");
    (void)crank_sleep(0);
    crank_layer_block_end(&kept);
    return err;
}
TEST_EACH_BACKEND(layer_block, leaves_the_error_as_it_was)
{
    EXPECT_EQ(leaves_by(-EDOM), -EDOM);
    EXPECT_STR(crank_error(), "the first");
    crank_error_clear();
    EXPECT_EQ(leaves_by(0), 0);
    EXPECT_STR(crank_error(), "");
    return 0;
}

TEST_SIM(wall_time, of_a_simulated_run_begins_with_2026)
{
    const double days = 56 * 365 + 14; /* from 1970, 14 of the years with a day more */
    EXPECT(crank_wall_time() == days * 86400);
    crank_try(crank_sleep(3600));
    EXPECT(crank_wall_time() == days * 86400 + 3600);
    return 0;
}
TEST(wall_time, outside_a_run_is_the_systems)
{
    double before = (double)time(NULL);
    double now = crank_wall_time();
    /* time() reads a clock that moves with the timer's ticks: near a second's end it tells the one before. */
    EXPECT(now >= before && now <= (double)time(NULL) + 2);
}

static uint64_t drawn[3];
static long draw(void *arg)
{
    *(uint64_t *)arg = crank_random();
    return 0;
}
TEST(random, is_the_seeds_where_it_is_simulated)
{
    for (int i = 0; i < 3; i++) {
        crank_options options = { .backend = CRANK_BACKEND_SIM, .seed = i < 2 ? 7 : 8 };
        EXPECT_EQ(crank_run_raw(&options, draw, &drawn[i]), 0);
    }
    EXPECT_EQ(drawn[0], drawn[1]);
    EXPECT(drawn[0] != drawn[2]);
}

/* ---- A task that was deep once ---- */

static bool is_resident(uintptr_t address)
{
    unsigned char in_core = 0;
    void *page = (void *)(address & ~(uintptr_t)4095);
    return mincore(page, 4096, &in_core) == 0 && (in_core & 1);
}
static uintptr_t deepest;
static void __attribute__((noinline)) go_deep(void)
{
    volatile char bytes[16 * 1024];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = 1;
    deepest = (uintptr_t)&bytes[0];
}
TEST_EACH_BACKEND(trimmed_stack, keeps_what_is_in_use_and_gives_the_rest_back)
{
    char own[200];
    memset(own, 'x', sizeof own);
    for (int i = 0; i < 2; i++) {
        go_deep();
        EXPECT(is_resident(deepest));
        crank_layer_trim_stack();
        EXPECT(CR_SWITCH_SANITIZED || getenv("TEST_EMULATED") || !is_resident(deepest)); /* qemu keeps pages */
    }
    for (size_t i = 0; i < sizeof own; i++)
        EXPECT_EQ(own[i], 'x');
    return 0;
}
TEST(trimmed_stack, of_no_task_stays)
{
    go_deep();
    crank_layer_trim_stack();
    EXPECT(is_resident(deepest));
}

static void *failing_alloc(void *context, size_t size)
{
    (void)context;
    (void)size;
    return NULL;
}
TEST_EACH_BACKEND(alloc, takes_memory_from_the_runs_table)
{
    static cr_sys sys;
    const cr_sys *before = cr_loop_here->sys;
    void *memory = crank_alloc(100);
    EXPECT(memory);
    memset(memory, 1, 100);
    sys = *before;
    sys.alloc = failing_alloc;
    cr_loop_here->sys = &sys;
    void *none = crank_alloc(1);
    cr_loop_here->sys = before;
    EXPECT(!none);
    crank_release(memory);
    crank_release(NULL);
    void *empty = crank_alloc(0);
    EXPECT(empty);
    crank_release(empty);
    return 0;
}
