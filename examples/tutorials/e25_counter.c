/* SPDX-License-Identifier: MIT */
/* E25: a first program: count to five, 0.2 seconds a step. */
#include <crank.h>
#include <stdio.h>

static int counter(const char *name)
{
    for (int i = 0; i < 5; i++) {
        printf("%-10s %03d\n", name, i); /* f"{name:<10} {i:03}" */
        crank_try(crank_sleep(0.2));
    }
    return 0;
}

static int app(void)
{
    double started = crank_time();

    crank_try(counter("Venus"));
    printf("(%.2f seconds)\n", crank_time() - started);
    return 0;
}

int main(void) { return crank_run(app); }
