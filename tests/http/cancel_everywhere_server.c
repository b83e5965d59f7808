/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_server.c: each waiting call of a handler, cancelled at every point.
 *
 * The handler lends its request to the caller, and ends as the call has: an answer is whole then, or its connection is
 * reset, and the server goes on. */
#include "../behaviour/points.h"
#include <stdlib.h>
#include <unistd.h>
#include "sockets.h"

enum { LARGE = 300 * 1000 };
#define LARGE_TEXT "300000"
static crank_listener *listener;
static crank_task *server, *reader;
static crank_stream *client, *to_client;
static crank_websocket *socket;
static crank_http_request *request;
static crank_event *done;
static const char *file;
static int outcome;
static bool is_second; /* the request: an answer comes before the one that is judged */

/* What the client has got of the answer that is judged, to the end. */
static struct {
    char head[1000];
    char tail[8]; /* its last seven bytes */
    size_t size;
    int end; /* 0: in order */
} got;

static char *large(void)
{
    static char *text;
    text = text ? text : test_memory(LARGE + 1);
    return memset(text, 'x', LARGE);
}

/* Its length is known, so the next request is served before the client has read it. */
static int answer_first(crank_http_request *r)
{
    crank_try(crank_http_set(r, "Content-Length", LARGE_TEXT));
    crank_stream *s = crank_try(crank_http_begin(r, 200, NULL));
    crank_try(crank_flush(s));
    return crank_write_now(s, large(), LARGE);
}

/* One that is cancelled ends so itself. */
static int lend(crank_http_request *r)
{
    if (crank_http_is(r, "GET", "/"))
        return crank_http_print(r, 200, NULL, "fine");
    if (crank_http_is(r, "GET", "/first"))
        return answer_first(r);
    request = r;
    int err = crank_shield(crank_event_wait(done));
    if (err == 0 && outcome == -ECANCELED)
        crank_cancel(crank_self());
    return outcome;
}
static int serve(void) { return crank_http_serve(listener, lend); }

static int begin_at(const char *address, const char *asked)
{
    memset(&got, 0, sizeof got);
    request = NULL;
    socket = NULL;
    outcome = 0;
    is_second = false;
    reader = NULL;
    done = crank_event_new();
    listener = crank_try(crank_listen(address));
    server = crank_spawn(serve);
    client = webs_connect(listener);
    webs_send(client, asked);
    for (int i = 0; i < 1000 && !request; i++)
        crank_try(crank_sleep(1e-4));
    return request ? 0 : -ETIMEDOUT;
}
static int begin(const char *asked) { return begin_at("127.0.0.1:0", asked); }
static int begin_question(void) { return begin("GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); }
static int begin_body(void)
{
    return begin("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 10\r\n"
                 "Content-Type: application/x-www-form-urlencoded\r\n\r\na=b");
}
static int begin_answer(void)
{
    crank_try(begin_question());
    to_client = crank_http_begin(request, 200, NULL);
    return to_client ? 0 : -errno;
}
static int begin_socket(void)
{
    crank_try(begin(SOCKET_HEAD "\r\n"));
    socket = crank_websocket_accept(request);
    return socket ? 0 : -errno;
}
/* The second of two requests that are sent at once; the client reads neither answer yet. The kernel takes less of an
 * answer from a unix socket than from TCP, and the rest is unsent. */
static int begin_behind(const char *asked)
{
    char address[64];
    snprintf(address, sizeof address, "unix:@crank-answers-%d", (int)getpid());
    int err = begin_at(address, asked);
    is_second = true;
    return err;
}
#define FIRST "GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n"
static int begin_second(void)
{
    return begin_behind(
        FIRST "GET /second HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"1\"\r\nConnection: close\r\n\r\n");
}
/* The client closes the socket, so that the handler's end waits for nothing. */
static int begin_second_socket(void)
{
    int err = begin_behind(FIRST SOCKET_HEAD "\r\n");
    socket_send(client, "x:1000");
    return err;
}

/* The answer before the one that is judged: 0, or why the connection has ended within it. */
static int read_first(void)
{
    char head[1000], piece[1000];
    ssize_t n = crank_read_until(client, "\r\n\r\n", head, sizeof head);
    for (size_t i = 0; n > 0 && i < LARGE / sizeof piece; i++)
        n = crank_read_exactly(client, piece, sizeof piece);
    return n > 0 ? 0 : n < 0 ? (int)n : -ENODATA;
}
static int read_all(void)
{
    char piece[4096];
    ssize_t n;
    if (is_second && (got.end = read_first()) < 0)
        return 0;
    while ((n = crank_read(client, piece, sizeof piece)) > 0) {
        size_t room = got.size < sizeof got.head - 1 ? sizeof got.head - 1 - got.size : 0;
        memcpy(got.head + (room ? got.size : 0), piece, (size_t)n < room ? (size_t)n : room);
        got.size += (size_t)n;
        size_t kept = (size_t)n < sizeof got.tail - 1 ? sizeof got.tail - 1 - (size_t)n : 0;
        memmove(got.tail, got.tail + sizeof got.tail - 1 - kept, kept);
        memcpy(got.tail + kept, piece + (size_t)n - (sizeof got.tail - 1 - kept), sizeof got.tail - 1 - kept);
    }
    got.end = (int)n;
    return 0;
}
static int begin_reading(void)
{
    reader = crank_spawn(read_all);
    return reader ? 0 : -ENOMEM;
}
static int send_body(void)
{
    webs_send(client, "&c=defg");
    return 0;
}
static int send_close(void)
{
    socket_send(client, "x:1000");
    return 0;
}

static long do_respond(void) { return crank_http_respond(request, 200, NULL, large(), LARGE); }
static long do_print(void) { return crank_http_print(request, 200, NULL, "%0*d", LARGE, 1); }
static long do_event(void) { return crank_http_event(request, NULL, NULL, "%0*d", LARGE, 1); }
static long do_file(void) { return crank_http_file(request, getenv("TMPDIR")); }
static long do_file_at(void) { return crank_http_file_at(request, file); }
static long do_read_body(void)
{
    char *body;
    ssize_t n = crank_http_read_body(request, 100, &body);
    return n < 0 ? n : 0;
}
static long do_read_form(void) { return crank_http_read_form(request, 100); }
static long do_drain(void) { return crank_websocket_drain(socket); }
static long do_read_bytes(void)
{
    char bytes[11] = "";
    ssize_t n = crank_read_exactly(crank_http_body(request), bytes, 10);
    TOLD(n < 0 || strcmp(bytes, "a=b&c=defg") == 0);
    return n < 0 ? n : 0;
}
static long do_write(void) { return crank_write(to_client, large(), LARGE); }
static long do_begin(void) { return crank_http_begin(request, 200, NULL) ? 0 : -errno; }
static long do_redirect(void) { return crank_http_redirect(request, 303, "/"); }
static long do_fresh(void)
{
    int answered = crank_http_fresh(request, "1", 0);
    return answered < 0 ? answered : answered == 1 ? 0 : -EPROTO;
}
static long do_accept(void) { return crank_websocket_accept(request) ? 0 : -errno; }
static long do_accept_with(void) { return crank_websocket_accept_with(NULL, request) ? 0 : -errno; }

static bool is_whole(void)
{
    const char *end = strstr(got.head, "\r\n\r\n"), *length = strstr(got.head, "Content-Length: ");
    if (strstr(got.head, "Transfer-Encoding: chunked"))
        return end && memcmp(got.tail, "\r\n0\r\n\r\n", 7) == 0;
    return end && (!length || got.size == (size_t)(end + 4 - got.head) + strtoul(length + 16, NULL, 10));
}
/* Another client is served, and the server ends. */
static int judge(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    outcome = (int)t->result;
    crank_event_set(done);
    if (!reader)
        crank_try(begin_reading());
    crank_try(crank_await(reader));
    TOLD(got.end != 0 || got.size == 0 || is_whole());
    TOLD(t->result < 0 || got.end == 0);
    {
        CRANK_AUTO_STREAM crank_stream *other = webs_connect(listener);
        TOLD_EQ(webs_get(other, "/")->status, 200);
    }
    (void)crank_finish(client);
    crank_try(crank_listener_stop(listener, 1));
    crank_try(crank_await(server));
    crank_event_free(done);
    return crank_listener_close(listener);
}

static const struct row rows[] = {
    { "crank_http_respond", "at length", begin_question, do_respond, { begin_reading }, NULL, judge, 0, NULL },
    { "crank_http_print", "at length", begin_question, do_print, { begin_reading }, NULL, judge, 0, NULL },
    { "crank_http_event", "at length", begin_question, do_event, { begin_reading }, NULL, judge, 0, NULL },
    { "crank_http_file", "at length", begin_question, do_file, { begin_reading }, NULL, judge, 0, NULL },
    { "crank_http_file_at", "at length", begin_question, do_file_at, { begin_reading }, NULL, judge, 0, NULL },
    { "crank_http_read_body", "in two parts", begin_body, do_read_body, { send_body }, NULL, judge, 0, NULL },
    { "crank_http_read_form", "in two parts", begin_body, do_read_form, { send_body }, NULL, judge, 0, NULL },
    { "crank_read_exactly", "of a body, in two parts", begin_body, do_read_bytes, { send_body }, NULL, judge, 0, NULL },
    { "crank_write", "of an answer, at length", begin_answer, do_write, { begin_reading }, NULL, judge, 0, NULL },
    { "crank_websocket_drain", "to a close", begin_socket, do_drain, { send_close }, NULL, judge, 0, NULL },
    { "crank_http_begin", "behind an answer", begin_second, do_begin, { begin_reading }, NULL, judge, 0, NULL },
    { "crank_http_redirect", "behind an answer", begin_second, do_redirect, { begin_reading }, NULL, judge, 0, NULL },
    { "crank_http_fresh", "behind an answer", begin_second, do_fresh, { begin_reading }, NULL, judge, 0, NULL },
    { "crank_websocket_accept", "behind an answer", begin_second_socket, do_accept, { begin_reading }, NULL, judge, 0,
        NULL },
    { "crank_websocket_accept_with", "behind an answer", begin_second_socket, do_accept_with, { begin_reading }, NULL,
        judge, 0, NULL },
};

static int try_all(bool each)
{
    char name[300];
    snprintf(name, sizeof name, "%s/large", getenv("TMPDIR"));
    file = name;
    crank_try(crank_write_file(file, large(), LARGE));
    int err = try_rows(rows, CRANK_COUNT(rows), each);
    return unlink(file) < 0 ? -errno : err;
}
TEST_EACH_BACKEND(handler, cancelled_at_many_points_answers_whole_or_is_reset) { return try_all(false); }
TEST_SEEDS(handler, cancelled_at_every_point_answers_whole_or_is_reset, 2)
{
    test_needs_long();
    return try_all(true);
}
