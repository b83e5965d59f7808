/* SPDX-License-Identifier: MIT */
/* E05: await is a call: main goes on when foo has ended, one second later.
 *
 * Python's "await foo()" is C's "foo()". Should there be other tasks, they run while foo sleeps. */
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
    crank_try(foo());
    puts("All done!");
    printf("(%.2f seconds)\n", crank_time() - started);
    return 0;
}

int main(void) { return crank_run(app); }
