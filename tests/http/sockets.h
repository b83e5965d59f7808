/* SPDX-License-Identifier: MIT */
/* sockets.h: what tests of WebSockets share: a server that echoes, and a client that sends frames by hand.
 *
 * Frames are written as words, for tables: "t:Hello" is a text frame with these bytes, "b" a binary one without any,
 * "t+:Hel c:lo" a text in two fragments, "p" a ping, "o" a pong, "x:1000:why" a close with a code and a reason, "x" one
 * without, "3" and "B" frames of these opcodes, "t!4" one with a reserved bit. "*70000" stands for so many bytes '*',
 * and "#feff" for bytes in hexadecimal digits. */
#ifndef SOCKETS_H
#define SOCKETS_H
#include <ctype.h>
#include <crank/websocket.h>
#include "webs.h"

#define SOCKET_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define SOCKET_HEAD \
    "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " SOCKET_KEY "\r\n"

/* ---- The server ---- */

static inline int socket_echo(crank_http_request *request)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *socket = crank_try(crank_websocket_accept(request));
    crank_websocket_message said;
    while (crank_try(crank_websocket_read(socket, &said)) > 0)
        crank_try(crank_websocket_write(socket, said.kind, said.bytes, said.size));
    return 0;
}
static inline int socket_serve(crank_listener *l) { return crank_http_serve(l, socket_echo); }

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

/* The frames of all words as a client sends them, masked: how many bytes. To be freed. */
static inline unsigned char *socket_frames(const char *words, size_t *ret_size)
{
    static const unsigned char mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
    unsigned char *all = NULL;
    size_t size = 0;
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        socket_frame f = socket_word(at, length);
        all = realloc(all, size + 14 + f.size);
        EXPECT(all);
        size += socket_header(all + size, f.first, f.size, 0x80);
        memcpy(all + size, mask, 4);
        for (size_t i = 0; i < f.size; i++)
            all[size + 4 + i] = f.bytes[i] ^ mask[i % 4];
        size += 4 + f.size;
        at += length;
    }
    *ret_size = size;
    return all;
}

static inline void socket_send(crank_stream *s, const char *words)
{
    size_t size;
    unsigned char *all = socket_frames(words, &size);
    int err = crank_write(s, all, size);
    if (err == 0)
        err = crank_flush(s);
    free(all);
    if (err < 0)
        test_fail(__FILE__, __LINE__, "cannot send \"%.40s\": %s", words, crank_error());
}

/* The next frame of the server's, which has no mask: its first byte, -1 at the end. Valid until the next call. */
static inline int socket_next(crank_stream *s, const unsigned char **ret_bytes, size_t *ret_size)
{
    static unsigned char bytes[SOCKET_FRAME_MAX];
    unsigned char header[10];
    ssize_t n = crank_read_exactly(s, header, 2);
    if (n == -ENODATA)
        return -1;
    webs_size(n);
    size_t more = header[1] == 126 ? 2 : header[1] == 127 ? 8 : 0, size = header[1];
    EXPECT(header[1] < 128);
    webs_size(crank_read_exactly(s, header + 2, more));
    for (size_t i = 0; i < more; i++)
        size = (i > 0 ? size << 8 : 0) | header[2 + i];
    EXPECT(size <= sizeof bytes);
    webs_size(crank_read_exactly(s, bytes, size));
    *ret_bytes = bytes;
    *ret_size = size;
    return header[0];
}

/* The server sends these frames, in this order; a word "x:1002" is satisfied by any reason. */
static inline void socket_expect_at(const char *file, int line, crank_stream *s, const char *words)
{
    for (const char *at = words; *at; at += strspn(at, " ")) {
        const unsigned char *bytes = NULL;
        size_t length = strcspn(at, " "), size = 0;
        int first = socket_next(s, &bytes, &size);
        socket_frame f = socket_word(at, length);
        bool is_close = f.first == 0x88 && f.size == 2 && size >= 2;
        if (first != f.first || (!is_close && size != f.size) || memcmp(bytes, f.bytes, f.size) != 0)
            test_fail(file, line, "expected \"%.*s\", got a frame %#x with %zu bytes \"%.*s\"", (int)length, at,
                (unsigned)first, size, size > 60 ? 60 : (int)size, (const char *)bytes);
        at += length;
    }
}
#define socket_expect(s, words) socket_expect_at(__FILE__, __LINE__, (s), (words))
#endif
