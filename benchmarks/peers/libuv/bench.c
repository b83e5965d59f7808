/* SPDX-License-Identifier: MIT */
/* libuv: callbacks, no tasks, so there is nothing to switch, spawn, queue or lock. A sleeper is a
 * timer with its callback, a thread job a work request. */
#include "../../measure.h"
#include <uv.h>

static const char *name;
static uv_loop_t *loop;
static long done, wanted;

static void timer_closed(uv_handle_t *handle) { (void)handle; }
static void timer_due(uv_timer_t *timer)
{
    done++;
    uv_close((uv_handle_t *)timer, timer_closed);
}

static uv_timer_t *timers_start(size_t n, uint64_t fixed_ms)
{
    uint64_t state = CHANCE_SEED;
    uv_timer_t *timers = malloc(n * sizeof *timers);
    for (size_t i = 0; i < n; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], timer_due, fixed_ms ? fixed_ms : 1 + chance(&state) % 1000, 0);
    }
    return timers;
}

static double sleepers_round(size_t n)
{
    double started = wall_seconds();
    uv_timer_t *timers = timers_start(n, 0);
    uv_run(loop, UV_RUN_DEFAULT);
    free(timers);
    return wall_seconds() - started;
}

static void sleepers(void)
{
    const size_t n = 100000;
    double memory = memory_bytes("VmHWM:"), tables = memory_bytes("VmPTE:"), cpu = cpu_seconds();
    double wall = sleepers_round(n);
    result("sleepers_cpu", "libuv", cpu_seconds() - cpu, "s");
    result("sleepers_wall", "libuv", wall, "s");
    result("sleepers_mem", "libuv", (memory_bytes("VmHWM:") - memory) / (double)n, "B");
    result("sleepers_tables", "libuv", (memory_bytes("VmPTE:") - tables) / (double)n, "B");
}

static void sleepers_1m(void)
{
    result("sleepers_1m_first", "libuv", sleepers_round(1000000), "s");
    result("sleepers_1m", "libuv", sleepers_round(1000000), "s");
}

static void native_mem(void)
{
    const size_t n = 100000;
    double memory = memory_bytes("VmRSS:");
    uv_timer_t *timers = timers_start(n, 3600000);
    uv_run(loop, UV_RUN_NOWAIT);
    result(name, "libuv", (memory_bytes("VmRSS:") - memory) / (double)n, "B");
    free(timers);
    exit(0);
}

static void cancel(void)
{
    const size_t n = 100000;
    uv_timer_t *timers = timers_start(n, 3600000);
    double started = wall_seconds();
    for (size_t i = 0; i < n; i++)
        uv_close((uv_handle_t *)&timers[i], timer_closed);
    uv_run(loop, UV_RUN_DEFAULT);
    result(name, "libuv", ns_each(started, (double)n), "ns");
}

static void do_nothing(uv_work_t *work) { (void)work; }
static void again(uv_work_t *work, int status)
{
    (void)status;
    if (++done < wanted)
        uv_queue_work(loop, work, do_nothing, again);
}
static void counted(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
    done++;
}

static void work_in_turn(uv_work_t *work, long n)
{
    done = 0;
    wanted = n;
    uv_queue_work(loop, work, do_nothing, again);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void thread_seq(void)
{
    const long n = 100000;
    uv_work_t work;
    work_in_turn(&work, 1);
    double cpu = cpu_seconds(), started = wall_seconds();
    work_in_turn(&work, n);
    result(name, "libuv", ns_each(started, (double)n) / 1e3, "us");
    result("thread_seq_cpu", "libuv", (cpu_seconds() - cpu) * 1e6 / (double)n, "us");
}

static void thread_gather(void)
{
    const size_t n = 10000;
    uv_work_t first, *works = malloc(n * sizeof *works);
    work_in_turn(&first, 1);
    double started = wall_seconds();
    for (size_t i = 0; i < n; i++)
        uv_queue_work(loop, &works[i], do_nothing, counted);
    uv_run(loop, UV_RUN_DEFAULT);
    result(name, "libuv", ns_each(started, (double)n) / 1e3, "us");
}

static uint64_t samples, *hits;
static void count_hits(uv_work_t *work)
{
    long job = (long)work->data;
    hits[job] = pi_hits((uint64_t)job, samples);
}

static void pi(void)
{
    size_t n = (size_t)atol(name + 3);
    uv_work_t first, *works = malloc(n * sizeof *works);
    hits = calloc(n, sizeof *hits);
    samples = PI_SAMPLES / n;
    work_in_turn(&first, 1);
    double started = wall_seconds();
    for (size_t i = 0; i < n; i++) {
        works[i].data = (void *)i;
        uv_queue_work(loop, &works[i], count_hits, counted);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    result(name, "libuv", (wall_seconds() - started) * 1e3, "ms");
}

static void startup(void) { uv_run(loop, UV_RUN_DEFAULT); }

static const struct {
    const char *name;
    void (*run)(void);
} table[] = {
    { "sleepers", sleepers },
    { "sleepers_1m", sleepers_1m },
    { "native_mem", native_mem },
    { "cancel", cancel },
    { "thread_seq", thread_seq },
    { "thread_gather", thread_gather },
    { "startup", startup },
};

int main(int argc, char **argv)
{
    name = argc > 1 ? argv[1] : "";
    loop = uv_default_loop();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].run(), 0;
    return strncmp(name, "pi_", 3) ? 2 : (pi(), 0);
}
