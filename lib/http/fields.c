/* SPDX-License-Identifier: MIT */
/* fields.c: the fields of an answer's head that a handler sets.
 *
 * Owns the list of them, in the request's memory. What the server decides itself cannot be set: the
 * framing but for a length, and whether the connection is kept but for closing it. */
#include "http/fields.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <crank/error.h>

#include "http/message.h"

bool cr_http_fields_is_value(const char *text)
{
    for (; *text; text++)
        if (!cr_http_head_is_text((unsigned char)*text))
            return false;
    return true;
}

static bool is_name(const char *name)
{
    const char *at = name;
    while (cr_http_head_is_token((unsigned char)*at))
        at++;
    return at > name && *at == '\0';
}

static int refuse(const char *name, const char *why)
{
    return crank_fail(EINVAL, "the field \"%.100s\" cannot be set: %s", name, why);
}

static int check(const cr_http_message *m, const char *name, const char *value)
{
    if (m->state != CR_HTTP_UNANSWERED)
        return crank_fail(EALREADY, "the field \"%.100s\" comes too late: %s %s is answered", name,
            m->request.method, m->request.path);
    if (!is_name(name))
        return refuse(name, "that is no name");
    if (!cr_http_fields_is_value(value))
        return refuse(name, "its value has a control character");
    if (strcasecmp(name, "transfer-encoding") == 0)
        return refuse(name, "the server chooses it");
    if (strcasecmp(name, "connection") == 0 && strcasecmp(value, "close") != 0)
        return refuse(name, "it can only be \"close\"");
    return 0;
}

/* What is not kept as a field: 1 where it is done, 0 where it is an ordinary one. */
static int set_special(cr_http_message *m, const char *name, const char *value)
{
    if (strcasecmp(name, "connection") == 0) {
        m->connection->closes = true;
        return 1;
    }
    if (strcasecmp(name, "content-length") == 0) {
        size_t digits = strspn(value, "0123456789");
        if (digits == 0 || digits > 18 || value[digits] != '\0')
            return refuse(name, "its value is no number of 1 to 18 digits");
        m->length = strtoll(value, NULL, 10);
        return 1;
    }
    m->has_type |= strcasecmp(name, "content-type") == 0;
    m->has_date |= strcasecmp(name, "date") == 0;
    m->has_nosniff |= strcasecmp(name, "x-content-type-options") == 0;
    return 0;
}

static int add(cr_http_message *m, const char *name, const char *value)
{
    cr_http_set_field *field = cr_http_message_alloc(m, sizeof *field);
    char *name_copy = cr_http_message_copy(m, name, strlen(name));
    char *value_copy = cr_http_message_copy(m, value, strlen(value));
    if (!field || !name_copy || !value_copy)
        return -ENOMEM;
    *field = (cr_http_set_field){ .name = name_copy, .value = value_copy };
    *m->set_end = field;
    m->set_end = &field->next;
    return 0;
}

static void drop(cr_http_message *m, const char *name)
{
    cr_http_set_field **at = &m->set;
    while (*at) {
        if (strcasecmp((*at)->name, name) == 0)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    m->set_end = at;
}

static int set(crank_http_request *request, const char *name, const char *value, bool replaces)
{
    cr_http_message *m = cr_http_message_of(request);
    int err = check(m, name, value);
    if (err == 0)
        err = set_special(m, name, value);
    if (err != 0)
        return err < 0 ? err : 0;
    if (replaces)
        drop(m, name);
    return add(m, name, value);
}

int crank_http_set(crank_http_request *request, const char *name, const char *value)
{
    return set(request, name, value, true);
}

int crank_http_add(crank_http_request *request, const char *name, const char *value)
{
    return set(request, name, value, false);
}
