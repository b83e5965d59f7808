/* SPDX-License-Identifier: MIT */
/* handshake.c: a request that becomes a WebSocket (RFC 6455, 4.2).
 *
 * A browser lets the page of any site connect to any server, and sends that server's cookies with
 * it: the Origin is what tells whose page it is. Extensions are not answered, and so are none. What
 * is refused is answered here, and is the client's failure, not the handler's.
 *
 * The task that watches a request's connection for the peer's going reads the stream: it ends
 * before the socket does. */
#include "http/websocket/socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <crank/error.h>
#include <crank/scope.h>
#include <crank/task.h>

#include "http/answer.h"
#include "http/message.h"
#include "http/pace.h"
#include "http/websocket/key.h"

enum { PROTOCOL_MAX = 100 };

/* ---- Refusing ---- */

static int refuse(cr_http_message *m, cr_http_status status, const char *why)
{
    m->failed = status;
    int err = status == 426 ? crank_http_set(&m->request, "Sec-WebSocket-Version", "13") : 0;
    if (err == 0)
        err = crank_http_print(&m->request, status, "text/plain", "%s\n", why);
    if (err < 0)
        return err;
    return crank_fail(status == 403 ? EACCES : EPROTO, "%s %s is no WebSocket: %s",
        m->request.method, m->request.path, why);
}

/* ---- What the request says ---- */

static const char *field(const cr_http_message *m, const char *name)
{
    size_t from = 0;
    return cr_http_head_next(m->head.fields, m->head.count, name, &from);
}

static bool is_twice(const cr_http_message *m, const char *name)
{
    size_t from = 0;
    (void)cr_http_head_next(m->head.fields, m->head.count, name, &from);
    return cr_http_head_next(m->head.fields, m->head.count, name, &from);
}

/* Has one of the lines with this name this word in its list, in any case? */
static bool has_word(const cr_http_message *m, const char *name, const char *word)
{
    const char *value;
    for (size_t from = 0; (value = cr_http_head_next(m->head.fields, m->head.count, name, &from));)
        if (cr_http_head_has_word(value, word))
            return true;
    return false;
}

static int check_handshake(cr_http_message *m)
{
    const char *version = field(m, "sec-websocket-version");
    const char *key = field(m, "sec-websocket-key");
    if (m->request.version < 11 || !m->head.upgrades || !has_word(m, "upgrade", "websocket"))
        return refuse(m, 426, "This is for WebSockets: the request asks for no upgrade to one");
    if (strcmp(m->request.method, "GET") != 0)
        return refuse(m, 400, "The method of a WebSocket's handshake is GET");
    if (m->request.size != 0)
        return refuse(m, 400, "A WebSocket's handshake has no body");
    if (!version || strcmp(version, "13") != 0)
        return refuse(m, 426, "Sec-WebSocket-Version is not 13");
    if (!key || is_twice(m, "sec-websocket-key") || !cr_http_key_is(key))
        return refuse(m, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
    return 0;
}

/* ---- Origins ---- */

/* "example.org:80" without the port that is the scheme's own: how long it is. */
static size_t host_size(const char *host, size_t size, const char *port)
{
    size_t length = strlen(port);
    return size > length && memcmp(host + size - length, port, length) == 0 ? size - length : size;
}

/* The origin of a page of the host that was asked for. */
static bool is_own(const char *origin, const char *host)
{
    bool secure = strncasecmp(origin, "https://", 8) == 0;
    if (!secure && strncasecmp(origin, "http://", 7) != 0)
        return false;
    const char *port = secure ? ":443" : ":80", *name = origin + (secure ? 8 : 7);
    size_t size = host_size(name, strlen(name), port);
    return size > 0 && size == host_size(host, strlen(host), port) &&
           strncasecmp(name, host, size) == 0;
}

static bool is_listed(const char *list, const char *origin)
{
    size_t size = strlen(origin);
    for (const char *at = list; *at;) {
        at += strspn(at, " ");
        size_t length = strcspn(at, " ");
        if ((length == 1 && *at == '*') ||
            (length == size && length > 0 && strncasecmp(at, origin, size) == 0))
            return true;
        at += length;
    }
    return false;
}

static int check_origin(cr_http_message *m)
{
    const char *origins = m->connection->server->options.origins;
    const char *origin = field(m, "origin");
    if (!origin)
        return 0;
    if (!is_twice(m, "origin") &&
        (origins ? is_listed(origins, origin) : is_own(origin, m->request.host)))
        return 0;
    return refuse(m, 403, "Pages of this origin may not open a WebSocket here");
}

/* ---- Accepting ---- */

/* Unlike other words, a protocol's has its own case. */
static bool is_offered(const cr_http_message *m, const char *protocol)
{
    const char *value;
    size_t length = strlen(protocol);
    for (size_t from = 0; (value = cr_http_head_next(
                               m->head.fields, m->head.count, "sec-websocket-protocol", &from));)
        for (const char *at = value; *at; at += strcspn(at, ", \t")) {
            at += strspn(at, ", \t");
            if (strcspn(at, ", \t") == length && memcmp(at, protocol, length) == 0)
                return true;
        }
    return false;
}

/* The first of the server's protocols that the client has asked for, into buf; "": none. */
static void choose_protocol(const cr_http_message *m, const char *protocols, char *buf)
{
    for (const char *at = protocols ? protocols : ""; *at;) {
        at += strspn(at, " ");
        size_t length = strcspn(at, " ");
        if (length > 0 && length < PROTOCOL_MAX) {
            memcpy(buf, at, length);
            buf[length] = '\0';
            if (is_offered(m, buf))
                return;
        }
        at += length;
    }
    *buf = '\0';
}

static int answer(cr_http_message *m, const char *protocol)
{
    char fields[256], key[CR_HTTP_KEY_ANSWER];
    cr_http_key_answer(field(m, "sec-websocket-key"), key);
    int length = snprintf(fields, sizeof fields,
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n", key);
    if (*protocol)
        snprintf(fields + length, sizeof fields - (size_t)length, "Sec-WebSocket-Protocol: %s\r\n",
            protocol);
    return cr_http_answer_switch(m, fields);
}

static int become(crank_websocket *w, const crank_websocket_options *options)
{
    cr_http_message *m = w->request;
    char protocol[PROTOCOL_MAX];
    choose_protocol(m, options ? options->protocols : NULL, protocol);
    crank_http_stay(&m->request);
    int err = cr_http_socket_init(w, options);
    if (err == 0 && *protocol) {
        w->protocol = cr_http_message_copy(m, protocol, strlen(protocol));
        err = w->protocol ? 0 : -ENOMEM;
    }
    if (err == 0)
        err = answer(m, protocol);
    if (err < 0) {
        cr_http_socket_deinit(w);
        return err;
    }
    m->socket = m->connection->socket = w;
    if (m->connection->server->stopping)
        cr_http_closing_stop(w);
    return 0;
}

static int accept_socket(
    cr_http_message *m, const crank_websocket_options *options, crank_websocket **ret_socket)
{
    int err = cr_http_pace_check(m->connection);
    if (err == 0 && m->state != CR_HTTP_UNANSWERED)
        err = crank_fail(
            EALREADY, "%s %s has been answered already", m->request.method, m->request.path);
    if (err == 0)
        err = check_handshake(m);
    if (err == 0)
        err = check_origin(m);
    if (err < 0)
        return err;
    crank_websocket *w = cr_http_message_alloc(m, sizeof *w);
    if (!w)
        return -ENOMEM;
    memset(w, 0, sizeof *w);
    w->stream = m->connection->stream;
    w->request = m;
    err = become(w, options);
    if (err == 0)
        *ret_socket = w;
    return err;
}

crank_websocket *crank_websocket_accept_with(
    const crank_websocket_options *options, crank_http_request *request)
{
    crank_websocket *w = NULL;
    int err = accept_socket(cr_http_message_of(request), options, &w);
    if (err < 0)
        errno = -err;
    return w;
}

crank_websocket *crank_websocket_accept(crank_http_request *request)
{
    return crank_websocket_accept_with(NULL, request);
}
