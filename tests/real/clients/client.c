/* SPDX-License-Identifier: MIT */
/* client.c: a WebSocket of crank's that talks with the servers of others, for sockets.py.
 *
 * client URL: twice it asks for the protocol "echo" and has messages come back. The first time the server is told to
 * close, the second time it closes itself. What it sees is printed. */
#include <crank.h>
#include <crank/websocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 1 << 20, BURST = 100 };

static int read_back(crank_websocket *w, crank_websocket_kind kind, const char *bytes, size_t size)
{
    crank_websocket_message said;
    int got = crank_try(crank_websocket_read(w, &said));
    if (got == 0 || said.kind != kind || said.size != size || memcmp(said.bytes, bytes, size) != 0)
        return crank_fail(EPROTO, "the echo of %zu bytes is another", size);
    return 0;
}

/* One after the other, and then many before the first is read. */
static int talk(crank_websocket *w, char *bytes)
{
    static const size_t sizes[] = { 0, 1, 125, 126, 65535, 65536, LARGEST };
    for (size_t i = 0; i < 2 * CRANK_COUNT(sizes); i++) {
        crank_websocket_kind kind = i % 2 == 0 ? CRANK_TEXT : CRANK_BINARY;
        memset(bytes, kind == CRANK_TEXT ? 'a' : 0xff, sizes[i / 2]);
        crank_try(crank_websocket_write(w, kind, bytes, sizes[i / 2]));
        crank_try(read_back(w, kind, bytes, sizes[i / 2]));
    }
    memcpy(bytes, "\xc3\xa9 \xf0\x9f\x98\x80", 7);
    for (int i = 0; i < BURST; i++)
        crank_try(crank_websocket_write(w, CRANK_TEXT, bytes, 7));
    for (int i = 0; i < BURST; i++)
        crank_try(read_back(w, CRANK_TEXT, bytes, 7));
    printf("protocol %s, %zu messages\n", crank_websocket_protocol(w), 2 * CRANK_COUNT(sizes) + BURST);
    return 0;
}

static int app(const char *url, char *bytes)
{
    const crank_websocket_options options = { .protocols = "chat echo" };
    crank_websocket_message said;
    const char *reason;
    {
        CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_connect_with(&options, url));
        crank_try(talk(w, bytes));
        crank_try(crank_websocket_print(w, "close"));
        int got = crank_try(crank_websocket_read(w, &said));
        int code = crank_websocket_closed(w, &reason);
        printf("%d: closed with %d %s\n", got, code, reason);
    }
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_connect_with(&options, url));
    crank_try(talk(w, bytes));
    crank_websocket *last = w;
    w = NULL;
    crank_try(crank_websocket_close(last, 4000, "enough"));
    puts("closed");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    char *bytes = malloc(LARGEST);
    bool failed = !bytes || crank_run(app, (const char *)argv[1], bytes) < 0;
    free(bytes);
    return failed;
}
