/* SPDX-License-Identifier: MIT */
/* http.c: bytes as the head of a request, of an answer, as a body in chunks, as a path and query.
 *
 * The first byte chooses what the rest is. A head that is taken says only what its bytes say: nothing of it lies
 * outside, no control is in it, its framing is one; and it is the same however it is cut. Of chunks that are read, the
 * data is what a slow reader of this file takes from the same bytes. */
#include "fuzz.h"
#include "http/chunk.h"
#include "http/head.h"
#include "http/target.h"

enum { TEXT_MAX = 4096, FIELDS = 20 };

/* ---- Heads */

static const cr_http_head_limits strict = { .size = 2048, .line = 256 };
static const cr_http_head_limits lenient = { .size = 2048, .line = 2048, .lenient = true };

/* The length, however the bytes come: one by one, or at once. */
static ssize_t end_of(const char *bytes, size_t size, const cr_http_head_limits *limits)
{
    size_t searched = 0, at_once = 0;
    cr_http_status refusal = 0, again = 0;
    ssize_t end = 0, whole = cr_http_head_end(bytes, size, limits, &at_once, &again);
    for (size_t n = 1; end == 0 && n <= size; n++)
        end = cr_http_head_end(bytes, n, limits, &searched, &refusal);
    FUZZ_EQUAL(end, whole);
    FUZZ_EQUAL(refusal, again);
    FUZZ_EXPECT(end <= (ssize_t)size && (end >= 0 || !!refusal));
    return end;
}

static void check_string(const char *string, const char *text, size_t size)
{
    FUZZ_EXPECT(string >= text && string + strlen(string) < text + size);
    for (; *string; string++)
        FUZZ_EXPECT(cr_http_head_is_text((unsigned char)*string));
}
static void check_fields(const cr_http_head *head, const char *text, size_t size)
{
    FUZZ_EXPECT(head->count <= head->fields_max);
    for (size_t i = 0; i < head->count; i++) {
        const crank_http_field *field = &head->fields[i];
        check_string(field->name, text, size);
        check_string(field->value, text, size);
        FUZZ_EXPECT(*field->name && !strpbrk(field->name, " \t:"));
        size_t length = strlen(field->value);
        FUZZ_EXPECT(length == 0 || (!strchr(" \t", field->value[0]) && !strchr(" \t", field->value[length - 1])));
    }
    FUZZ_EXPECT(!head->chunked || head->length < 0);
    FUZZ_EXPECT(head->version == 11 || head->version == 10);
}
static size_t count(const cr_http_head *head, const char *name)
{
    size_t from = 0, n = 0;
    while (cr_http_head_next(head->fields, head->count, name, &from))
        n++;
    return n;
}

static void read_request(const char *bytes, size_t size)
{
    static char text[TEXT_MAX];
    crank_http_field fields[FIELDS];
    cr_http_head head = { .fields = fields, .fields_max = FIELDS };
    cr_http_status refusal = 0;
    ssize_t end = end_of(bytes, size, &strict);
    FUZZ_SAY("request of %zd of %zu bytes\n", end, size);
    if (end <= 0)
        return;
    memcpy(text, bytes, (size_t)end);
    int err = cr_http_head_parse_request(&head, text, (size_t)end, &refusal);
    FUZZ_SAY("  %d, refused with %d: %s\n", err, refusal, err < 0 ? crank_error() : "");
    FUZZ_EQUAL(err < 0, refusal != 0);
    if (err < 0)
        return;
    check_fields(&head, text, (size_t)end);
    check_string(head.method, text, (size_t)end);
    check_string(head.target, text, (size_t)end);
    FUZZ_EXPECT(*head.method && *head.target && !strpbrk(head.target, " \t"));
    FUZZ_EXPECT(count(&head, "Host") == 1 || (head.version == 10 && count(&head, "Host") == 0));
    FUZZ_EXPECT(count(&head, "Content-Length") + count(&head, "Transfer-Encoding") <= 1);
    FUZZ_EQUAL(head.length >= 0, count(&head, "Content-Length"));
    FUZZ_EQUAL(head.chunked, count(&head, "Transfer-Encoding"));
}

static void read_response(const char *bytes, size_t size)
{
    static char text[TEXT_MAX];
    crank_http_field fields[FIELDS];
    cr_http_head head = { .fields = fields, .fields_max = FIELDS };
    ssize_t end = end_of(bytes, size, &lenient);
    FUZZ_SAY("answer of %zd of %zu bytes\n", end, size);
    if (end <= 0)
        return;
    memcpy(text, bytes, (size_t)end);
    int err = cr_http_head_parse_response(&head, text, (size_t)end);
    FUZZ_SAY("  %d: %s\n", err, err < 0 ? crank_error() : "");
    if (err < 0)
        return;
    check_fields(&head, text, (size_t)end);
    FUZZ_EXPECT(head.status >= 100 && head.status <= 999);
    FUZZ_EXPECT(!head.doubtful || !head.persists);
}

/* ---- Chunks */

typedef struct slow {
    const char *at, *end;
    char data[TEXT_MAX];
    size_t size;
} slow;

/* A line up to CRLF; NULL where none ends. */
static const char *line_of(slow *s, size_t *ret_size)
{
    for (const char *c = s->at; c + 1 < s->end; c++) {
        if (c[0] == '\n')
            return NULL;
        if (c[0] == '\r' && c[1] == '\n') {
            const char *line = s->at;
            *ret_size = (size_t)(c - line);
            s->at = c + 2;
            return line;
        }
    }
    return NULL;
}
static bool is_trailer(const char *line, size_t size)
{
    size_t name = 0;
    while (name < size && cr_http_head_is_token((unsigned char)line[name]))
        name++;
    bool good = name > 0 && name < size && line[name] == ':';
    for (size_t i = name; i < size; i++)
        good = good && cr_http_head_is_text((unsigned char)line[i]);
    return good;
}
static bool read_slowly(slow *s)
{
    size_t size;
    const char *line;
    while ((line = line_of(s, &size))) {
        int64_t left = cr_http_chunk_size(line, size);
        if (left < 0 || left > s->end - s->at)
            return false;
        if (left == 0)
            break;
        memcpy(s->data + s->size, s->at, (size_t)left);
        s->size += (size_t)left;
        s->at += left;
        if (s->end - s->at < 2 || memcmp(s->at, "\r\n", 2) != 0)
            return false;
        s->at += 2;
    }
    while (line && (line = line_of(s, &size)) && size > 0)
        if (!is_trailer(line, size))
            return false;
    return line;
}

static int read_by_stream(const char *bytes, size_t size, char *data, size_t *ret_left)
{
    const char *rest;
    cr_http_chunks chunks = { .left = 0 };
    size_t taken = 0;
    ssize_t n;
    CRANK_AUTO_STREAM crank_stream *near = NULL;
    CRANK_AUTO_STREAM crank_stream *far = NULL;
    crank_try(crank_socket_pair(&near, &far));
    crank_try(crank_write(far, bytes, size));
    crank_try(crank_write_eof(far));
    while ((n = cr_http_chunk_read(&chunks, near, data + taken, TEXT_MAX - taken)) > 0)
        taken += (size_t)n;
    if (n < 0)
        return (int)n;
    *ret_left = (size_t)crank_try(crank_peek(near, TEXT_MAX, &rest));
    return (int)taken;
}
/* Bounds of framing apart, which so short a script does not reach. */
static void read_chunks(const char *bytes, size_t size)
{
    static char data[TEXT_MAX];
    static slow s;
    size_t left = 0;
    s = (slow){ .at = bytes, .end = bytes + size };
    bool good = read_slowly(&s);
    int taken = read_by_stream(bytes, size, data, &left);
    FUZZ_SAY("chunks of %zu bytes: %d, %zu left: %s\n", size, taken, left, taken < 0 ? crank_error() : "");
    FUZZ_EQUAL(taken >= 0, good);
    FUZZ_EXPECT(taken >= 0 || taken == -EPROTO || taken == -ENODATA);
    if (taken < 0)
        return;
    FUZZ_EQUAL(taken, s.size);
    FUZZ_EXPECT(memcmp(data, s.data, s.size) == 0);
    FUZZ_EQUAL(left, s.end - s.at);
}

/* ---- Targets */

static void read_target(const char *bytes, size_t size)
{
    static char path[TEXT_MAX + 2], text[TEXT_MAX + 2], value[TEXT_MAX + 1];
    size_t length;
    text[0] = '/';
    memcpy(text + 1, bytes, size);
    text[size + 1] = '\0';
    long n = cr_http_target_path(text, strlen(text), path);
    FUZZ_SAY("path of \"%s\": %ld \"%s\"\n", text, n, n < 0 ? "" : path);
    if (n >= 0) {
        FUZZ_EQUAL(n, strlen(path));
        FUZZ_EXPECT(path[0] == '/' && (size_t)n <= strlen(text));
        FUZZ_EXPECT(!strstr(path, "/./") && !strstr(path, "/../"));
        FUZZ_EXPECT(n < 2 || strcmp(path + n - 2, "/.") != 0);
        FUZZ_EXPECT(n < 3 || strcmp(path + n - 3, "/..") != 0);
    }
    const char *found = cr_http_target_find(text + 1, "a", &length);
    if (!found)
        return;
    FUZZ_EXPECT(found > text && found + length <= text + strlen(text));
    FUZZ_EXPECT(cr_http_target_decode(found, length, value) <= length);
}

static void run(const uint8_t *data, size_t size)
{
    /* Exactly as much as there is, so that a sanitizer sees what reads behind it. */
    if (size == 0 || size > TEXT_MAX)
        return;
    char *bytes = malloc(size);
    if (!bytes)
        fuzz_fail(__FILE__, __LINE__, "out of memory");
    memcpy(bytes, data + 1, size - 1);
    switch (data[0] % 4) {
    case 0: read_request(bytes, size - 1); break;
    case 1: read_response(bytes, size - 1); break;
    case 2: read_chunks(bytes, size - 1); break;
    default: read_target(bytes, size - 1); break;
    }
    free(bytes);
}

const fuzz_target fuzz_this = { .name = "http", .length = 200, .in_task = true, .run = run };
