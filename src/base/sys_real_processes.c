/* SPDX-License-Identifier: MIT */
/* sys_real_processes.c: the calls for processes of the table that really calls the OS.
 *
 * Owns the order in which a child gets its descriptors: each is first duplicated above all numbers
 * that the child is to have, so that none is overwritten before it was put in its place. The
 * duplicates are close-on-exec and closed in the parent before spawn returns, so that no program
 * that another thread starts meanwhile keeps one. */
#include "base/sys_real_processes.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* In the table of waitid, older than some headers. */
#define BY_PIDFD ((idtype_t)3)

/* libc's -1 as the kernel's negative errno. */
static inline long failed(long result) { return result < 0 ? -errno : result; }

/* One of the standard three may be closed, or its number one of crank's own: no child is to have
 * those, which are close-on-exec. */
static bool is_missing(int fd, int number)
{
    if (fd != number || fd > STDERR_FILENO)
        return false;
    int flags = fcntl(fd, F_GETFD);
    return flags < 0 || (flags & FD_CLOEXEC);
}

/* Duplicates above the child's numbers: 0 or a negative errno. -1: the child has none. */
static int duplicate(const cr_spawn *asked, int *copies)
{
    for (int i = 0; i < asked->count; i++) {
        int fd = asked->descriptors[i];
        if (fd < 0 || is_missing(fd, i))
            continue;
        copies[i] = fcntl(fd, F_DUPFD_CLOEXEC, asked->count);
        if (copies[i] < 0)
            return -errno;
    }
    return 0;
}

/* Those that were made. */
static void close_copies(const int *copies, int count)
{
    for (int i = 0; i < count; i++)
        if (copies[i] >= 0)
            close(copies[i]);
}

/* What was opened by others than crank, without close-on-exec, is closed too. A number that the
 * child is not to have may be one of ours: opened anew and closed, so that closing cannot fail. */
static int add_actions(
    posix_spawn_file_actions_t *actions, const cr_spawn *asked, const int *copies)
{
    int err = 0;
    for (int i = 0; i < asked->count && !err; i++) {
        if (copies[i] >= 0)
            err = posix_spawn_file_actions_adddup2(actions, copies[i], i);
        else if (fcntl(i, F_GETFD) >= 0)
            err = posix_spawn_file_actions_addclose(actions, i);
    }
    if (!err)
        err = posix_spawn_file_actions_addclosefrom_np(actions, asked->count);
    if (!err && asked->directory)
        err = posix_spawn_file_actions_addchdir_np(actions, asked->directory);
    return -err;
}

/* A handler or a mask of ours is nothing that another program expects. */
static int set_attributes(posix_spawnattr_t *attributes, bool session)
{
    sigset_t none, standard;
    sigemptyset(&none);
    sigemptyset(&standard);
    sigaddset(&standard, SIGPIPE);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (session)
        flags |= POSIX_SPAWN_SETSID;
    int err = posix_spawnattr_setsigmask(attributes, &none);
    if (!err)
        err = posix_spawnattr_setsigdefault(attributes, &standard);
    if (!err)
        err = posix_spawnattr_setflags(attributes, flags);
    return -err;
}

/* posix_spawn tells of a failed exec, and then there is no child: it waits for the exec by a pipe
 * or by sharing memory until then. */
static int start(const cr_spawn *asked, const int *copies)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t id = -1;
    int err = -posix_spawn_file_actions_init(&actions);
    if (err < 0)
        return err;
    err = -posix_spawnattr_init(&attributes);
    if (err == 0) {
        err = add_actions(&actions, asked, copies);
        if (err == 0)
            err = set_attributes(&attributes, asked->session);
        char *const *arguments = (char *const *)(uintptr_t)asked->arguments;
        char *const *environment =
            asked->environment ? (char *const *)(uintptr_t)asked->environment : environ;
        if (err == 0)
            err = -posix_spawnp(&id, asked->file, &actions, &attributes, arguments, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return err < 0 ? err : id;
}

/* Without a pidfd it could not be waited for. Where SIGCHLD is ignored it may be gone already. */
static int open_pidfd(pid_t id)
{
    long fd = failed(syscall(SYS_pidfd_open, id, 0));
    if (fd >= 0)
        return (int)fd;
    if (fd != -ESRCH)
        kill(id, SIGKILL);
    while (waitpid(id, NULL, 0) < 0 && errno == EINTR)
        continue;
    return fd == -ESRCH ? -ECHILD : (int)fd;
}

/* Memory straight from malloc: this is the table, which has no other below it. */
int cr_sys_real_spawn(void *context, const cr_spawn *asked, int *ret_pidfd)
{
    (void)context;
    int *copies = malloc((size_t)asked->count * sizeof *copies);
    if (!copies)
        return -ENOMEM;
    for (int i = 0; i < asked->count; i++)
        copies[i] = -1;
    int result = duplicate(asked, copies);
    if (result == 0)
        result = start(asked, copies);
    close_copies(copies, asked->count);
    free(copies);
    if (result < 0)
        return result;
    *ret_pidfd = open_pidfd(result);
    return *ret_pidfd < 0 ? *ret_pidfd : result;
}

/* si_pid stays 0 where nothing has ended. */
int cr_sys_real_wait_pidfd(void *context, int fd, int *ret_status)
{
    siginfo_t info = { 0 };
    (void)context;
    if (waitid(BY_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0)
        return -errno;
    if (info.si_pid == 0)
        return 0;
    *ret_status = info.si_code == CLD_EXITED ? info.si_status & 0xff : 256 + info.si_status;
    return 1;
}

/* The kernel refuses where the process has been reaped, whatever has its number by now. */
int cr_sys_real_signal_pidfd(void *context, int fd, int signal)
{
    (void)context;
    return (int)failed(syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0));
}

/* By number: for groups there is nothing better. The caller has not reaped the leader. */
int cr_sys_real_signal_group(void *context, int id, int signal)
{
    (void)context;
    return (int)failed(kill(-id, signal));
}
