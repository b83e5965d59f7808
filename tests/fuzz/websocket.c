/* SPDX-License-Identifier: MIT */
/* websocket.c: a client that sends frames, good ones and bytes that are none, in any pieces, and a server that reads.
 *
 * A slow reader of this file takes the same bytes apart, and says which messages the server must give and how it must
 * end. What the server sends is frames: pongs, of pings in their order, and at last the close that the reader says. */
#include "fuzz.h"
#include <crank/net.h>
#include <crank/websocket.h>

enum { WIRE_MAX = 64 * 1024, MESSAGE_MAX = 400, FRAGMENTS_MAX = 1024, MESSAGES = 200, KEPT = 1000 };

/* ---- What is sent */

typedef struct wire {
    unsigned char bytes[WIRE_MAX];
    size_t size;
    size_t pauses[300]; /* where the bytes are cut */
    size_t pause_count;
} wire;

static void put(wire *w, unsigned byte)
{
    if (w->size < sizeof w->bytes)
        w->bytes[w->size++] = (unsigned char)byte;
}
static void put_frame(wire *w, unsigned first, const unsigned char *bytes, size_t size)
{
    static const unsigned char mask[4] = { 0x5a, 0x00, 0xff, 0x81 };
    put(w, first);
    put(w, size < 126 ? 0x80 | (unsigned)size : 0x80 | 126);
    if (size >= 126) {
        put(w, (unsigned)size >> 8);
        put(w, (unsigned)size & 0xff);
    }
    for (size_t i = 0; i < 4; i++)
        put(w, mask[i]);
    for (size_t i = 0; i < size; i++)
        put(w, bytes[i] ^ mask[i % 4]);
}

static void make_frame(wire *w, fuzz_bytes *script, unsigned choice)
{
    static const unsigned char opcodes[] = { 1, 2, 0, 9, 0, 10, 0, 8, 1, 1, 2, 0, 0, 9, 3, 11 };
    static const unsigned char text[] = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    unsigned char bytes[260];
    size_t size = fuzz_byte(script);
    for (size_t i = 0; i < size; i++)
        bytes[i] = choice & 64 ? (unsigned char)fuzz_byte(script) : text[i % (sizeof text - 1)];
    put_frame(w, opcodes[choice & 15] | (choice & 16 ? 0 : 0x80), bytes, size);
}

static void make_wire(wire *w, fuzz_bytes *script)
{
    w->size = w->pause_count = 0;
    while (script->left > 0) {
        unsigned choice = fuzz_byte(script);
        if (choice < 128) {
            make_frame(w, script, choice);
        } else if (choice < 160) {
            put(w, fuzz_byte(script));
        } else if (choice < 200) {
            if (w->pause_count < CRANK_COUNT(w->pauses))
                w->pauses[w->pause_count++] = w->size;
        } else if (choice < 230) {
            put(w, fuzz_byte(script));
            put(w, fuzz_byte(script));
        } else {
            unsigned char bytes[20];
            size_t size = 2 + choice % 4;
            for (size_t i = 0; i < size; i++)
                bytes[i] = (unsigned char)fuzz_byte(script);
            bytes[0] = choice & 1 ? 3 : bytes[0]; /* 768 to 1023 */
            put_frame(w, 0x88, bytes, size);
        }
    }
}

/* ---- What it means: the slow reader */

typedef struct meaning {
    size_t messages, pings;
    unsigned char kinds[MESSAGES];
    size_t sizes[MESSAGES];
    unsigned char bytes[MESSAGES][MESSAGE_MAX + 1];
    unsigned char ping_sizes[KEPT];
    unsigned char pinged[KEPT][125];
    unsigned close; /* the code that the server sends; 0: without one; NO_CLOSE: the connection ends before */
    int result;     /* of the last read */
} meaning;
enum { NO_CLOSE = 1, CLOSE_EMPTY = 0 };

static void fail(meaning *m, unsigned close)
{
    m->close = close;
    m->result = close == 1008 || close == 1009 ? -EMSGSIZE : -EPROTO;
}

/* The value of a character of so many bytes; -1: it is none. */
static long value_of(const unsigned char *c, size_t size)
{
    static const long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    long value = size == 1 ? c[0] : c[0] & (0xff >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (c[i] >> 6 != 2)
            return -1;
        value = value << 6 | (c[i] & 0x3f);
    }
    bool good = value >= least[size] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
    return good ? value : -1;
}
/* Can text begin so? Of a character that is not whole the least and the greatest that it may become are tried. */
static bool can_be_text(const unsigned char *text, size_t size, bool *ret_whole)
{
    *ret_whole = true;
    for (size_t i = 0; i < size;) {
        unsigned char c[4] = { text[i] }, most[4] = { text[i] };
        size_t length = c[0] < 0x80 ? 1 : c[0] < 0xc0 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf8 ? 4 : 0;
        if (length == 0)
            return false;
        for (size_t k = 1; k < length; k++) {
            c[k] = i + k < size ? text[i + k] : 0x80;
            most[k] = i + k < size ? text[i + k] : 0xbf;
        }
        if (value_of(c, length) < 0 && value_of(most, length) < 0)
            return false;
        *ret_whole = i + length <= size;
        i += length;
    }
    return true;
}

static bool is_code(unsigned code)
{
    static const unsigned known[] = { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014 };
    for (size_t i = 0; i < CRANK_COUNT(known); i++)
        if (code == known[i])
            return true;
    return code >= 3000 && code < 5000;
}

/* A close of the client's. */
static void read_close(meaning *m, const unsigned char *bytes, size_t size)
{
    bool whole;
    unsigned code = size < 2 ? 0 : (unsigned)bytes[0] << 8 | bytes[1];
    m->close = code;
    m->result = 0;
    if (size > 0 && !is_code(code))
        fail(m, 1002);
    else if (size > 2 && (!can_be_text(bytes + 2, size - 2, &whole) || !whole))
        fail(m, 1007);
}

typedef struct header {
    unsigned opcode;
    bool final;
    uint64_t size;
    const unsigned char *mask;
} header;

/* How many bytes it has; 0: there are not so many; -1: it is wrong. */
static int read_header(const unsigned char *at, size_t left, header *h)
{
    if (left < 2)
        return 0;
    size_t extra = (at[1] & 127) == 126 ? 2 : (at[1] & 127) == 127 ? 8 : 0, size = 2 + extra + (at[1] & 128 ? 4 : 0);
    if (left < size)
        return 0;
    h->size = extra ? 0 : at[1] & 127;
    for (size_t i = 0; i < extra; i++)
        h->size = h->size << 8 | at[2 + i];
    h->opcode = at[0] & 15;
    h->final = at[0] & 128;
    h->mask = at + 2 + extra;
    bool control = h->opcode >= 8;
    bool known = h->opcode <= 2 || (h->opcode >= 8 && h->opcode <= 10);
    bool shortest = extra == 0 || (extra == 2 ? h->size >= 126 : h->size >= 65536 && h->size >> 63 == 0);
    bool good = known && shortest && !(at[0] & 0x70) && (at[1] & 128) && (!control || (h->final && h->size <= 125));
    return good ? (int)size : -1;
}

static void read_wire(const wire *w, meaning *m)
{
    size_t size = 0, fragments = 0;
    unsigned kind = 0;
    m->messages = m->pings = 0;
    m->close = NO_CLOSE;
    m->result = -ECONNRESET;
    for (size_t at = 0; at < w->size;) {
        header h;
        unsigned char *message = m->bytes[m->messages], control[125];
        int length = read_header(w->bytes + at, w->size - at, &h);
        bool data = length > 0 && h.opcode < 8;
        if (length == 0)
            return;
        if (length < 0 || (data && (h.opcode == 0) != (kind != 0))) {
            fail(m, 1002);
            return;
        }
        if (data)
            kind = kind ? kind : h.opcode;
        if (data && (++fragments > FRAGMENTS_MAX || size + h.size > MESSAGE_MAX)) {
            fail(m, fragments > FRAGMENTS_MAX ? 1008 : 1009);
            return;
        }
        at += (size_t)length;
        for (size_t i = 0; i < h.size; i++) {
            bool whole;
            if (at == w->size)
                return;
            unsigned char byte = w->bytes[at++] ^ h.mask[i % 4];
            if (!data)
                control[i] = byte;
            else
                message[size++] = byte;
            if (data && kind == 1 && !can_be_text(message, size, &whole)) {
                fail(m, 1007);
                return;
            }
        }
        bool whole = true;
        if (data && h.final) {
            if (kind == 1 && (!can_be_text(message, size, &whole) || !whole)) {
                fail(m, 1007);
                return;
            }
            m->kinds[m->messages] = (unsigned char)kind;
            m->sizes[m->messages++] = size;
            kind = 0;
            size = fragments = 0;
            if (m->messages == MESSAGES)
                return;
        } else if (h.opcode == 9 && m->pings < KEPT) {
            memcpy(m->pinged[m->pings], control, (size_t)h.size);
            m->ping_sizes[m->pings++] = (unsigned char)h.size;
        } else if (h.opcode == 8) {
            read_close(m, control, (size_t)h.size);
            return;
        }
    }
}

/* ---- What the server makes of it */

static wire sent;
static meaning meant;
static size_t given;
static int result;

static int read_all(crank_http_request *request)
{
    const crank_websocket_options options = { .message_max = MESSAGE_MAX };
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_websocket_accept_with(&options, request);
    crank_websocket_message said;
    FUZZ_EXPECT(w);
    while (given < MESSAGES && (result = crank_websocket_read(w, &said)) == 1) {
        FUZZ_SAY("message of %zu bytes\n", said.size);
        FUZZ_EXPECT(given < meant.messages);
        FUZZ_EQUAL(said.kind, meant.kinds[given]);
        FUZZ_EQUAL(said.size, meant.sizes[given]);
        FUZZ_EXPECT(memcmp(said.bytes, meant.bytes[given], said.size) == 0 && said.bytes[said.size] == '\0');
        given++;
    }
    FUZZ_SAY("%d: %s\n", result, crank_error());
    return result < 0 ? result : 0;
}
static int serve(crank_listener *l) { return crank_http_serve(l, read_all); }

/* The next frame of the server's; false at the end. */
static bool next_frame(crank_stream *s, unsigned char *bytes, size_t *ret_size, unsigned *ret_first)
{
    unsigned char head[2];
    if (crank_read_exactly(s, head, 2) != 2)
        return false;
    FUZZ_EXPECT(head[1] <= 125); /* control frames, not masked */
    *ret_first = head[0];
    *ret_size = head[1];
    return crank_read_exactly(s, bytes, head[1]) == head[1];
}
static void read_answers(crank_stream *s)
{
    unsigned char bytes[125];
    size_t size, ping = 0;
    unsigned first = 0;
    bool closed = false;
    while (next_frame(s, bytes, &size, &first)) {
        FUZZ_EXPECT(!closed);
        closed = first == 0x88;
        if (closed && given == meant.messages && meant.messages < MESSAGES)
            FUZZ_EQUAL(size < 2 ? CLOSE_EMPTY : bytes[0] << 8 | bytes[1], meant.close);
        if (closed)
            continue;
        FUZZ_EQUAL(first, 0x8a);
        while (ping < meant.pings && (meant.ping_sizes[ping] != size || memcmp(meant.pinged[ping], bytes, size) != 0))
            ping++;
        FUZZ_EXPECT(ping++ < meant.pings);
    }
}

static void send_all(crank_stream *s)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    int err = crank_write(s, head, sizeof head - 1);
    size_t at = 0;
    for (size_t i = 0; err == 0 && i <= sent.pause_count; i++) {
        size_t end = i < sent.pause_count ? sent.pauses[i] : sent.size;
        err = crank_write(s, sent.bytes + at, end - at);
        if (err == 0)
            err = crank_sleep(0.001);
        at = end;
    }
    if (err == 0)
        err = crank_write_eof(s);
    FUZZ_EXPECT(err == 0 || err == -EPIPE || err == -ECONNRESET);
}

static void run(const uint8_t *data, size_t size)
{
    char answer[500];
    fuzz_bytes script = { data, size };
    make_wire(&sent, &script);
    read_wire(&sent, &meant);
    given = 0;
    result = 1;
    crank_listener *l = crank_listen("127.0.0.1:0");
    FUZZ_EXPECT(l);
    crank_task *server = crank_spawn(serve, l);
    crank_stream *s = crank_connect(crank_listener_address(l, 0));
    FUZZ_EXPECT(s);
    send_all(s);
    FUZZ_EXPECT(crank_read_until(s, "\r\n\r\n", answer, sizeof answer) > 0);
    read_answers(s);
    FUZZ_EXPECT(crank_close(s) == 0 || crank_error());
    crank_listener_stop(l, 0);
    FUZZ_EQUAL(crank_await(server), 0);
    FUZZ_EQUAL(crank_listener_close(l), 0);
    FUZZ_EQUAL(given, meant.messages);
    if (meant.messages < MESSAGES)
        FUZZ_EQUAL(result, meant.result);
}

const fuzz_target fuzz_this = { .name = "websocket", .length = 300, .in_task = true, .run = run };
