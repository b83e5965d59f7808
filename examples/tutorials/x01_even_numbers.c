/* SPDX-License-Identifier: MIT */
/* X01: all even numbers out of integers(), written as a loop and as a filter. */
#include <crank.h>
#include <stdio.h>

static int integers(void)
{
    for (int a = 1;; a++)
        crank_try(crank_yield(a));
}

/* for i in integers(): if i % 2 == 0: yield i */
static int even_integers(void)
{
    crank_foreach(int, i, crank_generate(integers))
    {
        if (i % 2 == 0)
            crank_try(crank_yield(i));
    }
    return 0;
}

static bool is_even(int i) { return i % 2 == 0; }

static int print_ten(crank_generator *numbers)
{
    const char *separator = "";
    crank_foreach(int, i, crank_take(numbers, 10))
    {
        printf("%s%d", separator, i);
        separator = " ";
    }
    puts("");
    return 0;
}

static int app(void)
{
    crank_try(print_ten(crank_generate(even_integers)));
    /* (i for i in integers() if i % 2 == 0) */
    crank_try(print_ten(crank_filter(int, crank_generate(integers), is_even)));
    return 0;
}

int main(void) { return crank_run(app); }
