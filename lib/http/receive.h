/* SPDX-License-Identifier: MIT */
/* receive.h: reading the body of a request. */
#ifndef CR_HTTP_RECEIVE_H
#define CR_HTTP_RECEIVE_H
#include "http/exchange.h"

/* Up to size bytes: at least one, 0 at the end. A client that waits for leave to send is given it.
 * A failure that the client is to be told of is noted in the message. Fails as
 * crank_http_read_body. */
ssize_t cr_http_receive(cr_http_message *message, void *buf, size_t size);
/* Read and drop what the handler has left of the body, within bounds. False: the connection cannot
 * be used again. */
bool cr_http_receive_rest(cr_http_message *message);
#endif
