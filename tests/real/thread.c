/* SPDX-License-Identifier: MIT */
/* thread.c: worker threads against the wall clock. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

static int block(int milliseconds) { return usleep((unsigned)milliseconds * 1000); }

static int tick(int *count, const bool *over)
{
    while (!*over) {
        ++*count;
        crank_try(crank_sleep(0.001));
    }
    return 0;
}

TEST_EACH_BACKEND(to_thread, the_loop_goes_on_while_a_job_blocks)
{
    int ticks = 0;
    bool over = false;
    if (strcmp(crank_backend_name(), "sim") == 0)
        return 0;
    crank_task *ticker = crank_spawn(tick, &ticks, &over);
    EXPECT_EQ(crank_await(crank_to_thread(block, 30)), 0);
    over = true;
    EXPECT(ticks >= 3);
    return (int)crank_await(ticker);
}

TEST_EACH_BACKEND(to_thread, jobs_block_at_the_same_time)
{
    if (strcmp(crank_backend_name(), "sim") == 0)
        return 0;
    double before = crank_time();
    crank_try(crank_gather((int *)NULL, crank_to_thread(block, 40), crank_to_thread(block, 40),
        crank_to_thread(block, 40), crank_to_thread(block, 40)));
    EXPECT(crank_time() - before < 0.159); /* one after the other takes longer */
    return 0;
}

static atomic_bool started;
static int start_and_block(int milliseconds)
{
    atomic_store(&started, true);
    return block(milliseconds);
}
TEST_EACH_BACKEND(to_thread, a_time_limit_waits_for_a_started_job)
{
    if (strcmp(crank_backend_name(), "sim") == 0)
        return 0;
    crank_task *job = crank_to_thread(start_and_block, 30);
    while (!atomic_load(&started))
        crank_try(crank_sleep(0.0001));
    EXPECT_EQ(crank_within(0.001, crank_await(job)), 0); /* its result stands */
    return 0;
}

static int idle_app(void)
{
    crank_try(crank_gather((int *)NULL, crank_to_thread(block, 5), crank_to_thread(block, 5)));
    EXPECT(crank_thread_count() >= 1);
    crank_try(crank_sleep(6));
    EXPECT_EQ(crank_thread_count(), 0);
    EXPECT_EQ(crank_await(crank_to_thread(block, 1)), 0);
    EXPECT_EQ(crank_thread_count(), 1);
    return 0;
}
TEST(to_thread, idle_workers_end_and_come_again)
{
    test_needs_long();
    crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    EXPECT_EQ(crank_run_with(&options, idle_app), 0);
}

/* A run adds its loop to those the process knows, and takes it out again: nobody may be looking them up then. */
static atomic_bool enough;
static void nothing(void *arg) { (void)arg; }
static void *look_up(void *no_loop)
{
    while (!atomic_load(&enough))
        EXPECT_EQ(crank_post(no_loop, nothing, NULL), -ESHUTDOWN);
    return NULL;
}
static int no_more(void) { return 0; }
TEST(post, from_many_threads_does_not_keep_loops_from_beginning_and_ending)
{
    static char no_loop[64];
    pthread_t threads[8];
    for (size_t i = 0; i < CRANK_COUNT(threads); i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, look_up, no_loop), 0);
    time_t before = time(NULL);
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(crank_run(no_more), 0);
    EXPECT(time(NULL) - before < 8);
    atomic_store(&enough, true);
    for (size_t i = 0; i < CRANK_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
}
