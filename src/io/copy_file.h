/* SPDX-License-Identifier: MIT */
/* copy_file.h: a file's bytes, copied by the kernel. */
#ifndef CR_COPY_FILE_H
#define CR_COPY_FILE_H
#include "io/stream.h"

typedef struct cr_copy_file cr_copy_file;

/* For a copy from a regular file to another, or to a socket of crank's own. NULL: it is none of
 * these, or memory is short; then the buffers do. cr_free gives it back. */
cr_copy_file *cr_copy_file_new(const cr_caller *w, crank_stream *from, crank_stream *to);
/* Up to size bytes, while none of from is buffered. How many; 0: the kernel does not copy here, or
 * the file has ended: the buffers find out. A negative errno, with its message. */
long cr_copy_file_some(const cr_caller *w, cr_copy_file *copy, size_t size);
#endif
