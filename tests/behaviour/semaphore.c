/* SPDX-License-Identifier: MIT */
/* semaphore.c: permits, first come first served, none lost and none made. */
#include "trail.h"

static int take(crank_semaphore *semaphore, const char *name)
{
    int err = crank_semaphore_acquire(semaphore);
    say("%s%d", name, err);
    return err;
}

static int take_and_give(crank_semaphore *semaphore, const char *name)
{
    int err = take(semaphore, name);
    if (err == 0)
        crank_semaphore_release(semaphore);
    return err;
}

TEST_EACH_BACKEND(semaphore, counts_its_permits)
{
    CRANK_SEMAPHORE(semaphore, 2);
    EXPECT_EQ(crank_semaphore_value(semaphore), 2);
    crank_try(crank_semaphore_acquire(semaphore));
    EXPECT_EQ(crank_semaphore_value(semaphore), 1);
    EXPECT_EQ(crank_semaphore_acquire_nowait(semaphore), 0);
    EXPECT_EQ(crank_semaphore_value(semaphore), 0);
    EXPECT_EQ(crank_semaphore_acquire_nowait(semaphore), -EAGAIN);
    crank_semaphore_release(semaphore);
    EXPECT_EQ(crank_semaphore_value(semaphore), 1);
    return 0;
}

TEST_EACH_BACKEND(semaphore, lets_so_many_in)
{
    CRANK_SEMAPHORE(semaphore, 3);
    crank_task *tasks[4];
    static const char *const names[] = { "a", "b", "c", "d" };
    for (int i = 0; i < 4; i++)
        tasks[i] = crank_spawn(take, semaphore, names[i]);
    crank_try(settle());
    EXPECT_TRAIL("a0 b0 c0");
    EXPECT(!crank_done(tasks[3]));
    EXPECT_EQ(crank_semaphore_value(semaphore), 0);
    crank_semaphore_release(semaphore);
    EXPECT_EQ(crank_semaphore_value(semaphore), 0);
    crank_try(crank_gather_n(tasks, 4, (long *)NULL));
    EXPECT_TRAIL("d0");
    return 0;
}

TEST_EACH_BACKEND(semaphore, serves_in_the_order_of_asking)
{
    CRANK_SEMAPHORE(semaphore, 0);
    crank_task *a = crank_spawn(take_and_give, semaphore, "a");
    crank_task *b = crank_spawn(take_and_give, semaphore, "b");
    crank_task *c = crank_spawn(take_and_give, semaphore, "c");
    crank_try(settle());
    crank_semaphore_release(semaphore);
    crank_try(crank_gather(NULL, a, b, c));
    EXPECT_TRAIL("a0 b0 c0");
    EXPECT_EQ(crank_semaphore_value(semaphore), 1);
    return 0;
}

/* A permit on its way to one who waits is not for those who come meanwhile. */
TEST_EACH_BACKEND(semaphore, does_not_let_anybody_overtake)
{
    CRANK_SEMAPHORE(semaphore, 0);
    crank_task *a = crank_spawn(take, semaphore, "a");
    crank_task *b = crank_spawn(take, semaphore, "b");
    crank_try(settle());
    crank_semaphore_release(semaphore);
    EXPECT_EQ(crank_semaphore_acquire_nowait(semaphore), -EAGAIN);
    crank_task *c = crank_spawn(take, semaphore, "c");
    crank_try(settle());
    EXPECT_TRAIL("a0");
    crank_semaphore_release(semaphore);
    crank_semaphore_release(semaphore);
    crank_try(crank_gather(NULL, a, b, c));
    EXPECT_TRAIL("b0 c0");
    return 0;
}

static int take_again_and_again(crank_semaphore *semaphore, const char *name)
{
    for (int i = 0; i < 3; i++) {
        crank_try(crank_semaphore_acquire(semaphore));
        say("%s%d", name, i);
        crank_try(crank_sleep(0.001));
        crank_semaphore_release(semaphore);
    }
    return 0;
}

TEST_SIM(semaphore, takes_turns)
{
    CRANK_SEMAPHORE(semaphore, 1);
    crank_task *a = crank_spawn(take_again_and_again, semaphore, "a");
    crank_task *b = crank_spawn(take_again_and_again, semaphore, "b");
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("a0 b0 a1 b1 a2 b2");
    return 0;
}

TEST_EACH_BACKEND(semaphore, left_by_a_cancelled_task_serves_the_next)
{
    CRANK_SEMAPHORE(semaphore, 0);
    crank_task *a = crank_spawn(take, semaphore, "a");
    crank_task *b = crank_spawn(take, semaphore, "b");
    crank_task *c = crank_spawn(take, semaphore, "c");
    crank_try(settle());
    crank_cancel(a);
    crank_cancel(c);
    crank_semaphore_release(semaphore);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_await(b), 0);
    EXPECT_EQ(crank_await(c), -ECANCELED);
    EXPECT_EQ(crank_semaphore_value(semaphore), 0);
    EXPECT_TRAIL("a-125 c-125 b0");
    return 0;
}

TEST_EACH_BACKEND(semaphore, left_by_all_keeps_the_permit)
{
    CRANK_SEMAPHORE(semaphore, 0);
    crank_task *a = crank_spawn(take, semaphore, "a");
    crank_try(settle());
    crank_cancel(a);
    crank_semaphore_release(semaphore);
    EXPECT_EQ(crank_semaphore_value(semaphore), 1);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_semaphore_acquire_nowait(semaphore), 0);
    return 0;
}

static int take_then_sleep(crank_semaphore *semaphore)
{
    int first = crank_semaphore_acquire(semaphore);
    int second = crank_sleep(1);
    say("%d %d", first, second);
    crank_semaphore_release(semaphore);
    return second;
}

TEST_EACH_BACKEND(semaphore, permit_given_before_a_cancel_is_held)
{
    CRANK_SEMAPHORE(semaphore, 0);
    crank_task *a = crank_spawn(take_then_sleep, semaphore);
    crank_task *b = crank_spawn(take, semaphore, "b");
    crank_try(settle());
    crank_semaphore_release(semaphore);
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_await(b), 0);
    EXPECT_TRAIL("0 -125 b0");
    EXPECT_EQ(crank_semaphore_value(semaphore), 0);
    return 0;
}

static int cancelled_takes(crank_semaphore *semaphore)
{
    crank_cancel(crank_self());
    EXPECT_EQ(crank_semaphore_acquire(semaphore), -ECANCELED);
    EXPECT_EQ(crank_semaphore_value(semaphore), 1);
    EXPECT_EQ(crank_semaphore_acquire(semaphore), 0);
    return 0;
}

TEST_EACH_BACKEND(semaphore, keeps_its_permit_from_a_cancelled_task)
{
    CRANK_SEMAPHORE(semaphore, 1);
    EXPECT_EQ(crank_await(crank_spawn(cancelled_takes, semaphore)), 0);
    return 0;
}

TEST_SIM(semaphore, can_be_waited_for_with_a_limit)
{
    CRANK_SEMAPHORE(semaphore, 0);
    EXPECT_EQ(crank_within(0.5, crank_semaphore_acquire(semaphore)), -ETIMEDOUT);
    crank_semaphore_release(semaphore);
    EXPECT_EQ(crank_within(0.5, crank_semaphore_acquire(semaphore)), 0);
    return 0;
}

static int with_permit(crank_semaphore *semaphore, bool fail)
{
    CRANK_WITH_PERMIT(semaphore);
    EXPECT_EQ(crank_semaphore_value(semaphore), 0);
    if (fail)
        return crank_fail(EPROTO, "on purpose");
    return 0;
}

TEST_EACH_BACKEND(semaphore, declared_is_released_on_every_way_out)
{
    CRANK_SEMAPHORE(semaphore, 1);
    EXPECT_EQ(with_permit(semaphore, false), 0);
    EXPECT_EQ(with_permit(semaphore, true), -EPROTO);
    EXPECT_EQ(crank_semaphore_value(semaphore), 1);
    crank_try(crank_semaphore_acquire(semaphore));
    crank_task *a = crank_spawn(with_permit, semaphore, false);
    crank_try(settle());
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_EQ(crank_semaphore_value(semaphore), 0);
    return 0;
}

TEST_EACH_BACKEND(semaphore, without_a_bound_grows)
{
    CRANK_SEMAPHORE(semaphore, 1);
    crank_semaphore_release(semaphore);
    crank_semaphore_release(semaphore);
    EXPECT_EQ(crank_semaphore_value(semaphore), 3);
    return 0;
}

TEST_EACH_BACKEND(semaphore, with_a_bound_takes_back_what_it_gave)
{
    CRANK_SEMAPHORE_BOUNDED(semaphore, 2);
    crank_try(crank_semaphore_acquire(semaphore));
    crank_try(crank_semaphore_acquire(semaphore));
    crank_task *a = crank_spawn(take, semaphore, "a");
    crank_try(settle());
    crank_semaphore_release(semaphore);
    crank_semaphore_release(semaphore);
    crank_try((int)crank_await(a));
    crank_semaphore_release(semaphore);
    EXPECT_EQ(crank_semaphore_value(semaphore), 2);
    return 0;
}

TEST(semaphore, made_outside_can_be_used_without_a_run)
{
    crank_semaphore *semaphore = crank_semaphore_new(1);
    EXPECT_EQ(crank_semaphore_acquire_nowait(semaphore), 0);
    EXPECT_EQ(crank_semaphore_acquire_nowait(semaphore), -EAGAIN);
    crank_semaphore_release(semaphore);
    crank_semaphore_free(semaphore);
    crank_semaphore_free(NULL);
}

TEST_CHECKS(semaphore, released_over_its_bound_is_refused, "already holds all of its 1 permits")
{
    CRANK_SEMAPHORE_BOUNDED(semaphore, 1);
    crank_semaphore_release(semaphore);
    return 0;
}

TEST_CHECKS(semaphore, of_no_permits_and_a_bound_never_takes_one, "already holds all of its 0 permits")
{
    CRANK_SEMAPHORE_BOUNDED(semaphore, 0);
    crank_task *a = crank_spawn(take, semaphore, "a");
    crank_try(settle());
    crank_semaphore_release(semaphore);
    return (int)crank_await(a);
}

TEST_CHECKS(semaphore, freed_while_waited_for_is_refused, "tasks wait for semaphore")
{
    crank_semaphore *semaphore = crank_semaphore_new(0);
    crank_task *a = crank_spawn(take, semaphore, "a");
    crank_try(settle());
    crank_semaphore_free(semaphore);
    return (int)crank_await(a);
}

TEST_CHECKS_OUTSIDE(semaphore, acquired_outside_a_run_is_refused, "crank_semaphore_acquire")
{
    crank_semaphore *semaphore = crank_semaphore_new(1);
    if (crank_semaphore_acquire(semaphore) == 0)
        crank_semaphore_release(semaphore);
}

struct world {
    crank_semaphore *semaphore;
    uint64_t random;
    int inside;
};

static int wanderer(struct world *world)
{
    for (int i = 0; i < 10; i++) {
        int err = chance(&world->random, 3)
                      ? crank_semaphore_acquire(world->semaphore)
                      : crank_within(0.001 * chance(&world->random, 4), crank_semaphore_acquire(world->semaphore));
        if (err < 0)
            continue;
        EXPECT(++world->inside <= 3);
        (void)crank_sleep(0.001 * chance(&world->random, 3));
        world->inside--;
        crank_semaphore_release(world->semaphore);
    }
    return 0;
}

TEST_SEEDS(semaphore, neither_loses_nor_makes_permits, 300)
{
    CRANK_SEMAPHORE_BOUNDED(semaphore, 3);
    struct world world = { .semaphore = semaphore, .random = seed };
    crank_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = crank_spawn(wanderer, &world);
    for (int i = 0; i < 30; i++) {
        crank_try(crank_sleep(0.001 * chance(&world.random, 3)));
        crank_cancel(tasks[chance(&world.random, 10)]);
    }
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(crank_await(tasks[i]), 0);
    EXPECT_EQ(crank_semaphore_value(semaphore), 3);
    return 0;
}
