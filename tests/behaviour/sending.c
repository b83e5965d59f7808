/* SPDX-License-Identifier: MIT */
/* sending.c: what is written to a stream over a socket leaves by itself, in order, whole, and without the program's
 * memory growing by what a peer does not read. */
#include "links.h"

/* ---- It leaves by itself ---- */

static int print(crank_stream *s, const char *text) { return crank_printf(s, "%s", text); }

/* The peer reads while the writer does nothing but what the test says. */
static int hear(crank_stream *s, const char *expected)
{
    char line[64];
    EXPECT_EQ(crank_read_line(s, line, sizeof line), strlen(expected));
    EXPECT_STR(line, expected);
    return 0;
}
static crank_task *hears(crank_stream *s, const char *expected) { return crank_spawn(hear, s, expected); }

EACH_LINK(written, is_heard_when_the_writer_reads)
{
    crank_task *peer = hears(l->b, "question\n");
    crank_try(crank_printf(l->a, "question\n"));
    crank_task *answer = hears(l->a, "answer\n");
    crank_try(crank_await(peer));
    crank_try(crank_printf(l->b, "answer\n"));
    return error_of(answer);
}

EACH_LINK(written, is_heard_while_the_writer_sleeps)
{
    crank_task *peer = hears(l->b, "hello\n");
    crank_try(crank_printf(l->a, "hello\n"));
    UNTIL(crank_done(peer));
    return error_of(peer);
}

static int hear_and_raise(crank_stream *s, crank_event *heard)
{
    crank_try(hear(s, "hello\n"));
    crank_event_set(heard);
    return 0;
}
EACH_LINK(written, is_heard_while_the_writer_waits_for_an_event)
{
    CRANK_EVENT(heard);
    crank_task *peer = crank_spawn(hear_and_raise, l->b, heard);
    crank_try(crank_printf(l->a, "hello\n"));
    crank_try(crank_event_wait(heard));
    return error_of(peer);
}

static int hear_and_put(crank_stream *s, crank_queue *queue)
{
    crank_try(hear(s, "hello\n"));
    return crank_put(queue, 1);
}
EACH_LINK(written, is_heard_while_the_writer_gets)
{
    int one = 0;
    CRANK_QUEUE(queue, int, 1);
    crank_task *peer = crank_spawn(hear_and_put, l->b, queue);
    crank_try(crank_printf(l->a, "hello\n"));
    crank_try(crank_get(queue, &one));
    EXPECT_EQ(one, 1);
    return error_of(peer);
}

static int hold_until_heard(crank_stream *s, crank_lock *lock, crank_event *held)
{
    CRANK_WITH_LOCK(lock);
    crank_event_set(held);
    return hear(s, "hello\n");
}
EACH_LINK(written, is_heard_while_the_writer_waits_for_a_lock)
{
    CRANK_LOCK(lock);
    CRANK_EVENT(held);
    CRANK_GROUP(peers); /* where the writing fails the peer gives the lock back */
    crank_group_spawn(&peers, hold_until_heard, l->b, lock, held);
    crank_try(crank_event_wait(held));
    crank_try(crank_printf(l->a, "hello\n"));
    crank_try(crank_lock_acquire(lock));
    crank_lock_release(lock);
    return crank_group_wait(&peers);
}

EACH_LINK(written, is_heard_where_the_task_that_wrote_it_has_ended)
{
    crank_task *peer = hears(l->b, "hello\n");
    crank_try(crank_await(crank_spawn(print, l->a, "hello\n")));
    return error_of(peer);
}

/* With 65,536 bytes unsent it does not wait for the pass to end. */
EACH_LINK(written, begins_to_leave_at_the_mark)
{
    char *bytes = test_memory(CR_BUFFER_LARGE);
    for (uint64_t i = 0; i < CR_BUFFER_LARGE; i++)
        bytes[i] = byte_at(i);
    crank_try(crank_write(l->a, bytes, CR_BUFFER_LARGE - 1));
    EXPECT_EQ(inside(l->a)->sent, 0);
    crank_try(crank_write(l->a, bytes + CR_BUFFER_LARGE - 1, 1));
    EXPECT(inside(l->a)->sent > 0 || inside(l->a)->send_pending);
    crank_task *closing = crank_spawn(close_end, &l->a);
    EXPECT_EQ(read_rest(l->b, 0), CR_BUFFER_LARGE);
    return error_of(closing);
}

/* ---- In order, whole ---- */

enum { WRITERS = 10, MESSAGES = 30, LARGE = 150000 };

typedef struct head {
    uint32_t writer, number, size;
} head;

static uint64_t place_of(const head *h) { return ((uint64_t)h->writer << 48) + ((uint64_t)h->number << 24); }

static int write_messages(crank_stream *s, unsigned writer)
{
    uint64_t random = writer;
    for (uint32_t number = 0; number < MESSAGES; number++) {
        uint32_t size = chance(&random, 4) ? chance(&random, 3000) : chance(&random, 9) ? 30000 : LARGE;
        head h = { writer, number, size };
        char *bytes = bytes_from(place_of(&h) - sizeof h, sizeof h + size);
        memcpy(bytes, &h, sizeof h);
        int err = crank_write(s, bytes, sizeof h + size);
        free(bytes);
        if (err == 0 && chance(&random, 5) == 0)
            err = crank_flush(s);
        if (err < 0) {
            crank_abort(s); /* the reader waits for more */
            return err;
        }
    }
    return 0;
}
static int read_messages(crank_stream *s, unsigned total)
{
    uint32_t next[WRITERS] = { 0 };
    char *bytes = test_memory(LARGE);
    for (unsigned i = 0; i < total; i++) {
        head h;
        crank_try(crank_read_exactly(s, &h, sizeof h));
        EXPECT(h.writer < WRITERS && h.size <= LARGE);
        EXPECT_EQ(h.number, next[h.writer]++);
        crank_try(crank_read_exactly(s, bytes, h.size));
        expect_bytes(bytes, place_of(&h), h.size);
    }
    return 0;
}
EACH_LINK(ten_writers, mix_nothing_and_all_go_on)
{
    crank_task *writers[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++)
        writers[i] = crank_spawn(write_messages, l->a, i);
    crank_try(read_messages(l->b, WRITERS * MESSAGES));
    for (unsigned i = 0; i < WRITERS; i++)
        crank_try(crank_await(writers[i]));
    EXPECT_EQ(unsent(l->a), 0);
    EXPECT(!inside(l->a)->stream.writer);
    return 0;
}

/* Buffered ones and such as go from the caller's memory. */
static int write_rising(crank_stream *s, size_t total)
{
    uint64_t at = 0;
    for (size_t size = 1; at<total; size = size> 100000 ? 1 : size * 3) {
        char *bytes = bytes_from(at, size);
        int err = crank_write(s, bytes, size);
        free(bytes);
        if (err < 0) {
            crank_abort(s); /* the reader waits for more */
            return err;
        }
        at += size;
    }
    return (int)at;
}
EACH_LINK(writes, of_all_sizes_keep_their_order)
{
    crank_task *writer = crank_spawn(write_rising, l->a, 600000);
    char buf[3000];
    uint64_t at = 0;
    while (at < 600000) {
        long n = crank_try(crank_read(l->b, buf, sizeof buf));
        EXPECT(n > 0);
        expect_bytes(buf, at, (size_t)n);
        at += (uint64_t)n;
    }
    long total = crank_try(crank_await(writer));
    crank_try(close_end(&l->a));
    EXPECT_EQ(read_rest(l->b, at) + (long)at, total);
    return 0;
}

static int write_much(crank_stream *s, size_t total, size_t piece)
{
    for (uint64_t at = 0; at < total; at += piece) {
        char *bytes = bytes_from(at, piece);
        int err = crank_write(s, bytes, piece);
        free(bytes);
        crank_try(err);
    }
    return crank_write_eof(s);
}
static long read_much(crank_stream *s) { return read_rest(s, 0); }
static int exchange(ends *l, size_t total, size_t piece)
{
    crank_task *writers[] = { crank_spawn(write_much, l->a, total, piece),
        crank_spawn(write_much, l->b, total, piece) };
    crank_task *readers[] = { crank_spawn(read_much, l->a), crank_spawn(read_much, l->b) };
    for (int i = 0; i < 2; i++) {
        crank_try(crank_await(writers[i]));
        EXPECT_EQ(crank_await(readers[i]), total);
    }
    return 0;
}
EACH_LINK(both_ends, write_much_in_small_pieces_with_a_reader_beside) { return exchange(l, 1000000, 10000); }
EACH_LINK(both_ends, write_much_in_large_pieces_with_a_reader_beside) { return exchange(l, 1000000, 500000); }
static int exchange_ten_megabytes(ends *l) { return exchange(l, 10000000, 50000); }
TEST_EACH_BACKEND(both_ends, write_ten_megabytes_with_a_reader_beside)
{
    return with_ends(true, exchange_ten_megabytes);
}

static int print_or_break(crank_stream *s, const char *text)
{
    int err = print(s, text);
    if (err < 0)
        crank_abort(s); /* the reader waits for more */
    return err;
}
EACH_LINK(printf, longer_than_the_mark_is_written_whole)
{
    enum { LONG = 200000 };
    char *got = test_memory(LONG);
    char *bytes = test_memory(LONG + 1);
    for (int i = 0; i < LONG; i++)
        bytes[i] = (char)('a' + i % 23);
    crank_task *writer = crank_spawn(print_or_break, l->a, bytes);
    crank_try(crank_read_exactly(l->b, got, LONG));
    EXPECT_EQ(memcmp(got, bytes, LONG), 0);
    return error_of(writer);
}

/* ---- Waiting ---- */

EACH_LINK(write, of_a_stalled_peer_takes_no_more_than_the_mark)
{
    EXPECT(fill_up(l->a, 7000) > 0);
    EXPECT(unsent(l->a) <= CR_BUFFER_LARGE);
    EXPECT(unsent(l->a) + 7000 > CR_BUFFER_LARGE);
    (void)close_end(&l->b);
    return 0;
}

/* Woken by each byte that leaves, writers would make the peer many small packets. */
static int write_one_more(crank_stream *s, size_t size, size_t *ret_unsent)
{
    uint64_t at = taken_of(s);
    char *bytes = bytes_from(at, size);
    int err = crank_write(s, bytes, size);
    *ret_unsent = unsent(s) - size;
    free(bytes);
    return err;
}
EACH_LINK(write, that_waited_goes_on_where_a_quarter_of_the_mark_is_unsent)
{
    size_t at_its_turn = 0;
    long total = fill_up(l->a, 7000);
    EXPECT(total > 0);
    crank_task *writer = crank_spawn(write_one_more, l->a, 10000, &at_its_turn);
    char buf[1000];
    for (long at = 0; at < total; at += (long)sizeof buf) {
        crank_try(crank_read_exactly(l->b, buf, sizeof buf));
        expect_bytes(buf, (uint64_t)at, sizeof buf);
        crank_try(settle());
        EXPECT(crank_done(writer) || unsent(l->a) > CR_BUFFER_LARGE / 4 || inside(l->a)->sent == (uint64_t)total);
        if (crank_done(writer))
            total = (long)taken_of(l->a);
    }
    EXPECT(at_its_turn <= CR_BUFFER_LARGE / 4);
    return error_of(writer);
}

/* Those behind it stand in line, and go on. */
EACH_LINK(write, cancelled_while_it_waits_has_taken_nothing)
{
    size_t ignored;
    long total = fill_up(l->a, 5000);
    EXPECT(total > 0);
    crank_task *first = crank_spawn(write_one_more, l->a, 60000, &ignored);
    crank_task *second = crank_spawn(write_one_more, l->a, 60000, &ignored);
    crank_task *third = crank_spawn(crank_write_eof, l->a);
    crank_try(settle());
    crank_cancel(first);
    crank_cancel(second);
    EXPECT_EQ(crank_await(first), -ECANCELED);
    EXPECT_EQ(crank_await(second), -ECANCELED);
    crank_task *reader = crank_spawn(read_much, l->b);
    crank_try(crank_await(third));
    EXPECT_EQ(crank_await(reader), total);
    return 0;
}

EACH_LINK(flush, returns_when_the_kernel_has_all)
{
    long total = fill_up(l->a, 9000);
    EXPECT(total > 0);
    EXPECT_EQ(crank_within(0.02, crank_flush(l->a)), -ETIMEDOUT);
    crank_task *flusher = crank_spawn(crank_flush, l->a);
    char buf[500];
    uint64_t at = 0;
    while (!crank_done(flusher)) {
        EXPECT(unsent(l->a) > 0);
        long n = crank_try(crank_read(l->b, buf, sizeof buf));
        at += (uint64_t)n;
        crank_try(settle());
        if (unsent(l->a) == 0)
            UNTIL(crank_done(flusher));
    }
    EXPECT_EQ(inside(l->a)->sent, total);
    EXPECT(at <= (uint64_t)total);
    return error_of(flusher);
}

/* ---- A large write cut short ---- */

/* The scope's edge and the stream's own limit keep what the write has said. */
EACH_LINK(large_write, cut_by_a_limit_says_how_much_was_sent)
{
    enum { size = 8000000 };
    char *bytes = test_memory(size), expected[80];
    EXPECT_EQ(crank_within(0.02, crank_write(l->a, bytes, size)), -ETIMEDOUT);
    snprintf(expected, sizeof expected, "timed out: cancelled after %llu of 8000000 bytes were sent to",
        (unsigned long long)inside(l->a)->sent);
    EXPECT_CONTAINS(crank_error(), expected);
    crank_try(crank_stream_limit(l->b, crank_time() + 0.02));
    EXPECT_EQ(crank_write(l->b, bytes, size), -ETIMEDOUT);
    snprintf(expected, sizeof expected, "limit of time passed after %llu of 8000000 bytes were sent to",
        (unsigned long long)inside(l->b)->sent);
    EXPECT_CONTAINS(crank_error(), expected);
    EXPECT_EQ(crank_within(0, crank_sleep(1)), -ETIMEDOUT); /* another interruption: it has nothing to do with that */
    EXPECT_STR(crank_error(), "timed out");
    return 0;
}

static int write_large_and_see(crank_stream *s, size_t size, uint64_t *ret_sent)
{
    char *bytes = bytes_from(0, size);
    int err = crank_write(s, bytes, size);
    free(bytes);
    *ret_sent = inside(s)->sent;
    if (err == -ECANCELED && inside(s)->send_error)
        EXPECT_CONTAINS(crank_error(), "cancelled after");
    return err;
}
EACH_LINK(large_write, cancelled_midway_says_so_and_sends_nothing_more_but_a_reset)
{
    uint64_t sent = 0;
    crank_task *writer = crank_spawn(write_large_and_see, l->a, (size_t)8000000, &sent);
    UNTIL(inside(l->a)->send_pending && inside(l->a)->sent > 0);
    crank_cancel(writer);
    EXPECT_EQ(crank_await(writer), -ECANCELED);
    EXPECT(sent > 0 && sent < 8000000);
    EXPECT_EQ(crank_write(l->a, "x", 1), -EPIPE);
    EXPECT_EQ(crank_flush(l->a), -EPIPE);
    EXPECT_EQ(crank_write_eof(l->a), -EPIPE);
    char *bytes = test_memory(sent);
    EXPECT_EQ(crank_read_exactly(l->b, bytes, sent), sent);
    expect_bytes(bytes, 0, sent);
    EXPECT_EQ(close_end(&l->a), 0);
    EXPECT_EQ(crank_read(l->b, bytes, 1), inside(l->b)->kind->fd == CR_FD_TCP ? -ECONNRESET : 0);
    return 0;
}
EACH_LINK(large_write, beyond_a_limit_midway_says_so)
{
    char *bytes = bytes_from(0, 8000000);
    EXPECT_EQ(crank_within(0.05, crank_write(l->a, bytes, 8000000)), -ETIMEDOUT);
    free(bytes);
    EXPECT_EQ(crank_write(l->a, "x", 1), -EPIPE);
    return 0;
}
EACH_LINK(large_write, cancelled_before_its_first_byte_has_taken_nothing)
{
    uint64_t sent = 0;
    long total = fill_up(l->a, 9000);
    crank_task *writer = crank_spawn(write_large_and_see, l->a, (size_t)100000, &sent);
    crank_try(settle());
    EXPECT_EQ(crank_within(0.001, crank_await(writer)), -ETIMEDOUT);
    crank_task *reader = crank_spawn(read_much, l->b);
    crank_try(close_end(&l->a));
    EXPECT_EQ(crank_await(reader), total);
    return 0;
}

/* ---- The last try of a cancelled close ---- */

static int print_and_close_cancelled(crank_stream **end)
{
    crank_try(crank_printf(*end, "%c%c%c", byte_at(0), byte_at(1), byte_at(2)));
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    return close_end(end);
}
/* In a task of its own, whose children end with it before the streams are closed. */
static int close_many_cancelled(nets_streams *all)
{
    enum { MANY = 8 };
    crank_task *closers[MANY];
    for (int i = 0; i < MANY; i++)
        crank_try(nets_pair(&all->at[2 * i], &all->at[2 * i + 1]));
    for (int i = 0; i < MANY; i++)
        closers[i] = crank_spawn(print_and_close_cancelled, &all->at[2 * i]);
    for (int i = 0; i < MANY; i++) {
        EXPECT_EQ(crank_await(closers[i]), -ECANCELED);
        EXPECT_EQ(read_rest(all->at[2 * i + 1], 0), 3);
        crank_try(close_end(&all->at[2 * i + 1]));
    }
    return 0;
}
/* A backend may leave all but the first to the end of the pass. */
TEST_EACH_BACKEND(close, of_many_in_one_pass_when_cancelled_sends_what_tcp_has_room_for)
{
    NETS_STREAMS(all);
    return (int)crank_await(crank_spawn(close_many_cancelled, &all));
}

/* ---- The peer is gone ---- */

/* No signal ends the process, and the loop sees an error. */
static int write_until_it_fails(crank_stream *s)
{
    for (int i = 0; i < 100000; i++) {
        int err = crank_printf(s, "line %d\n", i);
        if (err < 0)
            return err;
        crank_try(crank_sleep(0));
    }
    return 0;
}
EACH_LINK(write, to_a_peer_that_is_gone_fails)
{
    crank_try(close_end(&l->b));
    int err = write_until_it_fails(l->a);
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    return 0;
}
EACH_LINK(large_write, to_a_peer_that_goes_fails)
{
    uint64_t sent = 0;
    crank_task *writer = crank_spawn(write_large_and_see, l->a, (size_t)8000000, &sent);
    UNTIL(inside(l->a)->send_pending);
    crank_try(close_end(&l->b));
    long err = crank_await(writer);
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    EXPECT_EQ(crank_write(l->a, "x", 1), -EPIPE);
    return 0;
}

EACH_LINK(error, of_sending_is_told_once_then_the_pipe_is_broken)
{
    crank_try(crank_write(l->a, "unread", 6));
    crank_try(crank_flush(l->a));
    crank_try(close_end(&l->b));
    int err = write_until_it_fails(l->a);
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    EXPECT_CONTAINS(crank_error(), "cannot write");
    EXPECT_EQ(crank_write(l->a, "x", 1), -EPIPE);
    EXPECT_EQ(crank_flush(l->a), -EPIPE);
    EXPECT_EQ(crank_printf(l->a, "x"), -EPIPE);
    EXPECT_EQ(close_end(&l->a), 0);
    return 0;
}

/* What has come stays readable behind it. */
EACH_LINK(read, goes_on_where_writing_has_failed)
{
    crank_try(crank_write(l->b, "last words", 10));
    crank_try(close_end(&l->b));
    EXPECT(write_until_it_fails(l->a) < 0);
    char words[11] = "";
    long n = crank_read_exactly(l->a, words, 10);
    if (n != 10)
        EXPECT_EQ(n, -ECONNRESET);
    if (n == 10)
        EXPECT_STR(words, "last words");
    return 0;
}

/* The kernel has told the writer: to the reader it would look like the peer's end. */
static int read_behind_a_reset(ends *l)
{
    char byte;
    crank_try(crank_write(l->a, "unread", 6));
    crank_try(crank_flush(l->a));
    crank_try(crank_sleep(0.001)); /* they have come */
    crank_try(close_end(&l->b));
    EXPECT_EQ(write_until_it_fails(l->a), -ECONNRESET);
    EXPECT_EQ(crank_read(l->a, &byte, 1), -ECONNRESET);
    EXPECT_EQ(crank_read(l->a, &byte, 1), 0);
    return 0;
}
TEST_EACH_BACKEND(read, behind_a_write_that_failed_with_a_reset_sees_no_end)
{
    return with_ends(true, read_behind_a_reset);
}
