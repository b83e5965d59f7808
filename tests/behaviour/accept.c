/* SPDX-License-Identifier: MIT */
/* accept.c: connections come in order, none is lost to a cancelled accept, and a stopped listener gives none. */
#include "nets.h"
#include "net/listener.h"

/* Accept one connection, read its one line, note it. */
static int take_one(crank_listener *l, char *ret_letter)
{
    CRANK_AUTO_STREAM crank_stream *peer = crank_try(crank_accept(l));
    *ret_letter = *nets_line(peer);
    return 0;
}

static int say(crank_stream *s, const char *line)
{
    crank_try(crank_printf(s, "%s\n", line));
    return crank_flush(s);
}

TEST_EACH_BACKEND(accept, gives_the_connections_in_the_order_in_which_they_came)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    CRANK_AUTO_STREAM crank_stream *b = nets_connect(l);
    crank_try(say(a, "a"));
    crank_try(say(b, "b"));
    char first, second;
    crank_try(take_one(l, &first));
    crank_try(take_one(l, &second));
    EXPECT_EQ(first, 'a');
    EXPECT_EQ(second, 'b');
    return 0;
}

TEST_EACH_BACKEND(accept, of_two_tasks_gives_the_first_connection_to_the_first)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    char letters[2] = "";
    NETS_TASK first = crank_spawn(take_one, l, &letters[0]);
    NETS_TASK second = crank_spawn(take_one, l, &letters[1]);
    crank_try(nets_settle());
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    crank_try(say(a, "a"));
    crank_try(crank_within(nets_patience(), (int)nets_await(first)));
    EXPECT(!crank_done(second));
    CRANK_AUTO_STREAM crank_stream *b = nets_connect(l);
    crank_try(say(b, "b"));
    crank_try(crank_within(nets_patience(), (int)nets_await(second)));
    EXPECT_EQ(letters[0], 'a');
    EXPECT_EQ(letters[1], 'b');
    return 0;
}

TEST_EACH_BACKEND(accept, woken_for_nothing_keeps_its_place_before_those_that_came_later)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    char letters[2] = "";
    NETS_TASK first = crank_spawn(take_one, l, &letters[0]);
    NETS_TASK second = crank_spawn(take_one, l, &letters[1]);
    crank_try(nets_settle());
    nets_fail_accepts(EAGAIN, 1);
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    for (int turns = 0; turns < 10000 && nets_faults.asked == 0; turns++)
        crank_try(crank_sleep(0));
    CRANK_AUTO_STREAM crank_stream *b = nets_connect(l);
    crank_try(say(a, "a"));
    crank_try(say(b, "b"));
    crank_try(crank_within(nets_patience(), (int)nets_await(first)));
    crank_try(crank_within(nets_patience(), (int)nets_await(second)));
    EXPECT_EQ(letters[0], 'a');
    EXPECT_EQ(letters[1], 'b');
    return 0;
}

TEST_EACH_BACKEND(accept, that_is_cancelled_leaves_the_connection_to_the_next)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    char letter = 0;
    NETS_TASK cancelled = crank_spawn(take_one, l, &letter);
    crank_try(nets_settle());
    EXPECT_EQ(crank_cancel(cancelled), 0);
    EXPECT_EQ(nets_await(cancelled), -ECANCELED);
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    crank_try(say(a, "a"));
    crank_try(take_one(l, &letter));
    EXPECT_EQ(letter, 'a');
    return 0;
}

/* This task is always ready, so what wakes the accepting task puts that behind it: it is seen woken and not yet run. */
TEST_EACH_BACKEND(accept, cancelled_when_it_has_been_woken_leaves_the_connection_to_the_other_that_waits)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    char lost = 0, letter = 0;
    NETS_TASK first = crank_spawn(take_one, l, &lost);
    NETS_TASK second = crank_spawn(take_one, l, &letter);
    crank_try(nets_settle());
    crank_task *connecting = crank_spawn(nets_connect, l);
    for (int turns = 0; turns < 10000 && l->waiters.head && cr_task_handle(l->waiters.head) == first; turns++)
        crank_try(crank_sleep(0)); /* the poll completes in one of them */
    EXPECT_EQ(crank_cancel(first), 0);
    CRANK_AUTO_STREAM crank_stream *a = crank_try(crank_await_ptr(connecting));
    crank_try(say(a, "a"));
    crank_try(crank_within(nets_patience(), (int)nets_await(second)));
    EXPECT_EQ(letter, 'a');
    EXPECT_EQ(nets_await(first), -ECANCELED);
    return 0;
}

TEST_EACH_BACKEND(accept, passes_over_a_connection_that_was_aborted_while_it_waited)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    static const int passing[] = { ECONNABORTED, EPROTO, EPERM, EINTR, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET,
        EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH };
    for (size_t i = 0; i < CRANK_COUNT(passing); i++) {
        CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
        crank_try(say(a, "a"));
        nets_fail_accepts(passing[i], 3);
        char letter = 0;
        crank_try(take_one(l, &letter));
        EXPECT_EQ(letter, 'a');
        EXPECT_EQ(nets_faults.asked, 3);
    }
    return 0;
}

TEST_EACH_BACKEND(accept, gives_the_kernels_error_and_can_be_called_again)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    crank_try(say(a, "a"));
    nets_fail_accepts(EMFILE, 1);
    errno = 0;
    EXPECT(!crank_accept(l));
    EXPECT_EQ(errno, EMFILE);
    EXPECT_CONTAINS(crank_error(), crank_listener_address(l, 0));
    char letter = 0;
    crank_try(take_one(l, &letter));
    EXPECT_EQ(letter, 'a');
    return 0;
}

TEST_EACH_BACKEND(accept, that_fails_lets_the_next_that_waits_try)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    char first = 0, second = 0;
    NETS_TASK fails = crank_spawn(take_one, l, &first);
    NETS_TASK takes = crank_spawn(take_one, l, &second);
    crank_try(nets_settle());
    nets_fail_accepts(EMFILE, 1);
    CRANK_AUTO_STREAM crank_stream *a = nets_connect(l);
    crank_try(say(a, "a"));
    EXPECT_EQ(nets_await(fails), -EMFILE);
    crank_try(crank_within(1, nets_await(takes)));
    EXPECT_EQ(second, 'a');
    return 0;
}

TEST_EACH_BACKEND(accept, gives_the_error_with_which_the_socket_cannot_be_polled)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    nets_refuse(CR_OP_POLL, ENOSPC, 1);
    EXPECT(!crank_within(0.01, crank_accept(l)));
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_CONTAINS(crank_error(), crank_listener_address(l, 0));
    return 0;
}

TEST_CHECKS(accept, of_a_listener_that_is_closed_meanwhile_is_a_check, "a task still accepts on 127.0.0.1:")
{
    crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    char letter;
    crank_spawn(take_one, l, &letter);
    crank_try(nets_settle());
    return crank_listener_close(l);
}
/* It has not begun to wait, or waits no more and has not run since. */
static int accept_with_budget_spent(crank_listener *l)
{
    char letter;
    cr_loop_here->runner.budget = 1;
    return take_one(l, &letter);
}
TEST_CHECKS(accept, that_lets_others_run_before_keeps_the_listener_open, "a task still accepts on 127.0.0.1:")
{
    crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    crank_spawn(accept_with_budget_spent, l);
    crank_try(crank_sleep(0));
    return crank_listener_close(l);
}
TEST_CHECKS(accept, that_was_woken_keeps_the_listener_open, "a task still accepts on 127.0.0.1:")
{
    crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    char letter;
    crank_spawn(take_one, l, &letter);
    crank_try(nets_settle());
    crank_try(crank_listener_stop(l, 0));
    return crank_listener_close(l);
}
TEST_CHECKS(accept, of_null_is_a_check, "the listener is NULL") { return crank_accept(NULL) ? 0 : -errno; }

static int accept_errno(crank_listener *l)
{
    CRANK_AUTO_STREAM crank_stream *peer = crank_accept(l);
    return peer ? 0 : -errno;
}
TEST_EACH_BACKEND(accept, fails_once_the_listener_is_stopped)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_TASK a = crank_spawn(accept_errno, l);
    NETS_TASK b = crank_spawn(accept_errno, l);
    crank_try(nets_settle());
    EXPECT_EQ(crank_listener_stop(l, 0), 0);
    EXPECT_EQ(nets_await(a), -ESHUTDOWN);
    EXPECT_EQ(nets_await(b), -ESHUTDOWN);
    EXPECT_EQ(accept_errno(l), -ESHUTDOWN);
    EXPECT_CONTAINS(crank_error(), "was stopped");
    return 0;
}

TEST_EACH_BACKEND(listener, that_is_stopped_refuses_connections_and_frees_its_port_at_once)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    const char *address = crank_listener_address(l, 0);
    NETS_TASK waiting = crank_spawn(accept_errno, l);
    crank_try(nets_settle());
    crank_try(crank_listener_stop(l, CRANK_FOREVER));
    errno = 0;
    crank_stream *late = crank_connect(address);
    EXPECT(!late);
    EXPECT_EQ(errno, ECONNREFUSED);
    EXPECT_EQ(crank_listener_fd(l, 0), -EBADF);
    CRANK_AUTO_LISTENER crank_listener *again = crank_try(crank_listen(address));
    EXPECT_STR(crank_listener_address(l, 0), crank_listener_address(again, 0));
    EXPECT_EQ(nets_await(waiting), -ESHUTDOWN);
    return crank_listener_stop(l, 0);
}

TEST_EACH_BACKEND(accept, under_a_limit_of_time_ends_with_it)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    EXPECT(!crank_within(0.01, crank_accept(l)));
    EXPECT_EQ(errno, ETIMEDOUT);
    return 0;
}

TEST_EACH_BACKEND(accept, knows_the_peers_address_also_when_the_peer_has_gone)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    crank_stream *s = nets_connect(l);
    char own[64];
    snprintf(own, sizeof own, "%s", crank_own_name(s));
    crank_try(nets_reset(s));
    CRANK_AUTO_STREAM crank_stream *peer = crank_try(crank_accept(l));
    EXPECT_STR(crank_peer_name(peer), own);
    return 0;
}

/* ---- Many at once ---- */

enum { FLOOD = NETS_STREAMS_MAX };

static int accept_for_ever(crank_listener *l, int *accepted)
{
    for (;;) {
        crank_stream *peer = crank_try(crank_accept(l));
        ++*accepted;
        crank_try(crank_close(peer));
    }
}

/* Each turn may accept no more than the budget of one task allows; so a timer that is due is not behind all of them. */
TEST_SIM(accept, of_a_flood_lets_a_timer_run_on_time)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_STREAMS(streams);
    int accepted = 0;
    for (int i = 0; i < FLOOD; i++)
        streams.at[i] = nets_connect(l);
    CRANK_GROUP(servers);
    crank_group_spawn(&servers, accept_for_ever, l, &accepted);
    double before = crank_time();
    crank_try(crank_sleep(0));
    EXPECT(accepted > 0 && accepted <= 129);
    crank_try(crank_sleep(0.25));
    EXPECT_NEAR(crank_time() - before, 0.25, 1e-9);
    EXPECT_EQ(accepted, FLOOD);
    return nets_close_all(&streams);
}

static int accept_until_cancelled(crank_listener *listener) { return crank_close(crank_try(crank_accept(listener))); }

/* A poll of the backend's is pending when the listener is closed. */
TEST_EACH_BACKEND(listener, that_is_closed_has_given_its_port_back)
{
    char address[64];
    CRANK_AUTO_LISTENER crank_listener *first = crank_try(crank_listen("127.0.0.1:0"));
    snprintf(address, sizeof address, "%s", crank_listener_address(first, 0));
    crank_task *waiter = crank_spawn(accept_until_cancelled, first);
    EXPECT_EQ(crank_sleep(0.001), 0);
    crank_cancel(waiter);
    EXPECT_EQ(crank_await(waiter), -ECANCELED);
    EXPECT_EQ(crank_finish(first), 0);
    CRANK_AUTO_LISTENER crank_listener *second = crank_listen(address);
    EXPECT(second);
    CRANK_AUTO_STREAM crank_stream *client = crank_try(crank_connect(address));
    EXPECT(client);
    return crank_close(crank_try(crank_accept(second)));
}
