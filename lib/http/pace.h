/* SPDX-License-Identifier: MIT */
/* pace.h: reading and writing a connection while its peer keeps up a rate. */
#ifndef CR_HTTP_PACE_H
#define CR_HTTP_PACE_H
#include <sys/uio.h>
#include "http/exchange.h"

/* Seconds until progress is looked at again. */
#define CR_HTTP_PACE_SLICE 5.0

/* Write all pieces to the connection. 0; fails with -ETIMEDOUT (the peer has not kept up the rate,
 * and what was written is not to be gone on with), else as crank_write. */
int cr_http_pace_write(
    cr_http_connection *connection, cr_http_pace *pace, const struct iovec *pieces, int n);
/* Copy so many bytes to the connection, fewer where the file ends before. *ret_copied says how
 * many, also on failure. 0; fails as cr_http_pace_write, and as crank_read of the file. */
int cr_http_pace_copy(
    cr_http_message *message, crank_stream *file, int64_t size, int64_t *ret_copied);
/* From now on count what leaves of an answer that is put into the connection's buffer. */
void cr_http_pace_begin(cr_http_message *message);
/* Has its peer kept up the rate? To be asked every slice while bytes are unsent. */
bool cr_http_pace_holds(cr_http_message *message);
/* Read some of a request's body, as cr_http_body_read does; -ETIMEDOUT as above. */
ssize_t cr_http_pace_read(
    cr_http_connection *connection, cr_http_message *message, void *buf, size_t size);
/* Notice a request to cancel, as a call does that may wait. 0, -ECANCELED. */
int cr_http_pace_check(cr_http_connection *connection);
/* From now on waits on the connection are limited to so many seconds. */
void cr_http_pace_limit(cr_http_connection *connection, double seconds);
/* From now on they are not limited. */
void cr_http_pace_rest(cr_http_connection *connection);
#endif
