/* SPDX-License-Identifier: MIT */
/* server.c: what clients.py, sockets.py and tools.py have other programs' clients ask: files, uploads, forms, cookies,
 * redirects, streams, events, and a WebSocket that echoes.
 *
 * server FOLDER: prints its port and serves until it is killed. A proxy on this machine is believed what it says of its
 * clients. */
#include <crank.h>
#include <crank/http.h>
#include <crank/websocket.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many bytes, and a sum that tells their order. */
static int upload(crank_http_request *request)
{
    char piece[4096];
    ssize_t n;
    uint64_t size = 0, sum = 0;
    while ((n = crank_try(crank_read(crank_http_body(request), piece, sizeof piece))) > 0) {
        size += (uint64_t)n;
        for (ssize_t i = 0; i < n; i++)
            sum = (sum * 31 + (unsigned char)piece[i]) % 1000003;
    }
    return crank_http_print(request, 200, "text/plain", "%s %" PRIu64 " %" PRIu64, request->method, size, sum);
}

static int form(crank_http_request *request)
{
    crank_try(crank_http_read_form(request, 100000));
    const char *name = crank_http_form(request, "name"), *text = crank_http_form(request, "text");
    return crank_http_print(request, 200, "text/plain; charset=utf-8", "%s|%s", name ? name : "-", text ? text : "-");
}

static int visit(crank_http_request *request)
{
    char count[24];
    const char *before = crank_http_cookie(request, "visits");
    snprintf(count, sizeof count, "%ld", before ? strtol(before, NULL, 10) + 1 : 1);
    crank_try(crank_http_set_cookie(request, "visits", count, 3600));
    return crank_http_print(request, 200, "text/plain", "%s", count);
}

static int lines(crank_http_request *request)
{
    crank_stream *out = crank_try(crank_http_begin(request, 200, "text/plain"));
    for (int i = 0; i < 10000; i++)
        crank_try(crank_printf(out, "line %d\n", i));
    return 0;
}

/* The second comes when the first has long been there. */
static int events(crank_http_request *request)
{
    crank_try(crank_http_event(request, NULL, NULL, "first"));
    crank_try(crank_sleep(5));
    return crank_http_event(request, NULL, NULL, "second");
}

/* "close" is answered with a close. */
static int echo(crank_http_request *request)
{
    const crank_websocket_options options = { .protocols = "echo" };
    crank_websocket *w = crank_try(crank_websocket_accept_with(&options, request));
    crank_websocket_message said;
    int got;
    while ((got = crank_websocket_read(w, &said)) > 0 && strcmp(said.bytes, "close") != 0)
        crank_try(crank_websocket_write(w, said.kind, said.bytes, said.size));
    return crank_websocket_close(w, 4001, "as told");
}

static int handle(crank_http_request *request, const char *folder)
{
    if (crank_http_is(request, "GET", "/echo"))
        return echo(request);
    if (crank_http_is(request, "POST", "/upload") || crank_http_is(request, "PUT", "/upload"))
        return upload(request);
    if (crank_http_is(request, "POST", "/form"))
        return form(request);
    if (crank_http_is(request, "GET", "/visit"))
        return visit(request);
    if (crank_http_is(request, "GET", "/lines"))
        return lines(request);
    if (crank_http_is(request, "GET", "/events"))
        return events(request);
    if (crank_http_is(request, "GET", "/who"))
        return crank_http_print(request, 200, "text/plain", "%s asks %s://%s", request->peer,
            request->secure ? "https" : "http", request->host);
    if (crank_http_is(request, "GET", "/away"))
        return crank_http_redirect(request, 302, "/visit");
    if (crank_http_is(request, "GET", "/broken")) {
        crank_try(crank_http_set(request, "Content-Length", "100"));
        crank_stream *out = crank_try(crank_http_begin(request, 200, NULL));
        crank_try(crank_printf(out, "half"));
        return -EIO; /* a client must not take it for the whole */
    }
    return crank_http_file(request, folder);
}

static int app(const char *folder)
{
    const crank_http_options options = { .proxies = "127.0.0.1" };
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    puts(strrchr(crank_listener_address(listener, 0), ':') + 1);
    fflush(stdout);
    return crank_http_serve_with(&options, listener, handle, folder);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    return crank_run(app, (const char *)argv[1]);
}
