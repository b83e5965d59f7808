/* SPDX-License-Identifier: MIT */
/* E06: a task nobody awaits runs when main has returned, and the program waits for its end.
 *
 * The tutorial says that scheduled tasks always complete before the program ends. crank keeps that
 * promise: the children of a function that succeeded are awaited. asyncio.run does not: it cancels
 * what is left (the text appears, the sleep is cut short). Whoever wants that says CRANK_CANCEL. */
#include <crank.h>
#include <stdio.h>

static int foo(void)
{
    double started = crank_time();

    puts("text");
    int err = crank_sleep(1);
    printf("(foo %s after %.2f seconds)\n", err < 0 ? "was cancelled" : "has slept", crank_time() - started);
    return err;
}

static int app(void)
{
    puts("hello there!");
    crank_drop(crank_spawn(foo)); /* we do not want the result: the handle is given up */
    puts("All done!");
    return 0;
}

int main(void)
{
    int err = crank_run(app);

    puts("-- and with asyncio.run's rule, leftovers = CRANK_CANCEL:");
    crank_run_with(&(crank_options){ .leftovers = CRANK_CANCEL }, app);
    return err;
}
