/* SPDX-License-Identifier: MIT */
/* cookie.c: the Cookie and Set-Cookie fields (RFC 6265).
 *
 * What a client sends is taken as it is, but for quotes around a value. What the server sets is
 * strict, for what some client would read otherwise: no blank, quote, comma, semicolon or
 * backslash. */
#include "http/cookie.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <crank/error.h>

#include "http/message.h"

/* ---- Those that came ---- */

static const char *value_of(const char *at, size_t size, size_t *ret_size)
{
    while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t'))
        size--;
    bool quoted = size >= 2 && at[0] == '"' && at[size - 1] == '"';
    *ret_size = quoted ? size - 2 : size;
    return quoted ? at + 1 : at;
}

const char *cr_http_cookie_find(const char *list, const char *name, size_t *ret_size)
{
    size_t length = strlen(name);
    while (*(list += strspn(list, " \t;"))) {
        size_t size = strcspn(list, ";");
        if (size > length && strncmp(list, name, length) == 0 && list[length] == '=')
            return value_of(list + length + 1, size - length - 1, ret_size);
        list += size;
    }
    return NULL;
}

/* Between client and server the field may have been cut in several. */
const char *crank_http_cookie(crank_http_request *request, const char *name)
{
    cr_http_message *m = cr_http_message_of(request);
    size_t from = 0, size;
    const char *list;
    while ((list = cr_http_head_next(m->fields, m->head.count, "Cookie", &from))) {
        const char *value = cr_http_cookie_find(list, name, &size);
        if (value)
            return cr_http_message_copy(m, value, size);
    }
    return NULL;
}

/* ---- Those that go ---- */

static bool is_name(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!cr_http_head_is_token((unsigned char)*at))
            return false;
    return *name != '\0';
}

static bool is_value(const char *value)
{
    for (; *value; value++)
        if (*value <= ' ' || *value >= 127 || strchr("\",;\\", *value))
            return false;
    return true;
}

static int check(const char *name, const char *value, double seconds)
{
    if (!is_name(name))
        return crank_fail(EINVAL, "\"%.100s\" cannot be the name of a cookie", name);
    if (!is_value(value))
        return crank_fail(EINVAL,
            "the cookie \"%.100s\" can have no blank, quote, comma, semicolon, backslash, control "
            "or byte beyond ASCII in its value: crank_http_encode makes it fit",
            name);
    if (seconds != seconds)
        return crank_fail(EINVAL, "the cookie \"%.100s\" lives for no number of seconds", name);
    return 0;
}

/* One that the handler has set before under this name. */
static void drop(cr_http_message *m, const char *name)
{
    size_t length = strlen(name);
    cr_http_set_field **at = &m->set;
    while (*at) {
        const char *value = (*at)->value;
        if (strcasecmp((*at)->name, "Set-Cookie") == 0 && strncmp(value, name, length) == 0 &&
            value[length] == '=')
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    m->set_end = at;
}

/* Browsers keep none for longer than 400 days. */
static const char *max_age(double seconds, char *text, size_t size)
{
    static const double most = 400 * 86400;
    if (seconds == 0)
        return "";
    double whole = seconds < 0 ? 0 : seconds < 1 ? 1 : seconds < most ? seconds : most;
    snprintf(text, size, "; Max-Age=%ld", (long)whole);
    return text;
}

int crank_http_set_cookie(
    crank_http_request *request, const char *name, const char *value, double seconds)
{
    cr_http_message *m = cr_http_message_of(request);
    char age[40];
    int err = check(name, value, seconds);
    if (err < 0)
        return err;
    size_t size = strlen(name) + strlen(value) + 100;
    char *text = cr_http_message_alloc(m, size);
    if (!text)
        return -ENOMEM;
    snprintf(text, size, "%s=%s; Path=/%s; HttpOnly; SameSite=Lax%s", name, value,
        max_age(seconds, age, sizeof age), request->secure ? "; Secure" : "");
    drop(m, name);
    return crank_http_add(request, "Set-Cookie", text);
}
