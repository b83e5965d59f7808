/* SPDX-License-Identifier: MIT */
/* call.c: the client's calls.
 *
 * A call is a loop over requests: each is sent and its answer's head read, once more on a fresh
 * connection where a kept one had ended before it was of use; a redirect prepares the next. Owns
 * the transfer, which is the caller's response when all went well; when not, the connection is
 * reset, so that no half-used one is left. */
#include "http/client/transfer.h"

#include <crank/error.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "http/memory.h"

#define STALL_SECONDS 60.0
static const size_t limit_default = (size_t)16 << 20;

static void free_transfer(cr_http_transfer *t)
{
    cr_http_feed_end(t);
    cr_http_link_reset(t);
    cr_http_response_clear(t);
    cr_http_url_free(&t->url);
    crank_release(t);
}

/* ---- One request ---- */

static int attempt(cr_http_transfer *t, bool fresh)
{
    int err = cr_http_link_open(t, fresh);
    if (err == 0)
        err = cr_http_request_send(t);
    return err < 0 ? err : cr_http_response_read_head(t);
}

/* Did the server end a kept connection before it saw the request, or without a word on it? An
 * encrypted one is ended by many without TLS's own end, which is -EPROTO. */
static bool is_stale(const cr_http_transfer *t, int err)
{
    bool ended = err == -ENODATA || err == -ECONNRESET || err == -EPIPE;
    return t->response.reused && !t->answered && !t->call.from &&
           cr_http_request_is_idempotent(t) && (ended || (err == -EPROTO && t->url.secure));
}

static int exchange(cr_http_transfer *t)
{
    int err = attempt(t, false);
    if (!is_stale(t, err))
        return err;
    cr_http_link_reset(t);
    return attempt(t, true);
}

static int make(cr_http_transfer *t)
{
    int more = 1;
    while (more == 1) {
        int err = exchange(t);
        more = err < 0 ? err : cr_http_redirect_follow(t);
    }
    return more;
}

/* ---- The calls ---- */

static int begin(cr_http_transfer *t, const char *url)
{
    crank_http_call *call = &t->call;
    int err = cr_http_request_check(call);
    if (err == 0)
        err = cr_http_url_parse(url, &t->url);
    if (err < 0)
        return err;
    t->has_body = call->from || call->body;
    const char *method = call->method ? call->method : t->has_body ? "POST" : "GET";
    snprintf(t->method, sizeof t->method, "%s", method);
    if (call->limit == 0)
        call->limit = limit_default;
    if (call->limit > PTRDIFF_MAX / 2)
        call->limit = PTRDIFF_MAX / 2;
    if (call->stall == 0)
        call->stall = STALL_SECONDS;
    return 0;
}

static cr_http_transfer *new_transfer(const crank_http_call *call)
{
    cr_http_transfer *t = cr_http_alloc_zero(sizeof *t);
    if (!t)
        errno = -crank_fail(ENOMEM, "out of memory for an HTTP request");
    else if (call)
        t->call = *call;
    return t;
}

/* For a limit of time, which else says of itself alone. What a call further in has said stays, and
 * the reason of a request to cancel. */
static void say_cut(const cr_http_transfer *t)
{
    const crank_failure *said = crank_last_failure();
    if (!said || said->error != -ECANCELED)
        (void)crank_fail(ECANCELED, "%s %.300s was cut short", t->method, t->url.text);
}

/* The body is taken by the last step. A failure of the clean-up is not the call's: the message that
 * was set before it stays. */
static crank_http_response *call_and(
    const crank_http_call *call, const char *url, int (*take_body)(cr_http_transfer *t))
{
    cr_http_transfer *t = new_transfer(call);
    if (!t)
        return NULL;
    int err = begin(t, url);
    if (err == 0)
        err = make(t);
    if (err == 0)
        err = take_body(t);
    if (err == 0)
        return &t->response;
    if (err == -ECANCELED)
        say_cut(t);
    free_transfer(t);
    errno = -err;
    return NULL;
}

crank_http_response *crank_http_fetch(const crank_http_call *call, const char *url)
{
    return call_and(call, url, cr_http_response_read_all);
}

crank_http_response *crank_http_open(const crank_http_call *call, const char *url)
{
    return call_and(call, url, cr_http_feed_begin);
}

crank_http_response *crank_http_get(const char *url) { return crank_http_fetch(NULL, url); }

crank_http_response *crank_http_post(
    const char *url, const char *type, const void *body, size_t size)
{
    if (size == 0)
        body = ""; /* an empty body, not none */
    crank_http_call call = { .method = "POST", .type = type, .body = body, .size = size };
    return crank_http_fetch(&call, url);
}

void crank_http_response_free(crank_http_response *response)
{
    if (response)
        free_transfer((cr_http_transfer *)response);
}

int crank_http_ok(const crank_http_response *response)
{
    const cr_http_transfer *t = (const cr_http_transfer *)response;
    if (!response)
        return errno > 0 ? -errno : -EINVAL;
    if (t->body_error < 0)
        return crank_fail(t->body_error, "%s", t->body_message);
    if (response->status >= 200 && response->status <= 299)
        return 0;
    return crank_fail(EREMOTEIO, "%s %.300s: %d %.100s", t->method, response->url, response->status,
        response->reason);
}
