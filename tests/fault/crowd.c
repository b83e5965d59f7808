/* SPDX-License-Identifier: MIT */
/* crowd.c: scenarios that are swept as in sweep.c and go on after the first refusal, with so many tasks and blocks at
 * once that what pools hand out must be had anew: records, arguments, inherited locals, limits, groups. */
#include "sweep.h"

/* On one backend: what is short here is no backend's. */
#define SWEEP_SIM(name, scenario) \
    TEST(name, survives_each_failing_call) { sweep(scenario, CRANK_BACKEND_SIM, false); } \
    TEST(name, survives_all_calls_failing_from_each) { sweep(scenario, CRANK_BACKEND_SIM, true); }

enum { CROWD = 300, MORE_THAN_A_SLAB = 4100 };

/* They do not wait: all have records at once, and one stack. */
static int add(const int *place, int n) { return *place + n; }
static int add_many(const int *place, int b, int c, int d, int e, int f, int g)
{
    return *place + b + c + d + e + f + g;
}

/* The first error of several. */
static long first(long before, long error) { return before < 0 ? before : error < 0 ? error : 0; }

static crank_local key;
static int one = 1;

static long crowd(int count)
{
    static crank_task *tasks[MORE_THAN_A_SLAB];
    long failed = 0;
    for (int i = 0; i < count; i++)
        tasks[i] = i % 2 ? crank_spawn(add, &one, i) : crank_spawn(add_many, &one, i, 1, 1, 1, 1, 1);
    for (int i = 0; i < count; i++) {
        long result = crank_await(tasks[i]);
        EXPECT(result < 0 || result == (i % 2 ? 1 + i : 6 + i));
        failed = first(failed, result);
    }
    return failed;
}
static long spawned_at_once(void *arg)
{
    (void)arg;
    return crowd(MORE_THAN_A_SLAB);
}
TEST(spawned_at_once, survives_each_failing_call) { sweep(spawned_at_once, CRANK_BACKEND_SIM, false); }

static long inheriting_at_once(void *arg)
{
    static char value[] = "value";
    (void)arg;
    crank_try(crank_local_set(&key, value));
    return crowd(CROWD);
}
SWEEP_SIM(inheriting_at_once, inheriting_at_once)

/* The group is told of a spawn that failed, and ends the others. */
static long grouped_at_once(void *arg)
{
    static char value[] = "value";
    (void)arg;
    long failed = first(0, crank_local_set(&key, value));
    CRANK_GROUP(g);
    for (int i = 0; i < CROWD; i++)
        if (!crank_group_spawn(&g, add, &one, i))
            failed = first(failed, -ENOMEM);
    long result = crank_group_wait(&g);
    EXPECT(failed == 0 || result < 0 || crank_group_count(&g) == 0);
    return first(failed, result);
}
SWEEP_SIM(grouped_at_once, grouped_at_once)

/* A block for which there was no memory may be asked about and told everything. */
static long limits_asked(void *arg)
{
    (void)arg;
    CRANK_TIMEOUT(limit, 5.0);
    bool expired = crank_expired(&limit);
    double remaining = crank_remaining(&limit);
    long failed = crank_reschedule(&limit, 7.0);
    EXPECT(!expired || failed == -ENOMEM);
    EXPECT(failed < 0 || (remaining > 0 && remaining <= 5));
    crank_task *task = crank_spawn_eager(add, &one, 1);
    EXPECT(task || failed < 0 || errno == ENOMEM);
    failed = first(failed, crank_await(task));
    failed = first(failed, crank_sleep(0.0001));
    long inner = crank_within(3.0, crank_shield(crank_sleep(0.0001)));
    return first(failed, inner);
}
SWEEP_SIM(limits_asked, limits_asked)

static int nap(double seconds) { return crank_sleep(seconds); }
static long groups_asked(void *arg)
{
    (void)arg;
    long failed = 0;
    {
        CRANK_GROUP(g);
        crank_task *task = crank_group_spawn(&g, nap, 1.0);
        EXPECT_EQ(crank_group_count(&g), task ? 1 : 0);
        crank_group_cancel(&g);
        long result = crank_group_wait(&g);
        EXPECT(result == -ENOMEM || (result == 0 && task)); /* cancelled by oneself is no failure */
        failed = task ? 0 : -ENOMEM;
        failed = first(failed, result == -ENOMEM ? result : 0);
    }
    CRANK_POOL(pool, 2);
    long results[2] = { 0, 0 };
    crank_task *held[3];
    for (int i = 0; i < 3; i++)
        held[i] = crank_pool_spawn(&pool, add, &one, i);
    long result = crank_pool_wait(&pool, results, 2);
    EXPECT(result == -ENOMEM || (held[0] && held[1] && held[2] && results[0] == 1 && results[1] == 2));
    return first(failed, result);
}
SWEEP_SIM(groups_asked, groups_asked)

static int numbers(int n)
{
    for (int i = 0; i < n; i++)
        crank_try(crank_yield(i));
    return 0;
}
static bool is_odd(int n) { return n % 2; }
static int twice(int n) { return 2 * n; }
/* Sources that could not be made are handed on: the last adaptor fails, and what was made ends. */
static long chains_asked(void *arg)
{
    typedef CRANK_PAIR(int, int) pair;
    int values[8];
    (void)arg;
    ssize_t count =
        crank_collect(crank_map(int, int, crank_filter(int, crank_generate(numbers, 8), is_odd), twice), values, 8);
    EXPECT(count < 0 || (count == 4 && values[3] == 14));
    pair pairs[8];
    ssize_t both = crank_collect(
        crank_zip(int, crank_take(crank_generate(numbers, 8), 2), int, crank_generate(numbers, 5)), pairs, 8);
    EXPECT(both < 0 || (both == 2 && pairs[1].second == 1));
    return first(count, both);
}
SWEEP_SIM(chains_asked, chains_asked)

static int wants(crank_event *event) { return crank_event_wait(event); }
/* Requests that go down a long chain are noted, or go down the stack where they cannot be. */
static long chain(int depth, crank_event *event)
{
    if (depth == 0)
        return crank_event_wait(event);
    crank_task *next = crank_spawn(chain, depth - 1, event);
    return next ? crank_await(next) : -ENOMEM;
}
static long chain_cancelled(void *arg)
{
    (void)arg;
    crank_event *event = crank_event_new();
    if (!event)
        return -ENOMEM;
    crank_task *top = crank_spawn(chain, 40, event);
    crank_task *other = crank_spawn(wants, event);
    long failed = crank_sleep(0.001);
    failed = top && other ? failed : -ENOMEM;
    (void)crank_cancel(top);
    (void)crank_cancel(other);
    long result = crank_await(top);
    EXPECT(result == -ECANCELED || result == -ENOMEM);
    failed = first(failed, result == -ENOMEM ? result : 0);
    result = crank_await(other);
    EXPECT(result == -ECANCELED || result == -ENOMEM);
    failed = first(failed, result == -ENOMEM ? result : 0);
    crank_event_free(event);
    return failed;
}
SWEEP_SIM(chain_cancelled, chain_cancelled)

static void note(crank_task *task, void *arg)
{
    (void)task;
    ++*(int *)arg;
}
/* Every waiting call that needs memory says so itself, and the next one works. */
static long waits_asked(void *arg)
{
    int ended = 0;
    (void)arg;
    crank_task *tasks[2] = { crank_spawn(add, &one, 1), crank_spawn(add, &one, 2) };
    long failed = tasks[0] ? crank_on_done(tasks[0], note, &ended) : -ENOMEM;
    failed = first(failed, tasks[0] && tasks[1] ? (long)crank_wait(tasks, 2, CRANK_ALL_COMPLETED, 1.0) : -ENOMEM);
    failed = first(failed, crank_sleep(0.001));
    crank_outcome outcomes[2];
    failed = first(failed, crank_gather_settled_n(tasks, 2, outcomes));
    failed = first(failed, outcomes[0].error);
    failed = first(failed, outcomes[1].error);
    EXPECT(outcomes[0].error || outcomes[0].value == 2);
    EXPECT_EQ(crank_await_shared((crank_task *)NULL), -ENOMEM);
    return failed;
}
SWEEP_SIM(waits_asked, waits_asked)
