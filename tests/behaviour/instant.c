/* SPDX-License-Identifier: MIT */
/* instant.c: under the simulator every limit comes, also while there is always something to do at one instant. */
#include <crank/thread.h>
#include <fcntl.h>
#include <unistd.h>
#include "test.h"

#define LIMIT 0.001

/* A turn without end costs 1 us: so the limit comes at that instant, or within the turn that passes it. */
static int expect_limit(double began, int result)
{
    EXPECT_EQ(result, -ETIMEDOUT);
    double late = crank_time() - (began + LIMIT);
    EXPECT(late >= 0 && late < 0.0001);
    return 0;
}

static void leave_it(void *count) { ++*(int *)count; }
TEST_SIM(instant, passes_though_a_descriptor_stays_readable)
{
    int ends[2], count = 0;
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(crank_add_reader(crank_current_loop(), ends[0], leave_it, &count), 0);
    double began = crank_time();
    crank_try(expect_limit(began, crank_within(LIMIT, crank_sleep(CRANK_FOREVER))));
    EXPECT(count >= 1000);
    EXPECT_EQ(crank_remove_reader(crank_current_loop(), ends[0]), 1);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

TEST_SIM(instant, passes_though_two_descriptors_stay_ready)
{
    int ends[2], count = 0;
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(crank_add_reader(crank_current_loop(), ends[0], leave_it, &count), 0);
    EXPECT_EQ(crank_add_writer(crank_current_loop(), ends[1], leave_it, &count), 0);
    double began = crank_time();
    crank_try(expect_limit(began, crank_within(LIMIT, crank_sleep(CRANK_FOREVER))));
    EXPECT_EQ(crank_remove_reader(crank_current_loop(), ends[0]), 1);
    EXPECT_EQ(crank_remove_writer(crank_current_loop(), ends[1]), 1);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static bool over;
static void post_again(void *loop)
{
    if (!over)
        EXPECT_EQ(crank_post(loop, post_again, loop), 0);
}
TEST_SIM(instant, passes_though_a_post_posts_itself_anew)
{
    EXPECT_EQ(crank_post(crank_current_loop(), post_again, crank_current_loop()), 0);
    double began = crank_time();
    crank_try(expect_limit(began, crank_within(LIMIT, crank_sleep(CRANK_FOREVER))));
    over = true;
    return 0;
}

static int one(void) { return 1; }
static int job_after_job(void)
{
    for (;;)
        if (crank_await(crank_to_thread(one)) != 1)
            return -ECANCELED;
}
TEST_SIM(instant, passes_though_job_follows_job)
{
    double began = crank_time();
    return expect_limit(began, crank_within(LIMIT, job_after_job()));
}

static int read_on(crank_stream *zeros)
{
    char some[16];
    for (;;) {
        ssize_t n = crank_read(zeros, some, sizeof some);
        if (n < 0)
            return (int)n;
    }
}
TEST_SIM(instant, passes_though_a_stream_always_has_data)
{
    if (getenv("TEST_EMULATED"))
        test_skip("an emulator takes a minute and a half for it");
    crank_stream *zeros = crank_open("/dev/zero", "r");
    EXPECT(zeros);
    double began = crank_time();
    crank_try(expect_limit(began, crank_within(LIMIT, read_on(zeros))));
    return crank_stream_close(zeros);
}

static int turn_on(void)
{
    for (;;)
        crank_try(crank_sleep(0));
}
TEST_SIM(instant, passes_though_a_task_is_always_ready)
{
    double began = crank_time();
    return expect_limit(began, crank_within(LIMIT, turn_on()));
}

static void ask_again(void *loop)
{
    if (!over)
        EXPECT(crank_call_soon(loop, ask_again, loop));
}
static void end_it(void *loop)
{
    over = true;
    crank_loop_stop(loop);
}
TEST(instant, of_a_loop_without_tasks_passes_too)
{
    crank_loop *loop = crank_loop_new(&(crank_options){ .backend = CRANK_BACKEND_SIM });
    double began = crank_loop_time(loop);
    EXPECT(crank_call_soon(loop, ask_again, loop));
    EXPECT(crank_call_later(loop, LIMIT, end_it, loop));
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT(crank_loop_time(loop) >= began + LIMIT);
    crank_loop_free(loop);
}

/* Many turns are what a program may well need at one instant. */
static int turn_often(void)
{
    enum { STEPS_OF_A_TURN = 61 };
    for (int i = 0; i < 900 * STEPS_OF_A_TURN; i++)
        crank_try(crank_sleep(0));
    return 0;
}
TEST_SIM(instant, lasts_for_hundreds_of_turns)
{
    double began = crank_time();
    EXPECT_EQ(crank_within(3600, turn_often()), 0);
    EXPECT_NEAR(crank_time(), began, 0);
    return 0;
}
