/* SPDX-License-Identifier: MIT */
/* nonblocking.c: an operation is tried without waiting, on every kind of descriptor, and on kernels that cannot promise
 * that for one. */
#include "backend/nonblocking.h"
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The real table, with answers of our own before it: the first `interrupted` transfers give -EINTR, and one that must
 * not wait is refused. */
static struct {
    int interrupted;
    int transfers;
    bool no_promise;
    int poll_error;
    int stat_error;
} doors;

static ssize_t answer(int flags)
{
    doors.transfers++;
    if (doors.interrupted > 0) {
        doors.interrupted--;
        return -EINTR;
    }
    return doors.no_promise && flags ? -EOPNOTSUPP : 0;
}
static ssize_t read_at(void *c, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    ssize_t result = answer(flags);
    return result < 0 ? result : cr_sys_real.read_at(c, fd, piece, offset, flags);
}
static ssize_t write_at(void *c, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    ssize_t result = answer(flags);
    return result < 0 ? result : cr_sys_real.write_at(c, fd, piece, offset, flags);
}
static int poll_(void *c, struct pollfd *fds, size_t n, int64_t timeout)
{
    return doors.poll_error ? doors.poll_error : cr_sys_real.poll(c, fds, n, timeout);
}
static int stat_(void *c, int fd, struct stat *ret_stat)
{
    return doors.stat_error ? doors.stat_error : cr_sys_real.stat(c, fd, ret_stat);
}

static cr_sys table(void)
{
    cr_sys sys = cr_sys_real;
    sys.read_at = read_at;
    sys.write_at = write_at;
    sys.poll = poll_;
    sys.stat = stat_;
    return sys;
}

static char buf[PIPE_BUF + 100];
static cr_op op_of(enum cr_op_code code, int fd, size_t size)
{
    return (cr_op){ .code = code, .fd = fd, .buf = buf, .size = size, .offset = -1 };
}

static int ends[2];
static void open_pipe(void) { EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0); }
static void close_pipe(void)
{
    close(ends[0]);
    close(ends[1]);
}

TEST(attempt, does_not_wait_for_data)
{
    cr_sys sys = table();
    open_pipe();
    cr_op op = op_of(CR_OP_READ, ends[0], sizeof buf);
    EXPECT_EQ(cr_nonblocking(&sys, &op), -EAGAIN);
    EXPECT_EQ(write(ends[1], "abc", 3), 3);
    EXPECT_EQ(cr_nonblocking(&sys, &op), 3);
    close_pipe();
}

TEST(attempt, that_is_interrupted_is_made_again)
{
    cr_sys sys = table();
    open_pipe();
    doors.interrupted = 5;
    cr_op op = op_of(CR_OP_WRITE, ends[1], 3);
    struct iovec piece = { buf, 3 };
    bool promised = cr_sys_real.write_at(NULL, ends[1], &piece, -1, RWF_NOWAIT) != -EOPNOTSUPP; /* not by qemu */
    EXPECT_EQ(cr_nonblocking(&sys, &op), 3);
    EXPECT_EQ(doors.transfers, promised ? 6 : 7);
    close_pipe();
}

TEST(attempt, does_not_wait_where_the_kernel_cannot_promise_it)
{
    cr_sys sys = table();
    open_pipe();
    doors.no_promise = true;
    cr_op op = op_of(CR_OP_READ, ends[0], sizeof buf);
    EXPECT_EQ(cr_nonblocking(&sys, &op), -EAGAIN);
    EXPECT_EQ(write(ends[1], "abc", 3), 3);
    EXPECT_EQ(cr_nonblocking(&sys, &op), 3);
    op = op_of(CR_OP_WRITE, ends[1], 10);
    EXPECT_EQ(cr_nonblocking(&sys, &op), 10);
    close_pipe();
}

TEST(attempt, writes_no_more_there_than_a_pipe_takes_without_waiting)
{
    cr_sys sys = table();
    open_pipe();
    doors.no_promise = true;
    cr_op op = op_of(CR_OP_WRITE, ends[1], sizeof buf);
    EXPECT_EQ(cr_nonblocking(&sys, &op), PIPE_BUF);
    close_pipe();
}

TEST(attempt, reads_a_regular_file_there_without_asking_whether_it_is_ready)
{
    cr_sys sys = table();
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0);
    doors.no_promise = true;
    doors.poll_error = -EIO;
    cr_op op = op_of(CR_OP_READ, fd, 4);
    EXPECT_EQ(cr_nonblocking(&sys, &op), 4);
    EXPECT(memcmp(buf, "\177ELF", 4) == 0);
    close(fd);
}

TEST(attempt, says_what_hinders_it_there)
{
    cr_sys sys = table();
    open_pipe();
    doors.no_promise = true;
    cr_op op = op_of(CR_OP_READ, ends[0], 1);
    doors.poll_error = -ENOMEM;
    EXPECT_EQ(cr_nonblocking(&sys, &op), -ENOMEM);
    doors.poll_error = -EINTR;
    EXPECT_EQ(cr_nonblocking(&sys, &op), -EAGAIN);
    doors.stat_error = -EIO;
    EXPECT_EQ(cr_nonblocking(&sys, &op), -EIO);
    close_pipe();
}

TEST(attempt, at_a_poll_gives_the_events)
{
    cr_sys sys = table();
    open_pipe();
    cr_op op = op_of(CR_OP_POLL, ends[1], 0);
    op.events = EPOLLOUT;
    EXPECT_EQ(cr_nonblocking(&sys, &op), EPOLLOUT);
    op.fd = ends[0];
    op.events = EPOLLIN;
    EXPECT_EQ(cr_nonblocking(&sys, &op), -EAGAIN);
    close_pipe();
    op.fd = 1000000; /* none is open there */
    EXPECT_EQ(cr_nonblocking(&sys, &op), -EBADF);
}

TEST(attempt, that_may_wait_asks_for_nothing_a_kernel_may_not_promise)
{
    cr_sys sys = table();
    open_pipe();
    doors.no_promise = true;
    cr_op op = op_of(CR_OP_WRITE, ends[1], 3);
    EXPECT_EQ(cr_nonblocking_or_wait(&sys, &op), 3);
    op = op_of(CR_OP_READ, ends[0], 3);
    EXPECT_EQ(cr_nonblocking_or_wait(&sys, &op), 3);
    EXPECT_EQ(doors.transfers, 2);
    close_pipe();
}

TEST(attempt, that_may_wait_finds_a_poll_ready)
{
    cr_sys sys = table();
    cr_op op = op_of(CR_OP_POLL, -1, 0);
    op.events = EPOLLIN | EPOLLPRI;
    EXPECT_EQ(cr_nonblocking_or_wait(&sys, &op), EPOLLIN);
}
