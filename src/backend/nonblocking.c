/* SPDX-License-Identifier: MIT */
/* nonblocking.c: try first.
 *
 * A read or write asks the kernel not to wait (RWF_NOWAIT), whatever the descriptor's own flags
 * are: descriptors that are inherited, such as standard input, are shared with other programs,
 * which O_NONBLOCK would surprise. Files that cannot promise that, such as terminals on some
 * kernels, are polled before, and get no more than a pipe takes without waiting.
 *
 * Owns no state: the answer is the result or -EAGAIN, and what follows from it is the backend's. */
#include "backend/nonblocking.h"

#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLPRI == EPOLLPRI &&
                   POLLERR == EPOLLERR && POLLHUP == EPOLLHUP,
    "events of poll and epoll are the same bits");

/* Interrupted counts as not ready: it is looked at again. */
static long poll_now(const cr_sys *sys, int fd, uint32_t events)
{
    struct pollfd one = { .fd = fd, .events = (short)events };
    int n = sys->poll(sys->context, &one, 1, 0);
    if (n < 0)
        return n == -EINTR ? -EAGAIN : n;
    if (one.revents & POLLNVAL)
        return -EBADF;
    return n == 0 ? -EAGAIN : one.revents;
}

/* A call that a signal has interrupted is made again: the handler has run, and no caller need
 * know. */
static long transfer(const cr_sys *sys, const cr_op *op, size_t size, int flags)
{
    struct iovec piece = { .iov_base = op->buf, .iov_len = size };
    for (;;) {
        long result = op->code == CR_OP_READ
                          ? sys->read_at(sys->context, op->fd, &piece, op->offset, flags)
                          : sys->write_at(sys->context, op->fd, &piece, op->offset, flags);
        if (result != -EINTR)
            return result;
    }
}

/* PIPE_BUF bytes are what fits where a pipe polls as writable; more might block the loop. */
static long poll_and_transfer(const cr_sys *sys, const cr_op *op)
{
    struct stat status;
    size_t size = op->size;
    int err = sys->stat(sys->context, op->fd, &status);
    if (err < 0)
        return err;
    if (!S_ISREG(status.st_mode)) {
        long ready = poll_now(sys, op->fd, op->code == CR_OP_READ ? EPOLLIN : EPOLLOUT);
        if (ready < 0)
            return ready;
        if (op->code == CR_OP_WRITE && size > PIPE_BUF)
            size = PIPE_BUF;
    }
    return transfer(sys, op, size, 0);
}

long cr_nonblocking(const cr_sys *sys, const cr_op *op)
{
    if (op->code == CR_OP_POLL)
        return poll_now(sys, op->fd, op->events);
    long result = transfer(sys, op, op->size, RWF_NOWAIT);
    return result == -EOPNOTSUPP ? poll_and_transfer(sys, op) : result;
}

/* The kernel has no wait for a regular file's readiness, so a poll of one is ready at once. */
long cr_nonblocking_or_wait(const cr_sys *sys, const cr_op *op)
{
    if (op->code == CR_OP_POLL)
        return (long)(op->events & (EPOLLIN | EPOLLOUT));
    return transfer(sys, op, op->size, 0);
}

/* Of what is no socket: where it stands, in the way of its kind. An O_NONBLOCK file is asked
 * plainly: what it answers is followed by an event, which the other ways do not promise. */
static long transfer_file(const cr_sys *sys, const cr_op *op, enum cr_op_code code)
{
    const cr_op plain = {
        .code = code, .fd = op->fd, .buf = op->buf, .size = op->size, .offset = -1
    };
    if (op->kind == CR_FD_SHARED)
        return cr_nonblocking(sys, &plain);
    if (op->kind == CR_FD_FILE)
        return cr_nonblocking_or_wait(sys, &plain);
    ssize_t n;
    do
        n = code == CR_OP_READ ? sys->read(sys->context, op->fd, op->buf, op->size)
                               : sys->write(sys->context, op->fd, op->buf, op->size);
    while (n == -EINTR);
    return n;
}

CR_HOT static long receive(const cr_sys *sys, const cr_op *op)
{
    if (CR_UNLIKELY(op->kind >= CR_FD_PIPE))
        return transfer_file(sys, op, CR_OP_READ);
    ssize_t n;
    do
        n = sys->recv(sys->context, op->fd, op->buf, op->size, 0);
    while (n == -EINTR);
    return n;
}

CR_HOT long cr_nonblocking_receive(cr_backend *backend, const cr_sys *sys, cr_op *op)
{
    bool taken = !op->buf;
    if (taken)
        op->buf = cr_buffers_take(&backend->buffers, (enum cr_buffer_size)op->size);
    if (!op->buf)
        return -ENOMEM;
    long n = receive(sys, op);
    if (n <= 0 && taken) {
        cr_buffers_give(&backend->buffers, op->buf, (enum cr_buffer_size)op->size);
        op->buf = NULL;
    }
    return n;
}

typedef struct sending {
    const cr_sys *sys;
    const cr_op *op;
} sending;

static long write_file(void *arg)
{
    const sending *s = arg;
    return transfer_file(s->sys, s->op, CR_OP_WRITE);
}

/* No flag of the kernel's keeps a broken pipe from being a signal. */
CR_HOT long cr_nonblocking_send(const cr_sys *sys, const cr_op *op)
{
    ssize_t n;
    if (CR_UNLIKELY(op->kind >= CR_FD_PIPE))
        return sys->without_sigpipe(sys->context, write_file, &(sending){ sys, op });
    do
        n = sys->send(sys->context, op->fd, op->buf, op->size, 0);
    while (n == -EINTR);
    return n;
}
