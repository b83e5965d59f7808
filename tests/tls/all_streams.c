/* SPDX-License-Identifier: MIT */
/* all_streams.c: the checks of tests/behaviour/all_streams.h over TLS. */
#include "../behaviour/all_streams.h"
#include "certs.h"

static int open_tls(crank_stream **ret_a, crank_stream **ret_b)
{
    certs_pair(ret_a, ret_b);
    return 0;
}
TEST_EACH_BACKEND(all_streams, do_the_same_over_tls) { return check_two_ways(open_tls); }
