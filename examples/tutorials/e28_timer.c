/* SPDX-License-Identifier: MIT */
/* E28: time a block: async with timer() as t, a scope that ends by itself, come what may.
 *
 * Python's async context manager is a declaration in C, as crank's own scopes are: WITH_TIMER(t)
 * holds from here to the end of the block. The cleanup attribute of gcc and clang runs its end
 * however the block is left: at its brace, by break, or by a crank_try that returns. The figure is
 * printed as Python's repr prints it: with the fewest digits that read back as the same double. */
#include "../support/shortest.h"

#include <crank.h>
#include <stdio.h>

struct elapsed {
    double time;
};

struct timer {
    struct elapsed *elapsed;
    double started;
};

/* The clock counts nanoseconds: what lies below them is the noise of subtracting two doubles. */
static void timer_end(struct timer *timer)
{
    double nanoseconds = (crank_time() - timer->started) * 1e9;
    timer->elapsed->time = (double)(long)(nanoseconds + 0.5) / 1e9;
}

#define WITH_TIMER(elapsed) \
    __attribute__((cleanup(timer_end), unused)) struct timer timer_scope = { (elapsed), crank_time() }

static int fails_after(double seconds, struct elapsed *elapsed)
{
    WITH_TIMER(elapsed);
    crank_try(crank_sleep(seconds));
    return crank_fail(EIO, "on purpose");
}

static int app(void)
{
    struct elapsed t;
    char text[32];

    {
        WITH_TIMER(&t);
        crank_try(crank_sleep(0.2));
    }
    printf("that took %s seconds\n", shortest(t.time, text));

    int err = fails_after(0.5, &t);
    printf("%s after %s seconds\n", crank_errno_name(err), shortest(t.time, text));
    return 0;
}

int main(void) { return crank_run(app); }
