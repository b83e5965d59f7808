/* SPDX-License-Identifier: MIT */
/* chunk.c: bodies in chunks.
 *
 * A line of the framing is looked at where it lies in the stream's buffer, and taken when it is
 * whole; the bytes between are read straight to the caller's memory. Strict, as heads are: lines
 * end in CRLF, a size has 1 to 16 hexadecimal digits, nothing stands between it and ';' or the end.
 *
 * What is around the data is bounded, or a peer could send framing without end and never a byte:
 * 256 bytes of extensions in a line, 8 KiB of trailers, and in all 16 KiB and twice the data. */
#include "http/chunk.h"

#include <string.h>

#include <crank/error.h>

#include "http/head.h"

enum { EXTENSION_MAX = 256, DIGITS_MAX = 16, TRAILERS_MAX = 8 * 1024, FRAMING_MAX = 16 * 1024 };

static int broken(const char *what) { return crank_fail(EPROTO, "%s", what); }

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int64_t cr_http_chunk_size(const char *line, size_t size)
{
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < size && digit_of(line[digits]) >= 0) {
        if (digits == DIGITS_MAX)
            return broken("the size of a chunk has more than 16 digits");
        number = number << 4 | (uint64_t)digit_of(line[digits++]);
    }
    if (digits == 0 || number > INT64_MAX)
        return broken("the size of a chunk is no number");
    if (digits < size && line[digits] != ';')
        return broken("something follows the size of a chunk");
    if (size - digits > EXTENSION_MAX)
        return broken("the extension of a chunk is too long");
    for (size_t i = digits; i < size; i++)
        if (!cr_http_head_is_text((unsigned char)line[i]))
            return broken("the extension of a chunk has a control character");
    return (int64_t)number;
}

/* Wait for a line of at most max bytes, line end not counted: its length; it is not taken. */
static ssize_t await_line(crank_stream *stream, size_t max, const char **ret_line)
{
    size_t searched = 0;
    for (;;) {
        ssize_t n = crank_peek(stream, searched + 1, ret_line);
        if (n < 0)
            return n;
        size_t size = (size_t)n;
        if (size == searched)
            return crank_fail(ENODATA, "the connection ended within a body");
        const char *end = memchr(*ret_line + searched, '\n', size - searched);
        size_t length = end ? (size_t)(end - *ret_line) : size;
        if (end && (length == 0 || end[-1] != '\r'))
            return broken("a line of a body's framing does not end in CRLF");
        if (length > max + 1)
            return broken("a line of a body's framing is too long");
        if (end)
            return (ssize_t)length - 1;
        searched = size;
    }
}

/* Take the line that await_line has shown. */
static int take_line(cr_http_chunks *c, crank_stream *stream, size_t length)
{
    crank_skip(stream, length + 2);
    c->framing += length + 2;
    if (c->framing > FRAMING_MAX + 2 * c->data)
        return broken("a body has more framing than data");
    return 0;
}

static int next_size(cr_http_chunks *c, crank_stream *stream)
{
    const char *line;
    ssize_t length = await_line(stream, DIGITS_MAX + EXTENSION_MAX, &line);
    if (length < 0)
        return (int)length;
    int64_t size = cr_http_chunk_size(line, (size_t)length);
    if (size < 0)
        return (int)size;
    c->left = (uint64_t)size;
    c->state = size > 0 ? CR_HTTP_CHUNK_DATA : CR_HTTP_CHUNK_TRAILERS;
    return take_line(c, stream, (size_t)length);
}

static int end_data(cr_http_chunks *c, crank_stream *stream)
{
    static const char end[2] = "\r\n";
    for (size_t i = 0; i < sizeof end; i++) {
        const char *line;
        ssize_t n = crank_peek(stream, i + 1, &line);
        if (n < 0)
            return (int)n;
        if ((size_t)n <= i)
            return crank_fail(ENODATA, "the connection ended within a body");
        if (line[i] != end[i])
            return broken("a chunk does not end where its size says");
    }
    c->state = CR_HTTP_CHUNK_SIZE;
    return take_line(c, stream, 0);
}

static bool is_field(const char *line, size_t size)
{
    size_t name = 0;
    while (name < size && cr_http_head_is_token((unsigned char)line[name]))
        name++;
    if (name == 0 || name == size || line[name] != ':')
        return false;
    for (size_t i = name + 1; i < size; i++)
        if (!cr_http_head_is_text((unsigned char)line[i]))
            return false;
    return true;
}

static int next_trailer(cr_http_chunks *c, crank_stream *stream)
{
    const char *line;
    ssize_t length = await_line(stream, TRAILERS_MAX - c->trailers, &line);
    if (length < 0)
        return (int)length;
    if (length == 0)
        c->state = CR_HTTP_CHUNK_END;
    else if (!is_field(line, (size_t)length))
        return broken("a trailer is no \"name: value\"");
    c->trailers += (size_t)length + 2;
    if (c->trailers > TRAILERS_MAX)
        return broken("the trailers of a body are too long");
    crank_skip(stream, (size_t)length + 2);
    return 0;
}

static ssize_t read_data(cr_http_chunks *c, crank_stream *stream, void *buf, size_t size)
{
    ssize_t n = crank_read(stream, buf, size < c->left ? size : (size_t)c->left);
    if (n == 0)
        return crank_fail(ENODATA, "the connection ended within a body");
    if (n < 0)
        return n;
    c->left -= (uint64_t)n;
    c->data += (uint64_t)n;
    if (c->left == 0)
        c->state = CR_HTTP_CHUNK_DATA_END;
    return n;
}

ssize_t cr_http_chunk_read(cr_http_chunks *chunks, crank_stream *stream, void *buf, size_t size)
{
    int err = 0;
    while (err == 0) {
        switch (chunks->state) {
        case CR_HTTP_CHUNK_SIZE: err = next_size(chunks, stream); break;
        case CR_HTTP_CHUNK_DATA: return read_data(chunks, stream, buf, size);
        case CR_HTTP_CHUNK_DATA_END: err = end_data(chunks, stream); break;
        case CR_HTTP_CHUNK_TRAILERS: err = next_trailer(chunks, stream); break;
        case CR_HTTP_CHUNK_END: return 0;
        }
    }
    return err;
}
