/* SPDX-License-Identifier: MIT */
/* E23: a slice of the integers as a list: crank_take and crank_collect.
 *
 * The tutorial writes islice(integers(), 0, 10), which alone would print an iterator object; what
 * it shows is the list. crank_collect fills an array and closes the source. */
#include <crank.h>
#include <stdio.h>

static int integers(void)
{
    for (int a = 1;; a++)
        crank_try(crank_yield(a));
}

static int app(void)
{
    int list[10];
    ssize_t n = crank_try(crank_collect(crank_take(crank_generate(integers), 10), list, 10));

    for (ssize_t i = 0; i < n; i++)
        printf("%s%d", i == 0 ? "[" : ", ", list[i]);
    puts("]");
    return 0;
}

int main(void) { return crank_run(app); }
