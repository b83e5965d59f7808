/* SPDX-License-Identifier: MIT */
/* ours.c: what a WebSocket of crank-http's understands of frames from a client: for frames.py, which asks wsproto too.
 *
 * Standard input is a sequence of inputs, each a length of four bytes, little-endian, and so many bytes that stand
 * behind a handshake. For each a line is printed: a JSON list of the messages, "t" or "b" and hexadecimal digits, and
 * behind them, as a number, the code of the close that the server sends: 0 for a close without one, -1 for none. */
#include <crank.h>
#include <crank/http.h>
#include <crank/websocket.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 1 << 20 };

static int note(crank_http_request *request)
{
    const crank_websocket_options options = { .message_max = INPUT_MAX };
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept_with(&options, request));
    crank_websocket_message said;
    while (crank_try(crank_websocket_read(w, &said)) > 0) {
        printf("\"%c", said.kind == CRANK_TEXT ? 't' : 'b');
        for (size_t i = 0; i < said.size; i++)
            printf("%02x", (unsigned char)said.bytes[i]);
        printf("\",");
    }
    return 0;
}
static int serve(crank_stream *s)
{
    int err = crank_http_serve_stream(NULL, s, note);
    return err < 0 ? err : crank_write_eof(s);
}

/* The server's frames are pongs, and a close at last: its code. */
static int read_close(crank_stream *s)
{
    char head[1000];
    unsigned char frame[2], bytes[125];
    crank_try(crank_read_until(s, "\r\n\r\n", head, sizeof head));
    while (crank_read_exactly(s, frame, 2) == 2 && crank_read_exactly(s, bytes, frame[1]) == frame[1])
        if (frame[0] == 0x88)
            return frame[1] < 2 ? 0 : bytes[0] << 8 | bytes[1];
    return -1;
}

/* It fails where the server has refused the rest. */
static int send_all(crank_stream *s, const char *bytes, size_t size)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    int err = crank_write(s, head, sizeof head - 1);
    if (err == 0)
        err = crank_write(s, bytes, size);
    if (err == 0)
        err = crank_write_eof(s);
    return err == -ENOMEM ? err : 0;
}

static int read_one(const char *bytes, size_t size)
{
    crank_stream *near, *far;
    crank_try(crank_socket_pair(&near, &far));
    putchar('[');
    crank_task *server = crank_spawn(serve, far), *client = crank_spawn(send_all, near, bytes, size);
    int code = read_close(near);
    crank_try(crank_await(server));
    crank_abort(far);
    crank_try(crank_await(client));
    crank_abort(near);
    (void)crank_close(far);
    (void)crank_close(near);
    printf("%d]\n", code);
    return 0;
}

static int app(char *bytes)
{
    unsigned char length[4];
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        size_t size = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
        if (size > INPUT_MAX || fread(bytes, 1, size, stdin) != size)
            return crank_fail(EPROTO, "an input is cut off, or too long");
        crank_try(read_one(bytes, size));
    }
    return 0;
}

int main(void)
{
    char *bytes = malloc(INPUT_MAX);
    bool failed = !bytes || crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM), app, bytes) < 0;
    free(bytes);
    return failed;
}
