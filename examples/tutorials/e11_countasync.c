/* SPDX-License-Identifier: MIT */
/* E11: three counters at once take one second, not three (countasync.py). */
#include <crank.h>
#include <stdio.h>

static int count(void)
{
    puts("One");
    crank_try(crank_sleep(1));
    puts("Two");
    return 0;
}

static int app(void)
{
    double started = crank_time();

    crank_try(crank_gather(NULL, crank_spawn(count), crank_spawn(count), crank_spawn(count)));
    printf("countasync.c exec in %0.2f seconds.\n", crank_time() - started);
    return 0;
}

int main(void) { return crank_run(app); }
