/* SPDX-License-Identifier: MIT */
/* backend.h: the contract every backend meets. sim.c is the reference: read it first.
 *
 * An operation is a fixed struct in its submitter's record or slab. It belongs to the backend from
 * submit until its one final completion. Completions come only from turn, never re-entrantly. What
 * the kernel carries (user_data) is slot and generation, never a pointer. A backend does not know
 * that tasks exist. */
#ifndef CR_BACKEND_H
#define CR_BACKEND_H
#include "backend/buffers.h"
#include "base/sys.h"

typedef struct cr_op cr_op;
typedef struct cr_backend cr_backend;
typedef struct cr_backend_type cr_backend_type;

/* Few on purpose: what a backend cannot do by itself (open, stat) is done on threads, above. */
enum cr_op_code {
    /* until fd is ready for events (EPOLLIN ...), or has an error or has ended both ways, which
     * events 0 waits for alone; result: the events */
    CR_OP_POLL,
    /* up to size bytes from fd into buf, at offset (-1: where it stands); result: how many */
    CR_OP_READ,
    CR_OP_WRITE, /* the same outwards */
    /* Of an attached descriptor. Some bytes, at least one, into buf; result: how many, 0 at the
     * end. buf NULL: size is an enum cr_buffer_size, and where the result is positive buf is a
     * buffer of that size from backend->buffers, the submitter's from then on. */
    CR_OP_RECV,
    CR_OP_SEND, /* some of size bytes, at least one, from buf; a broken connection is no signal */
};

/* How RECV and SEND move bytes of a descriptor, and what a transfer of fewer than were asked for
 * says. */
enum cr_fd_kind {
    CR_FD_TCP,    /* a socket: there is nothing more now, or no more room */
    CR_FD_OTHER,  /* a socket: nothing, it stopped at a boundary of messages */
    CR_FD_PIPE,   /* no socket, O_NONBLOCK: nothing */
    CR_FD_SHARED, /* no socket: nothing. Tried without waiting, whatever its flags are */
    CR_FD_FILE,   /* always ready: read and written at once, and never polled */
};

/* An attached descriptor: generation tells it from what has had the same number before. */
typedef struct cr_fd {
    int number;
    uint32_t generation; /* never 0 */
} cr_fd;

/* Everything but slot and result is the submitter's: written before submitting, and not
 * again until the final completion; buf must stay as long, whatever happens to the task that
 * waits. */
struct cr_op {
    enum cr_op_code code;
    int fd;
    uint32_t generation; /* of an attached descriptor; 0: fd is not attached */
    uint8_t kind;        /* of RECV and SEND: an enum cr_fd_kind, the attached descriptor's */
    uint32_t slot;       /* the backend's */
    uint32_t events;
    void *buf;
    size_t size;
    int64_t offset;
    long result;                             /* negative errno, or what the code says */
    void (*completed)(cr_op *op, void *arg); /* the final completion, from turn */
    void *arg;
};

/* What a completion touches stands around the operation: io/socketlike.h. NULL is no fault. */
static inline void cr_op_prefetch(const cr_op *op)
{
    for (intptr_t line = -64; line <= 192; line += 64)
        __builtin_prefetch((const void *)((intptr_t)op + line));
}

/* Done now is for what need not wait: a caller then goes on without parking. */
enum cr_submitted { CR_DONE_NOW, CR_PENDING };

struct cr_backend_type {
    const char *name;

    /* Make one; 0 or a negative errno (-ENOSYS, -EPERM ...: this kernel does not allow it). seed is
     * for the simulator. */
    int (*open)(const cr_sys *sys, uint64_t seed, cr_backend **ret_backend);
    /* No operation may be pending. */
    void (*close)(cr_backend *backend);

    /* Take an operation. CR_DONE_NOW: op->result is set, completed will not be called. CR_PENDING:
     * it will be, exactly once, from a later turn. A failure to take it is CR_DONE_NOW with a
     * negative result. */
    enum cr_submitted (*submit)(cr_backend *backend, cr_op *op);
    /* Take a descriptor of crank's own into the backend's care: from now on it is closed by
     * close_fd, and RECV and SEND are for it. It is O_NONBLOCK, or of a kind that need not be.
     * Registers nothing yet. 0 or -ENOMEM. At most one RECV and one SEND of it are pending at a
     * time, and any number of POLLs. A POLL of it is submitted by a caller that has just tried in
     * vain (or that has not tried yet): it completes with what becomes ready after that, and may
     * complete with nothing new. An operation on one that is closed gives -EBADF, also where its
     * number is used again; a POLL by the mere number of one that is attached gives -EBUSY. */
    int (*attach)(cr_backend *backend, int fd, enum cr_fd_kind kind, cr_fd *ret_fd);
    /* Close it as soon as the kernel holds nothing of it. No operation of it may be pending, but
     * a POLL that was cancelled and let go. What
     * close says is dropped: the descriptor is gone. */
    void (*close_fd)(cr_backend *backend, cr_fd fd);
    /* Forget it and leave it open: nothing of it stays registered, also where it has duplicates. No
     * operation of it may be pending. */
    void (*detach)(cr_backend *backend, cr_fd fd);
    /* Ask for an early end of a pending operation. The final completion still comes, with
     * -ECANCELED or, where the result was faster, with the result. */
    void (*cancel)(cr_backend *backend, cr_op *op);
    /* The same of all that is pending: the loop ends, and what has submitted it was left open. */
    void (*cancel_all)(cr_backend *backend);
    /* Behind cancel, for a poll: return when the operation holds its file no more, so that closing
     * the descriptor closes the file. The final completion still comes. NULL: so it is already. */
    void (*let_go)(cr_backend *backend, cr_op *op);

    /* Wait until something has completed, wake was called, or deadline (an instant of sys->now;
     * CR_NEVER; one in the past only looks) has come; deliver what has completed. Gives how many
     * completions it delivered. Rounds waits up. */
    long (*turn)(cr_backend *backend, int64_t deadline);
    /* Will nothing that is pending ever complete, unless something else happens first? A turn in
     * which that becomes true returns. NULL: it cannot be known, for the world outside may do
     * something at any time. */
    bool (*hopeless)(cr_backend *backend);
    /* From any thread or signal handler: make the current or next turn return soon. */
    void (*wake)(cr_backend *backend);
    /* A descriptor readable when turn has something to deliver; -ENOTSUP where there is none,
     * -EBUSY where it had to be asked for before the first operation. */
    int (*pollable)(cr_backend *backend);
    /* Is there something for a turn to do that the descriptor cannot tell of? NULL: there is no
     * descriptor. */
    bool (*owes_turn)(cr_backend *backend);
    /* In the child of a fork: close this process's descriptors of what the parent shares, and do
     * nothing else to it. Operations stay pending, and can be cancelled. */
    void (*leave_parent)(cr_backend *backend);
    /* After that: open descriptors of its own, where the operations wait as before. 0 or a negative
     * errno, with nothing changed. */
    int (*reopen)(cr_backend *backend);
    /* The OS table the loop should use with this backend (the simulator's has its own clock and
     * chance). */
    const cr_sys *(*sys)(cr_backend *backend);
    /* The simulator: choose one of n (0 when the seed is 0), and note it in the trace's hash. NULL
     * elsewhere. */
    size_t (*choose)(cr_backend *backend, size_t n);
    uint64_t (*trace_hash)(cr_backend *backend);
};
struct cr_backend {
    const cr_backend_type *type;
    cr_buffers buffers; /* for what RECV brings, and what streams send */
};

extern const cr_backend_type cr_backend_sim;
extern const cr_backend_type cr_backend_epoll;
extern const cr_backend_type cr_backend_uring;
/* As cr_backend_uring.open, for a loop that threads run one after the other: its ring may be
 * entered by any of them. */
int cr_uring_open_shared(const cr_sys *sys, cr_backend **ret_backend);
#endif
