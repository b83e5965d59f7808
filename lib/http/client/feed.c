/* SPDX-License-Identifier: MIT */
/* feed.c: the body of an opened answer as a stream.
 *
 * Owns two streams that are connected with each other, and a task that reads the body and writes it
 * to one of them; the caller reads the other. The task waits where the caller does not read: so the
 * body is in memory by pieces only, and the server is held back by the kernel. A body that fails
 * ends the caller's stream by an abort, so that a part of it is not taken for the whole; why, the
 * transfer keeps for crank_http_ok. */
#include "http/client/transfer.h"

#include <crank/error.h>
#include <crank/net.h>
#include <crank/scope.h>
#include <crank/task.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/client/pool.h"

enum { PIECE = 16 * 1024 };

/* A write fails only where the caller has given the body up. */
static ssize_t move_piece(cr_http_transfer *t)
{
    ssize_t n = cr_http_response_read(t, t->feed_piece, PIECE);
    if (n < 0) {
        t->body_error = (int)n;
        snprintf(t->body_message, sizeof t->body_message, "%s", crank_error());
    }
    if (n > 0 && crank_write(t->feed_source, t->feed_piece, (size_t)n) < 0)
        n = -ECANCELED;
    return n;
}

/* Its failure is the body's, which the caller hears of. */
static int feed(cr_http_transfer *t)
{
    ssize_t n = 1;
    while (n > 0)
        n = move_piece(t);
    if (n < 0 || crank_write_eof(t->feed_source) < 0)
        crank_abort(t->response_body);
    return 0;
}

int cr_http_feed_begin(cr_http_transfer *t)
{
    t->feed_piece = malloc(PIECE);
    if (!t->feed_piece)
        return crank_fail(ENOMEM, "out of memory for the body of an answer");
    int err = crank_socket_pair(&t->response_body, &t->feed_source);
    if (err < 0)
        return err;
    t->feeder = crank_spawn(feed, t);
    if (!t->feeder)
        return crank_fail(ENOMEM, "out of memory for the task that reads a body");
    crank_set_name(t->feeder, "http body");
    return 0;
}

void cr_http_feed_end(cr_http_transfer *t)
{
    crank_task *feeder = t->feeder;
    t->feeder = NULL;
    if (t->response_body)
        crank_abort(t->response_body);
    if (t->feed_source)
        crank_abort(t->feed_source);
    if (feeder) {
        (void)crank_cancel(feeder);
        (void)crank_shield(crank_await(feeder));
    }
    if (t->feed_source)
        cr_http_pool_end(t->feed_source);
    if (t->response_body)
        cr_http_pool_end(t->response_body);
    t->feed_source = t->response_body = NULL;
    free(t->feed_piece);
    t->feed_piece = NULL;
}

crank_stream *crank_http_response_body_(crank_http_response *response)
{
    return ((cr_http_transfer *)response)->response_body;
}
