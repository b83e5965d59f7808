/* SPDX-License-Identifier: MIT */
/* hostile_clients.c: what clients do to a web server over TLS: its memory is bounded, and others are served. */
#include "../http/hostile.h"
#include "raw.h"

static int site(crank_http_request *request)
{
    static const char large[1000000];
    if (crank_http_is(request, "GET", "/large"))
        return crank_http_respond(request, 200, NULL, large, sizeof large);
    if (crank_http_is(request, "GET", "/last"))
        return crank_http_respond(request, 200, NULL, large, 180000);
    return crank_http_print(request, 200, NULL, "fine");
}
static int serve(crank_listener *l, crank_tls *tls)
{
    return crank_http_serve_with(&((crank_http_options){ .tls = tls }), l, site);
}

static crank_tls *trust; /* of the good client */
static crank_stream *encrypt(crank_stream *plain)
{
    CERTS_OK(crank_tls_start(trust, &plain, "localhost"));
    return plain;
}

/* ---- Without a handshake ---- */

/* The first flight of a client: how many bytes. */
static size_t say_hello(char *to, size_t size)
{
    raw peer;
    raw_set_context(&peer, false);
    raw_open(&peer, NULL, false);
    SSL_do_handshake(peer.ssl);
    int n = BIO_read(peer.out, to, (int)size);
    raw_close(&peer);
    return n > 0 ? (size_t)n : 0;
}
static int say(crank_stream *s, const char *bytes, size_t size)
{
    crank_try(crank_write(s, bytes, size));
    return crank_flush(s);
}
static int flood(crank_stream *s, const char *first, size_t size, const char *piece, size_t piece_size)
{
    crank_try(say(s, first, size));
    for (;;)
        crank_try(say(s, piece, piece_size));
}

static int stay_silent(crank_stream *s)
{
    (void)s;
    return crank_sleep(1000);
}
static int stop_amid(crank_stream *s)
{
    char hello[1000];
    size_t size = say_hello(hello, sizeof hello);
    crank_try(say(s, hello, size / 2));
    return crank_sleep(1000);
}
static int stop_behind_hello(crank_stream *s)
{
    char hello[1000];
    crank_try(say(s, hello, say_hello(hello, sizeof hello)));
    return crank_sleep(1000);
}
static int say_hello_slowly(crank_stream *s)
{
    char hello[1000];
    size_t size = say_hello(hello, sizeof hello);
    for (size_t i = 0; i < size; i++) {
        crank_try(say(s, hello + i, 1));
        crank_try(crank_sleep(0.1));
    }
    return 0;
}
static int send_junk(crank_stream *s)
{
    static const char junk[1000] = "\xa5\x5a";
    return flood(s, junk, sizeof junk, junk, sizeof junk);
}
static int send_http(crank_stream *s)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    return flood(s, request, sizeof request - 1, request, sizeof request - 1);
}
/* A message of 16 MB, announced in the first of its records. */
static int say_long_hello(crank_stream *s)
{
    static const char first[] = "\x16\x03\x01\x00\x04\x01\xff\xff\xff";
    static const char record[5 + 0x400] = "\x16\x03\x01\x04\x00";
    return flood(s, first, sizeof first - 1, record, sizeof record);
}
static int send_empty_records(crank_stream *s)
{
    char hello[1000];
    static const char records[] = "\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00";
    return flood(s, hello, say_hello(hello, 5), records, sizeof records - 1);
}
static int send_alerts(crank_stream *s)
{
    static const char warning[] = "\x15\x03\x01\x00\x02\x01\x5a";
    return flood(s, warning, sizeof warning - 1, warning, sizeof warning - 1);
}

/* ---- Behind one ---- */

static int with_handshake(crank_stream *s, int version, int (*play)(raw *peer))
{
    raw peer;
    raw_set_context(&peer, false);
    SSL_CTX_set_max_proto_version(peer.context, version);
    raw_open(&peer, s, false);
    int err = raw_shake(&peer);
    if (err == 0)
        err = play(&peer);
    raw_close(&peer);
    return err;
}
static int nothing(raw *peer)
{
    (void)peer;
    return 0;
}
static int sit(raw *peer)
{
    (void)peer;
    return crank_sleep(1000);
}
static int ask_and_sit(raw *peer, const char *request)
{
    SSL_write(peer->ssl, request, (int)strlen(request));
    crank_try(raw_send(peer));
    return crank_sleep(1000);
}
static int read_none(raw *peer) { return ask_and_sit(peer, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"); }
static int read_no_last(raw *peer)
{
    return ask_and_sit(peer, "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
}
static int negotiate_again(raw *peer)
{
    for (;;) {
        SSL_renegotiate(peer->ssl);
        SSL_do_handshake(peer->ssl);
        ERR_clear_error();
        crank_try(raw_send(peer));
        crank_try(crank_sleep(0.001));
    }
}
static int send_slowly(raw *peer)
{
    for (;;) {
        SSL_write(peer->ssl, "x", 1);
        crank_try(raw_send(peer));
        crank_try(crank_sleep(0.5));
    }
}

static int leave(crank_stream *s) { return with_handshake(s, TLS1_3_VERSION, nothing); }
static int stay_idle(crank_stream *s) { return with_handshake(s, TLS1_3_VERSION, sit); }
static int send_head_slowly(crank_stream *s) { return with_handshake(s, TLS1_3_VERSION, send_slowly); }
static int read_nothing(crank_stream *s) { return with_handshake(s, TLS1_3_VERSION, read_none); }
static int read_nothing_to_end(crank_stream *s) { return with_handshake(s, TLS1_3_VERSION, read_no_last); }
static int renegotiate(crank_stream *s) { return with_handshake(s, TLS1_2_VERSION, negotiate_again); }

static const hostile rows[] = {
    { "silence", stay_silent, HOSTILE_ENDS, 15, 100 },
    { "half a hello", stop_amid, HOSTILE_ENDS, 15, 100 },
    { "a hello and nothing behind it", stop_behind_hello, HOSTILE_ENDS, 15, 150 },
    { "a hello that comes slowly", say_hello_slowly, HOSTILE_ENDS, 15, 100 },
    { "junk", send_junk, HOSTILE_AGAIN, 1, 300 },
    { "HTTP", send_http, HOSTILE_AGAIN, 1, 300 },
    { "a hello of 16 MB", say_long_hello, HOSTILE_AGAIN, 1, 300 },
    { "records without bytes", send_empty_records, HOSTILE_AGAIN, 1, 300 },
    { "alerts", send_alerts, HOSTILE_AGAIN, 1, 300 },
    { "a handshake, and it leaves", leave, HOSTILE_AGAIN, 0.2, 300 },
    { "a handshake, and silence", stay_idle, HOSTILE_ENDS, 15, 200 },
    { "a handshake, and a slow head", send_head_slowly, HOSTILE_ENDS, 15, 200 },
    { "a handshake, and no answer read", read_nothing, HOSTILE_ENDS, 45, 500 },
    { "a handshake, and the last answer not read", read_nothing_to_end, HOSTILE_ENDS, 15, 500 },
    { "renegotiation", renegotiate, HOSTILE_ENDS, 15, 300 },
};

TEST_SIM(client, of_https_that_shakes_hands_as_no_other_costs_a_server_little_and_others_nothing)
{
    CRANK_AUTO_TLS crank_tls *identity = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    CRANK_AUTO_LISTENER crank_listener *l = CERTS_HAVE(crank_listen("*:0"));
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, identity);
    trust = client;
    test_capture();
    for (size_t i = 0; i < CRANK_COUNT(rows); i++)
        CERTS_OK(hostile_try(&rows[i], l, encrypt));
    EXPECT_STR(test_captured(), "");
    return webs_stop(l, &server, 0);
}
