/* SPDX-License-Identifier: MIT */
/* pool.h: connections that are kept open between calls. */
#ifndef CR_HTTP_POOL_H
#define CR_HTTP_POOL_H
#include <crank/http.h>
#include <stdbool.h>

/* Take a kept connection to an address, of a client's or, where that is NULL, of those that all
 * calls of the loop share. NULL in *ret_stream: there is none that was seen alive. thoroughly: for
 * a request that cannot be sent again; the kernel is asked, and that may wait for one turn. 0;
 * fails with -ECANCELED. */
int cr_http_pool_take(
    crank_http_client *client, const char *address, bool thoroughly, crank_stream **ret_stream);
/* Keep a connection that is between two answers, or close it where none can be kept. Never
 * waits. */
void cr_http_pool_give(crank_http_client *client, const char *address, crank_stream *stream);
/* Close a stream that has nothing unsent, or was aborted: this never waits, and delivers no
 * request to cancel. */
void cr_http_pool_end(crank_stream *stream);
#endif
