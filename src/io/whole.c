/* SPDX-License-Identifier: MIT */
/* whole.c: whole files, read and written in one piece.
 *
 * Done on a worker (thread/blocking.h), in heap memory that the worker may use whatever becomes of
 * the task. Between two pieces of a huge file a request to cancel is noticed. */
#include <crank/stream.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "io/file.h"
#include "task/wait.h"
#include "thread/blocking.h"

/* From so much on a file of unknown size grows by half, not to twice: memory is short before
 * address space is. */
#define PIECE ((size_t)1024 * 1024)
/* A worker reads so much before the task may notice that it was asked to stop: some
 * milliseconds. */
#define AT_ONCE ((size_t)16 * 1024 * 1024)

/* One file read or written in a piece, in heap memory that a worker may use whatever becomes of
 * the task. */
typedef struct whole {
    const cr_sys *sys;
    const char *path; /* a copy behind this struct */
    char *data;
    size_t size, room;
    int fd;
    bool ended;
} whole;

/* Read until the end, or so much that it is time to ask whether the task still wants it. */
static long read_on(void *arg)
{
    whole *all = arg;
    size_t before = all->size;
    while (!all->ended && all->size - before < AT_ONCE) {
        if (all->room - all->size < 2) {
            size_t more = all->room < PIECE ? all->room * 2 : all->room + all->room / 2;
            char *data = cr_resize(all->sys, all->data, more);
            if (!data)
                return -ENOMEM;
            all->data = data;
            all->room = more;
        }
        size_t room = all->room - all->size - 1;
        ssize_t n = cr_file_read_some(all->sys, all->fd, all->data + all->size, room, -1);
        if (n < 0)
            return n;
        all->size += (size_t)n;
        all->ended = n == 0;
    }
    return 0;
}

/* Room for the whole file and the 0 behind it, so that it is usually read by one call and its
 * end seen by the next. */
static long open_and_read(void *arg)
{
    whole *all = arg;
    struct stat status;
    all->fd = cr_file_open_retrying(all->sys, all->path, O_RDONLY);
    if (all->fd < 0)
        return all->fd;
    int err = all->sys->stat(all->sys->context, all->fd, &status);
    if (err < 0)
        return err;
    /* Files of the kernel say they are empty: their end is found by reading. */
    bool known = S_ISREG(status.st_mode) && status.st_size > 0;
    all->room = (known ? (size_t)status.st_size : 4096) + 2;
    all->data = cr_alloc(all->sys, all->room);
    return all->data ? read_on(all) : -ENOMEM;
}

/* The path is copied: the caller's may lie on the task's stack, which a worker must not need. */
static whole *whole_new(const cr_sys *sys, const char *path)
{
    size_t length = strlen(path);
    whole *all = cr_alloc_zero(sys, sizeof *all + length + 1);
    if (!all)
        return NULL;
    all->sys = sys;
    all->fd = -1;
    all->path = memcpy(all + 1, path, length + 1);
    return all;
}

/* One trip to a worker for all but huge files; between two pieces of those a request to cancel
 * is noticed. */
int crank_read_file(const char *path, char **ret_data, size_t *ret_size)
{
    cr_caller w;
    CR_CHECK(path && ret_data && ret_size,
        "crank_read_file: the path, or where to put data or size, is NULL");
    int err = cr_checkpoint(&w, "crank_read_file");
    if (err < 0)
        return err;
    const cr_sys *sys = w.loop->sys;
    whole *all = whole_new(sys, path);
    if (!all)
        return cr_file_failed("open", path, -ENOMEM);
    err = (int)cr_blocking_call(&w, open_and_read, all, all->path);
    while (err == 0 && !all->ended) {
        err = cr_checkpoint(&w, "crank_read_file");
        if (err == 0)
            err = (int)cr_blocking_call(&w, read_on, all, all->path);
    }
    bool opened = all->fd >= 0;
    if (opened)
        (void)sys->close(sys->context, all->fd);
    if (err == 0) {
        all->data[all->size] = '\0';
        *ret_data = all->data;
        *ret_size = all->size;
    } else {
        cr_free(sys, all->data);
        err = cr_file_failed(opened ? "read" : "open", path, err);
    }
    cr_free(sys, all);
    return err;
}

/* What closing says counts too: a file system may report only then that it is full. */
static long write_all(void *arg)
{
    whole *all = arg;
    all->fd = cr_file_open_retrying(all->sys, all->path, O_WRONLY | O_CREAT | O_TRUNC);
    if (all->fd < 0)
        return all->fd;
    long err = 0;
    for (size_t done = 0; done < all->size && err >= 0;) {
        err = cr_file_write_some(all->sys, all->fd, all->data + done, all->size - done, -1);
        done += err > 0 ? (size_t)err : 0;
    }
    int closed = all->sys->close(all->sys->context, all->fd);
    return err < 0 ? err : closed == -EINTR ? 0 : closed;
}

/* Data that may lie on the task's stack is copied: the worker must not depend on the stack of a
 * parked task. No stack is larger than what is copied. */
int crank_write_file(const char *path, const void *data, size_t size)
{
    enum { stack_max = 8 << 20 };
    cr_caller w;
    CR_CHECK(path && (data || size == 0), "crank_write_file: the path or the data is NULL");
    int err = cr_checkpoint(&w, "crank_write_file");
    if (err < 0)
        return err;
    const cr_sys *sys = w.loop->sys;
    whole *all = whole_new(sys, path);
    char *copy = all && size > 0 && size <= stack_max ? cr_alloc(sys, size) : NULL;
    if (!all || (size > 0 && size <= stack_max && !copy)) {
        cr_free(sys, all);
        return cr_file_failed("open", path, -ENOMEM);
    }
    if (copy)
        memcpy(copy, data, size);
    all->data = copy ? copy : (char *)(uintptr_t)data;
    all->size = size;
    err = (int)cr_blocking_call(&w, write_all, all, all->path);
    if (err < 0)
        err = cr_file_failed(all->fd >= 0 ? "write" : "open", path, err);
    cr_free(sys, copy);
    cr_free(sys, all);
    return err;
}
