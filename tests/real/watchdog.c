/* SPDX-License-Identifier: MIT */
/* watchdog.c: a loop that is kept from running is named while it is, and nothing else is.
 *
 * Whoever blocks does so until the report is there, so that a loaded machine makes a test slow and not wrong. */
#include "test.h"

#include "base/base.h"
#include "base/valgrind.h"
#include "loop/loop.h"

#include <dirent.h>
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 8.0 /* seconds for what takes a seventh of one */
#define NOINLINE __attribute__((noinline))

static const crank_backend backends[] = { CRANK_BACKEND_EPOLL, CRANK_BACKEND_URING };

static atomic_int reports;
static atomic_int other_reports;
static char said[8192];
static char about[64];
static double said_at;

static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
static double computed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* On the watchdog's thread: the first report's text is there before its count is. */
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    if (report->kind != CRANK_REPORT_BLOCKED) {
        atomic_fetch_add(&other_reports, 1);
        return;
    }
    if (atomic_load(&reports) == 0) {
        snprintf(said, sizeof said, "%s", report->text);
        snprintf(about, sizeof about, "%s", report->task ? report->task : "");
        said_at = wall();
    }
    atomic_fetch_add(&reports, 1);
}

static crank_options watched(crank_backend backend)
{
    if (getenv("TEST_EMULATED") || RUNNING_ON_VALGRIND)
        test_skip("the kernel knows the emulator's thread, not ours");
    atomic_store(&reports, 0);
    said[0] = about[0] = 0;
    return (crank_options){ .backend = backend, .on_report = keep };
}

/* Does a frame of the report lie in the function that begins at fn? */
static bool stands_in_report(const void *fn)
{
    Dl_info info;
    uintptr_t base = dladdr(fn, &info) ? (uintptr_t)info.dli_fbase : 0;
    const char *slash = strrchr(info.dli_fname, '/');
    char begins[128];
    snprintf(begins, sizeof begins, "%s+0x", slash ? slash + 1 : info.dli_fname);
    for (const char *at = said; (at = strstr(at, begins)); at++) {
        uintptr_t address = base + strtoul(at + strlen(begins), NULL, 16);
        if (address >= (uintptr_t)fn && address < (uintptr_t)fn + 600)
            return true;
    }
    return false;
}
#define STANDS(fn) stands_in_report((const void *)(uintptr_t)(fn))
#define EXPECT_STANDS(fn) (STANDS(fn) ? (void)0 : test_fail(__FILE__, __LINE__, "no frame lies in %s:\n%s", #fn, said))

/* For how long, as the report says. */
static long milliseconds_said(void)
{
    long span = 0;
    EXPECT_EQ(sscanf(said, "crank: blocked loop: nothing else has run for %ld ms", &span), 1);
    return span;
}

static atomic_uint sink; /* of several threads */
NOINLINE static int nap_until_reported(void)
{
    double end = wall() + PATIENCE;
    while (atomic_load(&reports) == 0 && wall() < end)
        usleep(5000);
    return atomic_load(&reports);
}
NOINLINE static int naps(void)
{
    crank_set_name(NULL, "napper");
    int n = nap_until_reported();
    sink++; /* no tail call */
    return n;
}
static int await_naps(void) { return (int)crank_await(crank_spawn(naps)); }

TEST(watchdog, names_a_task_that_sleeps_in_a_system_call)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        crank_options options = watched(backends[i]);
        EXPECT_EQ(crank_run_with(&options, await_naps), 1);
        EXPECT_STR(about, "napper");
        EXPECT(milliseconds_said() >= 100);
        EXPECT_CONTAINS(said, "task 'napper' waits in clock_nanosleep");
        EXPECT_CONTAINS(said, "<Task running name='napper' fn=naps spawned at watchdog.c:");
        EXPECT_STANDS(nap_until_reported);
        EXPECT_STANDS(naps);
    }
    EXPECT_EQ(other_reports, 0);
}

NOINLINE static int compute_until_reported(void)
{
    double end = wall() + PATIENCE;
    do {
        for (unsigned i = 0; i < 1000000; i++)
            sink += i;
    } while (atomic_load(&reports) == 0 && wall() < end);
    return atomic_load(&reports);
}
NOINLINE static int computes(void)
{
    int n = compute_until_reported();
    sink++;
    return n;
}
static int await_computes(void) { return (int)crank_await(crank_spawn(computes)); }

TEST(watchdog, names_a_task_that_computes)
{
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        crank_options options = watched(backends[i]);
        EXPECT_EQ(crank_run_with(&options, await_computes), 1);
        for (int again = 0; again < 4 && strstr(said, "went on before its stack"); again++) {
            options = watched(backends[i]); /* on a loaded machine the thread may be out of turn for 0.1 s */
            EXPECT_EQ(crank_run_with(&options, await_computes), 1);
        }
        EXPECT_CONTAINS(said, "' computes");
        EXPECT_CONTAINS(said, "fn=computes spawned at watchdog.c:");
        if (!CR_TSAN) { /* which puts signals off to calls it knows */
            EXPECT_STANDS(compute_until_reported);
            EXPECT_STANDS(computes);
        }
    }
}

NOINLINE static int body(void)
{
    (void)nap_until_reported();
    return crank_yield(1);
}
static int asks_generator(void)
{
    crank_generator *g = crank_generate(body);
    int value;
    EXPECT_EQ(crank_next(g, &value), 1);
    return crank_generator_close(g);
}
TEST(watchdog, sees_through_a_generators_stack)
{
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    EXPECT_EQ(crank_run_with(&options, asks_generator), 0);
    EXPECT_STANDS(nap_until_reported);
    EXPECT_STANDS(body);
}

NOINLINE static void callback(void *arg)
{
    (void)nap_until_reported();
    crank_loop_stop(arg);
}
TEST(watchdog, names_a_callback_of_a_loop_without_tasks)
{
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    crank_loop *loop = crank_loop_new(&options);
    EXPECT(crank_call_soon(loop, callback, loop) != NULL);
    EXPECT_EQ(crank_loop_run(loop), 0);
    crank_loop_free(loop);
    EXPECT_EQ(reports, 1);
    EXPECT_STR(about, "");
    EXPECT_CONTAINS(said, "since a callback waits in clock_nanosleep");
    EXPECT_STANDS(nap_until_reported);
    EXPECT_STANDS(callback);
}

/* ---- what is no reason */

static int threads(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}
static int blocks_for_long(void)
{
    int count = threads();
    usleep(250000);
    return count;
}
TEST(watchdog, is_no_thread_where_it_is_switched_off_or_time_is_simulated)
{
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    int before = threads(); /* a sanitizer may have one of its own */
    options.blocked_after = -1;
    EXPECT_EQ(crank_run_with(&options, blocks_for_long), before);
    options.blocked_after = CRANK_FOREVER;
    EXPECT_EQ(crank_run_with(&options, threads), before);
    options = watched(CRANK_BACKEND_SIM);
    EXPECT_EQ(crank_run_with(&options, threads), before);
    EXPECT_EQ(crank_run_with(&options, blocks_for_long), before);
    EXPECT_EQ(reports, 0);
    options = watched(CRANK_BACKEND_EPOLL);
    EXPECT_EQ(crank_run_with(&options, threads), before + 1);
}

static int works_in_pieces(void)
{
    for (double end = wall() + 0.4; wall() < end;) {
        for (double piece = computed() + 0.02; computed() < piece;)
            sink++;
        crank_try(crank_sleep(0));
    }
    crank_try(crank_sleep(0.2));
    return 0;
}
TEST(watchdog, is_silent_about_short_work_and_an_idle_loop)
{
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    EXPECT_EQ(crank_run_with(&options, works_in_pieces), 0);
    EXPECT_EQ(reports, 0);
}

/* The loop's thread on one core with six that want it all: pieces of 20 ms take three times as long as is allowed. */
TEST(watchdog, is_silent_about_a_thread_that_only_waits_for_a_processor)
{
    test_needs_long();
    enum { HOGS = 6 };
    pid_t hogs[HOGS];
    cpu_set_t before, one;
    CPU_ZERO(&one);
    EXPECT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    for (int i = 0; i < HOGS; i++) {
        hogs[i] = fork();
        if (hogs[i] == 0)
            for (;;)
                sink++;
    }
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(crank_run_with(&options, works_in_pieces), 0);
    for (int i = 0; i < HOGS; i++) {
        kill(hogs[i], SIGKILL);
        waitpid(hogs[i], NULL, 0);
    }
    sched_setaffinity(0, sizeof before, &before);
    if (reports > 0)
        test_fail(__FILE__, __LINE__, "%d reports, the first is\n%s", reports, said);
}

/* ---- no system call ends early */

static int early;
static void expect_full(int result, double begun, double span)
{
    if (result != 0 || wall() - begun < span)
        early++;
}

/* Each round is a standstill of its own, looked at and reported while it changes from one to the other. */
static int computes_and_waits(void)
{
    for (int round = 0; round < 25; round++) {
        for (int i = 0; i < 6; i++) {
            double begun = wall();
            while (computed() < 0 || wall() - begun < 0.001 + 0.0003 * round)
                sink++;
            begun = wall();
            expect_full(poll(NULL, 0, 1), begun, 0.001);
            begun = wall();
            expect_full(nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL), begun, 0.0005);
        }
        crank_try(crank_sleep(0));
    }
    return 0;
}
TEST(watchdog, ends_no_system_call_early)
{
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    options.blocked_after = 0.005;
    options.debug = true;                       /* each standstill is looked at */
    for (int i = 0; i < 5 && reports == 0; i++) /* a loaded machine may not let the watchdog see one in 25 rounds */
        EXPECT_EQ(crank_run_with(&options, computes_and_waits), 0);
    EXPECT_EQ(early, 0);
    EXPECT(reports > 0);
}

/* ---- how often */

static int blocks_again(void)
{
    int first = nap_until_reported();
    for (int i = 0; i < 4; i++) {
        crank_try(crank_sleep(0));
        usleep(40000);
    }
    return first;
}
static int blocks_until_said_twice(void)
{
    for (double end = wall() + PATIENCE; atomic_load(&reports) < 2 && wall() < end;) {
        usleep(40000);
        crank_try(crank_sleep(0));
    }
    return atomic_load(&reports) >= 2;
}
TEST(watchdog, says_it_once_and_then_seldom_but_in_debug_mode)
{
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    options.blocked_after = 0.015;
    double begun = wall();
    EXPECT_EQ(crank_run_with(&options, blocks_again), 1);
    EXPECT(reports == 1 || wall() - begun > 1);
    options = watched(CRANK_BACKEND_EPOLL);
    options.blocked_after = 0.015;
    options.debug = true;
    EXPECT_EQ(crank_run_with(&options, blocks_until_said_twice), 1);
}

/* ---- many loops, and what it costs */

static void *run_naps(void *arg)
{
    crank_options options = *(const crank_options *)arg;
    return (void *)(uintptr_t)crank_run_with(&options, naps);
}
TEST(watchdog, watches_the_loops_of_all_threads)
{
    enum { LOOPS = 4 };
    pthread_t others[LOOPS];
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    int before = threads();
    for (int i = 0; i < LOOPS; i++)
        EXPECT_EQ(pthread_create(&others[i], NULL, run_naps, &options), 0);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(others[i], NULL);
    EXPECT(reports >= 1 && reports <= LOOPS);
    for (int i = 0; i < 50; i++) /* loops that come and go while others are looked at */
        EXPECT_EQ(crank_run_with(&options, threads), before + 1);
}

static int goes_on_until_reported(void)
{
    for (double end = wall() + PATIENCE; atomic_load(&reports) == 0 && wall() < end;)
        crank_try(crank_sleep(0.001));
    return atomic_load(&reports);
}
static void *run_going_on(void *arg)
{
    crank_options options = *(const crank_options *)arg;
    return (void *)(uintptr_t)crank_run_with(&options, goes_on_until_reported);
}
TEST(watchdog, names_a_loop_that_stands_while_another_goes_on)
{
    pthread_t other;
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    EXPECT_EQ(pthread_create(&other, NULL, run_going_on, &options), 0);
    EXPECT_EQ(crank_run_with(&options, await_naps), 1);
    pthread_join(other, NULL);
    EXPECT_STR(about, "napper");
}

/* Each loop in a report hook of its own: when both were named. */
enum { PAIR = 2 };
static atomic_int named_both;
static double named_at[PAIR];
static void keep_instant(const crank_report *report, void *arg)
{
    double *at = arg;
    if (report->kind != CRANK_REPORT_BLOCKED || *at > 0)
        return;
    *at = wall();
    atomic_fetch_add(&named_both, 1);
}
static int naps_until_both_are_named(void)
{
    for (double end = wall() + PATIENCE; atomic_load(&named_both) < PAIR && wall() < end;)
        usleep(5000);
    return 0;
}
static void *run_one_of_a_pair(void *at)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL, .on_report = keep_instant, .on_report_arg = at };
    return (void *)(uintptr_t)crank_run_with(&options, naps_until_both_are_named);
}
TEST(watchdog, names_two_loops_that_stand_at_once_at_once)
{
    double apart = PATIENCE;
    (void)watched(CRANK_BACKEND_EPOLL);
    for (int i = 0; i < 8 && apart > 0.03; i++) { /* a machine that is busy elsewhere makes some later */
        pthread_t others[PAIR];
        atomic_store(&named_both, 0);
        for (int k = 0; k < PAIR; k++) {
            named_at[k] = 0;
            EXPECT_EQ(pthread_create(&others[k], NULL, run_one_of_a_pair, &named_at[k]), 0);
        }
        for (int k = 0; k < PAIR; k++)
            pthread_join(others[k], NULL);
        EXPECT_EQ(named_both, PAIR);
        double one = named_at[1] - named_at[0];
        apart = one < 0 ? -one : one;
    }
    EXPECT(apart <= 0.03); /* and not at the next look, 75 ms later */
}

static int sleeping_threads(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[300];
        char state = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1)
            count += state == 'S';
        if (file)
            fclose(file);
    }
    closedir(dir);
    return count;
}
static void *run_naps_for_long(void *arg)
{
    crank_options options = *(const crank_options *)arg;
    options.blocked_after = 3600;
    return (void *)(uintptr_t)crank_run_with(&options, nap_until_reported);
}
TEST(watchdog, of_a_parent_is_none_of_a_childs_and_the_child_has_its_own)
{
    pthread_t other;
    int status = -1;
    if (CR_TSAN)
        test_skip("ThreadSanitizer allows no thread in the child of a fork");
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    EXPECT_EQ(pthread_create(&other, NULL, run_naps_for_long, &options), 0);
    /* A sanitizer's allocator may be locked by a thread that begins, and would be for ever in the child. */
    while (sleeping_threads() < 2)
        usleep(1000);
    pid_t pid = fork();
    if (pid == 0)
        _exit(crank_run_with(&options, threads) == 2 ? 5 : 6);
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(WEXITSTATUS(status), 5);
    atomic_store(&reports, 1);
    pthread_join(other, NULL);
}

/* The processor time and the turns at it of the one other thread there is. */
static void other_thread(long long *ret_ns, long long *ret_turns)
{
    char path[300];
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == gettid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%lld %*d %lld", ret_ns, ret_turns) == 2)
            fclose(file);
    }
    closedir(dir);
}
static int goes_on(void)
{
    long long ns, before = 0, after = 0, least = INT64_MAX;
    for (int i = 0; i < 5 && least > 2; i++) { /* a machine that is busy elsewhere may keep any loop standing */
        other_thread(&ns, &before);
        for (double end = wall() + 0.5; wall() < end;)
            crank_try(crank_sleep(i % 2 ? 0.001 : 0));
        other_thread(&ns, &after);
        least = after - before < least ? after - before : least;
    }
    EXPECT(least <= 2); /* by itself it would look six times */
    return 0;
}
TEST(watchdog, is_not_woken_while_its_one_loop_goes_on)
{
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    EXPECT_EQ(crank_run_with(&options, goes_on), 0);
}

static int mostly_idle(void)
{
    long long ns_before = 0, ns = 0, turns_before = 0, turns = 0;
    crank_try(crank_sleep(0.8));
    other_thread(&ns_before, &turns_before);
    crank_try(crank_sleep(1.5));
    other_thread(&ns, &turns);
    EXPECT(turns_before > 0);
    EXPECT(turns - turns_before <= 16); /* the sleeps' own ends wake it */
    return 0;
}
TEST(watchdog, sleeps_where_all_loops_do)
{
    test_needs_long();
    crank_options options = watched(CRANK_BACKEND_EPOLL);
    EXPECT_EQ(crank_run_with(&options, mostly_idle), 0);
}
