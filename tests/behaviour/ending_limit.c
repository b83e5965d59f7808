/* SPDX-License-Identifier: MIT */
/* ending_limit.c: closing a stream in the block of a time limit that could not be made, for memory was short: to the
 * block's end the close does not wait for a peer as if no limit had been asked for. */
#include "links.h"
#include "task/record.h"
#include "veil.h"

/* No memory for what a block is made of, from now on. */
static void *no_memory(void *context, size_t size)
{
    (void)context, (void)size;
    return NULL;
}
static void scarce(bool from_now)
{
    static cr_sys poor;
    static cr_freelist whole;
    cr_freelist *scopes = &cr_task_state_of(cr_loop_here)->scopes;
    if (from_now) {
        whole = *scopes;
        poor = *whole.sys;
        poor.alloc = no_memory;
        scopes->sys = &poor;
        scopes->free = NULL;
    } else {
        scopes->free = whole.free;
        scopes->sys = whole.sys;
    }
}

/* A limit of 1 s, if there were memory for it. */
#define LIMIT_WITHOUT_MEMORY(t) \
    scarce(true); \
    CRANK_TIMEOUT(t, 1); \
    scarce(false)

static int close_without_a_limit(crank_stream **end)
{
    LIMIT_WITHOUT_MEMORY(t);
    int err = close_end(end);
    EXPECT_EQ(crank_sleep(0), 0); /* it was told */
    return err;
}
EACH_LINK(close, whose_limit_could_not_be_made_gives_up_a_stalled_peer)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT_EQ(crank_await(crank_spawn(close_without_a_limit, &l->a)), -ENOMEM);
    EXPECT_CONTAINS(crank_error(), "out of memory for a time limit");
    return 0;
}
EACH_LINK(close, whose_limit_could_not_be_made_gives_up_a_stalled_peer_below_a_transport)
{
    crank_try(veil_over(&l->a));
    crank_set_write_limit(l->a, 8000000);
    char *bytes = test_memory(7000000);
    crank_try(crank_write(l->a, bytes, 7000000));
    crank_try(settle());
    EXPECT(crank_unsent(l->a) > 0);
    EXPECT_EQ(crank_await(crank_spawn(close_without_a_limit, &l->a)), -ENOMEM);
    EXPECT_EQ(veils.open, 0);
    return 0;
}

/* Where the wait before has told of it. */
static int close_when_told(crank_stream **end)
{
    LIMIT_WITHOUT_MEMORY(t);
    EXPECT_EQ(crank_sleep(1), -ENOMEM);
    EXPECT(!crank_expired(&t));
    return close_end(end);
}
EACH_LINK(close, after_the_call_that_told_of_a_missing_limit_gives_up_a_stalled_peer)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT_EQ(crank_await(crank_spawn(close_when_told, &l->a)), -ENOMEM);
    EXPECT_CONTAINS(crank_error(), "cannot close ");
    EXPECT_CONTAINS(crank_error(), "out of memory for a time limit");
    return 0;
}

static int close_behind_an_inner_block(crank_stream **end)
{
    LIMIT_WITHOUT_MEMORY(t);
    EXPECT_EQ(crank_sleep(1), -ENOMEM);
    {
        LIMIT_WITHOUT_MEMORY(inner);
        EXPECT_EQ(crank_sleep(1), -ENOMEM);
    }
    return crank_within(CRANK_FOREVER, close_end(end));
}
EACH_LINK(close, whose_outer_limit_is_missing_gives_up_a_stalled_peer)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT_EQ(crank_await(crank_spawn(close_behind_an_inner_block, &l->a)), -ENOMEM);
    return 0;
}

static int leave_when_told(crank_stream *given)
{
    LIMIT_WITHOUT_MEMORY(t);
    CRANK_AUTO_STREAM crank_stream *s = given;
    return crank_flush(s);
}
EACH_LINK(auto_stream, in_a_block_whose_limit_is_missing_gives_up_a_stalled_peer)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    crank_stream *s = l->a;
    l->a = NULL;
    test_capture();
    EXPECT_EQ(crank_await(crank_spawn(leave_when_told, s)), -ENOMEM);
    EXPECT_CONTAINS(test_captured(), "lost some of what it wrote");
    return 0;
}

/* What is not within the block waits as ever. */
static int close_in_a_shield(crank_stream **end)
{
    LIMIT_WITHOUT_MEMORY(t);
    EXPECT_EQ(crank_sleep(1), -ENOMEM);
    return crank_shield(crank_within(0.02, close_end(end)));
}
static int close_after_the_block(crank_stream **end)
{
    {
        LIMIT_WITHOUT_MEMORY(t);
        EXPECT_EQ(crank_sleep(1), -ENOMEM);
    }
    return crank_within(0.02, close_end(end));
}
EACH_LINK(close, in_a_shield_waits_for_a_peer_where_the_limit_outside_is_missing)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT_EQ(crank_await(crank_spawn(close_in_a_shield, &l->a)), -ETIMEDOUT);
    return 0;
}
EACH_LINK(close, behind_the_block_of_a_missing_limit_waits_for_a_peer)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT_EQ(crank_await(crank_spawn(close_after_the_block, &l->a)), -ETIMEDOUT);
    return 0;
}

/* A body that yields within its block takes the missing limit with it. */
static int close_in_a_body(void)
{
    crank_stream *mine, *peer;
    crank_try(crank_socket_pair(&mine, &peer));
    EXPECT(fill_up(mine, 9000) > 0);
    LIMIT_WITHOUT_MEMORY(t);
    EXPECT_EQ(crank_sleep(1), -ENOMEM);
    crank_try(crank_yield(1));
    EXPECT_EQ(close_end(&mine), -ENOMEM);
    return crank_close(peer);
}
static int close_beside_a_body(crank_stream **end)
{
    int value = 0;
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(close_in_a_body);
    EXPECT_EQ(crank_next(g, &value), 1);
    EXPECT_EQ(crank_within(0.02, close_end(end)), -ETIMEDOUT);
    return crank_next(g, &value);
}
EACH_LINK(close, beside_a_generator_whose_limit_is_missing_waits_for_a_peer)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT_EQ(crank_await(crank_spawn(close_beside_a_body, &l->a)), 0);
    return 0;
}
