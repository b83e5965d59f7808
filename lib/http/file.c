/* SPDX-License-Identifier: MIT */
/* file.c: files as answers.
 *
 * Owns what is said of a file: type, version, which part. The bytes announced are the bytes sent:
 * of a file that becomes shorter meanwhile the connection is reset, of one that grows the rest is
 * not sent. What the kernel has in memory of a small file leaves in one write with the head; the
 * rest is copied, by the kernel where it can. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <crank/error.h>
#include <crank/run.h>
#include <crank/thread.h>

#include "http/accept.h"
#include "http/answer.h"
#include "http/find.h"
#include "http/fresh.h"
#include "http/memory.h"
#include "http/message.h"
#include "http/pace.h"
#include "http/range.h"

enum { PIECE = 64 * 1024, ETAG_SIZE = 64 };

/* A file on its way. */
typedef struct sending {
    cr_http_message *m;
    const char *type;
    int fd;
    cr_http_range part;
    int status; /* 200 or 206 */
} sending;

/* ---- What it is ---- */

static const char *type_of(const char *path)
{
    static const char *const known[][2] = {
        { ".html", "text/html; charset=utf-8" },
        { ".htm", "text/html; charset=utf-8" },
        { ".avif", "image/avif" },
        { ".css", "text/css; charset=utf-8" },
        { ".js", "text/javascript; charset=utf-8" },
        { ".mjs", "text/javascript; charset=utf-8" },
        { ".csv", "text/csv; charset=utf-8" },
        { ".txt", "text/plain; charset=utf-8" },
        { ".md", "text/markdown; charset=utf-8" },
        { ".json", "application/json" },
        { ".map", "application/json" },
        { ".webmanifest", "application/manifest+json" },
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
        { ".woff", "font/woff" },
        { ".woff2", "font/woff2" },
        { ".ttf", "font/ttf" },
        { ".mp3", "audio/mpeg" },
        { ".ogg", "audio/ogg" },
        { ".wav", "audio/wav" },
        { ".webm", "video/webm" },
        { ".mp4", "video/mp4" },
    };
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *end = strrchr(name, '.');
    for (size_t i = 0; end && i < CRANK_COUNT(known); i++)
        if (strcasecmp(end, known[i][0]) == 0)
            return known[i][1];
    return "application/octet-stream";
}

/* Of the second in which it was modified, a file may be modified again without its dates telling: a
 * tag is weak until then, for nobody can say that two copies are the same to the byte. */
static const char *etag_of(const cr_http_find *find, bool may_change_yet, char text[ETAG_SIZE])
{
    const struct stat *s = &find->status;
    snprintf(text, ETAG_SIZE, "%s\"%llx.%lx-%llx%s\"", may_change_yet ? "W/" : "",
        (unsigned long long)s->st_mtim.tv_sec, (unsigned long)s->st_mtim.tv_nsec,
        (unsigned long long)s->st_size, find->is_gzip ? "-gz" : "");
    return text;
}

/* What any answer on it says. Last-Modified is never later than Date. */
static int set_fields(
    cr_http_message *m, const cr_http_find *find, const cr_http_version *version, time_t now)
{
    char date[CR_HTTP_DATE_SIZE];
    cr_http_date_format(version->modified < now ? version->modified : now, date);
    const crank_http_field fields[] = {
        { "ETag", version->etag },
        { "Last-Modified", date },
        { "Accept-Ranges", "bytes" },
        { "Content-Encoding", "gzip" },
    };
    size_t count = CRANK_COUNT(fields) - (find->is_gzip ? 0 : 1);
    int err = crank_http_add(&m->request, "Vary", "Accept-Encoding"); /* to what else it may say */
    for (size_t i = 0; err == 0 && i < count; i++)
        err = crank_http_set(&m->request, fields[i].name, fields[i].value);
    return err;
}

/* ---- Its bytes ---- */

/* What the kernel has in memory, head and bytes in one write. 0: that is not all. */
static ssize_t send_at_once(const sending *s, char *buf)
{
    struct iovec piece = { .iov_base = buf, .iov_len = (size_t)s->part.size };
    ssize_t n = preadv2(s->fd, &piece, 1, (off_t)s->part.first, RWF_NOWAIT);
    if (n < 0 || (uint64_t)n < s->part.size)
        return 0;
    int err = crank_http_respond(&s->m->request, s->status, s->type, buf, (size_t)n);
    return err < 0 ? err : 1;
}

/* No more than was announced, also where the file grows meanwhile. */
static int send_from(sending *s)
{
    char length[24];
    if (lseek(s->fd, (off_t)s->part.first, SEEK_SET) < 0)
        return crank_fail(errno, "cannot read the file of %s", s->m->request.path);
    CRANK_AUTO_STREAM crank_stream *file = crank_stream_from_fd(s->fd, "r");
    if (!file)
        return -errno;
    s->fd = -1; /* the stream's */
    snprintf(length, sizeof length, "%llu", (unsigned long long)s->part.size);
    int err = crank_http_set(&s->m->request, "Content-Length", length);
    if (err == 0)
        err = cr_http_answer_begin(s->m, s->status, s->type, CR_HTTP_STREAM);
    return err < 0 ? err : cr_http_answer_copy(s->m, file);
}

/* A simulated run must not depend on what the kernel has in memory. */
static bool may_try(void)
{
    const char *backend = crank_backend_name();
    return !backend || strcmp(backend, "sim") != 0;
}

static int send_bytes(sending *s)
{
    if (s->part.size > PIECE || !may_try())
        return send_from(s);
    char *buf = crank_alloc((size_t)s->part.size + 1);
    if (!buf)
        return crank_fail(ENOMEM, "out of memory for a file");
    ssize_t sent = send_at_once(s, buf);
    crank_release(buf);
    return sent == 0 ? send_from(s) : sent < 0 ? (int)sent : 0;
}

static int send_head(const sending *s)
{
    s->m->length = (int64_t)s->part.size;
    return crank_http_respond(&s->m->request, s->status, s->type, NULL, 0);
}

/* ---- Which of them ---- */

static int refuse_range(cr_http_message *m, uint64_t size)
{
    char range[40];
    snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)size);
    int err = crank_http_set(&m->request, "Content-Range", range);
    return err < 0 ? err
                   : crank_http_print(
                         &m->request, 416, "text/plain", "%s\n", cr_http_answer_reason(416));
}

/* The part that is wanted of so many bytes: 200, 206 or 416. */
static int choose_part(sending *s, const cr_http_version *version, uint64_t size)
{
    crank_http_request *r = &s->m->request;
    s->part = (cr_http_range){ .first = 0, .size = size };
    s->status = 200;
    if (strcmp(r->method, "GET") != 0 || !cr_http_fresh_has_part(s->m, version))
        return 0;
    s->status = cr_http_range_read(crank_http_header(r, "Range"), size, &s->part);
    if (s->status != 206)
        return 0;
    char range[80];
    snprintf(range, sizeof range, "bytes %llu-%llu/%llu", (unsigned long long)s->part.first,
        (unsigned long long)(s->part.first + s->part.size - 1), (unsigned long long)size);
    return crank_http_set(r, "Content-Range", range);
}

static int send_found(sending *s, const cr_http_find *find)
{
    char etag[ETAG_SIZE];
    time_t now = (time_t)crank_wall_time(), modified = find->status.st_mtim.tv_sec;
    cr_http_version version = { .modified = modified, .may_change_yet = modified >= now };
    uint64_t size = (uint64_t)find->status.st_size;
    version.etag = etag_of(find, version.may_change_yet, etag);
    int err = set_fields(s->m, find, &version, now);
    if (err < 0)
        return err;
    int status = cr_http_fresh_check(s->m, &version);
    if (status)
        return crank_http_respond(&s->m->request, status, NULL, NULL, 0);
    err = choose_part(s, &version, size);
    if (err < 0)
        return err;
    if (s->status == 416)
        return refuse_range(s->m, size);
    return strcmp(s->m->request.method, "HEAD") == 0 ? send_head(s) : send_bytes(s);
}

/* ---- Requests ---- */

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

/* What the kernel knows is found at once, the rest by a worker. */
static int find_file(cr_http_find *find)
{
    int found = may_try() ? cr_http_find_now(find) : -EAGAIN;
    return found == -EAGAIN ? (int)crank_await(crank_to_thread(cr_http_find_open, find)) : found;
}

/* Failures that are not the file's. */
static bool is_ours(int err)
{
    return err == -ECANCELED || err == -ENOMEM || err == -EMFILE || err == -ENFILE ||
           err == -EAGAIN;
}

static int answer_with(cr_http_message *m, const char *folder, const char *path)
{
    cr_http_find find = { .fd = -1 };
    int err = cr_http_pace_check(m->connection);
    if (err == 0)
        err = cr_http_find_name(&find, m, folder, path);
    if (err == 0) {
        find.gzip =
            cr_http_accept_coding(crank_http_header(&m->request, "Accept-Encoding"), "gzip");
        err = find_file(&find);
    }
    sending s = { .m = m, .fd = find.fd, .type = type_of(find.name ? find.name : path) };
    if (err == 0)
        err = send_found(&s, &find);
    else if (err == CR_HTTP_FIND_FOLDER && folder)
        err = redirect_to_folder(m);
    else if (!is_ours(err))
        err = cr_http_answer_refuse(m, err == -EACCES ? 403 : 404);
    if (s.fd >= 0)
        close(s.fd); /* also where it was found, and the request cancelled before that was told */
    return err;
}

static int answer(crank_http_request *request, const char *folder, const char *path)
{
    cr_http_message *m = cr_http_message_of(request);
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0)
        return answer_with(m, folder, path);
    m->allow = "GET, HEAD";
    return cr_http_answer_refuse(m, 405);
}

int crank_http_file(crank_http_request *request, const char *folder)
{
    return answer(request, folder, request->path);
}

int crank_http_file_at(crank_http_request *request, const char *path)
{
    return answer(request, NULL, path);
}
