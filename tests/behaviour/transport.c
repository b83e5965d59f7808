/* SPDX-License-Identifier: MIT */
/* transport.c: what is true of streams over transports, beside what is true of all streams: the tests of ends.h are
 * also run over them. */
#include "io/stream.h"
#include "nets.h"
#include "veil.h"

#define KIB ((size_t)1024)

/* Two veils over a pair of sockets. */
static crank_stream *here, *there;

static int open_veils(void)
{
    crank_try(crank_socket_pair(&here, &there));
    crank_try(veil_over(&here));
    return veil_over(&there);
}
static int close_veils(void)
{
    (void)crank_finish(here);
    (void)crank_finish(there);
    EXPECT_EQ(veils.open, 0);
    return 0;
}
#define TEST_VEILS(subject, sentence) \
    static int veils_##sentence(void); \
    TEST_EACH_BACKEND(subject, sentence) \
    { \
        int err = open_veils(); \
        if (err == 0) \
            err = veils_##sentence(); \
        (void)close_veils(); \
        return err; \
    } \
    static int veils_##sentence(void)

static char *filled(size_t size, char byte)
{
    char *bytes = test_memory(size + 1);
    memset(bytes, byte, size);
    return bytes;
}

/* ---- Reading and writing at once ---- */

enum { WRITERS = 10, LINES = 300 };

static int write_lines(int writer)
{
    for (int i = 0; i < LINES; i++)
        crank_try(crank_printf(there, "%d %0*d\n", writer, 20 + i % 200, i));
    return 0;
}

static int read_lines(crank_stream *from)
{
    int next[WRITERS] = { 0 };
    for (int i = 0; i < WRITERS * LINES; i++) {
        int writer, number;
        EXPECT_EQ(sscanf(nets_line(from), "%d %d", &writer, &number), 2);
        EXPECT(writer >= 0 && writer < WRITERS);
        EXPECT_EQ(number, next[writer]++);
    }
    return 0;
}

TEST_VEILS(transport, keeps_the_lines_of_ten_writers_whole_beside_a_reader)
{
    CRANK_GROUP(group);
    crank_set_write_limit(there, 4 * KIB);
    for (int i = 0; i < WRITERS; i++)
        crank_group_spawn(&group, write_lines, i);
    crank_group_spawn(&group, read_lines, here);
    for (int i = 0; i < 50; i++) {
        crank_try(crank_printf(here, "%d\n", i));
        EXPECT_EQ(atoi(nets_line(there)), i);
    }
    return crank_group_wait(&group);
}

enum { MUCH = 1 << 20 };
/* Until nothing has been put below for a while: the kernel takes no more. */
static int until_full(void)
{
    for (int before = -1, still = 0; still < 20;) {
        crank_try(crank_sleep(0.002));
        still = veils.puts == before ? still + 1 : 0;
        before = veils.puts;
    }
    return 0;
}
static int write_much(crank_stream *stream) { return crank_write(stream, filled(MUCH, 'm'), MUCH); }

TEST_VEILS(transport, lets_both_write_much_before_they_read)
{
    char *found = test_memory(MUCH);
    CRANK_GROUP(group);
    crank_group_spawn(&group, write_much, here);
    crank_group_spawn(&group, write_much, there);
    crank_try(crank_read_exactly(here, found, MUCH));
    crank_try(crank_read_exactly(there, found, MUCH));
    EXPECT_EQ(memcmp(found, filled(MUCH, 'm'), MUCH), 0);
    return crank_group_wait(&group);
}

TEST_VEILS(transport, holds_no_more_than_its_limit_and_a_piece_for_a_peer_that_does_not_read)
{
    CRANK_GROUP(group);
    crank_set_write_limit(there, 8 * KIB);
    crank_group_spawn(&group, write_much, there);
    crank_try(until_full());
    EXPECT(crank_unsent(there) >= 8 * KIB && crank_unsent(there) <= 8 * KIB + 16 * KIB);
    EXPECT_EQ(crank_write_now(there, "x", 1), -EAGAIN);
    crank_abort(there);
    EXPECT_EQ(crank_group_wait(&group), -ECONNABORTED);
    return 0;
}

TEST_VEILS(transport, is_given_what_was_written_in_one_pass_at_once)
{
    for (int i = 0; i < 3; i++)
        crank_try(crank_printf(there, "%d\n", i));
    EXPECT_EQ(veils.puts, 0);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(atoi(nets_line(here)), i);
    EXPECT_EQ(veils.puts, 1);
    return 0;
}

TEST_VEILS(transport, on_transport_carries_all)
{
    char *found = test_memory(MUCH);
    for (int i = 0; i < 2; i++) {
        crank_try(veil_over(&here));
        crank_try(veil_over(&there));
    }
    CRANK_GROUP(group);
    crank_group_spawn(&group, write_much, there);
    crank_try(crank_read_exactly(here, found, MUCH));
    EXPECT_EQ(memcmp(found, filled(MUCH, 'm'), MUCH), 0);
    crank_try(crank_group_wait(&group));
    crank_try(crank_write_eof(there));
    nets_expect_end(here);
    crank_try(crank_printf(here, "back\n"));
    EXPECT_STR(nets_line(there), "back");
    return 0;
}

/* ---- Ending ---- */

static int read_one(void)
{
    char byte;
    return (int)crank_read(there, &byte, 1);
}
static int write_large(void) { return crank_write(there, filled(MUCH, 'l'), MUCH); }
static int write_small(void) { return crank_write(there, "s", 1); }
static int flush_there(void) { return crank_flush(there); }

/* A reader, a writer in the middle of its bytes, one behind it, and a flush of bytes that nothing takes. */
static int begin_calls(crank_task *tasks[4])
{
    crank_set_write_limit(there, 4 * KIB);
    tasks[0] = crank_spawn(read_one);
    tasks[1] = crank_spawn(write_large);
    crank_try(until_full());
    tasks[2] = crank_spawn(write_small);
    tasks[3] = crank_spawn(flush_there);
    return nets_settle();
}

TEST_VEILS(transport, aborted_ends_the_calls_of_all_others)
{
    crank_task *tasks[4];
    crank_try(begin_calls(tasks));
    crank_abort(there);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(crank_await(tasks[i]), -ECONNABORTED);
    EXPECT_EQ(crank_write(there, "x", 1), -ECONNABORTED);
    EXPECT_EQ(crank_finish(there), 0);
    EXPECT_EQ(veils.aborted, 1);
    return 0;
}

TEST_VEILS(transport, closed_ends_the_calls_of_all_others)
{
    crank_task *tasks[4];
    crank_try(begin_calls(tasks));
    (void)crank_finish(there);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(crank_await(tasks[i]), -ECONNABORTED);
    EXPECT_EQ(veils.aborted, 1); /* half a write */
    return 0;
}

static int finish_there(void) { return crank_finish(there); }

TEST_VEILS(transport, closed_sends_the_rest_and_the_end)
{
    char *found = test_memory(300 * KIB);
    crank_set_write_limit(there, MUCH);
    crank_try(crank_write(there, filled(300 * KIB, 'r'), 300 * KIB));
    crank_task *closer = crank_spawn(finish_there);
    crank_try(crank_read_exactly(here, found, 300 * KIB));
    EXPECT_EQ(memcmp(found, filled(300 * KIB, 'r'), 300 * KIB), 0);
    nets_expect_end(here);
    EXPECT_EQ(veils.aborted, 0);
    return (int)crank_await(closer);
}

static int leave_when_asked(void)
{
    CRANK_AUTO_STREAM crank_stream *s = there;
    there = NULL;
    crank_try(crank_printf(s, "bye\n"));
    return crank_cancel(crank_self());
}
static int leave_and_wait(void)
{
    EXPECT_EQ(leave_when_asked(), 0);
    EXPECT_EQ(crank_sleep(1), -ECANCELED);
    return crank_sleep(0);
}

TEST_VEILS(transport, closed_at_the_end_of_a_block_leaves_a_request_to_the_next_wait)
{
    EXPECT_EQ(crank_await(crank_spawn(leave_and_wait)), 0);
    EXPECT_STR(nets_line(here), "bye");
    nets_expect_end(here);
    return 0;
}

/* ---- Failures of the transport's own ---- */

TEST_VEILS(transport, whose_put_fails_is_told_once_and_then_broken)
{
    veils.fail_put = ENOSPC;
    crank_try(crank_printf(there, "lost\n"));
    EXPECT_EQ(crank_flush(there), -ENOSPC);
    EXPECT_CONTAINS(crank_error(), "veil over a socket");
    EXPECT_EQ(crank_printf(there, "more\n"), -EPIPE);
    EXPECT_EQ(crank_write_eof(there), -EPIPE);
    EXPECT_EQ(crank_finish(there), 0);
    EXPECT_EQ(veils.aborted, 1);
    return 0;
}

TEST_VEILS(transport, whose_read_fails_gives_its_own_message_and_then_the_end)
{
    char byte;
    veils.fail_read = EPROTO;
    EXPECT_EQ(crank_read(here, &byte, 1), -EPROTO);
    EXPECT_STR(crank_error(), "the veil is torn");
    EXPECT_EQ(crank_read(here, &byte, 1), 0);
    return 0;
}

/* ---- Reading that is awaited ---- */

static bool waits_in_vain;
static int await_below(void *self)
{
    const char *bytes;
    ssize_t n = crank_peek(((veil *)self)->below, 1, &bytes);
    if (n > 0 && waits_in_vain)
        return crank_fail(EPROTO, "the veil waits in vain");
    return n < 0 ? (int)n : 0;
}
static const crank_transport patient = {
    .name = "veil", .read = veil_read, .await_read = await_below, .put = veil_put, .close = veil_close
};
static int finish_read(void)
{
    char byte;
    return (int)crank_read(here, &byte, 1);
}
static int read_one_line(void) { return strcmp(nets_line(here), "hello") == 0 ? 0 : -EPROTO; }

TEST_EACH_BACKEND(transport, that_awaits_what_it_reads_has_no_buffer_meanwhile)
{
    crank_try(crank_socket_pair(&here, &there));
    crank_try(veil_over_as(&here, &patient));
    crank_try(veil_over(&there));
    for (int i = 0; i < 3; i++) {
        crank_task *reader = crank_spawn(read_one_line);
        crank_try(nets_settle());
        EXPECT(!crank_done(reader) && !here->in.bytes);
        crank_try(crank_printf(there, "hello\n"));
        EXPECT_EQ(crank_await(reader), 0);
    }
    crank_task *reader = crank_spawn(finish_read);
    crank_try(nets_settle());
    crank_cancel(reader);
    EXPECT_EQ(crank_await(reader), -ECANCELED); /* and is called again */
    reader = crank_spawn(finish_read);
    crank_try(nets_settle());
    crank_abort(here);
    EXPECT_EQ(crank_await(reader), -ECONNABORTED);
    return close_veils();
}

TEST_EACH_BACKEND(transport, whose_awaiting_fails_gives_its_own_message_and_then_the_end)
{
    char byte;
    crank_try(crank_socket_pair(&here, &there));
    crank_try(veil_over_as(&here, &patient));
    crank_try(veil_over(&there));
    crank_try(crank_printf(there, "x"));
    waits_in_vain = true;
    EXPECT_EQ(crank_read(here, &byte, 1), -EPROTO);
    EXPECT_STR(crank_error(), "the veil waits in vain");
    EXPECT_EQ(crank_read(here, &byte, 1), 0);
    return close_veils();
}

TEST_VEILS(transport, whose_close_fails_is_closed_all_the_same)
{
    veils.fail_close = EIO;
    EXPECT_EQ(crank_finish(there), -EIO);
    EXPECT_CONTAINS(crank_error(), "cannot close veil");
    EXPECT_EQ(veils.open, 1);
    return 0;
}

/* ---- What is below ---- */

static int look_below(void)
{
    char byte, below[80];
    snprintf(below, sizeof below, "%s", crank_peer_name(here));
    int fd = crank_stream_fd(here);
    crank_try(veil_over(&here));
    EXPECT_STR(crank_peer_name(here), below);
    EXPECT_STR(crank_own_name(here), crank_peer_name(there));
    EXPECT_EQ(crank_stream_fd(here), fd);
    crank_try(crank_stream_limit(here, crank_time() + 0.001));
    EXPECT_EQ(crank_read(here, &byte, 1), -ETIMEDOUT);
    crank_try(crank_stream_limit(here, CRANK_FOREVER));
    crank_try(veil_over(&there));
    crank_try(crank_printf(there, "goes on\n"));
    EXPECT_STR(nets_line(here), "goes on");
    return 0;
}
TEST_EACH_BACKEND(transport, has_the_names_the_descriptor_and_the_limit_of_what_is_below)
{
    crank_try(nets_pair(&here, &there));
    int err = look_below();
    (void)close_veils();
    return err;
}

/* As where a protocol begins without encryption and goes on with it. */
static int veil_behind_a_line(void)
{
    const char *ahead;
    crank_try(crank_printf(there, "start\n"));
    crank_try(veil_over(&there));
    crank_try(crank_printf(there, "veiled\n"));
    crank_try(crank_flush(there));
    crank_try(nets_settle());
    EXPECT_STR(nets_line(here), "start");
    EXPECT_EQ(crank_try(crank_peek(here, 0, &ahead)), strlen("veiled\n"));
    crank_try(veil_over(&here));
    EXPECT_STR(nets_line(here), "veiled");
    return 0;
}
TEST_EACH_BACKEND(transport, is_given_the_bytes_that_were_read_ahead_below_it)
{
    crank_try(nets_pair(&here, &there));
    int err = veil_behind_a_line();
    (void)close_veils();
    return err;
}

static int greet_veiled(crank_stream *peer, bool closes)
{
    crank_try(veil_over(&peer));
    crank_try(crank_printf(peer, "you said %s\n", nets_line(peer)));
    return closes ? crank_close(peer) : 0;
}
static int serve_veiled(crank_listener *l, bool closes) { return crank_serve(l, greet_veiled, closes); }

/* Unread input of the client's does not destroy the answer: the server lingers. */
static int be_served(bool closes)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    NETS_TASK server = crank_spawn(serve_veiled, l, closes);
    CRANK_AUTO_STREAM crank_stream *client = crank_try(crank_connect(crank_listener_address(l, 0)));
    crank_try(veil_over(&client));
    crank_try(crank_printf(client, "hello\n"));
    if (!closes)
        crank_try(crank_write(client, filled(20 * KIB, 'u'), 20 * KIB));
    EXPECT_STR(nets_line(client), "you said hello");
    nets_expect_end(client);
    crank_try(crank_finish(client));
    crank_try(crank_listener_stop(l, 1));
    crank_try(nets_await(server));
    EXPECT_EQ(veils.open, 0);
    return 0;
}
TEST_EACH_BACKEND(transport, over_a_handlers_peer_is_closed_by_the_server) { return be_served(false); }
TEST_EACH_BACKEND(transport, over_a_handlers_peer_may_be_closed_by_the_handler) { return be_served(true); }

TEST_CHECKS(transport, carries_a_stream_that_is_not_closed_beneath_it, "carries veil")
{
    crank_try(crank_socket_pair(&here, &there));
    crank_stream *below = here;
    int err = veil_over(&here);
    if (err == 0)
        return crank_close(below);
    (void)crank_finish(here);
    (void)crank_finish(there);
    return err;
}

static int waiting_put(void *self, const void *bytes, size_t size)
{
    (void)self;
    (void)bytes;
    return size > 0 ? crank_sleep(0) : 0;
}
static const crank_transport waiting = { .name = "waiting", .put = waiting_put };
TEST_CHECKS(transport, cannot_wait_in_its_put, "must not wait")
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_stream_new(&waiting, NULL, NULL));
    crank_try(crank_write(s, "x", 1));
    return crank_flush(s);
}

/* ---- Without a stream below; written by waiting ---- */

typedef struct store {
    char bytes[64];
    size_t size, at;
    int error;
} store;

static int store_write(void *self, const void *bytes, size_t size)
{
    store *s = self;
    crank_try(crank_sleep(0));
    if (s->error || size > sizeof s->bytes - s->size)
        return s->error ? s->error : -ENOSPC;
    memcpy(s->bytes + s->size, bytes, size);
    s->size += size;
    return 0;
}
static ssize_t store_read(void *self, void *buf, size_t size)
{
    store *s = self;
    crank_try(crank_sleep(0));
    size_t n = s->size - s->at < size ? s->size - s->at : size;
    memcpy(buf, s->bytes + s->at, n);
    s->at += n;
    return (ssize_t)n;
}
static const crank_transport store_transport = { .name = "store", .read = store_read, .write = store_write };

TEST_EACH_BACKEND(transport, without_put_is_written_by_the_task_that_writes)
{
    store memory = { .size = 0 };
    const struct iovec pieces[] = { { (char *)"four", 4 }, { (char *)"\n", 1 } };
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_stream_new(&store_transport, &memory, NULL));
    crank_try(crank_printf(s, "one %d\n", 2));
    EXPECT_EQ(memory.size, 6);
    crank_try(crank_write_vector(s, pieces, 2));
    EXPECT_EQ(memory.size, 11);
    EXPECT_EQ(crank_write_now(s, "x", 1), -ENOTSUP);
    EXPECT_EQ(crank_unsent(s), 0);
    crank_try(crank_wait_room(s));
    crank_try(crank_flush(s));
    EXPECT_STR(nets_line(s), "one 2");
    EXPECT_STR(nets_line(s), "four");
    nets_expect_end(s);
    EXPECT_EQ(crank_write_eof(s), -ENOTSUP);
    EXPECT_EQ(crank_stream_limit(s, 1), -ENOTSUP);
    EXPECT_EQ(crank_stream_fd(s), -ENOTSUP);
    EXPECT_STR(crank_peer_name(s), "");
    memory.error = -EIO;
    EXPECT_EQ(crank_printf(s, "x"), -EIO);
    EXPECT_EQ(crank_printf(s, "x"), -EPIPE);
    return crank_finish(s);
}

static int copy_to(crank_stream *from, crank_stream *to, int64_t *ret_copied)
{
    return crank_copy(from, to, -1, ret_copied);
}

TEST_VEILS(transport, is_copied_to_and_from_as_any_stream)
{
    store memory = { .size = 3, .bytes = "abc" };
    int64_t copied = 0;
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_stream_new(&store_transport, &memory, NULL));
    crank_task *task = crank_spawn(copy_to, here, s, &copied);
    crank_try(crank_copy(s, there, -1, NULL));
    crank_try(crank_printf(there, "defg"));
    crank_try(crank_write_eof(there));
    crank_try(crank_await(task));
    EXPECT_EQ(copied, 7);
    EXPECT_EQ(memory.size, 10);
    EXPECT_EQ(memcmp(memory.bytes, "abcabcdefg", 10), 0);
    return crank_finish(s);
}
