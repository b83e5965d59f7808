/* SPDX-License-Identifier: MIT */
/* loop.c: loops of crank_loop_new: run by one thread after another, and what is left at a descriptor after removal. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

/* The body gets a backend, and makes its loops itself. */
#define EACH_BACKEND(subject, sentence) \
    static void subject##_##sentence(crank_backend backend); \
    TEST(subject, sentence##_on_sim) { subject##_##sentence(CRANK_BACKEND_SIM); } \
    TEST(subject, sentence##_on_epoll) { subject##_##sentence(CRANK_BACKEND_EPOLL); } \
    TEST(subject, sentence##_on_uring) { subject##_##sentence(CRANK_BACKEND_URING); } \
    static void subject##_##sentence(crank_backend backend)

/* A loop, a pipe whose reading end it watches, and what came. */
typedef struct world {
    crank_loop *loop;
    int in, out;
    char got[8];
    size_t length;
    bool stays; /* the loop is not stopped by what comes */
} world;

static void read_one(void *arg)
{
    world *w = arg;
    EXPECT_EQ(read(w->in, &w->got[w->length++], 1), 1);
    if (!w->stays)
        crank_loop_stop(w->loop);
}
static world make_world(crank_backend backend)
{
    world w = { .loop = crank_loop_new(&(crank_options){ .backend = backend }) };
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    w.in = ends[0];
    w.out = ends[1];
    return w;
}
static void end_world(world *w)
{
    crank_loop_free(w->loop);
    close(w->in);
    close(w->out);
}
static void put(const world *w, char c) { EXPECT_EQ(write(w->out, &c, 1), 1); }

/* fn(arg) on a thread, to its end. */
static void on_a_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, fn, arg), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
}

/* ---- one thread after another */

static void *run(void *arg)
{
    world *w = arg;
    EXPECT_EQ(crank_loop_run(w->loop), 0);
    return NULL;
}
static void *watch_and_run(void *arg)
{
    world *w = arg;
    EXPECT_EQ(crank_add_reader(w->loop, w->in, read_one, w), 0);
    return run(arg);
}

EACH_BACKEND(loop, that_one_thread_has_run_is_run_by_others)
{
    world w = make_world(backend);
    put(&w, 'a');
    on_a_thread(watch_and_run, &w);
    put(&w, 'b');
    run(&w);
    put(&w, 'c');
    on_a_thread(run, &w);
    EXPECT_STR(w.got, "abc");
    EXPECT_EQ(crank_remove_reader(w.loop, w.in), 1);
    end_world(&w);
}

EACH_BACKEND(loop, that_one_thread_has_run_is_freed_by_another)
{
    world w = make_world(backend);
    put(&w, 'a');
    on_a_thread(watch_and_run, &w);
    EXPECT_STR(w.got, "a");
    end_world(&w);
}

static void *run_and_free(void *arg)
{
    world *w = arg;
    run(w);
    crank_loop_free(w->loop);
    w->loop = NULL;
    return NULL;
}
EACH_BACKEND(loop, that_was_run_here_is_run_and_freed_by_a_thread)
{
    world w = make_world(backend);
    put(&w, 'a');
    watch_and_run(&w);
    put(&w, 'b');
    on_a_thread(run_and_free, &w);
    EXPECT_STR(w.got, "ab");
    end_world(&w);
}

static void stop_it(void *arg) { crank_loop_stop(arg); }
EACH_BACKEND(loop, that_one_thread_has_run_loses_its_reader_to_another)
{
    world w = make_world(backend);
    put(&w, 'a');
    on_a_thread(watch_and_run, &w);
    EXPECT_EQ(crank_remove_reader(w.loop, w.in), 1);
    EXPECT_EQ(crank_add_writer(w.loop, w.out, stop_it, w.loop), 0);
    run(&w);
    EXPECT_EQ(crank_remove_writer(w.loop, w.out), 1);
    EXPECT_STR(w.got, "a");
    end_world(&w);
}

static void *wake_it(void *arg)
{
    crank_waker_wake(arg);
    return NULL;
}
EACH_BACKEND(loop, that_one_thread_has_run_is_woken_for_another)
{
    world w = make_world(backend);
    crank_waker *waker = crank_waker_new(w.loop, stop_it, w.loop);
    put(&w, 'a');
    on_a_thread(watch_and_run, &w);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, wake_it, waker), 0);
    run(&w);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    crank_waker_free(waker);
    EXPECT_STR(w.got, "a");
    end_world(&w);
}

TEST(loop, on_uring_is_asked_for_its_descriptor_while_it_waits_for_one)
{
    world w = make_world(CRANK_BACKEND_URING);
    EXPECT_EQ(crank_add_reader(w.loop, w.in, read_one, &w), 0);
    crank_loop_run_once(w.loop, 0);
    struct pollfd one = { .fd = crank_loop_fd(w.loop), .events = POLLIN };
    EXPECT(one.fd >= 0);
    EXPECT_EQ(poll(&one, 1, 0), 0);
    put(&w, 'a');
    EXPECT_EQ(poll(&one, 1, 5000), 1);
    EXPECT_EQ(crank_loop_run_once(w.loop, 0), 1);
    EXPECT_STR(w.got, "a");
    end_world(&w);
}
