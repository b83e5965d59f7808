/* SPDX-License-Identifier: MIT */
/* generator_limit.c: time limits in a generator's body and around who asks it: whose an interruption is. */
#include "trail.h"

static int ask(crank_generator *g)
{
    int n = -1;
    int more = crank_next(g, &n);
    return more < 0 ? more : n;
}
/* A value, under a limit that goes to sleep with it; then a wait that only a limit ends. */
static int limited(double limit)
{
    CRANK_TIMEOUT(t, limit);
    crank_try(crank_yield(1));
    crank_try(crank_sleep(60));
    return 0;
}
/* What became of the interruption at the edge of that limit. */
static int says(double limit)
{
    int err = limited(limit);
    say("%d", err);
    return err;
}

static int ask_late(crank_generator *g, double seconds)
{
    int err = crank_sleep(10);
    return err == -ECANCELED ? crank_within(seconds, ask(g)) : -EINVAL;
}
TEST_SIM(generator, whose_limit_passes_says_so_inside_a_limit_that_had_told_before)
{
    double started = crank_time();
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(says, 5.0);
    EXPECT_EQ(ask(g), 1);
    EXPECT_EQ(crank_within(1.0, ask_late(g, 100)), -ETIMEDOUT);
    EXPECT_TRAIL("-110");
    EXPECT_NEAR(crank_time() - started, 5, 0);
    return 0;
}
TEST_SIM(generator, whose_limit_and_one_around_the_asker_pass_leaves_it_to_that_around)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(says, 5.0);
    EXPECT_EQ(ask(g), 1);
    EXPECT_EQ(crank_within(1.0, ask(g)), -ETIMEDOUT);
    EXPECT_TRAIL("-125");
    CRANK_AUTO_GENERATOR crank_generator *late = crank_generate(says, 5.0);
    EXPECT_EQ(ask(late), 1);
    crank_try(crank_sleep(6));
    EXPECT_EQ(crank_within(0.0, ask(late)), -ETIMEDOUT); /* both before it was asked */
    EXPECT_TRAIL("-125");
    return 0;
}

/* Two limits that come back together: which of them passed first they know of each other. */
static int nested(double outer, double inner)
{
    CRANK_TIMEOUT(t, outer);
    crank_try(says(inner));
    return 0;
}
static int nested_says(double outer, double inner)
{
    int err = nested(outer, inner);
    say("%d", err);
    return err;
}
TEST_SIM(generator, limits_that_slept_together_nest_as_if_they_had_not)
{
    static const struct {
        double outer, inner;
        const char *expected;
    } cases[] = { { 5, 9, "-125 -110" }, { 9, 5, "-110 -110" }, { 5, 5, "-125 -110" } };
    for (size_t i = 0; i < CRANK_COUNT(cases); i++) {
        CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(nested_says, cases[i].outer, cases[i].inner);
        EXPECT_EQ(ask(g), 1);
        EXPECT_EQ(crank_within(1.0, ask_late(g, 100)), -ETIMEDOUT);
        EXPECT_TRAIL(cases[i].expected);
    }
    return 0;
}
