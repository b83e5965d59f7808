/* SPDX-License-Identifier: MIT */
/* socketlike.h: an attached descriptor as a stream: a connection, one end of a pipe.
 *
 * What is made of one (net/connection.c, pipe.c) begins with a cr_socketlike. */
#ifndef CR_SOCKETLIKE_H
#define CR_SOCKETLIKE_H
#include "io/buffer.h"

typedef struct cr_socketlike cr_socketlike;
typedef struct cr_limit cr_limit;
typedef struct cr_gone cr_gone;

/* One static const for each kind of record that begins with a cr_socketlike. */
typedef struct cr_socketlike_kind {
    size_t size; /* of the record */
    enum cr_fd_kind fd;
    /* The stream's name for messages, made on demand; NULL: stream.name is set. */
    const char *(*describe)(cr_socketlike *s);
    /* Let go of the descriptor, with no operation pending; NULL: it is closed. */
    void (*close)(cr_socketlike *s);
    /* Let go of it and give what is left open; NULL: the descriptor itself. */
    int (*release)(cr_socketlike *s);
    /* Read, without waiting, what RECV would: how many bytes, 0 at the end, -EAGAIN. NULL: RECV. */
    long (*receive)(cr_socketlike *s, void *buf, size_t size);
    /* Free what the record owns besides the stream; NULL: nothing. */
    void (*deinit)(cr_socketlike *s);
} cr_socketlike_kind;

/* What sending takes, of a freelist of the run's: a connection that has nothing to send, as most
 * have most of the time, has none. */
typedef struct cr_sending {
    cr_op op;                /* its arg is the cr_socketlike */
    struct cr_sending *next; /* free */
    cr_buffer going;         /* with the backend; out is filled meanwhile */
    cr_settle settle;        /* sends at the end of the pass */
    cr_waitq progress;       /* tasks that wait until sent has reached their wait_data.position */
    cr_task *direct;         /* the writer whose own memory is being sent; NULL */
} cr_sending;

struct cr_socketlike {
    crank_stream stream;
    /* Its descriptor is the stream's: generation 0 once that is closed. */
    cr_op receiving;
    const cr_socketlike_kind *kind;
    crank_loop *loop;
    cr_sending *sending;         /* while bytes are unsent, or a task sends its own; NULL */
    uint64_t sent;               /* how many of all bytes written the kernel has */
    size_t high;                 /* from so many unsent bytes on writers wait */
    enum cr_buffer_size in_size; /* of the next buffer to read into */
    bool receive_pending, send_pending;
    bool in_little : 1;          /* the last transfer used little of its buffer */
    bool closer_waits : 1;       /* the stream's closer does, until no call and no RECV is left */
    bool closer_awaits_send : 1; /* or until all operations have ended */
    bool expired;                /* the limit has passed: waits give -ETIMEDOUT */
    bool lent;                   /* a worker uses the descriptor, for a call that is still here */
    bool aborted;                /* the peer is to get a reset */
    bool kept;       /* crank_close ends it and leaves the record: its owner frees that */
    bool read_ended; /* the end, or an error, was given to a reader */
    bool eof_asked;  /* no more writes: the end goes out behind the bytes */
    bool eof_sent;
    bool moves;     /* some bytes were sent since a limit was set, or was last due */
    int ended;      /* -ECONNABORTED once the stream is aborted or being closed: all calls' error */
    int send_error; /* why nothing more can be sent; 0 */
    cr_limit *limit; /* of time, for its waits; NULL */
    cr_gone *gone;   /* the task to be cancelled when the peer has gone; NULL */
    cr_task *owner;  /* of one that is kept: waits until another task has closed it; NULL */
    size_t refused;  /* what crank_write_now had no room for last; 0 */
};

static inline cr_fd cr_socketlike_fd(const cr_socketlike *s)
{
    return (cr_fd){ .number = s->receiving.fd, .generation = s->receiving.generation };
}
/* Take over a connected descriptor: a record of kind->size, cleared behind the stream. NULL when
 * memory is short: fd stays the caller's. */
cr_socketlike *cr_socketlike_open(crank_loop *loop, int fd, const cr_socketlike_kind *kind);
/* Is the stream one of these? NULL where it is not. */
cr_socketlike *cr_socketlike_of(crank_stream *stream);
/* Close and free one that no other task knows, with no operation pending. Never waits. */
void cr_socketlike_discard(cr_socketlike *s);
/* Everything fails from now on; never waits: crank_abort. */
void cr_socketlike_abort(cr_socketlike *s);
/* The limit has passed: tasks that wait in calls are woken with -ETIMEDOUT. */
void cr_socketlike_expire(cr_socketlike *s);
/* Of -ECANCELED, which an operation that was cancelled has given: whether it was the task, the
 * stream's limit, or sending, which has failed. A request to the task is delivered. */
long cr_socketlike_why_canceled(const cr_caller *w, const cr_socketlike *s);
/* The description of a wait whose object is a cr_socketlike. */
size_t cr_socketlike_describe(const cr_task *task, char *buf, size_t size);
/* Without a limit from now on. Takes one that has none. */
void cr_limit_free(cr_socketlike *s);
/* In the place of its limit, if it has one: its waits end when it has sent nothing for so long. */
void cr_limit_stall(cr_socketlike *s, double seconds);
/* No limit any more, and none that has passed. */
void cr_limit_end(cr_socketlike *s);
/* The loop's hook: a timer of kind CR_TIMER_STREAM is due. */
void cr_limit_due(crank_loop *loop, cr_timer *timer);
/* crank_write_eof. */
int cr_socketlike_write_eof(const cr_caller *w, cr_socketlike *s);

/* ---- gone.c ---- */

/* Cancel the task of that id when the peer has gone; 0: none any more. resets: an end alone is no
 * going. completed is given a cr_gone and passes it to cr_gone_completed. 0, also where it has gone
 * and the task was cancelled; -ENOMEM. */
int cr_gone_watch(
    cr_socketlike *s, uint64_t task, bool resets, void (*completed)(cr_op *op, void *arg));
/* Was the task that was named last cancelled? */
bool cr_gone_seen(const cr_gone *gone);
/* The stream, which may have waited for this; NULL where it has ended, and the gone with it. */
cr_socketlike *cr_gone_completed(cr_gone *gone);
/* All that was read ahead was taken: the end may be what is next. Takes one that is watched. */
void cr_gone_read(cr_socketlike *s);
/* Is its poll the backend's? */
bool cr_gone_pending(const cr_socketlike *s);
/* The descriptor may be closed when this returns. */
void cr_gone_cancel(cr_socketlike *s);
/* No task is named any more. Takes one that has none. */
void cr_gone_free(cr_socketlike *s);

/* ---- receiving.c ---- */

long cr_receiving_fill(const cr_caller *w, crank_stream *stream, size_t want);
long cr_receiving_read_large(const cr_caller *w, crank_stream *stream, void *buf, size_t size);
/* Wait until the descriptor, which the caller has just tried in vain, is ready for EPOLLIN or
 * EPOLLOUT; counts as reading. The events, or a negative errno. */
long cr_receiving_poll(const cr_caller *w, cr_socketlike *s, uint32_t events);
void cr_receiving_completed(cr_op *op, void *arg);

/* ---- sending.c ---- */

/* So many bytes more are with the kernel. */
static inline void cr_sending_note(cr_socketlike *s, size_t size)
{
    s->sent += size;
    s->stream.written = s->moves = true;
}
/* Written and not with the kernel. */
static inline size_t cr_sending_unsent(const cr_socketlike *s)
{
    return cr_buffer_held(&s->stream.out) + (s->sending ? cr_buffer_held(&s->sending->going) : 0);
}
/* cr_buffer_reserve and cr_buffer_release. */
static inline int cr_socketlike_reserve(cr_socketlike *s, cr_buffer *buffer, size_t size)
{
    return cr_buffer_reserve(s->loop, buffer, size);
}
static inline void cr_socketlike_release(cr_socketlike *s, cr_buffer *buffer)
{
    if (CR_LIKELY(buffer->room == CR_BUFFER_SMALL)) {
        cr_buffers_give(&s->loop->backend->buffers, buffer->bytes, CR_BUFFER_SMALL);
        *buffer = (cr_buffer){ 0 };
    } else if (buffer->bytes) {
        cr_buffer_release(s->loop, buffer);
    }
}
/* A call that had waited goes on: the closer may be waiting for that. */
void cr_socketlike_left(crank_stream *stream);
/* Close the descriptor, now, unless that was done. */
void cr_socketlike_shut(cr_socketlike *s);
/* Close the descriptor where the stream has ended and no operation is left. */
void cr_socketlike_drop(cr_socketlike *s);
/* Before the first of a run; further calls change nothing. */
void cr_sending_init(crank_loop *loop);
/* Forget what is unsent. */
void cr_sending_deinit(cr_socketlike *s);
/* Start sending what is written, unless that is under way. Never waits. */
void cr_sending_start(cr_socketlike *s);
/* Wait until so many bytes in all are with the kernel. 0, -ECANCELED, or why not. */
int cr_sending_wait(const cr_caller *w, cr_socketlike *s, uint64_t sent);
/* The calls of cr_stream_type. */
int cr_sending_make_room(const cr_caller *w, crank_stream *stream, size_t size);
int cr_sending_room_now(crank_stream *stream, size_t size);
int cr_sending_wait_room(const cr_caller *w, crank_stream *stream);
size_t cr_sending_bytes(const crank_stream *stream);
void cr_sending_put(crank_stream *stream, size_t size);
bool cr_sending_write_at_once(crank_stream *stream, const char *bytes, size_t size);
int cr_sending_flush(const cr_caller *w, crank_stream *stream);
void cr_sending_set_high(crank_stream *stream, size_t high);
int cr_sending_progress(const cr_caller *w, crank_stream *stream, size_t most);
/* How much may be unsent when a writer of size bytes that had no room goes on. */
size_t cr_sending_low_mark(size_t high, size_t size);
/* A writer that waits for room looks again: the limit was moved. */
void cr_sending_look_again(cr_socketlike *s, cr_task *writer);
/* One after another: be the writer that may wait, and let the next be it. */
int cr_sending_take_turn(const cr_caller *w, cr_socketlike *s);
void cr_sending_give_turn(cr_socketlike *s);
/* Wait until the kernel has room; the caller has the turn, and nothing is unsent. 0 or a negative
 * errno. */
int cr_sending_poll(const cr_caller *w, cr_socketlike *s);
/* An operation in place of the stream's own sending, for the calling task, which has the turn: some
 * of its bytes to the kernel, or a POLL for room. Its result, or why it is not begun. */
long cr_sending_direct(
    const cr_caller *w, cr_socketlike *s, enum cr_op_code code, const char *bytes, size_t size);
/* Every task that waits here is woken with error. */
void cr_sending_eject(cr_socketlike *s, int error);
/* Nothing more is sent: what is unsent is lost. */
void cr_sending_break(cr_socketlike *s, int error);
/* Why a call that writes fails now: 0 where it does not. */
int cr_sending_refuses(cr_socketlike *s);
/* cr_stream_type's: large.c. */
int cr_large_write(const cr_caller *w, crank_stream *stream, const struct iovec *pieces, int n);
/* Has sending failed because the connection has broken? The kernel tells why once, the sender or
 * the reader: the other one sees an end, which must not pass for the peer's. */
bool cr_sending_broke_connection(const cr_socketlike *s);
/* Has sending failed alone, so that the kernel tells no reader? Its peer lacks what was written and
 * may never answer: a reader that would wait is given the error. */
bool cr_sending_failed_alone(const cr_socketlike *s);
#endif
