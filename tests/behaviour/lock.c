/* SPDX-License-Identifier: MIT */
/* lock.c: one task at a time, in the order of asking, whatever is cancelled meanwhile. */
#include <pthread.h>
#include "trail.h"

static int hold(crank_lock *lock, const char *name, double seconds)
{
    say("%s?", name);
    crank_try(crank_lock_acquire(lock));
    say("%s!", name);
    int err = crank_sleep(seconds);
    say("%s.", name);
    crank_lock_release(lock);
    return err;
}

/* Take the lock and give it back at once. */
static int pass(crank_lock *lock, const char *name)
{
    int err = crank_lock_acquire(lock);
    say("%s%d", name, err);
    if (err == 0)
        crank_lock_release(lock);
    return err;
}

TEST_EACH_BACKEND(lock, is_free_when_made)
{
    CRANK_LOCK(lock);
    EXPECT(!crank_lock_held(lock));
    crank_try(crank_lock_acquire(lock));
    EXPECT(crank_lock_held(lock));
    crank_lock_release(lock);
    EXPECT(!crank_lock_held(lock));
    return 0;
}

TEST_EACH_BACKEND(lock, lets_one_in_at_a_time_in_the_order_of_asking)
{
    CRANK_LOCK(lock);
    crank_task *a = crank_spawn(hold, lock, "a", 0.001);
    crank_task *b = crank_spawn(hold, lock, "b", 0.001);
    crank_task *c = crank_spawn(hold, lock, "c", 0.001);
    crank_try(crank_gather(NULL, a, b, c));
    EXPECT_TRAIL("a? a! b? c? a. b! b. c! c.");
    EXPECT(!crank_lock_held(lock));
    return 0;
}

TEST_EACH_BACKEND(lock, is_taken_without_a_switch_when_free)
{
    CRANK_LOCK(lock);
    crank_task *a = crank_spawn(pass, lock, "a");
    for (int i = 0; i < 10; i++) {
        crank_try(crank_lock_acquire(lock));
        crank_lock_release(lock);
    }
    EXPECT_TRAIL("");
    crank_try((int)crank_await(a));
    return 0;
}

TEST_EACH_BACKEND(lock, handed_over_is_never_free_in_between)
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    crank_task *a = crank_spawn(pass, lock, "a");
    crank_try(settle());
    crank_lock_release(lock);
    EXPECT(crank_lock_held(lock));
    EXPECT_EQ(crank_lock_acquire_nowait(lock), -EAGAIN);
    EXPECT_TRAIL("");
    crank_try((int)crank_await(a));
    EXPECT_TRAIL("a0");
    EXPECT_EQ(crank_lock_acquire_nowait(lock), 0);
    crank_lock_release(lock);
    return 0;
}

/* Whoever releases and asks again stands behind those who wait. */
TEST_EACH_BACKEND(lock, is_not_taken_back_past_the_line)
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    crank_task *a = crank_spawn(pass, lock, "a");
    crank_task *b = crank_spawn(pass, lock, "b");
    crank_try(settle());
    crank_lock_release(lock);
    crank_try(crank_lock_acquire(lock));
    EXPECT_TRAIL("a0 b0");
    crank_lock_release(lock);
    crank_try(crank_gather(NULL, a, b));
    return 0;
}

TEST_EACH_BACKEND(lock, nowait_takes_it_only_when_free)
{
    CRANK_LOCK(lock);
    EXPECT_EQ(crank_lock_acquire_nowait(lock), 0);
    EXPECT_EQ(crank_lock_acquire_nowait(lock), -EAGAIN);
    crank_lock_release(lock);
    EXPECT(!crank_lock_held(lock));
    return 0;
}

static int cancel_one_of_three(int which, const char *expected)
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    crank_task *tasks[3];
    static const char *const names[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++)
        tasks[i] = crank_spawn(pass, lock, names[i]);
    crank_try(settle());
    EXPECT_EQ(crank_cancel(tasks[which]), 0);
    crank_try(settle());
    crank_lock_release(lock);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(crank_await(tasks[i]), i == which ? -ECANCELED : 0);
    EXPECT_TRAIL(expected);
    EXPECT(!crank_lock_held(lock));
    return 0;
}

TEST_EACH_BACKEND(lock, line_closes_behind_the_first_when_cancelled) { return cancel_one_of_three(0, "a-125 b0 c0"); }

TEST_EACH_BACKEND(lock, line_closes_around_the_middle_when_cancelled) { return cancel_one_of_three(1, "b-125 a0 c0"); }

TEST_EACH_BACKEND(lock, line_closes_before_the_last_when_cancelled) { return cancel_one_of_three(2, "c-125 a0 b0"); }

static int acquire_then_sleep(crank_lock *lock)
{
    int first = crank_lock_acquire(lock);
    int second = crank_sleep(1);
    say("%d %d", first, second);
    if (first == 0)
        crank_lock_release(lock);
    return second;
}

/* The result beats the cancel, which stays for the next wait. */
TEST_EACH_BACKEND(lock, handed_over_before_a_cancel_is_held)
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    crank_task *a = crank_spawn(acquire_then_sleep, lock);
    crank_task *b = crank_spawn(pass, lock, "b");
    crank_try(settle());
    crank_lock_release(lock);
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_await(b), 0);
    EXPECT_TRAIL("0 -125 b0");
    return 0;
}

TEST_EACH_BACKEND(lock, goes_past_one_cancelled_before_the_release)
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    crank_task *a = crank_spawn(pass, lock, "a");
    crank_task *b = crank_spawn(pass, lock, "b");
    crank_try(settle());
    crank_cancel(a);
    crank_lock_release(lock);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_await(b), 0);
    EXPECT_TRAIL("a-125 b0");
    return 0;
}

TEST_EACH_BACKEND(lock, left_by_all_in_line_is_free_after_the_release)
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    crank_task *a = crank_spawn(pass, lock, "a");
    crank_task *b = crank_spawn(pass, lock, "b");
    crank_try(settle());
    crank_cancel(a);
    crank_cancel(b);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_await(b), -ECANCELED);
    crank_lock_release(lock);
    EXPECT(!crank_lock_held(lock));
    EXPECT_EQ(crank_lock_acquire_nowait(lock), 0);
    crank_lock_release(lock);
    return 0;
}

static int cancelled_asks(crank_lock *lock)
{
    crank_cancel(crank_self());
    EXPECT_EQ(crank_lock_acquire(lock), -ECANCELED);
    EXPECT(!crank_lock_held(lock));
    EXPECT_EQ(crank_lock_acquire(lock), 0);
    crank_lock_release(lock);
    return 0;
}

TEST_EACH_BACKEND(lock, asked_for_by_a_cancelled_task_stays_free)
{
    CRANK_LOCK(lock);
    EXPECT_EQ(crank_await(crank_spawn(cancelled_asks, lock)), 0);
    return 0;
}

TEST_SIM(lock, can_be_waited_for_with_a_limit)
{
    CRANK_LOCK(lock);
    crank_task *a = crank_spawn(hold, lock, "a", 1.0);
    crank_try(crank_sleep(0));
    double started = crank_time();
    EXPECT_EQ(crank_within(0.25, crank_lock_acquire(lock)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - started, 0.25, 1e-9);
    EXPECT(crank_lock_held(lock));
    EXPECT_EQ(crank_within(5.0, crank_lock_acquire(lock)), 0);
    EXPECT_NEAR(crank_time() - started, 1.0, 1e-9);
    crank_lock_release(lock);
    return (int)crank_await(a);
}

static int with_lock(crank_lock *lock, int how)
{
    CRANK_WITH_LOCK(lock);
    EXPECT(crank_lock_held(lock));
    if (how == 1)
        return 7;
    if (how == 2)
        crank_try(crank_fail(EPROTO, "on purpose"));
    return 0;
}

TEST_EACH_BACKEND(lock, declared_is_released_on_every_way_out)
{
    CRANK_LOCK(lock);
    static const int expected[] = { 0, 7, -EPROTO };
    for (int how = 0; how < 3; how++) {
        EXPECT_EQ(with_lock(lock, how), expected[how]);
        EXPECT(!crank_lock_held(lock));
    }
    for (int i = 0; i < 3; i++) {
        CRANK_WITH_LOCK(lock);
        if (i == 1)
            continue;
        EXPECT(crank_lock_held(lock));
    }
    EXPECT(!crank_lock_held(lock));
    return 0;
}

TEST_EACH_BACKEND(lock, declared_and_not_got_leaves_the_function)
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    crank_task *a = crank_spawn(with_lock, lock, 0);
    crank_try(settle());
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT(crank_lock_held(lock));
    crank_lock_release(lock);
    return 0;
}

static int acquire_forever(crank_lock *lock, const bool *stop)
{
    int rounds = 0;
    for (; !*stop; rounds++) {
        crank_try(crank_lock_acquire(lock));
        crank_lock_release(lock);
    }
    return rounds;
}

TEST_EACH_BACKEND(lock, taken_again_and_again_lets_others_run)
{
    CRANK_LOCK(lock);
    bool stop = false;
    crank_task *a = crank_spawn(acquire_forever, lock, &stop);
    crank_try(settle());
    stop = true;
    EXPECT(crank_await(a) > 0);
    return 0;
}

static int relay(crank_lock *lock, int *inside, int *sum, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        CRANK_WITH_LOCK(lock);
        EXPECT_EQ(++*inside, 1);
        crank_try(crank_sleep(0));
        ++*sum;
        EXPECT_EQ(--*inside, 0);
    }
    return 0;
}

TEST_EACH_BACKEND(lock, passes_from_hand_to_hand_thousands_of_times)
{
    CRANK_LOCK(lock);
    int inside = 0, sum = 0;
    CRANK_GROUP(group);
    for (int i = 0; i < 20; i++)
        crank_group_spawn(&group, relay, lock, &inside, &sum, 100);
    crank_try(crank_group_wait(&group));
    EXPECT_EQ(sum, 2000);
    return 0;
}

static int use(crank_lock *lock)
{
    crank_task *a = crank_spawn(hold, lock, "a", 0.001);
    crank_task *b = crank_spawn(hold, lock, "b", 0.001);
    crank_try(crank_gather(NULL, a, b));
    return 0;
}

TEST(lock, made_outside_serves_one_run_after_another)
{
    crank_lock *lock = crank_lock_new();
    const crank_options options = { .backend = CRANK_BACKEND_SIM };
    EXPECT_EQ(crank_run_with(&options, use, lock), 0);
    EXPECT_EQ(crank_run_with(&options, use, lock), 0);
    EXPECT_TRAIL("a? a! b? a. b! b. a? a! b? a. b! b.");
    crank_lock_free(lock);
}

static int make(crank_lock **ret_lock)
{
    *ret_lock = crank_lock_new();
    crank_try(crank_lock_acquire(*ret_lock));
    crank_lock_release(*ret_lock);
    return 0;
}

TEST(lock, made_in_a_run_may_be_freed_after_it)
{
    crank_lock *lock = NULL;
    const crank_options options = { .backend = CRANK_BACKEND_SIM };
    EXPECT_EQ(crank_run_with(&options, make, &lock), 0);
    EXPECT(!crank_lock_held(lock));
    crank_lock_free(lock);
}

TEST(lock, free_of_null_does_nothing) { crank_lock_free(NULL); }

static int wait_across(crank_lock *first, crank_lock *second)
{
    crank_try(crank_lock_acquire(first));
    crank_try(crank_sleep(0));
    int err = crank_lock_acquire(second);
    if (err == 0)
        crank_lock_release(second);
    crank_lock_release(first);
    return err;
}

static int embrace(void)
{
    CRANK_LOCK(first);
    CRANK_LOCK(second);
    CRANK_GROUP(group);
    crank_set_name(crank_group_spawn(&group, wait_across, first, second), "left");
    crank_set_name(crank_group_spawn(&group, wait_across, second, first), "right");
    return crank_group_wait(&group);
}

static void keep_report(const crank_report *report, void *arg)
{
    if (report->kind == CRANK_REPORT_DEADLOCK)
        snprintf(arg, 4096, "%s", report->text);
}

TEST(lock, deadlock_names_the_holders)
{
    static char text[4096];
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep_report, .on_report_arg = text };
    EXPECT_EQ(crank_run_with(&options, embrace), -EDEADLK);
    EXPECT_CONTAINS(text, "waits for a lock");
    EXPECT_CONTAINS(text, "held by left");
    EXPECT_CONTAINS(text, "held by right");
}

TEST_CHECKS(lock, cannot_be_taken_twice, "already holds lock")
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    return crank_lock_acquire(lock);
}

TEST_CHECKS(lock, cannot_be_taken_twice_while_others_wait, "already holds lock")
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    crank_task *other = crank_spawn(hold, lock, "b", 1.0);
    crank_try(crank_sleep(0));
    EXPECT(!crank_done(other));
    return crank_lock_acquire(lock);
}

TEST_CHECKS(lock, released_by_a_stranger_is_refused, "not by the caller")
{
    CRANK_LOCK(lock);
    crank_task *a = crank_spawn(hold, lock, "a", 1.0);
    crank_try(crank_sleep(0));
    crank_lock_release(lock);
    return (int)crank_await(a);
}

static void *release(void *lock) { return crank_lock_release(lock), NULL; }
TEST_CHECKS(lock, released_by_a_thread_is_refused, "by a task of another thread's loop")
{
    pthread_t thread;
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    return pthread_create(&thread, NULL, release, lock) || pthread_join(thread, NULL);
}

TEST_CHECKS(lock, released_when_free_is_refused, "nobody holds lock")
{
    CRANK_LOCK(lock);
    crank_lock_release(lock);
    return 0;
}

static int forget_to_release(crank_lock *lock) { return crank_lock_acquire(lock); }

TEST_CHECKS(lock, of_a_task_that_has_ended_is_refused, "which has ended")
{
    CRANK_LOCK(lock);
    crank_task *a = crank_spawn(forget_to_release, lock);
    crank_set_name(a, "forgetful");
    crank_try((int)crank_await(a));
    return crank_lock_acquire(lock);
}

TEST_CHECKS(lock, of_an_ended_task_whose_handle_is_kept_is_refused, "forgetful")
{
    CRANK_LOCK(lock);
    crank_task *a = crank_spawn(forget_to_release, lock);
    crank_set_name(a, "forgetful");
    crank_try(settle());
    EXPECT(crank_done(a));
    return crank_lock_acquire(lock);
}

static int forget_after_a_turn(crank_lock *lock)
{
    crank_try(crank_lock_acquire(lock));
    return crank_sleep(0);
}

/* The line was joined while the holder could still have released; its record may serve another task by now. */
TEST_CHECKS(lock, of_an_ended_task_is_refused_to_who_joins_a_line, "which has ended")
{
    CRANK_LOCK(lock);
    crank_task *forgetful = crank_spawn(forget_after_a_turn, lock);
    crank_task *first = crank_spawn(hold, lock, "first", 1.0);
    crank_try((int)crank_await(forgetful));
    EXPECT(!crank_done(first));
    crank_task *second = crank_spawn(hold, lock, "second", 1.0);
    return (int)crank_await(second);
}

/* In line for the lock of a holder that is gone already when the line begins: by a cancelled wait for a condition. */
static int wait_for(crank_lock *lock, crank_condition *condition)
{
    CRANK_WITH_LOCK(lock);
    return crank_condition_wait(condition);
}
TEST_CHECKS(lock, of_an_ended_task_is_refused_behind_a_cancelled_waiter, "which has ended")
{
    CRANK_LOCK(lock);
    CRANK_CONDITION(condition, lock);
    crank_task *waiter = crank_spawn(wait_for, lock, condition);
    crank_try(settle());
    crank_try((int)crank_await(crank_spawn(forget_to_release, lock)));
    crank_cancel(waiter);
    crank_try(settle());
    EXPECT(!crank_done(waiter));
    return crank_lock_acquire(lock);
}

TEST_CHECKS(lock, freed_while_held_is_refused, "is held; release it first")
{
    crank_lock *lock = crank_lock_new();
    crank_try(crank_lock_acquire(lock));
    crank_lock_free(lock);
    return 0;
}

TEST_CHECKS(lock, freed_while_waited_for_is_refused, "tasks wait for lock")
{
    crank_lock *lock = crank_lock_new();
    crank_try(crank_lock_acquire(lock));
    crank_task *a = crank_spawn(pass, lock, "a");
    crank_try(settle());
    crank_lock_free(lock);
    return (int)crank_await(a);
}

TEST_CHECKS_OUTSIDE(lock, acquired_outside_a_run_is_refused, "crank_lock_acquire")
{
    crank_lock *lock = crank_lock_new();
    if (crank_lock_acquire(lock) == 0)
        crank_lock_release(lock);
}

static int acquire_elsewhere(crank_lock *lock) { return crank_lock_acquire(lock); }

static void *other_thread(void *lock)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM };
    (void)crank_run_with(&options, acquire_elsewhere, (crank_lock *)lock);
    return NULL;
}

TEST_CHECKS(lock, held_in_one_thread_is_refused_to_another, "runs on another thread")
{
    CRANK_LOCK(lock);
    crank_try(crank_lock_acquire(lock));
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, other_thread, lock), 0);
    pthread_join(thread, NULL);
    crank_lock_release(lock);
    return 0;
}

/* A small world at random: holders sleep, are cancelled and time out; never two are inside, and nobody waits for
 * ever. */
struct world {
    crank_lock *lock;
    uint64_t random;
    int inside;
    int entered;
    int refused;
};

static int wanderer(struct world *world)
{
    for (int i = 0; i < 10; i++) {
        int err = chance(&world->random, 4)
                      ? crank_lock_acquire(world->lock)
                      : crank_within(0.001 * chance(&world->random, 5), crank_lock_acquire(world->lock));
        if (err < 0) {
            EXPECT(err == -ECANCELED || err == -ETIMEDOUT);
            world->refused++;
            continue;
        }
        EXPECT_EQ(++world->inside, 1);
        world->entered++;
        if (chance(&world->random, 2))
            (void)crank_sleep(0.001 * chance(&world->random, 3));
        EXPECT_EQ(--world->inside, 0);
        crank_lock_release(world->lock);
        if (chance(&world->random, 2))
            (void)crank_sleep(0);
    }
    return 0;
}

TEST_SEEDS(lock, keeps_its_promise_under_random_cancels, 300)
{
    CRANK_LOCK(lock);
    struct world world = { .lock = lock, .random = seed };
    crank_task *tasks[8];
    for (int i = 0; i < 8; i++)
        tasks[i] = crank_spawn(wanderer, &world);
    for (int i = 0; i < 30; i++) {
        crank_try(crank_sleep(0.001 * chance(&world.random, 3)));
        crank_cancel(tasks[chance(&world.random, 8)]);
    }
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(crank_await(tasks[i]), 0);
    EXPECT_EQ(world.entered + world.refused, 80);
    EXPECT(!crank_lock_held(lock));
    return 0;
}
