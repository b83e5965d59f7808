/* SPDX-License-Identifier: MIT */
/* stream_end.c: closing a stream, by a call or at the end of its block, of a task that was asked to stop or of a stream
 * that cannot be written: neither the request nor the error is lost. */
#include <fcntl.h>

#include "scratch.h"
#include "task/record.h"

/* The request made of the running task is still there, and is answered once. */
static int expect_request(void)
{
    EXPECT_EQ(crank_sleep(3), -ECANCELED);
    EXPECT_EQ(crank_sleep(0), 0);
    return 0;
}

/* ---- Asked before ---- */

/* Woken and asked to stop at one moment: the event's result wins, and the request stays. */
static int wait_with_a_stream(crank_event *go, bool *waits)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open("/dev/null", "w"));
    crank_try(crank_write(s, "x", 1));
    *waits = true;
    return crank_event_wait(go);
}
static int wait_and_be_asked(crank_event *go, bool *waits)
{
    EXPECT_EQ(wait_with_a_stream(go, waits), 0);
    return expect_request();
}
TEST_EACH_BACKEND(auto_stream, leaves_a_request_to_the_next_wait)
{
    CRANK_EVENT(go);
    bool waits = false;
    crank_task *worker = crank_spawn(wait_and_be_asked, go, &waits);
    while (!waits && !crank_done(worker))
        crank_try(crank_sleep(0.0005));
    crank_event_set(go);
    EXPECT_EQ(crank_cancel(worker), 0);
    crank_try(crank_await(worker));
    return 0;
}

static int wake_and_fail(crank_event *go, const bool *waits)
{
    while (!*waits)
        crank_try(crank_sleep(0.0005));
    crank_event_set(go);
    return -EIO;
}
TEST_EACH_BACKEND(auto_stream, leaves_a_groups_failure_to_the_next_wait)
{
    CRANK_EVENT(go);
    bool waits = false;
    CRANK_GROUP(group);
    crank_group_spawn(&group, wake_and_fail, go, &waits);
    EXPECT_EQ(wait_with_a_stream(go, &waits), 0);
    crank_try(expect_request());
    EXPECT_EQ(crank_group_wait(&group), -EIO);
    return 0;
}

static int close_full_when_asked(void)
{
    crank_stream *s = crank_try(crank_open("/dev/full", "w"));
    EXPECT_EQ(crank_write(s, "x", 1), 0);
    EXPECT_EQ(crank_cancel_because(crank_self(), "the shop closes"), 0);
    EXPECT_EQ(crank_close(s), -ENOSPC);
    EXPECT_CONTAINS(crank_error(), "/dev/full");
    crank_try(expect_request());
    EXPECT_STR(crank_error(), "the shop closes");
    return 0;
}
TEST_EACH_BACKEND(close, that_fails_leaves_a_request_to_the_next_wait)
{
    EXPECT_EQ(crank_await(crank_spawn(close_full_when_asked)), 0);
    return 0;
}

static int close_shielded(void)
{
    crank_stream *s = crank_try(crank_open("/dev/null", "w"));
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    EXPECT_EQ(crank_shield(crank_close(s)), 0);
    return expect_request();
}
TEST_EACH_BACKEND(close, in_a_shield_leaves_a_request_to_the_first_wait_after_it)
{
    EXPECT_EQ(crank_await(crank_spawn(close_shielded)), 0);
    return 0;
}

static int leave_without_a_scope(void)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open("/dev/null", "w"));
    crank_try(crank_write(s, "x", 1));
    cr_task_state_of(cr_loop_here)->out_of_memory = cr_self()->id; /* as where a scope could not be made */
    return 0;
}
TEST_SIM(auto_stream, leaves_it_to_the_next_wait_to_say_that_a_scope_could_not_be_made)
{
    EXPECT_EQ(leave_without_a_scope(), 0);
    EXPECT_EQ(crank_sleep(1), -ENOMEM);
    EXPECT_EQ(crank_sleep(0), 0);
    return 0;
}

/* ---- Asked while it waits for a pipe ---- */

enum { FULL = 200000 }; /* more than a pipe takes */

/* A pipe by name, which the test can empty by the descriptor. */
static int open_pipe(const char **ret_path)
{
    *ret_path = scratch("p");
    EXPECT_EQ(mkfifo(*ret_path, 0600), 0);
    int fd = open(*ret_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    EXPECT(fd >= 0);
    return test_descriptor(fd);
}

static int leave_full_when_asked(bool *leaves)
{
    const char *path;
    (void)open_pipe(&path);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "w"));
    crank_try(crank_write(s, test_memory(FULL), FULL));
    *leaves = true;
    return crank_cancel(crank_self());
}
static int leave_full_and_be_asked(bool *leaves)
{
    EXPECT_EQ(leave_full_when_asked(leaves), 0);
    EXPECT_EQ(crank_cancelling(NULL), 2);
    return expect_request();
}
static int give_up(void)
{
    bool leaves = false;
    crank_task *worker = crank_spawn(leave_full_and_be_asked, &leaves);
    while (!leaves && !crank_done(worker))
        crank_try(crank_sleep(0.0005));
    crank_try(crank_sleep(0.001));
    EXPECT(!crank_done(worker));
    EXPECT_EQ(crank_cancel(worker), 0);
    crank_try(crank_await(worker));
    return 0;
}
TEST_EACH_BACKEND(auto_stream, on_a_pipe_nobody_empties_is_given_up_at_the_next_request_which_stays)
{
    return give_up();
}

static int close_full_when_asked_before(const char *path)
{
    crank_stream *s = crank_try(crank_open(path, "w"));
    int err = crank_write(s, test_memory(FULL), FULL);
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    EXPECT_EQ(crank_close(s), -ECANCELED);
    EXPECT_EQ(crank_sleep(0), 0); /* both were answered */
    return err < 0 ? err : (int)crank_cancelling(NULL);
}
/* The next request comes at each moment: also when the task writes what fits, and will wait for the pipe after. */
TEST_EACH_BACKEND(close, when_asked_before_is_given_up_at_the_next_request)
{
    enum { sequence = 60 };
    static char piece[4096];
    const char *path;
    int fd = open_pipe(&path);
    for (int i = 0; i < sequence; i++) {
        crank_task *closer = crank_spawn(close_full_when_asked_before, path);
        do
            crank_try(crank_sleep(0.0002)); /* until the pipe is full, or nearly */
        while (read(fd, piece, sizeof piece) < 0 && !crank_done(closer));
        for (int turn = 0; turn < i; turn++)
            crank_try(crank_sleep(0));
        crank_cancel(closer);
        EXPECT_EQ(crank_try(crank_within(5, crank_await(closer))), 2);
        while (read(fd, piece, sizeof piece) > 0)
            continue;
    }
    return 0;
}

/* ---- What cannot be written ---- */

static int write_to(const char *path, size_t size)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "w"));
    return crank_write(s, test_memory(size), size);
}
TEST_EACH_BACKEND(auto_stream, that_loses_what_was_written_is_reported_with_path_error_and_remedy)
{
    test_capture();
    int err = write_to("/dev/full", 3);
    const char *said = test_captured();
    crank_try(err);
    EXPECT_CONTAINS(said, "crank: unawaited failure: task '");
    EXPECT_CONTAINS(said, " wrote to /dev/full, ");
    EXPECT_CONTAINS(said, ": No space left on device [ENOSPC]\n");
    EXPECT_CONTAINS(said, "crank_flush or crank_finish before the end of the block");
    return 0;
}

static int write_with_an_error_of_its_own(void)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open("/dev/full", "w"));
    crank_try(crank_write(s, "x", 1));
    return crank_fail(-EPROTO, "mine");
}
TEST_EACH_BACKEND(auto_stream, that_loses_what_was_written_leaves_the_blocks_own_error)
{
    test_capture();
    int err = write_with_an_error_of_its_own();
    EXPECT_CONTAINS(test_captured(), "[ENOSPC]");
    EXPECT_EQ(err, -EPROTO);
    EXPECT_STR(crank_error(), "mine");
    return 0;
}

static int write_and_flush(const char *path)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "w"));
    crank_try(crank_write(s, "x", 1));
    return crank_flush(s);
}
static int reports;
static void count(const crank_report *report, void *arg)
{
    (void)report, (void)arg;
    reports++;
}
static int lose_what_is_known(void)
{
    EXPECT_EQ(write_and_flush("/dev/full"), -ENOSPC);
    EXPECT_CONTAINS(crank_error(), "/dev/full");
    crank_error_clear();
    EXPECT_EQ(write_and_flush("/dev/null"), 0);
    return 0;
}
TEST(auto_stream, reports_no_loss_that_a_call_has_told_of)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = count };
    EXPECT_EQ(crank_run_with(&options, lose_what_is_known), 0);
    EXPECT_EQ(reports, 0);
}

TEST(auto_stream, reports_no_loss_by_a_request_to_cancel)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = count };
    EXPECT_EQ(crank_run_with(&options, give_up), 0);
    EXPECT_EQ(reports, 0);
}

static int read_only(void)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open("/dev/null", "r"));
    char byte;
    return (int)crank_read(s, &byte, 1);
}
static int read_and_lose_once(void)
{
    EXPECT_EQ(read_only(), 0);
    EXPECT_EQ(write_to("/dev/full", 1), 0);
    EXPECT_STR(crank_error(), "");
    return 0;
}
TEST(auto_stream, reports_each_loss_once_as_an_unawaited_failure)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = count };
    EXPECT_EQ(crank_run_with(&options, read_and_lose_once), 0);
    EXPECT_EQ(reports, 1);
}

/* ---- While another task is in a call ---- */

static int write_with_budget_spent(crank_stream *s)
{
    cr_loop_here->runner.budget = 1;
    return crank_write(s, "x", 1);
}
TEST_CHECKS(close, of_a_file_in_whose_call_another_task_makes_room_is_refused, "is still writing /dev/null")
{
    crank_stream *s = crank_try(crank_open("/dev/null", "w"));
    crank_task *writer = crank_spawn(write_with_budget_spent, s);
    crank_try(crank_sleep(0));
    EXPECT(!crank_done(writer));
    return crank_close(s);
}
