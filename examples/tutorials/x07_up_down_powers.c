/* SPDX-License-Identifier: MIT */
/* X07: three tasks count up, down and in powers; their lines come out intertwined. */
#include <crank.h>
#include <stdio.h>

static int up(int maximum)
{
    for (int i = 0; i <= maximum; i++) {
        printf("up %d\n", i);
        crank_try(crank_sleep(0)); /* let everyone else have a turn */
    }
    return 0;
}

static int down(int maximum)
{
    for (int i = maximum; i >= 0; i--) {
        printf("down %d\n", i);
        crank_try(crank_sleep(0));
    }
    return 0;
}

static int powers(int n)
{
    for (long power = 0, value = 1; power <= 7; power++, value *= n) {
        printf("powers %ld\n", value);
        crank_try(crank_sleep(0));
    }
    return 0;
}

static int app(void) { return crank_gather(NULL, crank_spawn(up, 3), crank_spawn(down, 3), crank_spawn(powers, 2)); }

int main(void) { return crank_run(app); }
