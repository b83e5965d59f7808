/* SPDX-License-Identifier: MIT */
/* E30: calculate in another thread: the loop goes on ticking meanwhile.
 *
 * asyncio.to_thread(calc_pi, 10**7). Called directly, calc_pi would hold the loop to its end.
 * Under the simulator a thread's job takes no time at all, so the time is 0 there and nothing can
 * tick. */
#include "../support/calc_pi.h"
#include "../support/shortest.h"

#include <crank.h>
#include <stdio.h>

static int ticker(int *ticks)
{
    for (;;) {
        crank_try(crank_sleep(0.001));
        ++*ticks;
    }
}

static int app(void)
{
    char text[32];
    int ticks = 0;
    double started = crank_time();

    CRANK_GROUP(background);
    crank_group_spawn(&background, ticker, &ticks);

    double pi = crank_await_double(crank_to_thread(calc_pi, 10000000));
    printf("Value of π: %s\n", shortest(pi, text));
    printf("that took %s seconds\n", shortest(crank_time() - started, text));
    printf("the loop ticked %d times meanwhile\n", ticks);
    return 0; /* the group cancels the ticker here */
}

int main(void) { return crank_run(app); }
