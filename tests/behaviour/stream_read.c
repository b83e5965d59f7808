/* SPDX-License-Identifier: MIT */
/* stream_read.c: what is true of the calls that read a stream up to something, or look at it. */
#include <sys/socket.h>

#include "ends.h"
#include "scratch.h"

#define EXPECT_BYTES(buf, text) EXPECT_EQ(memcmp(buf, text, sizeof text - 1), 0)

static char *filled(size_t size)
{
    char *bytes = test_memory(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + (i * 7 + i / 251) % 26);
    return bytes;
}

static int open_text(const char *text)
{
    here = crank_try(crank_open(scratch_file("f", text, strlen(text)), "r"));
    return 0;
}

/* What is left, to the end. */
static int expect_rest(const char *text)
{
    char *data;
    size_t size;
    crank_try(crank_read_to_end(here, SIZE_MAX, &data, &size));
    EXPECT_EQ(size, strlen(text));
    EXPECT_STR(data, text);
    free(data);
    EXPECT(crank_at_end(here));
    return 0;
}

static int write_and_end(const char *text, size_t size)
{
    int err = crank_write(there, text, size);
    if (err < 0)
        crank_abort(there); /* the reader waits for more */
    return err < 0 ? err : crank_finish(there);
}

/* ---- Bytes ---- */

TEST_ENDS(read, gives_at_least_one_byte_and_0_at_the_end)
{
    char buf[16];
    crank_try(say_last("hello"));
    EXPECT_EQ(crank_try(crank_read(here, buf, 0)), 0);
    EXPECT_EQ(crank_try(crank_read(here, buf, 2)), 2);
    EXPECT_EQ(crank_try(crank_read(here, buf + 2, sizeof buf - 2)), 3);
    EXPECT_BYTES(buf, "hello");
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 0);
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 0);
    return 0;
}

TEST_ENDS(read, gives_a_megabyte_by_single_bytes)
{
    size_t size = getenv("TEST_EMULATED") ? 1 << 16 : 1 << 20;
    char *bytes = filled(size), c;
    crank_task *writer = crank_spawn(write_and_end, bytes, size);
    for (size_t i = 0; i < size; i++) {
        EXPECT_EQ(crank_try(crank_read(here, &c, 1)), 1);
        EXPECT_EQ(c, bytes[i]);
    }
    EXPECT_EQ(crank_try(crank_read(here, &c, 1)), 0);
    return (int)crank_await(writer);
}

TEST_ENDS(read_exactly, gives_so_many_megabytes_at_once)
{
    enum { size = 3000001 };
    char *bytes = filled(size), *found = test_memory(size);
    crank_task *writer = crank_spawn(write_and_end, bytes, (size_t)size);
    EXPECT_EQ(crank_try(crank_read_exactly(here, found, size)), size);
    EXPECT_EQ(memcmp(bytes, found, size), 0);
    return (int)crank_await(writer);
}

TEST_ENDS(read_exactly, fails_where_the_end_comes_first_and_leaves_all_bytes)
{
    char buf[8];
    crank_try(say_last("abcdef"));
    EXPECT_EQ(crank_read_exactly(here, buf, 7), -ENODATA);
    EXPECT_CONTAINS(crank_error(), "after 6 of 7 bytes");
    EXPECT_EQ(crank_read_exactly(here, buf, 7), -ENODATA);
    return expect_rest("abcdef");
}

TEST_ENDS(read, finds_bytes_and_end_that_come_as_one)
{
    char buf[8];
    crank_task *writer = crank_spawn(write_and_end, "last", (size_t)4);
    EXPECT_EQ(crank_try(crank_read_exactly(here, buf, 4)), 4);
    EXPECT_BYTES(buf, "last");
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 0);
    return (int)crank_await(writer);
}

/* recv stops at the place of the urgent byte, which is not among the others. */
TEST_EACH_BACKEND(read, gives_the_bytes_before_and_behind_an_urgent_one)
{
    AUTO_ENDS;
    char buf[8];
    if (cr_loop_here->simulated)
        return 0; /* it has none */
    crank_try(nets_pair(&here, &there));
    crank_try(say_text("abc"));
    EXPECT_EQ(send(crank_stream_fd(there), "!", 1, MSG_OOB), 1);
    crank_try(say_last("def"));
    EXPECT_EQ(crank_try(crank_read_exactly(here, buf, 6)), 6);
    EXPECT_BYTES(buf, "abcdef");
    EXPECT_EQ(crank_try(crank_read(here, buf, 1)), 0);
    return 0;
}
static int read_later(char *buf) { return (int)crank_read_exactly(here, buf, 6); }
TEST_EACH_BACKEND(read, that_waits_is_not_ended_by_an_urgent_byte)
{
    AUTO_ENDS;
    char buf[8];
    if (cr_loop_here->simulated)
        return 0;
    crank_try(nets_pair(&here, &there));
    crank_task *reader = crank_spawn(read_later, buf);
    crank_try(nets_settle());
    EXPECT_EQ(send(crank_stream_fd(there), "!", 1, MSG_OOB), 1);
    crank_try(nets_settle());
    EXPECT(!crank_done(reader));
    crank_try(say_text("abcdef"));
    EXPECT_EQ(crank_await(reader), 6);
    EXPECT_BYTES(buf, "abcdef");
    return 0;
}

static int read_some(void)
{
    char buf[8];
    return (int)crank_read(here, buf, sizeof buf);
}

TEST_ENDS(read, that_was_cancelled_leaves_what_comes_to_the_next)
{
    crank_task *reader = crank_spawn(read_some);
    crank_try(crank_sleep(1e-5));
    crank_cancel(reader);
    EXPECT_EQ(crank_await(reader), -ECANCELED);
    crank_try(say_last("one two"));
    return expect_rest("one two");
}

/* The reader has its bytes, in buf where that is known, or the next one has. */
static int cancel_in_the_turn_of_bytes(crank_task *reader, const char *buf)
{
    crank_try(crank_sleep(1e-5));
    crank_try(say_text("seven b"));
    crank_cancel(reader);
    int n = (int)crank_await(reader);
    EXPECT(n == 7 || n == -ECANCELED);
    EXPECT(n < 0 || !buf || memcmp(buf, "seven b", 7) == 0);
    crank_try(crank_finish(there));
    return expect_rest(n == 7 ? "" : "seven b");
}
TEST_ENDS(read, that_is_cancelled_in_the_turn_in_which_bytes_come_loses_none)
{
    return cancel_in_the_turn_of_bytes(crank_spawn(read_some), NULL);
}

/* ---- With much room ---- */

/* A first read of a connection, or one behind a small one, is not cut short by the stream's buffer, which begins
 * small. */
TEST_EACH_BACKEND(read, with_much_room_gives_all_that_has_come)
{
    enum { size = 48 * 1024 };
    char *text = filled(size), *found = test_memory(size);
    for (link_now = LINK_PAIR; link_now <= LINK_TCP; link_now++) {
        AUTO_ENDS;
        crank_try(link_now == LINK_TCP ? nets_pair(&here, &there) : crank_socket_pair(&here, &there));
        for (int i = 0; i < 3; i++) {
            crank_task *writer = crank_spawn(say, text, (size_t)size);
            crank_try(nets_settle());
            EXPECT_EQ(crank_try(crank_read(here, found, size)), size);
            EXPECT_EQ(memcmp(found, text, size), 0);
            crank_try(crank_await(writer));
            crank_try(say("x", 1));
            EXPECT_EQ(crank_try(crank_read(here, found, size)), 1);
        }
    }
    return 0;
}

/* Room in turn above and below what passes the stream's buffer, and a look ahead, which fills it. */
TEST_ENDS(read, with_much_and_little_room_in_turn_gives_every_byte)
{
    enum { size = 1000003, most = 64 * 1024 };
    static const size_t rooms[] = { most, 1, 16 * 1024, 5000, most, 16 * 1024 - 1 };
    char *text = filled(size), *found = test_memory(most);
    const char *bytes;
    crank_task *writer = crank_spawn(write_and_end, text, (size_t)size);
    size_t have = 0;
    for (size_t i = 0; have < size; i++) {
        if (i % 7 == 0)
            EXPECT(crank_try(crank_peek(here, 1, &bytes)) > 0 && *bytes == text[have]);
        ssize_t n = crank_try(crank_read(here, found, rooms[i % CRANK_COUNT(rooms)]));
        EXPECT(n > 0 && (size_t)n <= rooms[i % CRANK_COUNT(rooms)]);
        EXPECT_EQ(memcmp(found, text + have, (size_t)n), 0);
        have += (size_t)n;
    }
    EXPECT_EQ(have, size);
    EXPECT_EQ(crank_try(crank_read(here, found, most)), 0);
    EXPECT(crank_at_end(here));
    return (int)crank_await(writer);
}

static char much_room[64 * 1024];
static int read_with_much_room(void) { return (int)crank_read(here, much_room, sizeof much_room); }
static int read_onto_the_stack(void)
{
    char buf[20000];
    return (int)crank_read(here, buf, sizeof buf);
}
TEST_ENDS(read, with_much_room_that_was_cancelled_leaves_what_comes_to_the_next)
{
    for (int i = 0; i < 2; i++) {
        crank_task *reader = i == 0 ? crank_spawn(read_with_much_room) : crank_spawn(read_onto_the_stack);
        crank_try(crank_sleep(1e-5));
        crank_cancel(reader);
        EXPECT_EQ(crank_await(reader), -ECANCELED);
    }
    crank_try(say_last("one two"));
    return expect_rest("one two");
}

TEST_ENDS(read, with_much_room_that_is_cancelled_in_the_turn_in_which_bytes_come_loses_none)
{
    return cancel_in_the_turn_of_bytes(crank_spawn(read_with_much_room), much_room);
}

TEST_ENDS(read, with_much_room_gives_an_error_once_and_then_the_end)
{
    if (link_now != LINK_TCP)
        return 0; /* what an end without a reset is */
    crank_task *reader = crank_spawn(read_with_much_room);
    crank_try(crank_sleep(1e-5));
    crank_abort(there);
    EXPECT_EQ(crank_await(reader), -ECONNRESET);
    EXPECT_EQ(read_with_much_room(), 0);
    EXPECT(crank_at_end(here));
    return 0;
}

static int read_until_end_of_line(void)
{
    char buf[32];
    return (int)crank_read_until(here, "\n", buf, sizeof buf);
}

TEST_ENDS(read_until, that_is_cancelled_within_a_line_leaves_the_whole_line)
{
    crank_task *reader = crank_spawn(read_until_end_of_line);
    crank_try(say_text("begun and "));
    crank_try(crank_sleep(1e-5));
    crank_cancel(reader);
    EXPECT_EQ(crank_await(reader), -ECANCELED);
    crank_try(say_last("ended\n"));
    return expect_rest("begun and ended\n");
}

TEST_CHECKS(read_until, by_two_tasks_at_once_is_refused, "one task may read")
{
    AUTO_ENDS;
    crank_try(crank_socket_pair(&here, &there));
    crank_task *first = crank_spawn(read_until_end_of_line), *second = crank_spawn(read_until_end_of_line);
    return crank_gather((int *)NULL, first, second);
}

/* ---- Up to a separator ---- */

TEST_ENDS(read_until, finds_its_separator_over_every_split)
{
    static const char text[] = "\rone\r\n\r\r\n\r\ntwo\r\n\r\n";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        char buf[32];
        crank_task *writer = crank_spawn(say_pieces, &text[0], sizeof text - 1, piece);
        EXPECT_EQ(crank_try(crank_read_until(here, "\r\n\r\n", buf, sizeof buf)), 11);
        EXPECT_STR(buf, "\rone\r\n\r\r\n\r\n");
        EXPECT_EQ(crank_try(crank_read_until(here, "\r\n\r\n", buf, sizeof buf)), 7);
        EXPECT_STR(buf, "two\r\n\r\n");
        crank_try(crank_await(writer));
    }
    return 0;
}

TEST_ENDS(read_until, fails_where_no_separator_is_within_the_buffer_and_leaves_all_bytes)
{
    char buf[5];
    crank_try(say_last("abcdef\n"));
    EXPECT_EQ(crank_read_until(here, "\n", buf, sizeof buf), -EMSGSIZE);
    EXPECT_CONTAINS(crank_error(), "no separator within 4 bytes");
    EXPECT_EQ(crank_read_until(here, "\n", buf, sizeof buf), -EMSGSIZE);
    return expect_rest("abcdef\n");
}

TEST_ENDS(read_until, has_room_for_exactly_so_many_bytes_and_the_end)
{
    char buf[6];
    crank_try(say_last("abcd\nabcde\n"));
    EXPECT_EQ(crank_try(crank_read_until(here, "\n", buf, sizeof buf)), 5);
    EXPECT_STR(buf, "abcd\n");
    EXPECT_EQ(crank_read_until(here, "\n", buf, sizeof buf), -EMSGSIZE);
    char more[7];
    EXPECT_EQ(crank_try(crank_read_until(here, "\n", more, sizeof more)), 6);
    EXPECT_STR(more, "abcde\n");
    return 0;
}

TEST_ENDS(read_until_any, stops_at_the_separator_that_ends_first)
{
    static const char *const separators[] = { "abcdef", "cd", "\n", "bcd" };
    char buf[32];
    crank_try(say_last("xabcdef\nab"));
    EXPECT_EQ(crank_try(crank_read_until_any(here, separators, 4, buf, sizeof buf)), 5);
    EXPECT_STR(buf, "xabcd");
    EXPECT_EQ(crank_try(crank_read_until_any(here, separators, 4, buf, sizeof buf)), 3);
    EXPECT_STR(buf, "ef\n");
    EXPECT_EQ(crank_read_until_any(here, separators, 4, buf, sizeof buf), -ENODATA);
    return 0;
}

TEST_ENDS(read_until, fails_where_the_end_comes_first_and_leaves_all_bytes)
{
    char buf[32];
    crank_try(say_last("no line"));
    EXPECT_EQ(crank_read_until(here, "\n", buf, sizeof buf), -ENODATA);
    EXPECT_EQ(crank_read_until(here, "\n", buf, sizeof buf), -ENODATA);
    crank_try(expect_rest("no line"));
    EXPECT_EQ(crank_try(crank_read_until(here, "\n", buf, sizeof buf)), 0);
    EXPECT_STR(buf, "");
    return 0;
}

TEST_ENDS(read_until, stops_at_a_short_separator_in_spite_of_a_buffer_shorter_than_another)
{
    static const char *const separators[] = { "a long separator", "\n" };
    char buf[4];
    crank_try(say_last("ab\na lo"));
    EXPECT_EQ(crank_try(crank_read_until_any(here, separators, 2, buf, sizeof buf)), 3);
    EXPECT_STR(buf, "ab\n");
    EXPECT_EQ(crank_read_until_any(here, separators, 2, buf, sizeof buf), -EMSGSIZE);
    return expect_rest("a lo");
}

TEST_EACH_BACKEND(read_until, of_a_file_of_all_lengths)
{
    enum { count = 300, step = 251 };
    char *text = filled(count * step), *found = test_memory(count * step + 3);
    const char *path = scratch("f");
    FILE *file = fopen(path, "w");
    for (int i = 0; i < count; i++)
        fprintf(file, "%.*s<>", i * step, text);
    fclose(file);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r"));
    for (size_t i = 0; i < count; i++) {
        EXPECT_EQ(crank_try(crank_read_until(s, "<>", found, i * step + 3)), i * step + 2);
        EXPECT(memcmp(found, text, i * step) == 0 && strcmp(found + i * step, "<>") == 0);
    }
    EXPECT_EQ(crank_try(crank_read_until(s, "<>", found, 3)), 0);
    return 0;
}

TEST_EACH_BACKEND(read_until, is_refused_without_room_or_a_separator)
{
    AUTO_ENDS;
    char buf[8];
    const char *const *none = NULL;
    crank_try(open_text("a\n"));
    EXPECT_EQ(crank_read_until(here, "\n", buf, 0), -EINVAL);
    EXPECT_EQ(crank_read_until(here, "\n", buf, 1), -EINVAL);
    EXPECT_EQ(crank_read_until(here, "", buf, sizeof buf), -EINVAL);
    EXPECT_EQ(crank_read_until_any(here, none, 0, buf, sizeof buf), -EINVAL);
    crank_try(expect_rest("a\n"));
    return crank_finish(here);
}

TEST_ENDS(read_line, takes_a_line_in_pieces_and_a_last_one_without_its_end)
{
    char buf[5];
    crank_try(say_last("abcdefgh\nlast"));
    EXPECT_EQ(crank_try(crank_read_line(here, buf, sizeof buf)), 4);
    EXPECT(buf[3] != '\n');
    EXPECT_EQ(crank_try(crank_read_line(here, buf, sizeof buf)), 4);
    EXPECT_EQ(crank_try(crank_read_line(here, buf, sizeof buf)), 1);
    EXPECT_EQ(crank_try(crank_read_line(here, buf, sizeof buf)), 4);
    EXPECT_STR(buf, "last");
    EXPECT_EQ(crank_try(crank_read_line(here, buf, sizeof buf)), 0);
    return 0;
}

/* ---- To the end ---- */

TEST_ENDS(read_to_end, gives_all_bytes_of_a_large_stream)
{
    enum { size = 1000003 };
    char *bytes = filled(size), *data;
    size_t found;
    crank_task *writer = crank_spawn(write_and_end, bytes, (size_t)size);
    crank_try(crank_read_to_end(here, size, &data, &found));
    EXPECT_EQ(found, size);
    EXPECT(memcmp(bytes, data, size) == 0 && data[size] == '\0');
    free(data);
    return (int)crank_await(writer);
}

TEST_ENDS(read_to_end, beyond_the_limit_fails_and_leaves_all_bytes)
{
    char *data = NULL;
    size_t size = 77;
    crank_try(say_last("12345"));
    EXPECT_EQ(crank_read_to_end(here, 4, &data, &size), -EMSGSIZE);
    EXPECT(data == NULL && size == 77);
    crank_try(crank_read_to_end(here, 5, &data, &size));
    EXPECT_EQ(size, 5);
    EXPECT_STR(data, "12345");
    free(data);
    return 0;
}

TEST_EACH_BACKEND(read_to_end, of_a_file_gives_what_was_appended_after_the_end_too)
{
    AUTO_ENDS;
    const char *path = scratch_file("f", "abcdef", 6);
    char buf[4];
    here = crank_try(crank_open(path, "r"));
    EXPECT_EQ(crank_try(crank_read(here, buf, 2)), 2);
    crank_try(expect_rest("cdef"));
    FILE *file = fopen(path, "a");
    fputs("gh", file);
    fclose(file);
    crank_try(expect_rest("gh"));
    return crank_finish(here);
}

TEST_ENDS(at_end, is_true_only_when_the_end_was_seen_and_nothing_is_buffered)
{
    char buf[4];
    EXPECT(!crank_at_end(here));
    crank_try(say_last("abc"));
    EXPECT(!crank_at_end(here));
    EXPECT_EQ(crank_read_until(here, "\n", buf, sizeof buf), -EMSGSIZE);
    char more[8];
    EXPECT_EQ(crank_read_until(here, "\n", more, sizeof more), -ENODATA);
    EXPECT(!crank_at_end(here));
    EXPECT_EQ(crank_try(crank_read(here, more, sizeof more)), 3);
    EXPECT(crank_at_end(here));
    return 0;
}

/* ---- Looking ahead ---- */

TEST_ENDS(peek, shows_bytes_that_skip_or_read_take)
{
    const char *bytes;
    char buf[8];
    crank_try(say_last("abcdef"));
    EXPECT_EQ(crank_try(crank_peek(here, 0, &bytes)), 0);
    EXPECT_EQ(crank_try(crank_peek(here, 6, &bytes)), 6);
    EXPECT_BYTES(bytes, "abcdef");
    crank_skip(here, 0);
    crank_skip(here, 2);
    EXPECT_EQ(crank_try(crank_peek(here, 0, &bytes)), 4);
    EXPECT_BYTES(bytes, "cdef");
    EXPECT_EQ(crank_try(crank_read(here, buf, 1)), 1);
    EXPECT_EQ(buf[0], 'c');
    EXPECT_EQ(crank_try(crank_peek(here, 4, &bytes)), 3);
    crank_skip(here, 3);
    EXPECT_EQ(crank_try(crank_peek(here, 1, &bytes)), 0);
    EXPECT(crank_at_end(here));
    return 0;
}

TEST_ENDS(peek, of_so_many_bytes_waits_for_them_all)
{
    const char *bytes;
    crank_task *writer = crank_spawn(say_pieces, "abcdefgh", (size_t)8, (size_t)3);
    EXPECT_EQ(crank_try(crank_peek(here, 8, &bytes)), 8);
    EXPECT_BYTES(bytes, "abcdefgh");
    crank_skip(here, 8);
    return (int)crank_await(writer);
}

TEST_ENDS(peek, of_nothing_neither_waits_nor_takes_a_request)
{
    const char *bytes;
    crank_cancel(crank_self());
    EXPECT_EQ(crank_peek(here, 0, &bytes), 0);
    EXPECT_EQ(crank_peek(here, 1, &bytes), -ECANCELED);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    return 0;
}

TEST_ENDS(peek, shows_64_KiB_and_refuses_more)
{
    enum { most = 64 * 1024 };
    const char *bytes;
    char *text = filled(most + 1);
    crank_task *writer = crank_spawn(write_and_end, text, (size_t)most + 1);
    EXPECT_EQ(crank_peek(here, most + 1, &bytes), -EMSGSIZE);
    EXPECT(crank_try(crank_peek(here, most, &bytes)) >= most);
    EXPECT_EQ(memcmp(bytes, text, most), 0);
    crank_skip(here, most);
    EXPECT_EQ(crank_try(crank_peek(here, most, &bytes)), 1);
    return (int)crank_await(writer);
}

TEST_EACH_BACKEND(peek, of_a_file_for_both_directions_moves_nothing_and_skip_does)
{
    AUTO_ENDS;
    const char *path = scratch_file("f", "abcdef", 6), *bytes;
    here = crank_try(crank_open(path, "r+"));
    EXPECT_EQ(crank_try(crank_peek(here, 3, &bytes)), 6);
    crank_skip(here, 2);
    crank_try(crank_write(here, "X", 1));
    crank_try(crank_finish(here));
    expect_file(path, "abXdef", 6);
    return 0;
}

TEST_CHECKS(skip, of_more_than_was_shown_is_refused, "are more than the 3 that crank_peek has shown")
{
    AUTO_ENDS;
    const char *bytes;
    crank_try(crank_socket_pair(&here, &there));
    crank_try(say_text("abc"));
    EXPECT_EQ(crank_try(crank_peek(here, 3, &bytes)), 3);
    crank_skip(here, 4);
    return 0;
}

/* ---- Peers ---- */

/* A peer that is not read is not heard of without end: it is the kernel that holds what it may send, and its writes
 * wait. */
static int write_often(size_t *count)
{
    char *bytes = filled(10000);
    for (;;) {
        int err = crank_write(there, bytes, 10000);
        if (err < 0 && err != -ECANCELED)
            crank_abort(there); /* the reader need not wait */
        crank_try(err);
        *count += 10000;
    }
}
TEST_ENDS(read, that_never_comes_stops_the_peer)
{
    size_t count = 0, before = 1;
    crank_task *writer = crank_try(crank_spawn(write_often, &count));
    while (count != before) {
        before = count;
        crank_try(crank_sleep(1e-3));
    }
    EXPECT(count < 64 << 20);
    crank_cancel(writer);
    EXPECT_EQ(crank_await(writer), -ECANCELED);
    char c;
    return (int)crank_try(crank_read(here, &c, 1)) - 1;
}

static int count_turns(unsigned *turns)
{
    for (;; ++*turns)
        crank_try(crank_sleep(0));
}
TEST_ENDS(read, of_a_full_stream_keeps_no_other_task_from_running)
{
    size_t count = 0;
    unsigned turns = 0;
    char c;
    crank_task *writer = crank_try(crank_spawn(write_often, &count));
    crank_task *other = crank_try(crank_spawn(count_turns, &turns));
    for (int i = 0; i < 100000 && turns < 10; i++)
        EXPECT_EQ(crank_try(crank_read(here, &c, 1)), 1);
    EXPECT(turns >= 10);
    crank_cancel(writer);
    crank_cancel(other);
    EXPECT_EQ(crank_await(other), -ECANCELED);
    EXPECT_EQ(crank_await(writer), -ECANCELED);
    return 0;
}
