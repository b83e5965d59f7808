/* SPDX-License-Identifier: MIT */
/* late.c: a fault that shows when a timer is late. What is slow takes 20 ms and its time limit is 50 ms, so that on an
 * idle machine the limit never passes, and the program takes for granted that it does not. */
#include <crank.h>

static int slow(void)
{
    crank_try(crank_sleep(0.02));
    return crank_sleep(0.02);
}

static int app(void) { return crank_within(0.05, slow()); }

int main(void) { return crank_run(app); }
