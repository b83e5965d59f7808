/* SPDX-License-Identifier: MIT */
/* E33: pi in a program of several files, whose Makefile builds it with an installed crank.
 *
 * usage: async_pi [points]    (100000000)
 *
 * The tutorial's module calc_pi: calc_pi.c is its calc_pi/numba.py, timer.h its async_timer.py,
 * and this file its calc_pi/async_pi.py. Under the simulator a thread's job takes no time. */
#include "calc_pi.h"
#include "timer.h"

#include <crank.h>
#include <stdio.h>
#include <stdlib.h>

enum { JOBS = 10 };

static int calc_pi_split(long n, double *ret_pi)
{
    crank_task *jobs[JOBS];
    double estimates[JOBS], sum = 0;

    for (int i = 0; i < JOBS; i++)
        jobs[i] = crank_to_thread(calc_pi, n);
    crank_try(crank_gather_n(jobs, JOBS, estimates));
    for (int i = 0; i < JOBS; i++)
        sum += estimates[i];
    *ret_pi = sum / JOBS;
    return 0;
}

static int app(long points)
{
    struct elapsed t;
    double pi;

    {
        WITH_TIMER(&t);
        pi = crank_await_double(crank_to_thread(calc_pi, points));
    }
    printf("Value of π: %.10g\nthat took %.6f seconds\n", pi, t.time);
    {
        WITH_TIMER(&t);
        crank_try(calc_pi_split(points / JOBS, &pi));
    }
    printf("Value of π: %.10g\nthat took %.6f seconds\n", pi, t.time);
    return 0;
}

int main(int argc, char **argv)
{
    long points = argc > 1 ? atol(argv[1]) : 100000000;

    if (points < JOBS) {
        fprintf(stderr, "usage: async_pi [points, at least %d]\n", JOBS);
        return 2;
    }
    return crank_run(app, points);
}
