/* SPDX-License-Identifier: MIT */
/* stack.c: stacks have guards, hot ones come first, limits are told, nothing is held at the end. */
#include "context/stack.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MANY 300
#define STEP 8 /* slots of 260 KiB, about as many as one page of the page table maps */

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* The real table with doors that can be shut. */
static struct {
    size_t maps_left;   /* mappings until none is given */
    size_t map_largest; /* larger ones are refused */
    size_t allocs_left;
    bool no_markers; /* a kernel before MADV_GUARD_INSTALL */
    bool lies;       /* an emulator that accepts advice and does nothing */
    bool no_many;    /* no process_madvise */
    bool short_many; /* one that stops half way */
    size_t many_calls;
    size_t one_calls; /* guards and returned pages one by one */
    size_t protects_left;
    const char *map_count;
} doors;

static void *map(void *context, size_t size)
{
    if (doors.maps_left == 0 || size > doors.map_largest)
        return NULL;
    doors.maps_left--;
    return cr_sys_real.map(context, size);
}

static void *alloc_zero(void *context, size_t size)
{
    if (doors.allocs_left == 0)
        return NULL;
    doors.allocs_left--;
    return cr_sys_real.alloc_zero(context, size);
}

static void *resize(void *context, void *memory, size_t size)
{
    if (doors.allocs_left == 0)
        return NULL;
    doors.allocs_left--;
    return cr_sys_real.resize(context, memory, size);
}

static int advise(void *context, void *memory, size_t size, int advice)
{
    if (doors.lies && advice != MADV_DONTNEED)
        return 0;
    if (advice == MADV_GUARD_INSTALL && doors.no_markers)
        return -EINVAL;
    if (advice == MADV_GUARD_INSTALL || advice == MADV_DONTNEED)
        doors.one_calls++;
    return cr_sys_real.advise(context, memory, size, advice);
}

static ssize_t advise_many(void *context, const struct iovec *ranges, size_t n, int advice)
{
    doors.many_calls++;
    if (doors.no_many)
        return -ENOSYS;
    if (doors.no_markers && advice == MADV_GUARD_INSTALL)
        return -EINVAL;
    if (doors.lies) {
        ssize_t total = 0;
        for (size_t i = 0; i < n; i++)
            total += (ssize_t)ranges[i].iov_len;
        return total;
    }
    return cr_sys_real.advise_many(context, ranges, doors.short_many ? n / 2 : n, advice);
}

static int protect_none(void *context, void *memory, size_t size)
{
    if (doors.protects_left == 0)
        return -ENOMEM;
    doors.protects_left--;
    return cr_sys_real.protect_none(context, memory, size);
}

static int open_file(void *context, const char *path, int flags, unsigned mode)
{
    if (!strcmp(path, "/proc/sys/vm/max_map_count") && doors.map_count) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return -errno;
        ssize_t written = write(ends[1], doors.map_count, strlen(doors.map_count));
        close(ends[1]);
        EXPECT(written > 0);
        return ends[0];
    }
    return cr_sys_real.open(context, path, flags, mode);
}

static cr_sys table(void)
{
    doors.maps_left = SIZE_MAX;
    doors.map_largest = SIZE_MAX;
    doors.allocs_left = SIZE_MAX;
    doors.protects_left = SIZE_MAX;
    cr_sys sys = cr_sys_real;
    sys.map = map;
    sys.alloc_zero = alloc_zero;
    sys.resize = resize;
    sys.advise = advise;
    sys.advise_many = advise_many;
    sys.protect_none = protect_none;
    sys.open = open_file;
    return sys;
}

static void *hot;

static cr_stacks *new_stacks(const cr_sys *sys, size_t usable)
{
    cr_stacks *stacks = NULL;
    EXPECT_EQ(cr_stacks_new(sys, usable, &hot, &stacks), 0);
    EXPECT(hot == NULL);
    return stacks;
}

static char *take(cr_stacks *stacks)
{
    EXPECT_EQ(hot ? 0 : cr_stacks_refill(stacks), 0);
    return cr_stack_pop(&hot);
}

static void bounds(cr_stacks *stacks, const void *top, char **ret_low, char **ret_high)
{
    EXPECT(cr_stacks_find(stacks, top, ret_low, ret_high));
    EXPECT((const char *)top > *ret_low && (const char *)top < *ret_high);
}

static bool resident(const void *address)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char there = 0;
    void *start = (void *)((uintptr_t)address / page * page);
    EXPECT_EQ(mincore(start, page, &there), 0);
    return there & 1;
}

/* Does writing there kill the process? */
static bool deadly(char *address)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
        *(volatile char *)address = 1;
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

TEST(stack, is_at_least_as_large_as_asked_for)
{
    static const size_t asked[] = { 0, 1, 48 * KIB, 48 * KIB + 1, 192 * KIB, 193 * KIB, 1024 * KIB, 1025 * KIB,
        8192 * KIB };
    static const size_t got[] = { 192, 48, 48, 192, 192, 1024, 1024, 8192, 8192 };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        cr_stacks *stacks = new_stacks(&cr_sys_real, asked[i]);
        char *low;
        char *high;
        bounds(stacks, take(stacks), &low, &high);
        EXPECT_EQ((size_t)(high - low), got[i] * KIB);
        cr_stacks_free(stacks);
    }
}

TEST(stack, larger_than_every_class_is_refused)
{
    cr_stacks *stacks = NULL;
    EXPECT_EQ(cr_stacks_new(&cr_sys_real, 8192 * KIB + 1, &hot, &stacks), -EINVAL);
    EXPECT_EQ(cr_stacks_new(&cr_sys_real, SIZE_MAX, &hot, &stacks), -EINVAL);
    EXPECT(stacks == NULL);
}

TEST(stack, can_be_written_from_its_top_to_its_low_end)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 48 * KIB);
    for (int i = 0; i < 20; i++) {
        char *top = take(stacks);
        char *low;
        char *high;
        bounds(stacks, top, &low, &high);
        memset(low, 0x5a, (size_t)(high - low));
    }
    cr_stacks_free(stacks);
}

TEST(stack, has_a_guard_below_it)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    for (int i = 0; i < 20; i++) {
        char *low;
        char *high;
        bounds(stacks, take(stacks), &low, &high);
        if (i % 8 != 3)
            continue;
        EXPECT(deadly(low - 1));
        EXPECT(deadly(low - 64 * KIB));
        EXPECT(!deadly(low));
        EXPECT(!deadly(high - 1));
    }
    cr_stacks_free(stacks);
}

TEST(stack, tops_are_aligned_and_leave_room_above_them)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 100; i++) {
        char *top = take(stacks);
        char *low;
        char *high;
        bounds(stacks, top, &low, &high);
        EXPECT_EQ((uintptr_t)top % 64, 0);
        EXPECT((size_t)(high - top) >= 192);
        EXPECT((size_t)(high - top) < page);
    }
    cr_stacks_free(stacks);
}

TEST(stack, tops_vary_in_their_place_within_a_page)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    bool seen[64] = { false };
    size_t colours = 0;
    for (int i = 0; i < 64; i++) {
        size_t place = (uintptr_t)take(stacks) / 64 % 64;
        colours += !seen[place];
        seen[place] = true;
    }
    EXPECT_EQ(colours, 16);
    cr_stacks_free(stacks);
}

TEST(stack, given_back_last_is_taken_first)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    char *first = take(stacks);
    char *second = take(stacks);
    char *third = take(stacks);
    EXPECT(first != second && second != third && first != third);
    cr_stack_push(&hot, first);
    cr_stack_push(&hot, third);
    cr_stack_push(&hot, second);
    EXPECT(take(stacks) == second);
    EXPECT(take(stacks) == third);
    EXPECT(take(stacks) == first);
    cr_stacks_free(stacks);
}

TEST(stack, is_found_from_any_address_in_it_and_no_other)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 48 * KIB);
    char *tops[MANY];
    char *low;
    char *high;
    for (int i = 0; i < MANY; i++)
        tops[i] = take(stacks);
    for (int i = 0; i < MANY; i++) {
        char *other_low;
        char *other_high;
        bounds(stacks, tops[i], &low, &high);
        EXPECT(cr_stacks_find(stacks, low, &other_low, &other_high) && other_low == low);
        EXPECT(cr_stacks_find(stacks, high - 1, &other_low, &other_high) && other_high == high);
        EXPECT(!cr_stacks_find(stacks, low - 1, &other_low, &other_high));
        EXPECT(!cr_stacks_in_guard(stacks, low, &other_low, &other_high));
        EXPECT(cr_stacks_in_guard(stacks, low - 1, &other_low, &other_high));
        EXPECT(other_low == low && other_high == high);
        EXPECT(cr_stacks_in_guard(stacks, low - 16 * KIB, &other_low, &other_high));
        EXPECT(other_low == low && other_high == high);
    }
    EXPECT(!cr_stacks_find(stacks, &low, &low, &high));
    EXPECT(!cr_stacks_in_guard(stacks, &low, &low, &high));
    EXPECT(!cr_stacks_find(stacks, NULL, &low, &high));
    cr_stacks_free(stacks);
}

TEST(stack, many_need_few_mappings)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    size_t slots;
    size_t mappings;
    cr_stacks_statistics(stacks, &slots, &mappings);
    EXPECT_EQ(slots, 0);
    EXPECT_EQ(mappings, 0);
    for (int i = 0; i < MANY; i++)
        take(stacks);
    cr_stacks_statistics(stacks, &slots, &mappings);
    EXPECT(slots >= MANY && slots < MANY + STEP);
    if (getenv("TEST_EMULATED") == NULL)
        EXPECT(mappings <= 6);
    cr_stacks_free(stacks);
}

/* What one moment of an idle loop does, the second that stands between the two halves apart. */
static bool trim(cr_stacks *stacks, size_t keep)
{
    cr_stacks_set_aside(stacks, keep);
    return cr_stacks_trim(stacks);
}

TEST(stack, cold_ones_give_their_pages_back_and_hot_ones_keep_them)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    char *tops[MANY];
    for (int i = 0; i < MANY; i++) {
        tops[i] = take(stacks);
        memset(tops[i] - 20000, 1, 20000);
    }
    for (int i = 0; i < MANY; i++)
        cr_stack_push(&hot, tops[i]);
    int rounds = 0;
    while (trim(stacks, 10))
        rounds++;
    EXPECT(rounds > 2);
    if (getenv("TEST_EMULATED") == NULL) {
        EXPECT(!resident(tops[0]) && !resident(tops[0] - 19000));
        EXPECT(!resident(tops[MANY - 11]));
        EXPECT(resident(tops[MANY - 10]) && resident(tops[MANY - 1] - 19000));
    }
    EXPECT(!trim(stacks, 10));
    cr_stacks_free(stacks);
}

TEST(stack, cold_ones_are_used_again_before_new_ones)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    char *tops[MANY];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            tops[i] = take(stacks);
        for (int i = 0; i < MANY; i++)
            for (int k = i + 1; k < MANY; k++)
                EXPECT(tops[i] != tops[k]);
        for (int i = 0; i < MANY; i++)
            cr_stack_push(&hot, tops[i]);
        for (int i = 0; i <= round; i++)
            trim(stacks, 20);
        EXPECT_EQ(cr_stacks_in_use(stacks), 0);
    }
    size_t slots;
    size_t mappings;
    cr_stacks_statistics(stacks, &slots, &mappings);
    EXPECT(slots >= MANY && slots < MANY + STEP);
    cr_stacks_free(stacks);
}

TEST(stack, guards_survive_that_pages_are_given_back)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    char *low;
    char *high;
    char *top = take(stacks);
    bounds(stacks, top, &low, &high);
    cr_stack_push(&hot, top);
    trim(stacks, 0);
    EXPECT(hot == NULL);
    EXPECT(take(stacks) == top);
    EXPECT(deadly(low - 1));
    cr_stacks_free(stacks);
}

TEST(stack, that_stand_aside_are_used_before_cold_and_new_ones)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    char *tops[4];
    for (int i = 0; i < 4; i++)
        tops[i] = take(stacks);
    EXPECT_EQ(cr_stacks_in_use(stacks), 4);
    for (int i = 0; i < 4; i++)
        cr_stack_push(&hot, tops[i]);
    EXPECT(cr_stacks_set_aside(stacks, 1));
    EXPECT_EQ(cr_stacks_in_use(stacks), 0);
    EXPECT(take(stacks) == tops[3] && hot == NULL);
    EXPECT(take(stacks) == tops[2]);
    EXPECT(!cr_stacks_trim(stacks));
    EXPECT(resident(tops[1]));
    cr_stacks_free(stacks);
}

TEST(stack, trimming_nothing_does_nothing)
{
    cr_stacks *stacks = new_stacks(&cr_sys_real, 192 * KIB);
    EXPECT(!trim(stacks, 0));
    char *top = take(stacks);
    EXPECT(!trim(stacks, 0));
    cr_stack_push(&hot, top);
    EXPECT(!trim(stacks, 1));
    EXPECT(hot == top);
    cr_stacks_free(stacks);
}

TEST(stack, without_memory_to_note_cold_ones_they_stay_hot)
{
    cr_sys sys = table();
    cr_stacks *stacks = new_stacks(&sys, 192 * KIB);
    char *top = take(stacks);
    char *other = take(stacks);
    cr_stack_push(&hot, top);
    cr_stack_push(&hot, other);
    doors.allocs_left = 0;
    EXPECT(!trim(stacks, 0));
    EXPECT(take(stacks) == other);
    EXPECT(take(stacks) == top);
    cr_stacks_free(stacks);
}

TEST(stack, guards_and_pages_go_many_in_one_call)
{
    if (getenv("TEST_EMULATED") != NULL)
        test_skip("the emulator has no guard markers");
    cr_sys sys = table();
    cr_stacks *stacks = new_stacks(&sys, 192 * KIB);
    for (int i = 0; i < 16 + 32 + 64 + 128; i++)
        take(stacks);
    EXPECT(doors.many_calls <= 2 * (16 + 32 + 64 + 128) / STEP);
    EXPECT(doors.one_calls == 0 || doors.many_calls <= 1); /* one try where it is not allowed */
    cr_stacks_free(stacks);
}

TEST(stack, is_guarded_one_by_one_where_the_kernel_cannot_do_many)
{
    for (int way = 0; way < 2; way++) {
        cr_sys sys = table();
        doors.no_many = way == 0;
        doors.short_many = way == 1;
        doors.one_calls = 0;
        cr_stacks *stacks = new_stacks(&sys, 192 * KIB);
        char *low;
        char *high;
        for (int i = 0; i < 20; i++)
            bounds(stacks, take(stacks), &low, &high);
        EXPECT(deadly(low - 1) && deadly(low - 64 * KIB));
        if (getenv("TEST_EMULATED") == NULL)
            EXPECT(doors.one_calls >= 20);
        cr_stacks_free(stacks);
    }
}

TEST(stack, is_guarded_by_protection_where_there_are_no_markers)
{
    cr_sys sys = table();
    doors.no_markers = true;
    cr_stacks *stacks = new_stacks(&sys, 192 * KIB);
    char *low;
    char *high;
    for (int i = 0; i < 20; i++)
        bounds(stacks, take(stacks), &low, &high);
    EXPECT(deadly(low - 1) && deadly(low - 64 * KIB) && !deadly(low));
    size_t slots;
    size_t mappings;
    cr_stacks_statistics(stacks, &slots, &mappings);
    EXPECT(slots == 24 || slots == 20); /* in steps of eight, or one by one */
    EXPECT_EQ(mappings, 2 + 2 * 24);    /* two slabs, and 24 guarded slots */
    cr_stacks_free(stacks);
}

TEST(stack, is_guarded_by_protection_where_markers_are_accepted_but_not_made)
{
    cr_sys sys = table();
    doors.lies = true;
    cr_stacks *stacks = new_stacks(&sys, 192 * KIB);
    char *low;
    char *high;
    bounds(stacks, take(stacks), &low, &high);
    EXPECT(deadly(low - 1) && deadly(low - 64 * KIB));
    cr_stacks_free(stacks);
}

TEST(stack, stops_with_one_line_at_half_of_the_mappings_the_process_may_have)
{
    cr_sys sys = table();
    doors.no_markers = true;
    doors.map_count = "400\n";
    cr_stacks *stacks = new_stacks(&sys, 48 * KIB);
    char *tops[100];
    test_capture();
    for (int i = 0; i < 100; i++)
        tops[i] = take(stacks);
    EXPECT_STR(test_captured(), "");
    test_capture();
    EXPECT_EQ(cr_stacks_refill(stacks), -ENOMEM);
    EXPECT_EQ(cr_stacks_refill(stacks), -ENOMEM);
    const char *said = test_captured();
    EXPECT_CONTAINS(said, "crank: no more stacks");
    EXPECT_CONTAINS(said, "100 stacks hold half of vm.max_map_count");
    EXPECT(strchr(said, '\n') == said + strlen(said) - 1);
    cr_stack_push(&hot, tops[7]);
    EXPECT(take(stacks) == tops[7]);
    cr_stacks_free(stacks);
}

TEST(stack, the_limit_is_the_processs_and_is_given_back_with_the_pool)
{
    cr_sys sys = table();
    doors.no_markers = true;
    doors.map_count = "400\n";
    cr_stacks *stacks = new_stacks(&sys, 48 * KIB);
    for (int i = 0; i < 100; i++)
        take(stacks);
    void *other_hot;
    cr_stacks *others;
    EXPECT_EQ(cr_stacks_new(&sys, 48 * KIB, &other_hot, &others), 0);
    test_capture();
    EXPECT_EQ(cr_stacks_refill(others), -ENOMEM);
    EXPECT_CONTAINS(test_captured(), "no more stacks");
    cr_stacks_free(stacks);
    int more = 0; /* those that were refused do not count */
    for (; cr_stacks_refill(others) == 0; more++)
        cr_stack_pop(&other_hot);
    EXPECT_EQ(more, 100);
    cr_stacks_free(others);
}

static void take_many_where_the_file_says(const char *text)
{
    cr_sys sys = table();
    doors.no_markers = true;
    doors.map_count = text;
    cr_stacks *stacks = new_stacks(&sys, 48 * KIB);
    for (int i = 0; i < MANY; i++)
        take(stacks);
    cr_stacks_free(stacks);
}
TEST(stack, an_unreadable_limit_is_the_kernels_default) { take_many_where_the_file_says("nonsense\n"); }
TEST(stack, a_limit_that_is_cut_short_is_the_kernels_default) { take_many_where_the_file_says("4"); }

TEST(stack, that_cannot_be_protected_is_not_handed_out)
{
    cr_sys sys = table();
    doors.no_markers = true;
    doors.protects_left = 5;
    cr_stacks *stacks = new_stacks(&sys, 48 * KIB);
    for (int i = 0; i < 5; i++)
        take(stacks);
    EXPECT_EQ(cr_stacks_refill(stacks), -ENOMEM);
    doors.protects_left = 1;
    EXPECT_EQ(cr_stacks_refill(stacks), 0);
    cr_stacks_free(stacks);
}

TEST(stack, failed_mappings_are_an_error_and_nothing_more)
{
    cr_sys sys = table();
    doors.maps_left = 0;
    cr_stacks *stacks = new_stacks(&sys, 192 * KIB);
    EXPECT_EQ(cr_stacks_refill(stacks), -ENOMEM);
    EXPECT(hot == NULL);
    doors.maps_left = 1;
    for (int i = 0; i < 16; i++)
        take(stacks);
    EXPECT_EQ(cr_stacks_refill(stacks), -ENOMEM);
    doors.maps_left = 1;
    EXPECT_EQ(cr_stacks_refill(stacks), 0);
    cr_stacks_free(stacks);
}

TEST(stack, slabs_are_smaller_where_address_space_is_short)
{
    cr_sys sys = table();
    doors.map_largest = 16 * 260 * KIB;
    cr_stacks *stacks = new_stacks(&sys, 192 * KIB);
    for (int i = 0; i < 100; i++)
        take(stacks);
    cr_stacks_free(stacks);
}

TEST(stack, a_pool_without_memory_is_an_error)
{
    cr_sys sys = table();
    doors.allocs_left = 0;
    cr_stacks *stacks = NULL;
    EXPECT_EQ(cr_stacks_new(&sys, 192 * KIB, &hot, &stacks), -ENOMEM);
    EXPECT(stacks == NULL);
    cr_stacks_free(NULL);
}
