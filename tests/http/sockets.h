/* SPDX-License-Identifier: MIT */
/* sockets.h: what tests of WebSockets share: a server and a client that echo, and the other end of each by hand.
 *
 * Frames are written as words, for tables: "t:Hello" is a text frame with these bytes, "b" a binary one without any,
 * "t+:Hel c:lo" a text in two fragments, "p" a ping, "o" a pong, "x:1000:why" a close with a code and a reason, "x" one
 * without, "3" and "B" frames of these opcodes, "t!4" one with a reserved bit. "*70000" stands for so many bytes '*',
 * and "#feff" for bytes in hexadecimal digits. */
#ifndef SOCKETS_H
#define SOCKETS_H
#include <ctype.h>
#include <crank/websocket.h>
#include "http/websocket/key.h"
#include "webs.h"

#define SOCKET_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SOCKET_HEAD \
    "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " SOCKET_KEY "\r\n"

/* ---- The server ---- */

static inline int socket_echo_all(crank_websocket *socket)
{
    crank_websocket_message said;
    while (crank_try(crank_websocket_read(socket, &said)) > 0)
        crank_try(crank_websocket_write(socket, said.kind, said.bytes, said.size));
    return 0;
}
static inline int socket_echo(crank_http_request *request)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *socket = crank_try(crank_websocket_accept(request));
    return socket_echo_all(socket);
}
static inline int socket_serve(crank_listener *l) { return webs_served(l, crank_http_serve(l, socket_echo)); }

/* The server ends; nothing of it was reported. */
static inline int socket_stop(crank_listener *l, crank_task **server) { return webs_stop(l, server, 10); }

/* ---- A client by hand ---- */

/* A connection on which the handshake has been made. */
static inline crank_stream *socket_open(const crank_listener *l)
{
    webs_answer a;
    crank_stream *s = webs_connect(l);
    webs_send(s, SOCKET_HEAD "\r\n");
    webs_read_head(s, &a);
    EXPECT_EQ(a.status, 101);
    return s;
}

typedef struct socket_frame {
    unsigned char first; /* final bit, reserved bits and opcode */
    unsigned char *bytes;
    size_t size;
} socket_frame;

enum { SOCKET_FRAME_MAX = 1 << 20 };

static inline size_t socket_bytes(const char *text, size_t length, unsigned char *to)
{
    size_t size = 0;
    if (*text == '*') {
        size = strtoul(text + 1, NULL, 10);
        EXPECT(size <= SOCKET_FRAME_MAX);
        memset(to, '*', size);
        return size;
    }
    if (*text != '#') {
        memcpy(to, text, length);
        return length;
    }
    for (const char *at = text + 1; at < text + length; at += 2)
        to[size++] = (unsigned char)strtoul((char[]){ at[0], at[1], 0 }, NULL, 16);
    return size;
}

/* Read a word of length bytes. The frame's bytes are valid until the next call. */
static inline socket_frame socket_word(const char *word, size_t length)
{
    static unsigned char bytes[SOCKET_FRAME_MAX];
    static const char opcodes[] = "ctb34567xpoBCDEF";
    const char *found = strchr(opcodes, word[0]);
    size_t at = 1;
    EXPECT(found && *found);
    unsigned first = (unsigned)(found - opcodes) | 0x80;
    if (length > at && word[at] == '+') {
        first &= 0x7F;
        at++;
    }
    if (length > at + 1 && word[at] == '!') {
        first |= (unsigned)(word[at + 1] - '0') << 4;
        at += 2;
    }
    socket_frame f = { .first = (unsigned char)first, .bytes = bytes };
    if (at < length && word[at] == ':')
        at++;
    if (f.first == 0x88 && at < length && isdigit((unsigned char)word[at])) {
        char *end;
        unsigned long code = strtoul(word + at, &end, 10);
        bytes[f.size++] = (unsigned char)(code >> 8);
        bytes[f.size++] = (unsigned char)code;
        at = (size_t)(end - word) + (*end == ':');
    }
    if (at < length)
        f.size += socket_bytes(word + at, length - at, bytes + f.size);
    return f;
}

static inline size_t socket_header(unsigned char *to, unsigned char first, size_t size, unsigned char mask_bit)
{
    size_t more = size < 126 ? 0 : size < 65536 ? 2 : 8;
    to[0] = first;
    to[1] = (unsigned char)((more == 0 ? size : more == 2 ? 126 : 127) | mask_bit);
    for (size_t i = 0; i < more; i++)
        to[2 + i] = (unsigned char)(size >> 8 * (more - 1 - i));
    return 2 + more;
}

static const unsigned char socket_mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* The frames of all words, with a client's masks or without: how many bytes. To be freed. */
static inline unsigned char *socket_frames_of(bool masked, const char *words, size_t *ret_size)
{
    unsigned char *all = NULL;
    size_t size = 0;
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        socket_frame f = socket_word(at, length);
        all = realloc(all, size + 14 + f.size);
        EXPECT(all);
        size += socket_header(all + size, f.first, f.size, masked ? 0x80 : 0);
        if (masked)
            memcpy(all + size, socket_mask, 4);
        size += masked ? 4 : 0;
        for (size_t i = 0; i < f.size; i++)
            all[size + i] = f.bytes[i] ^ (masked ? socket_mask[i % 4] : 0);
        size += f.size;
        at += length;
    }
    *ret_size = size;
    return all;
}
/* As a client sends them. */
static inline unsigned char *socket_frames(const char *words, size_t *ret_size)
{
    return socket_frames_of(true, words, ret_size);
}

static inline void socket_send_of(crank_stream *s, bool masked, const char *words)
{
    size_t size;
    unsigned char *all = socket_frames_of(masked, words, &size);
    int err = crank_write(s, all, size);
    if (err == 0)
        err = crank_flush(s);
    free(all);
    if (err < 0)
        test_fail(__FILE__, __LINE__, "cannot send \"%.40s\": %s", words, crank_error());
}
static inline void socket_send(crank_stream *s, const char *words) { socket_send_of(s, true, words); }

/* The header of the next frame, which is a client's or not: its first byte, -1 at the end. */
static inline int socket_next_header(crank_stream *s, bool masked, size_t *ret_size, unsigned char *ret_mask)
{
    unsigned char header[10];
    ssize_t n = crank_read_exactly(s, header, 2);
    if (n == -ENODATA)
        return -1;
    webs_size(n);
    EXPECT_EQ(header[1] >= 128, masked);
    size_t size = header[1] & 0x7f, more = size == 126 ? 2 : size == 127 ? 8 : 0;
    webs_size(crank_read_exactly(s, header + 2, more));
    for (size_t i = 0; i < more; i++)
        size = (i > 0 ? size << 8 : 0) | header[2 + i];
    if (masked)
        webs_size(crank_read_exactly(s, ret_mask, 4));
    *ret_size = size;
    return header[0];
}

/* The next frame, unmasked: its first byte, -1 at the end. Valid until the next call. */
static inline int socket_next_of(crank_stream *s, bool masked, const unsigned char **ret_bytes, size_t *ret_size)
{
    static unsigned char bytes[SOCKET_FRAME_MAX];
    unsigned char mask[4] = { 0 };
    size_t size = 0;
    int first = socket_next_header(s, masked, &size, mask);
    if (first < 0)
        return first;
    EXPECT(size <= sizeof bytes);
    webs_size(crank_read_exactly(s, bytes, size));
    for (size_t i = 0; masked && i < size; i++)
        bytes[i] ^= mask[i % 4];
    *ret_bytes = bytes;
    *ret_size = size;
    return first;
}
/* The server's. */
static inline int socket_next(crank_stream *s, const unsigned char **ret_bytes, size_t *ret_size)
{
    return socket_next_of(s, false, ret_bytes, ret_size);
}

/* The peer, a client or not, sends these frames, in this order; a word "x:1002" is satisfied by any reason. */
static inline void socket_expect_of(const char *file, int line, crank_stream *s, bool masked, const char *words)
{
    for (const char *at = words; *at; at += strspn(at, " ")) {
        const unsigned char *bytes = NULL;
        size_t length = strcspn(at, " "), size = 0;
        int first = socket_next_of(s, masked, &bytes, &size);
        socket_frame f = socket_word(at, length);
        bool is_close = f.first == 0x88 && f.size == 2 && size >= 2;
        if (first != f.first || (!is_close && size != f.size) || memcmp(bytes, f.bytes, f.size) != 0)
            test_fail(file, line, "expected \"%.*s\", got a frame %#x with %zu bytes \"%.*s\"", (int)length, at,
                (unsigned)first, size, size > 60 ? 60 : (int)size, (const char *)bytes);
        at += length;
    }
}
static inline void socket_expect_at(const char *file, int line, crank_stream *s, const char *words)
{
    socket_expect_of(file, line, s, false, words);
}
#define socket_expect(s, words) socket_expect_at(__FILE__, __LINE__, (s), (words))

/* ---- A server by hand ---- */

/* Read the handshake of a client's: what answers its key. */
static inline void socket_read_key(crank_stream *s, char answer[CR_HTTP_KEY_ANSWER])
{
    static const char field[] = "sec-websocket-key: ";
    char head[2000];
    webs_size(crank_read_until(s, "\r\n\r\n", head, sizeof head));
    char *key = strstr(head, field);
    EXPECT(key);
    key += sizeof field - 1;
    key[strcspn(key, "\r")] = '\0';
    EXPECT(cr_http_key_is(key));
    cr_http_key_answer(key, answer);
}

/* ---- Both roles ---- */

enum { SOCKET_MESSAGE_MAX = 16 << 20 };

/* One of crank's, a server or a client, that echoes, against the other end by hand. */
typedef struct socket_game {
    crank_listener *listener; /* crank's, or the one by hand's */
    bool by_client;           /* a client of crank's plays */
} socket_game;

static inline int socket_echo_large(crank_http_request *request)
{
    const crank_websocket_options options = { .message_max = SOCKET_MESSAGE_MAX };
    CRANK_AUTO_WEBSOCKET crank_websocket *socket = crank_try(crank_websocket_accept_with(&options, request));
    return socket_echo_all(socket);
}
static inline int socket_serve_large(crank_listener *l)
{
    return webs_served(l, crank_http_serve(l, socket_echo_large));
}

static inline int socket_join_large(const crank_listener *l)
{
    const crank_websocket_options options = { .message_max = SOCKET_MESSAGE_MAX };
    char url[100];
    snprintf(url, sizeof url, "ws://%s/", crank_listener_address(l, 0));
    CRANK_AUTO_WEBSOCKET crank_websocket *socket = crank_try(crank_websocket_connect_with(&options, url));
    return socket_echo_all(socket);
}

/* A connection on which the handshake has been made; crank's client on it, where one plays. */
static inline crank_stream *socket_begin(const socket_game *g, crank_task **ret_client)
{
    char answer[CR_HTTP_KEY_ANSWER], text[200];
    *ret_client = g->by_client ? crank_spawn(socket_join_large, g->listener) : NULL;
    if (!g->by_client)
        return socket_open(g->listener);
    crank_stream *s = crank_within(10, crank_accept(g->listener)); /* a client may lack memory to come */
    if (!s)
        test_fail(__FILE__, __LINE__, "no client has come: %s", crank_error());
    socket_read_key(s, answer);
    snprintf(text, sizeof text,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        answer);
    webs_send(s, text);
    return s;
}

/* Crank's end says no more, and gives what a read of its socket is to give at last: 0, or -EPROTO. */
static inline void socket_finish(const char *name, crank_stream *s, crank_task *client, int gives)
{
    char byte;
    int err = client ? crank_write_eof(s) : 0; /* a client waits for its server to end first */
    ssize_t n = crank_read(s, &byte, 1);
    if ((err < 0 && err != -EPIPE && err != -ECONNRESET) || (n != 0 && n != -ECONNRESET))
        test_fail(name, (int)n, "crank's end says more, or cannot be told the end: %s", crank_errno_name(-err));
    int gave = client ? (int)crank_await(client) : gives;
    if (gave != gives)
        test_fail(name, gave, "its client ends with \"%s\", expected %s", gave < 0 ? crank_error() : "0",
            gives < 0 ? crank_errno_name(-gives) : "0");
}
#endif
