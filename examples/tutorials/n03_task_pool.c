/* SPDX-License-Identifier: MIT */
/* N03: a task pool: a thousand jobs, never more than ten at once, the results in order. */
#include <crank.h>
#include <stdio.h>

enum { JOBS = 1000, AT_ONCE = 10 };

struct counts {
    int running;
    int most;
};

static long square(int i, struct counts *counts)
{
    if (++counts->running > counts->most)
        counts->most = counts->running;
    int err = crank_sleep(0.001 * (i % 7 + 1)); /* of different lengths: they end out of order */
    counts->running--;
    crank_try(err);
    return (long)i * i;
}

static int app(void)
{
    static long results[JOBS];
    struct counts counts = { 0, 0 };
    double started = crank_time();

    CRANK_POOL(pool, AT_ONCE);
    for (int i = 0; i < JOBS; i++)
        crank_pool_spawn(&pool, square, i, &counts);
    crank_try(crank_pool_wait(&pool, results, JOBS));

    long wrong = 0, slept = 0;
    for (long i = 0; i < JOBS; i++) {
        wrong += results[i] != i * i;
        slept += i % 7 + 1;
    }
    printf("%d jobs, at most %d at once, %ld results out of place\n", JOBS, counts.most, wrong);
    printf("%ld, %ld, %ld, ... %ld\n", results[0], results[1], results[2], results[JOBS - 1]);
    printf("(%.2f seconds; ", crank_time() - started);
    printf("one after another: %.2f)\n", 0.001 * (double)slept);
    return 0;
}

int main(void) { return crank_run(app); }
