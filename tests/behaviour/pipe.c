/* SPDX-License-Identifier: MIT */
/* pipe.c: pipes, descriptors that others have opened, and waiting for them. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "scratch.h"

enum { BIG = 300000 };

/* Both ends of a pipe, closed with the block; crank_finish closes one before. */
#define PIPE(reader, writer) \
    CRANK_AUTO_STREAM crank_stream *reader = NULL; \
    CRANK_AUTO_STREAM crank_stream *writer = NULL; \
    crank_try(crank_pipe(&reader, &writer))
static int print_and_close(crank_stream **writer)
{
    int err = crank_printf(*writer, "one\ntwo\n");
    int closed = crank_finish(*writer);
    return err < 0 ? err : closed;
}
TEST_EACH_BACKEND(pipe, brings_what_is_written_and_then_the_end)
{
    char line[16];
    PIPE(reader, writer);
    crank_task *printing = crank_spawn(print_and_close, &writer);
    EXPECT_EQ(crank_read_line(reader, line, sizeof line), 4);
    EXPECT_STR(line, "one\n");
    EXPECT_EQ(crank_read_line(reader, line, sizeof line), 4);
    EXPECT_EQ(crank_read_line(reader, line, sizeof line), 0);
    crank_try(crank_await(printing));
    return crank_finish(reader);
}

static int write_all(crank_stream **writer, const char *bytes)
{
    int err = crank_write(*writer, bytes, BIG);
    int closed = crank_finish(*writer);
    return err < 0 ? err : closed;
}
TEST_EACH_BACKEND(pipe, carries_more_than_it_holds)
{
    char *sent = test_memory(BIG), *got = test_memory(BIG);
    for (int i = 0; i < BIG; i++)
        sent[i] = (char)(i % 251);
    PIPE(reader, writer);
    crank_task *writing = crank_spawn(write_all, &writer, sent);
    EXPECT_EQ(crank_read_exactly(reader, got, BIG), BIG);
    EXPECT_EQ(memcmp(sent, got, BIG), 0);
    crank_try(crank_await(writing));
    return crank_finish(reader);
}

TEST_EACH_BACKEND(pipe, without_a_reader_is_an_error_and_no_signal)
{
    PIPE(reader, writer);
    crank_try(crank_finish(reader));
    EXPECT_EQ(crank_write(writer, "x", 1), 0);
    EXPECT_EQ(crank_flush(writer), -EPIPE);
    EXPECT_EQ(crank_finish(writer), 0);
    return 0;
}

static int read_one(crank_stream *reader)
{
    char byte;
    return (int)crank_read(reader, &byte, 1);
}
TEST_EACH_BACKEND(pipe, that_is_closed_while_a_task_reads_ends_its_call)
{
    PIPE(reader, writer);
    crank_task *reading = crank_spawn(read_one, reader);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_finish(reader), 0);
    EXPECT_EQ(crank_await(reading), -ECONNABORTED);
    return crank_finish(writer);
}

TEST_EACH_BACKEND(pipe, that_is_read_gives_a_cancelled_reader_nothing_and_keeps_the_bytes)
{
    PIPE(reader, writer);
    crank_task *reading = crank_spawn(read_one, reader);
    crank_try(crank_sleep(0));
    EXPECT_EQ(crank_cancel(reading), 0);
    EXPECT_EQ(crank_await(reading), -ECANCELED);
    crank_try(crank_write(writer, "x", 1));
    EXPECT_EQ(read_one(reader), 1);
    crank_try(crank_finish(writer));
    return crank_finish(reader);
}

static int wait_for_nobody(void)
{
    PIPE(reader, writer);
    EXPECT_EQ(read_one(reader), -ECANCELED);
    crank_try(crank_finish(writer));
    return crank_finish(reader);
}
TEST(pipe, that_nobody_writes_is_a_deadlock_which_the_simulator_sees)
{
    test_capture();
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, wait_for_nobody), -EDEADLK);
    EXPECT_CONTAINS(test_captured(), "waits for bytes from a pipe");
}

TEST_EACH_BACKEND(pipe, is_no_socket)
{
    PIPE(reader, writer);
    EXPECT_STR(crank_peer_name(reader), "");
    EXPECT_EQ(read_one(writer), -EBADF);
    EXPECT_EQ(crank_write(reader, "x", 1), -EBADF);
    crank_try(crank_finish(writer));
    return crank_finish(reader);
}

/* ---- Descriptors of others ---- */

static int ends[2];
static int open_pipe(void)
{
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    return 0;
}

/* What cannot be taken over stays the caller's: it is closed here. */
static crank_stream *adopt(int fd, const char *mode)
{
    crank_stream *stream = crank_stream_from_fd(fd, mode);
    int err = errno;
    if (!stream)
        close(fd);
    errno = err;
    return stream;
}
#define ADOPT(stream, fd, mode) CRANK_AUTO_STREAM crank_stream *stream = adopt(fd, mode)

TEST_EACH_BACKEND(stream_from_fd, leaves_the_flags_of_a_shared_pipe_as_they_are)
{
    char byte;
    open_pipe();
    int reader_again = test_descriptor(dup(ends[0]));
    ADOPT(reader, ends[0], "r");
    ADOPT(writer, ends[1], "w");
    if (!reader || !writer)
        return -ENOMEM;
    crank_task *reading = crank_spawn(read_one, reader);
    crank_try(crank_sleep(0));
    EXPECT_EQ(fcntl(reader_again, F_GETFL) & O_NONBLOCK, 0);
    crank_try(crank_write(writer, "x", 1));
    crank_try(crank_flush(writer));
    EXPECT_EQ(crank_await(reading), 1);
    crank_try(crank_write(writer, "y", 1));
    crank_try(crank_flush(writer));
    crank_try(crank_finish(reader));
    EXPECT_EQ(read(reader_again, &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    return 0;
}

TEST_EACH_BACKEND(stream_from_fd, takes_a_socket_a_file_and_what_is_always_ready)
{
    int pair[2];
    char text[8];
    const char *path = scratch_file("f", "abc", 3);
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    ADOPT(a, pair[0], "r+");
    ADOPT(b, pair[1], "r+");
    ADOPT(file, open(path, O_RDONLY | O_CLOEXEC), "r");
    ADOPT(null, open("/dev/null", O_RDWR | O_CLOEXEC), "r+");
    if (!a || !b || !file || !null)
        return -ENOMEM;
    crank_try(crank_write(a, "hi", 2));
    EXPECT_EQ(crank_read(b, text, sizeof text), 2);
    crank_try(crank_finish(a));
    EXPECT_EQ(crank_read(b, text, sizeof text), 0);
    EXPECT_EQ(crank_read(file, text, sizeof text), 3);
    EXPECT_EQ(crank_read(null, text, sizeof text), 0);
    return crank_write(null, "x", 1);
}

TEST_EACH_BACKEND(stream_from_fd, of_a_closed_number_fails)
{
    EXPECT(!crank_stream_from_fd(900, "r"));
    EXPECT_EQ(errno, EBADF);
    EXPECT_CONTAINS(crank_error(), "descriptor 900");
    EXPECT(!crank_stream_from_fd(0, "q"));
    EXPECT_EQ(errno, EINVAL);
    return 0;
}

/* Two open files for one terminal: what the other has read is not there for us, and that must not hold the loop. */
TEST_EACH_BACKEND(stream_from_fd, of_a_terminal_that_another_reads_too_never_holds_the_loop)
{
    char name[64];
    char buf[16];
    int master = test_descriptor(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT(master >= 0);
    EXPECT_EQ(grantpt(master) | unlockpt(master) | ptsname_r(master, name, sizeof name), 0);
    int other = test_descriptor(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    ADOPT(terminal, open(name, O_RDWR | O_NOCTTY | O_CLOEXEC), "r");
    if (!terminal)
        return -errno;
    crank_task *reading = crank_spawn(read_one, terminal);
    crank_try(crank_sleep(0));
    EXPECT_EQ(write(master, "a\n", 2), 2);
    EXPECT_EQ(read(other, buf, sizeof buf), 2); /* before the loop looks */
    crank_try(crank_sleep(0.001));
    EXPECT(!crank_done(reading));
    EXPECT_EQ(write(master, "b\n", 2), 2);
    EXPECT_EQ(crank_await(reading), 1);
    EXPECT_EQ(fcntl(other, F_GETFL) & O_NONBLOCK, 0);
    return 0;
}

/* ---- Waiting for descriptors ---- */

static int wait_for(int fd, int events) { return crank_wait_fd(fd, events); }

TEST_EACH_BACKEND(wait_fd, says_which_of_the_events_it_is)
{
    open_pipe();
    EXPECT_EQ(crank_wait_fd(ends[1], CRANK_WRITABLE), CRANK_WRITABLE);
    crank_task *waiting = crank_spawn(wait_for, ends[0], CRANK_READABLE | CRANK_URGENT);
    crank_try(crank_sleep(0));
    EXPECT(!crank_done(waiting));
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(crank_await(waiting), CRANK_READABLE);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static int open_tcp(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(listener, (struct sockaddr *)&address, size) | listen(listener, 1), 0);
    EXPECT_EQ(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(ends[1], (struct sockaddr *)&address, size), 0);
    ends[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    EXPECT(ends[0] >= 0);
    close(listener);
    return 0;
}
TEST_EACH_BACKEND(wait_fd, waits_for_room_and_for_what_is_urgent)
{
    static char bytes[BIG];
    open_pipe();
    EXPECT_EQ(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], bytes, sizeof bytes) > 0)
        continue;
    crank_task *waiting = crank_spawn(wait_for, ends[1], CRANK_WRITABLE | CRANK_URGENT);
    crank_try(crank_sleep(0.001));
    EXPECT(!crank_done(waiting));
    EXPECT(read(ends[0], bytes, sizeof bytes) > 0);
    EXPECT_EQ(crank_await(waiting), CRANK_WRITABLE);
    close(ends[0]);
    close(ends[1]);
    open_tcp();
    waiting = crank_spawn(wait_for, ends[0], CRANK_READABLE | CRANK_URGENT);
    crank_try(crank_sleep(0.001));
    EXPECT_EQ(send(ends[1], "x", 1, 0), 1);
    EXPECT_EQ(crank_await(waiting), CRANK_READABLE);
    waiting = crank_spawn(wait_for, ends[0], CRANK_URGENT);
    crank_try(crank_sleep(0.001));
    EXPECT_EQ(send(ends[1], "x", 1, 0), 1);
    crank_try(crank_sleep(0.001));
    EXPECT(!crank_done(waiting));
    EXPECT_EQ(send(ends[1], "!", 1, MSG_OOB), 1);
    EXPECT_EQ(crank_await(waiting), CRANK_URGENT);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

TEST_EACH_BACKEND(wait_fd, counts_an_end_and_an_error_as_all_that_was_asked_for)
{
    open_pipe();
    close(ends[1]);
    EXPECT_EQ(crank_wait_fd(ends[0], CRANK_READABLE), CRANK_READABLE);
    close(ends[0]);
    open_pipe();
    close(ends[0]);
    EXPECT_EQ(crank_wait_fd(ends[1], CRANK_READABLE | CRANK_WRITABLE), CRANK_READABLE | CRANK_WRITABLE);
    close(ends[1]);
    return 0;
}

TEST_EACH_BACKEND(wait_fd, wakes_every_task_that_waits_for_one_descriptor)
{
    open_pipe();
    crank_task *first = crank_spawn(wait_for, ends[0], CRANK_READABLE);
    crank_task *second = crank_spawn(wait_for, ends[0], CRANK_READABLE);
    crank_try(crank_sleep(0));
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(crank_await(first), CRANK_READABLE);
    EXPECT_EQ(crank_await(second), CRANK_READABLE);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

TEST_EACH_BACKEND(wait_fd, that_is_cancelled_leaves_the_descriptor_to_be_closed_and_used_again)
{
    open_pipe();
    crank_task *waiting = crank_spawn(wait_for, ends[0], CRANK_READABLE);
    crank_try(crank_sleep(0));
    crank_cancel(waiting);
    close(ends[0]);
    close(ends[1]);
    open_pipe();
    EXPECT_EQ(crank_await(waiting), -ECANCELED);
    waiting = crank_spawn(wait_for, ends[0], CRANK_READABLE);
    crank_try(crank_sleep(0));
    EXPECT(!crank_done(waiting));
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(crank_await(waiting), CRANK_READABLE);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* A library that closes its descriptor without a word. Where the file lives on in a copy, what becomes of it is not
 * told to a task that waits for the number's next file. */
static int use_number_again(bool copied)
{
    open_pipe();
    int number = ends[0], before = ends[1], copy = copied ? fcntl(number, F_DUPFD_CLOEXEC, 100) : -1;
    crank_task *first = crank_spawn(wait_for, number, CRANK_READABLE);
    crank_try(crank_sleep(0.001));
    close(number);
    open_pipe();
    EXPECT_EQ(ends[0], number);
    crank_task *second = crank_spawn(wait_for, number, CRANK_READABLE);
    crank_try(crank_sleep(0.001));
    if (copied)
        EXPECT_EQ(write(before, "x", 1), 1);
    crank_try(crank_sleep(0.001));
    EXPECT(!crank_done(second));
    EXPECT_EQ(write(ends[1], "y", 1), 1);
    EXPECT_EQ(crank_await(second), CRANK_READABLE);
    crank_cancel(first);
    long told = crank_await(first);
    EXPECT(told == CRANK_READABLE || told == -EBADF || told == -ECANCELED);
    close(ends[0]);
    close(ends[1]);
    close(before);
    if (copied)
        close(copy);
    return 0;
}
TEST_EACH_BACKEND(wait_fd, of_a_number_that_was_closed_and_used_again_is_for_its_next_file)
{
    crank_try(use_number_again(false));
    return use_number_again(true);
}

TEST_EACH_BACKEND(wait_fd, fails_when_the_descriptor_is_going_to_be_closed)
{
    open_pipe();
    crank_task *waiting = crank_spawn(wait_for, ends[0], CRANK_READABLE);
    crank_try(crank_sleep(0));
    crank_fd_closing(ends[0]);
    crank_fd_closing(ends[1]);
    close(ends[0]);
    EXPECT_EQ(crank_await(waiting), -EBADF);
    close(ends[1]);
    return 0;
}

TEST_EACH_BACKEND(wait_fd, refuses_files_streams_and_what_is_closed)
{
    int file = test_descriptor(open(scratch_file("f", "", 0), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(crank_wait_fd(file, CRANK_READABLE), -EPERM);
    EXPECT_EQ(crank_wait_fd(900, CRANK_READABLE), -EBADF);
    EXPECT_EQ(crank_wait_fd(file, 0), -EINVAL);
    EXPECT_EQ(crank_wait_fd(file, 64), -EINVAL);
    int below = dup(file);
    close(below);
    PIPE(reader, writer);
    if (strcmp(crank_backend_name(), "sim") != 0) {
        EXPECT_EQ(crank_wait_fd(below, CRANK_READABLE), -EBUSY);
        EXPECT_CONTAINS(crank_error(), "stream");
    }
    return 0;
}
