/* SPDX-License-Identifier: MIT */
/* event.c: a flag; whoever waited when it was raised goes on. */
#include "trail.h"

static int await_event(crank_event *event, const char *name)
{
    int err = crank_event_wait(event);
    say("%s%d", name, err);
    return err;
}

TEST_EACH_BACKEND(event, is_not_set_when_made)
{
    CRANK_EVENT(event);
    EXPECT(!crank_event_is_set(event));
    crank_event_set(event);
    EXPECT(crank_event_is_set(event));
    crank_event_clear(event);
    EXPECT(!crank_event_is_set(event));
    return 0;
}

TEST_EACH_BACKEND(event, wakes_all_who_wait_in_order)
{
    CRANK_EVENT(event);
    crank_task *a = crank_spawn(await_event, event, "a");
    crank_task *b = crank_spawn(await_event, event, "b");
    crank_task *c = crank_spawn(await_event, event, "c");
    crank_try(settle());
    EXPECT_TRAIL("");
    crank_event_set(event);
    EXPECT_TRAIL("");
    crank_try(crank_gather(NULL, a, b, c));
    EXPECT_TRAIL("a0 b0 c0");
    return 0;
}

TEST_EACH_BACKEND(event, once_set_is_waited_for_without_a_switch)
{
    CRANK_EVENT(event);
    crank_event_set(event);
    crank_task *a = crank_spawn(await_event, event, "a");
    EXPECT_EQ(crank_event_wait(event), 0);
    EXPECT_TRAIL("");
    return (int)crank_await(a);
}

/* The wake-up is the waiter's at the moment of setting. */
TEST_EACH_BACKEND(event, cleared_at_once_still_wakes_all_who_waited)
{
    CRANK_EVENT(event);
    crank_task *a = crank_spawn(await_event, event, "a");
    crank_task *b = crank_spawn(await_event, event, "b");
    crank_try(settle());
    crank_event_set(event);
    crank_event_clear(event);
    crank_task *late = crank_spawn(await_event, event, "late");
    crank_try(settle());
    EXPECT_TRAIL("a0 b0");
    crank_event_set(event);
    crank_try(crank_gather(NULL, a, b, late));
    EXPECT_TRAIL("late0");
    return 0;
}

TEST_EACH_BACKEND(event, set_twice_wakes_once)
{
    CRANK_EVENT(event);
    crank_task *a = crank_spawn(await_event, event, "a");
    crank_try(settle());
    crank_event_set(event);
    crank_event_set(event);
    crank_try((int)crank_await(a));
    EXPECT_TRAIL("a0");
    return 0;
}

static int rounds(crank_event *event, int n)
{
    for (int i = 0; i < n; i++) {
        crank_try(crank_event_wait(event));
        crank_event_clear(event);
        say("%d", i);
    }
    return 0;
}

TEST_EACH_BACKEND(event, serves_again_after_a_clear)
{
    CRANK_EVENT(event);
    crank_task *a = crank_spawn(rounds, event, 3);
    for (int i = 0; i < 3; i++) {
        crank_try(settle());
        crank_event_set(event);
    }
    crank_try((int)crank_await(a));
    EXPECT_TRAIL("0 1 2");
    return 0;
}

TEST_EACH_BACKEND(event, left_by_a_cancelled_task_wakes_the_others)
{
    CRANK_EVENT(event);
    crank_task *a = crank_spawn(await_event, event, "a");
    crank_task *b = crank_spawn(await_event, event, "b");
    crank_task *c = crank_spawn(await_event, event, "c");
    crank_try(settle());
    crank_cancel(b);
    EXPECT_EQ(crank_await(b), -ECANCELED);
    crank_event_set(event);
    crank_try(crank_gather(NULL, a, c));
    EXPECT_TRAIL("b-125 a0 c0");
    return 0;
}

static int wait_then_wait(crank_event *event, crank_event *never)
{
    int first = crank_event_wait(event);
    int second = crank_event_wait(never);
    say("%d %d", first, second);
    return second;
}

TEST_EACH_BACKEND(event, set_before_a_cancel_has_been_waited_for)
{
    CRANK_EVENT(event);
    CRANK_EVENT(never);
    crank_task *a = crank_spawn(wait_then_wait, event, never);
    crank_try(settle());
    crank_event_set(event);
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_TRAIL("0 -125");
    return 0;
}

static int cancelled_waits(crank_event *event)
{
    crank_cancel(crank_self());
    EXPECT_EQ(crank_event_wait(event), -ECANCELED);
    EXPECT_EQ(crank_event_wait(event), 0);
    return 0;
}

TEST_EACH_BACKEND(event, though_set_tells_of_a_pending_cancel_first)
{
    CRANK_EVENT(event);
    crank_event_set(event);
    EXPECT_EQ(crank_await(crank_spawn(cancelled_waits, event)), 0);
    return 0;
}

TEST_SIM(event, can_be_waited_for_with_a_limit)
{
    CRANK_EVENT(event);
    double started = crank_time();
    EXPECT_EQ(crank_within(1.5, crank_event_wait(event)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - started, 1.5, 1e-9);
    crank_event_set(event);
    EXPECT_EQ(crank_within(1.5, crank_event_wait(event)), 0);
    return 0;
}

static void set_when_done(crank_task *task, void *event)
{
    (void)task;
    crank_event_set(event);
}

static int nothing(void) { return 0; }

TEST_EACH_BACKEND(event, can_be_set_by_a_callback)
{
    CRANK_EVENT(event);
    crank_task *a = crank_spawn(nothing);
    crank_try(crank_on_done(a, set_when_done, event));
    crank_try(crank_event_wait(event));
    crank_try((int)crank_await(a));
    return 0;
}

static int poll_for_ever(crank_event *event, const bool *stop)
{
    while (!*stop)
        crank_try(crank_event_wait(event));
    return 0;
}

TEST_EACH_BACKEND(event, waited_for_in_a_loop_lets_others_run)
{
    CRANK_EVENT(event);
    crank_event_set(event);
    bool stop = false;
    crank_task *a = crank_spawn(poll_for_ever, event, &stop);
    crank_try(settle());
    stop = true;
    return (int)crank_await(a);
}

static int wait_and_count(crank_event *event, int *count)
{
    crank_try(crank_event_wait(event));
    ++*count;
    return 0;
}

TEST_EACH_BACKEND(event, wakes_thousands)
{
    CRANK_EVENT(event);
    int count = 0;
    CRANK_GROUP(group);
    for (int i = 0; i < 5000; i++)
        crank_group_spawn(&group, wait_and_count, event, &count);
    crank_try(settle());
    crank_event_set(event);
    crank_try(crank_group_wait(&group));
    EXPECT_EQ(count, 5000);
    return 0;
}

static int set_then_wait(crank_event *event)
{
    crank_task *a = crank_spawn(await_event, event, "a");
    crank_try(settle());
    crank_event_set(event);
    crank_try((int)crank_await(a));
    crank_event_clear(event);
    return 0;
}

TEST(event, made_outside_serves_one_run_after_another)
{
    crank_event *event = crank_event_new();
    const crank_options options = { .backend = CRANK_BACKEND_SIM };
    EXPECT_EQ(crank_run_with(&options, set_then_wait, event), 0);
    EXPECT_EQ(crank_run_with(&options, set_then_wait, event), 0);
    EXPECT_TRAIL("a0 a0");
    crank_event_set(event);
    EXPECT(crank_event_is_set(event));
    crank_event_free(event);
    crank_event_free(NULL);
}

TEST_EACH_BACKEND(event, is_named_where_a_task_waits_for_it)
{
    CRANK_EVENT(event);
    crank_task *a = crank_spawn(await_event, event, "a");
    crank_try(settle());
    char text[512], name[64];
    crank_describe(a, text, sizeof text);
    snprintf(name, sizeof name, "event %p", (void *)event);
    EXPECT_CONTAINS(text, "waits for an event");
    EXPECT_CONTAINS(text, name);
    crank_event_set(event);
    return (int)crank_await(a);
}

TEST_CHECKS(event, freed_while_waited_for_is_refused, "tasks wait for event")
{
    crank_event *event = crank_event_new();
    crank_task *a = crank_spawn(await_event, event, "a");
    crank_try(settle());
    crank_event_free(event);
    return (int)crank_await(a);
}

TEST_CHECKS_OUTSIDE(event, waited_for_outside_a_run_is_refused, "crank_event_wait")
{
    crank_event *event = crank_event_new();
    crank_event_set(event);
    crank_event_wait(event);
}

static void wait_when_done(crank_task *task, void *event)
{
    (void)task;
    crank_event_wait(event);
}

TEST_CHECKS(event, waited_for_in_a_callback_is_refused, "crank_event_wait")
{
    CRANK_EVENT(event);
    crank_task *a = crank_spawn(nothing);
    crank_try(crank_on_done(a, wait_when_done, event));
    crank_try((int)crank_await(a));
    return settle();
}

/* Everybody ends: by the event or cancelled, and only those cancelled before it was set are. */
TEST_SEEDS(event, wakes_all_but_the_cancelled, 200)
{
    CRANK_EVENT(event);
    uint64_t random = seed;
    crank_task *tasks[10];
    bool cancelled[10] = { false };
    for (int i = 0; i < 10; i++)
        tasks[i] = crank_spawn(await_event, event, "x");
    crank_try(settle());
    for (int i = 0; i < 5; i++) {
        unsigned which = chance(&random, 10);
        crank_cancel(tasks[which]);
        cancelled[which] = true;
        if (chance(&random, 2))
            crank_try(crank_sleep(0.001));
    }
    crank_event_set(event);
    crank_cancel(tasks[chance(&random, 10)]);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(crank_await(tasks[i]), cancelled[i] ? -ECANCELED : 0);
    trail[0] = '\0';
    return 0;
}
