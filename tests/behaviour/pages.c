/* SPDX-License-Identifier: MIT */
/* pages.c: what the pages say beside Python's names, and of thread jobs, where no other test shows it. */
#include <stdatomic.h>
#include <unistd.h>
#include "trail.h"

/* ---- where asyncio differs */

static int begin_and_sleep(void)
{
    say("begun");
    int err = crank_sleep(10);
    say("%s", crank_error());
    return err;
}

TEST_EACH_BACKEND(cancel, of_a_task_that_has_not_begun_lets_it_begin)
{
    crank_task *task = crank_spawn(begin_and_sleep);
    EXPECT_EQ(crank_cancel_because(task, "why"), 0);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("begun why");
    EXPECT_STR(crank_error(), "why");
    return 0;
}

static int end_unasked(void) { return -ECANCELED; }
TEST_EACH_BACKEND(task, that_ends_with_a_cancellation_unasked_was_not_cancelled)
{
    crank_task *task = crank_spawn(end_unasked);
    EXPECT_EQ(crank_await_shared(task), -ECANCELED);
    EXPECT(!crank_was_cancelled(task));
    crank_drop(task);
    return 0;
}

static int say_and_give(const char *word, double seconds)
{
    say("%s", word);
    if (seconds > 0)
        crank_try(crank_sleep(seconds));
    return 5;
}
TEST_EACH_BACKEND(within, a_limit_of_0_computes_up_to_the_first_wait)
{
    EXPECT_EQ(crank_within(0, say_and_give("quick", 0)), 5);
    EXPECT_EQ(crank_within(0, say_and_give("slow", 1)), -ETIMEDOUT);
    EXPECT_TRAIL("quick slow");
    return 0;
}

static int acquire_and_say(crank_semaphore *semaphore, const char *word)
{
    crank_try(crank_semaphore_acquire(semaphore));
    say("%s", word);
    return 0;
}
TEST_EACH_BACKEND(semaphore, a_permit_left_over_is_taken_before_those_woken_have_run)
{
    CRANK_SEMAPHORE(semaphore, 0);
    CRANK_GROUP(g);
    crank_group_spawn(&g, acquire_and_say, semaphore, "a");
    crank_group_spawn(&g, acquire_and_say, semaphore, "b");
    crank_try(crank_sleep(0));
    for (int i = 0; i < 3; i++)
        crank_semaphore_release(semaphore);
    crank_try(acquire_and_say(semaphore, "me"));
    crank_try(crank_group_wait(&g));
    EXPECT_TRAIL("me a b");
    return 0;
}

static void say_argument(void *word) { say("%s", (char *)word); }
TEST_SIM(call_later, with_a_negative_delay_comes_in_the_order_asked_for)
{
    static char zero[] = "zero", minus[] = "minus";
    EXPECT(crank_call_later(crank_current_loop(), 0, say_argument, zero));
    EXPECT(crank_call_later(crank_current_loop(), -1, say_argument, minus));
    crank_try(crank_sleep(0.01));
    EXPECT_TRAIL("zero minus");
    return 0;
}

/* ---- thread jobs */

static atomic_bool started, may_return, returned;
static int return_when_allowed(void)
{
    atomic_store(&started, true);
    while (!atomic_load(&may_return))
        usleep(100);
    atomic_store(&returned, true);
    return 7;
}
static void allow(void *unused)
{
    (void)unused;
    atomic_store(&may_return, true);
}
static crank_task *job_that_has_started(void)
{
    crank_task *job = crank_to_thread(return_when_allowed);
    while (!atomic_load(&started) && !crank_done(job))
        EXPECT_EQ(crank_sleep(0), 0);
    return job;
}
static int job_beyond_its_limit(void)
{
    crank_task *job = job_that_has_started();
    EXPECT(crank_call_later(crank_current_loop(), 0.005, allow, NULL));
    EXPECT_EQ(crank_within(0.001, crank_await(job)), 7);
    return crank_sleep(0);
}
static void on_real_backends(int (*app)(void))
{
    for (int i = 0; i < 2; i++) {
        crank_options options = { .backend = i ? CRANK_BACKEND_URING : CRANK_BACKEND_EPOLL };
        atomic_store(&started, false);
        atomic_store(&may_return, false);
        atomic_store(&returned, false);
        EXPECT_EQ(crank_run_with(&options, app), 0);
        EXPECT(atomic_load(&returned));
    }
}
TEST(within, around_a_job_that_has_started_gives_what_the_job_gave) { on_real_backends(job_beyond_its_limit); }

static int abandon_a_job(void)
{
    crank_abandon(job_that_has_started());
    EXPECT(crank_call_later(crank_current_loop(), 0.002, allow, NULL));
    return 0;
}
TEST(abandon, leaves_a_job_for_which_the_run_waits) { on_real_backends(abandon_a_job); }

static int run_a_loop(int n)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM };
    return (int)crank_run_with(&options, say_and_give, "inner", (double)n);
}
TEST_EACH_BACKEND(to_thread, a_job_may_run_a_loop_of_its_own)
{
    EXPECT_EQ(crank_await(crank_to_thread(run_a_loop, 100)), 5);
    return 0;
}
