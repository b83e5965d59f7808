/* SPDX-License-Identifier: MIT */
/* X03: the printer with line numbers: 001, 002, 003.
 *
 * The tutorial's solution forgets to count and prints 001 three times; this is what it means. */
#include <crank.h>
#include <stdio.h>

static int printer(void)
{
    for (int line = 1;; line++) {
        const char *x;
        crank_try(crank_receive(&x));
        printf("%03d %s\n", line, x);
    }
}

static int app(void)
{
    CRANK_AUTO_GENERATOR crank_generator *p = crank_generate(printer);

    crank_try(crank_next(p, NULL));
    crank_try(crank_send(p, "Mercury", NULL));
    crank_try(crank_send(p, "Venus", NULL));
    crank_try(crank_send(p, "Earth", NULL));
    return 0;
}

int main(void) { return crank_run(app); }
