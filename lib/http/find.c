/* SPDX-License-Identifier: MIT */
/* find.c: files of a folder, and nothing beyond it.
 *
 * Owns the way from a path to a descriptor. No part of the path may begin with a dot, so that it
 * leads only down; no symbolic link is followed, so that none leads out; what is no regular file is
 * not there for a client, and a named pipe is not waited for. The kernel sees to links (openat2);
 * one that has no openat2, or forbids it, is asked for folder after folder.
 *
 * A file whose way the kernel has in memory is opened at once: a trip to a worker thread would cost
 * more than the answer. */
#include "http/find.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "http/message.h"

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

/* O_NONBLOCK is for a named pipe, which is looked at before it is refused. */
enum { HOW = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

/* ---- Names ---- */

/* Does a part of the path begin with a dot, or is one empty that is not the last? */
static bool is_hidden(const char *path)
{
    for (const char *at = path; *at; at++)
        if (*at == '/' && (at[1] == '.' || at[1] == '/'))
            return true;
    return *path != '/';
}

/* Behind a path's last slash is the folder's page. */
int cr_http_find_name(
    cr_http_find *find, cr_http_message *message, const char *folder, const char *path)
{
    static const char page[] = "index.html", end[] = ".gz";
    size_t before = folder ? strlen(folder) : 0, size = strlen(path);
    if (folder && (is_hidden(path) || before == 0)) /* "" would be the root */
        return -ENOENT;
    char *whole = cr_http_message_alloc(message, before + size + sizeof page + sizeof end);
    if (!whole)
        return -ENOMEM;
    if (before > 0)
        memcpy(whole, folder, before);
    memcpy(whole + before, path, size + 1);
    if (folder && path[size - 1] == '/')
        memcpy(whole + before + size, page, sizeof page);
    find->folder = folder;
    find->whole = whole;
    find->name = whole + before + (folder ? 1 : 0);
    find->fd = -1;
    return 0;
}

/* ---- One file ---- */

static int open_as(int at, const char *name, uint64_t resolve)
{
    struct open_how how = { .flags = HOW, .resolve = resolve };
    long fd;
    do
        fd = syscall(SYS_openat2, at, name, &how, sizeof how);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : (int)fd;
}

/* Does the kernel refuse openat2, rather than the file? */
static bool is_unable(int fd) { return fd == -ENOSYS || fd == -EPERM || fd == -EINVAL; }

static int open_plain(int at, const char *name, int flags)
{
    int fd;
    do
        fd = openat(at, name, HOW | flags);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Folder after folder, each opened inside the one before. at is closed. */
static int walk(int at, char *name)
{
    for (char *slash; at >= 0 && (slash = strchr(name, '/')); name = slash + 1) {
        *slash = '\0';
        int inner = open_plain(at, name, O_NOFOLLOW | O_DIRECTORY);
        *slash = '/';
        close(at);
        at = inner;
    }
    if (at < 0)
        return at;
    int fd = open_plain(at, name, O_NOFOLLOW);
    close(at);
    return fd;
}

static int open_beneath(const cr_http_find *find)
{
    int at = open_plain(AT_FDCWD, find->folder, O_DIRECTORY);
    if (at < 0)
        return at;
    int fd = open_as(at, find->name, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (is_unable(fd) || fd == -EAGAIN) /* which a rename beside gives */
        return walk(at, find->name);
    close(at);
    return fd;
}

/* By the whole name: the folder's own may have links in it, of which the worker knows more. */
static int open_now(const cr_http_find *find)
{
    uint64_t resolve = find->folder ? RESOLVE_CACHED | RESOLVE_NO_SYMLINKS : RESOLVE_CACHED;
    int fd = open_as(AT_FDCWD, find->whole, resolve);
    return is_unable(fd) || fd == -ELOOP ? -EAGAIN : fd;
}

static int open_slowly(const cr_http_find *find)
{
    return find->folder ? open_beneath(find) : open_plain(AT_FDCWD, find->whole, 0);
}

/* 0, CR_HTTP_FIND_FOLDER, or why it is none; closed unless 0. */
static int look_at(int fd, struct stat *ret_status)
{
    if (fd < 0)
        return fd;
    int err = fstat(fd, ret_status) < 0 ? -errno : 0;
    if (err == 0 && S_ISDIR(ret_status->st_mode))
        err = CR_HTTP_FIND_FOLDER;
    else if (err == 0 && !S_ISREG(ret_status->st_mode))
        err = -ENOENT;
    if (err != 0)
        close(fd);
    return err;
}

/* ---- The file, or the one beside it ---- */

typedef int open_function(const cr_http_find *find);

static bool is_older(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* One that was made of an earlier version is not taken. -EAGAIN: it is not known. */
static int look_beside(cr_http_find *find, open_function *open_one)
{
    struct stat status;
    size_t size = strlen(find->whole);
    memcpy(find->whole + size, ".gz", 4);
    int fd = open_one(find);
    find->whole[size] = '\0';
    int err = look_at(fd, &status);
    if (err != 0)
        return err == -EAGAIN ? err : 0;
    if (is_older(&status.st_mtim, &find->status.st_mtim)) {
        close(fd);
        return 0;
    }
    close(find->fd);
    find->fd = fd;
    find->status = status;
    find->is_gzip = true;
    return 0;
}

static int open_best(cr_http_find *find, open_function *open_one)
{
    int fd = open_one(find), err = look_at(fd, &find->status);
    if (err != 0)
        return err;
    find->fd = fd;
    if (find->gzip)
        err = look_beside(find, open_one);
    if (err < 0) {
        close(find->fd);
        find->fd = -1;
    }
    return err;
}

int cr_http_find_open(cr_http_find *find) { return open_best(find, open_slowly); }

int cr_http_find_now(cr_http_find *find) { return open_best(find, open_now); }
