/* SPDX-License-Identifier: MIT */
/* file.c: what is true of whole files. */
#include <fcntl.h>

#include "scratch.h"

TEST_EACH_BACKEND(read_file, gives_every_byte_and_a_zero_behind)
{
    char *data = NULL;
    size_t size = 99;
    crank_try(crank_read_file(scratch_file("f", "a\0b\n", 4), &data, &size));
    EXPECT_EQ(size, 4);
    EXPECT_EQ(memcmp(data, "a\0b\n", 5), 0);
    free(data);
    return 0;
}

TEST_EACH_BACKEND(read_file, of_an_empty_file_is_empty)
{
    char *data = NULL;
    size_t size = 99;
    crank_try(crank_read_file(scratch_file("f", "", 0), &data, &size));
    EXPECT_EQ(size, 0);
    EXPECT_STR(data, "");
    free(data);
    return 0;
}

TEST_EACH_BACKEND(read_file, of_a_large_file)
{
    enum { bytes = 20 << 20 };
    char *text = test_memory(bytes), *data = NULL;
    size_t size = 0;
    for (size_t i = 0; i < bytes; i++)
        text[i] = (char)(i >> 10 ^ i);
    crank_try(crank_read_file(scratch_file("f", text, bytes), &data, &size));
    EXPECT_EQ(size, bytes);
    EXPECT_EQ(memcmp(text, data, bytes), 0);
    free(data);
    return 0;
}

TEST_EACH_BACKEND(read_file, whose_size_the_kernel_does_not_say)
{
    char *data = NULL;
    size_t size = 0;
    crank_try(crank_read_file("/proc/self/status", &data, &size));
    EXPECT(size > 100);
    EXPECT_CONTAINS(data, "Threads:");
    free(data);
    return 0;
}

TEST_EACH_BACKEND(read_file, a_failure_names_the_file_and_leaves_the_outputs)
{
    char *data = (char *)1;
    size_t size = 99;
    EXPECT_EQ(crank_read_file("/nowhere/f", &data, &size), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "cannot open /nowhere/f");
    EXPECT_EQ(crank_read_file("/tmp", &data, &size), -EISDIR);
    EXPECT_CONTAINS(crank_error(), "cannot read /tmp");
    EXPECT(data == (char *)1 && size == 99);
    return 0;
}

TEST_EACH_BACKEND(write_file, makes_and_replaces)
{
    const char *path = scratch("f");
    crank_try(crank_write_file(path, "hello", 5));
    expect_file(path, "hello", 5);
    crank_try(crank_write_file(path, "me", 2));
    expect_file(path, "me", 2);
    crank_try(crank_write_file(path, NULL, 0));
    expect_file(path, "", 0);
    return 0;
}

TEST_EACH_BACKEND(write_file, of_more_than_any_stack)
{
    enum { bytes = 9 << 20 };
    char *text = test_memory(bytes);
    const char *path = scratch("f");
    memset(text, 'x', bytes);
    text[bytes - 1] = 'y';
    crank_try(crank_write_file(path, text, bytes));
    expect_file(path, text, bytes);
    return 0;
}

TEST_EACH_BACKEND(write_file, a_failure_names_the_file)
{
    EXPECT_EQ(crank_write_file("/nowhere/f", "x", 1), -ENOENT);
    EXPECT_CONTAINS(crank_error(), "cannot open /nowhere/f");
    EXPECT_EQ(crank_write_file("/dev/full", "x", 1), -ENOSPC);
    EXPECT_CONTAINS(crank_error(), "cannot write /dev/full");
    EXPECT_EQ(crank_write_file("/tmp", "x", 1), -EISDIR);
    return 0;
}

static int cancelled_at_once(const char *path)
{
    char *data = NULL;
    size_t size;
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    EXPECT_EQ(crank_read_file(path, &data, &size), -ECANCELED);
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    EXPECT_EQ(crank_write_file(path, "new", 3), -ECANCELED);
    return 0;
}
TEST_EACH_BACKEND(file, cancelled_calls_do_nothing)
{
    const char *path = scratch_file("f", "old", 3);
    EXPECT_EQ(crank_await(crank_spawn(cancelled_at_once, path)), 0);
    expect_file(path, "old", 3);
    return 0;
}

static int read_whole(const char *path)
{
    char *data = NULL;
    size_t size = 0;
    int err = crank_read_file(path, &data, &size);
    free(data);
    return err;
}
/* Cancelled before, amid or after: it ends, and leaves nothing behind, which the runner looks
 * after. */
TEST_EACH_BACKEND(file, cancelled_at_any_moment_leaves_nothing_behind)
{
    const char *path = scratch_file("f", "text", 4);
    for (int turns = 0; turns < 6; turns++) {
        crank_task *reader = crank_spawn(read_whole, path);
        for (int i = 0; i < turns; i++)
            crank_try(crank_sleep(0));
        (void)crank_cancel(reader);
        long result = crank_await(reader);
        EXPECT(result == 0 || result == -ECANCELED);
    }
    return 0;
}

TEST_SEEDS(file, read_and_written_by_many_in_any_order, 50)
{
    static char paths[6][320];
    crank_task *tasks[6];
    for (int i = 0; i < 6; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(paths[i], sizeof paths[i], "%s", scratch_file(name, "x", 1));
        tasks[i] = crank_spawn(read_whole, paths[i]);
    }
    return crank_gather_n(tasks, 6, (long *)NULL);
}
