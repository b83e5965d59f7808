/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_client.c: each waiting call of the client, cancelled at every point.
 *
 * A call that is cancelled has left no connection on which another could find its answer: the next call is answered. */
#include "../behaviour/points.h"
#include "scripts.h"

static script s;
static crank_stream *from, *to;

static const char *const plain[] = { OK("5", "hello"), NULL };
static const char *const redirecting[] = { "HTTP/1.1 302 Go\r\nLocation: /b\r\nContent-Length: 4\r\n\r\ngone",
    OK("5", "hello"), NULL };
static const char *const chunked[] = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    NULL };
static const char *const stale[] = { OK("5", "hello"), CLOSE, OK("5", "hello"), NULL };

static int serve(const char *const *answers)
{
    script_begin(&s, answers);
    return 0;
}
static int serve_plain(void) { return serve(plain); }
static int serve_redirect(void) { return serve(redirecting); }
static int serve_chunks(void) { return serve(chunked); }

static long whole(crank_http_response *response)
{
    CRANK_AUTO_HTTP crank_http_response *r = response;
    if (!r)
        return -errno;
    EXPECT_STR(r->body, "hello");
    return r->status;
}
static long do_get(void) { return whole(crank_http_get(s.url)); }
static long do_post(void) { return whole(crank_http_post(s.url, NULL, "x", 1)); }
static long do_fetch(void) { return whole(crank_http_fetch(&(crank_http_call){ .from = from }, s.url)); }

/* With a connection that is kept, and may have ended. */
static int keep_connection(const char *const *answers)
{
    crank_try(serve(answers));
    EXPECT_EQ(do_get(), 200);
    return 0;
}
static int keep(void) { return keep_connection(plain); }
static int keep_stale(void) { return keep_connection(stale); }

static int serve_a_stream(void)
{
    crank_try(serve(plain));
    crank_try(crank_socket_pair(&from, &to));
    return crank_write(to, "x", 1);
}
static int end_stream(void) { return to ? crank_write_eof(to) : 0; }

static long do_open(void)
{
    char body[6] = "";
    CRANK_AUTO_HTTP crank_http_response *r = crank_http_open(NULL, s.url);
    if (!r)
        return -errno;
    ssize_t n = crank_read_exactly(crank_http_body(r), body, 5);
    if (n == 5)
        EXPECT_STR(body, "hello");
    return n < 0 ? n : r->status;
}

static int judge(const struct told *t)
{
    TOLD(t->result == 200 || t->result == -ECANCELED);
    while (s.requests % 2 != 0 && s.answers == redirecting) /* the next answer is the first again */
        s.requests++;
    if (s.answers == stale)
        s.answers = plain;
    TOLD_EQ(do_get(), 200);
    crank_try(crank_close(from));
    crank_try(crank_close(to));
    from = to = NULL;
    return script_stop(&s);
}

static const struct row rows[] = {
    { "crank_http_get", "by a fresh connection", serve_plain, do_get, { 0 }, NULL, judge, 0, NULL },
    { "crank_http_get", "by a kept connection", keep, do_get, { 0 }, NULL, judge, 0, NULL },
    { "crank_http_get", "by one that the server ends", keep_stale, do_get, { 0 }, NULL, judge, 0, NULL },
    { "crank_http_get", "to another place", serve_redirect, do_get, { 0 }, NULL, judge, 0, NULL },
    { "crank_http_get", "in chunks", serve_chunks, do_get, { 0 }, NULL, judge, 0, NULL },
    { "crank_http_post", "by a kept connection", keep, do_post, { 0 }, NULL, judge, 0, NULL },
    { "crank_http_fetch", "of a stream", serve_a_stream, do_fetch, { end_stream }, NULL, judge, 0, NULL },
    { "crank_http_open", "in chunks", serve_chunks, do_open, { 0 }, NULL, judge, 0, NULL },
};

TEST_EACH_BACKEND(http_client, cancelled_at_many_points_leaves_the_next_call_its_answer)
{
    return try_rows(rows, CRANK_COUNT(rows), false);
}

TEST_SEEDS(http_client, cancelled_at_every_point_leaves_the_next_call_its_answer, 10)
{
    test_needs_long();
    return try_rows(rows, CRANK_COUNT(rows), true);
}
