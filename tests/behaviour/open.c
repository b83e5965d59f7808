/* SPDX-License-Identifier: MIT */
/* open.c: what is true of opening a file: its modes, and what may be wrong with it. */
#include "scratch.h"

static int expect_line(crank_stream *stream, const char *line)
{
    char buf[256];
    ssize_t n = crank_try(crank_read_line(stream, buf, sizeof buf));
    EXPECT_EQ(n, strlen(line));
    EXPECT_STR(buf, line);
    return 0;
}

/* ---- Modes ---- */

TEST_EACH_BACKEND(open, the_modes_of_fopen)
{
    const char *path = scratch_file("f", "0123", 4);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "a"));
    crank_try(crank_write(s, "45", 2));
    crank_try(crank_finish(s));
    expect_file(path, "012345", 6);
    s = crank_try(crank_open(path, "r+"));
    crank_try(crank_write(s, "XY", 2));
    crank_try(crank_finish(s));
    expect_file(path, "XY2345", 6);
    s = crank_try(crank_open(path, "wb"));
    crank_try(crank_finish(s));
    expect_file(path, "", 0);
    EXPECT(crank_open(path, "wx") == NULL);
    EXPECT_EQ(errno, EEXIST);
    s = crank_try(crank_open(scratch("new"), "w+x"));
    crank_try(crank_finish(s));
    return 0;
}

TEST_EACH_BACKEND(open, an_unknown_mode_is_refused)
{
    static const char *const modes[] = { "", "q", "rw", "r++", "rx", "ax", "wxx", NULL };
    for (size_t i = 0; i < CRANK_COUNT(modes); i++) {
        errno = 0;
        EXPECT(crank_open("/nowhere", modes[i]) == NULL);
        EXPECT_EQ(errno, EINVAL);
    }
    return 0;
}

TEST_EACH_BACKEND(open, for_both_has_one_place_in_the_file)
{
    char buf[16] = "";
    const char *path = scratch_file("f", "0123456789", 10);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "r+"));
    EXPECT_EQ(crank_try(crank_read_exactly(s, buf, 3)), 3);
    crank_try(crank_write(s, "ab", 2)); /* where reading stopped, whatever was read ahead */
    EXPECT_EQ(crank_try(crank_read_exactly(s, buf, 2)), 2);
    EXPECT_EQ(memcmp(buf, "56", 2), 0);
    crank_try(crank_printf(s, "%c", 'Z'));
    crank_try(crank_flush(s));
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), 2);
    EXPECT_EQ(memcmp(buf, "89", 2), 0);
    crank_try(crank_finish(s));
    expect_file(path, "012ab56Z89", 10);
    return 0;
}

TEST_EACH_BACKEND(open, for_appending_and_reading_reads_from_the_beginning)
{
    char buf[16];
    const char *path = scratch_file("f", "0123", 4);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open(path, "a+"));
    EXPECT_EQ(crank_try(crank_read_exactly(s, buf, 2)), 2);
    crank_try(crank_write(s, "xy", 2));
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), 0); /* behind what was appended */
    crank_try(crank_finish(s));
    expect_file(path, "0123xy", 6);
    return 0;
}

TEST_EACH_BACKEND(open, the_wrong_direction_is_refused)
{
    char buf[4];
    CRANK_AUTO_STREAM crank_stream *r = crank_try(crank_open(scratch_file("f", "ab\n", 3), "r"));
    CRANK_AUTO_STREAM crank_stream *w = crank_try(crank_open(scratch("g"), "w"));
    EXPECT_EQ(crank_write(r, "x", 1), -EBADF);
    int err = crank_printf(r, "x");
    EXPECT_EQ(err, -EBADF);
    EXPECT_EQ(crank_flush(r), -EBADF);
    EXPECT_EQ(crank_read(w, buf, 4), -EBADF);
    EXPECT_EQ(crank_read_line(w, buf, 4), -EBADF);
    EXPECT_EQ(crank_read_exactly(w, buf, 4), -EBADF);
    EXPECT_CONTAINS(crank_error(), "not open for reading");
    return expect_line(r, "ab\n");
}

TEST_EACH_BACKEND(open, a_missing_file_is_named)
{
    errno = 0;
    EXPECT(crank_open("/nowhere/at all", "r") == NULL);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_CONTAINS(crank_error(), "/nowhere/at all");
    EXPECT_CONTAINS(crank_error(), "No such file");
    return 0;
}

static int try_missing(void)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open("/nowhere/else", "r"));
    return s ? 0 : 1;
}
TEST_EACH_BACKEND(open, its_failure_passes_through_crank_try)
{
    EXPECT_EQ(crank_await(crank_spawn(try_missing)), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "/nowhere/else");
    return 0;
}

TEST_EACH_BACKEND(open, a_folder_cannot_be_read)
{
    char buf[4];
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open("/tmp", "r"));
    EXPECT_EQ(crank_read(s, buf, 4), -EISDIR);
    EXPECT(crank_open("/tmp", "w") == NULL);
    EXPECT_EQ(errno, EISDIR);
    return 0;
}

TEST_EACH_BACKEND(open, files_of_the_kernel)
{
    char buf[64];
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open("/proc/self/status", "r"));
    EXPECT(crank_try(crank_read_line(s, buf, sizeof buf)) > 5);
    EXPECT_EQ(memcmp(buf, "Name:", 5), 0);
    CRANK_AUTO_STREAM crank_stream *zero = crank_try(crank_open("/dev/zero", "r"));
    EXPECT_EQ(crank_try(crank_read_exactly(zero, buf, sizeof buf)), sizeof buf);
    EXPECT_EQ(buf[63], 0);
    CRANK_AUTO_STREAM crank_stream *null = crank_try(crank_open("/dev/null", "r+"));
    EXPECT_EQ(crank_try(crank_read(null, buf, sizeof buf)), 0);
    crank_try(crank_write(null, buf, sizeof buf));
    return crank_flush(null);
}

TEST_CHECKS_OUTSIDE(open, needs_a_task, "crank_open") { (void)crank_open("/dev/null", "r"); }
