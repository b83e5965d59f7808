/* SPDX-License-Identifier: MIT */
/* timer.c: deadlines in (deadline, age) order, against a list that is searched from end to end. */
#include "base/prng.h"
#include "loop/timer.h"
#include "test.h"

#define MODEL_TIMERS 400

typedef struct model {
    cr_timers *timers;
    cr_timer timer[MODEL_TIMERS];
    int64_t deadline[MODEL_TIMERS];
    uint64_t age[MODEL_TIMERS]; /* 0: not started */
    uint64_t ages;
    size_t count;
    int64_t now;
    cr_prng prng;
} model;

/* Spans of all sizes, equal ones among them, and some that overflow. */
static int64_t some_deadline(model *m)
{
    static const int64_t scale[] = { 0, 1, 10, 1000, 1000000, 1 << 20, 5000000, 64 << 20, CR_SECOND, 60 * CR_SECOND,
        3600 * CR_SECOND, INT64_MAX / 4 };
    int64_t span = scale[cr_prng_below(&m->prng, CRANK_COUNT(scale))];
    int64_t deadline = 0;
    switch (cr_prng_below(&m->prng, 16)) {
    case 0: return CR_NEVER;
    case 1: return (int64_t)cr_prng_below(&m->prng, (size_t)m->now + 1);
    case 2: return -span;
    default:
        span = span > 0 ? span * (1 + (int64_t)cr_prng_below(&m->prng, 3)) : 0;
        return __builtin_add_overflow(m->now, span, &deadline) ? CR_NEVER : deadline;
    }
}

static size_t first_of(const model *m)
{
    size_t first = MODEL_TIMERS;
    for (size_t i = 0; i < MODEL_TIMERS; i++)
        if (m->age[i] && (first == MODEL_TIMERS || m->deadline[i] < m->deadline[first] ||
                             (m->deadline[i] == m->deadline[first] && m->age[i] < m->age[first])))
            first = i;
    return first;
}

static void toggle(model *m)
{
    size_t i = cr_prng_below(&m->prng, MODEL_TIMERS);
    if (m->age[i]) {
        cr_timers_stop(m->timers, &m->timer[i]);
        m->age[i] = 0;
        m->count--;
        return;
    }
    m->deadline[i] = some_deadline(m);
    m->age[i] = ++m->ages;
    m->count++;
    EXPECT_EQ(cr_timers_start(m->timers, &m->timer[i], (enum cr_timer_kind)(i % CR_TIMER_KINDS), m->deadline[i]), 0);
}

static void expire(model *m)
{
    for (cr_timer *due; (due = cr_timers_pop(m->timers, m->now));) {
        size_t i = (size_t)(due - m->timer);
        EXPECT_EQ(i, first_of(m));
        EXPECT(m->deadline[i] <= m->now);
        EXPECT_EQ(cr_timer_kind(due), i % CR_TIMER_KINDS);
        m->age[i] = 0;
        m->count--;
        if (cr_prng_below(&m->prng, 8) == 0)
            return;
    }
    size_t first = first_of(m);
    EXPECT(first == MODEL_TIMERS || m->deadline[first] > m->now);
}

static void check_next(model *m)
{
    size_t first = first_of(m);
    EXPECT_EQ(cr_timers_next(m->timers), first == MODEL_TIMERS ? CR_NEVER : m->deadline[first]);
    EXPECT_EQ(cr_timers_count(m->timers), m->count);
}

/* Time goes on by a little, to the next deadline, or by a leap. */
static void let_time_pass(model *m)
{
    int64_t next = cr_timers_next(m->timers);
    switch (cr_prng_below(&m->prng, 4)) {
    case 0: m->now += (int64_t)cr_prng_below(&m->prng, 3000000); break;
    case 1: m->now += (int64_t)cr_prng_below(&m->prng, (size_t)(100 * CR_SECOND)); break;
    default:
        if (next != CR_NEVER && next > m->now && next < INT64_MAX / 4)
            m->now = next;
    }
}

static void run_model(uint64_t seed)
{
    static model m;
    memset(&m, 0, sizeof m);
    m.prng.state = seed;
    m.now = (int64_t)cr_prng_below(&m.prng, (size_t)(1000 * CR_SECOND));
    EXPECT_EQ(cr_timers_new(&cr_sys_real, m.now, &m.timers), 0);
    for (int step = 0; step < 400; step++) {
        for (size_t n = cr_prng_below(&m.prng, 20); n > 0; n--)
            toggle(&m);
        if (cr_prng_below(&m.prng, 2))
            check_next(&m);
        if (cr_prng_below(&m.prng, 2))
            let_time_pass(&m);
        expire(&m);
    }
    cr_timers_free(m.timers);
}

TEST(timer, agrees_with_a_searched_list_whatever_is_done)
{
    for (uint64_t seed = 1; seed <= 25; seed++)
        run_model(seed);
}

TEST(timer, agrees_with_a_searched_list_for_many_seeds)
{
    test_needs_long();
    for (uint64_t seed = 100; seed <= 600; seed++)
        run_model(seed);
}

TEST(timer, equal_deadlines_come_in_the_order_of_their_start)
{
    static cr_timer timer[3000];
    cr_timers *timers;
    EXPECT_EQ(cr_timers_new(&cr_sys_real, 0, &timers), 0);
    for (size_t i = 0; i < CRANK_COUNT(timer); i++)
        EXPECT_EQ(cr_timers_start(timers, &timer[i], CR_TIMER_TASK, 90 * CR_SECOND), 0);
    EXPECT(!cr_timers_pop(timers, 90 * CR_SECOND - 1));
    for (size_t i = 0; i < CRANK_COUNT(timer); i++)
        EXPECT(cr_timers_pop(timers, 90 * CR_SECOND) == &timer[i]);
    EXPECT(!cr_timers_pop(timers, CR_NEVER));
    cr_timers_free(timers);
}

TEST(timer, equal_deadlines_keep_their_order_wherever_time_stands_when_they_start)
{
    static cr_timer timer[64];
    cr_timers *timers;
    int64_t deadline = 5000 * CR_SECOND + 7;
    EXPECT_EQ(cr_timers_new(&cr_sys_real, 0, &timers), 0);
    for (size_t i = 0; i < CRANK_COUNT(timer); i++) {
        EXPECT_EQ(cr_timers_start(timers, &timer[i], CR_TIMER_TASK, deadline), 0);
        EXPECT(!cr_timers_pop(timers, (int64_t)i * 78 * CR_SECOND));
        if (i % 3 == 0)
            EXPECT_EQ(cr_timers_next(timers), deadline);
    }
    for (size_t i = 0; i < CRANK_COUNT(timer); i++)
        EXPECT(cr_timers_pop(timers, deadline) == &timer[i]);
    cr_timers_free(timers);
}

TEST(timer, is_exact_to_the_nanosecond_hours_ahead)
{
    cr_timer timer;
    cr_timers *timers;
    int64_t deadline = 36000 * CR_SECOND + 123456789;
    EXPECT_EQ(cr_timers_new(&cr_sys_real, 17, &timers), 0);
    EXPECT_EQ(cr_timers_start(timers, &timer, CR_TIMER_OTHER, deadline), 0);
    EXPECT_EQ(cr_timers_next(timers), deadline);
    EXPECT(!cr_timers_pop(timers, deadline - 1));
    EXPECT(cr_timers_pop(timers, deadline) == &timer);
    EXPECT_EQ(cr_timers_next(timers), CR_NEVER);
    cr_timers_free(timers);
}

TEST(timer, that_never_comes_never_comes)
{
    cr_timer never;
    cr_timer last;
    cr_timers *timers;
    EXPECT_EQ(cr_timers_new(&cr_sys_real, 0, &timers), 0);
    EXPECT_EQ(cr_timers_start(timers, &never, CR_TIMER_TASK, CR_NEVER), 0);
    EXPECT_EQ(cr_timers_start(timers, &last, CR_TIMER_TASK, CR_NEVER - 1), 0);
    EXPECT_EQ(cr_timers_next(timers), CR_NEVER - 1);
    EXPECT(cr_timers_pop(timers, CR_NEVER - 1) == &last);
    EXPECT(!cr_timers_pop(timers, CR_NEVER - 1));
    EXPECT_EQ(cr_timers_next(timers), CR_NEVER);
    EXPECT_EQ(cr_timers_count(timers), 1);
    cr_timers_stop(timers, &never);
    EXPECT_EQ(cr_timers_count(timers), 0);
    cr_timers_free(timers);
}

/* One far timer carries the current tick an hour ahead; what starts before it must come before
 * it. */
TEST(timer, many_near_ones_after_a_far_one_come_in_order)
{
    enum { many = 20000 };
    static cr_timer timer[many];
    cr_timer far;
    cr_timers *timers;
    cr_prng prng = { 5 };
    EXPECT_EQ(cr_timers_new(&cr_sys_real, 0, &timers), 0);
    EXPECT_EQ(cr_timers_start(timers, &far, CR_TIMER_TASK, 3600 * CR_SECOND), 0);
    EXPECT_EQ(cr_timers_next(timers), 3600 * CR_SECOND);
    for (size_t i = 0; i < many; i++) {
        int64_t deadline = (int64_t)cr_prng_below(&prng, (size_t)(30 * CR_SECOND));
        EXPECT_EQ(cr_timers_start(timers, &timer[i], CR_TIMER_TASK, deadline), 0);
    }
    for (size_t i = 0; i < many; i += 3)
        cr_timers_stop(timers, &timer[i]);
    int64_t before = 0;
    for (size_t i = cr_timers_count(timers); i > 1; i--) {
        cr_timer *due = cr_timers_pop(timers, 3599 * CR_SECOND);
        EXPECT(due && due->deadline >= before);
        before = due->deadline;
    }
    EXPECT(!cr_timers_pop(timers, 3599 * CR_SECOND));
    EXPECT(cr_timers_pop(timers, 3600 * CR_SECOND) == &far);
    cr_timers_free(timers);
}

/* The far ones lie in lists of several levels when the current tick, which has run ahead to the first of them, returns
 * to the clock: these lists are joined, and nothing of them may be lost or come out of order. */
TEST(timer, several_far_ones_keep_their_order_when_time_returns)
{
    enum { near = 3000, far = 200 };
    static cr_timer timer[near + far];
    cr_timers *timers;
    cr_prng prng = { 7 };
    EXPECT_EQ(cr_timers_new(&cr_sys_real, 0, &timers), 0);
    for (size_t i = near; i < near + far; i++) {
        int64_t deadline = 3600 * CR_SECOND + (int64_t)cr_prng_below(&prng, (size_t)(400 * CR_SECOND));
        EXPECT_EQ(cr_timers_start(timers, &timer[i], CR_TIMER_TASK, deadline), 0);
    }
    EXPECT(cr_timers_next(timers) >= 3600 * CR_SECOND);
    for (size_t i = 0; i < near; i++) {
        int64_t deadline = (int64_t)cr_prng_below(&prng, (size_t)(3000 * CR_SECOND));
        EXPECT_EQ(cr_timers_start(timers, &timer[i], CR_TIMER_TASK, deadline), 0);
    }
    for (size_t i = 0; i < near + far; i += 3)
        cr_timers_stop(timers, &timer[i]);
    int64_t before = 0;
    for (size_t i = cr_timers_count(timers); i > 0; i--) {
        cr_timer *due = cr_timers_pop(timers, 4000 * CR_SECOND);
        EXPECT(due && due->deadline >= before);
        before = due->deadline;
    }
    EXPECT_EQ(cr_timers_count(timers), 0);
    EXPECT(cr_timers_pop(timers, 4000 * CR_SECOND) == NULL);
    cr_timers_free(timers);
}

static void *no_alloc(void *context, size_t size)
{
    (void)context;
    (void)size;
    return NULL;
}
static void *no_resize(void *context, void *memory, size_t size)
{
    (void)context;
    (void)memory;
    (void)size;
    return NULL;
}

TEST(timer, that_finds_no_memory_is_not_started_and_harms_none)
{
    static cr_timer timer[1000];
    cr_sys poor = cr_sys_real;
    cr_timers *timers;
    size_t started = 0;
    EXPECT_EQ(cr_timers_new(&poor, 0, &timers), 0);
    poor.alloc = no_alloc;
    poor.resize = no_resize;
    while (started < CRANK_COUNT(timer) &&
           cr_timers_start(timers, &timer[started], CR_TIMER_TASK, (int64_t)started * CR_SECOND) == 0)
        started++;
    EXPECT(started > 0 && started < CRANK_COUNT(timer));
    EXPECT_EQ(cr_timers_start(timers, &timer[started], CR_TIMER_TASK, 0), -ENOMEM);
    EXPECT_EQ(cr_timers_count(timers), started);
    for (size_t i = 0; i < started; i++)
        EXPECT(cr_timers_pop(timers, CR_NEVER) == &timer[i]);
    cr_timers_free(timers);
    cr_timers_free(NULL);
}
