/* SPDX-License-Identifier: MIT */
/* room.c: a chat room.
 *
 * Owns the list of members, the number of the next event and the last events. A member that cannot take an event
 * is not dropped amid the telling, which would change the order for the rest: it is told nothing more, and dropped
 * when all have been told; its leaving is then the next event. */
#define _POSIX_C_SOURCE 200809L /* strcasecmp */
#include "room.h"

#include <crank.h>
#include <crank/layer.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BURST 20.0 /* messages at once, */
#define RATE 5.0   /* and then per second */

struct room {
    time_t (*clock)(time_t *);
    member *first, *last;
    member *watchers; /* by next */
    size_t count;
    uint64_t epoch, events; /* when it was made, in microseconds; how many are numbered */
    event history[HISTORY_KEPT];
    member *slow[MEMBERS_MAX + 1]; /* to be dropped: members, and one that is about to be */
    size_t slow_count;
    bool telling, ended;
};

room *room_new(time_t (*clock)(time_t *))
{
    room *r = calloc(1, sizeof(room));
    if (!r)
        return NULL;
    r->clock = clock;
    r->epoch = (uint64_t)(crank_wall_time() * 1e6);
    return r;
}
void room_free(room *r) { free(r); }
size_t room_count(const room *r) { return r->count; }
const member *room_members(const room *r) { return r->first; }
uint64_t room_epoch(const room *r) { return r->epoch; }
uint64_t room_last(const room *r) { return r->events; }

const event *room_event(const room *r, uint64_t id)
{
    bool kept = id > 0 && id <= r->events && r->events - id < HISTORY_KEPT;
    return kept ? &r->history[id % HISTORY_KEPT] : NULL;
}

/* ---- Telling ---- */

static event event_of(const room *r, event_kind kind, const char *from, const char *text)
{
    event e = { .kind = kind, .at = r->clock(NULL) };
    snprintf(e.from, sizeof e.from, "%s", from);
    snprintf(e.text, sizeof e.text, "%s", text);
    return e;
}

/* One that has not taken an event is given none after it: what it sees has no gap. */
static void tell(member *m, const event *e)
{
    room *r = m->in;
    if (m->slow || m->type->tell(m, e))
        return;
    m->slow = true;
    r->slow[r->slow_count++] = m;
}

static void remove_member(room *r, member *m)
{
    *(m->prev ? &m->prev->next : &r->first) = m->next;
    *(m->next ? &m->next->prev : &r->last) = m->prev;
    m->next = m->prev = NULL;
    m->in = NULL;
    r->count--;
    for (size_t i = 0; i < r->slow_count; i++)
        if (r->slow[i] == m)
            r->slow[i] = NULL;
}

static void tell_all(room *r, event *e, const member *sender);

/* Each leaving is an event that may find another member slow: so until there is none. */
static void drop_slow(room *r)
{
    if (r->telling)
        return;
    r->telling = true;
    for (size_t i = 0; i < r->slow_count; i++) {
        member *m = r->slow[i];
        if (!m)
            continue;
        event e = event_of(r, EVENT_LEAVE, m->name, "was too slow and left");
        remove_member(r, m);
        m->type->drop(m, END_SLOW);
        tell_all(r, &e, NULL);
    }
    r->slow_count = 0;
    r->telling = false;
}

/* A public event: numbered, kept, and told to all in the same order. */
static void tell_all(room *r, event *e, const member *sender)
{
    e->id = ++r->events;
    r->history[e->id % HISTORY_KEPT] = *e;
    for (member *m = r->watchers; m; m = m->next)
        (void)m->type->tell(m, e);
    for (member *m = r->first; m; m = m->next)
        if (m != sender || m->type->counts)
            tell(m, e);
    drop_slow(r);
}

static void note_to(member *m, const char *format, ...) CRANK_PRINTF(2, 3);
static void note_to(member *m, const char *format, ...)
{
    event e = event_of(m->in, EVENT_NOTE, "", "");
    va_list args;
    va_start(args, format);
    vsnprintf(e.text, sizeof e.text, format, args);
    va_end(args);
    tell(m, &e);
}

/* ---- Names ---- */

static member *find(const room *r, const char *name)
{
    for (member *m = r->first; m; m = m->next)
        if (!strcasecmp(m->name, name))
            return m;
    return NULL;
}

void room_names(const room *r, char *buf, size_t size)
{
    size_t length = 0;
    buf[0] = '\0';
    for (const member *m = r->first; m; m = m->next) {
        size_t left = size - length;
        size_t n = (size_t)snprintf(buf + length, left, "%s%s", length ? ", " : "", m->name);
        if (n >= left) {
            buf[length] = '\0'; /* no half of a name, nor of a character */
            break;
        }
        length += n;
    }
}

/* One character at *at, of which UTF-8 takes one to four bytes; 0 where it is none, or none that a line may have:
 * controls, ends of lines, those that turn the direction of writing. */
static unsigned take_character(const char **at)
{
    const unsigned char *s = (const unsigned char *)*at;
    unsigned length = *s < 0x80 ? 1 : *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
    unsigned value = length == 1 ? *s : *s & (0x7fu >> length);
    static const unsigned smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (*s < 0x20 || *s == 0x7f || (*s >= 0x80 && *s < 0xc2) || *s > 0xf4)
        return 0;
    for (unsigned i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3f);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    if ((value >= 0x80 && value < 0xa0) || (value >= 0x2028 && value <= 0x202e) ||
        (value >= 0x2066 && value <= 0x2069) || value == 0xfeff)
        return 0;
    *at += length;
    return value;
}

/* Spaces, and what takes no room: two names that look alike shall be alike. */
static bool is_unseen(unsigned c)
{
    return c == 0xa0 || c == 0xad || c == 0x61c || c == 0x115f || c == 0x1160 || c == 0x1680 || c == 0x180e ||
           (c >= 0x2000 && c <= 0x200f) || c == 0x202f || (c >= 0x205f && c <= 0x206f) || c == 0x3000 || c == 0x3164 ||
           (c >= 0xfe00 && c <= 0xfe0f) || c == 0xffa0 || (c >= 0xe0000 && c <= 0xe0fff);
}

static bool is_name(const char *name)
{
    size_t characters = 0;
    for (const char *at = name; *at; characters++) {
        unsigned c = take_character(&at);
        if (c == 0 || characters == 20 || is_unseen(c) || (c < 0x80 && !isalnum((int)c) && !strchr("-_.", (int)c)))
            return false;
    }
    return characters >= 1;
}

/* The same member, whose earlier connection the server may not know to be gone. */
static member *earlier(const room *r, const member *m, const char *name)
{
    member *taken = m->in || !*m->key ? NULL : find(r, name);
    return taken && strcmp(taken->key, m->key) == 0 ? taken : NULL;
}

static bool is_free(const room *r, const member *m, const char *name)
{
    const member *taken = find(r, name);
    return strcasecmp(name, "server") != 0 && (!taken || taken == m || taken == earlier(r, m, name));
}

static const char *refuses_name(const room *r, const member *m, const char *name)
{
    static char why[2 * NAME_MAX_BYTES + 32];
    char other[NAME_MAX_BYTES + 1];
    if (!is_name(name))
        return "a name is 1 to 20 letters, digits, or - _ .";
    if (is_free(r, m, name))
        return NULL;
    snprintf(why, sizeof why, "%s is taken", name);
    for (int i = 2; i < 100; i++) {
        int length = snprintf(other, sizeof other, "%s%d", name, i);
        if (length < (int)sizeof other && is_name(other) && is_free(r, m, other)) {
            snprintf(why, sizeof why, "%s is taken; %s is free", name, other);
            break;
        }
    }
    return why;
}

const char *room_refuses(const room *r, const member *m, const char *name)
{
    const member *replaced = earlier(r, m, name);
    size_t beside = 0;
    for (const member *other = r->first; other; other = other->next)
        beside += other != replaced && *m->host && strcmp(m->host, other->host) == 0;
    if (!m->in && r->ended)
        return "the server is going down";
    if (!m->in && !replaced && r->count >= MEMBERS_MAX)
        return "the room is full; come back later";
    if (!m->in && beside >= MEMBERS_OF_HOST_MAX)
        return "there are too many from your address";
    return refuses_name(r, m, name);
}

/* ---- Members ---- */

static void show_history(room *r, member *m)
{
    uint64_t shown = r->events < HISTORY_SHOWN ? r->events : HISTORY_SHOWN;
    for (uint64_t id = r->events - shown + 1; id <= r->events; id++) {
        const event *e = room_event(r, id);
        if (e->kind != EVENT_JOIN && e->kind != EVENT_LEAVE)
            tell(m, e);
    }
}

static void say_hello(room *r, member *m)
{
    event e = event_of(r, EVENT_HELLO, m->name, "");
    e.id = r->events;
    room_names(r, e.text, sizeof e.text / 2);
    tell(m, &e);
}

/* Its connection is ended. One that has not taken the last that it was told sees a connection that broke, and no end:
 * that would say that it has all. */
static void drop(member *m, member_end end) { m->type->drop(m, m->slow ? END_SLOW : end); }

/* Out of the room, and its connection ended. */
static void put_out(member *m, const char *why, member_end end)
{
    room_leave(m, why);
    drop(m, end);
}

void room_enter(room *r, member *m, const char *name)
{
    member *replaced = earlier(r, m, name);
    event e = event_of(r, EVENT_JOIN, name, "");
    if (replaced)
        put_out(replaced, "lost the connection", END_REPLACED);
    snprintf(m->name, sizeof m->name, "%s", name);
    m->in = r;
    m->slow = false;
    m->tokens = BURST;
    m->refilled = crank_time();
    say_hello(r, m);
    if (!m->type->counts)
        show_history(r, m);
    m->next = NULL;
    m->prev = r->last;
    *(r->last ? &r->last->next : &r->first) = m;
    r->last = m;
    r->count++;
    tell_all(r, &e, m);
}

void room_leave(member *m, const char *why)
{
    room *r = m->in;
    if (!r)
        return;
    event e = event_of(r, EVENT_LEAVE, m->name, why);
    remove_member(r, m);
    tell_all(r, &e, NULL);
}

void room_name_task(const member *m)
{
    char name[NAME_MAX_BYTES + 8];
    snprintf(name, sizeof name, "member %s", m->name);
    crank_set_name(NULL, name);
}

/* ---- The server's own ---- */

void room_watch(room *r, member *watcher)
{
    watcher->in = r;
    watcher->next = r->watchers;
    r->watchers = watcher;
}

void room_unwatch(member *watcher)
{
    member **at = &watcher->in->watchers;
    while (*at != watcher)
        at = &(*at)->next;
    *at = watcher->next;
    watcher->in = NULL;
}

void room_say(room *r, const char *text)
{
    event e = event_of(r, EVENT_SAY, "server", text);
    tell_all(r, &e, NULL);
}

bool room_kick(room *r, const char *name)
{
    member *m = find(r, name);
    if (!m)
        return false;
    note_to(m, "you were asked to leave");
    put_out(m, "was asked to leave", END_ASKED);
    return true;
}

void room_end(room *r, const char *text)
{
    event e = event_of(r, EVENT_BYE, "", text);
    r->ended = true;
    for (member *m = r->watchers; m; m = m->next)
        (void)m->type->tell(m, &e);
    while (r->first) {
        member *m = r->first;
        tell(m, &e);
        remove_member(r, m);
        drop(m, END_BYE);
    }
    r->slow_count = 0;
}

/* ---- What members type ---- */

/* 20 messages at once, then 5 per second. */
static bool may_speak(member *m)
{
    double now = crank_time();
    m->tokens += (now - m->refilled) * RATE;
    if (m->tokens > BURST)
        m->tokens = BURST;
    m->refilled = now;
    if (m->tokens < 1)
        return false;
    m->tokens--;
    return true;
}

/* What cannot be shown becomes U+FFFD. */
static void clean(const char *line, char *text, size_t size)
{
    size_t length = 0;
    while (*line) {
        const char *before = *line == '\t' ? " " : line;
        size_t n = 1;
        if (*line == '\t') {
            line++;
        } else if (take_character(&line)) {
            n = (size_t)(line - before);
        } else {
            before = "\xef\xbf\xbd";
            n = 3;
            line++;
        }
        if (length + n + 1 > size)
            break;
        memcpy(text + length, before, n);
        length += n;
    }
    text[length] = '\0';
}

static void change_name(member *m, const char *name)
{
    const char *why = room_refuses(m->in, m, name);
    event e = event_of(m->in, EVENT_NICK, m->name, why ? "" : name);
    if (why) {
        note_to(m, "%s", why);
        return;
    }
    snprintf(m->name, sizeof m->name, "%s", name);
    room_name_task(m);
    tell_all(m->in, &e, NULL);
}

static void say_privately(member *m, char *rest)
{
    char *text = strchr(rest, ' ');
    if (text)
        *text++ = '\0';
    member *to = find(m->in, rest);
    event e = event_of(m->in, EVENT_PRIVATE, m->name, text ? text : "");
    snprintf(e.to, sizeof e.to, "%s", to ? to->name : "");
    if (!text || !*text)
        note_to(m, "/msg NAME TEXT says something to one member");
    else if (!to)
        note_to(m, "%s is not here", rest);
    else
        tell(to, &e);
    if (*e.to && *e.text && to != m && m->type->counts)
        tell(m, &e); /* its own comes back, as what it says to all does */
}

static void list_members(member *m)
{
    char names[TEXT_MAX_BYTES / 2];
    room_names(m->in, names, sizeof names);
    note_to(m, "%zu here: %s", m->in->count, names);
}

static void command(member *m, char *line)
{
    char *rest = strchr(line, ' ');
    if (rest)
        *rest++ = '\0';
    else
        rest = line + strlen(line);
    event e = event_of(m->in, EVENT_ME, m->name, rest);
    if (!strcmp(line, "/nick"))
        change_name(m, rest);
    else if (!strcmp(line, "/msg"))
        say_privately(m, rest);
    else if (!strcmp(line, "/me") && *rest)
        tell_all(m->in, &e, m);
    else if (!strcmp(line, "/who"))
        list_members(m);
    else
        note_to(m, "/nick NAME, /msg NAME TEXT, /me DOES, /who, /quit; all else is said to all");
}

bool room_line(member *m, const char *line)
{
    room *r = m->in;
    char text[TEXT_MAX_BYTES + 1];
    if (!r)
        return false;
    clean(line, text, sizeof text);
    if (!strcmp(text, "/quit"))
        return false; /* at any time */
    if (*text && !may_speak(m)) {
        note_to(m, "slow down: that was not sent");
    } else if (*text == '/') {
        command(m, text);
    } else if (*text) {
        event e = event_of(r, EVENT_SAY, m->name, text);
        tell_all(r, &e, m);
    }
    drop_slow(r); /* found so by a note to it, or by what another has told it alone */
    return m->in;
}
