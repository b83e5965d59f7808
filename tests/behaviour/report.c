/* SPDX-License-Identifier: MIT */
/* report.c: how much a report says, and how it looks on a terminal. */
#include "base/base.h"
#include "greedy.h"
#include "trail.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- lists that are cut */

static char reported[20000];
static int kinds[8];
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    kinds[report->kind]++;
    if (report->kind == CRANK_REPORT_DEADLOCK || report->kind == CRANK_REPORT_SWALLOWED)
        snprintf(reported, sizeof reported, "%s", report->text);
}
static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static int wait_for(crank_event *event) { return crank_event_wait(event); }
static int lose_many(int count)
{
    CRANK_EVENT(event);
    CRANK_GROUP(group);
    for (int i = 0; i < count; i++)
        crank_group_spawn(&group, wait_for, event);
    return crank_group_wait(&group);
}
TEST(deadlock, of_many_tasks_shows_a_hundred_and_the_number_of_the_others)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    EXPECT_EQ(crank_run_with(&options, lose_many, 149), -EDEADLK);
    EXPECT_CONTAINS(reported, "crank: deadlock: 150 tasks wait and nothing can wake them\n");
    EXPECT_EQ(occurrences(reported, "spawned at"), 100);
    EXPECT_CONTAINS(reported, "\n  and 50 more\n");
    EXPECT_EQ(crank_run_with(&options, lose_many, 99), -EDEADLK);
    EXPECT_EQ(occurrences(reported, "spawned at"), 100);
    EXPECT_EQ(occurrences(reported, " more\n"), 0);
}

static int wait_for_a_future(void)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    crank_set_name(future, "answer");
    return crank_gather((int *)NULL, future);
}
TEST(deadlock, names_the_future_that_a_task_waits_for)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    EXPECT_EQ(crank_run_with(&options, wait_for_a_future), -EDEADLK);
    EXPECT_CONTAINS(reported, "\n    up to future 'answer'\n");
}

static int ignores_requests(void)
{
    for (int i = 0; i < 2; i++)
        (void)crank_sleep(100);
    return 0;
}
static int minds_requests(void) { return crank_sleep(1000); }
static int leave_many(int count)
{
    for (int i = 0; i < count; i++) {
        crank_detach(crank_spawn(ignores_requests));
        crank_detach(crank_spawn(minds_requests));
    }
    return crank_sleep(1);
}
/* Those that have ended as they were asked to are not among them. */
TEST(leftovers, that_ignore_requests_are_shown_up_to_twenty_and_the_number_of_the_others)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep, .grace = 5 };
    EXPECT_EQ(crank_run_with(&options, leave_many, 33), 0);
    EXPECT_EQ(kinds[CRANK_REPORT_SWALLOWED], 1);
    EXPECT_CONTAINS(reported, "33 tasks have not ended within 5 s of being asked");
    EXPECT_EQ(occurrences(reported, "ignores_requests"), 20);
    EXPECT_EQ(occurrences(reported, "minds_requests"), 0);
    EXPECT_CONTAINS(reported, "\n  and 13 more\n");
}

/* ---- an app that Ctrl-C does not end */

static int takes_two_requests(void)
{
    raise(SIGINT);
    double begun = crank_time();
    for (int i = 0; i < 2; i++) {
        int err = crank_sleep(3600);
        say("%d after %g", err, crank_time() - begun);
    }
    return 0;
}
TEST(interrupt, that_app_ignores_is_reported_and_repeated_when_the_grace_is_over)
{
    const crank_options options = {
        .backend = CRANK_BACKEND_SIM, .handle_interrupt = true, .on_report = keep, .grace = 5
    };
    EXPECT_EQ(crank_run_with(&options, takes_two_requests), -EINTR);
    EXPECT_TRAIL("-125 after 0 -125 after 5");
    EXPECT_EQ(kinds[CRANK_REPORT_SWALLOWED], 1);
    EXPECT_CONTAINS(reported, "1 task has not ended within 5 s of being asked");
    EXPECT_CONTAINS(reported, "takes_two_requests");
}

/* ---- colour */

static char said[8192];

static void read_all(int fd)
{
    size_t length = 0;
    ssize_t got; /* of a terminal that its last process has left: EIO */
    while ((got = read(fd, said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
}

/* What app's run writes to a terminal of the given kind; its wait status. */
static int on_terminal(int (*app)(void), const char *kind, const char *no_color)
{
    char name[64];
    int master = test_descriptor(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)), status = 0;
    EXPECT(master >= 0);
    EXPECT_EQ(grantpt(master) | unlockpt(master) | ptsname_r(master, name, sizeof name), 0);
    int terminal = test_descriptor(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(terminal, STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        setenv("TERM", kind, 1);
        setenv("NO_COLOR", no_color, 1);
        const crank_options options = { .backend = CRANK_BACKEND_SIM };
        (void)crank_run_with(&options, app);
        _exit(0);
    }
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(fcntl(master, F_SETFL, O_NONBLOCK), 0);
    read_all(master);
    return status;
}
static int overflows(void) { return (int)crank_await(crank_spawn(greedy, 0)); }
static int loses_an_event(void)
{
    CRANK_EVENT(event);
    return crank_event_wait(event);
}

TEST(report, has_a_red_head_on_a_terminal)
{
    (void)on_terminal(loses_an_event, "xterm", "");
    EXPECT_CONTAINS(said, "\033[1;31mcrank: deadlock:\033[0m 1 task waits");
}
TEST(report, of_an_overflow_has_a_red_head_too)
{
    int status = on_terminal(overflows, "xterm", "");
    EXPECT(CR_TSAN || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)); /* it exits in the signal's place */
    EXPECT_CONTAINS(said, "\033[1;31mcrank: stack overflow:\033[0m ");
    EXPECT_CONTAINS(said, "greedy");
}
TEST(report, has_no_colour_where_none_is_wanted_or_known)
{
    (void)on_terminal(overflows, "xterm", "1");
    EXPECT_CONTAINS(said, "crank: stack overflow: ");
    EXPECT(!strchr(said, '\033'));
    (void)on_terminal(overflows, "dumb", "");
    EXPECT_CONTAINS(said, "crank: stack overflow: ");
    EXPECT(!strchr(said, '\033'));
}

/* A daemon may have closed it: nothing can be said then, and it dies as it would have. */
static int overflows_unheard(void)
{
    close(STDERR_FILENO);
    return overflows();
}
TEST(report, of_an_overflow_that_cannot_be_written_changes_nothing)
{
    int status = on_terminal(overflows_unheard, "xterm", "");
    EXPECT(CR_TSAN || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
    EXPECT_STR(said, "");
}
