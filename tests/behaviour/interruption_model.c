/* SPDX-License-Identifier: MIT */
/* interruption_model.c: random programs, of which a model (oracle.h) predicts what every wait and every edge returns.
 *
 * Tasks sleep, lock, wait for conditions, futures, tasks, gathers and groups, inside limits, groups, shields and
 * generators that are being closed, and cancel each other and themselves, while app sets futures, notifies and cancels.
 * What a call returns is compared with the model's word: equal, or the test fails and prints the program's seed.
 * CRANK_MODEL_SEED=n runs that program alone and prints each call; CRANK_MODEL_PROGRAMS=n so many instead of 1,000 a
 * test. The planted faults show that the comparison can fail. */
#include "random_scopes.h"

enum { TOP = 3, ROUNDS = 12, ROUNDS_MAX = 200 };

/* ---- Programs */

static int op(m_task *t, int depth)
{
    if (found)
        return -ECANCELED;
    plant_second();
    uint32_t which = below(depth > 0 ? 20 : 11);
    switch (which) {
    case 0: return op_lock(t);
    case 1: return op_condition(t);
    case 2: return op_notify(t);
    case 3: return op_future(t);
    case 4: return op_close(t);
    case 5: return op_block_of_generators(t);
    case 6: cancel_some(); return 0;
    case 7:
        if (chance(40) && !found)
            cancel(t);
        else
            uncancel(t);
        return 0;
    case 8:
    case 9:
    case 10: return op_sleep(t, some_seconds());
    case 11:
    case 12: return op_await(t, depth - 1);
    case 13:
    case 14: return op_gather(t, depth - 1);
    case 15:
    case 16: return op_within(t, depth - 1);
    case 17: return op_shield(t, depth - 1);
    default: return op_frame(t, depth);
    }
}

/* On the way to an edge it does things to itself, which are new. */
static void disturb_itself(m_task *t)
{
    if (chance(10) && !found)
        cancel(t);
    if (chance(10) && frame_count > 0)
        cancel_group(frames[below((uint32_t)frame_count)]);
}

static int block(m_task *t, int depth)
{
    for (uint32_t n = 1 + below(3); n > 0; n--) {
        int err = op(t, depth);
        if (err < 0 && chance(50)) {
            disturb_itself(t);
            return err;
        }
    }
    return chance(10) ? -EIO : 0;
}

static int body(m_task *t, int depth)
{
    if (!found) {
        m_advance();
        t->state = M_RUNNING;
    }
    if (chance(15))
        (void)spawn(t, depth - 1); /* which the task's end awaits or cancels */
    int value = block(t, depth);
    if (!found)
        m_return(t, value);
    return value;
}

static bool all_ended(m_task *const top[TOP])
{
    for (int i = 0; i < TOP; i++)
        if (top[i]->state != M_ENDED && !found)
            return false;
    return true;
}

static void make_objects(void)
{
    for (int i = 0; i < LOCKS; i++) {
        locks[i] = crank_lock_new();
        conditions[i] = crank_condition_new(locks[i]);
        m_locks[i] = (m_lock){ 0 };
        m_conditions[i] = (m_condition){ .lock = &m_locks[i] };
    }
    for (int i = 0; i < FUTURES; i++) {
        futures[i] = crank_future_new();
        m_futures[i] = (m_future){ 0 };
    }
}

/* A found fault ends the program: waits in shields must be ended too. */
static int end_all(m_task *const top[TOP])
{
    for (int i = 0; i < TOP; i++) {
        crank_cancel(top[i]->handle);
        while (!crank_done(top[i]->handle)) {
            for (int k = 0; k < FUTURES; k++)
                end_future(k);
            (void)op_notify(chaos);
            crank_try(crank_sleep(1));
        }
    }
    return 0;
}

static int app(void)
{
    m_task *top[TOP];
    m_count = frame_count = 0;
    m_moment = m_timers = 0;
    m_now = 0;
    found = faulty = false;
    make_objects();
    m_advance();
    chaos = m_spawn(NULL, NULL);
    chaos->state = M_RUNNING;
    for (int i = 0; i < TOP; i++) {
        top[i] = m_spawn(NULL, NULL);
        top[i]->handle = crank_spawn(body, top[i], 3);
    }
    for (int round = 0; !all_ended(top); round++) {
        EXPECT(round < ROUNDS_MAX);
        (void)op_sleep(chaos, chance(50) ? 1 : 0.5);
        if (round < ROUNDS && chance(50))
            cancel_some();
        if (round < ROUNDS && frame_count > 0 && chance(20))
            cancel_group(frames[below((uint32_t)frame_count)]);
        for (int i = 0; i < FUTURES; i++)
            if (chance(round < ROUNDS ? 20 : 100))
                end_future(i);
        if (chance(round < ROUNDS ? 30 : 100))
            (void)op_notify(chaos);
    }
    return found ? end_all(top) : 0;
}

static void ignore(const crank_report *report, void *arg) { (void)report, (void)arg; }

/* The objects end after the run, for a program's tasks use them until that has ended. */
static void run_program(uint64_t seed)
{
    program = seed;
    chance_state = seed * 0x9e3779b97f4a7c15u + 1;
    (void)below(2);
    long result = crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM, .seed = seed, .grace = CRANK_FOREVER,
                                     .leftovers = CRANK_CANCEL, .on_report = ignore),
        app);
    if (result != 0 && !found)
        test_fail(__FILE__, __LINE__, "program %llu: the run gives %ld", (unsigned long long)seed, result);
    for (int i = 0; i < LOCKS && result == 0; i++) {
        crank_condition_free(conditions[i]);
        crank_lock_free(locks[i]);
    }
}

static void run_programs(uint64_t first)
{
    const char *alone = getenv("CRANK_MODEL_SEED"), *many = getenv("CRANK_MODEL_PROGRAMS");
    uint64_t n = many ? strtoull(many, NULL, 10) : 1000;
    planted = NO_FAULT;
    talks = alone;
    if (alone) {
        run_program(strtoull(alone, NULL, 10));
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        run_program(first * n + i);
    EXPECT(calls > 10 * n);
}

TEST(interruption, is_as_the_model_says_in_random_programs_0) { run_programs(0); }
TEST(interruption, is_as_the_model_says_in_random_programs_1) { run_programs(1); }
TEST(interruption, is_as_the_model_says_in_random_programs_2) { run_programs(2); }
TEST(interruption, is_as_the_model_says_in_random_programs_3) { run_programs(3); }
TEST(interruption, is_as_the_model_says_in_random_programs_4) { run_programs(4); }
TEST(interruption, is_as_the_model_says_in_random_programs_5) { run_programs(5); }
TEST(interruption, is_as_the_model_says_in_random_programs_6) { run_programs(6); }
TEST(interruption, is_as_the_model_says_in_random_programs_7) { run_programs(7); }
TEST(interruption, is_as_the_model_says_in_random_programs_8) { run_programs(8); }
TEST(interruption, is_as_the_model_says_in_random_programs_9) { run_programs(9); }

/* Of the programs with such a fault nearly all are found; a fault may come too late to be seen. */
static void expect_found(enum fault fault)
{
    int made = 0, seen = 0;
    planted = fault;
    for (uint64_t seed = 0; seed < 400; seed++) {
        run_program(seed);
        made += faulty;
        seen += found;
    }
    EXPECT(made > 20);
    EXPECT(seen * 2 > made);
}

TEST(interruption_model, finds_a_request_that_is_dropped) { expect_found(A_REQUEST_DROPPED); }
TEST(interruption_model, finds_a_request_that_is_made_twice) { expect_found(A_REQUEST_TWICE); }
TEST(interruption_model, finds_a_child_that_is_cancelled_twice) { expect_found(A_CHILD_TWICE); }
