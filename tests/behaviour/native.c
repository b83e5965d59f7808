/* SPDX-License-Identifier: MIT */
/* native.c: a spawned call of crank's own, which needs no stack, behaves as any other task. */
#include <math.h>

#include "base/base.h"
#include "trail.h"

TEST_EACH_BACKEND(native_sleep, ends_in_time)
{
    double begin = crank_time();
    EXPECT_EQ(crank_await(crank_spawn(crank_sleep, 0.02)), 0);
    EXPECT(crank_time() - begin >= 0.02 - 1e-9);
    return 0;
}

TEST_SIM(native_sleep, begins_at_its_turn)
{
    crank_task *task = crank_spawn(crank_sleep, 1);
    char text[256];
    crank_describe(task, text, sizeof text);
    EXPECT_CONTAINS(text, "<Task new name='Task-");
    crank_try(crank_sleep(0));
    crank_describe(task, text, sizeof text);
    EXPECT_CONTAINS(text, "<Task pending name='Task-");
    EXPECT_CONTAINS(text, " fn=crank_sleep spawned at native.c:");
    EXPECT_CONTAINS(text, "sleeps 1.000 s more");
    EXPECT_EQ(crank_await(task), 0);
    return 0;
}

static int speak(const char *word)
{
    say("%s", word);
    return 0;
}
static void ended(crank_task *task, void *word)
{
    (void)task;
    say("%s", (char *)word);
}
TEST_SIM(native_sleep, of_nothing_lets_the_others_run_once)
{
    static char over[] = "over";
    crank_task *task = crank_spawn(crank_sleep, -1.0);
    EXPECT_EQ(crank_on_done(task, ended, over), 0);
    crank_task *a = crank_spawn(speak, "a");
    EXPECT_EQ(crank_gather((void *)NULL, task, a), 0);
    EXPECT_TRAIL("a over");
    return 0;
}

TEST_SIM(native_sleep, of_no_number_fails)
{
    EXPECT_EQ(crank_await(crank_spawn(crank_sleep, NAN)), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "crank_sleep: the time is not a number");
    return 0;
}

TEST_EACH_BACKEND(native_sleep, is_cancelled_before_it_begins_and_while_it_sleeps)
{
    crank_task *task = crank_spawn(crank_sleep, 3600);
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    task = crank_spawn(crank_sleep, 3600);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_cancel_because(task, "enough"), 0);
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_CONTAINS(crank_error(), "enough");
    return 0;
}

TEST_SIM(native_sleep, asked_to_end_and_let_off_before_it_begins_sleeps_on)
{
    double begin = crank_time();
    crank_task *task = crank_spawn(crank_sleep, 1);
    crank_cancel(task);
    EXPECT_EQ(crank_uncancel(task), 0);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_NEAR(crank_time() - begin, 1, 1e-9);
    return 0;
}

TEST_SIM(native_sleep, that_is_due_in_the_turn_it_is_asked_to_end_is_one_or_the_other)
{
    crank_task *task = crank_spawn(crank_sleep, 1);
    crank_try(crank_sleep(1));
    int asked = crank_cancel(task);
    EXPECT_EQ(crank_await(task), asked == 0 ? -ECANCELED : 0);
    return 0;
}

TEST_SIM(native_sleep, waits_for_its_place_in_a_group)
{
    double begin = crank_time();
    CRANK_GROUP_LIMIT(group, 2);
    for (int i = 0; i < 6; i++)
        crank_group_spawn(&group, crank_sleep, 1);
    EXPECT_EQ(crank_group_wait(&group), 0);
    EXPECT_NEAR(crank_time() - begin, 3, 1e-9);
    return 0;
}

static int fail(void) { return crank_fail(EIO, "no"); }
TEST_SIM(native_sleep, goes_with_its_group)
{
    double begin = crank_time();
    CRANK_GROUP(group);
    crank_group_spawn(&group, crank_sleep, 3600);
    crank_group_spawn(&group, fail);
    EXPECT_EQ(crank_group_wait(&group), -EIO);
    EXPECT_NEAR(crank_time() - begin, 0, 0);
    return 0;
}

static int leave_one(void)
{
    crank_drop(crank_spawn(crank_sleep, 2));
    return 0;
}
TEST_SIM(native_sleep, keeps_its_parent_from_ending)
{
    double begin = crank_time();
    EXPECT_EQ(crank_await(crank_spawn(leave_one)), 0);
    EXPECT_NEAR(crank_time() - begin, 2, 1e-9);
    return 0;
}

TEST_SIM(native_sleep, spawned_eagerly_begins_at_once)
{
    crank_task *task = crank_spawn_eager(crank_sleep, 1);
    char text[256];
    crank_describe(task, text, sizeof text);
    EXPECT_CONTAINS(text, "sleeps 1.000 s more");
    EXPECT_EQ(crank_await(task), 0);
    return 0;
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long all, resident = 0;
    EXPECT(file && fscanf(file, "%ld %ld", &all, &resident) == 2);
    fclose(file);
    return resident * 4;
}
TEST_SIM(native_sleep, needs_no_stack)
{
    enum { N = 4096 };
    static crank_task *tasks[N];
    if (getenv("TEST_EMULATED") || CR_SWITCH_SANITIZED)
        test_skip("tools keep memory of their own");
    long before = resident_kib();
    for (int i = 0; i < N; i++)
        tasks[i] = crank_spawn(crank_sleep, 1);
    crank_try(crank_sleep(0));
    EXPECT(resident_kib() - before < N); /* a stack is four times as much */
    EXPECT_EQ(crank_gather_n(tasks, N, (void *)NULL), 0);
    return 0;
}
