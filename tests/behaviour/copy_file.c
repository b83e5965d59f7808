/* SPDX-License-Identifier: MIT */
/* copy_file.c: what is true of copying a file, which the kernel does by itself where it can: the same as by way of the
 * buffers. */
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "io/file.h"
#include "io/socketlike.h"
#include "nets.h"
#include "scratch.h"

enum { LARGE = 2500000 }; /* more than one call moves, and than narrow sockets hold */
static crank_stream *here, *there;

static char *pattern(size_t size)
{
    char *bytes = test_memory(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 + i / 253);
    return bytes;
}

/* What the test has not closed is closed with its block. */
static void close_ends(const int *block)
{
    (void)block;
    (void)crank_finish(here);
    (void)crank_finish(there);
}
#define AUTO_ENDS CRANK_CLEANUP_(close_ends) __attribute__((unused)) const int auto_ends_ = 0

/* ---- A table of calls that a test changes ---- */

static cr_sys table;
static const cr_sys *before;
static atomic_uint by_kernel; /* calls of the two that copy */
static int refusal;           /* what they give; 0: what they do */
static bool cold;             /* the kernel says that it has nothing of a file in memory */

static ssize_t send_file(void *context, int to, const cr_file_place *from, size_t size)
{
    atomic_fetch_add(&by_kernel, 1);
    return refusal ? refusal : before->send_file(context, to, from, size);
}
static ssize_t copy_range(void *context, const cr_file_place *from, const cr_file_place *to, size_t size)
{
    atomic_fetch_add(&by_kernel, 1);
    return refusal ? refusal : before->copy_range(context, from, to, size);
}
static ssize_t read_at(void *context, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    return cold && (flags & RWF_NOWAIT) ? -EAGAIN : before->read_at(context, fd, piece, offset, flags);
}
static void change_table(void)
{
    before = cr_loop_here->sys;
    table = *before;
    table.send_file = send_file;
    table.copy_range = copy_range;
    table.read_at = read_at;
    cr_loop_here->sys = &table;
}
static bool is_simulated(void) { return strcmp(crank_backend_name(), "sim") == 0; }

/* ---- Buffered bytes, limits and places ---- */

static int expect_pattern(crank_stream *s, const char *bytes, size_t size)
{
    enum { piece = 50000 };
    char *found = test_memory(piece);
    for (size_t at = 0; at < size;) {
        size_t most = size - at < piece ? size - at : piece;
        ssize_t n = crank_try(crank_read(s, found, most));
        EXPECT(n > 0);
        EXPECT_EQ(memcmp(found, bytes + at, (size_t)n), 0);
        at += (size_t)n;
    }
    return 0;
}

enum { PARTS = 600000, FIRST = 300000 };
static const char word[] = "word,", end[] = "end";

/* What copy_in_parts writes of the file, of which a line is read between: how much. */
static size_t parts_of(const char *bytes, char *ret_parts)
{
    size_t size = 2;
    memcpy(ret_parts, bytes, 2);
    memcpy(ret_parts + size, word, strlen(word));
    size += strlen(word);
    memcpy(ret_parts + size, bytes + 4, PARTS - 4);
    size += PARTS - 4;
    memcpy(ret_parts + size, end, strlen(end));
    return size + strlen(end);
}

/* A line of the file is read, so that what is behind it lies in the buffer; a word is written before what follows. */
static int copy_in_parts(const char *mode, crank_stream *to)
{
    char line[16];
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *from = crank_try(crank_open(scratch("from"), mode));
    crank_try(crank_copy(from, to, 2, &copied));
    EXPECT_EQ(copied, 2);
    EXPECT_EQ(crank_try(crank_read_line(from, line, sizeof line)), 2);
    crank_try(crank_printf(to, "%s", word));
    crank_try(crank_copy(from, to, FIRST, &copied));
    EXPECT_EQ(copied, FIRST);
    crank_try(crank_copy(from, to, -1, &copied));
    EXPECT_EQ(copied, PARTS - 4 - FIRST);
    EXPECT(crank_at_end(from));
    crank_try(crank_copy(from, to, -1, &copied));
    EXPECT_EQ(copied, 0);
    crank_try(crank_printf(to, "%s", end));
    return crank_flush(to);
}

static int copy_parts_everywhere(const char *mode, const char *parts, size_t size)
{
    crank_try(nets_pair(&here, &there));
    AUTO_ENDS;
    crank_task *reader = crank_spawn(expect_pattern, here, parts, size);
    crank_try(copy_in_parts(mode, there));
    crank_try(crank_await(reader));
    CRANK_AUTO_STREAM crank_stream *file = crank_try(crank_open(scratch("to"), "w"));
    crank_try(copy_in_parts(mode, file));
    crank_try(crank_finish(file));
    expect_file(scratch("to"), parts, size);
    file = crank_try(crank_open(scratch("to"), "a"));
    crank_try(copy_in_parts(mode, file));
    return crank_finish(file);
}

TEST_EACH_BACKEND(copy_of_a_file, takes_what_is_buffered_first_and_keeps_to_its_limit)
{
    char *bytes = pattern(PARTS), *parts = test_memory(2 * (PARTS + sizeof word + sizeof end));
    bytes[3] = '\n';
    (void)scratch_file("from", bytes, PARTS);
    size_t size = parts_of(bytes, parts);
    memcpy(parts + size, parts, size);
    change_table();
    int err = copy_parts_everywhere("r", parts, size);
    if (err == 0)
        err = copy_parts_everywhere("r+", parts, size);
    cr_loop_here->sys = before;
    EXPECT_EQ(by_kernel >= 2 * 3 * 2, !is_simulated());
    if (err == 0)
        expect_file(scratch("to"), parts, 2 * size);
    return err;
}

/* A limit beyond 31 bits is none of fewer. */
TEST_EACH_BACKEND(copy_of_a_file, keeps_to_limits_of_nothing_one_byte_and_more_than_2_GiB)
{
    static const int64_t limits[] = { 0, 1, (INT64_C(1) << 31) + 1 };
    static const int64_t expected[] = { 0, 1, PARTS - 1 };
    char *bytes = pattern(PARTS);
    CRANK_AUTO_STREAM crank_stream *from = crank_try(crank_open(scratch_file("from", bytes, PARTS), "r"));
    crank_try(nets_pair(&here, &there));
    AUTO_ENDS;
    crank_task *reader = crank_spawn(expect_pattern, here, bytes, (size_t)PARTS);
    for (size_t i = 0; i < CRANK_COUNT(limits); i++) {
        int64_t copied = -1;
        crank_try(crank_copy(from, there, limits[i], &copied));
        EXPECT_EQ(copied, expected[i]);
    }
    crank_try(crank_flush(there));
    return (int)crank_await(reader);
}

static int copy_between_places(void)
{
    char a, b;
    CRANK_AUTO_STREAM crank_stream *from = crank_try(crank_open(scratch("from"), "r+"));
    CRANK_AUTO_STREAM crank_stream *to = crank_try(crank_open(scratch("to"), "r+"));
    crank_try(crank_copy(from, to, FIRST, NULL));
    EXPECT_EQ(crank_try(crank_read(from, &a, 1)), 1);
    EXPECT_EQ(crank_try(crank_read(to, &b, 1)), 1);
    EXPECT_EQ(a, pattern(PARTS)[FIRST]);
    EXPECT_EQ(b, 'x');
    crank_try(crank_write(from, "X", 1));
    crank_try(crank_write(to, "Y", 1));
    crank_try(crank_finish(from));
    return crank_finish(to);
}

TEST_EACH_BACKEND(copy_of_a_file, moves_the_one_place_of_what_is_open_for_both)
{
    char *bytes = pattern(PARTS), *other = test_memory(PARTS);
    memset(other, 'x', PARTS);
    (void)scratch_file("from", bytes, PARTS);
    (void)scratch_file("to", other, PARTS);
    change_table();
    int err = copy_between_places();
    cr_loop_here->sys = before;
    EXPECT_EQ(by_kernel, is_simulated() ? 0 : 1);
    memcpy(other, bytes, FIRST);
    other[FIRST + 1] = 'Y';
    bytes[FIRST + 1] = 'X';
    expect_file(scratch("from"), bytes, PARTS);
    expect_file(scratch("to"), other, PARTS);
    return err;
}

/* ---- All of a large one ---- */

static int copy_large(const char *bytes)
{
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *from = crank_try(crank_open(scratch("from"), "r"));
    crank_try(nets_pair(&here, &there));
    AUTO_ENDS;
    crank_task *reader = crank_spawn(expect_pattern, here, bytes, (size_t)LARGE);
    crank_try(crank_copy(from, there, -1, &copied));
    EXPECT_EQ(copied, LARGE);
    crank_try(crank_flush(there));
    crank_try(crank_await(reader));
    CRANK_AUTO_STREAM crank_stream *again = crank_try(crank_open(scratch("from"), "r"));
    CRANK_AUTO_STREAM crank_stream *to = crank_try(crank_open(scratch("to"), "w"));
    crank_try(crank_copy(again, to, -1, &copied));
    EXPECT_EQ(copied, LARGE);
    crank_try(crank_finish(to));
    expect_file(scratch("to"), bytes, LARGE);
    return 0;
}

/* By sendfile and copy_file_range, also where a worker must do it; and where the kernel refuses. */
TEST_EACH_BACKEND(copy_of_a_file, gives_every_byte_whether_the_kernel_copies_it_or_not)
{
    char *bytes = pattern(LARGE);
    (void)scratch_file("from", bytes, LARGE);
    change_table();
    int err = copy_large(bytes);
    cold = true;
    if (err == 0)
        err = copy_large(bytes);
    cold = false;
    unsigned calls = by_kernel;
    refusal = -EINVAL;
    if (err == 0)
        err = copy_large(bytes);
    cr_loop_here->sys = before;
    EXPECT_EQ(calls >= 6, !is_simulated());
    EXPECT_EQ(by_kernel - calls, is_simulated() ? 0 : 2); /* it is asked once */
    return err;
}

/* ---- Beside other writers ---- */

enum { WORDS = 40, WORD = 3000 };
static int write_words(void)
{
    char *bytes = memset(test_memory(WORD), 'w', WORD);
    for (int i = 0; i < WORDS; i++) {
        crank_try(crank_write(there, bytes, WORD));
        crank_try(crank_sleep(0));
    }
    return 0;
}
static int copy_letters(crank_stream *from)
{
    int64_t copied = -1;
    crank_try(crank_copy(from, there, -1, &copied));
    EXPECT_EQ(copied, LARGE);
    return 0;
}
/* Both, each in a task of its own; then the end. */
static int copy_beside_words(crank_stream *from)
{
    crank_task *copy = crank_spawn(copy_letters, from), *writer = crank_spawn(write_words);
    long copied = crank_await(copy), written = crank_await(writer);
    int err = (int)(copied < 0 ? copied : written < 0 ? written : crank_write_eof(there));
    if (err < 0)
        crank_abort(there);
    return err;
}
/* Each word whole, as many as there are, and all letters of the file. */
static int read_letters_and_words(void)
{
    static char found[50000];
    int64_t letters = 0, words = 0;
    for (ssize_t n; (n = crank_try(crank_read(here, found, sizeof found))) > 0;)
        for (ssize_t i = 0; i < n; i++) {
            words += found[i] == 'w';
            letters += found[i] == 'f';
            EXPECT(found[i] == 'w' || words % WORD == 0);
        }
    EXPECT_EQ(letters, LARGE);
    EXPECT_EQ(words, WORDS * WORD);
    return 0;
}
static int read_what_is_copied(crank_stream *from)
{
    crank_task *copy = crank_spawn(copy_beside_words, from);
    int err = read_letters_and_words();
    if (err < 0)
        crank_abort(here);
    long copied = crank_await(copy);
    return err < 0 ? err : (int)copied;
}
TEST_EACH_BACKEND(copy_of_a_file, leaves_the_calls_of_other_writers_whole)
{
    (void)scratch_file("from", memset(pattern(LARGE), 'f', LARGE), LARGE);
    CRANK_AUTO_STREAM crank_stream *from = crank_try(crank_open(scratch("from"), "r"));
    crank_try(nets_pair(&here, &there));
    AUTO_ENDS;
    return (int)crank_await(crank_spawn(read_what_is_copied, from));
}

/* ---- Cut short ---- */

/* Two ends between which the kernel holds little; simulated ones do anyway. */
static int narrow_pair(void)
{
    int size = 64 * 1024;
    crank_try(nets_pair(&here, &there));
    if (!is_simulated()) {
        EXPECT_EQ(setsockopt(crank_stream_fd(there), SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
        EXPECT_EQ(setsockopt(crank_stream_fd(here), SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    }
    return 0;
}

static int copy_counting(crank_stream *from, int64_t *ret_copied) { return crank_copy(from, there, -1, ret_copied); }

TEST_EACH_BACKEND(copy_of_a_file, that_is_cancelled_has_sent_what_it_says_and_goes_on_from_there)
{
    char *bytes = pattern(LARGE);
    int64_t copied = -1, rest = -1;
    CRANK_AUTO_STREAM crank_stream *from = crank_try(crank_open(scratch_file("from", bytes, LARGE), "r"));
    crank_try(narrow_pair());
    AUTO_ENDS;
    crank_task *task = crank_spawn(copy_counting, from, &copied);
    for (int64_t last = -2; last != copied;) {
        last = copied;
        crank_try(crank_sleep(0.005)); /* until the kernel is full */
    }
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT(copied > 0 && copied < LARGE);
    crank_task *reader = crank_spawn(expect_pattern, here, bytes, (size_t)LARGE);
    crank_try(crank_copy(from, there, -1, &rest));
    EXPECT_EQ(copied + rest, LARGE);
    crank_try(crank_flush(there));
    return (int)crank_await(reader);
}

TEST_EACH_BACKEND(copy_of_a_file, to_a_peer_that_resets_fails_and_names_it)
{
    int64_t copied = -1;
    CRANK_AUTO_STREAM crank_stream *from = crank_try(crank_open(scratch_file("from", pattern(LARGE), LARGE), "r"));
    crank_try(narrow_pair());
    AUTO_ENDS;
    crank_task *task = crank_spawn(copy_counting, from, &copied);
    crank_try(crank_sleep(0.005));
    crank_abort(here);
    long err = crank_await(task);
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    EXPECT_CONTAINS(crank_error(), "cannot write 127.0.0.1:");
    EXPECT(copied < LARGE);
    EXPECT_EQ(crank_write(there, "x", 1), -EPIPE);
    return 0;
}

/* ---- A socket that a worker uses ---- */

static atomic_bool in_call, may_leave;
static atomic_bool was_open; /* when the call left */

static ssize_t send_late(void *context, int to, const cr_file_place *from, size_t size)
{
    (void)context, (void)from, (void)size;
    atomic_store(&in_call, true);
    while (!atomic_load(&may_leave))
        sched_yield();
    atomic_store(&was_open, fcntl(to, F_GETFD) >= 0);
    return -EPIPE;
}

TEST_EACH_BACKEND(copy_of_a_file, keeps_a_socket_open_that_is_aborted_while_a_worker_uses_it)
{
    int64_t copied = -1;
    if (is_simulated())
        return 0; /* its sockets no worker can use */
    CRANK_AUTO_STREAM crank_stream *from = crank_try(crank_open(scratch_file("from", pattern(PARTS), PARTS), "r"));
    crank_try(nets_pair(&here, &there));
    AUTO_ENDS;
    change_table();
    table.send_file = send_late;
    cold = true;
    crank_task *task = crank_spawn(copy_counting, from, &copied);
    while (!atomic_load(&in_call) && !crank_done(task))
        crank_try(crank_sleep(0));
    crank_abort(there);
    atomic_store(&may_leave, true);
    long err = crank_await(task);
    cr_loop_here->sys = before;
    EXPECT_EQ(err, -ECONNABORTED);
    EXPECT_EQ(copied, 0);
    EXPECT(atomic_load(&was_open));
    EXPECT_EQ(crank_stream_fd(there), -EBADF); /* and closes it then */
    return 0;
}
