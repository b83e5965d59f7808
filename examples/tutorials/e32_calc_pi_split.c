/* SPDX-License-Identifier: MIT */
/* E32: the same points in ten threads' jobs: faster by the number of cores (calc_pi_split).
 *
 * First E31 again, for the comparison. The tutorial's machine came from 2.33 to 0.588 seconds.
 * Under the simulator jobs take no time, and there is nothing to compare. */
#define _POSIX_C_SOURCE 200809L
#include "../support/calc_pi.h"
#include "../support/shortest.h"

#include <crank.h>
#include <stdio.h>
#include <unistd.h>

enum { MANY = 64 };

/* The mean of m estimates of n points each; negative on failure. */
static double calc_pi_split(long n, size_t m)
{
    crank_task *jobs[MANY];
    double list[MANY], sum = 0;

    for (size_t i = 0; i < m; i++)
        jobs[i] = crank_to_thread(calc_pi, n);
    int err = crank_gather_n(jobs, m, list);
    if (err < 0)
        return err;
    for (size_t i = 0; i < m; i++)
        sum += list[i];
    return sum / (double)m;
}

static double report(double pi, double started)
{
    double took = crank_time() - started;
    char text[32];

    printf("Value of π: %s\n", shortest(pi, text));
    printf("that took %s seconds\n", shortest(took, text));
    return took;
}

static int app(void)
{
    double started = crank_time();
    double whole = report(crank_await_double(crank_to_thread(calc_pi, 100000000)), started);

    started = crank_time();
    double split = report(calc_pi_split(10000000, 10), started);
    if (split > 0)
        printf("%.2f times as fast on %ld cores\n", whole / split, sysconf(_SC_NPROCESSORS_ONLN));
    return 0;
}

int main(void) { return crank_run(app); }
