/* SPDX-License-Identifier: MIT */
/* feed.c: the body of an opened answer as a stream.
 *
 * Owns that stream, over a transport: a read takes the body's next bytes from the connection, in
 * the caller's task. So the body is in memory by pieces only, and the server is held back where the
 * caller does not read. A body that fails ends the stream by an abort, so that a part of it is not
 * taken for the whole; why, the transfer keeps for crank_http_ok. */
#include "http/client/transfer.h"

#include <crank/error.h>
#include <stdio.h>

#include "http/client/pool.h"

static ssize_t read_body(void *self, void *buf, size_t size)
{
    cr_http_transfer *t = self;
    ssize_t n = cr_http_response_read(t, buf, size);
    if (n >= 0 || n == -ECANCELED)
        return n;
    t->body_error = (int)n;
    snprintf(t->body_message, sizeof t->body_message, "%s", crank_error());
    crank_abort(t->response_body);
    return crank_fail(ECONNABORTED, "%s", t->body_message);
}

/* An answer without a body has come whole: its connection is free. */
int cr_http_feed_begin(cr_http_transfer *t)
{
    static const crank_transport body = { .name = "the body of an answer", .read = read_body };
    t->response_body = crank_stream_new(&body, t, NULL);
    if (!t->response_body)
        return crank_fail(ENOMEM, "out of memory for the body of an answer");
    if (t->body.over)
        cr_http_link_settle(t);
    return 0;
}

void cr_http_feed_end(cr_http_transfer *t)
{
    if (t->response_body)
        cr_http_pool_end(t->response_body);
    t->response_body = NULL;
}

crank_stream *crank_http_response_body_(crank_http_response *response)
{
    return ((cr_http_transfer *)response)->response_body;
}
