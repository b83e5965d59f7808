/* SPDX-License-Identifier: MIT */
/* random_tasks.c: small programs at random, of everything that tasks and scopes can do to each other.
 *
 * A seed decides a tree of tasks, each of which takes a few steps: it spawns, awaits, gathers, opens groups and
 * limits, holds locks, puts and gets, loops over generators, cancels whom it meets, gives in when cancelled or goes
 * on. Every wait that nobody need end stands under a limit, so each program ends by itself. What must hold: it does
 * end; each function that was begun is left; results are those of the very task; a lock has one holder; what was got
 * was put; callbacks are called. Memory and stacks are looked at by the runner, and by AddressSanitizer.
 * The simulator's own choices follow the same seed. */
#include "../behaviour/trail.h"

enum { DEPTH_MAX = 4, SIZE_MAX_ = 160, WIDTH = 4, SHELF = 3 };

/* Static: tasks end, and callbacks are called, after app has returned. */
static struct world {
    uint64_t random;
    int begun, left; /* functions of tasks */
    int next_value;
    int callbacks_asked, callbacks_called;
    int put, got;
    int holders, permits;
    int failures;
    crank_lock *lock;
    crank_semaphore *semaphore;
    crank_event *event;
    crank_queue *queue;
    crank_generator *shelf[SHELF]; /* left asleep by one task, for another */
    crank_local local;
} w;

static unsigned dice(unsigned n) { return chance(&w.random, n); }
static double moment(void) { return 0.001 * dice(4); }
static bool may_fail_with(long error) { return error == -ECANCELED || error == -EIO || error == -ETIMEDOUT; }
static void leave(int *mark) { w.left += *mark; }
/* Count this function in, and out however it is left. */
#define COUNTED \
    int counted_ __attribute__((cleanup(leave))) = 1; \
    w.begun += counted_

static int step(int depth);

/* A task: some steps, and its value. */
static int node(int depth, int value)
{
    COUNTED;
    static __thread char own;
    void *inherited = crank_local_get(&w.local);
    bool sets = dice(8) == 0;
    if (sets)
        EXPECT_EQ(crank_local_set(&w.local, &own), 0);
    for (unsigned i = dice(4); i > 0; i--) {
        int err = step(depth + 1);
        EXPECT(err == 0 || may_fail_with(err));
        if (err < 0 && dice(2))
            return err;
        if (err < 0 && crank_cancelled() && dice(2))
            crank_uncancel(NULL);
    }
    EXPECT(crank_local_get(&w.local) == (sets ? &own : inherited));
    if (dice(14) == 0) {
        w.failures++;
        return crank_fail(EIO, "task %d failed", value);
    }
    return value;
}

static crank_task *child(int depth, int *ret_value)
{
    *ret_value = w.next_value++;
    crank_task *task = dice(5) ? crank_spawn(node, depth, *ret_value) : crank_spawn_eager(node, depth, *ret_value);
    EXPECT(task);
    return task;
}
static int judge(long result, int value)
{
    EXPECT(result == value || may_fail_with(result));
    return result < 0 ? (int)result : 0;
}

/* ---- one after another, or given away */

static int await_one(int depth)
{
    int value;
    crank_task *task = child(depth, &value);
    return judge(crank_await(task), value);
}

static int share(crank_task *task, int value)
{
    COUNTED;
    return judge(crank_await_shared(task), value);
}
static int await_shared(int depth)
{
    int value;
    crank_task *task = child(depth, &value);
    crank_task *other = crank_spawn(share, task, value);
    int err = judge(crank_await_shared(task), value);
    (void)crank_await(other);
    crank_drop(task);
    return err;
}

static void called(crank_task *task, void *arg)
{
    (void)arg;
    EXPECT(crank_done(task));
    w.callbacks_called++;
}
static int give_away(int depth)
{
    int value;
    crank_task *task = child(depth, &value);
    if (dice(2)) {
        EXPECT_EQ(crank_on_done(task, called, NULL), 0);
        w.callbacks_asked++;
    }
    if (dice(3) == 0)
        crank_detach(task);
    else
        crank_drop(task);
    return 0;
}

/* ---- several at once */

static int gather_some(int depth)
{
    crank_task *tasks[WIDTH];
    int values[WIDTH];
    long results[WIDTH];
    unsigned n = dice(WIDTH) + 1;
    for (unsigned i = 0; i < n; i++)
        tasks[i] = child(depth, &values[i]);
    if (dice(3) == 0)
        (void)crank_wait(tasks, n, CRANK_FIRST_COMPLETED, moment()); /* reorders them: values are not compared */
    else if (dice(3)) {
        int err = crank_gather_n(tasks, n, results);
        for (unsigned i = 0; err == 0 && i < n; i++)
            EXPECT_EQ(results[i], values[i]);
        return err;
    }
    crank_outcome outcomes[WIDTH];
    int err = crank_gather_settled_n(tasks, n, outcomes);
    for (unsigned i = 0; i < n; i++)
        EXPECT(outcomes[i].error == 0 || may_fail_with(outcomes[i].error));
    return err;
}

static int completed(int depth)
{
    crank_task *tasks[WIDTH];
    int values[WIDTH], err = 0;
    for (int i = 0; i < WIDTH; i++)
        tasks[i] = child(depth, &values[i]);
    crank_foreach_completed(t, tasks, WIDTH)
    {
        EXPECT(crank_done(t));
        long result = crank_await(t);
        EXPECT(result >= 0 || may_fail_with(result));
        err = result < 0 ? (int)result : err;
    }
    return err;
}

static int set_later(crank_future *future, long value)
{
    COUNTED;
    (void)crank_sleep(moment());
    if (dice(4) == 0)
        crank_set_error(future, EIO, "not this time");
    else
        crank_set_result(future, value);
    return 0;
}
/* The setter is awaited whatever happens, for the future goes with this block. */
static int await_future(int depth)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    long value = w.next_value++, results[2];
    crank_task *setter = crank_spawn(set_later, future, value);
    int err, other;
    if (dice(2)) {
        err = judge(crank_await(future), (int)value);
    } else {
        crank_task *task = child(depth, &other);
        err = crank_gather(results, future, task);
        if (err == 0)
            EXPECT(results[0] == value && results[1] == other);
    }
    (void)crank_shield(crank_await(setter));
    return err;
}

/* ---- groups */

static int add_sibling(crank_group *group, int depth)
{
    COUNTED;
    (void)crank_sleep(moment());
    crank_group_spawn(group, node, depth, w.next_value++);
    return 0;
}
static int open_group(int depth)
{
    CRANK_GROUP_LIMIT(group, dice(2) ? 0 : 1 + dice(2));
    for (unsigned i = dice(WIDTH); i > 0; i--)
        crank_group_spawn(&group, node, depth, w.next_value++);
    if (dice(3) == 0)
        crank_group_spawn(&group, add_sibling, &group, depth);
    if (dice(3) == 0)
        crank_try(step(depth + 1));
    if (dice(5) == 0)
        crank_group_cancel(&group);
    if (dice(4) == 0)
        return 0;
    int err = crank_group_wait(&group);
    EXPECT_EQ(crank_group_count(&group), 0);
    return err;
}

static int open_pool(int depth)
{
    CRANK_POOL(pool, 1 + dice(2));
    long results[WIDTH];
    int first = w.next_value, n = (int)dice(WIDTH) + 1;
    w.next_value += n;
    for (int i = 0; i < n; i++)
        if (!crank_pool_spawn(&pool, node, depth, first + i))
            n = 0;
    int err = crank_pool_wait(&pool, results, WIDTH);
    for (int i = 0; err == 0 && i < n; i++)
        EXPECT(results[i] == first + i || results[i] == -ECANCELED);
    return err;
}

/* ---- limits and shields */

static int limited(int depth)
{
    CRANK_TIMEOUT(limit, moment());
    if (dice(4) == 0)
        (void)crank_reschedule(&limit, moment());
    crank_try(step(depth + 1));
    crank_try(crank_sleep(moment()));
    return 0;
}
static int within(int depth)
{
    double limit = moment(), begin = crank_time();
    int err = crank_within(limit, crank_sleep(moment()));
    if (err == -ETIMEDOUT)
        EXPECT(crank_time() - begin >= limit - 1e-9);
    return err < 0 ? err : crank_within(moment(), step(depth + 1));
}
static int shielded(int depth)
{
    int err = crank_shield(crank_sleep(moment()));
    EXPECT_EQ(err, 0);
    return crank_shield(step(depth + 1));
}

/* ---- what is shared */

static int hold_lock(void)
{
    CRANK_WITH_LOCK(w.lock);
    EXPECT_EQ(w.holders++, 0);
    int err = crank_sleep(moment());
    EXPECT_EQ(--w.holders, 0);
    return err;
}
static int hold_permit(void)
{
    CRANK_WITH_PERMIT(w.semaphore);
    EXPECT(w.permits++ < 2);
    int err = crank_sleep(moment());
    w.permits--;
    return err;
}
static int put_or_get(void)
{
    int err, value = -1;
    if (dice(2)) {
        err = crank_within(0.002, crank_put(w.queue, 7));
        w.put += err == 0;
        return err;
    }
    err = crank_within(0.002, crank_get(w.queue, &value));
    EXPECT_EQ(value, err == 0 ? 7 : -1);
    w.got += err == 0;
    return err;
}
static int meet(void)
{
    if (dice(2))
        crank_event_set(w.event);
    else if (dice(2))
        crank_event_clear(w.event);
    return crank_within(0.002, crank_event_wait(w.event));
}

/* ---- generators */

/* It takes nothing from the shelf: a child must not ask the generator it was spawned in. */
static int helper(void)
{
    COUNTED;
    int err = crank_sleep(moment());
    err = err < 0 && dice(2) ? err : crank_sleep(moment());
    return err < 0 || dice(8) ? err : crank_fail(EIO, "the helper failed");
}
static int values(int to)
{
    COUNTED;
    CRANK_GROUP(group);
    if (dice(4) == 0)
        crank_group_spawn(&group, helper);
    CRANK_TIMEOUT(limit, dice(4) ? 1.0 : moment());
    for (int i = 0; i < to; i++) {
        crank_try(crank_yield(i));
        if (dice(3) == 0)
            crank_try(crank_sleep(moment()));
    }
    return dice(8) ? 0 : crank_fail(EIO, "no more values");
}
static int again(int to)
{
    COUNTED;
    return (int)crank_yield_from(crank_generate(values, to));
}
static bool any(int n)
{
    (void)n;
    return true;
}
static crank_generator *make_generator(void)
{
    int to = (int)dice(6);
    switch (dice(4)) {
    case 0: return crank_generate(again, to);
    case 1: return crank_take(crank_generate(values, to), 3);
    case 2: return crank_filter(int, crank_generate(values, to), any);
    default: return crank_generate(values, to);
    }
}
static int loop_over(int depth)
{
    int expected = 0;
    crank_foreach(int, n, make_generator())
    {
        EXPECT_EQ(n, expected++);
        if (dice(6) == 0)
            break;
        if (dice(6) == 0)
            crank_try(step(depth + 1));
    }
    return 0;
}
/* Take one from the shelf or make one, ask it, put it back or close it. What stays is closed by the end of the run. */
static int hand_on(void)
{
    crank_generator **place = &w.shelf[dice(SHELF)], *g = *place;
    int n, more;
    *place = NULL;
    if (!g)
        g = make_generator();
    more = crank_next(g, &n);
    EXPECT(more >= 0 || may_fail_with(more));
    if (!*place && dice(3)) {
        *place = g;
        return 0;
    }
    int err = crank_generator_close(g);
    return more < 0 ? more : err;
}

/* ---- the rest */

static int job(int x) { return x; }
static int ask_a_thread(void)
{
    int value = w.next_value++;
    crank_task *task = crank_to_thread(job, value);
    if (dice(4) == 0) {
        crank_abandon(task);
        return 0;
    }
    return judge(crank_await(task), value);
}

static int cancel_somebody(void)
{
    enum { MAX = 64 };
    crank_task *tasks[MAX];
    size_t n = crank_tasks(tasks, MAX);
    crank_task *victim = tasks[dice((unsigned)(n < MAX ? n : MAX))];
    if (dice(2))
        (void)crank_cancel(victim);
    else
        (void)crank_cancel_because(victim, "by %s", crank_name(NULL));
    return 0;
}

static int step(int depth)
{
    if (depth > DEPTH_MAX || w.next_value > SIZE_MAX_)
        return crank_sleep(moment());
    switch (dice(24)) {
    case 0: return await_one(depth);
    case 1: return await_shared(depth);
    case 2: return give_away(depth);
    case 3:
    case 4: return gather_some(depth);
    case 5: return completed(depth);
    case 6: return await_future(depth);
    case 7:
    case 8: return open_group(depth);
    case 9: return open_pool(depth);
    case 10: return limited(depth);
    case 11: return within(depth);
    case 12: return shielded(depth);
    case 13: return hold_lock();
    case 14: return hold_permit();
    case 15: return put_or_get();
    case 16: return meet();
    case 17: return loop_over(depth);
    case 18: return hand_on();
    case 19: return dice(4) ? crank_sleep(0) : ask_a_thread();
    case 20:
    case 21: return cancel_somebody();
    default: return crank_sleep(moment());
    }
}

/* Of the run before: everything has ended, also what was detached. */
static void expect_all_ended(void)
{
    EXPECT_EQ(w.begun, w.left);
    EXPECT_EQ(w.callbacks_asked, w.callbacks_called);
    EXPECT_EQ(w.holders, 0);
    EXPECT_EQ(w.permits, 0);
}

static int program(void)
{
    for (int i = 0; i < 6; i++)
        (void)step(0);
    return 0;
}

/* Whatever is asked of app, it waits for those who use what lies in its frame. */
static int run_one(uint64_t seed)
{
    expect_all_ended();
    w = (struct world){ .random = seed };
    CRANK_LOCK(lock);
    CRANK_SEMAPHORE(semaphore, 2);
    CRANK_EVENT(event);
    CRANK_QUEUE(queue, int, 2);
    w.lock = lock, w.semaphore = semaphore, w.event = event, w.queue = queue;
    (void)crank_await(crank_spawn(program));
    while (crank_tasks(NULL, 0) > 1)
        (void)crank_sleep(0.001);
    EXPECT_EQ(w.put, w.got + (int)crank_queue_count(queue));
    EXPECT(!crank_lock_held(lock));
    EXPECT_EQ(crank_semaphore_value(semaphore), 2);
    return 0;
}

TEST_SEEDS(random, programs_end_and_lose_nothing, 500) { return run_one(seed); }

TEST_SEEDS(random, many_more_programs_end_and_lose_nothing, 20000)
{
    test_needs_long();
    return run_one(seed + 1000000);
}
