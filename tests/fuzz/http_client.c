/* SPDX-License-Identifier: MIT */
/* http_client.c: a server that answers with any bytes, in any pieces, and ends somehow; and a client that asks twice.
 *
 * Whatever comes, each call ends; an answer is whole and within its limit, a failure has a sentence; and nothing is
 * reported or left, as the run's end finds. */
#include "fuzz.h"
#include <crank/http.h>
#include <crank/net.h>

enum { LIMIT = 3000, CALLS = 2 };

typedef struct server {
    crank_listener *listener;
    fuzz_bytes script;
} server;

static int write_answer(crank_stream *peer, fuzz_bytes *script)
{
    static const char *const pieces[] = { "HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n", "HTTP/1.1 204 \r\n",
        "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 302 Go\r\n", "Location: /\r\n", "Location: //a b/\r\n",
        "Content-Length: 5\r\n", "Content-Length: 2999\r\n", "Content-Length: 3001\r\n",
        "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n",
        "\r\n", "\n", " ", ":", "5\r\nhello\r\n", "0\r\n\r\n", "5;a=b\r\n", "ffffffff\r\n", "hello", "HTTP/1.1 ",
        "aaaaaaaaaaaaaaaaaaaaaaaa" };
    while (script->left > 0) {
        unsigned byte = fuzz_byte(script);
        char single = (char)byte;
        const char *piece = byte < 6 * CRANK_COUNT(pieces) ? pieces[byte / 6] : &single;
        size_t size = piece == &single ? 1 : strlen(piece);
        if (byte == 255)
            return 0; /* the next answer's turn */
        if (byte == 254) {
            crank_abort(peer);
            return -ECONNABORTED;
        }
        if (byte == 253)
            crank_try(crank_sleep(0.01)); /* what was written arrives apart from the rest */
        else
            crank_try(crank_write(peer, piece, size));
    }
    return -ENODATA;
}

static int serve_peer(crank_stream *peer, server *s)
{
    char head[1000];
    while (crank_try(crank_read_until(peer, "\r\n\r\n", head, sizeof head)) > 0) {
        int err = write_answer(peer, &s->script);
        if (err < 0)
            return err == -ECANCELED ? err : 0;
    }
    return 0;
}
static int serve(server *s) { return crank_serve(s->listener, serve_peer, s); }

static void check(const crank_http_response *r, int err, size_t limit)
{
    if (!r) {
        FUZZ_SAY("%d: %s\n", err, crank_error());
        FUZZ_EXPECT(err < 0 && err != -ECANCELED && *crank_error());
        return;
    }
    FUZZ_SAY("%d %s, %zu bytes, %u redirects\n", r->status, r->reason, r->size, r->redirects);
    FUZZ_EXPECT(r->status >= 200 && r->status <= 999 && (r->version == 10 || r->version == 11));
    FUZZ_EXPECT(r->size <= limit && r->body[r->size] == '\0');
    FUZZ_EXPECT(r->length < 0 || r->size == 0 || (size_t)r->length == r->size);
}

static void run(const uint8_t *data, size_t size)
{
    char url[100];
    server s = { .listener = crank_listen("127.0.0.1:0"), .script = { data, size } };
    FUZZ_EXPECT(s.listener);
    snprintf(url, sizeof url, "http://%s/", crank_listener_address(s.listener, 0));
    crank_task *task = crank_spawn(serve, &s);
    for (int i = 0; i < CALLS; i++) {
        crank_http_call call = { .limit = LIMIT, .redirects = 3, .stall = 5 };
        crank_http_response *r = crank_http_fetch(&call, url);
        check(r, -errno, LIMIT);
        crank_http_response_free(r);
    }
    crank_listener_stop(s.listener, 0);
    FUZZ_EQUAL(crank_await(task), 0);
    FUZZ_EQUAL(crank_listener_close(s.listener), 0);
}

const fuzz_target fuzz_this = { .name = "http_client", .length = 60, .in_task = true, .run = run };
