/* SPDX-License-Identifier: MIT */
/* chunk.h: bodies in chunks (RFC 9112, 7.1), read from a stream. */
#ifndef CR_HTTP_CHUNK_H
#define CR_HTTP_CHUNK_H
#include <crank/stream.h>

/* All zeros: at the beginning of a body. */
typedef struct cr_http_chunks {
    enum cr_http_chunk_state {
        CR_HTTP_CHUNK_SIZE,     /* a size's line comes next */
        CR_HTTP_CHUNK_DATA,     /* left bytes of a chunk */
        CR_HTTP_CHUNK_DATA_END, /* the line end behind them */
        CR_HTTP_CHUNK_TRAILERS, /* lines, to an empty one */
        CR_HTTP_CHUNK_END       /* the body is over, and taken whole */
    } state;
    uint64_t left;    /* of the chunk */
    uint64_t data;    /* bytes of the body in all */
    uint64_t framing; /* bytes of what is around them */
    size_t trailers;  /* bytes of the trailers */
} cr_http_chunks;

/* Up to size bytes of the body: at least one, 0 at its end. Trailers are checked and dropped. Fails
 * with -EPROTO (the framing is broken, or is beyond its bounds), -ENODATA (the stream ended first),
 * else as crank_read. A cancelled call has taken nothing of the body. */
ssize_t cr_http_chunk_read(cr_http_chunks *chunks, crank_stream *stream, void *buf, size_t size);

/* The number at the beginning of a chunk: line has no line end. -EPROTO: it is none. */
int64_t cr_http_chunk_size(const char *line, size_t size);
#endif
