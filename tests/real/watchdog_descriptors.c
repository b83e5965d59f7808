/* SPDX-License-Identifier: MIT */
/* watchdog_descriptors.c: the watchdog's thread shares no descriptors with the program, but where a hook of the
 * program's is called by it. */
#include "test.h"

#include "base/base.h"
#include "base/valgrind.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 8.0 /* seconds for what takes a seventh of one */

static atomic_int reports;
static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of the one thread there is beside this one. */
static int descriptors_of_other_thread(void)
{
    char path[300];
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; tasks && (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == gettid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/fd", entry->d_name);
        DIR *descriptors = opendir(path);
        for (struct dirent *one; descriptors && (one = readdir(descriptors));)
            count += one->d_name[0] != '.';
        closedir(descriptors);
    }
    closedir(tasks);
    return count;
}
/* Is it one that this kernel, a container or a sanitizer does not keep from having its own? */
static void needs_own_descriptors(void)
{
    int duplicate = -1, process = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (process >= 0)
        duplicate = (int)syscall(SYS_pidfd_getfd, process, STDOUT_FILENO, 0);
    if (duplicate < 0 || syscall(SYS_close_range, duplicate, process > duplicate ? process : duplicate, 0) < 0)
        test_skip("descriptors of another thread cannot be had here");
    close(process);
    if (CR_SWITCH_SANITIZED || RUNNING_ON_VALGRIND || getenv("TEST_EMULATED"))
        test_skip("a sanitizer writes to the process's descriptors");
}

static int ends[2];
static int blocks_until_told(void)
{
    char told[4096] = "";
    struct pollfd readable = { .fd = ends[0], .events = POLLIN };
    crank_try(crank_sleep(0.01));
    for (double end = wall() + PATIENCE; descriptors_of_other_thread() != 1;)
        EXPECT(wall() < end);
    int stderr_before = dup(STDERR_FILENO);
    EXPECT_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    EXPECT_EQ(poll(&readable, 1, (int)(1000 * PATIENCE)), 1); /* blocks the loop */
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    EXPECT(read(ends[0], told, sizeof told - 1) > 0);
    EXPECT_CONTAINS(told, "blocked loop: nothing else has run for");
    while (descriptors_of_other_thread() != 1) /* it has given that back */
        usleep(1000);
    return 0;
}
TEST(watchdog, has_its_timer_alone_and_borrows_stderr)
{
    needs_own_descriptors();
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_EPOLL), blocks_until_told), 0);
    close(ends[0]);
    close(ends[1]);
}

static char state_of(pid_t thread)
{
    char path[64], state = '?';
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = '?';
    if (file)
        fclose(file);
    return state;
}
static atomic_bool first_may_end;
static int blocks_until_stderr_is_read(void)
{
    char told[4096] = "";
    struct pollfd readable = { .fd = ends[0], .events = POLLIN };
    crank_try(crank_sleep(0.02)); /* the watchdog has begun, and left the process's descriptors */
    atomic_store(&first_may_end, true);
    for (double end = wall() + PATIENCE; state_of(getpid()) != 'Z' && wall() < end;)
        crank_try(crank_sleep(0.001));
    if (poll(&readable, 1, (int)(1000 * PATIENCE)) != 1 || read(ends[0], told, sizeof told - 1) <= 0)
        return -ETIMEDOUT;
    return strstr(told, "blocked loop: nothing else has run for") ? 0 : -EBADMSG;
}
static void *run_while_the_first_ends(void *arg)
{
    (void)arg;
    _exit(crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_EPOLL), blocks_until_stderr_is_read) == 0 ? 0 : 1);
}
TEST(watchdog, borrows_stderr_of_the_loops_thread_where_the_first_has_ended)
{
    int status = -1;
    needs_own_descriptors();
    EXPECT_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        pthread_t other;
        if (dup2(ends[1], STDERR_FILENO) < 0 || pthread_create(&other, NULL, run_while_the_first_ends, NULL) != 0)
            _exit(2);
        while (!atomic_load(&first_may_end))
            usleep(1000);
        pthread_exit(NULL);
    }
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    close(ends[0]);
    close(ends[1]);
}

static atomic_int hooked_fd = -1;
static void write_down(const crank_report *report, void *arg)
{
    (void)arg;
    if (report->kind == CRANK_REPORT_BLOCKED && write(atomic_load(&hooked_fd), "told", 4) == 4)
        atomic_fetch_add(&reports, 1);
}
static int nap_until_told(void)
{
    for (double end = wall() + PATIENCE; atomic_load(&reports) == 0 && wall() < end;)
        usleep(5000);
    return atomic_load(&reports);
}
static void *run_hooked(void *arg)
{
    (void)arg;
    return (void *)(uintptr_t)crank_run_with(
        CRANK_OPTIONS(.backend = CRANK_BACKEND_EPOLL, .on_report = write_down), nap_until_told);
}
static int run_one_with_a_hook(void)
{
    pthread_t other;
    void *told = NULL;
    EXPECT_EQ(pipe(ends), 0);
    atomic_store(&hooked_fd, ends[1]);
    EXPECT_EQ(pthread_create(&other, NULL, run_hooked, NULL), 0);
    for (double end = wall() + PATIENCE; atomic_load(&reports) == 0 && wall() < end;)
        crank_try(crank_sleep(0.001));
    pthread_join(other, &told);
    EXPECT_EQ((uintptr_t)told, 1);
    close(ends[0]);
    close(ends[1]);
    return 0;
}
TEST(watchdog, shares_the_programs_descriptors_with_a_hook)
{
    if (getenv("TEST_EMULATED") || RUNNING_ON_VALGRIND)
        test_skip("the kernel knows the emulator's thread, not ours");
    for (int i = 0; i < 3; i++) {
        atomic_store(&reports, 0);
        EXPECT_EQ(crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_EPOLL), run_one_with_a_hook), 0);
    }
}
