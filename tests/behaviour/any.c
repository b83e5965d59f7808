/* SPDX-License-Identifier: MIT */
/* any.c: waiting for the first of several to succeed. */
#include "trail.h"

static int give(int n) { return n; }
static int give_after(double seconds, int n)
{
    int err = crank_sleep(seconds);
    if (err < 0) {
        say("%d!", n);
        return err;
    }
    return n;
}
static int fail_after(double seconds, const char *why)
{
    if (seconds > 0)
        crank_try(crank_sleep(seconds));
    return crank_fail(EPROTO, "%s", why);
}
static double half_after(double seconds) { return crank_sleep(seconds) < 0 ? 0.25 : 0.5; }
static int thing;
static void *refuse_with_a_pointer(void)
{
    (void)crank_sleep(10);
    return &thing;
}
static int refuse_after_cleanup(int n)
{
    (void)crank_sleep(10);
    crank_try(crank_sleep(0.001));
    say("refused");
    return n;
}

TEST_EACH_BACKEND(any, gives_the_index_of_the_first_to_succeed_and_cancels_the_others)
{
    crank_outcome o[3];
    EXPECT_EQ(crank_any(o, crank_spawn(give_after, 10.0, 1), crank_spawn(give_after, 0.001, 2),
                  crank_spawn(give_after, 20.0, 3)),
        1);
    EXPECT_TRAIL("1! 3!");
    EXPECT_EQ(o[0].error, -ECANCELED);
    EXPECT_EQ(o[1].error, 0);
    EXPECT_EQ(o[1].value, 2);
    EXPECT_EQ(o[2].error, -ECANCELED);
    return 0;
}

TEST_EACH_BACKEND(any, passes_over_failures_before_a_success)
{
    crank_outcome o[2];
    EXPECT_EQ(crank_any(o, crank_spawn(fail_after, 0.0, "no"), crank_spawn(half_after, 0.002)), 1);
    EXPECT_EQ(o[0].error, -EPROTO);
    EXPECT_STR(o[0].message, "no");
    EXPECT_NEAR(o[1].number, 0.5, 0);
    EXPECT_STR(crank_error(), "");
    return 0;
}

TEST_EACH_BACKEND(any, tells_what_a_loser_gave_all_the_same)
{
    crank_outcome o[2];
    crank_task *loser = crank_spawn(refuse_with_a_pointer);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_any(o, loser, crank_spawn(give, 1)), 1);
    EXPECT_EQ(o[0].error, 0);
    EXPECT(o[0].pointer == &thing);
    return 0;
}

TEST_EACH_BACKEND(any, returns_when_the_others_have_cleaned_up)
{
    crank_task *slow = crank_spawn(refuse_after_cleanup, 1);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_any(NULL, slow, crank_spawn(give, 2)), 1);
    EXPECT_TRAIL("refused");
    return 0;
}

TEST_EACH_BACKEND(any, whose_tasks_all_fail_gives_the_first_failure_with_all_beneath_it)
{
    crank_outcome o[3];
    EXPECT_EQ(crank_any(o, crank_spawn(fail_after, 0.004, "second"), crank_spawn(fail_after, 0.0, "first"),
                  crank_spawn(fail_after, 0.02, "third")),
        -EPROTO);
    EXPECT_STR(crank_error(), "first");
    const crank_failure *failure = crank_last_failure();
    EXPECT_EQ(failure->child_count, 3);
    EXPECT_STR(failure->children[0]->message, "first");
    EXPECT_STR(failure->children[1]->message, "second");
    EXPECT_STR(failure->children[2]->message, "third");
    EXPECT_STR(o[2].message, "third");
    return 0;
}

TEST_EACH_BACKEND(any, of_tasks_that_have_ended_gives_the_first_that_did)
{
    crank_task *late = crank_spawn(give, 1), *early = crank_spawn_eager(give, 2);
    crank_try(crank_sleep(0));
    crank_task *failed = crank_spawn_eager(fail_after, 0.0, "no");
    EXPECT_EQ(crank_any(NULL, failed, late, early, crank_spawn(give_after, 10.0, 4)), 2);
    return 0;
}

TEST_EACH_BACKEND(any, counts_a_task_that_could_not_be_spawned_as_failed)
{
    crank_task *tasks[3] = { NULL, crank_spawn(give, 1), NULL };
    crank_outcome o[3];
    EXPECT_EQ(crank_any_n(tasks, 3, o), 1);
    EXPECT_EQ(o[0].error, -ENOMEM);
    tasks[1] = crank_spawn(fail_after, 0.0, "later");
    EXPECT_EQ(crank_any_n(tasks, 3, NULL), -ENOMEM);
    EXPECT_CONTAINS(crank_error(), "could not be spawned");
    EXPECT_EQ(crank_last_failure()->child_count, 3);
    EXPECT_STR(crank_last_failure()->children[1]->message, "later");
    return 0;
}

TEST_EACH_BACKEND(any, of_nothing_is_refused)
{
    EXPECT_EQ(crank_any_n(NULL, 0, NULL), -EINVAL);
    return 0;
}

static int set_soon(crank_future *future)
{
    crank_try(crank_sleep(0.001));
    return crank_set_result(future, 9);
}
TEST_EACH_BACKEND(any, takes_futures)
{
    CRANK_AUTO_FUTURE crank_future *set = crank_future_new(), *unset = crank_future_new(), *wrong = crank_future_new();
    crank_outcome o[3];
    crank_task *setter = crank_spawn(set_soon, set);
    crank_set_error(wrong, EIO, "wrong");
    EXPECT_EQ(crank_any(o, unset, set, wrong), 1);
    EXPECT_EQ(o[1].value, 9);
    EXPECT(crank_was_cancelled(unset));
    EXPECT_EQ(crank_any(NULL, wrong), -EIO);
    EXPECT_STR(crank_error(), "wrong");
    EXPECT_EQ(crank_await(wrong), -EIO); /* it keeps what it has */
    EXPECT_STR(crank_error(), "wrong");
    return (int)crank_await(setter);
}

static int any_of_two(crank_outcome *outcomes)
{
    int index = crank_any(outcomes, crank_spawn(give_after, 10.0, 1), crank_spawn(give_after, 20.0, 2));
    say("index%d", index);
    return index;
}
TEST_EACH_BACKEND(any, cancelled_cancels_all_and_fills_the_outcomes)
{
    crank_outcome o[2] = { 0 };
    crank_task *task = crank_spawn(any_of_two, o);
    crank_try(crank_sleep(0.001));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("1! 2! index-125");
    EXPECT_EQ(o[0].error, -ECANCELED);
    EXPECT_EQ(o[1].error, -ECANCELED);
    return 0;
}

static int any_of_one_that_refuses(void)
{
    crank_task *refusing = crank_spawn(refuse_after_cleanup, 1);
    crank_try(crank_sleep(0));
    int index = crank_any(NULL, crank_spawn(give_after, 10.0, 2), refusing);
    say("index%d", index);
    return crank_sleep(0);
}
TEST_EACH_BACKEND(any, interrupted_gives_a_result_that_comes_all_the_same_and_the_request_stays)
{
    crank_task *task = crank_spawn(any_of_one_that_refuses);
    crank_try(crank_sleep(0.001));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("2! refused index1");
    return 0;
}

TEST_EACH_BACKEND(any, whose_tasks_were_cancelled_one_by_one_was_cancelled)
{
    crank_task *a = crank_spawn(give_after, 10.0, 1), *b = crank_spawn(give_after, 10.0, 2);
    crank_try(crank_sleep(0));
    crank_cancel(a);
    crank_cancel(b);
    EXPECT_EQ(crank_any(NULL, a, b), -ECANCELED);
    return crank_sleep(0);
}

TEST_EACH_BACKEND(any, under_a_limit_fails_when_that_has_passed)
{
    EXPECT_EQ(crank_within(0.001, crank_any(NULL, crank_spawn(give_after, 10.0, 1))), -ETIMEDOUT);
    EXPECT_TRAIL("1!");
    return 0;
}

TEST_CHECKS(any, of_one_task_twice_is_refused, "crank_any: task")
{
    crank_task *task = crank_spawn(give, 1);
    return crank_any(NULL, task, task);
}
