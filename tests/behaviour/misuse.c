/* SPDX-License-Identifier: MIT */
/* misuse.c: what a program is told of its own mistakes: in which form, to whom, and about what. */
#include "trail.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static char texts[16][4096];
static enum crank_report_kind kinds[16];
static char names[16][64];
static int reports;
static double reported_at; /* the last */
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    EXPECT(reports < 16);
    kinds[reports] = report->kind;
    reported_at = crank_time();
    snprintf(names[reports], sizeof names[0], "%s", report->task ? report->task : "");
    snprintf(texts[reports++], sizeof texts[0], "%s", report->text);
}
static const crank_options kept = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
static const crank_options debug = { .backend = CRANK_BACKEND_SIM, .on_report = keep, .debug = true };

static void expect_report(int at, enum crank_report_kind kind, const char *head)
{
    EXPECT(at < reports);
    EXPECT_EQ(kinds[at], kind);
    if (strncmp(texts[at], head, strlen(head)) != 0)
        test_fail(__FILE__, __LINE__, "\"%s\" does not begin with \"%s\"", texts[at], head);
    EXPECT_EQ(texts[at][strlen(texts[at]) - 1], '\n');
}

/* ---- a task that ends while it holds a lock */

static crank_lock *lock;
static int take_it(void) { return crank_lock_acquire(lock); }
static int take_and_return_it(void)
{
    crank_try(crank_lock_acquire(lock));
    crank_lock_release(lock);
    return 0;
}
static int take_it_in_line(void)
{
    crank_try(crank_lock_acquire(lock));
    return crank_sleep(1);
}
static int forgets(void)
{
    CRANK_WITH_LOCK(lock);
    crank_task *t = crank_spawn(take_it_in_line);
    crank_set_name(t, "forgetful");
    crank_try(crank_sleep(1));
    return 0;
}
/* Nobody can release it any more, and crank_lock_free insists. */
static void free_by_force(void) { free(lock); }

TEST(lost_lock, is_reported_when_its_holder_ends_in_debug_mode)
{
    lock = crank_lock_new();
    EXPECT_EQ(crank_run_with(&debug, forgets), 0);
    EXPECT_EQ(reports, 1);
    expect_report(0, CRANK_REPORT_HELD, "crank: lost lock: task 'forgetful' has returned and holds lock 0x");
    EXPECT_STR(names[0], "forgetful");
    EXPECT_CONTAINS(texts[0], "fn=take_it_in_line spawned at misuse.c:");
    EXPECT(!strstr(texts[0], "it took it at")); /* it was handed over: nobody else's place is said */
    free_by_force();
}

static int forgets_at_once(void) { return (int)crank_await(crank_spawn(take_it)); }
TEST(lost_lock, says_where_it_was_taken)
{
    lock = crank_lock_new();
    EXPECT_EQ(crank_run_with(&debug, forgets_at_once), 0);
    expect_report(0, CRANK_REPORT_HELD, "crank: lost lock: ");
    char place[128];
    snprintf(place, sizeof place, "; it took it at %s+0x", program_invocation_short_name);
    EXPECT_CONTAINS(texts[0], place);
    free_by_force();
}

static int takes_turns(void)
{
    for (int i = 0; i < 20; i++)
        crank_try(crank_gather(NULL, crank_spawn(take_and_return_it), crank_spawn(take_and_return_it)));
    crank_try(crank_lock_acquire_nowait(lock));
    crank_lock_release(lock);
    return 0;
}
TEST(lost_lock, is_none_that_was_released_or_freed)
{
    lock = crank_lock_new();
    EXPECT_EQ(crank_run_with(&debug, takes_turns), 0);
    EXPECT_EQ(crank_run_with(&debug, takes_turns), 0);
    crank_lock_free(lock);
    EXPECT_EQ(reports, 0);
}

static int take_late(void)
{
    crank_try(crank_sleep(1));
    return crank_lock_acquire(lock);
}
static int hold_too_long(void)
{
    crank_try(crank_lock_acquire(lock));
    return crank_sleep(2);
}
static int waits_for_a_lost_lock(void)
{
    crank_task *holder = crank_spawn(hold_too_long);
    crank_set_name(holder, "holder");
    return crank_gather(NULL, holder, crank_spawn(take_late));
}
TEST(lost_lock, stays_held_and_a_deadlock_names_it)
{
    lock = crank_lock_new();
    EXPECT_EQ(crank_run_with(&kept, waits_for_a_lost_lock), -EDEADLK);
    EXPECT_EQ(reports, 1);
    expect_report(0, CRANK_REPORT_DEADLOCK, "crank: deadlock: 2 tasks wait");
    EXPECT_CONTAINS(texts[0], "held by ");
    EXPECT(crank_lock_held(lock));
    free_by_force();
}

static crank_lock *others[3];
static int forgets_one_of_three(int one)
{
    for (int i = 0; i < 3; i++)
        crank_try(crank_lock_acquire(others[i]));
    for (int i = 0; i < 3; i++) {
        if (i == one)
            continue;
        crank_lock_release(others[i]);
        crank_lock_free(others[i]);
    }
    return 0;
}
TEST(lost_lock, is_reported_whichever_of_several_it_is)
{
    for (int one = 0; one < 3; one++) {
        for (int i = 0; i < 3; i++)
            others[i] = crank_lock_new();
        reports = 0;
        EXPECT_EQ(crank_run_with(&debug, forgets_one_of_three, one), 0);
        EXPECT_EQ(reports, 1);
        char text[64];
        snprintf(text, sizeof text, "has returned and holds lock %p", (void *)others[one]);
        EXPECT_CONTAINS(texts[0], text);
        free(others[one]); /* by force, as above */
    }
}

/* ---- exit while tasks ignore their cancellation */

static int deaf(double seconds)
{
    for (double end = crank_time() + seconds; crank_time() < end;)
        (void)crank_sleep(0.7); /* it sleeps when the grace period ends */
    return 0;
}
static int leaves_deaf_ones(void)
{
    for (int i = 0; i < 2; i++) {
        crank_task *t = crank_spawn(deaf, 25.0);
        crank_set_name(t, i ? "second" : "first");
        crank_detach(t);
    }
    return crank_sleep(0.5);
}
TEST(exit, while_tasks_ignore_their_cancellation_names_all_of_them_once)
{
    EXPECT_EQ(crank_run_with(&kept, leaves_deaf_ones), 0);
    EXPECT_EQ(reports, 1); /* at 10.5 of 25 seconds, and not again at 20.5 */
    expect_report(
        0, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: 2 tasks have not ended within 10 s of being asked");
    EXPECT_CONTAINS(texts[0], "name='first' fn=deaf spawned at misuse.c:");
    EXPECT_CONTAINS(texts[0], "name='second'");
    EXPECT_CONTAINS(texts[0], "sleeps");
}

static int leaves_obedient_ones(void)
{
    crank_detach(crank_spawn(crank_sleep, 100.0));
    return crank_sleep(0.5);
}
TEST(exit, with_tasks_that_end_when_asked_is_silent)
{
    EXPECT_EQ(crank_run_with(&kept, leaves_obedient_ones), 0);
    EXPECT_EQ(reports, 0);
}

static int fails_with_deaf_child(void)
{
    crank_set_name(crank_spawn(deaf, 15.0), "child");
    crank_try(crank_sleep(1));
    return -EIO;
}
static int done_at_once(void) { return 0; }
static int fails_with_others_and_a_deaf_child(void)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    EXPECT(future && crank_spawn(done_at_once));
    crank_set_name(crank_spawn(deaf, 15.0), "child");
    crank_try(crank_sleep(1));
    return -EIO;
}
static int (*failing)(void);
static int awaits_the_failing(void)
{
    double started = crank_time();
    int err = (int)crank_await(crank_spawn(failing));
    EXPECT(crank_time() > started + 15);
    return err;
}
TEST(exit, of_a_failed_task_waits_for_its_children_and_names_them)
{
    for (int i = 0; i < 2; i++) {
        failing = i == 0 ? fails_with_deaf_child : fails_with_others_and_a_deaf_child;
        reports = 0;
        EXPECT_EQ(crank_run_with(&kept, awaits_the_failing), -EIO);
        EXPECT_EQ(reports, 1);
        expect_report(0, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: a task has not ended within 10 s");
        EXPECT_CONTAINS(texts[0], "name='child' fn=deaf");
    }
}
static int leaves_children(void)
{
    crank_set_name(crank_spawn(deaf, 15.0), "child");
    return crank_sleep(1);
}
TEST(exit, of_app_with_unwanted_children_names_them)
{
    crank_options options = kept;
    options.leftovers = CRANK_CANCEL;
    EXPECT_EQ(crank_run_with(&options, leaves_children), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(texts[0], "name='child' fn=deaf");
}

static int never_ends(void)
{
    crank_set_name(NULL, "stubborn");
    int err = 0;
    while (err != -ENOMEM)
        err = crank_shield(crank_sleep(CRANK_FOREVER));
    return err;
}
TEST(exit, that_gives_tasks_up_names_them)
{
    EXPECT_EQ(crank_run_with(&kept, never_ends), -EDEADLK);
    EXPECT_EQ(reports, 2);
    expect_report(0, CRANK_REPORT_DEADLOCK, "crank: deadlock: 1 task waits");
    expect_report(1, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: 1 task has been given up");
    EXPECT_CONTAINS(texts[1], "name='stubborn'");
}

/* It takes every request to end for a mere end of the wait. */
static crank_event *never;
static int waits_for_ever(void)
{
    while (!crank_event_is_set(never))
        (void)crank_event_wait(never);
    return 0;
}
static int fails_with_one_that_waits(double after)
{
    crank_set_name(crank_spawn(waits_for_ever), "deaf");
    crank_try(crank_sleep(after));
    return -EIO;
}
static int fail_one_after_another(void)
{
    crank_task *first = crank_spawn(fails_with_one_that_waits, 1.0);
    crank_task *second = crank_spawn(fails_with_one_that_waits, 4.0);
    return crank_gather(NULL, first, second);
}
static int awaits_one_in_time(void) { return (int)crank_within(1, crank_await(crank_spawn(waits_for_ever))); }
static int groups_one(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, waits_for_ever);
    return 0;
}
static int gathers_them_in_time(void)
{
    return (int)crank_within(1, crank_gather(NULL, crank_spawn(waits_for_ever), crank_spawn(waits_for_ever)));
}
static int (*const waiting_for_the_deaf[])(
    void) = { fail_one_after_another, awaits_one_in_time, groups_one, gathers_them_in_time };

/* A run of app, which leaves some of them: they are given up, and what they wait for is nobody's then. */
static void run_into_deadlock(int (*app)(void))
{
    never = crank_event_new();
    reports = 0;
    EXPECT_EQ(crank_run_with(&kept, app), -EDEADLK);
    free(never);
}

/* Each names whom it waits for once its period is over, and none keeps the run going for another's period. */
TEST(exit, of_several_that_wait_for_deaf_ones_is_a_deadlock_when_nothing_else_goes_on)
{
    for (size_t i = 0; i < CRANK_COUNT(waiting_for_the_deaf); i++) {
        run_into_deadlock(waiting_for_the_deaf[i]);
        EXPECT(reports >= 3);
        expect_report(0, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: a task has not ended within 10 s");
        expect_report(reports - 2, CRANK_REPORT_DEADLOCK, "crank: deadlock: ");
        expect_report(reports - 1, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: ");
        EXPECT_CONTAINS(texts[reports - 1], "been given up");
    }
}

static double began_at;
static int detaches_a_deaf_one(void)
{
    began_at = crank_time();
    crank_detach(crank_spawn(waits_for_ever));
    return crank_sleep(0.5);
}
TEST(exit, with_a_deaf_detached_task_is_a_deadlock_once_its_period_is_over)
{
    run_into_deadlock(detaches_a_deaf_one);
    EXPECT_EQ(reports, 3);
    expect_report(0, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: 1 task has not ended within 10 s");
    expect_report(1, CRANK_REPORT_DEADLOCK, "crank: deadlock: ");
    expect_report(2, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: 1 task has been given up");
    EXPECT(reported_at == began_at + 10.5);
}

static int fail_two_at_once(void)
{
    began_at = crank_time();
    crank_task *first = crank_spawn(fails_with_one_that_waits, 1.0);
    crank_task *second = crank_spawn(fails_with_one_that_waits, 1.0);
    return crank_gather(NULL, first, second);
}
TEST(exit, after_periods_that_end_together_is_a_deadlock_at_once)
{
    run_into_deadlock(fail_two_at_once);
    EXPECT(reported_at == began_at + 11);
}

static int detaches_one_with_a_deaf_child(void)
{
    crank_detach(crank_spawn(fails_with_one_that_waits, 1.0));
    return crank_sleep(0.5);
}
TEST(exit, asks_a_tasks_deaf_child_again_and_does_not_name_it_again)
{
    run_into_deadlock(detaches_one_with_a_deaf_child);
    EXPECT_EQ(reports, 4);
    expect_report(0, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: a task has not ended within 10 s");
    expect_report(1, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: 2 tasks have not ended within 10 s");
    expect_report(2, CRANK_REPORT_DEADLOCK, "crank: deadlock: ");
    expect_report(3, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: 2 tasks have been given up");
}

static crank_stream *ends[2];
static int reads_for_ever(void)
{
    char byte;
    crank_try(crank_pipe(&ends[0], &ends[1]));
    for (;;)
        if (crank_read(ends[0], &byte, 1) == 1)
            return 0;
}
/* The read is with the backend still, when its task's memory goes. */
TEST(exit, with_a_deaf_task_that_reads_ends_the_read_before_the_task)
{
    run_into_deadlock(reads_for_ever);
    EXPECT_EQ(reports, 2);
    expect_report(1, CRANK_REPORT_SWALLOWED, "crank: ignored cancellation: 1 task has been given up");
    free(ends[0]);
    free(ends[1]);
}

/* ---- one form */

static int doomed(void) { return crank_fail(EIO, "the disk is on fire"); }
static int drops_a_failure(void)
{
    crank_drop(crank_spawn(doomed));
    return 0;
}
TEST(report, of_a_failure_nobody_awaited_has_the_form_of_all)
{
    EXPECT_EQ(crank_run_with(&kept, drops_a_failure), 0);
    EXPECT_EQ(reports, 1);
    expect_report(0, CRANK_REPORT_UNAWAITED, "crank: unawaited failure: task '");
    EXPECT_CONTAINS(texts[0], "the disk is on fire");
}

/* What app prints with a terminal for stderr. */
static const char *on_a_terminal(int (*app)(void), const char *variable)
{
    static char said[4096];
    char *environment[] = { (char *)(uintptr_t) "TERM=xterm", (char *)(uintptr_t)variable, NULL };
    extern char **environ;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0)
        test_skip("no pseudo terminal to be had");
    int inside = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT(inside >= 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(inside, STDERR_FILENO);
        environ = variable && strncmp(variable, "TERM", 4) == 0 ? environment + 1 : environment;
        crank_options options = { .backend = CRANK_BACKEND_SIM };
        _exit((int)crank_run_with(&options, app));
    }
    close(inside);
    size_t length = 0;
    ssize_t got;
    while ((got = read(terminal, said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    close(terminal);
    EXPECT_EQ(waitpid(pid, NULL, 0), pid);
    return said;
}
static int misuses(void)
{
    crank_lock_release(lock);
    return 0;
}
TEST(report, is_coloured_on_a_terminal_that_can_and_whose_user_does_not_object)
{
    EXPECT_CONTAINS(on_a_terminal(drops_a_failure, NULL), "\033[1;31mcrank: unawaited failure:\033[0m task '");
    EXPECT_CONTAINS(on_a_terminal(drops_a_failure, "NO_COLOR="), "\033[1;31mcrank: unawaited failure:\033[0m task");
    EXPECT(!strchr(on_a_terminal(drops_a_failure, "NO_COLOR=1"), '\033'));
    EXPECT(!strchr(on_a_terminal(drops_a_failure, "TERM=dumb"), '\033'));
    lock = crank_lock_new();
    EXPECT_CONTAINS(on_a_terminal(misuses, NULL), "\033[1;31mcrank: CHECK:\033[0m crank_lock_release:");
    crank_lock_free(lock);
}
TEST(report, has_no_colour_elsewhere)
{
    test_capture();
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, drops_a_failure), 0);
    EXPECT_CONTAINS(test_captured(), "crank: unawaited failure: task '");
    EXPECT(!strchr(test_captured(), '\033'));
}

/* ---- where the call is written */

static int give_one(void) { return 1; }
static void spawn_outside(void) { (void)crank_spawn(give_one); }
TEST_CHECKS_OUTSIDE(check, of_a_spawn_outside_a_run_tells_where_it_is_written, "in spawn_outside, the call of give_one")
{
    spawn_outside();
}
TEST_CHECKS_OUTSIDE(check, of_a_job_outside_a_run_tells_where_it_is_written, "misuse.c:")
{
    (void)crank_to_thread(give_one);
}
static double give_half(void) { return 0.5; }
TEST_CHECKS(check, of_a_generator_of_doubles_tells_where_it_is_written, "misuse.c:")
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(give_half);
    return g != NULL;
}
