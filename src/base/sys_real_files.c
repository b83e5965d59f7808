/* SPDX-License-Identifier: MIT */
/* sys_real_files.c: the calls for files, folders and paths, of the table that really calls the OS.
 *
 * Owns nothing. Every descriptor is close-on-exec from its first moment: one of ours is no child's
 * business. */
#include "base/sys_real_files.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sys_result.h"
#include "base/valgrind.h"

int cr_sys_real_open(void *context, const char *path, int flags, unsigned mode)
{
    (void)context;
    return cr_sys_result(open(path, flags | O_CLOEXEC, mode));
}

int cr_sys_real_open_at(void *context, int folder, const char *path, int flags)
{
    (void)context;
    return cr_sys_result(openat(folder, path, flags | O_CLOEXEC));
}

/* libc has no name for it yet. */
int cr_sys_real_open_resolving(
    void *context, int folder, const char *path, const struct open_how *how)
{
    struct open_how asked = *how;
    (void)context;
    asked.flags |= O_CLOEXEC;
    long fd = syscall(SYS_openat2, folder, path, &asked, sizeof asked);
    return fd < 0 ? -errno : (int)fd;
}

int cr_sys_real_stat(void *context, int fd, struct stat *ret_stat)
{
    (void)context;
    int result = cr_sys_result(fstat(fd, ret_stat));
    if (result == 0)
        cr_sys_result_written(ret_stat, sizeof *ret_stat);
    return result;
}

ssize_t cr_sys_real_read_at(
    void *context, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    (void)context;
    ssize_t result = cr_sys_result_size(preadv2(fd, piece, 1, offset, flags));
    if (result > 0)
        cr_sys_result_written(piece->iov_base, (size_t)result);
    return result;
}

ssize_t cr_sys_real_write_at(
    void *context, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    (void)context;
    return cr_sys_result_size(pwritev2(fd, piece, 1, offset, flags));
}

ssize_t cr_sys_real_send_file(void *context, int to, const cr_file_place *from, size_t size)
{
    off_t at = from->at;
    (void)context;
    return cr_sys_result_size(sendfile(to, from->fd, from->at < 0 ? NULL : &at, size));
}

ssize_t cr_sys_real_copy_range(
    void *context, const cr_file_place *from, const cr_file_place *to, size_t size)
{
    off_t from_at = from->at, to_at = to->at;
    (void)context;
    return cr_sys_result_size(copy_file_range(
        from->fd, from->at < 0 ? NULL : &from_at, to->fd, to->at < 0 ? NULL : &to_at, size, 0));
}

int cr_sys_real_make_own(void *context, int fd)
{
    (void)context;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return cr_sys_result(fcntl(fd, F_SETFD, FD_CLOEXEC));
}

int cr_sys_real_duplicate(void *context, int fd)
{
    (void)context;
    return cr_sys_result(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/* A duplicate of what the process's first thread has under that number: the lowest number that is
 * free. */
static int duplicate_of_process(int fd)
{
    int process = cr_sys_result((int)syscall(SYS_pidfd_open, getpid(), 0));
    if (process < 0)
        return process;
    int duplicate = cr_sys_result((int)syscall(SYS_pidfd_getfd, process, fd, 0));
    cr_sys_real.close(cr_sys_real.context, process);
    return duplicate;
}

/* What a sanitizer and Valgrind say goes to descriptors of the process, whichever thread says
 * it. */
int cr_sys_real_descriptors_may_leave(void *context, int fd)
{
    (void)context;
    if (CR_SWITCH_SANITIZED || RUNNING_ON_VALGRIND)
        return -ENOTSUP;
    int duplicate = duplicate_of_process(fd);
    return duplicate < 0 ? duplicate : cr_sys_real.close(cr_sys_real.context, duplicate);
}

/* It takes no number in the table that it leaves: the program might expect to get that one. */
int cr_sys_real_descriptors_leave(void *context, int keep)
{
    (void)context;
    long err = syscall(SYS_close_range, keep + 1, UINT_MAX, CLOSE_RANGE_UNSHARE);
    if (err == 0 && keep > 0)
        err = syscall(SYS_close_range, 0, keep - 1, 0);
    return err < 0 ? -errno : 0;
}

/* Where the first thread has ended the file is opened anew: not to be had where it is a socket. */
int cr_sys_real_descriptor_borrow(void *context, int fd, long thread)
{
    char path[64];
    (void)context;
    int borrowed = duplicate_of_process(fd);
    if (borrowed < 0) {
        snprintf(path, sizeof path, "/proc/self/task/%ld/fd/%d", thread, fd);
        borrowed =
            cr_sys_result(open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    }
    if (borrowed < 0 || borrowed == fd)
        return borrowed < 0 ? borrowed : 0;
    int err = cr_sys_result(dup3(borrowed, fd, O_CLOEXEC));
    cr_sys_real.close(cr_sys_real.context, borrowed);
    return err < 0 ? err : 0;
}

int cr_sys_real_lock(void *context, int fd)
{
    (void)context;
    return cr_sys_result(flock(fd, LOCK_EX | LOCK_NB));
}

int cr_sys_real_path_stat(void *context, const char *path, struct stat *ret_stat)
{
    (void)context;
    return cr_sys_result(lstat(path, ret_stat));
}

int cr_sys_real_path_mode(void *context, const char *path, unsigned mode)
{
    (void)context;
    return cr_sys_result(chmod(path, (mode_t)mode));
}

int cr_sys_real_path_unlink(void *context, const char *path)
{
    (void)context;
    return cr_sys_result(unlink(path));
}
