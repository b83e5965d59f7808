/* SPDX-License-Identifier: MIT */
/* file.h: what is done with files on workers, for file.c and whole.c. */
#ifndef CR_FILE_H
#define CR_FILE_H
#include "base/sys.h"

/* Signals that arrive on a worker interrupt nothing of the user's: these go on after one. At
 * offset at, -1: where the file stands. How many bytes, or a negative errno. */
ssize_t cr_file_read_some(const cr_sys *sys, int fd, void *bytes, size_t size, int64_t at);
ssize_t cr_file_write_some(const cr_sys *sys, int fd, const void *bytes, size_t size, int64_t at);
/* The descriptor, or a negative errno. */
int cr_file_open_retrying(const cr_sys *sys, const char *path, int flags);
/* A failed call's message, naming the file; gives err. A cancellation is no failure with a
 * sentence: it passes as it is. */
int cr_file_failed(const char *verb, const char *path, int err);
#endif
