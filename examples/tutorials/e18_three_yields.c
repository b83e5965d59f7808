/* SPDX-License-Identifier: MIT */
/* E18: the same function with yield: nothing runs at first, then 1, 2, 3, each when asked for.
 *
 * crank_generate gives an object; crank_next runs it to its next yield. The end is told apart from
 * a value by the result (0 instead of 1) where Python raises StopIteration; asking again says so
 * again. */
#include <crank.h>
#include <stdio.h>

static int myfunc(void)
{
    crank_try(crank_yield(1));
    crank_try(crank_yield(2));
    crank_try(crank_yield(3));
    return 0;
}

static int app(void)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(myfunc);
    char repr[200];
    int value;

    crank_generator_describe(g, repr, sizeof repr);
    puts(repr);
    while (crank_try(crank_next(g, &value)) == 1)
        printf("%d\n", value);
    printf("the end: %d, and still: %d\n", crank_next(g, &value), crank_next(g, &value));
    return 0;
}

int main(void) { return crank_run(app); }
