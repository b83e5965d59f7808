/* SPDX-License-Identifier: MIT */
/* pipe.c: pipes, and descriptors that others have opened, as streams.
 *
 * Our own ends of a pipe are O_NONBLOCK; the flags of what others have opened are never changed,
 * for they belong to the open file, which other programs may share: a shell whose terminal has
 * become O_NONBLOCK is broken. So a pipe or terminal is opened anew, by its name in procfs, which
 * gives an open file of our own; where that is refused (another user's terminal) the backend tries
 * without waiting, or polls before. Sockets are asked not to wait call by call. Regular files are
 * file.c's, but for standard output and error: those are written at once, as printf does, since
 * any number of tasks write to them.
 *
 * Owns the descriptor that was given beside the one that is read and written. */
#include "io/pipe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "io/file.h"
#include "io/socketlike.h"
#include "task/error.h"

enum { NAME_ROOM = 64 };

/* A stream over one descriptor that is no connection. */
typedef struct descriptor {
    cr_socketlike socketlike;
    int given; /* what was adopted: the same as its fd, or that of which it is another opening */
    char name[NAME_ROOM];
} descriptor;

/* A socketlike of one of the kinds below is always part of one. */
static descriptor *of(cr_socketlike *s) { return cr_container_of(s, descriptor, socketlike); }

/* Adopted ones may have duplicates, of which the backend must not hear any more. */
static void close_adopted(cr_socketlike *s)
{
    const cr_sys *sys = s->loop->sys;
    int given = of(s)->given;
    s->loop->backend->type->detach(s->loop->backend, cr_socketlike_fd(s));
    if (s->receiving.fd != given)
        (void)sys->close(sys->context, s->receiving.fd);
    if (!s->stream.borrowed)
        (void)sys->close(sys->context, given);
}

/* What was adopted is given back, not another opening of it. */
static int release_adopted(cr_socketlike *s)
{
    s->stream.borrowed = true;
    close_adopted(s);
    return of(s)->given;
}

/* Our own ends: no other process has a copy, so closing is all there is to do. */
static const cr_socketlike_kind pipe_kind = { .size = sizeof(descriptor), .fd = CR_FD_PIPE };
/* Those of others, by what they are. */
#define ADOPTED(kind) \
    { \
        .size = sizeof(descriptor), .fd = (kind), .close = close_adopted, \
        .release = release_adopted \
    }
static const cr_socketlike_kind socket_adopted = ADOPTED(CR_FD_OTHER);
static const cr_socketlike_kind pipe_adopted = ADOPTED(CR_FD_PIPE);
static const cr_socketlike_kind shared_adopted = ADOPTED(CR_FD_SHARED);
static const cr_socketlike_kind file_adopted = ADOPTED(CR_FD_FILE);

/* The mode decides what it is open for; what the kernel thinks of that its calls will tell. */
static crank_stream *open_as(
    crank_loop *loop, int fd, const cr_socketlike_kind *kind, const cr_adoption *asked)
{
    cr_socketlike *s = cr_socketlike_open(loop, fd, kind);
    if (!s)
        return NULL;
    of(s)->given = asked->fd;
    snprintf(of(s)->name, NAME_ROOM, "%s", asked->name);
    s->stream.name = of(s)->name;
    s->stream.readable = (asked->flags & O_ACCMODE) != O_WRONLY;
    s->stream.writable = (asked->flags & O_ACCMODE) != O_RDONLY;
    s->stream.borrowed = asked->borrowed;
    return &s->stream;
}

/* ---- Pipes ---- */

/* The other end may be another program's. */
crank_stream *cr_pipe_open(crank_loop *loop, int fd, bool reads, const char *name)
{
    const cr_adoption own = { .fd = fd, .flags = reads ? O_RDONLY : O_WRONLY, .name = name };
    return open_as(loop, fd, &pipe_kind, &own);
}

/* Both ends, or neither. */
static int open_both(crank_loop *loop, crank_stream *ret_ends[2])
{
    const cr_sys *sys = loop->sys;
    int fds[2];
    int err = sys->pipe(sys->context, fds, CR_PIPE_NONE);
    if (err < 0)
        return err;
    ret_ends[0] = cr_pipe_open(loop, fds[0], true, "a pipe");
    ret_ends[1] = ret_ends[0] ? cr_pipe_open(loop, fds[1], false, "a pipe") : NULL;
    if (ret_ends[1])
        return 0;
    if (ret_ends[0])
        cr_pipe_discard(loop, ret_ends[0]);
    else
        (void)sys->close(sys->context, fds[0]);
    (void)sys->close(sys->context, fds[1]);
    return -ENOMEM;
}

/* Outputs are written when nothing can fail any more. */
int crank_pipe(crank_stream **ret_reader, crank_stream **ret_writer)
{
    crank_stream *ends[2];
    CR_CHECK(ret_reader && ret_writer, "crank_pipe: where to put an end is NULL");
    int err = open_both(cr_checked_loop("crank_pipe"), ends);
    if (err < 0)
        return cr_error_set(err, "cannot make a pipe: %s", cr_failure_error_words(err));
    *ret_reader = ends[0];
    *ret_writer = ends[1];
    return 0;
}

/* ---- Adopting ---- */

/* An open file of our own, for the same pipe or terminal; a negative errno where it is refused. */
static int open_anew(const cr_sys *sys, const cr_adoption *asked)
{
    char path[40];
    int flags = (asked->flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY;
    snprintf(path, sizeof path, "/proc/self/fd/%d", asked->fd);
    return cr_file_open_retrying(sys, path, flags);
}

/* Where it cannot be opened anew the given one is used as it is, which never waits either: see
 * cr_nonblocking. */
static int adopt_shared(crank_loop *loop, const cr_adoption *asked, crank_stream **ret_stream)
{
    int anew = open_anew(loop->sys, asked);
    if (anew >= 0)
        *ret_stream = open_as(loop, anew, &pipe_adopted, asked);
    else
        *ret_stream = open_as(loop, asked->fd, &shared_adopted, asked);
    if (*ret_stream)
        return 0;
    if (anew >= 0)
        (void)loop->sys->close(loop->sys->context, anew);
    return -ENOMEM;
}

/* What it is decides how its bytes are moved. What is always ready and no regular file, /dev/null
 * say, is tried like one. */
int cr_pipe_adopt(crank_loop *loop, const cr_adoption *asked, crank_stream **ret_stream)
{
    const cr_sys *sys = loop->sys;
    struct stat status;
    int err = sys->stat(sys->context, asked->fd, &status);
    if (err < 0)
        return err;
    if (asked->borrowed && !(status.st_mode & S_IFMT))
        return -EBADF; /* closed before the run, and one of the loop's own has its number */
    if (S_ISFIFO(status.st_mode) || sys->is_terminal(sys->context, asked->fd) == 1)
        return adopt_shared(loop, asked, ret_stream);
    if (S_ISSOCK(status.st_mode))
        *ret_stream = open_as(loop, asked->fd, &socket_adopted, asked);
    else if (asked->borrowed && (asked->flags & O_ACCMODE) == O_WRONLY)
        *ret_stream = open_as(loop, asked->fd, &file_adopted, asked);
    else
        *ret_stream = cr_file_adopt(loop, asked->fd, asked->flags, &status, asked->name);
    if (!*ret_stream)
        return -ENOMEM;
    (*ret_stream)->borrowed = asked->borrowed;
    return 0;
}

/* errno last: it must survive what comes before. On failure the descriptor is the caller's still.
 * */
crank_stream *crank_stream_from_fd(int fd, const char *mode)
{
    char name[NAME_ROOM];
    crank_stream *stream = NULL;
    crank_loop *loop = cr_checked_loop("crank_stream_from_fd");
    int flags = cr_file_flags(mode);
    int err = flags;
    snprintf(name, sizeof name, "descriptor %d", fd);
    if (flags >= 0)
        err =
            cr_pipe_adopt(loop, &(cr_adoption){ .fd = fd, .flags = flags, .name = name }, &stream);
    if (err == 0)
        return stream;
    if (flags < 0)
        cr_error_set(err, "crank_stream_from_fd: the mode \"%s\" is none of r, w, a, with +",
            mode ? mode : "(null)");
    else
        cr_error_set(err, "cannot make a stream of %s: %s", name, cr_failure_error_words(err));
    errno = -err;
    return NULL;
}

/* Nothing is written and nothing waited for. */
void cr_pipe_discard(crank_loop *loop, crank_stream *stream)
{
    cr_socketlike *s = cr_socketlike_of(stream);
    if (s)
        cr_socketlike_discard(s);
    else
        cr_file_discard(loop, stream);
}
