/* SPDX-License-Identifier: MIT */
/* N07: ten downloads, ten files, ten calculations: one by one, in processes, in threads, in tasks.
 *
 * What waits is done ten times as fast by all three; what calculates only by what runs on several
 * cores, which tasks do not (crank_to_thread does). What differs is the price: the last line is
 * the cost of starting and ending one worker that does nothing. A download is a wait of 0.1
 * seconds here. Times are real ones, also under the simulator, where the tasks' waits take none. */
#define _DEFAULT_SOURCE
#include "../support/calc_pi.h"

#include <crank.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 10, FILE_BYTES = 1 << 20, STARTS = 200 };

typedef void *work(void *arg);
typedef int task_work(const char *file);

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *download(void *unused)
{
    nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
    return unused;
}

static void *read_file(void *path)
{
    char buf[65536];
    FILE *file = fopen(path, "r");
    while (file && fread(buf, 1, sizeof buf, file) > 0)
        ;
    if (file)
        fclose(file);
    return NULL;
}

static void *calculate(void *unused)
{
    calc_pi(10000000);
    return unused;
}

static void *nothing(void *unused) { return unused; }

/* The same for tasks: these wait in crank, so that the others can run. */
static int download_task(const char *unused)
{
    (void)unused;
    return crank_sleep(0.1);
}

static int read_task(const char *path)
{
    char *data = NULL;
    size_t size;
    crank_try(crank_read_file(path, &data, &size));
    free(data);
    return 0;
}

static int calculate_task(const char *unused)
{
    (void)unused;
    calc_pi(10000000);
    return 0;
}

static int nothing_task(const char *unused)
{
    (void)unused;
    return 0;
}

static double one_by_one(work *fn, char *arg, int n)
{
    double started = seconds();
    for (int i = 0; i < n; i++)
        fn(arg);
    return seconds() - started;
}

static double in_processes(work *fn, char *arg, int n)
{
    double started = seconds();
    pid_t children[STARTS];

    for (int i = 0; i < n; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            fn(arg);
            _exit(0);
        }
    }
    for (int i = 0; i < n; i++)
        waitpid(children[i], NULL, 0);
    return seconds() - started;
}

static double in_threads(work *fn, char *arg, int n)
{
    double started = seconds();
    pthread_t threads[STARTS];

    for (int i = 0; i < n; i++) {
        if (pthread_create(&threads[i], NULL, fn, arg) != 0)
            abort();
    }
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return seconds() - started;
}

static int spawn_all(task_work *fn, const char *arg, int n, double *ret_seconds)
{
    double started = seconds();
    CRANK_GROUP(group);

    for (int i = 0; i < n; i++)
        crank_group_spawn(&group, fn, arg);
    crank_try(crank_group_wait(&group));
    *ret_seconds = seconds() - started;
    return 0;
}

static double in_tasks(task_work *fn, const char *arg, int n)
{
    double took = 0;
    int err = crank_run(spawn_all, fn, arg, n, &took);
    if (err != 0)
        exit(err);
    return took;
}

static void compare(const char *what, work *fn, task_work *task, char *arg)
{
    double serial = one_by_one(fn, arg, WORKERS);
    double processes = in_processes(fn, arg, WORKERS);
    double threads = in_threads(fn, arg, WORKERS);
    double tasks = in_tasks(task, arg, WORKERS);

    printf("%-27s %8.3f s  %8.3f s  %8.3f s  %8.3f s\n", what, serial, processes, threads, tasks);
    fflush(stdout);
}

static void write_file(int fd)
{
    static const char zeros[4096];
    for (int written = 0; written < FILE_BYTES; written += (int)sizeof zeros) {
        if (write(fd, zeros, sizeof zeros) < 0)
            abort();
    }
    close(fd);
}

int main(void)
{
    char path[] = "/tmp/crank-n07-XXXXXX";
    write_file(mkstemp(path));

    printf("%27s %10s  %10s  %10s  %10s\n", "", "one by one", "processes", "threads", "tasks");
    fflush(stdout);
    compare("ten downloads of 0.1 s", download, download_task, path);
    compare("ten reads of a 1 MiB file", read_file, read_task, path);
    compare("ten calculations", calculate, calculate_task, path);
    double process = in_processes(nothing, NULL, STARTS) / STARTS;
    double thread = in_threads(nothing, NULL, STARTS) / STARTS;
    double task = in_tasks(nothing_task, NULL, STARTS) / STARTS;
    printf("%-27s %10s  %7.2f µs  %7.2f µs  %7.2f µs\n", "starting and ending one", "", 1e6 * process, 1e6 * thread,
        1e6 * task);
    unlink(path);
    return 0;
}
