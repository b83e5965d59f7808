/* SPDX-License-Identifier: MIT */
/* generator.c: values one by one: next, send, throw, close, delegation, adaptors, waits inside. */
#include "trail.h"

static int countdown(int n)
{
    say("start");
    while (n > 0)
        crank_try(crank_yield(n--));
    say("end");
    return 0;
}

static int ticker(double delay, int to)
{
    for (int i = 0; i < to; i++) {
        crank_try(crank_yield(i));
        crank_try(crank_sleep(delay));
    }
    return 0;
}

TEST_EACH_BACKEND(generator, runs_nothing_until_it_is_asked)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(countdown, 2);
    int n = 0;
    EXPECT_TRAIL("");
    EXPECT_EQ(crank_next(g, &n), 1);
    EXPECT_EQ(n, 2);
    EXPECT_TRAIL("start");
    EXPECT_EQ(crank_next(g, &n), 1);
    EXPECT_EQ(n, 1);
    EXPECT_EQ(crank_next(g, &n), 0);
    EXPECT_EQ(crank_next(g, &n), 0);
    EXPECT_EQ(n, 1);
    EXPECT_TRAIL("end");
    return 0;
}

TEST_EACH_BACKEND(generator, foreach_takes_all_and_closes)
{
    int sum = 0;
    crank_foreach(int, n, crank_generate(countdown, 10)) sum += n;
    EXPECT_EQ(sum, 55);
    EXPECT_TRAIL("start end");
    return 0;
}

static int with_cleanup(int to)
{
    int err = 0;
    for (int i = 0; i < to && err == 0; i++)
        err = crank_yield(i);
    say("cleanup%d", err);
    return err;
}
static int leave_by_return(void)
{
    crank_foreach(int, n, crank_generate(with_cleanup, 100))
    {
        if (n == 2)
            return n;
    }
    return -1;
}

TEST_EACH_BACKEND(generator, foreach_left_early_runs_its_cleanups_once)
{
    crank_foreach(int, n, crank_generate(with_cleanup, 100))
    {
        if (n == 3)
            break;
    }
    EXPECT_TRAIL("cleanup-125");
    EXPECT_EQ(leave_by_return(), 2);
    EXPECT_TRAIL("cleanup-125");
    crank_foreach(int, n, crank_generate(with_cleanup, 3)) continue;
    EXPECT_TRAIL("cleanup0");
    return 0;
}

static int fails_after(int n)
{
    for (int i = 0; i < n; i++)
        crank_try(crank_yield(i));
    return crank_fail(EPROTO, "generator broke");
}
static int loop_over_failing(void)
{
    crank_foreach(int, n, crank_generate(fails_after, 2)) say("%d", n);
    say("not here");
    return 0;
}

TEST_EACH_BACKEND(generator, foreach_returns_its_failure_from_the_function)
{
    EXPECT_EQ(loop_over_failing(), -EPROTO);
    EXPECT_TRAIL("0 1");
    EXPECT_STR(crank_error(), "generator broke");
    return 0;
}

TEST_EACH_BACKEND(generator, next_leaves_its_failure_to_the_caller)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(fails_after, 0);
    int n;
    EXPECT_EQ(crank_next(g, &n), -EPROTO);
    EXPECT_EQ(crank_next(g, &n), 0);
    return 0;
}

TEST_SIM(generator, may_wait_which_parks_the_consumer)
{
    double started = crank_time();
    int last = -1;
    crank_foreach(int, i, crank_generate(ticker, 0.5, 4)) last = i;
    EXPECT_EQ(last, 3);
    EXPECT_NEAR(crank_time() - started, 2, 0);
    return 0;
}

static int consume(const char *name, double delay)
{
    crank_foreach(int, i, crank_generate(ticker, delay, 3)) say("%s%d", name, i);
    return 0;
}

TEST_SIM(generator, lets_other_tasks_run_while_it_waits)
{
    crank_try(crank_gather(NULL, crank_spawn(consume, "a", 1.0), crank_spawn(consume, "b", 1.5)));
    EXPECT_TRAIL("a0 b0 a1 b1 a2 b2");
    return 0;
}

static crank_task *seen;
static int who(void)
{
    seen = crank_self();
    return crank_yield(1);
}

TEST_EACH_BACKEND(generator, is_no_task_of_its_own)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(who);
    EXPECT_EQ(crank_next(g, NULL), 1);
    EXPECT(seen == crank_self());
    return 0;
}

TEST_SIM(generator, a_cancelled_consumer_is_cancelled_in_the_wait_inside)
{
    crank_task *task = crank_spawn(consume, "c", 10.0);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_TRAIL("c0");
    return 0;
}

/* ---- send, receive, exchange, throw */

static int printer(void)
{
    const char *word;
    int lines = 0;
    for (;;) {
        crank_try(crank_receive(&word));
        say("%03d:%s", ++lines, word);
    }
}

TEST_EACH_BACKEND(generator, receives_what_is_sent)
{
    CRANK_AUTO_GENERATOR crank_generator *p = crank_generate(printer);
    EXPECT_EQ(crank_next(p, NULL), 1);
    EXPECT_EQ(crank_send(p, "Mercury", NULL), 1);
    EXPECT_EQ(crank_send(p, "Venus", NULL), 1);
    EXPECT_TRAIL("001:Mercury 002:Venus");
    return 0;
}

TEST_EACH_BACKEND(generator, refuses_a_value_before_its_first_yield)
{
    CRANK_AUTO_GENERATOR crank_generator *p = crank_generate(printer);
    EXPECT_EQ(crank_send(p, "early", NULL), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "first yield");
    EXPECT_EQ(crank_next(p, NULL), 1);
    EXPECT_EQ(crank_send(p, "now", NULL), 1);
    EXPECT_TRAIL("001:now");
    return 0;
}

static int averager(void)
{
    double sum = 0, value = 0;
    for (int n = 0;; n++) {
        int got = crank_try(crank_exchange(n ? sum / n : 0.0, &value));
        if (!got)
            n--;
        else
            sum += value;
    }
}

TEST_EACH_BACKEND(generator, exchanges_values_both_ways)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(averager);
    double average;
    EXPECT_EQ(crank_next(g, &average), 1);
    EXPECT_EQ(crank_send(g, 10.0, &average), 1);
    EXPECT_NEAR(average, 10, 0);
    EXPECT_EQ(crank_send(g, 20.0, &average), 1);
    EXPECT_NEAR(average, 15, 0);
    EXPECT_EQ(crank_next(g, &average), 1);
    EXPECT_NEAR(average, 15, 0);
    return 0;
}

static int catches(void)
{
    for (int i = 0;; i++) {
        int err = crank_yield(i);
        if (err == -ECANCELED)
            return err;
        if (err == -EPIPE)
            return crank_fail(EPIPE, "not that");
        if (err < 0)
            say("caught%d", err);
    }
}

TEST_EACH_BACKEND(generator, throw_makes_its_yield_fail)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(catches);
    int n;
    EXPECT_EQ(crank_next(g, &n), 1);
    EXPECT_EQ(crank_throw(g, EIO), 1);
    EXPECT_TRAIL("caught-5");
    EXPECT_EQ(crank_next(g, &n), 1);
    EXPECT_EQ(n, 2);
    EXPECT_EQ(crank_throw(g, EPIPE), -EPIPE);
    EXPECT_STR(crank_error(), "not that");
    EXPECT_EQ(crank_next(g, &n), 0);
    EXPECT_EQ(crank_throw(g, EIO), 0);
    return 0;
}

TEST_EACH_BACKEND(generator, throw_before_the_first_ask_ends_it)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(countdown, 3);
    EXPECT_EQ(crank_throw(g, EIO), -EIO);
    EXPECT_EQ(crank_next(g, NULL), 0);
    EXPECT_TRAIL("");
    return 0;
}

TEST_EACH_BACKEND(generator, close_before_the_first_ask_runs_nothing)
{
    crank_generator *g = crank_generate(countdown, 3);
    EXPECT_EQ(crank_close(g), 0);
    EXPECT_EQ(crank_generator_close(NULL), 0);
    EXPECT_TRAIL("");
    return 0;
}

static int cleanup_fails(void)
{
    if (crank_yield(1) < 0)
        return crank_fail(EIO, "cleanup broke");
    return 0;
}
static int cleanup_waits(void)
{
    int err = crank_yield(1);
    crank_try(crank_sleep(1));
    say("waited");
    return err;
}

TEST_SIM(generator, close_gives_the_failure_of_a_cleanup_and_lets_it_wait)
{
    crank_generator *g = crank_generate(cleanup_fails);
    EXPECT_EQ(crank_next(g, NULL), 1);
    EXPECT_EQ(crank_close(g), -EIO);
    EXPECT_STR(crank_error(), "cleanup broke");
    g = crank_generate(cleanup_waits);
    EXPECT_EQ(crank_next(g, NULL), 1);
    EXPECT_EQ(crank_close(g), 0);
    EXPECT_TRAIL("waited");
    return 0;
}

static int never_ends(void)
{
    while (crank_yield(1) != 1)
        continue;
    return 0;
}
TEST_CHECKS(generator, that_yields_on_when_closed_is_refused, "yields again")
{
    crank_generator *g = crank_generate(never_ends);
    crank_try(crank_next(g, NULL));
    return crank_close(g);
}

static crank_generator *itself;
static int asks_itself(void) { return crank_next(itself, NULL); }
TEST_CHECKS(generator, that_asks_itself_is_refused, "asks itself")
{
    itself = crank_generate(asks_itself);
    return crank_next(itself, NULL);
}

TEST_CHECKS(generator, yield_outside_one_is_refused, "not in a generator") { return crank_yield(1); }

TEST_CHECKS(generator, a_value_of_another_size_is_refused, "4-byte signed integer")
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(countdown, 3);
    long wide;
    return crank_next(g, &wide);
}

TEST_CHECKS(generator, a_value_of_another_kind_is_refused, "double")
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(averager);
    long wrong;
    return crank_next(g, &wrong);
}

static int returns_a_result(void)
{
    crank_try(crank_yield(1));
    return 42;
}

TEST_EACH_BACKEND(generator, keeps_what_its_body_returned)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(returns_a_result);
    long result = 0;
    EXPECT_EQ(crank_next(g, NULL), 1);
    EXPECT_EQ(crank_generator_result(g, &result), -EAGAIN);
    EXPECT_EQ(crank_next(g, NULL), 0);
    EXPECT_EQ(crank_generator_result(g, &result), 0);
    EXPECT_EQ(result, 42);
    return 0;
}

static int two_lines(void)
{
    crank_try(crank_yield(1));
    crank_try(crank_yield(2));
    return 0;
}

TEST_EACH_BACKEND(generator, knows_the_line_it_sleeps_at)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(two_lines);
    char words[200];
    EXPECT_EQ(crank_next(g, NULL), 1);
    int first = crank_generator_line(g);
    EXPECT_EQ(crank_next(g, NULL), 1);
    EXPECT_EQ(crank_generator_line(g), first + 1);
    crank_generator_describe(g, words, sizeof words);
    EXPECT_CONTAINS(words, "<Generator sleeping fn=two_lines at generator.c:");
    EXPECT_EQ(crank_next(g, NULL), 0);
    EXPECT_EQ(crank_generator_line(g), 0);
    return 0;
}

/* ---- delegation */

static int inner(int from)
{
    int err = 0;
    for (int i = from; i < from + 2 && err == 0; i++)
        err = crank_yield(i);
    say("inner%d", err);
    return err;
}
static int outer(void)
{
    crank_try(crank_yield(0));
    crank_try(crank_yield_from(crank_generate(inner, 10)));
    crank_try(crank_yield_from(crank_generate(inner, 20)));
    return crank_yield(99);
}

TEST_EACH_BACKEND(yield_from, gives_all_values_of_another)
{
    int all[8];
    EXPECT_EQ(crank_collect(crank_generate(outer), all, 8), 6);
    const int expected[] = { 0, 10, 11, 20, 21, 99 };
    EXPECT_EQ(memcmp(all, expected, sizeof expected), 0);
    EXPECT_TRAIL("inner0 inner0");
    return 0;
}

TEST_EACH_BACKEND(yield_from, passes_the_close_on)
{
    crank_foreach(int, n, crank_generate(outer))
    {
        if (n == 10)
            break;
    }
    EXPECT_TRAIL("inner-125");
    return 0;
}

static int outer_result(void)
{
    long result = crank_try(crank_yield_from(crank_generate(returns_a_result)));
    return (int)result + 1;
}

TEST_EACH_BACKEND(yield_from, gives_what_the_other_returned)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(outer_result);
    long result = 0;
    EXPECT_EQ(crank_next(g, NULL), 1);
    EXPECT_EQ(crank_next(g, NULL), 0);
    EXPECT_EQ(crank_generator_result(g, &result), 0);
    EXPECT_EQ(result, 43);
    return 0;
}

static int delegate_printer(void) { return (int)crank_yield_from(crank_generate(printer)); }
static int delegate_catches(void) { return (int)crank_yield_from(crank_generate(catches)); }

TEST_EACH_BACKEND(yield_from, passes_sends_and_throws_on)
{
    CRANK_AUTO_GENERATOR crank_generator *p = crank_generate(delegate_printer);
    EXPECT_EQ(crank_next(p, NULL), 1);
    EXPECT_EQ(crank_send(p, "Earth", NULL), 1);
    EXPECT_TRAIL("001:Earth");
    CRANK_AUTO_GENERATOR crank_generator *c = crank_generate(delegate_catches);
    EXPECT_EQ(crank_next(c, NULL), 1);
    EXPECT_EQ(crank_throw(c, EIO), 1);
    EXPECT_TRAIL("caught-5");
    EXPECT_EQ(crank_throw(c, EPIPE), -EPIPE);
    return 0;
}

/* ---- adaptors */

static int integers(void)
{
    for (int i = 1;; i++)
        crank_try(crank_yield(i));
}
static int halves(void)
{
    for (double x = 1;; x /= 2)
        crank_try(crank_yield(x));
}
static bool even(int n) { return n % 2 == 0; }
static bool negative(signed char c) { return c < 0; }
static double third(int n) { return n / 3.0; }
static long squared(double x) { return (long)(x * 16 * x * 16); }
static int bytes(void)
{
    for (signed char c = -2; c < 3; c++)
        crank_try(crank_yield(c));
    return 0;
}

TEST_EACH_BACKEND(adaptor, filters_maps_and_takes)
{
    int evens[5];
    EXPECT_EQ(crank_collect(crank_take(crank_filter(int, crank_generate(integers), even), 5), evens, 5), 5);
    EXPECT(evens[0] == 2 && evens[4] == 10);
    double thirds[3];
    EXPECT_EQ(crank_collect(crank_map(double, int, crank_generate(integers), third), thirds, 3), 3);
    EXPECT_NEAR(thirds[2], 1, 0);
    long squares[2];
    EXPECT_EQ(crank_collect(crank_map(long, double, crank_generate(halves), squared), squares, 2), 2);
    EXPECT(squares[0] == 256 && squares[1] == 64);
    signed char below[5];
    EXPECT_EQ(crank_collect(crank_filter(signed char, crank_generate(bytes), negative), below, 5), 2);
    return 0;
}

TEST_EACH_BACKEND(adaptor, zips_as_long_as_both_give)
{
    int count = 0;
    typedef CRANK_PAIR(int, double) pair;
    crank_foreach(pair, p, crank_zip(int, crank_take(crank_generate(integers), 3), double, crank_generate(halves)))
    {
        count++;
        EXPECT_EQ(p.first, count);
        EXPECT_NEAR(p.second, 1.0 / (1 << (count - 1)), 0);
    }
    EXPECT_EQ(count, 3);
    return 0;
}

TEST_EACH_BACKEND(adaptor, take_from_leaves_the_source_open)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(integers);
    int first[3], next;
    EXPECT_EQ(crank_collect(crank_take_from(g, 3), first, 3), 3);
    EXPECT_EQ(crank_next(g, &next), 1);
    EXPECT_EQ(next, 4);
    return 0;
}

TEST_EACH_BACKEND(adaptor, passes_a_failure_and_the_close_on)
{
    int all[8];
    EXPECT_EQ(crank_collect(crank_take(crank_generate(fails_after, 1), 5), all, 8), -EPROTO);
    EXPECT_STR(crank_error(), "generator broke");
    crank_foreach(int, n, crank_filter(int, crank_generate(with_cleanup, 9), even))
    {
        if (n == 2)
            break;
    }
    EXPECT_TRAIL("cleanup-125");
    crank_generator *unused = crank_filter(int, crank_generate(integers), even);
    EXPECT_EQ(crank_close(unused), 0);
    return 0;
}

/* ---- with scopes */

static int limited(double limit)
{
    CRANK_TIMEOUT(t, limit);
    for (int i = 0;; i++) {
        crank_try(crank_yield(i));
        crank_try(crank_sleep(1));
    }
}

TEST_SIM(generator, a_limit_inside_sleeps_and_wakes_with_it)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(limited, 2.5);
    int n;
    EXPECT_EQ(crank_next(g, &n), 1);
    EXPECT_EQ(crank_sleep(5), 0);
    EXPECT_EQ(crank_next(g, &n), -ETIMEDOUT);
    EXPECT_EQ(crank_sleep(0), 0);
    return 0;
}

static int with_group(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, consume, "child", 10.0);
    crank_try(crank_yield(1));
    crank_try(crank_group_wait(&g));
    return 0;
}

TEST_SIM(generator, a_group_inside_ends_with_its_close)
{
    crank_foreach(int, n, crank_generate(with_group))
    {
        EXPECT_EQ(n, 1);
        crank_try(crank_sleep(1));
        break;
    }
    EXPECT_TRAIL("child0");
    return 0;
}

static int deep(int depth)
{
    crank_try(crank_yield(depth));
    if (depth > 0)
        crank_try(crank_yield_from(crank_generate(deep, depth - 1)));
    return 0;
}

TEST_EACH_BACKEND(generator, nests_deeply)
{
    int sum = 0;
    crank_foreach(int, n, crank_generate(deep, 50)) sum += n;
    EXPECT_EQ(sum, 1275);
    return 0;
}

TEST_EACH_BACKEND(generator, many_at_once_keep_their_places)
{
    enum { N = 200 };
    static crank_generator *all[N];
    for (int i = 0; i < N; i++)
        all[i] = crank_generate(countdown, N);
    for (int round = 0; round < 5; round++)
        for (int i = 0; i < N; i++) {
            int n;
            EXPECT_EQ(crank_next(all[i], &n), 1);
            EXPECT_EQ(n, N - round);
        }
    for (int i = 0; i < N; i++)
        EXPECT_EQ(crank_close(all[i]), 0);
    return 0;
}
