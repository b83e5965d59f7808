/* SPDX-License-Identifier: MIT */
/* event.c: server-sent events.
 *
 * An event is one piece of an answer without end. Owns the timer by which a comment is sent after
 * 15 s of silence, for proxies close what is silent; it ends with the request. */
#include <stdarg.h>
#include <string.h>

#include <crank/error.h>
#include <crank/loop.h>
#include <crank/task.h>

#include "http/answer.h"
#include "http/fields.h"
#include "http/memory.h"
#include "http/message.h"
#include "http/text.h"

static const double silence = 15;

/* Where bytes are unsent a comment would say nothing to a peer that does not read. The instant of
 * an event comes from the same clock, so a comment is never due twice. */
static void beat(void *arg)
{
    cr_http_message *m = arg;
    bool is_due = crank_time() - m->event_at > silence - 1e-6;
    if (is_due && !m->is_writing && crank_unsent(m->connection->stream) == 0)
        (void)cr_http_answer_put(m, ":\n\n", 3);
    if (is_due)
        m->event_at = crank_time();
    m->heart = crank_call_at(crank_current_loop(), m->event_at + silence, beat, m);
}

static int begin(cr_http_message *m)
{
    int err = 0;
    if (m->state == CR_HTTP_EVENTS)
        return 0;
    if (m->state == CR_HTTP_UNANSWERED)
        err = crank_http_set(&m->request, "Cache-Control", "no-store");
    if (err == 0)
        err = cr_http_answer_begin(m, 200, "text/event-stream", CR_HTTP_EVENTS);
    if (err < 0 || m->bodiless)
        return err;
    m->event_at = crank_time();
    m->heart = crank_call_at(crank_current_loop(), m->event_at + silence, beat, m);
    return 0;
}

/* The event's text: bytes of it are counted where to is NULL. */
typedef struct writing {
    char *to;
    size_t size;
} writing;
static void put(writing *w, const char *text, size_t size)
{
    if (w->to)
        memcpy(w->to + w->size, text, size);
    w->size += size;
}
static void put_line(writing *w, const char *name, const char *text, size_t size)
{
    put(w, name, strlen(name));
    put(w, text, size);
    put(w, "\n", 1);
}

/* A line ends in LF, CR or both. */
static void put_event(writing *w, const char *name, const char *id, const char *data)
{
    if (name)
        put_line(w, "event: ", name, strlen(name));
    if (id)
        put_line(w, "id: ", id, strlen(id));
    for (;;) {
        size_t size = strcspn(data, "\r\n");
        put_line(w, "data: ", data, size);
        data += size;
        if (*data == '\0')
            break;
        data += data[0] == '\r' && data[1] == '\n' ? 2 : 1;
    }
    put(w, "\n", 1);
}

static int send_event(cr_http_message *m, const char *name, const char *id, const char *data)
{
    char near[512];
    writing w = { NULL, 0 };
    put_event(&w, name, id, data);
    size_t size = w.size;
    w = (writing){ size <= sizeof near ? near : crank_alloc(size), 0 };
    if (!w.to)
        return crank_fail(ENOMEM, "out of memory for an event");
    put_event(&w, name, id, data);
    int err = cr_http_answer_write(m, w.to, size);
    if (w.to != near)
        crank_release(w.to);
    m->event_at = crank_time();
    return err;
}

/* A client that has asked for the head alone waits for no event. */
static int take_event(cr_http_message *m, const char *name, const char *id, const char *data)
{
    if ((name && !cr_http_fields_is_value(name)) || (id && !cr_http_fields_is_value(id)))
        return crank_fail(EINVAL, "the name or id of an event has a control character");
    int err = begin(m);
    if (err < 0)
        return err;
    if (m->bodiless) {
        m->is_peers = true;
        return crank_fail(EPIPE, "HEAD is answered by no events");
    }
    return send_event(m, name, id, data);
}

int crank_http_event(
    crank_http_request *request, const char *name, const char *id, const char *format, ...)
{
    cr_http_text text;
    va_list args;
    va_start(args, format);
    int err = cr_http_text_format(&text, "crank_http_event", "an event", format, args);
    va_end(args);
    if (err == 0)
        err = take_event(cr_http_message_of(request), name, id, text.bytes);
    cr_http_text_free(&text);
    return err;
}
