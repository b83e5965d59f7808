/* SPDX-License-Identifier: MIT */
/* connection.h: one connection of a server. */
#ifndef CR_HTTP_CONNECTION_H
#define CR_HTTP_CONNECTION_H
#include "http/exchange.h"

/* Serve the requests that come on a stream, one after another. 0: the connection is over, the
 * stream can be closed; -ECANCELED, -ENOMEM. */
int cr_http_connection_serve(cr_http_server *server, crank_stream *stream);
/* Close those that wait for a request, and WebSockets with 1001; the others are closed after their
 * answer. */
void cr_http_connection_stop_all(cr_http_server *server);
#endif
