/* SPDX-License-Identifier: MIT */
/* resolver.h: runs on an OS table whose resolver, and whose connect, are the test's own. */
#ifndef RESOLVER_H
#define RESOLVER_H
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/socket.h>
#include "base/sys.h"
#include "run/run.h"
#include "test.h"

static cr_sys resolver; /* the real table but for what a test puts in its place */
static atomic_int resolver_calls;
static atomic_int resolver_threads;  /* made */
static atomic_int resolver_inside;   /* calls that have not returned */
static atomic_int resolver_most;     /* at a time */
static atomic_int resolver_returned; /* calls that have */
static bool resolver_open;           /* under the lock: "slow" names are answered */
static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_opened = PTHREAD_COND_INITIALIZER;

/* The names that begin with "slow" are answered from now on. */
__attribute__((unused)) static void open_resolver(void)
{
    pthread_mutex_lock(&resolver_lock);
    resolver_open = true;
    pthread_cond_broadcast(&resolver_opened);
    pthread_mutex_unlock(&resolver_lock);
}

static void wait_until_open(void)
{
    pthread_mutex_lock(&resolver_lock);
    while (!resolver_open)
        pthread_cond_wait(&resolver_opened, &resolver_lock);
    pthread_mutex_unlock(&resolver_lock);
}

static void put_v6(struct sockaddr_in6 *ret_address, const char *text)
{
    *ret_address = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
    EXPECT_EQ(inet_pton(AF_INET6, text, &ret_address->sin6_addr), 1);
}

static void put_v4(struct sockaddr_in6 *ret_address, const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    EXPECT_EQ(inet_pton(AF_INET, text, &v4.sin_addr), 1);
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address, &v4, sizeof v4);
}

/* "none" is no name, "mute" has no answer, "many" has five addresses, all others have two. */
static int test_resolve(void *context, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max)
{
    (void)context;
    EXPECT(max >= 5);
    int inside = atomic_fetch_add(&resolver_inside, 1) + 1;
    if (inside > atomic_load(&resolver_most))
        atomic_store(&resolver_most, inside);
    atomic_fetch_add(&resolver_calls, 1);
    if (strncasecmp(name, "slow", 4) == 0)
        wait_until_open();
    atomic_fetch_sub(&resolver_inside, 1);
    atomic_fetch_add(&resolver_returned, 1);
    if (strcmp(name, "none") == 0)
        return -ENOENT;
    if (strcmp(name, "mute") == 0)
        return -EAGAIN;
    put_v6(&ret_addresses[0], "2001:db8::1");
    if (strcmp(name, "many") != 0) {
        put_v4(&ret_addresses[1], "127.0.0.1");
        return 2;
    }
    put_v6(&ret_addresses[1], "2001:db8::2");
    put_v6(&ret_addresses[2], "2001:db8::3");
    put_v4(&ret_addresses[3], "192.0.2.1");
    put_v4(&ret_addresses[4], "192.0.2.2");
    return 5;
}

static int test_thread_start(
    void *context, unsigned long *ret_thread, void *(*fn)(void *), void *arg, size_t stack_size)
{
    (void)context;
    atomic_fetch_add(&resolver_threads, 1);
    return cr_sys_real.thread_start(cr_sys_real.context, ret_thread, fn, arg, stack_size);
}

static void make_resolver(void)
{
    resolver = cr_sys_real;
    resolver.resolve = test_resolve;
    resolver.thread_start = test_thread_start;
}

static long call_app(void *app)
{
    int (*fn)(void);
    memcpy(&fn, &app, sizeof fn);
    return fn();
}

/* A run of app on that table. */
static long run_resolving(crank_backend backend, int (*app)(void))
{
    void *arg;
    memcpy(&arg, &app, sizeof arg);
    return cr_run_raw_on(&resolver, &(crank_options){ .backend = backend }, call_app, arg);
}

/* RESOLVING(subject, sentence) { ... return 0; }: an app on the real backends. */
#define RESOLVING(subject, sentence) \
    static int subject##_##sentence(void); \
    TEST(subject, sentence##_epoll) \
    { \
        make_resolver(); \
        EXPECT_EQ(run_resolving(CRANK_BACKEND_EPOLL, subject##_##sentence), 0); \
        open_resolver(); \
    } \
    TEST(subject, sentence##_uring) \
    { \
        make_resolver(); \
        EXPECT_EQ(run_resolving(CRANK_BACKEND_URING, subject##_##sentence), 0); \
        open_resolver(); \
    } \
    static int subject##_##sentence(void)
#endif
