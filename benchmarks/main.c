/* SPDX-License-Identifier: MIT */
/* main.c: crank_bench WORKLOAD does one workload in one process and prints its results. ./bench
 * runs it many times. */
#include "workloads.h"

static const struct {
    const char *name;
    int (*app)(void);
} workloads[] = {
    { "ctxswitch", bench_ctxswitch }, { "spawn_seq", bench_spawn_seq }, { "spawn_gather", bench_spawn_gather },
    { "spawn_eager", bench_spawn_eager }, { "sleepers", bench_sleepers }, { "sleepers_1m", bench_sleepers_1m },
    { "native_mem", bench_native_mem }, { "native_mem_thread", bench_native_mem_thread },
    { "generator", bench_generator }, { "pingpong", bench_pingpong }, { "prodcons", bench_prodcons },
    { "lock", bench_lock }, { "locknoyield", bench_locknoyield }, { "cancel", bench_cancel },
    { "thread_seq", bench_thread_seq }, { "thread_gather", bench_thread_gather }, { "capture", bench_capture },
    { "spawn_large", bench_spawn_large }, /* for its count of instructions: capture gives its time */
};

static size_t times_wanted;

size_t times(size_t usual) { return times_wanted ? times_wanted : usual; }

static int run_idle_mem(void)
{
    crank_options options = { .hibernate_after = 0.5 };
    long result = crank_run_with(&options, bench_idle_mem);
    if (result < 0)
        fprintf(stderr, "idle_mem: %s\n", strerror((int)-result));
    return result < 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    setenv("CRANK_BLOCKED_AFTER", "60", 0); /* some compute for a second at a time, and are to be */
    times_wanted = argc > 2 ? (size_t)atol(argv[2]) : 0;
    int jobs = strncmp(name, "pi_", 3) == 0 ? atoi(name + 3) : 0;
    if (jobs > 0 && jobs <= 1 << 20)
        return crank_run(bench_pi, jobs);
    if (strcmp(name, "idle_mem") == 0)
        return run_idle_mem();
    if (strcmp(name, "growth") == 0)
        return run_growth();
    for (size_t i = 0; i < CRANK_COUNT(workloads); i++)
        if (strcmp(name, workloads[i].name) == 0)
            return crank_run(workloads[i].app);
    fprintf(stderr, "crank_bench: no workload \"%s\"\n", name);
    return 2;
}
