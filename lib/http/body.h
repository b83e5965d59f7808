/* SPDX-License-Identifier: MIT */
/* body.h: the body of a request or response, whatever its framing. */
#ifndef CR_HTTP_BODY_H
#define CR_HTTP_BODY_H
#include "http/chunk.h"
#include "http/head.h"

/* All zeros: no body. */
typedef struct cr_http_body {
    enum cr_http_framing {
        CR_HTTP_NO_BODY,
        CR_HTTP_BY_LENGTH,
        CR_HTTP_IN_CHUNKS,
        CR_HTTP_TO_END /* of the connection: of a response without a length */
    } framing;
    bool over;      /* read to its end: the next message may follow */
    int error;      /* with what it failed, which every later read gives too; 0 */
    uint64_t taken; /* bytes read so far */
    uint64_t left;  /* by length */
    cr_http_chunks chunks;
} cr_http_body;

/* What a request's head says. Of a response the caller sets framing itself where the method or the
 * status allows no body. */
void cr_http_body_begin(cr_http_body *body, const cr_http_head *head, bool is_response);
/* Up to size bytes: at least one, 0 at the end. Fails as cr_http_chunk_read; -ECANCELED has taken
 * nothing, and is not remembered. */
ssize_t cr_http_body_read(cr_http_body *body, crank_stream *stream, void *buf, size_t size);
#endif
