/* SPDX-License-Identifier: MIT */
/* measure.h: what every measured program shares, ours and the peers': clocks, memory, chance and
 * the line it prints.
 *
 * Knows no runtime, so that the peers written in C and C++ include it too. One line per result,
 * `workload who value unit`; the driver reads them. The generator of chance and the Monte Carlo
 * kernel are the same in every language: equal work. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static inline double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* User and system time of the whole process. */
static inline double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double ns_each(double started, double n) { return (wall_seconds() - started) * 1e9 / n; }

/* A line of a file of procfs that gives kilobytes, in bytes. */
static inline double memory_line(const char *path, const char *field)
{
    char line[256];
    double kilobytes = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, (int)sizeof line, file))
        if (!strncmp(line, field, strlen(field)))
            kilobytes = (double)atol(line + strlen(field));
    fclose(file);
    return kilobytes * 1024;
}

/* A line of /proc/self/status: "VmHWM:", "VmRSS:", "VmPTE:". The kernel keeps the first two by
 * processor, and may be wrong by some hundred pages. */
static inline double memory_bytes(const char *field) { return memory_line("/proc/self/status", field); }

/* What is resident, page by page: exact, and slow. */
static inline double resident_bytes(void) { return memory_line("/proc/self/smaps_rollup", "Rss:"); }

/* Page faults so far that needed no disk. */
static inline double page_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_minflt;
}

static inline uint64_t chance(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}
#define CHANCE_SEED 88172645463325252u

/* Monte Carlo pi: how many of n points lie in the circle. */
static inline uint64_t pi_hits(uint64_t seed, uint64_t n)
{
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1, hits = 0;
    for (uint64_t i = 0; i < n; i++) {
        double x = (double)(chance(&state) >> 11) * (1.0 / 9007199254740992.0);
        double y = (double)(chance(&state) >> 11) * (1.0 / 9007199254740992.0);
        hits += x * x + y * y <= 1.0;
    }
    return hits;
}
#define PI_SAMPLES (1u << 25)

static inline void result(const char *workload, const char *who, double value, const char *unit)
{
    printf("%s %s %.6g %s\n", workload, who, value, unit);
    fflush(stdout);
}
#endif
