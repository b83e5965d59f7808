/* SPDX-License-Identifier: MIT */
/* copy_file.c: a file's bytes, copied by the kernel without a way through this program's memory.
 *
 * To a socket by sendfile, to another file by copy_file_range; on workers, where the file's disk
 * may keep them waiting. The socket does not: where it has no room the call ends, and the task
 * waits for room on the loop. Why sockets are not spliced to sockets: docs/performance.md.
 *
 * What the kernel does not do, on this file system, for this socket or on this kernel, is left to
 * the buffers, which also find the file's end and its errors. Errors of a connection are given
 * here, for the kernel tells of them once.
 *
 * Owns the job: heap memory, for a worker uses it. Invariant: while a worker uses the socket it is
 * lent, so that its descriptor stays open. */
#include "io/copy_file.h"

#include <poll.h>
#include <sys/uio.h>

#include "io/file.h"
#include "io/socketlike.h"
#include "thread/blocking.h"

/* Fewer are sent with what is written before and behind them, which costs fewer calls. */
#define LEAST ((size_t)128 * 1024)
/* So much keeps the loop for some 100 us; and each call has others around it (send). */
#define SEND_NOW ((size_t)512 * 1024)
/* A worker's call cannot be interrupted: so much takes a slow disk less than half a second. */
#define SEND_AT_ONCE ((size_t)1024 * 1024)
#define COPY_AT_ONCE ((size_t)4 * 1024 * 1024)

struct cr_copy_file {
    const cr_sys *sys;
    crank_stream *from, *to;
    cr_socketlike *socket; /* NULL: to is a file */
    cr_file_ahead source, sink;
    size_t size; /* what is to be copied next */
    long result; /* what the kernel gave for it */
};

/* ---- The calls, on workers but where the loop makes them itself ---- */

static long send_some(void *arg)
{
    cr_copy_file *copy = arg;
    do
        copy->result = copy->sys->send_file(
            copy->sys->context, copy->sink.place.fd, &copy->source.place, copy->size);
    while (copy->result == -EINTR);
    return 0;
}

static long copy_some(void *arg)
{
    cr_copy_file *copy = arg;
    do
        copy->result = copy->sys->copy_range(
            copy->sys->context, &copy->source.place, &copy->sink.place, copy->size);
    while (copy->result == -EINTR);
    return 0;
}

/* ---- To a socket ---- */

/* The call has found no room. There may be some by now, which the backend has told of already;
 * it waits for what comes next. */
static int await_room(const cr_caller *w, cr_socketlike *s)
{
    struct pollfd now = { .fd = s->receiving.fd, .events = POLLOUT };
    int ready = s->loop->sys->poll(s->loop->sys->context, &now, 1, 0);
    return ready == 0 ? cr_sending_poll(w, s) : 0;
}

/* What says that the connection is no more, or not reached: this is told once. */
static bool is_connections(long err)
{
    return err == -EPIPE || err == -ECONNRESET || err == -ETIMEDOUT || err == -EHOSTUNREACH ||
           err == -ENETUNREACH || err == -ENETDOWN;
}

/* Has the kernel the next bytes in memory, as far as the first and the last of them tell? It reads
 * ahead, so a page between them is seldom missing; where it is, the loop waits for the disk. */
static bool is_in_memory(const cr_copy_file *copy, size_t size)
{
    char byte;
    const struct iovec piece = { .iov_base = &byte, .iov_len = 1 };
    const cr_sys *sys = copy->sys;
    int fd = copy->source.place.fd;
    int64_t first = copy->source.at, last = first + (int64_t)size - 1;
    return sys->read_at(sys->context, fd, &piece, first, RWF_NOWAIT) == 1 &&
           sys->read_at(sys->context, fd, &piece, last, RWF_NOWAIT) == 1;
}

static int lend(const cr_caller *w, cr_copy_file *copy)
{
    cr_socketlike *s = copy->socket;
    s->lent = true;
    int err = (int)cr_blocking_call(w, send_some, copy, cr_stream_name(copy->from));
    s->lent = false;
    cr_socketlike_drop(s);
    return err;
}

/* A trip to a worker costs more than sending what is in memory, which the loop's thread does
 * itself. */
static int send(const cr_caller *w, cr_copy_file *copy)
{
    size_t all = copy->size, now = all < SEND_NOW ? all : SEND_NOW;
    copy->sink.place.fd = copy->socket->receiving.fd;
    if (!is_in_memory(copy, now))
        return lend(w, copy);
    copy->size = now;
    (void)copy->sys->without_sigpipe(copy->sys->context, send_some, copy);
    copy->size = all;
    return 0;
}

/* The caller has the turn. What was written before goes first. */
static long send_in_turn(const cr_caller *w, cr_copy_file *copy)
{
    cr_socketlike *s = copy->socket;
    int err = cr_sending_wait(w, s, s->sent + cr_sending_unsent(s));
    do {
        if (err == 0)
            err = cr_sending_refuses(s);
        if (err < 0)
            return cr_stream_failed(copy->to, "write", err);
        err = send(w, copy);
        if (err < 0)
            return err == -ECANCELED ? err : 0;
        if (copy->result == -EAGAIN)
            err = await_room(w, s);
    } while (copy->result == -EAGAIN);
    if (is_connections(copy->result)) {
        err = s->ended ? s->ended : (int)copy->result;
        if (!s->ended) {
            cr_sending_break(s, err);
            s->stream.told = err;
        }
        return cr_stream_failed(copy->to, "write", err);
    }
    return copy->result > 0 ? copy->result : 0;
}

static long to_socket(const cr_caller *w, cr_copy_file *copy)
{
    cr_socketlike *s = copy->socket;
    int err = cr_sending_refuses(s);
    if (err == 0)
        err = cr_sending_take_turn(w, s);
    if (err < 0)
        return cr_stream_failed(copy->to, "write", err);
    long n = send_in_turn(w, copy);
    if (n > 0)
        cr_sending_note(s, (size_t)n);
    cr_sending_give_turn(s);
    if (s->eof_asked)
        cr_sending_start(s);
    return n;
}

/* ---- To a file ---- */

/* Flushing leaves the file to other writers, which this one still is. */
static long to_file(const cr_caller *w, cr_copy_file *copy)
{
    crank_stream *to = copy->to;
    int err = to->type->flush(w, to);
    if (err < 0)
        return err;
    to->writer = w->self;
    if (!cr_file_look_ahead(to, &copy->sink))
        return 0;
    err = (int)cr_blocking_call(w, copy_some, copy, cr_stream_name(copy->from));
    if (err < 0)
        return err == -ECANCELED ? err : 0;
    if (copy->result <= 0)
        return 0;
    to->type->put(to, (size_t)copy->result);
    to->written = true;
    return copy->result;
}

/* ---- The copy ---- */

/* A socket that was opened elsewhere may make a worker wait. */
static bool is_own_socket(const cr_socketlike *s)
{
    return s->kind->fd < CR_FD_PIPE && !s->kind->close;
}

cr_copy_file *cr_copy_file_new(const cr_caller *w, crank_stream *from, crank_stream *to)
{
    cr_file_ahead source, sink;
    cr_socketlike *s = cr_socketlike_of(to);
    if (w->loop->simulated || from == to || !cr_file_look_ahead(from, &source) ||
        !(s ? is_own_socket(s) : cr_file_look_ahead(to, &sink)))
        return NULL;
    cr_copy_file *copy = cr_alloc_zero(w->loop->sys, sizeof *copy);
    if (!copy)
        return NULL;
    copy->sys = w->loop->sys;
    copy->from = from;
    copy->to = to;
    copy->socket = s;
    return copy;
}

long cr_copy_file_some(const cr_caller *w, cr_copy_file *copy, size_t size)
{
    size_t most = copy->socket ? SEND_AT_ONCE : COPY_AT_ONCE;
    if (!cr_file_look_ahead(copy->from, &copy->source))
        return 0;
    int64_t left = copy->source.end - copy->source.at;
    if (size < LEAST || left < (int64_t)LEAST)
        return 0;
    most = left < (int64_t)most ? (size_t)left : most;
    copy->size = size < most ? size : most;
    long n = copy->socket ? to_socket(w, copy) : to_file(w, copy);
    if (n > 0)
        copy->from->type->taken(copy->from, (size_t)n);
    return n;
}
