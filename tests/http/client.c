/* SPDX-License-Identifier: MIT */
/* client.c: what a call sends, what it makes of an answer, and what becomes of the connection. */
#include "scripts.h"

TEST_EACH_BACKEND(http_client, gets_status_fields_and_body)
{
    AUTO_SCRIPT script *s =
        SCRIPT("HTTP/1.1 404 Not There\r\nContent-Length: 5\r\nX-Two: a\r\nx-two:  b \r\n\r\nhello");
    ANSWER(r, crank_http_get(script_url(s, "/a%20b?x=1#y")));
    EXPECT_EQ(r->status, 404);
    EXPECT_STR(r->reason, "Not There");
    EXPECT_STR(r->body, "hello");
    EXPECT_EQ(r->size, 5);
    EXPECT_EQ(r->length, 5);
    EXPECT_EQ(r->version, 11);
    EXPECT_STR(r->url, script_url(s, "/a%20b?x=1"));
    EXPECT_STR(crank_http_header(r, "content-length"), "5");
    EXPECT_STR(crank_http_header(r, "X-TWO"), "a, b");
    EXPECT(!crank_http_header(r, "x-three"));
    crank_http_field fields[3];
    EXPECT_EQ(crank_http_fields(r, fields, 3), 3);
    EXPECT_STR(fields[2].name, "x-two");
    EXPECT_STR(fields[2].value, "b");
    char expected[300];
    snprintf(expected, sizeof expected,
        "GET /a%%20b?x=1 HTTP/1.1\r\nhost: %s\r\nuser-agent: crank/" CRANK_VERSION "\r\n\r\n", s->address);
    EXPECT_STR(s->heads[0], expected);
    EXPECT_EQ(crank_http_ok(r), -EREMOTEIO);
    snprintf(expected, sizeof expected, "GET %s/a%%20b?x=1: 404 Not There", s->url);
    EXPECT_STR(crank_error(), expected);
    return script_stop(s);
}

TEST_EACH_BACKEND(http_client, sends_a_body_with_its_type_and_headers_that_the_caller_gives)
{
    static const char *const headers[] = { "X-Key:  v ", "user-agent: mine", "Host: other", NULL };
    AUTO_SCRIPT script *s = SCRIPT(OK("2", "ok"));
    ANSWER(r, crank_http_post(script_url(s, ""), "text/plain", "some", 4));
    EXPECT_STR(r->body, "ok");
    EXPECT_EQ(crank_http_ok(r), 0);
    EXPECT_CONTAINS(s->heads[0], "POST / HTTP/1.1\r\n");
    EXPECT_CONTAINS(s->heads[0], "\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n");
    EXPECT_STR(s->bodies[0], "some");

    crank_http_call call = { .method = "PUT", .headers = headers, .body = "x", .size = 1 };
    ANSWER(put, crank_http_fetch(&call, script_url(s, "/put")));
    EXPECT_CONTAINS(s->heads[1], "PUT /put HTTP/1.1\r\n");
    EXPECT_CONTAINS(s->heads[1], "\r\nX-Key:  v \r\nuser-agent: mine\r\nHost: other\r\n");
    EXPECT(!strstr(s->heads[1], "host: 127") && !strstr(s->heads[1], "crank/"));

    ANSWER(empty, crank_http_post(script_url(s, "/empty"), NULL, NULL, 0));
    EXPECT_CONTAINS(s->heads[2], "\r\ncontent-length: 0\r\n");
    EXPECT(!strstr(s->heads[2], "content-type"));
    return script_stop(s);
}

/* What may end a body, and whether the connection is of use afterwards. */
TEST_EACH_BACKEND(http_client, reads_a_body_by_length_in_chunks_and_to_the_end)
{
    static const struct {
        const char *method, *answer, *body;
        int length;
        bool kept;
    } rows[] = {
        { "GET", OK("3", "abc"), "abc", 3, true },
        { "GET", OK("0", ""), "", 0, true },
        { "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            "2;x=y\r\nab\r\n1\r\nc\r\n0\r\nTrailer: t\r\n\r\n",
            "abc", -1, true },
        { "GET", "HTTP/1.1 200 OK\r\n\r\nabc" CLOSE, "abc", -1, false },
        { "GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", 3, false },
        { "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", "abc", 3, true },
        { "GET", "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 3\r\n\r\nabc", "abc", 3, false },
        { "GET", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "abc", 3, true },
        { "GET", OK("3", "abcde"), "abc", 3, false },
        { "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "", 3, true },
        { "GET", "HTTP/1.1 204 Nothing\r\n\r\n", "", -1, true },
        { "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "", 3, true },
        { "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" OK("1", "a"), "a", 1, true },
        { "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "abc", -1, false },
    };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        CRANK_AUTO_HTTP_CLIENT crank_http_client *client = crank_http_client_new(0, 0);
        crank_http_call call = { .method = rows[i].method, .client = client };
        AUTO_SCRIPT script *s = SCRIPT(rows[i].answer, OK("1", "z"));
        ANSWER(r, crank_http_fetch(&call, script_url(s, "/")));
        call.method = NULL;
        ANSWER(next, crank_http_fetch(&call, script_url(s, "/")));
        if (strcmp(r->body, rows[i].body) != 0 || r->length != rows[i].length || next->reused != rows[i].kept)
            test_fail(
                __FILE__, __LINE__, "row %zu: \"%s\", length %d, kept %d", i, r->body, (int)r->length, next->reused);
        EXPECT_STR(next->body, "z");
        EXPECT_EQ(s->connections, rows[i].kept ? 1 : 2);
        crank_try(script_stop(s));
    }
    return 0;
}

TEST_EACH_BACKEND(http_client, says_how_an_answer_is_broken)
{
    static const struct {
        const char *answer;
        int error;
        const char *says;
    } rows[] = {
        { CLOSE, ENODATA, "ended the connection before its answer" },
        { "HTTP/1.1 200 OK\r\nA: b" CLOSE, ENODATA, "ended the connection within the head of its answer" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc" CLOSE, ENODATA, "7 bytes before the end" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc" CLOSE, ENODATA, "" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\nabc", EPROTO, "the answer of 127.0.0.1:" },
        { "SSH-2.0-OpenSSH_9.2\r\n\r\n", EPROTO, "the answer of 127.0.0.1:" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", EPROTO, "" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nabc", EPROTO, "" },
        { "HTTP/1.1 101 Switching Protocols\r\n\r\n", EPROTO, "101" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc" RESET, ECONNRESET, "" },
    };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        AUTO_SCRIPT script *s = SCRIPT(rows[i].answer);
        FAILS(rows[i].error, rows[i].says, crank_http_get(script_url(s, "/")));
        EXPECT_EQ(s->connections, 1);
        crank_try(script_stop(s));
    }
    return 0;
}

TEST_EACH_BACKEND(http_client, sends_a_get_once_more_where_a_kept_connection_has_ended)
{
    AUTO_SCRIPT script *s = SCRIPT(OK("1", "a"), CLOSE, OK("1", "b"));
    ANSWER(first, crank_http_get(script_url(s, "/")));
    ANSWER(r, crank_http_get(script_url(s, "/"))); /* the server reads it, and ends the connection */
    EXPECT_STR(r->body, "b");
    EXPECT(!r->reused);
    EXPECT_EQ(s->requests, 3);
    EXPECT_EQ(s->connections, 2);
    crank_try(script_stop(s));

    s = SCRIPT(OK("1", "a"), CLOSE);
    ANSWER(other, crank_http_get(script_url(s, "/")));
    FAILS(ENODATA, "before its answer", crank_http_post(script_url(s, "/"), NULL, "x", 1));
    EXPECT_EQ(s->requests, 2); /* it may have done what it was asked for */
    return script_stop(s);
}

/* The end has come before the connection is taken: a POST is seen to need another. */
TEST_EACH_BACKEND(http_client, posts_on_a_connection_that_is_known_to_live)
{
    AUTO_SCRIPT script *s = SCRIPT(OK("1", "a") CLOSE, OK("1", "b"));
    ANSWER(first, crank_http_get(script_url(s, "/")));
    crank_try(crank_sleep(0.01));
    EXPECT_EQ(s->ended, 1);
    ANSWER(r, crank_http_post(script_url(s, "/"), NULL, "x", 1));
    EXPECT_STR(r->body, "b");
    ANSWER(again, crank_http_post(script_url(s, "/"), NULL, "x", 1));
    EXPECT_EQ(s->requests, 3);
    return script_stop(s);
}

/* ---- Bodies that are streams */

static int write_all(crank_stream *to, const char *text, int error)
{
    crank_try(crank_write(to, text, strlen(text)));
    if (error < 0)
        crank_abort(to);
    else
        crank_try(crank_write_eof(to));
    return 0;
}

TEST_EACH_BACKEND(http_client, sends_a_stream_to_its_end_in_chunks)
{
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *to = NULL;
    crank_try(crank_socket_pair(&from, &to));
    AUTO_SCRIPT script *s = SCRIPT(OK("1", "a"));
    crank_task *writer = crank_spawn(write_all, to, "one\r\n", 0);
    crank_http_call call = { .from = from, .type = "text/plain" };
    ANSWER(r, crank_http_fetch(&call, script_url(s, "/")));
    EXPECT_CONTAINS(s->heads[0], "POST / HTTP/1.1\r\n");
    EXPECT_STR(s->bodies[0], "5\r\none\r\n\r\n0\r\n");
    crank_try(crank_await(writer));

    ANSWER(next, crank_http_get(script_url(s, "/")));
    EXPECT(next->reused);
    return script_stop(s);
}

TEST_EACH_BACKEND(http_client, fails_as_the_stream_fails_that_it_sends)
{
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *to = NULL;
    crank_try(crank_socket_pair(&from, &to));
    AUTO_SCRIPT script *s = SCRIPT(OK("1", "a"));
    crank_abort(from);
    FAILS(ECONNABORTED, "abort", crank_http_fetch(&(crank_http_call){ .from = from }, script_url(s, "/")));
    return script_stop(s);
}

static int refuse_early(crank_stream *peer)
{
    char head[1024];
    crank_try(crank_read_until(peer, "\r\n\r\n", head, sizeof head));
    crank_try(crank_printf(peer, "HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!"));
    return crank_sleep(1); /* it reads nothing, and does not end */
}
static int serve_refusals(crank_listener *l) { return crank_serve(l, refuse_early); }

TEST_EACH_BACKEND(http_client, reads_an_answer_that_comes_before_the_body_is_sent)
{
    static char large[4 << 20];
    char url[100];
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(serving);
    crank_group_spawn(&serving, serve_refusals, listener);
    snprintf(url, sizeof url, "http://%s/", crank_listener_address(listener, 0));
    ANSWER(r, crank_http_post(url, NULL, large, sizeof large));
    EXPECT_EQ(r->status, 413);
    EXPECT_STR(r->body, "no!");
    ANSWER(next, crank_http_get(url));
    EXPECT(!next->reused);
    crank_listener_stop(listener, 0);
    return crank_group_wait(&serving);
}

TEST_EACH_BACKEND(http_client, opens_an_answer_and_streams_its_body)
{
    char piece[10];
    AUTO_SCRIPT script *s =
        SCRIPT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc" CLOSE, OK("1", "a"));
    {
        ANSWER(r, crank_http_open(NULL, script_url(s, "/")));
        EXPECT(!r->body);
        EXPECT_EQ(crank_try(crank_read_exactly(crank_http_body(r), piece, 5)), 5);
        EXPECT(memcmp(piece, "abcde", 5) == 0);
        EXPECT_EQ(crank_try(crank_read(crank_http_body(r), piece, 5)), 0);
        EXPECT_EQ(crank_http_ok(r), 0);
    }
    {
        ANSWER(r, crank_http_open(NULL, script_url(s, "/")));
        EXPECT(r->reused);
        ssize_t n = crank_read_exactly(crank_http_body(r), piece, 10);
        EXPECT_EQ(n, -ECONNABORTED); /* not an end */
        EXPECT_EQ(crank_http_ok(r), -ENODATA);
        EXPECT_CONTAINS(crank_error(), "7 bytes before the end");
    }
    ANSWER(given_up, crank_http_open(NULL, script_url(s, "/"))); /* it is not read */
    EXPECT_EQ(given_up->status, 200);
    crank_http_response_free(given_up);
    given_up = NULL;
    ANSWER(next, crank_http_get(script_url(s, "/")));
    EXPECT(!next->reused); /* what was not read would be taken for its answer */
    return script_stop(s);
}
