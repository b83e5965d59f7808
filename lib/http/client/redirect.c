/* SPDX-License-Identifier: MIT */
/* redirect.c: whether an answer sends the client elsewhere, and what is sent there.
 *
 * As RFC 9110, 15.4 and browsers have it: 303, and 301 and 302 to a POST, ask for the new place by
 * GET; 307 and 308 ask for the same request again, which needs the body at hand. Credentials stay
 * with their origin, and no redirect leads from https to http. */
#include "http/client/transfer.h"

#include <crank/error.h>
#include <stdio.h>
#include <string.h>

enum { REDIRECTS_MAX = 10 };
/* So much of a redirect's body is read, to keep the connection; beyond it is given up. */
enum { BODY_DROPPED = 64 * 1024 };

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool becomes_get(const cr_http_transfer *t)
{
    int status = t->response.status;
    if (status == 303)
        return strcmp(t->method, "HEAD") != 0;
    return (status == 301 || status == 302) && strcmp(t->method, "POST") == 0;
}

static int drop_body(cr_http_transfer *t)
{
    char piece[1024];
    ssize_t n = 1;
    for (size_t dropped = 0; n > 0 && dropped <= BODY_DROPPED; dropped += n > 0 ? (size_t)n : 0)
        n = cr_http_response_read(t, piece, sizeof piece);
    if (n != 0)
        cr_http_link_reset(t);
    return n == -ECANCELED ? -ECANCELED : 0;
}

/* The message names both places: the one that answered, and what it said. */
static int refuse(const cr_http_transfer *t, int err, const char *why)
{
    char said[CR_HTTP_MESSAGE_MAX];
    snprintf(said, sizeof said, "%s", why);
    return crank_fail(err, "%s %.200s: %d: %s", t->method, t->url.text, t->response.status, said);
}

static int check(const cr_http_transfer *t, const cr_http_url *next)
{
    int most = t->call.redirects > 0 ? t->call.redirects : REDIRECTS_MAX;
    if (t->url.secure && !next->secure)
        return refuse(t, EPROTO, "a redirect from https to http is not followed");
    if (t->response.redirects >= (unsigned)most)
        return crank_fail(ELOOP, "more than %d redirects, the last from %.100s to %.100s", most,
            t->url.text, next->text);
    if (t->has_body && t->call.from && !becomes_get(t))
        return refuse(t, ENOTSUP, "the body is asked for once more, and .from was read");
    return 0;
}

/* Once foreign, always: what lies between might have sent it back. */
static void go_on(cr_http_transfer *t, cr_http_url *next)
{
    if (becomes_get(t)) {
        snprintf(t->method, sizeof t->method, "GET");
        t->has_body = false;
    }
    t->is_foreign = t->is_foreign || !cr_http_url_same_origin(&t->url, next);
    cr_http_url_free(&t->url);
    t->url = *next;
    t->response.url = t->url.text;
    t->response.redirects++;
    cr_http_response_clear(t);
}

int cr_http_redirect_follow(cr_http_transfer *t)
{
    size_t from = 0;
    cr_http_url next;
    const char *location = cr_http_head_next(t->head.fields, t->head.count, "location", &from);
    if (!is_redirect(t->response.status) || !location || t->call.redirects < 0)
        return 0;
    int err = cr_http_url_resolve(&t->url, location, &next);
    if (err < 0)
        return err == -EINVAL ? refuse(t, EPROTO, crank_error()) : err;
    err = check(t, &next);
    if (err == 0)
        err = drop_body(t);
    if (err < 0) {
        cr_http_url_free(&next);
        return err;
    }
    go_on(t, &next);
    return 1;
}
