/* SPDX-License-Identifier: MIT */
/* websocket_client.c: WebSockets that a client connects: with crank's server, and with one written by hand. */
#include <crank/sim.h>
#include "http/websocket/frame.h"
#include "sockets.h"

/* ---- With crank's server ---- */

static const char *url_of(const crank_listener *l, const char *path)
{
    static char url[100];
    snprintf(url, sizeof url, "ws://%s%s", crank_listener_address(l, 0), path);
    return url;
}

static crank_websocket *connected(crank_websocket *w, const char *file, int line)
{
    if (!w)
        test_fail(file, line, "cannot connect: %s [%s]", crank_error(), crank_errno_name(errno));
    return w;
}
#define CONNECTED(call) connected((call), __FILE__, __LINE__)

static int serve_seen(crank_http_request *request)
{
    const crank_websocket_options options = { .protocols = "b a" };
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept_with(&options, request));
    crank_websocket_message said;
    crank_try(crank_websocket_print(w, "%s %s %s", request->target, request->host,
        crank_http_header(request, "cookie") ? crank_http_header(request, "cookie") : "-"));
    while (crank_try(crank_websocket_read(w, &said)) > 0)
        crank_try(crank_websocket_write(w, said.kind, said.bytes, said.size));
    return 0;
}
static int serve(crank_listener *l) { return webs_served(l, crank_http_serve(l, serve_seen)); }

static int echo_back(crank_websocket *w, crank_websocket_kind kind, size_t size)
{
    crank_websocket_message said;
    char *bytes = test_memory(size + 1);
    memset(bytes, 'x', size);
    crank_try(crank_websocket_write(w, kind, bytes, size));
    EXPECT_EQ(crank_try(crank_websocket_read(w, &said)), 1);
    EXPECT_EQ(said.kind, kind);
    EXPECT_EQ(said.size, size);
    EXPECT(memcmp(said.bytes, bytes, size + 1) == 0); /* with the 0 behind */
    return 0;
}

TEST_EACH_BACKEND(websocket_client, talks_with_a_server)
{
    static const char *const headers[] = { "Cookie: a=1", NULL };
    const crank_websocket_options options = { .headers = headers, .protocols = "a b" };
    static const size_t sizes[] = { 0, 1, 125, 126, 65535, 65536, 1 << 20 };
    crank_websocket_message said;
    const char *reason;
    char expected[100];
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l);
    CRANK_AUTO_WEBSOCKET crank_websocket *first =
        CONNECTED(crank_websocket_connect_with(&options, url_of(l, "/a%20b?c=d#e")));
    crank_websocket *w = first;
    EXPECT_STR(crank_websocket_protocol(w), "b");
    EXPECT_EQ(crank_try(crank_websocket_read(w, &said)), 1);
    snprintf(expected, sizeof expected, "/a%%20b?c=d %s a=1", crank_listener_address(l, 0));
    EXPECT_STR(said.bytes, expected);
    for (size_t i = 0; i < CRANK_COUNT(sizes); i++) {
        crank_try(echo_back(w, CRANK_TEXT, sizes[i]));
        crank_try(echo_back(w, CRANK_BINARY, sizes[i]));
    }
    EXPECT_EQ(crank_websocket_closed(w, &reason), 0);
    EXPECT_EQ(crank_websocket_close(w, 4000, "enough"), 0);
    first = NULL;
    w = CONNECTED(crank_websocket_connect(url_of(l, "/")));
    EXPECT_STR(crank_websocket_protocol(w), "");
    EXPECT_EQ(crank_websocket_close(w, 1005, NULL), -EINVAL); /* and is closed all the same */
    return socket_stop(l, &server);
}

/* ---- With a server by hand ---- */

/* Answers each handshake as its row says, where "<key>" stands for the answer to the key; then frames as they are. */
typedef struct hand {
    crank_listener *listener;
    const char *answer;
    const char *frames;
    size_t frames_size;
    char seen[1000]; /* what the client has sent behind its handshake */
    size_t seen_size;
    bool stays; /* it answers no close */
} hand;

static int answer_one(crank_stream *peer, hand *h)
{
    char key[CR_HTTP_KEY_ANSWER], text[200];
    socket_read_key(peer, key);
    if (!h->answer)
        return crank_sleep(1000);
    const char *stands = strstr(h->answer, "<key>");
    snprintf(text, sizeof text, "%.*s%s%s", stands ? (int)(stands - h->answer) : 0, h->answer, stands ? key : "",
        stands ? stands + 5 : h->answer);
    crank_try(crank_write(peer, text, strlen(text)));
    crank_try(crank_write(peer, h->frames, h->frames_size));
    h->seen_size = 0;
    for (bool closes = false; !closes;) {
        char *to = h->seen + h->seen_size;
        ssize_t n = crank_try(crank_read(peer, to, sizeof h->seen - h->seen_size));
        closes = n == 0 || ((*to & 0x0f) == CR_HTTP_FRAME_CLOSE && !h->stays);
        h->seen_size += (size_t)n;
        if (n > 0 && closes)
            crank_try(crank_write(peer, "\x88\x02\x03\xe8", 4));
    }
    return 0;
}
static int serve_hand(hand *h) { return crank_serve(h->listener, answer_one, h); }

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: <key>\r\n"

static void expect_failure(const char *url, const crank_websocket_options *options, int error, const char *says)
{
    crank_websocket *w = crank_websocket_connect_with(options, url);
    int err = errno;
    if (w || err != error)
        test_fail(__FILE__, __LINE__, "%s: %s: %s", url, w ? "connected" : crank_errno_name(err), crank_error());
    EXPECT_CONTAINS(crank_error(), says);
}

TEST_SIM(websocket_client, takes_no_answer_that_is_no_handshake)
{
    static const struct {
        const char *answer;
        int error;
        const char *says;
    } rows[] = {
        { "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", EREMOTEIO, ": 404 Not Found" },
        { "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1/\r\n\r\n", EREMOTEIO, ": 302 Found" },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n", EREMOTEIO, ": 403 No" },
        { SWITCH "\r\n", EPROTO, "does not fit the key" },
        { SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", EPROTO, "does not fit the key" },
        { "HTTP/1.1 101 OK\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", EPROTO, "no upgrade" },
        { "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n" ACCEPT "\r\n", EPROTO, "no upgrade" },
        { SWITCH ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", EPROTO, "an extension" },
        { SWITCH ACCEPT "Sec-WebSocket-Protocol: b\r\n\r\n", EPROTO, "a protocol" },
        { "\x01\x02\r\n\r\n", EPROTO, "the answer of 127.0.0.1" },
        { NULL, ETIMEDOUT, "no answer from 127.0.0.1" },
    };
    const crank_websocket_options options = { .protocols = "a bb" };
    hand h = { .listener = webs_listen() };
    AUTO_SERVER crank_task *server = crank_spawn(serve_hand, &h);
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        h.answer = rows[i].answer;
        expect_failure(url_of(h.listener, "/"), &options, rows[i].error, rows[i].says);
    }
    crank_try(crank_listener_stop(h.listener, 0));
    crank_try(webs_await(&server));
    const char *url = url_of(h.listener, "/");
    crank_try(crank_close(h.listener));
    expect_failure(url, NULL, ECONNREFUSED, "Connection refused");
    return 0;
}

static int join(const char *url)
{
    crank_websocket *w = crank_websocket_connect(url);
    EXPECT(!w);
    return -errno;
}
TEST_SIM(websocket_client, names_the_handshake_that_a_limit_or_a_request_ends)
{
    char says[200];
    hand h = { .listener = webs_listen() };
    AUTO_SERVER crank_task *server = crank_spawn(serve_hand, &h);
    const char *url = url_of(h.listener, "/");
    EXPECT_EQ(crank_within(1, join(url)), -ETIMEDOUT);
    snprintf(says, sizeof says, "timed out: GET %s was cut short", url);
    EXPECT_STR(crank_error(), says);
    crank_task *asked = crank_spawn(join, url);
    crank_try(crank_sleep(1));
    EXPECT_EQ(crank_cancel_because(asked, "nobody is at home"), 0);
    EXPECT_EQ(crank_await(asked), -ECANCELED);
    EXPECT_STR(crank_error(), "nobody is at home");
    crank_try(crank_listener_stop(h.listener, 0));
    crank_try(webs_await(&server));
    return crank_finish(h.listener);
}

TEST_SIM(websocket_client, refuses_what_cannot_be_sent)
{
    static const char *const control[] = { "a: b\r\nc: d", NULL }, *const own[] = { "Sec-WebSocket-Key: a", NULL };
    static const char *const host[] = { "Host: a", NULL };
    crank_websocket_options options = { .headers = control };
    expect_failure("ws://h/", &options, EINVAL, "control byte");
    options.headers = own;
    expect_failure("ws://h/", &options, EINVAL, "the handshake's own to set");
    options.headers = host;
    expect_failure("ws://h/", &options, EINVAL, "the handshake's own to set");
    options = (crank_websocket_options){ .protocols = "a,b" };
    expect_failure("ws://h/", &options, EINVAL, "no words between blanks");
    options = (crank_websocket_options){ .ping = NAN };
    expect_failure("ws://h/", &options, EINVAL, "no number");
    expect_failure("http://h/", NULL, EINVAL, "begins with ws:// or wss://");
    expect_failure("ws:/h/", NULL, EINVAL, "stands \"://\"");
    expect_failure("wss://localhost:1/", NULL, ECONNREFUSED, "cannot connect to localhost:1");
    expect_failure("ws://a b/", NULL, EINVAL, "no such byte");
    return 0;
}

static int try_frames(const char *frames, size_t size, int read, int code)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    hand h = { .listener = l, .answer = SWITCH ACCEPT "\r\n", .frames = frames, .frames_size = size };
    crank_websocket_message said;
    AUTO_SERVER crank_task *server = crank_spawn(serve_hand, &h);
    CRANK_AUTO_WEBSOCKET crank_websocket *w = CONNECTED(crank_websocket_connect(url_of(h.listener, "/")));
    EXPECT_EQ(crank_websocket_read(w, &said), read);
    if (read == 1) {
        EXPECT_STR(said.bytes, "Hi");
        EXPECT_EQ(crank_websocket_close(w, code, NULL), 0);
        w = NULL;
    }
    crank_try(crank_sleep(0.1));
    EXPECT_EQ(h.seen[0] & 0xff, 0x88);
    EXPECT(h.seen[1] & 0x80); /* masked */
    EXPECT_EQ(((h.seen[2] ^ h.seen[6]) & 0xff) << 8 | ((h.seen[3] ^ h.seen[7]) & 0xff), code);
    crank_try(crank_listener_stop(h.listener, 0));
    crank_try(webs_await(&server));
    return 0;
}

/* The first bytes of the socket come with the answer. */
TEST_SIM(websocket_client, reads_what_comes_behind_the_answer_and_refuses_masks)
{
    crank_try(try_frames("\x81\x02Hi", 4, 1, 3000));
    crank_try(try_frames("\x81\x82\1\2\3\4Hi", 8, -EPROTO, 1002));
    return try_frames("\x81\x01\xff", 3, -EPROTO, 1007);
}

TEST_SIM(websocket_client, masks_differ_and_are_chosen_by_the_seed)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    hand h = { .listener = l, .answer = SWITCH ACCEPT "\r\n" };
    AUTO_SERVER crank_task *server = crank_spawn(serve_hand, &h);
    CRANK_AUTO_WEBSOCKET crank_websocket *w = CONNECTED(crank_websocket_connect(url_of(h.listener, "/")));
    crank_try(crank_websocket_write(w, CRANK_TEXT, "same", 4));
    EXPECT_EQ(crank_websocket_write_now(w, CRANK_TEXT, "same", 4), 0);
    crank_try(crank_sleep(0.1));
    EXPECT_EQ(h.seen_size, 20);
    for (size_t at = 0; at < 20; at += 10) {
        char text[5] = "";
        cr_http_frame frame = { .masked = true };
        memcpy(frame.mask, h.seen + at + 2, 4);
        cr_http_frame_copy(&frame, 0, text, h.seen + at + 6, 4);
        EXPECT_STR(text, "same");
    }
    EXPECT(memcmp(h.seen + 2, h.seen + 12, 4) != 0);
    crank_try(crank_listener_stop(h.listener, 0));
    crank_try(webs_await(&server));
    return 0;
}

static int reads_to_the_end(const char *url)
{
    crank_websocket_message said;
    CRANK_AUTO_WEBSOCKET crank_websocket *w = CONNECTED(crank_websocket_connect(url));
    while (crank_try(crank_websocket_read(w, &said)) > 0)
        continue;
    return 0;
}
static int fails_by_itself(const char *url)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = CONNECTED(crank_websocket_connect(url));
    EXPECT(w);
    return crank_fail(EDOM, "of my own");
}
TEST_SIM(websocket_client, whose_block_a_failure_leaves_does_not_change_it)
{
    hand h = { .listener = webs_listen(), .answer = SWITCH ACCEPT "\r\n", .stays = true };
    AUTO_SERVER crank_task *server = crank_spawn(serve_hand, &h);
    const char *url = url_of(h.listener, "/");
    crank_task *reader = crank_spawn(reads_to_the_end, url), *other = crank_spawn(fails_by_itself, url);
    crank_try(crank_sleep(1));
    crank_try(crank_sim_reset("sim", "sim"));
    EXPECT_EQ(crank_await(reader), -ECONNRESET);
    EXPECT_CONTAINS(crank_error(), "cannot read 127.0.0.1:");
    EXPECT_CONTAINS(crank_last_failure()->trace[0].what, "crank_websocket_read(w, &said)");
    EXPECT_EQ(crank_await(other), -EDOM); /* its close has met the reset */
    EXPECT_STR(crank_error(), "of my own");
    crank_try(crank_listener_stop(h.listener, 0));
    crank_try(webs_await(&server));
    return crank_close(h.listener);
}

TEST_SIM(websocket_client, waits_five_seconds_for_the_close_of_its_server)
{
    hand h = { .listener = webs_listen(), .answer = SWITCH ACCEPT "\r\n", .stays = true };
    AUTO_SERVER crank_task *server = crank_spawn(serve_hand, &h);
    crank_websocket *w = CONNECTED(crank_websocket_connect(url_of(h.listener, "/")));
    double begun = crank_time();
    EXPECT_EQ(crank_websocket_close(w, 1000, NULL), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - begun, 5, 0.01);
    w = CONNECTED(crank_websocket_connect(url_of(h.listener, "/")));
    begun = crank_time();
    crank_websocket_abort(w, 1011, "no more");
    EXPECT_EQ(crank_websocket_close(w, 1000, NULL), -ECONNABORTED);
    EXPECT_NEAR(crank_time() - begun, 0, 0.01);
    w = CONNECTED(crank_websocket_connect(url_of(h.listener, "/")));
    begun = crank_time();
    EXPECT_EQ(crank_within(1, crank_websocket_close(w, 1000, NULL)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - begun, 1, 0.01);
    crank_try(crank_listener_stop(h.listener, 0));
    crank_try(webs_await(&server));
    return crank_close(h.listener);
}
