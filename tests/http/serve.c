/* SPDX-License-Identifier: MIT */
/* serve.c: what handlers are given and what their answers become. */
#include "webs.h"
#include "backend/epoll.h"
#include "loop/loop.h"

static int hello(crank_http_request *request)
{
    const char *name = crank_http_query(request, "name");
    return crank_http_print(request, 200, "text/plain", "Hello, %s!\n", name ? name : "world");
}

static int upload(crank_http_request *request)
{
    char piece[4096];
    ssize_t n;
    size_t total = 0;
    while ((n = crank_try(crank_read(crank_http_body(request), piece, sizeof piece))) > 0)
        total += (size_t)n;
    return crank_http_print(request, 200, "text/plain", "%zu bytes\n", total);
}

static int ticks(crank_http_request *request)
{
    for (int i = 0;; i++) {
        crank_try(crank_http_event(request, i == 1 ? "even" : NULL, NULL, "tick\n%d", i));
        crank_try(crank_sleep(1));
    }
}

/* A body that fails has no end, however often it is read. */
static int insist(crank_http_request *request)
{
    char piece[4096];
    ssize_t n = 1;
    while (n > 0)
        n = crank_read(crank_http_body(request), piece, sizeof piece);
    EXPECT_EQ(n, -ECONNABORTED);
    EXPECT_CONTAINS(crank_error(), "the size of a chunk is no number");
    EXPECT_EQ(crank_read(crank_http_body(request), piece, sizeof piece), -ECONNABORTED);
    return (int)n;
}

/* Pieces until so many bytes were written. */
static int stream(crank_http_request *request)
{
    const char *length = crank_http_query(request, "length");
    long size = strtol(crank_http_query(request, "size"), NULL, 10);
    if (length)
        crank_try(crank_http_set(request, "Content-Length", length));
    crank_stream *s = crank_try(crank_http_begin(request, 200, "text/plain"));
    for (long i = 0; i < size; i++)
        crank_try(crank_printf(s, "%ld", i % 10));
    return 0;
}

static int show(crank_http_request *request)
{
    return crank_http_print(request, 200, "text/plain", "%s %s [%s] %s %d %lld", request->method, request->path,
        request->query, request->host, request->version, (long long)request->size);
}

static int fail(crank_http_request *request)
{
    crank_try(crank_http_set(request, "X-Content-Type-Options", "none"));
    if (strcmp(crank_http_part(request, 0), "length") == 0)
        crank_try(crank_http_set(request, "Content-Length", "99"));
    if (strcmp(crank_http_part(request, 0), "begun") == 0)
        crank_try(crank_http_begin(request, 200, NULL));
    if (strcmp(crank_http_part(request, 0), "answered") == 0)
        crank_try(crank_http_respond(request, 200, NULL, NULL, 0));
    if (strcmp(crank_http_part(request, 0), "timeout") == 0)
        return crank_fail(ETIMEDOUT, "the upstream is silent");
    return crank_fail(EIO, "the disk has gone");
}

static int fields(crank_http_request *request)
{
    EXPECT_EQ(crank_http_set(request, "X-A", "1\r\nX-B: 2"), -EINVAL);
    EXPECT_EQ(crank_http_set(request, "X A", "1"), -EINVAL);
    EXPECT_EQ(crank_http_set(request, "Transfer-Encoding", "chunked"), -EINVAL);
    EXPECT_EQ(crank_http_redirect(request, 302, "//evil.example/"), -EINVAL);
    EXPECT_EQ(crank_http_redirect(request, 302, "/a\r\nX: y"), -EINVAL);
    EXPECT_EQ(crank_http_respond(request, 99, NULL, NULL, 0), -EINVAL);
    EXPECT_EQ(crank_http_respond(request, 200, "text/plain\r\nX: y", NULL, 0), -EINVAL);
    crank_try(crank_http_set(request, "X-A", "1"));
    crank_try(crank_http_set(request, "x-a", "2"));
    crank_try(crank_http_add(request, "X-C", "3"));
    crank_try(crank_http_add(request, "X-C", "4"));
    crank_try(crank_http_redirect(request, 303, "/there?a=b"));
    EXPECT_EQ(crank_http_set(request, "X-A", "1"), -EALREADY);
    EXPECT_EQ(crank_http_respond(request, 200, NULL, NULL, 0), -EALREADY);
    EXPECT(!crank_http_begin(request, 200, NULL) && errno == EALREADY);
    EXPECT_EQ(crank_http_event(request, NULL, NULL, "x"), -EALREADY);
    return 0;
}

/* 204 and 304 have no body, whatever their handler gives. */
static int empty(crank_http_request *request)
{
    if (crank_http_query(request, "begun"))
        return crank_http_begin(request, 204, NULL) ? 0 : -errno;
    return crank_http_respond(request, crank_http_query(request, "304") ? 304 : 204, NULL, "body", 4);
}

static int site(crank_http_request *request)
{
    if (crank_http_is(request, "GET", "/empty"))
        return empty(request);
    if (crank_http_is(request, "GET", "/hello"))
        return hello(request);
    if (crank_http_is(request, "POST", "/upload") || crank_http_is(request, "PUT", "/upload"))
        return upload(request);
    if (crank_http_is(request, "POST", "/insist"))
        return insist(request);
    if (crank_http_is(request, "GET", "/ticks"))
        return ticks(request);
    if (crank_http_is(request, "GET", "/stream"))
        return stream(request);
    if (crank_http_is(request, "GET", "/fail/*"))
        return fail(request);
    if (crank_http_is(request, "GET", "/fields"))
        return fields(request);
    if (crank_http_is(request, "GET", "/users/*/files/**"))
        return crank_http_print(request, 200, NULL, "%s,%s,%s", crank_http_part(request, 0),
            crank_http_part(request, 1), crank_http_part(request, 2));
    if (crank_http_is(request, "GET", "/show/**"))
        return show(request);
    if (crank_http_is(request, "GET", "/header"))
        return crank_http_print(request, 200, NULL, "%s", crank_http_header(request, "x-list"));
    return 0;
}
static int serve(crank_listener *l) { return crank_http_serve(l, site); }

/* The body of a test: a server, a client connected to it. A server that fails ends the client's waiting. */
static int with_server(int (*test)(crank_stream *s, crank_listener *l))
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    CRANK_GROUP(server);
    crank_group_spawn(&server, serve, l);
    {
        CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
        crank_try(test(s, l));
    }
    crank_try(crank_listener_stop(l, 1));
    return crank_group_wait(&server);
}

static int try_empty(crank_stream *s, crank_listener *l)
{
    (void)l;
    static const char *const targets[] = { "/empty", "/empty?304", "/empty?begun" };
    for (size_t i = 0; i < CRANK_COUNT(targets); i++) {
        const webs_answer *a = webs_get(s, targets[i]);
        EXPECT_EQ(a->status, i == 1 ? 304 : 204);
        EXPECT(!webs_field(a, "Transfer-Encoding") && !webs_field(a, "Content-Length"));
        EXPECT_STR(webs_get(s, "/hello")->body, "Hello, world!\n"); /* nothing is between them */
    }
    return 0;
}
TEST_SIM(answer, of_204_or_304_has_no_body) { return with_server(try_empty); }

static int try_dates(crank_stream *s, crank_listener *l)
{
    (void)l;
    EXPECT_STR(webs_field(webs_get(s, "/hello"), "Date"), "Thu, 01 Jan 2026 00:00:00 GMT");
    for (int i = 1; i < 4; i++) {
        crank_try(crank_sleep(0.6));
        const char *date = webs_field(webs_get(s, "/hello"), "Date");
        EXPECT_EQ(strtol(date + 23, NULL, 10), (int)(0.6 * i));
    }
    return 0;
}
TEST_SIM(answer, has_the_date_of_its_second) { return with_server(try_dates); }

static int try_answers(crank_stream *s, crank_listener *l)
{
    (void)l;
    const webs_answer *a = webs_get(s, "/hello?name=A%20b");
    EXPECT_EQ(a->status, 200);
    EXPECT_STR(a->body, "Hello, A b!\n");
    EXPECT_STR(webs_field(a, "Content-Type"), "text/plain");
    EXPECT_STR(webs_field(a, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(strlen(webs_field(a, "Date")), 29);
    EXPECT_EQ(webs_get(s, "/none")->status, 404);
    EXPECT_STR(webs_get(s, "/users/ann/files/a%20b/c")->body, "ann,a b/c,");
    EXPECT_EQ(webs_get(s, "/users//files/a")->status, 404);
    EXPECT_STR(webs_get(s, "/show/x?y=z")->body, "GET /show/x [y=z] localhost 11 0");
    EXPECT_STR(webs_ask(s, "GET /header HTTP/1.1\r\nHost: localhost\r\nX-List: a\r\nx-LIST: b\r\n\r\n")->body, "a, b");
    a = webs_ask(s, "HEAD /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(a->status, 200);
    EXPECT_STR(webs_field(a, "Content-Length"), "14");
    return 0;
}
TEST_EACH_BACKEND(web, server_answers_by_method_and_path) { return with_server(try_answers); }

static int try_methods(crank_stream *s, crank_listener *l)
{
    (void)l;
    const webs_answer *a = webs_get(s, "/upload");
    EXPECT_EQ(a->status, 405);
    EXPECT_STR(webs_field(a, "Allow"), "POST, PUT");
    a = webs_ask(s, "DELETE /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(a->status, 405);
    EXPECT_STR(webs_field(a, "Allow"), "GET, HEAD");
    return 0;
}
TEST_SIM(web, server_names_the_methods_of_a_path) { return with_server(try_methods); }

static int try_fields(crank_stream *s, crank_listener *l)
{
    (void)l;
    const webs_answer *a = webs_get(s, "/fields");
    EXPECT_EQ(a->status, 303);
    EXPECT_STR(webs_field(a, "Location"), "/there?a=b");
    EXPECT_STR(webs_field(a, "x-a"), "2");
    EXPECT_CONTAINS(a->head, "X-C: 3\r\nX-C: 4\r\n");
    EXPECT(!webs_field(a, "X-B") && !webs_field(a, "X"));
    EXPECT_STR(webs_field(a, "Content-Length"), "0");
    return 0;
}
TEST_SIM(fields, are_set_and_never_carry_a_line) { return with_server(try_fields); }

/* ---- Bodies ---- */

static int send_upload(crank_stream *s, size_t size, size_t piece)
{
    static char bytes[5000];
    crank_try(crank_printf(s, "PUT /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (size_t sent = 0; sent < size; sent += piece) {
        size_t n = size - sent < piece ? size - sent : piece;
        crank_try(crank_printf(s, "%zx\r\n", n));
        crank_try(crank_write(s, bytes, n));
        crank_try(crank_printf(s, "\r\n"));
    }
    return crank_printf(s, "0\r\n\r\n");
}
static int try_uploads(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    (void)l;
    EXPECT_STR(
        webs_ask(s, "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")->body, "5 bytes\n");
    EXPECT_STR(webs_ask(s, "POST /upload HTTP/1.1\r\nHost: localhost\r\n\r\n")->body, "0 bytes\n");
    crank_task *sender = crank_spawn(send_upload, s, 1000000, 4321);
    webs_read(s, &a, true);
    EXPECT_STR(a.body, "1000000 bytes\n");
    crank_try(crank_await(sender));
    EXPECT_STR(webs_get(s, "/hello")->body, "Hello, world!\n");
    webs_send(s, "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    webs_read(s, &a, false);
    EXPECT_EQ(a.status, 100);
    webs_send(s, "hello");
    webs_read(s, &a, true);
    EXPECT_STR(a.body, "5 bytes\n");
    EXPECT_EQ(webs_ask(s, "POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX")
                  ->status,
        400);
    webs_expect_end(s);
    return 0;
}
TEST_EACH_BACKEND(body, is_a_stream_to_its_handler) { return with_server(try_uploads); }

static int try_insisting(crank_stream *s, crank_listener *l)
{
    (void)l;
    EXPECT_EQ(webs_ask(s, "POST /insist HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "5\r\nhello\r\nx\r\n")
                  ->status,
        400);
    return 0;
}
TEST_SIM(body, that_fails_is_not_taken_for_one_that_ends) { return with_server(try_insisting); }

static int try_cuts(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    static const char both[] =
        "POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;a\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\nGET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    (void)l;
    for (size_t cut = 1; cut < sizeof both - 1; cut++) {
        crank_try(crank_write(s, both, cut));
        crank_try(crank_flush(s));
        crank_try(crank_sleep(0.0001));
        webs_send(s, both + cut);
        webs_read(s, &a, true);
        EXPECT_STR(a.body, "6 bytes\n");
        webs_read(s, &a, true);
        EXPECT_STR(a.body, "Hello, world!\n");
    }
    return 0;
}
TEST_EACH_BACKEND(request, is_the_same_wherever_it_is_cut) { return with_server(try_cuts); }

static int try_streams(crank_stream *s, crank_listener *l)
{
    (void)l;
    const webs_answer *a = webs_get(s, "/stream?size=5");
    EXPECT_STR(webs_field(a, "Transfer-Encoding"), "chunked");
    EXPECT_STR(a->body, "01234");
    a = webs_get(s, "/stream?size=5&length=5");
    EXPECT_STR(webs_field(a, "Content-Length"), "5");
    EXPECT_STR(a->body, "01234");
    EXPECT_STR(webs_get(s, "/stream?size=0")->body, "");
    a = webs_ask(s, "HEAD /stream?size=9 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(a->status, 200);
    EXPECT_EQ(webs_get(s, "/stream?size=8000")->size, 8000);
    a = webs_ask(s, "GET /stream?size=7 HTTP/1.0\r\n\r\n");
    EXPECT_STR(a->body, "0123456");
    EXPECT(a->closes && !webs_field(a, "Transfer-Encoding"));
    return 0;
}
TEST_EACH_BACKEND(answer, that_goes_on_is_a_stream) { return with_server(try_streams); }

/* However many calls have written it. */
static int try_chunks(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    char body[16];
    (void)l;
    webs_send(s, "GET /stream?size=5 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    webs_read_head(s, &a);
    EXPECT_EQ(crank_try(crank_read_exactly(s, body, 15)), 15);
    EXPECT(memcmp(body, "5\r\n01234\r\n0\r\n\r\n", 15) == 0);
    return 0;
}
TEST_SIM(answer, that_is_written_in_one_pass_is_one_chunk) { return with_server(try_chunks); }

static int try_lengths(crank_stream *s, crank_listener *l)
{
    test_capture();
    webs_send(s, "GET /stream?size=4&length=5 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    webs_expect_reset(s);
    EXPECT_CONTAINS(test_captured(), "ended 1 bytes before its Content-Length");
    CRANK_AUTO_STREAM crank_stream *other = webs_connect(l);
    test_capture();
    webs_send(other, "GET /stream?size=6&length=5 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    webs_expect_reset(other);
    EXPECT_CONTAINS(test_captured(), "is longer than its Content-Length");
    return 0;
}
TEST_SIM(answer, of_another_length_than_announced_is_reset) { return with_server(try_lengths); }

/* ---- Failures ---- */

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        n++;
    return n;
}
static int try_failures(crank_stream *s, crank_listener *l)
{
    test_capture();
    EXPECT_EQ(webs_get(s, "/fail/before")->status, 500);
    EXPECT_EQ(webs_get(s, "/fail/timeout")->status, 500);
    EXPECT_EQ(webs_get(s, "/fail/answered")->status, 200);
    const webs_answer *a = webs_ask(s, "HEAD /fail/length HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_STR(webs_field(a, "Content-Length"), "22"); /* nothing of what the handler has set is left */
    EXPECT_STR(webs_field(a, "X-Content-Type-Options"), "nosniff");
    CRANK_AUTO_STREAM crank_stream *other = webs_connect(l);
    webs_send(other, "GET /fail/begun HTTP/1.1\r\nHost: localhost\r\n\r\n");
    webs_expect_reset(other);
    const char *said = test_captured();
    EXPECT_EQ(count(said, "the disk has gone"), 4);
    EXPECT_EQ(count(said, "the upstream is silent"), 1);
    EXPECT_CONTAINS(said, "the handler of GET /fail/before for 127.0.0.1:");
    EXPECT_CONTAINS(said, " in fail()"); /* where it was made */
    return 0;
}
TEST_EACH_BACKEND(handler, that_fails_is_reported_once_and_its_client_told) { return with_server(try_failures); }

typedef struct failures {
    int count, error;
    char text[200];
} failures;
static void note_failure(const crank_http_request *request, int error, void *arg)
{
    failures *f = arg;
    f->count++;
    f->error = error;
    snprintf(f->text, sizeof f->text, "%s %s: %s", request->method, request->path, crank_error());
}
static int serve_noting(crank_listener *l, failures *f)
{
    return crank_http_serve_with(&((crank_http_options){ .on_failure = note_failure, .arg = f }), l, site);
}
TEST_SIM(handler, that_fails_is_told_of_to_on_failure)
{
    failures f = { .count = 0 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_noting, l, &f);
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    test_capture();
    EXPECT_EQ(webs_get(s, "/fail/before")->status, 500);
    EXPECT_STR(test_captured(), "");
    EXPECT_EQ(f.count, 1);
    EXPECT_EQ(f.error, -EIO);
    EXPECT_STR(f.text, "GET /fail/before: the disk has gone");
    webs_send(s, "GET /stream?size=4&length=5 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    webs_expect_reset(s);
    EXPECT_STR(test_captured(), "");
    EXPECT_EQ(f.count, 2);
    EXPECT_EQ(f.error, -ENODATA);
    EXPECT_STR(f.text, "GET /stream: the answer to GET /stream ended 1 bytes before its Content-Length");
    return webs_stop(l, &server, 1);
}

/* ---- Events ---- */

static int try_events(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    char line[100];
    (void)l;
    webs_send(s, "GET /ticks HTTP/1.1\r\nHost: localhost\r\n\r\n");
    webs_read_head(s, &a);
    EXPECT_STR(webs_field(&a, "Content-Type"), "text/event-stream");
    EXPECT_STR(webs_field(&a, "Cache-Control"), "no-store");
    double begun = crank_time();
    static const char *const expected[] = { "14\r\n", "data: tick\n", "data: 0\n", "\n", "\r\n", "20\r\n",
        "event: even\n", "data: tick\n", "data: 1\n", "\n", "\r\n" };
    for (size_t i = 0; i < CRANK_COUNT(expected); i++) {
        crank_try(crank_read_line(s, line, sizeof line));
        EXPECT_STR(line, expected[i]);
    }
    EXPECT_NEAR(crank_time() - begun, 1, 1e-9);
    return 0;
}
TEST_SIM(events, come_as_they_are_sent) { return with_server(try_events); }

static int be_silent(crank_http_request *request)
{
    crank_try(crank_http_event(request, NULL, "7", "x"));
    return crank_sleep(40);
}
static int serve_silence(crank_listener *l) { return crank_http_serve(l, be_silent); }
TEST_SIM(events, are_kept_alive_by_comments)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_silence, l);
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    double begun = crank_time();
    const webs_answer *a = webs_get(s, "/");
    EXPECT_STR(a->body, "id: 7\ndata: x\n\n:\n\n:\n\n");
    EXPECT_NEAR(crank_time() - begun, 40, 0.01);
    return webs_stop(l, &server, 1);
}

/* ---- One write each ---- */

static struct {
    cr_sys sys;
    ssize_t (*recv)(void *context, int fd, void *buf, size_t size, int flags);
    ssize_t (*send)(void *context, int fd, const void *buf, size_t size, int flags);
    int received, sent;
} calls;
static ssize_t count_recv(void *context, int fd, void *buf, size_t size, int flags)
{
    calls.received++;
    return calls.recv(context, fd, buf, size, flags);
}
static ssize_t count_send(void *context, int fd, const void *buf, size_t size, int flags)
{
    calls.sent++;
    return calls.send(context, fd, buf, size, flags);
}
static void count_calls(void)
{
    crank_loop *loop = cr_loop_here;
    calls.sys = *loop->sys;
    calls.recv = calls.sys.recv;
    calls.send = calls.sys.send;
    calls.sys.recv = count_recv;
    calls.sys.send = count_send;
    ((cr_epoll *)loop->backend)->readiness.sys = &calls.sys;
}

static int try_calls(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    (void)l;
    webs_get(s, "/hello");
    count_calls();
    for (int i = 0; i < 10; i++)
        webs_get(s, "/hello");
    EXPECT_EQ(calls.sent, 20); /* ten by the client */
    EXPECT_EQ(calls.received, 20);
    for (int i = 0; i < 10; i++)
        crank_try(crank_printf(s, "GET /hello?name=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i));
    for (int i = 0; i < 10; i++) {
        char body[20];
        webs_read(s, &a, true);
        snprintf(body, sizeof body, "Hello, %d!\n", i);
        EXPECT_STR(a.body, body);
    }
    EXPECT_EQ(calls.sent, 22);
    return 0;
}
static bool counts_calls(void) { return strcmp(crank_backend_name(), "epoll") == 0; }
TEST_EACH_BACKEND(answer, is_one_send_and_so_are_ten_pipelined)
{
    if (!counts_calls())
        return 0; /* there it is not the OS table that sends */
    return with_server(try_calls);
}

static int serve_on(crank_stream **s)
{
    crank_try(crank_http_serve_stream(NULL, *s, site));
    return crank_finish(*s);
}
TEST_EACH_BACKEND(server, of_one_stream_serves_any)
{
    CRANK_AUTO_STREAM crank_stream *near = NULL;
    CRANK_AUTO_STREAM crank_stream *far = NULL;
    crank_try(crank_socket_pair(&near, &far));
    CRANK_GROUP(server); /* one that fails ends the client's waiting */
    crank_group_spawn(&server, serve_on, &far);
    EXPECT_STR(webs_get(near, "/hello")->body, "Hello, world!\n");
    EXPECT_STR(webs_get(near, "/stream?size=3")->body, "012");
    crank_try(crank_write_eof(near));
    return crank_group_wait(&server);
}

TEST(escape, leaves_nothing_that_html_would_take)
{
    char text[40];
    EXPECT_EQ(crank_http_escape(text, sizeof text, "<a href=\"x\">&'"), 38);
    EXPECT_STR(text, "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    EXPECT_EQ(crank_http_escape(text, 8, "a&&b"), 12);
    EXPECT_STR(text, "a&amp;");
    EXPECT_EQ(crank_http_escape(text, 0, "ab"), 2);
}
