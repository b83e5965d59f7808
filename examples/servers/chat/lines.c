/* SPDX-License-Identifier: MIT */
/* lines.c: members by lines of text.
 *
 * The task of a connection reads what its member types, and takes it to the room. What the room has for the member is
 * written from the task of another member, and must not wait: crank_write_now says when a peer does not read. */
#define _POSIX_C_SOURCE 200809L /* localtime_r */
#include "lines.h"

#include <stdio.h>
#include <string.h>

#define NAME_SECONDS 60.0   /* to choose a name */
#define IDLE_SECONDS 3600.0 /* without a line */

typedef struct line_member {
    member base;
    crank_stream *peer;
    crank_task *task;
} line_member;

size_t line_of(const event *e, char *line, size_t size)
{
    char at[8] = "";
    struct tm when;
    int length;
    if (localtime_r(&e->at, &when))
        strftime(at, sizeof at, "%H:%M", &when);
    switch (e->kind) {
    case EVENT_SAY: length = snprintf(line, size, "%s %s: %s\n", at, e->from, e->text); break;
    case EVENT_ME: length = snprintf(line, size, "* %s %s\n", e->from, e->text); break;
    case EVENT_JOIN: length = snprintf(line, size, "* %s joined\n", e->from); break;
    case EVENT_LEAVE: length = snprintf(line, size, "* %s %s\n", e->from, *e->text ? e->text : "left"); break;
    case EVENT_NICK: length = snprintf(line, size, "* %s is now %s\n", e->from, e->text); break;
    case EVENT_HELLO:
        length = snprintf(line, size, "* you are %s. Here: %s. /help lists the commands\n", e->from,
            *e->text ? e->text : "nobody else");
        break;
    case EVENT_PRIVATE: length = snprintf(line, size, "* %s (to you): %s\n", e->from, e->text); break;
    default: length = snprintf(line, size, "* %s\n", e->text); break;
    }
    return (size_t)length < size ? (size_t)length : size - 1;
}

/* A peer that is gone is no reader that is slow: its own task finds out. */
static bool tell_line(member *m, const event *e)
{
    char line[LINE_MAX_BYTES];
    size_t length = line_of(e, line, sizeof line);
    return crank_write_now(((line_member *)m)->peer, line, length) != -EAGAIN;
}

/* The task of the connection ends, and then the server sends what is unsent: in vain to a slow reader. */
static void end_connection(member *m, member_end why)
{
    line_member *self = (line_member *)m;
    if (why == END_SLOW)
        crank_abort(self->peer);
    else
        (void)crank_cancel(self->task);
}

static const member_type by_lines = { .tell = tell_line, .drop = end_connection };

/* Without the end, which may be that of another system; a 0 amid it is a character that cannot be shown. */
static size_t trim(char *line, size_t length)
{
    if (length > 0 && line[length - 1] == '\n')
        length--;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    for (size_t i = 0; i < length; i++)
        if (!line[i])
            line[i] = '\x01';
    line[length] = '\0';
    return length;
}

/* The rest of a line for which there is no room. */
static int skip_line(crank_stream *peer)
{
    char piece[512];
    ssize_t n;
    do
        n = crank_try(crank_read_line(peer, piece, sizeof piece));
    while (n > 0 && piece[n - 1] != '\n');
    return 0;
}

/* The next line into TEXT_MAX_BYTES + 3. 1; 0 at the end, where half a line says nothing; else a negative errno. */
static int next_line(crank_stream *peer, char *line)
{
    for (;;) {
        ssize_t n = crank_read_until(peer, "\n", line, TEXT_MAX_BYTES + 3);
        if (n == 0 || n == -ENODATA)
            return 0;
        if (n > 0 && trim(line, (size_t)n) <= TEXT_MAX_BYTES)
            return 1;
        if (n == -EMSGSIZE)
            crank_try(skip_line(peer));
        else if (n < 0)
            return (int)n;
        crank_try(crank_printf(peer, "* that line was too long: %d bytes at most\n", TEXT_MAX_BYTES));
    }
}

/* 1: a name is chosen; 0: it has left before. */
static int choose_name(crank_stream *peer, const room *r, const member *m, char *name)
{
    crank_try(crank_printf(peer, "Welcome to crank chat. Your name?\n"));
    for (;;) {
        int more = crank_try(next_line(peer, name));
        const char *why = more ? room_refuses(r, m, name) : NULL;
        if (!why)
            return more;
        crank_try(crank_printf(peer, "%s. Your name?\n", why));
    }
}

static int talk(line_member *self)
{
    char line[TEXT_MAX_BYTES + 3];
    while (crank_try(crank_within(IDLE_SECONDS, next_line(self->peer, line))))
        if (!room_line(&self->base, line))
            break;
    return 0;
}

static const char *why_left(int err)
{
    return err == 0 || err == -ECANCELED ? "" : err == -ETIMEDOUT ? "was idle and left" : "lost the connection";
}

int chat_lines(crank_stream *peer, room *r)
{
    line_member self = { .base.type = &by_lines, .peer = peer, .task = crank_self() };
    char name[TEXT_MAX_BYTES + 3];
    const char *from = crank_peer_name(peer);
    const char *port = strrchr(from, ':');
    snprintf(self.base.host, sizeof self.base.host, "%.*s", port ? (int)(port - from) : 0, from);
    if (!crank_try(crank_within(NAME_SECONDS, choose_name(peer, r, &self.base, name))))
        return 0;
    room_enter(r, &self.base, name);
    room_name_task(&self.base);
    int err = talk(&self); /* whatever it ends with, the member leaves before its record goes */
    bool dropped = !self.base.in;
    room_leave(&self.base, why_left(err));
    if (dropped && err == -ECANCELED) {
        /* The room's request was to leave. Without it the server waits until the goodbye is sent. */
        while (crank_uncancel(NULL) > 0)
            continue;
        err = 0;
    }
    return err;
}
