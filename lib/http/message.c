/* SPDX-License-Identifier: MIT */
/* message.c: requests: their memory, their heads, and what handlers ask of these.
 *
 * Owns a request's block. The head's text stands at the beginning of the block's room and is taken
 * apart there; behind it stands what is decoded or made for the handler. A plain request needs
 * nothing of the heap; a long one gets pieces of it, which go with the request. */
#include "http/message.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <crank/error.h>
#include <crank/task.h>

#include "http/memory.h"
#include "http/target.h"

/* ---- Memory ---- */

typedef struct cr_http_piece {
    struct cr_http_piece *next;
    max_align_t bytes[];
} cr_http_piece;

_Static_assert(sizeof(cr_http_message) <= CR_HTTP_BLOCK - 1024, "a head of 1 KiB fits the block");

cr_http_message *cr_http_message_new(cr_http_connection *connection)
{
    cr_http_server *server = connection->server;
    cr_http_message *m = server->pool;
    if (m) {
        server->pool = m->next_free;
        server->pooled--;
    } else {
        m = crank_alloc(CR_HTTP_BLOCK);
    }
    if (!m)
        return NULL;
    memset(m, 0, offsetof(cr_http_message, fields));
    m->connection = connection;
    m->room = (char *)m + sizeof *m;
    m->room_left = CR_HTTP_BLOCK - sizeof *m;
    m->set_end = &m->set;
    m->length = -1;
    m->head.fields = m->fields;
    m->head.fields_max = CR_HTTP_FIELDS_MAX;
    return m;
}

void cr_http_message_free(cr_http_message *message)
{
    cr_http_server *server = message->connection->server;
    for (cr_http_piece *piece = message->pieces, *next; piece; piece = next) {
        next = piece->next;
        crank_release(piece);
    }
    if (server->pooled >= CR_HTTP_POOL_MAX) {
        crank_release(message);
        return;
    }
    message->next_free = server->pool;
    server->pool = message;
    server->pooled++;
}

void cr_http_message_drain(cr_http_server *server)
{
    for (cr_http_message *m = server->pool, *next; m; m = next) {
        next = m->next_free;
        crank_release(m);
    }
    server->pool = NULL;
    server->pooled = 0;
}

void *cr_http_message_alloc(cr_http_message *message, size_t size)
{
    const size_t unit = _Alignof(max_align_t);
    size = (size + unit - 1) / unit * unit;
    size_t skew = (uintptr_t)message->room % unit;
    if (skew > 0 && message->room_left >= unit - skew) {
        message->room += unit - skew;
        message->room_left -= unit - skew;
    }
    if (size <= message->room_left) {
        void *memory = message->room;
        message->room += size;
        message->room_left -= size;
        return memory;
    }
    cr_http_piece *piece = crank_alloc(sizeof *piece + size);
    if (!piece) {
        (void)crank_fail(ENOMEM, "out of memory for a request");
        return NULL;
    }
    piece->next = message->pieces;
    message->pieces = piece;
    return piece->bytes;
}

char *cr_http_message_copy(cr_http_message *message, const char *text, size_t size)
{
    char *copy = cr_http_message_alloc(message, size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/* ---- Reading the head ---- */

/* The path decoded, the query as sent. */
static cr_http_status read_resource(cr_http_message *m)
{
    const char *resource = m->head.resource;
    size_t size = strcspn(resource, "?");
    m->request.query = resource[size] == '?' ? resource + size + 1 : "";
    if (cr_http_target_count(m->request.query) > CR_HTTP_QUERY_MAX) {
        (void)crank_fail(EPROTO, "the query has more than %d pairs", CR_HTTP_QUERY_MAX);
        return 400;
    }
    char *path = cr_http_message_alloc(m, size + 2);
    if (!path)
        return 500;
    m->request.path = path;
    if (*resource == '*') {
        memcpy(path, "*", 2);
        return 0;
    }
    return cr_http_target_path(resource, size, path) < 0 ? 400 : 0;
}

/* As many entries as a query may have, in one field or several. */
static cr_http_status count_cookies(const cr_http_message *m)
{
    size_t n = 0, from = 0;
    const char *value;
    while ((value = cr_http_head_next(m->fields, m->head.count, "Cookie", &from)))
        for (n++; (value = strchr(value, ';')); value++)
            n++;
    if (n <= CR_HTTP_COOKIES_MAX)
        return 0;
    (void)crank_fail(EPROTO, "there are more than %d cookies", CR_HTTP_COOKIES_MAX);
    return 400;
}

cr_http_status cr_http_message_read_host(cr_http_message *m)
{
    m->request.host = "";
    if (m->head.host_size == 0)
        return 0;
    char *host = cr_http_message_copy(m, m->head.host, m->head.host_size);
    if (!host)
        return 500;
    for (char *c = host; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    m->request.host = host;
    return 0;
}

/* What refused requests have of it too, for the log. */
static void fill_basics(cr_http_message *m)
{
    crank_http_request *r = &m->request;
    r->method = m->head.method ? m->head.method : "-";
    r->target = m->head.target ? m->head.target : "-";
    r->path = r->query = r->host = "";
    r->peer = m->connection->peer;
    r->version = m->head.version ? m->head.version : 11;
    r->secure = m->connection->secure;
    r->size = m->head.chunked ? -1 : m->head.length > 0 ? m->head.length : 0;
}

void cr_http_message_clear(cr_http_message *message)
{
    message->received_at = crank_time();
    message->head.method = message->head.target = NULL;
    message->head.version = 11;
    message->body.over = true;
    fill_basics(message);
}

cr_http_status cr_http_message_read(cr_http_message *message, const char *bytes, size_t size)
{
    cr_http_status status = 0;
    char *text = cr_http_message_copy(message, bytes, size);
    if (!text)
        return 500;
    int err = cr_http_head_parse_request(&message->head, text, size, &status);
    fill_basics(message);
    message->request.path = message->request.target;
    if (err < 0)
        return status;
    status = read_resource(message);
    if (status == 0)
        status = count_cookies(message);
    if (status == 0)
        status = cr_http_message_read_host(message);
    if (status == 0)
        cr_http_body_begin(&message->body, &message->head, false);
    return status;
}

/* ---- What handlers ask ---- */

static size_t join(char *to, const cr_http_message *m, const char *name)
{
    size_t from = 0, size = 0;
    const char *value;
    while ((value = cr_http_head_next(m->fields, m->head.count, name, &from))) {
        size_t length = strlen(value);
        if (size > 0 && to)
            memcpy(to + size, ", ", 2);
        size += size > 0 ? 2 : 0;
        if (to)
            memcpy(to + size, value, length);
        size += length;
    }
    return size;
}

const char *crank_http_request_header_(crank_http_request *request, const char *name)
{
    cr_http_message *m = cr_http_message_of(request);
    size_t from = 0;
    const char *value = cr_http_head_next(m->fields, m->head.count, name, &from);
    if (!value || !cr_http_head_next(m->fields, m->head.count, name, &from))
        return value;
    size_t size = join(NULL, m, name);
    char *joined = cr_http_message_alloc(m, size + 1);
    if (!joined)
        return NULL;
    join(joined, m, name);
    joined[size] = '\0';
    return joined;
}

size_t crank_http_request_fields_(
    const crank_http_request *request, crank_http_field *ret_fields, size_t max)
{
    const cr_http_message *m = cr_http_message_of(request);
    size_t n = m->head.count < max ? m->head.count : max;
    if (n > 0)
        memcpy(ret_fields, m->fields, n * sizeof *ret_fields);
    return m->head.count;
}

const char *cr_http_message_pair(cr_http_message *message, const char *pairs, const char *name)
{
    size_t size;
    const char *value = cr_http_target_find(pairs, name, &size);
    if (!value)
        return NULL;
    char *text = cr_http_message_alloc(message, size + 1);
    if (text)
        cr_http_target_decode(value, size, text);
    return text;
}

const char *crank_http_query(crank_http_request *request, const char *name)
{
    return cr_http_message_pair(cr_http_message_of(request), request->query, name);
}

/* ---- Matching ---- */

/* The parts that the stars stand for are noted. */
static bool matches(cr_http_message *m, const char *pattern)
{
    const char *path = m->request.path;
    m->part_count = 0;
    while (*pattern) {
        if (*pattern != '*') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        bool rest = pattern[1] == '*';
        size_t size = rest ? strlen(path) : strcspn(path, "/");
        if ((size == 0 && !rest) || m->part_count == CR_HTTP_PARTS_MAX)
            return false;
        m->parts[m->part_count].at = path;
        m->parts[m->part_count++].size = size;
        path += size;
        pattern += rest ? 2 : 1;
    }
    return *path == '\0';
}

/* "GET, HEAD, POST". Where memory is short the answer has no Allow. */
static void note_allowed(cr_http_message *m, const char *method)
{
    if (m->allow && cr_http_head_has_word(m->allow, method))
        return;
    const char *also = strcmp(method, "GET") == 0 ? ", HEAD" : "";
    size_t before = m->allow ? strlen(m->allow) : 0;
    size_t length = strlen(method), after = strlen(also);
    char *allow = cr_http_message_alloc(m, before + length + after + 3);
    if (!allow)
        return;
    char *to = allow;
    if (before > 0) {
        memcpy(to, m->allow, before);
        memcpy(to + before, ", ", 2);
        to += before + 2;
    }
    memcpy(to, method, length);
    memcpy(to + length, also, after + 1);
    m->allow = allow;
}

bool crank_http_is(crank_http_request *request, const char *method, const char *pattern)
{
    cr_http_message *m = cr_http_message_of(request);
    if (!matches(m, pattern)) {
        m->part_count = 0;
        return false;
    }
    if (strcmp(request->method, method) == 0 ||
        (strcmp(method, "GET") == 0 && strcmp(request->method, "HEAD") == 0))
        return true;
    note_allowed(m, method);
    m->part_count = 0;
    return false;
}

const char *crank_http_part(crank_http_request *request, size_t i)
{
    cr_http_message *m = cr_http_message_of(request);
    if (i >= m->part_count)
        return "";
    const char *part = cr_http_message_copy(m, m->parts[i].at, m->parts[i].size);
    return part ? part : "";
}
