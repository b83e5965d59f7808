/* SPDX-License-Identifier: MIT */
/* frame.h: the frames of a WebSocket (RFC 6455, 5.2), as bytes. */
#ifndef CR_HTTP_FRAME_H
#define CR_HTTP_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CR_HTTP_FRAME_CONTINUATION = 0,
    CR_HTTP_FRAME_TEXT = 1,
    CR_HTTP_FRAME_BINARY = 2,
    CR_HTTP_FRAME_CLOSE = 8,
    CR_HTTP_FRAME_PING = 9,
    CR_HTTP_FRAME_PONG = 10
};
enum {
    CR_HTTP_FRAME_HEADER_MIN = 2, /* bytes */
    CR_HTTP_FRAME_HEADER_MAX = 14,
    CR_HTTP_FRAME_CONTROL_MAX = 125 /* of a close, ping or pong */
};

/* What a header says. */
typedef struct cr_http_frame {
    uint64_t size; /* of the bytes behind it */
    unsigned char opcode;
    unsigned char mask[4];
    bool masked;
    bool final; /* the last of its message */
} cr_http_frame;

/* How many bytes the header has that begins with these two. */
size_t cr_http_frame_header_size(const char *bytes);
/* Take a header of that size apart. NULL; or what is wrong with it, in words, and the frame is
 * untouched. */
const char *cr_http_frame_parse(const char *header, cr_http_frame *ret_frame);
/* The header of a frame, in the shortest form: how many bytes. */
size_t cr_http_frame_format(const cr_http_frame *frame, char *header);
static inline bool cr_http_frame_is_control(const cr_http_frame *frame)
{
    return frame->opcode >= CR_HTTP_FRAME_CLOSE;
}
/* Copy bytes that stand at an offset in the frame, with the mask put on or taken off. Without a
 * mask they are copied. */
void cr_http_frame_copy(
    const cr_http_frame *frame, uint64_t offset, char *to, const char *from, size_t size);
/* May the code stand in a close (RFC 6455, 7.4)? 1005, 1006 and 1015 say what happened without
 * one. */
bool cr_http_frame_is_code(unsigned code);
#endif
