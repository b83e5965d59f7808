/* SPDX-License-Identifier: MIT */
/* serve_limits.c: a server with as many connections as it may have, one short of descriptors or memory, one of
 * thousands of connections. */
#include "nets.h"
#include "task/record.h"

/* ---- Connections at a time ---- */

static int serve_few(crank_listener *l, size_t most)
{
    crank_serve_options options = { .connections_max = most };
    return crank_serve_with(&options, l, nets_echo);
}
TEST_EACH_BACKEND(serve, beyond_connections_max_serves_the_next_when_one_has_ended)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    CRANK_AUTO_STREAM crank_stream *b = nets_connect(l);
    CRANK_AUTO_STREAM crank_stream *c = nets_connect(l);
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_few, l, (size_t)2);
    crank_try(nets_expect_echo(a));
    crank_try(nets_expect_echo(b));
    crank_try(crank_printf(c, "third\n"));
    crank_try(crank_flush(c));
    crank_try(nets_settle());
    EXPECT_EQ(crank_listener_connections(l), 2);
    EXPECT_EQ(crank_within(0.002, crank_read_line(c, (char[20]){ 0 }, 20)), -ETIMEDOUT);
    crank_try(crank_finish(a));
    EXPECT_STR(nets_line(c), "third");
    EXPECT_EQ(crank_listener_connections(l), 2);
    crank_try(crank_finish(b));
    crank_try(crank_finish(c));
    crank_try(crank_listener_stop(l, 1));
    return (int)crank_await(server);
}
TEST_EACH_BACKEND(serve, at_connections_max_can_be_stopped_and_cancelled)
{
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
        CRANK_GROUP(servers);
        crank_task *server = crank_group_spawn(&servers, serve_few, l, (size_t)1);
        CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
        crank_try(nets_expect_echo(a));
        crank_try(cancelled ? crank_cancel(server) : crank_listener_stop(l, 0));
        EXPECT_EQ(crank_await(server), cancelled ? -ECANCELED : 0);
    }
    return 0;
}
static int serve_strangely(crank_listener *l)
{
    crank_serve_options options = { .linger = NAN };
    return crank_serve_with(&options, l, nets_echo);
}
TEST_EACH_BACKEND(serve, refuses_a_linger_that_is_no_number)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    EXPECT_EQ(serve_strangely(l), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "linger");
    return 0;
}
TEST_CHECKS(serve, of_null_is_a_check, "the listener is NULL") { return crank_serve(NULL, nets_echo); }

/* ---- An accept that fails ---- */

TEST_EACH_BACKEND(serve, ends_with_an_unknown_error_of_accept_and_ends_its_handlers)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_TASK server = crank_spawn(nets_serve_echo, l);
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    crank_try(nets_expect_echo(a));
    nets_fail_accepts(EBADF, 1);
    CRANK_AUTO_STREAM crank_stream *b = nets_connect(l);
    EXPECT(b);
    EXPECT_EQ(nets_await(server), -EBADF);
    EXPECT_CONTAINS(crank_error(), "cannot serve 127.0.0.1:");
    nets_expect_end(a);
    return 0;
}

/* As crank_accept does it: a timer that is due is not behind all who come at once. */
TEST_SIM(serve, of_a_flood_lets_a_timer_run_on_time)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_STREAMS(clients);
    for (int i = 0; i < NETS_STREAMS_MAX; i++)
        clients.at[i] = nets_connect(l);
    NETS_TASK server = crank_spawn(nets_serve_echo, l);
    double before = crank_time();
    crank_try(crank_sleep(0));
    size_t taken = crank_listener_connections(l);
    EXPECT(taken > 0 && taken <= 129);
    crank_try(crank_sleep(0.25));
    EXPECT_NEAR(crank_time() - before, 0.25, 1e-9);
    EXPECT_EQ(crank_listener_connections(l), NETS_STREAMS_MAX);
    crank_try(crank_listener_stop(l, 0));
    EXPECT_EQ(nets_await(server), 0);
    return nets_close_all(&clients);
}

static const int shortages[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC };
TEST_SIM(serve, short_of_descriptors_tries_again_every_tenth_of_a_second)
{
    for (size_t i = 0; i < CRANK_COUNT(shortages); i++) {
        CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
        CRANK_GROUP(servers);
        crank_task *server = crank_group_spawn(&servers, nets_serve_echo, l);
        CRANK_AUTO_STREAM crank_stream *before = nets_connect(l);
        crank_try(nets_expect_echo(before));
        test_capture();
        nets_fail_accepts(shortages[i], 1000);
        CRANK_AUTO_STREAM crank_stream *waits = nets_connect(l);
        crank_try(crank_sleep(0.95));
        EXPECT_EQ(nets_faults.asked, 20); /* ten tries, each followed by one with the spare descriptor */
        crank_try(nets_expect_echo(before));
        nets_fail_accepts(0, 0);
        crank_try(nets_expect_echo(waits));
        const char *said = test_captured();
        EXPECT_EQ(nets_count(said, "cannot accept on 127.0.0.1:"), 1);
        EXPECT_EQ(nets_count(said, crank_errno_name(shortages[i])), 1);
        crank_try(crank_listener_stop(l, 0));
        EXPECT_EQ(crank_await(server), 0);
    }
    return 0;
}
TEST_EACH_BACKEND(serve, short_of_descriptors_ends_what_waits_and_serves_what_comes_later)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    CRANK_AUTO_STREAM crank_stream *b = nets_connect(l);
    nets_fail_accepts(EMFILE, 1);
    test_capture();
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, nets_serve_echo, l);
    nets_expect_end(a);
    nets_expect_end(b);
    EXPECT_EQ(nets_count(test_captured(), "ended 2 connections that waited"), 1);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    if (!strcmp(crank_backend_name(), "sim"))
        crank_try(nets_expect_echo(s));
    crank_try(crank_listener_stop(l, 0)); /* ends the rest too */
    EXPECT_EQ(crank_await(server), 0);
    crank_try(crank_finish(a));
    return crank_finish(b);
}
TEST_SIM(serve, short_of_descriptors_can_be_stopped_at_once_and_cancelled)
{
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
        test_capture();
        nets_fail_accepts(EMFILE, 1000);
        CRANK_GROUP(servers);
        crank_task *server = crank_group_spawn(&servers, nets_serve_echo, l);
        crank_try(crank_sleep(0.05));
        double before = crank_time();
        crank_try(cancelled ? crank_cancel(server) : crank_listener_stop(l, 0));
        EXPECT_EQ(crank_await(server), cancelled ? -ECANCELED : 0);
        EXPECT_NEAR(crank_time() - before, 0, 1e-9);
        nets_fail_accepts(0, 0);
        EXPECT_CONTAINS(test_captured(), "ended 0 connections");
    }
    return 0;
}

/* It is no shortage that passes: the block around the server would not do what it is for, as end it after a time. */
static int serve_in_a_block_without_memory(crank_listener *l)
{
    cr_task_state_of(cr_loop_here)->out_of_memory = cr_self()->id; /* as where a scope could not be made */
    cr_loop_here->runner.budget = 1;
    return crank_serve(l, nets_echo);
}
TEST_EACH_BACKEND(serve, in_a_block_that_could_not_be_made_fails)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    test_capture();
    NETS_TASK server = crank_spawn(serve_in_a_block_without_memory, l);
    EXPECT_EQ(crank_within(1, nets_await(server)), -ENOMEM);
    EXPECT_STR(test_captured(), "");
    return 0;
}

TEST_EACH_BACKEND(descriptors, max_is_the_hard_limit)
{
    size_t most = crank_descriptors_max();
    EXPECT(most >= 1024);
    EXPECT_EQ(crank_descriptors_max(), most);
    if (!strcmp(crank_backend_name(), "sim"))
        EXPECT_EQ(most, 65536);
    return 0;
}

/* ---- Many ---- */

static int come_and_go(crank_listener *l, int times)
{
    for (int i = 0; i < times; i++) {
        CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
        crank_try(nets_expect_echo(s));
    }
    return 0;
}
static int serve_thousands(int clients, int times)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, nets_serve_echo, l);
    CRANK_GROUP(all);
    for (int i = 0; i < clients; i++)
        crank_group_spawn(&all, come_and_go, l, times);
    crank_try(crank_group_wait(&all));
    crank_try(crank_listener_stop(l, 10));
    EXPECT_EQ(crank_await(server), 0);
    EXPECT_EQ(crank_listener_connections(l), 0);
    return 0;
}
TEST_EACH_BACKEND(serve, of_1000_connections_leaves_nothing) { return serve_thousands(20, 50); }
TEST_EACH_BACKEND(serve, of_10000_connections_leaves_nothing)
{
    test_needs_long();
    return serve_thousands(50, 200);
}
