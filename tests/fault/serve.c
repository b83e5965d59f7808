/* SPDX-License-Identifier: MIT */
/* serve.c: a server and its client, with each call of the OS table failing in turn: an error or none comes out, nothing
 * is left, and no one waits for ever. */
#include "sweep.h"

static int answer(crank_stream *peer, int a, int b, int c, int d, int e)
{
    char line[100];
    crank_try(crank_read_line(peer, line, sizeof line));
    return crank_printf(peer, "%d %s", a + b + c + d + e, line);
}
static int serve_answers(crank_listener *l)
{
    crank_serve_options options = { .linger = 0.1, .connections_max = 1 };
    return crank_serve_with(&options, l, answer, 1, 2, 3, 4, 5);
}
static int ask(crank_listener *l)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(crank_listener_address(l, 0)));
    char line[100];
    crank_try(crank_printf(s, "asked\n"));
    ssize_t n = crank_try(crank_read_line(s, line, sizeof line));
    return n == 0 ? -EPIPE : strcmp(line, "15 asked\n") == 0 ? 0 : -EPROTO;
}
/* Two after each other, for the second waits for the first one's end; a limit for what an error has made wait. */
static int serve_two(crank_listener *l)
{
    CRANK_GROUP(all);
    crank_group_spawn(&all, serve_answers, l);
    int first = crank_within(10, ask(l));
    int second = crank_within(10, ask(l));
    crank_try(crank_listener_stop(l, 1));
    int served = crank_group_wait(&all);
    return first < 0 ? first : second < 0 ? second : served;
}
static long served(void *arg)
{
    (void)arg;
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    return serve_two(l);
}

TEST(served, survives_each_failing_call_on_sim) { sweep(served, CRANK_BACKEND_SIM, false); }
TEST(served, survives_all_calls_failing_from_each_on_sim) { sweep(served, CRANK_BACKEND_SIM, true); }
