/* SPDX-License-Identifier: MIT */
/* future.c: values set later; task-locals. */
#include "trail.h"

static int await_and_say(crank_future *f, const char *name)
{
    long value = crank_await(f);
    say("%s%ld", name, value);
    return (int)value;
}

TEST_EACH_BACKEND(future, wakes_all_who_wait_when_set)
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    crank_task *a = crank_spawn(await_and_say, f, "a"), *b = crank_spawn(await_and_say, f, "b");
    crank_try(crank_sleep(0));
    EXPECT(!crank_done(crank_future_task(f)));
    EXPECT_EQ(crank_set_result(f, 7), 0);
    EXPECT(crank_done(crank_future_task(f)));
    EXPECT_EQ(crank_await(a) + crank_await(b), 14);
    EXPECT_TRAIL("a7 b7");
    EXPECT_EQ(crank_await(f), 7);
    return 0;
}

TEST_EACH_BACKEND(future, is_set_once)
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    EXPECT_EQ(crank_set_result(f, 1L), 0);
    EXPECT_EQ(crank_set_result(f, 2L), -EALREADY);
    EXPECT_CONTAINS(crank_error(), "already");
    EXPECT_EQ(crank_set_error(f, EIO, "x"), -EALREADY);
    EXPECT_EQ(crank_await(f), 1);
    return 0;
}

TEST_EACH_BACKEND(future, holds_doubles_and_pointers)
{
    CRANK_AUTO_FUTURE crank_future *d = crank_future_new(), *p CRANK_AUTO_FUTURE = crank_future_new();
    crank_set_result(d, 0.5);
    crank_set_result(p, "text");
    EXPECT_NEAR(crank_await_double(d), 0.5, 0);
    EXPECT_STR(crank_await_ptr(p), "text");
    return 0;
}

static int set_double_later(crank_future *f)
{
    crank_try(crank_sleep(0.001));
    return crank_set_result(f, 2.5);
}
TEST_EACH_BACKEND(future, of_a_double_can_be_waited_for)
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    crank_task *setter = crank_spawn(set_double_later, f);
    EXPECT_NEAR(crank_await_double(f), 2.5, 0);
    return (int)crank_await(setter);
}

TEST_CHECKS(future, awaited_as_another_kind_is_refused, "crank_await_double")
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    crank_set_result(f, 0.5);
    return (int)crank_await(f);
}
TEST_CHECKS(future, waited_for_as_another_kind_is_refused, "crank_await_double")
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    crank_spawn(set_double_later, f);
    return (int)crank_await(f);
}
TEST_CHECKS(future, a_task_is_none, "not a future")
{
    return crank_set_result((crank_future *)(void *)crank_spawn(crank_sleep, 1.0), 1);
}

TEST_EACH_BACKEND(future, gives_an_error_with_its_message_to_each)
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    crank_task *a = crank_spawn(await_and_say, f, "a");
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_set_error(f, EIO, "sensor %d is gone", 3), 0);
    EXPECT_EQ(crank_await(a), -EIO);
    EXPECT_STR(crank_error(), "sensor 3 is gone");
    crank_error_clear();
    EXPECT_EQ(crank_await(f), -EIO);
    EXPECT_STR(crank_error(), "sensor 3 is gone");
    return 0;
}

TEST_EACH_BACKEND(future, cancelling_who_waits_cancels_it)
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    crank_task *a = crank_spawn(await_and_say, f, "a"), *b = crank_spawn(await_and_say, f, "b");
    crank_try(crank_sleep(0));
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_await(b), -ECANCELED);
    EXPECT_EQ(crank_set_result(f, 1), -ECANCELED);
    EXPECT(crank_was_cancelled(crank_future_task(f)));
    return 0;
}

TEST_EACH_BACKEND(future, shared_waits_do_the_same_for_futures)
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    crank_set_result(f, 3);
    EXPECT_EQ(crank_await_shared(f), 3);
    EXPECT_EQ(crank_await_shared(f), 3);
    return 0;
}

TEST_EACH_BACKEND(future, freed_while_waited_for_gives_a_cancellation)
{
    crank_future *f = crank_future_new();
    crank_task *a = crank_spawn(await_and_say, f, "a");
    crank_try(crank_sleep(0));
    crank_future_free(f);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    return 0;
}

static int leave_a_future(crank_future **ret)
{
    *ret = crank_future_new();
    return 0;
}
TEST_EACH_BACKEND(future, goes_with_the_task_that_made_it)
{
    crank_future *f;
    crank_try(crank_await(crank_spawn(leave_a_future, &f)));
    return 0;
}
TEST_CHECKS(future, used_after_its_maker_has_ended_is_refused, "was given up before")
{
    crank_future *f;
    crank_try(crank_await(crank_spawn(leave_a_future, &f)));
    return crank_set_result(f, 1);
}

TEST_EACH_BACKEND(future, does_not_keep_its_maker_from_ending)
{
    CRANK_AUTO_FUTURE crank_future *unset = crank_future_new();
    return unset ? 0 : -1;
}

/* ---- where a task is expected */

static int calls_made;
static void count_call(crank_task *task, void *arg)
{
    EXPECT(task == arg);
    calls_made++;
}

TEST_EACH_BACKEND(future, is_asked_about_as_a_task_is)
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new();
    char text[200];
    long value = 0;
    crank_set_name(f, "answer");
    EXPECT_STR(crank_name(f), "answer");
    EXPECT(crank_describe(f, text, sizeof text) > 0);
    EXPECT_CONTAINS(text, "answer");
    EXPECT(!crank_done(f));
    EXPECT_EQ(crank_result(f, &value), -EAGAIN);
    crank_try(crank_on_done(f, count_call, crank_future_task(f)));
    crank_try(crank_on_done(f, count_call, NULL));
    EXPECT_EQ(crank_remove_on_done(f, count_call, NULL), 1);
    crank_set_result(f, 42);
    crank_try(crank_sleep(0));
    EXPECT_EQ(calls_made, 1);
    EXPECT(crank_done(f));
    EXPECT(!crank_was_cancelled(f));
    EXPECT_EQ(crank_result(f, &value), 0);
    EXPECT_EQ(value, 42);
    return 0;
}

TEST_EACH_BACKEND(future, is_cancelled_as_a_task_is)
{
    CRANK_AUTO_FUTURE crank_future *f = crank_future_new(), *g = crank_future_new();
    EXPECT_EQ(crank_cancel(f), 0);
    EXPECT_EQ(crank_cancel(f), -ESRCH);
    EXPECT(crank_was_cancelled(f));
    EXPECT_EQ(crank_cancel_because(g, "no %s", "use"), 0);
    EXPECT_EQ(crank_await(g), -ECANCELED);
    EXPECT_STR(crank_error(), "no use");
    return 0;
}

TEST_EACH_BACKEND(task, that_could_not_be_spawned_has_failed_for_want_of_memory)
{
    crank_task *none = NULL;
    crank_future *no_future = NULL;
    long value = 0;
    EXPECT_EQ(crank_cancel(NULL), -ESRCH);
    EXPECT_EQ(crank_cancel(no_future), -ESRCH);
    EXPECT_EQ(crank_cancel_because(none, "x"), -ESRCH);
    EXPECT(crank_done(NULL) && crank_done(none) && crank_done(no_future));
    EXPECT(!crank_was_cancelled(none));
    EXPECT_EQ(crank_result(NULL, &value), 0);
    EXPECT_EQ(value, -ENOMEM);
    EXPECT_CONTAINS(crank_error(), "could not be spawned");
    EXPECT_EQ(crank_on_done(none, count_call, NULL), -ENOMEM);
    EXPECT_EQ(crank_remove_on_done(none, count_call, NULL), 0);
    crank_try(crank_sleep(0));
    EXPECT_EQ(calls_made, 0);
    return 0;
}

static int spawned;
static int give_one(void) { return 1; }
static crank_task *spawn_one(void)
{
    spawned++;
    return crank_spawn(give_one);
}

TEST_EACH_BACKEND(task, given_as_a_call_is_spawned_once)
{
    int (*cancel)(crank_task *) = crank_cancel; /* the function stays */
    EXPECT(!crank_done(spawn_one()));
    EXPECT_EQ(spawned, 1);
    EXPECT_EQ(cancel(crank_spawn(give_one)), 0);
    EXPECT_EQ((crank_cancel)(crank_spawn(give_one)), 0);
    EXPECT_EQ(crank_cancel(crank_spawn(give_one)), 0);
    return 0;
}

/* ---- locals */

static crank_local key, other;

static int child_of_locals(const char *expected)
{
    EXPECT_STR(crank_local_get(&key), expected);
    crank_try(crank_local_set(&key, (void *)(uintptr_t) "childs own"));
    crank_try(crank_sleep(0));
    EXPECT_STR(crank_local_get(&key), "childs own");
    return 0;
}

TEST_EACH_BACKEND(local, is_inherited_when_spawned_and_own_after)
{
    static char one[] = "one", two[] = "two";
    EXPECT(crank_local_get(&key) == NULL);
    crank_try(crank_local_set(&key, one));
    crank_task *a = crank_spawn(child_of_locals, "one");
    crank_try(crank_local_set(&key, two));
    crank_task *b = crank_spawn(child_of_locals, "two");
    EXPECT_EQ(crank_gather(NULL, a, b), 0);
    EXPECT_STR(crank_local_get(&key), "two");
    EXPECT(crank_local_get(&other) == NULL);
    return 0;
}

TEST_EACH_BACKEND(local, reaches_children_of_groups)
{
    static char one[] = "one";
    crank_try(crank_local_set(&key, one));
    CRANK_GROUP(g);
    crank_group_spawn(&g, child_of_locals, "one");
    return crank_group_wait(&g);
}

TEST_CHECKS_OUTSIDE(local, needs_a_task, "not in a task") { crank_local_get(&key); }

/* ---- one whose failure nobody reads */

static char said[1024];
static void keep_report(const crank_report *report, void *arg)
{
    (void)arg;
    EXPECT_EQ(report->kind, CRANK_REPORT_UNAWAITED);
    snprintf(said, sizeof said, "%s", report->text);
}
static int line_made;
static int fail_unread(void)
{
    line_made = __LINE__ + 1;
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    return crank_set_error(future, EPROTO, "the peer said %d", 7);
}
TEST(future, whose_failure_nobody_reads_is_reported_with_the_place_it_was_made_at)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep_report };
    char place[128];
    EXPECT_EQ(crank_run_with(&options, fail_unread), 0);
    snprintf(place, sizeof place, "  future, made at %s:%d in fail_unread()\n", __FILE__, line_made);
    EXPECT_CONTAINS(said, "crank: unawaited failure: future 'Future-");
    EXPECT_CONTAINS(said, "' failed: the peer said 7 [EPROTO]\n");
    EXPECT_CONTAINS(said, place);
    EXPECT(!strstr(said, "task") && !strstr(said, "Task"));
}

static int pass_on(crank_future *future) { return (int)crank_await_shared(future); }
TEST_EACH_BACKEND(future, is_named_in_the_trace_of_who_awaited_it)
{
    char text[1024];
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_task *task = crank_spawn(pass_on, future);
    crank_try(crank_set_error(future, EPROTO, "no"));
    EXPECT_EQ(crank_await(task), -EPROTO);
    (void)crank_error_format(text, sizeof text);
    EXPECT_CONTAINS(text, "future, made at ");
    EXPECT_CONTAINS(text, "task pass_on, spawned at ");
    crank_error_clear();
    return 0;
}

TEST_EACH_BACKEND(future, describes_itself_as_one)
{
    char text[256];
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    (void)crank_describe(crank_future_task(future), text, sizeof text);
    EXPECT(strncmp(text, "<Future unset name='Future-", 27) == 0);
    EXPECT_CONTAINS(text, " made at future.c:");
    crank_try(crank_set_result(future, 7));
    (void)crank_describe(crank_future_task(future), text, sizeof text);
    EXPECT(strncmp(text, "<Future finished name='Future-", 30) == 0);
    EXPECT_CONTAINS(text, " result=7>");
    return 0;
}
