/* SPDX-License-Identifier: MIT */
#ifndef CRANK_STREAM_H
#define CRANK_STREAM_H
/* Streams of bytes with a buffer, over files and sockets (crank/net.h); the loop goes on while one is read or written.
 * One task may read a stream at a time: another is a CHECK. Of a socket any number of tasks may write, and each call's
 * bytes stay together; of a file one, and one in all where it is open for both. */
#include "base.h"
#include "generator.h"
#include <stdint.h>
#include <sys/uio.h>
#if defined(__GNUC__)
#pragma GCC system_header
#endif

CRANK_BEGIN_DECLS

typedef struct crank_stream crank_stream;

/* Open a file, mode as fopen's ("r", "w", "a", "r+", "w+", "a+", "x" with w). Close-on-exec. NULL on failure, errno is
 * set, crank_error names the path: open's errors, -EINVAL for the mode, -ENOMEM, -EAGAIN (no thread to open it on),
 * -ECANCELED. A file open for both has one place, for reading and for writing. Opening a pipe by name waits for its
 * other end, and that wait cannot be interrupted. */
CRANK_API CRANK_BLOCKS crank_stream *crank_open(const char *path, const char *mode);
/* What a file was when it was opened. */
typedef struct crank_file_info {
    int64_t size;        /* bytes */
    int64_t modified_ns; /* when it was last written, since 1970, UTC */
    uint64_t device;     /* with inode: which of the machine's files it is */
    uint64_t inode;
} crank_file_info;
/* Open a regular file to be read, by a path that a stranger may have chosen: from folder, and never out of it. Links
 * are not followed, but for those in folder, and opening never waits for another program. Close-on-exec. *ret_info
 * (NULL: not asked for) says what was opened. NULL on failure, errno is set, crank_error names it: -EXDEV (the path
 * begins with '/' or has a part ".."), -ELOOP (a part is a link), -EISDIR, -ENXIO (a pipe, a device, a socket), open's
 * errors; -ENOMEM, -EAGAIN (no thread to open it on, or another program has a lease on it), -ECANCELED. */
CRANK_API CRANK_BLOCKS crank_stream *crank_open_beneath(
    const char *folder, const char *path, crank_file_info *ret_info);
/* Up to size bytes into buf: at least one, 0 at the end. Fails with -ECANCELED (nothing was taken), read's errors,
 * -EBADF when not open for reading. Where what was written to a socket could not be sent, and nothing has come that can
 * be read, with the error of that. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_read(crank_stream *stream, void *buf, size_t size);
/* Exactly size bytes. Fails with -ENODATA when the end comes before (what there is stays, and can be read); else as
 * crank_read. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_read_exactly(crank_stream *stream, void *buf, size_t size);
/* A line with its '\n' into buf, terminated; the last may lack it; 0 at the end. A line longer than size - 1 comes in
 * pieces, each without '\n' but the last: line[n - 1] != '\n' tells a piece. A server that wants whole lines calls
 * crank_read_until. Fails as crank_read; -EINVAL for size < 2. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_read_line(crank_stream *stream, char *buf, size_t size);
/* Up to and with separator into buf, terminated: how many bytes, at most size - 1. 0 at the end. Fails with -EMSGSIZE
 * (no separator ends within size - 1 bytes), -ENODATA (the end came first): both leave all bytes readable. Else as
 * crank_read; -EINVAL for size < 2 and for an empty separator. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_read_until(
    crank_stream *stream, const char *separator, char *buf, size_t size);
/* The same up to one of n separators: the one that ends first counts. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_read_until_any(
    crank_stream *stream, const char *const *separators, size_t n, char *buf, size_t size);
/* All bytes to the end, into memory from malloc with a 0 behind. 0; fails with -EMSGSIZE (more than limit bytes: all
 * stay readable), -ENOMEM; else as crank_read. Nothing is taken on failure. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_read_to_end(
    crank_stream *stream, size_t limit, char **ret_data, size_t *ret_size);
/* For parsers: see at least want bytes, which are not taken: how many there are, fewer than want only at the end.
 * *ret_bytes is valid until the next call that reads. want 0 never waits, and shows what the buffer has. Fails with
 * -EMSGSIZE for more than 64 KiB; else as crank_read. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_peek(crank_stream *stream, size_t want, const char **ret_bytes);
/* Take size bytes of what crank_peek has shown; more is a CHECK. Never waits. */
CRANK_API void crank_skip(crank_stream *stream, size_t size);
/* Was the end seen, by a call that wanted more bytes than there were, and is nothing buffered? */
CRANK_API bool crank_at_end(const crank_stream *stream);
/* All size bytes, in order, by way of the buffer: they are with the kernel after crank_flush or crank_close. 0; fails
 * with -ECANCELED (nothing was taken), write's errors, -EBADF. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_write(crank_stream *stream, const void *buf, size_t size);
/* As crank_write, formatted. Fails with -ENOMEM besides. */
CRANK_API CRANK_BLOCKS int crank_printf(crank_stream *stream, const char *format, ...) CRANK_PRINTF(2, 3);
/* As crank_write, of n pieces, which stay together. Fails with -EINVAL for n < 0 besides. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_write_vector(
    crank_stream *stream, const struct iovec *pieces, int n);
/* Give what is in the buffer to the kernel. 0; fails as crank_write. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_flush(crank_stream *stream);
/* Copy bytes from one stream to another, in order: to the end of from, or so many where limit is not negative.
 * *ret_copied (NULL: not asked for) says how many to has taken, while the copy goes on and when it ends, also on
 * failure. They are written as by crank_write, and are with the kernel after crank_flush; the end is not passed on:
 * crank_write_eof does that. While to has no room nothing is read; what was read and not copied can still be read. A
 * large file's bytes the kernel copies by itself where it can, by sendfile or copy_file_range. The caller reads from
 * meanwhile, and is one of the writers of to; a socket may be copied to itself. 0; fails as crank_read of from and as
 * crank_write of to, with -ECANCELED too after some bytes; -ECONNABORTED where another task has closed or aborted
 * either; -EINVAL for a file and itself. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_copy(
    crank_stream *from, crank_stream *to, int64_t limit, int64_t *ret_copied);
/* End the writing of a socket or pipe: the peer sees the end behind the bytes, and later writes fail with -EPIPE.
 * Reading goes on. Twice is once. 0; fails as crank_flush, -ENOTSUP for a file and for what is borrowed: those end
 * where they are closed. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_write_eof(crank_stream *stream);
/* Write without ever waiting, for one task that writes to many peers, and for callbacks. All size bytes, or nothing
 * with -EAGAIN: where bytes are unsent and so many more would be above the limit, and where another task waits to
 * write. 0; else fails as crank_write. */
CRANK_API CRANK_MUST_USE int crank_write_now(crank_stream *stream, const void *bytes, size_t size);
/* Wait until there is room for what crank_write_now has last refused; of a file: write out what is buffered. 0; fails
 * as crank_write. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_wait_room(crank_stream *stream);
/* How many bytes were written and are not with the kernel, those of a large write that waits too. */
CRANK_API size_t crank_unsent(const crank_stream *stream);
/* From high unsent bytes on the writers of a socket or pipe wait, until a quarter of that is left. 0 is 64 KiB, which
 * is also the default. Of a file: ignored. */
CRANK_API void crank_set_write_limit(crank_stream *stream, size_t high);
/* From this instant of crank_time on, waits on a socket or pipe give -ETIMEDOUT, also those of tasks that wait already,
 * until the limit is moved; what need not wait goes on. It costs little to move it with every message. CRANK_FOREVER:
 * none. A write above crank_set_write_limit that it ends in its middle breaks the writing, as a cancelled one does. 0;
 * fails with -EINVAL, -ENOMEM, -ENOTSUP for a file. */
CRANK_API int crank_stream_limit(crank_stream *stream, double at);
/* Cancel that task when the peer of a socket has gone, while it does not read: when it has reset the connection, or
 * ended it and left nothing unread (of a stream over a transport: when it has ended it). At once where it has gone
 * already, once, and until another task is named or the stream is closed; NULL takes it back, and the requests that
 * were made stay made. Never waits. 0; fails with -ENOTSUP for what is no socket, -ECONNABORTED, -ENOMEM. */
CRANK_API int crank_stream_on_gone(crank_stream *stream, crank_task *task);
/* The same, for a peer that may end its sending and read on: cancels when it resets the connection, or closes a unix
 * socket. Either call takes the other's place. */
CRANK_API int crank_stream_on_reset(crank_stream *stream, crank_task *task);
/* Has the task that was named last been cancelled for that? */
CRANK_API bool crank_stream_gone(const crank_stream *stream);
/* End it now: unsent bytes are dropped, a TCP peer gets a reset, and every call on it, also one that waits, fails with
 * -ECONNABORTED. Never waits. It is still to be closed. Of a file: a CHECK while another task is in a call on it. */
CRANK_API void crank_abort(crank_stream *stream);
/* Flush and close, also when cancelled (then it still closes). NULL is ignored. Fails with what flushing failed with. A
 * peer that does not read is waited for until a request to cancel or a time limit comes, which loses the rest: of TCP
 * the peer sees a reset then, for an end would say that it has all. Where the request or limit came before the call, or
 * memory was short for a limit around it (-ENOMEM), a socket or pipe of crank's is tried once, and the wait for a file
 * that is a pipe goes on: what cleans up after a limit sets its own. The request gives -ECANCELED at the end, and stays
 * for the next wait where the call fails with another error. Two ends that are closed at one time, each with more
 * unsent than the kernel takes, wait for each other, for neither reads any more: crank_stream_limit, of one of them,
 * ends that. */
CRANK_API CRANK_BLOCKS int crank_stream_close(crank_stream *stream);

/* Close it where nobody can be given its failure: that is reported. */
CRANK_API void crank_stream_end_(crank_stream *stream);

/* A whole file into memory from malloc, with a 0 behind it. 0; fails as crank_open and crank_read. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_read_file(const char *path, char **ret_data, size_t *ret_size);
/* A whole file from memory, made or replaced. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_write_file(const char *path, const void *data, size_t size);

/* ---- Streams of one's own -------------------------------------------------------------------------------------- */

/* What a stream of one's own is made of: encryption, compression, a protocol that carries bytes. A static const;
 * self is what crank_stream_new was given. All but put may wait: they run in the task whose call they serve, and where
 * the stream is closed or aborted meanwhile their waits give -ECANCELED, which they pass on, as they do when the task
 * is cancelled. Each gives a negative errno on failure, with crank_fail's message or without. */
typedef struct crank_transport {
    const char *name; /* for messages: "tls" */
    /* Some bytes into buf, at least one, at most size: how many; 0 at the end. One task is in it at a time, others
     * may write meanwhile. -ECANCELED and -ETIMEDOUT mean that nothing was taken, and it is called again; after another
     * failure it is not. NULL: the stream cannot be read. */
    ssize_t (*read)(void *self, void *buf, size_t size);
    /* Wait until read has something to give, which may be an end or a failure; 0 early is no fault, for read waits too.
     * Called before read where nothing is buffered, and fails as read does. The stream has no memory for bytes
     * meanwhile: for transports of which many are idle. NULL: read alone waits, with 16 KiB in its hand. */
    int (*await_read)(void *self);
    /* Take all size bytes; never waits: to the stream below by crank_write_now, which buffers however much this puts.
     * 0, or why nothing more can be written. It is called for all bytes that were written in one pass of the loop: at
     * its end, when the stream is read or flushed, or at the write limit; on the loop's own stack, where no task runs.
     * NULL, and write too: the stream cannot be written. */
    int (*put)(void *self, const void *bytes, size_t size);
    /* In place of put, for what cannot but wait: called by the task that writes, with the bytes of its call, one task
     * at a time. Any failure, -ECANCELED too, breaks the writing; crank_write_now gives -ENOTSUP. */
    int (*write)(void *self, const void *bytes, size_t size);
    /* The end, behind what was put. NULL: crank_write_eof gives -ENOTSUP. */
    int (*write_eof)(void *self);
    /* Free self and close what is below, also on failure and when cancelled; the last call, when all others have
     * returned. abort: the stream was aborted, or bytes were lost: the peer must not take what it has for all. NULL:
     * there is nothing to free. */
    int (*close)(void *self, bool abort);
} crank_transport;

/* A stream over a transport, with all that streams offer; closed as any other. below is the stream that self reads and
 * writes, which is the transport's from then on: nothing else reads, writes or closes it, its write limit is lifted
 * where there is a put (the new stream's writers wait in its place; over a file, which takes no more than fits its
 * buffer, write is used), and crank_peer_name, crank_own_name, crank_stream_fd, crank_stream_limit and crank_abort of
 * the new stream mean it as well. NULL: there is none, and crank_stream_limit gives -ENOTSUP. A handler's peer of
 * crank_serve may be below: the server closes the new stream with it where the handler has not. Never waits. NULL when
 * memory is short, errno is set: self and below stay the caller's, as they were. */
CRANK_API crank_stream *crank_stream_new(const crank_transport *transport, void *self, crank_stream *below);
/* The self of a stream that was made with this transport, for its author's own calls on it; NULL: it is another stream,
 * or being closed. */
CRANK_API void *crank_stream_self(const crank_stream *stream, const crank_transport *transport);

/* ---- Pipes, standard input and output, descriptors of others --------------------------------------------------- */

/* A pipe: what is written to one stream is read from the other, in this program or by a child. 0; fails with pipe's
 * errors, -ENOMEM. */
CRANK_API CRANK_MUST_USE int crank_pipe(crank_stream **ret_reader, crank_stream **ret_writer);
/* Take over a descriptor, which is closed with the stream; mode as crank_open's. Its flags, which other programs may
 * share, stay as they are. A file that is taken over for both directions is read and written from its beginning. NULL
 * on failure, errno is set, crank_error names it: -EBADF, -EINVAL for the mode, -ENOMEM. */
CRANK_API crank_stream *crank_stream_from_fd(int fd, const char *mode);
/* Descriptors 0, 1 and 2 as streams, the run's own: closing one is ignored, and what was written is with the kernel
 * when crank_run returns. What printf has buffered is not in them: fflush it first where the order matters. NULL on
 * failure, errno is set: -EBADF (it is closed), -ENOMEM. */
CRANK_API crank_stream *crank_stdin(void);
CRANK_API crank_stream *crank_stdout(void);
CRANK_API crank_stream *crank_stderr(void);

/* The descriptor, for getsockopt and its like: not to be read, written or closed. Fails with -EBADF once it is closed,
 * -ENOTSUP for a simulated socket. */
CRANK_API int crank_stream_fd(const crank_stream *stream);
/* Give the descriptor back, end the stream and set the variable to NULL. A socket's and a pipe's own stays O_NONBLOCK;
 * a file that is open for one direction stands where the last call ended. A CHECK while another task is in a call on
 * it. The descriptor; fails as crank_stream_fd, and with -EBUSY where bytes were read ahead or are unsent, and for what
 * is not the caller's to end: standard input and output, a handler's peer. */
CRANK_API int crank_stream_release(crank_stream **stream);

enum { CRANK_READABLE = 1, CRANK_URGENT = 2, CRANK_WRITABLE = 4 };
/* For libraries with descriptors of their own: wait until fd is ready for events, one or more of CRANK_READABLE,
 * CRANK_WRITABLE and CRANK_URGENT. Which of them it is; an error or an end counts as all. Nothing stays registered.
 * Fails with -ECANCELED, -EBADF (also where crank_fd_closing was called meanwhile), -EPERM for a file, -EBUSY for a
 * stream's own descriptor, -EINVAL, -ENOMEM. */
CRANK_API CRANK_BLOCKS int crank_wait_fd(int fd, int events);
/* To be called before closing a descriptor for which tasks may wait: their calls fail with -EBADF. Never waits. */
CRANK_API void crank_fd_closing(int fd);

/* A socket on which connections are accepted: crank/net.h. */
typedef struct crank_listener crank_listener;
/* Close its sockets. Never waits. A CHECK while a task accepts or serves. NULL is ignored. 0. */
CRANK_API int crank_listener_close(crank_listener *listener);

/* A socket that sends and receives datagrams: crank/net.h. */
typedef struct crank_udp crank_udp;
/* Close its socket: what was sent is on its way. Never waits. A CHECK while a task is in a call of it. NULL is ignored.
 * 0. */
CRANK_API int crank_udp_close(crank_udp *udp);

/* A program that was started: crank/process.h. */
typedef struct crank_process crank_process;
/* End it and free the object: its pipes are closed; where it runs it is sent SIGTERM, after its grace seconds
 * SIGKILL, and it is waited for, also when cancelled. Other tasks that wait for it are given its status. NULL is
 * ignored. 0; fails with -ECANCELED: it has ended all the same. */
CRANK_API CRANK_BLOCKS int crank_process_close(crank_process *process);

#ifndef __cplusplus
/* Close a stream, a listener, a socket of datagrams, a process or a generator. */
#define crank_close(x) \
    _Generic((x), crank_stream *: crank_stream_close, crank_listener *: crank_listener_close, \
        crank_udp *: crank_udp_close, crank_process *: crank_process_close, \
        crank_generator *: crank_generator_close)(x)
/* Close what a variable holds, set it to NULL, and give what crank_close gives. For the variables of CRANK_AUTO_STREAM
 * and its like: their block's end would close again what crank_close has closed. */
#define crank_finish(variable) \
    _Generic((variable), crank_stream *: crank_stream_finish_, crank_listener *: crank_listener_finish_, \
        crank_udp *: crank_udp_finish_, crank_process *: crank_process_finish_, \
        crank_generator *: crank_generator_finish_)(&(variable))

static inline int crank_stream_finish_(crank_stream **variable)
{
    crank_stream *stream = *variable;
    *variable = (crank_stream *)0;
    return crank_stream_close(stream);
}
static inline int crank_listener_finish_(crank_listener **variable)
{
    crank_listener *listener = *variable;
    *variable = (crank_listener *)0;
    return crank_listener_close(listener);
}
static inline int crank_udp_finish_(crank_udp **variable)
{
    crank_udp *udp = *variable;
    *variable = (crank_udp *)0;
    return crank_udp_close(udp);
}
static inline int crank_process_finish_(crank_process **variable)
{
    crank_process *process = *variable;
    *variable = (crank_process *)0;
    return crank_process_close(process);
}
static inline int crank_generator_finish_(crank_generator **variable)
{
    crank_generator *generator = *variable;
    *variable = (crank_generator *)0;
    return crank_generator_close(generator);
}
/* CRANK_AUTO_STREAM crank_stream *s = ...: closed at the end of its block, as by crank_close. It answers no request to
 * cancel: that stays for the next wait. What cannot be written then is lost, and reported (CRANK_REPORT_UNAWAITED), and
 * the block's result does not change: to be given the error call crank_flush, or crank_finish, before. */
#define CRANK_AUTO_STREAM CRANK_CLEANUP_(crank_stream_drop_)
static inline void crank_stream_drop_(crank_stream **stream)
{
    if (*stream)
        crank_stream_end_(*stream);
}
#endif

CRANK_END_DECLS
#endif
