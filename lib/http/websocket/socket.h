/* SPDX-License-Identifier: MIT */
/* socket.h: a WebSocket, from its handshake to its end.
 *
 * One record for both roles. writing.c sends, reading.c receives, silence.c finds a peer that has
 * vanished, closing.c ends; handshake.c makes a server's, connect.c a client's. A server's lies in
 * its request's memory and goes with that; a client's is its own block, and goes with
 * crank_websocket_close. */
#ifndef CR_HTTP_SOCKET_H
#define CR_HTTP_SOCKET_H
#include <crank/loop.h>
#include <crank/sync.h>
#include <crank/websocket.h>
#include "http/exchange.h"
#include "http/websocket/frame.h"
#include "http/websocket/utf8.h"

enum {
    CR_HTTP_SOCKET_MARK = 64 * 1024,  /* unsent bytes from which on writers wait, as a stream's */
    CR_HTTP_SOCKET_MESSAGE = 1 << 20, /* bytes of a message, by default */
    CR_HTTP_SOCKET_FRAGMENTS = 1024,  /* frames of a message */
    CR_HTTP_SOCKET_REASON = 125 - 2   /* bytes of a close's reason */
};
#define CR_HTTP_SOCKET_CLOSE_SECONDS 5.0 /* that a peer's close is waited for */
#define CR_HTTP_SOCKET_FAR 1e8 /* seconds: no limit; a stream's timer is moved, not made */

struct crank_websocket {
    crank_stream *stream;
    cr_http_message *request; /* a server's; NULL: a client's, to which the stream belongs */
    crank_lock *turn;         /* the task that holds it writes: messages stay whole */
    const char *protocol;     /* that was agreed on, or "" */
    char *own_protocol;       /* the same where it is to be freed */
    size_t message_max;
    double ping; /* seconds of silence; negative: none is sent */

    /* Why the socket has failed, for good; 0. A peer's close is no failure. */
    int error;
    const char *why;
    bool aborted;

    /* What is read: a frame, of a message, of which so many bytes are there. */
    cr_http_frame frame;
    uint64_t frame_taken;
    bool in_frame;
    bool given;                /* the message is the caller's, until it reads again */
    bool drops;                /* messages are dropped */
    crank_websocket_kind kind; /* of the message; 0: none has begun */
    unsigned fragments;
    cr_http_utf8 utf8;
    char *text;
    size_t size, room;

    /* Whether the peer is there. */
    double silence;   /* seconds of waiting since the last byte, or the ping behind it */
    double heard_at;  /* the last byte, or the beginning */
    double pinged_at; /* the ping left this side */
    bool pinged;      /* one was asked for, and no byte has come since */
    bool reading;     /* a task reads */
    bool looking;     /* a task that writes waits for what has come */
    size_t unsent;    /* at the last look whether something leaves */
    unsigned written; /* messages, and at that look */
    unsigned written_seen;
    unsigned stills;     /* looks in a row at which nothing had left */
    crank_handle *watch; /* the timer beside a write that waits */

    /* Control frames that wait: for the task that writes, or for room. */
    bool ping_waits, pong_waits, close_waits;
    unsigned char pong_size, close_size;
    char pong[CR_HTTP_FRAME_CONTROL_MAX], close[CR_HTTP_FRAME_CONTROL_MAX];

    bool closing;    /* this side's close is sent, or waits: nothing is written behind it */
    bool closed;     /* the peer's has come */
    double close_at; /* then the peer's is not waited for any more */
    int peer_code;
    char peer_reason[CR_HTTP_SOCKET_REASON + 1];
};

/* ---- socket.c ---- */

/* Make what a socket has beside its stream. 0, -ENOMEM. */
int cr_http_socket_init(crank_websocket *w, const crank_websocket_options *options);
/* Give its memory back, but for the record. */
void cr_http_socket_deinit(crank_websocket *w);
/* Notice a request to cancel, as a call does that may wait. 0, -ECANCELED. */
int cr_http_socket_check(crank_websocket *w);
/* The socket has failed, for good; the failure's message is made where it is a call's own. */
int cr_http_socket_fail(crank_websocket *w, int err, const char *why);
/* Why no call goes on: 0; -ECONNABORTED, or what it has failed with. -ETIMEDOUT is told once: a
 * loop that takes it for a limit of its own would go on for ever. */
int cr_http_socket_refuses(crank_websocket *w);
/* A client masks what it sends: the frame is given a mask. */
void cr_http_socket_mask(const crank_websocket *w, cr_http_frame *frame);
/* Send the control frames that wait, where there is room: for the task that has the turn. Never
 * waits. */
void cr_http_socket_put_waiting(crank_websocket *w);
/* The same for others, where no task has it. */
void cr_http_socket_flush(crank_websocket *w);
/* The peer is told so, once, and nothing behind it; from now on its close is waited for no longer
 * than 5 s. code 0: a close without one. */
void cr_http_socket_begin_close(crank_websocket *w, int code, const char *reason);

/* ---- reading.c ---- */

/* Take bytes, waiting for them: 1 where a message is whole, 0 where the peer has closed, else as
 * crank_websocket_read. */
int cr_http_reading_next(crank_websocket *w);

/* ---- silence.c ---- */

/* A byte has come. */
void cr_http_silence_heard(crank_websocket *w);
/* A task has waited for one as long as a ping's seconds: 0 where it is to wait on; -ETIMEDOUT. */
int cr_http_silence_passed(crank_websocket *w);
/* Before a write, by the task that has the turn: 0, also where another task reads; -ETIMEDOUT, or
 * as a read fails. It may wait for a moment. */
int cr_http_silence_look(crank_websocket *w);
/* Before a read, which must not meet that: 0, -ECANCELED. */
int cr_http_silence_await_look(crank_websocket *w);
/* Around a write of so many bytes, which may wait for room. */
void cr_http_silence_watch(crank_websocket *w, size_t more);
void cr_http_silence_watch_no_more(crank_websocket *w);

/* ---- closing.c ---- */

/* The request's end: what its handler has left open is closed. */
int cr_http_closing_end(cr_http_message *message);
/* The server is stopping. */
void cr_http_closing_stop(crank_websocket *w);
#endif
