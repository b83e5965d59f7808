/* SPDX-License-Identifier: MIT */
/* X04: gather two calculations in threads: both take the time of one, where there are two cores.
 *
 * Under the simulator a thread's job takes no virtual time: it says 0.0 seconds. */
#include "../support/calc_pi.h"
#include "../support/shortest.h"

#include <crank.h>
#include <stdio.h>

static int app(void)
{
    char text[32];
    double one, both[2], started = crank_time();

    crank_try(crank_gather(&one, crank_to_thread(calc_pi, 10000000)));
    printf("one  took %s seconds\n", shortest(crank_time() - started, text));

    started = crank_time();
    crank_try(crank_gather(both, crank_to_thread(calc_pi, 10000000), crank_to_thread(calc_pi, 10000000)));
    printf("both took %s seconds\n", shortest(crank_time() - started, text));
    printf("[%s, ", shortest(both[0], text));
    printf("%s]\n", shortest(both[1], text));
    return 0;
}

int main(void) { return crank_run(app); }
