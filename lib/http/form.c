/* SPDX-License-Identifier: MIT */
/* form.c: what a page's form has sent.
 *
 * A form is a body of pairs as a query has them. It is read once, whole, and kept as it came: each
 * value is decoded when the handler asks for it. */
#include <string.h>
#include <strings.h>

#include <crank/error.h>

#include "http/message.h"
#include "http/pace.h"
#include "http/target.h"

static const char form_type[] = "application/x-www-form-urlencoded";

/* The type, with parameters or without. */
static bool is_form(const char *type)
{
    size_t size = sizeof form_type - 1;
    if (!type || strncasecmp(type, form_type, size) != 0)
        return false;
    type += size;
    return type[strspn(type, " \t")] == ';' || type[strspn(type, " \t")] == '\0';
}

/* A failure of which the client is told by this status, where the handler passes it on. */
static int refuse(cr_http_message *m, cr_http_status status, int error, const char *why)
{
    m->failed = status;
    return crank_fail(error, "the form of %s %s %s", m->request.method, m->request.path, why);
}

int crank_http_read_form(crank_http_request *request, size_t limit)
{
    cr_http_message *m = cr_http_message_of(request);
    char *body;
    int err = cr_http_pace_check(m->connection);
    if (err < 0)
        return err;
    if (!is_form(crank_http_header(request, "Content-Type")))
        return refuse(m, 415, EINVAL, "is not application/x-www-form-urlencoded");
    ssize_t size = crank_http_read_body(request, limit, &body);
    if (size < 0)
        return (int)size;
    if (strlen(body) != (size_t)size)
        return refuse(m, 400, EPROTO, "has a zero byte");
    if (cr_http_target_count(body) > CR_HTTP_QUERY_MAX)
        return refuse(m, 400, EPROTO, "has more than 1,000 entries");
    m->form = body;
    return 0;
}

const char *crank_http_form(crank_http_request *request, const char *name)
{
    cr_http_message *m = cr_http_message_of(request);
    return m->form ? cr_http_message_pair(m, m->form, name) : NULL;
}
