/* SPDX-License-Identifier: MIT */
/* standard.c: standard input, output and error as streams: what is written is there when the run is over, however it
 * ended, and the descriptors are as they were. */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "scratch.h"

static const crank_backend backends[] = { CRANK_BACKEND_SIM, CRANK_BACKEND_EPOLL, CRANK_BACKEND_URING };
#define ON_EACH(app, result) \
    for (size_t i_ = 0; i_ < CRANK_COUNT(backends); i_++) \
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = backends[i_] }, app), result)

/* Put another descriptor in the place of a standard one for the time of a call. */
static int kept[3];
static void put(int standard, int fd)
{
    kept[standard] = fcntl(standard, F_DUPFD_CLOEXEC, 10);
    EXPECT(kept[standard] >= 0 && dup2(fd, standard) == standard);
}
static void put_back(int standard)
{
    dup2(kept[standard], standard);
    close(kept[standard]);
}

static int ends[2];
static size_t read_pipe(char *buf, size_t size)
{
    int there = 0;
    EXPECT_EQ(ioctl(ends[0], FIONREAD, &there), 0);
    EXPECT((size_t)there <= size);
    return there > 0 ? (size_t)read(ends[0], buf, (size_t)there) : 0;
}

static int write_and_return(void)
{
    crank_try(crank_printf(crank_try(crank_stdout()), "out\n"));
    return 0;
}
static int write_and_fail(void)
{
    crank_try(crank_printf(crank_try(crank_stdout()), "out\n"));
    return -EIO;
}
TEST(stdout, is_written_when_the_run_is_over_also_where_it_failed)
{
    char buf[64];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    put(1, ends[1]);
    ON_EACH(write_and_return, 0);
    ON_EACH(write_and_fail, -EIO);
    EXPECT_EQ(fcntl(1, F_GETFL) & O_NONBLOCK, 0);
    put_back(1);
    EXPECT_EQ(read_pipe(buf, sizeof buf), 24);
    EXPECT_EQ(memcmp(buf, "out\nout\n", 8), 0);
    close(ends[0]);
    close(ends[1]);
}

TEST(stdout, goes_to_a_file_in_the_place_where_that_stands)
{
    const char *path = scratch_file("f", "before\n", 7);
    int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    put(1, file);
    ON_EACH(write_and_return, 0);
    put_back(1);
    close(file);
    expect_file(path, "before\nout\nout\nout\n", 19);
}

enum { WRITERS = 10, LINES = 2000 };
static int write_lines(int n)
{
    crank_stream *out = crank_try(crank_stdout());
    for (int i = 0; i < LINES; i++)
        crank_try(crank_printf(out, "%d says the same line again and again\n", n));
    return 0;
}
static int write_from_ten_tasks(void)
{
    CRANK_GROUP(group);
    for (int i = 0; i < WRITERS; i++)
        crank_group_spawn(&group, write_lines, i);
    return crank_group_wait(&group);
}
TEST(stdout, takes_lines_from_any_number_of_tasks_also_into_a_file)
{
    const char *path = scratch_file("f", "", 0);
    int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    int count = 0;
    char line[80];
    put(1, file);
    ON_EACH(write_from_ten_tasks, 0);
    put_back(1);
    close(file);
    FILE *written = fopen(path, "r");
    while (fgets(line, sizeof line, written)) {
        EXPECT_STR(strchr(line, ' '), " says the same line again and again\n");
        count++;
    }
    fclose(written);
    EXPECT_EQ(count, 3 * WRITERS * LINES);
}

static int close_them(void)
{
    EXPECT_EQ(crank_close(crank_try(crank_stdout())), 0);
    EXPECT_EQ(crank_close(crank_try(crank_stdin())), 0);
    EXPECT_EQ(crank_stdout(), crank_stdout());
    return write_and_return();
}
TEST(stdout, that_is_closed_stays_open)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    put(1, null);
    put(0, null);
    ON_EACH(close_them, 0);
    put_back(1);
    put_back(0);
    close(null);
}

TEST(stdout, whose_reader_has_gone_is_silent)
{
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    put(1, ends[1]);
    close(ends[1]);
    test_capture();
    ON_EACH(write_and_return, 0);
    EXPECT_STR(test_captured(), "");
    put_back(1);
}

TEST(stdout, that_takes_nothing_more_is_reported)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    put(1, full);
    test_capture();
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, write_and_return), 0);
    EXPECT_CONTAINS(test_captured(), "standard output");
    EXPECT_CONTAINS(test_captured(), "ENOSPC");
    put_back(1);
    close(full);
}

static int use_closed(void)
{
    EXPECT(!crank_stdin());
    EXPECT_EQ(errno, EBADF);
    return 0;
}
TEST(stdin, that_is_closed_is_no_stream)
{
    int again = fcntl(0, F_DUPFD_CLOEXEC, 10);
    close(0);
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, use_closed), 0);
    if (again >= 0) {
        EXPECT_EQ(dup2(again, 0), 0);
        close(again);
    }
}

static int echo(void)
{
    char line[32];
    while (crank_try(crank_read_line(crank_try(crank_stdin()), line, sizeof line)) > 0)
        crank_try(crank_printf(crank_try(crank_stdout()), "> %s", line));
    return 0;
}
TEST(stdin, is_read_to_its_end_from_a_pipe_and_from_a_file)
{
    char buf[64];
    int in[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(write(in[1], "a\nb\n", 4), 4);
    close(in[1]);
    put(0, in[0]);
    put(1, ends[1]);
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, echo), 0);
    put_back(0);
    EXPECT_EQ(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
    close(in[0]);
    int file = open(scratch_file("f", "c\nd\n", 4), O_RDONLY | O_CLOEXEC);
    put(0, file);
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_URING }, echo), 0);
    put_back(0);
    put_back(1);
    close(file);
    EXPECT_EQ(read_pipe(buf, sizeof buf), 16);
    EXPECT_EQ(memcmp(buf, "> a\n> b\n> c\n> d\n", 16), 0);
    close(ends[0]);
    close(ends[1]);
}
