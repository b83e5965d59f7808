/* SPDX-License-Identifier: MIT */
/* https.c: crank-http over crank-tls: https on both sides, wss, and plain HTTP where TLS is spoken. */
#include <crank/http.h>
#include <crank/websocket.h>
#include "raw.h"

static int handle(crank_http_request *request)
{
    if (crank_http_is(request, "GET", "/socket")) {
        crank_websocket *w = crank_try(crank_websocket_accept(request));
        crank_websocket_message message;
        while (crank_try(crank_websocket_read(w, &message)) > 0)
            crank_try(crank_websocket_write(w, message.kind, message.bytes, message.size));
        return crank_websocket_close(w, 1000, NULL);
    }
    return crank_http_print(
        request, 200, "text/plain", "%s for %s", request->secure ? "secret" : "plain", request->host);
}
static int serve(crank_listener *l, crank_tls *tls)
{
    const crank_http_options options = { .tls = tls };
    return crank_http_serve_with(&options, l, handle);
}

/* scheme://localhost:PORT/path, valid until the next call. */
static const char *url_of(const char *scheme, const crank_listener *l, const char *path)
{
    static char url[100];
    snprintf(url, sizeof url, "%s://localhost%s/%s", scheme, strrchr(crank_listener_address(l, 0), ':'), path);
    return url;
}

static int expect_body(const crank_http_call *call, const char *url, bool reused)
{
    CRANK_AUTO_HTTP crank_http_response *r = CERTS_HAVE(crank_http_fetch(call, url));
    EXPECT(strncmp(r->body, "secret for localhost:", 21) == 0);
    EXPECT_EQ(r->reused, reused);
    return 0;
}

TEST_EACH_BACKEND(https, is_asked_by_those_who_trust_and_connections_are_kept_for_them)
{
    CRANK_AUTO_TLS crank_tls *identity = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CRANK_AUTO_TLS crank_tls *careless = crank_try(crank_tls_with(&(crank_tls_options){ .insecure = true }));
    CRANK_AUTO_HTTP_CLIENT crank_http_client *client = crank_http_client_new(0, 0);
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    crank_http_call call = { .tls = trust, .client = client };
    crank_task *server = crank_spawn(serve, l, identity);
    const char *url = url_of("https", l, "");
    CERTS_OK(expect_body(&call, url, false));
    CERTS_OK(expect_body(&call, url, true));
    call.tls = careless; /* may not be given what another has trusted, nor leave it one */
    CERTS_OK(expect_body(&call, url, false));
    call.tls = NULL;
    EXPECT(!crank_http_fetch(&call, url));
    EXPECT_EQ(errno, EKEYREJECTED);
    EXPECT_CONTAINS(crank_error(), "not trusted");
    CERTS_OK(crank_listener_stop(l, 1));
    return (int)crank_await(server);
}

TEST_EACH_BACKEND(wss, carries_messages)
{
    crank_websocket_message message;
    CRANK_AUTO_TLS crank_tls *identity = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    const crank_websocket_options options = { .tls = trust };
    crank_task *server = crank_spawn(serve, l, identity);
    crank_websocket *w = CERTS_HAVE(crank_websocket_connect_with(&options, url_of("wss", l, "socket")));
    CERTS_OK(crank_websocket_print(w, "psst"));
    EXPECT_EQ(crank_websocket_read(w, &message), 1);
    EXPECT_STR(message.bytes, "psst");
    CERTS_OK(crank_websocket_close(w, 1000, NULL));
    CERTS_OK(crank_listener_stop(l, 1));
    return (int)crank_await(server);
}

TEST_SIM(https, is_told_apart_from_http_on_either_side)
{
    CRANK_AUTO_TLS crank_tls *identity = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CRANK_AUTO_LISTENER crank_listener *secret = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_LISTENER crank_listener *plain = crank_try(crank_listen("127.0.0.1:0"));
    crank_task *servers[] = { crank_spawn(serve, secret, identity), crank_spawn(serve, plain, (crank_tls *)NULL) };
    {
        CRANK_AUTO_HTTP crank_http_response *r = CERTS_HAVE(crank_http_get(url_of("http", secret, "")));
        EXPECT_EQ(r->status, 400);
        EXPECT_STR(r->body, "This port speaks TLS: https:// is its URL's scheme\n");
    }
    double began = crank_time();
    EXPECT(!crank_http_fetch(&(crank_http_call){ .tls = trust }, url_of("https", plain, "")));
    EXPECT_EQ(errno, EPROTO);
    EXPECT_CONTAINS(crank_error(), "it speaks HTTP without TLS: http:// is the scheme");
    EXPECT_NEAR(crank_time() - began, 0, 0.001);
    CERTS_OK(crank_listener_stop(secret, 1));
    CERTS_OK(crank_listener_stop(plain, 1));
    CERTS_OK(crank_await(servers[0]));
    return (int)crank_await(servers[1]);
}

static int ignore(crank_stream *peer)
{
    (void)peer;
    return 0;
}
static int serve_streams(crank_listener *l, crank_tls *tls) { return crank_tls_serve(tls, l, ignore); }

/* Else its clients would be told that the connection has ended, and the program nothing. */
TEST_SIM(https, server_that_was_given_a_clients_tls_reports_it)
{
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CRANK_AUTO_LISTENER crank_listener *web = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_LISTENER crank_listener *streams = crank_try(crank_listen("127.0.0.1:0"));
    crank_task *servers[] = { crank_spawn(serve, web, trust), crank_spawn(serve_streams, streams, trust) };
    test_capture();
    EXPECT(!crank_http_fetch(&(crank_http_call){ .tls = trust }, url_of("https", web, "")));
    EXPECT(!crank_http_fetch(&(crank_http_call){ .tls = trust }, url_of("https", streams, "")));
    CERTS_OK(crank_sleep(1));
    const char *said = test_captured(), *first = strstr(said, "tls is a client's");
    EXPECT(first);
    EXPECT_CONTAINS(first + 1, "tls is a client's");
    CERTS_OK(crank_listener_stop(web, 1));
    CERTS_OK(crank_listener_stop(streams, 1));
    CERTS_OK(crank_await(servers[0]));
    return (int)crank_await(servers[1]);
}

/* ---- Connections that are cut, without TLS's end ---- */

typedef struct cutting {
    crank_listener *l;
    const char *answer;
} cutting;

static int answer_and_cut(const cutting *c)
{
    char request[1000];
    CRANK_AUTO_STREAM crank_stream *plain = crank_try(crank_accept(c->l));
    raw peer;
    raw_set_context(&peer, true);
    raw_open(&peer, plain, true);
    int err = raw_shake(&peer);
    if (err == 0)
        err = raw_read(&peer, request, sizeof request) > 0 ? 0 : -EPROTO;
    SSL_write(peer.ssl, c->answer, (int)strlen(c->answer));
    if (err == 0)
        err = raw_send(&peer);
    raw_close(&peer);
    return err < 0 ? err : crank_write_eof(plain);
}

/* Where the length is known the body is whole; where the end would be it, it may be a half. */
TEST_SIM(https, answer_that_is_cut_is_whole_only_where_its_length_says_so)
{
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    const crank_http_call call = { .tls = trust };
    cutting c = { .l = l, .answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf" };
    crank_task *server = crank_spawn(answer_and_cut, (const cutting *)&c);
    {
        CRANK_AUTO_HTTP crank_http_response *r = crank_http_fetch(&call, url_of("https", l, ""));
        EXPECT(r && r->size == 4);
    }
    CERTS_OK(crank_await(server));
    c.answer = "HTTP/1.1 200 OK\r\n\r\nhalf";
    server = crank_spawn(answer_and_cut, (const cutting *)&c);
    EXPECT(!crank_http_fetch(&call, url_of("https", l, "")));
    EXPECT_EQ(errno, EPROTO);
    EXPECT_CONTAINS(crank_error(), "close_notify");
    return (int)crank_await(server);
}
