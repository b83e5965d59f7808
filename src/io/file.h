/* SPDX-License-Identifier: MIT */
/* file.h: what is done with files on workers, for file.c and whole.c. */
#ifndef CR_FILE_H
#define CR_FILE_H
#include "base/sys.h"
#include "io/stream.h"

/* Signals that arrive on a worker interrupt nothing of the user's: these go on after one. At
 * offset at, -1: where the file stands. How many bytes, or a negative errno. */
ssize_t cr_file_read_some(const cr_sys *sys, int fd, void *bytes, size_t size, int64_t at);
ssize_t cr_file_write_some(const cr_sys *sys, int fd, const void *bytes, size_t size, int64_t at);
/* fopen's mode as open's flags, or -EINVAL. */
int cr_file_flags(const char *mode);
/* A stream over a descriptor that is open already, with those flags, and is no pipe or socket, as
 * status says; name is copied. NULL when memory is short: fd stays the caller's. */
crank_stream *cr_file_adopt(
    crank_loop *loop, int fd, int flags, const struct stat *status, const char *name);
/* A regular file, for calls that move its bytes themselves while nothing of it is buffered. */
typedef struct cr_file_ahead {
    cr_file_place place; /* of the next byte */
    int64_t at;          /* the same, where the file was at its beginning when it became a stream */
    int64_t end;         /* its size then */
} cr_file_ahead;
/* False: the stream is no such file. */
bool cr_file_look_ahead(crank_stream *stream, cr_file_ahead *ret_ahead);
/* Free an adopted one that no task is in a call of; the descriptor stays open. */
void cr_file_discard(crank_loop *loop, crank_stream *stream);
/* The descriptor, or a negative errno. */
int cr_file_open_retrying(const cr_sys *sys, const char *path, int flags);
/* A failed call's message, naming the file; gives err. A cancellation is no failure with a
 * sentence: it passes as it is. */
int cr_file_failed(const char *verb, const char *path, int err);
#endif
