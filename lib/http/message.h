/* SPDX-License-Identifier: MIT */
/* message.h: a request: its memory, and what its head says. */
#ifndef CR_HTTP_MESSAGE_H
#define CR_HTTP_MESSAGE_H
#include "http/exchange.h"

/* A block for a request of the connection. NULL when memory is short. */
cr_http_message *cr_http_message_new(cr_http_connection *connection);
/* Back to the server's pool. */
void cr_http_message_free(cr_http_message *message);
/* Give the pool's blocks back to the heap. */
void cr_http_message_drain(cr_http_server *server);
/* Memory until the request ends. NULL when it is short. */
void *cr_http_message_alloc(cr_http_message *message, size_t size);
/* A copy with a 0 behind. */
char *cr_http_message_copy(cr_http_message *message, const char *text, size_t size);
/* Of a request that could not be read: fields that say so. */
void cr_http_message_clear(cr_http_message *message);
/* Take the head of so many bytes, which are copied. 0; or a status with which the request is
 * refused, crank_error says why: 500 where memory is short. */
cr_http_status cr_http_message_read(cr_http_message *message, const char *bytes, size_t size);
/* The value of the first of these pairs with this name, decoded, in the request's memory. NULL:
 * there is none, or memory is short. */
const char *cr_http_message_pair(cr_http_message *message, const char *pairs, const char *name);
/* The host in lower case, from head.host. 0, or 500 where memory is short. */
cr_http_status cr_http_message_read_host(cr_http_message *message);
#endif
