/* SPDX-License-Identifier: MIT */
/* scarce.c: more scenarios that are swept as in sweep.c. What is rare in a program is where nobody looks when memory is
 * short: arguments on the stack, inherited locals, failures that are copied, waits by several, debug mode,
 * hibernation. */
#include "sweep.h"
#include "run/run.h"

/* In three kinds of runs: plain, in debug mode, with every stack put away at once. */
#define SWEEP_ALL(name, scenario) \
    SWEEP(name, scenario) \
    TEST(name, survives_each_failing_call_in_debug_mode) \
    { \
        sweep_with(scenario, (crank_options){ .backend = CRANK_BACKEND_SIM, .debug = true }, false); \
    } \
    TEST(name, survives_each_failing_call_while_stacks_are_put_away) \
    { \
        sweep_with(scenario, (crank_options){ .backend = CRANK_BACKEND_SIM, .hibernate_after = 1e-9 }, false); \
        sweep_with(scenario, (crank_options){ .backend = CRANK_BACKEND_SIM, .hibernate_after = 1e-9 }, true); \
    }

static int nap(int n)
{
    crank_try(crank_sleep(0.0001 * n));
    return n;
}
static int by_pointer(int *place, int n)
{
    crank_try(crank_sleep(0.0001));
    return *place + n;
}
static int many(int *place, int b, int c, int d, int e, int f, int g)
{
    crank_try(crank_sleep(0.0001));
    return *place + b + c + d + e + f + g;
}
static int broken(int n) { return crank_fail(EPROTO, "broken %d", n); }
static int breaks(int n)
{
    crank_try(broken(n));
    return 0;
}

/* Whether an error is the scenario's own or the injected one's. */
static long only(long result, long expected) { return result == expected ? 0 : result < 0 ? result : -EIO; }

static crank_local key;
static long inheriting(void *arg)
{
    static char value[] = "value";
    int one = 1;
    (void)arg;
    crank_try(crank_local_set(&key, value));
    long sum = crank_try(crank_await(crank_spawn(by_pointer, &one, 2)));
    sum += crank_try(crank_await(crank_spawn(many, &one, 2, 3, 4, 5, 6, 7)));
    sum += crank_try(crank_await(crank_spawn(many, &one, 2, 3, 4, 5, 6, 7)));
    sum += crank_try(crank_await(crank_spawn_eager(by_pointer, &one, 3)));
    EXPECT_EQ(sum, 3 + 28 + 28 + 4);
    CRANK_GROUP(g);
    crank_group_spawn(&g, by_pointer, &one, 2);
    crank_group_spawn(&g, many, &one, 2, 3, 4, 5, 6, 7);
    crank_try(crank_group_wait(&g));
    EXPECT_EQ(crank_group_count(&g), 0);
    CRANK_POOL(pool, 1);
    long results[3];
    for (int i = 0; i < 3; i++)
        crank_pool_spawn(&pool, many, &one, i, 3, 4, 5, 6, 7);
    crank_try(crank_pool_wait(&pool, results, 3));
    EXPECT_EQ(results[2], 28);
    return 0;
}
SWEEP_ALL(inheriting, inheriting)

/* The first spawn fails and the caller goes on spawning: the arguments then lie in the thread's own buffer. */
static long insistent(void *arg)
{
    long failed = 0;
    int one = 1;
    (void)arg;
    for (int i = 0; i < 300; i++) {
        crank_task *small = crank_spawn(by_pointer, &one, i);
        crank_task *large = crank_spawn(many, &one, i, 1, 1, 1, 1, 1);
        long a = crank_await(small);
        long b = crank_await(large);
        EXPECT(a == 1 + i || a < 0);
        EXPECT(b == 6 + i || b < 0);
        failed = a < 0 ? a : b < 0 ? b : failed;
    }
    return failed;
}
SWEEP(insistent, insistent)

static long several_failures(void *arg)
{
    (void)arg;
    {
        CRANK_GROUP(g);
        crank_group_spawn(&g, breaks, 1);
        crank_group_spawn(&g, breaks, 2);
        crank_try(only(crank_group_wait(&g), -EPROTO));
        const crank_failure *failure = crank_last_failure();
        EXPECT(!failure || failure->child_count <= 2);
    }
    crank_task *task = crank_spawn(breaks, 3);
    crank_try(only(crank_await_shared(task), -EPROTO));
    crank_drop(task);
    crank_outcome outcomes[3];
    crank_try(crank_gather_settled(outcomes, crank_spawn(nap, 1), crank_spawn(breaks, 4), crank_spawn(nap, 2)));
    long first = outcomes[0].error ? outcomes[0].error : only(outcomes[1].error, -EPROTO);
    crank_try(first);
    crank_try(outcomes[2].error);
    long results[2];
    crank_try(only(crank_gather(results, crank_spawn(nap, 5), crank_spawn(breaks, 6)), -EPROTO));
    return 0;
}
SWEEP_ALL(several_failures, several_failures)

static void count(crank_task *task, void *arg)
{
    (void)task;
    ++*(int *)arg;
}
static long watched(void *arg)
{
    int ended = 0;
    (void)arg;
    crank_task *task = crank_spawn(nap, 3);
    if (!task)
        return -ENOMEM;
    int err = crank_on_done(task, count, &ended);
    if (err == 0)
        EXPECT_EQ(crank_remove_on_done(task, count, &ended), 1);
    crank_task *tasks[] = { task, crank_spawn(nap, 1), crank_spawn(nap, 2) };
    if (!tasks[1] || !tasks[2])
        return -ENOMEM; /* the children that are there are awaited at the end */
    ssize_t done = crank_wait(tasks, 3, CRANK_FIRST_COMPLETED, 1.0);
    if (done >= 0)
        done = crank_wait(tasks, 3, CRANK_ALL_COMPLETED, CRANK_FOREVER);
    for (int i = 0; i < 3; i++) {
        long result = crank_await(tasks[i]);
        err = err < 0 ? err : result < 0 ? (int)result : 0;
    }
    crank_try(err);
    crank_try(done);
    EXPECT_EQ(ended, 0);
    return 0;
}
SWEEP_ALL(watched, watched)

static long completed_one_by_one(void *arg)
{
    (void)arg;
    crank_task *tasks[] = { crank_spawn(nap, 3), crank_spawn(nap, 1), crank_spawn(nap, 2) };
    for (int i = 0; i < 3; i++)
        if (!tasks[i])
            return -ENOMEM;
    int seen = 0; /* in which order is the machine's to say, where time is real */
    crank_foreach_completed(task, tasks, 3)
    {
        long result = crank_try(crank_await(task));
        seen |= 1 << result;
    }
    EXPECT_EQ(seen, 1 << 1 | 1 << 2 | 1 << 3);
    return 0;
}
SWEEP_ALL(completed_one_by_one, completed_one_by_one)

static int numbers(int *from, int n)
{
    for (int i = 0; i < n; i++)
        crank_try(crank_yield(*from + i));
    return 0;
}
static int many_numbers(int a, int b, int c, int d, int e, int f, int n)
{
    for (int i = 0; i < n; i++)
        crank_try(crank_yield(a + b + c + d + e + f + i));
    return crank_fail(EPROTO, "no more");
}
static double half(int n) { return n / 2.0; }
static long adapted(void *arg)
{
    typedef CRANK_PAIR(double, int) pair;
    int zero = 0;
    (void)arg;
    pair pairs[4];
    CRANK_AUTO_GENERATOR crank_generator *zipped =
        crank_zip(double, crank_map(double, int, crank_generate(numbers, &zero, 9), half), int,
            crank_take(crank_generate(many_numbers, 1, 2, 3, 4, 5, 6, 7), 3));
    if (!zipped)
        return -ENOMEM;
    int got = 0;
    int more = 0;
    while ((more = crank_next(zipped, &pairs[got])) > 0)
        got++;
    crank_try(more);
    EXPECT_EQ(got, 3);
    EXPECT_EQ(pairs[2].second, 23);
    EXPECT(pairs[2].first == 1.0);
    CRANK_AUTO_GENERATOR crank_generator *failing = crank_generate(many_numbers, 1, 2, 3, 4, 5, 6, 1);
    if (!failing)
        return -ENOMEM;
    int value;
    crank_try(crank_next(failing, &value));
    crank_try(only(crank_next(failing, &value), -EPROTO));
    return 0;
}
SWEEP_ALL(adapted, adapted)

static long left_open(void *arg)
{
    int zero = 0;
    int value;
    (void)arg;
    crank_generator *g = crank_generate(numbers, &zero, 9);
    if (!g)
        return -ENOMEM;
    crank_try(crank_next(g, &value));
    return 0; /* the end of the run closes it, and says so */
}
SWEEP(left_open, left_open)

static int hold(crank_lock *lock, crank_event *event)
{
    CRANK_WITH_LOCK(lock);
    crank_try(crank_event_wait(event));
    return 0;
}
struct things {
    crank_lock *lock;
    crank_event *event;
    crank_condition *condition;
    crank_semaphore *semaphore;
    crank_barrier *barrier;
    crank_queue *queue;
};
static long use_things(struct things *t)
{
    t->lock = crank_lock_new();
    t->event = crank_event_new();
    t->condition = t->lock ? crank_condition_new(t->lock) : NULL;
    t->semaphore = crank_semaphore_new_bounded(1);
    t->barrier = crank_barrier_new(2);
    t->queue = crank_queue_new_lifo(sizeof(int), CRANK_KIND_SIGNED, 2);
    if (!t->lock || !t->event || !t->condition || !t->semaphore || !t->barrier || !t->queue)
        return -ENOMEM;
    CRANK_GROUP(g);
    crank_group_spawn(&g, hold, t->lock, t->event);
    crank_group_spawn(&g, hold, t->lock, t->event);
    crank_try(crank_sleep(0.001));
    char line[256];
    crank_task *tasks[8];
    size_t n = crank_tasks(tasks, 8);
    for (size_t i = 0; i < n && i < 8; i++)
        EXPECT(crank_describe(tasks[i], line, sizeof line) > 0);
    crank_event_set(t->event);
    return crank_group_wait(&g);
}
static long synchronised(void *arg)
{
    struct things t = { 0 };
    (void)arg;
    long result = use_things(&t);
    crank_condition_free(t.condition);
    crank_lock_free(t.lock);
    crank_event_free(t.event);
    crank_semaphore_free(t.semaphore);
    crank_barrier_free(t.barrier);
    crank_queue_free(t.queue);
    return result;
}
SWEEP_ALL(synchronised, synchronised)

static int ignoring(int n)
{
    int left = n;
    while (left > 0)
        left -= crank_sleep(0.001) == 0;
    return 0;
}
/* More than a handful, so that the list of whom to ask needs memory. */
static long many_cancelled(void *arg)
{
    (void)arg;
    CRANK_TIMEOUT(limit, 1000.0);
    crank_task *tasks[40];
    int spawned = 0;
    for (int i = 0; i < 40; i++)
        spawned += (tasks[i] = crank_spawn(ignoring, i % 3)) != NULL;
    crank_task *detached = crank_spawn(nap, 50);
    crank_detach(detached);
    crank_try(crank_sleep(0));
    for (int i = 0; i < 40; i++)
        (void)crank_cancel_because(tasks[i], "enough of %d", i);
    crank_try(crank_reschedule(&limit, 500.0));
    EXPECT(!crank_expired(&limit) && crank_remaining(&limit) > 0);
    return spawned == 40 && detached ? 0 : -ENOMEM;
}
SWEEP_ALL(many_cancelled, many_cancelled)

static long nested_limits(void *arg)
{
    (void)arg;
    long err = crank_within(0.002, crank_await(crank_spawn(nap, 1000)));
    crank_try(only(err, -ETIMEDOUT));
    err = crank_within(1000.0, crank_shield(crank_within(0.001, nap(1000))));
    crank_try(only(err, -ETIMEDOUT));
    CRANK_GROUP(g);
    crank_group_spawn(&g, nap, 100000);
    crank_group_spawn(&g, breaks, 1);
    return only(crank_group_wait(&g), -EPROTO);
}
SWEEP_ALL(nested_limits, nested_limits)

static int lost(crank_event *event) { return crank_event_wait(event); }
/* A deadlock is reported and ended, whatever is short. */
static long stuck(void *arg)
{
    (void)arg;
    crank_event *event = crank_event_new();
    if (!event)
        return -ENOMEM;
    long result = crank_await(crank_spawn(lost, event));
    crank_event_free(event);
    return result;
}
static void sweep_stuck(crank_backend backend)
{
    crank_options options = { .backend = backend, .on_report = no_report, .grace = 0.01 };
    bool reached = true;
    for (long k = 0; reached; k++) {
        faults f;
        faults_init(&f, k + 1, false);
        long result = cr_run_raw_on(&f.sys, &options, stuck, NULL);
        reached = f.failed > 0;
        EXPECT(result < 0 && result > -4095);
        EXPECT(reached || result == -EDEADLK);
        crank_error_clear();
    }
}
TEST(stuck, is_ended_with_each_call_failing_on_sim) { sweep_stuck(CRANK_BACKEND_SIM); }
TEST(stuck, is_ended_with_each_call_failing_on_epoll) { sweep_stuck(CRANK_BACKEND_EPOLL); }
