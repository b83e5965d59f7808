/* SPDX-License-Identifier: MIT */
/* nothing.c: what a call says that is given NULL where it needs something. Each is made in a child process of its own,
 * for it is to abort. */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/valgrind.h"
#include "test.h"

static void ignore(long result) { (void)result; }
static void ignore_ptr(const void *result) { (void)result; }
static int no_result;

#define CALLS(X) \
    X("crank_lock_acquire_nowait", ignore(crank_lock_acquire_nowait(NULL))) \
    X("crank_lock_held", ignore(crank_lock_held(NULL))) \
    X("crank_event_clear", crank_event_clear(NULL)) \
    X("crank_event_is_set", ignore(crank_event_is_set(NULL))) \
    X("crank_condition_new", ignore_ptr((crank_condition_new)(NULL))) \
    X("crank_condition_wait", ignore(crank_condition_wait(NULL))) \
    X("crank_condition_notify", crank_condition_notify(NULL, 1)) \
    X("crank_condition_notify_all", crank_condition_notify_all(NULL)) \
    X("crank_semaphore_acquire_nowait", ignore(crank_semaphore_acquire_nowait(NULL))) \
    X("crank_semaphore_value", ignore((long)crank_semaphore_value(NULL))) \
    X("crank_barrier_wait", ignore(crank_barrier_wait(NULL))) \
    X("crank_barrier_reset", crank_barrier_reset(NULL)) \
    X("crank_barrier_abort", crank_barrier_abort(NULL)) \
    X("crank_barrier_waiting", ignore((long)crank_barrier_waiting(NULL))) \
    X("crank_barrier_broken", ignore(crank_barrier_broken(NULL))) \
    X("crank_queue_join", ignore(crank_queue_join(NULL))) \
    X("crank_queue_shutdown", crank_queue_shutdown(NULL, false)) \
    X("crank_queue_count", ignore((long)crank_queue_count(NULL))) \
    X("crank_queue_full", ignore(crank_queue_full(NULL))) \
    X("crank_put_nowait", ignore(crank_put_nowait(NULL, 1))) \
    X("crank_get_nowait", ignore(crank_get_nowait(NULL, &no_result))) \
    X("crank_queue_done", crank_queue_done(NULL)) \
    X("crank_event_set", crank_event_set(NULL)) \
    X("crank_semaphore_release", crank_semaphore_release(NULL)) \
    X("crank_open", ignore_ptr(crank_open(NULL, "r"))) \
    X("crank_open_beneath", ignore_ptr(crank_open_beneath(NULL, "f", NULL))) \
    X("crank_open_beneath", ignore_ptr(crank_open_beneath("/tmp", NULL, NULL))) \
    X("crank_read_file", ignore(crank_read_file(NULL, &no_text, &no_size))) \
    X("crank_read_file", ignore(crank_read_file("/dev/null", NULL, &no_size))) \
    X("crank_read_file", ignore(crank_read_file("/dev/null", &no_text, NULL))) \
    X("crank_write_file", ignore(crank_write_file(NULL, "", 0))) \
    X("crank_write_file", ignore(crank_write_file("/dev/null", NULL, 1))) \
    X("crank_read", ignore(crank_read(NULL, NULL, 0))) \
    X("crank_read_line", ignore(crank_read_line(NULL, NULL, 0))) \
    X("crank_write", ignore(crank_write(NULL, NULL, 0))) \
    X("crank_flush", ignore(crank_flush(NULL))) \
    X("crank_group_spawn", ignore_ptr(crank_group_spawn((crank_group *)NULL, give))) \
    X("crank_group_wait", ignore(crank_group_wait(NULL))) \
    X("crank_group_cancel", crank_group_cancel(NULL)) \
    X("crank_group_count", ignore((long)crank_group_count(NULL))) \
    X("crank_pool_wait", ignore(crank_pool_wait(NULL, NULL, 0))) \
    X("crank_reschedule", ignore(crank_reschedule(NULL, 1))) \
    X("crank_expired", ignore(crank_expired(NULL))) \
    X("crank_remaining", ignore((long)crank_remaining(NULL))) \
    X("crank_spawn", ignore_ptr(crank_spawn(no_function))) \
    X("crank_spawn", ignore_ptr(crank_spawn(no_large, 1, 2, 3, 4, 5, 6))) \
    X("crank_spawn_eager", ignore_ptr(crank_spawn_eager(no_function))) \
    X("crank_spawn_raw", ignore_ptr(crank_spawn_raw(NULL, NULL))) \
    X("crank_to_thread", ignore_ptr(crank_to_thread(no_function))) \
    X("crank_group_spawn", CRANK_GROUP(group); ignore_ptr(crank_group_spawn(&group, no_function))) \
    X("crank_submit", ignore_ptr(crank_submit(crank_current_loop(), no_function))) \
    X("crank_generate", crank_generator *g = crank_generate(no_body); ignore(crank_next(g, &no_result))) \
    X("crank_wait", ignore(crank_wait(NULL, 1, CRANK_ALL_COMPLETED, 1))) \
    X("crank_on_done", ignore(crank_on_done(crank_spawn(give), NULL, NULL))) \
    X("crank_set_result", ignore(crank_set_result((crank_future *)NULL, 1))) \
    X("crank_set_error", ignore(crank_set_error(NULL, EIO, "gone"))) \
    X("crank_waker_new", ignore_ptr((crank_waker_new)(crank_current_loop(), NULL, NULL))) \
    X("crank_waker_wake", crank_waker_wake(NULL)) \
    X("crank_post", ignore(crank_post(crank_current_loop(), NULL, NULL))) \
    X("crank_call_soon", ignore_ptr(crank_call_soon(crank_current_loop(), NULL, NULL))) \
    X("crank_call_later", ignore_ptr(crank_call_later(crank_current_loop(), 0, NULL, NULL))) \
    X("crank_call_at", ignore_ptr(crank_call_at(crank_current_loop(), 0, NULL, NULL))) \
    X("crank_add_reader", ignore(crank_add_reader(crank_current_loop(), STDIN_FILENO, NULL, NULL))) \
    X("crank_add_writer", ignore(crank_add_writer(crank_current_loop(), STDERR_FILENO, NULL, NULL))) \
    X("crank_gather", ignore(crank_gather_n(no_tasks, 1, no_results))) \
    X("crank_gather_settled", ignore(crank_gather_settled_n(no_tasks, 1, &outcome))) \
    X("crank_gather_settled", crank_task *task = crank_spawn(give); ignore(crank_gather_settled_n(&task, 1, NULL))) \
    X("crank_any", ignore(crank_any_n(no_tasks, 1, NULL)))

/* Those that have no test: they fault, and the handler tells them. */
#define QUICK_CALLS(X) \
    X("crank_put", ignore(crank_put(NULL, 1))) \
    X("crank_get", ignore(crank_get(NULL, &no_result))) \
    X("crank_event_wait", ignore(crank_event_wait(NULL))) \
    X("crank_semaphore_acquire", ignore(crank_semaphore_acquire(NULL))) \
    X("crank_lock_acquire", ignore(crank_lock_acquire(NULL))) \
    X("crank_lock_release", crank_lock_release(NULL))

static int give(void) { return 5; }
static int (*volatile no_function)(void);
static int (*volatile no_body)(void);
static int (*volatile no_large)(int, int, int, int, int, int);
static crank_task *const *volatile no_tasks;
static int *no_results;
static crank_outcome outcome;
static char *no_text;
static size_t no_size;

/* The call of this number, as app. */
#define APP(app, CALLS_) \
    static int app(int number) \
    { \
        int at = 0; \
        CALLS_(MAKE) \
        return 0; \
    }
#define MAKE(name, ...) \
    if (at++ == number) { \
        __VA_ARGS__; \
        return crank_sleep(1); \
    }
#define NAME(name, ...) name,
APP(make, CALLS)
APP(make_quick, QUICK_CALLS)
static const char *const names[] = { CALLS(NAME) };
static const char *const quick_names[] = { QUICK_CALLS(NAME) };

static void expect_check(int (*app)(int), const char *name, int number)
{
    char said[2048];
    size_t length = 0;
    ssize_t got;
    int ends[2], status;
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        crank_options options = { .backend = CRANK_BACKEND_SIM };
        dup2(ends[1], STDERR_FILENO);
        alarm(20);
        (void)crank_run_with(&options, app, number);
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    close(ends[0]);
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        test_fail(__FILE__, __LINE__, "%s (%d) ended with %x: \"%s\"", name, number, (unsigned)status, said);
    if (!strstr(said, "CHECK") || !strstr(said, name) || !strstr(said, "NULL"))
        test_fail(__FILE__, __LINE__, "%s (%d) says \"%s\"", name, number, said);
}

TEST(call, that_needs_something_and_is_given_null_says_so)
{
    for (size_t i = 0; i < CRANK_COUNT(names); i++)
        expect_check(make, names[i], (int)i);
}

TEST(call, that_takes_a_few_instructions_and_is_given_null_says_so)
{
    if (CR_SWITCH_SANITIZED || RUNNING_ON_VALGRIND)
        test_skip("the tool reports the fault itself");
#if !defined(__OPTIMIZE__) || defined(TEST_LTO)
    test_skip("how the library is compiled decides in which function the fault lies");
#endif
    for (size_t i = 0; i < CRANK_COUNT(quick_names); i++)
        expect_check(make_quick, quick_names[i], (int)i);
}
