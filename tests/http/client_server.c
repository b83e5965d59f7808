/* SPDX-License-Identifier: MIT */
/* client_server.c: crank's client and crank's server with each other: bodies that go both ways at once, keeping. */
#include <crank/http.h>
#include <crank/sim.h>
#include <unistd.h>
#include "scripts.h"

/* More than the buffers and sockets between the two hold. */
enum { LARGE = 8 << 20 };

static char byte_at(size_t i) { return (char)(i * 31 + i / 4096); }

/* What comes is sent back, as it comes. */
static int echo(crank_http_request *request)
{
    char piece[4096];
    crank_stream *from = crank_http_body(request);
    crank_stream *to = crank_try(crank_http_begin(request, 200, crank_http_header(request, "content-type")));
    for (;;) {
        ssize_t n = crank_try(crank_read(from, piece, sizeof piece));
        if (n == 0)
            return 0;
        crank_try(crank_write(to, piece, (size_t)n));
    }
}

static int site(crank_http_request *request, unsigned *count)
{
    ++*count;
    if (crank_http_is(request, "POST", "/echo"))
        return echo(request);
    if (crank_http_is(request, "GET", "/there"))
        return crank_http_redirect(request, 302, "/here?x=1");
    if (crank_http_is(request, "GET", "/here"))
        return crank_http_print(request, 200, "text/plain", "here %s", request->query);
    return 0;
}

static int serve(crank_listener *l, unsigned *count) { return crank_http_serve(l, site, count); }

static int write_large(crank_stream *to)
{
    char piece[4096];
    for (size_t at = 0; at < LARGE; at += sizeof piece) {
        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = byte_at(at + i);
        crank_try(crank_write(to, piece, sizeof piece));
    }
    return crank_write_eof(to);
}

static int expect_large(crank_stream *from)
{
    static char piece[16384];
    size_t at = 0;
    for (ssize_t n; (n = crank_try(crank_read(from, piece, sizeof piece))) > 0; at += (size_t)n)
        for (size_t i = 0; i < (size_t)n; i++)
            if (piece[i] != byte_at(at + i))
                test_fail(__FILE__, __LINE__, "byte %zu is another", at + i);
    EXPECT_EQ(at, LARGE);
    return 0;
}

TEST_EACH_BACKEND(http, goes_both_ways_at_once_in_pieces)
{
    char url[100];
    unsigned count = 0;
    CRANK_AUTO_STREAM crank_stream *from = NULL;
    CRANK_AUTO_STREAM crank_stream *to = NULL;
    crank_try(crank_socket_pair(&from, &to));
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(group);
    crank_group_spawn(&group, serve, listener, &count);
    crank_group_spawn(&group, write_large, to);
    snprintf(url, sizeof url, "http://%s/echo", crank_listener_address(listener, 0));
    {
        ANSWER(r, crank_http_open(&(crank_http_call){ .from = from, .type = "a/b" }, url));
        EXPECT_STR(crank_http_header(r, "content-type"), "a/b");
        crank_try(expect_large(crank_http_body(r)));
        EXPECT_EQ(crank_http_ok(r), 0);
    }
    ANSWER(r, crank_http_post(url, NULL, "small", 5));
    EXPECT_STR(r->body, "small");
    EXPECT(r->reused);
    snprintf(url, sizeof url, "http://%s/there", crank_listener_address(listener, 0));
    ANSWER(here, crank_http_get(url));
    EXPECT_STR(here->body, "here x=1");
    EXPECT(here->reused);
    EXPECT_EQ(count, 4);
    crank_listener_stop(listener, 1);
    return crank_group_wait(&group);
}

TEST_EACH_BACKEND(http_client, connects_elsewhere_when_told)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "unix:@crank-http-%d", (int)getpid());
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen(path));
    CRANK_GROUP(group);
    crank_group_spawn(&group, serve, listener, &count);
    for (int i = 0; i < 2; i++) {
        ANSWER(r, crank_http_fetch(&(crank_http_call){ .address = path }, "http://containers/here?y"));
        EXPECT_STR(r->body, "here y");
        EXPECT_EQ(r->reused, i > 0);
    }
    crank_listener_stop(listener, 1);
    return crank_group_wait(&group);
}

/* ---- A host that is powered off ---- */

static int serve_far(unsigned *count)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:80"));
    return serve(listener, count);
}

static int get_from_far(unsigned *reused)
{
    for (int i = 0; i < 2; i++) {
        ANSWER(r, crank_http_get("http://far/here"));
        *reused += r->reused;
    }
    return crank_sleep(1000);
}

TEST_SIM(http_client, of_a_host_keeps_no_connection_when_that_is_killed)
{
    unsigned count = 0, reused = 0;
    crank_task *server = crank_sim_host("far", serve_far, &count);
    for (int i = 0; i < 2; i++) {
        crank_task *client = crank_sim_host("near", get_from_far, &reused);
        crank_try(crank_sleep(1));
        crank_try(crank_sim_kill("near"));
        EXPECT_EQ(crank_await(client), -ECANCELED);
    }
    ANSWER(r, crank_http_get("http://far/here"));
    EXPECT(!r->reused); /* of this host's there is none */
    EXPECT_EQ(reused, 2);
    EXPECT_EQ(count, 5);
    crank_cancel(server);
    return crank_await(server) == -ECANCELED ? 0 : -EPROTO;
}
