/* SPDX-License-Identifier: MIT */
/* elsewhere.c: locks, queues and their kin used from other threads than their loop's: what is refused, and what is
 * nobody's business. Each call is made in a child process of its own, on every backend, for it is to abort. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static crank_lock *lock;
static crank_event *event;
static crank_condition *condition;
static crank_semaphore *semaphore;
static crank_barrier *barrier;
static crank_queue *queue;

/* Each belongs to the loop of whoever calls, or to none outside a run. */
static void make_all(void)
{
    lock = crank_lock_new();
    event = crank_event_new();
    condition = crank_condition_new(lock);
    semaphore = crank_semaphore_new(1);
    barrier = crank_barrier_new(2);
    queue = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 0);
}
static void free_all(void)
{
    crank_queue_free(queue);
    crank_barrier_free(barrier);
    crank_semaphore_free(semaphore);
    crank_condition_free(condition);
    crank_event_free(event);
    crank_lock_free(lock);
}

static void ignore(int result) { (void)result; }
static void call_queue_put(void) { ignore(crank_put(queue, 1)); }
static void call_queue_put_nowait(void) { ignore(crank_put_nowait(queue, 1)); }
static void call_queue_get(void)
{
    int value;
    ignore(crank_get(queue, &value));
}
static void call_queue_get_nowait(void)
{
    int value;
    ignore(crank_get_nowait(queue, &value));
}
static void call_queue_done(void) { crank_queue_done(queue); }
static void call_queue_join(void) { (void)crank_queue_join(queue); }
static void call_queue_shutdown(void) { crank_queue_shutdown(queue, false); }
static void call_queue_count(void) { (void)crank_queue_count(queue); }
static void call_queue_full(void) { (void)crank_queue_full(queue); }
static void call_queue_free(void) { crank_queue_free(queue); }
static void call_event_set(void) { crank_event_set(event); }
static void call_event_clear(void) { crank_event_clear(event); }
static void call_event_is_set(void) { (void)crank_event_is_set(event); }
static void call_event_wait(void) { (void)crank_event_wait(event); }
static void call_event_free(void) { crank_event_free(event); }
static void call_semaphore_acquire(void) { ignore(crank_semaphore_acquire(semaphore)); }
static void call_semaphore_acquire_nowait(void) { ignore(crank_semaphore_acquire_nowait(semaphore)); }
static void call_semaphore_release(void) { crank_semaphore_release(semaphore); }
static void call_semaphore_value(void) { (void)crank_semaphore_value(semaphore); }
static void call_semaphore_free(void) { crank_semaphore_free(semaphore); }
static void call_lock_acquire(void) { ignore(crank_lock_acquire(lock)); }
static void call_lock_acquire_nowait(void) { ignore(crank_lock_acquire_nowait(lock)); }
static void call_lock_release(void) { crank_lock_release(lock); }
static void call_lock_held(void) { (void)crank_lock_held(lock); }
static void call_lock_free(void) { crank_lock_free(lock); }
static void call_condition_wait(void) { (void)crank_condition_wait(condition); }
static void call_condition_notify(void) { crank_condition_notify(condition, 1); }
static void call_condition_notify_all(void) { crank_condition_notify_all(condition); }
static void call_condition_free(void) { crank_condition_free(condition); }
static void call_barrier_wait(void) { (void)crank_barrier_wait(barrier); }
static void call_barrier_reset(void) { crank_barrier_reset(barrier); }
static void call_barrier_abort(void) { crank_barrier_abort(barrier); }
static void call_barrier_waiting(void) { (void)crank_barrier_waiting(barrier); }
static void call_barrier_broken(void) { (void)crank_barrier_broken(barrier); }
static void call_barrier_free(void) { crank_barrier_free(barrier); }

#define CALL(name) \
    { \
        "crank_" #name, call_##name, false \
    }
#define WAITS(name) \
    { \
        "crank_" #name, call_##name, true \
    }
static const struct call {
    const char *name;
    void (*make)(void);
    bool waits; /* a job is told that it is no task */
} calls[] = {
    { "crank_put:", call_queue_put, true },
    { "crank_put_nowait", call_queue_put_nowait, false },
    { "crank_get:", call_queue_get, true },
    { "crank_get_nowait", call_queue_get_nowait, false },
    CALL(queue_done),
    WAITS(queue_join),
    CALL(queue_shutdown),
    CALL(queue_count),
    CALL(queue_full),
    CALL(queue_free),
    CALL(event_set),
    CALL(event_clear),
    CALL(event_is_set),
    WAITS(event_wait),
    CALL(event_free),
    WAITS(semaphore_acquire),
    CALL(semaphore_acquire_nowait),
    CALL(semaphore_release),
    CALL(semaphore_value),
    CALL(semaphore_free),
    WAITS(lock_acquire),
    CALL(lock_acquire_nowait),
    CALL(lock_release),
    CALL(lock_held),
    CALL(lock_free),
    WAITS(condition_wait),
    CALL(condition_notify),
    CALL(condition_notify_all),
    CALL(condition_free),
    WAITS(barrier_wait),
    CALL(barrier_reset),
    CALL(barrier_abort),
    CALL(barrier_waiting),
    CALL(barrier_broken),
    CALL(barrier_free),
};

/* What a child process says before it ends, which runs app there. ret_status as waitpid gives it. */
static const char *said_by(
    const crank_options *options, int (*app)(const struct call *), const struct call *call, int *ret_status)
{
    static char said[4096];
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        alarm(20);
        _exit((int)crank_run_with(options, app, call) != 0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    close(ends[0]);
    EXPECT_EQ(waitpid(pid, ret_status, 0), pid);
    return said;
}

static void expect_refused(int (*app)(const struct call *), bool in_a_task)
{
    static const crank_backend backends[] = { CRANK_BACKEND_SIM, CRANK_BACKEND_EPOLL, CRANK_BACKEND_URING };
    size_t count = getenv("TEST_EMULATED") ? 1 : CRANK_COUNT(backends); /* a child of an emulator takes its time */
    for (size_t b = 0; b < count; b++)
        for (size_t i = 0; i < CRANK_COUNT(calls); i++) {
            crank_options options = { .backend = backends[b] };
            int status;
            const char *said = said_by(&options, app, &calls[i], &status);
            if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
                test_fail(__FILE__, __LINE__, "%s did not abort: status %d, \"%s\"", calls[i].name, status, said);
            EXPECT_CONTAINS(said, calls[i].name);
            EXPECT_CONTAINS(said, calls[i].waits && !in_a_task ? "outside a task" : "runs on another thread");
            EXPECT_CONTAINS(said, "crank_post");
        }
}

static void make_call(const struct call *call) { call->make(); }
static int call_in_a_job(const struct call *call)
{
    make_all();
    return (int)crank_await(crank_to_thread(make_call, call));
}
TEST(sync_object, used_in_a_thread_job_is_refused) { expect_refused(call_in_a_job, false); }

static int call_as_app(const struct call *call)
{
    call->make();
    return 0;
}
static void *run_a_loop(void *call)
{
    const crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    crank_run_with(&options, call_as_app, (const struct call *)call);
    return NULL;
}
static int call_in_another_loop(const struct call *call)
{
    pthread_t thread;
    make_all();
    (void)pthread_create(&thread, NULL, run_a_loop, (void *)(uintptr_t)call);
    return pthread_join(thread, NULL);
}
TEST(sync_object, used_by_the_loop_of_another_thread_is_refused) { expect_refused(call_in_another_loop, true); }

static void *call_on_a_thread(void *call)
{
    ((const struct call *)call)->make();
    return NULL;
}
static int call_on_another_thread(const struct call *call)
{
    pthread_t thread;
    make_all();
    crank_event_set(event);
    (void)pthread_create(&thread, NULL, call_on_a_thread, (void *)(uintptr_t)call);
    return pthread_join(thread, NULL);
}
TEST(sync_object, used_on_a_plain_thread_while_its_loop_runs_is_refused)
{
    expect_refused(call_on_another_thread, false);
}

/* ---- what is allowed */

static void use_without_waiting(void)
{
    int value = 0;
    EXPECT_EQ(crank_put_nowait(queue, 4), 0);
    EXPECT_EQ(crank_queue_count(queue), 1);
    EXPECT_EQ(crank_get_nowait(queue, &value), 0);
    EXPECT_EQ(value, 4);
    crank_queue_done(queue);
    EXPECT(!crank_queue_full(queue));
    crank_event_set(event);
    EXPECT(crank_event_is_set(event));
    crank_event_clear(event);
    EXPECT_EQ(crank_semaphore_acquire_nowait(semaphore), 0);
    EXPECT_EQ(crank_semaphore_value(semaphore), 0);
    crank_semaphore_release(semaphore);
    EXPECT_EQ(crank_barrier_waiting(barrier), 0);
    crank_barrier_abort(barrier);
    EXPECT(crank_barrier_broken(barrier));
    crank_barrier_reset(barrier);
    EXPECT(!crank_lock_held(lock));
}
static int use_in_a_run(void)
{
    use_without_waiting();
    crank_try(crank_lock_acquire(lock));
    crank_lock_release(lock);
    return 0;
}
static void *use_on_a_thread(void *arg)
{
    use_without_waiting();
    return arg;
}
static int use_meanwhile(void)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, use_on_a_thread, NULL), 0);
    return pthread_join(thread, NULL);
}
static void make_and_use(void)
{
    make_all();
    use_without_waiting();
}
static int use_what_a_job_made(void)
{
    crank_try(crank_await(crank_to_thread(make_and_use)));
    return use_in_a_run();
}

TEST(sync_object, serves_any_thread_while_its_loop_does_not_run)
{
    const crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    make_all();
    EXPECT_EQ(crank_run_with(&options, use_in_a_run), 0);
    EXPECT_EQ(crank_run_with(&options, use_in_a_run), 0);
    use_on_a_thread(NULL);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, use_on_a_thread, NULL), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    free_all();
}

/* The loop of the second run has the first one's memory, as a rule. */
TEST(sync_object, of_an_ended_loop_is_not_taken_for_one_of_a_later_loop)
{
    const crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    make_all();
    EXPECT_EQ(crank_run_with(&options, use_in_a_run), 0);
    EXPECT_EQ(crank_run_with(&options, use_meanwhile), 0);
    free_all();
}

TEST_EACH_BACKEND(sync_object, made_in_a_job_becomes_its_first_users)
{
    crank_try(use_what_a_job_made());
    free_all();
    return 0;
}
