/* SPDX-License-Identifier: MIT */
/* E02: the Fibonacci generator again, run step by step with crank_next.
 *
 * crank_next gives 1 with a value, 0 at the end (Python's StopIteration), or a negative errno when
 * the generator failed. fib never ends, so a check with crank_try is enough here. */
#include <crank.h>
#include <stdio.h>

static int fib(void)
{
    long a = 1, b = 1;
    for (;;) {
        crank_try(crank_yield(a));
        long sum = a + b;
        a = b;
        b = sum;
    }
}

static int app(void)
{
    CRANK_AUTO_GENERATOR crank_generator *x = crank_generate(fib);

    for (int i = 0; i < 20; i++) {
        long n;
        crank_try(crank_next(x, &n));
        printf("%8d %8ld\n", i, n); /* f"{i:8} {n:8}" */
    }
    return 0;
}

int main(void) { return crank_run(app); }
