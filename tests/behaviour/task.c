/* SPDX-License-Identifier: MIT */
/* task.c: spawning, order, results of every kind, ownership, handles. */
#include <limits.h>
#include <pthread.h>
#include "trail.h"

static int word(const char *name)
{
    say("%s", name);
    return 0;
}

static int step_thrice(const char *name)
{
    for (int i = 0; i < 3; i++) {
        say("%s%d", name, i);
        crank_try(crank_sleep(0));
    }
    return 0;
}

static int slow(double seconds, const char *name)
{
    int err = crank_sleep(seconds);
    say("%s%s", name, err < 0 ? "!" : "");
    return err;
}

TEST_EACH_BACKEND(spawn, runs_the_child_when_the_parent_waits)
{
    crank_task *child = crank_spawn(word, "child");
    say("parent");
    crank_try(crank_await(child));
    EXPECT_TRAIL("parent child");
    return 0;
}

TEST_EACH_BACKEND(spawn, runs_tasks_first_in_first_out)
{
    crank_task *a = crank_spawn(step_thrice, "a");
    crank_task *b = crank_spawn(step_thrice, "b");
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("a0 b0 a1 b1 a2 b2");
    return 0;
}

TEST_EACH_BACKEND(spawn, eager_runs_the_child_up_to_its_first_wait)
{
    crank_task *child = crank_spawn_eager(step_thrice, "c");
    say("parent");
    crank_try(crank_await(child));
    EXPECT_TRAIL("c0 parent c1 c2");
    return 0;
}

TEST_EACH_BACKEND(spawn, eager_of_one_that_ends_at_once_leaves_it_done)
{
    crank_task *child = crank_spawn_eager(word, "child");
    EXPECT(crank_done(child));
    say("parent");
    EXPECT_EQ(crank_await(child), 0);
    EXPECT_TRAIL("child parent");
    return 0;
}

static int count_nested(int depth)
{
    if (depth == 0)
        return 1;
    crank_task *a = crank_spawn_eager(count_nested, depth - 1);
    crank_task *b = crank_spawn(count_nested, depth - 1);
    return (int)crank_await(a) + (int)crank_await(b);
}

TEST_EACH_BACKEND(spawn, nests_eager_and_lazy_to_any_depth)
{
    EXPECT_EQ(count_nested(8), 256);
    return 0;
}

static long raw(void *arg) { return *(long *)arg * 2; }

TEST_EACH_BACKEND(spawn, raw_passes_one_pointer)
{
    long n = 21;
    EXPECT_EQ(crank_await(crank_spawn_raw(raw, &n)), 42);
    return 0;
}

static int sum7(int a, int b, int c, int d, int e, int f, double g) { return a + b + c + d + e + f + (int)g; }

TEST_EACH_BACKEND(spawn, copies_its_arguments_when_called)
{
    int n = 1;
    crank_task *t = crank_spawn(sum7, n, n, n, n, n, n, 1.0);
    crank_task *u = crank_spawn(sum7, n, n, n, n, n, n, 1.5);
    n = 100;
    EXPECT_EQ(crank_await(t) + crank_await(u) + n, 114);
    return 0;
}

static int twice(int n) { return 2 * n; }
static int spawned_inside(void) { return (int)crank_await(crank_spawn(twice, 4)); }

TEST_EACH_BACKEND(spawn, takes_an_argument_that_itself_spawns_and_waits)
{
    crank_task *t = crank_spawn(sum7, spawned_inside(), (int)crank_await(crank_spawn(twice, 3)), 0, 0, 0, 0,
        (double)crank_await(crank_spawn(twice, 1)));
    EXPECT_EQ(crank_await(t), 16);
    return 0;
}

/* ---- results */

static short minus_three(void) { return -3; }
static signed char minus_one(void) { return -1; }
static unsigned char two_hundred(void) { return 200; }
static unsigned max_unsigned(void) { return UINT_MAX; }
static unsigned long max_unsigned_long(void) { return ULONG_MAX; }
static long long min_long(void) { return LLONG_MIN; }
static _Bool yes(void) { return 1; }
static void nothing(void) { say("nothing"); }
static double half(void) { return 0.5; }
static float quarter(void) { return 0.25f; }
static const char *text(void) { return "text"; }
static void *null(void) { return NULL; }

TEST_EACH_BACKEND(await, gives_integers_of_every_kind_with_their_sign)
{
    EXPECT_EQ(crank_await(crank_spawn(minus_three)), -3);
    EXPECT_EQ(crank_await(crank_spawn(minus_one)), -1);
    EXPECT_EQ(crank_await(crank_spawn(two_hundred)), 200);
    EXPECT_EQ(crank_await(crank_spawn(max_unsigned)), UINT_MAX);
    EXPECT_EQ((unsigned long)crank_await(crank_spawn(max_unsigned_long)), ULONG_MAX);
    EXPECT(crank_await(crank_spawn(min_long)) == LLONG_MIN);
    EXPECT_EQ(crank_await(crank_spawn(yes)), 1);
    EXPECT_EQ(crank_await(crank_spawn(nothing)), 0);
    return 0;
}

TEST_EACH_BACKEND(await, gives_doubles_floats_and_pointers)
{
    EXPECT_NEAR(crank_await_double(crank_spawn(half)), 0.5, 0);
    EXPECT_NEAR(crank_await_double(crank_spawn(quarter)), 0.25, 0);
    EXPECT_STR(crank_await_ptr(crank_spawn(text)), "text");
    EXPECT(crank_await_ptr(crank_spawn(null)) == NULL);
    return 0;
}

static double late_half(void)
{
    crank_sleep(1);
    return 0.5;
}
static const char *late_text(void)
{
    crank_sleep(1);
    return "late";
}

TEST_SIM(await, waits_for_doubles_and_pointers)
{
    EXPECT_NEAR(crank_await_double(crank_spawn(late_half)), 0.5, 0);
    EXPECT_STR(crank_await_ptr(crank_spawn(late_text)), "late");
    return 0;
}

TEST_EACH_BACKEND(await, of_an_ended_task_does_not_switch)
{
    crank_task *a = crank_spawn(word, "a");
    crank_try(crank_sleep(0));
    crank_task *b = crank_spawn(word, "b");
    crank_try(crank_await(a));
    say("parent");
    crank_try(crank_await(b));
    EXPECT_TRAIL("a parent b");
    return 0;
}

TEST_EACH_BACKEND(await, of_a_failed_spawn_gives_its_error)
{
    crank_task *none = NULL;
    EXPECT_EQ(crank_await(none), -ENOMEM);
    EXPECT_CONTAINS(crank_error(), "out of memory");
    EXPECT(crank_await_ptr(none) == NULL);
    EXPECT(isnan(crank_await_double(none)));
    EXPECT_EQ(crank_cancel(none), -ESRCH);
    crank_drop(none);
    crank_detach(none);
    crank_abandon(none);
    return 0;
}

static int share(crank_task *task, const char *name)
{
    long value = crank_await_shared(task);
    say("%s%ld", name, value);
    return 0;
}

static int seven_later(void)
{
    crank_try(crank_sleep(0.001));
    return 7;
}

TEST_EACH_BACKEND(await, shared_by_several_gives_each_the_result_in_order)
{
    crank_task *task = crank_spawn(seven_later);
    crank_task *a = crank_spawn(share, task, "a"), *b = crank_spawn(share, task, "b");
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("a7 b7");
    EXPECT_EQ(crank_await_shared(task), 7);
    EXPECT_EQ(crank_await(task), 7);
    return 0;
}

TEST_SIM(await, shared_leaves_its_target_alone_when_cancelled)
{
    crank_task *task = crank_spawn(slow, 1.0, "slow");
    crank_task *waiter = crank_spawn(share, task, "waiter");
    crank_try(crank_sleep(0.5));
    crank_cancel(waiter);
    (void)crank_await(waiter);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("waiter-125 slow");
    return 0;
}

TEST_CHECKS(await, of_oneself_is_refused, "a task cannot wait for itself") { return (int)crank_await(crank_self()); }

static int await_parent(void) { return (int)crank_await_shared(crank_parent(NULL)); }
TEST_CHECKS(await, of_a_parent_is_refused, "ancestor") { return (int)crank_await(crank_spawn(await_parent)); }

static int await_grandparent(void) { return (int)crank_await_shared(crank_parent(crank_parent(NULL))); }
static int between(void) { return (int)crank_await(crank_spawn(await_grandparent)); }
TEST_CHECKS(await, of_a_grandparent_is_refused, "ancestor") { return (int)crank_await(crank_spawn(between)); }

static int opener_of_group(crank_task *opener) { return (int)crank_await_shared(opener); }
TEST_CHECKS(await, of_the_opener_of_ones_group_is_refused, "ancestor")
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, opener_of_group, crank_self());
    return crank_group_wait(&g);
}

TEST_CHECKS(await, twice_is_refused, "was given up before")
{
    crank_task *task = crank_spawn(word, "x");
    crank_try(crank_await(task));
    return (int)crank_await(task);
}

static int await_it(crank_task *task) { return (int)crank_await(task); }
TEST_CHECKS(await, by_two_at_once_is_refused, "awaited by somebody already")
{
    crank_task *task = crank_spawn(slow, 1.0, "x");
    crank_task *a = crank_spawn(await_it, task), *b = crank_spawn(await_it, task);
    return crank_gather(NULL, a, b);
}

TEST_CHECKS(await, of_a_double_as_an_integer_is_refused, "crank_await_double")
{
    return (int)crank_await(crank_spawn(half));
}
TEST_CHECKS(await, of_a_pointer_as_an_integer_is_refused, "crank_await_ptr")
{
    return (int)crank_await(crank_spawn(text));
}
TEST_CHECKS(await, of_an_integer_as_a_pointer_is_refused, "does not return a pointer")
{
    return crank_await_ptr(crank_spawn(word, "x")) != NULL;
}
TEST_CHECKS(await, of_an_integer_as_a_double_is_refused, "does not return a floating point number")
{
    return crank_await_double(crank_spawn(word, "x")) > 0;
}
TEST_CHECKS_OUTSIDE(await, needs_a_task, "outside a task")
{
    crank_task *none = NULL;
    (void)crank_await(none);
}
TEST_CHECKS_OUTSIDE(spawn, needs_a_program, "no program runs on this thread") { crank_spawn(word, "x"); }

/* ---- ownership */

static int leave_children(double seconds)
{
    crank_spawn(slow, seconds, "child");
    crank_spawn(slow, 2 * seconds, "other");
    say("parent");
    return 5;
}

TEST_SIM(ownership, a_task_ends_after_its_children)
{
    double started = crank_time();
    EXPECT_EQ(crank_await(crank_spawn(leave_children, 1.0)), 5);
    EXPECT_TRAIL("parent child other");
    EXPECT_NEAR(crank_time() - started, 2, 0);
    return 0;
}

static int leave_and_fail(void)
{
    crank_spawn(slow, 10.0, "child");
    crank_try(crank_sleep(1));
    return crank_fail(EPROTO, "broken");
}

TEST_SIM(ownership, a_failed_task_cancels_its_children)
{
    double started = crank_time();
    EXPECT_EQ(crank_await(crank_spawn(leave_and_fail)), -EPROTO);
    EXPECT_TRAIL("child!");
    EXPECT_NEAR(crank_time() - started, 1, 0);
    EXPECT_STR(crank_error(), "broken");
    return 0;
}

TEST_SIM(ownership, cancelling_a_task_that_has_returned_cancels_its_children)
{
    crank_task *task = crank_spawn(leave_children, 1.0);
    crank_try(crank_sleep(0.5));
    EXPECT(!crank_done(task));
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), 5);
    EXPECT_TRAIL("parent child! other!");
    return 0;
}

static int grandchildren(int depth)
{
    if (depth > 0)
        crank_spawn(grandchildren, depth - 1);
    else
        crank_spawn(slow, 1.0, "leaf");
    return depth;
}

TEST_SIM(ownership, goes_down_all_generations)
{
    EXPECT_EQ(crank_await(crank_spawn(grandchildren, 5)), 5);
    EXPECT_TRAIL("leaf");
    return 0;
}

static int app_leaving_a_child(void)
{
    crank_spawn(slow, 1.0, "child");
    say("app");
    return 3;
}

TEST(ownership, of_app_awaits_its_children_by_default)
{
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, app_leaving_a_child), 3);
    EXPECT_TRAIL("app child");
}

TEST(ownership, of_app_can_cancel_its_children_as_asyncio_run_does)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .leftovers = CRANK_CANCEL };
    EXPECT_EQ(crank_run_with(&options, app_leaving_a_child), 3);
    EXPECT_TRAIL("app child!");
}

static int detach_one(void)
{
    crank_detach(crank_spawn(slow, 1.0, "detached"));
    say("parent");
    return 0;
}

TEST_SIM(detach, lets_a_task_outlive_its_parent)
{
    crank_try(crank_await(crank_spawn(detach_one)));
    EXPECT_TRAIL("parent");
    crank_try(crank_sleep(2));
    EXPECT_TRAIL("detached");
    return 0;
}

TEST(detach, is_cancelled_and_awaited_when_app_has_ended)
{
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, detach_one), 0);
    EXPECT_TRAIL("parent detached!");
}

TEST_SIM(drop, lets_the_task_run_on_under_its_parent)
{
    crank_drop(crank_spawn(slow, 1.0, "dropped"));
    crank_try(crank_sleep(2));
    EXPECT_TRAIL("dropped");
    return 0;
}

TEST_CHECKS(drop, twice_is_refused, "not the caller's to give up")
{
    crank_task *task = crank_spawn(slow, 1.0, "x");
    crank_drop(task);
    crank_drop(task);
    return 0;
}

TEST_CHECKS(drop, of_a_groups_child_is_refused, "belongs to a group")
{
    CRANK_GROUP(g);
    crank_drop(crank_group_spawn(&g, slow, 1.0, "x"));
    return crank_group_wait(&g);
}

TEST_CHECKS(handle, of_no_task_is_refused, "is no task") { return crank_done((crank_task *)(uintptr_t)12345); }

static crank_task *foreign;
static void *use_foreign(void *arg)
{
    (void)arg;
    (void)crank_done(foreign);
    return NULL;
}
TEST_CHECKS(handle, on_another_thread_is_refused, "another thread's loop")
{
    foreign = crank_self();
    pthread_t thread;
    pthread_create(&thread, NULL, use_foreign, NULL);
    pthread_join(thread, NULL);
    return 0;
}

TEST_SIM(handle, is_recognised_as_stale_when_the_record_is_used_again)
{
    crank_task *old = crank_spawn(word, "x");
    crank_try(crank_await(old));
    for (int i = 0; i < 100; i++) {
        crank_task *fresh = crank_spawn(word, "y");
        EXPECT(fresh != old);
        crank_try(crank_await(fresh));
    }
    return 0;
}

static int only_spawn(crank_task **ret)
{
    *ret = crank_spawn(word, "x");
    return 0;
}
TEST_CHECKS(ownership, ends_a_handle_with_its_parent, "was given up before")
{
    crank_task *task;
    crank_try(crank_await(crank_spawn(only_spawn, &task)));
    return (int)crank_await(task);
}

static int budget_loop(bool *stop)
{
    crank_task *ended = crank_spawn_eager(word, "");
    (void)ended;
    while (!*stop) {
        crank_task *child = crank_spawn_eager(twice, 1);
        (void)crank_await(child);
    }
    return 0;
}
static int set_stop(bool *stop)
{
    *stop = true;
    return 0;
}
TEST_EACH_BACKEND(budget, lets_others_run_beside_calls_that_never_wait)
{
    bool stop = false;
    crank_task *busy = crank_spawn(budget_loop, &stop), *other = crank_spawn(set_stop, &stop);
    crank_try(crank_gather(NULL, busy, other));
    return 0;
}

static int many_sleepers(void)
{
    enum { N = 10000 };
    static crank_task *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = crank_spawn(crank_sleep, 0.001 * (i % 100));
    crank_try(crank_gather_n(tasks, N, NULL));
    return 0;
}
TEST_SIM(task, comes_in_tens_of_thousands) { return many_sleepers(); }
