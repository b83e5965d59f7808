/* SPDX-License-Identifier: MIT */
/* 06_blocked.c: how long a loop is blocked before the watchdog names it, and what the watchdog costs.
 *
 * 06_blocked TRIALS SECONDS prints the figures; its status is 1 where the median is beyond 200 ms, the cost beyond 0.1%
 * of a processor for a loop that is never idle, or beyond 0.1% and half as much again as bare wake-ups cost for a loop
 * that makes the watchdog look as often as it ever does. Built without frame pointers, as most programs are. */
#include <crank.h>

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TRIALS_MAX = 101, SPANS = 3 };
#define PAUSE 0.08 /* somewhat more than the watchdog lets pass between two looks */

static atomic_bool reported;
static double reported_at, reported_after; /* in wall time, and in what the loop's thread had computed */
static clockid_t computed;
static bool named;

static double seconds_on(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
static double wall(void) { return seconds_on(CLOCK_MONOTONIC); }

static void note(const crank_report *report, void *arg)
{
    const char *fn = arg;
    if (report->kind != CRANK_REPORT_BLOCKED || atomic_load(&reported))
        return;
    reported_at = wall();
    reported_after = seconds_on(computed);
    named = strstr(report->text, fn) && strstr(report->text, "06_blocked.c") && strstr(report->text, "#1 ");
    atomic_store(&reported, true);
}

/* Each gives the seconds from the beginning of its block to the report, 0 where there was none. While it waits for a
 * processor nobody can say of a thread that it computes: on a loaded machine that time would be the machine's. */
static double sleeps(double begun)
{
    while (!atomic_load(&reported) && wall() - begun < 5)
        usleep(1000);
    return atomic_load(&reported) ? reported_at - begun : 0;
}
static volatile unsigned sink;
static double computes(double begun)
{
    double had = seconds_on(computed);
    while (!atomic_load(&reported) && wall() - begun < 5)
        for (unsigned i = 0; i < 100000; i++)
            sink += i;
    return atomic_load(&reported) ? reported_after - had : 0;
}

static double found;
static int app(double (*block)(double), int phase)
{
    /* At another moment between two looks of the watchdog's each time. */
    crank_try(crank_sleep(0.02 + 0.0031 * phase));
    crank_task *t = block == sleeps ? crank_spawn(sleeps, wall()) : crank_spawn(computes, wall());
    found = crank_await_double(t);
    return 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The median of several runs, in milliseconds; *ret_most is the largest. */
static double median(const char *name, double (*block)(double), int trials, double *ret_most)
{
    static double spans[TRIALS_MAX];
    char fn[32];
    snprintf(fn, sizeof fn, "fn=%s", name);
    for (int i = 0; i < trials; i++) {
        crank_options options = { .backend = CRANK_BACKEND_EPOLL, .on_report = note, .on_report_arg = fn };
        atomic_store(&reported, false);
        named = false;
        if (crank_run_with(&options, app, block, i) != 0 || found <= 0 || !named) {
            printf("a task that %s was not named with its place and a backtrace\n", name);
            exit(1);
        }
        spans[i] = found * 1e3;
    }
    qsort(spans, (size_t)trials, sizeof *spans, ascending);
    *ret_most = spans[trials - 1];
    return spans[trials / 2];
}

/* Of the one other thread of this process, nanoseconds. */
static long long other_threads_time(void)
{
    long long total = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[300];
        long long ns;
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == gettid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%lld", &ns) == 1)
            total += ns;
        if (file)
            fclose(file);
    }
    closedir(dir);
    return total;
}

/* In place of libc's: what setting the watchdog's timer costs the thread that does. */
static atomic_llong settings, settings_time;
int timerfd_settime(int fd, int flags, const struct itimerspec *due, struct itimerspec *ret_before)
{
    double begun = wall();
    int result = (int)syscall(SYS_timerfd_settime, fd, flags, due, ret_before);
    atomic_fetch_add(&settings_time, (long long)((wall() - begun) * 1e9));
    atomic_fetch_add(&settings, 1);
    return result;
}

/* What other threads and setting timers take of a processor meanwhile, in percent. How often those are set. */
static double share, settings_per_second;
static int goes_on(double seconds, double pause)
{
    crank_try(crank_sleep(0.05)); /* the thread of the run before was joined, and may still be listed */
    long long set = atomic_load(&settings), before = other_threads_time() + atomic_load(&settings_time);
    double begun = wall();
    while (wall() - begun < seconds)
        crank_try(crank_sleep(pause));
    double span = wall() - begun;
    share = (double)(other_threads_time() + atomic_load(&settings_time) - before) / (span * 1e7);
    settings_per_second = (double)(atomic_load(&settings) - set) / span;
    return 0;
}

/* What the watchdog takes for a loop that sleeps so long again and again, 0: never. Of several spans the one counts
 * that the machine's other work has added least to. */
static double watchdogs_share(double seconds, double pause)
{
    double least = 100;
    for (int i = 0; i < SPANS; i++) {
        if (crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, goes_on, seconds, pause) != 0)
            exit(1);
        least = share < least ? share : least;
    }
    return least;
}

/* What it takes to wake as often and to do nothing: on a virtual machine that may be as much. */
static void *wake_only(void *arg)
{
    for (;;)
        nanosleep(&(struct timespec){ .tv_nsec = (long)(PAUSE * 1e9) }, NULL);
    return arg;
}
static double wakers_share(double seconds)
{
    pthread_t waker;
    crank_options unwatched = { .backend = CRANK_BACKEND_EPOLL, .blocked_after = -1 };
    if (pthread_create(&waker, NULL, wake_only, NULL) != 0 || crank_run_with(&unwatched, goes_on, seconds, 0.0) != 0)
        exit(1);
    pthread_cancel(waker);
    pthread_join(waker, NULL);
    return share;
}

int main(int argc, char **argv)
{
    int trials = argc > 1 ? atoi(argv[1]) : 5;
    double seconds = argc > 2 ? atof(argv[2]) : 2, most_asleep, most_busy;
    if (pthread_getcpuclockid(pthread_self(), &computed) != 0)
        return 1;
    if (trials < 1 || trials > TRIALS_MAX)
        trials = 5;
    double asleep = median("sleeps", sleeps, trials, &most_asleep);
    double computing = median("computes", computes, trials, &most_busy);
    double waking = watchdogs_share(seconds, PAUSE), taken = watchdogs_share(seconds, 0), often = settings_per_second;
    double bare = wakers_share(seconds), allowed = 1.5 * bare > 0.1 ? 1.5 * bare : 0.1;
    printf("figures: a blocked loop is named after %.0f ms asleep, %.0f ms computing (medians of %d, most %.0f and "
           "%.0f); the watchdog takes %.3f%% of a processor for a loop that is never idle (which sets its timer %.0f "
           "times a second), %.3f%% for one that wakes every %.0f ms, where a thread that only wakes as often takes "
           "%.3f%%\n",
        asleep, computing, trials, most_asleep, most_busy, taken, often, waking, PAUSE * 1e3, bare);
    return asleep > 200 || computing > 200 || taken > 0.1 || taken <= 0 || waking > allowed || waking <= 0;
}
