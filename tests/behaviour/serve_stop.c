/* SPDX-License-Identifier: MIT */
/* serve_stop.c: how a server ends: by a request to cancel, by crank_listener_stop, with handlers that end, idle, or
 * refuse to end. */
#include <signal.h>
#include "nets.h"

TEST_EACH_BACKEND(serve, that_is_cancelled_ends_when_its_handlers_have)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, nets_serve_echo, l);
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    CRANK_AUTO_STREAM crank_stream *b = nets_connect(l);
    crank_try(nets_expect_echo(a));
    crank_try(nets_expect_echo(b));
    EXPECT_EQ(crank_listener_connections(l), 2);
    EXPECT_EQ(crank_cancel(server), 0);
    EXPECT_EQ(crank_await(server), -ECANCELED);
    EXPECT_EQ(crank_listener_connections(l), 0);
    nets_expect_end(a);
    nets_expect_end(b);
    return 0;
}

TEST_EACH_BACKEND(serve, that_is_cancelled_with_connections_not_begun_ends_them)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_STREAMS(clients);
    for (int i = 0; i < 20; i++)
        clients.at[i] = nets_connect(l);
    NETS_TASK server = crank_spawn(nets_serve_echo, l);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_cancel(server), 0);
    EXPECT_EQ(nets_await(server), -ECANCELED);
    EXPECT_EQ(crank_listener_connections(l), 0);
    return nets_close_all(&clients);
}

TEST_SIM(serve, that_is_stopped_cancels_an_idle_handler_after_the_grace)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, nets_serve_echo, l);
    CRANK_AUTO_STREAM crank_stream *idle = nets_connect(l);
    crank_try(nets_expect_echo(idle));
    double before = crank_time();
    crank_try(crank_listener_stop(l, 5));
    crank_try(crank_sleep(4));
    crank_try(nets_expect_echo(idle));
    EXPECT_EQ(crank_await(server), 0);
    EXPECT_NEAR(crank_time() - before, 5, 1e-9);
    nets_expect_end(idle);
    return 0;
}

TEST_EACH_BACKEND(serve, that_is_stopped_ends_with_its_last_handler)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, nets_serve_echo, l);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    crank_try(nets_expect_echo(s));
    crank_try(crank_listener_stop(l, CRANK_FOREVER));
    crank_try(nets_expect_echo(s));
    EXPECT(!crank_done(server));
    crank_try(crank_finish(s));
    EXPECT_EQ(crank_await(server), 0);
    return 0;
}

static int stop_later(crank_listener *l, double after, double grace)
{
    crank_try(crank_sleep(after));
    return crank_listener_stop(l, grace);
}
TEST_SIM(serve, stopped_again_ends_at_the_earlier_of_both_ends)
{
    static const struct {
        double grace, after, then, end;
    } rows[] = { { 5, 1, 1, 2 }, { 5, 1, 0, 1 }, { 5, 1, 10, 5 }, { CRANK_FOREVER, 1, 3, 4 }, { 0, 1, 9, 0 },
        { 3, 2, CRANK_FOREVER, 3 } };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
        NETS_TASK server = crank_spawn(nets_serve_echo, l);
        NETS_TASK other = crank_spawn(nets_serve_echo, l);
        CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
        CRANK_AUTO_STREAM crank_stream *t = nets_connect(l);
        crank_try(nets_expect_echo(s));
        crank_try(nets_expect_echo(t));
        double before = crank_time();
        NETS_TASK later = crank_spawn(stop_later, l, rows[i].after, rows[i].then);
        crank_try(crank_listener_stop(l, rows[i].grace));
        EXPECT_EQ(nets_await(server), 0);
        EXPECT_EQ(nets_await(other), 0);
        EXPECT_NEAR(crank_time() - before, rows[i].end, 1e-9);
        crank_try(nets_await(later));
    }
    return 0;
}

static int say_when_stopped(crank_stream *peer, crank_listener *l)
{
    crank_try(crank_listener_wait_stop(l));
    return crank_printf(peer, "goodbye\n");
}
static int serve_goodbye(crank_listener *l) { return crank_serve(l, say_when_stopped, l); }
TEST_EACH_BACKEND(listener, wait_stop_lets_a_handler_end_by_itself)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_goodbye, l);
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    CRANK_AUTO_STREAM crank_stream *b = nets_connect(l);
    crank_try(nets_await_connections(l, 2));
    crank_try(crank_listener_stop(l, 10));
    EXPECT_STR(nets_line(a), "goodbye");
    EXPECT_STR(nets_line(b), "goodbye");
    nets_expect_end(a);
    nets_expect_end(b);
    EXPECT_EQ(crank_listener_wait_stop(l), 0);
    return (int)crank_await(server);
}
static int wait_stop(crank_listener *l) { return crank_listener_wait_stop(l); }
TEST_EACH_BACKEND(listener, wait_stop_can_be_cancelled)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(waiting);
    crank_task *a = crank_group_spawn(&waiting, wait_stop, l);
    crank_task *b = crank_group_spawn(&waiting, wait_stop, l);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_cancel(a), 0);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    crank_try(crank_listener_stop(l, 0));
    return (int)crank_await(b);
}
TEST_CHECKS(listener, closed_under_a_task_that_waits_for_its_stop_is_a_check, "waits for its stop")
{
    crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    crank_spawn(wait_stop, l);
    crank_try(crank_sleep(0));
    return crank_listener_close(l);
}
TEST_CHECKS(listener, closed_under_a_server_is_a_check, "serves it")
{
    crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    crank_spawn(nets_serve_echo, l);
    crank_try(nets_settle());
    return crank_listener_close(l);
}

/* The handler's end, the stop and its grace come in one turn, in each order. */
static int end_after(crank_stream *peer, double seconds)
{
    (void)peer;
    return crank_sleep(seconds);
}
static int serve_end_after(crank_listener *l, double seconds)
{
    crank_serve_options options = { .linger = -1 };
    return crank_serve_with(&options, l, end_after, seconds);
}
TEST_SIM(serve, stopped_in_the_turn_of_the_last_handlers_end_gives_0)
{
    static const double graces[] = { 0, 1, CRANK_FOREVER };
    for (size_t i = 0; i < CRANK_COUNT(graces); i++) {
        CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
        NETS_TASK first = i % 2 ? crank_spawn(stop_later, l, 1.0, graces[i]) : NULL;
        NETS_TASK server = crank_spawn(serve_end_after, l, 1.0);
        CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
        EXPECT(s);
        NETS_TASK last = first ? NULL : crank_spawn(stop_later, l, 1.0, graces[i]);
        EXPECT_EQ(nets_await(server), 0);
        crank_try(i % 2 ? nets_await(first) : nets_await(last));
        EXPECT_EQ(crank_listener_connections(l), 0);
    }
    return 0;
}
TEST_SIM(serve, whose_grace_ends_in_the_turn_of_the_last_handlers_end_gives_0)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_end_after, l, 2.0);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    EXPECT(s);
    crank_try(nets_await_connections(l, 1));
    crank_try(crank_listener_stop(l, 2));
    EXPECT_EQ(crank_await(server), 0);
    return 0;
}

TEST_EACH_BACKEND(serve, by_two_tasks_of_one_listener_ends_both_when_it_is_stopped)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_STREAMS(clients);
    CRANK_GROUP(servers);
    crank_task *a = crank_group_spawn(&servers, nets_serve_echo, l);
    crank_task *b = crank_group_spawn(&servers, nets_serve_echo, l);
    for (int i = 0; i < 10; i++)
        clients.at[i] = nets_connect(l);
    for (int i = 0; i < 10; i++)
        crank_try(nets_expect_echo(clients.at[i]));
    EXPECT_EQ(crank_listener_connections(l), 10);
    EXPECT_EQ(crank_cancel(a), 0);
    EXPECT_EQ(crank_await(a), -ECANCELED);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    crank_try(nets_expect_echo(s));
    crank_try(crank_listener_stop(l, 0));
    EXPECT_EQ(crank_await(b), 0);
    EXPECT_EQ(crank_listener_connections(l), 0);
    return nets_close_all(&clients);
}

static int refuse_to_end(crank_stream *peer)
{
    (void)peer;
    while (crank_sleep(100) == -ECANCELED && crank_time() < 1000)
        ;
    return 0;
}
static int serve_stubborn(crank_listener *l) { return crank_serve(l, refuse_to_end); }
TEST_SIM(serve, names_a_handler_that_ignores_its_cancellation)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_stubborn, l);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    EXPECT(s);
    crank_try(nets_settle());
    test_capture();
    crank_try(crank_listener_stop(l, 1));
    EXPECT_EQ(crank_await(server), 0);
    const char *said = test_captured();
    EXPECT_EQ(nets_count(said, "refuse_to_end"), 1);
    EXPECT_CONTAINS(said, "has not ended");
    return 0;
}

/* ---- Ctrl-C ---- */

static bool handler_was_cancelled, interrupted;
static int echo_until_cancelled(crank_stream *peer)
{
    int err = nets_echo(peer);
    handler_was_cancelled = err == -ECANCELED;
    return err;
}
static int interrupt_it(crank_listener *l)
{
    char byte;
    CRANK_AUTO_STREAM crank_stream *idle = crank_try(crank_connect(crank_listener_address(l, 0)));
    crank_try(nets_expect_echo(idle));
    EXPECT_EQ(crank_listener_connections(l), 1);
    EXPECT_EQ(raise(SIGINT), 0);
    interrupted = true;
    return (int)crank_shield(crank_read(idle, &byte, 1)); /* 0: the server ends it */
}
static int serve_and_be_interrupted(void)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(clients);
    crank_task *client = crank_group_spawn(&clients, interrupt_it, l);
    int err = crank_serve(l, echo_until_cancelled);
    if (!interrupted)
        return err; /* the client could not come, and has ended the block */
    EXPECT_EQ(err, -ECANCELED);
    EXPECT_STR(crank_error(), "interrupted (Ctrl-C)");
    EXPECT(handler_was_cancelled);
    EXPECT_EQ(crank_listener_connections(l), 0);
    EXPECT_EQ(crank_shield(crank_await(client)), 0);
    return err;
}
static void interrupt_a_server(crank_backend backend)
{
    crank_options options = { .backend = backend, .handle_interrupt = true };
    EXPECT_EQ(crank_run_with(&options, serve_and_be_interrupted), -EINTR);
}
TEST(serve, that_ctrl_c_ends_has_ended_its_handlers_on_sim) { interrupt_a_server(CRANK_BACKEND_SIM); }
TEST(serve, that_ctrl_c_ends_has_ended_its_handlers_on_epoll) { interrupt_a_server(CRANK_BACKEND_EPOLL); }
TEST(serve, that_ctrl_c_ends_has_ended_its_handlers_on_uring) { interrupt_a_server(CRANK_BACKEND_URING); }

static int write_much(crank_stream *peer)
{
    static char bytes[400000];
    crank_set_write_limit(peer, sizeof bytes);
    return crank_write(peer, bytes, sizeof bytes);
}
static int serve_much(crank_listener *l) { return crank_serve(l, write_much); }

TEST_SIM(stop, resets_a_connection_whose_rest_is_not_sent_in_the_grace_seconds)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_much, l);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    char buf[4096];
    long n, read = 0;
    crank_try(crank_sleep(0.1));
    crank_listener_stop(l, 0.5);
    EXPECT_EQ(crank_await(server), 0);
    while ((n = crank_read(s, buf, sizeof buf)) > 0)
        read += n;
    EXPECT(read > 0 && read < 400000);
    EXPECT_EQ(n, -ECONNRESET);
    return 0;
}
