/* SPDX-License-Identifier: MIT */
/* E24: the other direction: a generator that prints whatever is sent to it (x = yield). */
#include <crank.h>
#include <stdio.h>

static int printer(void)
{
    for (;;) {
        const char *x;
        crank_try(crank_receive(&x));
        puts(x);
    }
}

static int app(void)
{
    CRANK_AUTO_GENERATOR crank_generator *p = crank_generate(printer);

    crank_try(crank_next(p, NULL)); /* it has to come to its first receive */
    crank_try(crank_send(p, "Mercury", NULL));
    crank_try(crank_send(p, "Venus", NULL));
    crank_try(crank_send(p, "Earth", NULL));
    return 0;
}

int main(void) { return crank_run(app); }
