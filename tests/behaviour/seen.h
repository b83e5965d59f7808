/* SPDX-License-Identifier: MIT */
/* seen.h: what the tests of interruptions share: a record of what a task's waits gave, and tasks that cancel and fail.
 *
 * In each test "next" is the first wait of the same task after the call in question: it works (0), or it is cut
 * (-ECANCELED). The rules R1 to R6 are those of docs/cancellation.md. */
#ifndef SEEN_H
#define SEEN_H
#include "test.h"

/* What a task saw. */
struct seen {
    crank_task *self; /* for whoever cancels it */
    int wait;         /* the wait inside */
    int edge;         /* the edge around it */
    int next;         /* the wait after */
    int after;        /* and the one after that */
    unsigned count;   /* requests */
    bool tidy;        /* a cleanup came to its end */
};

__attribute__((unused)) static void look_at_next(struct seen *seen)
{
    seen->next = crank_sleep(0);
    seen->after = crank_sleep(0);
    seen->count = crank_cancelling(NULL);
}

#define EXPECT_SEEN(seen, edge_, next_) \
    do { \
        EXPECT_EQ((seen).edge, (edge_)); \
        EXPECT_EQ((seen).next, (next_)); \
        EXPECT_EQ((seen).after, 0); \
    } while (0)

/* A child that takes so many seconds to clean up once it is cancelled, and then fails so. */
__attribute__((unused)) static int cleaning(struct seen *seen, double seconds, int result)
{
    seen->wait = crank_sleep(1000);
    int cut = crank_sleep(seconds);
    seen->tidy = cut == 0;
    seen->after = cut;
    seen->count = crank_cancelling(NULL);
    return result;
}

__attribute__((unused)) static int cancel_at(double seconds, crank_task **task, int times)
{
    crank_try(crank_sleep(seconds));
    for (int i = 0; i < times; i++)
        crank_cancel(*task);
    return 0;
}

/* Await the task, which is cancelled so often at that time, and give it up. */
__attribute__((unused)) static void run_cancelled(crank_task *task, double at, int times)
{
    crank_task *canceller = crank_spawn(cancel_at, at, &task, times);
    EXPECT_EQ(crank_await_shared(task), 0);
    EXPECT_EQ(crank_await(canceller), 0);
    crank_drop(task);
}

__attribute__((unused)) static int fail_at(double seconds)
{
    crank_try(crank_sleep(seconds));
    return crank_fail(EIO, "broke");
}

__attribute__((unused)) static int sleeps(struct seen *seen)
{
    seen->edge = crank_sleep(3600);
    look_at_next(seen);
    return 0;
}

__attribute__((unused)) static int limited_gather(struct seen *seen, struct seen *child)
{
    crank_task *tasks[] = { crank_spawn(cleaning, child, 2.0, -ECANCELED) };
    seen->edge = crank_within(1, crank_gather_n(tasks, 1, (int *)NULL));
    look_at_next(seen);
    return 0;
}

__attribute__((unused)) static int wait_for_group(struct seen *child, int result)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, cleaning, child, 2.0, result);
    return crank_group_wait(&group);
}

/* The block of this function ends with a join of its child, which takes a second. */
__attribute__((unused)) static int leave_a_group(struct seen *child)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, cleaning, child, 1.0, -ECANCELED);
    return crank_sleep(100);
}

__attribute__((unused)) static int limited_block(struct seen *seen, struct seen *child)
{
    seen->edge = crank_within(1, leave_a_group(child));
    look_at_next(seen);
    return 0;
}
#endif
