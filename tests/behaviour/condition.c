/* SPDX-License-Identifier: MIT */
/* condition.c: waiting under a lock: the lock is always held again, and no notification is lost. */
#include "trail.h"

/* Wait once; say what came of it, which is said with the lock held. */
static int wait_once(crank_lock *lock, crank_condition *condition, const char *name)
{
    crank_try(crank_lock_acquire(lock));
    int err = crank_condition_wait(condition);
    EXPECT(crank_lock_held(lock));
    say("%s%d", name, err);
    crank_lock_release(lock);
    return err;
}

static int notify(crank_lock *lock, crank_condition *condition, size_t n)
{
    crank_try(crank_lock_acquire(lock));
    crank_condition_notify(condition, n);
    crank_lock_release(lock);
    return 0;
}

TEST_EACH_BACKEND(condition, releases_the_lock_while_it_waits)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_try(settle());
    EXPECT(!crank_lock_held(lock));
    crank_try(notify(lock, condition, 1));
    crank_try((int)crank_await(a));
    EXPECT_TRAIL("a0");
    EXPECT(!crank_lock_held(lock));
    return 0;
}

TEST_EACH_BACKEND(condition, notifies_as_many_as_asked_in_order)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_task *b = crank_spawn(wait_once, lock, condition, "b");
    crank_task *c = crank_spawn(wait_once, lock, condition, "c");
    crank_try(settle());
    crank_try(notify(lock, condition, 1));
    crank_try(settle());
    EXPECT_TRAIL("a0");
    crank_try(notify(lock, condition, 0));
    crank_try(settle());
    EXPECT_TRAIL("");
    crank_try(notify(lock, condition, 1));
    crank_try(notify(lock, condition, 2048));
    crank_try(settle());
    EXPECT_TRAIL("b0 c0");
    crank_try(crank_gather(NULL, a, b, c));
    return 0;
}

TEST_EACH_BACKEND(condition, notifies_all)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_task *b = crank_spawn(wait_once, lock, condition, "b");
    crank_try(settle());
    crank_try(crank_lock_acquire(lock));
    crank_condition_notify_all(condition);
    crank_lock_release(lock);
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("a0 b0");
    return 0;
}

TEST_EACH_BACKEND(condition, notification_without_a_waiter_is_nothing)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_try(notify(lock, condition, 5));
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_try(settle());
    EXPECT_TRAIL("");
    crank_try(notify(lock, condition, 1));
    return (int)crank_await(a);
}

/* The notified stand in the lock's line: behind who asked before, before who asks after. */
TEST_EACH_BACKEND(condition, hands_the_notified_to_the_locks_line)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_try(settle());
    crank_try(crank_lock_acquire(lock));
    crank_task *b = crank_spawn(notify, lock, condition, (size_t)0);
    crank_try(settle());
    crank_condition_notify(condition, 1);
    crank_lock_release(lock);
    EXPECT(crank_lock_held(lock));
    EXPECT_EQ(crank_lock_acquire_nowait(lock), -EAGAIN);
    crank_try(crank_lock_acquire(lock));
    EXPECT_TRAIL("a0");
    crank_lock_release(lock);
    crank_try(crank_gather(NULL, a, b));
    return 0;
}

TEST_EACH_BACKEND(condition, cancelled_with_the_lock_free_returns_with_it)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_try(settle());
    crank_cancel(a);
    EXPECT(crank_lock_held(lock));
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_TRAIL("a-125");
    EXPECT(!crank_lock_held(lock));
    return 0;
}

TEST_EACH_BACKEND(condition, cancelled_with_the_lock_held_waits_for_it)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_try(settle());
    crank_try(crank_lock_acquire(lock));
    crank_cancel(a);
    crank_try(settle());
    EXPECT_TRAIL("");
    EXPECT(!crank_done(a));
    crank_lock_release(lock);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_TRAIL("a-125");
    return 0;
}

static int wait_then_sleep(crank_lock *lock, crank_condition *condition)
{
    crank_try(crank_lock_acquire(lock));
    int first = crank_condition_wait(condition);
    int second = crank_sleep(0);
    int third = crank_sleep(0);
    say("%d %d %d", first, second, third);
    crank_lock_release(lock);
    return first;
}

/* One request, one -ECANCELED: also when it is delivered by way of the lock's line. */
TEST_EACH_BACKEND(condition, cancelled_once_fails_once)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_then_sleep, lock, condition);
    crank_try(settle());
    crank_try(crank_lock_acquire(lock));
    crank_cancel(a);
    crank_try(settle());
    crank_lock_release(lock);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_TRAIL("-125 0 0");
    return 0;
}

TEST_EACH_BACKEND(condition, cancelled_again_while_it_takes_the_lock_fails_once)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_then_sleep, lock, condition);
    crank_try(settle());
    crank_try(crank_lock_acquire(lock));
    crank_cancel(a);
    crank_try(settle());
    crank_cancel(a);
    crank_try(settle());
    crank_lock_release(lock);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_TRAIL("-125 0 0");
    return 0;
}

TEST_EACH_BACKEND(condition, notified_then_cancelled_passes_the_notification_on)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_task *b = crank_spawn(wait_once, lock, condition, "b");
    crank_try(settle());
    crank_try(crank_lock_acquire(lock));
    crank_condition_notify(condition, 1);
    crank_cancel(a);
    crank_lock_release(lock);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_await(b), 0);
    EXPECT_TRAIL("a-125 b0");
    return 0;
}

TEST_EACH_BACKEND(condition, passes_a_notification_on_past_several_cancelled)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_task *b = crank_spawn(wait_once, lock, condition, "b");
    crank_task *c = crank_spawn(wait_once, lock, condition, "c");
    crank_try(settle());
    crank_try(crank_lock_acquire(lock));
    crank_condition_notify(condition, 1);
    crank_cancel(a);
    crank_cancel(b);
    crank_lock_release(lock);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_await(b), -ECANCELED);
    EXPECT_EQ(crank_await(c), 0);
    EXPECT_TRAIL("a-125 b-125 c0");
    return 0;
}

/* Handed the lock, the wait has succeeded: the cancel comes too late for it. */
TEST_EACH_BACKEND(condition, given_the_lock_before_a_cancel_has_been_notified)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_then_sleep, lock, condition);
    crank_try(settle());
    crank_try(notify(lock, condition, 1));
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), 0);
    EXPECT_TRAIL("0 -125 0");
    return 0;
}

TEST_EACH_BACKEND(condition, does_not_notify_a_cancelled_waiter)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_task *b = crank_spawn(wait_once, lock, condition, "b");
    crank_try(settle());
    crank_try(crank_lock_acquire(lock));
    crank_cancel(a);
    crank_condition_notify(condition, 1);
    crank_lock_release(lock);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_await(b), 0);
    EXPECT_TRAIL("a-125 b0");
    return 0;
}

static int cancelled_waits(crank_lock *lock, crank_condition *condition)
{
    crank_try(crank_lock_acquire(lock));
    crank_cancel(crank_self());
    EXPECT_EQ(crank_condition_wait(condition), -ECANCELED);
    EXPECT(crank_lock_held(lock));
    crank_lock_release(lock);
    return 0;
}

TEST_EACH_BACKEND(condition, waited_for_by_a_cancelled_task_keeps_the_lock)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    EXPECT_EQ(crank_await(crank_spawn(cancelled_waits, lock, condition)), 0);
    return 0;
}

TEST_SIM(condition, can_be_waited_for_with_a_limit)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_try(crank_lock_acquire(lock));
    double started = crank_time();
    EXPECT_EQ(crank_within(0.5, crank_condition_wait(condition)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - started, 0.5, 1e-9);
    EXPECT(crank_lock_held(lock));
    crank_lock_release(lock);
    return 0;
}

static int hold_for(crank_lock *lock, double seconds)
{
    CRANK_WITH_LOCK(lock);
    return crank_sleep(seconds);
}

/* The limit passes while another holds the lock: the wait returns when it has the lock again. */
TEST_SIM(condition, timed_out_returns_when_the_lock_is_free)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_try(crank_lock_acquire(lock));
    crank_task *a = crank_spawn(hold_for, lock, 2.0);
    double started = crank_time();
    EXPECT_EQ(crank_within(0.5, crank_condition_wait(condition)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - started, 2.0, 1e-9);
    EXPECT_EQ(crank_sleep(0.1), 0);
    crank_lock_release(lock);
    return (int)crank_await(a);
}

static int wait_until_five(crank_lock *lock, crank_condition *condition, const int *value)
{
    CRANK_WITH_LOCK(lock);
    int err = crank_condition_wait_for(condition, *value == 5);
    say("%d at %d", err, *value);
    return err;
}

TEST_EACH_BACKEND(condition, waits_for_an_expression)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    int value = 0;
    crank_task *a = crank_spawn(wait_until_five, lock, condition, &value);
    crank_try(settle());
    while (value < 5) {
        value++;
        crank_try(notify(lock, condition, 1));
        crank_try(settle());
    }
    EXPECT_EQ(crank_await(a), 0);
    EXPECT_TRAIL("0 at 5");
    crank_try(crank_lock_acquire(lock));
    EXPECT_EQ(crank_condition_wait_for(condition, value == 5), 0);
    crank_lock_release(lock);
    return 0;
}

TEST_EACH_BACKEND(condition, cancelled_while_it_waits_for_an_expression_gives_up)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    int value = 0;
    crank_task *a = crank_spawn(wait_until_five, lock, condition, &value);
    crank_try(settle());
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_TRAIL("-125 at 0");
    EXPECT(!crank_lock_held(lock));
    return 0;
}

TEST_EACH_BACKEND(condition, shares_its_lock_with_others)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(left, lock);
    CRANK_CONDITION(right, lock);
    crank_task *a = crank_spawn(wait_once, lock, left, "a");
    crank_task *b = crank_spawn(wait_once, lock, right, "b");
    crank_try(settle());
    crank_try(notify(lock, right, 1));
    crank_try(settle());
    EXPECT_TRAIL("b0");
    crank_try(notify(lock, left, 1));
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("a0");
    return 0;
}

static int fail_soon(void)
{
    crank_try(crank_sleep(0.001));
    return crank_fail(EPROTO, "on purpose");
}

static int wait_beside_a_failure(crank_lock *lock, crank_condition *condition)
{
    CRANK_WITH_LOCK(lock);
    CRANK_GROUP(group);
    crank_group_spawn(&group, fail_soon);
    crank_try(crank_condition_wait(condition));
    return 0;
}

/* A group whose child fails interrupts the wait as a cancel does: with the lock, and with the child's error. */
TEST_EACH_BACKEND(condition, interrupted_by_a_failed_child_returns_with_the_lock)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    EXPECT_EQ(crank_await(crank_spawn(wait_beside_a_failure, lock, condition)), -EPROTO);
    EXPECT(!crank_lock_held(lock));
    return 0;
}

static int wait_shielded(crank_lock *lock, crank_condition *condition)
{
    CRANK_WITH_LOCK(lock);
    int first = crank_shield(crank_condition_wait(condition));
    int second = crank_sleep(0);
    say("%d %d", first, second);
    return first;
}

TEST_EACH_BACKEND(condition, waited_for_under_a_shield_hears_of_no_cancel)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_shielded, lock, condition);
    crank_try(settle());
    crank_cancel(a);
    crank_try(settle());
    EXPECT(!crank_done(a));
    crank_try(notify(lock, condition, 1));
    EXPECT_EQ(crank_await(a), 0);
    EXPECT_TRAIL("0 -125");
    return 0;
}

TEST_EACH_BACKEND(condition, is_named_where_a_task_waits_for_it)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_try(settle());
    char text[512];
    crank_describe(a, text, sizeof text);
    EXPECT_CONTAINS(text, "waits for a condition");
    crank_try(crank_lock_acquire(lock));
    crank_set_name(NULL, "notifier");
    crank_condition_notify(condition, 1);
    crank_describe(a, text, sizeof text);
    EXPECT_CONTAINS(text, "to take a condition's lock again");
    EXPECT_CONTAINS(text, "held by notifier");
    crank_lock_release(lock);
    return (int)crank_await(a);
}

TEST(condition, free_of_null_does_nothing) { crank_condition_free(NULL); }

TEST_CHECKS(condition, waited_for_without_the_lock_is_refused, "crank_condition_wait: lock")
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    return crank_condition_wait(condition);
}

TEST_CHECKS(condition, waited_for_with_the_lock_of_another_is_refused, "is not held by the running task")
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *a = crank_spawn(hold_for, lock, 1.0);
    crank_try(settle());
    int err = crank_condition_wait(condition);
    crank_try((int)crank_await(a));
    return err;
}

TEST_CHECKS(condition, notified_without_the_lock_is_refused, "crank_condition_notify: lock")
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_condition_notify(condition, 1);
    return 0;
}

TEST_CHECKS(condition, all_notified_without_the_lock_is_refused, "crank_condition_notify_all: lock")
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_condition_notify_all(condition);
    return 0;
}

TEST_CHECKS(condition, freed_while_waited_for_is_refused, "tasks wait for condition")
{
    CRANK_LOCK(lock);
    crank_condition *condition = crank_condition_new(lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_try(settle());
    crank_condition_free(condition);
    return (int)crank_await(a);
}

TEST_CHECKS(condition, freed_before_the_notified_have_the_lock_is_refused, "tasks wait for condition")
{
    CRANK_LOCK(lock);
    crank_condition *condition = crank_condition_new(lock);
    crank_task *a = crank_spawn(wait_once, lock, condition, "a");
    crank_try(settle());
    crank_try(crank_lock_acquire(lock));
    crank_condition_notify(condition, 1);
    crank_condition_free(condition);
    crank_lock_release(lock);
    return (int)crank_await(a);
}

/* Tokens under a lock: were a notification lost to a cancelled waiter, a token would lie there with somebody
 * waiting. */
struct tokens {
    crank_lock *lock;
    crank_condition *condition;
    uint64_t random;
    int here;
    int taken;
};

static int take_token(struct tokens *tokens)
{
    CRANK_WITH_LOCK(tokens->lock);
    while (tokens->here == 0) {
        int err = crank_condition_wait(tokens->condition);
        EXPECT(crank_lock_held(tokens->lock));
        if (err < 0)
            return err;
    }
    tokens->here--;
    tokens->taken++;
    return 0;
}

static int give_tokens(struct tokens *tokens, int n)
{
    for (int i = 0; i < n; i++) {
        if (chance(&tokens->random, 2))
            crank_try(crank_sleep(0.001 * chance(&tokens->random, 2)));
        CRANK_WITH_LOCK(tokens->lock);
        tokens->here++;
        crank_condition_notify(tokens->condition, 1);
        if (chance(&tokens->random, 2))
            crank_try(crank_sleep(0.001 * chance(&tokens->random, 2)));
    }
    return 0;
}

TEST_SEEDS(condition, loses_no_notification_to_a_cancel, 300)
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    struct tokens tokens = { .lock = lock, .condition = condition, .random = seed };
    enum { WAITERS = 12, TOKENS = 6 };
    crank_task *tasks[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        tasks[i] = crank_spawn(take_token, &tokens);
    crank_task *giver = crank_spawn(give_tokens, &tokens, TOKENS);
    for (int i = 0; i < 6; i++) {
        EXPECT_EQ(crank_sleep(0.001 * chance(&tokens.random, 3)), 0);
        crank_cancel(tasks[chance(&tokens.random, WAITERS)]);
    }
    EXPECT_EQ(crank_await(giver), 0);
    EXPECT_EQ(crank_sleep(1), 0);
    int waiting = 0;
    for (int i = 0; i < WAITERS; i++)
        waiting += !crank_done(tasks[i]);
    EXPECT_EQ(tokens.here + tokens.taken, TOKENS);
    EXPECT(waiting == 0 || tokens.here == 0);
    for (int i = 0; i < WAITERS; i++) {
        crank_cancel(tasks[i]);
        long err = crank_await(tasks[i]);
        EXPECT(err == 0 || err == -ECANCELED);
    }
    EXPECT(!crank_lock_held(lock));
    return 0;
}
