/* SPDX-License-Identifier: MIT */
/* growth.c: does an operation cost the same among a million tasks as among a thousand?
 *
 * Processor time, for nothing here waits but the sleeps. Each operation is timed twice at each
 * size; the second time the memory is there, so its page faults, printed beside, are what the
 * program itself causes. What still grows then is the cache's: a task resumed among a million is
 * cold. */
#include "workloads.h"

static double cpu_ns_each(double started, double n) { return (cpu_seconds() - started) * 1e9 / n; }

typedef struct operation {
    const char *name;
    double (*each)(crank_task **tasks, size_t n); /* nanoseconds for one of n; negative errno */
} operation;

static double spawn_each(crank_task **tasks, size_t n)
{
    double started = cpu_seconds();
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(nothing);
    int err = crank_gather_n(tasks, n, (void *)NULL);
    return err < 0 ? err : cpu_ns_each(started, (double)n);
}

static int yield_while(const bool *more)
{
    while (*more)
        crank_try(crank_sleep(0));
    return 0;
}

/* The app's own crank_sleep(0) lets each of the others run once: one round of n switches. */
static double switch_each(crank_task **tasks, size_t n)
{
    const int rounds = n < 100000 ? (int)(1000000 / n) : 10;
    bool more = true;
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(yield_while, &more);
    crank_sleep(0);
    double started = cpu_seconds();
    for (int i = 0; i < rounds; i++)
        crank_sleep(0);
    double each = cpu_ns_each(started, (double)n * rounds);
    more = false;
    int err = crank_gather_n(tasks, n, (void *)NULL);
    return err < 0 ? err : each;
}

/* A sleep from spawn to end. */
static double sleep_each(crank_task **tasks, size_t n)
{
    uint64_t state = CHANCE_SEED;
    double started = cpu_seconds();
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(sleeper, 0.05 + (double)(chance(&state) % 1000) / 10000);
    int err = crank_gather_n(tasks, n, (void *)NULL);
    return err < 0 ? err : cpu_ns_each(started, (double)n);
}

static double cancel_each(crank_task **tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(sleeper, 3600);
    crank_sleep(0);
    double started = cpu_seconds();
    for (size_t i = 0; i < n; i++)
        crank_cancel(tasks[i]);
    for (size_t i = 0; i < n; i++)
        crank_await(tasks[i]);
    return cpu_ns_each(started, (double)n);
}

static int stand_in_line(crank_semaphore *line)
{
    crank_try(crank_semaphore_acquire(line));
    return 0;
}

/* Waking the first of n who stand in line; they run after the clock has stopped. */
static double wake_each(crank_task **tasks, size_t n)
{
    CRANK_SEMAPHORE(line, 0);
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(stand_in_line, line);
    crank_sleep(0);
    double started = cpu_seconds();
    for (size_t i = 0; i < n; i++)
        crank_semaphore_release(line);
    double each = cpu_ns_each(started, (double)n);
    int err = crank_gather_n(tasks, n, (void *)NULL);
    return err < 0 ? err : each;
}

/* Listing all tasks, for each of them. */
static double list_each(crank_task **tasks, size_t n)
{
    bool more = true;
    crank_task **listed = task_array(n + 1);
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(yield_while, &more);
    double started = cpu_seconds();
    size_t found = crank_tasks(listed, n + 1);
    double each = cpu_ns_each(started, (double)n);
    more = false;
    free(listed);
    int err = crank_gather_n(tasks, n, (void *)NULL);
    if (err < 0)
        return err;
    return found == n + 1 ? each : -EPROTO;
}

static const operation operations[] = {
    { "spawn", spawn_each },
    { "switch", switch_each },
    { "sleep", sleep_each },
    { "cancel", cancel_each },
    { "wake", wake_each },
    { "list", list_each },
};

static int grow(const operation *op, size_t n)
{
    char name[64];
    crank_task **tasks = task_array(n);
    double each = op->each(tasks, n), faults = page_faults();
    if (each >= 0)
        each = op->each(tasks, n);
    faults = (page_faults() - faults) / (double)n;
    free(tasks);
    if (each < 0)
        return crank_fail((int)each, "growth of %s at %zu tasks", op->name, n);
    snprintf(name, sizeof name, "growth_%s_%zu", op->name, n);
    result(name, WHO, each, "ns");
    snprintf(name, sizeof name, "growth_%s_%zu_faults", op->name, n);
    result(name, WHO, faults, "faults");
    return 0;
}

/* A run for each, or the last one's million would be in the next one's lists and caches. */
int run_growth(void)
{
    for (size_t i = 0; i < CRANK_COUNT(operations); i++)
        for (size_t n = 1000; n <= 1000000; n *= 10)
            if (crank_run(grow, &operations[i], n) != 0)
                return 1;
    return 0;
}
