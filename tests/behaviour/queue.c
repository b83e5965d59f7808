/* SPDX-License-Identifier: MIT */
/* queue.c: elements handed from putters to getters: order, fairness, and none lost to a cancel. */
#include "loop/loop.h"
#include "one.h"

TEST_EACH_BACKEND(queue, is_empty_when_made)
{
    CRANK_QUEUE(queue, int, 2);
    EXPECT_EQ(crank_queue_count(queue), 0);
    EXPECT(!crank_queue_full(queue));
    int value = 7;
    EXPECT_EQ(crank_get_nowait(queue, &value), -EAGAIN);
    EXPECT_EQ(value, 7);
    return 0;
}

TEST_EACH_BACKEND(queue, gives_the_oldest_first)
{
    CRANK_QUEUE(queue, int, 0);
    for (int i = 0; i < 100; i++)
        crank_try(crank_put(queue, i));
    EXPECT_EQ(crank_queue_count(queue), 100);
    EXPECT(!crank_queue_full(queue));
    for (int i = 0, value; i < 100; i++) {
        crank_try(crank_get(queue, &value));
        EXPECT_EQ(value, i);
    }
    return 0;
}

TEST_EACH_BACKEND(queue, lifo_gives_the_newest_first)
{
    CRANK_QUEUE_LIFO(queue, int, 0);
    for (int i = 0; i < 20; i++)
        crank_try(crank_put(queue, i));
    int value;
    for (int i = 19; i >= 0; i--) {
        crank_try(crank_get(queue, &value));
        EXPECT_EQ(value, i);
    }
    return 0;
}

struct job {
    int urgency;
    char name;
};

static bool sooner(const void *a, const void *b)
{
    return ((const struct job *)a)->urgency < ((const struct job *)b)->urgency;
}

TEST_EACH_BACKEND(queue, priority_gives_the_smallest_first_and_equals_in_order)
{
    CRANK_QUEUE_PRIORITY(queue, struct job, 0, sooner);
    static const struct job jobs[] = { { 3, 'a' }, { 1, 'b' }, { 2, 'c' }, { 1, 'd' }, { 3, 'e' }, { 1, 'f' } };
    for (size_t i = 0; i < CRANK_COUNT(jobs); i++)
        crank_try(crank_put(queue, jobs[i]));
    struct job job;
    while (crank_get_nowait(queue, &job) == 0)
        say("%c", job.name);
    EXPECT_TRAIL("b d f c a e");
    return 0;
}

TEST_EACH_BACKEND(queue, takes_values_of_any_type)
{
    CRANK_QUEUE(doubles, double, 0);
    double real = 0;
    crank_try(crank_put(doubles, 2.5));
    crank_try(crank_get(doubles, &real));
    EXPECT_NEAR(real, 2.5, 0);

    CRANK_QUEUE(words, const char *, 0);
    const char *word = NULL;
    crank_try(crank_put(words, "hello"));
    crank_try(crank_get(words, &word));
    EXPECT_STR(word, "hello");

    struct big {
        char text[100];
    } big = { "a large one" };
    CRANK_QUEUE(bigs, struct big, 1);
    crank_try(crank_put(bigs, big));
    memset(&big, 0, sizeof big);
    crank_try(crank_get(bigs, &big));
    EXPECT_STR(big.text, "a large one");

    CRANK_QUEUE(bools, bool, 0);
    bool flag = false;
    crank_try(crank_put(bools, (bool)true));
    crank_try(crank_get(bools, &flag));
    EXPECT(flag);

    CRANK_QUEUE(letters, char, 0);
    char letter = 'a', got = 0;
    crank_try(crank_put(letters, letter));
    crank_try(crank_get(letters, &got));
    EXPECT_EQ(got, 'a');
    return 0;
}

TEST_EACH_BACKEND(queue, neither_puts_nor_gets_with_a_switch_when_it_need_not)
{
    CRANK_QUEUE(queue, int, 4);
    CRANK_QUEUE(other, int, 0);
    crank_task *a = crank_spawn(put_one, other, 1);
    int value;
    for (int i = 0; i < 4; i++) {
        crank_try(crank_put(queue, i));
        crank_try(crank_get(queue, &value));
        EXPECT_EQ(value, i);
    }
    EXPECT_TRAIL("");
    return (int)crank_await(a);
}

TEST_EACH_BACKEND(queue, hands_elements_to_waiting_getters_in_order)
{
    CRANK_QUEUE(queue, int, 0);
    crank_task *a = crank_spawn(get_one, queue, "a");
    crank_task *b = crank_spawn(get_one, queue, "b");
    crank_task *c = crank_spawn(get_one, queue, "c");
    crank_try(settle());
    for (int i = 1; i <= 3; i++)
        crank_try(crank_put(queue, i));
    EXPECT_EQ(crank_queue_count(queue), 0);
    crank_try(crank_gather(NULL, a, b, c));
    EXPECT_TRAIL("a1 b2 c3");
    return 0;
}

/* An element on its way to one who waits is not for those who come meanwhile. */
TEST_EACH_BACKEND(queue, does_not_let_getters_overtake)
{
    CRANK_QUEUE(queue, int, 0);
    crank_task *a = crank_spawn(get_one, queue, "a");
    crank_try(settle());
    crank_try(crank_put(queue, 1));
    int value;
    EXPECT_EQ(crank_get_nowait(queue, &value), -EAGAIN);
    crank_task *b = crank_spawn(get_one, queue, "b");
    crank_try(settle());
    EXPECT_TRAIL("a1");
    crank_try(crank_put(queue, 2));
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("b2");
    return 0;
}

TEST_EACH_BACKEND(queue, makes_putters_wait_while_it_is_full)
{
    CRANK_QUEUE(queue, int, 2);
    crank_try(crank_put(queue, 1));
    crank_try(crank_put(queue, 2));
    EXPECT(crank_queue_full(queue));
    EXPECT_EQ(crank_put_nowait(queue, 3), -EAGAIN);
    crank_task *a = crank_spawn(put_one, queue, 3);
    crank_task *b = crank_spawn(put_one, queue, 4);
    crank_try(settle());
    EXPECT_TRAIL("");
    for (int i = 1, value; i <= 4; i++) {
        crank_try(crank_get(queue, &value));
        EXPECT_EQ(value, i);
    }
    crank_try(crank_gather(NULL, a, b));
    EXPECT_TRAIL("+3 +4");
    return 0;
}

/* The room that a getter makes is the first waiting putter's, before that one runs. */
TEST_EACH_BACKEND(queue, does_not_let_putters_overtake)
{
    CRANK_QUEUE(queue, int, 1);
    crank_try(crank_put(queue, 1));
    crank_task *a = crank_spawn(put_one, queue, 2);
    crank_try(settle());
    int value;
    crank_try(crank_get(queue, &value));
    EXPECT_EQ(value, 1);
    EXPECT(crank_queue_full(queue));
    EXPECT_EQ(crank_put_nowait(queue, 3), -EAGAIN);
    EXPECT_TRAIL("");
    crank_try(crank_get(queue, &value));
    EXPECT_EQ(value, 2);
    EXPECT_EQ(crank_queue_count(queue), 0);
    return (int)crank_await(a);
}

TEST_EACH_BACKEND(queue, nowait_lets_the_next_putter_in)
{
    CRANK_QUEUE(queue, int, 1);
    crank_try(crank_put(queue, 1));
    crank_task *a = crank_spawn(put_one, queue, 2);
    crank_try(settle());
    int value;
    EXPECT_EQ(crank_get_nowait(queue, &value), 0);
    EXPECT_EQ(value, 1);
    EXPECT_EQ(crank_get_nowait(queue, &value), 0);
    EXPECT_EQ(value, 2);
    EXPECT_EQ(crank_get_nowait(queue, &value), -EAGAIN);
    return (int)crank_await(a);
}

static int put_job(crank_queue *queue, int urgency, char name)
{
    struct job job = { urgency, name };
    return crank_put(queue, job);
}

TEST_EACH_BACKEND(queue, priority_orders_a_waiting_putters_element_when_it_comes_in)
{
    CRANK_QUEUE_PRIORITY(queue, struct job, 2, sooner);
    crank_try(put_job(queue, 5, 'a'));
    crank_try(put_job(queue, 6, 'b'));
    crank_task *late = crank_spawn(put_job, queue, 1, 'c');
    crank_task *later = crank_spawn(put_job, queue, 5, 'd');
    crank_try(settle());
    struct job job;
    for (int i = 0; i < 4; i++) {
        crank_try(crank_get(queue, &job));
        say("%c", job.name);
    }
    EXPECT_TRAIL("a c d b");
    crank_try(crank_gather(NULL, late, later));
    return 0;
}

TEST_EACH_BACKEND(queue, lifo_gives_a_waiting_putters_element_next)
{
    CRANK_QUEUE_LIFO(queue, int, 2);
    crank_try(crank_put(queue, 1));
    crank_try(crank_put(queue, 2));
    crank_task *a = crank_spawn(put_one, queue, 3);
    crank_try(settle());
    int value;
    crank_try(crank_get(queue, &value));
    EXPECT_EQ(value, 2);
    crank_try(crank_get(queue, &value));
    EXPECT_EQ(value, 3);
    crank_try(crank_get(queue, &value));
    EXPECT_EQ(value, 1);
    return (int)crank_await(a);
}

TEST_EACH_BACKEND(queue, left_by_a_cancelled_getter_serves_the_next)
{
    CRANK_QUEUE(queue, int, 0);
    crank_task *a = crank_spawn(get_one, queue, "a");
    crank_task *b = crank_spawn(get_one, queue, "b");
    crank_try(settle());
    crank_cancel(a);
    crank_try(crank_put(queue, 1));
    EXPECT_EQ(crank_await(a), -ECANCELED);
    crank_try((int)crank_await(b));
    EXPECT_TRAIL("a-125 b1");
    return 0;
}

static int get_then_sleep(crank_queue *queue)
{
    int value = -1;
    int first = crank_get(queue, &value);
    int second = crank_sleep(1);
    say("%d %d %d", first, value, second);
    return second;
}

/* Nothing is lost: the getter has the element and hears of the cancel at its next wait. */
TEST_EACH_BACKEND(queue, element_given_before_a_cancel_is_got)
{
    CRANK_QUEUE(queue, int, 0);
    crank_task *a = crank_spawn(get_then_sleep, queue);
    crank_try(settle());
    crank_try(crank_put(queue, 5));
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_TRAIL("0 5 -125");
    return 0;
}

TEST_EACH_BACKEND(queue, left_by_a_cancelled_putter_does_not_get_its_element)
{
    CRANK_QUEUE(queue, int, 1);
    crank_try(crank_put(queue, 1));
    crank_task *a = crank_spawn(put_one, queue, 2);
    crank_task *b = crank_spawn(put_one, queue, 3);
    crank_try(settle());
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    int value;
    crank_try(crank_get(queue, &value));
    EXPECT_EQ(value, 1);
    crank_try(crank_get(queue, &value));
    EXPECT_EQ(value, 3);
    crank_try((int)crank_await(b));
    EXPECT_TRAIL("+-125 +3");
    return 0;
}

static int put_then_sleep(crank_queue *queue)
{
    int first = crank_put(queue, 9);
    int second = crank_sleep(1);
    say("%d %d", first, second);
    return second;
}

TEST_EACH_BACKEND(queue, element_taken_before_a_cancel_was_put)
{
    CRANK_QUEUE(queue, int, 1);
    crank_try(crank_put(queue, 1));
    crank_task *a = crank_spawn(put_then_sleep, queue);
    crank_try(settle());
    int value;
    crank_try(crank_get(queue, &value));
    crank_cancel(a);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    EXPECT_TRAIL("0 -125");
    EXPECT_EQ(crank_get_nowait(queue, &value), 0);
    EXPECT_EQ(value, 9);
    return 0;
}

static int cancelled_uses(crank_queue *queue)
{
    int value = 0;
    crank_cancel(crank_self());
    EXPECT_EQ(crank_put(queue, 2), -ECANCELED);
    crank_cancel(crank_self());
    EXPECT_EQ(crank_get(queue, &value), -ECANCELED);
    crank_cancel(crank_self());
    EXPECT_EQ(crank_queue_join(queue), -ECANCELED);
    EXPECT_EQ(value, 0);
    EXPECT_EQ(crank_queue_count(queue), 1);
    return 0;
}

TEST_EACH_BACKEND(queue, is_not_touched_by_a_cancelled_task)
{
    CRANK_QUEUE(queue, int, 0);
    crank_try(crank_put(queue, 1));
    EXPECT_EQ(crank_await(crank_spawn(cancelled_uses, queue)), 0);
    return 0;
}

TEST_SIM(queue, can_be_waited_for_with_a_limit)
{
    CRANK_QUEUE(queue, int, 1);
    int value = 0;
    EXPECT_EQ(crank_within(0.5, crank_get(queue, &value)), -ETIMEDOUT);
    crank_try(crank_put(queue, 1));
    EXPECT_EQ(crank_within(0.5, crank_put(queue, 2)), -ETIMEDOUT);
    EXPECT_EQ(crank_within(0.5, crank_queue_join(queue)), -ETIMEDOUT);
    EXPECT_EQ(crank_within(0.5, crank_get(queue, &value)), 0);
    EXPECT_EQ(value, 1);
    EXPECT_EQ(crank_queue_count(queue), 0);
    return 0;
}

static int put_at(crank_queue *queue, double seconds)
{
    crank_try(crank_sleep(seconds));
    return crank_put(queue, 1);
}

/* Element and limit at the same instant, in either order: it was got, or it is still there. */
TEST_SIM(queue, loses_nothing_to_a_limit_at_the_same_instant)
{
    CRANK_QUEUE(queue, int, 0);
    for (int putter_first = 0; putter_first < 2; putter_first++) {
        crank_task *a = crank_spawn(put_at, queue, 0.5);
        if (putter_first)
            crank_try(crank_sleep(0));
        int value = 0;
        int err = crank_within(0.5, crank_get(queue, &value));
        EXPECT(err == 0 || err == -ETIMEDOUT);
        crank_try((int)crank_await(a));
        EXPECT_EQ(crank_queue_count(queue), err == 0 ? 0 : 1);
        EXPECT_EQ(value, err == 0);
        crank_try(crank_sleep(1));
        if (err < 0)
            crank_try(crank_get_nowait(queue, &value));
    }
    return 0;
}

static int produce(crank_queue *queue, int from, int count)
{
    for (int i = 0; i < count; i++)
        crank_try(crank_put(queue, from + i));
    return 0;
}

static int consume(crank_queue *queue, long *sum)
{
    int value, count = 0;
    for (;; count++) {
        int err = crank_get(queue, &value);
        if (err == -EPIPE)
            return count;
        crank_try(err);
        *sum += value;
    }
}

TEST_EACH_BACKEND(queue, moves_thousands_between_many)
{
    CRANK_QUEUE(queue, int, 7);
    long sum = 0;
    crank_task *consumers[3];
    for (int i = 0; i < 3; i++)
        consumers[i] = crank_spawn(consume, queue, &sum);
    CRANK_GROUP(producers);
    for (int i = 0; i < 4; i++)
        crank_group_spawn(&producers, produce, queue, i * 1000, 1000);
    EXPECT_EQ(crank_group_wait(&producers), 0);
    crank_queue_shutdown(queue, false);
    long results[3];
    crank_try(crank_gather_n(consumers, 3, results));
    EXPECT_EQ(results[0] + results[1] + results[2], 4000);
    EXPECT_EQ(sum, 3999L * 4000 / 2);
    return 0;
}

static int put_and_get_for_ever(crank_queue *queue, const bool *stop)
{
    int value;
    while (!*stop) {
        crank_try(crank_put(queue, 1));
        crank_try(crank_get(queue, &value));
    }
    return 0;
}

TEST_EACH_BACKEND(queue, used_again_and_again_lets_others_run)
{
    CRANK_QUEUE(queue, int, 0);
    bool stop = false;
    crank_task *a = crank_spawn(put_and_get_for_ever, queue, &stop);
    crank_try(settle());
    stop = true;
    return (int)crank_await(a);
}

static int fill_and_empty(crank_queue *queue)
{
    crank_task *a = crank_spawn(get_one, queue, "a");
    crank_try(settle());
    crank_try(crank_put(queue, 1));
    return (int)crank_await(a);
}

TEST(queue, made_outside_works_without_a_run_and_in_one_after_another)
{
    crank_queue *queue = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 0);
    const crank_options options = { .backend = CRANK_BACKEND_SIM };
    int value = 0;
    EXPECT_EQ(crank_run_with(&options, fill_and_empty, queue), 0);
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(crank_put_nowait(queue, i), 0);
    for (int i = 0; i < 99; i++)
        EXPECT_EQ(crank_get_nowait(queue, &value), 0);
    EXPECT_EQ(value, 98);
    EXPECT_EQ(crank_get_nowait(queue, &value), 0);
    EXPECT_EQ(crank_run_with(&options, fill_and_empty, queue), 0);
    EXPECT_TRAIL("a1 a1");
    crank_queue_free(queue);
    crank_queue_free(NULL);
}

TEST_EACH_BACKEND(queue, of_no_kind_takes_all_of_its_size)
{
    crank_queue *queue = crank_queue_new(8, CRANK_KIND_NONE, 0);
    double real = 0;
    long number = 0;
    EXPECT_EQ(crank_put(queue, 1.5), 0);
    EXPECT_EQ(crank_put(queue, 7L), 0);
    EXPECT_EQ(crank_get(queue, &real), 0);
    EXPECT_EQ(crank_get(queue, &number), 0);
    EXPECT_NEAR(real, 1.5, 0);
    EXPECT_EQ(number, 7);
    crank_queue_free(queue);
    return 0;
}

static int left_to_fail;

static void *resize_or_fail(void *context, void *memory, size_t size)
{
    return left_to_fail && --left_to_fail == 0 ? NULL : cr_sys_real.resize(context, memory, size);
}

static void *alloc_or_fail(void *context, size_t size)
{
    return left_to_fail && --left_to_fail == 0 ? NULL : cr_sys_real.alloc(context, size);
}

TEST_SIM(queue, put_that_finds_no_memory_puts_nothing)
{
    crank_loop *loop = crank_current_loop();
    const cr_sys *sys = loop->sys;
    cr_sys poor = *sys;
    poor.alloc = alloc_or_fail;
    poor.resize = resize_or_fail;
    loop->sys = &poor;
    crank_queue *queue = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 0);
    int put = 0, value;
    for (int tries = 0; tries < 200; tries++) {
        left_to_fail = tries % 2;
        int err = crank_put(queue, put);
        EXPECT(err == 0 || err == -ENOMEM);
        put += err == 0;
        EXPECT_EQ(crank_queue_count(queue), put);
    }
    left_to_fail = 0;
    for (int i = 0; i < put; i++) {
        crank_try(crank_get(queue, &value));
        EXPECT_EQ(value, i);
        crank_queue_done(queue);
    }
    crank_try(crank_queue_join(queue));
    crank_queue_free(queue);
    loop->sys = sys;
    return 0;
}

static int fail_soon(void)
{
    crank_try(crank_sleep(0.001));
    return crank_fail(EPROTO, "on purpose");
}

static int get_beside_a_failure(crank_queue *queue)
{
    int value;
    CRANK_GROUP(group);
    crank_group_spawn(&group, fail_soon);
    crank_try(crank_get(queue, &value));
    return 0;
}

TEST_EACH_BACKEND(queue, interrupted_by_a_failed_child_takes_nothing)
{
    CRANK_QUEUE(queue, int, 0);
    EXPECT_EQ(crank_await(crank_spawn(get_beside_a_failure, queue)), -EPROTO);
    crank_try(crank_put(queue, 1));
    EXPECT_EQ(crank_queue_count(queue), 1);
    return 0;
}
