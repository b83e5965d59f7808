/* SPDX-License-Identifier: MIT */
/* thread_end.c: what is true of jobs that are cancelled, given up, or find no thread. */
#include <pthread.h>
#include <sys/resource.h>

#include "base/base.h"
#include "jobs.h"

/* ---- Cancelling ---- */

static int cancel_queued_app(void)
{
    reset();
    crank_task *first = crank_to_thread(wait_at_gate);
    crank_task *second = crank_to_thread(count_run);
    crank_task *third = crank_to_thread(note, 3);
    EXPECT_EQ(crank_cancel(second), 0);
    EXPECT(crank_done(second) && crank_was_cancelled(second));
    EXPECT_EQ(crank_cancel(second), -ESRCH);
    atomic_store(&gate, true);
    EXPECT_EQ(crank_await(second), -ECANCELED);
    EXPECT_EQ(crank_await(first), 7);
    EXPECT_EQ(crank_await(third), 3);
    EXPECT_EQ(atomic_load(&ran), 0);
    return 0;
}
TEST(to_thread, a_job_cancelled_before_its_start_never_runs) { run_on_each(1, cancel_queued_app); }

/* ---- a callback of the end: what it makes has to end as well */

static int sleep_on_once(void)
{
    int err = crank_sleep(100);
    crank_sleep(0.1);
    return err;
}
static int sleep_long(void) { return crank_sleep(100); }
static void make_a_job_and_a_future(crank_task *task, void *arg)
{
    (void)task, (void)arg;
    EXPECT(!crank_to_thread(count_run));
    EXPECT_EQ(errno, ESHUTDOWN);
    crank_future *future = crank_future_new();
    EXPECT(crank_was_cancelled(crank_future_task(future)));
    crank_future_free(future);
    crank_drop(crank_spawn(note, 1));
}
static int leave_with_a_callback(void)
{
    reset();
    crank_drop(crank_spawn(sleep_on_once));
    crank_on_done(crank_spawn(sleep_long), make_a_job_and_a_future, NULL);
    crank_try(crank_sleep(0));
    return -EIO;
}
static void leave_on(crank_backend backend)
{
    crank_options options = { .backend = backend };
    EXPECT_EQ(crank_run_with(&options, leave_with_a_callback), -EIO);
    EXPECT_EQ(atomic_load(&ran), 0);
}
TEST(to_thread, a_job_of_a_callback_while_all_ends_never_runs)
{
    leave_on(CRANK_BACKEND_SIM);
    leave_on(CRANK_BACKEND_EPOLL);
}

static int cancel_all_app(void)
{
    enum { n = 600 };
    static crank_task *tasks[n];
    reset();
    crank_task *first = crank_to_thread(wait_at_gate);
    for (int i = 0; i < n; i++)
        tasks[i] = crank_to_thread(count_run);
    for (int i = n - 1; i >= 0; i--)
        EXPECT_EQ(crank_cancel(tasks[i]), 0);
    atomic_store(&gate, true);
    for (int i = 0; i < n; i++)
        EXPECT_EQ(crank_await(tasks[i]), -ECANCELED);
    EXPECT_EQ(crank_await(first), 7);
    EXPECT_EQ(crank_await(crank_to_thread(count_run)), 0); /* none before it has run */
    return 0;
}
TEST(to_thread, hundreds_cancelled_in_the_queue) { run_on_each(1, cancel_all_app); }

static atomic_bool started;
static int start_and_wait(void)
{
    atomic_store(&started, true);
    return wait_at_gate();
}
/* The result stands, and the request is noticed by the next wait. */
static int await_job(crank_task **job)
{
    EXPECT_EQ(crank_await(*job), 7);
    return crank_sleep(0);
}

/* For real only: the simulator's job has run to its end before anybody could cancel it amid. */
static int cancel_started_app(void)
{
    reset();
    atomic_store(&started, false);
    crank_task *job = crank_to_thread(start_and_wait);
    EXPECT(job);
    crank_task *waiter = crank_spawn(await_job, &job);
    EXPECT(waiter);
    do {
        EXPECT(!crank_done(waiter));
        EXPECT_EQ(crank_sleep(0.0002), 0);
    } while (!atomic_load(&started));
    EXPECT_EQ(crank_cancel(waiter), 0);
    EXPECT_EQ(crank_sleep(0.002), 0);
    EXPECT(!crank_done(waiter));
    atomic_store(&gate, true);
    EXPECT_EQ(crank_await(waiter), -ECANCELED);
    return 0;
}
TEST(to_thread, whoever_cancels_a_started_job_waits_for_its_return) { run_for_real(0, cancel_started_app); }

static int cancel_started_result_app(void)
{
    reset();
    atomic_store(&started, false);
    crank_task *job = crank_to_thread(start_and_wait);
    EXPECT(job);
    while (!atomic_load(&started)) {
        EXPECT(!crank_done(job));
        EXPECT_EQ(crank_sleep(0.0002), 0);
    }
    EXPECT_EQ(crank_cancel(job), 0);
    EXPECT(!crank_done(job));
    EXPECT_EQ(crank_cancelling(job), 1);
    atomic_store(&gate, true);
    EXPECT_EQ(crank_await(job), 7); /* its result stands */
    return 0;
}
TEST(to_thread, the_result_of_a_started_job_beats_a_cancel) { run_for_real(0, cancel_started_result_app); }

static int timeout_app(void)
{
    reset();
    crank_task *first = crank_to_thread(wait_at_gate);
    crank_task *second = crank_to_thread(count_run);
    EXPECT_EQ(crank_within(0.001, crank_await(second)), -ETIMEDOUT);
    EXPECT_EQ(atomic_load(&ran), 0);
    atomic_store(&gate, true);
    EXPECT_EQ(crank_await(first), 7);
    return 0;
}
TEST(to_thread, a_timeout_takes_a_job_off_the_queue) { run_for_real(1, timeout_app); }

static int gather_fails_app(void)
{
    reset();
    long results[3] = { 9, 9, 9 };
    EXPECT_EQ(crank_gather(
                  results, crank_to_thread(fail_there, 5), crank_to_thread(give_int, 1), crank_to_thread(give_int, 2)),
        -EIO);
    EXPECT_EQ(results[0], 9);
    EXPECT_STR(crank_error(), "disk 5 is gone");
    return 0;
}
TEST(to_thread, a_failed_job_fails_its_gather) { run_on_each(1, gather_fails_app); }

/* ---- Giving up ---- */

static int abandon_app(void)
{
    reset();
    atomic_store(&started, false);
    crank_task *job = crank_to_thread(start_and_wait);
    EXPECT(job);
    while (!atomic_load(&started)) {
        EXPECT(!crank_done(job));
        EXPECT_EQ(crank_sleep(0.0002), 0);
    }
    crank_abandon(job);
    EXPECT_EQ(crank_post(crank_current_loop(), open_gate, NULL), 0);
    return 0;
}
TEST(to_thread, an_abandoned_job_finishes_unobserved) { run_for_real(0, abandon_app); }

static int abandon_queued_app(void)
{
    reset();
    crank_task *first = crank_to_thread(wait_at_gate);
    crank_abandon(crank_to_thread(count_run));
    atomic_store(&gate, true);
    EXPECT_EQ(crank_await(first), 7);
    EXPECT_EQ(crank_await(crank_to_thread(give_int, 1)), 1);
    EXPECT_EQ(atomic_load(&ran), 0);
    return 0;
}
TEST(to_thread, a_job_abandoned_before_its_start_never_runs) { run_on_each(1, abandon_queued_app); }

static int drop_app(void)
{
    reset();
    crank_drop(crank_to_thread(count_run));
    return 0;
}
TEST(to_thread, a_dropped_job_runs_before_the_run_ends)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        EXPECT_EQ(crank_run_with(&(crank_options){ .backend = backends[i] }, drop_app), 0);
        EXPECT_EQ(atomic_load(&ran), 1);
    }
}

static int drop_failing_app(void)
{
    crank_drop(crank_to_thread(fail_there, 8));
    return 0;
}
TEST(to_thread, a_failure_nobody_awaits_is_reported)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        crank_options options = { .backend = backends[i], .on_report = keep_report };
        reported[0] = '\0';
        EXPECT_EQ(crank_run_with(&options, drop_failing_app), 0);
        EXPECT_CONTAINS(reported, "disk 8 is gone");
        EXPECT_CONTAINS(reported, "fail_there");
    }
}

/* ---- When there is no thread to be had ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Let the process grow by no more than this, less than a thread needs. */
static struct rlimit limit_memory(size_t more)
{
    struct rlimit before, now;
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    EXPECT(file && fscanf(file, "%zu", &pages) == 1);
    fclose(file);
    EXPECT_EQ(getrlimit(RLIMIT_AS, &before), 0);
    now = before;
    now.rlim_cur = pages * (size_t)sysconf(_SC_PAGESIZE) + more;
    EXPECT_EQ(setrlimit(RLIMIT_AS, &now), 0);
    return before;
}

static UNUSED int no_thread_app(void)
{
    char *data;
    size_t size;
    struct rlimit before = limit_memory(2 << 20);
    crank_task *job = crank_to_thread(give_int, 1);
    int first = (int)crank_await(job);
    int second = crank_read_file("/dev/null", &data, &size);
    EXPECT_EQ(setrlimit(RLIMIT_AS, &before), 0);
    if (first == 1)
        test_skip("an emulator does not limit memory");
    EXPECT_EQ(first, -EAGAIN);
    EXPECT_EQ(second, -EAGAIN);
    EXPECT_EQ(crank_await(crank_to_thread(give_int, 1)), 1);
    EXPECT_EQ(crank_thread_count(), 1);
    return 0;
}
TEST(to_thread, a_job_ends_with_eagain_when_no_thread_can_be_made)
{
#ifdef SANITIZED
    test_skip("a sanitizer's memory cannot be limited");
#else
    const char *preload = getenv("LD_PRELOAD");
    if (preload && strstr(preload, "vgpreload"))
        test_skip("Valgrind's memory cannot be limited");
    run_on_each(0, no_thread_app);
#endif
}

/* ---- pthread_exit, in code that was made for a thread */

static int leave_the_thread(void) { pthread_exit(NULL); }
static int leave_it_in_a_job(void) { return (int)crank_await(crank_to_thread(leave_the_thread)); }
TEST_CHECKS(task, that_ends_its_thread_is_named, "pthread_exit: called in a task")
{
    if (CR_TSAN)
        test_skip("ThreadSanitizer's own pthread_exit knows of no other stacks");
    return leave_the_thread();
}
TEST_CHECKS_OUTSIDE(to_thread, a_job_that_ends_its_thread_is_named, "pthread_exit: called in a thread job")
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    (void)crank_run_with(&options, leave_it_in_a_job);
}
TEST_CHECKS_OUTSIDE(to_thread, a_simulated_job_that_ends_its_thread_is_named, "pthread_exit: called in a thread job")
{
    crank_options options = { .backend = CRANK_BACKEND_SIM };
    (void)crank_run_with(&options, leave_it_in_a_job);
}
