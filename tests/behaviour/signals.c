/* SPDX-License-Identifier: MIT */
/* signals.c: signals to this process, received by tasks. The tests send them to themselves. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

/* Where they cannot be received, for want of memory, none may be sent: it would end the process. */
#define RECEIVE(name, ...) \
    CRANK_SIGNALS(name, __VA_ARGS__); \
    if ((name).error < 0) \
    return (name).error

static volatile sig_atomic_t old_calls;
static void old_handler(int number) { old_calls += number; }
static void handle_before(int number)
{
    struct sigaction action = { .sa_handler = old_handler };
    old_calls = 0;
    EXPECT_EQ(sigaction(number, &action, NULL), 0);
}
static void *handler_of(int number)
{
    struct sigaction now;
    EXPECT_EQ(sigaction(number, NULL, &now), 0);
    return (void *)(uintptr_t)now.sa_handler;
}

static int send_later(int number)
{
    crank_try(crank_sleep(0.001));
    return raise(number);
}
TEST_EACH_BACKEND(signals, reach_the_task_that_waits_for_them)
{
    RECEIVE(asked, SIGTERM, SIGHUP);
    crank_task *sending = crank_spawn(send_later, SIGHUP);
    EXPECT_EQ(crank_signals_next(&asked), SIGHUP);
    crank_try(crank_await(sending));
    EXPECT_EQ(raise(SIGTERM), 0);
    EXPECT_EQ(crank_signals_next(&asked), SIGTERM);
    return 0;
}

TEST_EACH_BACKEND(signals, that_are_equal_are_one_and_different_ones_have_their_turns)
{
    RECEIVE(asked, SIGUSR1, SIGUSR2);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(raise(SIGUSR1) | raise(SIGUSR1) | raise(SIGUSR2), 0);
        EXPECT_EQ(crank_signals_next(&asked), i % 2 ? SIGUSR2 : SIGUSR1);
    }
    EXPECT_EQ(crank_signals_next(&asked), SIGUSR1);
    EXPECT_EQ(crank_within(0.001, crank_signals_next(&asked)), -ETIMEDOUT);
    return 0;
}

static int receive(crank_signals *asked) { return crank_signals_next(asked); }
TEST_EACH_BACKEND(signals, go_to_one_of_several_waiting_tasks_each)
{
    RECEIVE(asked, SIGUSR1, SIGUSR2);
    crank_task *first = crank_spawn(receive, &asked), *second = crank_spawn(receive, &asked);
    crank_try(crank_sleep(0));
    EXPECT_EQ(raise(SIGUSR1) | raise(SIGUSR2), 0);
    EXPECT_EQ(crank_await(first) + crank_await(second), SIGUSR1 + SIGUSR2);
    return 0;
}

TEST_EACH_BACKEND(signals, that_wake_a_task_which_is_cancelled_wake_the_next)
{
    RECEIVE(asked, SIGUSR1);
    crank_task *first = crank_spawn(receive, &asked), *second = crank_spawn(receive, &asked);
    crank_try(crank_sleep(0));
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(crank_cancel(first), 0);
    EXPECT_EQ(crank_await(first), -ECANCELED);
    EXPECT_EQ(crank_await(second), SIGUSR1);
    return 0;
}

TEST_EACH_BACKEND(signals, are_waited_for_within_a_limit)
{
    RECEIVE(asked, SIGUSR1);
    EXPECT_EQ(crank_within(0.001, crank_signals_next(&asked)), -ETIMEDOUT);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(crank_signals_next(&asked), SIGUSR1);
    return 0;
}

static int receive_none(void)
{
    RECEIVE(asked, SIGUSR1);
    return raise(SIGUSR1);
}
TEST_EACH_BACKEND(signals, that_no_task_has_taken_are_the_old_handlers)
{
    handle_before(SIGUSR1);
    EXPECT_EQ(receive_none(), 0);
    EXPECT_EQ(old_calls, SIGUSR1);
    EXPECT(handler_of(SIGUSR1) == (void *)(uintptr_t)old_handler);
    return 0;
}

static int receive_inside(crank_signals *outer)
{
    RECEIVE(inner, SIGUSR1);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(crank_signals_next(&inner), SIGUSR1);
    EXPECT_EQ(crank_signals_next(outer), SIGUSR1);
    return raise(SIGUSR1);
}
static int receive_outside(void)
{
    RECEIVE(outer, SIGUSR1, SIGUSR2);
    crank_try(receive_inside(&outer));
    EXPECT(handler_of(SIGUSR1) != (void *)(uintptr_t)old_handler);
    EXPECT_EQ(crank_signals_next(&outer), SIGUSR1);
    EXPECT_EQ(old_calls, 0);
    return 0;
}
TEST_EACH_BACKEND(signals, are_given_to_every_receiver_and_the_last_one_restores_the_handler)
{
    handle_before(SIGUSR1);
    crank_try(receive_outside());
    EXPECT(handler_of(SIGUSR1) == (void *)(uintptr_t)old_handler);
    EXPECT(handler_of(SIGUSR2) == NULL);
    return 0;
}

static int receive_unreceivable(int number)
{
    CRANK_SIGNALS(asked, SIGUSR1, number);
    return crank_signals_next(&asked);
}
TEST_EACH_BACKEND(signals, that_cannot_be_received_fail_the_first_wait)
{
    const int numbers[] = { SIGKILL, SIGSTOP, SIGSEGV, 0, -1, 65, 32 };
    handle_before(SIGUSR1);
    for (size_t i = 0; i < CRANK_COUNT(numbers); i++)
        EXPECT_EQ(receive_unreceivable(numbers[i]), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "CRANK_SIGNALS");
    EXPECT(handler_of(SIGUSR1) == (void *)(uintptr_t)old_handler);
    return 0;
}

/* ---- Ctrl-C ---- */

static int receive_interrupt(void)
{
    RECEIVE(asked, SIGINT);
    EXPECT_EQ(raise(SIGINT), 0);
    crank_try(crank_sleep(0.001)); /* app is not cancelled */
    EXPECT_EQ(crank_signals_next(&asked), SIGINT);
    EXPECT_EQ(raise(SIGINT), 0);
    EXPECT_EQ(crank_signals_next(&asked), SIGINT);
    return 0;
}
static int interrupt_without_receiver(void)
{
    crank_try(receive_interrupt());
    EXPECT_EQ(raise(SIGINT), 0);
    EXPECT_EQ(crank_sleep(1), -ECANCELED);
    return 0;
}
static const crank_backend backends[] = { CRANK_BACKEND_SIM, CRANK_BACKEND_EPOLL, CRANK_BACKEND_URING };
static long run_interruptible(crank_backend backend, int (*app)(void))
{
    crank_options options = { .handle_interrupt = true, .backend = backend };
    return crank_run_with(&options, app);
}
static void expect_interrupted(int (*app)(void))
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++)
        EXPECT_EQ(run_interruptible(backends[i], app), -EINTR);
}
TEST(interrupt, is_received_instead_of_cancelling_app_and_cancels_it_afterwards)
{
    expect_interrupted(interrupt_without_receiver);
}

static int leave_interrupt(void)
{
    RECEIVE(asked, SIGINT);
    return raise(SIGINT);
}
static int leave_and_sleep(void)
{
    crank_try(leave_interrupt());
    return crank_sleep(1);
}
TEST(interrupt, that_no_task_has_taken_cancels_app_when_the_block_ends) { expect_interrupted(leave_and_sleep); }

static int interrupt_twice(void)
{
    RECEIVE(asked, SIGINT);
    raise(SIGINT);
    raise(SIGINT);
    _exit(7);
}
TEST(interrupt, that_comes_twice_and_is_not_taken_ends_the_process)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            (void)run_interruptible(backends[i], interrupt_twice);
            _exit(8);
        }
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT(WIFSIGNALED(status));
        EXPECT_EQ(WTERMSIG(status), SIGINT);
    }
}

/* ---- Several loops ---- */

static atomic_int ready; /* receivers, and runs that came to nothing */
static int receive_one(void)
{
    RECEIVE(asked, SIGUSR1);
    atomic_fetch_add(&ready, 1);
    return crank_signals_next(&asked) == SIGUSR1 ? 0 : -EIO;
}
static void *run_one(void *arg)
{
    crank_options options = { .backend = *(const crank_backend *)arg };
    long result = crank_run_with(&options, receive_one);
    atomic_fetch_add(&ready, 1);
    return (void *)(intptr_t)result;
}
TEST(signals, reach_every_loop_that_receives_them)
{
    static crank_backend of[] = { CRANK_BACKEND_EPOLL, CRANK_BACKEND_URING };
    pthread_t threads[2];
    handle_before(SIGUSR1);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, run_one, &of[i]), 0);
    while (atomic_load(&ready) < 2)
        sched_yield();
    EXPECT_EQ(kill(getpid(), SIGUSR1), 0);
    for (int i = 0; i < 2; i++) {
        void *result;
        EXPECT_EQ(pthread_join(threads[i], &result), 0);
        EXPECT(!result);
    }
    EXPECT_EQ(old_calls, 0);
    EXPECT(handler_of(SIGUSR1) == (void *)(uintptr_t)old_handler);
}

/* ---- Forks, and misuse ---- */

TEST_EACH_BACKEND(signals, are_not_received_in_the_child_of_a_fork)
{
    RECEIVE(asked, SIGUSR1);
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(handler_of(SIGUSR1) ? 1 : 0);
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    return 0;
}

static int leave_with_a_waiter(void)
{
    RECEIVE(asked, SIGUSR1);
    (void)crank_detach(crank_spawn(receive, &asked));
    return crank_sleep(0);
}
TEST_CHECKS(signals, whose_block_ends_while_a_task_waits_are_refused, "CRANK_SIGNALS") { return leave_with_a_waiter(); }
