/* SPDX-License-Identifier: MIT */
/* socket_rows.h: the calls on streams over sockets, for points.h: on the sockets themselves, or on what carry puts on
 * them.
 *
 * The caller is at one end of a pair of sockets, the acts at the other. A cancelled read leaves what has come to the
 * next; a cancelled write, up to the limit, has written nothing of its own; what was written before comes whole. */
#ifndef SOCKET_ROWS_H
#define SOCKET_ROWS_H
#include "points.h"

#define TEXT "ab\ncdefghij"
enum { LIMIT = 4096, PIECE = 3000, LARGE = 9000, FULL_MAX = 4 << 20 };

static struct world {
    crank_stream *stream, *peer;
    const char *text; /* the peer is to send */
    char buf[16];
    char *data;
    size_t size;
    crank_task *other;    /* writes a piece first; NULL */
    size_t before, taken; /* so many bytes were written by set_up, and taken by an act */
} w;
static char *bytes_seen;
static char sent[LARGE];
static int (*carry)(crank_stream **a, crank_stream **b); /* make both transports over what they were; NULL */

static int open_pair(void)
{
    memset(&w, 0, sizeof w);
    w.text = TEXT;
    crank_try(crank_socket_pair(&w.stream, &w.peer));
    return carry ? carry(&w.stream, &w.peer) : 0;
}

/* ---- reading */

static int send(size_t size)
{
    crank_try(crank_write(w.peer, w.text, size));
    w.text += size;
    return crank_flush(w.peer);
}
static int send_two(void) { return send(2); }
static int send_rest(void)
{
    crank_try(send(strlen(w.text)));
    return crank_write_eof(w.peer);
}

static long do_read(void) { return crank_read(w.stream, w.buf, 4); }
static long do_read_large(void) { return read_with_much_room(w.stream, w.buf); }
static long do_read_exactly(void) { return crank_read_exactly(w.stream, w.buf, 6); }
static long do_read_line(void) { return crank_read_line(w.stream, w.buf, sizeof w.buf); }
static long do_read_until(void) { return crank_read_until(w.stream, "\n", w.buf, sizeof w.buf); }
static long do_read_until_any(void)
{
    static const char *const separators[] = { "none", "b\n" };
    return crank_read_until_any(w.stream, separators, 2, w.buf, sizeof w.buf);
}
static long do_read_to_end(void)
{
    int err = crank_read_to_end(w.stream, SIZE_MAX, &w.data, &w.size);
    return err < 0 ? err : (long)w.size;
}
static long do_peek(void)
{
    const char *bytes;
    return crank_peek(w.stream, 6, &bytes);
}

static int close_both(void)
{
    crank_try(crank_close(w.stream));
    return crank_close(w.peer);
}
/* What the call has given, and what is still to come, are the text. */
static int judge_rest(size_t taken)
{
    char rest[sizeof TEXT];
    size_t left = strlen(TEXT) - taken;
    TOLD_EQ(crank_read_exactly(w.stream, rest, left), (ssize_t)left);
    TOLD_EQ(memcmp(w.buf, TEXT, taken), 0);
    TOLD_EQ(memcmp(rest, &TEXT[taken], left), 0);
    return close_both();
}
static int judge_reading(const struct told *t)
{
    TOLD(t->result > 0 || t->result == -ECANCELED);
    return judge_rest(t->result > 0 ? (size_t)t->result : 0);
}
static int judge_exactly(const struct told *t)
{
    TOLD(t->result == 6 || t->result == -ECANCELED);
    return judge_reading(t);
}
static int judge_line(const struct told *t)
{
    TOLD(t->result == 3 || t->result == -ECANCELED);
    return judge_reading(t);
}
static int judge_peek(const struct told *t)
{
    TOLD(t->result >= 6 || t->result == -ECANCELED);
    return judge_rest(0);
}
static int judge_to_end(const struct told *t)
{
    TOLD(t->result == (long)strlen(TEXT) || t->result == -ECANCELED);
    TOLD_EQ(w.data != NULL, t->result > 0);
    if (!w.data)
        return judge_rest(0);
    TOLD_EQ(strcmp(w.data, TEXT), 0);
    free(w.data);
    return close_both();
}

/* ---- writing: the kernel is full, and so is the limit */

static int open_full(void)
{
    crank_try(open_pair());
    if (!bytes_seen)
        bytes_seen = test_memory(FULL_MAX);
    memset(sent, 'a', sizeof sent);
    crank_set_write_limit(w.stream, LIMIT);
    for (int idle = 0; idle < 3; idle++) {
        for (; crank_unsent(w.stream) < LIMIT; idle = 0) {
            size_t more = LIMIT - crank_unsent(w.stream);
            crank_try(crank_write_now(w.stream, sent, more));
            w.before += more;
        }
        crank_try(crank_sleep(0));
    }
    memset(sent, 'b', sizeof sent);
    return 0;
}
static int open_refused(void)
{
    crank_try(open_full());
    TOLD_EQ(crank_write_now(w.stream, sent, PIECE), -EAGAIN);
    return 0;
}
static int write_piece(void) { return crank_write(w.stream, sent, PIECE); }
static int open_with_another(void)
{
    crank_try(open_full());
    w.other = crank_spawn(write_piece);
    return crank_sleep(0);
}
/* What the kernel has for certain, so that it has room again. */
static int take_in(void)
{
    w.taken = w.before - LIMIT;
    TOLD_EQ(crank_read_exactly(w.peer, bytes_seen, w.taken), (ssize_t)w.taken);
    return 0;
}

static long do_write(void) { return crank_write(w.stream, sent, PIECE); }
static long do_write_large(void) { return crank_write(w.stream, sent, LARGE); }
static long do_printf(void) { return crank_printf(w.stream, "%.*s", (int)PIECE, sent); }
static long do_write_vector(void)
{
    struct iovec pieces[] = { { sent, 1000 }, { sent, PIECE - 1000 } };
    return crank_write_vector(w.stream, pieces, 2);
}
static long do_flush(void) { return crank_flush(w.stream); }
static long do_wait_room(void) { return crank_wait_room(w.stream); }
static long do_write_eof(void) { return crank_write_eof(w.stream); }

static int close_stream(void) { return crank_close(w.stream); }
/* All that the peer gets until the stream is closed: *ret_more bytes b behind those of set_up. */
static int close_and_count(size_t *ret_more)
{
    char *rest;
    size_t size;
    if (w.other)
        crank_try(crank_await(w.other));
    crank_task *closer = crank_spawn(close_stream);
    crank_try(crank_read_to_end(w.peer, SIZE_MAX, &rest, &size));
    (void)crank_await(closer);
    TOLD(w.taken + size >= w.before);
    for (size_t i = 0; i < size; i++)
        TOLD_EQ(rest[i], w.taken + i < w.before ? 'a' : 'b');
    free(rest);
    *ret_more = w.taken + size - w.before;
    return crank_close(w.peer);
}
static int judge_count(const struct told *t, size_t more)
{
    size_t count;
    TOLD(t->result == 0 || t->result == -ECANCELED);
    crank_try(close_and_count(&count));
    TOLD_EQ(count, more);
    return 0;
}
static int judge_writing(const struct told *t) { return judge_count(t, t->result == 0 ? PIECE : 0); }
static int judge_waiting(const struct told *t) { return judge_count(t, 0); }
static int judge_ending(const struct told *t)
{
    crank_try(crank_await(w.other));
    w.other = NULL;
    crank_try(crank_flush(w.stream));
    return judge_count(t, PIECE);
}
/* Above the limit a write may be cancelled in its middle: then nothing is sent behind it. */
static int judge_large(const struct told *t)
{
    size_t count;
    TOLD(t->result == 0 || t->result == -ECANCELED);
    crank_try(close_and_count(&count));
    TOLD(t->result == 0 ? count == LARGE : count < LARGE);
    return 0;
}

static const struct row rows[] = {
    { "crank_read", "a socket", open_pair, do_read, { send_two, send_rest }, NULL, judge_reading, 0, NULL },
    { "crank_read", "a socket, with much room", open_pair, do_read_large, { send_two, send_rest }, NULL, judge_reading,
        0, NULL },
    { "crank_read_exactly", "a socket, in pieces", open_pair, do_read_exactly, { send_two, send_two, send_rest }, NULL,
        judge_exactly, 0, NULL },
    { "crank_read_line", "a socket, in pieces", open_pair, do_read_line, { send_two, send_rest }, NULL, judge_line, 0,
        NULL },
    { "crank_read_until", "a socket, in pieces", open_pair, do_read_until, { send_two, send_rest }, NULL, judge_line, 0,
        NULL },
    { "crank_read_until_any", "a socket, in pieces", open_pair, do_read_until_any, { send_two, send_rest }, NULL,
        judge_line, 0, NULL },
    { "crank_read_to_end", "a socket, in pieces", open_pair, do_read_to_end, { send_two, send_two, send_rest }, NULL,
        judge_to_end, 0, NULL },
    { "crank_peek", "a socket, in pieces", open_pair, do_peek, { send_two, send_two, send_rest }, NULL, judge_peek, 0,
        NULL },
    { "crank_write", "a socket that is full", open_full, do_write, { take_in }, NULL, judge_writing, 0, NULL },
    { "crank_write", "more than the limit", open_full, do_write_large, { take_in }, NULL, judge_large, 0, NULL },
    { "crank_printf", "a socket that is full", open_full, do_printf, { take_in }, NULL, judge_writing, 0, NULL },
    { "crank_write_vector", "a socket that is full", open_full, do_write_vector, { take_in }, NULL, judge_writing, 0,
        NULL },
    { "crank_flush", "a socket that is full", open_full, do_flush, { take_in }, NULL, judge_waiting, 0, NULL },
    { "crank_wait_room", "a socket that is full", open_refused, do_wait_room, { take_in }, NULL, judge_waiting, 0,
        NULL },
    { "crank_write_eof", "behind a writer that waits", open_with_another, do_write_eof, { take_in }, NULL, judge_ending,
        0, NULL },
};
#endif
