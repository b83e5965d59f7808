/* SPDX-License-Identifier: MIT */
/* connections.c: connecting, accepting and serving in small closed worlds, each run through its schedules: which task
 * runs first, what arrives when, which port is chosen. */
#include "../behaviour/sims.h"

/* ---- Connecting ---- */

/* On a host of its own: one connection, until its end. */
static int take_one_to_its_end(int *taken)
{
    char byte;
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("*:7"));
    CRANK_AUTO_STREAM crank_stream *peer = crank_try(crank_accept(l));
    ++*taken;
    long n = crank_read(peer, &byte, 1);
    EXPECT(n == 0 || n == -ECONNRESET);
    return 0;
}
/* The second address is tried 0.25 s after the first, and both answer 0.45 s after the beginning. */
TEST_EXPLORED(connect, gives_one_of_two_that_answer_at_one_instant_and_ends_the_other, 400)
{
    int taken = 0;
    NETS_TASK far = crank_sim_host("far", take_one_to_its_end, &taken);
    NETS_TASK near = crank_sim_host("near", take_one_to_its_end, &taken);
    crank_try(crank_sim_settle(0));
    crank_try(crank_sim_set_link("sim", "far", &(crank_sim_link){ .latency = 0.225 }));
    crank_try(crank_sim_set_link("far", "sim", &(crank_sim_link){ .latency = 0.225 }));
    crank_try(crank_sim_set_link("sim", "near", &(crank_sim_link){ .latency = 0.1 }));
    crank_try(crank_sim_set_link("near", "sim", &(crank_sim_link){ .latency = 0.1 }));
    crank_try(crank_sim_name("both", "10.0.0.2, 10.0.0.3", 0, 0));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("both:7"));
    EXPECT(!strcmp(crank_peer_name(s), "10.0.0.2:7") || !strcmp(crank_peer_name(s), "10.0.0.3:7"));
    crank_try(crank_finish(s));
    EXPECT_EQ(nets_await(far), 0);
    EXPECT_EQ(nets_await(near), 0);
    EXPECT_EQ(taken, 2);
    return 0;
}

static int connect_to(const char *address, crank_stream **ret_stream)
{
    *ret_stream = crank_connect(address);
    int err = *ret_stream ? 0 : -errno;
    if (err < 0)
        EXPECT_EQ(crank_sleep(0), 0); /* the request was answered once */
    return err;
}
/* The request comes at the instant of the answer, for another answer wakes who makes it. The next socket has the number
 * that the cancelled one had. */
TEST_EXPLORED(connect, that_is_cancelled_gives_its_connection_or_leaves_none, 400)
{
    int taken = 0, beside = 0;
    NETS_STREAMS(streams);
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_TASK host = crank_sim_host("host", take_one_to_its_end, &taken);
    NETS_TASK other = crank_sim_host("other", take_one_to_its_end, &beside);
    crank_try(crank_sim_settle(0));
    link_all(0.1);
    NETS_TASK connecting = crank_spawn(connect_to, "10.0.0.2:7", &streams.at[0]);
    streams.at[1] = crank_try(crank_connect("10.0.0.3:7"));
    crank_cancel(connecting);
    long err = nets_await(connecting);
    EXPECT(err == 0 || err == -ECANCELED);
    EXPECT_EQ(err == 0, streams.at[0] != NULL);
    crank_try(crank_finish(streams.at[0]));
    streams.at[2] = crank_try(crank_connect(crank_listener_address(l, 0)));
    streams.at[3] = crank_try(crank_accept(l));
    crank_try(crank_printf(streams.at[3], "hello\n"));
    EXPECT_STR(nets_line(streams.at[2]), "hello");
    crank_try(nets_close_all(&streams));
    EXPECT_EQ(nets_await(other), 0);
    crank_try(crank_sleep(1));
    EXPECT_EQ(crank_done(host), taken == 1); /* the end of what it has taken has come */
    return 0;
}

/* The next ports that IPv6 has free are taken in IPv4: then others are tried. */
TEST_EXPLORED(listener, of_localhost_has_one_port_in_both_families, 400)
{
    CRANK_AUTO_LISTENER crank_listener *first = crank_try(crank_listen("127.0.0.1:0"));
    unsigned port = nets_port(first, 0);
    CRANK_AUTO_LISTENER crank_listener *second = crank_try(crank_listen(nets_at_port("127.0.0.1", port + 1)));
    CRANK_AUTO_LISTENER crank_listener *third = crank_try(crank_listen(nets_at_port("127.0.0.1", port + 2)));
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("localhost:0"));
    EXPECT(second && third);
    EXPECT_EQ(nets_port(l, 0), nets_port(l, 1));
    EXPECT(nets_port(l, 0) > port + 2);
    EXPECT(!crank_listener_address(l, 2));
    return 0;
}

/* ---- Accepting ---- */

static int accept_from(crank_listener *l, crank_stream **ret_stream)
{
    *ret_stream = crank_accept(l);
    return *ret_stream ? 0 : -errno;
}
static int say_hello(const char *address)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(address));
    crank_try(crank_printf(s, "hello\n"));
    nets_expect_end(s);
    return 0;
}
/* The request comes at the instant of the connection, for another connection wakes who makes it: one of both has it. */
TEST_EXPLORED(accept, that_is_cancelled_leaves_the_connection_to_the_other_that_waits, 400)
{
    NETS_STREAMS(given);
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("*:7"));
    CRANK_AUTO_LISTENER crank_listener *wakes = crank_try(crank_listen("*:8"));
    NETS_TASK first = crank_spawn(accept_from, l, &given.at[0]);
    NETS_TASK second = crank_spawn(accept_from, l, &given.at[1]);
    crank_try(crank_sim_settle(0));
    link_all(0.1);
    NETS_TASK host = crank_sim_host("host", say_hello, "10.0.0.1:7");
    NETS_TASK other = crank_sim_host("other", say_hello, "10.0.0.1:8");
    given.at[2] = crank_try(crank_accept(wakes));
    crank_cancel(first);
    long err = nets_await(first);
    EXPECT(err == 0 || err == -ECANCELED);
    EXPECT_EQ(err == 0, given.at[0] != NULL);
    if (err < 0)
        EXPECT_EQ(crank_within(1, nets_await(second)), 0);
    EXPECT_STR(nets_line(given.at[err < 0]), "hello");
    EXPECT_STR(nets_line(given.at[2]), "hello");
    crank_try(nets_close_all(&given));
    crank_try(nets_await(other));
    return (int)nets_await(host);
}

/* ---- Serving ---- */

TEST_EXPLORED(serve, that_is_stopped_with_an_idle_client_ends_it, 400)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_TASK server = crank_spawn(nets_serve_echo, l);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    crank_try(nets_expect_echo(s));
    crank_try(crank_listener_stop(l, 0));
    EXPECT_EQ(nets_await(server), 0);
    EXPECT_EQ(crank_listener_connections(l), 0);
    nets_expect_end(s);
    return crank_finish(s);
}

static int end_after(crank_stream *peer, double seconds)
{
    (void)peer;
    return crank_sleep(seconds);
}
static int serve_end_after(crank_listener *l, double seconds) { return crank_serve(l, end_after, seconds); }
static int stop_after(crank_listener *l, double seconds, double grace)
{
    crank_try(crank_sleep(seconds));
    return crank_listener_stop(l, grace);
}
/* The handler ends at the instant of the stop, and at that of its grace. */
static int stop_beside_the_last_end(double after, double grace)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_TASK server = crank_spawn(serve_end_after, l, 1.0);
    NETS_TASK stopping = crank_spawn(stop_after, l, after, grace);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    EXPECT_EQ(nets_await(server), 0);
    EXPECT_EQ(nets_await(stopping), 0);
    EXPECT_EQ(crank_listener_connections(l), 0);
    nets_expect_end(s);
    return crank_finish(s);
}
TEST_EXPLORED(serve, stopped_as_its_last_handler_ends_gives_0, 400) { return stop_beside_the_last_end(1, 0); }
TEST_EXPLORED(serve, whose_grace_ends_as_its_last_handler_does_gives_0, 400)
{
    return stop_beside_the_last_end(0.5, 0.5);
}

TEST_EXPLORED(serve, short_of_descriptors_ends_what_waits_and_serves_what_comes_later, 400)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_STREAM crank_stream *waits = nets_connect(l);
    crank_try(crank_sim_settle(0.001)); /* it is in the backlog */
    nets_fail_accepts(EMFILE, 1);
    NETS_TASK server = crank_spawn(nets_serve_echo, l);
    nets_expect_end(waits);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    crank_try(nets_expect_echo(s));
    crank_try(crank_listener_stop(l, 0));
    EXPECT_EQ(nets_await(server), 0);
    crank_try(crank_finish(waits));
    return crank_finish(s);
}

static int answer_one_line(crank_stream *peer)
{
    char line[100];
    crank_try(crank_read_line(peer, line, sizeof line));
    return crank_printf(peer, "too large\n");
}
static int serve_one_line(crank_listener *l) { return crank_serve(l, answer_one_line); }
/* The upload comes before the handler's end, amid it and behind it. */
TEST_EXPLORED(serve, answers_a_peer_whose_upload_it_does_not_read, 400)
{
    static const char piece[3000];
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_TASK server = crank_spawn(serve_one_line, l);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    crank_try(crank_printf(s, "upload\n"));
    for (int i = 0; i < 3; i++) {
        crank_try(crank_write(s, piece, sizeof piece));
        crank_try(crank_sleep(0));
    }
    EXPECT_STR(nets_line(s), "too large");
    nets_expect_end(s);
    crank_try(crank_finish(s));
    crank_try(crank_listener_stop(l, 0));
    EXPECT_EQ(nets_await(server), 0);
    return 0;
}
