/* SPDX-License-Identifier: MIT */
/* sys_real_files.c: the calls for files, folders and paths, of the table that really calls the OS.
 *
 * Owns nothing. Every descriptor is close-on-exec from its first moment: one of ours is no child's
 * business. */
#include "base/sys_real_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sys_result.h"

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
