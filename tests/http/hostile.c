/* SPDX-License-Identifier: MIT */
/* hostile.c: what clients do to a web server: its memory is bounded, and others are served. */
#include "hostile.h"
#include "sockets.h"

static int endless_pieces(crank_http_request *request)
{
    static const char piece[1000];
    crank_stream *s = crank_try(crank_http_begin(request, 200, NULL));
    for (;;)
        crank_try(crank_write(s, piece, sizeof piece));
}
static int endless_events(crank_http_request *request)
{
    for (;;)
        crank_try(crank_http_event(request, NULL, NULL, "%0900d", 1));
}
static int endless_messages(crank_http_request *request)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept(request));
    for (;;) {
        crank_try(crank_websocket_print(w, "%0900d", 1));
        crank_try(crank_sleep(0.001));
    }
}
static int site(crank_http_request *request)
{
    static const char large[1000000];
    char *body;
    if (crank_http_is(request, "GET", "/"))
        return crank_http_print(request, 200, NULL, "fine");
    if (crank_http_is(request, "GET", "/large"))
        return crank_http_respond(request, 200, NULL, large, sizeof large);
    if (crank_http_is(request, "GET", "/last"))
        return crank_http_respond(request, 200, NULL, large, 180000);
    if (crank_http_is(request, "GET", "/pieces"))
        return endless_pieces(request);
    if (crank_http_is(request, "GET", "/events"))
        return endless_events(request);
    if (crank_http_is(request, "GET", "/messages"))
        return endless_messages(request);
    if (crank_http_is(request, "GET", "/chat"))
        return socket_echo(request);
    if (crank_http_is(request, "POST", "/whole"))
        crank_try(crank_http_read_body(request, 100000, &body));
    if (crank_http_is(request, "POST", "/upload"))
        crank_try(crank_http_read_body(request, 100000000, &body));
    return 0;
}
static int serve(crank_listener *l) { return webs_served(l, crank_http_serve(l, site)); }

static int say(crank_stream *s, const char *bytes, size_t size)
{
    crank_try(crank_write(s, bytes, size));
    return crank_flush(s);
}
static int say_text(crank_stream *s, const char *text) { return say(s, text, strlen(text)); }

/* What comes first, and then the same again and again, with a pause between. */
static int go_on(crank_stream *s, const char *first, const char *piece, double pause)
{
    size_t size = strlen(piece);
    crank_try(say_text(s, first));
    for (;;) {
        crank_try(say(s, piece, size));
        crank_try(crank_sleep(pause));
    }
}
/* It reads nothing, whatever comes. */
static int ask_and_sit(crank_stream *s, const char *request)
{
    crank_try(say_text(s, request));
    return crank_sleep(1000);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, fields) "POST " path " HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define LINE "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
#define LINES LINE LINE LINE LINE LINE LINE LINE LINE LINE LINE
#define FIELDS "X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n"
#define CHUNKED POST("/whole", "Transfer-Encoding: chunked\r\n")

/* ---- Requests ---- */

static int stay_silent(crank_stream *s) { return ask_and_sit(s, ""); }
static int send_head_slowly(crank_stream *s) { return go_on(s, "GET / HTTP/1.1\r\nX: ", "x", 0.5); }
static int send_body_slowly(crank_stream *s) { return go_on(s, POST("/whole", "Content-Length: 90000\r\n"), "x", 0.5); }
static int send_little_of_much(crank_stream *s)
{
    return go_on(s, POST("/upload", "Content-Length: 90000000\r\n"), "x", 0.5);
}
static int wait_for_leave(crank_stream *s)
{
    return ask_and_sit(s, POST("/whole", "Content-Length: 9\r\nExpect: 100-continue\r\n"));
}
static int send_long_target(crank_stream *s) { return go_on(s, "GET /", LINES, 0); }
static int send_long_field(crank_stream *s) { return go_on(s, "GET / HTTP/1.1\r\nX: ", LINES, 0); }
static int send_many_fields(crank_stream *s) { return go_on(s, "GET / HTTP/1.1\r\n", FIELDS, 0); }
static int send_too_much(crank_stream *s)
{
    return go_on(s, POST("/whole", "Content-Length: 999999999999999999\r\n"), LINES, 0);
}
static int send_unasked(crank_stream *s) { return go_on(s, POST("/none", "Content-Length: 1000000000\r\n"), LINES, 0); }
static int send_small_chunks(crank_stream *s)
{
    return go_on(s, CHUNKED, "1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n", 0);
}
static int send_extension(crank_stream *s) { return go_on(s, CHUNKED "5;", LINES, 0); }
static int send_trailers(crank_stream *s) { return go_on(s, CHUNKED "0\r\n", FIELDS, 0); }
static int send_junk(crank_stream *s) { return go_on(s, "\x16\x03\x01\x02\xff", LINES, 0); }
static int send_empty_lines(crank_stream *s) { return go_on(s, "", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", 0); }
static int pipeline(crank_stream *s) { return go_on(s, "", GET("/") GET("/") GET("/") GET("/"), 0); }
static int pipeline_large(crank_stream *s) { return go_on(s, "", GET("/large"), 0); }
static int read_nothing(crank_stream *s) { return ask_and_sit(s, GET("/large")); }
static int read_nothing_to_end(crank_stream *s)
{
    return ask_and_sit(s, "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
}
static int read_no_pieces(crank_stream *s) { return ask_and_sit(s, GET("/pieces")); }
static int read_no_events(crank_stream *s) { return ask_and_sit(s, GET("/events")); }

/* Behind each byte of a request in turn. */
static int leave(crank_stream *s)
{
    static const char request[] =
        POST("/whole", "Transfer-Encoding: chunked\r\n") "5\r\nhello\r\n0\r\n\r\n" GET("/pieces");
    static size_t turn;
    int err = say(s, request, turn++ % sizeof request);
    return err < 0 ? err : crank_sleep(0.003);
}

static const hostile requests[] = {
    { "silence", stay_silent, HOSTILE_ENDS, 15, 20 },
    { "a slow head", send_head_slowly, HOSTILE_ENDS, 15, 20 },
    { "a slow body", send_body_slowly, HOSTILE_ENDS, 60, 100 },
    { "little of a body that is announced long", send_little_of_much, HOSTILE_ENDS, 60, 100 },
    { "a wait for 100 Continue", wait_for_leave, HOSTILE_ENDS, 45, 20 },
    { "a target without end", send_long_target, HOSTILE_AGAIN, 1, 300 },
    { "a field without end", send_long_field, HOSTILE_AGAIN, 1, 300 },
    { "fields without end", send_many_fields, HOSTILE_AGAIN, 1, 300 },
    { "a body that is announced too long", send_too_much, HOSTILE_AGAIN, 5, 300 },
    { "a body without end that no handler reads", send_unasked, HOSTILE_AGAIN, 5, 300 },
    { "chunks of one byte", send_small_chunks, HOSTILE_AGAIN, 2, 300 },
    { "an extension without end", send_extension, HOSTILE_AGAIN, 1, 300 },
    { "trailers without end", send_trailers, HOSTILE_AGAIN, 1, 300 },
    { "bytes of TLS", send_junk, HOSTILE_AGAIN, 1, 300 },
    { "empty lines", send_empty_lines, HOSTILE_AGAIN, 1, 300 },
    { "requests without end, and no answer read", pipeline, HOSTILE_ENDS, 50, 450 },
    { "requests of large answers, and none read", pipeline_large, HOSTILE_ENDS, 50, 450 },
    { "an answer that is not read", read_nothing, HOSTILE_ENDS, 45, 300 },
    { "the last answer not read", read_nothing_to_end, HOSTILE_ENDS, 15, 300 },
    { "an answer in pieces that is not read", read_no_pieces, HOSTILE_ENDS, 45, 300 },
    { "events that are not read", read_no_events, HOSTILE_ENDS, 45, 300 },
    { "a reset behind each byte", leave, HOSTILE_AGAIN, 2, 300 },
};

/* ---- WebSockets ---- */

static int shake(crank_stream *s, const char *path)
{
    char head[1000];
    crank_try(crank_printf(s,
        "GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " SOCKET_KEY "\r\n\r\n",
        path));
    crank_try(crank_read_until(s, "\r\n\r\n", head, sizeof head));
    return 0;
}
/* Frames, and then others again and again. */
static int go_on_framing(crank_stream *s, const char *first, const char *words, double pause)
{
    size_t sizes[2];
    unsigned char *frames[2] = { socket_frames(first, &sizes[0]), socket_frames(words, &sizes[1]) };
    int err = shake(s, "/chat");
    if (err == 0)
        err = crank_write(s, frames[0], sizes[0]);
    while (err == 0) {
        err = say(s, (const char *)frames[1], sizes[1]);
        if (err == 0)
            err = crank_sleep(pause);
    }
    free(frames[0]);
    free(frames[1]);
    return err;
}
/* A header by itself, of a frame whose bytes follow at this pace. */
static int go_on_filling(crank_stream *s, const char *header, double pause)
{
    crank_try(shake(s, "/chat"));
    crank_try(say(s, header, 14));
    return go_on(s, "", LINE, pause);
}

static int read_no_echo(crank_stream *s) { return go_on_framing(s, "", "b:*10000", 0.01); }
static int read_no_messages(crank_stream *s)
{
    crank_try(shake(s, "/messages"));
    return crank_sleep(1000);
}
static int send_fragments(crank_stream *s) { return go_on_framing(s, "t+:x", "c+:x c+:x c+:x c+:x", 0); }
static int send_empty_fragments(crank_stream *s) { return go_on_framing(s, "b+", "c+ c+ c+ c+", 0); }
static int send_pings(crank_stream *s) { return go_on_framing(s, "", "p:*125 p:*125 p:*125 p:*125", 0); }
static int send_pongs(crank_stream *s) { return go_on_framing(s, "t+:x", "o:*125 o:*125 o:*125 o:*125", 0); }
static int send_controls_between(crank_stream *s) { return go_on_framing(s, "t+:x", "p:*125 o c+:x p c+", 0); }
static int close_and_go_on(crank_stream *s) { return go_on_framing(s, "x:1000", "b:*10000 x p", 0); }
static int announce_most(crank_stream *s)
{
    return go_on_filling(s, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0", 0);
}
static int announce_a_megabyte(crank_stream *s) { return go_on_filling(s, "\x82\xff\0\0\0\0\0\x10\0\0\0\0\0", 1); }

static const hostile sockets[] = {
    { "messages, and no echo read", read_no_echo, HOSTILE_ENDS, 60, 450 },
    { "messages that are not read, and none sent", read_no_messages, HOSTILE_ENDS, 60, 300 },
    { "fragments without end", send_fragments, HOSTILE_AGAIN, 1, 300 },
    { "empty fragments without end", send_empty_fragments, HOSTILE_AGAIN, 1, 300 },
    { "pings without end, and no pong read", send_pings, HOSTILE_STAYS, 5, 300 },
    { "pongs without end, amid a message", send_pongs, HOSTILE_STAYS, 2, 300 },
    { "pings and pongs between fragments", send_controls_between, HOSTILE_AGAIN, 2, 300 },
    { "a close, and messages behind it", close_and_go_on, HOSTILE_AGAIN, 2, 300 },
    { "a frame of 2^63 bytes", announce_most, HOSTILE_AGAIN, 1, 300 },
    { "a frame of 1 MiB that comes slowly", announce_a_megabyte, HOSTILE_STAYS, 60, 100 },
};

static int try_rows(const hostile *rows, size_t n)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_listen("*:0");
    EXPECT(l);
    AUTO_SERVER crank_task *server = crank_spawn(serve, l);
    test_capture();
    for (size_t i = 0; i < n; i++)
        crank_try(hostile_try(&rows[i], l, NULL));
    EXPECT_STR(test_captured(), ""); /* none of it is a failure of the handlers' */
    return webs_stop(l, &server, 0);
}

TEST_SIM(client, that_sends_or_reads_as_no_other_costs_a_server_little_and_others_nothing)
{
    return try_rows(requests, CRANK_COUNT(requests));
}
TEST_SIM(client, of_a_websocket_that_sends_or_reads_as_no_other_costs_a_server_little_and_others_nothing)
{
    return try_rows(sockets, CRANK_COUNT(sockets));
}
