/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_sockets.c: the calls on streams over sockets, and over transports, cancelled at every point. */
#include "socket_rows.h"
#include "veil.h"

static int veil_both(crank_stream **a, crank_stream **b)
{
    crank_try(veil_over(a));
    return veil_over(b);
}

TEST_EACH_BACKEND(cancel, at_many_points_of_calls_on_sockets_loses_no_byte)
{
    return try_rows(rows, CRANK_COUNT(rows), false);
}

TEST_EACH_BACKEND(cancel, at_many_points_of_calls_on_transports_loses_no_byte)
{
    carry = veil_both;
    return try_rows(rows, CRANK_COUNT(rows), false);
}

TEST_SEEDS(cancel, at_every_point_of_calls_on_transports_loses_no_byte, 4)
{
    test_needs_long();
    carry = veil_both;
    return try_rows(rows, CRANK_COUNT(rows), true);
}

TEST_SEEDS(cancel, at_every_point_of_calls_on_sockets_loses_no_byte, 10)
{
    test_needs_long();
    return try_rows(rows, CRANK_COUNT(rows), true);
}
