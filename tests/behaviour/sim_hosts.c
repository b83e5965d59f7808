/* SPDX-License-Identifier: MIT */
/* sim_hosts.c: several hosts in one program, as crank/sim.h gives them: which task is on which host, links, cuts, and
 * what the tasks of one host see of another that is gone. Times are exact. */
#include <crank/sim.h>
#include "sims.h"

/* ---- Which host a task is on ---- */

static int on_a_third(int *ret_id)
{
    *ret_id = crank_sim_host_id();
    return 0;
}
static int on_a_host(int *ret_ids)
{
    CRANK_GROUP(group);
    ret_ids[0] = crank_sim_host_id();
    crank_task *child = crank_spawn(on_a_third, &ret_ids[1]);
    crank_group_spawn(&group, on_a_third, &ret_ids[2]);
    crank_task *other = crank_sim_host("other", on_a_third, &ret_ids[3]);
    ret_ids[4] = crank_sim_host_id();
    crank_try(crank_group_wait(&group));
    crank_try(crank_await(child));
    return (int)crank_await(other);
}
TEST_SIM(sim_hosts, are_inherited_by_all_that_their_tasks_spawn)
{
    int ids[5] = { 0 }, again = 0;
    crank_try(crank_await(crank_sim_host("host", on_a_host, ids)));
    EXPECT(ids[0] == 1 && ids[1] == 1 && ids[2] == 1 && ids[3] == 2 && ids[4] == 1);
    EXPECT_EQ(crank_sim_host_id(), 0);
    crank_try(crank_await(crank_sim_host("host", on_a_third, &again)));
    EXPECT_EQ(again, 1);
    crank_try(crank_await(crank_sim_host("sim", on_a_third, &again)));
    EXPECT_EQ(again, 0);
    return 0;
}

static crank_local key;
static int sees(void *value)
{
    EXPECT(crank_local_get(&key) == value);
    return crank_local_set(&key, NULL);
}
TEST_SIM(sim_hosts, leave_the_task_locals_as_they_are)
{
    int value;
    crank_try(crank_local_set(&key, &value));
    crank_try(crank_await(crank_sim_host("host", sees, &value)));
    crank_try(crank_await(crank_spawn(sees, &value)));
    EXPECT(crank_local_get(&key) == &value);
    return 0;
}

TEST_SIM(sim_hosts, are_refused_a_name_that_is_too_long)
{
    crank_task *task =
        crank_sim_host("a-name-of-sixty-four-characters-which-is-one-more-than-there-may", on_a_third, NULL);
    EXPECT(!task && errno == ENAMETOOLONG);
    EXPECT_CONTAINS(crank_error(), "crank_sim_host: cannot make the host a-name");
    return 0;
}
TEST_CHECKS(sim_hosts, without_a_name, "crank_sim_host: the host has no name")
{
    return crank_sim_host("", on_a_third, NULL) == NULL;
}

/* ---- Names and addresses ---- */

static int sees_itself(void)
{
    crank_try(resolves("host", "[::1]:80", "127.0.0.1:80"));
    return resolves("sim", "[fd00::1]:80", "10.0.0.1:80");
}
TEST_SIM(sim_hosts, are_found_by_their_names)
{
    crank_address address;
    crank_try(crank_await(crank_sim_host("host", sees_itself)));
    crank_try(resolves("host", "[fd00::2]:80", "10.0.0.2:80"));
    crank_try(resolves("HOST", "[fd00::2]:80", "10.0.0.2:80"));
    crank_try(resolves("sim", "[::1]:80", "127.0.0.1:80"));
    EXPECT_EQ(crank_resolve("nobody", 80, &address, 1), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "nobody");
    return 0;
}

TEST_SIM(sim_hosts, have_their_addresses_before_there_is_another_host)
{
    static const char *const addresses[] = { "10.0.0.1:7", "[fd00::1]:7" };
    for (size_t i = 0; i < CRANK_COUNT(addresses); i++) {
        CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen(addresses[i]));
        EXPECT_STR(crank_listener_address(listener, 0), addresses[i]);
        CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(addresses[i]));
        CRANK_AUTO_STREAM crank_stream *peer = crank_try(crank_accept(listener));
        EXPECT_STR(crank_peer_name(s), addresses[i]);
        EXPECT_STR(crank_peer_name(peer), crank_own_name(s));
    }
    EXPECT(!crank_listen("10.0.0.2:7"));
    EXPECT_EQ(errno, EADDRNOTAVAIL);
    return 0;
}

static int calls_the_loopback(void)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_connect("127.0.0.1:7");
    EXPECT(!s && errno == ECONNREFUSED);
    return 0;
}
TEST_SIM(sim_hosts, have_a_loopback_of_their_own)
{
    crank_task *served = server();
    crank_try(crank_sleep(1));
    crank_try(calls_the_loopback());
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    crank_try(exchange(s, "hello\n"));
    return stop(served);
}

/* ---- Links ---- */

TEST_SEEDS(sim_hosts, are_as_far_apart_as_their_link_says, 20)
{
    crank_task *served = server();
    link_all(0.05);
    crank_try(crank_sleep(1));
    double start = crank_time();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    EXPECT_NEAR(crank_time() - start, 0.1, 1e-9);
    start = crank_time();
    crank_try(exchange(s, "x\n"));
    EXPECT(crank_time() - start >= 0.1 - 1e-9);
    return stop(served);
}

TEST_SIM(sim_hosts, may_be_further_apart_in_one_direction)
{
    crank_task *served = server();
    crank_try(crank_sim_set_link("sim", "server", &(crank_sim_link){ .latency = 2 }));
    crank_try(crank_sim_set_link("server", "sim", &(crank_sim_link){ .latency = 0.5 }));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    double start = crank_time();
    crank_try(exchange(s, "x\n"));
    EXPECT(crank_time() - start == 2.5);
    return stop(served);
}

static int takes_in(crank_stream *peer)
{
    char buf[4096];
    while (crank_try(crank_read(peer, buf, sizeof buf)) > 0)
        ;
    return 0;
}
static int sink_server(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:9"));
    CRANK_AUTO_STREAM crank_stream *peer = crank_try(crank_accept(listener));
    return takes_in(peer);
}
TEST_SIM(sim_hosts, have_a_bandwidth_between_them)
{
    static char block[1000000];
    crank_task *task = crank_sim_host("sink", sink_server);
    crank_try(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .bandwidth = 1000000 }));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("sink:9"));
    double start = crank_time();
    crank_try(crank_write(s, block, sizeof block));
    crank_try(crank_finish(s));
    crank_try(crank_await(task));
    EXPECT_NEAR(crank_time() - start, 1.0, 0.001);
    return 0;
}

TEST_SIM(sim_hosts, made_later_have_the_link_of_all)
{
    link_all(1);
    crank_task *served = server();
    double start = crank_time();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    EXPECT(s != NULL);
    EXPECT(crank_time() - start == 2);
    return stop(served);
}

TEST_SIM(sim_hosts, have_no_link_with_a_field_that_means_nothing)
{
    EXPECT_EQ(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .latency = -1 }), -EINVAL);
    EXPECT_EQ(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .bandwidth = NAN }), -EINVAL);
    EXPECT_EQ(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .loss = 1.5 }), -EINVAL);
    EXPECT_EQ(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .copies = NAN }), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "crank_sim_set_link: loss and copies are shares");
    EXPECT_EQ(crank_sim_set_link("sim", "nobody", &(crank_sim_link){ .latency = 1 }), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "crank_sim_set_link: no host of the simulated network is called nobody");
    return 0;
}

static uint64_t hash;
static int some_weather(void)
{
    crank_task *served = server();
    crank_try(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .latency = 0.01, .jitter = 0.1, .tail = 1 }));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    for (int i = 0; i < 10; i++)
        crank_try(exchange(s, "to and fro\n"));
    hash = crank_trace_hash();
    return stop(served);
}
static uint64_t hash_of(uint64_t seed)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .seed = seed };
    EXPECT_EQ(crank_run_with(&options, some_weather), 0);
    return hash;
}
TEST(sim_hosts, are_the_same_with_the_same_seed)
{
    int different = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t first = hash_of(seed);
        EXPECT(first == hash_of(seed));
        different += first != hash_of(seed + 100);
    }
    EXPECT_EQ(different, 20);
}

/* ---- Cuts and resets ---- */

TEST_SEEDS(sim_hosts, that_are_cut_off_lose_nothing_when_they_are_healed, 20)
{
    char line[20];
    crank_task *served = server();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    crank_try(exchange(s, "before\n"));
    crank_try(crank_sim_cut("sim", "server", false));
    crank_try(crank_printf(s, "held\n"));
    ssize_t n = crank_within(60, crank_read_line(s, line, sizeof line));
    EXPECT_EQ(n, -ETIMEDOUT);
    crank_try(crank_sim_heal("sim", "server"));
    crank_try(crank_read_line(s, line, sizeof line));
    EXPECT_STR(line, "held\n");
    return stop(served);
}

TEST_SIM(sim_hosts, that_stay_cut_off_are_given_up_after_fifteen_minutes)
{
    char line[20];
    crank_task *served = server();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    crank_try(exchange(s, "before\n"));
    crank_try(crank_sim_cut("sim", "server", false));
    double start = crank_time();
    crank_try(crank_printf(s, "lost\n"));
    ssize_t n = crank_within(16.0 * 60, crank_read_line(s, line, sizeof line));
    EXPECT_EQ(n, -ETIMEDOUT);
    EXPECT(crank_time() - start == 15.0 * 60);
    start = crank_time();
    EXPECT(!crank_connect("10.0.0.2:7") && errno == ETIMEDOUT);
    EXPECT(crank_time() - start == 127);
    return stop(served);
}

static char heard[20];
static int hears(crank_stream *peer)
{
    crank_try(crank_read_line(peer, heard, sizeof heard));
    return (int)crank_try(crank_write(peer, "heard\n", 6));
}
static int hearing_server(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:7"));
    CRANK_AUTO_STREAM crank_stream *peer = crank_try(crank_accept(listener));
    crank_try(hears(peer));
    crank_try(crank_flush(peer));
    return crank_sleep(1000);
}
TEST_SEEDS(sim_hosts, may_be_cut_off_in_one_direction, 20)
{
    char line[20];
    crank_task *served = crank_sim_host("server", hearing_server);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    crank_try(crank_sleep(1));
    crank_try(crank_sim_cut("server", "sim", true));
    crank_try(crank_printf(s, "one way\n"));
    ssize_t n = crank_within(60, crank_read_line(s, line, sizeof line));
    EXPECT_EQ(n, -ETIMEDOUT);
    EXPECT_STR(heard, "one way\n");
    crank_try(crank_sim_heal("sim", "server"));
    crank_try(crank_read_line(s, line, sizeof line));
    EXPECT_STR(line, "heard\n");
    return stop(served);
}

TEST_SIM(sim_hosts, may_have_their_connections_reset)
{
    char line[20];
    crank_task *served = server();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    crank_try(exchange(s, "before\n"));
    crank_try(crank_sim_reset("server", "sim"));
    EXPECT_EQ(crank_read_line(s, line, sizeof line), -ECONNRESET);
    EXPECT_EQ(crank_sim_reset("server", "nobody"), -ENOENT);
    EXPECT_EQ(crank_sim_cut("nobody", NULL, true), -ENOENT);
    EXPECT_EQ(crank_sim_heal(NULL, "nobody"), -ENOENT);
    return stop(served);
}

/* What a read of the connection gives within a second. */
static ssize_t word_of(crank_stream *s)
{
    char byte;
    return crank_within(1, crank_read(s, &byte, 1));
}
TEST_SEEDS(sim_hosts, of_no_name_in_a_reset_are_all, 20)
{
    crank_task *first = server(), *second = crank_sim_host("second", echo_server), *own = crank_spawn(echo_server);
    CRANK_AUTO_STREAM crank_stream *to_first = crank_try(crank_connect("server:7"));
    CRANK_AUTO_STREAM crank_stream *to_second = crank_try(crank_connect("second:7"));
    CRANK_AUTO_STREAM crank_stream *within = crank_try(crank_connect("127.0.0.1:7"));
    crank_try(exchange(to_first, "before\n"));
    crank_try(exchange(to_second, "before\n"));
    crank_try(crank_sim_reset(NULL, "server"));
    EXPECT_EQ(word_of(to_first), -ECONNRESET);
    crank_try(exchange(to_second, "between\n"));
    crank_try(crank_sim_reset(NULL, NULL));
    EXPECT_EQ(word_of(to_second), -ECONNRESET);
    crank_try(exchange(within, "after\n"));
    crank_try(crank_sim_reset("sim", "sim"));
    EXPECT_EQ(word_of(within), -ECONNRESET);
    crank_try(stop(own));
    crank_try(stop(second));
    return stop(first);
}

/* ---- Power ---- */

TEST_SEEDS(sim_hosts, that_are_killed_tell_nobody, 20)
{
    char line[20];
    crank_task *served = server();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    crank_try(exchange(s, "before\n"));
    crank_try(crank_sim_kill("server"));
    EXPECT(crank_done(served));
    EXPECT_EQ(crank_await(served), -ECANCELED);
    ssize_t n = crank_within(60, crank_read_line(s, line, sizeof line));
    EXPECT_EQ(n, -ETIMEDOUT);
    return 0;
}

/* A word at 0 s, then a probe at 60 s that would be answered, and from 120 s on four that are not. */
TEST_SEEDS(sim_hosts, that_are_killed_are_found_gone_by_keepalive, 20)
{
    char line[20];
    crank_task *served = server();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    crank_try(exchange(s, "before\n"));
    double start = crank_time();
    crank_try(crank_sleep(70));
    crank_try(crank_sim_kill("server"));
    EXPECT_EQ(crank_await(served), -ECANCELED);
    EXPECT_EQ(crank_read_line(s, line, sizeof line), -ETIMEDOUT);
    EXPECT(crank_time() - start == 60 + 60 + 4 * 15);
    return 0;
}
TEST_SEEDS(sim_hosts, that_were_killed_and_are_on_again_refuse_the_next_probe, 20)
{
    char line[20];
    crank_task *served = server();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    crank_try(exchange(s, "before\n"));
    double start = crank_time();
    crank_try(crank_sim_kill("server"));
    EXPECT_EQ(crank_await(served), -ECANCELED);
    crank_try(crank_sleep(10));
    served = server();
    EXPECT_EQ(crank_read_line(s, line, sizeof line), -ECONNRESET);
    EXPECT(crank_time() - start == 60);
    return stop(served);
}
TEST_SIM(sim_hosts, without_keepalive_are_never_found_gone)
{
    char line[20];
    crank_task *served = server();
    crank_connect_options options = { .keepalive = -1 };
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect_with(&options, "server:7"));
    crank_try(exchange(s, "before\n"));
    crank_try(crank_sim_kill("server"));
    EXPECT_EQ(crank_await(served), -ECANCELED);
    double start = crank_time();
    ssize_t n = crank_within(10000, crank_read_line(s, line, sizeof line));
    EXPECT(n == -ETIMEDOUT && crank_time() - start == 10000);
    return 0;
}

TEST_SEEDS(sim_hosts, that_were_killed_start_again_by_their_name, 20)
{
    char line[20];
    crank_task *served = server();
    CRANK_AUTO_STREAM crank_stream *old = crank_try(crank_connect("server:7"));
    crank_try(exchange(old, "before\n"));
    crank_try(crank_sim_kill("server"));
    EXPECT_EQ(crank_await(served), -ECANCELED);
    served = server();
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect("server:7"));
    crank_try(exchange(s, "again\n"));
    crank_try(crank_printf(old, "are you there?\n"));
    EXPECT_EQ(crank_read_line(old, line, sizeof line), -ECONNRESET);
    return stop(served);
}

static int ended;
static int ends_slowly(void)
{
    int err = crank_sleep(1000);
    int late = crank_shield(crank_sleep(5));
    ended++;
    return late < 0 ? late : err;
}
static int spawns_when_it_ends(void)
{
    int err = crank_sleep(1000);
    crank_detach(crank_spawn(ends_slowly));
    ended++;
    return err;
}
static int many_tasks(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, spawns_when_it_ends);
    crank_group_spawn(&group, ends_slowly);
    crank_detach(crank_spawn(ends_slowly));
    return crank_group_wait(&group);
}
TEST_SIM(sim_hosts, that_are_killed_have_no_task_left)
{
    crank_task *task = crank_sim_host("host", many_tasks);
    crank_try(crank_sleep(1));
    crank_try(crank_sim_kill("host"));
    EXPECT(crank_done(task));
    EXPECT_EQ(ended, 4);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_EQ(crank_sim_kill("nobody"), -ENOENT);
    return 0;
}

TEST_CHECKS(sim_hosts, killed_by_the_program_where_it_begins, "crank_sim_kill: the caller waits for the tasks of sim")
{
    return crank_sim_kill("sim");
}

/* ---- For real ---- */

TEST_EACH_BACKEND(sim_hosts, are_tasks_like_others_where_nothing_is_simulated)
{
    int id = -1;
    bool simulated = strcmp(crank_backend_name(), "sim") == 0;
    crank_try(crank_await(crank_sim_host("host", on_a_third, &id)));
    EXPECT_EQ(id, simulated);
    link_all(0.05);
    EXPECT_EQ(crank_sim_heal(NULL, NULL), 0);
    int expected = simulated ? 0 : -ENOTSUP;
    EXPECT_EQ(crank_sim_cut("sim", "host", true), expected);
    if (!simulated)
        EXPECT_CONTAINS(crank_error(), "crank_sim_cut: this run is not simulated");
    EXPECT_EQ(crank_sim_reset("sim", "host"), expected);
    EXPECT_EQ(crank_sim_kill("host"), expected);
    EXPECT_EQ(crank_sim_set_faults(&(crank_sim_faults){ .reset = 0.5 }), expected);
    EXPECT_EQ(crank_sim_name("name", "10.0.0.1", 0, 0), 0);
    return 0;
}
