/* SPDX-License-Identifier: MIT */
/* start.c: children of groups that say when they are ready. */
#include "trail.h"

static int thing;

static int serve(double before, long value, double after)
{
    crank_try(crank_sleep(before));
    say("ready");
    crank_started(value);
    int err = crank_sleep(after);
    say(err < 0 ? "served!" : "served");
    return err;
}

TEST_EACH_BACKEND(group_start, waits_until_the_child_is_ready_and_gives_its_value)
{
    long port = 0;
    CRANK_GROUP(g);
    EXPECT_EQ(crank_group_start(&g, &port, serve, 0.002, 8080L, 0.001), 0);
    EXPECT_EQ(port, 8080);
    say("started");
    EXPECT_EQ(crank_group_count(&g), 1);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_TRAIL("ready started served");
    return 0;
}

static int start_and_leave(void)
{
    CRANK_GROUP(g);
    crank_try(crank_group_start(&g, NULL, serve, 0.0, 1L, 10.0));
    return 0;
}
TEST_EACH_BACKEND(group_start, makes_a_child_that_ends_with_the_block)
{
    crank_try(start_and_leave());
    EXPECT_TRAIL("ready served!");
    return 0;
}

static void say_a_double(double x) { crank_started(x / 2); }
static void say_a_float(float x) { crank_started(x / 2); }
static void say_a_pointer(void) { crank_started((void *)&thing); }
static void say_a_short(short n) { crank_started(n); }
static void say_a_byte(unsigned char n) { crank_started(n); }
static void say_a_bool(int n) { crank_started((bool)(n > 0)); }

TEST_EACH_BACKEND(group_start, gives_values_of_every_kind)
{
    double a = 0, b = 0;
    void *c = NULL;
    long d = 0, e = 0;
    int f = 0;
    CRANK_GROUP(g);
    crank_try(crank_group_start(&g, &a, say_a_double, 5.0));
    crank_try(crank_group_start(&g, &b, say_a_float, 5.0f));
    crank_try(crank_group_start(&g, &c, say_a_pointer));
    crank_try(crank_group_start(&g, &d, say_a_short, (short)-300));
    crank_try(crank_group_start(&g, &e, say_a_byte, (unsigned char)250));
    crank_try(crank_group_start(&g, &f, say_a_bool, 1));
    EXPECT_NEAR(a, 2.5, 0);
    EXPECT_NEAR(b, 2.5, 0);
    EXPECT(c == &thing);
    EXPECT_EQ(d, -300);
    EXPECT_EQ(e, 250);
    EXPECT_EQ(f, 1);
    return crank_group_wait(&g);
}

static int fail_before(double seconds)
{
    crank_try(crank_sleep(seconds));
    return crank_fail(EADDRINUSE, "port taken");
}
static int end_before(void) { return 5; }

TEST_EACH_BACKEND(group_start, fails_with_what_the_child_fails_with_and_the_group_goes_on)
{
    long value = 7;
    CRANK_GROUP(g);
    crank_group_spawn(&g, serve, 0.0, 1L, 0.004);
    EXPECT_EQ(crank_group_start(&g, &value, fail_before, 0.001), -EADDRINUSE);
    EXPECT_STR(crank_error(), "port taken");
    EXPECT_EQ(value, 7);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_TRAIL("ready served");
    return 0;
}

TEST_EACH_BACKEND(group_start, of_a_child_that_ends_without_saying_so_is_a_protocol_error)
{
    CRANK_GROUP(g);
    EXPECT_EQ(crank_group_start(&g, NULL, end_before), -EPROTO);
    EXPECT_STR(crank_error(), "crank_group_start: end_before has ended without crank_started");
    return crank_group_wait(&g);
}

static int fail_after_start(void)
{
    crank_started(1);
    return crank_fail(EIO, "later");
}
TEST_EACH_BACKEND(group_start, leaves_a_failure_after_the_start_to_the_group)
{
    CRANK_GROUP(g);
    EXPECT_EQ(crank_group_start(&g, NULL, fail_after_start), 0);
    EXPECT_EQ(crank_group_wait(&g), -EIO);
    EXPECT_STR(crank_error(), "later");
    return 0;
}

static int sleep_before(void)
{
    int err = crank_sleep(10);
    say("cut");
    (void)crank_sleep(0.001);
    say("tidy");
    return err;
}
static int start_one(int (*fn)(void))
{
    int value = 0;
    CRANK_GROUP(g);
    int err = crank_group_start(&g, &value, fn);
    say("start%d", err);
    if (err < 0)
        return err;
    EXPECT_EQ(value, 3);
    EXPECT_EQ(crank_sleep(0.01), -ECANCELED); /* the request that the value left */
    return crank_group_wait(&g);
}

TEST_EACH_BACKEND(group_start, interrupted_cancels_the_child_and_returns_when_it_has_ended)
{
    crank_task *task = crank_spawn(start_one, sleep_before);
    crank_try(crank_sleep(0.001));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("cut tidy start-125");
    return 0;
}

static int start_all_the_same(void)
{
    (void)crank_sleep(10);
    crank_started(3);
    return 0;
}
TEST_EACH_BACKEND(group_start, interrupted_gives_a_value_that_is_said_all_the_same_and_the_request_stays)
{
    crank_task *task = crank_spawn(start_one, start_all_the_same);
    crank_try(crank_sleep(0.001));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("start0");
    return 0;
}

static int start_now(void)
{
    crank_started(3);
    return 0;
}
TEST_EACH_BACKEND(group_start, that_has_its_value_when_it_is_cancelled_gives_it)
{
    crank_task *task = crank_spawn(start_one, start_now);
    crank_try(crank_sleep(0)); /* the child has not run yet */
    crank_try(crank_sleep(0));
    EXPECT(!crank_done(task));
    crank_cancel(task);
    (void)crank_await(task);
    EXPECT_EQ(strncmp(trail, "start0", 6), 0);
    return 0;
}

static int fail_in_cleanup(void)
{
    (void)crank_sleep(10);
    return crank_fail(EIO, "cleanup");
}
TEST_EACH_BACKEND(group_start, interrupted_tells_of_a_failure_in_the_cleanup)
{
    crank_task *task = crank_spawn(start_one, fail_in_cleanup);
    crank_try(crank_sleep(0.001));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -EIO);
    return 0;
}

static int start_under_a_request(crank_group *group)
{
    crank_cancel(crank_self());
    int err = crank_group_start(group, NULL, start_now);
    say("start%d", err);
    return err;
}
TEST_EACH_BACKEND(group_start, with_a_request_pending_begins_nothing)
{
    CRANK_GROUP(g);
    EXPECT_EQ(crank_await(crank_spawn(start_under_a_request, &g)), -ECANCELED);
    EXPECT_EQ(crank_group_count(&g), 0);
    return 0;
}

TEST_EACH_BACKEND(group_start, under_a_limit_fails_when_that_has_passed)
{
    CRANK_GROUP(g);
    EXPECT_EQ(crank_within(0.001, crank_group_start(&g, NULL, sleep_before)), -ETIMEDOUT);
    EXPECT_TRAIL("cut tidy");
    return crank_group_wait(&g);
}

static int start_in(crank_group *group) { return crank_group_start(group, NULL, serve, 0.001, 1L, 10.0); }

TEST_EACH_BACKEND(group_start, in_a_group_that_has_been_cancelled_begins_nothing)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, sleep_before);
    crank_try(crank_sleep(0));
    crank_group_cancel(&g);
    EXPECT_EQ(crank_await(crank_spawn(start_in, &g)), -ECANCELED);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_TRAIL("cut tidy");
    return 0;
}

static int clean_up_until_the_end_of(crank_task *task)
{
    int err = crank_sleep(10);
    (void)crank_await_shared(task);
    return err;
}
TEST_EACH_BACKEND(group_start, into_a_group_that_is_cancelled_meanwhile_cancels_the_child)
{
    CRANK_GROUP(g);
    crank_task *starter = crank_spawn(start_in, &g);
    crank_group_spawn(&g, clean_up_until_the_end_of, starter);
    crank_try(crank_sleep(0));
    crank_group_cancel(&g);
    EXPECT_EQ(crank_group_wait(&g), 0);
    EXPECT_EQ(crank_await(starter), 0);
    EXPECT_TRAIL("ready served!");
    return 0;
}

static int start_from_a_child(crank_group *group)
{
    int value = 0;
    crank_try(crank_group_start(group, &value, serve, 0.001, 4L, 0.001));
    return value;
}
TEST_CHECKS(group_start, into_an_int_of_a_long_is_refused, "does not fit the starter's variable")
{
    CRANK_GROUP(g);
    return start_from_a_child(&g);
}

static int start_sibling(crank_group *group, long *value)
{
    return crank_group_start(group, value, serve, 0.001, 4L, 0.001);
}
TEST_EACH_BACKEND(group_start, works_from_a_child_of_the_group_and_in_a_pool)
{
    long value = 0, results[2];
    CRANK_POOL(pool, 1);
    crank_pool_spawn(&pool, start_sibling, &pool, &value);
    EXPECT_EQ(crank_pool_wait(&pool, results, 2), 0);
    EXPECT_EQ(value, 4);
    EXPECT_EQ(results[1], 0);
    EXPECT_TRAIL("ready served");
    return 0;
}

TEST_EACH_BACKEND(started, does_nothing_in_a_task_that_nobody_waits_for)
{
    EXPECT_EQ(crank_await(crank_spawn(start_now)), 0);
    CRANK_GROUP(g);
    crank_group_spawn(&g, start_now);
    crank_started(3);
    return crank_group_wait(&g);
}

static int start_twice(void)
{
    crank_started(1);
    crank_started(1);
    return 0;
}
TEST_CHECKS(started, twice_is_refused, "has called it before")
{
    CRANK_GROUP(g);
    crank_try(crank_group_start(&g, NULL, start_twice));
    return crank_group_wait(&g);
}

static int ignore_requests(void)
{
    for (int i = 0; i < 3; i++)
        (void)crank_sleep(7);
    return 0;
}
static char reported[1024];
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    if (report->kind != CRANK_REPORT_UNAWAITED)
        strncat(reported, report->text, sizeof reported - strlen(reported) - 1);
}
static int cancel_one_that_ignores(void)
{
    crank_task *task = crank_spawn(start_one, ignore_requests);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    return 0;
}
TEST(group_start, names_a_child_that_ignores_a_request)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .grace = 2, .on_report = keep };
    EXPECT_EQ(crank_run_with(&options, cancel_one_that_ignores), 0);
    EXPECT_CONTAINS(reported, "fn=fn spawned at start.c");
}

static int never_start(void)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    return (int)crank_await(future);
}
static int start_never(void)
{
    CRANK_GROUP(g);
    return crank_group_start(&g, NULL, never_start);
}
TEST(group_start, is_described_in_a_deadlock)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    (void)crank_run_with(&options, start_never);
    EXPECT_CONTAINS(reported, "waits for the start of task");
}
