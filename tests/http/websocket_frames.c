/* SPDX-License-Identifier: MIT */
/* websocket_frames.c: what WebSockets are made of: headers of frames, masks, keys and SHA-1. */
#include "http/websocket/frame.h"
#include "http/websocket/key.h"
#include "http/websocket/sha1.h"
#include "test.h"

TEST(sha1, is_that_of_fips_180_and_of_others_around_a_block)
{
    static const struct {
        const char *text; /* NULL: so many letters a */
        size_t size;
        const char *digest;
    } rows[] = {
        { "abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { "", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
        { NULL, 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f" },
        { NULL, 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a" },
        { NULL, 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5" },
        { NULL, 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d" },
        { NULL, 119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56" },
        { NULL, 120, "f34c1488385346a55709ba056ddd08280dd4c6d6" },
    };
    char *letters = test_memory(1000000);
    memset(letters, 'a', 1000000);
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        unsigned char digest[CR_HTTP_SHA1_SIZE];
        char text[2 * CR_HTTP_SHA1_SIZE + 1];
        cr_http_sha1(rows[i].text ? rows[i].text : letters, rows[i].size, digest);
        for (size_t k = 0; k < sizeof digest; k++)
            snprintf(text + 2 * k, 3, "%02x", digest[k]);
        EXPECT_STR(text, rows[i].digest);
    }
}

TEST(websocket_key, is_answered_as_the_standard_says)
{
    char key[CR_HTTP_KEY_SIZE], other[CR_HTTP_KEY_SIZE], answer[CR_HTTP_KEY_ANSWER];
    cr_http_key_answer("dGhlIHNhbXBsZSBub25jZQ==", answer);
    EXPECT_STR(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455, 1.3 */
    cr_http_key_make(key);
    cr_http_key_make(other);
    EXPECT(cr_http_key_is(key) && cr_http_key_is(other));
    EXPECT(strcmp(key, other) != 0);
    EXPECT(!cr_http_key_is("") && !cr_http_key_is("====") && !cr_http_key_is("dGhlIHNhbXBsZSBub25jZQ== "));
}

/* Each header is read as it was written, and in no longer form. */
TEST(websocket_frame, is_read_as_it_was_written)
{
    static const uint64_t sizes[] = { 0, 1, 125, 126, 127, 65535, 65536, 1u << 31, INT64_MAX };
    static const unsigned char opcodes[] = { CR_HTTP_FRAME_CONTINUATION, CR_HTTP_FRAME_TEXT, CR_HTTP_FRAME_BINARY,
        CR_HTTP_FRAME_CLOSE, CR_HTTP_FRAME_PING, CR_HTTP_FRAME_PONG };
    for (size_t i = 0; i < CRANK_COUNT(sizes) * CRANK_COUNT(opcodes) * 4; i++) {
        char header[CR_HTTP_FRAME_HEADER_MAX];
        cr_http_frame read = { .size = 99 };
        const cr_http_frame frame = { .size = sizes[i / 4 % CRANK_COUNT(sizes)],
            .opcode = opcodes[i / 4 / CRANK_COUNT(sizes)],
            .final = i & 1,
            .masked = i & 2,
            .mask = { 1, 2, 3, 4 } };
        size_t size = cr_http_frame_format(&frame, header);
        EXPECT_EQ(size, 2 + (frame.size < 126 ? 0 : frame.size < 65536 ? 2 : 8) + (frame.masked ? 4 : 0));
        EXPECT_EQ(cr_http_frame_header_size(header), size);
        const char *wrong = cr_http_frame_parse(header, &read);
        EXPECT_EQ(!wrong, !cr_http_frame_is_control(&frame) || (frame.final && frame.size <= 125));
        EXPECT_EQ(read.size, wrong ? 99 : frame.size);
        if (wrong)
            continue;
        EXPECT(read.opcode == frame.opcode && read.final == frame.final && read.masked == frame.masked);
        EXPECT(!frame.masked || memcmp(read.mask, frame.mask, 4) == 0);
    }
}

TEST(websocket_frame, mask_is_taken_off_from_any_offset_on)
{
    const cr_http_frame masked = { .masked = true, .mask = { 0x37, 0xfa, 0x21, 0x3d } }, plain = { .masked = false };
    char text[64], once[64], pieces[64];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 5);
    cr_http_frame_copy(&plain, 0, once, text, sizeof text);
    EXPECT(memcmp(once, text, sizeof text) == 0);
    cr_http_frame_copy(&masked, 0, once, text, sizeof text);
    for (size_t i = 0; i < sizeof text; i++)
        EXPECT_EQ((unsigned char)once[i], (unsigned char)text[i] ^ masked.mask[i % 4]);
    for (size_t split = 0; split <= sizeof text; split++) {
        memcpy(pieces, once, sizeof pieces);
        cr_http_frame_copy(&masked, 0, pieces, pieces, split); /* in place */
        cr_http_frame_copy(&masked, split, pieces + split, pieces + split, sizeof text - split);
        EXPECT(memcmp(pieces, text, sizeof text) == 0);
    }
}
