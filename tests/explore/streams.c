/* SPDX-License-Identifier: MIT */
/* streams.c: streams over sockets, and over transports on them, in small closed worlds, each run through its schedules:
 * where calls let others run, what arrives when, in which pieces. */
#include "../behaviour/links.h"
#include "../behaviour/veil.h"

enum { SMALL = 700, LARGE = 70000, PIECES = 3 };

static struct seen {
    uint64_t taken; /* bytes of writes that gave 0 */
    bool cut;       /* one that gave an error may have sent some */
} seen;

static int write_pieces(crank_stream *s, bool *closed, size_t size)
{
    for (int i = 0; i < PIECES && !*closed; i++) {
        char *bytes = bytes_from(seen.taken, size);
        int err = crank_write(s, bytes, size);
        free(bytes);
        if (err < 0) {
            seen.cut |= size > CR_BUFFER_LARGE;
            EXPECT(err == -ECONNABORTED || err == -ECANCELED || err == -EPIPE || err == -ECONNRESET);
            return 0;
        }
        seen.taken += size;
    }
    return 0;
}
static long read_to_the_end(crank_stream *s)
{
    char buf[30000];
    uint64_t at = 0;
    for (;;) {
        long n = crank_read(s, buf, sizeof buf);
        EXPECT(n >= 0);
        if (n == 0)
            return (long)at;
        expect_bytes(buf, at, (size_t)n);
        at += (uint64_t)n;
    }
}

/* Whenever it is closed: what was taken comes, and nothing else. */
static int close_amid_writes(bool tcp, size_t size)
{
    ends l = { 0 };
    bool closed = false;
    seen = (struct seen){ 0 };
    crank_try(tcp ? nets_pair(&l.a, &l.b) : crank_socket_pair(&l.a, &l.b));
    crank_task *writer = crank_spawn(write_pieces, l.a, &closed, size);
    crank_task *reader = crank_spawn(read_to_the_end, l.b);
    crank_try(crank_sleep(0));
    closed = true;
    EXPECT_EQ(crank_close(l.a), 0);
    EXPECT_EQ(crank_await(writer), 0);
    long came = crank_await(reader);
    if (seen.cut)
        EXPECT(came >= (long)seen.taken && came <= (long)(seen.taken + size));
    else
        EXPECT_EQ(came, seen.taken);
    return crank_close(l.b);
}
TEST_EXPLORED(close, amid_small_writes_over_tcp_sends_what_was_taken, 400) { return close_amid_writes(true, SMALL); }
TEST_EXPLORED(close, amid_large_writes_over_tcp_sends_what_was_taken, 300) { return close_amid_writes(true, LARGE); }
TEST_EXPLORED(close, amid_large_writes_over_a_pair_sends_what_was_taken, 300)
{
    return close_amid_writes(false, LARGE);
}

/* A request amid a write: it has taken all or nothing, and the other's bytes are not mixed with its own. */
static int write_of(crank_stream *s, char letter, size_t size, long *ret_result)
{
    char *bytes = malloc(size);
    memset(bytes, letter, size);
    *ret_result = crank_write(s, bytes, size);
    free(bytes);
    return 0;
}
TEST_EXPLORED(write, that_is_cancelled_is_whole_or_nothing, 150)
{
    enum { MIDDLE = 40000 };
    ends l = { 0 };
    long first = 1, second = 1;
    char buf[MIDDLE], last = 0;
    unsigned changes = 0;
    long count[2] = { 0, 0 }, n;
    crank_try(crank_socket_pair(&l.a, &l.b));
    EXPECT(fill_up(l.a, 60000) > 0);
    long before = (long)taken_of(l.a);
    crank_task *writers[] = { crank_spawn(write_of, l.a, 'x', (size_t)MIDDLE, &first),
        crank_spawn(write_of, l.a, 'y', (size_t)MIDDLE, &second) };
    crank_try(crank_sleep(0));
    crank_task *closer = crank_spawn(crank_write_eof, l.a);
    for (long at = 0; at < before; at += n) {
        n = crank_try(crank_read(l.b, buf, before - at < MIDDLE ? (size_t)(before - at) : MIDDLE));
        if (at == 0)
            crank_cancel(writers[0]);
    }
    while ((n = crank_try(crank_read(l.b, buf, sizeof buf))) > 0)
        for (long i = 0; i < n; i++) {
            changes += buf[i] != last;
            last = buf[i];
            count[last == 'y']++;
        }
    EXPECT_EQ(crank_await(closer), 0);
    EXPECT(changes <= 2);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(crank_await(writers[i]), 0);
    EXPECT(first == 0 || first == -ECANCELED);
    EXPECT_EQ(count[0], first == 0 ? MIDDLE : 0);
    EXPECT_EQ(count[1], second == 0 ? MIDDLE : 0);
    EXPECT(second == 0 || second == -EPIPE);
    crank_try(crank_close(l.a));
    return crank_close(l.b);
}

/* A cancelled read has taken nothing. */
static int read_all_in_spite(crank_stream *s, char *buf, size_t size)
{
    size_t at = 0;
    while (at < size) {
        long n = crank_read(s, buf + at, size - at);
        EXPECT(n > 0 || n == -ECANCELED);
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}
TEST_EXPLORED(read, that_is_cancelled_takes_nothing, 400)
{
    ends l = { 0 };
    char buf[8] = "";
    crank_try(nets_pair(&l.a, &l.b));
    crank_task *reader = crank_spawn(read_all_in_spite, l.b, buf, (size_t)6);
    crank_try(crank_printf(l.a, "abc"));
    crank_try(crank_sleep(0));
    crank_cancel(reader);
    crank_try(crank_printf(l.a, "def"));
    crank_try(crank_sleep(0));
    crank_cancel(reader);
    EXPECT_EQ(crank_await(reader), 0);
    EXPECT_STR(buf, "abcdef");
    crank_try(crank_close(l.a));
    return crank_close(l.b);
}

static int echo_once(crank_stream *s)
{
    char line[20];
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 6);
    return crank_printf(s, "%s", line);
}
TEST_EXPLORED(abort, amid_an_echo_leaves_nobody_waiting, 400)
{
    ends l = { 0 };
    char line[20];
    crank_try(nets_pair(&l.a, &l.b));
    crank_task *peer = crank_spawn(echo_once, l.b);
    crank_try(crank_printf(l.a, "hello\n"));
    long n = crank_read_line(l.a, line, sizeof line);
    EXPECT_EQ(n, 6);
    crank_abort(l.a);
    EXPECT_EQ(crank_read_line(l.a, line, sizeof line), -ECONNABORTED);
    EXPECT_EQ(crank_await(peer), 0);
    crank_try(crank_close(l.a));
    (void)crank_close(l.b);
    return 0;
}

/* A peer that does not read: a cancelled close does not wait for it, whenever the request comes, and what was dropped
 * the peer does not take for all. */
static int close_a_stalled(ends *l)
{
    EXPECT(fill_up(l->a, 60000) > 0);
    crank_task *closer = crank_spawn(close_end, &l->a);
    crank_try(crank_sleep(0));
    crank_cancel(closer);
    EXPECT_EQ(crank_await(closer), -ECANCELED);
    EXPECT_EQ(read_rest(l->b, 0), -ECONNRESET);
    return 0;
}
TEST_EXPLORED(close, of_a_stalled_peer_that_is_cancelled_gives_up, 200) { return with_ends(true, close_a_stalled); }

/* The reader is woken, or about to be, with a line or a part of it. */
static long read_one_line(crank_stream *s)
{
    char line[20];
    return crank_read_line(s, line, sizeof line);
}
static int abort_amid_a_line(ends *l)
{
    crank_task *reader = crank_spawn(read_one_line, l->a);
    crank_try(crank_printf(l->b, "line\n"));
    crank_try(crank_flush(l->b));
    crank_try(crank_sleep(0));
    crank_abort(l->a);
    long n = crank_await(reader);
    EXPECT(n == 5 || n == -ECONNABORTED);
    EXPECT_EQ(read_one_line(l->a), -ECONNABORTED);
    return 0;
}
TEST_EXPLORED(abort, in_the_turn_of_data_ends_the_reader, 400) { return with_ends(true, abort_amid_a_line); }

/* ---- Transports ---- */

static int expect_line(crank_stream *s, const char *expected)
{
    char line[20] = "";
    crank_try(crank_read_line(s, line, sizeof line));
    EXPECT_STR(line, expected);
    return 0;
}
static int say_and_veil(ends *l)
{
    crank_try(crank_printf(l->b, "start\n"));
    crank_try(veil_over(&l->b));
    crank_try(crank_printf(l->b, "veiled\n"));
    return close_end(&l->b);
}
static int veil_behind_a_line(ends *l)
{
    crank_task *peer = crank_spawn(say_and_veil, l);
    crank_try(expect_line(l->a, "start\n"));
    crank_try(veil_over(&l->a));
    crank_try(expect_line(l->a, "veiled\n"));
    crank_try(expect_line(l->a, ""));
    crank_try(crank_await(peer));
    crank_try(close_end(&l->a));
    EXPECT_EQ(veils.open, 0);
    return 0;
}
TEST_EXPLORED(transport, is_given_the_bytes_that_were_read_ahead_below_it, 300)
{
    return with_ends(true, veil_behind_a_line);
}

static int write_two_lines(crank_stream *s)
{
    crank_try(crank_printf(s, "one\n"));
    crank_try(crank_sleep(0));
    return crank_printf(s, "two\n");
}
static int read_two_lines(crank_stream *s)
{
    crank_try(expect_line(s, "one\n"));
    return expect_line(s, "two\n");
}
static int talk_at_once(ends *l)
{
    crank_try(veil_over(&l->a));
    crank_try(veil_over(&l->b));
    crank_task *tasks[] = { crank_spawn(write_two_lines, l->a), crank_spawn(read_two_lines, l->a),
        crank_spawn(write_two_lines, l->b), crank_spawn(read_two_lines, l->b) };
    for (size_t i = 0; i < CRANK_COUNT(tasks); i++)
        crank_try(crank_await(tasks[i]));
    crank_try(close_end(&l->a));
    crank_try(close_end(&l->b));
    EXPECT_EQ(veils.open, 0);
    return 0;
}
TEST_EXPLORED(transport, is_read_and_written_by_two_tasks_at_once, 300) { return with_ends(false, talk_at_once); }
