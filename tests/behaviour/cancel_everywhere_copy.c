/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_copy.c: crank_copy, cancelled at every point.
 *
 * From one pair of sockets to another, and from a file. What the copy says it has copied comes out at the far end, and
 * nothing more; what it says it has not can still be read from the stream it read. */
#include "points.h"
#include "scratch.h"

#define TEXT "ab\ncdefghij"
enum { LIMIT = 4096, PIECE = 3000, FULL_MAX = 4 << 20 };

static struct world {
    crank_stream *source, *from, *to, *sink;
    const char *text; /* the source is to send */
    int64_t copied;
    size_t before, taken; /* so many bytes were written by set_up, and taken by an act */
} w;
static char *bytes_seen;
static char piece[LIMIT];

static int open_pairs(void)
{
    memset(&w, 0, sizeof w);
    w.text = TEXT;
    crank_try(crank_socket_pair(&w.source, &w.from));
    return crank_socket_pair(&w.to, &w.sink);
}
static int send(size_t size)
{
    crank_try(crank_write(w.source, w.text, size));
    w.text += size;
    return crank_flush(w.source);
}
static int send_two(void) { return send(2); }
static int send_rest(void)
{
    crank_try(send(strlen(w.text)));
    return crank_write_eof(w.source);
}

static long do_copy(void) { return crank_copy(w.from, w.to, -1, &w.copied); }

static int close_to(void) { return crank_close(w.to); }
/* All that comes out, to the end, and all that is left to be read. */
static int end_all(char **ret_out, size_t *ret_out_size, char **ret_left, size_t *ret_left_size)
{
    crank_task *closer = crank_spawn(close_to);
    crank_try(crank_read_to_end(w.sink, SIZE_MAX, ret_out, ret_out_size));
    (void)crank_await(closer);
    crank_try(crank_read_to_end(w.from, SIZE_MAX, ret_left, ret_left_size));
    crank_try(crank_close(w.source));
    crank_try(crank_close(w.from));
    return crank_close(w.sink);
}

static int judge_text(const struct told *t)
{
    char *out, *left;
    size_t size, left_size;
    TOLD(t->result == 0 || t->result == -ECANCELED);
    crank_try(end_all(&out, &size, &left, &left_size));
    TOLD_EQ(size, w.copied);
    TOLD_EQ(size + left_size, strlen(TEXT));
    TOLD(t->result < 0 || left_size == 0);
    TOLD_EQ(memcmp(out, TEXT, size), 0);
    TOLD_EQ(memcmp(left, &TEXT[size], left_size), 0);
    free(out);
    free(left);
    return 0;
}

/* ---- the kernel is full, and so is the limit ---- */

static int open_full(void)
{
    crank_try(open_pairs());
    if (!bytes_seen)
        bytes_seen = test_memory(FULL_MAX);
    memset(piece, 'a', sizeof piece);
    crank_set_write_limit(w.to, LIMIT);
    for (int idle = 0; idle < 3; idle++) {
        for (; crank_unsent(w.to) < LIMIT; idle = 0) {
            size_t more = LIMIT - crank_unsent(w.to);
            crank_try(crank_write_now(w.to, piece, more));
            w.before += more;
        }
        crank_try(crank_sleep(0));
    }
    memset(piece, 'b', sizeof piece);
    crank_try(crank_write(w.source, piece, PIECE));
    return crank_write_eof(w.source);
}
static int take_in(void)
{
    w.taken = w.before - LIMIT;
    TOLD_EQ(crank_read_exactly(w.sink, bytes_seen, w.taken), (ssize_t)w.taken);
    return 0;
}
static int judge_full(const struct told *t)
{
    char *out, *left;
    size_t size, left_size;
    TOLD(t->result == 0 || t->result == -ECANCELED);
    crank_try(end_all(&out, &size, &left, &left_size));
    TOLD_EQ(w.taken + size, w.before + (size_t)w.copied);
    TOLD_EQ((size_t)w.copied + left_size, PIECE);
    TOLD(t->result < 0 || left_size == 0);
    for (size_t i = 0; i < size; i++)
        TOLD_EQ(out[i], w.taken + i < w.before ? 'a' : 'b');
    free(out);
    free(left);
    return 0;
}

/* ---- what the kernel copies by itself */

enum { FILE_SIZE = 140000 };
static char *file_bytes;

static int open_file(void)
{
    crank_try(open_pairs());
    crank_try(crank_finish(w.source));
    crank_try(crank_finish(w.from));
    if (!file_bytes) {
        file_bytes = test_memory(FILE_SIZE);
        for (size_t i = 0; i < FILE_SIZE; i++)
            file_bytes[i] = (char)(i * 31 + i / 253);
        (void)scratch_file("from", file_bytes, FILE_SIZE);
    }
    w.from = crank_open(scratch("from"), "r");
    return w.from ? 0 : -errno;
}
static int judge_file(const struct told *t)
{
    char *out, *left;
    size_t size, left_size;
    TOLD(t->result == 0 || t->result == -ECANCELED);
    crank_try(end_all(&out, &size, &left, &left_size));
    TOLD_EQ(size, w.copied);
    TOLD_EQ(size + left_size, FILE_SIZE);
    TOLD(t->result < 0 || left_size == 0);
    TOLD_EQ(memcmp(out, file_bytes, size), 0);
    TOLD_EQ(memcmp(left, &file_bytes[size], left_size), 0);
    free(out);
    free(left);
    return 0;
}

static const struct row rows[] = {
    { "crank_copy", "from a socket, in pieces", open_pairs, do_copy, { send_two, send_two, send_rest }, NULL,
        judge_text, 0, NULL },
    { "crank_copy", "to a socket that is full", open_full, do_copy, { take_in }, NULL, judge_full, 0, NULL },
    { "crank_copy", "from a file", open_file, do_copy, { 0 }, NULL, judge_file, 0, NULL },
};

TEST_EACH_BACKEND(cancel, at_many_points_of_a_copy_loses_no_byte) { return try_rows(rows, CRANK_COUNT(rows), false); }

TEST_SEEDS(cancel, at_every_point_of_a_copy_loses_no_byte, 10)
{
    test_needs_long();
    return try_rows(rows, CRANK_COUNT(rows), true);
}
