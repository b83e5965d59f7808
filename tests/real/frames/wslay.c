/* SPDX-License-Identifier: MIT */
/* wslay.c: what wslay reads of frames, and which it writes, as ours.c prints it.
 *
 * wslay read|write server|client: the role is wslay's. It writes beside what ours.c writes: 'T' or 'B' is a message in
 * fragments, 'p' a ping. Compiled by frames.py where Debian's libwslay-dev is installed. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum { INPUT_MAX = 1 << 21, MESSAGE_MAX = 1 << 20, RECORD = 5, FRAGMENT = 1000 };

typedef struct end {
    const uint8_t *bytes; /* from the peer */
    size_t left;
    bool prints; /* what is sent */
} end;

static size_t read_length(const uint8_t *at)
{
    return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

static void print_hex(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", bytes[i]);
}

static ssize_t receive(wslay_event_context_ptr ctx, uint8_t *buf, size_t size, int flags, void *arg)
{
    end *e = arg;
    size_t n = size < e->left ? size : e->left;
    (void)flags;
    if (n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buf, e->bytes, n);
    e->bytes += n;
    e->left -= n;
    return (ssize_t)n;
}
static ssize_t put(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t size, int flags, void *arg)
{
    (void)ctx;
    (void)flags;
    if (((const end *)arg)->prints)
        print_hex(bytes, size);
    return (ssize_t)size;
}
static int make_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t size, void *arg)
{
    (void)ctx;
    (void)arg;
    for (size_t i = 0; i < size; i++)
        buf[i] = (uint8_t)(0x5a + 0x11 * i);
    return 0;
}
static void print_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *message, void *arg)
{
    (void)ctx;
    (void)arg;
    if (message->opcode != WSLAY_TEXT_FRAME && message->opcode != WSLAY_BINARY_FRAME)
        return;
    printf("\"%c", message->opcode == WSLAY_TEXT_FRAME ? 't' : 'b');
    print_hex(message->msg, message->msg_length);
    printf("\",");
}

/* ---- Reading ---- */

static void read_one(wslay_event_context_ptr ctx)
{
    putchar('[');
    bool failed = wslay_event_recv(ctx) != 0 || wslay_event_send(ctx) != 0;
    unsigned code = wslay_event_get_status_code_sent(ctx);
    int verdict = code == WSLAY_CODE_ABNORMAL_CLOSURE ? -1 : code == WSLAY_CODE_NO_STATUS_RCVD ? 0 : (int)code;
    printf("%d]\n", failed ? -2 : verdict);
}

/* ---- Writing ---- */

static ssize_t give_fragment(wslay_event_context_ptr ctx, uint8_t *buf, size_t size,
    const union wslay_event_msg_source *source, int *eof, void *arg)
{
    end *rest = source->data;
    size_t n = size < FRAGMENT ? size : FRAGMENT;
    (void)ctx;
    (void)arg;
    n = n < rest->left ? n : rest->left;
    memcpy(buf, rest->bytes, n);
    rest->bytes += n;
    rest->left -= n;
    *eof = rest->left == 0;
    return (ssize_t)n;
}

static int write_message(wslay_event_context_ptr ctx, char kind, const uint8_t *bytes, size_t size)
{
    uint8_t opcode = kind == 'p' ? WSLAY_PING : kind == 't' || kind == 'T' ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME;
    end rest = { .bytes = bytes, .left = size };
    const struct wslay_event_msg whole = { .opcode = opcode, .msg = bytes, .msg_length = size };
    const struct wslay_event_fragmented_msg parts = { opcode, { .data = &rest }, give_fragment };
    bool is_whole = kind != 'T' && kind != 'B';
    if ((is_whole ? wslay_event_queue_msg(ctx, &whole) : wslay_event_queue_fragmented_msg(ctx, &parts)) != 0)
        return -1;
    return wslay_event_send(ctx);
}

static int write_one(wslay_event_context_ptr ctx, const uint8_t *at, size_t size)
{
    putchar('"');
    for (const uint8_t *behind = at + size; at < behind; at += RECORD + read_length(at + 1)) {
        size_t length = read_length(at + 1);
        int failed = *at != 'x' ? write_message(ctx, (char)*at, at + RECORD, length)
                                : wslay_event_queue_close(
                                      ctx, (uint16_t)(at[RECORD] << 8 | at[RECORD + 1]), at + RECORD + 2, length - 2);
        if (failed || wslay_event_send(ctx) != 0)
            return -1;
    }
    puts("\"");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = receive,
        .send_callback = put,
        .genmask_callback = make_mask,
        .on_msg_recv_callback = print_message,
    };
    static uint8_t bytes[INPUT_MAX], length[4];
    if (argc != 3)
        return 2;
    bool writes = strcmp(argv[1], "write") == 0, serves = strcmp(argv[2], "server") == 0;
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        size_t size = read_length(length);
        wslay_event_context_ptr ctx;
        end e = { .bytes = bytes, .left = writes ? 0 : size, .prints = writes };
        if (size > INPUT_MAX || fread(bytes, 1, size, stdin) != size)
            return 1;
        int failed = serves ? wslay_event_context_server_init(&ctx, &callbacks, &e)
                            : wslay_event_context_client_init(&ctx, &callbacks, &e);
        if (failed)
            return 1;
        wslay_event_config_set_max_recv_msg_length(ctx, MESSAGE_MAX);
        if (writes && write_one(ctx, bytes, size) != 0)
            return 1;
        if (!writes)
            read_one(ctx);
        wslay_event_context_free(ctx);
    }
    return 0;
}
