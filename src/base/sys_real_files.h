/* SPDX-License-Identifier: MIT */
/* sys_real_files.h: the entries of cr_sys_real for files and paths; sys.h says what each does. */
#ifndef CR_SYS_REAL_FILES_H
#define CR_SYS_REAL_FILES_H
#include "base/sys.h"

int cr_sys_real_open(void *context, const char *path, int flags, unsigned mode);
int cr_sys_real_open_at(void *context, int folder, const char *path, int flags);
int cr_sys_real_open_resolving(
    void *context, int folder, const char *path, const struct open_how *how);
int cr_sys_real_stat(void *context, int fd, struct stat *ret_stat);
ssize_t cr_sys_real_read_at(
    void *context, int fd, const struct iovec *piece, int64_t offset, int flags);
ssize_t cr_sys_real_write_at(
    void *context, int fd, const struct iovec *piece, int64_t offset, int flags);
ssize_t cr_sys_real_send_file(void *context, int to, const cr_file_place *from, size_t size);
ssize_t cr_sys_real_copy_range(
    void *context, const cr_file_place *from, const cr_file_place *to, size_t size);
int cr_sys_real_make_own(void *context, int fd);
int cr_sys_real_duplicate(void *context, int fd);
int cr_sys_real_descriptors_may_leave(void *context, int fd);
int cr_sys_real_descriptors_leave(void *context, int keep);
int cr_sys_real_descriptor_borrow(void *context, int fd, long thread);
int cr_sys_real_lock(void *context, int fd);
int cr_sys_real_path_stat(void *context, const char *path, struct stat *ret_stat);
int cr_sys_real_path_mode(void *context, const char *path, unsigned mode);
int cr_sys_real_path_unlink(void *context, const char *path);
#endif
