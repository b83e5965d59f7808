/* SPDX-License-Identifier: MIT */
/* copy.c: what is true of crank_copy. */
#include "ends.h"
#include "scratch.h"

enum { SIZE = 200000 };
enum kind { A_FILE, A_PIPE, A_PAIR, A_TCP, KINDS };

static char *pattern(size_t size)
{
    char *bytes = test_memory(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 + i / 253);
    return bytes;
}

static int expect_pattern(const char *bytes, size_t size)
{
    EXPECT_EQ(memcmp(bytes, pattern(size), size), 0);
    return 0;
}

/* ---- Every kind to every kind ---- */

/* The stream to copy from, and the one that is to be fed: NULL where its bytes are there. */
static int open_source(enum kind kind, crank_stream **ret_from, crank_stream **ret_feeder)
{
    *ret_feeder = NULL;
    if (kind == A_PIPE)
        return crank_pipe(ret_from, ret_feeder);
    if (kind == A_PAIR)
        return crank_socket_pair(ret_from, ret_feeder);
    if (kind == A_TCP)
        return nets_pair(ret_from, ret_feeder);
    *ret_from = crank_try(crank_open(scratch_file("from", pattern(SIZE), SIZE), "r"));
    return 0;
}

static int open_sink(enum kind kind, crank_stream **ret_to, crank_stream **ret_reader)
{
    *ret_reader = NULL;
    if (kind == A_PIPE)
        return crank_pipe(ret_reader, ret_to);
    if (kind == A_PAIR)
        return crank_socket_pair(ret_to, ret_reader);
    if (kind == A_TCP)
        return nets_pair(ret_to, ret_reader);
    *ret_to = crank_try(crank_open(scratch("to"), "w"));
    return 0;
}

static int feed(crank_stream **feeder)
{
    crank_try(crank_write(*feeder, pattern(SIZE), SIZE));
    return crank_finish(*feeder);
}

static int take_all(crank_stream *reader)
{
    char *data;
    size_t size;
    crank_try(crank_read_to_end(reader, SIZE_MAX, &data, &size));
    EXPECT_EQ(size, SIZE);
    crank_try(expect_pattern(data, size));
    free(data);
    return 0;
}

static int copy_between(enum kind source, enum kind sink)
{
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *to = NULL;
    CRANK_AUTO_STREAM crank_stream *reader = NULL;
    CRANK_AUTO_STREAM crank_stream *feeder = NULL;
    int64_t copied = -1;
    CRANK_GROUP(group);
    crank_try(open_source(source, &from, &feeder));
    crank_try(open_sink(sink, &to, &reader));
    if (feeder)
        crank_group_spawn(&group, feed, &feeder);
    if (reader)
        crank_group_spawn(&group, take_all, reader);
    crank_try(crank_copy(from, to, -1, &copied));
    EXPECT_EQ(copied, SIZE);
    EXPECT(crank_at_end(from));
    crank_try(crank_finish(to));
    crank_try(crank_group_wait(&group));
    crank_try(crank_finish(reader));
    if (sink == A_FILE)
        expect_file(scratch("to"), pattern(SIZE), SIZE);
    return crank_finish(from);
}

TEST_EACH_BACKEND(copy, copies_every_byte_from_every_kind_of_stream_to_every_kind)
{
    for (enum kind source = 0; source < KINDS; source++)
        for (enum kind sink = 0; sink < KINDS; sink++)
            crank_try(copy_between(source, sink));
    return 0;
}

/* ---- How much ---- */

TEST_ENDS(copy, ends_at_its_limit_and_leaves_the_rest_to_be_read)
{
    char rest[8] = "";
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *to = NULL;
    CRANK_AUTO_STREAM crank_stream *reader = NULL;
    crank_try(crank_socket_pair(&to, &reader));
    crank_try(say_text("one\ntwothree"));
    EXPECT_STR(nets_line(here), "one"); /* the others are buffered by now */
    crank_try(crank_copy(here, to, 0, &copied));
    EXPECT_EQ(copied, 0);
    crank_try(crank_copy(here, to, 3, &copied));
    EXPECT_EQ(copied, 3);
    EXPECT_EQ(crank_read_exactly(here, rest, 5), 5);
    EXPECT_STR(rest, "three");
    EXPECT_EQ(crank_read_exactly(reader, rest, 3), 3);
    EXPECT_EQ(memcmp(rest, "two", 3), 0);
    crank_try(crank_finish(reader));
    return crank_finish(to);
}

TEST_ENDS(copy, that_reaches_the_end_before_its_limit_says_how_much_there_was)
{
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *to = NULL;
    CRANK_AUTO_STREAM crank_stream *reader = NULL;
    crank_try(crank_socket_pair(&to, &reader));
    crank_try(say_last("12345"));
    crank_try(crank_copy(here, to, INT64_C(1) << 40, &copied));
    EXPECT_EQ(copied, 5);
    crank_try(crank_copy(here, to, 1, &copied));
    EXPECT_EQ(copied, 0);
    crank_try(crank_finish(to));
    return crank_finish(reader);
}

/* ---- The end, and a slow peer ---- */

static int copy_there(crank_stream *from) { return crank_copy(from, there, -1, NULL); }

TEST_ENDS(copy, leaves_the_end_to_its_caller)
{
    char byte;
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *feeder = NULL;
    crank_try(crank_socket_pair(&from, &feeder));
    crank_try(crank_printf(feeder, "ab"));
    crank_try(crank_write_eof(feeder));
    crank_try(copy_there(from));
    crank_try(crank_printf(there, "c\n"));
    EXPECT_STR(nets_line(here), "abc");
    crank_try(crank_write_eof(there));
    EXPECT_EQ(crank_read(here, &byte, 1), 0);
    crank_try(crank_printf(from, "answer\n"));
    EXPECT_STR(nets_line(feeder), "answer");
    crank_try(crank_finish(feeder));
    return crank_finish(from);
}

static int finish(crank_stream **stream) { return crank_finish(*stream); }

TEST_ENDS(copy, reads_no_more_than_its_slow_peer_takes)
{
    char *bytes = pattern(1024);
    size_t written = 0;
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *feeder = NULL;
    crank_try(nets_pair(&from, &feeder));
    CRANK_GROUP(group);
    crank_group_spawn(&group, copy_there, from);
    for (int idle = 0; idle < 10; idle++) {
        crank_try(crank_sleep(1e-3));
        for (; crank_write_now(feeder, bytes, 1024) == 0; idle = 0)
            written += 1024;
    }
    EXPECT(crank_unsent(there) <= (size_t)128 * 1024);
    crank_group_spawn(&group, finish, &feeder);
    char *found = test_memory(1024);
    for (size_t at = 0; at < written; at += 1024) {
        crank_try(crank_read_exactly(here, found, 1024));
        EXPECT_EQ(memcmp(found, bytes, 1024), 0);
    }
    crank_try(crank_group_wait(&group));
    return crank_finish(from);
}

static int echo_all(void)
{
    crank_try(crank_copy(there, there, -1, NULL));
    return crank_write_eof(there);
}

TEST_ENDS(copy, of_a_socket_to_itself_is_an_echo)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, echo_all);
    for (int i = 0; i < 3; i++)
        crank_try(nets_expect_echo(here));
    crank_try(crank_write_eof(here));
    nets_expect_end(here);
    return crank_group_wait(&group);
}

/* ---- Ended by others ---- */

static int copy_counting(crank_stream *from, crank_stream *to, int64_t *ret_copied, char *said)
{
    int err = crank_copy(from, to, -1, ret_copied);
    snprintf(said, 200, "%s", err < 0 ? crank_error() : "");
    return err;
}

TEST_ENDS(copy, that_waits_for_bytes_is_ended_where_the_other_stream_is_closed)
{
    char said[200];
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *to = NULL;
    CRANK_AUTO_STREAM crank_stream *reader = NULL;
    crank_try(crank_socket_pair(&to, &reader));
    crank_task *task = crank_spawn(copy_counting, here, to, &copied, &said[0]);
    crank_try(say_text("abc"));
    crank_try(nets_settle());
    EXPECT_EQ(copied, 3); /* while it goes on */
    crank_try(crank_finish(to));
    EXPECT_EQ(crank_await(task), -ECONNABORTED);
    EXPECT_EQ(copied, 3);
    EXPECT_CONTAINS(said, "closed or aborted");
    crank_try(say_text("line\n"));
    EXPECT_STR(nets_line(here), "line");
    return crank_finish(reader);
}

static int fill_there(void)
{
    char *bytes = pattern(1024);
    for (int idle = 0; idle < 10; idle++) {
        crank_try(crank_sleep(1e-4));
        for (; crank_write_now(there, bytes, 1024) == 0; idle = 0)
            continue;
    }
    return 0;
}

TEST_ENDS(copy, that_waits_for_room_is_ended_where_the_stream_it_reads_is_aborted)
{
    char said[200];
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *feeder = NULL;
    crank_try(crank_socket_pair(&from, &feeder));
    crank_try(fill_there());
    crank_try(crank_write(feeder, pattern(2048), 2048));
    crank_task *task = crank_spawn(copy_counting, from, there, &copied, &said[0]);
    crank_try(nets_settle());
    crank_abort(from);
    EXPECT_EQ(crank_await(task), -ECONNABORTED);
    EXPECT_EQ(copied, 0);
    crank_abort(there);
    crank_try(crank_finish(feeder));
    return crank_finish(from);
}

TEST_ENDS(copy, that_is_cancelled_waiting_for_room_leaves_its_bytes_to_be_read)
{
    char said[200];
    char *found = test_memory(2048);
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *feeder = NULL;
    crank_try(crank_socket_pair(&from, &feeder));
    crank_try(fill_there());
    crank_try(crank_write(feeder, pattern(2048), 2048));
    crank_task *task = crank_spawn(copy_counting, from, there, &copied, &said[0]);
    crank_try(nets_settle());
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_EQ(copied, 0);
    crank_try(crank_read_exactly(from, found, 2048));
    crank_try(expect_pattern(found, 2048));
    crank_abort(there);
    crank_try(crank_finish(feeder));
    return crank_finish(from);
}

TEST_ENDS(copy, gives_the_limit_of_the_stream_it_waits_for)
{
    int64_t copied = -1;
    crank_try(crank_stream_limit(here, crank_time() + 0.001));
    EXPECT_EQ(crank_copy(here, here, -1, &copied), -ETIMEDOUT);
    EXPECT_EQ(copied, 0);
    return crank_stream_limit(here, CRANK_FOREVER);
}

/* ---- Refused ---- */

TEST_ENDS(copy, to_a_peer_that_has_gone_fails_and_names_it)
{
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *to = NULL;
    CRANK_AUTO_STREAM crank_stream *reader = NULL;
    crank_try(crank_socket_pair(&to, &reader));
    crank_try(crank_finish(reader));
    crank_try(say_text("some"));
    int err = 0;
    for (int i = 0; err == 0 && i < 10; i++) {
        crank_try(say_text("more"));
        err = crank_copy(here, to, 1, &copied);
        if (err == 0)
            err = crank_flush(to);
    }
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    EXPECT_CONTAINS(crank_error(), "cannot write");
    (void)crank_finish(to);
    return 0;
}

/* Where it fails for another reason, the peer must not wait for more. */
static int copy_or_abort(crank_stream *from, crank_stream *to, int64_t *ret_copied, char *said)
{
    int err = copy_counting(from, to, ret_copied, said);
    if (err < 0)
        crank_abort(to);
    return err;
}
/* What it says was copied is at least what the peer has read, and the byte behind that is the next one to be read: no
 * bytes are lost but those on their way. */
TEST_ENDS(copy, whose_peer_leaves_midway_says_how_many_it_has_given)
{
    enum { READ = 5000, NEXT = 1000 };
    char said[200], *bytes = pattern(SIZE), *found = test_memory(READ);
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *feeder = NULL;
    crank_try(nets_pair(&from, &feeder));
    crank_set_write_limit(there, 8192);
    crank_set_write_limit(feeder, SIZE);
    crank_task *task = crank_spawn(copy_or_abort, from, there, &copied, &said[0]);
    crank_try(crank_write(feeder, bytes, READ));
    crank_try(crank_read_exactly(here, found, READ));
    (void)crank_finish(here);
    crank_try(crank_write(feeder, bytes + READ, SIZE - READ));
    long err = crank_await(task);
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    EXPECT_CONTAINS(said, "cannot write");
    EXPECT(copied >= READ && copied <= SIZE - NEXT);
    crank_try(crank_read_exactly(from, found, NEXT));
    EXPECT_EQ(memcmp(found, bytes + copied, NEXT), 0);
    crank_abort(feeder); /* the rest is not read */
    (void)crank_finish(feeder);
    return crank_finish(from);
}

TEST_EACH_BACKEND(copy, refuses_what_is_not_open_for_it)
{
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *in = crank_try(crank_open(scratch_file("in", "abc", 3), "r"));
    CRANK_AUTO_STREAM crank_stream *out = crank_try(crank_open(scratch("out"), "w"));
    CRANK_AUTO_STREAM crank_stream *both = crank_try(crank_open(scratch("both"), "w+"));
    EXPECT_EQ(crank_copy(out, in, -1, &copied), -EBADF);
    EXPECT_EQ(crank_copy(in, in, -1, &copied), -EINVAL);
    EXPECT_EQ(copied, 0);
    EXPECT_EQ(crank_copy(both, both, -1, &copied), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "copied to itself");
    EXPECT_EQ(crank_copy(in, both, -1, &copied), 0);
    EXPECT_EQ(copied, 3);
    return 0;
}

TEST_CHECKS(copy, is_the_writer_of_the_file_before_there_is_anything_to_write, "is still writing")
{
    CRANK_AUTO_STREAM crank_stream *a = NULL;
    CRANK_AUTO_STREAM crank_stream *b = NULL;
    crank_try(crank_socket_pair(&a, &b));
    CRANK_AUTO_STREAM crank_stream *file = crank_try(crank_open(scratch("to"), "w"));
    (void)crank_try(crank_spawn(copy_counting, a, file, (int64_t *)NULL, (char *)test_memory(200)));
    crank_try(crank_sleep(0));
    return crank_close(file);
}

TEST_CHECKS(copy, is_the_reader_of_the_stream_meanwhile, "still reading")
{
    char byte;
    CRANK_AUTO_STREAM crank_stream *a = NULL;
    CRANK_AUTO_STREAM crank_stream *b = NULL;
    crank_try(crank_socket_pair(&a, &b));
    (void)crank_try(crank_spawn(copy_counting, a, a, (int64_t *)NULL, (char *)test_memory(200)));
    crank_try(crank_sleep(0));
    return (int)crank_read(a, &byte, 1);
}
