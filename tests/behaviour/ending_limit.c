/* SPDX-License-Identifier: MIT */
/* ending_limit.c: closing a stream within a limit of time that could not be made, for memory was short: the close does
 * not wait for a peer as if no limit had been asked for. */
#include "links.h"
#include "task/record.h"
#include "veil.h"

static int close_without_a_limit(crank_stream **end)
{
    cr_task_state_of(cr_loop_here)->out_of_memory = cr_self()->id; /* as where a timeout could not be made */
    int err = close_end(end);
    EXPECT_EQ(crank_sleep(0), 0); /* it was told */
    return err;
}
EACH_LINK(close, whose_limit_could_not_be_made_gives_up_a_stalled_peer)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT_EQ(crank_await(crank_spawn(close_without_a_limit, &l->a)), -ENOMEM);
    EXPECT_CONTAINS(crank_error(), "out of memory for a timeout");
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

static int leave_without_a_limit(crank_stream *given)
{
    CRANK_AUTO_STREAM crank_stream *s = given;
    (void)s;
    cr_task_state_of(cr_loop_here)->out_of_memory = cr_self()->id;
    return 0;
}
static int leave_and_be_told(crank_stream **end)
{
    crank_stream *s = *end;
    *end = NULL;
    EXPECT_EQ(leave_without_a_limit(s), 0);
    EXPECT_EQ(crank_sleep(0), -ENOMEM);
    return 0;
}
EACH_LINK(auto_stream, whose_limit_could_not_be_made_gives_up_a_stalled_peer)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    return error_of(crank_spawn(leave_and_be_told, &l->a));
}
