/* SPDX-License-Identifier: MIT */
/* calls.c: the system calls of a server, counted by the kernel's tracing of it.
 *
 * A tracer is one thread, which waits for the stops of every thread of the server; the load goes on beside
 * it. A traced server is ten times slower and more, so such a run counts and does nothing else: the number of
 * calls that a message takes stays, how many messages a wait finds does not, and is to be compared with
 * that of another server traced alike. */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "load.h"

static struct {
    pid_t server;
    pthread_t thread;
    bool started;
    sem_t ready;
    int refused; /* errno of the attempt to trace */
    atomic_uint_least64_t of[CALL_KINDS];
} tracer;

static const struct {
    long number;
    enum call_kind kind;
} kinds[] = {
    { SYS_read, CALL_TRANSFER },
    { SYS_readv, CALL_TRANSFER },
    { SYS_recvfrom, CALL_TRANSFER },
    { SYS_recvmsg, CALL_TRANSFER },
    { SYS_write, CALL_TRANSFER },
    { SYS_writev, CALL_TRANSFER },
    { SYS_sendto, CALL_TRANSFER },
    { SYS_sendmsg, CALL_TRANSFER },
#ifdef SYS_epoll_wait
    { SYS_epoll_wait, CALL_WAIT },
#endif
#ifdef SYS_poll
    { SYS_poll, CALL_WAIT },
#endif
    { SYS_epoll_pwait, CALL_WAIT },
#ifdef SYS_epoll_pwait2
    { SYS_epoll_pwait2, CALL_WAIT },
#endif
    { SYS_ppoll, CALL_WAIT },
#ifdef SYS_io_uring_enter
    { SYS_io_uring_enter, CALL_WAIT },
#endif
    { SYS_epoll_ctl, CALL_REGISTER },
};

static bool is_socket(uint64_t fd)
{
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)tracer.server, (int)fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    return !strncmp(target, "socket:", 7);
}

/* Reading a timer or waking another thread brings no message. */
static enum call_kind kind_of(uint64_t number, uint64_t fd)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((uint64_t)kinds[i].number == number)
            return kinds[i].kind == CALL_TRANSFER && !is_socket(fd) ? CALL_OTHER : kinds[i].kind;
    return CALL_OTHER;
}

/* A thread stands at the beginning or the end of a call. */
static void count(pid_t thread)
{
    struct __ptrace_syscall_info info = { 0 };
    long got = ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof info, &info);
    if (got > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY)
        tracer.of[kind_of(info.entry.nr, info.entry.args[0])]++;
}

/* Every thread there is; those to come are traced from their first instruction on. 0 or an errno. */
static int seize_all(void)
{
    char path[64];
    int err = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)tracer.server);
    DIR *threads = opendir(path);
    if (!threads)
        return errno;
    for (struct dirent *entry; !err && (entry = readdir(threads)) != NULL;) {
        pid_t thread = (pid_t)atoi(entry->d_name);
        if (thread <= 0)
            continue;
        if (ptrace(PTRACE_SEIZE, thread, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE)) < 0 ||
            ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0)
            err = errno;
    }
    closedir(threads);
    return err;
}

/* Let a stopped thread go on to its next call, with the signal that stopped it if one did. */
static void pass_on(pid_t thread, int status)
{
    int signal = WSTOPSIG(status);
    bool event = status >> 16 != 0, call = signal == (SIGTRAP | 0x80);
    if (call)
        count(thread);
    ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(intptr_t)(event || call ? 0 : signal));
}

static void *trace(void *unused)
{
    int status;
    pid_t thread;
    (void)unused;
    tracer.refused = seize_all();
    sem_post(&tracer.ready);
    while (!tracer.refused && (thread = waitpid(-1, &status, __WALL | __WNOTHREAD)) > 0)
        if (WIFSTOPPED(status))
            pass_on(thread, status);
    return NULL;
}

bool calls_begin(const server *s)
{
    tracer.server = s->pid;
    sem_init(&tracer.ready, 0, 0);
    int err = pthread_create(&tracer.thread, NULL, trace, NULL);
    if (!err) {
        tracer.started = true;
        while (sem_wait(&tracer.ready) < 0)
            ;
        err = tracer.refused;
    }
    if (err)
        fprintf(stderr, "load: the server cannot be traced: %s\n", strerror(err));
    return err == 0;
}

calls calls_now(void)
{
    calls now;
    for (size_t i = 0; i < CALL_KINDS; i++)
        now.of[i] = tracer.of[i];
    return now;
}

void calls_end(void)
{
    if (tracer.started)
        pthread_join(tracer.thread, NULL);
    tracer.started = false;
}
