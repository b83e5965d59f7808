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
#include "http/secure.h"

enum { PLACE_MAX = 700 };

const char *cr_http_link_address(const cr_http_transfer *t)
{
    return t->call.address ? t->call.address : t->url.address;
}

/* What a kept connection is good for: one place, and where it is encrypted, for one host that
 * the same crank_tls has trusted. That lives as long as the connection. */
static void describe_place(const cr_http_transfer *t, char *buf, size_t size)
{
    if (t->url.secure)
        snprintf(buf, size, "%.300s at %.300s by %p", t->url.address, cr_http_link_address(t),
            (void *)t->call.tls);
    else
        snprintf(buf, size, "%.300s", cr_http_link_address(t));
}

static int connect_to(cr_http_transfer *t, const char *address)
{
    t->stream = crank_connect(address);
    if (!t->stream)
        return -errno;
    return t->url.secure ? cr_http_secure_connect(t->call.tls, &t->stream, t->url.address) : 0;
}

/* The limit of a connection's stream begins when there is one. */
static int connect_anew(cr_http_transfer *t)
{
    const char *address = cr_http_link_address(t);
    double stall = t->call.stall, began = crank_time();
    int err = crank_within(stall, connect_to(t, address));
    if (err == -ETIMEDOUT && crank_time() - began >= stall)
        return crank_fail(err, "no connection to %.200s in %g s", address, stall);
    return err;
}

/* A request that is sent at most once needs a connection that is known to live. */
int cr_http_link_open(cr_http_transfer *t, bool fresh)
{
    char place[PLACE_MAX];
    bool once = t->call.from || !cr_http_request_is_idempotent(t);
    t->answered = false;
    t->response.reused = false;
    describe_place(t, place, sizeof place);
    int err = fresh ? 0 : cr_http_pool_take(t->call.client, place, once, &t->stream);
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
    char place[PLACE_MAX];
    if (!t->stream)
        return;
    if (!t->sent || crank_unsent(t->stream) > 0) {
        cr_http_link_reset(t); /* the server has answered before it read all */
        return;
    }
    cr_http_request_stop(t);
    describe_place(t, place, sizeof place);
    if (is_reusable(t) && crank_stream_limit(t->stream, CRANK_FOREVER) == 0)
        cr_http_pool_give(t->call.client, place, t->stream);
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
