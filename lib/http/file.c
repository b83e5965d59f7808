/* SPDX-License-Identifier: MIT */
/* file.c: files as answers.
 *
 * Owns what is said of a file: type, version, which part. The bytes announced are the bytes sent:
 * of a file that becomes shorter meanwhile the connection is reset, of one that grows the rest is
 * not sent. A small file leaves in one write with the head, a large one is copied. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <crank/error.h>

#include "http/accept.h"
#include "http/answer.h"
#include "http/find.h"
#include "http/fresh.h"
#include "http/memory.h"
#include "http/message.h"
#include "http/pace.h"
#include "http/range.h"

enum { SMALL = 64 * 1024, ETAG_SIZE = 64 };

/* A file on its way. */
typedef struct sending {
    cr_http_message *m;
    const char *type;
    crank_stream *file;
    cr_http_range part;
    int status; /* 200 or 206 */
} sending;

/* ---- What it is ---- */

static const char *type_of(const char *name)
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
    const char *end = strrchr(name, '.');
    for (size_t i = 0; end && i < CRANK_COUNT(known); i++)
        if (strcasecmp(end, known[i][0]) == 0)
            return known[i][1];
    return "application/octet-stream";
}

/* Of the second in which it was modified, a file may be modified again without its dates telling: a
 * tag is weak until then, for two copies need not be the same to the byte. */
static const char *etag_of(const cr_http_found *found, bool may_change_yet, char text[ETAG_SIZE])
{
    snprintf(text, ETAG_SIZE, "%s\"%llx-%llx%s\"", may_change_yet ? "W/" : "",
        (unsigned long long)found->info.modified_ns, (unsigned long long)found->info.size,
        found->is_gzip ? "-gz" : "");
    return text;
}

/* What any answer on it says. Last-Modified is never later than Date. */
static int set_fields(
    cr_http_message *m, const cr_http_found *found, const cr_http_version *version, time_t now)
{
    char date[CR_HTTP_DATE_SIZE];
    cr_http_date_format(version->modified < now ? version->modified : now, date);
    const crank_http_field fields[] = {
        { "ETag", version->etag },
        { "Last-Modified", date },
        { "Accept-Ranges", "bytes" },
        { "Content-Encoding", "gzip" },
    };
    size_t count = CRANK_COUNT(fields) - (found->is_gzip ? 0 : 1);
    int err = crank_http_add(&m->request, "Vary", "Accept-Encoding"); /* to what else it may say */
    for (size_t i = 0; err == 0 && i < count; i++)
        err = crank_http_set(&m->request, fields[i].name, fields[i].value);
    return err;
}

/* ---- Its bytes ---- */

/* Head and bytes in one write. */
static int send_whole(const sending *s, char *buf)
{
    size_t size = (size_t)s->part.size;
    ssize_t n = size > 0 ? crank_read_exactly(s->file, buf, size) : 0;
    if (n == -ENODATA)
        return cr_http_answer_shorter(s->m);
    return n < 0 ? (int)n : crank_http_respond(&s->m->request, s->status, s->type, buf, size);
}

static int send_small(const sending *s)
{
    char *buf = crank_alloc((size_t)s->part.size + 1);
    int err = buf ? send_whole(s, buf) : crank_fail(ENOMEM, "out of memory for a file");
    crank_release(buf);
    return err;
}

/* No more than was announced, also where the file grows meanwhile. */
static int send_large(const sending *s)
{
    s->m->length = (int64_t)s->part.size;
    int err = cr_http_answer_begin(s->m, s->status, s->type, CR_HTTP_STREAM);
    return err < 0 ? err : cr_http_answer_copy(s->m, s->file);
}

static int send_bytes(const sending *s)
{
    if (s->part.first > 0 && lseek(crank_stream_fd(s->file), (off_t)s->part.first, SEEK_SET) < 0)
        return crank_fail(errno, "cannot read the file of %s", s->m->request.path);
    return s->part.size <= SMALL ? send_small(s) : send_large(s);
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

static int send_found(sending *s, const cr_http_found *found)
{
    char etag[ETAG_SIZE];
    time_t now = (time_t)crank_wall_time(),
           modified = (time_t)(found->info.modified_ns / 1000000000);
    cr_http_version version = { .modified = modified, .may_change_yet = modified >= now };
    uint64_t size = (uint64_t)found->info.size;
    version.etag = etag_of(found, version.may_change_yet, etag);
    int err = set_fields(s->m, found, &version, now);
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

/* Failures that are not the file's. */
static bool is_ours(int err)
{
    return err == -ECANCELED || err == -ENOMEM || err == -EMFILE || err == -ENFILE ||
           err == -EAGAIN;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash ? path : slash[1] ? slash + 1 : "index.html";
}

static int answer_with(cr_http_message *m, const char *folder, const char *path)
{
    cr_http_found found = { .file = NULL };
    bool gzip = cr_http_accept_coding(crank_http_header(&m->request, "Accept-Encoding"), "gzip");
    int err = cr_http_pace_check(m->connection);
    if (err == 0)
        err = cr_http_find_file(m, folder, path, gzip, &found);
    if (err == CR_HTTP_FIND_FOLDER)
        return redirect_to_folder(m);
    if (err < 0)
        return is_ours(err) ? err : cr_http_answer_refuse(m, err == -EACCES ? 403 : 404);
    sending s = { .m = m, .file = found.file, .type = type_of(last_part(path)) };
    err = send_found(&s, &found);
    int end = crank_stream_close(found.file);
    return err == 0 && end == -ECANCELED ? end : err;
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
