/* SPDX-License-Identifier: MIT */
/* connect.c: a WebSocket that a client asks for (RFC 6455, 4.1).
 *
 * Owns the connection until the server has shown that it has read the request: by the answer to the
 * request's key. What it has not been asked for, an extension or a protocol, it may not answer. The
 * bytes behind the answer's head are the socket's. */
#include "http/websocket/socket.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <crank/error.h>
#include <crank/layer.h>
#include <crank/net.h>
#include <crank/task.h>

#include "http/client/pool.h"
#include "http/client/transfer.h"
#include "http/secure.h"
#include "http/websocket/key.h"

enum {
    HEAD_MAX = CR_HTTP_RESPONSE_HEAD_MAX,
    FIELDS_MAX = CR_HTTP_RESPONSE_FIELDS_MAX,
    INTERIM_MAX = 20 /* answers 1xx before the answer */
};
static const double stall_seconds = 60;

typedef struct joining {
    crank_websocket *socket;
    const crank_websocket_options *options;
    cr_http_url url;
    char key[CR_HTTP_KEY_SIZE];
    char *text; /* of the answer's head */
    cr_http_head head;
} joining;

/* ---- The request ---- */

static bool is_named(const char *header, const char *name)
{
    return strncasecmp(header, name, strlen(name)) == 0;
}

/* Also what crank_http_fetch checks. */
static int check_headers(const char *const *headers)
{
    const crank_http_call call = { .headers = headers };
    for (const char *const *header = headers; header && *header; header++)
        if (is_named(*header, "sec-websocket-") || is_named(*header, "upgrade:") ||
            is_named(*header, "connection:") || is_named(*header, "host:"))
            return crank_fail(EINVAL, "header \"%.*s\" is the handshake's own to set",
                (int)strcspn(*header, ":"), *header);
    return cr_http_request_check(&call);
}

/* A list of words between blanks as one between commas; what cannot stand in a field is refused. */
static int check_protocols(const char *protocols)
{
    for (const char *at = protocols; at && *at; at++)
        if (*at != ' ' && !cr_http_head_is_token((unsigned char)*at))
            return crank_fail(
                EINVAL, "the protocols \"%.100s\" are no words between blanks", protocols);
    return 0;
}

static char *put(char *to, const char *text)
{
    size_t size = strlen(text);
    memcpy(to, text, size);
    return to + size;
}

static char *put_protocols(char *to, const char *protocols)
{
    bool first = true;
    for (const char *at = protocols; at && *at;) {
        at += strspn(at, " ");
        size_t length = strcspn(at, " ");
        if (length > 0) {
            to = put(to, first ? "sec-websocket-protocol: " : ", ");
            memcpy(to, at, length);
            to += length;
            first = false;
        }
        at += length;
    }
    return first ? to : put(to, "\r\n");
}

/* To be freed; NULL: out of memory. */
static char *make_request(const joining *j, size_t *ret_size)
{
    enum { OWN = 256 }; /* the texts below, without what is the caller's */
    const char *protocols = j->options->protocols;
    size_t room = OWN + 2 * strlen(j->url.text) + (protocols ? 2 * strlen(protocols) : 0);
    for (const char *const *header = j->options->headers; header && *header; header++)
        room += strlen(*header) + 2;
    char *head = crank_alloc(room);
    if (!head)
        return NULL;
    char *to = put(put(put(head, "GET "), j->url.text + j->url.target), " HTTP/1.1\r\nhost: ");
    memcpy(to, j->url.text + j->url.authority, j->url.target - j->url.authority);
    to = put(to + (j->url.target - j->url.authority), "\r\nupgrade: websocket\r\n"
                                                      "connection: upgrade\r\n"
                                                      "sec-websocket-version: 13\r\n"
                                                      "sec-websocket-key: ");
    to = put_protocols(put(put(to, j->key), "\r\n"), protocols);
    for (const char *const *header = j->options->headers; header && *header; header++)
        to = put(put(to, *header), "\r\n");
    to = put(to, "\r\n");
    *ret_size = (size_t)(to - head);
    return head;
}

static int send_request(joining *j)
{
    size_t size;
    cr_http_key_make(j->key);
    char *head = make_request(j, &size);
    if (!head)
        return crank_fail(ENOMEM, "out of memory for the handshake of a WebSocket");
    int err = crank_write(j->socket->stream, head, size);
    crank_release(head);
    return err;
}

/* ---- The answer ---- */

static int blame(const joining *j, int err, const char *why)
{
    return crank_fail(err, "the answer of %.200s: %s", j->url.address, why);
}

/* What the reading of a head has failed with, in words of the call. */
static int failed(const joining *j, int err)
{
    char why[CR_HTTP_MESSAGE_MAX];
    if (err == -ECANCELED)
        return err;
    if (err == -ETIMEDOUT)
        return crank_fail(err, "no answer from %.200s in %g s", j->url.address, stall_seconds);
    snprintf(why, sizeof why, "%s", crank_error());
    return blame(j, err, why);
}

static int parse(joining *j, size_t size)
{
    size_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += j->text[i] == '\n';
    crank_release(j->head.fields);
    j->head = (cr_http_head){ .fields_max = lines < FIELDS_MAX ? lines : FIELDS_MAX };
    j->head.fields = crank_alloc(j->head.fields_max * sizeof *j->head.fields);
    if (!j->head.fields)
        return crank_fail(ENOMEM, "out of memory for the head of an answer");
    int err = cr_http_head_parse_response(&j->head, j->text, size);
    return err < 0 ? failed(j, err) : 0;
}

static int read_one_head(joining *j)
{
    static const cr_http_head_limits limits = {
        .size = HEAD_MAX, .line = HEAD_MAX, .lenient = true
    };
    const char *bytes;
    cr_http_status unused;
    crank_stream *stream = j->socket->stream;
    ssize_t n = cr_http_head_await(stream, &limits, &bytes, &unused);
    if (n < 0)
        return failed(j, (int)n);
    if (n == 0)
        return crank_fail(ENODATA, "%.200s ended the connection before its answer", j->url.address);
    crank_release(j->text);
    j->text = crank_alloc((size_t)n + 1);
    if (!j->text)
        return crank_fail(ENOMEM, "out of memory for the head of an answer");
    memcpy(j->text, bytes, (size_t)n);
    j->text[n] = '\0';
    crank_skip(stream, (size_t)n);
    return parse(j, (size_t)n);
}

static const char *field(const joining *j, const char *name)
{
    size_t from = 0;
    return cr_http_head_next(j->head.fields, j->head.count, name, &from);
}

static bool has_asked_for(const joining *j, const char *protocol)
{
    size_t size = strlen(protocol);
    for (const char *at = j->options->protocols; at && *at;) {
        at += strspn(at, " ");
        size_t length = strcspn(at, " ");
        if (length == size && size > 0 && memcmp(at, protocol, size) == 0)
            return true;
        at += length;
    }
    return false;
}

static int check_answer(joining *j)
{
    char expected[CR_HTTP_KEY_ANSWER];
    const char *upgrade = field(j, "upgrade"), *answer = field(j, "sec-websocket-accept");
    const char *protocol = field(j, "sec-websocket-protocol");
    if (j->head.status != 101)
        return crank_fail(
            EREMOTEIO, "GET %.300s: %d %.100s", j->url.text, j->head.status, j->head.reason);
    cr_http_key_answer(j->key, expected);
    if (!upgrade || strcasecmp(upgrade, "websocket") != 0 || !j->head.upgrades)
        return blame(j, -EPROTO, "101, and no upgrade to a WebSocket");
    if (!answer || strcmp(answer, expected) != 0)
        return blame(j, -EPROTO, "Sec-WebSocket-Accept does not fit the key that was sent");
    if (field(j, "sec-websocket-extensions"))
        return blame(j, -EPROTO, "an extension that was not asked for");
    if (protocol && !has_asked_for(j, protocol))
        return blame(j, -EPROTO, "a protocol that was not asked for");
    return 0;
}

/* It lies in the head's text, which is given up. */
static int keep_protocol(joining *j)
{
    const char *protocol = field(j, "sec-websocket-protocol");
    if (!protocol)
        return 0;
    size_t size = strlen(protocol) + 1;
    char *copy = crank_alloc(size);
    if (!copy)
        return crank_fail(ENOMEM, "out of memory for the protocol of a WebSocket");
    memcpy(copy, protocol, size);
    j->socket->protocol = j->socket->own_protocol = copy;
    return 0;
}

static int read_answer(joining *j)
{
    int err = read_one_head(j);
    for (int i = 0; err == 0 && j->head.status < 200 && j->head.status != 101; i++)
        err = i < INTERIM_MAX ? read_one_head(j) : blame(j, -EPROTO, "too many times 1xx");
    if (err == 0)
        err = check_answer(j);
    return err < 0 ? err : keep_protocol(j);
}

/* ---- Connecting ---- */

static int join(joining *j, const char *url)
{
    crank_websocket *w = j->socket;
    int err = check_headers(j->options->headers);
    if (err == 0)
        err = check_protocols(j->options->protocols);
    if (err == 0)
        err = cr_http_url_parse_socket(url, &j->url);
    if (err < 0)
        return err;
    w->stream = crank_connect(j->url.address);
    if (!w->stream)
        return -errno;
    if (j->url.secure)
        err = cr_http_secure_connect(j->options->tls, &w->stream, j->url.address);
    if (err == 0)
        err = crank_stream_limit(w->stream, crank_time() + stall_seconds);
    if (err == 0)
        err = send_request(j);
    if (err == 0)
        err = read_answer(j);
    if (err == 0)
        err = crank_stream_limit(w->stream, crank_time() + CR_HTTP_SOCKET_FAR);
    return err;
}

/* For a limit of time, which else says of itself alone. What a call further in has said stays, and
 * the reason of a request to cancel. */
static void say_cut(const joining *j)
{
    const crank_failure *said = crank_last_failure();
    if (!said || said->error != -ECANCELED)
        (void)crank_fail(ECANCELED, "GET %.300s was cut short", j->url.text);
}

/* The connection of a handshake that has failed or was cancelled is of no use. */
static void give_up(crank_websocket *w)
{
    if (w->stream) {
        crank_abort(w->stream);
        cr_http_pool_end(w->stream);
    }
    cr_http_socket_deinit(w);
    crank_release(w);
}

crank_websocket *crank_websocket_connect_with(
    const crank_websocket_options *options, const char *url)
{
    static const crank_websocket_options defaults = { .message_max = 0 };
    joining j = { .options = options ? options : &defaults };
    crank_websocket *w = j.socket = crank_alloc(sizeof *w);
    if (!w) {
        errno = -crank_fail(ENOMEM, "out of memory for a WebSocket");
        return NULL;
    }
    memset(w, 0, sizeof *w);
    int err = cr_http_socket_init(w, options);
    if (err == 0)
        err = join(&j, url);
    if (err == -ECANCELED && j.url.text)
        say_cut(&j);
    cr_http_url_free(&j.url);
    crank_release(j.text);
    crank_release(j.head.fields);
    if (err == 0)
        return w;
    give_up(w);
    errno = -err;
    return NULL;
}

crank_websocket *crank_websocket_connect(const char *url)
{
    return crank_websocket_connect_with(NULL, url);
}
