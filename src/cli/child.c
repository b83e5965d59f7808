/* SPDX-License-Identifier: MIT */
/* child.c: a program run once under the simulator, with a time limit.
 *
 * Owns the process: it is started in a group of its own, so that what it has started is killed with
 * it, and told by its environment what to choose and where to write that down. Both files are
 * memory of the kernel's that the program writes to directly: what it has written is there however
 * it ends. Being in another group it does not get the terminal's Ctrl-C: whoever stops the command
 * stops it too, as the signals that would end the command wait until it has been killed. The
 * command line is a program of its own and calls the OS itself, not through a loop. */
#include "cli/child.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The number the program finds it under, out of the way of those it opens itself. */
#define CHOICES_FD 199

extern char **environ;

/* One that is ignored, as nohup has it, would not end the command and does not stop it here. */
static void add_unless_ignored(sigset_t *set, int number)
{
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
        sigaddset(set, number);
}

/* They are looked at and not taken: the last of cr_child_close lets them do what they do. */
static int hold_stops(cr_child *child)
{
    sigset_t stops;
    sigemptyset(&stops);
    add_unless_ignored(&stops, SIGINT);
    add_unless_ignored(&stops, SIGTERM);
    add_unless_ignored(&stops, SIGHUP);
    sigprocmask(SIG_BLOCK, &stops, &child->mask);
    return signalfd(-1, &stops, SFD_CLOEXEC);
}

int cr_child_open(cr_child *child)
{
    child->choices = child->output = -1;
    child->stops = hold_stops(child);
    if (child->stops >= 0)
        child->output = memfd_create("output", MFD_CLOEXEC);
    if (child->output >= 0)
        child->choices = memfd_create("choices", MFD_CLOEXEC);
    int err = child->choices < 0 ? -errno : 0;
    if (err < 0)
        cr_child_close(child);
    return err;
}

void cr_child_close(cr_child *child)
{
    if (child->output >= 0)
        close(child->output);
    if (child->choices >= 0)
        close(child->choices);
    if (child->stops >= 0)
        close(child->stops);
    sigprocmask(SIG_SETMASK, &child->mask, NULL);
}

/* crank's own environment is the one place for it: what is set here is the program's. */
static void set_environment(const char *choices, uint64_t seed)
{
    char number[24];
    setenv("CRANK_BACKEND", "sim", 1);
    setenv("CRANK_CHOICES", choices, 1);
    snprintf(number, sizeof number, "%d", CHOICES_FD);
    setenv("CRANK_CHOICES_TO", number, 1);
    snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
    setenv("CRANK_SEED", number, 1);
}

/* 0 or a negative errno. */
static int start(const cr_child *child, pid_t *ret_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", 0, 0);
    posix_spawn_file_actions_adddup2(&files, child->output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, child->output, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&files, child->choices, CHOICES_FD);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &child->mask);
    int err =
        posix_spawnp(ret_pid, child->command[0], &files, &attributes, child->command, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return -err;
}

static int64_t milliseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 0: it has ended in time; else what is to be said of it, once it has been killed. */
static int await_end(const cr_child *child, pid_t pid)
{
    struct pollfd ends[] = {
        { .fd = pidfd_open(pid, 0), .events = POLLIN },
        { .fd = child->stops, .events = POLLIN },
    };
    int64_t until = milliseconds_now() + (int64_t)(child->timeout * 1000);
    int ready = -1, err = ends[0].fd < 0 ? -errno : 0;
    while (err == 0 && ready < 0) {
        int64_t left = until - milliseconds_now();
        ready = poll(ends, CRANK_COUNT(ends), left > 0 ? (int)left : 0);
        if (ready < 0 && errno != EINTR)
            err = -errno;
    }
    if (ends[0].fd >= 0)
        close(ends[0].fd);
    if (err < 0)
        return err;
    if (ends[1].revents)
        return -EINTR;
    return ready > 0 ? 0 : CR_VERDICT_TIMEOUT;
}

/* How a program ended, as a verdict. */
static int verdict_of(const cr_child *child, pid_t pid)
{
    int status = 0;
    int end = await_end(child, pid);
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    if (end != 0)
        return end;
    if (WIFSIGNALED(status))
        return CR_VERDICT_SIGNAL + WTERMSIG(status);
    return CR_VERDICT_STATUS + WEXITSTATUS(status);
}

/* What it has written down, of which there may be more than is wanted. */
static void read_choices(const cr_child *child, crank_choice_log *made)
{
    off_t end = lseek(child->choices, 0, SEEK_END);
    size_t bytes = 0, room = made->room * sizeof *made->choices;
    made->count = end > 0 ? (size_t)end / sizeof *made->choices : 0;
    while (bytes < room && bytes < (size_t)end) {
        ssize_t got =
            pread(child->choices, (char *)made->choices + bytes, room - bytes, (off_t)bytes);
        if (got <= 0)
            break;
        bytes += (size_t)got;
    }
}

static int empty(int file)
{
    if (ftruncate(file, 0) < 0 || lseek(file, 0, SEEK_SET) < 0)
        return -errno;
    return 0;
}

int cr_child_run(void *arg, const char *choices, uint64_t seed, crank_choice_log *made)
{
    cr_child *child = arg;
    pid_t pid;
    int err = empty(child->output);
    if (err == 0)
        err = empty(child->choices);
    if (err < 0)
        return err;
    set_environment(choices, seed);
    err = start(child, &pid);
    if (err < 0)
        return err;
    int verdict = verdict_of(child, pid);
    read_choices(child, made);
    return verdict;
}

void cr_child_output(const cr_child *child, char *buf, size_t size)
{
    off_t end = lseek(child->output, 0, SEEK_END);
    off_t from = end > (off_t)size - 1 ? end - (off_t)size + 1 : 0;
    ssize_t length = pread(child->output, buf, size - 1, from);
    buf[length > 0 ? length : 0] = '\0';
}
