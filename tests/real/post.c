/* SPDX-License-Identifier: MIT */
/* post.c: threads that post while the run ends, with real threads and so with real races. */
#include <crank/thread.h>
#include <pthread.h>
#include <stdatomic.h>

#include "test.h"

enum { THREADS = 3, RUNS = 8 };

typedef struct poster {
    pthread_t thread;
    int accepted;
    int called;
} poster;
static poster posters[THREADS];
static _Atomic(crank_loop *) target;

static void count_call(void *arg) { ((poster *)arg)->called++; }

/* Until refused, which is when the run ends. */
static void *post_on(void *arg)
{
    poster *self = arg;
    crank_loop *loop;
    int err;
    while (!(loop = atomic_load(&target)))
        ;
    while ((err = crank_post(loop, count_call, self)) == 0)
        self->accepted++;
    EXPECT_EQ(err, -ESHUTDOWN);
    return NULL;
}

static int app(void)
{
    atomic_store(&target, crank_current_loop());
    double until = crank_time() + 0.001;
    while (crank_time() < until)
        crank_try(crank_sleep(0));
    return 0;
}

static void race(crank_backend backend)
{
    for (int run = 0; run < RUNS; run++) {
        memset(posters, 0, sizeof posters);
        for (int i = 0; i < THREADS; i++)
            EXPECT_EQ(pthread_create(&posters[i].thread, NULL, post_on, &posters[i]), 0);
        EXPECT_EQ(crank_run_with(&(crank_options){ .backend = backend }, app), 0);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(posters[i].thread, NULL);
            EXPECT_EQ(posters[i].called, posters[i].accepted);
        }
        atomic_store(&target, NULL);
    }
}
TEST(post, accepted_while_the_run_ends_is_called_on_epoll) { race(CRANK_BACKEND_EPOLL); }
TEST(post, accepted_while_the_run_ends_is_called_on_uring) { race(CRANK_BACKEND_URING); }
