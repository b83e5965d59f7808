/* SPDX-License-Identifier: MIT */
/* folder.c: each test has a temporary folder of its own, which TMPDIR names in its process.
 *
 * Owns those folders and the one of the runner that they lie in, from their making to their removal, however the test
 * ended. What a test that passed has left in its folder is named: a file is left behind like a descriptor. */
#include "internal.h"
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[256]; /* the runner's; empty while there is none */
static int said_to = -1;
static int left;
static size_t prefix; /* of a path, up to what is said of it */

static void path_of(unsigned number, char *buf, size_t size) { snprintf(buf, size, "%s/%u", top, number); }

void test_folders_open(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(top, sizeof top, "%s/crank-tests-XXXXXX", parent && parent[0] ? parent : "/tmp");
    if (!mkdtemp(top)) {
        fprintf(stderr, "no folder %s for the tests' files\n", top);
        exit(2);
    }
}

unsigned test_folder_make(void)
{
    static unsigned made;
    char path[300];
    path_of(++made, path, sizeof path);
    if (mkdir(path, 0700) < 0) {
        fprintf(stderr, "no folder %s for a test's files\n", path);
        exit(2);
    }
    return made;
}

void test_folder_enter(unsigned number)
{
    char path[300];
    path_of(number, path, sizeof path);
    setenv("TMPDIR", path, 1);
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag;
    if (ftw->level > 0) {
        left++;
        if (said_to >= 0)
            dprintf(said_to, "left: file %s\n", path + prefix);
    }
    return remove(path);
}

int test_folder_remove(unsigned number, int output)
{
    char path[300];
    path_of(number, path, sizeof path);
    prefix = strlen(path) + 1;
    left = 0;
    said_to = output;
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return left;
}

void test_folders_close(void)
{
    said_to = -1;
    if (top[0])
        nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    top[0] = 0;
}
