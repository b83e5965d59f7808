/* SPDX-License-Identifier: MIT */
/* stream.h: what a stream is to the files that read and write one.
 *
 * reading.c and writing.c own the public calls; a stream's type moves bytes between a buffer and
 * the world (file.c, socketlike.c). Buffers are heap memory, so that a worker or the kernel may use
 * them whatever becomes of the task. Bytes are taken from a buffer only by a call that returns
 * them: a cancelled call has taken nothing. */
#ifndef CR_STREAM_H
#define CR_STREAM_H
#include <crank/stream.h>
#include <sys/uio.h>
#include "task/wait.h"

/* Full bytes lie together, so that a line can be looked for and returned without a copy in
 * between. */
typedef struct cr_buffer {
    char *bytes;       /* NULL until it is first used */
    size_t start, end; /* the bytes between are full */
    size_t room;
} cr_buffer;

/* Each may wait, but for put and describe; w has been begun. */
typedef struct cr_stream_type {
    /* Several tasks may write at a time, and one may read beside them: what each call writes stays
     * together. Else one task in all is in a call that writes; and in any call, where the stream is
     * open for both directions. */
    bool duplex;
    /* finish runs code of the user's: a request to cancel is delivered there. */
    bool delivers;
    /* More bytes into the in buffer, behind those it has: at least one, want in all would do. How
     * many; 0 at the end; a negative errno. */
    long (*fill)(const cr_caller *w, crank_stream *stream, size_t want);
    /* As fill, where the in buffer is empty, past it: up to size bytes into memory of the caller's.
     * -EFAULT: nothing has happened, and fill is the way. NULL: it always is. */
    long (*read_large)(const cr_caller *w, crank_stream *stream, void *buf, size_t size);
    /* Room for size more bytes behind those of the out buffer, of which none has been taken yet.
     * 0, or a negative errno with its message. */
    int (*make_room)(const cr_caller *w, crank_stream *stream, size_t size);
    /* Write more than make_room has room for, from memory of the caller's: NULL where it has room
     * for any size. */
    int (*write_large)(const cr_caller *w, crank_stream *stream, const struct iovec *pieces, int n);
    /* As make_room, without a wait: -EAGAIN, with no message, where there is none. */
    int (*room_now)(crank_stream *stream, size_t size);
    /* Until room_now has room for what it has last refused. */
    int (*wait_room)(const cr_caller *w, crank_stream *stream);
    /* Start sending what is written; never waits. NULL: that takes a wait. */
    void (*start)(crank_stream *stream);
    /* One wait until at most so many bytes are unsent, for the stream that stands on this one; it
     * may end before. 0 or a negative errno, without a message. */
    int (*progress)(const cr_caller *w, crank_stream *stream, size_t most);
    /* How many bytes were written and are not with the kernel. */
    size_t (*unsent)(const crank_stream *stream);
    /* From so many unsent bytes on writers wait. NULL: there is no such mark. */
    void (*set_high)(crank_stream *stream, size_t high);
    /* The end behind what was written. NULL: the stream has no half to end. */
    int (*write_eof)(const cr_caller *w, crank_stream *stream);
    /* The descriptor; -1 once it is closed, -ENOTSUP where there is none. */
    int (*fd)(const crank_stream *stream);
    /* Let go of the descriptor and leave it open: that, or -EBUSY. No byte is buffered. */
    int (*release)(crank_stream *stream);
    /* Cancel the task of that id (0: none) when the peer has gone; resets: an end of its sending is
     * none. 0 or a negative errno, without a message. NULL: it has no peer. */
    int (*on_gone)(crank_stream *stream, uint64_t task, bool resets);
    /* Was the last of these cancelled? NULL: it has no peer. */
    bool (*gone)(const crank_stream *stream);
    /* Everything fails from now on, and what is unsent is lost. Never waits. */
    void (*abort)(crank_stream *stream);
    /* The quick way of make_room and put: true, and the bytes are written; false, and nothing has
     * happened. NULL: there is none. */
    bool (*write_at_once)(crank_stream *stream, const char *bytes, size_t size);
    /* So many bytes were put into the out buffer. */
    void (*put)(crank_stream *stream, size_t size);
    /* So many bytes were taken from the in buffer. */
    void (*taken)(crank_stream *stream, size_t size);
    /* All were, of a stream that is watched. */
    void (*emptied)(crank_stream *stream);
    /* Everything in the out buffer to the kernel. 0, or a negative errno with its message. */
    int (*flush)(const cr_caller *w, crank_stream *stream);
    /* A call that let the others run before it began goes on. NULL: none can have closed it. */
    void (*left)(crank_stream *stream);
    /* Write out what is in the buffer, let go of the descriptor, also when cancelled. 0 or a
     * negative errno with its message. The stream's memory stays. No request is delivered: whether
     * one is answered is known when it is known what the call returns. */
    int (*finish)(const cr_caller *w, crank_stream *stream);
    /* Another task is closing it: wait until that one has left. True where the caller is the owner,
     * which closes for good what others may close before. NULL: there is no owner. */
    bool (*await_close)(const cr_caller *w, crank_stream *stream);
    /* Give back the type's own memory, and the stream's. */
    void (*free)(crank_loop *loop, crank_stream *stream);
    /* The name, made on demand, where stream->name is NULL. */
    const char *(*describe)(crank_stream *stream);
} cr_stream_type;

/* A call on a stream that waits elsewhere: visit.c. */
typedef struct cr_stream_visit cr_stream_visit;

/* The beginning of every stream; its type's own follows. What each message touches stands together,
 * at the end here and at the beginning there: ten thousand streams need few lines of the cache. */
struct crank_stream {
    const char *name;        /* for messages: a path */
    cr_task *closer;         /* in the call that closes it */
    cr_waitq turn;           /* duplex: writers behind it, which alone waits for room */
    cr_stream_visit *visits; /* NULL: none */
    crank_stream *below;     /* it stands on this one, which it owns; NULL */
    crank_stream *above;     /* stands on it; NULL */

    const cr_stream_type *type;
    cr_buffer in, out;
    cr_task *reader; /* in a call that waits for bytes; NULL when there is none */
    cr_task *writer; /* in a call that waits for room, or writes out */
    bool readable;
    bool writable;
    bool written;   /* something has been given to the kernel */
    bool lost;      /* bytes that were written never reached the kernel */
    bool placed;    /* what was read ahead can be read again: a pipe or terminal gives it once */
    bool closing;   /* it is being written out and let go of */
    bool aborted;   /* of a file: calls give -ECONNABORTED */
    bool borrowed;  /* crank_close leaves it to its owner */
    bool end_seen;  /* the last call that wanted more bytes found the end */
    bool explained; /* fill has left a message for its failure */
    bool watched;   /* its type wants to know when the in buffer has become empty */
    int told;       /* with what writing out has failed last, which a call has given; 0 */
    unsigned calls; /* tasks that wait in a call; one that is duplex outlives them */
    unsigned asked; /* of the task that closes it, before it did */
};

/* Three words in which the rest speaks of a buffer. */
static inline size_t cr_buffer_held(const cr_buffer *buffer) { return buffer->end - buffer->start; }
static inline char *cr_buffer_first(const cr_buffer *buffer)
{
    return buffer->bytes + buffer->start;
}
static inline void cr_buffer_clear(cr_buffer *buffer) { buffer->start = buffer->end = 0; }

/* The full way of cr_stream_begin. */
int cr_stream_begin_slow(cr_caller *w, crank_stream *stream, bool reads, const char *call);
/* Is no other task in a call that one to read, or to write, would disturb? The quick half of it. */
static inline bool cr_stream_is_free(const crank_stream *stream, bool reads)
{
    return !stream->writer && (!stream->reader || (!reads && stream->type->duplex));
}
/* What every call begins with. 0, -ECANCELED, or -EBADF where the stream is not open for this. */
static inline int cr_stream_begin(cr_caller *w, crank_stream *stream, bool reads, const char *call)
{
    w->loop = cr_loop_here;
    w->self = w->loop ? cr_task_of_fiber(w->loop->runner.current) : NULL;
    if (CR_UNLIKELY(!stream || !w->self || (w->self->fiber.flags & CR_TASK_ANY_PENDING) ||
                    w->loop->runner.budget <= CR_BUDGET_STREAM + 1 ||
                    !(reads ? stream->readable : stream->writable) ||
                    !cr_stream_is_free(stream, reads))) {
        int err = cr_stream_begin_slow(w, stream, reads, call);
        CR_ASSUME(w->self != NULL);
        return err;
    }
    w->loop->runner.budget -= CR_BUDGET_STREAM;
    return 0;
}
/* Why a stream that is not open for this gives: -EBADF, or -ECONNABORTED, with its message. */
int cr_stream_refuse(const crank_stream *stream, bool reads, const char *call);
/* A CHECK where another task is in a call that this one would disturb. */
void cr_stream_check_alone(const crank_stream *stream, const cr_task *other, const char *call);
/* What a call that writes out gives where that has failed with error (0: it has not): the error
 * once, and then -EPIPE, for it is a write to a broken pipe. */
int cr_stream_tell(crank_stream *stream, int error);
/* May so many bytes more be written, where so many are unsent and from high on writers wait? */
static inline bool cr_stream_has_room(size_t unsent, size_t high, size_t size)
{
    return unsent == 0 || size <= high - (unsent < high ? unsent : high);
}
/* One after another: be the writer that may wait, and let the next be it. 0, -ECANCELED, or with
 * what the stream's type wakes the waiting. */
int cr_stream_take_turn(const cr_caller *w, crank_stream *stream);
void cr_stream_give_turn(crank_loop *loop, crank_stream *stream);
/* Those who wait for it are woken with error. */
void cr_stream_eject_turn(crank_loop *loop, crank_stream *stream, int error);
/* A call that had let others run goes on: the task that closes the stream may wait for that. */
void cr_stream_left(crank_stream *stream);
/* What the stream stands on in the end: itself where it stands on none. */
static inline crank_stream *cr_stream_bottom(crank_stream *stream)
{
    while (stream->below)
        stream = stream->below;
    return stream;
}
/* Close what stands on the stream and leave the stream itself to its owner, whatever that does. */
void cr_stream_end_above(crank_stream *stream);
/* More bytes into the in buffer, behind those it has, at least one where its end has not come;
 * want in all would do. How many, 0 at the end, or a negative errno with its message. */
long cr_reading_fill(const cr_caller *w, crank_stream *stream, size_t want);
/* Bytes into the out buffer, for which make_room has just made room. */
void cr_writing_fill(crank_stream *stream, const char *bytes, size_t size);
/* So many bytes of the in buffer are the caller's now. */
void cr_reading_take(crank_stream *stream, size_t size);
/* Has the task that closes the stream been asked to end since it began to? What was asked before
 * ends no wait of the closing's. */
bool cr_stream_abandoned(const cr_caller *w, const crank_stream *stream);
/* Close it where no call can return its failure; reports: the failure is reported. The caller's
 * own failure stays. */
void cr_stream_end(crank_stream *stream, bool reports);
/* For messages and reports. */
const char *cr_stream_name(const crank_stream *stream);
/* The failed call's message, naming the stream; gives err. */
int cr_stream_failed(const crank_stream *stream, const char *verb, int err);
#endif
