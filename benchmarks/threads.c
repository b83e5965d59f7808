/* SPDX-License-Identifier: MIT */
/* threads.c: ordinary functions on worker threads, with the pool a program gets by default.
 * Unpinned: the driver lets these processes use every core. Whoever waits for a thread by spinning
 * pays in CPU, so that is printed beside the time. */
#include "workloads.h"

static int do_nothing(void) { return 0; }

int bench_thread_seq(void)
{
    const long n = (long)times(100000);
    crank_try(crank_await(crank_to_thread(do_nothing)));
    double cpu = cpu_seconds(), started = wall_seconds();
    for (long i = 0; i < n; i++)
        crank_try(crank_await(crank_to_thread(do_nothing)));
    double each = ns_each(started, (double)n);
    result("thread_seq", WHO, each / 1e3, "us");
    result("thread_seq_cpu", WHO, (cpu_seconds() - cpu) * 1e6 / (double)n, "us");
    return 0;
}

int bench_thread_gather(void)
{
    const size_t n = times(10000);
    crank_task **tasks = task_array(n);
    crank_try(crank_await(crank_to_thread(do_nothing)));
    double started = wall_seconds();
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_to_thread(do_nothing);
    crank_try(crank_gather_n(tasks, n, (void *)NULL));
    result("thread_gather", WHO, ns_each(started, (double)n) / 1e3, "us");
    free(tasks);
    return 0;
}

static long count_hits(long job, unsigned long samples) { return (long)pi_hits((uint64_t)job, samples); }

int bench_pi(int jobs)
{
    size_t n = (size_t)jobs;
    crank_task **tasks = task_array(n);
    long *hits = calloc(n, sizeof *hits);
    char name[32];
    snprintf(name, sizeof name, "pi_%d", jobs);
    crank_try(crank_await(crank_to_thread(do_nothing)));

    double started = wall_seconds();
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_to_thread(count_hits, (long)i, (unsigned long)(PI_SAMPLES / n));
    crank_try(crank_gather_n(tasks, n, hits));
    result(name, WHO, (wall_seconds() - started) * 1e3, "ms");

    double inside = 0;
    for (size_t i = 0; i < n; i++)
        inside += (double)hits[i];
    free(hits);
    free(tasks);
    double pi = 4 * inside / PI_SAMPLES;
    return pi > 3.13 && pi < 3.15 ? 0 : crank_fail(EPROTO, "pi came out as %g", pi);
}
