/* SPDX-License-Identifier: MIT */
/* barrier.c: so many through together, round after round, whoever leaves or breaks it. */
#include "trail.h"

static int meet(crank_barrier *barrier, const char *name)
{
    int place = crank_barrier_wait(barrier);
    say("%s%d", name, place);
    return place < 0 ? place : 0;
}

TEST_EACH_BACKEND(barrier, lets_all_through_with_the_last)
{
    CRANK_BARRIER(barrier, 3);
    crank_task *a = crank_spawn(meet, barrier, "a");
    crank_task *b = crank_spawn(meet, barrier, "b");
    crank_try(settle());
    EXPECT_TRAIL("");
    EXPECT_EQ(crank_barrier_waiting(barrier), 2);
    EXPECT_EQ(crank_barrier_wait(barrier), 2);
    EXPECT_EQ(crank_barrier_waiting(barrier), 0);
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("a0 b1");
    EXPECT(!crank_barrier_broken(barrier));
    return 0;
}

TEST_EACH_BACKEND(barrier, for_one_never_waits)
{
    CRANK_BARRIER(barrier, 1);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(crank_barrier_wait(barrier), 0);
    return 0;
}

static int rounds(crank_barrier *barrier, int *arrived, int n)
{
    for (int i = 0; i < n; i++) {
        ++*arrived;
        int place = crank_barrier_wait(barrier);
        EXPECT(place >= 0 && place < 4);
        EXPECT(*arrived >= 4 * (i + 1));
    }
    return 0;
}

TEST_EACH_BACKEND(barrier, keeps_rounds_apart)
{
    CRANK_BARRIER(barrier, 4);
    int arrived = 0;
    CRANK_GROUP(group);
    for (int i = 0; i < 4; i++)
        crank_group_spawn(&group, rounds, barrier, &arrived, 50);
    crank_try(crank_group_wait(&group));
    EXPECT_EQ(arrived, 200);
    EXPECT_EQ(crank_barrier_waiting(barrier), 0);
    return 0;
}

/* Those let through may come back before the others have run: they are the next round's. */
TEST_EACH_BACKEND(barrier, begins_the_next_round_at_once)
{
    CRANK_BARRIER(barrier, 2);
    crank_task *a = crank_spawn(meet, barrier, "a");
    crank_try(settle());
    EXPECT_EQ(crank_barrier_wait(barrier), 1);
    crank_task *b = crank_spawn(meet, barrier, "b");
    EXPECT_EQ(crank_barrier_wait(barrier), 0);
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("a0 b1");
    return 0;
}

TEST_EACH_BACKEND(barrier, serves_more_tasks_than_parties)
{
    CRANK_BARRIER(barrier, 2);
    static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
    crank_task *tasks[6];
    for (int i = 0; i < 6; i++)
        tasks[i] = crank_spawn(meet, barrier, names[i]);
    crank_try(crank_gather_n(tasks, 6, (long *)NULL));
    EXPECT_TRAIL("b1 d1 f1 a0 c0 e0");
    return 0;
}

TEST_EACH_BACKEND(barrier, left_by_a_cancelled_task_waits_for_another)
{
    CRANK_BARRIER(barrier, 3);
    crank_task *a = crank_spawn(meet, barrier, "a");
    crank_task *b = crank_spawn(meet, barrier, "b");
    crank_try(settle());
    crank_cancel(a);
    EXPECT_EQ(crank_barrier_waiting(barrier), 1);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT(!crank_barrier_broken(barrier));
    crank_task *c = crank_spawn(meet, barrier, "c");
    crank_try(settle());
    EXPECT_EQ(crank_barrier_wait(barrier), 2);
    crank_try(crank_gather(NULL, b, c));
    EXPECT_TRAIL("a-125 b0 c1");
    return 0;
}

static int meet_then_sleep(crank_barrier *barrier)
{
    int first = crank_barrier_wait(barrier);
    int second = crank_sleep(1);
    say("%d %d", first, second);
    return second;
}

TEST_EACH_BACKEND(barrier, passed_before_a_cancel_is_passed)
{
    CRANK_BARRIER(barrier, 2);
    crank_task *a = crank_spawn(meet_then_sleep, barrier);
    crank_try(settle());
    EXPECT_EQ(crank_barrier_wait(barrier), 1);
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_TRAIL("0 -125");
    return 0;
}

static int cancelled_meets(crank_barrier *barrier)
{
    crank_cancel(crank_self());
    return crank_barrier_wait(barrier);
}

TEST_EACH_BACKEND(barrier, is_not_reached_by_a_cancelled_task)
{
    CRANK_BARRIER(barrier, 1);
    EXPECT_EQ(crank_await(crank_spawn(cancelled_meets, barrier)), -ECANCELED);
    EXPECT_EQ(crank_barrier_waiting(barrier), 0);
    return 0;
}

TEST_EACH_BACKEND(barrier, reset_turns_away_those_who_wait_and_serves_the_next)
{
    CRANK_BARRIER(barrier, 2);
    crank_barrier_reset(barrier);
    crank_task *a = crank_spawn(meet, barrier, "a");
    crank_try(settle());
    crank_barrier_reset(barrier);
    EXPECT_EQ(crank_barrier_waiting(barrier), 0);
    EXPECT(!crank_barrier_broken(barrier));
    crank_task *b = crank_spawn(meet, barrier, "b");
    EXPECT_EQ(crank_await(a), -EPIPE);
    EXPECT_EQ(crank_barrier_wait(barrier), 1);
    crank_try((int)crank_await(b));
    EXPECT_TRAIL("a-32 b0");
    return 0;
}

TEST_EACH_BACKEND(barrier, aborted_turns_everybody_away_until_a_reset)
{
    CRANK_BARRIER(barrier, 3);
    crank_task *a = crank_spawn(meet, barrier, "a");
    crank_task *b = crank_spawn(meet, barrier, "b");
    crank_try(settle());
    crank_barrier_abort(barrier);
    EXPECT(crank_barrier_broken(barrier));
    EXPECT_EQ(crank_await(a), -EPIPE);
    EXPECT_EQ(crank_await(b), -EPIPE);
    EXPECT_EQ(crank_barrier_wait(barrier), -EPIPE);
    EXPECT_EQ(crank_barrier_waiting(barrier), 0);
    crank_barrier_reset(barrier);
    EXPECT(!crank_barrier_broken(barrier));
    trail[0] = '\0';
    a = crank_spawn(meet, barrier, "a");
    b = crank_spawn(meet, barrier, "b");
    crank_try(settle());
    EXPECT_EQ(crank_barrier_wait(barrier), 2);
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("a0 b1");
    return 0;
}

TEST_EACH_BACKEND(barrier, reset_after_the_last_came_changes_nothing_for_that_round)
{
    CRANK_BARRIER(barrier, 2);
    crank_task *a = crank_spawn(meet, barrier, "a");
    crank_try(settle());
    EXPECT_EQ(crank_barrier_wait(barrier), 1);
    crank_barrier_abort(barrier);
    crank_try((int)crank_await(a));
    EXPECT_TRAIL("a0");
    return 0;
}

TEST_SIM(barrier, can_be_waited_for_with_a_limit)
{
    CRANK_BARRIER(barrier, 2);
    EXPECT_EQ(crank_within(0.5, crank_barrier_wait(barrier)), -ETIMEDOUT);
    EXPECT_EQ(crank_barrier_waiting(barrier), 0);
    return 0;
}

TEST_EACH_BACKEND(barrier, is_named_where_a_task_waits_for_it)
{
    CRANK_BARRIER(barrier, 3);
    crank_task *a = crank_spawn(meet, barrier, "a");
    crank_try(settle());
    char text[512];
    crank_describe(a, text, sizeof text);
    EXPECT_CONTAINS(text, "waits at a barrier");
    EXPECT_CONTAINS(text, "1 of 3 have come");
    crank_barrier_abort(barrier);
    EXPECT_EQ(crank_await(a), -EPIPE);
    return 0;
}

TEST(barrier, free_of_null_does_nothing) { crank_barrier_free(NULL); }

TEST_CHECKS_OUTSIDE(barrier, of_nobody_is_refused, "crank_barrier_new: 0 parties")
{
    crank_barrier_free(crank_barrier_new(0));
}

TEST_CHECKS(barrier, freed_while_waited_at_is_refused, "1 tasks wait at barrier")
{
    crank_barrier *barrier = crank_barrier_new(2);
    crank_task *a = crank_spawn(meet, barrier, "a");
    crank_try(settle());
    crank_barrier_free(barrier);
    return (int)crank_await(a);
}

TEST_CHECKS_OUTSIDE(barrier, waited_at_outside_a_run_is_refused, "crank_barrier_wait")
{
    crank_barrier *barrier = crank_barrier_new(1);
    crank_barrier_wait(barrier);
}

struct meeting {
    crank_barrier *barrier;
    uint64_t random;
    int round[8];    /* how many rounds each has passed */
    unsigned places; /* bits of the places given in a round */
    int passed;
};

/* Every place of a round is given once, whoever was cancelled before. */
static int attend(struct meeting *meeting, int who)
{
    while (meeting->round[who] < 10) {
        int place = crank_barrier_wait(meeting->barrier);
        if (place == -ECANCELED)
            continue;
        EXPECT(place >= 0 && place < 4);
        meeting->places ^= 1u << place;
        meeting->round[who]++;
        meeting->passed++;
        if (chance(&meeting->random, 2))
            (void)crank_sleep(0.001 * chance(&meeting->random, 3));
    }
    return 0;
}

TEST_SEEDS(barrier, gives_each_place_once_under_random_cancels, 200)
{
    CRANK_BARRIER(barrier, 4);
    struct meeting meeting = { .barrier = barrier, .random = seed };
    crank_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = crank_spawn(attend, &meeting, i);
    for (int i = 0; i < 30; i++) {
        crank_try(crank_sleep(0.001 * chance(&meeting.random, 3)));
        crank_cancel(tasks[chance(&meeting.random, 4)]);
    }
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(crank_await(tasks[i]), 0);
    EXPECT_EQ(meeting.passed, 40);
    EXPECT_EQ(meeting.places, 0);
    return 0;
}
