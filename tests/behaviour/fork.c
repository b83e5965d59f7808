/* SPDX-License-Identifier: MIT */
/* fork.c: the child of a process that runs a loop: what it may do, what it is told, and that the parent does not notice
 * it. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/valgrind.h"
#include "test.h"

#define EACH_BACKEND(subject, sentence) \
    static void subject##_##sentence(crank_backend backend); \
    TEST(subject, sentence##_on_sim) { subject##_##sentence(CRANK_BACKEND_SIM); } \
    TEST(subject, sentence##_on_epoll) { subject##_##sentence(CRANK_BACKEND_EPOLL); } \
    TEST(subject, sentence##_on_uring) \
    { \
        if (RUNNING_ON_VALGRIND) \
            test_skip("Valgrind cannot map a ring in a child: it ends by an assertion of its own"); \
        subject##_##sentence(CRANK_BACKEND_URING); \
    } \
    static void subject##_##sentence(crank_backend backend)

/* No watchdog: a fork while its thread begins or ends leaves AddressSanitizer's allocator locked in the child. */
#define OPTIONS(...) CRANK_OPTIONS(.blocked_after = -1, __VA_ARGS__)
/* The body is the app of a run. */
#define EACH_RUN(subject, sentence) \
    static int subject##_##sentence##_in_a_run(void); \
    EACH_BACKEND(subject, sentence) \
    { \
        EXPECT_EQ(crank_run_with(OPTIONS(.backend = backend), subject##_##sentence##_in_a_run), 0); \
    } \
    static int subject##_##sentence##_in_a_run(void)

/* ThreadSanitizer allows a child neither threads nor signals. */
static void needs_a_whole_child(void)
{
    if (CR_TSAN)
        test_skip("not under ThreadSanitizer");
}

/* fork(), in whose child stderr goes to *ret_said, which the parent reads. */
static pid_t fork_that_speaks(int *ret_said)
{
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        alarm(20);
        return 0;
    }
    close(ends[1]);
    *ret_said = ends[0];
    return pid;
}
/* What the child has said when it has ended, and how it ended. */
static const char *said_by(pid_t pid, int fd, int *ret_status)
{
    static char said[4096];
    size_t length = 0;
    ssize_t got;
    while ((got = read(fd, said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    close(fd);
    EXPECT_EQ(waitpid(pid, ret_status, 0), pid);
    return said;
}
static void expect_status(pid_t pid, int fd, int wanted)
{
    int status;
    const char *said = said_by(pid, fd, &status);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted)
        test_fail(__FILE__, __LINE__, "the child ended with %x: %s", (unsigned)status, said);
}
static void expect_refused(pid_t pid, int fd, const char *sentence)
{
    int status;
    const char *said = said_by(pid, fd, &status);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        test_fail(__FILE__, __LINE__, "the child ended with %x: %s", (unsigned)status, said);
    EXPECT_CONTAINS(said, sentence);
}

/* ---- within a run */

static int *strangers; /* how often another task than the one that forked has run, in parent or child */
static pid_t parent;
static int stranger(void)
{
    if (getpid() != parent)
        ++*strangers;
    return crank_sleep(0);
}
static void make_strangers(void)
{
    strangers = mmap(NULL, sizeof *strangers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT(strangers != MAP_FAILED);
    *strangers = 0;
    parent = getpid();
    for (int i = 0; i < 3; i++)
        crank_drop(crank_spawn(stranger));
}
static void expect_no_stranger(void)
{
    EXPECT_EQ(*strangers, 0);
    munmap(strangers, sizeof *strangers);
}

#define CHILD_IS_REFUSED(sentence, said, ...) \
    EACH_RUN(fork, sentence) \
    { \
        int fd = -1; \
        make_strangers(); \
        crank_task *task = crank_spawn(give); \
        CRANK_QUEUE(queue, int, 1); \
        pid_t pid = fork_that_speaks(&fd); \
        if (pid == 0) { \
            int value = 0; \
            (void)value, (void)queue; \
            __VA_ARGS__; \
            _exit(0); \
        } \
        expect_refused(pid, fd, said); \
        EXPECT_EQ(crank_await(task), 5); \
        expect_no_stranger(); \
        return 0; \
    }
static int give(void) { return 5; }
#define NAMES_FORK "this process was forked in a run"
CHILD_IS_REFUSED(child_that_sleeps_is_outside_a_task, "crank_sleep: called outside a task", (void)crank_sleep(0))
CHILD_IS_REFUSED(child_that_sleeps_is_told_of_the_fork, NAMES_FORK, (void)crank_sleep(1))
CHILD_IS_REFUSED(child_that_awaits_is_told_of_the_fork, NAMES_FORK, (void)crank_await(task))
CHILD_IS_REFUSED(child_that_gets_is_told_of_the_fork, NAMES_FORK, value = crank_get(queue, &value))
CHILD_IS_REFUSED(child_that_puts_is_told_of_the_fork, NAMES_FORK, value = crank_put(queue, 1))
CHILD_IS_REFUSED(child_that_spawns_is_told_of_the_fork, NAMES_FORK, crank_drop(crank_spawn(give)))
CHILD_IS_REFUSED(child_that_wants_a_job_is_told_of_the_fork, NAMES_FORK, crank_drop(crank_to_thread(give)))
CHILD_IS_REFUSED(child_that_opens_a_limit_is_told_of_the_fork, NAMES_FORK, CRANK_TIMEOUT(limit, 1))
CHILD_IS_REFUSED(child_that_opens_a_group_is_told_of_the_fork, NAMES_FORK, CRANK_GROUP(group))
CHILD_IS_REFUSED(child_that_cancels_is_told_of_the_fork, NAMES_FORK, crank_cancel(task))
CHILD_IS_REFUSED(child_that_returns_from_its_task_is_told, "fork: the child has returned", return 0)

/* Everything a program does, after a fork in a program. */
static int add(int a, int b)
{
    crank_try(crank_sleep(0.001));
    return a + b;
}
static long add_there(long a, long b) { return a + b; }
static int whole_program(int x, crank_queue *queue)
{
    EXPECT_EQ(crank_await(crank_spawn(add, x, 2)), x + 2);
    EXPECT_EQ(crank_await(crank_to_thread(add_there, 3L, 4L)), 7);
    EXPECT_EQ(crank_put_nowait(queue, 3), 0);
    int value;
    crank_try(crank_get(queue, &value));
    EXPECT_EQ(value, 3);
    CRANK_TIMEOUT(limit, 0.001);
    EXPECT_EQ(crank_sleep(5), -ECANCELED);
    return x;
}
static int run_program(crank_backend backend)
{
    crank_queue *queue = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 0);
    return (int)crank_run_with(OPTIONS(.backend = backend, .handle_interrupt = true), whole_program, 9, queue);
}
static const crank_backend backends[] = { CRANK_BACKEND_SIM, CRANK_BACKEND_EPOLL, CRANK_BACKEND_URING };

EACH_RUN(fork, child_runs_a_program_in_the_middle_of_one)
{
    needs_a_whole_child();
    make_strangers();
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        int fd;
        pid_t pid = fork_that_speaks(&fd);
        if (pid == 0) {
            int gave = run_program(backends[i]);
            _exit(gave == 9 && run_program(backends[i]) == 9 && !crank_current_loop() ? 0 : 1);
        }
        expect_status(pid, fd, 0);
    }
    crank_try(crank_sleep(0.001));
    expect_no_stranger();
    return 0;
}

static void stop(void *arg) { crank_loop_stop(arg); }
static int run_callbacks(crank_backend backend)
{
    crank_loop *loop = crank_loop_new(OPTIONS(.backend = backend));
    crank_call_later(loop, 0.001, stop, loop);
    int err = crank_loop_run(loop);
    crank_loop_free(loop);
    return err;
}
EACH_RUN(fork, child_runs_a_loop_of_callbacks_in_the_middle_of_a_program)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        int fd;
        pid_t pid = fork_that_speaks(&fd);
        if (pid == 0)
            _exit(run_callbacks(backends[i]));
        expect_status(pid, fd, 0);
    }
    return 0;
}

static int fork_in_a_job(crank_loop *loop, crank_backend backend)
{
    int fd;
    pid_t pid = fork_that_speaks(&fd);
    if (pid == 0)
        _exit(crank_post(loop, stop, loop) == -ESHUTDOWN && run_program(backend) == 9 ? 0 : 1);
    expect_status(pid, fd, 0);
    return 0;
}
EACH_RUN(fork, child_of_a_thread_job_runs_a_program)
{
    needs_a_whole_child();
    if (getenv("TEST_EMULATED"))
        test_skip("qemu cannot go on in the child of a thread's");
    for (size_t i = 0; i < CRANK_COUNT(backends); i++)
        crank_try(crank_await(crank_to_thread(fork_in_a_job, crank_current_loop(), backends[i])));
    return 0;
}

static int interrupted(void)
{
    raise(SIGINT);
    return crank_sleep(3600);
}
static int fork_interrupted(crank_backend backend)
{
    int fd;
    pid_t pid = fork_that_speaks(&fd);
    if (pid == 0)
        _exit(crank_run_with(OPTIONS(.backend = backend, .handle_interrupt = true), interrupted) == -EINTR ? 0 : 1);
    expect_status(pid, fd, 0);
    pid = fork_that_speaks(&fd);
    if (pid == 0) {
        raise(SIGINT);
        _exit(0);
    }
    int status;
    (void)said_by(pid, fd, &status);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    return 0;
}
EACH_BACKEND(fork, child_has_ctrl_c_for_itself)
{
    needs_a_whole_child();
    EXPECT_EQ(crank_run_with(OPTIONS(.backend = backend, .handle_interrupt = true), fork_interrupted, backend), 0);
}

/* ---- loops of callbacks */

typedef struct world {
    crank_loop *loop;
    int in, out;
    int heard;
} world;

static void hear(void *arg)
{
    world *w = arg;
    char c;
    w->heard += read(w->in, &c, 1) == 1;
    crank_loop_stop(w->loop);
}
static void put_one(const world *w) { EXPECT_EQ(write(w->out, "x", 1), 1); }
static world make_world(crank_backend backend)
{
    world w = { .loop = crank_loop_new(OPTIONS(.backend = backend)) };
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0); /* a reader is also told that it can be watched no more */
    w.in = ends[0];
    w.out = ends[1];
    return w;
}
static void watch(world *w)
{
    EXPECT_EQ(crank_add_reader(w->loop, w->in, hear, w), 0);
    crank_loop_run_once(w->loop, 0);
}
/* The parent's reader is called, and its waker and posts arrive. */
static void expect_to_hear(world *w)
{
    int before = w->heard;
    put_one(w);
    EXPECT_EQ(crank_loop_run(w->loop), 0);
    EXPECT_EQ(w->heard, before + 1);
    EXPECT_EQ(crank_post(w->loop, stop, w->loop), 0);
    EXPECT_EQ(crank_loop_run(w->loop), 0);
}
static void end_world(world *w)
{
    crank_loop_free(w->loop);
    close(w->in);
    close(w->out);
}

#define INHERITED(sentence, ...) \
    EACH_BACKEND(inherited_loop, sentence) \
    { \
        int fd; \
        world w = make_world(backend); \
        watch(&w); \
        pid_t pid = fork_that_speaks(&fd); \
        if (pid == 0) { \
            __VA_ARGS__; \
            _exit(0); \
        } \
        expect_status(pid, fd, 0); \
        expect_to_hear(&w); \
        end_world(&w); \
    }
INHERITED(is_freed_in_the_child, crank_loop_free(w.loop))
INHERITED(loses_its_reader_in_the_child, EXPECT_EQ(crank_remove_reader(w.loop, w.in), 1))
INHERITED(loses_its_reader_and_is_freed_in_the_child, EXPECT_EQ(crank_remove_reader(w.loop, w.in), 1);
          crank_loop_free(w.loop))
INHERITED(is_run_in_the_child, expect_to_hear(&w); expect_to_hear(&w); end_world(&w))
INHERITED(is_run_in_the_child_without_its_reader, EXPECT_EQ(crank_remove_reader(w.loop, w.in), 1);
          crank_call_soon(w.loop, stop, w.loop); EXPECT_EQ(crank_loop_run(w.loop), 0); end_world(&w))
INHERITED(gets_a_new_reader_in_the_child, EXPECT_EQ(crank_remove_reader(w.loop, w.in), 1);
          EXPECT_EQ(crank_add_reader(w.loop, w.in, hear, &w), 0); expect_to_hear(&w); end_world(&w))
INHERITED(calls_the_reader_whose_descriptor_the_child_has_closed, close(w.in); EXPECT_EQ(crank_loop_run(w.loop), 0);
          EXPECT_EQ(w.heard, 0); crank_loop_free(w.loop))
INHERITED(is_posted_to_in_the_child_when_it_is_its_own, EXPECT_EQ(crank_post(w.loop, stop, w.loop), -ESHUTDOWN);
          crank_loop_run_once(w.loop, 0); EXPECT_EQ(crank_post(w.loop, stop, w.loop), 0);
          EXPECT_EQ(crank_loop_run(w.loop), 0); crank_loop_free(w.loop))

static void fork_in_callback(void *arg)
{
    world *w = arg;
    int fd;
    pid_t pid = fork_that_speaks(&fd);
    if (pid == 0) {
        crank_loop_free(w->loop);
        _exit(run_callbacks(CRANK_BACKEND_EPOLL));
    }
    expect_status(pid, fd, 0);
    pid = fork_that_speaks(&fd);
    if (pid == 0)
        return; /* to the parent's loop */
    expect_refused(pid, fd, "fork: the child has returned to the loop");
    crank_loop_stop(w->loop);
}
static void count_stranger(void *arg) { ++*(int *)arg; }
EACH_BACKEND(inherited_loop, is_freed_in_the_child_of_its_callback)
{
    world w = make_world(backend);
    watch(&w);
    strangers = mmap(NULL, sizeof *strangers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    crank_call_soon(w.loop, fork_in_callback, &w);
    crank_call_soon(w.loop, count_stranger, strangers);
    EXPECT_EQ(crank_loop_run(w.loop), 0);
    EXPECT_EQ(*strangers, 1);
    expect_to_hear(&w);
    end_world(&w);
    munmap(strangers, sizeof *strangers);
}

static atomic_bool runs;
static void note_that_it_runs(void *arg)
{
    (void)arg;
    atomic_store(&runs, true);
}
static void *free_in_child(void *arg)
{
    world *w = arg;
    int fd;
    while (!atomic_load(&runs))
        sched_yield();
    pid_t pid = fork_that_speaks(&fd);
    if (pid == 0) {
        crank_loop_free(w->loop);
        _exit(0);
    }
    expect_status(pid, fd, 0);
    EXPECT_EQ(crank_post(w->loop, stop, w->loop), 0);
    return NULL;
}
EACH_BACKEND(inherited_loop, is_freed_in_the_child_of_another_thread_while_it_runs)
{
    world w = make_world(backend);
    watch(&w);
    crank_waker *waker = crank_waker_new(w.loop, stop, w.loop); /* somebody outside will come */
    pthread_t thread;
    EXPECT(waker);
    EXPECT(crank_call_soon(w.loop, note_that_it_runs, NULL));
    EXPECT_EQ(pthread_create(&thread, NULL, free_in_child, &w), 0);
    EXPECT_EQ(crank_loop_run(w.loop), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    crank_waker_free(waker);
    expect_to_hear(&w);
    end_world(&w);
}

/* A wake in the child wakes the child's loop alone. */
EACH_BACKEND(inherited_loop, is_woken_in_the_child)
{
    int fd;
    world w = make_world(backend);
    crank_waker *waker = crank_waker_new(w.loop, stop, w.loop);
    watch(&w);
    struct pollfd one = { .fd = backend == CRANK_BACKEND_SIM ? -1 : crank_loop_fd(w.loop), .events = POLLIN };
    pid_t pid = fork_that_speaks(&fd);
    if (pid == 0) {
        crank_waker_wake(waker);
        EXPECT_EQ(crank_loop_run(w.loop), 0);
        crank_waker_wake(waker);
        EXPECT_EQ(crank_loop_run(w.loop), 0);
        crank_waker_free(waker);
        end_world(&w);
        _exit(0);
    }
    expect_status(pid, fd, 0);
    EXPECT_EQ(poll(&one, 1, 0), 0);
    expect_to_hear(&w);
    crank_waker_free(waker);
    end_world(&w);
}

/* Run in the child, without a descriptor to be had at first. */
static void run_without_descriptors(world *w)
{
    struct rlimit limit;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 3;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(crank_loop_run(w->loop), -EMFILE);
    EXPECT_EQ(crank_loop_run_once(w->loop, 0), -EMFILE);
    EXPECT_EQ(crank_loop_fd(w->loop), -EMFILE);
    limit.rlim_cur = before;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}
EACH_BACKEND(inherited_loop, that_can_have_no_descriptors_says_so)
{
    int fd;
    world w = make_world(backend);
    watch(&w);
    for (int freed = 0; freed <= 1; freed++) {
        pid_t pid = fork_that_speaks(&fd);
        if (pid == 0) {
            run_without_descriptors(&w);
            if (freed)
                EXPECT_EQ(crank_remove_reader(w.loop, w.in), 1);
            else
                expect_to_hear(&w);
            crank_loop_free(w.loop);
            _exit(0);
        }
        expect_status(pid, fd, 0);
        expect_to_hear(&w);
    }
    end_world(&w);
}

static int asks_in_the_child(void)
{
    int fd;
    crank_loop *loop = crank_current_loop();
    pid_t pid = fork_that_speaks(&fd);
    if (pid == 0) {
        crank_call_soon(loop, stop, loop);
        _exit(0);
    }
    expect_refused(pid, fd, "crank_call_soon: this is the loop of a run in the process that forked this one");
    return 0;
}
EACH_BACKEND(inherited_loop, of_a_run_is_refused)
{
    EXPECT_EQ(crank_run_with(OPTIONS(.backend = backend), asks_in_the_child), 0);
}
