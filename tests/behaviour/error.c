/* SPDX-License-Identifier: MIT */
/* error.c: failures, their messages and traces, across functions, tasks and groups. */
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>
#include <pthread.h>

#include "trail.h"

static int fails(void) { return crank_fail(EPROTO, "nonsense: %s", "x"); }
static int middle(void)
{
    crank_try(fails());
    return 0;
}
static int top(void)
{
    crank_try(middle());
    return 0;
}

TEST_EACH_BACKEND(error, has_a_number_a_message_and_the_places_it_passed)
{
    EXPECT_EQ(top(), -EPROTO);
    EXPECT_STR(crank_error(), "nonsense: x");
    const crank_failure *f = crank_last_failure();
    EXPECT_EQ(f->error, -EPROTO);
    EXPECT_EQ(f->trace_count, 3);
    EXPECT_STR(f->trace[0].function, "fails");
    EXPECT(f->trace[0].what == NULL);
    EXPECT_STR(f->trace[1].function, "middle");
    EXPECT_STR(f->trace[1].what, "fails()");
    EXPECT_STR(f->trace[2].what, "middle()");
    crank_error_clear();
    EXPECT_STR(crank_error(), "");
    EXPECT(crank_last_failure() == NULL);
    return 0;
}

TEST_EACH_BACKEND(error, crosses_an_await_with_the_place_of_the_spawn)
{
    EXPECT_EQ(crank_await(crank_spawn(middle)), -EPROTO);
    char text[2048];
    crank_error_format(text, sizeof text);
    EXPECT_CONTAINS(text, "failed: nonsense: x [EPROTO]\n");
    EXPECT_CONTAINS(text, "in fails()\n");
    EXPECT_CONTAINS(text, "in middle(): fails()\n");
    EXPECT_CONTAINS(text, "task middle, spawned at ");
    EXPECT_EQ(crank_error_format(text, 10), crank_error_format(NULL, 0));
    EXPECT_EQ(strlen(text), 9);
    return 0;
}

TEST(error, that_there_is_none_has_an_empty_text_and_is_not_printed)
{
    char text[4] = "xyz";
    crank_error_clear();
    EXPECT_EQ(crank_error_format(text, sizeof text), 0);
    EXPECT_STR(text, "");
    EXPECT_EQ(crank_error_format(NULL, 0), 0);
    test_capture();
    crank_error_print();
    EXPECT_STR(test_captured(), "");
}

TEST(error, takes_either_sign_and_zero_counts_as_invalid)
{
    EXPECT_EQ(crank_fail(EIO, "a"), -EIO);
    EXPECT_EQ(crank_fail(-EIO, "b"), -EIO);
    EXPECT_EQ(crank_fail(0, "c"), -EINVAL);
    EXPECT_STR(crank_error(), "c");
    crank_error_clear();
}

TEST(error, works_outside_tasks_per_thread)
{
    EXPECT_EQ(top(), -EPROTO);
    EXPECT_STR(crank_error(), "nonsense: x");
    crank_error_clear();
}

TEST(error, cuts_a_long_message)
{
    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    EXPECT_EQ(crank_fail(EIO, "%s", longer), -EIO);
    EXPECT_EQ(strlen(crank_error()), 511);
    crank_error_clear();
}

TEST(error, names_numbers)
{
    EXPECT_STR(crank_errno_name(-ENOENT), "ENOENT");
    EXPECT_STR(crank_errno_name(ECANCELED), "ECANCELED");
    EXPECT_STR(crank_errno_name(-ENOTSUP), "ENOTSUP"); /* and not EOPNOTSUPP, the same number */
    EXPECT_STR(crank_errno_name(123456), "E?");
}

/* Of the number that has no positive counterpart. */
static int least(void) { return INT_MIN; }
static long least_long(void) { return LONG_MIN; }
static int try_least(void)
{
    crank_try(least());
    return 0;
}
TEST_SIM(error, of_the_least_number_there_is_has_words_like_any)
{
    EXPECT_STR(crank_errno_name(INT_MIN), "E?");
    EXPECT_EQ(try_least(), INT_MIN);
    EXPECT_STR(crank_error(), "unknown error");
    crank_outcome outcomes[2];
    EXPECT_EQ(crank_gather_settled(outcomes, crank_spawn(least), crank_spawn(least_long)), 0);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(outcomes[i].error, INT_MIN);
        EXPECT_STR(outcomes[i].message, "unknown error");
    }
    CRANK_GROUP(g);
    crank_group_spawn(&g, least);
    EXPECT_EQ(crank_group_wait(&g), INT_MIN);
    EXPECT_STR(crank_error(), "unknown error");
    return 0;
}

static int plain(void) { return -ENOENT; }
static int try_plain(void)
{
    crank_try(plain());
    return 0;
}
static long try_long(long v) { return crank_try(v); }

TEST(try, gives_a_plain_number_the_systems_words)
{
    EXPECT_EQ(try_plain(), -ENOENT);
    EXPECT_STR(crank_error(), "No such file or directory");
    EXPECT_EQ(try_long(5), 5);
    EXPECT_EQ(try_long(-5), -5);
    crank_error_clear();
}

static void *null_with_errno(void)
{
    errno = EBADF;
    return NULL;
}
static int try_pointer(void *p)
{
    (void)crank_try(p);
    return 7;
}
static int try_null(void)
{
    (void)crank_try(null_with_errno());
    return 0;
}
static char *pointer_function(int value)
{
    static char text[] = "text";
    crank_try_null(value);
    return text;
}

TEST(try, takes_pointers_and_serves_functions_that_return_them)
{
    int here;
    EXPECT_EQ(try_pointer(&here), 7);
    EXPECT_EQ(try_null(), -EBADF);
    EXPECT_STR(pointer_function(0), "text");
    EXPECT(pointer_function(-EIO) == NULL);
    EXPECT_EQ(errno, EIO);
    crank_error_clear();
}

static int with_goto(int value)
{
    int result = 0;
    crank_try_or(value, goto out);
    result = 1;
out:
    return result;
}

TEST(try, or_runs_a_statement)
{
    EXPECT_EQ(with_goto(0), 1);
    EXPECT_EQ(with_goto(-EIO), 0);
    crank_error_clear();
}

static int open_nothing(void)
{
    int fd = crank_try(crank_sys(open("/nonexistent/file", O_RDONLY)));
    return fd;
}

TEST(sys, turns_minus_one_into_a_failure_that_names_the_call)
{
    EXPECT_EQ(open_nothing(), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "open(\"/nonexistent/file\"");
    EXPECT_CONTAINS(crank_error(), "No such file");
    int fd = crank_sys(open("/dev/null", O_RDONLY));
    EXPECT(fd >= 0);
    close(fd);
    crank_error_clear();
}

static int deep_failure(int depth)
{
    if (depth == 0)
        return crank_fail(EIO, "at the bottom");
    crank_try(deep_failure(depth - 1));
    return 0;
}

TEST_EACH_BACKEND(error, a_deep_trace_keeps_both_ends)
{
    EXPECT_EQ(deep_failure(100), -EIO);
    const crank_failure *f = crank_last_failure();
    EXPECT_EQ(f->trace_count, 32);
    EXPECT(f->trace[0].what == NULL);
    EXPECT_STR(f->trace[31].what, "deep_failure(depth - 1)");
    return 0;
}

/* ---- what nobody awaits */

static char reported[8192];
static int reports;
static enum crank_report_kind kind;
static void keep(const crank_report *report, void *arg)
{
    reports++;
    kind = report->kind;
    EXPECT(arg == reported);
    snprintf(reported, sizeof reported, "%s", report->text);
}
static const crank_options kept = { .backend = CRANK_BACKEND_SIM, .on_report = keep, .on_report_arg = reported };

static int forget(void)
{
    crank_spawn(middle);
    return 0;
}
TEST(unawaited, failure_is_reported_once_with_its_trace)
{
    EXPECT_EQ(crank_run_with(&kept, forget), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_EQ(kind, CRANK_REPORT_UNAWAITED);
    EXPECT_CONTAINS(reported, "crank: unawaited failure: ");
    EXPECT_CONTAINS(reported, "nonsense: x [EPROTO]");
    EXPECT_CONTAINS(reported, "spawned at");
}

static int forget_plain(void)
{
    crank_drop(crank_spawn(plain));
    return crank_sleep(1);
}
TEST(unawaited, failure_of_a_dropped_task_is_reported_too)
{
    EXPECT_EQ(crank_run_with(&kept, forget_plain), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(reported, "ENOENT");
}

static int forget_the_least(void)
{
    crank_drop(crank_spawn(least));
    crank_drop(crank_spawn(least_long));
    return crank_sleep(1);
}
static int least_when_asked(void) { return crank_sleep(1) == -ECANCELED ? INT_MIN : 0; }
static int cancelled_before_it_awaits(void) { return (int)crank_await(crank_spawn(least_when_asked)); }
static int hide_the_least(void)
{
    crank_task *task = crank_spawn(cancelled_before_it_awaits);
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    return 0;
}
static int least_at_the_close(void)
{
    int err = crank_yield(1);
    return err < 0 ? INT_MIN : 0;
}
static int close_at_the_least(void)
{
    int value;
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(least_at_the_close);
    EXPECT_EQ(crank_next(g, &value), 1);
    return 0;
}
TEST(unawaited, failure_with_the_least_number_is_told_like_any)
{
    int (*const apps[])(void) = { forget_the_least, hide_the_least, close_at_the_least };
    for (size_t i = 0; i < CRANK_COUNT(apps); i++) {
        reports = 0;
        EXPECT_EQ(crank_run_with(&kept, apps[i]), 0);
        EXPECT_EQ(reports, i == 0 ? 2 : 1);
        EXPECT_CONTAINS(reported, "unknown error [E?]");
    }
}

static int awaited(void)
{
    EXPECT_EQ(crank_await(crank_spawn(middle)), -EPROTO);
    crank_task *t = crank_spawn(crank_sleep, 10.0);
    crank_try(crank_sleep(0));
    crank_cancel(t);
    return 0;
}
TEST(unawaited, is_not_said_of_what_was_awaited_or_cancelled)
{
    EXPECT_EQ(crank_run_with(&kept, awaited), 0);
    EXPECT_EQ(reports, 0);
}

static int fresh_failure(void) { return crank_fail(EIO, "of the second"); }
static int handle_then_fail(void)
{
    EXPECT_EQ(middle(), -EPROTO);
    crank_try(fresh_failure());
    return 0;
}
TEST_EACH_BACKEND(error, a_new_one_takes_the_place_of_one_that_was_dealt_with)
{
    EXPECT_EQ(crank_await(crank_spawn(handle_then_fail)), -EIO);
    EXPECT_STR(crank_error(), "of the second");
    return 0;
}

static int plain_failure(void) { return -EIO; }
TEST_EACH_BACKEND(error, of_a_task_that_says_nothing_is_not_an_earlier_one)
{
    EXPECT_EQ(crank_await(crank_spawn(fresh_failure)), -EIO);
    EXPECT_STR(crank_error(), "of the second");
    EXPECT_EQ(crank_await(crank_spawn(plain_failure)), -EIO);
    EXPECT_STR(crank_error(), "");
    EXPECT_EQ(crank_gather(NULL, crank_spawn(fresh_failure)), -EIO);
    EXPECT_EQ(crank_gather(NULL, crank_spawn(plain_failure)), -EIO);
    EXPECT_STR(crank_error(), "");
    crank_task *shared = crank_spawn(plain_failure);
    (void)crank_fail(EIO, "dealt with");
    EXPECT_EQ(crank_await_shared(shared), -EIO);
    EXPECT_STR(crank_error(), "");
    return 0;
}

static int handle_then_fail_plainly(void)
{
    EXPECT_EQ(crank_fail(ENOENT, "handled"), -ENOENT);
    return -EPIPE;
}
TEST_EACH_BACKEND(error, of_a_task_is_none_that_it_handled_before)
{
    EXPECT_EQ(crank_await(crank_spawn(handle_then_fail_plainly)), -EPIPE);
    EXPECT_STR(crank_error(), "");
    crank_outcome outcome;
    EXPECT_EQ(crank_gather_settled(&outcome, crank_spawn(handle_then_fail_plainly)), 0);
    EXPECT_STR(outcome.message, "Broken pipe");
    return 0;
}
TEST(run, of_an_app_that_handled_one_error_does_not_print_it_for_the_next)
{
    test_capture();
    EXPECT_EQ(crank_run(handle_then_fail_plainly), 1);
    EXPECT_STR(test_captured(), "crank: handle_then_fail_plainly failed: Broken pipe [EPIPE]\n");
}

TEST_EACH_BACKEND(error, a_new_one_may_quote_the_last)
{
    (void)crank_fail(EIO, "the disk is gone");
    EXPECT_EQ(crank_fail(EPROTO, "no index: %s", crank_error()), -EPROTO);
    EXPECT_STR(crank_error(), "no index: the disk is gone");
    return 0;
}

static void fail_in_the_loop(crank_task *task, void *arg)
{
    (void)task;
    (void)arg;
    (void)crank_fail(EIO, "in a callback");
}
static int callback_that_fails(void)
{
    crank_try(crank_on_done(crank_self(), fail_in_the_loop, NULL));
    return 0;
}
TEST(error, of_a_callback_outlives_the_run)
{
    EXPECT_EQ(crank_run_with(&kept, callback_that_fails), 0);
    EXPECT_STR(crank_error(), "in a callback");
    EXPECT_EQ(crank_fail(EPROTO, "outside"), -EPROTO);
    EXPECT_STR(crank_error(), "outside");
}

static void *thread_that_fails(void *arg)
{
    (void)crank_fail(EIO, "in a thread");
    return arg;
}
TEST(error, of_a_thread_goes_with_it)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, thread_that_fails, NULL), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
}

static int fails_as(int number) { return crank_fail(EPROTO, "number %d", number); }
static int two_fail(int number)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, fails_as, number);
    crank_group_spawn(&g, fails_as, number + 1);
    return crank_group_wait(&g);
}
static int two_pairs_fail(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, two_fail, 1);
    crank_group_spawn(&g, two_fail, 3);
    return crank_group_wait(&g);
}
static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        count++;
    return count;
}
static void expect_two_pairs(void)
{
    char text[8192];
    const crank_failure *f = crank_last_failure();
    EXPECT(f && f->child_count == 2);
    for (size_t i = 0; i < 4; i++) {
        const crank_failure *pair = f->children[i / 2];
        EXPECT_EQ(pair->child_count, 2);
        EXPECT_EQ(pair->children[i % 2]->child_count, 0);
    }
    EXPECT(crank_error_format(text, sizeof text) < sizeof text);
    for (int i = 1; i <= 4; i++) {
        char line[64];
        snprintf(line, sizeof line, ": number %d [EPROTO]\n", i);
        EXPECT(strstr(text, line) != NULL);
    }
    EXPECT_EQ(count_of(text, "\n  1. Task-"), 1);
    EXPECT_EQ(count_of(text, "\n  2. Task-"), 1);
    EXPECT_EQ(count_of(text, "\n      1. Task-"), 2);
    EXPECT_EQ(count_of(text, "\n      2. Task-"), 2);
    EXPECT_EQ(count_of(text, "\n          task fails_as, spawned at"), 4);
}
TEST_EACH_BACKEND(error, keeps_every_failure_below_it_where_it_is_copied)
{
    crank_task *task = crank_spawn(two_pairs_fail);
    EXPECT_EQ(crank_await_shared(task), -EPROTO);
    expect_two_pairs();
    const crank_failure *f = crank_last_failure();
    EXPECT(f->trace[f->trace_count - 1].spawned);
    EXPECT_STR(f->trace[f->trace_count - 1].what, "two_pairs_fail");
    EXPECT_EQ(crank_await(task), -EPROTO);
    expect_two_pairs();
    return 0;
}
TEST(error, keeps_every_failure_below_it_beyond_the_run)
{
    EXPECT_EQ(crank_run_with(&kept, two_pairs_fail), -EPROTO);
    expect_two_pairs();
    crank_error_clear();
}

/* A group in a task in a group, and so on: each keeps the failure of the one within. */
static int nested(int levels)
{
    if (levels == 0)
        return crank_fail(EPROTO, "at the bottom");
    CRANK_GROUP(g);
    crank_group_spawn(&g, nested, levels - 1);
    return crank_group_wait(&g);
}
TEST_SIM(error, nested_deeper_than_a_stack_is_copied_and_printed)
{
    int levels = getenv("TEST_EMULATED") ? 500 : 3000; /* Valgrind's time for a switch grows with the stacks */
    EXPECT_EQ(crank_await(crank_spawn(nested, levels)), -EPROTO);
    int below = 0;
    for (const crank_failure *f = crank_last_failure(); f->child_count == 1; f = f->children[0])
        below++;
    EXPECT_EQ(below, levels);
    size_t size = crank_error_format(NULL, 0) + 1, lines = 0;
    char *text = malloc(size);
    EXPECT_EQ(crank_error_format(text, size), size - 1);
    for (const char *line = text; (line = strstr(line, "  1. Task-")); line++)
        lines++;
    free(text);
    EXPECT_EQ(lines, levels);
    return 0;
}

TEST(run, leaves_the_failure_of_app_with_the_caller)
{
    EXPECT_EQ(crank_run_with(&kept, top), -EPROTO);
    EXPECT_STR(crank_error(), "nonsense: x");
    EXPECT_EQ(crank_last_failure()->trace_count, 3);
    EXPECT_EQ(reports, 0);
    crank_error_clear();
}
