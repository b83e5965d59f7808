/* SPDX-License-Identifier: MIT */
/* response.c: what the client reads.
 *
 * Owns the text of the head, into which its fields point, and the body that the caller is given.
 * Memory grows with what has arrived, never with what was announced. Each wait is under the
 * connection's limit, which moves with every byte. */
#include "http/client/transfer.h"

#include <crank/error.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/memory.h"

enum {
    HEAD_MAX = 256 * 1024,
    FIELDS_MAX = 256,
    INTERIM_MAX = 20,       /* answers 1xx before the answer */
    PIECE = 8 * 1024,       /* of a head */
    BODY_ROOM = 4 * 1024,   /* of a body, at first */
    ROOM_GUESSED = 1 << 20, /* at first, where the server has announced more */
};

/* ---- Failures ---- */

/* The failure of a part of the answer, which does not know whose it is. */
static int blame(const cr_http_transfer *t, int err)
{
    char why[CR_HTTP_MESSAGE_MAX];
    snprintf(why, sizeof why, "%s", crank_error());
    return crank_fail(err, "the answer of %.200s: %s", cr_http_link_address(t), why);
}

/* What a wait for the answer has failed with, in words of the call. */
static int failed(const cr_http_transfer *t, int err)
{
    if (t->send_error < 0)
        return crank_fail(t->send_error, "%s", t->send_message);
    if (err == -ETIMEDOUT)
        return crank_fail(
            err, "no byte from %.200s in %g s", cr_http_link_address(t), t->call.stall);
    return err == -EPROTO || err == -ENODATA || err == -EMSGSIZE ? blame(t, err) : err;
}

static int ended(const cr_http_transfer *t)
{
    if (t->send_error < 0)
        return failed(t, -ENODATA);
    return crank_fail(ENODATA, "%.200s ended the connection %s its answer", cr_http_link_address(t),
        t->text_size > 0 ? "within the head of" : "before");
}

/* ---- The head ---- */

/* One byte more than is used: for the 0 behind. */
static int reserve(cr_http_transfer *t, size_t more)
{
    size_t room = t->text_room > 0 ? t->text_room : PIECE;
    while (room < t->text_size + more + 1)
        room *= 2;
    if (room == t->text_room)
        return 0;
    char *text = cr_http_grow(t->text, t->text_size, room);
    if (!text)
        return crank_fail(ENOMEM, "out of memory for the head of an answer");
    t->text = text;
    t->text_room = room;
    return 0;
}

/* The next piece behind the text. 1 where the head is whole now, else 0. */
static int gather_piece(cr_http_transfer *t, size_t *searched)
{
    static const cr_http_head_limits limits = {
        .size = HEAD_MAX, .line = HEAD_MAX, .lenient = true
    };
    const char *bytes;
    cr_http_status unused;
    int err = cr_http_link_arm(t);
    ssize_t n = err < 0 ? err : crank_peek(t->stream, 1, &bytes);
    if (n <= 0)
        return n < 0 ? failed(t, (int)n) : ended(t);
    size_t size = n < PIECE ? (size_t)n : PIECE;
    t->answered = true;
    err = reserve(t, size);
    if (err < 0)
        return err;
    memcpy(t->text + t->text_size, bytes, size);
    ssize_t end = cr_http_head_end(t->text, t->text_size + size, &limits, searched, &unused);
    if (end < 0)
        return failed(t, (int)end);
    size_t taken = end > 0 ? (size_t)end - t->text_size : size;
    crank_skip(t->stream, taken);
    t->text_size += taken;
    return end > 0;
}

/* A head has fewer fields than lines. */
static int parse(cr_http_transfer *t)
{
    size_t lines = 0;
    for (size_t i = 0; i < t->text_size; i++)
        lines += t->text[i] == '\n';
    crank_release(t->head.fields);
    t->head = (cr_http_head){ .fields_max = lines < FIELDS_MAX ? lines : FIELDS_MAX };
    t->head.fields = crank_alloc(t->head.fields_max * sizeof *t->head.fields);
    if (!t->head.fields)
        return crank_fail(ENOMEM, "out of memory for the head of an answer");
    int err = cr_http_head_parse_response(&t->head, t->text, t->text_size);
    return err < 0 ? blame(t, err) : 0;
}

static int read_one_head(cr_http_transfer *t)
{
    size_t searched = 0;
    int whole = 0;
    t->text_size = 0;
    while (whole == 0)
        whole = gather_piece(t, &searched);
    return whole < 0 ? whole : parse(t);
}

/* The head allows no body, whatever it says of one. */
static bool has_no_body(const cr_http_transfer *t)
{
    return strcmp(t->method, "HEAD") == 0 || t->head.status == 204 || t->head.status == 304;
}

static void begin_body(cr_http_transfer *t)
{
    cr_http_body_begin(&t->body, &t->head, true);
    if (has_no_body(t))
        t->body = (cr_http_body){ .over = true };
    t->response.status = t->head.status;
    t->response.version = t->head.version;
    t->response.reason = t->head.reason;
    t->response.length = t->head.length;
    t->response.url = t->url.text;
    t->response.size = 0;
}

int cr_http_response_read_head(cr_http_transfer *t)
{
    for (int i = 0; i <= INTERIM_MAX; i++) {
        int err = read_one_head(t);
        if (err < 0)
            return err;
        if (t->head.status == 101)
            return crank_fail(EPROTO, "the answer of %.200s: 101, which was not asked for",
                cr_http_link_address(t));
        if (t->head.status >= 200) {
            begin_body(t);
            return 0;
        }
    }
    return crank_fail(EPROTO, "the answer of %.200s: more than %d times 1xx before it",
        cr_http_link_address(t), INTERIM_MAX);
}

void cr_http_response_clear(cr_http_transfer *t)
{
    for (cr_http_joined *j = t->joined, *next; j; j = next) {
        next = j->next;
        crank_release(j);
    }
    crank_release(t->head.fields);
    crank_release(t->text);
    crank_release(t->response.body);
    t->joined = NULL;
    t->head.fields = NULL;
    t->text = NULL;
    t->text_size = t->text_room = 0;
    t->response.body = NULL;
}

/* ---- The body ---- */

ssize_t cr_http_response_read(cr_http_transfer *t, void *buf, size_t size)
{
    int err = t->body.over || !t->stream ? 0 : cr_http_link_arm(t);
    ssize_t n = err < 0 ? err : cr_http_body_read(&t->body, t->stream, buf, size);
    if (n < 0)
        return failed(t, (int)n);
    if (t->body.over)
        cr_http_link_settle(t);
    return n;
}

static int too_large(const cr_http_transfer *t)
{
    return crank_fail(EMSGSIZE, "the answer of %.200s has more than the %zu bytes it may have",
        cr_http_link_address(t), t->call.limit);
}

/* Room for one byte more than the limit, which tells of too much, and for the 0 behind. */
static int grow(cr_http_transfer *t, size_t *room)
{
    size_t most = t->call.limit + 2, wanted = 2 * *room;
    if (*room == 0 && t->body.framing == CR_HTTP_BY_LENGTH)
        wanted = t->body.left < ROOM_GUESSED ? (size_t)t->body.left + 1 : ROOM_GUESSED;
    else if (*room == 0)
        wanted = t->body.over ? 2 : BODY_ROOM;
    wanted = wanted < most ? wanted : most;
    char *body = cr_http_grow(t->response.body, t->response.size, wanted);
    if (!body)
        return crank_fail(
            ENOMEM, "out of memory for an answer of more than %zu bytes", t->response.size);
    t->response.body = body;
    *room = wanted;
    return 0;
}

int cr_http_response_read_all(cr_http_transfer *t)
{
    size_t room = 0;
    if (t->body.framing == CR_HTTP_BY_LENGTH && t->body.left > t->call.limit)
        return too_large(t);
    do {
        int err = t->response.size + 1 >= room ? grow(t, &room) : 0;
        if (err < 0)
            return err;
        char *at = t->response.body + t->response.size;
        ssize_t n = cr_http_response_read(t, at, room - 1 - t->response.size);
        if (n < 0)
            return (int)n;
        t->response.size += (size_t)n;
        if (t->response.size > t->call.limit)
            return too_large(t);
    } while (!t->body.over);
    t->response.body[t->response.size] = '\0';
    return 0;
}

/* ---- What the caller asks of the head ---- */

static const char *join(cr_http_transfer *t, const char *name, const char *first, size_t from)
{
    size_t size = strlen(first) + 1;
    const char *value;
    for (size_t at = from; (value = cr_http_head_next(t->head.fields, t->head.count, name, &at));)
        size += strlen(value) + 2;
    cr_http_joined *joined = crank_alloc(sizeof *joined + size);
    if (!joined)
        return NULL;
    int length = snprintf(joined->value, size, "%s", first);
    for (size_t at = from; (value = cr_http_head_next(t->head.fields, t->head.count, name, &at));)
        length += snprintf(joined->value + length, size - (size_t)length, ", %s", value);
    joined->next = t->joined;
    joined->first = first;
    t->joined = joined;
    return joined->value;
}

const char *crank_http_response_header_(crank_http_response *response, const char *name)
{
    cr_http_transfer *t = (cr_http_transfer *)response;
    size_t from = 0;
    const char *first = cr_http_head_next(t->head.fields, t->head.count, name, &from);
    size_t after = from;
    if (!first || !cr_http_head_next(t->head.fields, t->head.count, name, &after))
        return first;
    for (const cr_http_joined *j = t->joined; j; j = j->next)
        if (j->first == first)
            return j->value;
    return join(t, name, first, from);
}

size_t crank_http_response_fields_(
    const crank_http_response *response, crank_http_field *ret_fields, size_t max)
{
    const cr_http_transfer *t = (const cr_http_transfer *)response;
    for (size_t i = 0; i < t->head.count && i < max; i++)
        ret_fields[i] = t->head.fields[i];
    return t->head.count;
}
