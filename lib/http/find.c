/* SPDX-License-Identifier: MIT */
/* find.c: files of a folder, and nothing beyond it.
 *
 * Owns which file a path means. No part of the path may begin with a dot, so that it leads only
 * down; crank_open_beneath sees to links, and to what is no regular file. To a client none of these
 * is there. */
#include "http/find.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <crank/error.h>

#include "http/message.h"

static const char page[] = "index.html", packed[] = ".gz";

/* Does a part of the path begin with a dot, or is one empty that is not the last? */
static bool is_hidden(const char *path)
{
    for (const char *at = path; *at; at++)
        if (*at == '/' && (at[1] == '.' || at[1] == '/'))
            return true;
    return *path != '/';
}

/* The path without its first slash; behind its last the folder's page. There is room for more. */
static char *name_of(cr_http_message *m, const char *path)
{
    size_t size = strlen(path);
    char *name = cr_http_message_alloc(m, size + sizeof page + sizeof packed);
    if (!name)
        return NULL;
    memcpy(name, path + 1, size);
    if (path[size - 1] == '/')
        memcpy(name + size - 1, page, sizeof page);
    return name;
}

static int open_in(const char *folder, const char *name, cr_http_found *found)
{
    found->file = crank_open_beneath(folder, name, &found->info);
    if (found->file)
        return 0;
    switch (errno) {
    case EISDIR: return CR_HTTP_FIND_FOLDER;
    case ELOOP:
    case ENXIO:
    case ENOTDIR:
    case ENAMETOOLONG: return -ENOENT;
    default: return -errno;
    }
}

/* One that the program has chosen may be reached by links. */
static int open_chosen(const char *path, cr_http_found *found)
{
    struct stat status;
    crank_stream *file = crank_open(path, "r");
    if (!file)
        return -errno;
    int err = fstat(crank_stream_fd(file), &status) < 0 ? -errno : 0;
    if (err == 0 && !S_ISREG(status.st_mode))
        err = -ENOENT;
    if (err < 0) {
        (void)crank_stream_close(file);
        return err;
    }
    found->file = file;
    found->info = (crank_file_info){
        .size = status.st_size,
        .modified_ns = status.st_mtim.tv_sec * 1000000000LL + status.st_mtim.tv_nsec,
    };
    return 0;
}

static int open_one(const char *folder, const char *name, cr_http_found *found)
{
    return folder ? open_in(folder, name, found) : open_chosen(name, found);
}

/* One that was made of an earlier version is not taken. */
static int look_beside(const char *folder, char *name, cr_http_found *found)
{
    cr_http_found beside = { .is_gzip = true };
    memcpy(name + strlen(name), packed, sizeof packed);
    int err = open_one(folder, name, &beside);
    if (err != 0)
        return err == -ECANCELED ? err : 0;
    bool is_older = beside.info.modified_ns < found->info.modified_ns;
    crank_stream *other = is_older ? beside.file : found->file;
    if (!is_older)
        *found = beside;
    return crank_stream_close(other) == -ECANCELED ? -ECANCELED : 0;
}

int cr_http_find_file(cr_http_message *message, const char *folder, const char *path, bool gzip,
    cr_http_found *ret_found)
{
    if (folder && is_hidden(path))
        return -ENOENT;
    char *name = folder ? name_of(message, path)
                        : cr_http_message_alloc(message, strlen(path) + 1 + sizeof packed);
    if (!name)
        return -ENOMEM;
    if (!folder)
        memcpy(name, path, strlen(path) + 1);
    int err = open_one(folder, name, ret_found);
    if (err == 0 && gzip) {
        err = look_beside(folder, name, ret_found);
        if (err < 0)
            (void)crank_stream_close(ret_found->file);
    }
    return err;
}
