/* SPDX-License-Identifier: MIT */
/* sleepers.c: many tasks that wait, and what each costs while it does.
 *
 * Memory is resident memory of the whole process, before and after, divided by the tasks: records,
 * stacks, timers and the array of handles are all in it. Page tables are the kernel's, and counted
 * apart. */
#include <pthread.h>
#include <string.h>
#include "workloads.h"

/* What is resident while they sleep, and what it cost to find out. */
typedef struct census {
    double memory;
    double cpu;
    double wall;
} census;

static int take_census(census *result)
{
    crank_try(crank_sleep(0)); /* all have begun */
    double cpu = cpu_seconds(), started = wall_seconds();
    result->memory = resident_bytes();
    result->cpu = cpu_seconds() - cpu;
    result->wall = wall_seconds() - started;
    return 0;
}

/* Spawn n tasks that sleep 1 to 1000 ms each and wait for all. */
static int sleep_all(crank_task **tasks, size_t n, census *ret_census)
{
    uint64_t state = CHANCE_SEED;
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(sleeper, (double)(1 + chance(&state) % 1000) / 1000);
    if (ret_census)
        crank_try(take_census(ret_census));
    for (size_t i = 0; i < n; i++)
        crank_try(crank_await(tasks[i]));
    return 0;
}

int bench_sleepers(void)
{
    const size_t n = times(100000);
    crank_try(crank_await(crank_spawn(sleeper, 0.001))); /* or the code's pages would count as the sleepers' */
    double memory = resident_bytes(), tables = memory_bytes("VmPTE:");
    crank_task **tasks = task_array(n);
    census seen;
    double cpu = cpu_seconds(), started = wall_seconds();
    crank_try(sleep_all(tasks, n, &seen));
    double wall = wall_seconds() - started - seen.wall;
    result("sleepers_cpu", WHO, cpu_seconds() - cpu - seen.cpu, "s");
    result("sleepers_wall", WHO, wall, "s");
    result("sleepers_mem", WHO, (seen.memory - memory) / (double)n, "B");
    result("sleepers_tables", WHO, (memory_bytes("VmPTE:") - tables) / (double)n, "B");
    free(tasks);
    return 0;
}

int bench_sleepers_1m(void)
{
    const size_t n = times(1000000);
    crank_task **tasks = task_array(n);
    double started = wall_seconds();
    crank_try(sleep_all(tasks, n, NULL));
    double first = wall_seconds() - started;
    started = wall_seconds();
    crank_try(sleep_all(tasks, n, NULL));
    result("sleepers_1m", WHO, wall_seconds() - started, "s");
    result("sleepers_1m_first", WHO, first, "s");
    free(tasks);
    return 0;
}

static int cancel_all(crank_task **tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        crank_cancel(tasks[i]);
    for (size_t i = 0; i < n; i++)
        if (crank_await(tasks[i]) != -ECANCELED)
            return crank_fail(EPROTO, "task %zu was not cancelled", i);
    return 0;
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int pass_gate(void)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return 0;
}

/* Jobs in flight behind a closed gate: some started, most in line. The first hundredth brings up
 * the workers, whose own memory is no job's; nor are the handles, which the program keeps if it
 * likes. */
int bench_native_mem_thread(void)
{
    const size_t n = times(100000);
    crank_task **tasks = task_array(n);
    double memory = 0;
    memset(tasks, 1, n * sizeof *tasks); /* or it would count as the jobs' */
    pthread_mutex_lock(&gate);
    for (size_t i = 0; i < n; i++) {
        if (i == n / 100) {
            crank_try(crank_sleep(0.1));
            memory = memory_bytes("VmRSS:");
        }
        tasks[i] = crank_to_thread(pass_gate);
    }
    crank_try(crank_sleep(0.1));
    double each = (memory_bytes("VmRSS:") - memory) / ((double)(n - n / 100));
    pthread_mutex_unlock(&gate);
    result("native_mem_thread", WHO, each, "B");
    crank_try(crank_gather_n(tasks, n, (void *)NULL));
    free(tasks);
    return 0;
}

int bench_native_mem(void)
{
    const size_t n = times(100000);
    double memory = memory_bytes("VmRSS:");
    crank_task **tasks = task_array(n);
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(crank_sleep, 3600);
    crank_try(crank_sleep(0));
    result("native_mem", WHO, (memory_bytes("VmRSS:") - memory) / (double)n, "B");
    crank_try(cancel_all(tasks, n));
    free(tasks);
    return 0;
}

/* An ordinary function that keeps 400 bytes of its own across a wait. */
static long keep_notes(long number, crank_event *over)
{
    volatile char notes[400];
    for (size_t i = 0; i < sizeof notes; i++)
        notes[i] = (char)(number + (long)i);
    crank_try(crank_event_wait(over));
    for (size_t i = 0; i < sizeof notes; i++)
        if (notes[i] != (char)(number + (long)i))
            return crank_fail(EPROTO, "byte %zu of task %ld has changed", i, number);
    return number;
}

/* The driver runs this with .hibernate_after set. Above a page a task, stacks were not put away:
 * there is nothing to tell. */
int bench_idle_mem(void)
{
    const size_t n = times(100000);
    CRANK_EVENT(over);
    double memory = memory_bytes("VmRSS:"), tables = memory_bytes("VmPTE:");
    crank_task **tasks = task_array(n);
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(keep_notes, (long)i, over);
    crank_try(crank_sleep(0));
    double parked = cpu_seconds();
    crank_try(crank_sleep(3));
    double away = cpu_seconds();
    double each = (memory_bytes("VmRSS:") - memory) / (double)n;
    tables = (memory_bytes("VmPTE:") - tables) / (double)n;
    if (each < 4096) {
        result("idle_mem", WHO, each, "B");
        result("idle_mem_tables", WHO, tables, "B");
    } else {
        printf("idle_mem %s n/a B\n", WHO);
    }
    crank_event_set(over);
    double waking = cpu_seconds();
    crank_try(crank_gather_n(tasks, n, (void *)NULL));
    if (each < 4096) {
        result("idle_put_away", WHO, (away - parked) * 1e6 / (double)n, "us");
        result("idle_wake", WHO, (cpu_seconds() - waking) * 1e6 / (double)n, "us");
    }
    free(tasks);
    return 0;
}
