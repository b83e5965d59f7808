/* SPDX-License-Identifier: MIT */
/* E19: a sleeping generator knows the line at which it sleeps (g.gi_frame.f_lineno). */
#include <crank.h>
#include <stdio.h>

static int myfunc(void)
{
    crank_try(crank_yield(1));
    crank_try(crank_yield(2));
    return 0;
}

static int app(void)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(myfunc);
    int value;

    while (crank_try(crank_next(g, &value)) == 1)
        printf("%d, asleep at line %d\n", value, crank_generator_line(g));
    if (crank_generator_line(g) == 0)
        puts("ended: not suspended");
    return 0;
}

int main(void) { return crank_run(app); }
