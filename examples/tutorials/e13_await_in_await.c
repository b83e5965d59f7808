/* SPDX-License-Identifier: MIT */
/* E13: g waits for f and returns what f returned: two ordinary C functions.
 *
 * In Python both need "async def", and so does whoever calls them. In C the call of a waiting
 * function looks like any other call, and a function need not be marked to contain one. */
#include <crank.h>
#include <stdio.h>

static long f(void)
{
    crank_try(crank_sleep(0.1));
    return 42;
}

static long g(void)
{
    long r = crank_try(f()); /* pause here, come back when f is ready */
    return r;
}

static int app(void)
{
    printf("%ld\n", crank_try(g()));
    return 0;
}

int main(void) { return crank_run(app); }
