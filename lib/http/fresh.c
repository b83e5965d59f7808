/* SPDX-License-Identifier: MIT */
/* fresh.c: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range.
 *
 * Owns what they mean together. A tag goes before a date, for a date cannot tell two versions of
 * one second apart. A condition that cannot be read holds back nothing but a change: a tag list
 * that is broken matches nothing, a date that is none is not there. */
#include "http/fresh.h"

#include <stdio.h>
#include <string.h>

#include <crank/error.h>

#include "http/date.h"
#include "http/message.h"
#include "http/pace.h"

/* ---- Tags ---- */

/* May it stand between a tag's quotes? */
static bool is_tag_char(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte > ' ' && byte != '"' && byte != 127;
}

/* A tag's length with its quotes, and with "W/" in front; 0: it is none. */
static size_t tag_size(const char *at)
{
    size_t size = strncmp(at, "W/", 2) == 0 ? 2 : 0;
    if (at[size++] != '"')
        return 0;
    while (is_tag_char(at[size]))
        size++;
    return at[size] == '"' ? size + 1 : 0;
}

static bool is_same_tag(const char *a, const char *b, bool strong)
{
    bool a_weak = *a == 'W', b_weak = *b == 'W';
    if (strong && (a_weak || b_weak))
        return false;
    a += a_weak ? 2 : 0;
    b += b_weak ? 2 : 0;
    size_t size = tag_size(a);
    return size == tag_size(b) && memcmp(a, b, size) == 0;
}

bool cr_http_fresh_has_tag(const char *list, const char *etag, bool strong)
{
    size_t size;
    while (list += strspn(list, " \t,"), (size = tag_size(list)) > 0) {
        if (is_same_tag(list, etag, strong))
            return true;
        list += size;
        list += strspn(list, " \t");
        if (*list && *list != ',')
            return false;
    }
    return false;
}

/* ---- Conditions ---- */

static bool matches(const char *list, const cr_http_version *version, bool strong)
{
    if (strcmp(list, "*") == 0)
        return true;
    return version->etag && cr_http_fresh_has_tag(list, version->etag, strong);
}

/* A field's instant; false: there is none, or the version's is not known. */
static bool instant_of(
    cr_http_message *m, const char *name, const cr_http_version *version, time_t *ret_at)
{
    const char *value = crank_http_header(&m->request, name);
    return value && version->modified > 0 && cr_http_date_parse(value, ret_at);
}

static bool is_get(const crank_http_request *r)
{
    return strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
}

int cr_http_fresh_check(cr_http_message *message, const cr_http_version *version)
{
    crank_http_request *r = &message->request;
    const char *list = crank_http_header(r, "If-Match");
    time_t at;
    if (list && !matches(list, version, true))
        return 412;
    if (!list && instant_of(message, "If-Unmodified-Since", version, &at) && version->modified > at)
        return 412;
    list = crank_http_header(r, "If-None-Match");
    if (list && matches(list, version, false))
        return is_get(r) ? 304 : 412;
    if (!list && is_get(r) && instant_of(message, "If-Modified-Since", version, &at) &&
        version->modified <= at)
        return 304;
    return 0;
}

bool cr_http_fresh_has_part(cr_http_message *message, const cr_http_version *version)
{
    const char *value = crank_http_header(&message->request, "If-Range");
    time_t at;
    if (!value)
        return true;
    if (tag_size(value) > 0)
        return version->etag && tag_size(value) == strlen(value) &&
               is_same_tag(value, version->etag, true);
    return !version->may_change_yet && instant_of(message, "If-Range", version, &at) &&
           at == version->modified;
}

/* ---- For handlers ---- */

/* The tag between quotes, in the request's memory. */
static int quote(cr_http_message *m, const char *tag, const char **ret_etag)
{
    size_t size = strlen(tag);
    char *text = cr_http_message_alloc(m, size + 3);
    if (!text)
        return -ENOMEM;
    snprintf(text, size + 3, "\"%s\"", tag);
    if (tag_size(text) != size + 2)
        return crank_fail(
            EINVAL, "the tag \"%.100s\" has a blank, quote or control character", tag);
    *ret_etag = text;
    return 0;
}

static int set_version(cr_http_message *m, const cr_http_version *version)
{
    char date[CR_HTTP_DATE_SIZE];
    int err = version->etag ? crank_http_set(&m->request, "ETag", version->etag) : 0;
    if (err < 0 || version->modified <= 0)
        return err;
    cr_http_date_format(version->modified, date);
    return crank_http_set(&m->request, "Last-Modified", date);
}

int crank_http_fresh(crank_http_request *request, const char *etag, time_t modified)
{
    cr_http_message *m = cr_http_message_of(request);
    cr_http_version version = { .modified = modified };
    int err = cr_http_pace_check(m->connection);
    if (err == 0 && etag)
        err = quote(m, etag, &version.etag);
    if (err == 0)
        err = set_version(m, &version);
    int status = err == 0 ? cr_http_fresh_check(m, &version) : 0;
    if (status)
        err = crank_http_respond(request, status, NULL, NULL, 0);
    return err < 0 ? err : status != 0;
}
