/* SPDX-License-Identifier: MIT */
/* body.c: reading a body by its length, in chunks or to the end of the connection.
 *
 * Owns where in the body the reader is. A body that has failed stays so: nothing behind the failure
 * can be taken for a part of it, or for the next message. */
#include "http/body.h"

#include <crank/error.h>

void cr_http_body_begin(cr_http_body *body, const cr_http_head *head, bool is_response)
{
    *body = (cr_http_body){ .framing = CR_HTTP_NO_BODY };
    if (head->chunked)
        body->framing = CR_HTTP_IN_CHUNKS;
    else if (head->length > 0)
        body->framing = CR_HTTP_BY_LENGTH;
    else if (head->length < 0 && is_response)
        body->framing = CR_HTTP_TO_END;
    body->left = head->length > 0 ? (uint64_t)head->length : 0;
    body->over = body->framing == CR_HTTP_NO_BODY;
}

static ssize_t read_by_length(cr_http_body *body, crank_stream *stream, void *buf, size_t size)
{
    ssize_t n = crank_read(stream, buf, size < body->left ? size : (size_t)body->left);
    if (n == 0)
        return crank_fail(ENODATA, "the connection ended %llu bytes before the end of a body",
            (unsigned long long)body->left);
    if (n > 0)
        body->left -= (uint64_t)n;
    return n;
}

static ssize_t read_some(cr_http_body *body, crank_stream *stream, void *buf, size_t size)
{
    switch (body->framing) {
    case CR_HTTP_BY_LENGTH: return read_by_length(body, stream, buf, size);
    case CR_HTTP_IN_CHUNKS: return cr_http_chunk_read(&body->chunks, stream, buf, size);
    case CR_HTTP_TO_END: return crank_read(stream, buf, size);
    default: return 0;
    }
}

ssize_t cr_http_body_read(cr_http_body *body, crank_stream *stream, void *buf, size_t size)
{
    if (body->error < 0)
        return crank_fail(body->error, "the body has failed before");
    if (body->over || size == 0)
        return 0;
    ssize_t n = read_some(body, stream, buf, size);
    if (n < 0 && n != -ECANCELED)
        body->error = (int)n;
    if (n > 0)
        body->taken += (uint64_t)n;
    body->over = n == 0 || (body->framing == CR_HTTP_BY_LENGTH && n > 0 && body->left == 0);
    return n;
}
