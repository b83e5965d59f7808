/* SPDX-License-Identifier: MIT */
/* room.c: the load of a broadcast: members of a room, of whom some speak.
 *
 * Each member is a WebSocket. A speaker sends a message that bears its number, the server writes it to every member, and
 * when it has come back to its speaker the next one follows. Every byte of every frame is compared with what was said;
 * a server that loses messages, or fragments or compresses them, is refused. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "../measure.h"
#include "load.h"

enum { BATCH = 1024, PIECE = 64 * 1024 };
/* A frame of a server, and of a client, which has a mask besides; a message begins with a number of four digits. */
enum { HEADER = 2, MASK = 4, DIGITS = 4, FRAME = HEADER + MESSAGE_SIZE };
#define FINAL_TEXT 0x81
#define MASKED 0x80

static size_t speaking;

/* The byte of a frame at an offset, behind the number. */
static char said(size_t at)
{
    if (at < HEADER)
        return (char)(at == 0 ? FINAL_TEXT : MESSAGE_SIZE);
    return (char)('a' + at % 26);
}

static bool speak(clients *c, client *one)
{
    static const char mask[MASK] = { 'm', 'a', 's', 'k' };
    char frame[HEADER + MASK + MESSAGE_SIZE], number[DIGITS + 1];
    snprintf(number, sizeof number, "%0*u", DIGITS, (unsigned)(one - c->all) % 10000);
    frame[0] = (char)FINAL_TEXT;
    frame[1] = (char)(MASKED | MESSAGE_SIZE);
    memcpy(frame + HEADER, mask, MASK);
    for (size_t i = 0; i < MESSAGE_SIZE; i++)
        frame[HEADER + MASK + i] = (char)((i < DIGITS ? number[i] : said(HEADER + i)) ^ mask[i % MASK]);
    one->sent_at = now_ns();
    return send(one->fd, frame, sizeof frame, MSG_NOSIGNAL) == (ssize_t)sizeof frame || load_failed("send");
}

/* A member has a whole message; the next one is due where it is its own. */
static bool hear(clients *c, client *one)
{
    size_t index = (size_t)(one - c->all);
    bool own = one->number == index && index < speaking;
    one->got = one->number = 0;
    c->echoed++;
    if (!own)
        return true;
    clients_note(c, now_ns() - one->sent_at);
    return speak(c, one);
}

static bool take(clients *c, client *one, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        size_t at = one->got++;
        if (at >= HEADER && at < HEADER + DIGITS)
            one->number = one->number * 10 + (unsigned)(unsigned char)(bytes[i] - '0');
        else if (bytes[i] != said(at))
            return load_refused("what has come to a member differs from what was said");
        if (one->got == FRAME && !hear(c, one))
            return false;
    }
    return true;
}

/* All that a member has to read: what is left would not be told of again. */
static bool listen_to(clients *c, client *one)
{
    static char buf[PIECE];
    for (;;) {
        ssize_t got = recv(one->fd, buf, sizeof buf, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return true;
        if (got == 0)
            errno = ECONNRESET;
        if (got <= 0)
            return load_failed("the server ended a member's connection");
        if (!take(c, one, buf, (size_t)got))
            return false;
        if ((size_t)got < sizeof buf)
            return true;
    }
}

/* The handshake, of which the answer has one key. */
static bool become_member(const client *one)
{
    static const char request[] = "GET /room HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char buf[ANSWER_MAX + 1];
    size_t got;
    if (send(one->fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        return load_failed("send");
    const char *end = clients_read_head(one, buf, &got);
    if (!end)
        return false;
    bool agreed = strncmp(buf, "HTTP/1.1 101 ", 13) == 0 && strstr(buf, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    return (agreed && end == buf + got) || load_refused("the server agrees to no WebSocket");
}

bool room_enter(clients *c, size_t speakers)
{
    speaking = speakers < c->count ? speakers : c->count;
    for (size_t i = 0; i < c->count; i++)
        if (!become_member(&c->all[i]))
            return false;
    for (size_t i = 0; i < speaking; i++)
        if (!speak(c, &c->all[i]))
            return false;
    return true;
}

bool room_run(clients *c, int64_t until)
{
    static struct epoll_event events[BATCH];
    while (now_ns() < until) {
        int n = load_wait(c->epoll, events, BATCH, "waiting for messages");
        if (n < 0)
            return false;
        for (int i = 0; i < n; i++)
            if (!listen_to(c, events[i].data.ptr))
                return false;
    }
    return true;
}
