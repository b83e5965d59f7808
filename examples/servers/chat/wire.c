/* SPDX-License-Identifier: MIT */
/* wire.c: events as JSON.
 *
 * Texts are valid UTF-8 when the room has taken them, and cut at whole characters: so only quotes, backslashes and
 * controls are to be escaped. */
#include "wire.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include <crank.h>

typedef struct writer {
    char *text;
    size_t size, length;
} writer;

static void put(writer *w, const char *format, ...) CRANK_PRINTF(2, 3);
static void put(writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->text + w->length, w->size - w->length, format, args);
    va_end(args);
    if (n > 0)
        w->length += (size_t)n < w->size - w->length ? (size_t)n : w->size - w->length - 1;
}

static void put_string(writer *w, const char *text)
{
    put(w, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            put(w, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            put(w, "\\u%04x", (unsigned)*text);
        else if (w->length + 1 < w->size)
            w->text[w->length++] = *text;
    }
    put(w, "\"");
}

static void put_field(writer *w, const char *name, const char *text)
{
    put(w, ",\"%s\":", name);
    put_string(w, text);
}

static const char *type_of(event_kind kind)
{
    switch (kind) {
    case EVENT_SAY: return "say";
    case EVENT_ME: return "me";
    case EVENT_JOIN: return "join";
    case EVENT_LEAVE: return "leave";
    case EVENT_NICK: return "nick";
    case EVENT_PRIVATE: return "private";
    case EVENT_HELLO: return "hello";
    case EVENT_BYE: return "bye";
    case EVENT_NOTE: break;
    }
    return "note";
}

size_t wire_of(const event *e, char *json, size_t size)
{
    writer w = { .text = json, .size = size };
    put(&w, "{\"t\":\"%s\"", type_of(e->kind));
    if (e->id)
        put(&w, ",\"id\":%" PRIu64, e->id);
    put(&w, ",\"at\":%" PRId64, (int64_t)e->at);
    if (*e->from)
        put_field(&w, "from", e->from);
    if (*e->to)
        put_field(&w, "to", e->to);
    put_field(&w, "text", e->text);
    put(&w, "}");
    return w.length;
}

size_t wire_hello(const room *r, const event *e, bool gone, char *json, size_t size)
{
    writer w = { .text = json, .size = size };
    put(&w, "{\"t\":\"hello\",\"epoch\":\"%" PRIu64 "\",\"id\":%" PRIu64 ",\"gone\":%s", room_epoch(r), e->id,
        gone ? "true" : "false");
    put_field(&w, "name", e->from);
    put(&w, ",\"here\":[");
    for (const member *m = room_members(r); m; m = m->next) {
        if (m->prev)
            put(&w, ",");
        put_string(&w, m->name);
    }
    put(&w, "]}");
    return w.length;
}
