/* SPDX-License-Identifier: MIT */
/* file.c: files of a folder as answers.
 *
 * Owns the way from a path to a file: on a worker thread, folder by folder, each opened inside the
 * one before and never by way of a symbolic link, so that no path and no link leads out. What is no
 * regular file is not there for a client; neither is what begins with a dot. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <crank/error.h>
#include <crank/thread.h>

#include "http/answer.h"
#include "http/message.h"

enum { PIECE = 64 * 1024, NAME_SIZE = 256, FOLDER = 1 };

/* What the worker is told, and what it finds. */
typedef struct opening {
    const char *folder, *path;
    struct stat status;
    int fd;
} opening;

/* ---- On the worker's thread ---- */

static int open_in(int folder, const char *name, int flags)
{
    int fd = openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* The next part of the path into name: its size. 0 behind the last slash; negative where no file
 * can be meant. */
static int next_part(const char *path, char name[NAME_SIZE])
{
    size_t size = strcspn(path, "/");
    if (size >= NAME_SIZE || *path == '.' || (size == 0 && *path == '/'))
        return -ENOENT;
    memcpy(name, path, size);
    name[size] = '\0';
    return (int)size;
}

/* Behind a path's last slash is the folder's page. */
static int open_path(int at, const char *path)
{
    char name[NAME_SIZE];
    while (at >= 0 && *path == '/') {
        int size = next_part(++path, name);
        bool last = size >= 0 && path[size] == '\0';
        int inner = size;
        if (size >= 0)
            inner = open_in(
                at, size == 0 ? "index.html" : name, last ? O_RDONLY : O_RDONLY | O_DIRECTORY);
        close(at);
        at = inner;
        path += size > 0 ? size : 0;
    }
    return at;
}

/* 0, FOLDER, or why there is no such file. */
static int open_file(opening *o)
{
    int folder = open(o->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = folder < 0 ? -errno : open_path(folder, o->path);
    if (fd < 0)
        return fd;
    int err = fstat(fd, &o->status) < 0 ? -errno : 0;
    if (err == 0 && S_ISDIR(o->status.st_mode))
        err = FOLDER;
    else if (err == 0 && !S_ISREG(o->status.st_mode))
        err = -ENOENT;
    if (err != 0)
        close(fd);
    else
        o->fd = fd;
    return err;
}

/* ---- In the handler's task ---- */

static const char *type_of(const char *path)
{
    static const char *const known[][2] = {
        { ".html", "text/html; charset=utf-8" },
        { ".htm", "text/html; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },
        { ".js", "text/javascript; charset=utf-8" },
        { ".mjs", "text/javascript; charset=utf-8" },
        { ".txt", "text/plain; charset=utf-8" },
        { ".md", "text/markdown; charset=utf-8" },
        { ".json", "application/json" },
        { ".xml", "application/xml" },
        { ".pdf", "application/pdf" },
        { ".wasm", "application/wasm" },
        { ".zip", "application/zip" },
        { ".gz", "application/gzip" },
        { ".svg", "image/svg+xml" },
        { ".png", "image/png" },
        { ".jpg", "image/jpeg" },
        { ".jpeg", "image/jpeg" },
        { ".gif", "image/gif" },
        { ".webp", "image/webp" },
        { ".ico", "image/x-icon" },
        { ".woff2", "font/woff2" },
        { ".mp3", "audio/mpeg" },
        { ".mp4", "video/mp4" },
    };
    const char *name = strrchr(path, '/');
    const char *end = name ? strrchr(name, '.') : NULL;
    if (name && name[1] == '\0')
        return known[0][1];
    for (size_t i = 0; end && i < CRANK_COUNT(known); i++)
        if (strcasecmp(end, known[i][0]) == 0)
            return known[i][1];
    return "application/octet-stream";
}

/* "/dir" to "/dir/", as sent: relative links of its page would lead elsewhere. */
static int redirect_to_folder(cr_http_message *m)
{
    size_t size = strcspn(m->head.resource, "?"), all = strlen(m->head.resource);
    char *location = cr_http_message_alloc(m, all + 2);
    if (!location)
        return -ENOMEM;
    memcpy(location, m->head.resource, size);
    location[size] = '/';
    memcpy(location + size + 1, m->head.resource + size, all - size + 1);
    return crank_http_redirect(&m->request, 301, location);
}

/* No more than was announced, also where the file grows meanwhile. */
static int copy(cr_http_message *m, crank_stream *file, char *buf)
{
    int err = 0;
    while (err == 0 && m->left > 0) {
        ssize_t n = crank_read(file, buf, m->left < PIECE ? (size_t)m->left : PIECE);
        if (n <= 0)
            return (int)n;
        err = cr_http_answer_write(m, buf, (size_t)n);
    }
    return err;
}

static int send_file(cr_http_message *m, crank_stream *file, const struct stat *status)
{
    char date[CR_HTTP_DATE_SIZE], length[24];
    cr_http_date_format(status->st_mtime, date);
    snprintf(length, sizeof length, "%lld", (long long)status->st_size);
    int err = crank_http_set(&m->request, "Last-Modified", date);
    if (err == 0)
        err = crank_http_set(&m->request, "Content-Length", length);
    if (err == 0)
        err = cr_http_answer_begin(m, 200, type_of(m->request.path), CR_HTTP_STREAM);
    if (err < 0 || m->bodiless)
        return err;
    char *buf = malloc(PIECE);
    err = buf ? copy(m, file, buf) : crank_fail(ENOMEM, "out of memory for a file");
    free(buf);
    return err;
}

int crank_http_file(crank_http_request *request, const char *folder)
{
    cr_http_message *m = cr_http_message_of(request);
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        m->allow = "GET, HEAD";
        return cr_http_answer_refuse(m, 405);
    }
    opening o = { .folder = folder, .path = request->path, .fd = -1 };
    int found = (int)crank_await(crank_to_thread(open_file, &o));
    if (found == FOLDER)
        return redirect_to_folder(m);
    if (found < 0 && o.fd >= 0)
        close(o.fd); /* it was found, and the request cancelled before that was told */
    if (found == -ECANCELED || found == -ENOMEM || found == -EMFILE || found == -ENFILE)
        return found;
    if (found < 0)
        return cr_http_answer_refuse(m, found == -EACCES ? 403 : 404);
    CRANK_AUTO_STREAM crank_stream *file = crank_stream_from_fd(o.fd, "r");
    if (!file) {
        int err = -errno;
        close(o.fd);
        return err;
    }
    return send_file(m, file, &o.status);
}
