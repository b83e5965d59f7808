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
static crank_listener *listener;
static crank_task *server, *reader;
static crank_stream *client;
static crank_websocket *socket;
static crank_http_request *request;
static crank_event *done;
static const char *file;
static int outcome;

/* What the client has got, to the end. */
static struct {
    char head[1000];
    size_t size;
    int end; /* 0: in order */
} got;

/* One that is cancelled ends so itself. */
static int lend(crank_http_request *r)
{
    if (crank_http_is(r, "GET", "/"))
        return crank_http_print(r, 200, NULL, "fine");
    request = r;
    int err = crank_shield(crank_event_wait(done));
    if (err == 0 && outcome == -ECANCELED)
        crank_cancel(crank_self());
    return outcome;
}
static int serve(void) { return crank_http_serve(listener, lend); }

static int begin(const char *asked)
{
    memset(&got, 0, sizeof got);
    request = NULL;
    socket = NULL;
    outcome = 0;
    reader = NULL;
    done = crank_event_new();
    listener = webs_listen();
    server = crank_spawn(serve);
    client = webs_connect(listener);
    webs_send(client, asked);
    for (int i = 0; i < 1000 && !request; i++)
        crank_try(crank_sleep(1e-4));
    return request ? 0 : -ETIMEDOUT;
}
static int begin_question(void) { return begin("GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); }
static int begin_body(void)
{
    return begin("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 10\r\n"
                 "Content-Type: application/x-www-form-urlencoded\r\n\r\na=b");
}
static int begin_socket(void)
{
    crank_try(begin(SOCKET_HEAD "\r\n"));
    socket = crank_websocket_accept(request);
    return socket ? 0 : -errno;
}

static int read_all(void)
{
    char piece[4096];
    ssize_t n;
    while ((n = crank_read(client, piece, sizeof piece)) > 0) {
        size_t room = got.size < sizeof got.head - 1 ? sizeof got.head - 1 - got.size : 0;
        memcpy(got.head + (room ? got.size : 0), piece, (size_t)n < room ? (size_t)n : room);
        got.size += (size_t)n;
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

static char *large(void) { return memset(test_memory(LARGE + 1), 'x', LARGE); }
static long do_respond(void)
{
    static char *body;
    body = body ? body : large();
    return crank_http_respond(request, 200, NULL, body, LARGE);
}
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

static bool is_whole(void)
{
    const char *end = strstr(got.head, "\r\n\r\n"), *length = strstr(got.head, "Content-Length: ");
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
    { "crank_websocket_drain", "to a close", begin_socket, do_drain, { send_close }, NULL, judge, 0, NULL },
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
