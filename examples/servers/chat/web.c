/* SPDX-License-Identifier: MIT */
/* web.c: members by browser.
 *
 * The page is four files that are built in; it opens a WebSocket to /chat, sends lines as nc does, and is told events
 * as JSON. The task of that request is the member: it reads, and what the room has for the member is written from the
 * task of another one and does not wait. But for what was said before the member came, which may be more than a socket
 * takes at once: that the member's own task writes, at the browser's pace. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "web.h"

#include <crank/websocket.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "page.h"
#include "tree.h"
#include "wire.h"

#define NAME_SECONDS 60.0 /* to choose a name */
#define POLICY \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* Why a socket is closed, beside the codes that all know: the page does not come again by itself. */
enum { CLOSE_GOING = 1001, CLOSE_SLOW = 1013, CLOSE_ASKED = 4001, CLOSE_REPLACED = 4002 };

typedef struct web_member {
    member base;
    crank_websocket *socket;
    uint64_t after; /* where it comes again: the last public event that it has; 0: it is new */
    uint64_t hello; /* the last public event from before it came */
    uint64_t next;  /* the public event that it is told next */
    bool behind;    /* its own task does that, which is not at the last one yet */
} web_member;

/* ---- What a member is told ---- */

/* A peer that is gone is no reader that is slow: its own task finds out. */
static bool send_now(web_member *self, const char *json, size_t length)
{
    return crank_websocket_write_now(self->socket, CRANK_TEXT, json, length) != -EAGAIN;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Here the member's place in the history is chosen: behind what it has, or so many events back. Its own joining, which
 * is the next one, takes the place of the oldest. */
static bool tell_hello(web_member *self, const event *e)
{
    uint64_t kept = least(e->id, HISTORY_KEPT - 1), shown = least(e->id, HISTORY_SHOWN);
    bool gone = self->after && e->id - self->after > kept;
    char *json = malloc(WIRE_HELLO_MAX_BYTES);
    if (!json)
        return false;
    self->hello = e->id;
    self->next = !self->after ? e->id - shown + 1 : gone ? e->id - kept + 1 : self->after + 1;
    bool taken = send_now(self, json, wire_hello(self->base.in, e, gone, json, WIRE_HELLO_MAX_BYTES));
    free(json);
    return taken;
}

static bool tell_json(member *m, const event *e)
{
    web_member *self = (web_member *)m;
    char json[WIRE_MAX_BYTES];
    if (e->kind == EVENT_HELLO)
        return tell_hello(self, e);
    if (e->id && self->behind)
        return room_event(m->in, self->next); /* else it is too far behind */
    if (e->id)
        self->next = e->id + 1;
    return send_now(self, json, wire_of(e, json, sizeof json));
}

/* What was written before goes out; the member's task finds the socket ended. One that is still told what was said
 * before it came has not had all at the goodbye, and is told that. */
static void end_socket(member *m, member_end why)
{
    static const int codes[] = {
        [END_SLOW] = CLOSE_SLOW, [END_ASKED] = CLOSE_ASKED, [END_REPLACED] = CLOSE_REPLACED, [END_BYE] = CLOSE_GOING
    };
    const web_member *self = (web_member *)m;
    crank_websocket_abort(self->socket, why == END_BYE && self->behind ? CLOSE_SLOW : codes[why], NULL);
}

static const member_type by_web = { .tell = tell_json, .drop = end_socket, .counts = true };

/* ---- A member ---- */

/* Where "EPOCH.ID" is of this room: the number. */
static uint64_t place_in(const room *r, const char *after)
{
    uint64_t epoch, id;
    if (!after || sscanf(after, "%" SCNu64 ".%" SCNu64, &epoch, &id) != 2 || epoch != room_epoch(r))
        return 0;
    return id <= room_last(r) ? id : 0;
}

/* The next line into TEXT_MAX_BYTES + 1: a 0 amid it is a character that cannot be shown. 1; 0: the browser has gone in
 * order; else a negative errno. */
static int next_line(web_member *self, char *line)
{
    crank_websocket_message said;
    while (crank_try(crank_websocket_read(self->socket, &said)) > 0) {
        if (said.size <= TEXT_MAX_BYTES) {
            for (size_t i = 0; i < said.size; i++)
                line[i] = said.bytes[i] ? said.bytes[i] : '\x01';
            line[said.size] = '\0';
            return 1;
        }
        crank_try(crank_websocket_print(
            self->socket, "{\"t\":\"note\",\"text\":\"that line was too long: %d bytes at most\"}", TEXT_MAX_BYTES));
    }
    return 0;
}

/* 1: a name is chosen; 0: it has left before. */
static int choose_name(web_member *self, const room *r, char *name)
{
    char json[WIRE_MAX_BYTES];
    for (;;) {
        int more = crank_try(next_line(self, name));
        const char *why = more ? room_refuses(r, &self->base, name) : NULL;
        if (!why)
            return more;
        event e = { .kind = EVENT_NOTE };
        snprintf(e.text, sizeof e.text, "%s", why);
        crank_try(crank_websocket_write(self->socket, CRANK_TEXT, json, wire_of(&e, json, sizeof json)));
    }
}

/* What the room has kept for it, to the last event there is; what is new meanwhile comes behind that. One that is new
 * need not know which members came and went before. */
static int catch_up(web_member *self)
{
    char json[WIRE_MAX_BYTES];
    for (; self->base.in && self->next <= room_last(self->base.in); self->next++) {
        const event *e = room_event(self->base.in, self->next);
        bool passed = e->kind == EVENT_JOIN || e->kind == EVENT_LEAVE;
        if (!self->after && e->id <= self->hello && passed)
            continue;
        crank_try(crank_websocket_write(self->socket, CRANK_TEXT, json, wire_of(e, json, sizeof json)));
    }
    self->behind = false;
    return 0;
}

static int talk(web_member *self)
{
    char line[TEXT_MAX_BYTES + 1];
    crank_try(catch_up(self));
    while (crank_try(next_line(self, line)))
        if (!room_line(&self->base, line))
            break;
    return 0;
}

static int chat_socket(crank_http_request *request, room *r)
{
    crank_websocket_options options = { .message_max = 16 * TEXT_MAX_BYTES };
    CRANK_AUTO_WEBSOCKET crank_websocket *socket = crank_try(crank_websocket_accept_with(&options, request));
    web_member self = { .base.type = &by_web, .socket = socket, .behind = true };
    char name[TEXT_MAX_BYTES + 1];
    const char *key = crank_http_query(request, "key"), *port = strrchr(request->peer, ':');
    self.after = place_in(r, crank_http_query(request, "after"));
    snprintf(self.base.key, sizeof self.base.key, "%s", key ? key : "");
    snprintf(self.base.host, sizeof self.base.host, "%.*s", port ? (int)(port - request->peer) : 0, request->peer);
    int named = crank_within(NAME_SECONDS, choose_name(&self, r, name));
    if (named <= 0)
        return named == -ETIMEDOUT ? 0 : named;
    room_enter(r, &self.base, name);
    room_name_task(&self.base);
    int err = talk(&self); /* whatever it ends with, the member leaves before its record goes */
    room_leave(&self.base, err == 0 || err == -ECANCELED ? "" : "lost the connection");
    return err;
}

/* ---- What the server does ---- */

static double processor_seconds(void)
{
    struct timespec used = { 0 };
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Each second, until the browser goes away or the listener is stopped. */
static int send_tasks(crank_http_request *request, const web_site *site, char *text)
{
    double used = processor_seconds(), at = crank_time(), busy = 0;
    for (;;) {
        size_t tasks = tree_of_tasks(text, TREE_MAX_BYTES);
        crank_try(crank_http_event(request, "tree", NULL, "%s", text));
        crank_try(crank_http_event(request, "load", NULL, "%zu tasks on one thread, %.1f%% busy", tasks, busy));
        int err = crank_within(1, crank_listener_wait_stop(site->listener));
        if (err != -ETIMEDOUT)
            return err;
        double now = processor_seconds(), elapsed = crank_time() - at;
        busy = 100 * (now - used) / elapsed;
        used = now;
        at += elapsed;
    }
}

static int show_tasks(crank_http_request *request, const web_site *site)
{
    char *text = malloc(TREE_MAX_BYTES);
    crank_set_name(NULL, "GET /tasks");
    int err = text ? send_tasks(request, site, text) : crank_fail(ENOMEM, "out of memory for the tree of tasks");
    free(text);
    return err;
}

/* ---- The page ---- */

static const struct page_file {
    const char *path, *type;
    const unsigned char *bytes;
    const size_t *size;
} files[] = {
    { "/", "text/html; charset=utf-8", page_html, &page_html_size },
    { "/style.css", "text/css; charset=utf-8", style_css, &style_css_size },
    { "/chat.js", "text/javascript; charset=utf-8", chat_js, &chat_js_size },
    { "/icon.svg", "image/svg+xml", icon_svg, &icon_svg_size },
};

static int send_file(crank_http_request *request, const struct page_file *file)
{
    crank_try(crank_http_set(request, "Content-Security-Policy", POLICY));
    crank_try(crank_http_set(request, "Referrer-Policy", "no-referrer"));
    crank_try(crank_http_set(request, "Cache-Control", "no-cache"));
    return crank_http_respond(request, 200, file->type, file->bytes, *file->size);
}

int chat_web(crank_http_request *request, const web_site *site)
{
    for (size_t i = 0; i < CRANK_COUNT(files); i++)
        if (crank_http_is(request, "GET", files[i].path))
            return send_file(request, &files[i]);
    if (crank_http_is(request, "GET", "/chat"))
        return chat_socket(request, site->room);
    if (crank_http_is(request, "GET", "/features"))
        return crank_http_print(request, 200, "application/json", "{\"panel\":%s,\"lines\":\"%s\"}\n",
            site->panel ? "true" : "false", site->by_lines);
    if (site->panel && crank_http_is(request, "GET", "/tasks"))
        return show_tasks(request, site);
    return 0;
}
