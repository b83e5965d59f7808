/* SPDX-License-Identifier: MIT */
/* printf_stack.c: crank_printf formats on the loop's stack: a task that then waits for long keeps no more of its own
 * than the page on which it waits. */
#include "base/base.h"
#include "base/valgrind.h"
#include "test.h"

enum { LOOKED_AT = 24 * 1024, FRAMES_DIFFER = 256, MARK = 0x5a, NOT_MUCH = 2048 };

#define FORMAT "%f %.40Lf %s\n"

/* Two functions with almost one frame: what one has written into it the other reads, but for what ran in between. */
static CR_NOINLINE void mark_stack(void)
{
    unsigned char area[LOOKED_AT];
    memset(area, MARK, sizeof area);
    __asm__ volatile("" : : "r"(area) : "memory");
}
static CR_NOINLINE size_t stack_used(void)
{
    unsigned char area[LOOKED_AT];
    size_t clean = FRAMES_DIFFER;
    __asm__ volatile("" : "=m"(area));
    while (clean < sizeof area && area[clean] == MARK)
        clean++;
    return sizeof area - clean;
}

static int print_much(crank_stream *s)
{
    mark_stack();
    int err = crank_printf(s, FORMAT, 1e300, 1e-30L, "text");
    size_t used = stack_used();
    crank_try(err);
    if (used > NOT_MUCH)
        printf("%zu bytes of the stack\n", used);
    EXPECT(used <= NOT_MUCH);
    return 0;
}
TEST_EACH_BACKEND(printf, of_numbers_takes_little_of_the_tasks_stack)
{
#ifndef __OPTIMIZE__
    test_skip("the frames of a build without optimisation are larger");
#endif
    if (CR_SWITCH_SANITIZED || RUNNING_ON_VALGRIND)
        test_skip("the stack is the tool's as well");
    crank_stream *a, *b;
    crank_try(crank_socket_pair(&a, &b));
    crank_try(crank_await(crank_spawn(print_much, a)));
    char line[1024], expected[1024];
    EXPECT(crank_read_line(b, line, sizeof line) > 300);
    snprintf(expected, sizeof expected, FORMAT, 1e300, 1e-30L, "text");
    EXPECT_STR(line, expected);
    crank_try(crank_close(a));
    return crank_close(b);
}
