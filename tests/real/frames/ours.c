/* SPDX-License-Identifier: MIT */
/* ours.c: what a WebSocket of crank-http's reads of frames, and which it writes: for frames.py, which has other
 * libraries do the same.
 *
 * ours read|write server|client: the role is crank's. Standard input is a sequence of inputs, each a length of four
 * bytes, little-endian, and so many bytes. For each a line is printed.
 * Read: an input is what the peer sends behind the handshake. The line is a JSON list of the messages, "t" or "b" and
 * hexadecimal digits, and behind them, as a number, the code of the close that crank sends: 0 for a close without one,
 * -1 for none.
 * Write: an input is what to write, each a kind, a length of four bytes, and so many bytes: 't' or 'b' a message, 'x'
 * the close, a code of two bytes and a reason. The line is all that the peer is sent behind the handshake,
 * hexadecimal. */
#include <crank.h>
#include <crank/http.h>
#include <crank/websocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/websocket/key.h"

enum { INPUT_MAX = 1 << 21, MESSAGE_MAX = 1 << 20, RECORD = 5 };

typedef struct job {
    bool writes, by_client;
    crank_listener *listener; /* which the client connects to */
    const char *bytes;
    size_t size;
} job;

static size_t read_length(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;
    return (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
}

static void print_hex(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", (unsigned char)bytes[i]);
}

/* ---- Crank's end ---- */

static int print_messages(crank_websocket *w)
{
    crank_websocket_message said;
    while (crank_try(crank_websocket_read(w, &said)) > 0) {
        printf("\"%c", said.kind == CRANK_TEXT ? 't' : 'b');
        print_hex(said.bytes, said.size);
        printf("\",");
    }
    return 0;
}

/* Up to the close: where that stands. */
static int write_messages(crank_websocket *w, const job *j, const char **ret_close)
{
    const char *at = j->bytes;
    for (; *at != 'x'; at += RECORD + read_length(at + 1))
        crank_try(crank_websocket_write(w, *at == 't' ? CRANK_TEXT : CRANK_BINARY, at + RECORD, read_length(at + 1)));
    *ret_close = at;
    return 0;
}

static int use(crank_websocket *socket, const job *j)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = socket;
    const char *at = j->bytes;
    char reason[124] = "";
    if (!j->writes)
        return print_messages(w);
    crank_try(write_messages(w, j, &at));
    memcpy(reason, at + RECORD + 2, read_length(at + 1) - 2);
    const unsigned char *code = (const unsigned char *)at + RECORD;
    w = NULL;
    int err = crank_websocket_close(socket, code[0] << 8 | code[1], reason);
    return err == -ETIMEDOUT || err == -ECONNRESET ? 0 : err; /* the peer says nothing */
}

static const crank_websocket_options options = { .message_max = MESSAGE_MAX };

static int note(crank_http_request *request, const job *j)
{
    return use(crank_try(crank_websocket_accept_with(&options, request)), j);
}
static int serve(crank_stream *s, const job *j)
{
    int err = crank_http_serve_stream(NULL, s, note, j);
    return err < 0 ? err : crank_write_eof(s);
}

static int join(const job *j)
{
    char url[100];
    snprintf(url, sizeof url, "ws://%s/", crank_listener_address(j->listener, 0));
    return use(crank_try(crank_websocket_connect_with(&options, url)), j);
}

/* ---- The other one ---- */

static int ask(crank_stream *s)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char answer[1000];
    crank_try(crank_write(s, head, sizeof head - 1));
    return crank_try(crank_read_until(s, "\r\n\r\n", answer, sizeof answer)) > 0 ? 0 : -ENODATA;
}

static int answer(crank_stream *s)
{
    static const char field[] = "sec-websocket-key: ";
    char head[1000], key[CR_HTTP_KEY_ANSWER];
    crank_try(crank_read_until(s, "\r\n\r\n", head, sizeof head));
    char *at = strstr(head, field);
    if (!at)
        return crank_fail(EPROTO, "the client sends no key");
    at += sizeof field - 1;
    at[strcspn(at, "\r")] = '\0';
    cr_http_key_answer(at, key);
    return crank_printf(s,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        key);
}

static int send_all(crank_stream *s, const job *j)
{
    crank_try(crank_write(s, j->bytes, j->size));
    return crank_write_eof(s);
}

/* The frames of crank's end are pongs, and a close at last: its code. */
static int read_close(crank_stream *s)
{
    unsigned char head[2], mask[4] = { 0 }, bytes[125];
    while (crank_read_exactly(s, head, 2) == 2) {
        ssize_t size = head[1] & 0x7f;
        if (head[1] & 0x80 && crank_read_exactly(s, mask, 4) != 4)
            break;
        if (crank_read_exactly(s, bytes, (size_t)size) != size)
            break;
        if (head[0] == 0x88)
            return size < 2 ? 0 : (bytes[0] ^ mask[0]) << 8 | (bytes[1] ^ mask[1]);
    }
    return -1;
}

static int print_all(crank_stream *s)
{
    char piece[4096];
    ssize_t n;
    putchar('"');
    while ((n = crank_read(s, piece, sizeof piece)) > 0)
        print_hex(piece, (size_t)n);
    puts("\"");
    return n == -ENOMEM ? -ENOMEM : 0;
}

static int print_verdict(crank_stream *s, const job *j)
{
    crank_task *sends = crank_spawn(send_all, s, j);
    putchar('[');
    int code = read_close(s);
    (void)crank_cancel(sends); /* of what crank's end has refused it reads no more */
    int err = (int)crank_await(sends);
    if (err == -ENOMEM)
        return err;
    crank_abort(s); /* crank's end waits for that */
    crank_try(crank_sleep(0.001));
    printf("%d]\n", code);
    return 0;
}

/* ---- Both ---- */

static int talk_to_server(const job *j)
{
    CRANK_AUTO_STREAM crank_stream *near = NULL;
    CRANK_AUTO_STREAM crank_stream *far = NULL;
    crank_try(crank_socket_pair(&near, &far));
    crank_task *server = crank_spawn(serve, far, j);
    crank_try(ask(near));
    crank_try(j->writes ? print_all(near) : print_verdict(near, j));
    (void)crank_await(server);
    crank_abort(far);
    crank_abort(near);
    return 0;
}

static int talk_to_client(const job *j)
{
    crank_task *client = crank_spawn(join, j);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_accept(j->listener));
    crank_try(answer(s));
    crank_try(j->writes ? print_all(s) : print_verdict(s, j));
    crank_abort(s);
    (void)crank_await(client); /* what it failed with is in the close */
    return 0;
}

static int app(job *j, char *bytes)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    char length[4];
    j->listener = listener;
    j->bytes = bytes;
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        j->size = read_length(length);
        if (j->size > INPUT_MAX || fread(bytes, 1, j->size, stdin) != j->size)
            return crank_fail(EPROTO, "an input is cut off, or too long");
        crank_try(j->by_client ? talk_to_client(j) : talk_to_server(j));
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    job j = { .writes = strcmp(argv[1], "write") == 0, .by_client = strcmp(argv[2], "client") == 0 };
    char *bytes = malloc(INPUT_MAX);
    bool failed = !bytes || crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM), app, &j, bytes) < 0;
    free(bytes);
    return failed;
}
