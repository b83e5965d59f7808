/* SPDX-License-Identifier: MIT */
/* E31: a hundred million points in one thread (2.33 seconds in the tutorial).
 *
 * Under the simulator a thread's job takes no virtual time: it says 0.0 seconds. */
#include "../support/calc_pi.h"
#include "../support/shortest.h"

#include <crank.h>
#include <stdio.h>

static int app(void)
{
    char text[32];
    double started = crank_time();

    double pi = crank_await_double(crank_to_thread(calc_pi, 100000000));
    printf("Value of π: %s\n", shortest(pi, text));
    printf("that took %s seconds\n", shortest(crank_time() - started, text));
    return 0;
}

int main(void) { return crank_run(app); }
