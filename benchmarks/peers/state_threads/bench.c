/* SPDX-License-Identifier: MIT */
/* State Threads: stackful threads of one process, without queues, so that pingpong and prodcons use
 * its condition variables. A stack is mapped for each thread, which ends at some 30,000 where
 * vm.max_map_count is the usual 65,530: cancel makes 20,000. */
#include "../../measure.h"
#include <st.h>

static const char *name;

static void *nothing(void *arg) { return arg; }
static void *yields(void *n)
{
    for (long i = 0; i < (long)n; i++)
        st_usleep(0);
    return NULL;
}
static void *sleeps(void *us)
{
    st_usleep((st_utime_t)(long)us);
    return NULL;
}

static st_thread_t spawn(void *(*fn)(void *), void *arg, int stack)
{
    st_thread_t thread = st_thread_create(fn, arg, 1, stack);
    if (!thread) {
        perror("st_thread_create");
        exit(1);
    }
    return thread;
}

static void ctxswitch(void)
{
    const long n = 2000000;
    double started = wall_seconds();
    st_thread_t a = spawn(yields, (void *)n, 0), b = spawn(yields, (void *)n, 0);
    st_thread_join(a, NULL);
    st_thread_join(b, NULL);
    result(name, "st", ns_each(started, 2.0 * (double)n), "ns");
}

static void spawn_seq(void)
{
    const long n = 1000000;
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        st_thread_join(spawn(nothing, NULL, 16384), NULL);
    result(name, "st", ns_each(started, (double)n), "ns");
}

static void spawn_gather(void)
{
    enum { N = 100000 };
    static st_thread_t threads[N];
    for (int warm = 0; warm < 2; warm++) {
        double started = wall_seconds();
        for (int i = 0; i < N; i++)
            threads[i] = spawn(nothing, NULL, 16384);
        for (int i = 0; i < N; i++)
            st_thread_join(threads[i], NULL);
        result(warm ? "spawn_gather" : "spawn_gather_cold", "st", ns_each(started, N), "ns");
    }
}

static void sleepers(void)
{
    const size_t n = 100000;
    uint64_t state = CHANCE_SEED;
    double memory = memory_bytes("VmHWM:"), tables = memory_bytes("VmPTE:");
    st_thread_t *threads = calloc(n, sizeof(st_thread_t));
    double cpu = cpu_seconds(), started = wall_seconds();
    for (size_t i = 0; i < n; i++)
        threads[i] = spawn(sleeps, (void *)(long)(1000 * (1 + chance(&state) % 1000)), 8192);
    for (size_t i = 0; i < n; i++)
        st_thread_join(threads[i], NULL);
    result("sleepers_cpu", "st", cpu_seconds() - cpu, "s");
    result("sleepers_wall", "st", wall_seconds() - started, "s");
    result("sleepers_mem", "st", (memory_bytes("VmHWM:") - memory) / (double)n, "B");
    result("sleepers_tables", "st", (memory_bytes("VmPTE:") - tables) / (double)n, "B");
}

static st_cond_t go_there, go_back;
static int full_there, full_back;
static void *return_each(void *n)
{
    for (long i = 0; i < (long)n; i++) {
        while (!full_there)
            st_cond_wait(go_there);
        full_there = 0;
        full_back = 1;
        st_cond_signal(go_back);
    }
    return NULL;
}

static void pingpong(void)
{
    const long n = 1000000;
    go_there = st_cond_new();
    go_back = st_cond_new();
    st_thread_t other = spawn(return_each, (void *)n, 0);
    double started = wall_seconds();
    for (long i = 0; i < n; i++) {
        full_there = 1;
        st_cond_signal(go_there);
        while (!full_back)
            st_cond_wait(go_back);
        full_back = 0;
    }
    result(name, "st", ns_each(started, (double)n), "ns");
    st_thread_join(other, NULL);
}

static long items[64];
static unsigned head, tail;
static void *produce(void *n)
{
    for (long i = 0; i < (long)n; i++) {
        while (head - tail == 64)
            st_cond_wait(go_there);
        items[head++ & 63] = i;
        if (head - tail == 1)
            st_cond_signal(go_back);
    }
    return NULL;
}

static void prodcons(void)
{
    const long n = 5000000;
    long sum = 0;
    go_there = st_cond_new();
    go_back = st_cond_new();
    st_thread_t other = spawn(produce, (void *)n, 0);
    double started = wall_seconds();
    for (long i = 0; i < n; i++) {
        while (head == tail)
            st_cond_wait(go_back);
        sum += items[tail++ & 63];
        if (head - tail == 63)
            st_cond_signal(go_there);
    }
    result(name, "st", ns_each(started, (double)n), "ns");
    st_thread_join(other, NULL);
    if (sum != n * (n - 1) / 2)
        exit(1);
}

static st_mutex_t mutex;
static long count;
static void *contender(void *yielding)
{
    for (int i = 0; i < 1000; i++) {
        st_mutex_lock(mutex);
        count++;
        if (yielding)
            st_usleep(0);
        st_mutex_unlock(mutex);
    }
    return NULL;
}

static void contend(int yielding)
{
    st_thread_t threads[1000];
    mutex = st_mutex_new();
    double started = wall_seconds();
    for (int i = 0; i < 1000; i++)
        threads[i] = spawn(contender, yielding ? &count : NULL, 0);
    for (int i = 0; i < 1000; i++)
        st_thread_join(threads[i], NULL);
    result(name, "st", ns_each(started, (double)count), "ns");
}

static void lock(void) { contend(1); }
static void locknoyield(void) { contend(0); }

static void cancel(void)
{
    enum { N = 20000 };
    static st_thread_t threads[N];
    for (int i = 0; i < N; i++)
        threads[i] = spawn(sleeps, (void *)3600000000L, 8192);
    st_usleep(0);
    double started = wall_seconds();
    for (int i = 0; i < N; i++)
        st_thread_interrupt(threads[i]);
    for (int i = 0; i < N; i++)
        st_thread_join(threads[i], NULL);
    result(name, "st", ns_each(started, N), "ns");
}

static void startup(void) {}

static const struct {
    const char *name;
    void (*run)(void);
} table[] = {
    { "ctxswitch", ctxswitch },
    { "spawn_seq", spawn_seq },
    { "spawn_gather", spawn_gather },
    { "sleepers", sleepers },
    { "pingpong", pingpong },
    { "prodcons", prodcons },
    { "lock", lock },
    { "locknoyield", locknoyield },
    { "cancel", cancel },
    { "startup", startup },
};

int main(int argc, char **argv)
{
    name = argc > 1 ? argv[1] : "";
    st_set_eventsys(ST_EVENTSYS_ALT);
    st_init();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].run(), 0;
    return 2;
}
