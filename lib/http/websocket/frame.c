/* SPDX-License-Identifier: MIT */
/* frame.c: headers of frames, masks, and codes of closes.
 *
 * It knows no connection. What it takes, every reader understands alike: reserved bits are 0, for
 * no extension is agreed on, and a length stands in its shortest form. */
#include "http/websocket/frame.h"

#include <string.h>

enum { FINAL = 0x80, RESERVED = 0x70, OPCODE = 0x0F, MASKED = 0x80, LENGTH = 0x7F };
/* Lengths beyond 125 stand behind the second byte, in 2 or 8 bytes. */
enum { LENGTH_IN_2 = 126, LENGTH_IN_8 = 127 };

static size_t length_size(unsigned length)
{
    return length == LENGTH_IN_2 ? 2 : length == LENGTH_IN_8 ? 8 : 0;
}

size_t cr_http_frame_header_size(const char *bytes)
{
    unsigned second = (unsigned char)bytes[1];
    return 2 + length_size(second & LENGTH) + (second & MASKED ? 4 : 0);
}

static uint64_t read_number(const char *bytes, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | (unsigned char)bytes[i];
    return number;
}

static const char *check(const cr_http_frame *f, unsigned first, size_t extra)
{
    if (first & RESERVED)
        return "a frame has a reserved bit, and no extension is agreed on";
    if ((f->opcode > CR_HTTP_FRAME_BINARY && f->opcode < CR_HTTP_FRAME_CLOSE) ||
        f->opcode > CR_HTTP_FRAME_PONG)
        return "a frame has a reserved opcode";
    if (cr_http_frame_is_control(f) && !f->final)
        return "a control frame is fragmented";
    if (cr_http_frame_is_control(f) && f->size > CR_HTTP_FRAME_CONTROL_MAX)
        return "a control frame has more than 125 bytes";
    if ((extra == 2 && f->size < LENGTH_IN_2) || (extra == 8 && f->size <= UINT16_MAX) ||
        f->size > INT64_MAX)
        return "the length of a frame is not in its shortest form";
    return NULL;
}

const char *cr_http_frame_parse(const char *header, cr_http_frame *ret_frame)
{
    unsigned first = (unsigned char)header[0], second = (unsigned char)header[1];
    size_t extra = length_size(second & LENGTH);
    cr_http_frame f = {
        .opcode = first & OPCODE, .final = first & FINAL, .masked = second & MASKED
    };
    f.size = extra > 0 ? read_number(header + 2, extra) : second & LENGTH;
    if (f.masked)
        memcpy(f.mask, header + 2 + extra, sizeof f.mask);
    const char *wrong = check(&f, first, extra);
    if (!wrong)
        *ret_frame = f;
    return wrong;
}

size_t cr_http_frame_format(const cr_http_frame *frame, char *header)
{
    size_t extra = frame->size < LENGTH_IN_2 ? 0 : frame->size <= UINT16_MAX ? 2 : 8;
    unsigned length = extra == 0 ? (unsigned)frame->size : extra == 2 ? LENGTH_IN_2 : LENGTH_IN_8;
    header[0] = (char)(frame->opcode | (frame->final ? FINAL : 0));
    header[1] = (char)(length | (frame->masked ? MASKED : 0));
    for (size_t i = 0; i < extra; i++)
        header[2 + i] = (char)(frame->size >> 8 * (extra - 1 - i));
    if (frame->masked)
        memcpy(header + 2 + extra, frame->mask, sizeof frame->mask);
    return 2 + extra + (frame->masked ? sizeof frame->mask : 0);
}

/* Eight bytes at a time: the mask is turned so that its first byte belongs to the first of them. */
void cr_http_frame_copy(
    const cr_http_frame *frame, uint64_t offset, char *to, const char *from, size_t size)
{
    unsigned char mask[8];
    uint64_t word, masks;
    size_t i = 0;
    if (!frame->masked) {
        memcpy(to, from, size);
        return;
    }
    for (size_t k = 0; k < sizeof mask; k++)
        mask[k] = frame->mask[(offset + k) % 4];
    memcpy(&masks, mask, sizeof masks);
    for (; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, from + i, sizeof word);
        word ^= masks;
        memcpy(to + i, &word, sizeof word);
    }
    for (; i < size; i++)
        to[i] = (char)((unsigned char)from[i] ^ mask[i % 8]);
}

bool cr_http_frame_is_code(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
