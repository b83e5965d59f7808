/* SPDX-License-Identifier: MIT */
/* link.c: the connection of one request.
 *
 * It comes from the pool or is made, and leaves the transfer in one of three ways: it is kept for
 * the next call, where both sides agree where the answer ends and nothing lies behind it; it is
 * closed; or it is reset, so that the server does not wait for the rest of what was given up. */
#include "http/client/transfer.h"

#include <crank/error.h>
#include <crank/net.h>
#include <crank/scope.h>
#include <crank/task.h>
#include <stdio.h>

#include "http/client/pool.h"

const char *cr_http_link_address(const cr_http_transfer *t)
{
    return t->call.address ? t->call.address : t->url.address;
}

static int refuse_secure(const cr_http_transfer *t)
{
    return crank_fail(
        ENOTSUP, "%.300s: TLS is not there yet: only http:// URLs can be retrieved", t->url.text);
}

/* The limit of a connection's stream begins when there is one. */
static int connect_anew(cr_http_transfer *t)
{
    const char *address = cr_http_link_address(t);
    double stall = t->call.stall;
    t->stream = crank_within(stall, crank_connect(address));
    if (t->stream)
        return 0;
    int err = -errno;
    if (err == -ETIMEDOUT)
        return crank_fail(err, "no connection to %.200s in %g s", address, stall);
    return err;
}

/* A request that is sent at most once needs a connection that is known to live. */
int cr_http_link_open(cr_http_transfer *t, bool fresh)
{
    const char *address = cr_http_link_address(t);
    bool once = t->call.from || !cr_http_request_is_idempotent(t);
    t->answered = false;
    t->response.reused = false;
    if (t->url.secure)
        return refuse_secure(t);
    int err = fresh ? 0 : cr_http_pool_take(t->call.client, address, once, &t->stream);
    if (err < 0)
        return err;
    t->response.reused = t->stream;
    return t->stream ? 0 : connect_anew(t);
}

int cr_http_link_arm(cr_http_transfer *t)
{
    return crank_stream_limit(t->stream, crank_time() + t->call.stall);
}

/* Both sides must have said all they had to say, and have understood the same. */
static bool is_reusable(const cr_http_transfer *t)
{
    const char *bytes;
    return t->sent && t->head.persists && !t->head.doubtful && t->body.over &&
           t->body.framing != CR_HTTP_TO_END && crank_peek(t->stream, 0, &bytes) == 0;
}

void cr_http_link_settle(cr_http_transfer *t)
{
    if (!t->stream)
        return;
    if (!t->sent || crank_unsent(t->stream) > 0) {
        cr_http_link_reset(t); /* the server has answered before it read all */
        return;
    }
    cr_http_request_stop(t);
    if (is_reusable(t) && crank_stream_limit(t->stream, CRANK_FOREVER) == 0)
        cr_http_pool_give(t->call.client, cr_http_link_address(t), t->stream);
    else
        cr_http_pool_end(t->stream);
    t->stream = NULL;
}

void cr_http_link_reset(cr_http_transfer *t)
{
    if (t->stream)
        crank_abort(t->stream);
    cr_http_request_stop(t);
    if (t->stream)
        cr_http_pool_end(t->stream);
    t->stream = NULL;
}
