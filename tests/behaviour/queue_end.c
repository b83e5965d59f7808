/* SPDX-License-Identifier: MIT */
/* queue_end.c: how a queue comes to its end: done, join and shutdown; and what is refused. */
#include <pthread.h>
#include "one.h"

static int work(crank_queue *queue, int *sum)
{
    int value;
    for (;;) {
        crank_try(crank_get(queue, &value));
        crank_try(crank_sleep(0.001));
        *sum += value;
        crank_queue_done(queue);
    }
}

TEST_EACH_BACKEND(queue, join_waits_until_all_is_done)
{
    CRANK_QUEUE(queue, int, 0);
    int sum = 0;
    crank_try(crank_queue_join(queue));
    for (int i = 1; i <= 20; i++)
        crank_try(crank_put(queue, i));
    CRANK_GROUP(workers);
    crank_group_spawn(&workers, work, queue, &sum);
    crank_group_spawn(&workers, work, queue, &sum);
    crank_try(crank_queue_join(queue));
    EXPECT_EQ(sum, 210);
    crank_try(crank_put(queue, 1));
    crank_try(crank_queue_join(queue));
    EXPECT_EQ(sum, 211);
    return 0;
}

static int join(crank_queue *queue, const char *name)
{
    int err = crank_queue_join(queue);
    say("%s%d", name, err);
    return err;
}

TEST_EACH_BACKEND(queue, join_counts_what_was_handed_over_and_what_came_in_late)
{
    CRANK_QUEUE(queue, int, 1);
    int value;
    crank_task *getter = crank_spawn(get_one, queue, "g");
    crank_try(settle());
    crank_try(crank_put(queue, 1));                      /* to the getter */
    crank_try(crank_put(queue, 2));                      /* into the queue */
    crank_task *putter = crank_spawn(put_one, queue, 3); /* waits */
    crank_task *joiner = crank_spawn(join, queue, "j");
    crank_try(settle());
    crank_queue_done(queue);
    crank_try(crank_get(queue, &value));
    crank_queue_done(queue);
    crank_try(settle());
    EXPECT(!crank_done(joiner));
    crank_try(crank_get(queue, &value));
    crank_queue_done(queue);
    crank_try(crank_gather(NULL, getter, putter, joiner));
    EXPECT_TRAIL("g1 +3 j0");
    return 0;
}

TEST_EACH_BACKEND(queue, wakes_all_joiners_but_the_cancelled)
{
    CRANK_QUEUE(queue, int, 0);
    crank_try(crank_put(queue, 1));
    crank_task *a = crank_spawn(join, queue, "a");
    crank_task *b = crank_spawn(join, queue, "b");
    crank_task *c = crank_spawn(join, queue, "c");
    crank_try(settle());
    crank_cancel(b);
    EXPECT_EQ(crank_await(b), -ECANCELED);
    crank_queue_done(queue);
    crank_try(crank_gather(NULL, a, c));
    EXPECT_TRAIL("b-125 a0 c0");
    return 0;
}

TEST_EACH_BACKEND(queue, shut_down_gives_what_it_has_and_then_nothing)
{
    CRANK_QUEUE(queue, int, 2);
    int value;
    crank_try(crank_put(queue, 1));
    crank_try(crank_put(queue, 2));
    crank_queue_shutdown(queue, false);
    EXPECT_EQ(crank_put(queue, 3), -EPIPE);
    EXPECT_EQ(crank_put_nowait(queue, 3), -EPIPE);
    crank_try(crank_get(queue, &value));
    EXPECT_EQ(value, 1);
    EXPECT_EQ(crank_put(queue, 3), -EPIPE);
    EXPECT_EQ(crank_get_nowait(queue, &value), 0);
    EXPECT_EQ(value, 2);
    EXPECT_EQ(crank_get(queue, &value), -EPIPE);
    EXPECT_EQ(crank_get_nowait(queue, &value), -EPIPE);
    EXPECT_EQ(value, 2);
    return 0;
}

TEST_EACH_BACKEND(queue, shut_down_at_once_drops_what_it_has)
{
    CRANK_QUEUE(queue, int, 0);
    int value;
    crank_try(crank_put(queue, 1));
    crank_try(crank_put(queue, 2));
    crank_queue_shutdown(queue, true);
    EXPECT_EQ(crank_queue_count(queue), 0);
    EXPECT_EQ(crank_get(queue, &value), -EPIPE);
    crank_try(crank_queue_join(queue));
    return 0;
}

TEST_EACH_BACKEND(queue, shut_down_wakes_getters_and_putters)
{
    CRANK_QUEUE(empty, int, 0);
    CRANK_QUEUE(full, int, 1);
    crank_try(crank_put(full, 1));
    crank_task *a = crank_spawn(get_one, empty, "a");
    crank_task *b = crank_spawn(get_one, empty, "b");
    crank_task *c = crank_spawn(put_one, full, 2);
    crank_try(settle());
    crank_queue_shutdown(empty, false);
    crank_queue_shutdown(full, false);
    EXPECT_EQ(crank_await(a), -EPIPE);
    EXPECT_EQ(crank_await(b), -EPIPE);
    EXPECT_EQ(crank_await(c), -EPIPE);
    EXPECT_TRAIL("a-32 b-32 +-32");
    EXPECT_EQ(crank_queue_count(full), 1);
    return 0;
}

/* Dropped elements count as done; those that were got must still be done. */
TEST_EACH_BACKEND(queue, shut_down_at_once_leaves_join_what_was_got)
{
    CRANK_QUEUE(queue, int, 0);
    int value;
    for (int i = 0; i < 3; i++)
        crank_try(crank_put(queue, i));
    crank_try(crank_get(queue, &value));
    crank_task *joiner = crank_spawn(join, queue, "j");
    crank_try(settle());
    crank_queue_shutdown(queue, true);
    crank_try(settle());
    EXPECT_TRAIL("");
    crank_queue_done(queue);
    crank_try((int)crank_await(joiner));
    EXPECT_TRAIL("j0");
    return 0;
}

TEST_EACH_BACKEND(queue, shut_down_at_once_wakes_join_where_nothing_was_got)
{
    CRANK_QUEUE(queue, int, 0);
    crank_try(crank_put(queue, 1));
    crank_task *joiner = crank_spawn(join, queue, "j");
    crank_try(settle());
    crank_queue_shutdown(queue, false);
    crank_try(settle());
    EXPECT_TRAIL("");
    crank_queue_shutdown(queue, true);
    crank_try((int)crank_await(joiner));
    EXPECT_TRAIL("j0");
    return 0;
}

TEST_EACH_BACKEND(queue, shut_down_twice_is_shut_down)
{
    CRANK_QUEUE_LIFO(queue, int, 0);
    crank_queue_shutdown(queue, false);
    crank_queue_shutdown(queue, false);
    EXPECT_EQ(crank_put_nowait(queue, 1), -EPIPE);
    return 0;
}

TEST_EACH_BACKEND(queue, is_named_where_a_task_waits_for_it)
{
    CRANK_QUEUE(queue, int, 1);
    char text[512];
    crank_task *getter = crank_spawn(get_one, queue, "g");
    crank_try(settle());
    crank_describe(getter, text, sizeof text);
    EXPECT_CONTAINS(text, "waits to get from a queue");
    EXPECT_CONTAINS(text, "(empty");
    crank_try(crank_put(queue, 1));
    crank_try(crank_put(queue, 2));
    crank_task *putter = crank_spawn(put_one, queue, 3);
    crank_task *joiner = crank_spawn(join, queue, "j");
    crank_try(settle());
    crank_describe(putter, text, sizeof text);
    EXPECT_CONTAINS(text, "waits to put into a queue");
    EXPECT_CONTAINS(text, "(full, 1 element");
    crank_describe(joiner, text, sizeof text);
    EXPECT_CONTAINS(text, "waits for a queue's elements to be done");
    crank_queue_shutdown(queue, true);
    EXPECT_EQ(crank_await(putter), -EPIPE);
    crank_queue_done(queue);
    crank_try(crank_gather(NULL, getter, joiner));
    return 0;
}

TEST_CHECKS(
    queue, put_of_another_type_is_refused, "crank_put: the queue holds 8-byte doubles, this is a 4-byte signed integer")
{
    CRANK_QUEUE(queue, double, 0);
    return crank_put(queue, 1);
}

TEST_CHECKS(queue, get_into_another_type_is_refused,
    "crank_get: the queue holds 4-byte signed integers, this is an 8-byte pointer")
{
    CRANK_QUEUE(queue, int, 0);
    void *pointer;
    return crank_get(queue, &pointer);
}

TEST_CHECKS(queue, put_nowait_of_another_size_is_refused, "crank_put_nowait: the queue holds 8-byte signed integers")
{
    CRANK_QUEUE(queue, long, 0);
    return crank_put_nowait(queue, 1);
}

TEST_CHECKS(queue, get_nowait_into_another_sign_is_refused, "this is a 4-byte unsigned integer")
{
    CRANK_QUEUE(queue, int, 0);
    unsigned value;
    return crank_get_nowait(queue, &value);
}

TEST_CHECKS(queue, of_no_kind_refuses_another_size, "holds 8-byte values, this is a 4-byte signed integer")
{
    crank_queue *queue = crank_queue_new(8, CRANK_KIND_NONE, 0);
    return crank_put(queue, 1);
}

TEST_CHECKS(queue, done_more_often_than_put_is_refused, "is done already")
{
    CRANK_QUEUE(queue, int, 0);
    crank_try(crank_put(queue, 1));
    crank_queue_done(queue);
    crank_queue_done(queue);
    return 0;
}

TEST_CHECKS(queue, freed_while_waited_on_is_refused, "tasks wait on queue")
{
    crank_queue *queue = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 0);
    crank_task *a = crank_spawn(get_one, queue, "a");
    crank_try(settle());
    crank_queue_free(queue);
    return (int)crank_await(a);
}

TEST_CHECKS_OUTSIDE(queue, got_from_outside_a_run_is_refused, "crank_get")
{
    crank_queue *queue = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 0);
    int value;
    EXPECT_EQ(crank_put_nowait(queue, 1), 0);
    EXPECT_EQ(crank_get(queue, &value), 0);
    crank_queue_free(queue);
}

TEST_CHECKS_OUTSIDE(queue, of_nothing_is_refused, "elements of 0 bytes")
{
    crank_queue_free(crank_queue_new(0, CRANK_KIND_NONE, 0));
}

TEST_CHECKS_OUTSIDE(queue, of_priority_needs_a_comparison, "no comparison")
{
    crank_queue_free(crank_queue_new_priority(4, CRANK_KIND_SIGNED, 0, NULL));
}

static crank_queue *compared;

static bool meddle(const void *a, const void *b)
{
    int value;
    if (crank_queue_count(compared) > 1 && crank_get_nowait(compared, &value) == 0)
        return true;
    return *(const int *)a < *(const int *)b;
}

TEST_CHECKS(queue, used_by_its_own_comparison_is_refused, "called by the comparison of the same queue")
{
    CRANK_QUEUE_PRIORITY(queue, int, 0, meddle);
    compared = queue;
    for (int i = 0; i < 4; i++)
        crank_try(crank_put(queue, i));
    return 0;
}

static int shut_elsewhere(crank_queue *queue)
{
    crank_queue_shutdown(queue, false);
    return 0;
}
static void *other_thread(void *queue)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM };
    (void)crank_run_with(&options, shut_elsewhere, (crank_queue *)queue);
    return NULL;
}
static int get_any(crank_queue *queue)
{
    int value;
    return crank_get(queue, &value);
}
TEST_CHECKS(queue, waited_for_in_one_thread_is_not_shut_down_by_another, "runs on another thread")
{
    CRANK_QUEUE(queue, int, 0);
    crank_task *getter = crank_spawn(get_any, queue);
    crank_try(crank_sleep(0));
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, other_thread, queue), 0);
    pthread_join(thread, NULL);
    return (int)crank_await(getter);
}

/* ---- foreach_item */

static int put_and_shut(crank_queue *queue, int n)
{
    for (int i = 1; i <= n; i++) {
        crank_try(crank_put(queue, i));
        crank_try(crank_sleep(0));
    }
    crank_queue_shutdown(queue, false);
    return 0;
}

static int add_items(crank_queue *queue)
{
    int sum = 0;
    crank_foreach_item(int, value, queue) sum += value;
    return sum;
}

TEST_EACH_BACKEND(foreach_item, gives_every_item_and_ends_with_the_shutdown)
{
    CRANK_QUEUE(queue, int, 2);
    crank_task *putter = crank_spawn(put_and_shut, queue, 10);
    EXPECT_EQ(crank_await(crank_spawn(add_items, queue)), 55);
    EXPECT_STR(crank_error(), "");
    EXPECT_EQ(crank_await(putter), 0);
    return 0;
}

TEST_EACH_BACKEND(foreach_item, of_a_queue_that_was_emptied_by_its_shutdown_gives_nothing)
{
    CRANK_QUEUE(queue, int, 0);
    crank_try(crank_put(queue, 1));
    crank_queue_shutdown(queue, true);
    EXPECT_EQ(add_items(queue), 0);
    return 0;
}

static int asked;
static crank_queue *asked_for(crank_queue *queue)
{
    asked++;
    return queue;
}

TEST_EACH_BACKEND(foreach_item, left_by_break_leaves_the_rest_and_asks_for_the_queue_once)
{
    CRANK_QUEUE(queue, int, 0);
    int got = 0;
    for (int i = 1; i <= 5; i++)
        crank_try(crank_put(queue, i));
    crank_foreach_item(int, value, asked_for(queue))
    {
        if (value % 2)
            continue;
        got = value;
        break;
    }
    EXPECT_EQ(got, 2);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(crank_queue_count(queue), 3);
    return 0;
}

TEST_EACH_BACKEND(foreach_item, cancelled_returns_from_the_function)
{
    CRANK_QUEUE(queue, int, 0);
    crank_try(crank_put(queue, 7));
    crank_task *task = crank_spawn(add_items, queue);
    crank_try(settle());
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_EQ(crank_queue_count(queue), 0);
    return 0;
}

static int sum_of_pairs(crank_queue *outer)
{
    int sum = 0;
    crank_foreach_item(crank_queue *, inner, outer) crank_foreach_item(int, value, inner) sum += value;
    return sum;
}

TEST_EACH_BACKEND(foreach_item, stands_inside_another)
{
    CRANK_QUEUE(outer, crank_queue *, 0);
    CRANK_QUEUE(inner, int, 0);
    crank_try(crank_put(outer, inner));
    crank_try(crank_put(inner, 3));
    crank_try(crank_put(inner, 4));
    crank_queue_shutdown(inner, false);
    crank_queue_shutdown(outer, false);
    EXPECT_EQ(sum_of_pairs(outer), 7);
    return 0;
}

static int add_longs(crank_queue *queue)
{
    long sum = 0;
    crank_foreach_item(long, value, queue) sum += value;
    return (int)sum;
}

TEST_CHECKS(foreach_item, of_another_type_than_the_queue_s_is_refused, "the queue holds 4-byte signed integers")
{
    CRANK_QUEUE(queue, int, 0);
    return add_longs(queue);
}
