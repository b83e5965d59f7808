/* SPDX-License-Identifier: MIT */
/* life.c: how requests, connections and servers end. */
#include <crank/sim.h>
#include "webs.h"

typedef struct course {
    int begun, cancelled, ended;
    int children; /* of handlers, that have ended */
    bool stays;
} course;

static int child(course *c)
{
    int err = crank_sleep(1000);
    c->children++;
    return err;
}
static int wait_long(crank_http_request *request, course *c)
{
    c->begun++;
    if (crank_http_is(request, "GET", "/quick"))
        return crank_http_respond(request, 200, NULL, "x", 1);
    if (crank_http_is(request, "GET", "/child")) {
        CRANK_GROUP(children);
        crank_group_spawn(&children, child, c);
        return crank_group_wait(&children);
    }
    if (crank_http_is(request, "GET", "/slowly")) {
        crank_stream *s = crank_try(crank_http_begin(request, 200, NULL));
        crank_try(crank_sleep(0.01));
        return crank_printf(s, "slow");
    }
    if (c->stays)
        crank_http_stay(request);
    int err = crank_sleep(5);
    c->cancelled += err == -ECANCELED;
    crank_try(err);
    c->ended++;
    return crank_http_respond(request, 200, NULL, "late", 4);
}
static int serve(crank_listener *l, course *c, const crank_http_options *options)
{
    return webs_served(l, crank_http_serve_with(options, l, wait_long, c));
}

/* ---- Peers that go ---- */

enum way { RESET, END };
static int go_away(crank_listener *l, const char *request, enum way way)
{
    crank_stream *s = webs_connect(l);
    webs_send(s, request);
    crank_try(crank_sleep(0.01));
    if (way == RESET)
        crank_abort(s);
    else
        crank_try(crank_write_eof(s));
    crank_try(crank_sleep(0.01));
    return crank_close(s);
}
static int try_going(course *c, const crank_http_options *options, const char *request, enum way way)
{
    *c = (course){ .stays = c->stays };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, c, options);
    test_capture();
    crank_try(go_away(l, request, way));
    crank_try(crank_listener_stop(l, 100));
    int err = webs_await(&server);
    EXPECT_STR(test_captured(), "");
    EXPECT_EQ(c->begun, 1);
    return err;
}
static const char get[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char post[] = "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST_SIM(request, to_get_is_cancelled_when_its_peer_goes_and_no_other)
{
    course c = { .begun = 0 };
    const crank_http_options half_closed = { .half_closed = true };
    for (enum way way = RESET; way <= END; way++) {
        crank_try(try_going(&c, NULL, get, way));
        EXPECT_EQ(c.cancelled, 1);
        crank_try(try_going(&c, NULL, "HEAD / HTTP/1.0\r\n\r\n", way));
        EXPECT_EQ(c.cancelled, 1);
        crank_try(try_going(&c, NULL, post, way));
        EXPECT_EQ(c.ended, 1);
        crank_try(try_going(&c, &half_closed, get, way));
        EXPECT_EQ(c.cancelled, way == RESET);
    }
    c.stays = true;
    crank_try(try_going(&c, NULL, get, RESET));
    EXPECT_EQ(c.ended, 1);
    return 0;
}

TEST_EACH_BACKEND(request, that_is_cancelled_ends_with_its_children)
{
    course c = { .begun = 0 };
    crank_try(try_going(&c, NULL, "GET /child HTTP/1.1\r\nHost: localhost\r\n\r\n", RESET));
    EXPECT_EQ(c.children, 1);
    return 0;
}

TEST_SIM(request, behind_one_that_waits_is_served_after_it)
{
    course c = { .begun = 0 };
    static webs_answer a;
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, &c, NULL);
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    webs_send(s, get);
    crank_try(crank_sleep(1));
    webs_send(s, "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
    webs_read(s, &a, true);
    EXPECT_STR(a.body, "late");
    webs_read(s, &a, true);
    EXPECT_STR(a.body, "x");
    return webs_stop(l, &server, 1);
}

/* The client ends its half behind the last request, as nc does: what is unread says that it has not gone. */
static int try_last_requests(crank_stream *s)
{
    static webs_answer a;
    webs_send(s, "GET /slowly HTTP/1.1\r\nHost: localhost\r\n\r\nGET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
    crank_try(crank_write_eof(s));
    webs_read(s, &a, true);
    EXPECT_STR(a.body, "slow");
    webs_read(s, &a, true);
    EXPECT_STR(a.body, "x");
    webs_expect_end(s);
    return 0;
}
TEST_EACH_BACKEND(request, that_streams_its_answer_goes_on_while_another_is_unread)
{
    course c = { .begun = 0 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, &c, NULL);
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    crank_try(try_last_requests(s));
    return webs_stop(l, &server, 1);
}

/* ---- Servers that stop ---- */

static int try_stop(double grace, course *c, webs_answer *a, double *ret_seconds)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, c, NULL);
    CRANK_AUTO_STREAM crank_stream *idle = webs_connect(l);
    CRANK_AUTO_STREAM crank_stream *fresh = webs_connect(l);
    CRANK_AUTO_STREAM crank_stream *busy = webs_connect(l);
    EXPECT_EQ(webs_get(idle, "/quick")->status, 200);
    webs_send(busy, get);
    crank_try(crank_sleep(1));
    double begun = crank_time();
    crank_try(crank_listener_stop(l, grace));
    webs_expect_end(idle);
    webs_expect_end(fresh);
    EXPECT_NEAR(crank_time() - begun, 0, 0.001);
    if (grace > 4)
        webs_read(busy, a, true);
    else
        webs_expect_end(busy);
    int err = webs_await(&server);
    *ret_seconds = crank_time() - begun;
    return err;
}
TEST_SIM(server, that_stops_closes_idle_connections_and_ends_running_requests)
{
    static webs_answer a;
    course c = { .begun = 0 };
    double seconds;
    crank_try(try_stop(10, &c, &a, &seconds));
    EXPECT_STR(a.body, "late");
    EXPECT(a.closes);
    EXPECT_NEAR(seconds, 4, 2.1); /* the client does not close: two seconds are waited for that */
    crank_try(try_stop(2, &c, &a, &seconds));
    EXPECT_EQ(c.cancelled, 1);
    EXPECT_NEAR(seconds, 2, 0.01);
    return 0;
}

TEST_EACH_BACKEND(server, that_is_cancelled_cancels_its_requests)
{
    course c = { .begun = 0 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, &c, NULL);
    CRANK_AUTO_STREAM crank_stream *idle = webs_connect(l);
    CRANK_AUTO_STREAM crank_stream *busy = webs_connect(l);
    EXPECT_EQ(webs_get(idle, "/quick")->status, 200);
    webs_send(busy, post);
    crank_try(crank_sleep(0.01));
    crank_cancel(server);
    EXPECT_EQ(webs_await(&server), -ECANCELED);
    EXPECT_EQ(c.cancelled, 1);
    webs_expect_end(busy);
    return 0;
}

/* ---- What is written down ---- */

TEST_SIM(log, has_a_line_for_each_request_escaped)
{
    course c = { .begun = 0 };
    char line[200];
    CRANK_AUTO_STREAM crank_stream *reader = NULL;
    CRANK_AUTO_STREAM crank_stream *writer = NULL;
    crank_try(crank_pipe(&reader, &writer));
    const crank_http_options options = { .log = writer };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, &c, &options);
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    EXPECT_EQ(webs_get(s, "/quick?\"x\\")->status, 200);
    crank_try(crank_read_line(reader, line, sizeof line));
    EXPECT_STR(line, "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET /quick?\\x22x\\x5c HTTP/1.1\" 200 1 0\n");
    crank_try(go_away(l, get, RESET));
    crank_try(crank_read_line(reader, line, sizeof line));
    EXPECT_CONTAINS(line, "\"GET / HTTP/1.1\" 499 0 ");
    webs_send(s, "\x01\r\n");
    crank_try(crank_read_line(reader, line, sizeof line));
    EXPECT_CONTAINS(line, "\"- - HTTP/1.1\" 400 ");
    crank_try(crank_listener_stop(l, 1));
    crank_try(webs_await(&server));
    crank_try(crank_finish(writer));
    return crank_finish(reader);
}

/* Its pipe is full after a while: requests go on, and behind the lines that there was room for stands how many there
 * was none for. */
static int try_full_log(crank_listener *l, crank_stream *reader)
{
    enum { ASKED = 500 };
    char target[401] = "/quick?", line[1100];
    size_t lines = 0, lost = 0;
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    memset(target + 7, 'x', sizeof target - 8);
    for (int i = 0; i < ASKED; i++) {
        crank_try(crank_printf(s, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target));
        webs_answer a;
        webs_read(s, &a, true);
        EXPECT_EQ(a.status, 200);
    }
    while (lost == 0) {
        EXPECT(crank_within(10, crank_read_line(reader, line, sizeof line)) > 0);
        lost = line[0] == '#' ? strtoul(line + 2, NULL, 10) : 0;
        lines += line[0] != '#';
        if (lines % 100 == 0)
            EXPECT_EQ(webs_get(s, "/quick")->status, 200); /* with it the count is written, and its own line */
    }
    EXPECT(lines > 100 && lines + lost >= ASKED);
    return 0;
}
TEST_SIM(log, that_is_not_read_makes_no_request_wait_and_says_how_many_lines_were_lost)
{
    course c = { .begun = 0 };
    CRANK_AUTO_STREAM crank_stream *reader = NULL;
    CRANK_AUTO_STREAM crank_stream *writer = NULL;
    crank_try(crank_pipe(&reader, &writer));
    const crank_http_options options = { .log = writer };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, &c, &options);
    crank_try(try_full_log(l, reader));
    crank_try(webs_stop(l, &server, 1));
    crank_abort(writer);
    (void)crank_finish(writer);
    return crank_finish(reader);
}

/* ---- What is a request's own ---- */

static crank_local name;
static int tell_name(crank_http_request *request)
{
    const char *old = crank_local_get(&name);
    crank_try(crank_local_set(&name, "a request's"));
    return crank_http_print(request, 200, NULL, "%s", old ? old : "none");
}
static int serve_names(crank_listener *l)
{
    crank_try(crank_local_set(&name, "the server's"));
    return webs_served(l, crank_http_serve(l, tell_name));
}
TEST_SIM(request, inherits_the_locals_of_its_server_and_leaves_none_to_the_next)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_names, l);
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    for (int i = 0; i < 2; i++)
        EXPECT_STR(webs_get(s, "/")->body, "the server's");
    return webs_stop(l, &server, 0);
}

/* ---- Bytes of chance ---- */

static uint64_t next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = (*state ^ *state >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static int echo(crank_http_request *request)
{
    char piece[512];
    ssize_t n;
    crank_stream *to = crank_try(crank_http_begin(request, 200, "text/plain"));
    while ((n = crank_try(crank_read(crank_http_body(request), piece, sizeof piece))) > 0)
        crank_try(crank_write(to, piece, (size_t)n));
    return 0;
}
static int serve_echo(crank_stream *s)
{
    return crank_http_serve_stream(&((crank_http_options){ .head = 1, .idle = 1 }), s, echo);
}
static int read_away(crank_stream *s)
{
    char bytes[4096];
    ssize_t n;
    while ((n = crank_read(s, bytes, sizeof bytes)) > 0)
        ;
    return n == -ECONNRESET || n == -ECONNABORTED ? 0 : (int)n;
}
/* Parts of requests, whole or cut, with pauses between; then the end, or none, or a reset. */
TEST_SEEDS(server, survives_what_clients_send_by_chance, 100)
{
    static const char *const parts[] = { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /x HTTP/1.1\r\nHost: a\r\n",
        "Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "0\r\n\r\n", "Content-Length: 10\r\n\r\n",
        "Expect: 100-continue\r\n", "\r\n", "0123456789", "\x80\n" };
    CRANK_AUTO_STREAM crank_stream *near = NULL;
    CRANK_AUTO_STREAM crank_stream *far = NULL;
    crank_try(crank_socket_pair(&near, &far));
    AUTO_SERVER crank_task *server = crank_spawn(serve_echo, far);
    crank_task *reader = crank_spawn(read_away, near);
    uint64_t state = seed;
    int err = 0;
    for (uint64_t i = next(&state) % 12 + 1; err == 0 && i > 0; i--) {
        const char *part = parts[next(&state) % CRANK_COUNT(parts)];
        size_t size = strlen(part);
        err = crank_write(near, part, next(&state) % 8 ? size : next(&state) % size);
        if (next(&state) % 4 == 0)
            crank_try(crank_sleep((double)(next(&state) % 20) / 10));
    }
    if (next(&state) % 4 == 0)
        crank_abort(near);
    else if (next(&state) % 2)
        err = crank_write_eof(near);
    test_capture();
    EXPECT(err == 0 || err == -EPIPE || err == -ECONNRESET);
    if (next(&state) % 4 == 0)
        crank_cancel(server);
    err = webs_await(&server);
    EXPECT(err == 0 || err == -ECANCELED);
    crank_try(crank_finish(far));
    EXPECT_EQ(crank_await(reader), 0);
    EXPECT_STR(test_captured(), "");
    return 0;
}

/* ---- Requests to cancel ---- */

static int respond(crank_http_request *r) { return crank_http_respond(r, 200, NULL, "x", 1); }
static int print(crank_http_request *r) { return crank_http_print(r, 200, NULL, "x"); }
static int redirect(crank_http_request *r) { return crank_http_redirect(r, 302, "/"); }
static int begin(crank_http_request *r) { return crank_http_begin(r, 200, NULL) ? 0 : -errno; }
static int event(crank_http_request *r) { return crank_http_event(r, NULL, NULL, "x"); }
static int file(crank_http_request *r) { return crank_http_file(r, "."); }
static int file_at(crank_http_request *r) { return crank_http_file_at(r, "/"); }
static int fresh(crank_http_request *r) { return crank_http_fresh(r, "1", 0); }
static int read_form(crank_http_request *r) { return crank_http_read_form(r, 10); }
static int read_body(crank_http_request *r)
{
    char *body;
    return (int)crank_http_read_body(r, 10, &body);
}
static const struct row {
    const char *name; /* each of crank/http.h that may wait, but for serving */
    int (*call)(crank_http_request *request);
} rows[] = {
    { "crank_http_respond", respond },
    { "crank_http_print", print },
    { "crank_http_redirect", redirect },
    { "crank_http_begin", begin },
    { "crank_http_event", event },
    { "crank_http_file", file },
    { "crank_http_file_at", file_at },
    { "crank_http_fresh", fresh },
    { "crank_http_read_form", read_form },
    { "crank_http_read_body", read_body },
};
static int cancel_and_call(crank_http_request *request, size_t *tried)
{
    const struct row *row = &rows[strtoul(crank_http_query(request, "row"), NULL, 10)];
    crank_cancel(crank_self());
    int err = row->call(request);
    if (err != -ECANCELED)
        test_fail(__FILE__, __LINE__, "%s gives %s", row->name, crank_errno_name(err));
    crank_uncancel(NULL);
    ++*tried;
    return 0;
}
static int serve_cancelling(crank_listener *l, size_t *tried)
{
    return webs_served(l, crank_http_serve(l, cancel_and_call, tried));
}
TEST_EACH_BACKEND(handler, that_is_cancelled_is_told_by_every_call_that_may_wait)
{
    size_t tried = 0;
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_cancelling, l, &tried);
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        char target[80];
        CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
        snprintf(target, sizeof target, "GET /?row=%zu HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
        webs_send(s, target);
        crank_try(crank_sleep(0.001));
    }
    EXPECT_EQ(tried, CRANK_COUNT(rows));
    return webs_stop(l, &server, 1);
}

/* ---- What meets in one turn ---- */

static int answer(crank_http_request *request)
{
    crank_try(crank_sleep(0.001));
    crank_stream *s = crank_try(crank_http_begin(request, 200, NULL));
    return crank_printf(s, "x");
}
static int answer_soon(crank_http_request *request, course *c)
{
    c->begun++;
    int err = answer(request);
    c->ended++;
    return err;
}
static int serve_soon(crank_listener *l, course *c) { return webs_served(l, crank_http_serve(l, answer_soon, c)); }
static int go_soon(crank_listener *l)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(crank_listener_address(l, 0)));
    crank_try(crank_printf(s, "%s", get));
    crank_try(crank_flush(s));
    crank_try(crank_sleep(0.001));
    crank_abort(s);
    return 0;
}
static int stop_soon(crank_listener *l)
{
    crank_try(crank_sleep(0.001));
    return crank_listener_stop(l, 0.001);
}
/* A peer that resets, an answer and a server that stops, at one instant, in all their orders. */
TEST_EXPLORED(request, ends_once_whatever_comes_first, 200)
{
    course c = { .begun = 0 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_soon, l, &c);
    crank_task *stopper = crank_spawn(stop_soon, l);
    int gone = go_soon(l);
    EXPECT(gone == 0 || gone == -ECONNRESET || gone == -ECONNREFUSED || gone == -EPIPE);
    EXPECT_EQ(crank_await(stopper), 0);
    EXPECT_EQ(webs_await(&server), 0);
    EXPECT_EQ(c.begun, c.ended);
    return 0;
}
