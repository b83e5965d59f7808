/* SPDX-License-Identifier: MIT */
/* request.c: what the client sends.
 *
 * Owns the task that sends a large body: it runs beside the one that reads the answer, so a server
 * may answer before it has read all. It reads .from and writes the connection; it reports nothing:
 * why .from failed is left in the transfer, and the connection is aborted, which ends the reader's
 * wait. What a broken connection has to say the reader hears. */
#include "http/client/transfer.h"

#include <crank/error.h>
#include <crank/scope.h>
#include <crank/task.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/memory.h"

/* Up to so many bytes a write never waits; a body beyond them is sent in pieces of this size. */
enum { SMALL = 32 * 1024 };

/* ---- Checking ---- */

static size_t token_of(const char *text)
{
    size_t size = 0;
    while (text[size] && cr_http_head_is_token((unsigned char)text[size]))
        size++;
    return size;
}

static bool is_text(const char *text)
{
    while (*text && cr_http_head_is_text((unsigned char)*text))
        text++;
    return *text == '\0';
}

static bool is_named(const char *header, const char *name)
{
    size_t size = strlen(name);
    return strncasecmp(header, name, size) == 0 && header[size] == ':';
}

static int check_header(const char *header)
{
    size_t size = token_of(header);
    if (size == 0 || header[size] != ':')
        return crank_fail(
            EINVAL, "bad header \"%.*s\": it is to be \"name: value\"", (int)size, header);
    if (!is_text(header + size))
        return crank_fail(
            EINVAL, "bad header \"%.*s\": its value has a control byte", (int)size, header);
    if (is_named(header, "content-length") || is_named(header, "transfer-encoding"))
        return crank_fail(EINVAL, "header \"%.*s\" is the call's own to set", (int)size, header);
    return 0;
}

int cr_http_request_check(const crank_http_call *call)
{
    const char *method = call->method ? call->method : "GET";
    size_t size = token_of(method);
    if (size == 0 || size > CR_HTTP_METHOD_MAX || method[size] != '\0')
        return crank_fail(EINVAL, "bad method \"%.*s\": it is to be a word of at most %d bytes",
            (int)size, method, CR_HTTP_METHOD_MAX);
    if (strcmp(method, "CONNECT") == 0)
        return crank_fail(EINVAL, "CONNECT is for proxies: no URL is retrieved by it");
    if (call->type && !is_text(call->type))
        return crank_fail(EINVAL, "the type of the body has a control byte");
    if (call->from && (call->body || call->size > 0))
        return crank_fail(EINVAL, "the body is given twice: .body and .from");
    if (!(call->stall >= 0))
        return crank_fail(EINVAL, "stall is negative or no number");
    if (call->size > 0 && !call->body)
        return crank_fail(EINVAL, "the body of %zu bytes is NULL", call->size);
    for (const char *const *header = call->headers; header && *header; header++) {
        int err = check_header(*header);
        if (err < 0)
            return err;
    }
    return 0;
}

bool cr_http_request_is_idempotent(const cr_http_transfer *t)
{
    static const char *const methods[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE" };
    for (size_t i = 0; i < CRANK_COUNT(methods); i++)
        if (strcmp(t->method, methods[i]) == 0)
            return true;
    return false;
}

/* ---- The head ---- */

static char *put(char *to, const char *text)
{
    size_t size = strlen(text);
    memcpy(to, text, size);
    return to + size;
}

static bool has_header(const cr_http_transfer *t, const char *name)
{
    for (const char *const *header = t->call.headers; header && *header; header++)
        if (is_named(*header, name))
            return true;
    return false;
}

/* Credentials, and the name of the host, are for the origin for which the caller gave them; what is
 * said of a body goes with the body. */
static bool is_sent(const cr_http_transfer *t, const char *header)
{
    if (t->is_foreign && (is_named(header, "authorization") || is_named(header, "cookie") ||
                             is_named(header, "proxy-authorization") || is_named(header, "host")))
        return false;
    return t->has_body || strncasecmp(header, "content-", strlen("content-")) != 0;
}

static char *put_own_fields(const cr_http_transfer *t, char *to)
{
    bool wants_body = strcmp(t->method, "POST") == 0 || strcmp(t->method, "PUT") == 0 ||
                      strcmp(t->method, "PATCH") == 0;
    if (t->is_foreign || !has_header(t, "host")) {
        to = put(to, "host: ");
        memcpy(to, t->url.text + t->url.authority, t->url.target - t->url.authority);
        to = put(to + (t->url.target - t->url.authority), "\r\n");
    }
    if (!has_header(t, "user-agent"))
        to = put(to, "user-agent: crank/" CRANK_VERSION "\r\n");
    if (t->has_body && t->call.type)
        to = put(put(put(to, "content-type: "), t->call.type), "\r\n");
    if (t->has_body && t->call.from)
        to = put(to, "transfer-encoding: chunked\r\n");
    else if (t->has_body || wants_body)
        to += snprintf(to, 48, "content-length: %zu\r\n", t->has_body ? t->call.size : 0);
    return to;
}

/* To be freed; NULL: out of memory. */
static char *make_head(const cr_http_transfer *t, size_t *ret_size)
{
    enum { OWN = 256 }; /* the texts above, without what is the caller's */
    size_t room = OWN + strlen(t->method) + 2 * strlen(t->url.text);
    room += t->call.type ? strlen(t->call.type) : 0;
    for (const char *const *header = t->call.headers; header && *header; header++)
        room += strlen(*header) + 2;
    char *head = crank_alloc(room);
    if (!head)
        return NULL;
    char *to = put(put(put(head, t->method), " "), t->url.text + t->url.target);
    to = put_own_fields(t, put(to, " HTTP/1.1\r\n"));
    for (const char *const *header = t->call.headers; header && *header; header++)
        if (is_sent(t, *header))
            to = put(put(to, *header), "\r\n");
    to = put(to, "\r\n");
    *ret_size = (size_t)(to - head);
    return head;
}

/* ---- The body, in the child ---- */

static int send_piece(cr_http_transfer *t, const struct iovec *pieces, int n)
{
    int err = cr_http_link_arm(t);
    return err < 0 ? err : crank_write_vector(t->stream, pieces, n);
}

static int send_memory(cr_http_transfer *t)
{
    const char *bytes = t->call.body;
    int err = 0;
    for (size_t at = 0, size; err == 0 && at < t->call.size; at += size) {
        size = t->call.size - at < SMALL ? t->call.size - at : SMALL;
        struct iovec piece = { .iov_base = (void *)(uintptr_t)(bytes + at), .iov_len = size };
        err = send_piece(t, &piece, 1);
    }
    return err;
}

static int send_chunk(cr_http_transfer *t, const char *bytes, size_t size)
{
    char line[32];
    struct iovec pieces[] = {
        { .iov_base = line, .iov_len = (size_t)snprintf(line, sizeof line, "%zx\r\n", size) },
        { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size },
        { .iov_base = "\r\n", .iov_len = 2 },
    };
    return send_piece(t, pieces, CRANK_COUNT(pieces));
}

/* Why .from failed is the call's failure; the reader waits for an answer, and is woken. */
static void give_up(cr_http_transfer *t, int err)
{
    t->send_error = err;
    snprintf(t->send_message, sizeof t->send_message, "%s", crank_error());
    crank_abort(t->stream);
}

static int send_stream(cr_http_transfer *t)
{
    const char *bytes;
    for (;;) {
        ssize_t n = crank_peek(t->call.from, 1, &bytes);
        if (n < 0 && n != -ECANCELED)
            give_up(t, (int)n);
        if (n < 0)
            return (int)n;
        /* The last chunk has no bytes, and ends the body. */
        int err = n > 0 ? send_chunk(t, bytes, (size_t)n) : send_chunk(t, "", 0);
        if (err < 0 || n == 0)
            return err;
        crank_skip(t->call.from, (size_t)n);
    }
}

/* Nobody awaits a failure of it. */
static int send_body(cr_http_transfer *t)
{
    t->sent = (t->call.from ? send_stream(t) : send_memory(t)) == 0;
    return 0;
}

void cr_http_request_stop(cr_http_transfer *t)
{
    crank_task *sender = t->sender;
    t->sender = NULL;
    if (!sender)
        return;
    (void)crank_cancel(sender);
    (void)crank_shield(crank_await(sender));
}

/* ---- Both ---- */

static int write_request(cr_http_transfer *t, char *head, size_t size)
{
    bool beside = t->has_body && (t->call.from || t->call.size > SMALL);
    struct iovec pieces[] = {
        { .iov_base = head, .iov_len = size },
        { .iov_base = (void *)(uintptr_t)t->call.body,
            .iov_len = t->has_body && !beside ? t->call.size : 0 },
    };
    int err = send_piece(t, pieces, CRANK_COUNT(pieces));
    t->sent = err == 0 && !beside;
    if (err < 0 || !beside)
        return err;
    t->sender = crank_spawn_eager(send_body, t);
    if (!t->sender)
        return crank_fail(ENOMEM, "out of memory for the task that sends a body");
    crank_set_name(t->sender, "http body");
    return 0;
}

int cr_http_request_send(cr_http_transfer *t)
{
    size_t size;
    char *head = make_head(t, &size);
    if (!head)
        return crank_fail(ENOMEM, "out of memory for the head of a request");
    t->send_error = 0;
    int err = write_request(t, head, size);
    crank_release(head);
    return err;
}
