/* SPDX-License-Identifier: MIT */
/* E01: the first twenty Fibonacci numbers, taken from a generator that never ends.
 *
 * Python: list(islice(fib(), 20)). The body of a generator is an ordinary function: a and b are
 * its locals and live on its own stack, so they are there again after every yield. crank_take_from
 * leaves the source to its owner, who may go on asking it. */
#include <crank.h>
#include <stdio.h>

static int fib(void)
{
    long a = 1, b = 1;
    for (;;) {
        crank_try(crank_yield(a)); /* fails when the generator is closed: so the loop ends */
        long sum = a + b;
        a = b;
        b = sum;
    }
}

static int app(void)
{
    CRANK_AUTO_GENERATOR crank_generator *numbers = crank_generate(fib);
    long list[20];
    ssize_t n = crank_try(crank_collect(crank_take_from(numbers, 20), list, CRANK_COUNT(list)));

    for (ssize_t i = 0; i < n; i++)
        printf("%ld%c", list[i], i + 1 < n ? ' ' : '\n');

    long next;
    crank_try(crank_next(numbers, &next));
    printf("and it can go on: %ld\n", next);
    return 0;
}

int main(void) { return crank_run(app); }
