/* SPDX-License-Identifier: MIT */
/* harness.c: what the harness promises a test that behaves. Tests that fail on purpose are in
 * tests/assurance/programs/leaks.c. */
#include "test.h"

TEST(harness, compares_numbers_strings_and_reals)
{
    EXPECT(sizeof(int) == 4);
    EXPECT_EQ(-1, -1L);
    EXPECT_STR("a", "a");
    EXPECT_CONTAINS("abc", "bc");
    EXPECT_NEAR(1.0, 1.01, 0.1);
}

TEST(harness, gives_back_what_was_written_to_stderr)
{
    test_capture();
    fprintf(stderr, "hello");
    EXPECT_STR(test_captured(), "hello");
    test_capture();
    EXPECT_STR(test_captured(), "");
}

TEST(harness, does_not_blame_memory_that_was_given_back)
{
    char *volatile memory = malloc(100);
    EXPECT(memory != NULL);
    memory = realloc(memory, 100000);
    EXPECT(memory != NULL);
    free(memory);
    void *aligned = NULL;
    EXPECT_EQ(posix_memalign(&aligned, 4096, 100), 0);
    EXPECT_EQ((uintptr_t)aligned % 4096, 0);
    free(aligned);
}

TEST_CHECKS_OUTSIDE(harness, takes_an_abort_that_says_what_it_should, "a sentence")
{
    fprintf(stderr, "crank: a sentence\n");
    abort();
}
