/* SPDX-License-Identifier: MIT */
/* limits.c: what a client may do, and for how long: limits are on by default, and a good client beside feels none. */
#include "webs.h"

static int take(crank_http_request *request)
{
    char *body;
    if (crank_http_is(request, "POST", "/unread"))
        return crank_http_respond(request, 200, NULL, NULL, 0);
    if (crank_http_is(request, "POST", "/small")) {
        ssize_t n = crank_try(crank_http_read_body(request, 10, &body));
        return crank_http_print(request, 200, NULL, "%zd", n);
    }
    if (crank_http_is(request, "POST", "/whole")) {
        ssize_t n = crank_try(crank_http_read_body(request, 2000000, &body));
        return crank_http_print(request, 200, NULL, "%zd", n);
    }
    if (crank_http_is(request, "GET", "/compute")) {
        crank_try(crank_sleep(600));
        return crank_http_print(request, 200, NULL, "done");
    }
    if (crank_http_is(request, "GET", "/large")) {
        static const char large[1000000];
        return crank_http_respond(request, 200, NULL, large, sizeof large);
    }
    if (crank_http_is(request, "GET", "/pieces")) {
        static const char piece[1000];
        crank_stream *s = crank_try(crank_http_begin(request, 200, NULL));
        for (int i = 0; i < 1000; i++) {
            crank_try(crank_write(s, piece, sizeof piece));
            EXPECT(crank_unsent(s) < 68000); /* and no more in memory */
        }
        return 0;
    }
    return 0;
}
static int serve(crank_listener *l, const crank_http_options *options)
{
    return webs_served(l, crank_http_serve_with(options, l, take));
}

static int with_options(const crank_http_options *options, int (*test)(crank_stream *s, crank_listener *l))
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, options);
    {
        CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
        crank_try(test(s, l));
    }
    return webs_stop(l, &server, 1);
}

/* ---- Time ---- */

static int try_slow_heads(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    double begun = crank_time();
    CRANK_AUTO_STREAM crank_stream *silent = webs_connect(l);
    static const char head[] = "GET / HTTP/1.1\r\nHost: localhost\r\nX: ";
    for (size_t i = 0; i < 36; i++) {
        crank_try(crank_write(s, head + i, 1));
        crank_try(crank_flush(s));
        crank_try(crank_sleep(0.25));
    }
    webs_read(s, &a, true);
    EXPECT_EQ(a.status, 408);
    EXPECT(a.closes);
    EXPECT_NEAR(crank_time() - begun, 10, 0.01);
    webs_expect_end(s);
    webs_expect_end(silent);
    EXPECT_NEAR(crank_time() - begun, 10, 0.01);
    CRANK_AUTO_STREAM crank_stream *good = webs_connect(l);
    begun = crank_time();
    EXPECT_EQ(webs_get(good, "/")->status, 404);
    crank_try(crank_sleep(74));
    EXPECT_EQ(webs_get(good, "/")->status, 404);
    webs_expect_end(good);
    EXPECT_NEAR(crank_time() - begun, 74 + 75, 0.01);
    return 0;
}
TEST_SIM(limits, end_a_slow_head_a_silent_connection_and_an_idle_one) { return with_options(NULL, try_slow_heads); }

static int try_computing(crank_stream *s, crank_listener *l)
{
    (void)l;
    EXPECT_STR(webs_get(s, "/compute")->body, "done");
    EXPECT_STR(webs_get(s, "/compute")->body, "done");
    return 0;
}
TEST_SIM(limits, do_not_count_while_a_handler_computes) { return with_options(NULL, try_computing); }

static int send_slowly(crank_stream *s, size_t piece, double pause)
{
    static const char bytes[1000];
    for (;;) {
        crank_try(crank_write(s, bytes, piece));
        crank_try(crank_flush(s));
        crank_try(crank_sleep(pause));
    }
}
static int try_slow_bodies(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    /* A trickle of 50 bytes a second is ended; 200 bytes a second, as of a modem in a tunnel, are not. */
    CRANK_AUTO_STREAM crank_stream *modem = webs_connect(l);
    double begun = crank_time();
    webs_send(s, "POST /whole HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n");
    webs_send(modem, "POST /whole HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n");
    crank_task *trickle = crank_spawn(send_slowly, s, (size_t)50, 1.0);
    crank_task *steady = crank_spawn(send_slowly, modem, (size_t)1000, 5.0);
    webs_read(s, &a, true);
    EXPECT_EQ(a.status, 408);
    EXPECT_NEAR(crank_time() - begun, 60, 1.1);
    crank_cancel(trickle);
    (void)crank_await(trickle);
    webs_read(modem, &a, true);
    EXPECT_STR(a.body, "20000");
    crank_cancel(steady);
    (void)crank_await(steady);
    return 0;
}
TEST_SIM(limits, of_the_rate_end_a_trickle_and_let_a_modem_pass) { return with_options(NULL, try_slow_bodies); }

/* The handler waits for the body as soon as it begins. */
static int try_silent_body(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    (void)l;
    double begun = crank_time();
    webs_send(s, "POST /whole HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n");
    webs_read(s, &a, true);
    EXPECT_EQ(a.status, 408);
    EXPECT_NEAR(crank_time() - begun, 30, 0.01);
    return 0;
}
TEST_SIM(limits, of_the_rate_end_a_body_of_which_nothing_comes) { return with_options(NULL, try_silent_body); }

static int read_slowly(crank_stream *s, crank_listener *l, const char *request)
{
    static char bytes[100000];
    double begun = crank_time();
    test_capture();
    webs_send(s, request);
    CRANK_AUTO_STREAM crank_stream *slow = webs_connect(l);
    webs_send(slow, request);
    ssize_t n = 1;
    size_t total = 0;
    while (n > 0) {
        n = crank_read(slow, bytes, 20000);
        total += n > 0 ? (size_t)n : 0;
        if (total > 1000000)
            break;
        crank_try(crank_sleep(5));
    }
    EXPECT(n > 0);
    EXPECT(crank_time() - begun > 100);
    webs_expect_reset(s); /* it has read nothing at all */
    EXPECT_EQ(crank_listener_connections(l), 1);
    EXPECT_STR(test_captured(), "");
    return 0;
}
static int try_slow_reader(crank_stream *s, crank_listener *l)
{
    return read_slowly(s, l, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
}
static int try_slow_reader_of_pieces(crank_stream *s, crank_listener *l)
{
    return read_slowly(s, l, "GET /pieces HTTP/1.1\r\nHost: localhost\r\n\r\n");
}
TEST_SIM(limits, of_the_rate_reset_a_client_that_reads_nothing_and_let_a_slow_one_read)
{
    crank_try(with_options(NULL, try_slow_reader));
    return with_options(NULL, try_slow_reader_of_pieces);
}

/* ---- Size ---- */

static int try_sizes(crank_stream *s, crank_listener *l)
{
    (void)l;
    EXPECT_STR(
        webs_ask(s, "POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n0123456789")->body, "10");
    const webs_answer *a =
        webs_ask(s, "POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n0123456789a");
    EXPECT_EQ(a->status, 413);
    EXPECT(!a->closes); /* it is little: read and dropped */
    a = webs_ask(s, "POST /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "b\r\n0123456789a\r\n0\r\n\r\n");
    EXPECT_EQ(a->status, 413);
    a = webs_ask(s, "POST /whole HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n");
    EXPECT_EQ(a->status, 413);
    EXPECT(a->closes);
    webs_expect_end(s);
    return 0;
}
TEST_SIM(limits, of_a_body_are_told_before_it_is_sent)
{
    return with_options(&(crank_http_options){ .body_max = 100 }, try_sizes);
}

static int send_all(crank_stream *s, size_t size)
{
    static const char bytes[32768];
    int err = 0;
    for (size_t sent = 0; err == 0 && sent < size; sent += sizeof bytes)
        err = crank_write(s, bytes, size - sent < sizeof bytes ? size - sent : sizeof bytes);
    return err == -EPIPE || err == -ECONNRESET ? 0 : err;
}
static int try_big_sender(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    const size_t size = 64 << 20;
    (void)l;
    crank_try(crank_printf(s, "POST /whole HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", size));
    crank_task *sender = crank_spawn(send_all, s, size);
    webs_read(s, &a, true);
    EXPECT_EQ(a.status, 413);
    EXPECT(a.closes);
    return (int)crank_await(sender);
}
TEST_EACH_BACKEND(limits, of_a_body_reach_a_sender_that_goes_on)
{
    return with_options(&(crank_http_options){ .body_max = 1 << 20 }, try_big_sender);
}

/* A body that the handler does not read, of 255 and of 257 KiB. */
static int try_unread(crank_stream *s, crank_listener *l)
{
    static webs_answer a;
    (void)l;
    for (int i = 0; i < 2; i++) {
        size_t size = i == 0 ? 255 * 1024 : 257 * 1024;
        crank_try(crank_printf(s, "POST /unread HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", size));
        crank_task *sender = crank_spawn(send_all, s, size);
        webs_read(s, &a, true);
        EXPECT_EQ(a.status, 200);
        EXPECT_EQ(a.closes, i == 1);
        crank_try(crank_await(sender));
    }
    return 0;
}
TEST_EACH_BACKEND(body, that_is_not_read_is_dropped_or_closes_the_connection) { return with_options(NULL, try_unread); }

static int try_expecting(crank_stream *s, crank_listener *l)
{
    (void)l;
    const webs_answer *a =
        webs_ask(s, "POST /unread HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(a->status, 200);
    EXPECT(a->closes);
    webs_expect_end(s);
    return 0;
}
TEST_SIM(body, that_is_not_asked_for_closes_the_connection) { return with_options(NULL, try_expecting); }

/* ---- Names ---- */

static int status_of(crank_listener *l, const char *host)
{
    char request[200];
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    return webs_ask(s, request)->status;
}
static int try_hosts(crank_stream *s, crank_listener *l)
{
    (void)s;
    static const char *const taken[] = { "localhost", "LOCALHOST:80", "localhost.", "127.0.0.1:1", "[::1]:80",
        "chat.test", "b.test:8080" };
    static const char *const refused[] = { "evil.example", "localhost.evil.example", "chat.test.evil", "test",
        "1.2.3.4.evil" };
    for (size_t i = 0; i < CRANK_COUNT(taken); i++)
        EXPECT_EQ(status_of(l, taken[i]), 404);
    for (size_t i = 0; i < CRANK_COUNT(refused); i++)
        EXPECT_EQ(status_of(l, refused[i]), 421);
    return 0;
}
TEST_SIM(loopback, server_is_asked_under_its_own_names_only)
{
    return with_options(&(crank_http_options){ .hosts = "chat.test b.test" }, try_hosts);
}

/* ---- Proxies in front ---- */

static int show_peer(crank_http_request *request)
{
    return crank_http_print(request, 200, NULL, "%s %s %d", request->peer, request->host, request->secure);
}
static int serve_peers(crank_listener *l, const char *proxies)
{
    return webs_served(
        l, crank_http_serve_with(&((crank_http_options){ .proxies = proxies, .hosts = "a.test" }), l, show_peer));
}
static const char *peer_of(const char *proxies, const char *fields)
{
    static char shown[WEBS_BODY_MAX + 16];
    char request[400];
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_peers, l, proxies);
    {
        CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: localhost\r\n%s\r\n", fields);
        snprintf(shown, sizeof shown, "%s", webs_ask(s, request)->body);
    }
    EXPECT_EQ(crank_listener_stop(l, 1), 0);
    EXPECT_EQ(webs_await(&server), 0);
    return shown;
}
TEST_SIM(proxies, that_are_named_are_believed_and_no_others)
{
    static const char all[] = "X-Forwarded-For: 6.6.6.6, 93.184.216.34, 10.1.2.3\r\nX-Forwarded-Proto: https\r\n"
                              "X-Forwarded-Host: A.test\r\n";
    EXPECT_STR(peer_of("127.0.0.0/8 10.0.0.0/8", all), "93.184.216.34:0 a.test 1");
    EXPECT_STR(peer_of("127.0.0.1", all), "10.1.2.3:0 a.test 1");
    EXPECT_STR(peer_of("127.0.0.1", "X-Forwarded-For: fd00::7\r\n"), "[fd00::7]:0 localhost 0");
    EXPECT_STR(
        peer_of("127.0.0.1 fd00::/16", "X-Forwarded-For: 1.2.3.4:99, [fd00::7]:80\r\n"), "1.2.3.4:0 localhost 0");
    EXPECT_CONTAINS(peer_of("127.0.0.1", "X-Forwarded-For: 1.2.3.4, unknown\r\n"), "127.0.0.1:");
    EXPECT_CONTAINS(peer_of("10.0.0.0/8", all), "127.0.0.1:");
    EXPECT_CONTAINS(peer_of(NULL, all), " localhost 0");
    EXPECT_STR(peer_of("127.0.0.1", "X-Forwarded-Host: evil.example\r\n"), "Misdirected Request\n");
    return 0;
}

TEST_SIM(options, that_are_no_numbers_are_refused)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    EXPECT_EQ(serve(l, &(crank_http_options){ .head = NAN }), -EINVAL);
    EXPECT_EQ(serve(l, &(crank_http_options){ .idle = -1 }), -EINVAL);
    EXPECT_EQ(serve(l, &(crank_http_options){ .proxies = "10.0.0.0/33" }), -EINVAL);
    EXPECT_EQ(serve(l, &(crank_http_options){ .proxies = "127.0.0.1,::1" }), -EINVAL);
    EXPECT_EQ(serve(l, &(crank_http_options){ .proxies = "localhost" }), -EINVAL);
    return 0;
}
