/* SPDX-License-Identifier: MIT */
/* sync.c: what tasks hand each other: values of a generator, items of a queue, a lock. */
#include "workloads.h"

static int naturals(void)
{
    for (uint64_t i = 0;; i++)
        crank_try(crank_yield(i));
}

int bench_generator(void)
{
    const uint64_t n = times(20000000);
    uint64_t sum = 0, taken = 0;
    double started = wall_seconds();
    crank_foreach(uint64_t, value, crank_generate(naturals))
    {
        sum += value;
        if (++taken == n)
            break;
    }
    result("generator", WHO, ns_each(started, (double)n), "ns");
    return sum == n * (n - 1) / 2 ? 0 : crank_fail(EPROTO, "a value was lost");
}

static int return_each(crank_queue *in, crank_queue *out, long n)
{
    long value;
    for (long i = 0; i < n; i++) {
        crank_try(crank_get(in, &value));
        crank_try(crank_put(out, value));
    }
    return 0;
}

int bench_pingpong(void)
{
    const long n = (long)times(2000000);
    CRANK_QUEUE(there, long, 1);
    CRANK_QUEUE(back, long, 1);
    CRANK_GROUP(group);
    crank_group_spawn(&group, return_each, there, back, n);

    double started = wall_seconds();
    long value;
    for (long i = 0; i < n; i++) {
        crank_try(crank_put(there, i));
        crank_try(crank_get(back, &value));
    }
    result("pingpong", WHO, ns_each(started, (double)n), "ns");
    return crank_group_wait(&group);
}

static int produce(crank_queue *queue, long n)
{
    for (long i = 0; i < n; i++)
        crank_try(crank_put(queue, i));
    return 0;
}

int bench_prodcons(void)
{
    const long n = (long)times(5000000);
    CRANK_QUEUE(queue, long, 64);
    CRANK_GROUP(group);
    double started = wall_seconds();
    crank_group_spawn(&group, produce, queue, n);
    long value, sum = 0;
    for (long i = 0; i < n; i++) {
        crank_try(crank_get(queue, &value));
        sum += value;
    }
    result("prodcons", WHO, ns_each(started, (double)n), "ns");
    if (sum != n * (n - 1) / 2)
        return crank_fail(EPROTO, "an item was lost");
    return crank_group_wait(&group);
}

enum { TASKS = 1000 };

typedef struct contest {
    crank_lock *lock;
    size_t turns; /* of each task */
    long arrived; /* tasks */
    long count;   /* acquisitions */
} contest;

static int yield_inside(contest *c)
{
    c->arrived++;
    for (size_t i = 0; i < c->turns; i++) {
        CRANK_WITH_LOCK(c->lock);
        c->count++;
        crank_try(crank_sleep(0));
    }
    return 0;
}

static int hold_briefly(contest *c)
{
    for (size_t i = 0; i < c->turns; i++) {
        CRANK_WITH_LOCK(c->lock);
        c->count++;
    }
    return 0;
}

/* Where they stand in line from the beginning, the lock is held until all do: what a new task costs is
 * spawn_gather_cold's to say. Else each finds it free. */
static int contend(const char *workload, int (*body)(contest *), bool in_line)
{
    CRANK_LOCK(lock);
    contest c = { .lock = lock, .turns = times(1000) };
    CRANK_GROUP(group);
    if (in_line)
        crank_try(crank_lock_acquire(lock));
    double started = wall_seconds();
    for (int i = 0; i < TASKS; i++)
        crank_group_spawn(&group, body, &c);
    if (in_line) {
        while (c.arrived < TASKS)
            crank_try(crank_sleep(0));
        started = wall_seconds();
        crank_lock_release(lock);
    }
    crank_try(crank_group_wait(&group));
    result(workload, WHO, ns_each(started, (double)c.count), "ns");
    return (size_t)c.count == TASKS * c.turns ? 0 : crank_fail(EPROTO, "a turn was lost");
}

int bench_lock(void) { return contend("lock", yield_inside, true); }
int bench_locknoyield(void) { return contend("locknoyield", hold_briefly, false); }
