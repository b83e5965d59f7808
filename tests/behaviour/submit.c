/* SPDX-License-Identifier: MIT */
/* submit.c: what is true of calls into a loop from other threads.
 *
 * The app holds a waker while threads of the test's own are at work, as a program must: else the
 * loop, with nothing to do, would call it a deadlock. */
#include <pthread.h>

#include "jobs.h"

/* A thread of the test's own, the loop it works on, and what it found. */
typedef struct stranger {
    pthread_t thread;
    crank_loop *loop;
    crank_waker *holds;
    atomic_bool finished;
    int number;
    long value;
    int err;
    char message[64];
} stranger;

static void nothing(void *arg) { (void)arg; }

static void start(stranger *s, void *(*body)(void *))
{
    s->loop = crank_current_loop();
    s->holds = crank_waker_new(s->loop, nothing, NULL);
    EXPECT(s->holds);
    EXPECT_EQ(pthread_create(&s->thread, NULL, body, s), 0);
}
static void *finish(stranger *s)
{
    atomic_store(&s->finished, true);
    crank_waker_wake(s->holds);
    return NULL;
}
static int await_stranger(stranger *s)
{
    while (!atomic_load(&s->finished))
        crank_try(crank_sleep(0.0002));
    pthread_join(s->thread, NULL);
    crank_waker_free(s->holds);
    return 0;
}

/* ---- Submissions ---- */

static int doubled(int x)
{
    crank_try(crank_sleep(0.001));
    return 2 * x;
}
static crank_submission *made(crank_submission *submission)
{
    EXPECT(submission);
    return submission;
}
static void *submit_one(void *arg)
{
    stranger *s = arg;
    s->err = crank_submission_wait(made(crank_submit(s->loop, doubled, s->number)), CRANK_FOREVER, &s->value);
    return finish(s);
}
TEST_EACH_BACKEND(submit, gives_the_result_to_another_thread)
{
    static stranger s; /* not on a task's stack: another thread uses it */
    s = (stranger){ .number = 21 };
    start(&s, submit_one);
    crank_try(await_stranger(&s));
    EXPECT_EQ(s.err, 0);
    EXPECT_EQ(s.value, 42);
    return 0;
}

TEST_EACH_BACKEND(submit, from_many_threads_at_once)
{
    static stranger s[8];
    memset(s, 0, sizeof s);
    for (int i = 0; i < 8; i++) {
        s[i].number = i;
        start(&s[i], submit_one);
    }
    for (int i = 0; i < 8; i++) {
        crank_try(await_stranger(&s[i]));
        EXPECT_EQ(s[i].value, 2 * i);
    }
    return 0;
}

static long add_many(int a, long b, double c, short d, const char *e, unsigned char f)
{
    return a + b + (long)c + d + (long)strlen(e) + f;
}
static double half(double x) { return x / 2; }
static void *submit_many_arguments(void *arg)
{
    stranger *s = arg;
    s->err =
        crank_submission_wait(made(crank_submit(s->loop, add_many, 1, 20L, 300.0, (short)4000, "seven..", 50000 % 256)),
            CRANK_FOREVER, &s->value);
    return finish(s);
}
TEST_EACH_BACKEND(submit, passes_many_arguments)
{
    static stranger s;
    s = (stranger){ 0 };
    start(&s, submit_many_arguments);
    crank_try(await_stranger(&s));
    EXPECT_EQ(s.value, 1 + 20 + 300 + 4000 + 7 + 80);
    return 0;
}

static int fail_here(int number) { return crank_fail(EPROTO, "number %d is odd", number); }
static void *fail_with_nothing(void)
{
    crank_fail(EIO, "no luck");
    return NULL;
}
static void *wait_for_failure(stranger *s, crank_submission *submission)
{
    s->err = crank_submission_wait(made(submission), CRANK_FOREVER, &s->value);
    snprintf(s->message, sizeof s->message, "%s", crank_error());
    crank_error_clear();
    return finish(s);
}
static void *submit_failing(void *arg)
{
    stranger *s = arg;
    return wait_for_failure(s, crank_submit(s->loop, fail_here, 3));
}
static void *submit_a_failing_pointer(void *arg)
{
    stranger *s = arg;
    return wait_for_failure(s, crank_submit(s->loop, fail_with_nothing));
}
static int expect_failure(void *(*body)(void *), long value, const char *message)
{
    static stranger s;
    s = (stranger){ 0 };
    start(&s, body);
    crank_try(await_stranger(&s));
    EXPECT_EQ(s.err, 0);
    EXPECT_EQ(s.value, value);
    EXPECT_STR(s.message, message);
    return 0;
}
TEST_EACH_BACKEND(submit, brings_a_failure_with_its_message)
{
    return expect_failure(submit_failing, -EPROTO, "number 3 is odd");
}
TEST_EACH_BACKEND(submit, brings_the_failure_of_a_function_that_returns_a_pointer)
{
    return expect_failure(submit_a_failing_pointer, -EIO, "no luck");
}

static int for_ever(void) { return crank_sleep(CRANK_FOREVER); }
static void *submit_and_cancel(void *arg)
{
    stranger *s = arg;
    crank_submission *submission = made(crank_submit(s->loop, for_ever));
    s->err = crank_submission_wait(submission, 0.002, &s->value);
    if (s->err != -ETIMEDOUT || crank_submission_wait(submission, -1, &s->value) != -ETIMEDOUT)
        return finish(s);
    crank_submission_cancel(submission);
    s->err = crank_submission_wait(submission, CRANK_FOREVER, &s->value);
    return finish(s);
}
TEST_EACH_BACKEND(submit, times_out_and_can_be_cancelled)
{
    static stranger s;
    s = (stranger){ 0 };
    start(&s, submit_and_cancel);
    crank_try(await_stranger(&s));
    EXPECT_EQ(s.err, 0);
    EXPECT_EQ(s.value, -ECANCELED);
    return 0;
}

static int note_run(void)
{
    crank_try(crank_sleep(0.002));
    return atomic_fetch_add(&ran, 1);
}
static void *submit_and_drop(void *arg)
{
    stranger *s = arg;
    crank_submission *first = made(crank_submit(s->loop, note_run));
    crank_submission_drop(first);
    crank_submission *second = made(crank_submit(s->loop, note_run));
    s->err = crank_submission_wait(second, CRANK_FOREVER, &s->value);
    crank_submission_drop(made(crank_submit(s->loop, note_run)));
    crank_submission_drop(NULL);
    return finish(s);
}
static int drop_app(void)
{
    static stranger s;
    s = (stranger){ 0 };
    atomic_store(&ran, 0);
    start(&s, submit_and_drop);
    crank_try(await_stranger(&s));
    return crank_sleep(0.0001); /* the last one arrives */
}
TEST(submit, what_is_dropped_runs_on_before_the_run_ends)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        EXPECT_EQ(crank_run_with(&(crank_options){ .backend = backends[i] }, drop_app), 0);
        EXPECT_EQ(atomic_load(&ran), 3);
    }
}

static void *submit_failing_and_drop(void *arg)
{
    stranger *s = arg;
    crank_submission_drop(made(crank_submit(s->loop, fail_here, 9)));
    return finish(s);
}
static int drop_failing_app(void)
{
    static stranger s;
    s = (stranger){ 0 };
    start(&s, submit_failing_and_drop);
    crank_try(await_stranger(&s));
    return crank_sleep(0.0001); /* it arrives */
}
TEST(submit, the_failure_of_a_dropped_one_is_reported)
{
    crank_options options = { .on_report = keep_report };
    EXPECT_EQ(crank_run_with(&options, drop_failing_app), 0);
    EXPECT_CONTAINS(reported, "number 9 is odd");
}

static void *drop_late(stranger *s, crank_submission *submission)
{
    usleep(3000);
    crank_submission_drop(submission);
    return finish(s);
}
static void *submit_failing_and_drop_late(void *arg)
{
    stranger *s = arg;
    return drop_late(s, made(crank_submit(s->loop, fail_here, 11)));
}
static int fail_without_a_word(void) { return -4000; }
static void *submit_wordless_and_drop_late(void *arg)
{
    stranger *s = arg;
    return drop_late(s, made(crank_submit(s->loop, fail_without_a_word)));
}
static int drop_late_app(void *(*fn)(void *))
{
    static stranger s;
    s = (stranger){ 0 };
    start(&s, fn);
    crank_try(await_stranger(&s));
    return crank_sleep(0.0001);
}
TEST(submit, the_failure_of_one_dropped_after_it_is_reported)
{
    crank_options options = { .on_report = keep_report };
    reported[0] = '\0';
    EXPECT_EQ(crank_run_with(&options, drop_late_app, submit_failing_and_drop_late), 0);
    EXPECT_CONTAINS(reported, "number 11 is odd");
    EXPECT_CONTAINS(reported, "submit.c");
}
TEST(submit, a_number_without_a_name_is_reported_in_words)
{
    crank_options options = { .on_report = keep_report };
    reported[0] = '\0';
    EXPECT_EQ(crank_run_with(&options, drop_late_app, submit_wordless_and_drop_late), 0);
    EXPECT_CONTAINS(reported, "unknown error [E?]");
}

static const crank_task *parent;
static int note_parent(void)
{
    parent = crank_parent(NULL);
    return 0;
}
static void *submit_note_parent(void *arg)
{
    stranger *s = arg;
    s->err = crank_submission_wait(made(crank_submit(s->loop, note_parent)), CRANK_FOREVER, NULL);
    return finish(s);
}
TEST_EACH_BACKEND(submit, makes_a_child_of_the_app)
{
    static stranger s;
    s = (stranger){ 0 };
    parent = NULL;
    start(&s, submit_note_parent);
    crank_try(await_stranger(&s));
    EXPECT_EQ(s.err, 0);
    EXPECT(parent == crank_self());
    return 0;
}

/* ---- Posts ---- */

enum { POSTS = 500 };
static int received[2][POSTS];
static int received_count[2];
typedef struct message {
    int from, number;
} message;
static message messages[2][POSTS];
static void receive(void *arg)
{
    message *m = arg;
    received[m->from][received_count[m->from]++] = m->number;
}
static void *post_many(void *arg)
{
    stranger *s = arg;
    for (int i = 0; i < POSTS && s->err == 0; i++) {
        messages[s->number][i] = (message){ s->number, i };
        s->err = crank_post(s->loop, receive, &messages[s->number][i]);
    }
    return finish(s);
}
TEST_EACH_BACKEND(post, is_in_the_order_of_each_thread)
{
    static stranger s[2];
    memset(s, 0, sizeof s);
    received_count[0] = received_count[1] = 0;
    for (int i = 0; i < 2; i++) {
        s[i].number = i;
        start(&s[i], post_many);
    }
    for (int i = 0; i < 2; i++) {
        crank_try(await_stranger(&s[i]));
        EXPECT_EQ(s[i].err, 0);
        crank_try(crank_sleep(0.0001));
        EXPECT_EQ(received_count[i], POSTS);
        for (int k = 0; k < POSTS; k++)
            EXPECT_EQ(received[i][k], k);
    }
    return 0;
}

static crank_event *raised;
static void raise_event(void *event)
{
    EXPECT(!crank_self());
    crank_event_set(event);
}
static void *post_event(void *arg)
{
    stranger *s = arg;
    s->err = crank_post(s->loop, raise_event, raised);
    EXPECT_EQ(s->err, 0);
    return finish(s);
}
TEST_EACH_BACKEND(post, wakes_a_sleeping_loop)
{
    CRANK_EVENT(event);
    static stranger s;
    s = (stranger){ 0 };
    raised = event;
    start(&s, post_event);
    crank_try(crank_event_wait(event));
    return await_stranger(&s);
}

static void set_flag(void *flag) { *(bool *)flag = true; }
TEST_EACH_BACKEND(post, from_the_loops_own_thread_comes_in_the_next_turn)
{
    bool flag = false;
    EXPECT_EQ(crank_post(crank_current_loop(), set_flag, &flag), 0);
    EXPECT(!flag);
    while (!flag)
        crank_try(crank_sleep(0));
    return 0;
}

static void wait_in_post(void *arg)
{
    (void)arg;
    (void)crank_sleep(0);
}
TEST_CHECKS(post, must_not_wait, "callback")
{
    EXPECT_EQ(crank_post(crank_current_loop(), wait_in_post, NULL), 0);
    return crank_sleep(1);
}

/* ---- The end of the loop ---- */

static crank_loop *ended;
static int keep_loop(void)
{
    ended = crank_current_loop();
    return 0;
}
TEST(submit, a_loop_that_has_ended_refuses)
{
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(crank_run_with(NULL, keep_loop), 0);
        EXPECT_EQ(crank_post(ended, nothing, NULL), -ESHUTDOWN);
        errno = 0;
        EXPECT(crank_submit(ended, doubled, 1) == NULL);
        EXPECT_EQ(errno, ESHUTDOWN);
    }
}

static stranger late;
static atomic_bool goes_on;
static void *submit_late(void *arg)
{
    stranger *s = arg;
    long count = 0;
    while (atomic_load(&goes_on)) {
        crank_submission *submission = crank_submit(s->loop, note_parent);
        if (!submission)
            break;
        count++;
        s->err = crank_submission_wait(submission, CRANK_FOREVER, &s->value);
        if (s->err < 0 || (s->value != 0 && s->value != -ESHUTDOWN))
            break;
    }
    s->number = (int)count;
    crank_error_clear();
    return NULL;
}
static int end_early_app(void)
{
    late = (stranger){ .loop = crank_current_loop() };
    atomic_store(&goes_on, true);
    EXPECT_EQ(pthread_create(&late.thread, NULL, submit_late, &late), 0);
    return crank_sleep(0.003);
}
TEST(submit, every_submission_to_an_ending_loop_ends)
{
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, end_early_app), 0);
        pthread_join(late.thread, NULL);
        EXPECT_EQ(late.err, 0);
        EXPECT(late.value == 0 || late.value == -ESHUTDOWN);
    }
}

/* ---- Misuse ---- */

TEST_CHECKS(submit, waiting_on_the_loops_own_thread_is_refused, "crank_submission_wait")
{
    crank_submission *submission = made(crank_submit(crank_current_loop(), doubled, 1));
    return crank_submission_wait(submission, 0, NULL);
}
TEST_CHECKS(submit, a_floating_point_result_is_refused, "half")
{
    return crank_submit(crank_current_loop(), half, 1.0) ? 0 : 1;
}
TEST_CHECKS_OUTSIDE(submit, no_loop_is_refused, "crank_submit") { (void)crank_submit((crank_loop *)NULL, doubled, 1); }
TEST_CHECKS_OUTSIDE(submit, a_loop_without_tasks_is_refused, "crank_post")
{
    crank_loop *loop = crank_loop_new(NULL);
    (void)crank_submit(loop, doubled, 1);
}
TEST_CHECKS_OUTSIDE(post, no_loop_is_refused, "crank_post") { (void)crank_post(NULL, nothing, NULL); }

static void *wait_for_nan(void *arg)
{
    stranger *s = arg;
    crank_submission *submission = made(crank_submit(s->loop, doubled, 1));
    s->err = crank_submission_wait(submission, (double)NAN, &s->value);
    crank_error_clear();
    crank_submission_drop(submission);
    return finish(s);
}
TEST_EACH_BACKEND(submit, a_timeout_that_is_no_number_is_refused)
{
    static stranger s;
    s = (stranger){ 0 };
    start(&s, wait_for_nan);
    crank_try(await_stranger(&s));
    EXPECT_EQ(s.err, -EINVAL);
    return 0;
}

static int submit_with_timeout(crank_loop *loop)
{
    long value = 0;
    crank_submission *submission = made(crank_submit(loop, for_ever));
    int err = crank_submission_wait(submission, 5, &value);
    EXPECT_EQ(err, -ETIMEDOUT);
    crank_submission_cancel(submission);
    if (crank_submission_wait(submission, CRANK_FOREVER, &value) != 0 || value != -ECANCELED)
        return -1;
    return err;
}
TEST_SIM(submit, the_timeout_of_a_simulated_job_is_virtual)
{
    double before = crank_time();
    EXPECT_EQ(crank_await(crank_to_thread(submit_with_timeout, crank_current_loop())), -ETIMEDOUT);
    EXPECT(crank_time() - before == 5.0);
    return 0;
}

static int fails_without_a_word(void) { return -EIO; }
static void *wait_for_a_bare_failure(void *arg)
{
    stranger *s = arg;
    (void)crank_fail(EPROTO, "an earlier one");
    s->err = crank_submission_wait(made(crank_submit(s->loop, fails_without_a_word)), CRANK_FOREVER, &s->value);
    EXPECT_STR(crank_error(), "Input/output error");
    crank_error_clear();
    return finish(s);
}
TEST_EACH_BACKEND(submit, a_failure_without_a_word_gets_the_systems)
{
    static stranger s;
    s = (stranger){ 0 };
    start(&s, wait_for_a_bare_failure);
    crank_try(await_stranger(&s));
    EXPECT_EQ(s.err, 0);
    EXPECT_EQ(s.value, -EIO);
    return 0;
}
