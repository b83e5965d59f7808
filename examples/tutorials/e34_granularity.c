/* SPDX-License-Identifier: MIT */
/* E34: how fine may work be cut? 2**25 points in 1 to 4096 jobs, a plot, and the overhead per job.
 *
 * usage: e34_granularity [file.svg [log2 of points]]    (asyncio-timings.svg, 25)
 *
 * Each split is timed three times and the best is kept (once under the simulator, where one thread
 * runs at a time). The time is the real one, also under the simulator: it is what is being
 * measured. The overhead is the slope of a least-squares fit of
 *
 *     time = work * (share of the busiest core) + overhead * jobs
 *
 * to the splits that occupy every worker, each counting by its relative error, as the eye sees it
 * on a logarithmic scale. Jobs without work say the same more directly. The tutorial's plot dips at
 * about 10 jobs because its machine had 4 to 8 cores: ours says how many. */
#define _POSIX_C_SOURCE 200809L
#include "../support/calc_pi.h"
#include "../support/plot.h"

#include <crank.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SPLITS = 13, MAX_JOBS = 1 << (SPLITS - 1), WORKERS = 32 };

struct fit {
    double work;
    double overhead;
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int calc_pi_split(long jobsize, size_t njobs)
{
    static crank_task *jobs[MAX_JOBS];
    static double estimates[MAX_JOBS];

    for (size_t i = 0; i < njobs; i++)
        jobs[i] = crank_to_thread(calc_pi, jobsize);
    return crank_gather_n(jobs, njobs, estimates);
}

static int measure(long points, double *njobs, double *times)
{
    int repeats = strcmp(crank_backend_name(), "sim") == 0 ? 1 : 3;

    crank_try(calc_pi_split(points / 16, 16));   /* the threads are there when the clock starts */
    for (int n = 0; n < repeats * SPLITS; n++) { /* once through all, again: a busy spell hits all */
        int i = n % SPLITS;
        long jobsize = points >> i;
        if (n < SPLITS)
            printf("%ld - %ld\n", jobsize, 1L << i);
        double started = seconds();
        crank_try(calc_pi_split(jobsize, (size_t)1 << i));
        double took = seconds() - started;
        times[i] = n < SPLITS || took < times[i] ? took : times[i];
        njobs[i] = (double)(1L << i);
    }
    return 0;
}

/* What part of the work the busiest core has to do when it comes in so many equal jobs. */
static double busiest_share(double njobs, double cores)
{
    long rounds = (long)((njobs + cores - 1) / cores);
    return (double)rounds / njobs;
}

/* Least squares in two unknowns, each equation divided by its time: the normal equations. Fewer
 * jobs than workers are left out: how many cores those get depends on what else the machine does. */
static struct fit fit_overhead(const double *njobs, const double *times, double cores)
{
    double ss = 0, sj = 0, jj = 0, s1 = 0, j1 = 0;

    for (int i = 0; i < SPLITS; i++) {
        if (njobs[i] < fmin(cores + 4, WORKERS))
            continue;
        double share = busiest_share(njobs[i], cores) / times[i], jobs = njobs[i] / times[i];
        ss += share * share;
        sj += share * jobs;
        jj += jobs * jobs;
        s1 += share;
        j1 += jobs;
    }
    double determinant = ss * jj - sj * sj;
    return (struct fit){ (s1 * jj - j1 * sj) / determinant, (ss * j1 - sj * s1) / determinant };
}

/* The seconds one of MAX_JOBS jobs takes that have nothing to do. */
static int measure_no_work(double *ret_seconds)
{
    *ret_seconds = INFINITY;
    for (int repeat = 0; repeat < 3; repeat++) {
        double started = seconds();
        crank_try(calc_pi_split(0, MAX_JOBS));
        *ret_seconds = fmin(*ret_seconds, (seconds() - started) / MAX_JOBS);
    }
    return 0;
}

static int draw(const char *path, const double *njobs, const double *times, struct fit fit, double cores)
{
    double ideal[SPLITS], tutorial[SPLITS];
    char subtitle[160], overhead[64] = "overhead lost in the noise of other programs";

    for (int i = 0; i < SPLITS; i++) {
        ideal[i] = fit.work * busiest_share(njobs[i], cores);
        tutorial[i] = ideal[i] + 100e-6 * njobs[i];
    }
    if (fit.overhead > 0)
        snprintf(overhead, sizeof overhead, "overhead %.2f µs per job", 1e6 * fit.overhead);
    snprintf(
        subtitle, sizeof subtitle, "crank %s on %ld cores, %s", CRANK_VERSION, sysconf(_SC_NPROCESSORS_ONLN), overhead);
    const struct plot_series series[] = {
        { "measured", "#0b6e99", njobs, times, SPLITS, false },
        { "ideal: no overhead", "#b5651d", njobs, ideal, SPLITS, true },
        { "at the tutorial's 100 µs per job", "#8595a5", njobs, tutorial, SPLITS, true },
    };
    return plot_write(&(struct plot){ "The same work in more and more jobs", subtitle, "njobs", "time (seconds)",
                          series, CRANK_COUNT(series) },
        path);
}

static int app(const char *path, long points)
{
    double njobs[SPLITS], times[SPLITS], no_work;
    double cores = fmin((double)sysconf(_SC_NPROCESSORS_ONLN), WORKERS);

    if (strcmp(crank_backend_name(), "sim") == 0)
        cores = 1;
    crank_try(measure(points, njobs, times));
    crank_try(measure_no_work(&no_work));
    struct fit fit = fit_overhead(njobs, times, cores);
    if (fit.overhead > 0)
        printf("overhead: %.2f µs per job\n", 1e6 * fit.overhead);
    else
        puts("overhead: less than the noise of this busy machine");
    printf("without work: %.2f µs per job\n", 1e6 * no_work);

    int err = draw(path, njobs, times, fit, cores);
    if (err < 0)
        return crank_fail(err, "%s: %s", path, strerror(-err));
    printf("plot: %s\n", path);
    return 0;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "asyncio-timings.svg";
    int log2_points = argc > 2 ? atoi(argv[2]) : 25;

    if (log2_points < SPLITS - 1 || log2_points > 40) {
        fprintf(stderr, "e34_granularity: log2 of points is 12 to 40\n");
        return 2;
    }
    return crank_run(app, path, 1L << log2_points);
}
