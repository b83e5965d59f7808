/* SPDX-License-Identifier: MIT */
/* loop.c: loops of crank_loop_new: run by one thread after another, and what is left at a descriptor after removal. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
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

/* ---- one turn at a time, as in the loop of another library */

static void note_post(void *arg)
{
    world *w = arg;
    w->got[w->length++] = 'p';
}
static void post_from_inside(void *arg)
{
    world *w = arg;
    EXPECT_EQ(crank_post(w->loop, note_post, w), 0);
}
/* Its poster saw the loop at work, and left it to the loop. */
EACH_BACKEND(loop, with_a_post_that_came_during_its_turn_is_ready_for_another)
{
    world w = make_world(backend);
    int fd = crank_loop_fd(w.loop);
    EXPECT(crank_call_soon(w.loop, post_from_inside, &w));
    EXPECT_EQ(crank_loop_run_once(w.loop, 0), 1);
    EXPECT_STR(w.got, "");
    if (fd >= 0)
        EXPECT_EQ(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0), 1);
    EXPECT(crank_loop_run_once(w.loop, 0) >= 0);
    EXPECT_STR(w.got, "p");
    if (fd >= 0)
        EXPECT_EQ(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0), 0);
    end_world(&w);
}

static void call_again(void *arg)
{
    world *w = arg;
    if (w->stays)
        EXPECT(crank_call_soon(w->loop, call_again, w));
}
EACH_BACKEND(loop, that_always_has_something_to_run_sees_what_comes_all_the_same)
{
    world w = make_world(backend);
    w.stays = true;
    EXPECT_EQ(crank_add_reader(w.loop, w.in, read_one, &w), 0);
    EXPECT(crank_call_soon(w.loop, call_again, &w));
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(crank_loop_run_once(w.loop, 0), 1);
    put(&w, 'a');
    for (int i = 0; i < 3; i++)
        EXPECT(crank_loop_run_once(w.loop, 0) >= 1);
    EXPECT_STR(w.got, "a");
    w.stays = false;
    EXPECT(crank_loop_run_once(w.loop, 0) >= 1);
    EXPECT_EQ(crank_remove_reader(w.loop, w.in), 1);
    end_world(&w);
}

/* ---- more timers than are worth a wait each: on a real clock some are called together, and none before its time */

enum { TIMERS = 1500 };
static struct {
    crank_loop *loop;
    double due[TIMERS];
    int called, early;
} many;
static void note_time(void *arg)
{
    const double *due = arg;
    many.early += crank_loop_time(many.loop) < *due - 2e-9; /* a nanosecond is lost between double and integer */
    if (++many.called == TIMERS)
        crank_loop_stop(many.loop);
}
EACH_BACKEND(loop, with_many_timers_calls_each_once_and_none_early)
{
    many.loop = crank_loop_new(&(crank_options){ .backend = backend });
    double now = crank_loop_time(many.loop);
    for (int i = 0; i < TIMERS; i++) {
        many.due[i] = now + 2e-6 * (i * 7 % TIMERS);
        EXPECT(crank_call_at(many.loop, many.due[i], note_time, &many.due[i]));
    }
    EXPECT_EQ(crank_loop_run(many.loop), 0);
    EXPECT_EQ(many.called, TIMERS);
    EXPECT_EQ(many.early, 0);
    crank_loop_free(many.loop);
}

/* ---- what a removal leaves at the descriptor: nothing, when it returns */

static void do_nothing(void *arg) { (void)arg; }
/* A listening socket of the loopback; *ret_address is where. */
static int listen_at(struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(fd >= 0);
    if (bind(fd, (struct sockaddr *)ret_address, size) < 0 || listen(fd, 4) < 0)
        return -errno;
    EXPECT_EQ(getsockname(fd, (struct sockaddr *)ret_address, &size), 0);
    return fd;
}
static int connect_to(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int err = result < 0 ? -errno : 0;
    close(fd);
    return err;
}
static void expect_closed(struct sockaddr_in *address)
{
    EXPECT_EQ(connect_to(address), -ECONNREFUSED);
    int again = listen_at(address);
    EXPECT(again >= 0);
    close(again);
}

EACH_BACKEND(reader, removed_from_a_listening_socket_lets_it_close)
{
    for (int turns = 0; turns < 3; turns++) {
        world w = make_world(backend);
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = listen_at(&address);
        EXPECT(fd >= 0);
        EXPECT_EQ(crank_add_reader(w.loop, fd, do_nothing, &w), 0);
        for (int i = 0; i < turns; i++)
            crank_loop_run_once(w.loop, 0);
        EXPECT_EQ(crank_remove_reader(w.loop, fd), 1);
        close(fd);
        expect_closed(&address);
        end_world(&w);
    }
}

/* What a peer sees at once: the end, or that there is nothing. */
static long peer_sees(int fd)
{
    char c;
    long got = read(fd, &c, 1);
    return got < 0 ? -errno : got;
}
/* Where another thread watched, the kernel lets go of the file a moment after it has said so. */
static long peer_sees_soon(int fd)
{
    struct pollfd peer = { .fd = fd, .events = POLLIN };
    EXPECT_EQ(poll(&peer, 1, 5000), 1);
    return peer_sees(fd);
}
static void make_pair(int ends[2])
{
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
}

EACH_BACKEND(reader, and_writer_removed_from_a_connection_let_its_peer_see_the_end)
{
    world w = make_world(backend);
    int ends[2];
    make_pair(ends);
    char full[4096] = { 0 };
    while (write(ends[0], full, sizeof full) > 0)
        continue;
    EXPECT_EQ(crank_add_reader(w.loop, ends[0], do_nothing, &w), 0);
    EXPECT_EQ(crank_add_writer(w.loop, ends[0], do_nothing, &w), 0);
    crank_loop_run_once(w.loop, 0);
    EXPECT_EQ(crank_remove_reader(w.loop, ends[0]), 1);
    EXPECT_EQ(crank_remove_writer(w.loop, ends[0]), 1);
    close(ends[0]);
    while (read(ends[1], full, sizeof full) > 0)
        continue;
    EXPECT_EQ(peer_sees(ends[1]), 0);
    close(ends[1]);
    end_world(&w);
}

/* In a callback of its own loop, and by another thread than the one that watched. */
static int watched_end;
static void remove_and_close(void *arg)
{
    world *w = arg;
    EXPECT_EQ(crank_remove_reader(w->loop, watched_end), 1);
    close(watched_end);
    crank_loop_stop(w->loop);
}
EACH_BACKEND(reader, removed_in_a_callback_lets_its_descriptor_close)
{
    world w = make_world(backend);
    int ends[2];
    make_pair(ends);
    watched_end = ends[0];
    EXPECT_EQ(crank_add_reader(w.loop, ends[0], do_nothing, &w), 0);
    crank_loop_run_once(w.loop, 0);
    EXPECT(crank_call_soon(w.loop, remove_and_close, &w));
    EXPECT_EQ(crank_loop_run(w.loop), 0);
    EXPECT_EQ(peer_sees(ends[1]), 0);
    close(ends[1]);
    end_world(&w);
}

static void *watch_end(void *arg)
{
    world *w = arg;
    EXPECT_EQ(crank_add_reader(w->loop, watched_end, do_nothing, w), 0);
    crank_loop_run_once(w->loop, 0);
    return NULL;
}
EACH_BACKEND(reader, removed_after_its_thread_has_ended_lets_its_descriptor_close)
{
    for (int i = 0; i < 20; i++) {
        world w = make_world(backend);
        int ends[2];
        make_pair(ends);
        watched_end = ends[0];
        on_a_thread(watch_end, &w);
        EXPECT_EQ(crank_remove_reader(w.loop, ends[0]), 1);
        close(ends[0]);
        EXPECT_EQ(peer_sees_soon(ends[1]), 0);
        close(ends[1]);
        end_world(&w);
    }
}

static atomic_int watching, busy;
static void *watch_and_stay(void *arg)
{
    watch_end(arg);
    atomic_store(&watching, 1);
    while (atomic_load(&watching) == 1)
        if (!atomic_load(&busy))
            poll(NULL, 0, 1);
    return NULL;
}
EACH_BACKEND(reader, removed_by_another_thread_than_watched_lets_its_descriptor_close)
{
    for (int i = 0; i < 10; i++) {
        world w = make_world(backend);
        int ends[2];
        pthread_t thread;
        make_pair(ends);
        watched_end = ends[0];
        atomic_store(&watching, 0);
        atomic_store(&busy, i & 1);
        EXPECT_EQ(pthread_create(&thread, NULL, watch_and_stay, &w), 0);
        while (!atomic_load(&watching))
            poll(NULL, 0, 1);
        EXPECT_EQ(crank_remove_reader(w.loop, ends[0]), 1);
        close(ends[0]);
        EXPECT_EQ(peer_sees_soon(ends[1]), 0);
        atomic_store(&watching, 2);
        EXPECT_EQ(pthread_join(thread, NULL), 0);
        close(ends[1]);
        end_world(&w);
    }
}

/* Of a program's loop, whose ring is one thread's. */
TEST_EACH_BACKEND(reader, removed_in_a_program_lets_its_descriptor_close)
{
    int ends[2];
    make_pair(ends);
    EXPECT_EQ(crank_add_reader(crank_current_loop(), ends[0], do_nothing, NULL), 0);
    crank_try(crank_sleep(0.001));
    EXPECT_EQ(crank_remove_reader(crank_current_loop(), ends[0]), 1);
    close(ends[0]);
    EXPECT_EQ(peer_sees_soon(ends[1]), 0);
    close(ends[1]);
    return 0;
}

EACH_BACKEND(loop, that_is_freed_lets_what_it_watched_close)
{
    world w = make_world(backend);
    int ends[2];
    make_pair(ends);
    EXPECT_EQ(crank_add_reader(w.loop, ends[0], do_nothing, &w), 0);
    crank_loop_run_once(w.loop, 0);
    end_world(&w);
    close(ends[0]);
    EXPECT_EQ(peer_sees_soon(ends[1]), 0);
    close(ends[1]);
}
