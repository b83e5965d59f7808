/* SPDX-License-Identifier: MIT */
/* tasks.c: spawning, switching, cancelling.
 *
 * The two tasks of ctxswitch are different functions on purpose: two tasks that wait at one place
 * flatter the branch predictor. spawn_gather keeps all tasks alive at once; its first round in the
 * process is the cold one. */
#include "workloads.h"

int nothing(void) { return 0; }

int sleeper(double seconds)
{
    crank_try(crank_sleep(seconds));
    return 0;
}

crank_task **task_array(size_t n)
{
    crank_task **tasks = calloc(n, sizeof *tasks);
    if (!tasks) {
        perror("task_array");
        exit(1);
    }
    return tasks;
}

static long count_up(long n)
{
    for (long i = 0; i < n; i++)
        crank_try(crank_sleep(0));
    return n;
}

static long count_down(long n)
{
    long left = n;
    while (left > 0) {
        crank_try(crank_sleep(0));
        left--;
    }
    return n;
}

int bench_ctxswitch(void)
{
    const long n = (long)times(10000000);
    double started = wall_seconds();
    crank_try(crank_gather((void *)NULL, crank_spawn(count_up, n), crank_spawn(count_down, n)));
    result("ctxswitch", WHO, ns_each(started, 2.0 * (double)n), "ns");
    return 0;
}

int bench_spawn_seq(void)
{
    const long n = (long)times(5000000);
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        crank_try(crank_await(crank_spawn(nothing)));
    result("spawn_seq", WHO, ns_each(started, (double)n), "ns");
    return 0;
}

/* One round: all spawned, then all gathered, their results taken. */
static double spawn_gather_round(crank_task **tasks, long *results, size_t n)
{
    double started = wall_seconds();
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(nothing);
    int err = crank_gather_n(tasks, n, results);
    return err < 0 ? err : ns_each(started, (double)n);
}

int bench_spawn_gather(void)
{
    const size_t n = times(100000);
    const int rounds = 10;
    crank_task **tasks = task_array(n);
    long *results = calloc(n, sizeof *results);
    double warm = 0, cold = spawn_gather_round(tasks, results, n);
    for (int i = 0; i < rounds; i++)
        warm += spawn_gather_round(tasks, results, n) / rounds;
    result("spawn_gather", WHO, warm, "ns");
    result("spawn_gather_cold", WHO, cold, "ns");
    free(results);
    free(tasks);
    return 0;
}

int bench_spawn_eager(void)
{
    const long n = (long)times(100000);
    crank_try(crank_await(crank_spawn_eager(nothing)));
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        crank_try(crank_await(crank_spawn_eager(nothing)));
    result("spawn_eager", WHO, ns_each(started, (double)n), "ns");
    return 0;
}

int bench_cancel(void)
{
    const size_t n = times(100000);
    crank_task **tasks = task_array(n);
    for (size_t i = 0; i < n; i++)
        tasks[i] = crank_spawn(sleeper, 3600);
    crank_try(crank_sleep(0));

    double started = wall_seconds();
    size_t cancelled = 0;
    for (size_t i = 0; i < n; i++)
        crank_cancel(tasks[i]);
    for (size_t i = 0; i < n; i++)
        cancelled += crank_await(tasks[i]) == -ECANCELED;
    result("cancel", WHO, ns_each(started, (double)n), "ns");
    free(tasks);
    return cancelled == n ? 0 : crank_fail(EPROTO, "%zu of %zu were cancelled", cancelled, n);
}

static long take_pointer(void *arg)
{
    (void)arg;
    return 0;
}

static long take_many(int a, long b, double c, const char *d) { return a + b + (long)c + (d != NULL); }

static long take_large(int a, long b, double c, const char *d, int e, long f, double g, char h)
{
    return a + b + (long)c + (d != NULL) + e + f + (long)g + h;
}

static double each_raw(long n)
{
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        crank_await(crank_spawn_raw(take_pointer, NULL));
    return ns_each(started, (double)n);
}

static double each_captured(long n)
{
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        crank_await(crank_spawn(take_pointer, NULL));
    return ns_each(started, (double)n);
}

static double each_captured_many(long n)
{
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        crank_await(crank_spawn(take_many, 1, 2, 3, "four"));
    return ns_each(started, (double)n);
}

static double each_captured_large(long n)
{
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        crank_await(crank_spawn(take_large, 1, 2, 3, "four", 5, 6, 7, '8'));
    return ns_each(started, (double)n);
}

static double smaller(double a, double b) { return a < b ? a : b; }

/* What call capture adds to a spawn: the best of many short turns each, taken alternately. */
int bench_capture(void)
{
    const long n = (long)times(100000);
    double raw = 1e9, captured = 1e9, many = 1e9, large = 1e9;
    for (int i = 0; i < 40; i++) {
        raw = smaller(raw, each_raw(n));
        captured = smaller(captured, each_captured(n));
        many = smaller(many, each_captured_many(n));
        large = smaller(large, each_captured_large(n));
    }
    result("capture", WHO, captured - raw, "ns");
    result("capture_many", WHO, many - raw, "ns");
    result("capture_large", WHO, large - raw, "ns");
    result("spawn_raw", WHO, raw, "ns");
    return 0;
}

int bench_spawn_large(void)
{
    result("spawn_large", WHO, each_captured_large((long)times(1000000)), "ns");
    return 0;
}
