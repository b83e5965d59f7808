/* SPDX-License-Identifier: MIT */
/* guards.c: a kernel without MADV_GUARD_INSTALL, where each stack's guard costs two of the mappings a process may have.
 * At half of them a task gets no stack and says so; whatever else the program does goes on. tests/unit/stack.c has the
 * pool alone. */
#include "base/base.h"
#include "run/run.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { REFUSED = 200, PER_GUARD = 2 };

static struct {
    const char *limit; /* what vm.max_map_count says; NULL: what it says here */
    size_t room;       /* tasks with a stack, beside app */
    size_t parked;
    crank_event *go;
} old;

static int advise(void *context, void *memory, size_t size, int advice)
{
    return advice == MADV_GUARD_INSTALL ? -EINVAL : cr_sys_real.advise(context, memory, size, advice);
}

static ssize_t advise_many(void *context, const struct iovec *ranges, size_t n, int advice)
{
    return advice == MADV_GUARD_INSTALL ? -EINVAL : cr_sys_real.advise_many(context, ranges, n, advice);
}

static int open_limit(void *context, const char *path, int flags, unsigned mode)
{
    int ends[2];
    if (!old.limit || strcmp(path, "/proc/sys/vm/max_map_count") != 0)
        return cr_sys_real.open(context, path, flags, mode);
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_EQ(write(ends[1], old.limit, strlen(old.limit)), (ssize_t)strlen(old.limit));
    close(ends[1]);
    return ends[0];
}

static size_t count_mappings(void)
{
    char text[4096];
    size_t lines = 0;
    ssize_t got;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while ((got = read(fd, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < got; i++)
            lines += text[i] == '\n';
    close(fd);
    return lines;
}

static int work(int number)
{
    old.parked++;
    crank_try(crank_event_wait(old.go));
    old.parked--;
    crank_try(crank_sleep(0));
    return number + 1;
}
static int twice(int number) { return 2 * number; }
static void *give_back(void *arg) { return arg; }

/* What needs mappings, and is not crank's. */
static void use_the_other_half(void)
{
    pthread_t thread;
    void *result = NULL;
    void *volatile large = malloc((size_t)1 << 22);
    EXPECT(large != NULL);
    EXPECT_EQ(pthread_create(&thread, NULL, give_back, large), 0);
    EXPECT_EQ(pthread_join(thread, &result), 0);
    EXPECT(result == large);
    free(large);
}

/* Spawn so many, of which those for whom there is room park, end them, and count those that ended well. */
static size_t run_some(crank_task **tasks, size_t count, const char **ret_said)
{
    size_t well = 0;
    crank_event_clear(old.go);
    test_capture();
    for (size_t i = 0; i < count; i++)
        tasks[i] = crank_spawn(work, (int)i);
    EXPECT_EQ(crank_sleep(0), 0);
    *ret_said = test_captured();
    EXPECT_EQ(old.parked, count < old.room ? count : old.room);
    use_the_other_half();
    EXPECT_EQ(crank_await(crank_to_thread(twice, 21)), 42);
    crank_event_set(old.go);
    for (size_t i = 0; i < count; i++) {
        long result = crank_await(tasks[i]);
        EXPECT(result == (long)i + 1 || result == -ENOMEM);
        well += result > 0;
    }
    EXPECT_EQ(old.parked, 0);
    return well;
}

static long crowd(void *arg)
{
    const char *said;
    size_t before = *(size_t *)arg;
    crank_task **tasks = test_memory((old.room + REFUSED) * sizeof(crank_task *));
    old.go = crank_event_new();
    EXPECT_EQ(run_some(tasks, old.room + REFUSED, &said), old.room);
    char expected[64];
    snprintf(expected, sizeof expected, "%zu stacks hold half of vm.max_map_count", old.room + 1);
    EXPECT_CONTAINS(said, "crank: no more stacks");
    EXPECT_CONTAINS(said, expected);
    EXPECT(strchr(said, '\n') == said + strlen(said) - 1); /* one line, however many there was none for */
    if (!getenv("TEST_EMULATED") && !CR_SWITCH_SANITIZED)
        EXPECT(count_mappings() - before < (old.room + 1) * PER_GUARD + 100);
    EXPECT_EQ(run_some(tasks, old.room, &said), old.room);
    EXPECT_STR(said, "");
    crank_event_free(old.go);
    return 0;
}

/* Two runs: the second has all that the first had. */
static void run_crowds(crank_backend backend)
{
    cr_sys sys = cr_sys_real;
    crank_options options = { .backend = backend, .hibernate_after = 1e6 };
    sys.advise = advise;
    sys.advise_many = advise_many;
    sys.open = open_limit;
    for (int i = 0; i < 2; i++) {
        size_t before = count_mappings();
        EXPECT_EQ(cr_run_raw_on(&sys, &options, crowd, &before), 0);
    }
}

static void run_limited(crank_backend backend)
{
    old.limit = "1000\n";
    old.room = 1000 / 2 / PER_GUARD - 1;
    run_crowds(backend);
}
TEST(guards_that_cost_mappings, stop_tasks_at_half_of_them_and_nothing_else_on_sim) { run_limited(CRANK_BACKEND_SIM); }
TEST(guards_that_cost_mappings, stop_tasks_at_half_of_them_and_nothing_else_on_epoll)
{
    run_limited(CRANK_BACKEND_EPOLL);
}
TEST(guards_that_cost_mappings, stop_tasks_at_half_of_them_and_nothing_else_on_uring)
{
    run_limited(CRANK_BACKEND_URING);
}

/* With as many as this kernel gives: half of them must be enough, and the other half be there. */
TEST(guards_that_cost_mappings, stop_tasks_at_half_of_what_there_is)
{
    char text[32] = "";
    test_needs_long();
    if (getenv("TEST_EMULATED") || CR_SWITCH_SANITIZED)
        test_skip("the process has more mappings than its own");
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    EXPECT(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    size_t limit = strtoul(text, NULL, 10);
    if (limit > 1000000)
        test_skip("vm.max_map_count is %zu: that many stacks are another test's", limit);
    old.room = limit / 2 / PER_GUARD - 1;
    run_crowds(CRANK_BACKEND_EPOLL);
}
