/* SPDX-License-Identifier: MIT */
/* stream.h: what a stream is to the files that read and write one.
 *
 * stream.c owns the buffers and the public calls; a stream's type moves bytes between a buffer
 * and the world (file.c; sockets to come). Buffers are heap memory, so that a worker or the
 * kernel may use them whatever becomes of the task. Bytes are taken from a buffer only by a call
 * that returns them: a cancelled call has taken nothing. */
#ifndef CR_STREAM_H
#define CR_STREAM_H
#include <crank/stream.h>
#include "task/wait.h"

/* Full bytes lie together, so that a line can be looked for and returned without a copy in
 * between. */
typedef struct cr_buffer {
    char *bytes;       /* NULL until it is first used */
    size_t start, end; /* the bytes between are full */
    size_t room;
} cr_buffer;

/* Each may wait; w has been begun. */
typedef struct cr_stream_type {
    /* Read up to size bytes, at least one, into a part of the in buffer. How many; 0 at the end;
     * a negative errno. */
    long (*fill)(const cr_caller *w, crank_stream *stream, char *into, size_t size);
    /* Write some of these bytes, which lie in the out buffer. How many, or a negative errno. Of a
     * stream that is being closed they are given up only where cr_stream_abandoned says so, and no
     * request is delivered. */
    long (*drain)(const cr_caller *w, crank_stream *stream, const char *from, size_t size);
    /* Let go of the descriptor, also when cancelled. 0 or a negative errno. The stream's memory
     * stays. */
    int (*shut)(const cr_caller *w, crank_stream *stream, bool written);
    /* The next byte to be read or written moves by so many: bytes were taken from or put into a
     * buffer. NULL: nothing to do. */
    void (*moved)(crank_stream *stream, size_t size);
} cr_stream_type;

/* The beginning of every stream; its type's own follows. */
struct crank_stream {
    const cr_stream_type *type;
    const char *name; /* for messages: a path */
    cr_buffer in, out;
    cr_task *reader; /* in a call that reads, NULL when there is none */
    cr_task *writer;
    bool readable;
    bool writable;
    bool written; /* something has been given to the kernel */
    bool placed;  /* what was read ahead can be read again: a pipe or terminal gives it once */
    bool closing;
    unsigned asked; /* of the task that closes it, before it did */
    int told;       /* with what writing out has failed last, which a call has given; 0 */
};

/* Has the task that closes the stream been asked to end since it began to? What was asked before
 * ends no wait of the closing's. */
bool cr_stream_abandoned(const cr_caller *w, const crank_stream *stream);

/* The failed call's message, naming the stream; gives err. */
int cr_stream_failed(const crank_stream *stream, const char *verb, int err);
#endif
