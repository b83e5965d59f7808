/* SPDX-License-Identifier: MIT */
/* path.c: the files of listening unix sockets.
 *
 * A unix socket's path is a file that outlives the process. Owns its beginning, with the
 * permissions that are asked for before any connect can succeed, and its end, where the file is
 * removed only if it is the one that was made: another server may have taken the place meanwhile.
 *
 * A file that a dead server has left refuses connections. It is replaced on request, under a lock
 * file beside it: two servers that start at once would both find it dead, and the second would
 * remove the first one's. The lock file is removed by its holder; a server that opened it before
 * and locks it after that finds that it is not the file at its path any more, and begins again.
 *
 * Paths of the simulated network are no files. */
#include "net/path.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fork.h"
#include "world/world.h"

#define LOCK_ENDING ".lock"
/* A path of the kernel's with the ending. */
#define LOCK_ROOM (sizeof(((struct sockaddr_un *)NULL)->sun_path) + sizeof LOCK_ENDING)
enum { MODE_USUAL = 0600, LOCK_TRIES = 100 };

/* An abstract name begins with a 0, and is no file. */
static bool is_file(int fd, const struct sockaddr_un *address)
{
    return address->sun_path[0] != '\0' && !cr_is_virtual(fd);
}

/* Is the open file the one at the path, or has its holder removed that meanwhile? */
static bool is_same_file(const cr_sys *sys, int fd, const char *path)
{
    struct stat ours, there;
    return sys->stat(sys->context, fd, &ours) == 0 &&
           sys->path_stat(sys->context, path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

/* The lock file's descriptor. -EADDRINUSE: another process has it, which starts a server there. */
static int take_lock(const cr_sys *sys, const char *path)
{
    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        int fd =
            sys->open(sys->context, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, MODE_USUAL);
        if (fd < 0)
            return fd;
        int err = sys->lock(sys->context, fd);
        if (err == 0 && is_same_file(sys, fd, path))
            return fd;
        (void)sys->close(sys->context, fd);
        if (err < 0)
            return err == -EWOULDBLOCK ? -EADDRINUSE : err;
    }
    return -EADDRINUSE;
}

/* Removed while it is held: a process that has opened it and waits finds out by is_same_file. */
static void give_lock(const cr_sys *sys, int fd, const char *path)
{
    (void)sys->path_unlink(sys->context, path);
    (void)sys->close(sys->context, fd);
}

/* A socket on which no process listens. What cannot be told is taken for alive. */
static bool is_stale(const cr_sys *sys, const cr_path_manner *manner, const char *path)
{
    struct stat there;
    if (sys->path_stat(sys->context, path, &there) < 0 || !S_ISSOCK(there.st_mode))
        return false;
    int fd = sys->socket(sys->context, AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    int err = sys->connect(sys->context, fd, manner->address, manner->size);
    (void)sys->close(sys->context, fd);
    return err == -ECONNREFUSED;
}

/* What has been bound is removed again where the rest fails. */
static int bind_file(const cr_sys *sys, int fd, const cr_path_manner *manner, cr_path *path)
{
    struct stat made;
    int err = sys->bind(sys->context, fd, manner->address, manner->size);
    if (err < 0)
        return err;
    err = sys->path_stat(sys->context, path->path, &made);
    if (err < 0) {
        (void)sys->path_unlink(sys->context, path->path);
        return err;
    }
    path->device = made.st_dev;
    path->inode = made.st_ino;
    path->forks = cr_forks;
    return 0;
}

/* Between the look and the removal no other process may bind: hence the lock. */
static int replace_file(const cr_sys *sys, int fd, const cr_path_manner *manner, cr_path *path)
{
    if (!is_stale(sys, manner, path->path))
        return -EADDRINUSE;
    int err = sys->path_unlink(sys->context, path->path);
    return err < 0 ? err : bind_file(sys, fd, manner, path);
}

/* Until it listens, each connect is refused. */
static int listen_at_file(const cr_sys *sys, int fd, const cr_path_manner *manner, cr_path *path)
{
    unsigned mode = manner->mode ? manner->mode : MODE_USUAL;
    int err = bind_file(sys, fd, manner, path);
    if (err == -EADDRINUSE && manner->replace)
        err = replace_file(sys, fd, manner, path);
    if (err < 0)
        return err;
    err = sys->path_mode(sys->context, path->path, mode);
    if (err == 0)
        err = sys->listen(sys->context, fd, manner->backlog);
    return err;
}

static int listen_under_lock(const cr_sys *sys, int fd, const cr_path_manner *manner, cr_path *path)
{
    char lock_path[LOCK_ROOM];
    snprintf(lock_path, sizeof lock_path, "%s" LOCK_ENDING, path->path);
    int lock = take_lock(sys, lock_path);
    if (lock < 0)
        return lock;
    int err = listen_at_file(sys, fd, manner, path);
    give_lock(sys, lock, lock_path);
    return err;
}

int cr_path_listen(const cr_sys *sys, int fd, const cr_path_manner *manner, cr_path *ret_path)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)manner->address;
    if (!is_file(fd, local)) {
        int err = sys->bind(sys->context, fd, manner->address, manner->size);
        return err < 0 ? err : sys->listen(sys->context, fd, manner->backlog);
    }
    size_t length = strnlen(local->sun_path, sizeof local->sun_path);
    char *copy = cr_alloc_zero(sys, length + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, local->sun_path, length);
    *ret_path = (cr_path){ .path = copy };
    int err = manner->replace ? listen_under_lock(sys, fd, manner, ret_path)
                              : listen_at_file(sys, fd, manner, ret_path);
    if (err < 0)
        cr_path_remove(sys, ret_path);
    return err;
}

/* Inode 0 is no file's: nothing was made. */
void cr_path_remove(const cr_sys *sys, cr_path *path)
{
    struct stat there;
    if (!path->path)
        return;
    if (path->inode != 0 && path->forks == cr_forks &&
        sys->path_stat(sys->context, path->path, &there) == 0 && there.st_dev == path->device &&
        there.st_ino == path->inode)
        (void)sys->path_unlink(sys->context, path->path);
    cr_free(sys, path->path);
    *path = (cr_path){ 0 };
}
