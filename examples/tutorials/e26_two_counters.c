/* SPDX-License-Identifier: MIT */
/* E26: two counters at once: the scheduler alternates them, in one thread, in the time of one. */
#include <crank.h>
#include <stdio.h>

static int counter(const char *name)
{
    for (int i = 0; i < 5; i++) {
        printf("%-10s %03d\n", name, i);
        crank_try(crank_sleep(0.2));
    }
    return 0;
}

static int app(void)
{
    double started = crank_time();

    crank_try(crank_gather(NULL, crank_spawn(counter, "Earth"), crank_spawn(counter, "Moon")));
    printf("(%.2f seconds)\n", crank_time() - started);
    return 0;
}

int main(void) { return crank_run(app); }
