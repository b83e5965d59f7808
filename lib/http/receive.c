/* SPDX-License-Identifier: MIT */
/* receive.c: the body of a request, as its handler reads it.
 *
 * Owns what a failing body means to the client: the request remembers the status, so that a handler
 * need only return the failure. The same errno from an upstream of the handler's stays a failure of
 * the server. */
#include "http/receive.h"

#include <stdint.h>
#include <string.h>

#include <crank/error.h>
#include <crank/task.h>

#include "http/message.h"
#include "http/pace.h"

static const double rest_seconds = 2;
enum { DROP_AT_ONCE = 1024, FIRST_ROOM = 4096, ROOM_BELIEVED = 64 * 1024 };

static int ask(cr_http_message *m)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (m->asked)
        return 0;
    m->asked = true;
    if (!m->head.expects || m->body.over || m->state != CR_HTTP_UNANSWERED)
        return 0;
    const struct iovec piece = { .iov_base = (void *)(uintptr_t)text, .iov_len = sizeof text - 1 };
    return cr_http_pace_write(m->connection, &m->leaving, &piece, 1);
}

static int too_large(cr_http_message *m, int64_t limit)
{
    m->failed = 413;
    return crank_fail(EMSGSIZE, "the body of %s %s is longer than %lld bytes", m->request.method,
        m->request.path, (long long)limit);
}

static cr_http_status status_of(ssize_t err)
{
    switch (err) {
    case -EPROTO:
    case -ENODATA: return 400;
    case -ETIMEDOUT: return 408;
    case -EMSGSIZE: return 413;
    default: return 0;
    }
}

ssize_t cr_http_receive(cr_http_message *message, void *buf, size_t size)
{
    int64_t max = message->connection->server->options.body_max;
    ssize_t n = ask(message);
    if (n == 0)
        n = cr_http_pace_read(message->connection, message, buf, size);
    if (n > 0 && max >= 0 && message->body.taken > (uint64_t)max) {
        message->body.error = -EMSGSIZE;
        return too_large(message, max);
    }
    if (n < 0 && n != -ECANCELED) {
        message->failed = status_of(n);
        message->is_peers |= message->failed == 0;
    }
    return n;
}

/* A body of which the rest can be had for little time and few bytes. */
bool cr_http_receive_rest(cr_http_message *message)
{
    char dropped[DROP_AT_ONCE];
    cr_http_body *body = &message->body;
    uint64_t until = body->taken + CR_HTTP_UNREAD_MAX;
    double end = crank_time() + rest_seconds;
    ssize_t n = 0;
    cr_http_pace_limit(message->connection, rest_seconds);
    while (n >= 0 && !body->over && body->taken < until && crank_time() < end)
        n = cr_http_body_read(body, message->connection->stream, dropped, sizeof dropped);
    cr_http_pace_rest(message->connection);
    return n >= 0 && body->over;
}

/* ---- Whole bodies ---- */

/* Read to the end into memory that grows with what has come, not with what was announced: how many
 * bytes. */
static ssize_t read_whole(cr_http_message *m, size_t limit, char **ret_body)
{
    size_t size = 0, most = m->request.size >= 0 ? (size_t)m->request.size : SIZE_MAX / 4;
    size_t room = m->request.size < 0 ? FIRST_ROOM : most < ROOM_BELIEVED ? most : ROOM_BELIEVED;
    char *body = cr_http_message_alloc(m, room + 1);
    while (body) {
        ssize_t n = cr_http_receive(m, body + size, room - size);
        if (n < 0)
            return n;
        size += (size_t)n;
        if (size > limit)
            return too_large(m, (int64_t)limit);
        if (n == 0 || m->body.over) {
            body[size] = '\0';
            *ret_body = body;
            return (ssize_t)size;
        }
        if (size < room)
            continue;
        room = room < most / 2 ? 2 * room : most;
        char *larger = cr_http_message_alloc(m, room + 1);
        if (larger)
            memcpy(larger, body, size);
        body = larger;
    }
    return -ENOMEM;
}

ssize_t crank_http_read_body(crank_http_request *request, size_t limit, char **ret_body)
{
    cr_http_message *m = cr_http_message_of(request);
    int err = cr_http_pace_check(m->connection);
    if (err < 0)
        return err;
    if (m->body_stream || m->body.taken > 0)
        return crank_fail(
            EALREADY, "the body of %s %s is being read already", request->method, request->path);
    if (request->size > 0 && (uint64_t)request->size > limit)
        return too_large(m, (int64_t)limit);
    return read_whole(m, limit, ret_body);
}
