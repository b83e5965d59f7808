/* SPDX-License-Identifier: MIT */
/* udp.c: sockets of datagrams. */
#include <crank/net.h>
#include <crank/sim.h>
#include "loop/loop.h"
#include "nets.h"
#include "resolver.h"
#include "run/run.h"

static crank_address parsed(const char *text)
{
    crank_address address = { { 0 } };
    EXPECT_EQ(crank_address_parse(text, &address), 0);
    return address;
}
static crank_address address_of(const crank_udp *udp) { return parsed(crank_udp_address(udp)); }

static const char *text_of(const crank_address *address)
{
    static char text[160];
    crank_address_format(address, text, sizeof text);
    return text;
}

/* A port at which no socket is, any more. NULL where none could be opened. */
static const char *free_address(void)
{
    static char text[160];
    crank_udp *gone = crank_udp_open("127.0.0.1:0", NULL);
    if (!gone)
        return NULL;
    snprintf(text, sizeof text, "%s", crank_udp_address(gone));
    crank_udp_close(gone);
    return text;
}

static int expect_datagram(crank_udp *udp, const char *text)
{
    char buf[100];
    ssize_t n = crank_try(crank_udp_receive(udp, buf, sizeof buf - 1, NULL));
    buf[n] = '\0';
    EXPECT_STR(buf, text);
    return 0;
}

static int echo_one(crank_udp *udp)
{
    char buf[100];
    crank_address from;
    ssize_t n = crank_try(crank_udp_receive(udp, buf, sizeof buf, &from));
    return crank_udp_send(udp, buf, (size_t)n, &from);
}

static int talk(const char *host)
{
    CRANK_AUTO_UDP crank_udp *server = crank_try(crank_udp_open(host, NULL));
    CRANK_AUTO_UDP crank_udp *client = crank_try(crank_udp_open(NULL, crank_udp_address(server)));
    char buf[100];
    crank_address from;
    crank_try(crank_udp_send(client, "hello", 5, NULL));
    crank_try(echo_one(server));
    EXPECT_EQ(crank_udp_receive(client, buf, sizeof buf, &from), 5);
    EXPECT(memcmp(buf, "hello", 5) == 0);
    EXPECT_STR(text_of(&from), crank_udp_address(server));
    return 0;
}

TEST_EACH_BACKEND(udp, echoes_over_v4) { return talk("127.0.0.1:0"); }
TEST_EACH_BACKEND(udp, echoes_over_v6)
{
    int err = talk("[::1]:0");
    if (err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT)
        test_skip("this machine has no IPv6");
    return err;
}
TEST_EACH_BACKEND(udp, takes_names) { return talk("localhost:0"); }

TEST_EACH_BACKEND(udp, of_all_interfaces_talks_to_both_families_in_their_own_addresses)
{
    CRANK_AUTO_UDP crank_udp *all = crank_try(crank_udp_open(NULL, NULL));
    CRANK_AUTO_UDP crank_udp *v4 = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    const char *port = strrchr(crank_udp_address(all), ':');
    char text[100], buf[10];
    crank_address from;
    snprintf(text, sizeof text, "127.0.0.1%s", port);
    crank_address to = parsed(text);
    crank_try(crank_udp_send(v4, "a", 1, &to));
    EXPECT_EQ(crank_udp_receive(all, buf, sizeof buf, &from), 1);
    EXPECT_STR(text_of(&from), crank_udp_address(v4));
    crank_try(crank_udp_send(all, "b", 1, &from));
    crank_try(expect_datagram(v4, "b"));
    if (crank_udp_address(all)[0] != '[')
        test_skip("this machine has no IPv6");
    CRANK_AUTO_UDP crank_udp *v6 = crank_try(crank_udp_open("[::1]:0", NULL));
    snprintf(text, sizeof text, "[::1]%s", port);
    to = parsed(text);
    crank_try(crank_udp_send(v6, "c", 1, &to));
    EXPECT_EQ(crank_udp_receive(all, buf, sizeof buf, &from), 1);
    EXPECT_STR(text_of(&from), crank_udp_address(v6));
    return 0;
}

TEST_EACH_BACKEND(udp, gives_what_is_in_the_buffer_and_tells_of_a_longer_datagram)
{
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    crank_address self = address_of(u);
    char buf[10] = "----------";
    crank_try(crank_udp_send(u, "0123456789", 10, &self));
    crank_try(crank_udp_send(u, "abcd", 4, &self));
    crank_try(crank_udp_send(u, "", 0, &self));
    EXPECT_EQ(crank_udp_receive(u, buf, 4, NULL), 4);
    EXPECT(crank_udp_cut(u));
    EXPECT(memcmp(buf, "0123------", 10) == 0);
    EXPECT_EQ(crank_udp_receive(u, buf, 4, NULL), 4);
    EXPECT(!crank_udp_cut(u));
    EXPECT(memcmp(buf, "abcd", 4) == 0);
    EXPECT_EQ(crank_udp_receive(u, buf, 4, NULL), 0);
    EXPECT(!crank_udp_cut(u));
    return 0;
}

TEST_EACH_BACKEND(udp, refuses_a_datagram_that_is_too_large_and_sends_the_largest)
{
    static char big[70000];
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    crank_address self = address_of(u);
    EXPECT_EQ(crank_udp_send(u, big, 65508, &self), -EMSGSIZE);
    EXPECT_CONTAINS(crank_error(), crank_udp_address(u));
    crank_try(crank_udp_send(u, big, 65507, &self));
    EXPECT_EQ(crank_udp_receive(u, big, sizeof big, NULL), 65507);
    return 0;
}

/* ---- Refusals ---- */

static int await_refusal(crank_udp *u)
{
    char buf[10];
    EXPECT_EQ(crank_udp_receive(u, buf, sizeof buf, NULL), -ECONNREFUSED);
    EXPECT_CONTAINS(crank_error(), "refused");
    return 0;
}

TEST_EACH_BACKEND(udp, tells_a_refusal_once)
{
    const char *refusing = crank_try(free_address());
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open(NULL, refusing));
    CRANK_GROUP(readers);
    crank_group_spawn(&readers, await_refusal, u);
    crank_try(crank_sleep(0));
    crank_try(crank_udp_send(u, "a", 1, NULL));
    crank_try(crank_group_wait(&readers));
    crank_try(crank_udp_send(u, "b", 1, NULL)); /* the earlier one was told */
    crank_try(crank_sleep(0.02));
    EXPECT_EQ(crank_udp_send(u, "c", 1, NULL), -ECONNREFUSED);
    return crank_udp_send(u, "d", 1, NULL);
}

static int count_refusal(crank_udp *u, int *told)
{
    crank_try(await_refusal(u));
    ++*told;
    return 0;
}

TEST_EACH_BACKEND(udp, tells_a_refusal_to_one_of_those_that_wait_and_leaves_the_others_waiting)
{
    const char *refusing = crank_try(free_address());
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open(NULL, refusing));
    CRANK_GROUP(readers);
    int told = 0;
    crank_group_spawn(&readers, count_refusal, u, &told);
    crank_group_spawn(&readers, count_refusal, u, &told);
    crank_try(crank_sleep(0));
    crank_try(crank_udp_send(u, "a", 1, NULL));
    for (int i = 0; i < 1000 && told == 0; i++)
        crank_try(crank_sleep(0.001));
    crank_try(crank_sleep(0.01));
    EXPECT_EQ(told, 1);
    crank_try(crank_udp_send(u, "a", 1, NULL));
    crank_try(crank_group_wait(&readers));
    EXPECT_EQ(told, 2);
    return 0;
}

TEST_EACH_BACKEND(udp, without_a_remote_is_told_of_no_refusal_and_needs_an_address)
{
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    const char *refusing = crank_try(free_address());
    crank_address to = parsed(refusing);
    crank_try(crank_udp_send(u, "a", 1, &to));
    crank_try(crank_sleep(0.01));
    crank_try(crank_udp_send(u, "a", 1, &to));
    EXPECT_EQ(crank_udp_send(u, "a", 1, NULL), -EDESTADDRREQ);
    return 0;
}

TEST_EACH_BACKEND(udp, that_sends_several_keeps_a_refusal_for_the_next_call)
{
    const char *refusing = crank_try(free_address());
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open(NULL, refusing));
    const crank_datagram both[] = { { .buf = "a", .size = 1 }, { .buf = "b", .size = 1 } };
    int refused = 0;
    for (int i = 0; i < 10; i++) {
        ssize_t n = crank_udp_send_many(u, both, 2);
        EXPECT(n == 1 || n == 2 || n == -ECONNREFUSED);
        refused += n == -ECONNREFUSED;
        crank_try(crank_sleep(0.005));
    }
    EXPECT_EQ(refused, 5);
    return 0;
}

TEST_EACH_BACKEND(udp, with_a_remote_takes_nothing_from_others)
{
    CRANK_AUTO_UDP crank_udp *remote = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    CRANK_AUTO_UDP crank_udp *other = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", crank_udp_address(remote)));
    crank_address to = address_of(u);
    crank_try(crank_udp_send(other, "other", 5, &to));
    crank_try(crank_sleep(0.005));
    crank_try(crank_udp_send(remote, "remote", 6, &to));
    return expect_datagram(u, "remote");
}

/* ---- Waiting ---- */

TEST_EACH_BACKEND(udp, a_cancelled_receive_takes_nothing)
{
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    crank_address self = address_of(u);
    CRANK_GROUP(readers);
    crank_task *reader = crank_group_spawn(&readers, expect_datagram, u, "never");
    crank_try(crank_sleep(0));
    crank_try(crank_udp_send(u, "a", 1, &self));
    crank_cancel(reader);
    EXPECT_EQ(crank_await(reader), -ECANCELED);
    return expect_datagram(u, "a");
}

static int count_received(crank_udp *u, int *count)
{
    char byte;
    for (;;) {
        crank_try(crank_udp_receive(u, &byte, 1, NULL));
        ++*count;
    }
}

TEST_EACH_BACKEND(udp, gives_each_datagram_to_one_of_those_that_wait)
{
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    crank_address self = address_of(u);
    int count = 0;
    {
        CRANK_GROUP(readers);
        for (int i = 0; i < 4; i++)
            crank_group_spawn(&readers, count_received, u, &count);
        for (int i = 0; i < 50; i++) {
            crank_try(crank_udp_send(u, "a", 1, &self));
            if (i % 7 == 0)
                crank_try(crank_sleep(0));
        }
        for (int i = 0; i < 1000 && count < 50; i++)
            crank_try(crank_sleep(0.001));
        crank_group_cancel(&readers);
    }
    EXPECT_EQ(count, 50);
    return 0;
}

static int receive_one(crank_udp *u)
{
    char byte;
    return (int)crank_udp_receive(u, &byte, 1, NULL);
}
/* In a task of its own, whose children end with it before the socket is closed. */
static int fail_a_poll(crank_udp *u)
{
    crank_address self = address_of(u);
    crank_task *readers[3];
    for (int i = 0; i < 3; i++)
        readers[i] = crank_spawn(receive_one, u);
    crank_try(nets_settle());
    nets_refuse(CR_OP_POLL, ENOSPC, 1);
    crank_try(crank_udp_send(u, "a", 1, &self));
    EXPECT_EQ(crank_await(readers[0]), 1);
    EXPECT_EQ(crank_await(readers[1]), -ENOSPC);
    crank_try(crank_udp_send(u, "b", 1, &self));
    EXPECT_EQ(crank_within(1, crank_await(readers[2])), 1);
    return 0;
}
TEST_EACH_BACKEND(udp, whose_poll_fails_lets_the_next_that_waits_poll)
{
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    return (int)crank_await(crank_spawn(fail_a_poll, u));
}

/* The real loopback takes what is sent at once, and drops what has no room. */
enum { KILOBYTES = 500, A_SECOND = 100000, SEND_BUFFER_MAX = 300000 };
static int take_kilobytes(int *count)
{
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("*:53", NULL));
    return count_received(u, count);
}
TEST_SIM(udp, waits_while_the_send_buffer_is_full)
{
    static char kilobyte[1000];
    int count = 0;
    crank_task *far = crank_try(crank_sim_host("far", take_kilobytes, &count));
    crank_try(crank_sleep(0));
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open(NULL, "far:53"));
    crank_try(crank_sim_set_link("sim", "far", &(crank_sim_link){ .bandwidth = A_SECOND }));
    double since = crank_time();
    for (int i = 0; i < KILOBYTES; i++)
        crank_try(crank_udp_send(u, kilobyte, sizeof kilobyte, NULL));
    EXPECT(crank_time() - since >= (KILOBYTES * (double)sizeof kilobyte - SEND_BUFFER_MAX) / A_SECOND);
    crank_try(crank_sleep(10));
    EXPECT_EQ(count, KILOBYTES);
    crank_cancel(far);
    EXPECT_EQ(crank_await(far), -ECANCELED);
    return 0;
}

/* ---- Several ---- */

TEST_EACH_BACKEND(udp, receives_what_is_there_and_sends_several)
{
    CRANK_AUTO_UDP crank_udp *a = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    CRANK_AUTO_UDP crank_udp *b = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    char bytes[3][4];
    crank_datagram sent[5], got[3];
    for (int i = 0; i < 5; i++)
        sent[i] = (crank_datagram){ .buf = "12345", .size = (size_t)i + 1, .peer = address_of(b) };
    EXPECT_EQ(crank_udp_send_many(a, sent, 5), 5);
    crank_try(crank_sleep(0.005));
    size_t lengths = 0;
    bool cut = false;
    for (size_t count = 0; count < 5;) {
        for (int i = 0; i < 3; i++)
            got[i] = (crank_datagram){ .buf = bytes[i], .size = 4 };
        ssize_t n = crank_try(crank_udp_receive_many(b, got, 3));
        EXPECT(n >= 1 && n <= 3);
        for (ssize_t i = 0; i < n; i++) {
            EXPECT(got[i].length >= 1 && got[i].length <= 4 && memcmp(got[i].buf, "1234", got[i].length) == 0);
            EXPECT_STR(text_of(&got[i].peer), crank_udp_address(a));
            lengths += got[i].length;
        }
        cut |= crank_udp_cut(b);
        count += (size_t)n;
    }
    EXPECT_EQ(lengths, 1 + 2 + 3 + 4 + 4);
    EXPECT(cut);
    return 0;
}

TEST_EACH_BACKEND(udp, sends_no_datagram_where_none_is_given)
{
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    EXPECT_EQ(crank_udp_send_many(u, NULL, 0), 0);
    return 0;
}

/* On the table: how many calls several datagrams cost. */
static unsigned calls;
static int counted_receive(void *context, int fd, struct mmsghdr *all, unsigned n, int flags)
{
    int got = cr_sys_real.receive_messages(context, fd, all, n, flags);
    calls += got > 0;
    return got;
}
static int counted_send(void *context, int fd, struct mmsghdr *all, unsigned n, int flags)
{
    calls++;
    return cr_sys_real.send_messages(context, fd, all, n, flags);
}
RESOLVING(udp, sends_and_receives_several_by_one_call_each)
{
    resolver.receive_messages = counted_receive;
    resolver.send_messages = counted_send;
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    crank_datagram all[20];
    char bytes[20];
    for (int i = 0; i < 20; i++)
        all[i] = (crank_datagram){ .buf = &bytes[i], .size = 1, .peer = address_of(u) };
    EXPECT_EQ(crank_udp_send_many(u, all, 20), 20);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(crank_udp_receive_many(u, all, 20), 20);
    EXPECT_EQ(calls, 2);
    return 0;
}

/* ---- Opening and closing ---- */

static int open_error(const char *local, const char *remote)
{
    CRANK_AUTO_UDP crank_udp *u = crank_udp_open(local, remote);
    return u ? 0 : -errno;
}

TEST_EACH_BACKEND(udp, says_why_it_cannot_be_opened)
{
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    EXPECT_EQ(open_error(crank_udp_address(u), NULL), -EADDRINUSE);
    EXPECT_CONTAINS(crank_error(), crank_udp_address(u));
    EXPECT_EQ(open_error("nowhere", NULL), -EINVAL);
    EXPECT_EQ(open_error("[::1]:0", "127.0.0.1:9"), -EAFNOSUPPORT);
    EXPECT_EQ(open_error("unix:@name", NULL), -EAFNOSUPPORT);
    EXPECT_EQ(open_error("*:9", "127.0.0.1:9"), -EINVAL);
    return open_error("*:0", crank_udp_address(u));
}

RESOLVING(udp, takes_of_a_names_addresses_the_first_that_it_can_have)
{
    EXPECT_EQ(open_error("none:0", NULL), -ENOENT);
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("two.example:0", NULL));
    EXPECT(strncmp(crank_udp_address(u), "127.0.0.1:", 10) == 0);
    return 0;
}

TEST_EACH_BACKEND(udp, has_a_descriptor_for_options)
{
    CRANK_AUTO_UDP crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    int value = 0;
    cr_socket_option option = { .level = SOL_SOCKET, .name = SO_TYPE, .value = &value, .size = sizeof value };
    const cr_sys *sys = cr_loop_here->sys;
    EXPECT_EQ(sys->get_option(sys->context, crank_udp_fd(u), &option), 0);
    EXPECT_EQ(value, SOCK_DGRAM);
    return 0;
}

/* A poll of the backend's is pending when it is closed. */
TEST_EACH_BACKEND(udp, that_is_closed_has_given_its_port_back_though_a_wait_was_cancelled)
{
    char address[64];
    crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    snprintf(address, sizeof address, "%s", crank_udp_address(u));
    crank_task *reader = crank_spawn(expect_datagram, u, "never");
    crank_try(crank_sleep(0.001));
    crank_cancel(reader);
    EXPECT_EQ(crank_await(reader), -ECANCELED);
    EXPECT_EQ(crank_finish(u), 0);
    EXPECT(!u);
    EXPECT_EQ(open_error(address, NULL), 0);
    return crank_close(u);
}

static int receive_with_budget_spent(crank_udp *u)
{
    cr_loop_here->runner.budget = 1;
    return expect_datagram(u, "never");
}
TEST_CHECKS(udp, is_not_closed_while_a_task_lets_others_run_before_it_receives, "still sends or receives at 127.0.0.1:")
{
    crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    crank_spawn(receive_with_budget_spent, u);
    crank_try(crank_sleep(0));
    return crank_close(u);
}
TEST_CHECKS(udp, is_not_closed_while_a_task_receives, "still sends or receives at 127.0.0.1:")
{
    crank_udp *u = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    crank_task *reader = crank_spawn(expect_datagram, u, "never");
    crank_try(crank_sleep(0));
    (void)crank_close(u);
    return (int)crank_await(reader);
}
