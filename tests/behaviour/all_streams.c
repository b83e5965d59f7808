/* SPDX-License-Identifier: MIT */
/* all_streams.c: the checks of all_streams.h over what crank offers by itself; tests/tls has them over TLS. */
#include <unistd.h>

#include "all_streams.h"
#include "veil.h"

static int open_unix(crank_stream **ret_a, crank_stream **ret_b)
{
    static char name[64];
    snprintf(name, sizeof name, "unix:@crank-all-%d", (int)getpid());
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen(name));
    CRANK_AUTO_STREAM crank_stream *a = crank_try(crank_connect(name));
    *ret_b = crank_try(crank_accept(listener));
    *ret_a = a;
    a = NULL;
    return 0;
}
static int open_pipe(crank_stream **ret_a, crank_stream **ret_b) { return crank_pipe(ret_b, ret_a); }
static int open_veils(crank_stream **ret_a, crank_stream **ret_b)
{
    crank_try(nets_pair(ret_a, ret_b));
    crank_try(veil_over(ret_a));
    return veil_over(ret_b);
}
static int open_veils_on_veils(crank_stream **ret_a, crank_stream **ret_b)
{
    crank_try(open_veils(ret_a, ret_b));
    crank_try(veil_over(ret_a));
    return veil_over(ret_b);
}

TEST_EACH_BACKEND(all_streams, do_the_same_over_tcp) { return check_two_ways(nets_pair); }
TEST_EACH_BACKEND(all_streams, do_the_same_over_a_unix_socket) { return check_two_ways(open_unix); }
TEST_EACH_BACKEND(all_streams, do_the_same_over_a_pair) { return check_two_ways(crank_socket_pair); }
TEST_EACH_BACKEND(all_streams, do_the_same_over_a_pipe) { return check_one_way(open_pipe); }
TEST_EACH_BACKEND(all_streams, do_the_same_over_a_transport) { return check_two_ways(open_veils); }
TEST_EACH_BACKEND(all_streams, do_the_same_over_a_transport_on_another) { return check_two_ways(open_veils_on_veils); }
