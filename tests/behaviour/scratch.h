/* SPDX-License-Identifier: MIT */
/* scratch.h: files for tests about files. What a test has named is gone with its process; what the library makes
 * beside that is left, and fails the test. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

enum { SCRATCH_FILES = 128 };
static char scratch_folder[300];
static char scratch_files[SCRATCH_FILES][360];
static int scratch_count;

static void scratch_remove(void)
{
    while (scratch_count > 0)
        remove(scratch_files[--scratch_count]);
    rmdir(scratch_folder);
}

/* The path of a file in this test's folder. */
__attribute__((unused)) static const char *scratch(const char *name)
{
    char path[sizeof *scratch_files];
    if (!scratch_folder[0]) {
        const char *top = getenv("TMPDIR");
        snprintf(scratch_folder, sizeof scratch_folder, "%s/crank-test-XXXXXX", top && top[0] ? top : "/tmp");
        EXPECT(mkdtemp(scratch_folder));
        atexit(scratch_remove);
    }
    snprintf(path, sizeof path, "%s/%s", scratch_folder, name);
    for (int i = 0; i < scratch_count; i++)
        if (strcmp(scratch_files[i], path) == 0)
            return scratch_files[i];
    EXPECT(scratch_count < SCRATCH_FILES);
    return memcpy(scratch_files[scratch_count++], path, sizeof path);
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

#endif
