/* SPDX-License-Identifier: MIT */
/* post_end.c: a post that was accepted is called, however late it came; those that come later are refused. */
#include <crank/thread.h>
#include <pthread.h>
#include <stdatomic.h>
#include "trail.h"

/* A run on each backend: what is to be seen comes after it. */
static void on_each_backend(int (*app)(void))
{
    for (crank_backend backend = CRANK_BACKEND_SIM; backend <= CRANK_BACKEND_URING; backend++) {
        trail[0] = '\0';
        EXPECT_EQ(crank_run_with(&(crank_options){ .backend = backend }, app), 0);
        say("over");
    }
}

static void say_it(void *word) { say("%s", (const char *)word); }

static int post_last(void)
{
    EXPECT_EQ(crank_post(crank_current_loop(), say_it, "first"), 0);
    EXPECT_EQ(crank_post(crank_current_loop(), say_it, "second"), 0);
    say("app");
    return 0;
}
TEST(post, of_an_app_that_then_returns_is_called)
{
    on_each_backend(post_last);
    EXPECT_TRAIL("app first second over");
}

static void try_much(void *arg)
{
    EXPECT_EQ(crank_post(crank_current_loop(), say_it, "too late"), -ESHUTDOWN);
    EXPECT(!crank_spawn(post_last));
    EXPECT_EQ(errno, ESHUTDOWN);
    errno = 0;
    EXPECT(!crank_submit(crank_current_loop(), post_last));
    EXPECT_EQ(errno, ESHUTDOWN);
    EXPECT(crank_call_soon(crank_current_loop(), say_it, arg));
}
static int post_trying(void) { return crank_post(crank_current_loop(), try_much, "soon"); }
TEST(post, called_when_all_tasks_have_ended_may_ask_for_callbacks_and_for_nothing_else)
{
    on_each_backend(post_trying);
    EXPECT_TRAIL("soon over");
}

static int post_from_job(crank_loop *loop) { return crank_post(loop, say_it, "from the job"); }
static int end_before_the_job(void)
{
    (void)crank_to_thread(post_from_job, crank_current_loop());
    say("app");
    return 0;
}
TEST(post, of_a_job_that_ends_last_is_called)
{
    on_each_backend(end_before_the_job);
    EXPECT_TRAIL("app from the job over");
}

static crank_waker *left;
static int wake_last(void)
{
    left = crank_waker_new(crank_current_loop(), say_it, "woken");
    crank_waker_wake(left);
    return 0;
}
TEST(waker, woken_by_an_app_that_then_returns_calls)
{
    for (crank_backend backend = CRANK_BACKEND_SIM; backend <= CRANK_BACKEND_URING; backend++) {
        EXPECT_EQ(crank_run_with(&(crank_options){ .backend = backend }, wake_last), 0);
        EXPECT_TRAIL("woken");
        crank_waker_wake(left);
        crank_waker_free(left);
    }
}

static int free_before_close(void)
{
    left = crank_waker_new(crank_current_loop(), say_it, "woken");
    return 0;
}
static void wake_late(void *arg)
{
    (void)arg;
    crank_waker_wake(left); /* refused: nothing is on its way that would have to be waited for */
    crank_waker_free(left);
}
static int post_wake_late(void)
{
    (void)free_before_close();
    return crank_post(crank_current_loop(), wake_late, NULL);
}
TEST(waker, freed_after_a_wake_that_came_too_late_is_gone)
{
    on_each_backend(post_wake_late);
    EXPECT_TRAIL("over");
}
