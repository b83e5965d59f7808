/* SPDX-License-Identifier: MIT */
/* generator_close.c: what is asked of a task while it closes a generator, and what is asked of a generator after. */
#include "trail.h"

static int flush(double seconds)
{
    crank_try(crank_sleep(seconds));
    return 0;
}
/* Its cleanup waits, and hands on what interrupts it. */
static int numbers(double seconds)
{
    for (int i = 0;; i++) {
        int err = crank_yield(i);
        if (err < 0) {
            crank_try(flush(seconds));
            return err;
        }
    }
}
/* The same in the loop that is left by return, so that the closing goes on through two levels. */
static int outer(double seconds)
{
    crank_foreach(int, n, crank_generate(numbers, seconds)) crank_try(crank_yield(n));
    return 0;
}
static int positive_is(int n) { return n + 1; }

static int ask_and_close(crank_generator *g)
{
    int n;
    EXPECT_EQ(crank_next(g, &n), 1);
    return crank_generator_close(g);
}
static int close_(double seconds) { return ask_and_close(crank_generate(numbers, seconds)); }
static int close_outer(double seconds) { return ask_and_close(crank_generate(outer, seconds)); }
static int close_source(double seconds)
{
    return ask_and_close(crank_map(int, int, crank_generate(numbers, seconds), positive_is));
}
static int collect(double seconds)
{
    int all[2];
    int count = (int)crank_collect(crank_generate(numbers, seconds), all, 2);
    return count == 2 ? 0 : count;
}
static int delegates(double seconds) { return (int)crank_yield_from(crank_generate(numbers, seconds)); }
static int close_delegate(double seconds) { return ask_and_close(crank_generate(delegates, seconds)); }
static int break_off(double seconds)
{
    crank_foreach(int, n, crank_generate(numbers, seconds)) break;
    return 0;
}
static int leave_loop(double seconds)
{
    crank_foreach(int, n, crank_generate(numbers, seconds)) return n;
    return -1;
}
static int leave_block(double seconds)
{
    int n;
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(outer, seconds);
    return crank_next(g, &n) - 1;
}
static int (*const closings[])(
    double) = { close_, close_outer, close_source, collect, close_delegate, break_off, leave_loop, leave_block };

static int works(int (*closing)(double))
{
    for (int i = 0; i < 3; i++) {
        crank_try(closing(1));
        crank_try(crank_sleep(2));
    }
    return 0;
}
TEST_SIM(generator, whose_cleanup_is_interrupted_by_a_cancellation_does_not_swallow_it)
{
    for (size_t i = 0; i < CRANK_COUNT(closings); i++) {
        double started = crank_time();
        crank_task *task = crank_spawn(works, closings[i]);
        crank_try(crank_sleep(0.5));
        crank_cancel_because(task, "the shop closes");
        EXPECT_EQ(crank_await_shared(task), -ECANCELED);
        EXPECT(crank_was_cancelled(task));
        EXPECT_EQ(crank_await(task), -ECANCELED);
        EXPECT_STR(crank_error(), "the shop closes");
        EXPECT_NEAR(crank_time() - started, 0.5, 0);
    }
    return 0;
}
static int works_within(int (*closing)(double))
{
    CRANK_TIMEOUT(limit, 0.5);
    crank_try(works(closing));
    return 0;
}
TEST_SIM(generator, whose_cleanup_is_interrupted_by_a_time_limit_does_not_swallow_it)
{
    for (size_t i = 0; i < CRANK_COUNT(closings); i++) {
        double started = crank_time();
        EXPECT_EQ(works_within(closings[i]), -ETIMEDOUT);
        EXPECT_EQ(crank_within(0.5, works(closings[i])), -ETIMEDOUT);
        EXPECT_NEAR(crank_time() - started, 1, 0);
        EXPECT_EQ(works(closings[i]), 0);
    }
    return 0;
}

static int one_then_none(int (*closing)(double))
{
    int err = closing(1);
    say("%d", err);
    EXPECT_EQ(crank_sleep(0), err ? 0 : -ECANCELED);
    return crank_sleep(1);
}
TEST_SIM(generator, whose_cleanup_is_interrupted_hands_one_request_on_once)
{
    for (size_t i = 0; i < CRANK_COUNT(closings); i++) {
        crank_task *task = crank_spawn(one_then_none, closings[i]);
        crank_try(crank_sleep(0.5));
        crank_cancel(task);
        EXPECT_EQ(crank_await(task), 0);
    }
    EXPECT_TRAIL("-125 -125 -125 -125 -125 -125 0 0");
    return 0;
}

/* Each in its own way is through with what interrupted it. */
static int limits_its_cleanup(void)
{
    int err = crank_yield(1);
    EXPECT_EQ(crank_within(1.0, flush(100)), -ETIMEDOUT);
    return err;
}
static int limits_and_is_cut(void)
{
    CRANK_TIMEOUT(limit, 1);
    int err = crank_yield(1);
    EXPECT_EQ(crank_sleep(100), -ECANCELED);
    return err;
}
static int refuses(void)
{
    (void)crank_yield(1);
    EXPECT_EQ(crank_sleep(100), -ECANCELED);
    return 0;
}
static int takes_back(void)
{
    int err = crank_yield(1);
    EXPECT_EQ(crank_sleep(100), -ECANCELED);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    return err;
}
static int shields(void)
{
    int err = crank_yield(1);
    EXPECT_EQ(crank_shield(crank_sleep(2)), 0);
    return err;
}
static int closes(int (*fn)(void), int expected)
{
    int n;
    crank_generator *g = crank_generate(fn);
    EXPECT_EQ(crank_next(g, &n), 1);
    EXPECT_EQ(crank_generator_close(g), 0);
    EXPECT_EQ(crank_sleep(0), expected);
    {
        CRANK_AUTO_GENERATOR crank_generator *again = crank_generate(fn);
        EXPECT_EQ(crank_next(again, &n), 1);
    }
    return crank_sleep(0);
}
static int closes_and_is_cancelled(int (*fn)(void), int expected)
{
    crank_task *task = crank_spawn(closes, fn, expected);
    crank_try(crank_sleep(0.5));
    crank_cancel(task);
    crank_try(crank_sleep(2));
    crank_cancel(task);
    return (int)crank_await(task);
}
TEST_SIM(generator, whose_cleanup_deals_with_what_interrupts_it_closes_as_if_nobody_had)
{
    EXPECT_EQ(closes(limits_its_cleanup, 0), 0);
    EXPECT_EQ(closes(limits_and_is_cut, 0), 0);
    EXPECT_EQ(closes_and_is_cancelled(refuses, 0), 0);
    EXPECT_EQ(closes_and_is_cancelled(takes_back, 0), 0);
    EXPECT_EQ(closes_and_is_cancelled(shields, -ECANCELED), -ECANCELED);
    return 0;
}

static int breaks(void) { return crank_yield(1) < 0 && crank_sleep(100) < 0 ? crank_fail(EIO, "could not flush") : 0; }
static int leaves_its_block(void)
{
    {
        int n;
        CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(breaks);
        EXPECT_EQ(crank_next(g, &n), 1);
    }
    return crank_sleep(100);
}
static int cut_short(void)
{
    crank_task *task = crank_spawn(leaves_its_block);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    return 0;
}
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    say("%s", report->text);
}
TEST(generator, whose_interrupted_cleanup_fails_besides_is_reported_and_the_request_stays)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep };
    EXPECT_EQ(crank_run_with(&options, cut_short), 0);
    EXPECT_CONTAINS(trail, "could not flush");
}

/* ---- after the close */

static int values(int to)
{
    for (int i = 0; i < to; i++)
        crank_try(crank_yield(i));
    return 0;
}
TEST_CHECKS(generator, looped_over_again_is_refused, "crank_next: generator values was closed before")
{
    crank_generator *g = crank_generate(values, 3);
    crank_foreach(int, n, g) if (n == 1) break;
    crank_foreach(int, n, g) say("%d", n);
    return 0;
}
TEST_CHECKS(generator, asked_after_its_close_is_refused, "crank_next: generator values was closed before")
{
    int n;
    crank_generator *g = crank_generate(values, 3);
    EXPECT_EQ(crank_next(g, &n), 1);
    EXPECT_EQ(crank_close(g), 0);
    return crank_next(g, &n);
}
TEST_CHECKS(generator, sent_to_after_its_close_is_refused, "crank_send: generator values was closed before")
{
    int n;
    crank_generator *g = crank_generate(values, 3);
    EXPECT_EQ(crank_close(g), 0);
    return crank_send(g, 1, &n);
}
TEST_CHECKS(generator, closed_twice_is_refused, "crank_generator_close: generator values was closed before")
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(values, 3);
    return crank_close(g);
}
TEST_CHECKS(generator, asked_for_its_result_after_its_close_is_refused, "_result: generator values was closed before")
{
    long result;
    crank_generator *g = crank_generate(values, 0);
    EXPECT_EQ(crank_next(g, NULL), 0);
    EXPECT_EQ(crank_close(g), 0);
    return crank_generator_result(g, &result);
}
TEST_CHECKS(generator, asked_for_its_line_after_its_close_is_refused, "_line: generator values was closed before")
{
    crank_generator *g = crank_generate(values, 3);
    EXPECT(g);
    EXPECT_EQ(crank_close(g), 0);
    return crank_generator_line(g);
}
TEST_CHECKS(collect, of_one_that_was_collected_is_refused, "generator values was closed before")
{
    int all[2];
    crank_generator *g = crank_generate(values, 3);
    EXPECT_EQ(crank_collect(g, all, 2), 2);
    return (int)crank_collect(g, all, 2);
}
TEST_CHECKS(adaptor, over_one_that_was_closed_is_refused, "crank_take: generator values was closed before")
{
    crank_generator *g = crank_generate(values, 3);
    EXPECT_EQ(crank_close(g), 0);
    return crank_close(crank_take(g, 2));
}
TEST_CHECKS(adaptor, closes_what_it_took_over_and_nobody_else, "generator values was closed before")
{
    crank_generator *g = crank_generate(values, 3);
    EXPECT_EQ(crank_close(crank_take(g, 2)), 0);
    return crank_close(g);
}
TEST_SIM(generator, closed_is_described_as_that)
{
    char words[200];
    crank_generator *g = crank_generate(values, 3);
    EXPECT(g);
    EXPECT_EQ(crank_close(g), 0);
    crank_generator_describe(g, words, sizeof words);
    EXPECT_CONTAINS(words, "<Generator closed fn=values at generator_close.c:");
    return 0;
}
