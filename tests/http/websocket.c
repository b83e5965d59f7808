/* SPDX-License-Identifier: MIT */
/* websocket.c: WebSockets of a server: the handshake, messages both ways, and how they end. */
#include "sockets.h"

/* ---- The handshake ---- */

TEST_EACH_BACKEND(websocket, is_agreed_on_as_the_standard_says)
{
    webs_answer a;
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(socket_serve, l);
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    webs_send(s, SOCKET_HEAD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    webs_read_head(s, &a);
    EXPECT_EQ(a.status, 101);
    EXPECT_STR(webs_field(&a, "Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455, 1.3 */
    EXPECT_STR(webs_field(&a, "Upgrade"), "websocket");
    EXPECT_STR(webs_field(&a, "Connection"), "Upgrade");
    EXPECT(!webs_field(&a, "Sec-WebSocket-Extensions"));
    EXPECT(!webs_field(&a, "Sec-WebSocket-Protocol"));
    socket_send(s, "t:Hello b*70000 t");
    socket_expect(s, "t:Hello b*70000 t");
    socket_send(s, "x:1000:bye");
    socket_expect(s, "x:1000");
    webs_expect_end(s);
    crank_try(crank_finish(s));
    return socket_stop(l, &server);
}

#define GET "GET / HTTP/1.1\r\nHost: a.org:80\r\n"
#define UPGRADE "Upgrade: WebSocket\r\nConnection: upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: " SOCKET_KEY "\r\n"

static int try_handshakes(crank_listener *l, const char *const *rows, size_t n, int status)
{
    for (size_t i = 0; i < n; i++) {
        CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
        webs_answer a;
        char request[1000];
        snprintf(request, sizeof request, "%s\r\n", rows[i]);
        webs_send(s, request);
        webs_read_head(s, &a);
        if (a.status != status)
            test_fail(__FILE__, __LINE__, "%d, expected %d:\n%s", a.status, status, rows[i]);
        EXPECT_EQ(webs_field(&a, "Sec-WebSocket-Version") != NULL, status == 426);
        if (status == 101) {
            socket_send(s, "x");
            socket_expect(s, "x");
        }
    }
    return 0;
}

TEST_SIM(websocket, handshake_that_is_none_is_answered_with_what_it_lacks)
{
    static const char *const upgrades[] = { GET VERSION KEY, GET "Connection: upgrade\r\n" VERSION KEY,
        GET "Upgrade: websocket\r\n" VERSION KEY, GET "Upgrade: h2c\r\nConnection: upgrade\r\n" VERSION KEY,
        "GET / HTTP/1.0\r\nHost: a.org\r\n" UPGRADE VERSION KEY, GET UPGRADE KEY,
        GET UPGRADE "Sec-WebSocket-Version: 8\r\n" KEY };
    static const char *const bad[] = { "POST / HTTP/1.1\r\nHost: a.org\r\n" UPGRADE VERSION KEY,
        GET UPGRADE VERSION "Content-Length: 1\r\n" KEY, GET UPGRADE VERSION,
        GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n",
        GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n",
        GET UPGRADE VERSION "Sec-WebSocket-Key: dGhl-HNhbXBsZSBub25jZQ==\r\n", GET UPGRADE VERSION KEY KEY };
    static const char *const good[] = { GET UPGRADE VERSION KEY,
        GET "Upgrade: h2c, websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n" VERSION KEY };
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("0.0.0.0:0"));
    AUTO_SERVER crank_task *server = crank_spawn(socket_serve, l);
    test_capture();
    crank_try(try_handshakes(l, upgrades, CRANK_COUNT(upgrades), 426));
    crank_try(try_handshakes(l, bad, CRANK_COUNT(bad), 400));
    crank_try(try_handshakes(l, good, CRANK_COUNT(good), 101));
    crank_try(socket_stop(l, &server));
    EXPECT_STR(test_captured(), ""); /* what is the client's failure is not reported */
    return 0;
}

static int serve_origins(crank_listener *l, const char *origins)
{
    const crank_http_options options = { .origins = origins, .hosts = "a.org a.org:8080" };
    return webs_served(l, crank_http_serve_with(&options, l, socket_echo));
}
static int try_origins(const char *origins, const char *const *rows, size_t n, int status)
{
    char *heads = test_memory(n * 500);
    const char **requests = test_memory(n * sizeof *requests);
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_origins, l, origins);
    for (size_t i = 0; i < n; i++) {
        requests[i] = heads + i * 500;
        snprintf(heads + i * 500, 500, "GET / HTTP/1.1\r\n%s" UPGRADE VERSION KEY, rows[i]);
    }
    crank_try(try_handshakes(l, requests, n, status));
    return socket_stop(l, &server);
}

TEST_SIM(websocket, is_refused_to_the_pages_of_other_sites)
{
    static const char *const own[] = { "Host: a.org\r\n", "Host: a.org\r\nOrigin: http://a.org\r\n",
        "Host: a.org\r\nOrigin: https://A.org\r\n", "Host: a.org:80\r\nOrigin: http://a.org\r\n",
        "Host: a.org:443\r\nOrigin: https://a.org\r\n", "Host: a.org:8080\r\nOrigin: http://a.org:8080\r\n" };
    static const char *const foreign[] = { "Host: a.org\r\nOrigin: http://b.org\r\n",
        "Host: a.org\r\nOrigin: http://a.org.b.org\r\n", "Host: a.org\r\nOrigin: http://ba.org\r\n",
        "Host: a.org\r\nOrigin: http://a.org:8080\r\n", "Host: a.org:80\r\nOrigin: https://a.org\r\n",
        "Host: a.org\r\nOrigin: null\r\n", "Host: a.org\r\nOrigin: \r\n", "Host: a.org\r\nOrigin: a.org\r\n",
        "Host: a.org\r\nOrigin: http://a.org\r\nOrigin: http://a.org\r\n" };
    static const char *const listed[] = { "Host: a.org\r\nOrigin: https://b.org\r\n",
        "Host: a.org\r\nOrigin: http://c.org:8080\r\n", "Host: a.org\r\n" };
    static const char *const unlisted[] = { "Host: a.org\r\nOrigin: http://b.org\r\n",
        "Host: a.org\r\nOrigin: http://a.org\r\n", "Host: a.org\r\nOrigin: https://b.or\r\n" };
    static const char list[] = "https://b.org  http://c.org:8080";
    crank_try(try_origins(NULL, own, CRANK_COUNT(own), 101));
    crank_try(try_origins(NULL, foreign, CRANK_COUNT(foreign), 403));
    crank_try(try_origins(list, listed, CRANK_COUNT(listed), 101));
    crank_try(try_origins(list, unlisted, CRANK_COUNT(unlisted), 403));
    return try_origins("*", foreign, CRANK_COUNT(foreign) - 1, 101);
}

static int choose_protocol(crank_http_request *request)
{
    const crank_websocket_options options = { .protocols = "chat.v2 chat.v1" };
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept_with(&options, request));
    return crank_websocket_print(w, "<%s>", crank_websocket_protocol(w));
}
static int serve_protocols(crank_listener *l) { return webs_served(l, crank_http_serve(l, choose_protocol)); }

TEST_SIM(websocket, protocol_is_the_servers_first_that_the_client_has_asked_for)
{
    static const struct {
        const char *asked, *said;
    } rows[] = {
        { "", "t:<>" },
        { "Sec-WebSocket-Protocol: soap, chat.v1\r\n", "t:<chat.v1>" },
        { "Sec-WebSocket-Protocol: chat.v1,chat.v2\r\n", "t:<chat.v2>" },
        { "Sec-WebSocket-Protocol: chat.v1\r\nSec-WebSocket-Protocol: chat.v2\r\n", "t:<chat.v2>" },
        { "Sec-WebSocket-Protocol: Chat.v1, chat.v11\r\n", "t:<>" },
    };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_protocols, l);
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
        webs_answer a;
        char request[1000], said[50] = "t:<>";
        snprintf(request, sizeof request, "%s%s\r\n", SOCKET_HEAD, rows[i].asked);
        webs_send(s, request);
        webs_read_head(s, &a);
        const char *protocol = webs_field(&a, "Sec-WebSocket-Protocol");
        if (protocol)
            snprintf(said, sizeof said, "t:<%s>", protocol);
        EXPECT_STR(said, rows[i].said);
        socket_expect(s, rows[i].said);
        socket_expect(s, "x:1000");
        socket_send(s, "x:1000");
    }
    return socket_stop(l, &server);
}

/* ---- Ends ---- */

typedef struct course {
    crank_websocket *socket;
    int read, code; /* what the last read gave; the peer's code */
    char reason[200];
    int written; /* what the last write gave */
    double ended_at;
    crank_websocket_options options;
} course;

/* Reads to the end, and keeps what that was. */
static int listen_to(crank_http_request *request, course *c)
{
    const char *reason;
    crank_websocket_message said;
    crank_websocket *w = crank_try(crank_websocket_accept_with(&c->options, request));
    c->socket = w;
    while ((c->read = crank_websocket_read(w, &said)) > 0)
        ;
    int again = c->read == -ECANCELED ? c->read : crank_websocket_read(w, &said);
    EXPECT_EQ(again, c->read == -ETIMEDOUT ? -ECONNABORTED : c->read); /* which is told once */
    c->code = crank_websocket_closed(w, &reason);
    snprintf(c->reason, sizeof c->reason, "%s", reason);
    c->ended_at = crank_time();
    c->socket = NULL;
    return c->read;
}
static int serve_course(crank_listener *l, course *c) { return webs_served(l, crank_http_serve(l, listen_to, c)); }

TEST_EACH_BACKEND(websocket, ends_as_the_peer_ends_it)
{
    static const struct {
        const char *sent, *answer;
        int read, code;
        const char *reason;
    } rows[] = {
        { "x:1000:bye", "x:1000", 0, 1000, "bye" },
        { "x", "x", 0, 1005, "" },
        { "x:4999:#c3a9", "x:4999", 0, 4999, "\xc3\xa9" },
        { "x:1005", "x:1002", -EPROTO, 0, "" },
        { "x:1006", "x:1002", -EPROTO, 0, "" },
        { "x:1000:#c3", "x:1007", -EPROTO, 0, "" },
    };
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    test_capture();
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
        socket_send(s, rows[i].sent);
        socket_expect(s, rows[i].answer);
        webs_expect_end(s);
        EXPECT_EQ(c.read, rows[i].read);
        EXPECT_EQ(c.code, rows[i].code);
        EXPECT_STR(c.reason, rows[i].reason);
    }
    {
        CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
        crank_try(crank_write_eof(s));
        webs_expect_end(s);
        EXPECT_EQ(c.read, -ECONNRESET);
    }
    crank_try(socket_stop(l, &server));
    EXPECT_STR(test_captured(), "");
    return 0;
}

TEST_EACH_BACKEND(websocket, of_a_server_that_stops_is_told_1001)
{
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    crank_try(crank_listener_stop(l, 100));
    socket_expect(s, "x:1001");
    socket_send(s, "t:late x:1001");
    webs_expect_end(s);
    EXPECT_EQ(c.read, 0);
    EXPECT_EQ(c.code, 1001);
    crank_try(crank_finish(s));
    return webs_await(&server);
}

TEST_SIM(websocket, of_a_server_that_stops_waits_five_seconds_for_its_peer)
{
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    crank_try(crank_sleep(1));
    double begun = crank_time();
    crank_try(crank_listener_stop(l, 100));
    socket_expect(s, "x:1001");
    webs_expect_end(s);
    EXPECT_EQ(c.read, -ETIMEDOUT);
    EXPECT_NEAR(c.ended_at - begun, 5, 1e-3);
    return webs_await(&server);
}

/* ---- Aborts ---- */

TEST_EACH_BACKEND(websocket, abort_ends_its_calls_and_its_code_reaches_a_peer_that_reads)
{
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    socket_send(s, "p:1");
    socket_expect(s, "o:1"); /* the handler reads */
    EXPECT_EQ(crank_websocket_write_now(c.socket, CRANK_TEXT, "last", 4), 0);
    crank_websocket_abort(c.socket, 1013, "too slow");
    EXPECT_EQ(crank_websocket_write_now(c.socket, CRANK_TEXT, "no more", 7), -ECONNABORTED);
    EXPECT_EQ(crank_websocket_write(c.socket, CRANK_TEXT, "no more", 7), -ECONNABORTED);
    crank_websocket_abort(c.socket, 1000, "again");
    socket_expect(s, "t:last x:1013");
    webs_expect_end(s);
    EXPECT_EQ(c.read, -ECONNABORTED);
    crank_try(crank_finish(s));
    return socket_stop(l, &server);
}

/* Nothing follows the abort, and a peer that does not read is reset when the server has waited 2 s for it. */
static int write_on(course *c)
{
    static char bytes[50 * 1000];
    crank_websocket *w = c->socket;
    int err = 0;
    while (err == 0)
        err = crank_websocket_write(w, CRANK_BINARY, bytes, sizeof bytes);
    c->written = err;
    return 0;
}

TEST_SIM(websocket, abort_wakes_a_writer_and_resets_a_peer_that_does_not_read)
{
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    crank_try(crank_sleep(0.1));
    EXPECT(c.socket);
    crank_task *writer = crank_spawn(write_on, &c);
    crank_try(crank_sleep(1));
    EXPECT(crank_websocket_unsent(c.socket) > 0);
    size_t unsent = crank_websocket_unsent(c.socket);
    crank_websocket_abort(c.socket, 1013, "too slow");
    EXPECT_EQ(crank_await(writer), 0);
    EXPECT_EQ(c.written, -ECONNABORTED);
    EXPECT(!c.socket || crank_websocket_unsent(c.socket) <= unsent + 20); /* the close alone */
    crank_try(crank_sleep(3));
    EXPECT_EQ(c.read, -ECONNABORTED);
    webs_expect_reset(s);
    return socket_stop(l, &server);
}

/* ---- Handlers ---- */

static int accept_late(crank_http_request *request, course *c)
{
    crank_try(crank_sleep(0.01)); /* the connection is watched meanwhile */
    return listen_to(request, c);
}
static int serve_late(crank_listener *l, course *c) { return webs_served(l, crank_http_serve(l, accept_late, c)); }

TEST_EACH_BACKEND(websocket, is_accepted_by_a_handler_that_has_waited)
{
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_late, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    webs_answer a;
    size_t size;
    unsigned char *frames = socket_frames("t:early x:1000", &size);
    webs_send(s, SOCKET_HEAD "\r\n");
    crank_try(crank_write(s, frames, size)); /* before there is an answer */
    free(frames);
    webs_read_head(s, &a);
    EXPECT_EQ(a.status, 101);
    socket_expect(s, "x:1000");
    EXPECT_EQ(c.read, 0);
    crank_try(crank_finish(s));
    return socket_stop(l, &server);
}

static int end_somehow(crank_http_request *request)
{
    crank_websocket_message said;
    if (strcmp(request->path, "/left") == 0)
        return crank_websocket_accept(request) ? 0 : -errno;
    if (strcmp(request->path, "/failed") == 0)
        return crank_websocket_accept(request) ? crank_fail(EBADMSG, "failed") : -errno;
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept(request));
    if (strcmp(request->path, "/closed") == 0) {
        char reason[200];
        memset(reason, 'a', sizeof reason);
        memcpy(reason + 122, "\xc3\xa9", 3); /* of which one byte has room */
        int err = crank_websocket_close(w, 4001, reason);
        w = NULL;
        return err;
    }
    return crank_websocket_read(w, &said) < 0 ? -ECANCELED : 0;
}
static int serve_ends(crank_listener *l) { return webs_served(l, crank_http_serve(l, end_somehow)); }

TEST_EACH_BACKEND(websocket, is_closed_with_what_became_of_its_handler)
{
    static const struct {
        const char *path, *close;
    } rows[] = { { "/left", "x:1000" }, { "/failed", "x:1011" }, { "/closed", "x:4001:*122" }, { "/read", "x:1001" } };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_ends, l);
    test_capture();
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
        webs_answer a;
        char head[500], expected[20];
        snprintf(head, sizeof head, "GET %s%s\r\n", rows[i].path, &SOCKET_HEAD[strlen("GET /chat")]);
        webs_send(s, head);
        webs_read_head(s, &a);
        EXPECT_EQ(a.status, 101);
        if (strcmp(rows[i].path, "/read") == 0) {
            crank_try(crank_listener_stop(l, 0)); /* its handler is cancelled */
            socket_expect(s, "x:1001");
            crank_try(webs_await(&server));
            break;
        }
        const unsigned char *bytes;
        size_t size;
        EXPECT_EQ(socket_next(s, &bytes, &size), 0x88);
        snprintf(expected, sizeof expected, "x:%u", (unsigned)bytes[0] << 8 | bytes[1]);
        EXPECT(strncmp(rows[i].close, expected, strlen(expected)) == 0);
        EXPECT_EQ(size, strchr(rows[i].close, '*') ? 2 + 122 : 2);
        socket_send(s, "t:dropped b:*3000 x:1000");
        webs_expect_end(s);
    }
    EXPECT_CONTAINS(test_captured(), "EBADMSG");
    return 0;
}

/* ---- Cancelled reads ---- */

enum { MESSAGES = 100 };
static int read_in_slices(crank_http_request *request, course *c)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept(request));
    crank_websocket_message said;
    int seen = 0, cancelled = 0;
    while ((c->read = crank_within(1e-5, crank_websocket_read(w, &said))) != 0) {
        cancelled += c->read == -ETIMEDOUT;
        if (c->read == -ETIMEDOUT)
            continue;
        crank_try(c->read);
        EXPECT_EQ(strtol(said.bytes, NULL, 10), seen);
        EXPECT_EQ(said.size, seen < 50 ? 2 : 300);
        seen++;
    }
    EXPECT_EQ(seen, MESSAGES);
    EXPECT(cancelled > 0);
    return crank_websocket_print(w, "closed") == -EPIPE ? 0 : -EPROTO;
}
static int serve_slices(crank_listener *l, course *c) { return webs_served(l, crank_http_serve(l, read_in_slices, c)); }

TEST_EACH_BACKEND(websocket, loses_nothing_where_a_read_is_cancelled)
{
    course c = { .read = 1 };
    char word[400];
    size_t size;
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_slices, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(word, sizeof word, i < 50 ? "t:%02d" : "t+:%02d, c:%0*d", i, 297, 7);
        unsigned char *frames = socket_frames(word, &size);
        for (size_t at = 0; at < size; at += 7) {
            crank_try(crank_write(s, frames + at, size - at < 7 ? size - at : 7));
            crank_try(crank_flush(s));
            if (at % 3 == 0)
                crank_try(crank_sleep(2e-5));
        }
        free(frames);
    }
    socket_send(s, "x:1000");
    socket_expect(s, "x:1000");
    webs_expect_end(s);
    EXPECT_EQ(c.read, 0);
    crank_try(crank_finish(s));
    return socket_stop(l, &server);
}

/* ---- Tasks that only write ---- */

static int tell(crank_http_request *request)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept(request));
    CRANK_GROUP(reading);
    crank_group_spawn(&reading, crank_websocket_drain, w);
    int err = 0;
    while (err == 0) {
        err = crank_websocket_print(w, "tick");
        crank_try(crank_sleep(1));
    }
    EXPECT_EQ(err, -EPIPE);
    return crank_group_wait(&reading);
}
static int serve_ticks(crank_listener *l) { return webs_served(l, crank_http_serve(l, tell)); }

TEST_SIM(websocket, of_a_task_that_only_writes_is_drained_beside_it)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_ticks, l);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    test_capture();
    socket_expect(s, "t:tick");
    socket_send(s, "t:ignored p:1");
    socket_expect(s, "o:1 t:tick t:tick");
    socket_send(s, "x");
    socket_expect(s, "x");
    crank_try(socket_stop(l, &server));
    EXPECT_STR(test_captured(), "");
    return 0;
}
