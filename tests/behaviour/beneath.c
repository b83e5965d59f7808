/* SPDX-License-Identifier: MIT */
/* beneath.c: what is true of opening a file below a folder, by a path that a stranger has chosen. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "loop/loop.h"
#include "scratch.h"

static const char *folder;

/* top/page, top/in/page, and beside top a secret; links in top to all of them. */
static void make_folder(void)
{
    folder = scratch("top");
    EXPECT_EQ(mkdir(folder, 0700), 0);
    EXPECT_EQ(mkdir(scratch("top/in"), 0700), 0);
    scratch_file("top/page", "one", 3);
    scratch_file("top/in/page", "three", 5);
    scratch_file("secret", "no", 2);
    EXPECT_EQ(symlink("page", scratch("top/link")), 0);
    EXPECT_EQ(symlink("in", scratch("top/away")), 0);
    EXPECT_EQ(symlink("../secret", scratch("top/out")), 0);
    EXPECT_EQ(mkfifo(scratch("top/pipe"), 0600), 0);
}

static int expect_opened(const char *path, const char *text)
{
    char buf[16];
    struct stat status;
    char whole[400];
    crank_file_info info = { 0 };
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_open_beneath(folder, path, &info));
    EXPECT_EQ(crank_try(crank_read(s, buf, sizeof buf)), strlen(text));
    EXPECT_EQ(memcmp(buf, text, strlen(text)), 0);
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    EXPECT_EQ(stat(whole, &status), 0);
    EXPECT_EQ(info.size, (int64_t)strlen(text));
    EXPECT_EQ(info.modified_ns, (int64_t)status.st_mtim.tv_sec * CR_SECOND + status.st_mtim.tv_nsec);
    EXPECT(info.device == status.st_dev && info.inode == status.st_ino);
    return 0;
}

static void expect_refused(const char *path, int error, const char *words)
{
    crank_file_info info = { .size = 77 };
    errno = 0;
    crank_stream *s = crank_open_beneath(folder, path, &info);
    EXPECT(!s);
    EXPECT_EQ(errno, error);
    EXPECT_CONTAINS(crank_error(), folder);
    EXPECT_CONTAINS(crank_error(), path);
    EXPECT_CONTAINS(crank_error(), words);
    EXPECT_EQ(info.size, 77);
}

static int expect_only_what_is_below(void)
{
    char long_name[300];
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    crank_try(expect_opened("page", "one"));
    crank_try(expect_opened("in/page", "three"));
    crank_try(expect_opened("./in//./page", "three"));
    expect_refused("../secret", EXDEV, "\"..\"");
    expect_refused("in/../page", EXDEV, "\"..\"");
    expect_refused("in/..", EXDEV, "\"..\"");
    expect_refused("/etc/passwd", EXDEV, "begins with '/'");
    expect_refused("link", ELOOP, "a symbolic link");
    expect_refused("away/page", ELOOP, "a symbolic link");
    expect_refused("out", ELOOP, "a symbolic link");
    expect_refused("out/more", ELOOP, "a symbolic link");
    expect_refused("pipe", ENXIO, "no regular file");
    expect_refused("in", EISDIR, "directory");
    expect_refused("in/", EISDIR, "directory");
    expect_refused(".", EISDIR, "directory");
    expect_refused("page/", ENOTDIR, "Not a directory");
    expect_refused("page/more", ENOTDIR, "Not a directory");
    expect_refused("", ENOENT, "No such file");
    expect_refused("..page", ENOENT, "No such file");
    expect_refused("in/none/page", ENOENT, "No such file");
    expect_refused(long_name, ENAMETOOLONG, "too long");
    return 0;
}

TEST_EACH_BACKEND(open_beneath, opens_regular_files_below_the_folder_and_nothing_else)
{
    make_folder();
    crank_try(expect_only_what_is_below());
    EXPECT_EQ(symlink("top", scratch("by_link")), 0);
    folder = scratch("by_link"); /* which folder is the caller's choice */
    crank_try(expect_opened("in/page", "three"));
    folder = "/nowhere";
    expect_refused("page", ENOENT, "No such file");
    folder = ""; /* is no name of the root */
    expect_refused("etc/passwd", ENOENT, "No such file");
    folder = "/dev";
    expect_refused("null", ENXIO, "no regular file");
    return 0;
}

/* ---- Kernels and filters that are older ---- */

static cr_sys table;
static const cr_sys *before;
static int refusal;    /* of openat2 */
static int for_cached; /* of openat2 where it must not wait; 0: none */
static unsigned asked, asked_for_cached;

static int older(void *context, int at, const char *path, const struct open_how *how)
{
    bool cached = how->resolve & RESOLVE_CACHED;
    asked++;
    asked_for_cached += cached;
    if (refusal || (cached && for_cached))
        return refusal ? refusal : for_cached;
    return before->open_resolving(context, at, path, how);
}

/* Until the end of the test, whose process ends with it. */
static void be_older(void)
{
    before = cr_loop_here->sys;
    table = *before;
    table.open_resolving = older;
    cr_loop_here->sys = &table;
}

TEST_EACH_BACKEND(open_beneath, walks_the_path_where_openat2_is_refused)
{
    make_folder();
    be_older();
    refusal = -ENOSYS;
    int err = expect_only_what_is_below();
    refusal = -EPERM;
    if (err == 0)
        err = expect_opened("in/page", "three");
    cr_loop_here->sys = before;
    EXPECT(asked > 0);
    return err;
}

/* Nor does it where the kernel has no RESOLVE_CACHED. A simulated run never asks what is in memory. */
TEST_EACH_BACKEND(open_beneath, goes_to_a_worker_where_the_kernel_would_have_to_wait)
{
    static const int errors[] = { -EAGAIN, -EINVAL };
    make_folder();
    be_older();
    int err = 0;
    for (size_t i = 0; i < CRANK_COUNT(errors) && err == 0; i++) {
        for_cached = errors[i];
        err = expect_opened("in/page", "three");
    }
    cr_loop_here->sys = before;
    EXPECT_EQ(asked_for_cached, strcmp(crank_backend_name(), "sim") == 0 ? 0 : 2);
    return err;
}
