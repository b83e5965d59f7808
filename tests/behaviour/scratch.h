/* SPDX-License-Identifier: MIT */
/* scratch.h: files for tests about files. Each test has a folder of its own, gone with the
 * process that ran it. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

static char scratch_folder[256];

static int scratch_remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}
static void scratch_remove(void) { nftw(scratch_folder, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS); }

/* The path of a file in this test's folder; valid until eight more have been asked for. */
__attribute__((unused)) static const char *scratch(const char *name)
{
    static char paths[8][320];
    static unsigned next;
    if (!scratch_folder[0]) {
        const char *top = getenv("TMPDIR");
        snprintf(scratch_folder, sizeof scratch_folder, "%s/crank-test-XXXXXX", top && top[0] ? top : "/tmp");
        EXPECT(mkdtemp(scratch_folder));
        atexit(scratch_remove);
    }
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

/* Make a file by plain C. */
__attribute__((unused)) static const char *scratch_file(const char *name, const void *bytes, size_t size)
{
    const char *path = scratch(name);
    FILE *file = fopen(path, "w");
    EXPECT(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
    return path;
}

/* The file at path holds exactly these bytes, says plain C. */
__attribute__((unused)) static void expect_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "r");
    EXPECT(file);
    char *found = malloc(size + 1);
    EXPECT_EQ(fread(found, 1, size + 1, file), size);
    EXPECT_EQ(memcmp(found, bytes, size), 0);
    free(found);
    fclose(file);
}

/* Close it, and not once more at the end of the block. */
__attribute__((unused)) static int close_now(crank_stream **stream)
{
    crank_stream *open = *stream;
    *stream = NULL;
    return crank_close(open);
}
#endif
