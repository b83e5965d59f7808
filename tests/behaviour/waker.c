/* SPDX-License-Identifier: MIT */
/* waker.c: what is true of those who may wake a loop from outside. */
#include <crank/loop.h>
#include <pthread.h>
#include <signal.h>

#include "jobs.h"

static void count_up(void *count) { ++*(int *)count; }
static void raise_event(void *event) { crank_event_set(event); }

TEST_EACH_BACKEND(waker, calls_in_the_loop)
{
    int count = 0;
    crank_waker *waker = crank_waker_new(crank_current_loop(), count_up, &count);
    crank_waker_wake(waker);
    EXPECT_EQ(count, 0);
    crank_try(crank_sleep(0.0001));
    EXPECT_EQ(count, 1);
    crank_waker_free(waker);
    return 0;
}

TEST_EACH_BACKEND(waker, several_wakes_become_one_call)
{
    int count = 0;
    crank_waker *waker = crank_waker_new(crank_current_loop(), count_up, &count);
    for (int i = 0; i < 100; i++)
        crank_waker_wake(waker);
    crank_try(crank_sleep(0.0001));
    EXPECT_EQ(count, 1);
    crank_waker_wake(waker);
    crank_try(crank_sleep(0.0001));
    EXPECT_EQ(count, 2);
    crank_waker_free(waker);
    return 0;
}

static void *wake_later(void *waker)
{
    usleep(500);
    crank_waker_wake(waker);
    return NULL;
}
TEST_EACH_BACKEND(waker, holds_off_a_deadlock_and_wakes_from_a_thread)
{
    pthread_t thread;
    CRANK_EVENT(event);
    crank_waker *waker = crank_waker_new(crank_current_loop(), raise_event, event);
    EXPECT_EQ(pthread_create(&thread, NULL, wake_later, waker), 0);
    crank_try(crank_event_wait(event));
    pthread_join(thread, NULL);
    crank_waker_free(waker);
    return 0;
}

static crank_waker *_Atomic signalled;
static void on_signal(int number)
{
    (void)number;
    crank_waker_wake(atomic_load(&signalled));
}
static void *signal_later(void *thread)
{
    usleep(500);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}
TEST_EACH_BACKEND(waker, wakes_from_a_signal_handler)
{
    pthread_t thread;
    static pthread_t self; /* not on a task's stack: another thread reads it */
    self = pthread_self();
    CRANK_EVENT(event);
    atomic_store(&signalled, crank_waker_new(crank_current_loop(), raise_event, event));
    struct sigaction action = { .sa_handler = on_signal }, before;
    sigaction(SIGUSR1, &action, &before);
    EXPECT_EQ(pthread_create(&thread, NULL, signal_later, &self), 0);
    crank_try(crank_event_wait(event));
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &before, NULL);
    crank_waker_free(atomic_load(&signalled));
    return 0;
}

TEST_EACH_BACKEND(waker, freed_with_a_wake_on_the_way_calls_nothing)
{
    int count = 0;
    crank_waker *waker = crank_waker_new(crank_current_loop(), count_up, &count);
    crank_waker_wake(waker);
    crank_waker_free(waker);
    crank_waker_free(NULL);
    crank_try(crank_sleep(0.0001));
    EXPECT_EQ(count, 0);
    return 0;
}

static void no_report(const crank_report *report, void *arg) { *(int *)arg = report->kind == CRANK_REPORT_DEADLOCK; }
static int free_and_wait_app(void)
{
    CRANK_EVENT(event);
    crank_waker *waker = crank_waker_new(crank_current_loop(), raise_event, event);
    crank_waker_free(waker);
    return crank_event_wait(event);
}
TEST(waker, once_freed_holds_off_no_deadlock)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        int deadlocks = 0;
        crank_options options = { .backend = backends[i], .on_report = no_report, .on_report_arg = &deadlocks };
        EXPECT_EQ(crank_run_with(&options, free_and_wait_app), -EDEADLK);
        EXPECT_EQ(deadlocks, 1);
    }
}

static crank_waker *kept;
static int keep_app(int *count)
{
    kept = crank_waker_new(crank_current_loop(), count_up, count);
    crank_waker_wake(kept);
    return 0;
}
TEST(waker, outlives_its_loop_without_harm)
{
    int count = 0;
    EXPECT_EQ(crank_run_with(NULL, keep_app, &count), 0);
    int before = count;
    crank_waker_wake(kept);
    crank_waker_wake(kept);
    EXPECT_EQ(count, before);
    crank_waker_free(kept);
}

TEST_CHECKS_OUTSIDE(waker, needs_a_loop, "crank_waker_new") { (void)crank_waker_new(NULL, count_up, NULL); }

/* ---- a loop of the callback layer, which runs no program */

typedef struct bare {
    crank_loop *loop;
    crank_waker *waker;
    int calls, posts;
} bare;
static void called(void *arg)
{
    bare *b = arg;
    if (__atomic_add_fetch(&b->calls, 1, __ATOMIC_RELEASE) == 2)
        crank_waker_free(b->waker);
}
static void posted(void *arg)
{
    bare *b = arg;
    if (++b->posts == 1)
        pthread_kill(pthread_self(), SIGUSR1);
}
static void *post_then_wake(void *arg)
{
    bare *b = arg;
    usleep(500);
    EXPECT_EQ(crank_post(b->loop, posted, b), 0);
    while (!__atomic_load_n(&b->calls, __ATOMIC_ACQUIRE))
        usleep(50);
    crank_waker_wake(b->waker);
    return NULL;
}
TEST(waker, of_a_loop_without_a_program_calls_from_threads_and_signal_handlers)
{
    struct sigaction action = { .sa_handler = on_signal }, before;
    sigaction(SIGUSR1, &action, &before);
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        static bare b;
        b = (bare){ .loop = crank_loop_new(&(crank_options){ .backend = backends[i] }) };
        pthread_t thread;
        b.waker = crank_waker_new(b.loop, called, &b);
        atomic_store(&signalled, b.waker);
        EXPECT_EQ(pthread_create(&thread, NULL, post_then_wake, &b), 0);
        EXPECT_EQ(crank_loop_run(b.loop), 0);
        pthread_join(thread, NULL);
        EXPECT_EQ(b.calls, 2);
        EXPECT_EQ(b.posts, 1);
        EXPECT_EQ(crank_loop_run(b.loop), 0);
        crank_loop_free(b.loop);
    }
    sigaction(SIGUSR1, &before, NULL);
}

TEST(run_once, counts_what_posts_and_wakers_have_it_call)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        int count = 0;
        crank_loop *loop = crank_loop_new(&(crank_options){ .backend = backends[i] });
        crank_waker *waker = crank_waker_new(loop, count_up, &count);
        EXPECT_EQ(crank_post(loop, count_up, &count), 0);
        EXPECT_EQ(crank_post(loop, count_up, &count), 0);
        crank_waker_wake(waker);
        EXPECT(crank_call_soon(loop, count_up, &count) != NULL);
        EXPECT_EQ(crank_loop_run_once(loop, 0), 4);
        EXPECT_EQ(count, 4);
        EXPECT_EQ(crank_loop_run_once(loop, 0), 0);
        crank_waker_free(waker);
        EXPECT_EQ(crank_post(loop, count_up, &count), 0);
        EXPECT_EQ(crank_loop_run_once(loop, CRANK_FOREVER), 1); /* which ends the wait */
        crank_loop_free(loop);
    }
}

TEST(waker, of_a_loop_without_a_program_outlives_it_without_harm)
{
    int count = 0;
    crank_loop *loop = crank_loop_new(NULL);
    crank_waker *waker = crank_waker_new(loop, count_up, &count), *other = crank_waker_new(loop, count_up, &count);
    crank_waker_wake(waker);
    crank_waker_free(other);
    (void)crank_loop_run_once(loop, 0);
    EXPECT_EQ(count, 1);
    crank_waker_wake(waker);
    crank_loop_free(loop);
    crank_waker_wake(waker);
    crank_waker_free(waker);
    EXPECT_EQ(count, 1);
}
