/* SPDX-License-Identifier: MIT */
/* hook.c: what an error hook may call, wherever the report that it is given was found. */
#include "jobs.h"

static int reports;
static int noted_errno = -1;
static crank_task *noted;
static crank_task *known;

static int fail(void) { return -EIO; }
static int count(void)
{
    atomic_fetch_add(&ran, 1);
    return crank_sleep(1);
}
static void reset_all(void)
{
    reset();
    reports = 0;
    noted_errno = -1;
    noted = known = NULL;
}

/* Run app on each backend, with this hook. */
static void run_with_hook(
    void (*hook)(const crank_report *, void *), bool debug, int (*app)(void), void (*expect)(void))
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        crank_options options = { .backend = backends[i], .on_report = hook, .debug = debug };
        reset_all();
        EXPECT_EQ(crank_run_with(&options, app), 0);
        expect();
    }
}

/* ---- spawning */

static void spawn_in_hook(const crank_report *report, void *arg)
{
    (void)report;
    (void)arg;
    reports++;
    errno = 0;
    noted = crank_spawn(count);
    noted_errno = errno;
    if (noted)
        crank_drop(noted);
}
static void expect_shut(void)
{
    EXPECT_EQ(reports, 1);
    EXPECT(!noted);
    EXPECT_EQ(noted_errno, ESHUTDOWN);
    EXPECT_EQ(atomic_load(&ran), 0);
}
static void expect_ran(void)
{
    EXPECT_EQ(reports, 1);
    EXPECT(noted);
    EXPECT_EQ(atomic_load(&ran), 1);
}

static int keeps_a_failure(void)
{
    (void)crank_spawn(fail);
    return crank_sleep(0);
}
TEST(report_hook, that_spawns_as_app_ends_is_told_shutdown)
{
    run_with_hook(spawn_in_hook, false, keeps_a_failure, expect_shut);
}

static void job_in_hook(const crank_report *report, void *arg)
{
    (void)report;
    (void)arg;
    reports++;
    errno = 0;
    noted = crank_to_thread(count_run);
    noted_errno = errno;
    EXPECT(!(crank_future_new)());
}
TEST(report_hook, that_wants_a_job_as_app_ends_is_told_shutdown)
{
    run_with_hook(job_in_hook, false, keeps_a_failure, expect_shut);
}

static int drops_a_late_failure(void)
{
    crank_drop(crank_spawn(fail));
    return 0;
}
TEST(report_hook, may_spawn_while_app_waits_for_its_last_child)
{
    run_with_hook(spawn_in_hook, false, drops_a_late_failure, expect_ran);
}

static int detaches_a_failure(void)
{
    crank_detach(crank_spawn(fail));
    return crank_sleep(1);
}
TEST(report_hook, may_spawn_while_app_runs) { run_with_hook(spawn_in_hook, false, detaches_a_failure, expect_ran); }

static int drops_a_failure(void)
{
    crank_task *t = crank_spawn(fail);
    crank_try(crank_sleep(0));
    crank_drop(t);
    return 0;
}
TEST(report_hook, may_spawn_beneath_the_task_that_gives_up_a_handle)
{
    run_with_hook(spawn_in_hook, false, drops_a_failure, expect_ran);
}

static int fails_when_cancelled(void)
{
    (void)crank_sleep(CRANK_FOREVER);
    return -EIO;
}
static int leaves_a_detached_failure(void)
{
    crank_detach(crank_spawn(fails_when_cancelled));
    return crank_sleep(0);
}
TEST(report_hook, that_spawns_when_app_has_ended_is_told_shutdown)
{
    run_with_hook(spawn_in_hook, false, leaves_a_detached_failure, expect_shut);
}

/* ---- giving up */

static void drop_in_hook(const crank_report *report, void *arg)
{
    (void)report;
    (void)arg;
    crank_drop(known);
}
static int deaf(void)
{
    double until = crank_time() + 30;
    while (crank_time() < until)
        (void)crank_sleep(1);
    return 0;
}
static int leaves_a_deaf_one(void)
{
    known = crank_spawn(deaf);
    return 0;
}
/* The report names the task that is awaited, which then ends within it. */
static void detach_in_hook(const crank_report *report, void *arg)
{
    (void)arg;
    if (report->kind != CRANK_REPORT_SWALLOWED || !report->task || strcmp(report->task, "leaver") != 0)
        return;
    reports++;
    crank_detach(known);
}
static int awaits_a_leaver(void)
{
    crank_task *leaver = crank_spawn(leaves_a_deaf_one);
    crank_set_name(leaver, "leaver");
    crank_try(crank_sleep(1));
    crank_cancel(leaver);
    crank_try(crank_await(leaver));
    double start = crank_time();
    crank_try(crank_sleep(15));
    return crank_time() - start == 15 ? 0 : 1;
}
TEST(report_hook, may_end_the_task_that_is_awaited_and_named)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = detach_in_hook };
    reset_all();
    EXPECT_EQ(crank_run_with(&options, awaits_a_leaver), 0);
    EXPECT_EQ(reports, 1);
}

static int keeps_a_known_failure(void)
{
    known = crank_spawn(fail);
    return crank_sleep(0);
}
static int drops_a_known_failure(void)
{
    crank_try(keeps_a_known_failure());
    crank_drop(known);
    return 0;
}
#define REFUSED(sentence, backend_, app) \
    TEST_CHECKS_OUTSIDE(report_hook, sentence, "is not the caller's to give up") \
    { \
        crank_options options = { .backend = backend_, .on_report = drop_in_hook }; \
        crank_run_with(&options, app); \
    }
REFUSED(that_drops_the_task_that_is_released_is_refused, CRANK_BACKEND_SIM, keeps_a_known_failure)
REFUSED(that_drops_the_task_that_is_released_is_refused_on_epoll, CRANK_BACKEND_EPOLL, keeps_a_known_failure)
REFUSED(that_drops_the_task_that_is_released_is_refused_on_uring, CRANK_BACKEND_URING, keeps_a_known_failure)
REFUSED(that_drops_a_task_again_is_refused, CRANK_BACKEND_SIM, drops_a_known_failure)

static void free_in_hook(const crank_report *report, void *arg)
{
    (void)report;
    (void)arg;
    crank_future_free((crank_future *)(void *)known);
}
static int frees_a_failed_future(void)
{
    crank_future *future = crank_future_new();
    known = crank_future_task(future);
    crank_try(crank_set_error(future, EIO, "gone"));
    crank_future_free(future);
    return 0;
}
TEST_CHECKS_OUTSIDE(report_hook, that_frees_the_future_that_is_freed_is_refused, "it was let go before")
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = free_in_hook };
    crank_run_with(&options, frees_a_failed_future);
}

/* ---- waiting */

static void wait_in_hook(const crank_report *report, void *arg)
{
    (void)report;
    (void)arg;
    (void)crank_sleep(1);
}
TEST_CHECKS_OUTSIDE(report_hook, that_waits_beneath_a_task_is_refused, "called in a callback of the loop")
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = wait_in_hook };
    crank_run_with(&options, drops_a_failure);
}

/* ---- other reports */

static crank_lock *first_lock, *second_lock;
static void free_lock_in_hook(const crank_report *report, void *arg)
{
    (void)arg;
    if (report->kind != CRANK_REPORT_HELD)
        return;
    reports++;
    crank_lock_free(first_lock);
    first_lock = NULL;
}
static int take_second(void)
{
    crank_try(crank_lock_acquire(first_lock));
    crank_lock_release(first_lock);
    return crank_lock_acquire(second_lock);
}
static int loses_a_lock(void)
{
    first_lock = crank_lock_new();
    second_lock = crank_lock_new();
    return (int)crank_await(crank_spawn(take_second));
}
static void expect_one_freed(void)
{
    EXPECT_EQ(reports, 1);
    EXPECT(!first_lock);
    free(second_lock); /* held for ever, which crank_lock_free refuses */
}
TEST(report_hook, may_free_another_lock_when_one_is_lost)
{
    run_with_hook(free_lock_in_hook, true, loses_a_lock, expect_one_freed);
}

/* A job that has not begun ends when it is abandoned. */
static void abandon_in_hook(const crank_report *report, void *arg)
{
    (void)arg;
    if (report->kind != CRANK_REPORT_LEFTOVER)
        return;
    reports++;
    if (noted)
        crank_abandon(noted);
    noted = NULL;
}
static int leaves_jobs(void)
{
    (void)crank_spawn(fails_when_cancelled);
    noted = crank_to_thread(count_run);
    (void)crank_spawn(count);
    return 0;
}
static void expect_reports(void) { EXPECT(reports >= 1); }
TEST(report_hook, may_abandon_a_task_that_is_named_as_app_ends)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        crank_options options = {
            .backend = backends[i], .on_report = abandon_in_hook, .debug = true, .leftovers = CRANK_CANCEL
        };
        reset_all();
        EXPECT_EQ(crank_run_with(&options, leaves_jobs), 0);
        expect_reports();
    }
}
