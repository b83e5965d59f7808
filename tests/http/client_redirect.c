/* SPDX-License-Identifier: MIT */
/* client_redirect.c: which redirects are followed, and with what. */
#include "scripts.h"

#define TO(status, location) "HTTP/1.1 " status " Go\r\nLocation: " location "\r\nContent-Length: 4\r\n\r\ngone"

/* The first request is to /a/b?c, of the method, with a body; the second is as said. */
TEST_EACH_BACKEND(http_redirect, asks_again_as_the_status_says)
{
    static const struct {
        const char *status, *location, *method, *second;
        bool with_body;
    } rows[] = {
        { "301", "c", "GET", "GET /a/c HTTP/1.1\r\n", false },
        { "302", "../c?d#e", "GET", "GET /c?d HTTP/1.1\r\n", false },
        { "302", "?x", "HEAD", "HEAD /a/b?x HTTP/1.1\r\n", false },
        { "303", "/c", "POST", "GET /c HTTP/1.1\r\n", false },
        { "303", "/c", "PUT", "GET /c HTTP/1.1\r\n", false },
        { "301", "/c", "POST", "GET /c HTTP/1.1\r\n", false },
        { "302", "/c", "PUT", "PUT /c HTTP/1.1\r\n", true },
        { "307", "/c", "POST", "POST /c HTTP/1.1\r\n", true },
        { "308", "/c d", "POST", "POST /c%20d HTTP/1.1\r\n", true },
    };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        char answer[200];
        bool is_head = strcmp(rows[i].method, "HEAD") == 0;
        bool is_read = is_head || strcmp(rows[i].method, "GET") == 0;
        snprintf(answer, sizeof answer, "HTTP/1.1 %s Go\r\nLocation: %s\r\nContent-Length: %s", rows[i].status,
            rows[i].location, is_head ? "0\r\n\r\n" : "4\r\n\r\ngone");
        AUTO_SCRIPT script *s = SCRIPT(answer, is_head ? "HTTP/1.1 200 OK\r\n\r\n" : OK("1", "z"));
        crank_http_call call = {
            .method = rows[i].method, .type = "a/b", .body = is_read ? NULL : "body", .size = is_read ? 0 : 4
        };
        ANSWER(r, crank_http_fetch(&call, script_url(s, "/a/b?c")));
        EXPECT_EQ(r->status, 200);
        EXPECT_EQ(r->redirects, 1);
        if (strncmp(s->heads[1], rows[i].second, strlen(rows[i].second)) != 0)
            test_fail(__FILE__, __LINE__, "row %zu: %s", i, s->heads[1]);
        EXPECT_EQ(strstr(s->heads[1], "content-") != NULL, rows[i].with_body);
        EXPECT_STR(s->bodies[1], rows[i].with_body ? "body" : "");
        EXPECT_EQ(s->connections, 1);
        crank_try(script_stop(s));
    }
    return 0;
}

TEST_EACH_BACKEND(http_redirect, leaves_credentials_at_their_origin)
{
    static const char *const headers[] = { "Authorization: secret", "Cookie: secret", "X-Other: shown", NULL };
    crank_http_call call = { .headers = headers };
    char there[200], back[200];
    AUTO_SCRIPT script *other = SCRIPT(there);
    AUTO_SCRIPT script *s = SCRIPT(TO("302", "/here"), back, OK("1", "z"));
    snprintf(back, sizeof back, TO("302", "%s/there"), other->url);
    snprintf(there, sizeof there, TO("302", "%s/again"), s->url);
    ANSWER(r, crank_http_fetch(&call, script_url(s, "/")));
    EXPECT_STR(r->url, script_url(s, "/again"));
    EXPECT_EQ(r->redirects, 3);
    EXPECT_CONTAINS(s->heads[1], "secret");
    EXPECT_CONTAINS(other->heads[0], "X-Other: shown");
    EXPECT(!strstr(other->heads[0], "secret"));
    EXPECT(!strstr(s->heads[2], "secret")); /* the other origin might have chosen what it is used for */
    crank_try(script_stop(other));
    return script_stop(s);
}

TEST_EACH_BACKEND(http_redirect, ends_in_a_sentence_where_it_leads_nowhere)
{
    static char ring[] = TO("301", "/ring");
    AUTO_SCRIPT script *s = SCRIPT(ring);
    FAILS(ELOOP, "more than 10 redirects, the last from http://", crank_http_get(script_url(s, "/")));
    EXPECT_EQ(s->requests, 11);
    FAILS(ELOOP, "more than 2 redirects", crank_http_fetch(&(crank_http_call){ .redirects = 2 }, s->url));
    crank_http_call none = { .redirects = -1 };
    ANSWER(r, crank_http_fetch(&none, s->url));
    EXPECT_EQ(r->status, 301);
    EXPECT_STR(r->body, "gone");
    crank_try(script_stop(s));

    s = SCRIPT(TO("302", "ftp://host/"), TO("302", "https://127.0.0.1:1/"), "HTTP/1.1 302 Where\r\n\r\nto" CLOSE);
    FAILS(EPROTO, "302: bad URL \"ftp://host/\"", crank_http_get(s->url));
    FAILS(ECONNREFUSED, "127.0.0.1:1", crank_http_get(s->url));
    ANSWER(nowhere, crank_http_get(s->url));
    EXPECT_STR(nowhere->body, "to");
    return script_stop(s);
}

TEST_EACH_BACKEND(http_redirect, that_wants_a_stream_once_more_is_refused)
{
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *to = NULL;
    crank_try(crank_socket_pair(&from, &to));
    AUTO_SCRIPT script *s = SCRIPT(TO("307", "/other"));
    crank_try(crank_write(to, "body", 4));
    crank_try(crank_write_eof(to));
    FAILS(ENOTSUP, "the body is asked for once more", crank_http_fetch(&(crank_http_call){ .from = from }, s->url));
    return script_stop(s);
}
