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

/* ---- Much, with little memory ---- */

/* What both ends have of a body at a time: the client 64 KiB that are unsent, the server 64 KiB that are unread, and
 * buffers double. A simulated socket's bytes are on the heap, too. */
enum { BOTH_ENDS = 256 << 10, SIMULATED_SOCKET = 128 << 10 };

typedef struct sum {
    int64_t left;       /* of what the source has to give */
    int64_t passed;     /* the server has read so much */
    size_t begun, most; /* bytes of the heap: before the call, and while the body comes */
} sum;

static ssize_t give(void *self, void *buf, size_t size)
{
    sum *u = self;
    size_t n = u->left < (int64_t)size ? (size_t)u->left : size;
    memset(buf, '*', n);
    u->left -= (int64_t)n;
    return (ssize_t)n;
}
static const crank_transport giver = { .name = "giver", .read = give };

static int swallow(crank_http_request *request, sum *u)
{
    static char piece[16384];
    EXPECT_EQ(request->size, -1);
    for (ssize_t n; (n = crank_try(crank_read(crank_http_body(request), piece, sizeof piece))) > 0; u->passed += n) {
        size_t now = test_heap_bytes();
        u->most = now > u->most ? now : u->most;
    }
    return crank_http_respond(request, 200, NULL, "", 0);
}
static int serve_swallowing(crank_listener *l, sum *u) { return crank_http_serve(l, swallow, u); }

static void send_counted(const char *url, sum *u, int64_t size)
{
    CRANK_AUTO_HTTP_CLIENT crank_http_client *client = crank_http_client_new(0, 0);
    *u = (sum){ .left = size, .begun = test_heap_bytes() };
    CRANK_AUTO_STREAM crank_stream *from = crank_stream_new(&giver, u, NULL);
    ANSWER(r, crank_http_fetch(&(crank_http_call){ .from = from, .client = client }, url));
    EXPECT_EQ(crank_http_ok(r), 0);
    EXPECT_EQ(u->passed, size);
}
static int send_much(int64_t size)
{
    char url[100];
    sum u;
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(group);
    crank_group_spawn(&group, serve_swallowing, listener, &u);
    snprintf(url, sizeof url, "http://%s/", crank_listener_address(listener, 0));
    send_counted(url, &u, 1); /* what the loop keeps for any */
    send_counted(url, &u, size);
    size_t limit = BOTH_ENDS + (strcmp(crank_backend_name(), "sim") ? 0 : SIMULATED_SOCKET);
    if (u.most - u.begun > limit)
        test_fail(__FILE__, __LINE__, "both ends take %zu bytes, more than %zu", u.most - u.begun, limit);
    crank_listener_stop(listener, 0);
    return crank_group_wait(&group);
}
TEST_EACH_BACKEND(http_client, sends_a_stream_of_any_size_with_little_memory) { return send_much(32 << 20); }
TEST_EACH_BACKEND(http_client, sends_a_gigabyte_with_little_memory)
{
    test_needs_long();
    return send_much(1 << 30);
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
