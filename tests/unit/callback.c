/* SPDX-License-Identifier: MIT */
/* callback.c: the callback layer of crank/loop.h, on every backend. */
#include <pthread.h>
#include <sys/socket.h>
#include "loops.h"

typedef struct world {
    crank_loop *loop;
    journal log;
    crank_handle *handle;
    int in;
    int out;
    int count;
} world;

static void say_a(void *arg) { note(&((world *)arg)->log, 'a'); }
static void say_b(void *arg) { note(&((world *)arg)->log, 'b'); }
static void say_c(void *arg) { note(&((world *)arg)->log, 'c'); }
static void say_d(void *arg) { note(&((world *)arg)->log, 'd'); }
static void stop(void *arg) { crank_loop_stop(((world *)arg)->loop); }

static void open_pipe(world *w)
{
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    w->in = ends[0];
    w->out = ends[1];
}

static void close_pipe(const world *w)
{
    close(w->in);
    close(w->out);
}

EACH_LOOP(callback, soon_calls_come_in_the_order_asked_for)
{
    world w = { .loop = loop };
    EXPECT(crank_call_soon(loop, say_a, &w));
    EXPECT(crank_call_soon(loop, say_b, &w));
    EXPECT(crank_call_soon(loop, say_c, &w));
    EXPECT_EQ(w.log.length, 0);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(w.log.text, "abc");
}

static void say_a_and_ask_for_b(void *arg)
{
    world *w = arg;
    note(&w->log, 'a');
    crank_call_soon(w->loop, say_b, w);
}

EACH_LOOP(callback, asked_for_in_a_callback_waits_its_turn)
{
    world w = { .loop = loop };
    crank_call_soon(loop, say_a_and_ask_for_b, &w);
    crank_call_soon(loop, say_c, &w);
    EXPECT_EQ(crank_loop_run_once(loop, 0), 2);
    EXPECT_STR(w.log.text, "ac");
    EXPECT_EQ(crank_loop_run_once(loop, 0), 1);
    EXPECT_STR(w.log.text, "acb");
}

EACH_LOOP(callback, later_calls_come_by_deadline_and_equal_ones_by_age)
{
    world w = { .loop = loop };
    crank_call_later(loop, -5, say_a, &w);
    double now = crank_loop_time(loop);
    crank_call_at(loop, now + 0.004, say_d, &w);
    crank_call_at(loop, now + 0.002, say_b, &w);
    crank_call_at(loop, now + 0.002, say_c, &w);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(w.log.text, "abcd");
    EXPECT(crank_loop_time(loop) >= now + 0.004);
}

EACH_LOOP(callback, is_never_early)
{
    world w = { .loop = loop };
    for (int i = 1; i < 20; i++) {
        double at = crank_loop_time(loop) + 0.0001 * i;
        crank_call_at(loop, at, say_a, &w);
        crank_loop_run(loop);
        EXPECT(crank_loop_time(loop) >= at);
    }
    EXPECT_EQ(w.log.length, 19);
}

EACH_LOOP(callback, with_a_delay_that_is_no_number_is_refused)
{
    world w = { .loop = loop };
    errno = 0;
    EXPECT(!crank_call_later(loop, (double)NAN, say_a, &w));
    EXPECT_EQ(errno, EINVAL);
    errno = 0;
    EXPECT(!crank_call_at(loop, (double)NAN, say_a, &w));
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(w.log.text, "");
}

EACH_LOOP(callback, cancelled_is_not_called)
{
    world w = { .loop = loop };
    crank_handle *soon = crank_call_soon(loop, say_a, &w);
    crank_handle *later = crank_call_later(loop, 0.001, say_b, &w);
    crank_handle *far = crank_call_later(loop, 1e300, say_b, &w);
    crank_call_soon(loop, say_c, &w);
    crank_handle_cancel(soon);
    crank_handle_cancel(later);
    crank_handle_cancel(far);
    crank_handle_cancel(NULL);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(w.log.text, "c");
}

static void cancel_the_other(void *arg)
{
    world *w = arg;
    note(&w->log, 'x');
    crank_handle_cancel(w->handle);
}

EACH_LOOP(callback, cancelled_by_an_earlier_one_of_the_same_turn_is_not_called)
{
    world w = { .loop = loop };
    crank_call_soon(loop, cancel_the_other, &w);
    w.handle = crank_call_soon(loop, say_a, &w);
    crank_loop_run(loop);
    EXPECT_STR(w.log.text, "x");
    double now = crank_loop_time(loop);
    crank_call_at(loop, now, cancel_the_other, &w);
    w.handle = crank_call_at(loop, now, say_a, &w);
    crank_loop_run(loop);
    EXPECT_STR(w.log.text, "xx");
}

EACH_LOOP(callback, may_cancel_itself_while_it_is_called)
{
    world w = { .loop = loop };
    w.handle = crank_call_soon(loop, cancel_the_other, &w);
    crank_loop_run(loop);
    w.handle = crank_call_later(loop, 0, cancel_the_other, &w);
    crank_loop_run(loop);
    crank_call_soon(loop, say_a, &w);
    crank_loop_run(loop);
    EXPECT_STR(w.log.text, "xxa");
}

EACH_LOOP(loop, stops_after_the_turn_in_which_it_was_asked)
{
    world w = { .loop = loop };
    EXPECT(crank_call_soon(loop, stop, &w));
    EXPECT(crank_call_soon(loop, say_a_and_ask_for_b, &w));
    crank_call_later(loop, 3600, say_d, &w);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT(w.log.text[0] == 'a' && !strchr(w.log.text, 'd'));
}

EACH_LOOP(loop, asked_to_stop_before_it_runs_makes_one_turn_and_then_runs_again)
{
    world w = { .loop = loop };
    crank_call_soon(loop, say_a, &w);
    crank_loop_stop(loop);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(w.log.text, "a");
    crank_call_later(loop, 0.001, say_d, &w);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(w.log.text, "ad");
}

EACH_LOOP(loop, with_nothing_to_do_ends_at_once)
{
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(crank_loop_run_once(loop, 0), 0);
    EXPECT_EQ(crank_loop_run_once(loop, CRANK_FOREVER), 0);
    EXPECT(isinf(crank_loop_next(loop)));
}

EACH_LOOP(loop, run_once_waits_no_longer_than_allowed)
{
    world w = { .loop = loop };
    crank_call_later(loop, 3600, say_a, &w);
    double before = crank_loop_time(loop);
    EXPECT_EQ(crank_loop_run_once(loop, 0.003), 0);
    EXPECT(crank_loop_time(loop) >= before + 0.003 && crank_loop_time(loop) < before + 100);
    EXPECT_STR(w.log.text, "");
}

EACH_LOOP(loop, run_once_takes_times_of_every_size_but_what_is_no_number)
{
    world w = { .loop = loop };
    crank_call_soon(loop, say_a, &w);
    EXPECT_EQ(crank_loop_run_once(loop, (double)NAN), -EINVAL);
    EXPECT_STR(w.log.text, "");
    EXPECT_EQ(crank_loop_run_once(loop, (double)-INFINITY), 1);
    crank_call_later(loop, (double)-INFINITY, say_b, &w);
    EXPECT_EQ(crank_loop_run_once(loop, 1e300), 1);
    crank_handle *never = crank_call_later(loop, (double)INFINITY, say_c, &w);
    crank_handle *late = crank_call_at(loop, 1e300, say_c, &w);
    EXPECT_EQ(crank_loop_run_once(loop, 0.001), 0);
    crank_handle_cancel(never);
    crank_handle_cancel(late);
    EXPECT_STR(w.log.text, "ab");
}

EACH_LOOP(loop, run_once_without_waiting_looks_at_descriptors)
{
    world w = { .loop = loop };
    open_pipe(&w);
    EXPECT_EQ(crank_add_reader(loop, w.in, say_a, &w), 0);
    EXPECT_EQ(crank_loop_run_once(loop, 0), 0);
    EXPECT_EQ(write(w.out, "x", 1), 1);
    EXPECT_EQ(crank_loop_run_once(loop, 0), 1);
    EXPECT_STR(w.log.text, "a");
    crank_remove_reader(loop, w.in);
    close_pipe(&w);
}

EACH_LOOP(loop, next_says_how_long_there_is_nothing_to_do)
{
    world w = { .loop = loop };
    crank_handle *handle = crank_call_later(loop, 50, say_a, &w);
    double next = crank_loop_next(loop);
    EXPECT(next > 40 && next <= 50.000001);
    crank_call_soon(loop, say_b, &w);
    EXPECT(crank_loop_next(loop) <= 0);
    crank_loop_run_once(loop, 0);
    EXPECT(crank_loop_next(loop) > 40);
    crank_handle_cancel(handle);
    EXPECT(isinf(crank_loop_next(loop)));
}

EACH_LOOP(loop, freed_with_calls_outstanding_drops_them)
{
    world w = { .loop = open_loop(loop->options.backend, 0) };
    open_pipe(&w);
    crank_call_soon(w.loop, say_a, &w);
    crank_call_later(w.loop, 1, say_b, &w);
    crank_add_reader(w.loop, w.in, say_c, &w);
    crank_add_writer(w.loop, w.out, say_d, &w);
    crank_loop_free(w.loop);
    crank_loop_free(NULL);
    EXPECT_STR(w.log.text, "");
    close_pipe(&w);
}

static void expect_here(void *arg)
{
    world *w = arg;
    EXPECT(crank_current_loop() == w->loop);
    EXPECT_STR(crank_backend_name(), w->loop->backend->type->name);
    note(&w->log, 'h');
}

EACH_LOOP(loop, is_this_threads_loop_while_it_runs)
{
    world w = { .loop = loop };
    EXPECT(!crank_current_loop());
    EXPECT(!crank_backend_name());
    crank_call_soon(loop, expect_here, &w);
    crank_loop_run(loop);
    EXPECT_STR(w.log.text, "h");
    EXPECT(!crank_current_loop());
}

static void read_one(void *arg)
{
    world *w = arg;
    char c;
    ssize_t n = read(w->in, &c, 1);
    if (n == 1) {
        note(&w->log, c);
    } else {
        EXPECT_EQ(n, 0);
        note(&w->log, '.');
        EXPECT_EQ(crank_remove_reader(w->loop, w->in), 1);
    }
}

EACH_LOOP(reader, is_called_while_there_is_something_to_read_and_at_the_end)
{
    world w = { .loop = loop };
    open_pipe(&w);
    EXPECT_EQ(crank_add_reader(loop, w.in, read_one, &w), 0);
    EXPECT_EQ(write(w.out, "xyz", 3), 3);
    close(w.out);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(w.log.text, "xyz.");
    EXPECT_EQ(crank_remove_reader(loop, w.in), 0);
    close(w.in);
}

EACH_LOOP(reader, added_again_replaces_the_first)
{
    world w = { .loop = loop };
    open_pipe(&w);
    EXPECT_EQ(write(w.out, "x", 1), 1);
    EXPECT_EQ(crank_add_reader(loop, w.in, say_a, &w), 0);
    EXPECT_EQ(crank_add_reader(loop, w.in, read_one, &w), 0);
    EXPECT(crank_loop_run_once(loop, 1) <= 1);
    crank_loop_run_once(loop, 0);
    EXPECT_STR(w.log.text, "x");
    EXPECT_EQ(crank_remove_reader(loop, w.in), 1);
    EXPECT_EQ(crank_remove_reader(loop, w.in), 0);
    EXPECT_EQ(crank_loop_run(loop), 0);
    close_pipe(&w);
}

static void fill(void *arg)
{
    world *w = arg;
    char block[4096] = { 0 };
    EXPECT(write(w->out, block, sizeof block) > 0);
    w->count++;
}

EACH_LOOP(writer, is_called_while_there_is_room)
{
    world w = { .loop = loop };
    open_pipe(&w);
    EXPECT_EQ(fcntl(w.out, F_SETPIPE_SZ, 65536), 65536);
    EXPECT_EQ(crank_add_writer(loop, w.out, fill, &w), 0);
    for (int i = 0; i < 100; i++)
        crank_loop_run_once(loop, 0);
    EXPECT_EQ(w.count, 16);
    EXPECT_EQ(crank_remove_writer(loop, w.out), 1);
    EXPECT_EQ(crank_loop_run(loop), 0);
    close_pipe(&w);
}

static void remove_both(void *arg)
{
    world *w = arg;
    w->count++;
    crank_remove_reader(w->loop, w->in);
    crank_remove_reader(w->loop, w->out);
}

EACH_LOOP(reader, removed_by_another_ones_call_of_the_same_turn_is_not_called)
{
    world w = { .loop = loop };
    world other = { .loop = loop };
    open_pipe(&w);
    open_pipe(&other);
    EXPECT_EQ(write(w.out, "x", 1), 1);
    EXPECT_EQ(write(other.out, "x", 1), 1);
    world pair = { .loop = loop, .in = w.in, .out = other.in };
    crank_add_reader(loop, w.in, remove_both, &pair);
    crank_add_reader(loop, other.in, remove_both, &pair);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(pair.count, 1);
    close_pipe(&w);
    close_pipe(&other);
}

EACH_LOOP(reader, of_a_duplicate_is_its_own)
{
    world w = { .loop = loop };
    open_pipe(&w);
    world copy = { .loop = loop, .in = dup(w.in) };
    EXPECT(copy.in >= 0);
    crank_add_reader(loop, w.in, say_a, &w);
    crank_add_reader(loop, copy.in, say_b, &w);
    EXPECT_EQ(write(w.out, "x", 1), 1);
    crank_loop_run_once(loop, 1);
    crank_loop_run_once(loop, 0);
    EXPECT(strchr(w.log.text, 'a') && strchr(w.log.text, 'b'));
    crank_remove_reader(loop, w.in);
    close(w.in);
    w.log.length = 0;
    crank_loop_run_once(loop, 0);
    crank_loop_run_once(loop, 0);
    EXPECT(w.log.length >= 1 && !memchr(w.log.text, 'a', w.log.length));
    crank_remove_reader(loop, copy.in);
    EXPECT_EQ(crank_loop_run(loop), 0);
    close(copy.in);
    close(w.out);
}

EACH_LOOP(reader, of_a_number_that_was_closed_and_given_away_sees_the_new_file)
{
    world w = { .loop = loop };
    open_pipe(&w);
    int copy = dup(w.in);
    crank_add_reader(loop, w.in, say_a, &w);
    crank_loop_run_once(loop, 0);
    crank_remove_reader(loop, w.in);
    int number = w.in;
    close(w.in);
    world next = { .loop = loop };
    open_pipe(&next);
    EXPECT_EQ(next.in, number);
    crank_add_reader(loop, next.in, read_one, &next);
    EXPECT_EQ(write(w.out, "x", 1), 1);
    crank_loop_run_once(loop, 0);
    crank_loop_run_once(loop, 0);
    EXPECT_STR(next.log.text, "");
    EXPECT_EQ(write(next.out, "n", 1), 1);
    close(next.out);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(next.log.text, "n.");
    EXPECT_STR(w.log.text, "");
    close(copy);
    close(w.out);
    close(next.in);
}

EACH_LOOP(reader, of_what_cannot_be_watched_is_refused)
{
    world w = { .loop = loop };
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    EXPECT(file >= 0);
    EXPECT_EQ(crank_add_reader(loop, file, say_a, &w), -EPERM);
    EXPECT_EQ(crank_add_writer(loop, file, say_a, &w), -EPERM);
    EXPECT_EQ(crank_add_reader(loop, -1, say_a, &w), -EBADF);
    EXPECT_EQ(crank_add_reader(loop, 9999, say_a, &w), -EBADF);
    EXPECT_EQ(crank_remove_reader(loop, -1), 0);
    EXPECT_EQ(crank_remove_writer(loop, 9999), 0);
    EXPECT_EQ(crank_loop_run(loop), 0);
    close(file);
}

EACH_LOOP(reader, and_writer_of_one_descriptor_are_both_called)
{
    world w = { .loop = loop };
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    w.in = ends[0];
    EXPECT_EQ(write(ends[1], "q", 1), 1);
    crank_add_reader(loop, ends[0], read_one, &w);
    crank_add_writer(loop, ends[0], say_c, &w);
    crank_loop_run_once(loop, 1);
    crank_loop_run_once(loop, 0);
    EXPECT(strchr(w.log.text, 'q') && strchr(w.log.text, 'c'));
    EXPECT_EQ(crank_remove_writer(loop, ends[0]), 1);
    close(ends[1]);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT(w.log.text[w.log.length - 1] == '.');
    close(ends[0]);
}

static bool readable(int fd, int milliseconds)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    return poll(&one, 1, milliseconds) == 1;
}

static void foreign_poll(crank_backend backend)
{
    crank_loop *loop = open_loop(backend, 0);
    world w = { .loop = loop };
    open_pipe(&w);
    int fd = crank_loop_fd(loop);
    EXPECT(fd >= 0);
    crank_add_reader(loop, w.in, read_one, &w);
    crank_loop_run_once(loop, 0);
    EXPECT(!readable(fd, 0));
    EXPECT_EQ(write(w.out, "k", 1), 1);
    EXPECT(readable(fd, 1000));
    EXPECT_EQ(crank_loop_run_once(loop, 0), 1);
    EXPECT_STR(w.log.text, "k");
    crank_loop_run_once(loop, 0);
    EXPECT(!readable(fd, 0));
    crank_remove_reader(loop, w.in);
    crank_loop_free(loop);
    close_pipe(&w);
}

TEST(loop, serves_in_a_foreign_poll_on_epoll) { foreign_poll(CRANK_BACKEND_EPOLL); }
TEST(loop, serves_in_a_foreign_poll_on_uring) { foreign_poll(CRANK_BACKEND_URING); }

/* On io_uring the loop gets a ring of another kind, to which nothing can move. */
TEST(loop, is_asked_for_its_descriptor_before_it_waits_for_one_on_uring)
{
    crank_loop *loop = open_loop(CRANK_BACKEND_URING, 0);
    world w = { .loop = loop };
    open_pipe(&w);
    EXPECT_EQ(crank_add_reader(loop, w.in, read_one, &w), 0);
    crank_loop_run_once(loop, 0);
    int fd = crank_loop_fd(loop);
    EXPECT(fd == -EBUSY || fd >= 0); /* an older kernel has the one kind only */
    EXPECT_EQ(crank_remove_reader(loop, w.in), 1);
    for (int i = 0; fd == -EBUSY && i < 10; i++) {
        crank_loop_run_once(loop, 0);
        fd = crank_loop_fd(loop);
    }
    EXPECT(fd >= 0);
    EXPECT_EQ(crank_loop_fd(loop), fd);
    crank_loop_free(loop);
    close_pipe(&w);
}

static void *make_loop(void *arg)
{
    crank_loop **loop = arg;
    *loop = open_loop(CRANK_BACKEND_EPOLL, 0);
    return NULL;
}
TEST(loop, of_a_thread_that_has_ended_runs_on_another)
{
    world w = { 0 };
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, make_loop, &w.loop), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    open_pipe(&w);
    EXPECT_EQ(crank_add_reader(w.loop, w.in, read_one, &w), 0);
    EXPECT_EQ(write(w.out, "k", 1), 1);
    errno = E2BIG;
    EXPECT_EQ(crank_loop_run_once(w.loop, 0), 1);
    EXPECT_STR(w.log.text, "k");
    crank_loop_free(w.loop);
    close_pipe(&w);
}

TEST(loop, has_no_descriptor_under_the_simulator)
{
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    EXPECT_EQ(crank_loop_fd(loop), -ENOTSUP);
    crank_loop_free(loop);
}

static void run_inside(void *arg) { crank_loop_run(arg); }
static void free_inside(void *arg) { crank_loop_free(arg); }

TEST_CHECKS_OUTSIDE(loop, run_inside_a_run_is_refused, "crank_loop_run: a loop already runs on this thread")
{
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    crank_loop *second = open_loop(CRANK_BACKEND_SIM, 0);
    EXPECT(crank_call_soon(loop, run_inside, second));
    crank_loop_run(loop);
}

TEST_CHECKS_OUTSIDE(loop, freed_while_it_runs_is_refused, "crank_loop_free: the loop still runs")
{
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    EXPECT(crank_call_soon(loop, free_inside, loop));
    crank_loop_run(loop);
}

/* ---- what becomes of a descriptor */

EACH_LOOP(reader, of_a_high_number_is_watched)
{
    enum { high = 700 };
    world w = { .loop = loop };
    open_pipe(&w);
    EXPECT_EQ(dup3(w.in, high, O_CLOEXEC), high);
    EXPECT_EQ(crank_add_reader(loop, high, say_a, &w), 0);
    EXPECT_EQ(write(w.out, "x", 1), 1);
    while (w.log.length == 0)
        crank_loop_run_once(loop, 1.0);
    EXPECT_EQ(crank_remove_reader(loop, high), 1);
    EXPECT_EQ(crank_remove_reader(loop, high), 0);
    close(high);
    close_pipe(&w);
}

static void close_in(void *arg)
{
    world *w = arg;
    note(&w->log, 'a');
    close(w->in);
}
TEST(reader, whose_descriptor_is_closed_in_its_call_is_dropped)
{
    world w = { .loop = open_loop(CRANK_BACKEND_EPOLL, 0) };
    open_pipe(&w);
    EXPECT_EQ(crank_add_reader(w.loop, w.in, close_in, &w), 0);
    EXPECT_EQ(write(w.out, "x", 1), 1);
    while (w.log.length == 0)
        crank_loop_run_once(w.loop, 1.0);
    crank_loop_run_once(w.loop, 0);
    EXPECT_EQ(crank_remove_reader(w.loop, w.in), 0);
    EXPECT_STR(w.log.text, "a");
    close(w.out);
    crank_loop_free(w.loop);
}
TEST(writer, whose_descriptor_is_closed_in_its_call_is_dropped)
{
    world w = { .loop = open_loop(CRANK_BACKEND_EPOLL, 0) };
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    w.in = ends[1]; /* what close_in closes */
    EXPECT_EQ(crank_add_writer(w.loop, ends[1], close_in, &w), 0);
    while (w.log.length == 0)
        crank_loop_run_once(w.loop, 1.0);
    crank_loop_run_once(w.loop, 0);
    EXPECT_EQ(crank_remove_writer(w.loop, ends[1]), 0);
    EXPECT_STR(w.log.text, "a");
    close(ends[0]);
    crank_loop_free(w.loop);
}
