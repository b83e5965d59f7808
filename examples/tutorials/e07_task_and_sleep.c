/* SPDX-License-Identifier: MIT */
/* E07: while main sleeps, its task runs: text comes before "All done!", two seconds in all. */
#include <crank.h>
#include <stdio.h>

static int foo(void)
{
    puts("text");
    return crank_sleep(1);
}

static int app(void)
{
    double started = crank_time();

    puts("hello there!");
    crank_task *task = crank_spawn(foo);
    crank_try(crank_sleep(2));
    puts("All done!");
    printf("(%.2f seconds)\n", crank_time() - started);
    return (int)crank_await(task);
}

int main(void) { return crank_run(app); }
