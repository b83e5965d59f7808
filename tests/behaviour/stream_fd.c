/* SPDX-License-Identifier: MIT */
/* stream_fd.c: what is true of the descriptor below a stream. */
#include <fcntl.h>
#include <sys/socket.h>

#include "ends.h"
#include "resolver.h"
#include "scratch.h"

static bool simulated(void) { return strcmp(crank_backend_name(), "sim") == 0; }

TEST_ENDS(stream_fd, is_the_sockets_own_and_none_where_the_socket_is_simulated)
{
    int type = 0;
    socklen_t size = sizeof type;
    int fd = crank_stream_fd(here);
    if (simulated()) {
        EXPECT_EQ(fd, -ENOTSUP);
        return 0;
    }
    EXPECT_EQ(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
    EXPECT_EQ(type, SOCK_STREAM);
    crank_abort(here);
    EXPECT_EQ(crank_stream_fd(here), -EBADF);
    return 0;
}

TEST_ENDS(stream_release, gives_the_descriptor_back_and_the_connection_goes_on)
{
    char c = 0;
    const char *bytes;
    if (simulated()) {
        EXPECT_EQ(crank_stream_release(&here), -ENOTSUP);
        return 0;
    }
    if (link_now == LINK_VEIL) {
        EXPECT_EQ(crank_stream_release(&here), -EBUSY);
        EXPECT_CONTAINS(crank_error(), "stands on another stream");
        return 0;
    }
    crank_try(crank_write(there, "ab", 2));
    EXPECT_EQ(crank_stream_release(&there), -EBUSY);
    crank_try(crank_flush(there));
    EXPECT_EQ(crank_try(crank_peek(here, 2, &bytes)), 2);
    EXPECT_EQ(crank_stream_release(&here), -EBUSY);
    EXPECT_CONTAINS(crank_error(), "bytes were read ahead");
    crank_skip(here, 2);
    int fd = crank_try(crank_stream_release(&here));
    EXPECT(here == NULL);
    EXPECT_EQ(write(fd, "x", 1), 1);
    EXPECT_EQ(crank_read(there, &c, 1), 1);
    EXPECT_EQ(c, 'x');
    here = crank_stream_from_fd(fd, "r+");
    EXPECT(here);
    crank_try(say_last("back"));
    char buf[8];
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 4);
    return 0;
}

TEST_EACH_BACKEND(stream_release, of_a_file_leaves_it_where_the_stream_stood)
{
    AUTO_ENDS;
    const char *path = scratch("f");
    here = crank_try(crank_open(path, "w"));
    crank_try(crank_write(here, "abc", 3));
    EXPECT_EQ(crank_stream_release(&here), -EBUSY);
    crank_try(crank_flush(here));
    int fd = crank_try(crank_stream_release(&here));
    EXPECT_EQ(write(fd, "def", 3), 3);
    EXPECT_EQ(close(fd), 0);
    expect_file(path, "abcdef", 6);
    return 0;
}

TEST_EACH_BACKEND(stream_release, of_a_descriptor_that_was_taken_over_gives_that_one)
{
    AUTO_ENDS;
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    here = crank_stream_from_fd(fds[0], "r");
    EXPECT(here);
    EXPECT_EQ(crank_stream_release(&here), fds[0]);
    EXPECT_EQ(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(close(fds[0]), 0);
    EXPECT_EQ(close(fds[1]), 0);
    return 0;
}

/* ---- Closing it ---- */

static int watched_fd, closes;
static int interrupted_close(void *context, int fd)
{
    int err = cr_sys_real.close(context, fd);
    closes += fd == watched_fd;
    return err < 0 ? err : -EINTR;
}

static int read_byte(void)
{
    char byte;
    return (int)crank_read(here, &byte, 1);
}

/* On io_uring the kernel has the receive: the peer sees the end all the same. */
static int close_amid_a_read(void)
{
    watched_fd = crank_stream_fd(here);
    closes = 0;
    crank_task *reader = crank_spawn(read_byte);
    crank_try(nets_settle());
    EXPECT(!crank_done(reader));
    EXPECT_EQ(crank_finish(here), 0);
    EXPECT_EQ(closes, 1);
    EXPECT_EQ(crank_await(reader), -ECONNABORTED);
    if (link_now != LINKS)
        nets_expect_end(there);
    return 0;
}

/* An interrupted close has closed: the number may be another file's by the time it could be repeated. */
RESOLVING(close, that_is_interrupted_is_not_repeated)
{
    resolver.close = interrupted_close;
    crank_try(on_each_link(close_amid_a_read));
    AUTO_ENDS;
    crank_try(crank_pipe(&here, &there));
    crank_try(close_amid_a_read());
    here = crank_try(crank_open(scratch("f"), "w"));
    crank_try(crank_write(here, "x", 1));
    watched_fd = crank_stream_fd(here);
    closes = 0;
    EXPECT_EQ(crank_finish(here), 0);
    EXPECT_EQ(closes, 1);
    return 0;
}
