/* SPDX-License-Identifier: MIT */
/* X02: the Fibonacci numbers up to a bound, as a loop over a generator that takes an argument.
 *
 * usage: x02_fibonacci [bound]    (1000) */
#include <crank.h>
#include <stdio.h>
#include <stdlib.h>

static int fib(long bound)
{
    for (long a = 1, b = 1; a <= bound;) {
        crank_try(crank_yield(a));
        long sum = a + b;
        a = b;
        b = sum;
    }
    return 0;
}

static int app(long bound)
{
    crank_foreach(long, n, crank_generate(fib, bound)) printf("%ld\n", n);
    return 0;
}

int main(int argc, char **argv)
{
    long bound = argc > 1 ? atol(argv[1]) : 1000;
    return crank_run(app, bound < 4000000000000000000 ? bound : 4000000000000000000);
}
