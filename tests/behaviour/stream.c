/* SPDX-License-Identifier: MIT */
/* stream.c: what is true of reading and writing by way of a buffer. */
#include <fcntl.h>
#include <pthread.h>

#include "context/fiber.h"
#include "scratch.h"

static char *filled(size_t size)
{
    char *bytes = test_memory(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + (i * 7 + i / 251) % 26);
    bytes[size] = '\0';
    return bytes;
}

/* ---- Reading lines ---- */

static int expect_line(crank_stream *stream, const char *line)
{
    char buf[256];
    ssize_t n = crank_try(crank_read_line(stream, buf, sizeof buf));
    EXPECT_EQ(n, strlen(line));
    EXPECT_STR(buf, line);
    return 0;
}

TEST_EACH_BACKEND(read_line, gives_each_line_with_its_end)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", "one\ntwo\n\nfour", 13), "r"));
    crank_try(expect_line(s, "one\n"));
    crank_try(expect_line(s, "two\n"));
    crank_try(expect_line(s, "\n"));
    crank_try(expect_line(s, "four"));
    crank_try(expect_line(s, ""));
    return expect_line(s, "");
}

TEST_EACH_BACKEND(read_line, of_an_empty_file_is_the_end)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", "", 0), "r"));
    return expect_line(s, "");
}

TEST_EACH_BACKEND(read_line, a_long_line_comes_in_pieces)
{
    char buf[5];
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", "abcdefghi\nx\n", 12), "r"));
    EXPECT_EQ(crank_try(crank_read_line(s, buf, sizeof buf)), 4);
    EXPECT_STR(buf, "abcd");
    EXPECT_EQ(crank_try(crank_read_line(s, buf, sizeof buf)), 4);
    EXPECT_STR(buf, "efgh");
    EXPECT_EQ(crank_try(crank_read_line(s, buf, sizeof buf)), 2);
    EXPECT_STR(buf, "i\n");
    EXPECT_EQ(crank_try(crank_read_line(s, buf, sizeof buf)), 2);
    EXPECT_STR(buf, "x\n");
    EXPECT_EQ(crank_try(crank_read_line(s, buf, sizeof buf)), 0);
    EXPECT_STR(buf, "");
    return 0;
}

TEST_EACH_BACKEND(read_line, that_fits_to_the_byte)
{
    char buf[5];
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", "abc\nabcd\n", 9), "r"));
    EXPECT_EQ(crank_try(crank_read_line(s, buf, sizeof buf)), 4);
    EXPECT_STR(buf, "abc\n");
    EXPECT_EQ(crank_try(crank_read_line(s, buf, sizeof buf)), 4);
    EXPECT_STR(buf, "abcd");
    EXPECT_EQ(crank_try(crank_read_line(s, buf, sizeof buf)), 1);
    EXPECT_STR(buf, "\n");
    return 0;
}

/* Lines of every length from none to two buffers, so that ends fall on every place of the
 * stream's buffer. */
TEST_EACH_BACKEND(read_line, of_all_lengths)
{
    enum { count = 700, step = 197 };
    char *text = filled(count * step);
    const char *path = scratch("f");
    FILE *file = fopen(path, "w");
    for (int i = 0; i < count; i++)
        fprintf(file, "%.*s\n", i * step, text);
    fclose(file);
    char *buf = test_memory(count * step + 2);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    for (int i = 0; i < count; i++) {
        ssize_t n = crank_try(crank_read_line(s, buf, count * step + 2));
        EXPECT_EQ(n, i * step + 1);
        EXPECT(memcmp(buf, text, (size_t)(i * step)) == 0 && buf[n - 1] == '\n' && buf[n] == '\0');
    }
    EXPECT_EQ(crank_try(crank_read_line(s, buf, 10)), 0);
    return 0;
}

TEST_EACH_BACKEND(read_line, keeps_zero_bytes)
{
    char buf[16];
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", "a\0b\nc", 5), "r"));
    EXPECT_EQ(crank_try(crank_read_line(s, buf, sizeof buf)), 4);
    EXPECT_EQ(memcmp(buf, "a\0b\n", 5), 0);
    return 0;
}

TEST_EACH_BACKEND(read_line, without_room_is_refused)
{
    char buf[1];
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", "a\n", 2), "r"));
    EXPECT_EQ(crank_read_line(s, buf, 1), -EINVAL);
    EXPECT_EQ(crank_read_line(s, buf, 0), -EINVAL);
    return expect_line(s, "a\n");
}

/* ---- Reading bytes ---- */

TEST_EACH_BACKEND(read, gives_what_there_is_and_then_the_end)
{
    char buf[16];
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", "hello", 5), "r"));
    EXPECT_EQ(crank_try(crank_read(s, buf, 0)), 0);
    EXPECT_EQ(crank_try(crank_read(s, buf, 2)), 2);
    EXPECT_EQ(crank_try(crank_read(s, buf + 2, sizeof buf - 2)), 3);
    EXPECT_EQ(memcmp(buf, "hello", 5), 0);
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), 0);
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), 0);
    return 0;
}

TEST_EACH_BACKEND(read, gives_every_byte_of_a_large_file_in_order)
{
    enum { size = 1000003 };
    char *bytes = filled(size), *found = test_memory(size);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", bytes, size), "r"));
    size_t have = 0;
    for (ssize_t n = 1; n > 0; have += (size_t)n)
        n = crank_try(crank_read(s, found + have, have % 3 ? 1000 : size - have > 9999 ? 9999 : size - have));
    EXPECT_EQ(have, size);
    EXPECT_EQ(memcmp(bytes, found, size), 0);
    return 0;
}

TEST_EACH_BACKEND(read, sees_what_was_appended_after_the_end)
{
    char buf[8];
    const char *path = scratch_file("f", "ab", 2);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), 2);
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), 0);
    FILE *file = fopen(path, "a");
    fputs("cd", file);
    fclose(file);
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), 2);
    EXPECT_EQ(memcmp(buf, "cd", 2), 0);
    return 0;
}

TEST_EACH_BACKEND(read_exactly, gives_so_many_or_fails_at_the_end)
{
    char buf[8];
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", "0123456789", 10), "r"));
    EXPECT_EQ(crank_try(crank_read_exactly(s, buf, 4)), 4);
    EXPECT_EQ(crank_try(crank_read_exactly(s, buf, 0)), 0);
    EXPECT_EQ(crank_try(crank_read_exactly(s, buf, 4)), 4);
    EXPECT_EQ(memcmp(buf, "4567", 4), 0);
    EXPECT_EQ(crank_read_exactly(s, buf, 4), -ENODATA);
    EXPECT_CONTAINS(crank_error(), "after 2 of 4 bytes");
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), 2); /* they have stayed */
    EXPECT_EQ(memcmp(buf, "89", 2), 0);
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), 0);
    return 0;
}

TEST_EACH_BACKEND(read_exactly, more_than_the_buffer_holds)
{
    enum { size = 300000 };
    char *bytes = filled(size), *found = test_memory(size);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(scratch_file("f", bytes, size), "r"));
    EXPECT_EQ(crank_try(crank_read_exactly(s, found, 10)), 10);
    EXPECT_EQ(crank_try(crank_read_exactly(s, found + 10, size - 20)), size - 20);
    EXPECT_EQ(crank_try(crank_read_exactly(s, found + size - 10, 10)), 10);
    EXPECT_EQ(memcmp(bytes, found, size), 0);
    return 0;
}

/* ---- Writing ---- */

TEST_EACH_BACKEND(write, reaches_the_file_when_flushed)
{
    const char *path = scratch("f");
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "w"));
    crank_try(crank_write(s, "ab", 2));
    crank_try(crank_write(s, NULL, 0));
    crank_try(crank_write(s, "cd", 2));
    expect_file(path, "", 0);
    crank_try(crank_flush(s));
    expect_file(path, "abcd", 4);
    crank_try(crank_flush(s));
    expect_file(path, "abcd", 4);
    return 0;
}

TEST_EACH_BACKEND(write, reaches_the_file_when_closed)
{
    const char *path = scratch("f");
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "w"));
    crank_try(crank_write(s, "ab", 2));
    crank_try(crank_finish(s));
    expect_file(path, "ab", 2);
    return 0;
}

TEST_EACH_BACKEND(write, of_all_sizes_keeps_the_order)
{
    enum { size = 1500000 };
    char *bytes = filled(size);
    const char *path = scratch("f");
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "w"));
    size_t done = 0;
    for (size_t piece = 1; done < size; piece = piece * 3 % 200003 + 1) {
        size_t n = piece < size - done ? piece : size - done;
        crank_try(crank_write(s, bytes + done, n));
        done += n;
    }
    crank_try(crank_finish(s));
    expect_file(path, bytes, size);
    return 0;
}

TEST_EACH_BACKEND(printf, writes_formatted_text_of_any_length)
{
    enum { size = 200000 };
    char *bytes = filled(size);
    const char *path = scratch("f");
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "w"));
    crank_try(crank_printf(s, "%d-%s|", 42, "x"));
    crank_try(crank_printf(s, "%s", bytes));
    crank_try(crank_printf(s, "%s", ""));
    crank_try(crank_printf(s, "|%05.1f", 2.25));
    crank_try(crank_finish(s));
    char *all = test_memory(size + 64);
    size_t length = (size_t)snprintf(all, size + 64, "42-x|%s|002.2", bytes);
    expect_file(path, all, length);
    return 0;
}

TEST_EACH_BACKEND(write, to_a_full_device_fails_and_closing_says_so_too)
{
    crank_stream *s = crank_try(crank_open("/dev/full", "w"));
    EXPECT_EQ(crank_write(s, "ab", 2), 0);
    EXPECT_EQ(crank_flush(s), -ENOSPC);
    EXPECT_CONTAINS(crank_error(), "/dev/full");
    EXPECT_EQ(crank_close(s), -ENOSPC);
    return 0;
}

/* ---- Cancelling ---- */

static int read_some(crank_stream *stream)
{
    char buf[16];
    return (int)crank_read(stream, buf, sizeof buf);
}

/* A pipe by name, both ends held by the test, so that opening it does not wait. */
static int open_pipe(const char *name, const char **ret_path)
{
    *ret_path = scratch(name);
    EXPECT_EQ(mkfifo(*ret_path, 0600), 0);
    int fd = open(*ret_path, O_RDWR | O_CLOEXEC);
    EXPECT(fd >= 0);
    return test_descriptor(fd);
}

TEST_EACH_BACKEND(read, of_a_pipe_waits_and_can_be_cancelled)
{
    const char *path;
    int fd = open_pipe("p", &path);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    crank_task *reader = crank_spawn(read_some, s);
    crank_try(crank_sleep(0.0005));
    EXPECT(!crank_done(reader));
    EXPECT_EQ(crank_cancel(reader), 0);
    EXPECT_EQ(crank_await(reader), -ECANCELED);
    EXPECT_EQ(write(fd, "abc\n", 4), 4);
    crank_try(expect_line(s, "abc\n")); /* nothing was taken */
    return 0;
}

static int cancelled_then_waits(crank_stream *stream)
{
    char buf[16];
    EXPECT_EQ(crank_read(stream, buf, sizeof buf), -ECANCELED);
    EXPECT_EQ(crank_sleep(0), 0); /* one request, one answer */
    return 0;
}
TEST_EACH_BACKEND(read, answers_a_request_to_cancel_once)
{
    const char *path;
    (void)open_pipe("p", &path);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    crank_task *reader = crank_spawn(cancelled_then_waits, s);
    crank_try(crank_sleep(0.0005));
    EXPECT_EQ(crank_cancel(reader), 0);
    EXPECT_EQ(crank_await(reader), 0);
    return 0;
}

/* The request comes at each moment: also when the task is awake with a piece, and will wait for the next. */
static int cancel_after(crank_task *task, int turns)
{
    for (int i = 0; i < turns; i++)
        crank_try(crank_sleep(0));
    crank_cancel(task);
    EXPECT_EQ(crank_within(5, crank_await(task)), -ECANCELED);
    return 0;
}
static int read_exactly(crank_stream *stream, size_t size)
{
    char *buf = test_memory(size);
    return (int)crank_read_exactly(stream, buf, size);
}
TEST_EACH_BACKEND(read_exactly, is_cancelled_between_two_pieces)
{
    enum { sequence = 150, piece = 4 };
    const char *path;
    int fd = open_pipe("p", &path);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    for (int i = 0; i < sequence; i++) {
        crank_task *reader = crank_spawn(read_exactly, s, (size_t)(sequence + 1) * piece);
        crank_try(crank_sleep(0.0002));
        EXPECT_EQ(write(fd, "abcd", piece), piece);
        crank_try(cancel_after(reader, i));
    }
    EXPECT_EQ(write(fd, "abcd", piece), piece);
    EXPECT_EQ(read_exactly(s, (size_t)(sequence + 1) * piece), (sequence + 1) * piece);
    return 0;
}
TEST_EACH_BACKEND(flush, is_cancelled_between_two_pieces)
{
    enum { sequence = 150, size = 4000000 };
    static char piece[4096];
    const char *path;
    int fd = open_pipe("p", &path);
    EXPECT_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    crank_stream *s = crank_try(crank_open(path, "w"));
    EXPECT_EQ(crank_write(s, test_memory(size), size), 0);
    for (int i = 0; i < sequence; i++) {
        crank_task *writer = crank_spawn(crank_flush, s);
        do
            EXPECT_EQ(crank_sleep(0.0002), 0); /* until the pipe is full, or nearly */
        while (read(fd, piece, sizeof piece) < 0 && !crank_done(writer));
        EXPECT_EQ(cancel_after(writer, i), 0);
    }
    dup2(STDERR_FILENO, fd); /* its number stays the test's; nobody reads the rest */
    EXPECT_EQ(crank_close(s), -EPIPE);
    return 0;
}

TEST_EACH_BACKEND(read, under_a_time_limit)
{
    const char *path;
    int fd = open_pipe("p", &path);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    char buf[4];
    EXPECT_EQ(crank_within(0.002, crank_read(s, buf, 4)), -ETIMEDOUT);
    EXPECT_EQ(write(fd, "ab", 2), 2);
    EXPECT_EQ(crank_within(1, crank_read(s, buf, 4)), 2);
    return 0;
}

static int write_and_close_cancelled(const char *path)
{
    crank_stream *s = crank_try(crank_open(path, "w"));
    EXPECT_EQ(crank_write(s, "kept", 4), 0);
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    EXPECT_EQ(crank_close(s), -ECANCELED);
    return 0;
}
TEST_EACH_BACKEND(close, when_cancelled_still_writes_and_closes)
{
    const char *path = scratch("f");
    EXPECT_EQ(crank_await(crank_spawn(write_and_close_cancelled, path)), 0);
    expect_file(path, "kept", 4);
    return 0;
}

static int use_cancelled(const char *path)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r+"));
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    EXPECT_EQ(crank_write(s, "xx", 2), -ECANCELED);
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    char buf[4];
    EXPECT_EQ(crank_read(s, buf, 4), -ECANCELED);
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    EXPECT_EQ(crank_read_line(s, buf, 4), -ECANCELED);
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    EXPECT_EQ(crank_flush(s), -ECANCELED);
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    EXPECT(crank_open(path, "r") == NULL);
    EXPECT_EQ(errno, ECANCELED);
    return expect_line(s, "ab\n");
}
TEST_EACH_BACKEND(stream, every_call_notices_a_request_to_cancel_and_takes_nothing)
{
    const char *path = scratch_file("f", "ab\n", 3);
    EXPECT_EQ(crank_await(crank_spawn(use_cancelled, path)), 0);
    expect_file(path, "ab\n", 3);
    return 0;
}

TEST_EACH_BACKEND(close, of_nothing_is_nothing)
{
    EXPECT_EQ(crank_close((crank_stream *)NULL), 0);
    CRANK_AUTO_STREAM crank_stream *s = NULL;
    return s ? 1 : 0;
}

/* ---- Pipes ---- */

static int copy_out(crank_stream *to, const char *bytes, size_t size)
{
    crank_try(crank_write(to, bytes, size));
    return crank_flush(to);
}
TEST_EACH_BACKEND(stream, through_a_pipe_larger_than_it_holds)
{
    enum { size = 300000 };
    const char *path;
    (void)open_pipe("p", &path);
    char *bytes = filled(size), *found = test_memory(size);
    CRANK_AUTO_STREAM crank_stream *from = crank_try(crank_open(path, "r"));
    CRANK_AUTO_STREAM crank_stream *to = crank_try(crank_open(path, "w"));
    CRANK_GROUP(group); /* a writer that fails ends the reading */
    crank_group_spawn(&group, copy_out, to, bytes, (size_t)size);
    EXPECT_EQ(crank_read_exactly(from, found, size), size);
    EXPECT_EQ(crank_group_wait(&group), 0);
    EXPECT_EQ(memcmp(bytes, found, size), 0);
    return 0;
}

static int write_broken(const char *path, int fd)
{
    CRANK_AUTO_STREAM crank_stream *to = crank_try(crank_open(path, "w"));
    dup2(STDERR_FILENO, fd); /* its number stays the test's */
    crank_try(crank_write(to, "ab", 2));
    return crank_flush(to);
}
TEST_EACH_BACKEND(write, to_a_pipe_nobody_reads_fails)
{
    const char *path;
    int fd = open_pipe("p", &path);
    EXPECT_EQ(crank_await(crank_spawn(write_broken, path, fd)), -EPIPE);
    return 0;
}

/* ---- Several tasks ---- */

static long count_lines(const char *path)
{
    char buf[100];
    long lines = 0;
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    while (crank_try(crank_read_line(s, buf, sizeof buf)) > 0)
        lines++;
    return lines;
}
TEST_EACH_BACKEND(stream, many_files_at_once)
{
    enum { files = 40 };
    crank_task *tasks[files];
    long lines[files];
    static char paths[files][320];
    for (int i = 0; i < files; i++) {
        char name[16], text[200] = "";
        snprintf(name, sizeof name, "f%d", i);
        for (int k = 0; k < i; k++)
            text[2 * k] = 'x', text[2 * k + 1] = '\n';
        snprintf(paths[i], sizeof paths[i], "%s", scratch_file(name, text, (size_t)(2 * i)));
        tasks[i] = crank_spawn(count_lines, paths[i]);
    }
    crank_try(crank_gather_n(tasks, files, lines));
    for (int i = 0; i < files; i++)
        EXPECT_EQ(lines[i], i);
    return 0;
}

TEST_EACH_BACKEND(stream, one_task_reads_while_another_writes)
{
    const char *path;
    (void)open_pipe("p", &path);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    CRANK_AUTO_STREAM crank_stream *w = crank_try(crank_open(path, "w"));
    crank_task *reader = crank_spawn(read_some, s);
    EXPECT_EQ(crank_sleep(0), 0);
    EXPECT_EQ(copy_out(w, "four", 4), 0);
    EXPECT_EQ(crank_await(reader), 4);
    return 0;
}

/* ---- Misuse ---- */

TEST_CHECKS(read, by_two_tasks_at_once_is_refused, "one task may read")
{
    const char *path;
    (void)open_pipe("p", &path);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    crank_task *first = crank_spawn(read_some, s);
    crank_task *second = crank_spawn(read_some, s);
    return crank_gather((int *)NULL, first, second);
}
TEST_CHECKS(close, while_another_task_reads_is_refused, "is still reading")
{
    const char *path;
    (void)open_pipe("p", &path);
    crank_stream *s = crank_try(crank_open(path, "r"));
    crank_drop(crank_spawn(read_some, s));
    EXPECT_EQ(crank_sleep(0.001), 0);
    return crank_close(s);
}
TEST_CHECKS(read, of_no_stream_is_refused, "the stream is NULL") { return read_some(NULL); }

/* How often a lock is taken by itself before another task runs, and how many lines are read. */
static int set_stop(bool *stop)
{
    *stop = true;
    return 0;
}
static int lock_until(bool *stop, long *count)
{
    CRANK_LOCK(lock);
    for (; !*stop; ++*count) {
        CRANK_WITH_LOCK(lock);
    }
    return 0;
}
static int read_until(crank_stream *lines, bool *stop, long *count)
{
    char line[8];
    for (; !*stop; ++*count)
        crank_try(crank_read_line(lines, line, sizeof line));
    return 0;
}
TEST_SIM(stream, calls_make_room_for_others_sooner_than_those_on_a_lock)
{
    bool stop = false;
    long locked = 0, lines = 0;
    crank_task *busy = crank_spawn(lock_until, &stop, &locked), *other = crank_spawn(set_stop, &stop);
    crank_try(crank_gather(NULL, busy, other));
    EXPECT_EQ(locked, CR_BUDGET);
    char text[2 * CR_BUDGET];
    memset(text, '\n', sizeof text);
    char buf[8];
    CRANK_AUTO_STREAM crank_stream *file = crank_try(crank_open(scratch_file("f", text, sizeof text), "r"));
    crank_try(crank_read_line(file, buf, sizeof buf)); /* and all the others are in its buffer */
    stop = false;
    busy = crank_spawn(read_until, file, &stop, &lines);
    other = crank_spawn(set_stop, &stop);
    crank_try(crank_gather(NULL, busy, other));
    EXPECT_EQ(lines, CR_BUDGET / CR_BUDGET_STREAM + 1); /* the last one found it spent */
    return 0;
}

TEST_EACH_BACKEND(stream, for_both_on_a_pipe_keeps_what_it_has_read_ahead_when_it_writes)
{
    const char *path;
    char line[16];
    int fd = open_pipe("p", &path);
    CRANK_AUTO_STREAM crank_stream *pipe = crank_try(crank_open(path, "r+"));
    EXPECT_EQ(write(fd, "one\ntwo\n", 8), 8);
    EXPECT_EQ(crank_read_line(pipe, line, sizeof line), 4);
    crank_try(crank_write(pipe, "three\n", 6));
    crank_try(crank_flush(pipe));
    EXPECT_EQ(crank_read_line(pipe, line, sizeof line), 4);
    EXPECT_STR(line, "two\n");
    EXPECT_EQ(crank_read_line(pipe, line, sizeof line), 6);
    EXPECT_STR(line, "three\n");
    return 0;
}
