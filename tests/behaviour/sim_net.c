/* SPDX-License-Identifier: MIT */
/* sim_net.c: tasks on the simulated network: what a seed decides, and waits for what is never sent. */
#include <crank/net.h>
#include "nets.h"

static int client(const char *address, int me, int rounds)
{
    char line[200], answer[200];
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(address));
    for (int i = 0; i < rounds; i++) {
        snprintf(line, sizeof line, "%d says %d%*s\n", me, i, i % 70, "");
        crank_try(crank_write(s, line, strlen(line)));
        ssize_t n = crank_try(crank_read_line(s, answer, sizeof answer - 1));
        answer[n] = '\0';
        EXPECT_STR(answer, line);
        if (i % 3 == me % 3)
            crank_try(crank_sleep(0.001));
    }
    return crank_flush(s);
}

static int echoes(int clients, int rounds)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    const char *address = crank_listener_address(listener, 0);
    CRANK_GROUP(servers);
    crank_group_spawn(&servers, nets_serve_echo, listener);
    {
        CRANK_GROUP(all);
        for (int i = 0; i < clients; i++)
            crank_group_spawn(&all, client, address, i, rounds);
        crank_try(crank_group_wait(&all));
    }
    crank_try(crank_listener_stop(listener, 1));
    return crank_group_wait(&servers);
}
TEST_SEEDS(sim_net, each_client_gets_its_own_lines_back, 200) { return echoes(5, 8); }
TEST_EACH_BACKEND(sim_net, clients_get_their_own_lines_back) { return echoes(20, 10); }

static uint64_t hash;
static int noted_echoes(void)
{
    crank_try(echoes(3, 4));
    hash = crank_trace_hash();
    return 0;
}
static uint64_t hash_of(uint64_t seed)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .seed = seed };
    EXPECT_EQ(crank_run_with(&options, noted_echoes), 0);
    return hash;
}
TEST(sim_net, equal_seeds_are_equal_runs)
{
    int different = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t first = hash_of(seed);
        EXPECT(first == hash_of(seed));
        different += first != hash_of(seed + 100);
    }
    EXPECT_EQ(different, 20);
}

/* ---- what never comes ---- */

static char reported[4000];
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    snprintf(reported + strlen(reported), sizeof reported - strlen(reported), "%s\n", report->text);
}
static const crank_options kept = { .backend = CRANK_BACKEND_SIM, .on_report = keep };

static int reads_what_nobody_sends(void)
{
    CRANK_AUTO_STREAM crank_stream *a = NULL;
    CRANK_AUTO_STREAM crank_stream *b = NULL;
    char byte;
    crank_try(crank_socket_pair(&a, &b));
    return (int)crank_try(crank_read(a, &byte, 1));
}
TEST(sim_net, a_read_of_what_nobody_sends_is_a_deadlock)
{
    EXPECT_EQ(crank_run_with(&kept, reads_what_nobody_sends), -EDEADLK);
    EXPECT_CONTAINS(reported, "reads_what_nobody_sends");
}

static int writes_what_nobody_reads(void)
{
    static char block[1 << 20];
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(crank_listener_address(listener, 0)));
    crank_try(crank_write(s, block, sizeof block));
    return crank_flush(s);
}
TEST(sim_net, a_write_of_what_nobody_reads_is_a_deadlock)
{
    EXPECT_EQ(crank_run_with(&kept, writes_what_nobody_reads), -EDEADLK);
}

static int accepts_where_nobody_calls(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("[::1]:0"));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_accept(listener));
    return s == NULL;
}
TEST(sim_net, an_accept_where_nobody_calls_is_a_deadlock)
{
    EXPECT_EQ(crank_run_with(&kept, accepts_where_nobody_calls), -EDEADLK);
}

/* A timer is something that happens: then it is none. */
static int late_byte(crank_stream *s)
{
    crank_try(crank_sleep(1000));
    crank_try(crank_write(s, "x", 1));
    return crank_flush(s);
}
TEST_SIM(sim_net, a_read_waits_for_a_task_that_sleeps)
{
    CRANK_AUTO_STREAM crank_stream *a = NULL;
    CRANK_AUTO_STREAM crank_stream *b = NULL;
    char byte = 0;
    crank_try(crank_socket_pair(&a, &b));
    double start = crank_time();
    crank_task *task = crank_spawn(late_byte, b);
    EXPECT_EQ(crank_try(crank_read(a, &byte, 1)), 1);
    EXPECT(byte == 'x' && crank_time() - start == 1000);
    return (int)crank_await(task);
}

TEST_SIM(sim_net, a_limit_ends_a_read_of_what_nobody_sends)
{
    CRANK_AUTO_STREAM crank_stream *a = NULL;
    CRANK_AUTO_STREAM crank_stream *b = NULL;
    char byte;
    ssize_t n = 0;
    crank_try(crank_socket_pair(&a, &b));
    double start = crank_time();
    n = crank_within(5, crank_read(a, &byte, 1));
    EXPECT_EQ(n, -ETIMEDOUT);
    EXPECT(crank_time() - start == 5);
    return 0;
}

TEST_SIM(sim_net, both_sides_know_both_names)
{
    CRANK_AUTO_STREAM crank_stream *first = NULL;
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    first = crank_try(crank_connect(crank_listener_address(listener, 0)));
    CRANK_AUTO_STREAM crank_stream *peer = crank_try(crank_accept(listener));
    EXPECT_STR(crank_peer_name(first), crank_own_name(peer));
    EXPECT_STR(crank_own_name(first), crank_peer_name(peer));
    EXPECT_STR(crank_peer_name(first), crank_listener_address(listener, 0));
    return 0;
}
