/* SPDX-License-Identifier: MIT */
/* process.c: run one program once. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "driver.h"

static double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The first core this process may use. */
static void pin_to_first(void)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return;
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            sched_setaffinity(0, sizeof one, &one);
            return;
        }
}

/* In the child: nothing but the output pipe and stderr is ours. */
static void become(char *const *argv, bool every_core, int output)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!every_core)
        pin_to_first();
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(output < 0 ? null : output, 1);
    execvp(argv[0], argv);
    fprintf(stderr, "bench: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Collect what the program prints until it closes its end or time is up. False: time is up. */
static bool collect(int fd, double deadline, process_run *ret)
{
    size_t have = 0;
    char waste[4096];
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        double left = deadline - wall();
        int patience = progress_tick(), most = (int)(left * 1000) + 1;
        if (left <= 0)
            return false;
        if (poll(&p, 1, most < patience ? most : patience) == 0)
            continue;
        size_t room = sizeof ret->output - 1 - have;
        ssize_t got = room ? read(fd, ret->output + have, room) : read(fd, waste, sizeof waste);
        if (got <= 0)
            break;
        if (room)
            have += (size_t)got;
        ret->output[have] = '\0';
    }
    return true;
}

static int exit_status(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

int process_measure(char *const *argv, bool every_core, double limit, process_run *ret)
{
    int ends[2], status = 0;
    ret->output[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    double started = wall();
    pid_t child = vfork();
    if (child == 0)
        become(argv, every_core, ends[1]);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -errno;
    }
    bool in_time = collect(ends[0], started + limit, ret);
    close(ends[0]);
    if (!in_time)
        kill(child, SIGKILL);
    waitpid(child, &status, 0);
    ret->wall = wall() - started;
    ret->status = in_time ? exit_status(status) : 124;
    return 0;
}

/* Resident high-water mark of a stopped process, in MB. */
static double peak_of(pid_t pid)
{
    char path[64], line[256];
    double peak = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, (int)sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6))
            peak = (double)atol(line + 6) / 1024;
    if (status)
        fclose(status);
    return peak;
}

/* A traced program stops as it exits, with its memory still there. What the kernel reports
 * afterwards (ru_maxrss) counts the memory of whoever started it. */
double process_peak(char *const *argv)
{
    int status;
    double peak = -1;
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(127);
        become(argv, false, -1);
    }
    if (waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status))
        return -1; /* it could not be traced, and is gone */
    ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
    int pass = 0;
    while (ptrace(PTRACE_CONT, child, NULL, pass) == 0 && waitpid(child, &status, 0) > 0 && WIFSTOPPED(status)) {
        bool exiting = status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8);
        if (exiting)
            peak = peak_of(child);
        pass = exiting || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    }
    return peak;
}

int process_shell(const char *command, const char *folder, const char *out, const char *log, process_run *ret)
{
    char line[4096];
    snprintf(line, sizeof line, "cd '%s' && export OUT='%s' && mkdir -p \"$OUT\" && { %s\n} %s%s%s",
        folder ? folder : ".", out, command, log ? ">'" : "", log ? log : "", log ? "' 2>&1" : "");
    char *argv[] = { "/bin/sh", "-c", line, NULL };
    int err = process_measure(argv, true, 1800, ret);
    return err < 0 ? 127 : ret->status;
}
