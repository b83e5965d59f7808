/* SPDX-License-Identifier: MIT */
/* sweep.c: each fallible call of a scenario fails in turn, once and from then on: a defined error comes out, nothing
 * is left behind, and the next run in the same process works. */
#include "sweep.h"

static int nap(int n)
{
    crank_try(crank_sleep(0.0001 * n));
    return n;
}
static int many(int a, int b, int c, int d, int e, int f, int g) { return a + b + c + d + e + f + g; }

static long nothing(void *arg)
{
    (void)arg;
    return 0;
}
SWEEP(empty_run, nothing)

static long tasks(void *arg)
{
    (void)arg;
    long r[3];
    crank_try(crank_gather(r, crank_spawn(nap, 1), crank_spawn(many, 1, 2, 3, 4, 5, 6, 7), crank_spawn(nap, 2)));
    EXPECT_EQ(r[0] + r[1] + r[2], 31);
    crank_task *eager = crank_spawn_eager(nap, 1);
    crank_try(crank_await(eager));
    crank_task *named = crank_spawn(nap, 1);
    if (named)
        crank_set_name(named, "named");
    crank_try(crank_await(named));
    return 0;
}
SWEEP(tasks, tasks)

static long groups(void *arg)
{
    (void)arg;
    {
        CRANK_GROUP(g);
        for (int i = 0; i < 4; i++)
            crank_group_spawn(&g, nap, i);
        crank_try(crank_group_wait(&g));
    }
    long results[5];
    CRANK_POOL(pool, 2);
    for (int i = 0; i < 5; i++)
        crank_pool_spawn(&pool, nap, i);
    crank_try(crank_pool_wait(&pool, results, 5));
    EXPECT_EQ(results[4], 4);
    return 0;
}
SWEEP(groups, groups)

static int broken(int n) { return crank_fail(EPROTO, "broken %d", n); }
static double half(int n) { return n / 2.0; }
static long into_variables(void *arg)
{
    (void)arg;
    int one = 0;
    double reals[4] = { 0 };
    {
        CRANK_GROUP(g);
        crank_group_spawn_into(&g, &one, nap, 1);
        crank_group_spawn_into(&g, &reals[3], half, 3);
        crank_try(crank_group_wait(&g));
    }
    EXPECT_EQ(one, 1);
    CRANK_POOL(pool, 2);
    for (int i = 0; i < 3; i++)
        crank_group_spawn_into(&pool, &reals[3], half, i);
    crank_try(crank_pool_wait(&pool, reals, 3));
    EXPECT_NEAR(reals[2], 1, 0);
    crank_group_add_into(&pool, &reals[0], crank_to_thread(half, 5));
    crank_group_add(&pool, crank_spawn_eager(half, 5));
    crank_try(crank_pool_wait(&pool, reals + 1, 2));
    EXPECT_NEAR(reals[0] + reals[1] + reals[2], 7.5, 0);
    return 0;
}
SWEEP(into_variables, into_variables)

static int ready(int n)
{
    crank_started(n);
    return nap(n);
}
static long starts(void *arg)
{
    (void)arg;
    int value = 0;
    CRANK_GROUP(g);
    crank_try(crank_group_start(&g, &value, ready, 3));
    EXPECT_EQ(value, 3);
    int err = crank_group_start(&g, &value, broken, 1);
    if (err != -EPROTO)
        return err;
    return crank_group_wait(&g);
}
SWEEP(starts, starts)

static long first_of_several(void *arg)
{
    (void)arg;
    crank_outcome outcomes[3];
    int won = crank_any(outcomes, crank_spawn(broken, 0), crank_spawn(nap, 1), crank_spawn(nap, 1000));
    if (won == 1)
        EXPECT_EQ(outcomes[1].value, 1);
    if (won < 0)
        return won;
    int err = crank_any(NULL, crank_spawn(broken, 1), crank_spawn(broken, 2));
    return err == -EPROTO ? 0 : err;
}
SWEEP(first_of_several, first_of_several)

static long failures(void *arg)
{
    (void)arg;
    CRANK_GROUP(g);
    crank_group_spawn(&g, broken, 0);
    crank_group_spawn(&g, nap, 100);
    int err = crank_group_wait(&g);
    if (err != -EPROTO)
        return err;
    long awaited = crank_await(crank_spawn(broken, 0));
    return awaited == -EPROTO ? 0 : awaited;
}
SWEEP(failures, failures)

static long limits(void *arg)
{
    (void)arg;
    long err = crank_within(0.001, nap(1000));
    if (err != -ETIMEDOUT)
        return err;
    CRANK_TIMEOUT(t, 1000.0);
    crank_try(crank_shield(nap(1)));
    crank_try(crank_sleep(0.0001));
    return 0;
}
SWEEP(limits, limits)

static int count_to(int n)
{
    for (int i = 0; i < n; i++)
        crank_try(crank_yield(i));
    return 0;
}
static bool even(int n) { return n % 2 == 0; }
static long generators(void *arg)
{
    (void)arg;
    int sum = 0;
    crank_foreach(int, n, crank_generate(count_to, 5)) sum += n;
    EXPECT_EQ(sum, 10);
    int evens[3];
    ssize_t got =
        crank_try(crank_collect(crank_take(crank_filter(int, crank_generate(count_to, 9), even), 3), evens, 3));
    EXPECT_EQ(got, 3);
    return 0;
}
SWEEP(generators, generators)

static int produce(crank_queue *q)
{
    for (int i = 0; i < 40; i++)
        crank_try(crank_put(q, i));
    crank_queue_shutdown(q, false);
    return 0;
}
static long queues(void *arg)
{
    (void)arg;
    crank_queue *q = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 0);
    if (!q)
        return -ENOMEM;
    int item, sum = 0;
    long err = crank_await(crank_spawn(produce, q));
    while (err == 0 && crank_get(q, &item) == 0)
        sum += item;
    crank_queue_free(q);
    crank_try(err);
    EXPECT_EQ(sum, 780);
    return 0;
}
SWEEP(queues, queues)

static crank_local key;
static long locals_and_futures(void *arg)
{
    static char value[] = "value";
    (void)arg;
    crank_try(crank_local_set(&key, value));
    crank_try(crank_await(crank_spawn(nap, 1)));
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    if (!f)
        return -ENOMEM;
    crank_task *task = crank_spawn(nap, 1);
    crank_task *list[] = { task, crank_future_task(f) };
    crank_try(crank_set_result(f, 5));
    if (!task)
        return -ENOMEM;
    ssize_t done = crank_wait(list, 2, CRANK_ALL_COMPLETED, CRANK_FOREVER);
    long awaited = crank_await(task);
    crank_try(done);
    crank_try(awaited);
    crank_try(crank_await(f));
    return 0;
}
SWEEP(locals_and_futures, locals_and_futures)

static long job(int n) { return n; }
static long threads(void *arg)
{
    (void)arg;
    long r[3];
    crank_try(crank_gather(r, crank_to_thread(job, 1), crank_to_thread(job, 2), crank_to_thread(job, 3)));
    EXPECT_EQ(r[0] + r[1] + r[2], 6);
    return 0;
}
SWEEP(threads, threads)

/* Under the simulator the limit is a timer of the loop's: a wait that cannot have one ends at once. */
static long wait_with_a_limit(crank_loop *loop)
{
    crank_submission *submission = crank_submit(loop, nap, 100000);
    if (!submission)
        return -ENOMEM;
    long value = 0;
    int err = crank_submission_wait(submission, 1, &value);
    if (err == 0) {
        EXPECT(value < 0); /* its task was not made */
        return value;
    }
    crank_submission_drop(submission);
    EXPECT(err == -ETIMEDOUT || err == -ENOMEM);
    return err == -ETIMEDOUT ? 0 : err;
}
static long limited_job(void *arg)
{
    (void)arg;
    return crank_await(crank_to_thread(wait_with_a_limit, crank_current_loop()));
}
TEST(limited_job, survives_each_failing_call_on_sim) { sweep(limited_job, CRANK_BACKEND_SIM, false); }
TEST(limited_job, survives_all_calls_failing_from_each_on_sim) { sweep(limited_job, CRANK_BACKEND_SIM, true); }

static long files(void *arg)
{
    (void)arg;
    char *data = NULL;
    size_t size = 0;
    crank_try(crank_read_file("/proc/self/status", &data, &size));
    free(data);
    return 0;
}
SWEEP(files, files)
