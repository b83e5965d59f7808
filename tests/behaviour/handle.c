/* SPDX-License-Identifier: MIT */
/* handle.c: giving handles up, borrowing them, and what outlives whom. */
#include <crank/loop.h>

#include "context/fiber.h"
#include "trail.h"

static int value(int x) { return x; }
static int sleeper(double seconds) { return crank_sleep(seconds); }
static int fail_io(void) { return crank_fail(EIO, "disk %d is gone", 3); }

static char reported[512];
static int reports;
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    reports++;
    snprintf(reported, sizeof reported, "%s", report->text);
}
static const crank_options kept = { .backend = CRANK_BACKEND_SIM, .on_report = keep };

/* ---- twice */

TEST_CHECKS(detach, of_a_dropped_task_is_refused, "not the caller's to give up")
{
    crank_task *task = crank_spawn(value, 1);
    crank_drop(task);
    crank_detach(task);
    return 0;
}
TEST_CHECKS(await, of_a_detached_task_is_refused, "given up")
{
    crank_task *task = crank_spawn(value, 1);
    crank_detach(task);
    return (int)crank_await(task);
}
TEST_CHECKS(await, of_a_dropped_task_is_refused, "given up")
{
    crank_task *task = crank_spawn(value, 1);
    crank_drop(task);
    return (int)crank_await(task);
}
TEST_CHECKS(await, of_a_task_that_failed_gives_the_handle_up, "was given up before")
{
    crank_task *task = crank_spawn(fail_io);
    EXPECT_EQ(crank_await(task), -EIO);
    return (int)crank_await(task);
}
TEST_CHECKS(await, of_a_groups_child_gives_the_handle_up, "was given up before")
{
    CRANK_GROUP(g);
    crank_task *task = crank_group_spawn(&g, sleeper, 1.0);
    EXPECT_EQ(crank_await(task), 0);
    return crank_done(task);
}
TEST_CHECKS(drop, of_a_future_is_refused, "crank_future_free")
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_drop(crank_future_task(future));
    return 0;
}
TEST_CHECKS(detach, of_a_future_is_refused, "crank_future_free")
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_detach(crank_future_task(future));
    return 0;
}

/* ---- after app */

static int detach_another(void)
{
    (void)crank_sleep(100);
    crank_detach(crank_spawn(sleeper, 1e9));
    return 0;
}
static int leave_a_detacher(void)
{
    crank_detach(crank_spawn(detach_another));
    return crank_sleep(1);
}
static int note_end(void)
{
    EXPECT_EQ(crank_await(crank_spawn(leave_a_detacher)), 0);
    return 0;
}
TEST(detach, after_the_end_of_app_is_cancelled_too)
{
    EXPECT_EQ(crank_run_with(&kept, note_end), 0);
    EXPECT_EQ(reports, 0);
}

static int calls;
static void count_call(crank_task *task, void *arg)
{
    EXPECT(crank_done(task));
    calls += *(int *)arg;
}
static int drop_a_watched_failure(void)
{
    static int one = 1;
    crank_task *task = crank_spawn(fail_io);
    crank_try(crank_on_done(task, count_call, &one));
    crank_drop(task);
    return crank_sleep(1);
}
TEST(on_done, of_a_dropped_failure_is_called_and_the_failure_reported_once)
{
    EXPECT_EQ(crank_run_with(&kept, drop_a_watched_failure), 0);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(reported, "disk 3 is gone");
}

static int watch_itself(void)
{
    static int one = 1;
    return crank_on_done(crank_self(), count_call, &one);
}
TEST(on_done, of_app_is_called_before_the_run_is_over)
{
    EXPECT_EQ(crank_run_with(&kept, watch_itself), 0);
    EXPECT_EQ(calls, 1);
}

static void spawn_after_app(crank_task *task, void *arg)
{
    (void)task;
    (void)arg;
    errno = 0;
    EXPECT(!crank_spawn(value, 1));
    EXPECT_EQ(errno, ESHUTDOWN);
    EXPECT(!crank_future_new());
    EXPECT(!crank_to_thread(value, 1));
    calls++;
}
static int watched_by_a_spawner(void) { return crank_on_done(crank_self(), spawn_after_app, NULL); }
TEST(spawn, in_a_callback_after_app_has_ended_is_refused)
{
    EXPECT_EQ(crank_run_with(&kept, watched_by_a_spawner), 0);
    EXPECT_EQ(calls, 1);
}

static void spawn_sleeper(crank_task *task, void *arg)
{
    (void)task;
    (void)arg;
    EXPECT(crank_spawn(sleeper, 1e9));
    calls++;
}
static int slow_cleanup(void)
{
    (void)crank_sleep(100);
    return crank_sleep(1);
}
static int spawn_while_ending(void)
{
    crank_spawn(slow_cleanup);
    return crank_on_done(crank_spawn(value, 1), spawn_sleeper, NULL);
}
static int spawn_late(void)
{
    crank_task *task = crank_spawn(sleeper, 0.5);
    crank_spawn(slow_cleanup);
    return crank_on_done(task, spawn_sleeper, NULL);
}
static int time_of(int (*app)(void), crank_leftovers leftovers)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .leftovers = leftovers, .on_report = keep };
    return (int)crank_run_with(&options, app);
}
TEST(spawn, in_a_callback_while_leftovers_are_cancelled_is_cancelled_too)
{
    EXPECT_EQ(time_of(spawn_while_ending, CRANK_CANCEL), 0);
    EXPECT_EQ(time_of(spawn_late, CRANK_CANCEL), 0);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(reports, 0);
}

static void count(crank_task *task, void *arg)
{
    (void)task;
    (void)arg;
    calls++;
}
static int many_callbacks(void)
{
    for (int i = 0; i < 200; i++)
        crank_try(crank_on_done(crank_self(), count, NULL));
    return 0;
}
TEST(on_done, callbacks_at_the_end_of_app_are_all_called)
{
    EXPECT_EQ(crank_run_with(&kept, many_callbacks), 0);
    EXPECT_EQ(calls, 200);
}

static crank_local key;
static int never_ends(void)
{
    crank_set_name(NULL, "stuck");
    crank_try(crank_local_set(&key, reported));
    crank_try(crank_on_done(crank_self(), count, NULL));
    (void)crank_fail(EIO, "before it got stuck");
    crank_cancel_because(crank_self(), "for a reason");
    int err = 0;
    while (err != -ENOMEM)
        err = crank_shield(crank_sleep(CRANK_FOREVER));
    return err;
}
TEST(deadlock, of_what_cannot_be_ended_leaves_no_memory)
{
    EXPECT_EQ(crank_run_with(&kept, never_ends), -EDEADLK);
    EXPECT_EQ(calls, 0);
}

/* ---- in a done callback */

static void ask_all(crank_task *task, void *arg)
{
    char line[200];
    EXPECT(crank_parent(task) == NULL);
    EXPECT_EQ(crank_cancel(task), -ESRCH);
    EXPECT(crank_describe(task, line, sizeof line) > 0);
    *(int *)arg += 1;
}
TEST_EACH_BACKEND(on_done, may_ask_about_a_groups_child)
{
    int asked = 0;
    CRANK_GROUP(group);
    crank_task *child = crank_group_spawn(&group, value, 1);
    EXPECT(child != NULL);
    EXPECT_EQ(crank_on_done(child, ask_all, &asked), 0);
    crank_try(crank_group_wait(&group));
    crank_try(settle());
    EXPECT_EQ(asked, 1);
    return 0;
}

/* ---- names */

TEST_SIM(task, names_without_being_named_stay)
{
    enum { N = 9 };
    crank_task *tasks[N];
    const char *names[N];
    for (int i = 0; i < N; i++) {
        tasks[i] = crank_spawn(value, i);
        names[i] = crank_name(tasks[i]);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++)
            EXPECT(strcmp(names[i], names[j]) != 0);
    return crank_gather_n(tasks, N, (long[N]){ 0 });
}

/* ---- handles that go while somebody waits for them */

static crank_task *handed[2];
static int make_two(double seconds)
{
    handed[0] = crank_spawn(sleeper, seconds);
    handed[1] = crank_spawn(value, 2);
    return 0;
}
TEST_SIM(gather, of_anothers_children_gets_their_results_though_that_one_ends)
{
    long results[2] = { -1, -1 };
    crank_task *maker = crank_spawn(make_two, 1.0);
    crank_try(crank_sleep(0));
    crank_try(crank_gather_n(handed, 2, results));
    EXPECT_EQ(results[0], 0);
    EXPECT_EQ(results[1], 2);
    return (int)crank_await(maker);
}

static int make_bad(void)
{
    handed[0] = crank_spawn(fail_io);
    handed[1] = crank_spawn(sleeper, 1.0);
    return 0;
}
static int gather_bad(void)
{
    crank_task *maker = crank_spawn(make_bad);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_gather_n(handed, 2, (long[2]){ 0 }), -EIO);
    EXPECT_STR(crank_error(), "disk 3 is gone");
    return (int)crank_await(maker);
}
TEST(gather, of_anothers_children_that_fail_reports_nothing)
{
    EXPECT_EQ(crank_run_with(&kept, gather_bad), 0);
    EXPECT_EQ(reports, 0);
}

static crank_future *shared;
static int make_future(bool set)
{
    shared = crank_future_new();
    crank_try(crank_sleep(1));
    if (set)
        crank_set_result(shared, 5L);
    return 0;
}
TEST_SIM(gather, of_a_future_whose_maker_ends_gets_its_value_or_a_cancellation)
{
    long results[2] = { -1, -1 };
    crank_task *maker = crank_spawn(make_future, true);
    crank_try(crank_sleep(0));
    crank_try(crank_gather(results, shared, crank_spawn(value, 2)));
    EXPECT_EQ(results[0], 5);
    EXPECT_EQ(crank_await(maker), 0);
    maker = crank_spawn(make_future, false);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_gather(results, shared, crank_spawn(value, 3)), -ECANCELED);
    return (int)crank_await(maker);
}

static int free_later(crank_future *future)
{
    crank_try(crank_sleep(1));
    crank_set_error(future, EPROTO, "nonsense");
    crank_future_free(future);
    return 0;
}
TEST_SIM(gather, of_a_future_that_is_freed_gets_what_it_was_set_to)
{
    crank_future *future = crank_future_new();
    crank_task *task = crank_spawn(free_later, future);
    EXPECT_EQ(crank_gather(NULL, future), -EPROTO);
    EXPECT_STR(crank_error(), "nonsense");
    crank_outcome outcomes[1];
    future = crank_future_new();
    EXPECT_EQ(crank_await(task), 0);
    task = crank_spawn(free_later, future);
    EXPECT_EQ(crank_gather_settled(outcomes, future), 0);
    EXPECT_EQ(outcomes[0].error, -EPROTO);
    EXPECT_STR(outcomes[0].message, "nonsense");
    return (int)crank_await(task);
}

TEST_SIM(gather, of_a_failed_future_gives_its_message_and_leaves_it)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_set_error(future, EPROTO, "nonsense");
    EXPECT_EQ(crank_gather(NULL, future), -EPROTO);
    EXPECT_STR(crank_error(), "nonsense");
    EXPECT_EQ(crank_await(future), -EPROTO);
    return 0;
}

TEST_CHECKS(gather, of_a_future_of_another_kind_is_refused, "does not fit")
{
    long results[1];
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_set_result(future, 1.5);
    return crank_gather(results, future);
}

TEST_SIM(settled, a_spawn_that_failed_disturbs_nobody)
{
    crank_outcome outcomes[2];
    crank_task *tasks[] = { NULL, crank_spawn(sleeper, 1.0) };
    EXPECT_EQ(crank_gather_settled_n(tasks, 2, outcomes), 0);
    EXPECT_EQ(outcomes[0].error, -ENOMEM);
    EXPECT_EQ(outcomes[1].error, 0);
    return 0;
}

static int set_error_and_go(void)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_set_error(future, EPROTO, "nobody looks");
    return 0;
}
TEST(unawaited, failure_of_a_future_is_reported)
{
    EXPECT_EQ(crank_run_with(&kept, set_error_and_go), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(reported, "nobody looks");
}

/* ---- crank_wait */

TEST_SIM(wait, takes_children_of_a_group)
{
    CRANK_GROUP(group);
    crank_task *tasks[] = { crank_group_spawn(&group, sleeper, 3.0), crank_group_spawn(&group, sleeper, 1.0) };
    const crank_task *second = tasks[1];
    double begin = crank_time();
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_FIRST_COMPLETED, CRANK_FOREVER), 1);
    EXPECT(tasks[0] == second);
    EXPECT_NEAR(crank_time() - begin, 1, 1e-9);
    return crank_group_wait(&group);
}

TEST_SIM(wait, with_no_time_takes_none)
{
    double started = crank_time();
    crank_task *task = crank_spawn(sleeper, 1.0);
    EXPECT_EQ(crank_wait(&task, 1, CRANK_ALL_COMPLETED, 0), 0);
    EXPECT_EQ(crank_wait(&task, 1, CRANK_ALL_COMPLETED, -1), 0);
    EXPECT(crank_time() == started);
    EXPECT_EQ(crank_wait(&task, 1, CRANK_ALL_COMPLETED, 0.5), 0);
    EXPECT(crank_time() == started + 0.5);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT(crank_time() == started + 1);
    return 0;
}

TEST_SIM(wait, counts_a_spawn_that_failed_as_ended)
{
    crank_task *tasks[] = { crank_spawn(sleeper, 1.0), NULL };
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_FIRST_COMPLETED, CRANK_FOREVER), 1);
    EXPECT(!tasks[0]);
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_FIRST_ERROR, CRANK_FOREVER), 1);
    EXPECT_EQ(crank_wait(tasks, 2, CRANK_ALL_COMPLETED, CRANK_FOREVER), 2);
    int sum = 0;
    crank_foreach_completed(t, tasks, 2) sum += (int)crank_await(t);
    EXPECT_EQ(sum, -ENOMEM);
    return 0;
}

static int spin(double seconds)
{
    for (double end = crank_time() + seconds; crank_time() < end;)
        continue;
    return 0;
}
static int wait_for_event(crank_event *event) { return crank_event_wait(event); }

/* The waiter has been woken, but a hundred stand in line before it, one of whom takes so long that its limit passes. */
TEST_EACH_BACKEND(wait, whose_limit_passes_after_its_end_is_not_disturbed)
{
    if (strcmp(crank_backend_name(), "sim") == 0)
        return 0;
    CRANK_EVENT(event);
    CRANK_GROUP(group);
    crank_task *task = crank_spawn(wait_for_event, event);
    crank_group_spawn(&group, wait_for_event, event);
    crank_try(crank_sleep(0));
    for (int i = 0; i < 100; i++)
        crank_group_spawn(&group, spin, i == 3 ? 0.004 : 0.0);
    crank_event_set(event);
    EXPECT_EQ(crank_wait(&task, 1, CRANK_ALL_COMPLETED, 0.002), 1);
    EXPECT_EQ(crank_await(task), 0);
    return crank_group_wait(&group);
}

/* ---- what is awaited as the caller's budget runs out */

/* So many calls that need not wait, which leave CR_BUDGET less as many before the next one makes room. */
static int call(uint32_t times)
{
    CRANK_SEMAPHORE(semaphore, 1);
    crank_try(crank_sleep(0));
    for (uint32_t i = 0; i < times; i++) {
        crank_try(crank_semaphore_acquire(semaphore));
        crank_semaphore_release(semaphore);
    }
    return 0;
}

static crank_future *short_lived;
static int set_and_free(void)
{
    short_lived = crank_future_new();
    crank_try(crank_sleep(0));
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_set_result(short_lived, 7), 0);
    crank_future_free(short_lived);
    return 0;
}
TEST_EACH_BACKEND(await, of_a_future_waits_for_it_before_others_run)
{
    for (uint32_t n = CR_BUDGET - 3; n < CR_BUDGET; n++) {
        crank_task *setter = crank_spawn(set_and_free);
        crank_try(crank_sleep(0));
        EXPECT_EQ(call(n), 0);
        EXPECT_EQ(crank_await(short_lived), 7);
        EXPECT_EQ(crank_await(setter), 0);
    }
    return 0;
}

static crank_task *anothers;
static int own_for_a_moment(void)
{
    anothers = crank_spawn(value, 7);
    crank_try(crank_sleep(0));
    crank_try(crank_sleep(0));
    return 0;
}
static int spawn_many(void)
{
    crank_task *tasks[8];
    crank_try(crank_sleep(0));
    crank_try(crank_sleep(0));
    for (int i = 0; i < 8; i++)
        tasks[i] = crank_spawn(sleeper, 0.001);
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(crank_await(tasks[i]), 0);
    return 0;
}
TEST_EACH_BACKEND(await, takes_what_has_ended_before_others_run)
{
    for (uint32_t n = CR_BUDGET - 4; n < CR_BUDGET; n++) {
        crank_task *owner = crank_spawn(own_for_a_moment), *many = crank_spawn(spawn_many);
        crank_try(crank_sleep(0));
        EXPECT_EQ(call(n), 0);
        EXPECT_EQ(crank_await(anothers), 7);
        EXPECT_EQ(crank_await(many), 0);
        EXPECT_EQ(crank_await(owner), 0);
    }
    return 0;
}

static double half(void) { return 0.5; }
static void *here(void) { return &short_lived; }
static bool others_ran;
static int note_that_others_run(void)
{
    others_ran = true;
    return 0;
}
TEST_EACH_BACKEND(await, of_each_kind_makes_room_after)
{
    for (int kind = 0; kind < 4; kind++) {
        crank_task *integer = crank_spawn_eager(value, 3), *real = crank_spawn_eager(half);
        crank_task *pointer = crank_spawn_eager(here), *common = crank_spawn_eager(value, 4);
        EXPECT_EQ(call(CR_BUDGET - 1), 0);
        others_ran = false;
        crank_task *other = crank_spawn(note_that_others_run);
        if (kind == 0)
            EXPECT_EQ(crank_await(integer), 3);
        else if (kind == 1)
            EXPECT(crank_await_double(real) == 0.5);
        else if (kind == 2)
            EXPECT(crank_await_ptr(pointer) == &short_lived);
        else
            EXPECT_EQ(crank_await_shared(common), 4);
        EXPECT(others_ran);
        EXPECT_EQ(crank_await(other), 0);
        crank_drop(common);
        if (kind != 0)
            crank_drop(integer);
        if (kind != 1)
            crank_drop(real);
        if (kind != 2)
            crank_drop(pointer);
    }
    return 0;
}
