/* SPDX-License-Identifier: MIT */
/* names.c: crank_resolve, and the threads behind it. */
#include "resolver.h"
#include "scratch.h"
#include <sys/wait.h>

enum { LOOKUPS_MAX = 16 };

static ssize_t resolve_some(const char *name)
{
    crank_address found[8];
    return crank_resolve(name, 80, found, CRANK_COUNT(found));
}

static int resolve_two(const char *name)
{
    EXPECT_EQ(resolve_some(name), 2);
    return 0;
}

static void expect_address(const crank_address *address, const char *text)
{
    char buf[64];
    crank_address_format(address, buf, sizeof buf);
    EXPECT_STR(buf, text);
}

TEST_EACH_BACKEND(resolve, gives_a_number_back_with_the_port)
{
    crank_address found[2];
    EXPECT_EQ(crank_resolve("192.0.2.7", 53, found, 2), 1);
    expect_address(&found[0], "192.0.2.7:53");
    EXPECT_EQ(crank_resolve("2001:db8::7", 0, found, 2), 1);
    expect_address(&found[0], "[2001:db8::7]:0");
    return 0;
}

TEST_EACH_BACKEND(resolve, knows_localhost_as_the_loopback_of_both_families)
{
    crank_address found[2];
    EXPECT_EQ(crank_resolve("localhost", 80, found, 2), 2);
    expect_address(&found[0], "[::1]:80");
    expect_address(&found[1], "127.0.0.1:80");
    EXPECT_EQ(crank_resolve("LocalHost.", 80, found, 2), 2);
    return 0;
}

TEST_SIM(resolve, knows_the_hosts_of_the_simulated_network_alone)
{
    crank_address found[2];
    EXPECT_EQ(crank_resolve("sim", 80, found, 2), 2);
    expect_address(&found[1], "127.0.0.1:80");
    EXPECT_EQ(crank_resolve("db.example", 80, found, 2), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "db.example");
    EXPECT_CONTAINS(crank_error(), "crank_sim_name");
    return 0;
}

/* Labels of 64 bytes, names of 254, empty labels, and what is a number nearly. */
static void expect_no_names(void)
{
    char label[65 + 8] = "", name[256 + 8] = "";
    memset(label, 'a', 64);
    strcpy(label + 64, ".example");
    for (size_t i = 0; i < 127; i++)
        memcpy(name + 2 * i, i < 126 ? "a." : "aa", 2);
    EXPECT_EQ(resolve_some(label), -EINVAL);
    EXPECT_EQ(strlen(name), 254);
    EXPECT_EQ(resolve_some(name), -EINVAL);
    EXPECT_EQ(resolve_some("a..example"), -EINVAL);
    EXPECT_EQ(resolve_some(""), -EINVAL);
    EXPECT_EQ(resolve_some("256.1.1.1"), -EINVAL);
    EXPECT_EQ(crank_resolve("example", 65536, NULL, 0), -EINVAL);
}

TEST_SIM(resolve, refuses_what_can_be_no_name)
{
    expect_no_names();
    return 0;
}

RESOLVING(resolve, asks_nothing_about_what_can_be_no_name)
{
    int threads = resolver_threads; /* some watch over the run */
    expect_no_names();
    EXPECT_EQ(resolve_some("192.0.2.1"), 1);
    EXPECT_EQ(resolver_calls, 0);
    EXPECT_EQ(resolver_threads, threads);
    return 0;
}

RESOLVING(resolve, gives_a_names_addresses_in_the_resolvers_order)
{
    crank_address found[5];
    EXPECT_EQ(crank_resolve("many", 443, found, 5), 5);
    expect_address(&found[0], "[2001:db8::1]:443");
    expect_address(&found[2], "[2001:db8::3]:443");
    expect_address(&found[4], "192.0.2.2:443");
    return 0;
}

RESOLVING(resolve, counts_all_addresses_and_fills_in_as_many_as_fit)
{
    crank_address found[3] = { 0 };
    const crank_address none = { 0 };
    EXPECT_EQ(crank_resolve("many", 443, found, 2), 5);
    expect_address(&found[1], "[2001:db8::2]:443");
    EXPECT(crank_address_equal(&found[2], &none));
    EXPECT_EQ(crank_resolve("many", 443, NULL, 0), 5);
    return 0;
}

RESOLVING(resolve, tells_no_such_name_from_no_answer)
{
    EXPECT_EQ(resolve_some("none"), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "no host is called none");
    EXPECT_EQ(resolve_some("mute"), -EAGAIN);
    EXPECT_CONTAINS(crank_error(), "mute");
    return 0;
}

RESOLVING(resolve, goes_on_at_once_when_it_is_cancelled)
{
    crank_task *asking = crank_spawn(resolve_some, "slow");
    crank_try(crank_sleep(0));
    crank_cancel(asking);
    EXPECT_EQ(crank_await(asking), -ECANCELED);
    EXPECT_EQ(resolver_returned, 0);
    return 0;
}

RESOLVING(resolve, is_over_with_its_limit)
{
    ssize_t result = crank_within(0.001, resolve_some("slow"));
    EXPECT_EQ(result, -ETIMEDOUT);
    EXPECT_EQ(resolver_returned, 0);
    return 0;
}

static int leave_a_lookup(void)
{
    crank_task *asking = crank_spawn(resolve_some, "slow");
    crank_try(crank_sleep(0));
    while (atomic_load(&resolver_calls) == 0 && !crank_done(asking))
        sched_yield();
    crank_cancel(asking);
    EXPECT_EQ(crank_await(asking), -ECANCELED);
    return 0;
}

static int ask_again(void) { return resolve_two("again"); }

/* Both at once: no run waits for the call, and what it says when its loop has gone reaches no loop. */
static void outlive(crank_backend backend)
{
    make_resolver();
    EXPECT_EQ(run_resolving(backend, leave_a_lookup), 0);
    EXPECT_EQ(resolver_returned, 0);
    open_resolver();
    while (atomic_load(&resolver_returned) < atomic_load(&resolver_calls))
        sched_yield();
    EXPECT_EQ(run_resolving(backend, ask_again), 0);
}
TEST(resolve, that_hangs_does_not_hold_the_end_of_the_run_epoll) { outlive(CRANK_BACKEND_EPOLL); }
TEST(resolve, that_hangs_does_not_hold_the_end_of_the_run_uring) { outlive(CRANK_BACKEND_URING); }

/* The process leaves by exit, as a program does whose main has returned. */
TEST(resolve, that_hangs_does_not_hold_the_end_of_the_process)
{
    static const crank_backend backends[] = { CRANK_BACKEND_EPOLL, CRANK_BACKEND_URING };
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        int status = -1;
        fflush(NULL);
        pid_t child = fork();
        EXPECT(child >= 0);
        if (child == 0) {
            alarm(8);
            make_resolver();
            exit(run_resolving(backends[i], leave_a_lookup) == 0 && resolver_returned == 0 ? 0 : 1);
        }
        EXPECT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
}

RESOLVING(resolve, asks_once_for_ten_that_want_the_same)
{
    CRANK_GROUP(group);
    for (int i = 0; i < 10; i++)
        crank_group_spawn(&group, resolve_two, i % 2 ? "slow.example" : "SLOW.example");
    crank_try(crank_sleep(0));
    open_resolver();
    crank_try(crank_group_wait(&group));
    EXPECT_EQ(resolver_calls, 1);
    return 0;
}

RESOLVING(resolve, answers_those_that_stay_when_others_of_the_same_name_are_cancelled)
{
    crank_task *first = crank_spawn(resolve_some, "slow");
    crank_task *second = crank_spawn(resolve_some, "slow");
    crank_task *third = crank_spawn(resolve_some, "slow");
    crank_try(crank_sleep(0));
    crank_cancel(second);
    EXPECT_EQ(crank_await(second), -ECANCELED);
    open_resolver();
    EXPECT_EQ(crank_await(first), 2);
    EXPECT_EQ(crank_await(third), 2);
    return 0;
}

RESOLVING(resolve, keeps_sixteen_threads_busy_at_most_and_files_go_on_meanwhile)
{
    static char names[3 * LOOKUPS_MAX][16];
    char *data;
    size_t size;
    const char *path = scratch_file("text", "text", 4);
    CRANK_GROUP(group);
    for (size_t i = 0; i < CRANK_COUNT(names); i++) {
        snprintf(names[i], sizeof names[i], "slow%zu", i);
        crank_group_spawn(&group, resolve_two, names[i]);
    }
    crank_try(crank_sleep(0));
    crank_try(crank_read_file(path, &data, &size));
    EXPECT_EQ(size, 4);
    free(data);
    open_resolver();
    crank_try(crank_group_wait(&group));
    EXPECT_EQ(resolver_calls, CRANK_COUNT(names));
    EXPECT(resolver_most <= LOOKUPS_MAX);
    return 0;
}

/* A worker's thread is none of these. */
RESOLVING(resolve, uses_a_thread_again)
{
    int before = resolver_threads;
    for (int i = 0; i < 20; i++)
        crank_try(resolve_two("again"));
    EXPECT_EQ(resolver_calls, 20);
    EXPECT(resolver_threads - before <= 2); /* one that is about to rest counts as busy yet */
    return 0;
}

static int refuse_thread(void *context, unsigned long *ret_thread, void *(*fn)(void *), void *arg, size_t size)
{
    (void)context, (void)ret_thread, (void)fn, (void)arg, (void)size;
    return -EAGAIN;
}

RESOLVING(resolve, fails_where_no_thread_can_be_made)
{
    resolver.thread_start = refuse_thread;
    EXPECT_EQ(resolve_some("first"), -EAGAIN);
    resolver.thread_start = test_thread_start;
    return resolve_two("first");
}

RESOLVING(resolve, may_be_cancelled_before_a_thread_has_its_name)
{
    static char names[LOOKUPS_MAX][16];
    CRANK_GROUP(group);
    for (size_t i = 0; i < CRANK_COUNT(names); i++) {
        snprintf(names[i], sizeof names[i], "slow%zu", i);
        crank_group_spawn(&group, resolve_two, names[i]);
    }
    crank_try(crank_sleep(0));
    crank_task *last = crank_spawn(resolve_some, "never");
    crank_try(crank_sleep(0));
    crank_cancel(last);
    EXPECT_EQ(crank_await(last), -ECANCELED);
    open_resolver();
    crank_try(crank_group_wait(&group));
    EXPECT_EQ(resolver_calls, LOOKUPS_MAX);
    return 0;
}

/* The parent's threads are not there, and what they had is not theirs to answer. */
RESOLVING(resolve, works_in_a_child_of_fork_that_runs_a_loop_of_its_own)
{
    int status = -1;
    if (CR_TSAN)
        test_skip("ThreadSanitizer allows no threads after a fork of several");
    if (getenv("TEST_EMULATED"))
        test_skip("qemu allows no threads after a fork of several");
    crank_try(resolve_two("before"));
    crank_task *asking = crank_spawn(resolve_some, "slow");
    crank_try(crank_sleep(0));
    pid_t child = fork();
    if (child == 0)
        _exit(run_resolving(CRANK_BACKEND_EPOLL, ask_again) == 0 ? 0 : 1);
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    open_resolver();
    EXPECT_EQ(crank_await(asking), 2);
    return 0;
}
