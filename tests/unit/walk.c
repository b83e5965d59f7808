/* SPDX-License-Identifier: MIT */
/* walk.c: the calls that stand on the copy of a stack, found with and without frame pointers; a code address in
 * words. */
#include "base/symbolize.h"
#include "base/valgrind.h"
#include "inspect/walk.h"
#include "test.h"

static cr_stack_copy copy;

/* A stack of words from an address that is nobody's; code is what returns to here. */
enum { SP = 0x10000, WORDS = 256 };
static void fresh(void)
{
    memset(&copy, 0, sizeof copy);
    copy.pc = (uintptr_t)fresh;
    copy.sp = SP;
    copy.count = WORDS;
    copy.top = SP + WORDS * sizeof(uint64_t);
}
static void put(size_t at, uint64_t saved, uintptr_t returned_to)
{
    copy.words[at] = saved;
    copy.words[at + 1] = returned_to;
}
static uintptr_t address(size_t at) { return SP + at * sizeof(uint64_t); }
__attribute__((noinline)) static uintptr_t here(void) { return (uintptr_t)__builtin_return_address(0); }

static cr_frame frames[16];
static void expect_frames(size_t count, const bool *sure)
{
    EXPECT_EQ(cr_walk(&copy, frames, CRANK_COUNT(frames)), count);
    for (size_t i = 0; i < count; i++)
        EXPECT_EQ(frames[i].sure, sure[i]);
}

TEST(walk, follows_frame_pointers_to_the_base)
{
    fresh();
    uintptr_t code = here();
    put(4, address(20), code);
    put(20, address(100), code);
    put(100, 0, code);
    copy.fp = address(4);
    expect_frames(4, (const bool[]){ true, true, true, true });
    EXPECT_EQ(frames[0].address, (uintptr_t)fresh);
    EXPECT_EQ(frames[3].address, code - 1);
}

TEST(walk, finds_the_chain_where_the_frame_pointer_is_not_known)
{
    fresh();
    uintptr_t code = here();
    copy.words[1] = code;        /* a function that keeps no frame pointer, and has saved a register that is 0 */
    put(6, address(3), code);    /* leads down */
    put(10, address(90), 12345); /* beside no code */
    put(20, address(100), code);
    put(100, 0, code);
    expect_frames(5, (const bool[]){ true, false, false, true, true });
}

TEST(walk, does_not_trust_a_frame_pointer_that_leads_nowhere)
{
    fresh();
    uintptr_t code = here();
    put(20, address(100), code);
    put(100, 0, code);
    copy.fp = 0xdeadbeef;
    expect_frames(3, (const bool[]){ true, true, true });
    copy.fp = address(50);
    expect_frames(3, (const bool[]){ true, true, true });
    copy.fp = address(20) + 1;
    expect_frames(3, (const bool[]){ true, true, true });
}

TEST(walk, ends_at_the_record_that_is_known_to_be_the_last)
{
    fresh();
    uintptr_t code = here();
    copy.last = copy.top - 16;
    put(8, address(30), code);
    put(30, copy.last, code);
    put(WORDS - 2, 12345, code);
    put(2, copy.last + 8, code); /* leads elsewhere */
    expect_frames(5, (const bool[]){ true, false, true, true, true });
}

TEST(walk, of_a_stack_longer_than_the_copy_takes_what_there_is)
{
    fresh();
    uintptr_t code = here();
    copy.top += 100000;
    put(8, address(30), code);
    put(30, address(3000), code);
    expect_frames(3, (const bool[]){ true, true, true });
}

TEST(walk, without_a_stack_gives_the_program_counter_and_without_that_nothing)
{
    fresh();
    copy.top = 0;
    expect_frames(1, (const bool[]){ true });
    copy.pc = 0;
    EXPECT_EQ(cr_walk(&copy, frames, CRANK_COUNT(frames)), 0);
    EXPECT_EQ(cr_walk(&copy, frames, 0), 0);
}

TEST(walk, gives_no_more_than_there_is_room_for)
{
    fresh();
    uintptr_t code = here();
    for (size_t i = 0; i < 40; i++)
        put(4 + 4 * i, i < 39 ? address(8 + 4 * i) : 0, code);
    EXPECT_EQ(cr_walk(&copy, frames, 16), 16);
    EXPECT_EQ(cr_walk(&copy, frames, 1), 1);
}

static int data;
TEST(place, knows_where_a_call_returns_to)
{
    EXPECT(cr_symbolize_is_return(here()));
    EXPECT(!cr_symbolize_is_return((uintptr_t)&data));
    EXPECT(!cr_symbolize_is_return((uintptr_t)&frames));
    EXPECT(!cr_symbolize_is_return(0));
    EXPECT(!cr_symbolize_is_return(UINTPTR_MAX));
}

TEST(place, is_a_file_and_an_offset_or_a_bare_number)
{
    char text[200];
    char begins[128];
    snprintf(begins, sizeof begins, "%s+0x", program_invocation_short_name);
    EXPECT(cr_symbolize_print(here(), text, sizeof text) == strlen(text));
    EXPECT_CONTAINS(text, begins);
    EXPECT_EQ(cr_symbolize_print(0x1234, text, sizeof text), 6);
    EXPECT_STR(text, "0x1234");
    EXPECT(cr_symbolize_print(here(), text, 4) > 4); /* as snprintf */
    EXPECT_EQ(strlen(text), 3);
}

/* ---- by the tables */

/* The stack from the caller's frame up, as it is now, others' frames included: no sanitizer need say so. */
CR_RACY static void copy_here(uintptr_t top, bool with_fp)
{
    const uint64_t *from = __builtin_frame_address(0);
    memset(&copy, 0, sizeof copy);
    copy.pc = (uintptr_t)__builtin_return_address(0);
    copy.sp = (uintptr_t)(from + 2);
    copy.fp = with_fp ? (uintptr_t)from[0] : 0;
    copy.top = top;
    for (; copy.sp + copy.count * 8 < top && copy.count < CRANK_COUNT(copy.words); copy.count++)
        copy.words[copy.count] = ((const volatile uint64_t *)copy.sp)[copy.count];
    (void)VALGRIND_MAKE_MEM_DEFINED(copy.words, copy.count * 8);
}
static volatile int sink;
__attribute__((noinline)) static void inner(uintptr_t top, bool with_fp)
{
    volatile char room[200];
    room[0] = 1;
    copy_here(top, with_fp);
    sink = room[0];
}
#if __has_attribute(optimize)
__attribute__((optimize("omit-frame-pointer")))
#endif
__attribute__((noinline, unused)) static void
outer(uintptr_t top, bool with_fp)
{
    inner(top, with_fp);
    sink++;
}
__attribute__((unused)) static void expect_in(size_t frame, void (*fn)(uintptr_t, bool))
{
    EXPECT(frames[frame].address >= (uintptr_t)fn && frames[frame].address < (uintptr_t)fn + 300);
    EXPECT(frames[frame].sure);
}
#if defined(__x86_64__)
TEST(walk, goes_by_the_tables_where_there_are_no_frame_pointers)
{
    outer((uintptr_t)__builtin_frame_address(0) + 16, true);
    size_t count = cr_walk(&copy, frames, CRANK_COUNT(frames));
    EXPECT(count >= 3);
    expect_in(0, inner);
    expect_in(1, outer);
    EXPECT(frames[2].sure); /* this test */
}
#endif
