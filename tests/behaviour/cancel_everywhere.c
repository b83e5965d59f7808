/* SPDX-License-Identifier: MIT */
/* cancel_everywhere.c: each waiting call on tasks, scopes and synchronisation objects, cancelled at every point.
 *
 * tests/build/checkpoints.sh compares the rows of these files with the headers: each prototype marked CRANK_BLOCKS has
 * at least one. Streams and files have theirs in cancel_everywhere_io.c. */
#include "points.h"

/* What the story of one row is about. */
static struct world {
    int begun, left; /* functions of children */
    int alive;       /* children whose function had not ended when the call returned */
    crank_task *tasks[2];
    crank_task *rival; /* who wants the same as the caller, and came later */
    crank_future *future;
    crank_lock *lock;
    crank_event *event;
    crank_condition *condition;
    crank_semaphore *semaphore;
    crank_barrier *barrier;
    crank_queue *queue;
    int holders, order, caller_order, rival_order;
    int value, rival_value, out[4], outs;
    long results[3];
    crank_outcome outcomes[3];
    int set;  /* what setting the future gave */
    bool got; /* the caller has what it waited for */
    bool rival_done;
    bool notifies; /* the driver has the lock */
    crank_task *notifier;
    double begin;
} w;

static int clear(void)
{
    w = (struct world){ .value = -1, .rival_value = -1, .results = { -1, -1, -1 }, .begin = crank_time() };
    return 0;
}
static void leave(const int *mark) { w.left += *mark; }
/* Count this function in, and out however it is left. */
#define COUNTED \
    int counted_ __attribute__((cleanup(leave))) = 1; \
    w.begun += counted_

/* Asked to stop it cleans up, which may wait. */
static int child(int turns, int value)
{
    COUNTED;
    for (int i = 0; i < turns; i++) {
        int err = crank_sleep(0);
        if (err < 0) {
            TOLD_EQ(err, -ECANCELED);
            TOLD_EQ(crank_sleep(0), 0);
            return err;
        }
    }
    return value;
}
static int stubborn(int turns, int value)
{
    COUNTED;
    for (int i = 0; i < turns; i++)
        (void)crank_sleep(0);
    return value;
}
/* A real result is always a good one, also one that was cut short. */
static double half(int turns) { return child(turns, 1) == 1 ? 0.5 : 0.25; }
static void *pointer(int turns)
{
    int err = child(turns, 1);
    errno = err < 0 ? -err : 0;
    return err < 0 ? NULL : &w;
}
/* For the end of calls that wait for children: none is left behind. */
static long counted_children(long result)
{
    w.alive = w.begun - w.left;
    return result;
}
static int none_alive(const struct told *t, long done)
{
    TOLD_EQ(w.alive, 0);
    TOLD(t->result == done || t->result == -ECANCELED);
    return 0;
}

/* ---- time */

static long do_sleep(void) { return crank_sleep(0.0025); }
static long do_sleep_until(void) { return crank_sleep_until(w.begin + 0.0025); }
static int judge_sleep(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD(t->result < 0 || crank_time() - w.begin >= 0.0025 - 1e-9);
    return 0;
}
static long do_yield(void) { return crank_sleep(0) < 0 ? -ECANCELED : crank_sleep(0); }
static int judge_yield(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    return 0;
}

/* ---- await */

static long do_await(void) { return counted_children(crank_await(crank_spawn(child, 3, 42))); }
static int judge_await(const struct told *t) { return none_alive(t, 42); }
static long do_await_stubborn(void) { return counted_children(crank_await(crank_spawn(stubborn, 3, 42))); }
static int judge_await_stubborn(const struct told *t)
{
    if (t->asked_inside)
        TOLD_EQ(t->result, 42); /* a result stands, the request stays */
    return none_alive(t, 42);
}
static long do_await_double(void)
{
    double value = crank_await_double(crank_spawn(half, 3));
    return counted_children(value == 0.5 ? 1 : value == 0.25 ? 2 : isnan(value) ? -ECANCELED : 0);
}
static int judge_double(const struct told *t)
{
    TOLD(t->result == 2 || t->result == 1 || (t->result == -ECANCELED && !t->asked_inside));
    TOLD_EQ(w.alive, 0);
    return 0;
}
static int judge_one(const struct told *t) { return none_alive(t, 1); }
static long do_await_ptr(void)
{
    void *value = crank_await_ptr(crank_spawn(pointer, 3));
    return counted_children(value == &w ? 1 : -errno);
}

static int make_future(void)
{
    clear();
    w.future = crank_future_new();
    return w.future ? 0 : -ENOMEM;
}
static int set_future(void)
{
    w.set = crank_set_result(w.future, 42L);
    return 0;
}
static long do_await_future(void) { return crank_await(w.future); }
static int judge_future(const struct told *t)
{
    TOLD(t->result == 42 || t->result == -ECANCELED);
    /* One that never began to wait has cancelled nothing. */
    if (t->begun)
        TOLD_EQ(w.set, t->result == 42 ? 0 : -ECANCELED);
    crank_future_free(w.future);
    return 0;
}

static int spawn_one(void)
{
    clear();
    w.tasks[0] = crank_spawn(child, 6, 42);
    return 0;
}
static long do_await_shared(void) { return crank_await_shared(w.tasks[0]); }
static int judge_shared(const struct told *t)
{
    TOLD(t->result == 42 || t->result == -ECANCELED);
    TOLD_EQ(crank_await(w.tasks[0]), 42); /* nobody has cancelled it */
    return 0;
}

/* ---- groups and gather */

static long do_group_wait(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, child, 2, 1);
    crank_group_spawn(&group, child, 4, 1);
    return counted_children(crank_group_wait(&group));
}
static int judge_zero(const struct told *t) { return none_alive(t, 0); }
static long do_pool_wait_as_a_function(void)
{
    CRANK_POOL(pool, 2);
    for (int i = 0; i < 3; i++)
        crank_pool_spawn(&pool, child, 2, 10 + i);
    return counted_children((crank_pool_wait)(&pool, w.results, 3));
}
static long do_pool_wait(void)
{
    CRANK_POOL(pool, 2);
    for (int i = 0; i < 3; i++)
        crank_pool_spawn(&pool, child, 2, 10 + i);
    return counted_children(crank_pool_wait(&pool, w.results, 3));
}
static int judge_results(const struct told *t)
{
    for (int i = 0; i < 3; i++)
        TOLD_EQ(w.results[i], t->result == 0 ? 10 + i : -1);
    return none_alive(t, 0);
}
static long do_gather(void)
{
    return counted_children(
        crank_gather(w.results, crank_spawn(child, 1, 10), crank_spawn(child, 4, 11), crank_spawn(child, 2, 12)));
}
static long do_gather_settled(void)
{
    int err = crank_gather_settled(
        w.outcomes, crank_spawn(child, 1, 10), crank_spawn(child, 4, 11), crank_spawn(child, 2, 12));
    for (int i = 0; i < 3; i++)
        TOLD(w.outcomes[i].error == 0 ? w.outcomes[i].value == 10 + i : w.outcomes[i].error == -ECANCELED);
    return counted_children(err);
}
static int start_late(int turns)
{
    COUNTED;
    int err = child(turns, 0);
    if (err == 0)
        crank_started(42);
    return err;
}
static long do_group_start(void)
{
    int started = -1;
    CRANK_GROUP(group);
    int err = crank_group_start(&group, &started, start_late, 3);
    TOLD(started == (err == 0 ? 42 : -1));
    return counted_children(err);
}
static long do_any(void)
{
    return counted_children(
        crank_any(w.outcomes, crank_spawn(child, 3, 10), crank_spawn(child, 1, 11), crank_spawn(child, 4, 12)));
}
static int judge_any(const struct told *t)
{
    for (int i = 0; i < 3; i++)
        TOLD(w.outcomes[i].error == -ECANCELED || (w.outcomes[i].error == 0 && w.outcomes[i].value == 10 + i));
    return none_alive(t, 1);
}

static int spawn_two(void)
{
    clear();
    w.tasks[0] = crank_spawn(child, 6, 42);
    w.tasks[1] = crank_spawn(child, 3, 43);
    return 0;
}
static long do_wait(void) { return crank_wait(w.tasks, 2, CRANK_ALL_COMPLETED, 10); }
static int judge_wait(const struct told *t)
{
    TOLD(t->result == 2 || t->result == -ECANCELED);
    TOLD_EQ(crank_await(w.tasks[0]), 42);
    TOLD_EQ(crank_await(w.tasks[1]), 43);
    return 0;
}
static long do_wait_next(void) { return crank_wait_next_(w.tasks, 2); }
static int judge_wait_next(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(crank_await(w.tasks[0]), t->result == 0 ? 43 : 42);
    TOLD_EQ(crank_await(w.tasks[1]), t->result == 0 ? 42 : 43);
    return 0;
}

static int three(void)
{
    COUNTED;
    for (int i = 0; i < 3; i++) {
        crank_try(crank_sleep(0));
        crank_try(crank_yield(i));
    }
    return 0;
}
static long do_collect(void)
{
    int values[5] = { -1, -1, -1, -1, -1 };
    long n = crank_collect(crank_generate(three), values, 5);
    for (int i = 0; i < n; i++)
        TOLD_EQ(values[i], i);
    return counted_children(n);
}
static int judge_collect(const struct told *t) { return none_alive(t, 3); }

/* ---- synchronisation: a rival comes after the caller and wants the same */

static int hold_lock(void)
{
    clear();
    w.lock = crank_lock_new();
    return crank_lock_acquire_nowait(w.lock);
}
static int hold_in_turn(int *ret_order)
{
    int err = crank_lock_acquire(w.lock);
    if (err < 0)
        return err;
    TOLD_EQ(w.holders++, 0);
    *ret_order = ++w.order;
    w.holders--;
    crank_lock_release(w.lock);
    return 0;
}
static long do_lock(void) { return hold_in_turn(&w.caller_order); }
static int rival_locks(void)
{
    w.rival = crank_spawn(hold_in_turn, &w.rival_order);
    return 0;
}
static int release_lock(void)
{
    crank_lock_release(w.lock);
    return 0;
}
static int judge_lock(const struct told *t)
{
    TOLD_EQ(crank_await(w.rival), 0);
    TOLD(!crank_lock_held(w.lock));
    TOLD_EQ(w.caller_order, t->result == 0 ? 1 : 0);
    TOLD_EQ(w.rival_order, t->result == 0 ? 2 : 1);
    crank_lock_free(w.lock);
    return 0;
}

static int make_event(void)
{
    clear();
    w.event = crank_event_new();
    return 0;
}
static long do_event(void) { return crank_event_wait(w.event); }
static int rival_waits_for_event(void)
{
    w.rival = crank_spawn(crank_event_wait, w.event);
    return 0;
}
static int raise_and_lower(void)
{
    crank_event_set(w.event);
    crank_event_clear(w.event);
    return 0;
}
static int judge_event(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(crank_await(w.rival), 0);
    crank_event_free(w.event);
    return 0;
}

static int make_condition(void)
{
    clear();
    w.lock = crank_lock_new();
    w.condition = crank_condition_new(w.lock);
    return 0;
}
static int wait_with_lock(bool *ret_got)
{
    int err = crank_condition_wait(w.condition);
    TOLD_EQ(w.holders++, 0);
    *ret_got = err == 0;
    w.holders--;
    crank_lock_release(w.lock); /* whatever it returned, the lock is held */
    return err;
}
static long do_condition(void)
{
    TOLD_EQ(crank_lock_acquire_nowait(w.lock), 0);
    return wait_with_lock(&w.got);
}
static int take_lock_and_wait(void)
{
    crank_try(crank_lock_acquire(w.lock));
    return wait_with_lock(&w.rival_done);
}
static int rival_waits_for_condition(void)
{
    w.rival = crank_spawn(take_lock_and_wait);
    return 0;
}
/* Where a caller cancelled in the same breath has the lock already, somebody waits for it in our place. */
static int notify_later(void)
{
    CRANK_WITH_LOCK(w.lock);
    crank_condition_notify(w.condition, 1);
    return 0;
}
static int notify_one(void)
{
    w.notifies = crank_lock_acquire_nowait(w.lock) == 0;
    if (w.notifies)
        crank_condition_notify(w.condition, 1);
    else
        w.notifier = crank_spawn(notify_later);
    return 0;
}
static int stop_notifying(void)
{
    if (w.notifies)
        crank_lock_release(w.lock);
    return 0;
}
/* The one notification is the caller's or the rival's; then the other gets one. */
static int judge_condition(const struct told *t)
{
    if (w.notifier)
        TOLD_EQ(crank_await(w.notifier), 0);
    crank_try(settle());
    TOLD_EQ(w.got, t->result == 0);
    TOLD_EQ(w.rival_done, !w.got);
    TOLD_EQ(crank_lock_acquire_nowait(w.lock), 0);
    crank_condition_notify_all(w.condition);
    crank_lock_release(w.lock);
    TOLD_EQ(crank_await(w.rival), 0);
    crank_condition_free(w.condition);
    crank_lock_free(w.lock);
    return 0;
}

static int make_semaphore(void)
{
    clear();
    w.semaphore = crank_semaphore_new(0);
    return 0;
}
static long do_semaphore(void) { return crank_semaphore_acquire(w.semaphore); }
static int rival_acquires(void)
{
    w.rival = crank_spawn(crank_semaphore_acquire, w.semaphore);
    return 0;
}
static int release_permit(void)
{
    crank_semaphore_release(w.semaphore);
    return 0;
}
static int judge_semaphore(const struct told *t)
{
    TOLD_EQ(crank_done(w.rival), t->result < 0);
    if (t->result == 0)
        crank_semaphore_release(w.semaphore);
    TOLD_EQ(crank_await(w.rival), 0);
    TOLD_EQ(crank_semaphore_value(w.semaphore), 0);
    crank_semaphore_free(w.semaphore);
    return 0;
}

static int make_barrier(void)
{
    clear();
    w.barrier = crank_barrier_new(2);
    return 0;
}
static long do_barrier(void) { return crank_barrier_wait(w.barrier); }
static int rival_arrives(void)
{
    w.rival = crank_spawn(crank_barrier_wait, w.barrier);
    return 0;
}
static int judge_barrier(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(crank_barrier_waiting(w.barrier), t->result < 0);
    if (t->result < 0)
        TOLD_EQ(crank_barrier_wait(w.barrier), 1);
    TOLD_EQ(crank_await(w.rival), t->result < 0 ? 0 : 1);
    crank_barrier_free(w.barrier);
    return 0;
}

/* ---- queues */

static int fill_queue(void)
{
    clear();
    w.queue = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 1);
    return crank_put_nowait(w.queue, 1);
}
static int put(int value) { return crank_put(w.queue, value); }
static long do_put(void) { return put(2); }
static int rival_puts(void)
{
    w.rival = crank_spawn(put, 3);
    return 0;
}
static int take_out(void) { return crank_get_nowait(w.queue, &w.out[w.outs++]); }
static int judge_put(const struct told *t)
{
    TOLD_EQ(crank_await(w.rival), 0);
    while (crank_queue_count(w.queue) > 0)
        crank_try(take_out());
    TOLD_EQ(w.outs, t->result == 0 ? 3 : 2);
    TOLD_EQ(w.out[0], 1);
    TOLD_EQ(w.out[1], t->result == 0 ? 2 : 3);
    TOLD_EQ(w.out[w.outs - 1], 3);
    crank_queue_free(w.queue);
    return 0;
}

static int make_queue(void)
{
    clear();
    w.queue = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 0);
    return 0;
}
static int get(int *ret_value) { return crank_get(w.queue, ret_value); }
static long do_get(void) { return get(&w.value); }
static int rival_gets(void)
{
    w.rival = crank_spawn(get, &w.rival_value);
    return 0;
}
static int put_next(void) { return crank_put_nowait(w.queue, ++w.order); }
static int judge_get(const struct told *t)
{
    TOLD_EQ(crank_await(w.rival), 0);
    TOLD_EQ(w.value, t->result == 0 ? 1 : -1);
    TOLD_EQ(w.rival_value, t->result == 0 ? 2 : 1);
    TOLD_EQ(crank_queue_count(w.queue), t->result == 0 ? 0 : 1);
    crank_queue_free(w.queue);
    return 0;
}

static int take_one(void)
{
    crank_try(fill_queue());
    return take_out();
}
static long do_join(void) { return crank_queue_join(w.queue); }
static int finish_one(void)
{
    crank_queue_done(w.queue);
    return 0;
}
static int judge_join(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(crank_queue_join(w.queue), 0);
    crank_queue_free(w.queue);
    return 0;
}

static const struct row rows[] = {
    { "crank_sleep", "some time", clear, do_sleep, { 0 }, NULL, judge_sleep, 0.001, NULL },
    { "crank_sleep", "turns", clear, do_yield, { 0 }, NULL, judge_yield, 0, NULL },
    { "crank_sleep_until", "an instant", clear, do_sleep_until, { 0 }, NULL, judge_sleep, 0.001, NULL },
    { "crank_await_", "a child", clear, do_await, { 0 }, NULL, judge_await, 0, NULL },
    { "crank_await_", "a child that does not stop", clear, do_await_stubborn, { 0 }, NULL, judge_await_stubborn, 0,
        NULL },
    { "crank_await_", "a future", make_future, do_await_future, { set_future }, NULL, judge_future, 0, NULL },
    { "crank_await_double_", "a child", clear, do_await_double, { 0 }, NULL, judge_double, 0, NULL },
    { "crank_await_ptr_", "a child", clear, do_await_ptr, { 0 }, NULL, judge_one, 0, NULL },
    { "crank_await_shared_", "another's task", spawn_one, do_await_shared, { 0 }, NULL, judge_shared, 0, NULL },
    { "crank_group_wait", "two children", clear, do_group_wait, { 0 }, NULL, judge_zero, 0, NULL },
    { "crank_pool_wait", "three children, two at once", clear, do_pool_wait_as_a_function, { 0 }, NULL, judge_results,
        0, NULL },
    { "crank_pool_wait_", "three children, two at once", clear, do_pool_wait, { 0 }, NULL, judge_results, 0, NULL },
    { "crank_gather_", "three children", clear, do_gather, { 0 }, NULL, judge_results, 0, NULL },
    { "crank_gather_settled_n", "three children", clear, do_gather_settled, { 0 }, NULL, judge_zero, 0, NULL },
    { "crank_group_start_", "a child that starts after three turns", clear, do_group_start, { 0 }, NULL, judge_zero, 0,
        NULL },
    { "crank_any_n", "three children", clear, do_any, { 0 }, NULL, judge_any, 0, NULL },
    { "crank_wait", "two tasks", spawn_two, do_wait, { 0 }, NULL, judge_wait, 0, NULL },
    { "crank_wait_next_", "two tasks", spawn_two, do_wait_next, { 0 }, NULL, judge_wait_next, 0, NULL },
    { "crank_collect_", "a generator that waits", clear, do_collect, { 0 }, NULL, judge_collect, 0, NULL },
    { "crank_lock_acquire", "a held lock", hold_lock, do_lock, { rival_locks, release_lock }, NULL, judge_lock, 0,
        NULL },
    { "crank_event_wait", "raised and lowered", make_event, do_event, { rival_waits_for_event, raise_and_lower }, NULL,
        judge_event, 0, NULL },
    { "crank_condition_wait", "one notification", make_condition, do_condition,
        { rival_waits_for_condition, notify_one, stop_notifying }, NULL, judge_condition, 0, NULL },
    { "crank_semaphore_acquire", "one permit", make_semaphore, do_semaphore, { rival_acquires, release_permit }, NULL,
        judge_semaphore, 0, NULL },
    { "crank_barrier_wait", "two parties", make_barrier, do_barrier, { rival_arrives }, NULL, judge_barrier, 0, NULL },
    { "crank_queue_put_", "a full queue", fill_queue, do_put, { rival_puts, take_out, take_out }, NULL, judge_put, 0,
        NULL },
    { "crank_queue_get_", "an empty queue", make_queue, do_get, { rival_gets, put_next, put_next }, NULL, judge_get, 0,
        NULL },
    { "crank_queue_join", "one element not done", take_one, do_join, { finish_one }, NULL, judge_join, 0, NULL },
};

TEST_EACH_BACKEND(cancel, at_every_point_of_a_waiting_call_takes_nothing_or_comes_too_late)
{
    return try_rows(rows, CRANK_COUNT(rows), true);
}

/* The simulator perturbs the order of all that is ready; the points fall elsewhere. */
TEST_SEEDS(cancel, at_every_point_takes_nothing_in_any_order_of_running, 3)
{
    return try_rows(rows, CRANK_COUNT(rows), true);
}

TEST_SEEDS(cancel, at_every_point_takes_nothing_in_many_orders_of_running, 200)
{
    test_needs_long();
    return try_rows(rows, CRANK_COUNT(rows), true);
}
