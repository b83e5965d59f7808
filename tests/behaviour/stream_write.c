/* SPDX-License-Identifier: MIT */
/* stream_write.c: what is true of the calls that write a stream, and of its limit. */
#include <sys/uio.h>

#include "ends.h"
#include "scratch.h"

#define KIB ((size_t)1024)

static char *filled(size_t size, char byte)
{
    char *bytes = test_memory(size + 1);
    memset(bytes, byte, size);
    return bytes;
}

static int expect_all(const char *bytes, size_t size)
{
    char *found = test_memory(size + 1);
    EXPECT_EQ(crank_try(crank_read_exactly(here, found, size)), size);
    EXPECT_EQ(memcmp(found, bytes, size), 0);
    return 0;
}

/* Until the kernel takes no more and so many bytes are unsent besides; then the limit is set. */
static int stall(size_t unsent, size_t limit)
{
    char *bytes = filled(KIB, '-');
    crank_set_write_limit(there, unsent);
    for (int idle = 0; idle < 10; idle++) {
        crank_try(crank_sleep(1e-4));
        for (; crank_unsent(there) < unsent; idle = 0) {
            size_t more = unsent - crank_unsent(there);
            crank_try(crank_write_now(there, bytes, more < KIB ? more : KIB));
        }
    }
    EXPECT_EQ(crank_unsent(there), unsent);
    crank_set_write_limit(there, limit);
    return 0;
}

/* Read what there is until so many bytes have come. */
static int drain(size_t size)
{
    char *bytes = test_memory(64 * KIB);
    while (size > 0)
        size -= (size_t)crank_try(crank_read(here, bytes, size < 64 * KIB ? size : 64 * KIB));
    return 0;
}

static int drain_some(void)
{
    char bytes[1024];
    return (int)crank_read(here, bytes, sizeof bytes);
}

/* ---- Pieces ---- */

TEST_ENDS(write_vector, writes_1500_pieces_in_order)
{
    enum { count = 1500 };
    static struct iovec pieces[count];
    char *bytes = test_memory(count * 3);
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        pieces[i] = (struct iovec){ .iov_base = bytes + size, .iov_len = (size_t)i % 4 };
        for (int k = 0; k < i % 4; k++)
            bytes[size++] = (char)('a' + i % 26);
    }
    crank_try(crank_write_vector(there, pieces, count));
    crank_try(crank_write_vector(there, NULL, 0));
    return expect_all(bytes, size);
}

static int write_pieces(const struct iovec *pieces, int n)
{
    int err = crank_write_vector(there, pieces, n);
    if (err < 0)
        crank_abort(there); /* the reader waits for more */
    return err < 0 ? err : crank_finish(there);
}

/* Small pieces, large ones, empty ones, beyond the limit. */
TEST_ENDS(write_vector, larger_than_the_limit_writes_small_and_large_pieces_in_order)
{
    static const size_t sizes[] = { 0, 10, 70000, 1, 0, 20000, 40000, 16384, 5, 200000, 3, 0 };
    struct iovec pieces[CRANK_COUNT(sizes)];
    size_t size = 0;
    char *bytes = test_memory(400000);
    for (size_t i = 0; i < 400000; i++)
        bytes[i] = (char)(i * 31 + i / 253);
    for (size_t i = 0; i < CRANK_COUNT(sizes); i++) {
        pieces[i] = (struct iovec){ .iov_base = bytes + size, .iov_len = sizes[i] };
        size += sizes[i];
    }
    crank_task *writer = crank_spawn(write_pieces, &pieces[0], (int)CRANK_COUNT(sizes));
    crank_try(expect_all(bytes, size));
    char c;
    EXPECT_EQ(crank_try(crank_read(here, &c, 1)), 0);
    return (int)crank_await(writer);
}

TEST_EACH_BACKEND(write_vector, to_a_file_writes_all_pieces)
{
    AUTO_ENDS;
    const char *path = scratch("f");
    struct iovec pieces[] = { { (char *)"one ", 4 }, { NULL, 0 }, { (char *)"two", 3 } };
    here = crank_try(crank_open(path, "w"));
    EXPECT_EQ(crank_write_vector(here, pieces, -1), -EINVAL);
    crank_try(crank_write_vector(here, pieces, 3));
    crank_try(crank_finish(here));
    expect_file(path, "one two", 7);
    return 0;
}

/* ---- The limit ---- */

static int write_bytes(const char *bytes, size_t size, bool *done)
{
    crank_try(crank_write(there, bytes, size));
    *done = true;
    return 0;
}

TEST_ENDS(write, that_waits_goes_on_when_the_limit_is_raised)
{
    bool done = false;
    crank_try(stall(6 * KIB, 8 * KIB));
    crank_task *writer = crank_spawn(write_bytes, filled(4 * KIB, 'w'), 4 * KIB, &done);
    crank_try(crank_sleep(1e-4));
    EXPECT(!done);
    crank_set_write_limit(there, 16 * KIB);
    crank_try(crank_await(writer));
    EXPECT_EQ(crank_unsent(there), 10 * KIB);
    return 0;
}

TEST_ENDS(write, that_waits_while_the_limit_falls_below_its_size_goes_on_when_all_is_sent)
{
    bool done = false;
    crank_try(stall(6 * KIB, 8 * KIB));
    crank_task *writer = crank_spawn(write_bytes, filled(4 * KIB, 'w'), 4 * KIB, &done);
    crank_try(crank_sleep(1e-4));
    crank_set_write_limit(there, 2 * KIB);
    crank_try(crank_sleep(1e-4));
    EXPECT(!done);
    while (!done && !crank_done(writer))
        crank_try(drain_some());
    return (int)crank_await(writer);
}

TEST_ENDS(write_limit, of_0_is_64_KiB)
{
    crank_try(stall(63 * KIB, 0));
    EXPECT_EQ(crank_write_now(there, filled(KIB, 'x'), KIB), 0);
    EXPECT_EQ(crank_write_now(there, "x", 1), -EAGAIN);
    EXPECT_EQ(crank_unsent(there), 64 * KIB);
    return 0;
}

/* ---- Without a wait ---- */

TEST_ENDS(write_now, takes_all_or_nothing)
{
    crank_set_write_limit(there, 8 * KIB);
    EXPECT_EQ(crank_unsent(there), 0);
    crank_try(crank_write_now(there, filled(100 * KIB, 'a'), 100 * KIB));
    crank_try(drain(100 * KIB));
    crank_try(crank_flush(there));
    EXPECT_EQ(crank_unsent(there), 0);
    crank_try(crank_write_now(there, "hello", 5));
    EXPECT_EQ(crank_unsent(there), 5);
    EXPECT_EQ(crank_write_now(there, filled(8 * KIB, 'b'), 8 * KIB), -EAGAIN);
    EXPECT_EQ(crank_unsent(there), 5);
    return expect_all("hello", 5);
}

TEST_ENDS(write_now, does_not_pass_a_writer_that_waits)
{
    bool done = false;
    crank_try(stall(6 * KIB, 8 * KIB));
    crank_task *writer = crank_spawn(write_bytes, filled(4 * KIB, 'w'), 4 * KIB, &done);
    crank_try(crank_sleep(1e-4));
    EXPECT_EQ(crank_write_now(there, "x", 1), -EAGAIN);
    crank_cancel(writer);
    EXPECT_EQ(crank_await(writer), -ECANCELED);
    EXPECT_EQ(crank_write_now(there, "x", 1), 0);
    return 0;
}

static int write_when_there_is_room(size_t size, int *refusals)
{
    char *bytes = filled(size, 'w');
    for (;;) {
        int err = crank_write_now(there, bytes, size);
        if (err != -EAGAIN)
            return err;
        ++*refusals;
        crank_try(crank_wait_room(there));
    }
}

/* Each wait ends in a write: two such tasks refuse each other at most once more. */
TEST_ENDS(wait_room, ends_when_what_was_refused_has_room)
{
    static const size_t sizes[] = { 1, 2048, 6000, 8192, 20000 };
    for (size_t i = 0; i < CRANK_COUNT(sizes); i++) {
        int refusals = 0;
        crank_try(stall(8 * KIB, 8 * KIB));
        crank_task *writer = crank_spawn(write_when_there_is_room, sizes[i], &refusals);
        crank_try(crank_sleep(1e-4));
        EXPECT_EQ(refusals, 1);
        while (!crank_done(writer))
            crank_try(drain_some());
        crank_try(crank_await(writer));
        EXPECT_EQ(refusals, 1);
    }
    return 0;
}

TEST_EACH_BACKEND(write_now, to_a_file_fills_its_buffer_and_wait_room_empties_it)
{
    AUTO_ENDS;
    const char *path = scratch("f");
    int written = 0;
    char *bytes = filled(100 * KIB, 'f');
    here = crank_try(crank_open(path, "w"));
    crank_try(crank_write_now(here, bytes, 60 * KIB));
    written = crank_write_now(here, bytes, 40 * KIB);
    EXPECT_EQ(written, -EAGAIN);
    EXPECT_EQ(crank_unsent(here), 60 * KIB);
    crank_try(crank_wait_room(here));
    EXPECT_EQ(crank_unsent(here), 0);
    crank_try(crank_write_now(here, bytes, 40 * KIB));
    crank_try(crank_finish(here));
    expect_file(path, bytes, 100 * KIB);
    return 0;
}

TEST_EACH_BACKEND(write_now, to_what_is_open_for_reading_only_is_refused)
{
    AUTO_ENDS;
    here = crank_try(crank_open(scratch_file("f", "x", 1), "r"));
    EXPECT_EQ(crank_write_now(here, "x", 1), -EBADF);
    return crank_finish(here);
}

/* ---- The end ---- */

TEST_ENDS(write_eof, comes_behind_the_bytes_and_reading_goes_on)
{
    char buf[8];
    crank_try(crank_write(there, "last", 4));
    crank_try(crank_write_eof(there));
    crank_try(crank_write_eof(there));
    EXPECT_EQ(crank_write(there, "x", 1), -EPIPE);
    EXPECT_EQ(crank_write_now(there, "x", 1), -EPIPE);
    crank_try(expect_all("last", 4));
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 0);
    crank_try(crank_write(here, "still", 5));
    crank_try(crank_write_eof(here));
    EXPECT_EQ(crank_try(crank_read(there, buf, sizeof buf)), 5);
    EXPECT_EQ(crank_try(crank_read(there, buf, sizeof buf)), 0);
    return 0;
}

TEST_EACH_BACKEND(write_eof, of_a_pipe_closes_its_writer)
{
    AUTO_ENDS;
    char buf[8];
    crank_try(crank_pipe(&here, &there));
    crank_try(crank_write(there, "last", 4));
    crank_try(crank_write_eof(there));
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 4);
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 0);
    crank_try(crank_finish(here));
    return crank_finish(there);
}

TEST_EACH_BACKEND(write_eof, of_a_file_is_refused)
{
    AUTO_ENDS;
    here = crank_try(crank_open(scratch("f"), "w"));
    EXPECT_EQ(crank_write_eof(here), -ENOTSUP);
    EXPECT_CONTAINS(crank_error(), "ends where it is closed");
    return crank_finish(here);
}

/* ---- Aborting ---- */

static int read_one(crank_stream *stream)
{
    char c;
    return (int)crank_read(stream, &c, 1);
}

static int write_much(void) { return crank_write(there, filled(4000 * KIB, 'm'), 4000 * KIB); }
static int flush(void) { return crank_flush(there); }

TEST_ENDS(abort, ends_every_call_that_waits_and_those_after_it)
{
    char buf[8];
    crank_try(stall(32 * KIB, 0));
    crank_task *tasks[3] = { crank_spawn(read_one, there), crank_spawn(write_much), crank_spawn(flush) };
    crank_try(crank_sleep(1e-4));
    crank_abort(there);
    crank_abort(there);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(crank_await(tasks[i]), -ECONNABORTED);
    EXPECT_EQ(crank_read(there, buf, 1), -ECONNABORTED);
    EXPECT_EQ(crank_write(there, buf, 1), -ECONNABORTED);
    EXPECT_EQ(crank_write_now(there, buf, 1), -ECONNABORTED);
    EXPECT_EQ(crank_wait_room(there), -ECONNABORTED);
    EXPECT_EQ(crank_write_eof(there), -ECONNABORTED);
    EXPECT_EQ(crank_unsent(there), 0);
    return 0;
}

/* What had come before the reset is read first; a pair of unix sockets has no resets. */
TEST_ENDS(read, of_a_reset_stream_gives_the_bytes_then_the_error_once_then_the_end)
{
    char buf[8];
    const char *bytes;
    if (link_now != LINK_TCP)
        return 0;
    crank_try(say_text("ab"));
    EXPECT_EQ(crank_try(crank_peek(here, 2, &bytes)), 2);
    crank_abort(there);
    crank_try(crank_sleep(1e-3));
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 2);
    EXPECT_EQ(crank_read(here, buf, sizeof buf), -ECONNRESET);
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 0);
    EXPECT(crank_at_end(here));
    return 0;
}

TEST_EACH_BACKEND(abort, of_a_file_drops_what_is_not_written)
{
    AUTO_ENDS;
    const char *path = scratch("f");
    here = crank_try(crank_open(path, "w"));
    crank_try(crank_write(here, "abc", 3));
    crank_try(crank_flush(here));
    crank_try(crank_write(here, "def", 3));
    crank_abort(here);
    EXPECT_EQ(crank_write(here, "x", 1), -ECONNABORTED);
    EXPECT_EQ(crank_flush(here), -ECONNABORTED);
    crank_try(crank_finish(here));
    expect_file(path, "abc", 3);
    return 0;
}

/* ---- finish ---- */

TEST_EACH_BACKEND(finish, closes_what_an_automatic_variable_holds_and_gives_the_error)
{
    CRANK_AUTO_STREAM crank_stream *stream = crank_try(crank_open(scratch("f"), "w"));
    crank_try(crank_write(stream, "x", 1));
    crank_try(crank_finish(stream));
    EXPECT(stream == NULL);
    EXPECT_EQ(crank_finish(stream), 0);
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    crank_try(crank_finish(listener));
    EXPECT(listener == NULL);
    return 0;
}

/* ---- Sending that fails while the connection lives ---- */

static long read_byte(void)
{
    char byte;
    return crank_read(here, &byte, 1);
}

TEST_ENDS(sending, that_fails_alone_ends_a_reader_that_waits_for_the_answer)
{
    crank_task *reader = crank_spawn(read_byte);
    crank_try(nets_settle());
    nets_refuse(CR_OP_SEND, ENOBUFS, 1);
    crank_try(crank_write(here, "question", 8));
    EXPECT_EQ(crank_within(1, crank_await(reader)), -ENOBUFS);
    EXPECT_EQ(read_byte(), 0);
    EXPECT_EQ(crank_flush(here), -ENOBUFS);
    EXPECT_EQ(crank_write(here, "x", 1), -EPIPE);
    return 0;
}

TEST_ENDS(sending, that_fails_alone_leaves_what_has_come_to_a_later_reader)
{
    crank_try(say_text("a"));
    crank_try(nets_settle());
    nets_refuse(CR_OP_SEND, ENOBUFS, 1);
    crank_try(crank_write(here, "question", 8));
    EXPECT_EQ(crank_flush(here), -ENOBUFS);
    EXPECT_EQ(read_byte(), 1);
    EXPECT_EQ(crank_within(1, read_byte()), -ENOBUFS);
    EXPECT_CONTAINS(crank_error(), "cannot read");
    EXPECT_EQ(read_byte(), 0);
    return 0;
}
