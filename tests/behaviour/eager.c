/* SPDX-License-Identifier: MIT */
/* eager.c: crank_spawn_eager runs the new task, and nothing but it, up to its first wait. */
#include <crank/thread.h>
#include "trail.h"

static int word(const char *name)
{
    say("%s", name);
    return 0;
}

static int word_and_turn(const char *name)
{
    say("%s", name);
    crank_try(crank_sleep(0));
    say("%s again", name);
    return 0;
}

TEST_EACH_BACKEND(eager, runs_the_new_task_alone_at_the_first_call_of_a_run)
{
    crank_task *other = crank_spawn(word, "other");
    crank_task *child = crank_spawn_eager(word_and_turn, "child");
    say("parent");
    crank_try(crank_gather(NULL, other, child));
    EXPECT_TRAIL("child parent other child again");
    return 0;
}

static int count_one(int *count)
{
    ++*count;
    return 0;
}
static int count_two(int *count)
{
    ++*count;
    crank_try(crank_sleep(0));
    ++*count;
    return 0;
}

/* Far more than a turn of the loop has steps: with many tasks ready, timers due and a post on its way. */
static int run_many(void)
{
    enum { N = 1000 };
    static crank_task *children[N];
    int others = 0, begun = 0;
    crank_task *other = crank_spawn(count_one, &others);
    crank_task *due = crank_spawn(crank_sleep, 1e-9);
    for (int i = 0; i < N; i++) {
        children[i] = crank_spawn_eager(count_two, &begun);
        EXPECT_EQ(begun, i + 1);
        EXPECT_EQ(others, 0);
    }
    EXPECT(!crank_done(due));
    crank_try(crank_gather_n(children, N, NULL));
    EXPECT_EQ(begun, 2 * N);
    crank_try(crank_gather(NULL, other, due));
    return 0;
}
TEST_EACH_BACKEND(eager, runs_the_new_task_alone_however_often) { return run_many(); }

TEST(eager, runs_the_new_task_alone_in_debug_mode)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .debug = true };
    EXPECT_EQ(crank_run_with(&options, run_many), 0);
}

/* The innermost goes on first, then each one that has started another. */
static int nest(int depth, int *count, const int *others)
{
    EXPECT_EQ(*count, 0);
    if (depth == 0)
        return crank_sleep(0);
    crank_task *child = crank_spawn_eager(nest, depth - 1, count, others);
    EXPECT_EQ(++*count, depth);
    EXPECT_EQ(*others, 0);
    return (int)crank_await(child);
}
TEST_EACH_BACKEND(eager, nested_is_one_step_for_all_others)
{
    enum { DEPTH = 200 };
    int count = 0, others = 0;
    crank_task *other = crank_spawn(count_one, &others);
    crank_task *outermost = crank_spawn_eager(nest, DEPTH, &count, &others);
    EXPECT_EQ(count, DEPTH);
    EXPECT_EQ(others, 0);
    crank_try(crank_gather(NULL, outermost, other));
    return 0;
}

static void posted(void *name) { say("%s", (const char *)name); }
static int post_and_turn(crank_loop *loop)
{
    EXPECT_EQ(crank_post(loop, posted, "posted"), 0);
    crank_try(crank_sleep(0));
    say("child");
    return 0;
}
TEST_EACH_BACKEND(eager, goes_on_before_what_the_new_task_has_posted)
{
    crank_task *child = crank_spawn_eager(post_and_turn, crank_current_loop());
    say("parent");
    crank_try(crank_await(child));
    EXPECT_TRAIL("parent posted child");
    return 0;
}

static int ask(crank_task *parent) { return crank_cancel(parent); }
TEST_EACH_BACKEND(eager, cancelled_by_the_new_task_notices_at_its_next_wait)
{
    crank_task *child = crank_spawn_eager(ask, crank_self());
    EXPECT_EQ(crank_done(child), true);
    EXPECT_EQ(crank_sleep(0), -ECANCELED);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    return (int)crank_await(child);
}

static int return_beside(int *count)
{
    (void)crank_spawn_eager(count_two, count);
    return 0;
}
TEST_EACH_BACKEND(eager, of_one_that_then_returns_is_waited_for)
{
    int count = 0;
    crank_try(crank_await(crank_spawn(return_beside, &count)));
    EXPECT_EQ(count, 2);
    return 0;
}

static int only_eager(bool *stop)
{
    while (!*stop) {
        int count = 0;
        crank_task *one = crank_spawn_eager(count_one, &count), *two = crank_spawn_eager(count_one, &count);
        crank_try(crank_await(one));
        crank_try(crank_await(two));
    }
    return 0;
}
static int set_stop(bool *stop)
{
    *stop = true;
    return 0;
}
TEST_EACH_BACKEND(eager, beside_waits_that_are_over_at_once_lets_others_run)
{
    bool stop = false;
    crank_task *busy = crank_spawn_eager(only_eager, &stop), *other = crank_spawn(set_stop, &stop);
    crank_try(crank_gather(NULL, busy, other));
    return 0;
}
