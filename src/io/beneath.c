/* SPDX-License-Identifier: MIT */
/* beneath.c: files below a folder, by paths that strangers may have chosen.
 *
 * Owns the way from the folder to the file. It never leaves the folder: no part of the path is
 * "..", and none is a symbolic link. openat2 does that in one call; where a filter of system calls
 * refuses it, the path is walked, each folder opened inside the one before. What is no regular file
 * is closed again: a pipe would be read without end, and a device does what it likes.
 *
 * What the kernel has in memory is opened on the loop's own thread (RESOLVE_CACHED), for a trip to
 * a worker costs more than the calls. Not under the simulator, whose runs must not depend on what
 * the kernel remembers. */
#include <crank/stream.h>

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "io/file.h"
#include "task/error.h"
#include "thread/blocking.h"

/* A pipe is opened without a wait for its other end, and a terminal does not become the
 * program's. */
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY)

/* What a worker is told and what it finds. */
typedef struct search {
    const cr_sys *sys;
    struct stat status;
    int fd;
    char *path;  /* behind the folder in text */
    char text[]; /* the folder, 0, the path; the whole name when the search is over */
} search;

static void shut(const search *s, int fd) { (void)s->sys->close(s->sys->context, fd); }

/* ---- Finding ---- */

static int open_resolving(const search *s, int folder, const char *path, struct open_how how)
{
    int fd;
    do
        fd = s->sys->open_resolving(s->sys->context, folder, path, &how);
    while (fd == -EINTR);
    return fd;
}

/* By openat2. The folder is the caller's own choice, and may be a link. cached: RESOLVE_CACHED, so
 * that -EAGAIN is given where the kernel would have to wait; or 0. */
static int resolve(const search *s, unsigned cached)
{
    const struct open_how to_folder = { .flags = O_PATH | O_DIRECTORY, .resolve = cached };
    const struct open_how to_file = {
        .flags = OPEN_FLAGS,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | cached,
    };
    int folder = open_resolving(s, AT_FDCWD, s->text, to_folder);
    if (folder < 0)
        return folder;
    int fd = open_resolving(s, folder, s->path, to_file);
    shut(s, folder);
    return fd;
}

static int open_at(const search *s, int folder, const char *name, int flags)
{
    int fd;
    do
        fd = s->sys->open_at(s->sys->context, folder, name, flags);
    while (fd == -EINTR);
    return fd;
}

/* The folder of that name in a folder. openat alone does not tell a link from a file. */
static int enter(const search *s, int folder, const char *name)
{
    struct stat status;
    int fd = open_at(s, folder, name, O_PATH | O_NOFOLLOW);
    if (fd < 0)
        return fd;
    int err = s->sys->stat(s->sys->context, fd, &status);
    if (err == 0 && !S_ISDIR(status.st_mode))
        err = S_ISLNK(status.st_mode) ? -ELOOP : -ENOTDIR;
    if (err == 0)
        return fd;
    shut(s, fd);
    return err;
}

/* Part by part. What a path with a '/' at its end leads to is a folder. */
static int walk(const search *s)
{
    char name[NAME_MAX + 1];
    const char *path = s->path;
    int at = open_at(s, AT_FDCWD, s->text, O_PATH | O_DIRECTORY);
    while (at >= 0 && *path) {
        size_t size = strcspn(path, "/");
        int next = -ENAMETOOLONG;
        if (size == 0) {
            path++;
            continue;
        }
        if (size <= NAME_MAX) {
            memcpy(name, path, size);
            name[size] = '\0';
            next = path[size] ? enter(s, at, name) : open_at(s, at, name, OPEN_FLAGS | O_NOFOLLOW);
        }
        shut(s, at);
        at = next;
        path += size;
    }
    return at;
}

/* What was opened becomes the search's where it is a regular file. */
static int judge(search *s, int fd)
{
    int err = fd < 0 ? fd : s->sys->stat(s->sys->context, fd, &s->status);
    if (err == 0 && !S_ISREG(s->status.st_mode))
        err = S_ISDIR(s->status.st_mode) ? -EISDIR : -ENXIO;
    if (err == 0)
        s->fd = fd;
    else if (fd >= 0)
        shut(s, fd);
    return err;
}

static bool is_refused(int err) { return err == -ENOSYS || err == -EPERM; }

/* On a worker. */
static long find(void *arg)
{
    search *s = arg;
    int fd = resolve(s, 0);
    return judge(s, is_refused(fd) ? walk(s) : fd);
}

/* Folder and path in one call, which is half the work; -ELOOP: there is a link in one of them. */
static int resolve_whole(const search *s)
{
    const struct open_how how = {
        .flags = OPEN_FLAGS,
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_CACHED,
    };
    if (s->text[0] == '\0')
        return -ELOOP; /* it would be the root */
    s->path[-1] = '/';
    int fd = open_resolving(s, AT_FDCWD, s->text, how);
    s->path[-1] = '\0';
    return fd;
}

/* -EAGAIN: a worker is needed. -EINVAL is what a kernel gives that knows openat2 and not
 * RESOLVE_CACHED. */
static int find_now(search *s)
{
    int fd = resolve_whole(s);
    int err = judge(s, fd == -ELOOP ? resolve(s, RESOLVE_CACHED) : fd);
    return is_refused(err) || err == -EINVAL ? -EAGAIN : err;
}

/* ---- The call ---- */

/* Said here, for openat2 alone allows a ".." that comes back. */
static bool leads_outside(const char *path)
{
    if (*path == '/')
        return true;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return true;
    }
    return false;
}

static search *search_new(const cr_sys *sys, const char *folder, const char *path)
{
    size_t before = strlen(folder) + 1, size = strlen(path) + 1;
    search *s = cr_alloc_zero(sys, sizeof *s + before + size);
    if (!s)
        return NULL;
    memcpy(s->text, folder, before);
    s->path = memcpy(s->text + before, path, size);
    s->sys = sys;
    return s;
}

static int find_file(const cr_caller *w, search *s)
{
    if (s->path[0] == '\0')
        return -ENOENT;
    if (leads_outside(s->path))
        return -EXDEV;
    int err = w->loop->simulated ? -EAGAIN : find_now(s);
    return err == -EAGAIN ? (int)cr_blocking_call(w, find, s, s->text) : err;
}

static int describe_failure(const search *s, int err)
{
    if (err == -EXDEV)
        return cr_error_set(
            err, "cannot open %s: its path begins with '/' or has a part \"..\"", s->text);
    if (err == -ELOOP)
        return cr_error_set(err, "cannot open %s: a symbolic link is on the way to it", s->text);
    if (err == -ENXIO)
        return cr_error_set(err, "cannot open %s: it is no regular file", s->text);
    return cr_file_failed("open", s->text, err);
}

static void tell(const struct stat *status, crank_file_info *ret_info)
{
    *ret_info = (crank_file_info){
        .size = status->st_size,
        .modified_ns = (int64_t)status->st_mtim.tv_sec * CR_SECOND + status->st_mtim.tv_nsec,
        .device = status->st_dev,
        .inode = status->st_ino,
    };
}

/* The stream, or NULL and the error. The search is over: its text becomes the stream's name. */
static crank_stream *open_found(const cr_caller *w, search *s, int *err)
{
    crank_stream *stream = NULL;
    s->path[-1] = '/';
    if (*err == 0) {
        stream = cr_file_adopt(w->loop, s->fd, O_RDONLY, &s->status, s->text);
        if (!stream) {
            shut(s, s->fd);
            *err = -ENOMEM;
        }
    }
    if (*err < 0)
        describe_failure(s, *err);
    return stream;
}

/* errno last: it must survive the waits in between. */
crank_stream *crank_open_beneath(const char *folder, const char *path, crank_file_info *ret_info)
{
    cr_caller w;
    crank_stream *stream = NULL;
    CR_CHECK(folder && path, "crank_open_beneath: the folder or the path is NULL");
    int err = cr_checkpoint(&w, "crank_open_beneath");
    if (err == 0) {
        search *s = search_new(w.loop->sys, folder, path);
        err = s ? find_file(&w, s) : cr_file_failed("open", path, -ENOMEM);
        if (s)
            stream = open_found(&w, s, &err);
        if (stream && ret_info)
            tell(&s->status, ret_info);
        cr_free(w.loop->sys, s);
    }
    if (!stream)
        errno = -err;
    return stream;
}
