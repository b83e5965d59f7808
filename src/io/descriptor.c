/* SPDX-License-Identifier: MIT */
/* descriptor.c: the descriptor below a stream, to be looked at, and to be given back.
 *
 * A stream and its descriptor part only where nothing of the one is in the other: no byte that was
 * read ahead, none that is unsent, no task in a call. What is refused so stays as it was. */
#include "io/stream.h"

#include "base/check.h"
#include "task/error.h"
#include "world/world.h"

int crank_stream_fd(const crank_stream *stream)
{
    CR_CHECK(stream, "crank_stream_fd: the stream is NULL");
    int fd = stream->type->fd(stream);
    if (fd == -ENOTSUP)
        return cr_error_set(
            -ENOTSUP, "crank_stream_fd: %s has no descriptor", cr_stream_name(stream));
    if (fd < 0)
        return cr_error_set(
            -EBADF, "crank_stream_fd: the descriptor of %s is closed", cr_stream_name(stream));
    if (cr_is_virtual(fd))
        return cr_error_set(-ENOTSUP, "crank_stream_fd: %s is simulated, and has no descriptor",
            cr_stream_name(stream));
    return fd;
}

/* Why it cannot be released; NULL where it can be. */
static const char *hold(const crank_stream *stream)
{
    if (cr_buffer_held(&stream->in) > 0)
        return "bytes were read ahead";
    if (stream->type->unsent(stream) > 0)
        return "bytes are unsent: crank_flush it before";
    if (stream->below)
        return "it stands on another stream";
    if (stream->above)
        return "another stream stands on it";
    if (stream->borrowed || stream->closer)
        return "it is not the caller's to end";
    return NULL;
}

int crank_stream_release(crank_stream **stream)
{
    CR_CHECK(stream && *stream, "crank_stream_release: the stream is NULL");
    crank_loop *loop = cr_checked_loop("crank_stream_release");
    crank_stream *s = *stream;
    cr_stream_check_alone(s, s->reader, "crank_stream_release");
    cr_stream_check_alone(s, s->writer, "crank_stream_release");
    int fd = crank_stream_fd(s);
    if (fd < 0)
        return fd;
    const char *why = hold(s);
    if (!why && (fd = s->type->release(s)) < 0)
        why = "an operation is under way";
    if (why)
        return cr_error_set(
            -EBUSY, "crank_stream_release: %s cannot be released: %s", cr_stream_name(s), why);
    *stream = NULL;
    s->type->free(loop, s);
    return fd;
}
