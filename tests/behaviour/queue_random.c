/* SPDX-License-Identifier: MIT */
/* queue_random.c: markets at random, in which nothing may be lost, doubled or overtaken. */
#include "trail.h"

static int put_in_order(crank_queue *queue, uint64_t *random, int who)
{
    for (int i = 0; i < 20; i++) {
        crank_try(crank_put(queue, who * 100 + i));
        if (chance(random, 2))
            crank_try(crank_sleep(0.001 * chance(random, 2)));
    }
    return 0;
}

TEST_SEEDS(queue, keeps_each_putters_order, 100)
{
    CRANK_QUEUE(queue, int, 3);
    uint64_t random = seed;
    int next[4] = { 0 }, value;
    CRANK_GROUP(putters);
    for (int i = 0; i < 4; i++)
        crank_group_spawn(&putters, put_in_order, queue, &random, i);
    for (int i = 0; i < 80; i++) {
        crank_try(crank_get(queue, &value));
        EXPECT_EQ(value % 100, next[value / 100]);
        next[value / 100]++;
        if (chance(&random, 4) == 0)
            crank_try(crank_sleep(0.001));
    }
    return crank_group_wait(&putters);
}

/* Many put and get under random cancels and limits; what came out is what the puts that succeeded put in. */
enum { PRODUCERS = 5, CONSUMERS = 5, EACH = 12 };
struct market {
    crank_queue *queue;
    uint64_t random;
    bool in[PRODUCERS * EACH];
    bool out[PRODUCERS * EACH];
};

static int market_put(struct market *market, int who)
{
    for (int i = 0; i < EACH; i++) {
        int value = who * EACH + i;
        int err = chance(&market->random, 4)
                      ? crank_put(market->queue, value)
                      : crank_within(0.001 * chance(&market->random, 4), crank_put(market->queue, value));
        EXPECT(err == 0 || err == -ECANCELED || err == -ETIMEDOUT);
        market->in[value] = err == 0;
        if (chance(&market->random, 3) == 0)
            (void)crank_sleep(0.001 * chance(&market->random, 3));
    }
    return 0;
}

static int market_get(struct market *market)
{
    for (;;) {
        int value = -1;
        int err = chance(&market->random, 4)
                      ? crank_get(market->queue, &value)
                      : crank_within(0.001 * chance(&market->random, 4), crank_get(market->queue, &value));
        if (err == -EPIPE)
            return 0;
        EXPECT(err == 0 || err == -ECANCELED || err == -ETIMEDOUT);
        EXPECT_EQ(err == 0, value >= 0);
        if (err < 0)
            continue;
        EXPECT(!market->out[value]);
        market->out[value] = true;
        crank_queue_done(market->queue);
        if (chance(&market->random, 3) == 0)
            (void)crank_sleep(0.001 * chance(&market->random, 3));
    }
}

static bool less_int(const void *a, const void *b) { return *(const int *)a < *(const int *)b; }

static int trade(crank_queue *queue, uint64_t seed)
{
    struct market market = { .queue = queue, .random = seed };
    crank_task *tasks[PRODUCERS + CONSUMERS];
    for (int i = 0; i < PRODUCERS; i++)
        tasks[i] = crank_spawn(market_put, &market, i);
    for (int i = 0; i < CONSUMERS; i++)
        tasks[PRODUCERS + i] = crank_spawn(market_get, &market);
    for (int i = 0; i < 40; i++) {
        crank_try(crank_sleep(0.001 * chance(&market.random, 3)));
        crank_cancel(tasks[chance(&market.random, PRODUCERS + CONSUMERS)]);
    }
    for (int i = 0; i < PRODUCERS; i++)
        EXPECT_EQ(crank_await(tasks[i]), 0);
    crank_try(crank_queue_join(queue));
    crank_queue_shutdown(queue, false);
    for (int i = 0; i < CONSUMERS; i++)
        EXPECT_EQ(crank_await(tasks[PRODUCERS + i]), 0);
    for (int i = 0; i < PRODUCERS * EACH; i++)
        EXPECT_EQ(market.in[i], market.out[i]);
    return 0;
}

TEST_SEEDS(queue, loses_nothing_under_random_cancels, 200)
{
    CRANK_QUEUE(queue, int, seed % 4);
    return trade(queue, seed);
}

TEST_SEEDS(queue, lifo_loses_nothing_under_random_cancels, 100)
{
    CRANK_QUEUE_LIFO(queue, int, seed % 4);
    return trade(queue, seed);
}

TEST_SEEDS(queue, priority_loses_nothing_under_random_cancels, 100)
{
    CRANK_QUEUE_PRIORITY(queue, int, seed % 4, less_int);
    return trade(queue, seed);
}
