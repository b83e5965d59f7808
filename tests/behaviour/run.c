/* SPDX-License-Identifier: MIT */
/* run.c: running programs: results, several runs, many loops, deadlocks, Ctrl-C, options. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "trail.h"

static const crank_options sim = { .backend = CRANK_BACKEND_SIM };

/* The whole environment: one variable, or none for NULL. setenv would keep memory of its own. */
extern char **environ;
static void environment(const char *variable)
{
    static char *list[2];
    list[0] = (char *)(uintptr_t)variable;
    environ = list;
}

static int give(int value) { return value; }
static double give_double(void) { return 2.9; }
static void give_nothing(void) {}
static int fails(void) { return crank_fail(EPROTO, "app broke"); }

TEST(run, gives_what_app_returned)
{
    EXPECT_EQ(crank_run_with(&sim, give, 300), 300);
    EXPECT_EQ(crank_run_with(&sim, give_double), 2);
    EXPECT_EQ(crank_run_with(&sim, give_nothing), 0);
    EXPECT_EQ(crank_run_with(NULL, give, 5), 5);
}

static int many(int a, long b, const char *c, double d, char e, unsigned f, int g)
{
    EXPECT_STR(c, "c");
    return a + (int)b + (int)d + e + (int)f + g;
}

TEST(run, passes_arguments_of_every_kind) { EXPECT_EQ(crank_run_with(&sim, many, 1, 2, "c", 4, 5, 6, 7), 25); }

TEST(run, for_main_turns_results_into_exit_statuses)
{
    environment("CRANK_BACKEND=sim");
    EXPECT_EQ(crank_run(give, 3), 3);
    EXPECT_EQ(crank_run(give, 256 + 7), 7);
    test_capture();
    EXPECT_EQ(crank_run(fails), 1);
    const char *said = test_captured();
    EXPECT_CONTAINS(said, "crank: task 'Task-");
    EXPECT_CONTAINS(said, "app broke [EPROTO]");
    environment(NULL);
}

static long fails_with_the_least(void) { return LONG_MIN; }
TEST(run, for_main_says_of_a_bare_number_what_it_means)
{
    environment("CRANK_BACKEND=sim");
    test_capture();
    EXPECT_EQ(crank_run(give, -EPROTO), 1);
    EXPECT_CONTAINS(test_captured(), "crank: give failed: Protocol error [EPROTO]");
    test_capture();
    EXPECT_EQ(crank_run(fails_with_the_least), 1);
    EXPECT_CONTAINS(test_captured(), "crank: fails_with_the_least failed: unknown error [E?]");
    environment(NULL);
}

static int inner_run(void) { return crank_run(give, 1); }
TEST_CHECKS_OUTSIDE(run, inside_a_run_is_refused, "runs on this thread already")
{
    (void)crank_run_with(&sim, inner_run);
}

TEST(run, can_be_repeated_in_a_process)
{
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(crank_run_with(&sim, give, i), i);
}

static int sleep_some(int id)
{
    for (int i = 0; i < 20; i++)
        crank_try(crank_sleep(0.0001));
    return id;
}
static int spread(int id)
{
    long r[3];
    crank_try(crank_gather(r, crank_spawn(sleep_some, id), crank_spawn(sleep_some, id), crank_spawn(sleep_some, id)));
    return (int)(r[0] + r[1] + r[2]);
}
static void *one_thread(void *arg)
{
    int id = (int)(intptr_t)arg;
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, spread, id), 3 * id);
    return NULL;
}

TEST(run, many_loops_run_in_many_threads)
{
    pthread_t threads[8];
    for (intptr_t i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, one_thread, (void *)i);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

TEST(run, refuses_an_unknown_backend)
{
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = (crank_backend)9 }, give, 1), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "options.backend");
    crank_error_clear();
    environment("CRANK_BACKEND=kqueue");
    EXPECT_EQ(crank_run_with(NULL, give, 1), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "sim, epoll, uring");
    environment(NULL);
    crank_error_clear();
}

static int name_backend(void)
{
    say("%s", crank_backend_name());
    return 0;
}
TEST(run, takes_the_backend_from_options_before_the_environment)
{
    environment("CRANK_BACKEND=epoll");
    EXPECT_EQ(crank_run_with(NULL, name_backend), 0);
    EXPECT_EQ(crank_run_with(&sim, name_backend), 0);
    EXPECT_TRAIL("epoll sim");
    environment(NULL);
    EXPECT(crank_backend_name() == NULL);
    EXPECT(crank_current_loop() == NULL);
}

/* ---- deadlocks */

static char reported[20000];
static int reports;
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    reports++;
    EXPECT_EQ(report->kind, CRANK_REPORT_DEADLOCK);
    snprintf(reported, sizeof reported, "%s", report->text);
}

static int cross(crank_lock *first, crank_lock *second)
{
    CRANK_WITH_LOCK(first);
    crank_try(crank_sleep(1));
    CRANK_WITH_LOCK(second);
    return 0;
}
static int two_locks(void)
{
    CRANK_LOCK(a);
    CRANK_LOCK(b);
    crank_task *one = crank_spawn(cross, a, b), *two = crank_spawn(cross, b, a);
    crank_set_name(one, "one");
    crank_set_name(two, "two");
    return crank_gather(NULL, one, two);
}

TEST(deadlock, is_reported_with_every_task_and_the_cycle_and_ends_the_run)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    EXPECT_EQ(crank_run_with(&options, two_locks), -EDEADLK);
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(reported, "crank: deadlock: 3 tasks wait");
    EXPECT_CONTAINS(reported, "gathers 2 of 2 tasks");
    EXPECT_CONTAINS(reported, "cycle: 'one' -> 'two' -> 'one'");
    EXPECT_CONTAINS(reported, "name='two' fn=cross spawned at run.c:");
}

TEST(deadlock, is_found_on_the_real_backends_too)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL, .on_report = keep };
    environment("CRANK_BACKEND=sim");
    EXPECT_EQ(crank_run_with(&options, two_locks), -EDEADLK);
    environment(NULL);
}

static int wait_forever(crank_event *event) { return crank_event_wait(event); }
static int lost_event(void)
{
    CRANK_EVENT(event);
    int err = wait_forever(event);
    say("cleanup%d", err);
    return err;
}
static int tidies_up(crank_event *event)
{
    int err = crank_event_wait(event);
    EXPECT_EQ(crank_cancelling(NULL), 1);
    say("%d:%d", err, crank_sleep(1));
    return err;
}
static int awaits_one_that_tidies_up(void)
{
    CRANK_EVENT(event);
    return (int)crank_await(crank_spawn(tidies_up, event));
}
TEST(deadlock, asks_a_task_through_its_parent_and_once)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    EXPECT_EQ(crank_run_with(&options, awaits_one_that_tidies_up), -EDEADLK);
    EXPECT_TRAIL("-125:0");
}

TEST(deadlock, lets_cleanups_run)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    EXPECT_EQ(crank_run_with(&options, lost_event), -EDEADLK);
    EXPECT_TRAIL("cleanup-125");
    EXPECT_CONTAINS(reported, "1 task waits and nothing can wake it");
    EXPECT_CONTAINS(reported, "crank_waker");
}

static int await_shared(crank_task **other) { return (int)crank_await_shared(*other); }
static int await_in_a_ring(void)
{
    static crank_task *a, *b;
    a = crank_spawn(await_shared, &b);
    b = crank_spawn(await_shared, &a);
    EXPECT(a && b);
    crank_set_name(a, "a");
    crank_set_name(b, "b");
    return (int)crank_wait((crank_task *[]){ a, b }, 2, CRANK_ALL_COMPLETED, CRANK_FOREVER);
}
TEST(deadlock, by_awaiting_in_a_ring_is_reported)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    EXPECT_EQ(crank_run_with(&options, await_in_a_ring), -EDEADLK);
    EXPECT_CONTAINS(reported, "cycle: 'a' -> 'b' -> 'a'");
    EXPECT(!strstr(reported, "crank_waker"));
}

static int wait_in_a_ring_and_for_an_event(void)
{
    CRANK_EVENT(event);
    CRANK_GROUP(group);
    EXPECT(crank_group_spawn(&group, crank_event_wait, event));
    return await_in_a_ring();
}
TEST(deadlock, names_the_waker_where_a_thread_could_still_wake_one_task)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    EXPECT_EQ(crank_run_with(&options, wait_in_a_ring_and_for_an_event), -EDEADLK);
    EXPECT_CONTAINS(reported, "cycle: 'a' -> 'b' -> 'a'");
    EXPECT_CONTAINS(reported, "  if another thread is still going to wake one (crank_post, crank_submit), "
                              "hold a crank_waker until it has\n");
}

TEST(deadlock, gives_seventy_for_main_on_every_backend)
{
    const char *const variables[] = { "CRANK_BACKEND=sim", "CRANK_BACKEND=epoll", "CRANK_BACKEND=uring" };
    for (size_t i = 0; i < CRANK_COUNT(variables); i++) {
        environment(variables[i]);
        test_capture();
        EXPECT_EQ(crank_run(two_locks), 70);
        const char *said = test_captured();
        EXPECT_CONTAINS(said, "crank: deadlock: 3 tasks wait");
        EXPECT_CONTAINS(said, "cycle: 'one' -> 'two' -> 'one'");
        EXPECT_CONTAINS(said, "up to task 'two' (cross)");
    }
    environment(NULL);
}

/* ---- Ctrl-C */

static int interrupt_oneself(void)
{
    raise(SIGINT);
    int err = crank_sleep(3600);
    say("%d %s", err, crank_error());
    return err;
}

TEST(interrupt, cancels_app_and_gives_130)
{
    EXPECT_EQ(crank_run(interrupt_oneself), 130);
    EXPECT_TRAIL("-125 interrupted (Ctrl-C)");
    struct sigaction after;
    sigaction(SIGINT, NULL, &after);
    EXPECT(after.sa_handler == SIG_DFL);
}

/* A server that has shut down as it should. */
static int deals_with_the_interrupt(int result)
{
    raise(SIGINT);
    EXPECT_EQ(crank_sleep(3600), -ECANCELED);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    crank_try(crank_sleep(0));
    return result;
}
TEST(interrupt, that_app_takes_back_leaves_its_result)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .handle_interrupt = true };
    EXPECT_EQ(crank_run_with(&options, deals_with_the_interrupt, 5), 5);
    EXPECT_EQ(crank_run_with(&options, deals_with_the_interrupt, -EIO), -EIO);
    EXPECT_EQ(crank_run(deals_with_the_interrupt, 0), 0);
}

/* Cleaning up after Ctrl-C, or a deadlock, may fail: that is told as well. */
static int fails_when_interrupted(void)
{
    raise(SIGINT);
    (void)crank_sleep(3600);
    return crank_fail(EIO, "could not save");
}
static int fails_when_stuck(void)
{
    CRANK_EVENT(event);
    (void)crank_event_wait(event);
    return -EIO;
}
TEST(interrupt, does_not_hide_a_failure_of_the_cleanup)
{
    test_capture();
    EXPECT_EQ(crank_run(fails_when_interrupted), 130);
    EXPECT_CONTAINS(test_captured(), "could not save [EIO]");
}
TEST(deadlock, does_not_hide_a_failure_of_the_cleanup)
{
    test_capture();
    EXPECT_EQ(crank_run(fails_when_stuck), 70);
    const char *said = test_captured();
    EXPECT_CONTAINS(said, "crank: deadlock:");
    EXPECT_CONTAINS(said, "failed: Input/output error [EIO]");
}

TEST(interrupt, is_an_option_of_run_with)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL, .handle_interrupt = true };
    EXPECT_EQ(crank_run_with(&options, interrupt_oneself), -EINTR);
    EXPECT_TRAIL("-125 interrupted (Ctrl-C)");
}

/* It takes the first for a reason to tidy up for an hour. */
static int does_not_end(void)
{
    raise(SIGINT);
    (void)crank_sleep(3600);
    raise(SIGINT);
    return crank_sleep(3600);
}

TEST(interrupt, asked_twice_ends_the_process)
{
    fflush(NULL);
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        crank_options options = { .backend = CRANK_BACKEND_EPOLL, .handle_interrupt = true };
        (void)crank_run_with(&options, does_not_end);
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

/* Nothing is left that could be cancelled but what was detached: the status says what happened. */
static int interrupt_and_sleep(void)
{
    (void)crank_sleep(1);
    raise(SIGINT);
    say("%d", crank_sleep(0.5));
    return 0;
}
static int leaves_one_behind(void)
{
    crank_task *task = crank_spawn(interrupt_and_sleep);
    crank_detach(task);
    return 5;
}
TEST(interrupt, after_app_has_returned_gives_130_too)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .handle_interrupt = true };
    EXPECT_EQ(crank_run_with(&options, leaves_one_behind), -EINTR);
    EXPECT_TRAIL("0");
}

/* As a shell starts what runs in the background, and as nohup does. */
TEST(interrupt, that_is_ignored_stays_so)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .handle_interrupt = true };
    struct sigaction after;
    signal(SIGINT, SIG_IGN);
    EXPECT_EQ(crank_run_with(&options, interrupt_and_sleep), 0);
    EXPECT_TRAIL("0");
    sigaction(SIGINT, NULL, &after);
    EXPECT(after.sa_handler == SIG_IGN);
    signal(SIGINT, SIG_DFL);
    EXPECT_EQ(crank_run_with(&options, interrupt_oneself), -EINTR); /* it can be handled afterwards */
}

TEST(run, for_main_that_cannot_begin_gives_one_and_says_why)
{
    environment("CRANK_BACKEND=kqueue");
    test_capture();
    EXPECT_EQ(crank_run(give, 5), 1);
    EXPECT_CONTAINS(test_captured(), "crank: crank_run: cannot run: CRANK_BACKEND is none of");
}

/* ---- the simulator's promises */

static uint64_t hash_of_run;
static int some_work(void)
{
    crank_task *tasks[20];
    for (int i = 0; i < 20; i++)
        tasks[i] = crank_spawn(sleep_some, i);
    crank_try(crank_gather_n(tasks, 20, NULL));
    hash_of_run = crank_trace_hash();
    return 0;
}

TEST(simulator, gives_the_same_trace_for_the_same_seed)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        crank_options options = { .backend = CRANK_BACKEND_SIM, .seed = seed };
        EXPECT_EQ(crank_run_with(&options, some_work), 0);
        uint64_t first = hash_of_run;
        EXPECT_EQ(crank_run_with(&options, some_work), 0);
        EXPECT(hash_of_run == first);
    }
}

static int no_hash(void) { return crank_trace_hash() != 0; }
TEST(simulator, says_its_trace_where_asked)
{
    char expected[64];
    environment("CRANK_TRACE_HASH=1");
    test_capture();
    EXPECT_EQ(crank_run_with(&sim, some_work), 0);
    const char *said = test_captured();
    snprintf(expected, sizeof expected, "crank: trace hash %016llx\n", (unsigned long long)hash_of_run);
    EXPECT_STR(said, expected);
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, no_hash), 0);
    EXPECT(crank_trace_hash() == 0 && !crank_current_loop());
}

/* A run that is not simulated follows no seed: whoever set one is told, once. */
TEST(simulator, is_what_a_seed_in_the_environment_is_for)
{
    const crank_options epoll = { .backend = CRANK_BACKEND_EPOLL };
    environment("CRANK_SEED=7");
    test_capture();
    EXPECT_EQ(crank_run_with(&epoll, no_hash), 0);
    EXPECT_STR(test_captured(), "crank: note: CRANK_SEED has no effect: this run is on epoll, and the variable is for "
                                "the simulator (CRANK_BACKEND=sim)\n");
    environment("CRANK_CHOICES=3:1");
    test_capture();
    EXPECT_EQ(crank_run_with(&epoll, no_hash), 0);
    EXPECT_CONTAINS(test_captured(), "crank: note: CRANK_CHOICES has no effect");
    environment("CRANK_SEED=7");
    test_capture();
    EXPECT_EQ(crank_run_with(&sim, some_work), 0);
    EXPECT_STR(test_captured(), "");
}

static int year(void) { return crank_sleep(365.25 * 86400); }
TEST(simulator, a_year_passes_at_once) { EXPECT_EQ(crank_run_with(&sim, year), 0); }

/* ---- stacks */

static int deep_frames(int depth)
{
    volatile char frame[4096];
    memset((char *)(uintptr_t)frame, depth, sizeof frame);
    if (depth > 0)
        return deep_frames(depth - 1) + frame[17] * 0;
    return crank_sleep(0);
}

TEST(stack, is_as_large_as_asked)
{
    EXPECT_EQ(crank_run_with(&sim, deep_frames, 40), 0);
    crank_options large = { .backend = CRANK_BACKEND_SIM, .stack_size = 4 << 20 };
    EXPECT_EQ(crank_run_with(&large, deep_frames, 900), 0);
    crank_options largest = { .backend = CRANK_BACKEND_SIM, .stack_size = 8 << 20 };
    EXPECT_EQ(crank_run_with(&largest, deep_frames, 1900), 0);
    crank_options too_large = { .backend = CRANK_BACKEND_SIM, .stack_size = 1 << 30 };
    EXPECT_EQ(crank_run_with(&too_large, deep_frames, 1), -EINVAL);
    crank_error_clear();
}

static int errno_is_ones_own(int value)
{
    errno = value;
    crank_try(crank_sleep(0));
    EXPECT_EQ(errno, value);
    crank_try(crank_sleep(0.001));
    EXPECT_EQ(errno, value);
    return 0;
}
TEST_EACH_BACKEND(errno, is_each_tasks_own)
{
    return crank_gather(NULL, crank_spawn(errno_is_ones_own, 5), crank_spawn(errno_is_ones_own, 7));
}
