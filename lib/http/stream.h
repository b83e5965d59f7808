/* SPDX-License-Identifier: MIT */
/* stream.h: bodies as the streams that a handler is given. */
#ifndef CR_HTTP_STREAM_H
#define CR_HTTP_STREAM_H
#include "http/exchange.h"

/* After the handler: what it has written to the answer's stream is the connection's now, where its
 * result is 0, and the streams that it was given are closed. The peer is not waited for. */
void cr_http_stream_end(cr_http_message *message);
/* Has the connection failed under the answer's stream, so that a handler's failure to write is no
 * news? */
bool cr_http_stream_failed(const cr_http_message *message);
#endif
