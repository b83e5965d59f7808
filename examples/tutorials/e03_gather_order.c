/* SPDX-License-Identifier: MIT */
/* E03: two coroutines take turns with crank_sleep(0); gather collects their results.
 *
 * Python awaits; in C a waiting function is simply called. What runs beside it is spawned. A
 * function that returns a pointer says NULL when it fails, which is what crank_try_null is for. */
#include <crank.h>
#include <stdio.h>

static const char *fun_a(void)
{
    puts("Running coroutine *a*.");
    crank_try_null(crank_sleep(0));
    puts("Back in *a*.");
    return "result from *a*";
}

static const char *fun_b(void)
{
    puts("Running coroutine *b*.");
    crank_try_null(crank_sleep(0));
    puts("Back in *b*.");
    return "result from *b*";
}

static int app(void)
{
    const char *results[2];

    crank_try(crank_gather(results, crank_spawn(fun_a), crank_spawn(fun_b)));
    printf("['%s', '%s']\n", results[0], results[1]);
    return 0;
}

int main(void) { return crank_run(app); }
