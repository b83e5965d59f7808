/* SPDX-License-Identifier: MIT */
/* pipe.h: the ends of pipes as streams, and descriptors that others have opened. */
#ifndef CR_PIPE_H
#define CR_PIPE_H
#include "io/stream.h"

/* Take over one end of a pipe, which is O_NONBLOCK, as a stream that reads, or that writes. name is
 * copied. NULL when memory is short: fd stays the caller's. */
crank_stream *cr_pipe_open(crank_loop *loop, int fd, bool reads, const char *name);
/* A descriptor that was opened by others, with open's flags: its own flags stay as they are.
 * borrowed: it stays open when the stream ends, and a file is written at once, so that any number
 * of tasks may write it. 0, or a negative errno: then it stays the caller's. */
typedef struct cr_adoption {
    int fd;
    int flags;
    const char *name; /* copied */
    bool borrowed;
} cr_adoption;
int cr_pipe_adopt(crank_loop *loop, const cr_adoption *asked, crank_stream **ret_stream);
/* Forget one at the end of the loop: no task is in a call on it. */
void cr_pipe_discard(crank_loop *loop, crank_stream *stream);
#endif
