/* SPDX-License-Identifier: MIT */
/* checkpoints.c: every call that may wait notices a pending cancellation, also where it need not wait,
 * and lets others run when it has been called often.
 *
 * One row per prototype marked CRANK_BLOCKS; tests/build/checkpoints.sh compares the names with the
 * headers. A row makes its call in a world in which nothing has to be waited for, and gives what that
 * gave. When it was cancelled it must have left the world as it was. */
#include <crank/sim.h>
#include "context/fiber.h"
#include <fcntl.h>
#include <signal.h>
#include "scratch.h"

struct world {
    crank_lock *lock;
    crank_event *event;
    crank_condition *condition;
    crank_semaphore *semaphore;
    crank_barrier *barrier;
    crank_queue *queue; /* holds the one element 7 */
    crank_group *group;
    crank_group *pool;
    crank_stream *in, *out;
    crank_stream *here, *there; /* a pair of sockets */
    crank_listener *stopped;
    const char *path;
    crank_process *process; /* has ended; NULL under the simulator */
    crank_signals *signals;
};

static int value(int x) { return x; }
static double half(void) { return 0.5; }
static int thing;
static void *pointer_to_thing(void) { return &thing; }
static int ten(void)
{
    for (int i = 0; i < 10; i++)
        crank_try(crank_yield(i));
    return 0;
}

static long do_sleep(struct world *w)
{
    (void)w;
    return crank_sleep(0);
}
static long do_sleep_until(struct world *w)
{
    (void)w;
    return crank_sleep_until(0);
}
static long do_await(struct world *w)
{
    (void)w;
    return crank_await(crank_spawn_eager(value, 1));
}
static long do_await_double(struct world *w)
{
    (void)w;
    return isnan(crank_await_double(crank_spawn_eager(half))) ? -ECANCELED : 0;
}
static long do_await_ptr(struct world *w)
{
    (void)w;
    return crank_await_ptr(crank_spawn_eager(pointer_to_thing)) == &thing ? 0 : -errno;
}
static long do_await_shared(struct world *w)
{
    (void)w;
    crank_task *task = crank_spawn_eager(value, 1);
    long result = crank_await_shared(task);
    EXPECT(crank_done(task));
    crank_drop(task);
    return result;
}
static long do_group_wait(struct world *w) { return crank_group_wait(w->group); }
static long do_pool_wait_as_a_function(struct world *w)
{
    long results[1];
    return (crank_pool_wait)(w->pool, results, 1);
}
static long do_pool_wait(struct world *w)
{
    long results[1];
    return crank_pool_wait(w->pool, results, 1);
}
static long do_gather(struct world *w)
{
    (void)w;
    return crank_gather(NULL, crank_spawn_eager(value, 1));
}
static int start_at_once(int n)
{
    crank_started(n);
    return 0;
}
static long do_group_start(struct world *w)
{
    int started = 0;
    int err = crank_group_start(w->group, &started, start_at_once, 3);
    EXPECT_EQ(started, err < 0 ? 0 : 3);
    return err;
}
static long do_any(struct world *w)
{
    (void)w;
    return crank_any(NULL, crank_spawn_eager(value, 1));
}
static long do_gather_settled(struct world *w)
{
    (void)w;
    crank_outcome outcomes[1];
    return crank_gather_settled(outcomes, crank_spawn_eager(value, 1));
}
static long do_wait(struct world *w)
{
    (void)w;
    crank_task *task = crank_spawn_eager(value, 1);
    long result = crank_wait(&task, 1, CRANK_ALL_COMPLETED, 0);
    crank_drop(task);
    return result;
}
static long do_wait_next(struct world *w)
{
    (void)w;
    crank_task *task = crank_spawn_eager(value, 1);
    long result = crank_wait_next_(&task, 1);
    crank_drop(task);
    return result;
}
static long do_collect(struct world *w)
{
    (void)w;
    int values[10];
    return crank_collect(crank_generate(ten), values, 10);
}
static long do_lock_acquire(struct world *w)
{
    int err = crank_lock_acquire(w->lock);
    if (err == 0)
        crank_lock_release(w->lock);
    return err;
}
static long do_event_wait(struct world *w) { return crank_event_wait(w->event); }
static long do_condition_wait(struct world *w)
{
    EXPECT_EQ(crank_lock_acquire_nowait(w->lock), 0);
    int err = crank_condition_wait(w->condition);
    crank_lock_release(w->lock);
    return err;
}
static long do_semaphore_acquire(struct world *w)
{
    int err = crank_semaphore_acquire(w->semaphore);
    if (err == 0)
        crank_semaphore_release(w->semaphore);
    return err;
}
static long do_barrier_wait(struct world *w) { return crank_barrier_wait(w->barrier); }
static long do_queue_put(struct world *w)
{
    int first, err = crank_put(w->queue, 7);
    if (err == 0) {
        EXPECT_EQ(crank_get_nowait(w->queue, &first), 0);
        crank_queue_done(w->queue);
    }
    return err;
}
static long do_queue_get(struct world *w)
{
    int first = 0, err = crank_get(w->queue, &first);
    EXPECT_EQ(first, err == 0 ? 7 : 0);
    if (err == 0) {
        EXPECT_EQ(crank_put_nowait(w->queue, 7), 0);
        crank_queue_done(w->queue);
    }
    return err;
}
static long do_queue_join(struct world *w)
{
    int first;
    EXPECT_EQ(crank_get_nowait(w->queue, &first), 0);
    crank_queue_done(w->queue);
    int err = crank_queue_join(w->queue);
    EXPECT_EQ(crank_put_nowait(w->queue, 7), 0);
    return err;
}
static long close_opened(crank_stream *stream) { return stream ? crank_close(stream) : -errno; }
static long do_open(struct world *w) { return close_opened(crank_open(w->path, "r")); }
static long do_open_beneath(struct world *w)
{
    (void)w;
    return close_opened(crank_open_beneath(scratch_folder, "in", NULL));
}
static long do_read(struct world *w)
{
    char c;
    return crank_read(w->in, &c, 1);
}
static long do_read_exactly(struct world *w)
{
    char bytes[2];
    return crank_read_exactly(w->in, bytes, sizeof bytes);
}
static long do_read_line(struct world *w)
{
    char line[8];
    return crank_read_line(w->in, line, sizeof line);
}
static long do_read_until(struct world *w)
{
    char line[8];
    return crank_read_until(w->in, "\n", line, sizeof line);
}
static long do_read_until_any(struct world *w)
{
    static const char *const separators[] = { "\n", "x" };
    char line[8];
    return crank_read_until_any(w->in, separators, 2, line, sizeof line);
}
static long do_read_to_end(struct world *w)
{
    char *data = NULL;
    size_t size;
    int err = crank_read_to_end(w->in, SIZE_MAX, &data, &size);
    EXPECT_EQ(err < 0, data == NULL);
    free(data);
    return err;
}
static long do_peek(struct world *w) { return crank_peek(w->in, 2, &(const char *){ NULL }); }
static long do_write(struct world *w) { return crank_write(w->out, "x", 1); }
static long do_printf(struct world *w) { return crank_printf(w->out, "%d", 1); }
static long do_write_vector(struct world *w)
{
    struct iovec pieces[] = { { (char *)"x", 1 }, { (char *)"y", 1 } };
    return crank_write_vector(w->out, pieces, 2);
}
static long do_wait_room(struct world *w) { return crank_wait_room(w->out); }
static long do_write_eof(struct world *w)
{
    int err = crank_write_eof(w->there);
    EXPECT_EQ(crank_write_now(w->there, "x", 1), err < 0 ? 0 : -EPIPE);
    return err;
}
static long do_copy(struct world *w) { return crank_copy(w->in, w->out, 1, NULL); }
static long do_flush(struct world *w) { return crank_flush(w->out); }
static long do_stream_close(struct world *w)
{
    int err = crank_close(w->out);
    w->out = NULL;
    return err;
}
static long do_read_file(struct world *w)
{
    char *data = NULL;
    size_t size;
    int err = crank_read_file(w->path, &data, &size);
    EXPECT_EQ(err < 0, data == NULL);
    free(data);
    return err;
}
static long do_write_file(struct world *w)
{
    (void)w;
    const char *path = scratch("made");
    int err = crank_write_file(path, "x", 1);
    EXPECT_EQ(err < 0, access(path, F_OK) != 0);
    return err;
}
static long end_stream(crank_stream *stream)
{
    int err = stream ? 0 : -errno;
    (void)crank_close(stream);
    return err;
}
static long end_listener(crank_listener *listener)
{
    int err = listener ? 0 : -errno;
    (void)crank_listener_close(listener);
    return err;
}
static long do_resolve(struct world *w)
{
    (void)w;
    crank_address found[2];
    return crank_resolve("localhost", 1, found, 2);
}
static long do_connect(struct world *w)
{
    (void)w;
    return end_stream(crank_connect("localhost:1"));
}
static long do_connect_with(struct world *w)
{
    (void)w;
    return end_stream(crank_connect_with(NULL, "localhost:1"));
}
static long do_listen(struct world *w)
{
    (void)w;
    return end_listener(crank_listen("localhost:0"));
}
static long do_listen_with(struct world *w)
{
    (void)w;
    return end_listener(crank_listen_with(NULL, "127.0.0.1:0"));
}
static long on_a_pair(int (*call)(crank_stream *stream))
{
    crank_stream *ours, *peers;
    int err = crank_socket_pair(&ours, &peers);
    if (err < 0)
        return err;
    err = call(ours);
    (void)crank_close(ours);
    (void)crank_close(peers);
    return err;
}
static int send_stdin(crank_stream *stream) { return crank_send_fd(stream, 0); }
static long do_send_fd(struct world *w)
{
    (void)w;
    return on_a_pair(send_stdin);
}
static long do_receive_fd(struct world *w)
{
    (void)w;
    return on_a_pair(crank_receive_fd);
}

static long do_wait_fd(struct world *w)
{
    int fds[2];
    (void)w;
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    int events = crank_wait_fd(fds[1], CRANK_WRITABLE);
    close(fds[0]);
    close(fds[1]);
    return events;
}
static const char *const nothing[] = { "true", NULL };
static long close_new(crank_process *process)
{
    if (!process)
        return -errno;
    EXPECT_EQ(crank_process_wait(process), 0);
    return crank_close(process);
}
static long do_process_start(struct world *w)
{
    (void)w;
    return close_new(crank_process_start(nothing, NULL));
}
static long do_shell_start(struct world *w)
{
    (void)w;
    return close_new(crank_shell_start("true", NULL));
}
static long do_process_wait(struct world *w) { return crank_process_wait(w->process); }
static long do_process_communicate(struct world *w) { return crank_process_communicate(w->process, NULL, 0, NULL); }
static long do_process_close(struct world *w)
{
    int err = crank_close(w->process);
    w->process = NULL;
    return err;
}
static long do_run_process(struct world *w)
{
    (void)w;
    return crank_run_process(nothing, NULL, NULL);
}
static long do_signals_next(struct world *w)
{
    raise(SIGUSR1);
    return crank_signals_next(w->signals);
}

static long do_accept(struct world *w)
{
    EXPECT(!crank_accept(w->stopped));
    return errno == ESHUTDOWN ? 0 : -errno;
}
static long do_listener_wait_stop(struct world *w) { return crank_listener_wait_stop(w->stopped); }
static int serve_none(crank_stream *peer)
{
    (void)peer;
    return 0;
}
static long do_serve(struct world *w) { return crank_serve(w->stopped, serve_none); }
/* Where nothing is simulated there is nothing to kill. */
static long do_sim_kill(struct world *w)
{
    (void)w;
    int err = crank_sim_kill("nobody");
    return err == -ENOENT || err == -ENOTSUP ? 0 : err;
}
static long do_sim_settle(struct world *w) { return w ? crank_sim_settle(0) : 0; }

/* Does it wait in this world, or cannot it be called again and again? PROCESS: once, and not where there are none. */
enum { OFTEN, ONCE, PROCESS };
static const struct row {
    const char *prototype;
    long (*call)(struct world *w);
    int often;
} rows[] = {
    { "crank_sleep", do_sleep, OFTEN },
    { "crank_sleep_until", do_sleep_until, OFTEN },
    { "crank_await_", do_await, OFTEN },
    { "crank_await_double_", do_await_double, OFTEN },
    { "crank_await_ptr_", do_await_ptr, OFTEN },
    { "crank_await_shared_", do_await_shared, OFTEN },
    { "crank_group_wait", do_group_wait, OFTEN },
    { "crank_group_start_", do_group_start, OFTEN },
    { "crank_pool_wait", do_pool_wait_as_a_function, OFTEN },
    { "crank_pool_wait_", do_pool_wait, OFTEN },
    { "crank_gather_", do_gather, OFTEN },
    { "crank_gather_settled_n", do_gather_settled, OFTEN },
    { "crank_any_n", do_any, OFTEN },
    { "crank_wait", do_wait, OFTEN },
    { "crank_wait_next_", do_wait_next, OFTEN },
    { "crank_collect_", do_collect, OFTEN },
    { "crank_lock_acquire", do_lock_acquire, OFTEN },
    { "crank_event_wait", do_event_wait, OFTEN },
    { "crank_condition_wait", do_condition_wait, ONCE },
    { "crank_semaphore_acquire", do_semaphore_acquire, OFTEN },
    { "crank_barrier_wait", do_barrier_wait, OFTEN },
    { "crank_queue_put_", do_queue_put, OFTEN },
    { "crank_queue_get_", do_queue_get, OFTEN },
    { "crank_queue_join", do_queue_join, OFTEN },
    { "crank_accept", do_accept, OFTEN },
    { "crank_listener_wait_stop", do_listener_wait_stop, OFTEN },
    { "crank_serve_", do_serve, OFTEN },
    { "crank_open", do_open, ONCE },
    { "crank_open_beneath", do_open_beneath, ONCE },
    { "crank_read", do_read, OFTEN },
    { "crank_read_exactly", do_read_exactly, OFTEN },
    { "crank_read_line", do_read_line, OFTEN },
    { "crank_read_until", do_read_until, OFTEN },
    { "crank_read_until_any", do_read_until_any, OFTEN },
    { "crank_read_to_end", do_read_to_end, OFTEN },
    { "crank_peek", do_peek, OFTEN },
    { "crank_write", do_write, OFTEN },
    { "crank_printf", do_printf, OFTEN },
    { "crank_write_vector", do_write_vector, OFTEN },
    { "crank_copy", do_copy, OFTEN },
    { "crank_flush", do_flush, OFTEN },
    { "crank_write_eof", do_write_eof, OFTEN },
    { "crank_wait_room", do_wait_room, OFTEN },
    { "crank_stream_close", do_stream_close, ONCE },
    { "crank_read_file", do_read_file, ONCE },
    { "crank_write_file", do_write_file, ONCE },
    { "crank_sim_kill", do_sim_kill, OFTEN },
    { "crank_sim_settle", do_sim_settle, ONCE },
    { "crank_wait_fd", do_wait_fd, OFTEN },
    { "crank_process_start", do_process_start, PROCESS },
    { "crank_shell_start", do_shell_start, PROCESS },
    { "crank_process_wait", do_process_wait, PROCESS },
    { "crank_process_communicate", do_process_communicate, PROCESS },
    { "crank_process_close", do_process_close, PROCESS },
    { "crank_run_process", do_run_process, PROCESS },
    { "crank_signals_next", do_signals_next, OFTEN },
    { "crank_resolve", do_resolve, OFTEN },
    { "crank_connect", do_connect, ONCE },
    { "crank_connect_with", do_connect_with, ONCE },
    { "crank_listen", do_listen, OFTEN },
    { "crank_listen_with", do_listen_with, OFTEN },
    { "crank_send_fd", do_send_fd, ONCE },
    { "crank_receive_fd", do_receive_fd, ONCE },
};

static void expect_unchanged(const struct world *w)
{
    EXPECT(!crank_lock_held(w->lock));
    EXPECT_EQ(crank_semaphore_value(w->semaphore), 1);
    EXPECT_EQ(crank_barrier_waiting(w->barrier), 0);
    EXPECT_EQ(crank_queue_count(w->queue), 1);
}

static void close_world(struct world **w)
{
    (void)crank_finish((*w)->there);
    EXPECT_EQ(crank_finish((*w)->process) | crank_finish((*w)->here) | crank_finish((*w)->stopped), 0);
    EXPECT_EQ(crank_finish((*w)->in) | crank_finish((*w)->out), 0);
}

/* Call with a request pending: -ECANCELED, once. Then without, often: another task has its turns. */
static int try_row(const struct row *row, struct world *w, int (*judge)(const struct row *, struct world *))
{
    CRANK_CLEANUP_(close_world) __attribute__((unused)) struct world *closed = w;
    CRANK_LOCK(lock);
    CRANK_EVENT(event);
    CRANK_CONDITION(condition, lock);
    CRANK_SEMAPHORE(semaphore, 1);
    CRANK_BARRIER(barrier, 1);
    CRANK_QUEUE(queue, int, 3);
    CRANK_GROUP(group);
    CRANK_POOL(pool, 1);
    signal(SIGUSR1, SIG_IGN); /* afterwards: a cancelled call leaves one */
    CRANK_SIGNALS(signals, SIGUSR1);
    if (row->often == PROCESS && strcmp(crank_backend_name(), "sim") == 0)
        return 0;
    if (row->often == PROCESS)
        w->process = crank_try(crank_process_start(nothing, NULL));
    crank_try(w->process ? crank_process_wait(w->process) : 0);
    w->signals = &signals;
    crank_event_set(event);
    EXPECT_EQ(crank_put_nowait(queue, 7), 0);
    char bytes[4096];
    memset(bytes, '\n', sizeof bytes);
    w->path = scratch_file("in", bytes, sizeof bytes);
    w->in = crank_open(w->path, "r");
    w->out = crank_open(scratch("out"), "w");
    crank_try(crank_socket_pair(&w->here, &w->there));
    w->stopped = crank_try(crank_listen("127.0.0.1:0"));
    crank_try(crank_listener_stop(w->stopped, 0));
    int err = w->in && w->out ? (int)crank_read(w->in, bytes, 1) : -errno;
    w->lock = lock, w->event = event, w->condition = condition, w->semaphore = semaphore;
    w->barrier = barrier, w->queue = queue, w->group = &group, w->pool = &pool;
    return err > 0 ? judge(row, w) : err;
}

static int cancelled(const struct row *row, struct world *w)
{
    crank_cancel(crank_self());
    long result = row->call(w);
    if (result != -ECANCELED)
        test_fail(__FILE__, __LINE__, "%s gave %ld with a request pending", row->prototype, result);
    expect_unchanged(w);
    if (crank_sleep(0) != 0)
        test_fail(__FILE__, __LINE__, "%s noticed a request and left it pending", row->prototype);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    return 0;
}

static int count_turns(unsigned *turns)
{
    for (;;) {
        crank_try(crank_sleep(0));
        ++*turns;
    }
}

static int called_often(const struct row *row, struct world *w)
{
    unsigned turns = 0;
    CRANK_GROUP(beside);
    crank_group_spawn(&beside, count_turns, &turns);
    for (int i = 0; i < 3 * CR_BUDGET && turns < 2; i++) {
        long result = row->call(w);
        if (result < 0)
            test_fail(__FILE__, __LINE__, "%s gave %ld", row->prototype, result);
    }
    if (turns < 2)
        test_fail(__FILE__, __LINE__, "%s lets nobody else run", row->prototype);
    return 0;
}

TEST_EACH_BACKEND(checkpoint, notices_a_pending_cancellation_though_it_need_not_wait)
{
    for (size_t i = 0; i < CRANK_COUNT(rows); i++)
        crank_try(try_row(&rows[i], &(struct world){ 0 }, cancelled));
    return 0;
}

TEST_EACH_BACKEND(checkpoint, lets_others_run_though_it_need_not_wait)
{
    for (size_t i = 0; i < CRANK_COUNT(rows); i++)
        if (rows[i].often == OFTEN)
            crank_try(try_row(&rows[i], &(struct world){ 0 }, called_often));
    return 0;
}

/* However calls of both ways to spend the budget alternate, and however many come before a wait. */
TEST_EACH_BACKEND(checkpoint, comes_of_any_mix_of_calls_and_not_of_a_few)
{
    CRANK_EVENT(event);
    crank_event_set(event);
    for (int before = 0; before < 4; before++) {
        unsigned turns = 0;
        CRANK_GROUP(beside);
        CRANK_GROUP(empty);
        crank_group_spawn(&beside, count_turns, &turns);
        crank_try(crank_sleep(0));
        turns = 0;
        for (int i = 0; i < before; i++)
            crank_try(crank_event_wait(event));
        for (int i = 0; i < 50; i++) {
            crank_try(crank_group_wait(&empty));
            crank_try(crank_event_wait(event));
        }
        EXPECT_EQ(turns, 0);
        for (int i = 0; i < CR_BUDGET / 2; i++) {
            crank_try(crank_group_wait(&empty));
            crank_try(crank_event_wait(event));
        }
        EXPECT_EQ(turns, 1);
    }
    return 0;
}
