/* SPDX-License-Identifier: MIT */
/* interrupt.c: Ctrl-C while one run ends and another begins. */
#include <pthread.h>
#include <signal.h>

#include "run/run.h"
#include "test.h"

static bool returned; /* app has */
static int second_gave;

static int is_interrupted(void)
{
    raise(SIGINT);
    return crank_sleep(3600);
}
static void *run_second(void *arg)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL, .handle_interrupt = true };
    second_gave = (int)crank_run_with(&options, is_interrupted);
    return arg;
}

/* The first run gives its alternate stack back when it handles Ctrl-C no more, and has not looked at what was posted
 * since app returned. */
static int unmap(void *context, void *memory, size_t size)
{
    pthread_t thread;
    if (returned) {
        returned = false;
        EXPECT_EQ(pthread_create(&thread, NULL, run_second, NULL), 0);
        EXPECT_EQ(pthread_join(thread, NULL), 0);
    }
    return cr_sys_real.unmap(context, memory, size);
}

static void nothing(void *arg) { (void)arg; }
static long interrupted_last(void *arg)
{
    crank_loop *loop = crank_current_loop();
    (void)arg;
    EXPECT_EQ(crank_post(loop, nothing, NULL), 0);
    raise(SIGINT);
    EXPECT_EQ(crank_post(loop, nothing, NULL), 0);
    returned = true;
    return 0;
}

/* Nothing is lost of what was posted to the first: its memory would be missing. */
TEST(interrupt, of_a_run_that_ends_is_not_taken_for_the_next_ones)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL, .handle_interrupt = true };
    cr_sys sys = cr_sys_real;
    sys.unmap = unmap;
    (void)cr_run_raw_on(&sys, &options, interrupted_last, NULL);
    EXPECT(!returned);
    EXPECT_EQ(second_gave, -EINTR);
}
