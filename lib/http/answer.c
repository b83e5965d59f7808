/* SPDX-License-Identifier: MIT */
/* answer.c: answers: their heads, whole ones, and those that go on.
 *
 * Owns what of an answer has been written. A whole answer is one write. An answer closes the
 * connection where the client wants that, the server is being stopped, or the body that the handler
 * has not read is too long to be dropped; to a client that waits for leave to send one, no leave is
 * given behind the answer, so that connection is closed too.
 *
 * Invariant: once an answer has begun nothing else is written as a head; an answer whose framing is
 * not complete never ends in order: the connection is reset. */
#include "http/answer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <crank/error.h>
#include <crank/layer.h>
#include <crank/task.h>

#include "http/date.h"
#include "http/fields.h"
#include "http/message.h"
#include "http/pace.h"

/* ---- The head ---- */

const char *cr_http_answer_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 417, "Expectation Failed" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 426, "Upgrade Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < CRANK_COUNT(known); i++)
        if (known[i].status == status)
            return known[i].reason;
    return "Other";
}

/* The clock on the wall is asked once a second: the loop's own costs nothing. */
static const char *date_of(cr_http_server *server)
{
    double now = crank_time();
    if (now < server->date_until)
        return server->date;
    double wall = crank_wall_time();
    time_t seconds = (time_t)wall;
    cr_http_date_format(seconds, server->date);
    server->date_until = now + 1 - (wall - (double)seconds);
    return server->date;
}

/* Text that is gathered in a buffer which is large enough for what any head has: 200 bytes and a
 * type. It is no larger, for a connection's stack keeps the page that it has once reached into. */
enum { HEAD_ROOM = 512, TYPE_MAX = 256 };
typedef struct gathering {
    char text[HEAD_ROOM];
    size_t size;
} gathering;

static void put_bytes(gathering *g, const char *bytes, size_t size)
{
    if (size > sizeof g->text - g->size)
        return;
    memcpy(g->text + g->size, bytes, size);
    g->size += size;
}
static void put(gathering *g, const char *text) { put_bytes(g, text, strlen(text)); }
#define PUT_LITERAL(g, literal) put_bytes((g), (literal), sizeof(literal) - 1)

static void put_number(gathering *g, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_bytes(g, digits + at, sizeof digits - at);
}

/* Will the next request be read from this connection? */
static bool stays_open(const cr_http_message *m)
{
    const cr_http_body *body = &m->body;
    const cr_http_connection *c = m->connection;
    if (!m->head.persists || c->closes || c->server->stopping || m->framing == CR_HTTP_TO_END)
        return false;
    if (body->over)
        return true;
    if (body->error < 0 || (m->head.expects && !m->asked))
        return false;
    return body->framing != CR_HTTP_BY_LENGTH || body->left <= CR_HTTP_UNREAD_MAX;
}

static void put_framing(gathering *g, const cr_http_message *m)
{
    if (m->framing == CR_HTTP_BY_LENGTH) {
        PUT_LITERAL(g, "Content-Length: ");
        put_number(g, m->left);
        PUT_LITERAL(g, "\r\n");
    } else if (m->framing == CR_HTTP_IN_CHUNKS) {
        PUT_LITERAL(g, "Transfer-Encoding: chunked\r\n");
    }
}

/* All but the fields that the handler has set, and the empty line. */
static void put_head(gathering *g, cr_http_message *m, const char *type)
{
    PUT_LITERAL(g, "HTTP/1.1 ");
    put_number(g, (uint64_t)m->status);
    PUT_LITERAL(g, " ");
    put(g, cr_http_answer_reason(m->status));
    PUT_LITERAL(g, "\r\n");
    if (!m->has_date) {
        PUT_LITERAL(g, "Date: ");
        put(g, date_of(m->connection->server));
        PUT_LITERAL(g, "\r\n");
    }
    if (type && !m->has_type) {
        PUT_LITERAL(g, "Content-Type: ");
        put(g, type);
        PUT_LITERAL(g, "\r\n");
    }
    put_framing(g, m);
    if (!m->has_nosniff)
        PUT_LITERAL(g, "X-Content-Type-Options: nosniff\r\n");
    if (m->status == 426)
        PUT_LITERAL(g, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    if (m->connection->closes)
        PUT_LITERAL(g, "Connection: close\r\n");
    else if (m->request.version == 10)
        PUT_LITERAL(g, "Connection: keep-alive\r\n");
}

/* The fields that the handler has set, as text. NULL: out of memory. */
static const char *set_text(cr_http_message *m, size_t *ret_size)
{
    size_t size = 0;
    for (const cr_http_set_field *f = m->set; f; f = f->next)
        size += strlen(f->name) + strlen(f->value) + 4;
    *ret_size = size;
    char *text = size > 0 ? cr_http_message_alloc(m, size + 1) : NULL, *to = text;
    if (size == 0)
        return "";
    for (const cr_http_set_field *f = m->set; f && text; f = f->next)
        to += snprintf(to, size + 1 - (size_t)(to - text), "%s: %s\r\n", f->name, f->value);
    return text;
}

static int check_unanswered(cr_http_message *m)
{
    int err = m->state == CR_HTTP_UNANSWERED ? 0 : cr_http_pace_check(m->connection);
    if (err == 0 && m->state != CR_HTTP_UNANSWERED)
        err = crank_fail(
            EALREADY, "%s %s has been answered already", m->request.method, m->request.path);
    return err;
}

/* What decides the head: which framing, and whether the connection is used again. */
static int choose(cr_http_message *m, int status, const char *type)
{
    int err = check_unanswered(m);
    if (err < 0)
        return err;
    if (status < 200 || status > 599)
        return crank_fail(EINVAL, "%d is no status of an answer: they are 200 to 599", status);
    if (type && (strlen(type) > TYPE_MAX || !cr_http_fields_is_value(type)))
        return crank_fail(EINVAL, "the type of an answer is too long or has a control character");
    m->status = status;
    m->bodiless = status == 204 || status == 304 || strcmp(m->request.method, "HEAD") == 0;
    return 0;
}

/* The head and a first piece of the body, in one write. */
static int write_head(
    cr_http_message *m, const char *type, cr_http_answer_state state, const struct iovec *body)
{
    gathering g;
    size_t size;
    const char *set = set_text(m, &size);
    if (!set)
        return -ENOMEM;
    if (!stays_open(m))
        m->connection->closes = true;
    g.size = 0;
    put_head(&g, m, type);
    const struct iovec pieces[] = {
        { .iov_base = g.text, .iov_len = g.size },
        { .iov_base = (void *)(uintptr_t)set, .iov_len = size },
        { .iov_base = (void *)(uintptr_t) "\r\n", .iov_len = 2 },
        *body,
    };
    m->state = state;
    int err = cr_http_pace_write(m->connection, &m->leaving, pieces, body->iov_len > 0 ? 4 : 3);
    if (err < 0)
        m->broken = m->is_peers = true;
    return err;
}

int cr_http_answer_switch(cr_http_message *message, const char *fields)
{
    static const char line[] = "HTTP/1.1 101 Switching Protocols\r\n";
    cr_http_message *m = message;
    size_t size;
    int err = check_unanswered(m);
    const char *set = err < 0 ? NULL : set_text(m, &size);
    if (!set)
        return err < 0 ? err : -ENOMEM;
    const struct iovec pieces[] = {
        { .iov_base = (void *)(uintptr_t)line, .iov_len = sizeof line - 1 },
        { .iov_base = (void *)(uintptr_t)fields, .iov_len = strlen(fields) },
        { .iov_base = (void *)(uintptr_t)set, .iov_len = size },
        { .iov_base = (void *)(uintptr_t) "\r\n", .iov_len = 2 },
    };
    m->status = 101;
    m->state = CR_HTTP_SOCKET;
    m->connection->closes = true;
    err = cr_http_pace_write(m->connection, &m->leaving, pieces, 4);
    if (err < 0)
        m->broken = m->is_peers = true;
    return err;
}

/* ---- Whole answers ---- */

int crank_http_respond(
    crank_http_request *request, int status, const char *type, const void *body, size_t size)
{
    cr_http_message *m = cr_http_message_of(request);
    int err = choose(m, status, type);
    if (err < 0)
        return err;
    m->framing = status == 204 || status == 304 ? CR_HTTP_NO_BODY : CR_HTTP_BY_LENGTH;
    m->left = size;
    if (m->bodiless && m->length >= 0)
        m->left = (uint64_t)m->length;
    const struct iovec piece = { .iov_base = (void *)(uintptr_t)body,
        .iov_len = m->bodiless ? 0 : size };
    err = write_head(m, type, CR_HTTP_WHOLE, &piece);
    m->written = piece.iov_len;
    return err;
}

/* Into the request's memory: what a connection's stack has once reached into it keeps. */
int crank_http_print(
    crank_http_request *request, int status, const char *type, const char *format, ...)
{
    cr_http_message *m = cr_http_message_of(request);
    size_t room = m->room_left;
    char *text = m->room;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, room, format, args);
    va_end(args);
    if (length < 0)
        return crank_fail(EINVAL, "crank_http_print: the format cannot be followed");
    if ((size_t)length < room) {
        m->room += length;
        m->room_left -= (size_t)length;
        return crank_http_respond(request, status, type, text, (size_t)length);
    }
    text = cr_http_message_alloc(m, (size_t)length + 1);
    if (!text)
        return -ENOMEM;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return crank_http_respond(request, status, type, text, (size_t)length);
}

static bool is_redirect(int status)
{
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

int crank_http_redirect(crank_http_request *request, int status, const char *location)
{
    if (!is_redirect(status))
        return crank_fail(EINVAL, "%d is no redirection: 301, 302, 303, 307 and 308 are", status);
    if (location[0] == '/' && (location[1] == '/' || location[1] == '\\'))
        return crank_fail(EINVAL, "the location \"%s\" leads to another host", location);
    int err = crank_http_set(request, "Location", location);
    return err < 0 ? err : crank_http_respond(request, status, NULL, NULL, 0);
}

int cr_http_answer_refuse(cr_http_message *message, int status)
{
    const char *reason = cr_http_answer_reason(status);
    message->set = NULL;
    message->set_end = &message->set;
    message->has_type = message->has_date = message->has_nosniff = false;
    message->length = -1;
    if (status == 405 && message->allow)
        (void)crank_http_set(&message->request, "Allow", message->allow);
    return crank_http_print(&message->request, status, "text/plain", "%s\n", reason);
}

/* ---- Answers that go on ---- */

int cr_http_answer_begin(
    cr_http_message *message, int status, const char *type, cr_http_answer_state state)
{
    static const struct iovec nothing = { .iov_len = 0 };
    int err = choose(message, status, type);
    if (err < 0)
        return err;
    if (message->length >= 0)
        message->framing = CR_HTTP_BY_LENGTH;
    else if (status == 204 || status == 304)
        message->framing = CR_HTTP_NO_BODY;
    else
        message->framing = message->request.version == 11 ? CR_HTTP_IN_CHUNKS : CR_HTTP_TO_END;
    message->left = message->length >= 0 ? (uint64_t)message->length : 0;
    return write_head(message, type, state, &nothing);
}

/* The line before a chunk: how long it is. */
enum { CHUNK_LINE = 24 };
static size_t chunk_line(char line[CHUNK_LINE], size_t size)
{
    return (size_t)snprintf(line, CHUNK_LINE, "%zx\r\n", size);
}

static int write_chunk(cr_http_message *m, const void *bytes, size_t size)
{
    char line[CHUNK_LINE];
    const struct iovec pieces[] = {
        { .iov_base = line, .iov_len = chunk_line(line, size) },
        { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size },
        { .iov_base = (void *)(uintptr_t) "\r\n", .iov_len = 2 },
    };
    return cr_http_pace_write(m->connection, &m->leaving, pieces, 3);
}

static int write_plain(cr_http_message *m, const void *bytes, size_t size)
{
    const struct iovec piece = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
    return cr_http_pace_write(m->connection, &m->leaving, &piece, 1);
}

static int too_long(const cr_http_message *m)
{
    return crank_fail(EMSGSIZE, "the answer to %s %s is longer than its Content-Length",
        m->request.method, m->request.path);
}

/* Count a piece of the body. */
static int count_piece(cr_http_message *m, size_t size)
{
    bool counts = m->framing == CR_HTTP_BY_LENGTH;
    if (counts && size > m->left) {
        m->broken = m->is_too_long = true;
        return too_long(m);
    }
    if (counts)
        m->left -= size;
    m->written += size;
    return 0;
}

/* What a piece was written with: that the peer has gone is no failure of the handler's. */
static int note_written(cr_http_message *m, int err)
{
    if (err < 0)
        m->broken = m->is_peers = true;
    return err;
}

int cr_http_answer_write(cr_http_message *message, const void *bytes, size_t size)
{
    int err = count_piece(message, size);
    if (err < 0 || message->bodiless || size == 0)
        return err;
    message->is_writing = true;
    err = message->framing == CR_HTTP_IN_CHUNKS ? write_chunk(message, bytes, size)
                                                : write_plain(message, bytes, size);
    message->is_writing = false;
    return note_written(message, err);
}

/* Of a file or of the connection? The connection's own failures are the peer's doing. */
static bool is_of_peer(int err)
{
    return err == -EPIPE || err == -ECONNRESET || err == -ECONNABORTED || err == -ETIMEDOUT;
}

int cr_http_answer_shorter(const cr_http_message *message)
{
    return crank_fail(
        ENODATA, "the file of %s became shorter while it was sent", message->request.path);
}

int cr_http_answer_copy(cr_http_message *message, crank_stream *file)
{
    int64_t copied;
    message->is_writing = true;
    int err = cr_http_pace_copy(message, file, (int64_t)message->left, &copied);
    message->is_writing = false;
    message->left -= (uint64_t)copied;
    message->written += (uint64_t)copied;
    if (err == 0 && message->left > 0)
        err = cr_http_answer_shorter(message);
    if (err < 0)
        message->broken = true;
    message->is_peers |= is_of_peer(err);
    return err;
}

static int put_piece(cr_http_message *m, const void *bytes, size_t size)
{
    m->pacing.put += size;
    return crank_write_now(m->connection->stream, bytes, size);
}

static int put_chunk(cr_http_message *m, const void *bytes, size_t size)
{
    char line[CHUNK_LINE];
    int err = put_piece(m, line, chunk_line(line, size));
    if (err == 0)
        err = put_piece(m, bytes, size);
    return err < 0 ? err : put_piece(m, "\r\n", 2);
}

int cr_http_answer_put(cr_http_message *message, const void *bytes, size_t size)
{
    int err = count_piece(message, size);
    if (err < 0 || message->bodiless || size == 0)
        return err;
    err = message->framing == CR_HTTP_IN_CHUNKS ? put_chunk(message, bytes, size)
                                                : put_piece(message, bytes, size);
    return note_written(message, err);
}

int cr_http_answer_end(cr_http_message *message)
{
    if (message->bodiless)
        return 0;
    if (message->is_too_long)
        return too_long(message);
    if (message->framing == CR_HTTP_IN_CHUNKS)
        return write_plain(message, "0\r\n\r\n", 5);
    if (message->framing != CR_HTTP_BY_LENGTH || message->left == 0)
        return 0;
    message->broken = true;
    return crank_fail(ENODATA, "the answer to %s %s ended %llu bytes before its Content-Length",
        message->request.method, message->request.path, (unsigned long long)message->left);
}

size_t crank_http_escape(char *buf, size_t size, const char *text)
{
    size_t length = 0, end = 0;
    for (; *text; text++) {
        const char *as = *text == '&'    ? "&amp;"
                         : *text == '<'  ? "&lt;"
                         : *text == '>'  ? "&gt;"
                         : *text == '"'  ? "&quot;"
                         : *text == '\'' ? "&#39;"
                                         : NULL;
        size_t n = as ? strlen(as) : 1;
        /* Nothing follows what was cut. */
        if (end == length && length + n < size) {
            memcpy(buf + end, as ? as : text, n);
            end += n;
        }
        length += n;
    }
    if (size > 0)
        buf[end] = '\0';
    return length;
}
