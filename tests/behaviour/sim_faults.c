/* SPDX-License-Identifier: MIT */
/* sim_faults.c: what goes wrong on the simulated network because a test asks for it: faults by their share, names whose
 * lookup is slow or fails, the weather of the environment; and waiting until nothing happens any more. */
#include <unistd.h>
#include "sims.h"

/* ---- Faults ---- */

enum { CALLS = 1000 };
static int answers_nothing(crank_stream *peer)
{
    char byte;
    (void)!crank_read(peer, &byte, 1);
    return 0;
}
static int quiet_server(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:7"));
    return crank_serve(listener, answers_nothing);
}
/* Of so many calls, how many fail with error. */
static int count_refused(const char *address, int error)
{
    int refused = 0;
    for (int i = 0; i < CALLS; i++) {
        CRANK_AUTO_STREAM crank_stream *s = crank_connect(address);
        if (!s)
            EXPECT_EQ(errno, error);
        refused += !s;
    }
    return refused;
}
TEST_SEEDS(sim_faults, refuse_calls_by_their_share, 5)
{
    crank_task *served = crank_sim_host("server", quiet_server);
    crank_try(crank_sleep(1));
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .refuse = 0.25 }));
    int refused = count_refused("10.0.0.2:7", ECONNREFUSED);
    EXPECT(refused > 200 && refused < 300);
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .refuse = 1 }));
    EXPECT_EQ(count_refused("10.0.0.2:7", ECONNREFUSED), CALLS);
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ 0 }));
    EXPECT_EQ(count_refused("10.0.0.2:7", 0), 0);
    return stop(served);
}

TEST_SIM(sim_faults, fail_lookups_by_their_share)
{
    crank_task *served = server();
    crank_address address;
    int failed = 0;
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .lookup = 0.5 }));
    for (int i = 0; i < CALLS; i++) {
        ssize_t n = crank_resolve("server", 7, &address, 1);
        EXPECT(n == 2 || n == -EAGAIN);
        failed += n < 0;
    }
    EXPECT(failed > 430 && failed < 570);
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .lookup = 1 }));
    EXPECT_EQ(crank_resolve("server", 7, &address, 1), -EAGAIN);
    EXPECT_EQ(crank_resolve("10.0.0.2", 7, &address, 1), 1); /* a number is not looked up */
    return stop(served);
}

/* Exchanges over one connection until it breaks: how many went well. */
static int exchanges(crank_stream *s, int *ret_error)
{
    char line[8];
    for (int n = 0; n < 20; n++) {
        int err = crank_printf(s, "a\n") < 0 ? -errno : crank_flush(s);
        ssize_t got = err < 0 ? err : crank_within(60, crank_read_line(s, line, sizeof line));
        if (got <= 0) {
            *ret_error = (int)got;
            return n;
        }
    }
    return 20;
}
TEST_SEEDS(sim_faults, reset_connections_by_their_share, 5)
{
    crank_task *served = server();
    crank_try(crank_sleep(1));
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .reset = 0.5 }));
    int broken = 0;
    for (int i = 0; i < 200; i++) {
        int error = 0;
        CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("10.0.0.2:7"));
        bool whole = exchanges(s, &error) == 20;
        EXPECT(whole || error == -ECONNRESET || error == -EPIPE);
        broken += !whole;
    }
    EXPECT(broken > 70 && broken < 130);
    return stop(served);
}
TEST_SIM(sim_faults, break_connections_at_one_side_by_their_share)
{
    crank_task *served = server();
    int error = 0;
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .half = 1 }));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    EXPECT(exchanges(s, &error) < 8);
    EXPECT(error == -ETIMEDOUT || error == -ECONNRESET);
    return stop(served);
}

static unsigned
    silent; /* connections of which the server heard nothing for half a minute, neither a byte nor an error */
static int count_silent(crank_stream *peer)
{
    char byte;
    silent += crank_within(30, crank_read(peer, &byte, 1)) == -ETIMEDOUT;
    return 0;
}
static int listening_server(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:7"));
    return crank_serve(listener, count_silent);
}
static int write_and_stay(void)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("10.0.0.2:7"));
    crank_try(crank_write(s, "x", 1));
    crank_try(crank_flush(s));
    return crank_sleep(40);
}
TEST_SEEDS(sim_faults, break_a_connection_whose_bytes_come_before_its_handshake_has_ended, 20)
{
    silent = 0;
    crank_task *served = crank_sim_host("server", listening_server);
    crank_try(crank_sleep(1));
    crank_try(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .latency = 0.01, .jitter = 0.05 }));
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .half = 1 }));
    CRANK_GROUP(clients);
    for (int i = 0; i < 20; i++)
        crank_group_spawn(&clients, write_and_stay);
    crank_try(crank_group_wait(&clients));
    EXPECT_EQ(silent, 0);
    return stop(served);
}

TEST_SIM(sim_faults, reset_what_waits_to_be_accepted_by_its_share)
{
    crank_task *served = server();
    int error = 0;
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .accept = 1 }));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    EXPECT_EQ(exchanges(s, &error), 0);
    EXPECT_EQ(error, -ECONNRESET);
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ 0 }));
    CRANK_AUTO_STREAM crank_stream *next = crank_try(crank_connect("server:7"));
    crank_try(exchange(next, "well\n"));
    return stop(served);
}

TEST_SIM(sim_faults, have_no_fault_whose_share_means_nothing)
{
    EXPECT_EQ(crank_sim_set_faults(&(crank_sim_faults){ .refuse = 1.5 }), -EINVAL);
    EXPECT_EQ(crank_sim_set_faults(&(crank_sim_faults){ .lookup = -0.1 }), -EINVAL);
    EXPECT_EQ(crank_sim_set_faults(&(crank_sim_faults){ .half = NAN }), -EINVAL);
    EXPECT_EQ(crank_sim_set_faults(&(crank_sim_faults){ .spawn = 2 }), -EINVAL);
    return 0;
}

/* Of so many starts, how many find no place for a process; the simulator runs no programs. */
static int count_full(int starts)
{
    const char *const argv[] = { "true", NULL };
    int full = 0;
    for (int i = 0; i < starts; i++) {
        EXPECT(!crank_process_start(argv, NULL));
        EXPECT(errno == EAGAIN || errno == ENOTSUP);
        full += errno == EAGAIN;
    }
    return full;
}
TEST_SEEDS(sim_faults, leave_no_place_for_processes_by_their_share, 5)
{
    EXPECT_EQ(count_full(10), 0);
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .spawn = 0.5 }));
    int full = count_full(200);
    EXPECT(full > 60 && full < 140);
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .spawn = 1 }));
    EXPECT_EQ(count_full(10), 10);
    EXPECT_CONTAINS(crank_error(), "cannot start true: ");
    return 0;
}

/* ---- Datagrams ---- */

enum { DATAGRAMS = 400 };
/* How often each number has come, until none has for ten seconds. */
static int receives_numbers(int *ret_times)
{
    int number = 0;
    CRANK_AUTO_UDP crank_udp *udp = crank_try(crank_udp_open("*:53", NULL));
    for (;;) {
        ssize_t n = crank_within(10, crank_udp_receive(udp, &number, sizeof number, NULL));
        if (n == -ETIMEDOUT)
            return 0;
        EXPECT_EQ(crank_try(n), sizeof number);
        ret_times[number]++;
    }
}
static int sends_numbers(const char *to)
{
    CRANK_AUTO_UDP crank_udp *udp = crank_try(crank_udp_open(NULL, to));
    for (int i = 0; i < DATAGRAMS; i++) {
        crank_try(crank_sleep(0.001));
        crank_try(crank_udp_send(udp, &i, sizeof i, NULL));
    }
    return 0;
}
/* How many have come to a host, of so many that were sent there; none more than most times. */
static int count_arrivals(const char *host, const char *address, int most)
{
    int times[DATAGRAMS] = { 0 }, all = 0;
    crank_task *receiver = crank_sim_host(host, receives_numbers, times);
    crank_try(sends_numbers(address));
    crank_try(crank_await(receiver));
    crank_try(crank_sim_settle(0)); /* the next receiver has the port when the loop has given up the last one's poll */
    for (int i = 0; i < DATAGRAMS; i++) {
        EXPECT(times[i] <= most);
        all += times[i];
    }
    return all;
}
TEST_SEEDS(sim_links, lose_and_copy_their_share_of_datagrams_and_nothing_of_a_stream, 5)
{
    crank_task *served = server();
    crank_try(crank_sleep(1));
    crank_try(crank_sim_set_link("sim", "server", &(crank_sim_link){ .loss = 0.25 }));
    int arrived = count_arrivals("server", "10.0.0.2:53", 1);
    EXPECT(arrived > 240 && arrived < 360);
    crank_try(crank_sim_set_link("sim", "server", &(crank_sim_link){ .copies = 0.25 }));
    arrived = count_arrivals("server", "10.0.0.2:53", 2);
    EXPECT(arrived > 440 && arrived < 560);
    crank_try(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .loss = 1, .copies = 1 }));
    EXPECT_EQ(count_arrivals("server", "10.0.0.2:53", 0), 0);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("10.0.0.2:7"));
    crank_try(exchange(s, "whole\n"));
    return stop(served);
}

static int arrived_within;
static int within_a_host(void)
{
    arrived_within = crank_try(count_arrivals("sim", "127.0.0.1:53", 2));
    return 0;
}
TEST(sim_links, of_the_weather_are_those_within_a_host_too)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .sim_net = "loss=1" };
    EXPECT_EQ(crank_run_with(&options, within_a_host), 0);
    EXPECT_EQ(arrived_within, 0);
    options.sim_net = "copies=1";
    EXPECT_EQ(crank_run_with(&options, within_a_host), 0);
    EXPECT_EQ(arrived_within, 2 * DATAGRAMS);
}

/* ---- Names that are given ---- */

TEST_SIM(sim_names, have_other_names_too)
{
    crank_task *served = server();
    crank_try(crank_sim_name("www.example.org", "server", 0, 0));
    crank_try(resolves("www.example.org", "[fd00::2]:80", "10.0.0.2:80"));
    crank_try(crank_sim_name("www.example.org", "10.0.0.2, 10.0.0.9", 0, 2));
    double start = crank_time();
    crank_try(resolves("WWW.example.org", "10.0.0.2:80", "10.0.0.9:80"));
    EXPECT(crank_time() - start == 2);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("www.example.org:7"));
    crank_try(exchange(s, "hello\n"));
    return stop(served);
}
TEST_SIM(sim_names, have_names_whose_lookup_fails)
{
    crank_address address;
    crank_try(crank_sim_name("slow.example.org", NULL, -EAGAIN, 30));
    double start = crank_time();
    EXPECT_EQ(crank_resolve("slow.example.org", 80, &address, 1), -EAGAIN);
    EXPECT(crank_time() - start == 30);
    ssize_t n = crank_within(10, crank_resolve("slow.example.org", 80, &address, 1));
    EXPECT_EQ(n, -ETIMEDOUT);
    EXPECT_STR(crank_error(), "timed out: looking up slow.example.org was cut short");
    EXPECT(!crank_within(10, crank_connect("slow.example.org:80")));
    EXPECT_STR(crank_error(), "timed out: looking up slow.example.org was cut short");
    return 0;
}
static int connects(const char *address)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_connect(address);
    return s ? 0 : -errno;
}
TEST_SIM(sim_links, that_are_cut_are_named_by_a_connect_that_a_limit_or_a_request_ends)
{
    crank_task *served = server();
    crank_try(crank_sim_cut("sim", "server", false));
    EXPECT_EQ(crank_within(5, connects("server:7")), -ETIMEDOUT);
    EXPECT_STR(crank_error(), "timed out: connecting to server:7 was cut short");
    EXPECT_EQ(crank_within(5, crank_sleep(6)), -ETIMEDOUT); /* another limit: it has nothing to do with that */
    EXPECT_STR(crank_error(), "timed out");

    crank_task *without = crank_spawn(connects, "server:7"), *with = crank_spawn(connects, "server:7");
    crank_try(crank_sleep(1));
    crank_cancel(without);
    crank_cancel_because(with, "the shop closes");
    EXPECT_EQ(crank_await(without), -ECANCELED);
    EXPECT_STR(crank_error(), "connecting to server:7 was cut short");
    EXPECT_EQ(crank_await(with), -ECANCELED);
    EXPECT_STR(crank_error(), "the shop closes"); /* a reason says more */
    return stop(served);
}
TEST_SIM(sim_names, have_no_names_that_mean_nothing)
{
    EXPECT_EQ(crank_sim_name("", "10.0.0.1", 0, 0), -EINVAL);
    EXPECT_EQ(crank_sim_name("a", NULL, 0, 0), -EINVAL);
    EXPECT_EQ(crank_sim_name("a", "10.0.0.1", -ENOENT, 0), -EINVAL);
    EXPECT_EQ(crank_sim_name("a", "10.0.0.1", 0, NAN), -EINVAL);
    EXPECT_EQ(crank_sim_name("a", " , ", 0, 0), -EINVAL);
    EXPECT_EQ(crank_sim_name("a", "unix:/tmp/socket", 0, 0), -EINVAL);
    EXPECT_EQ(crank_sim_name("a", "10.0.0.1.1", 0, 0), -EINVAL);
    EXPECT_EQ(crank_sim_name("a", "nobody", 0, 0), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "crank_sim_name: cannot name a: ");
    EXPECT_EQ(
        crank_sim_name("a", "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9", 0, 0), -E2BIG);
    return 0;
}

/* ---- Settling ---- */

static int counts_down(int *left, double pause)
{
    for (; *left > 0; --*left)
        crank_try(crank_sleep(pause));
    return 0;
}
TEST_SEEDS(sim_tasks, have_settled_when_no_other_task_has_run_for_the_cushion, 20)
{
    int turns = 100, seconds = 5;
    double start = crank_time();
    crank_task *first = crank_spawn(counts_down, &turns, 0.0);
    crank_try(crank_sim_settle(0));
    EXPECT_EQ(turns, 0);
    crank_task *second = crank_spawn(counts_down, &seconds, 1.0);
    crank_try(crank_sim_settle(0));
    EXPECT_EQ(seconds, 5);
    crank_try(crank_sim_settle(0.75));
    EXPECT(seconds == 5 && crank_time() - start < 1);
    crank_try(crank_sim_settle(2));
    EXPECT_EQ(seconds, 0);
    EXPECT_EQ(crank_sim_settle(NAN), -EINVAL);
    crank_try(crank_await(first));
    return (int)crank_await(second);
}
TEST_EACH_BACKEND(sim_tasks, settle_where_nothing_is_simulated_too)
{
    int turns = 100;
    crank_task *task = crank_spawn(counts_down, &turns, 0.0);
    crank_try(crank_sim_settle(0.001));
    EXPECT_EQ(turns, 0);
    return (int)crank_await(task);
}

/* ---- Weather ---- */

static double took;
static int one_exchange(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:7"));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("127.0.0.1:7"));
    crank_task *served = crank_spawn(nets_serve_echo, listener);
    double start = crank_time();
    crank_try(exchange(s, "hello\n"));
    took = crank_time() - start;
    crank_cancel(served);
    return crank_await(served) == -ECANCELED ? 0 : -EPROTO;
}
TEST(sim_faults, are_taken_from_the_environment)
{
    char **before = environ;
    static char weathers[][40] = { "CRANK_SIM_NET=latency=0.05", "CRANK_SIM_NET=latency=0.05,refuse=1",
        "CRANK_SIM_NET=rain=1" };
    crank_options options = { .backend = CRANK_BACKEND_SIM };
    EXPECT_EQ(crank_run_with(&options, one_exchange), 0);
    EXPECT(took == 0);
    environ = (char *[]){ weathers[0], NULL };
    EXPECT_EQ(crank_run_with(&options, one_exchange), 0);
    EXPECT_NEAR(took, 0.1, 1e-9);
    environ = (char *[]){ weathers[1], NULL };
    EXPECT_EQ(crank_run_with(&options, one_exchange), -ECONNREFUSED);
    options.sim_net = "latency=1";
    EXPECT_EQ(crank_run_with(&options, one_exchange), 0);
    EXPECT(took == 2);
    options.sim_net = NULL;
    environ = (char *[]){ weathers[2], NULL };
    EXPECT_EQ(crank_run_with(&options, one_exchange), -EINVAL);
    environ = before;
}
