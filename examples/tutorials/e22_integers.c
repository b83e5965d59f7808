/* SPDX-License-Identifier: MIT */
/* E22: all the integers, until we have had enough: break closes the generator.
 *
 * Python's garbage collector tells a forgotten generator to stop existing, some time. In C it is
 * the end of the loop: the yield at which it sleeps returns -ECANCELED, and integers returns. */
#include <crank.h>
#include <stdio.h>

static int integers(void)
{
    for (int a = 1;; a++)
        crank_try(crank_yield(a));
}

static int app(void)
{
    crank_foreach(int, i, crank_generate(integers))
    {
        printf("%d\n", i);
        if (i > 10) /* or this would take a while */
            break;
    }
    return 0;
}

int main(void) { return crank_run(app); }
