/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_io.c: each waiting call on streams and files, cancelled at every point.
 *
 * A regular file is read and written by workers, a pipe by the backend: the calls wait in different ways, and each has
 * a row for both. Nothing is lost means here: no byte. What a cancelled read had taken in comes with the next; a
 * cancelled write has written nothing of its own, and what was buffered before goes out in the end. */
#include "points.h"
#include "scratch.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { BIG = 40000, PIPE_SIZE = 4096, SEEN_MAX = 3 * BIG };
#define TEXT "ab\ncdefghij"

static struct world {
    const char *path;
    crank_stream *stream;
    int raw; /* the other end of a pipe: both ends, in fact */
    char buf[16];
    char seen[SEEN_MAX]; /* what came out of the pipe */
    size_t seen_count;
    char *data;
    size_t size;
    const char *piece; /* next to be written into the pipe */
} w;
static char big[2][BIG + 1]; /* all a, all b */

static int clear(void)
{
    memset(&w, 0, sizeof w);
    memset(big[0], 'a', BIG);
    memset(big[1], 'b', BIG);
    w.raw = -1;
    return 0;
}
static int judge_closed(void)
{
    if (w.raw >= 0)
        close(w.raw);
    unlink(w.path);
    return 0;
}

/* ---- reading */

static int open_text(void)
{
    clear();
    w.path = scratch_file("text", TEXT, strlen(TEXT));
    w.stream = crank_open(w.path, "r");
    return w.stream ? 0 : -errno;
}
static int make_pipe(const char *mode)
{
    clear();
    w.path = scratch("pipe");
    unlink(w.path);
    TOLD_EQ(mkfifo(w.path, 0600), 0);
    w.raw = open(w.path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    TOLD(w.raw >= 0);
    TOLD_EQ(fcntl(w.raw, F_SETPIPE_SZ, PIPE_SIZE), PIPE_SIZE);
    w.stream = crank_open(w.path, mode);
    return w.stream ? 0 : -errno;
}
static int open_pipe_to_read(void)
{
    crank_try(make_pipe("r"));
    w.piece = TEXT;
    return 0;
}
static int send(size_t size)
{
    TOLD_EQ(write(w.raw, w.piece, size), (ssize_t)size);
    w.piece += size;
    return 0;
}
/* What was sent has been taken in: the next comes while the call waits for more. */
static bool all_taken_in(void)
{
    int left = 0;
    TOLD_EQ(ioctl(w.raw, FIONREAD, &left), 0);
    return left == 0;
}
static int send_two(void) { return send(2); }
static int send_rest(void) { return send(strlen(w.piece)); }

static long do_read(void) { return crank_read(w.stream, w.buf, 4); }
static long do_read_large(void) { return read_with_much_room(w.stream, w.buf); }
static long do_read_exactly(void) { return crank_read_exactly(w.stream, w.buf, 6); }
static long do_read_line(void) { return crank_read_line(w.stream, w.buf, sizeof w.buf); }

static long do_read_until(void) { return crank_read_until(w.stream, "\n", w.buf, sizeof w.buf); }
static long do_read_until_any(void)
{
    static const char *const separators[] = { "none", "\n" };
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

/* What the call has given and what is still to come are the text. */
static int judge_reading(const struct told *t)
{
    size_t taken = t->result > 0 ? (size_t)t->result : 0;
    char rest[sizeof TEXT];
    TOLD(t->result > 0 || t->result == -ECANCELED);
    TOLD_EQ(crank_read_exactly(w.stream, rest, strlen(TEXT) - taken), (ssize_t)(strlen(TEXT) - taken));
    TOLD_EQ(memcmp(w.buf, TEXT, taken), 0);
    TOLD_EQ(memcmp(rest, &TEXT[taken], strlen(TEXT) - taken), 0);
    crank_try(crank_close(w.stream));
    return judge_closed();
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
    struct told nothing = *t;
    nothing.result = -ECANCELED;
    return judge_reading(&nothing);
}
static int judge_to_end(const struct told *t)
{
    TOLD(t->result == (long)strlen(TEXT) || t->result == -ECANCELED);
    TOLD_EQ(w.data != NULL, t->result > 0);
    if (w.data) {
        TOLD_EQ(strcmp(w.data, TEXT), 0);
        free(w.data);
        crank_try(crank_close(w.stream));
        return judge_closed();
    }
    return judge_reading(t);
}

/* ---- writing: so much is in the buffer already that more does not fit */

static int open_to_write(void)
{
    clear();
    w.path = scratch("out");
    w.stream = crank_open(w.path, "w");
    return w.stream ? crank_write(w.stream, big[0], BIG) : -errno;
}
static int open_pipe_to_write(void)
{
    crank_try(make_pipe("w"));
    return crank_write(w.stream, big[0], BIG);
}
static int take_in(void)
{
    ssize_t n = w.raw < 0 ? 0 : read(w.raw, w.seen + w.seen_count, SEEN_MAX - w.seen_count);
    w.seen_count += n > 0 ? (size_t)n : 0;
    return 0;
}
static long do_write(void) { return crank_write(w.stream, big[1], BIG); }
static long do_printf(void) { return crank_printf(w.stream, "%s", big[1]); }
static long do_flush(void) { return crank_flush(w.stream); }
static long do_close(void)
{
    int err = crank_close(w.stream);
    w.stream = NULL;
    return err;
}

/* What went into the file or the pipe, all of it. */
static int look_at_output(void)
{
    if (w.raw < 0)
        return crank_read_file(w.path, &w.data, &w.size);
    take_in();
    w.data = w.seen;
    w.size = w.seen_count;
    return 0;
}
static int close_stream(void) { return crank_close(w.stream); }
static int finish_output(void)
{
    if (w.stream) {
        crank_task *closer = crank_spawn(close_stream);
        while (!crank_done(closer)) {
            take_in();
            crank_try(crank_sleep(1e-4));
        }
        crank_try(crank_await(closer));
    }
    return look_at_output();
}
static int forget_output(void)
{
    if (w.raw < 0)
        free(w.data);
    return judge_closed();
}
static int judge_output(size_t more)
{
    crank_try(finish_output());
    TOLD_EQ(w.size, BIG + more);
    TOLD_EQ(memcmp(w.data, big[0], BIG), 0);
    TOLD_EQ(memcmp(w.data + BIG, big[1], more), 0);
    return forget_output();
}
static int judge_writing(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    return judge_output(t->result == 0 ? BIG : 0);
}
static int judge_flushing(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    return judge_output(0);
}
/* Closing writes a file whatever is asked; waiting for a pipe that nobody empties can be given up. */
static int judge_closing(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    if (!t->begun || w.raw < 0 || t->result == 0)
        return judge_output(0);
    crank_try(finish_output());
    TOLD(w.size <= BIG);
    TOLD_EQ(memcmp(w.data, big[0], w.size), 0);
    return forget_output();
}

/* ---- whole files, and opening */

static int make_text(void)
{
    clear();
    w.path = scratch_file("text", TEXT, strlen(TEXT));
    return 0;
}
static long do_open(void)
{
    w.stream = crank_open(w.path, "r");
    return w.stream ? 0 : -errno;
}
static long do_open_beneath(void)
{
    w.stream = crank_open_beneath(scratch_folder, "text", NULL);
    return w.stream ? 0 : -errno;
}
static int judge_open(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(w.stream != NULL, t->result == 0);
    crank_try(crank_close(w.stream));
    return judge_closed();
}
static long do_read_file(void) { return crank_read_file(w.path, &w.data, &w.size); }
static int judge_read_file(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(w.data != NULL, t->result == 0);
    TOLD_EQ(w.size, t->result == 0 ? strlen(TEXT) : 0);
    TOLD(!w.data || strcmp(w.data, TEXT) == 0);
    free(w.data);
    return judge_closed();
}
static long do_write_file(void) { return crank_write_file(w.path, "new", 3); }
static int judge_write_file(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    expect_file(w.path, t->result == 0 ? "new" : TEXT, t->result == 0 ? 3 : strlen(TEXT));
    return judge_closed();
}

static const struct row rows[] = {
    { "crank_open", "a file", make_text, do_open, { 0 }, NULL, judge_open, 0, NULL },
    { "crank_open_beneath", "a file", make_text, do_open_beneath, { 0 }, NULL, judge_open, 0, NULL },
    { "crank_read", "a file", open_text, do_read, { 0 }, NULL, judge_reading, 0, NULL },
    { "crank_read", "a pipe", open_pipe_to_read, do_read, { send_two, send_rest }, NULL, judge_reading, 0,
        all_taken_in },
    { "crank_read", "a pipe, with much room", open_pipe_to_read, do_read_large, { send_two, send_rest }, NULL,
        judge_reading, 0, all_taken_in },
    { "crank_read_exactly", "a file", open_text, do_read_exactly, { 0 }, NULL, judge_exactly, 0, NULL },
    { "crank_read_exactly", "a pipe, in pieces", open_pipe_to_read, do_read_exactly, { send_two, send_two, send_rest },
        NULL, judge_exactly, 0, all_taken_in },
    { "crank_read_line", "a file", open_text, do_read_line, { 0 }, NULL, judge_line, 0, NULL },
    { "crank_read_line", "a pipe, in pieces", open_pipe_to_read, do_read_line, { send_two, send_rest }, NULL,
        judge_line, 0, all_taken_in },
    { "crank_read_until", "a file", open_text, do_read_until, { 0 }, NULL, judge_line, 0, NULL },
    { "crank_read_until", "a pipe, in pieces", open_pipe_to_read, do_read_until, { send_two, send_rest }, NULL,
        judge_line, 0, all_taken_in },
    { "crank_read_until_any", "a file", open_text, do_read_until_any, { 0 }, NULL, judge_line, 0, NULL },
    { "crank_read_until_any", "a pipe, in pieces", open_pipe_to_read, do_read_until_any, { send_two, send_rest }, NULL,
        judge_line, 0, all_taken_in },
    { "crank_read_to_end", "a file", open_text, do_read_to_end, { 0 }, NULL, judge_to_end, 0, NULL },
    { "crank_peek", "a file", open_text, do_peek, { 0 }, NULL, judge_peek, 0, NULL },
    { "crank_peek", "a pipe, in pieces", open_pipe_to_read, do_peek, { send_two, send_two, send_rest }, NULL,
        judge_peek, 0, all_taken_in },
    { "crank_write", "a file", open_to_write, do_write, { 0 }, NULL, judge_writing, 0, NULL },
    { "crank_write", "a pipe", open_pipe_to_write, do_write, { 0 }, take_in, judge_writing, 0, NULL },
    { "crank_printf", "a file", open_to_write, do_printf, { 0 }, NULL, judge_writing, 0, NULL },
    { "crank_printf", "a pipe", open_pipe_to_write, do_printf, { 0 }, take_in, judge_writing, 0, NULL },
    { "crank_flush", "a file", open_to_write, do_flush, { 0 }, NULL, judge_flushing, 0, NULL },
    { "crank_flush", "a pipe", open_pipe_to_write, do_flush, { 0 }, take_in, judge_flushing, 0, NULL },
    { "crank_stream_close", "a file", open_to_write, do_close, { 0 }, NULL, judge_closing, 0, NULL },
    { "crank_stream_close", "a pipe", open_pipe_to_write, do_close, { 0 }, take_in, judge_closing, 0, NULL },
    { "crank_read_file", "a file", make_text, do_read_file, { 0 }, NULL, judge_read_file, 0, NULL },
    { "crank_write_file", "a file", make_text, do_write_file, { 0 }, NULL, judge_write_file, 0, NULL },
};

TEST_EACH_BACKEND(cancel, at_many_points_of_reading_and_writing_loses_no_byte)
{
    return try_rows(rows, CRANK_COUNT(rows), false);
}

/* The simulator perturbs what is ready, and where workers take turns. */
TEST_SEEDS(cancel, at_every_point_of_reading_and_writing_loses_no_byte, 10)
{
    test_needs_long();
    return try_rows(rows, CRANK_COUNT(rows), true);
}
