/* SPDX-License-Identifier: MIT */
/* head.c: reading the heads of requests and responses.
 *
 * A task waits until the head is whole, so it is read from top to bottom, as one text. Requests are
 * read strictly (RFC 9112 with every leniency left out): whatever two readers could understand in
 * two ways is refused, for behind a proxy the second way would be another request. A server's
 * answers are read as they come in practice, and what is doubtful in one is noted.
 *
 * Invariant: the text is cut in place, at bytes that are no part of a name or value, so that every
 * string ends inside it. */
#include "http/head.h"

#include <string.h>
#include <strings.h>

#include <crank/error.h>

/* ---- Bytes ---- */

enum { TOKEN = 1, TEXT = 2, HOST = 4, DIGIT = 8, VISIBLE = 16 };

/* A letter or digit; the others are listed one by one. */
#define ALPHA_ (TOKEN | TEXT | HOST | VISIBLE)
#define DIGIT_ (ALPHA_ | DIGIT)
#define MARK_ (TOKEN | TEXT | VISIBLE)
#define OTHER_ (TEXT | VISIBLE)
/* So many from this byte on. */
#define TWO_(from, as) [from] = (as), [(from) + 1] = (as)
#define FOUR_(from, as) TWO_(from, as), TWO_((from) + 2, as)
#define EIGHT_(from, as) FOUR_(from, as), FOUR_((from) + 4, as)
#define SIXTEEN_(from, as) EIGHT_(from, as), EIGHT_((from) + 8, as)
static const unsigned char classes[256] = {
    ['\t'] = TEXT,
    [' '] = TEXT,
    ['!'] = MARK_,
    ['#'] = MARK_,
    ['$'] = MARK_,
    ['%'] = MARK_,
    ['&'] = MARK_,
    ['\''] = MARK_,
    ['*'] = MARK_,
    ['+'] = MARK_,
    ['-'] = ALPHA_,
    ['.'] = ALPHA_,
    ['^'] = MARK_,
    ['_'] = ALPHA_,
    ['`'] = MARK_,
    ['|'] = MARK_,
    ['~'] = ALPHA_,
    ['"'] = OTHER_,
    ['('] = OTHER_,
    [')'] = OTHER_,
    [','] = OTHER_,
    ['/'] = OTHER_,
    [':'] = OTHER_,
    [';'] = OTHER_,
    ['<'] = OTHER_,
    ['='] = OTHER_,
    ['>'] = OTHER_,
    ['?'] = OTHER_,
    ['@'] = OTHER_,
    ['['] = OTHER_,
    ['\\'] = OTHER_,
    [']'] = OTHER_,
    ['{'] = OTHER_,
    ['}'] = OTHER_,
    TWO_('0', DIGIT_),
    FOUR_('2', DIGIT_),
    FOUR_('6', DIGIT_),
    TWO_('A', ALPHA_),
    EIGHT_('C', ALPHA_),
    SIXTEEN_('K', ALPHA_),
    TWO_('a', ALPHA_),
    EIGHT_('c', ALPHA_),
    SIXTEEN_('k', ALPHA_),
    SIXTEEN_(128, TEXT),
    SIXTEEN_(144, TEXT),
    SIXTEEN_(160, TEXT),
    SIXTEEN_(176, TEXT),
    SIXTEEN_(192, TEXT),
    SIXTEEN_(208, TEXT),
    SIXTEEN_(224, TEXT),
    SIXTEEN_(240, TEXT),
};

static bool is(unsigned char byte, unsigned char class) { return classes[byte] & class; }
bool cr_http_head_is_token(unsigned char byte) { return is(byte, TOKEN); }
bool cr_http_head_is_text(unsigned char byte) { return is(byte, TEXT); }

/* How many bytes from the first on are of the class. */
static size_t span(const char *text, size_t size, unsigned char class)
{
    size_t n = 0;
    while (n < size && is((unsigned char)text[n], class))
        n++;
    return n;
}

/* ---- Where the head ends ---- */

static ssize_t refuse(cr_http_status *ret_refusal, cr_http_status status, int err, const char *what)
{
    *ret_refusal = status;
    return crank_fail(err, "%s", what);
}

/* A line of which no end was seen: is it too long, or what is before it? */
static ssize_t check_room(
    size_t line, size_t size, const cr_http_head_limits *limits, cr_http_status *ret_refusal)
{
    if (size - line >= limits->line)
        return refuse(
            ret_refusal, line == 0 ? 414 : 431, EMSGSIZE, "a line of the head is too long");
    if (size >= limits->size)
        return refuse(ret_refusal, 431, EMSGSIZE, "the head is too long");
    return 0;
}

/* *searched is the beginning of the first line whose end was not seen. */
ssize_t cr_http_head_end(const char *bytes, size_t size, const cr_http_head_limits *limits,
    size_t *searched, cr_http_status *ret_refusal)
{
    if (size > 0 && !is((unsigned char)bytes[0], TOKEN))
        return refuse(ret_refusal, 400, EPROTO, "this is no head: its first byte begins none");
    for (;;) {
        size_t line = *searched;
        const char *end = size > line ? memchr(bytes + line, '\n', size - line) : NULL;
        if (!end)
            return check_room(line, size, limits, ret_refusal);
        size_t next = (size_t)(end - bytes) + 1;
        size_t length = next - line - 1;
        bool bare = length == 0 || end[-1] != '\r';
        if (bare && !limits->lenient)
            return refuse(ret_refusal, 400, EPROTO, "a line of the head ends in LF alone");
        ssize_t err = check_room(line, next - 1, limits, ret_refusal);
        if (err < 0)
            return err;
        if (length == (bare ? 0 : 1) && line > 0)
            return (ssize_t)next;
        *searched = next;
    }
}

ssize_t cr_http_head_await(crank_stream *stream, const cr_http_head_limits *limits,
    const char **ret_bytes, cr_http_status *ret_refusal)
{
    size_t searched = 0, seen = 0;
    for (;;) {
        ssize_t n = crank_peek(stream, seen == 0 ? 0 : seen + 1, ret_bytes);
        if (n == 0 && seen == 0)
            n = crank_peek(stream, 1, ret_bytes);
        if (n <= 0)
            return n;
        if ((size_t)n == seen)
            return crank_fail(ENODATA, "the connection ended after %zu bytes of a head", seen);
        seen = (size_t)n;
        ssize_t end = cr_http_head_end(*ret_bytes, seen, limits, &searched, ret_refusal);
        if (end != 0)
            return end;
    }
}

/* ---- What both kinds have ---- */

typedef struct lines {
    char *at, *end;
} lines;

/* The next line, ended by a 0 in the place of its end; NULL after the last. *ret_size is its
 * length. Each line of the text has its LF. */
static char *next_line(lines *l, size_t *ret_size)
{
    char *line = l->at;
    char *end = memchr(line, '\n', (size_t)(l->end - line));
    l->at = end + 1;
    if (end > line && end[-1] == '\r')
        end--;
    *end = '\0';
    *ret_size = (size_t)(end - line);
    return *ret_size > 0 ? line : NULL;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Cut the blanks at both ends. */
static char *trim(char *text, size_t *size)
{
    while (*size > 0 && is_blank(*text)) {
        text++;
        --*size;
    }
    while (*size > 0 && is_blank(text[*size - 1]))
        --*size;
    text[*size] = '\0';
    return text;
}

/* "name: value" into the next field. NULL, or what is wrong. */
static const char *take_field(cr_http_head *head, char *line, size_t size)
{
    size_t name = span(line, size, TOKEN);
    if (name == 0 || name == size || line[name] != ':')
        return "a line of the head is no \"name: value\"";
    size_t rest = size - name - 1;
    if (span(line + name + 1, rest, TEXT) != rest)
        return "a field of the head has a control character";
    line[name] = '\0';
    crank_http_field *field = &head->fields[head->count++];
    field->name = line;
    field->value = trim(line + name + 1, &rest);
    return NULL;
}

const char *cr_http_head_next(
    const crank_http_field *fields, size_t count, const char *name, size_t *from)
{
    while (*from < count) {
        const crank_http_field *field = &fields[(*from)++];
        if (strcasecmp(field->name, name) == 0)
            return field->value;
    }
    return NULL;
}

bool cr_http_head_has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (*list) {
        size_t size = strcspn(list, ",");
        const char *at = list;
        size_t left = size;
        while (left > 0 && is_blank(*at)) {
            at++;
            left--;
        }
        while (left > 0 && is_blank(at[left - 1]))
            left--;
        if (left == length && strncasecmp(at, word, length) == 0)
            return true;
        list += size + (list[size] == ',');
    }
    return false;
}

/* 1 to 18 digits and nothing else: the number; else -1. */
static int64_t number_in(const char *text, size_t size)
{
    int64_t number = 0;
    if (size == 0 || size > 18 || span(text, size, DIGIT) != size)
        return -1;
    for (size_t i = 0; i < size; i++)
        number = number * 10 + (text[i] - '0');
    return number;
}

/* The fields that concern the connection and the framing, by their names' lengths first: most
 * fields are others. */
enum known { OTHER, HOST_FIELD, EXPECT, CONNECTION, LENGTH, CODING };
static enum known known_of(const char *name)
{
    switch (strlen(name)) {
    case 4: return strcasecmp(name, "host") == 0 ? HOST_FIELD : OTHER;
    case 6: return strcasecmp(name, "expect") == 0 ? EXPECT : OTHER;
    case 10: return strcasecmp(name, "connection") == 0 ? CONNECTION : OTHER;
    case 14: return strcasecmp(name, "content-length") == 0 ? LENGTH : OTHER;
    case 17: return strcasecmp(name, "transfer-encoding") == 0 ? CODING : OTHER;
    default: return OTHER;
    }
}

/* close goes before keep-alive. */
typedef struct connection_words {
    bool close, keep_alive;
} connection_words;
static void note_connection(cr_http_head *head, connection_words *words, const char *value)
{
    words->close |= cr_http_head_has_word(value, "close");
    words->keep_alive |= cr_http_head_has_word(value, "keep-alive");
    head->upgrades |= cr_http_head_has_word(value, "upgrade");
}
static bool persists(const cr_http_head *head, const connection_words *words)
{
    return !words->close && (head->version == 11 || words->keep_alive);
}

/* ---- Requests ---- */

/* A port: digits, or none. */
static bool is_port(const char *text)
{
    size_t size = strlen(text);
    return size <= 5 && span(text, size, DIGIT) == size &&
           (size == 0 || number_in(text, size) <= 65535);
}

bool cr_http_head_is_host(const char *text)
{
    size_t size;
    if (*text == '[') {
        size = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (size < 3 || text[size] != ']')
            return false;
        size++;
    } else {
        size = span(text, strlen(text), HOST);
        if (size == 0)
            return false;
    }
    return text[size] == '\0' || (text[size] == ':' && is_port(text + size + 1));
}

/* What a refused request says of itself. */
typedef struct refusal {
    cr_http_status status;
    const char *what;
} refusal;
static const refusal fine = { 0, NULL };
static refusal bad(const char *what) { return (refusal){ 400, what }; }

static refusal read_version(cr_http_head *head, const char *text)
{
    if (strcmp(text, "HTTP/1.1") == 0)
        head->version = 11;
    else if (strcmp(text, "HTTP/1.0") == 0)
        head->version = 10;
    else if (strncmp(text, "HTTP/", 5) == 0 && is((unsigned char)text[5], DIGIT) &&
             text[6] == '.' && is((unsigned char)text[7], DIGIT) && text[8] == '\0')
        return (refusal){ 505, "the version of HTTP is neither 1.1 nor 1.0" };
    else
        return bad("the request line does not end in a version of HTTP");
    return fine;
}

/* An absolute target's authority is cut out, and goes before Host. Where no path follows the
 * resource is "/" before the query. */
static refusal read_absolute(cr_http_head *head, char *authority)
{
    size_t size = strcspn(authority, "/?");
    char saved = authority[size];
    authority[size] = '\0';
    bool valid = cr_http_head_is_host(authority);
    authority[size] = saved;
    if (!valid)
        return bad("the host of the target is none");
    head->host = authority;
    head->host_size = size;
    head->resource = authority + size;
    return fine;
}

static refusal read_target(cr_http_head *head)
{
    char *target = head->target;
    size_t size = strlen(target);
    if (size == 0 || span(target, size, VISIBLE) != size || memchr(target, '#', size))
        return bad("the target is empty, or has a byte that must be encoded");
    head->resource = target;
    if (strcmp(head->method, "CONNECT") == 0)
        return (refusal){ 501, "CONNECT is for proxies" };
    if (*target == '/')
        return fine;
    if (strncasecmp(target, "http://", 7) == 0)
        return read_absolute(head, target + 7);
    if (strncasecmp(target, "https://", 8) == 0) {
        head->secure_target = true;
        return read_absolute(head, target + 8);
    }
    if (strcmp(target, "*") == 0 && strcmp(head->method, "OPTIONS") == 0)
        return fine;
    return bad("the target is no path and no URL");
}

/* Single spaces. */
static refusal read_request_line(cr_http_head *head, char *line, size_t size)
{
    size_t method = span(line, size, TOKEN);
    if (method == 0 || line[method] != ' ')
        return bad("the request line does not begin with a method");
    line[method] = '\0';
    head->method = line;
    head->target = line + method + 1;
    char *space = strchr(head->target, ' ');
    if (!space)
        return bad("the request line has no version");
    *space = '\0';
    refusal r = read_version(head, space + 1);
    return r.status ? r : read_target(head);
}

static refusal read_coding(cr_http_head *head, const char *value)
{
    if (head->chunked)
        return bad("there are two Transfer-Encoding fields");
    if (head->version == 10)
        return bad("HTTP/1.0 has no Transfer-Encoding");
    head->chunked = true;
    if (strcasecmp(value, "chunked") == 0)
        return fine;
    for (const char *c = value; *c; c++)
        if (!is((unsigned char)*c, TOKEN) && !strchr(", \t;=\"", *c))
            return bad("the Transfer-Encoding is no list of codings");
    if (*value == '\0' || strcasestr(value, "chunked"))
        return bad("the Transfer-Encoding is not exactly chunked");
    return (refusal){ 501, "the Transfer-Encoding is not chunked" };
}

typedef struct request_notes {
    connection_words words;
    const char *host;
} request_notes;

static refusal note_request_field(
    cr_http_head *head, const crank_http_field *field, request_notes *notes)
{
    const char *value = field->value;
    switch (known_of(field->name)) {
    case OTHER: break;
    case CONNECTION: note_connection(head, &notes->words, value); break;
    case CODING: return read_coding(head, value);
    case HOST_FIELD:
        if (notes->host)
            return bad("there are two Host fields");
        notes->host = value;
        if (!cr_http_head_is_host(value))
            return bad("the Host field is no host");
        break;
    case EXPECT:
        if (strcasecmp(value, "100-continue") != 0)
            return (refusal){ 417, "nothing but 100-continue can be expected" };
        head->expects = head->version == 11;
        break;
    case LENGTH:
        if (head->length >= 0)
            return bad("there are two Content-Length fields");
        head->length = number_in(value, strlen(value));
        if (head->length < 0)
            return bad("the Content-Length is no number of 1 to 18 digits");
        break;
    }
    return fine;
}

static refusal read_request(cr_http_head *head, lines *l)
{
    request_notes notes = { .host = NULL };
    size_t size;
    char *line = next_line(l, &size);
    refusal r = line ? read_request_line(head, line, size) : bad("the request line is empty");
    while (!r.status && (line = next_line(l, &size))) {
        if (head->count == head->fields_max)
            return (refusal){ 431, "there are too many fields" };
        const char *wrong = take_field(head, line, size);
        if (wrong)
            return bad(wrong);
        r = note_request_field(head, &head->fields[head->count - 1], &notes);
    }
    if (r.status)
        return r;
    if (head->version == 11 && !notes.host)
        return bad("there is no Host field");
    if (head->chunked && head->length >= 0)
        return bad("there are both Content-Length and Transfer-Encoding");
    if (!head->host && notes.host) {
        head->host = notes.host;
        head->host_size = strlen(notes.host);
    }
    head->persists = persists(head, &notes.words);
    return fine;
}

static void clear(cr_http_head *head)
{
    crank_http_field *fields = head->fields;
    size_t max = head->fields_max;
    *head = (cr_http_head){ .fields = fields, .fields_max = max, .length = -1, .reason = "" };
}

/* A 0 among the bytes would end a string before its end. */
int cr_http_head_parse_request(
    cr_http_head *head, char *text, size_t size, cr_http_status *ret_refusal)
{
    clear(head);
    lines l = { text, text + size };
    refusal r = memchr(text, '\0', size) ? bad("the head has a byte 0") : read_request(head, &l);
    if (!r.status)
        return 0;
    *ret_refusal = r.status;
    return crank_fail(EPROTO, "%s", r.what);
}

/* ---- Responses ---- */

/* "HTTP/1.1 200 OK"; the reason, and the space before it, may be missing. */
static bool read_status_line(cr_http_head *head, char *line, size_t size)
{
    if (size < 12 || strncmp(line, "HTTP/1.", 7) != 0 || !is((unsigned char)line[7], DIGIT) ||
        line[8] != ' ' || span(line + 9, 3, DIGIT) != 3 || (line[12] && line[12] != ' '))
        return false;
    head->version = line[7] == '0' ? 10 : 11;
    head->status = (int)number_in(line + 9, 3);
    if (size > 13) {
        size_t rest = size - 13;
        head->reason = trim(line + 13, &rest);
        if (span(head->reason, rest, TEXT) != rest)
            return false;
    }
    return head->status >= 100;
}

/* A line that begins with a blank belongs to the one before: its end there becomes blanks. */
static void unfold(cr_http_head *head, char *text, size_t size)
{
    for (char *end = text; (end = memchr(end, '\n', size - (size_t)(end - text))); end++) {
        if (end + 1 == text + size || !is_blank(end[1]))
            continue;
        head->doubtful = true;
        *end = ' ';
        if (end > text && end[-1] == '\r')
            end[-1] = ' ';
    }
}

/* Equal lengths, in one line or several, are one, and doubtful. */
static bool note_length(cr_http_head *head, const char *value)
{
    while (*value) {
        size_t size = strcspn(value, ",");
        size_t kept = size;
        while (kept > 0 && is_blank(value[kept - 1]))
            kept--;
        int64_t number = number_in(value, kept);
        if (number < 0 || (head->length >= 0 && head->length != number))
            return false;
        head->doubtful |= head->length >= 0;
        head->length = number;
        value += size + (value[size] == ',');
        value += strspn(value, " \t");
    }
    return head->length >= 0;
}

static bool note_response_field(
    cr_http_head *head, const crank_http_field *field, connection_words *words)
{
    switch (known_of(field->name)) {
    case CONNECTION: note_connection(head, words, field->value); break;
    case LENGTH: return note_length(head, field->value);
    case CODING:
        if (head->chunked || strcasecmp(field->value, "chunked") != 0)
            return false;
        head->chunked = true;
        break;
    default: break;
    }
    return true;
}

/* NULL, or what is wrong. */
static const char *read_response(cr_http_head *head, lines *l)
{
    connection_words words = { false, false };
    size_t size;
    char *line = next_line(l, &size);
    if (!line || !read_status_line(head, line, size))
        return "the answer does not begin with a status line of HTTP/1";
    while ((line = next_line(l, &size))) {
        if (head->count == head->fields_max)
            return "the answer has too many fields";
        const char *wrong = take_field(head, line, size);
        if (wrong)
            return wrong;
        if (!note_response_field(head, &head->fields[head->count - 1], &words))
            return "the answer's Content-Length or Transfer-Encoding cannot be understood";
    }
    if (head->chunked && head->length >= 0) {
        head->doubtful = true;
        head->length = -1;
    }
    head->persists = persists(head, &words) && !head->doubtful;
    return NULL;
}

int cr_http_head_parse_response(cr_http_head *head, char *text, size_t size)
{
    clear(head);
    const char *wrong = "the answer's head has a byte 0";
    if (!memchr(text, '\0', size)) {
        lines l = { text, text + size };
        unfold(head, text, size);
        wrong = read_response(head, &l);
    }
    if (!wrong)
        return 0;
    bool full = head->count == head->fields_max && strstr(wrong, "too many");
    return crank_fail(full ? EMSGSIZE : EPROTO, "%s", wrong);
}
