/* SPDX-License-Identifier: MIT */
/* websocket_large.c: large messages, and many small ones, by the numbers of the cases of Autobahn's test suite, 9 and
 * 10.
 *
 * A server and a client of crank's echo what the other end, by hand, sends. Each row is played as text and as binary
 * messages: 9.2, 9.4, 9.6 and 9.8 are 9.1, 9.3, 9.5 and 9.7 of the other kind. */
#include "sockets.h"

enum { KIB = 1024, MIB = 1024 * 1024, FRAGMENTS_MAX = 1024, WIRE_MAX = SOCKET_MESSAGE_MAX + 14 * (FRAGMENTS_MAX + 1) };

typedef struct row {
    const char *number;
    size_t size;     /* of a message */
    size_t fragment; /* bytes in a frame; 0: all of them */
    size_t piece;    /* bytes in a write; 0: all of them */
    int messages;    /* one after the other's echo */
} row;

static const row quick[] = {
    { "9.1.1", 64 * KIB, 0, 0, 1 },
    { "9.1.2", 256 * KIB, 0, 0, 1 },
    { "9.1.3", MIB, 0, 0, 1 },
    /* A message may have 1,024 fragments: these are refused, 9.3.4 is not. */
    { "9.3.1", 4 * MIB, 64, 0, 1 },
    { "9.3.2", 4 * MIB, 256, 0, 1 },
    { "9.3.3", 4 * MIB, KIB, 0, 1 },
    { "9.5.6", MIB, 0, 2 * KIB, 1 },
    { "9.7.1", 0, 0, 0, 1000 },
    { "9.7.2", 16, 0, 0, 1000 },
    { "9.7.3", 64, 0, 0, 1000 },
    { "10.1.1", 64 * KIB, 1300, 0, 1 },
};
static const row slow[] = {
    { "9.1.4", 4 * MIB, 0, 0, 1 },
    { "9.1.5", 8 * MIB, 0, 0, 1 },
    { "9.1.6", 16 * MIB, 0, 0, 1 },
    { "9.3.4", 4 * MIB, 4 * KIB, 0, 1 },
    { "9.3.5", 4 * MIB, 16 * KIB, 0, 1 },
    { "9.3.6", 4 * MIB, 64 * KIB, 0, 1 },
    { "9.3.7", 4 * MIB, 256 * KIB, 0, 1 },
    { "9.3.8", 4 * MIB, MIB, 0, 1 },
    { "9.3.9", 4 * MIB, 4 * MIB, 0, 1 },
    { "9.5.1", MIB, 0, 64, 1 },
    { "9.5.2", MIB, 0, 128, 1 },
    { "9.5.3", MIB, 0, 256, 1 },
    { "9.5.4", MIB, 0, 512, 1 },
    { "9.5.5", MIB, 0, KIB, 1 },
    { "9.7.4", 256, 0, 0, 1000 },
    { "9.7.5", KIB, 0, 0, 1000 },
    { "9.7.6", 4 * KIB, 0, 0, 1000 },
};

/* What stands at a place of a message tells the place. */
static unsigned char byte_at(size_t at) { return (unsigned char)('a' + at % 23); }

/* The message as frames, but no more of them than are refused: how many bytes. */
static size_t make_wire(const row *r, unsigned kind, bool masked, unsigned char *to)
{
    size_t size = 0, at = 0;
    int fragments = 0;
    do {
        size_t n = r->fragment > 0 && r->fragment < r->size - at ? r->fragment : r->size - at;
        unsigned first = (at == 0 ? kind : 0) | (at + n == r->size ? 0x80 : 0);
        size += socket_header(to + size, (unsigned char)first, n, masked ? 0x80 : 0);
        if (masked) {
            memcpy(to + size, socket_mask, 4);
            size += 4;
        }
        for (size_t i = 0; i < n; i++)
            to[size + i] = byte_at(at + i) ^ (masked ? socket_mask[i % 4] : 0);
        size += n;
        at += n;
    } while (at < r->size && ++fragments <= FRAGMENTS_MAX);
    return size;
}

static int send_wire(crank_stream *s, const row *r, const unsigned char *wire, size_t size)
{
    size_t piece = r->piece > 0 ? r->piece : size;
    for (size_t at = 0; at < size; at += piece) {
        crank_try(crank_write(s, wire + at, size - at < piece ? size - at : piece));
        crank_try(crank_flush(s));
    }
    return 0;
}

/* The message in one frame, as crank writes it. */
static void read_echo(crank_stream *s, const row *r, unsigned kind, bool masked)
{
    static unsigned char bytes[64 * KIB];
    unsigned char mask[4] = { 0 };
    size_t size = 0;
    int first = socket_next_header(s, masked, &size, mask);
    if (first != (int)(kind | 0x80) || size != r->size)
        test_fail(r->number, (int)kind, "the echo is a frame %#x of %zu bytes", (unsigned)first, size);
    for (size_t at = 0; at < size;) {
        size_t n = webs_size(crank_read_exactly(s, bytes, size - at < sizeof bytes ? size - at : sizeof bytes));
        for (size_t i = 0; i < n; i++)
            if ((bytes[i] ^ mask[i % 4]) != byte_at(at + i))
                test_fail(r->number, (int)kind, "byte %zu of the echo is %#x", at + i, bytes[i] ^ mask[i % 4]);
        at += n;
    }
}

static int play(const socket_game *g, const row *r, unsigned kind, unsigned char *wire)
{
    crank_task *client;
    CRANK_AUTO_STREAM crank_stream *s = socket_begin(g, &client);
    size_t size = make_wire(r, kind, !client, wire);
    bool refused = r->fragment > 0 && r->size > r->fragment * FRAGMENTS_MAX;
    for (int i = 0; i < r->messages; i++) {
        crank_try(send_wire(s, r, wire, size));
        if (!refused)
            read_echo(s, r, kind, client != NULL);
    }
    if (!refused)
        socket_send_of(s, !client, "x:1000");
    socket_expect_of(r->number, (int)kind, s, client != NULL, refused ? "x:1008" : "x:1000");
    socket_finish(r->number, s, client, refused ? -EMSGSIZE : 0);
    return 0;
}

static int play_all(const row *rows, size_t count)
{
    unsigned char *wire = test_memory(WIRE_MAX);
    CRANK_AUTO_LISTENER crank_listener *served = webs_listen();
    CRANK_AUTO_LISTENER crank_listener *by_hand = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(socket_serve_large, served);
    const socket_game games[] = { { served, false }, { by_hand, true } };
    for (size_t i = 0; i < 2 * count; i++)
        for (unsigned kind = CRANK_TEXT; kind <= CRANK_BINARY; kind++)
            crank_try(play(&games[i % 2], &rows[i / 2], kind, wire));
    return socket_stop(served, &server);
}

TEST_SIM(websocket, of_a_server_and_a_client_echo_large_and_many_messages)
{
    return play_all(quick, CRANK_COUNT(quick));
}

TEST_SIM(websocket, of_a_server_and_a_client_echo_all_of_autobahns_sizes)
{
    test_needs_long();
    return play_all(slow, CRANK_COUNT(slow));
}
