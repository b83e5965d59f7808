/* SPDX-License-Identifier: MIT */
/* http_url.c: texts that are URLs or nearly, and Locations found from them.
 *
 * What is taken can stand in a request, is read again as itself, and has an address that crank_connect would take; what
 * is refused is refused in a sentence. */
#include "fuzz.h"
#include "http/url.h"

enum { TEXT_MAX = 300 };

static void make_text(fuzz_bytes *script, size_t pieces_left, char text[TEXT_MAX + 1])
{
    static const char *const pieces[] = { "http://", "https://", "HTTP://", "http:", "//", "/", "?", "#", ":", "@", "[",
        "]", "[::1]", "%", "%2e", "%20", "..", ".", "../", "./", "host", "example.org", "1.2.3.4", "0x7f.1", "xn--a",
        ":80", ":443", ":0", ":65536", " ", "\t", "\r\n", "\xc3\xbc", "|", "\"", "\\", "a=b&c", ";x",
        "mailto:", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    size_t length = 0;
    for (; script->left > 0 && pieces_left > 0; pieces_left--) {
        unsigned byte = fuzz_byte(script);
        char single[2] = { (char)byte, '\0' };
        const char *piece = byte < 3 * CRANK_COUNT(pieces) ? pieces[byte / 3] : single;
        size_t size = strlen(piece);
        if (length + size > TEXT_MAX)
            break;
        memcpy(text + length, piece, size);
        length += size;
    }
    text[length] = '\0';
}

static void check(const cr_http_url *url)
{
    cr_http_url again;
    const char *target = url->text + url->target;
    FUZZ_SAY("  is %s, at %s\n", url->text, url->address);
    FUZZ_EXPECT(*target == '/' && url->authority < url->target);
    for (const char *at = url->text; *at; at++)
        FUZZ_EXPECT(*at > ' ' && *at < 0x7f && *at != '#');
    FUZZ_EXPECT(strncmp(url->text, url->secure ? "https://" : "http://", url->authority) == 0);
    const char *bracket = strchr(url->address, ']');
    size_t host = (size_t)(strchr(bracket ? bracket : url->address, ':') - url->address);
    FUZZ_EXPECT(strncmp(url->address, url->text + url->authority, host) == 0);
    FUZZ_EQUAL(cr_http_url_parse(url->text, &again), 0);
    FUZZ_EXPECT(strcmp(again.text, url->text) == 0 && strcmp(again.address, url->address) == 0);
    FUZZ_EXPECT(again.target == url->target && cr_http_url_same_origin(&again, url));
    cr_http_url_free(&again);
}

static void check_refusal(int err)
{
    FUZZ_EQUAL(err, -EINVAL);
    FUZZ_EXPECT(strncmp(crank_error(), "bad URL \"", 9) == 0);
}

static void run(const uint8_t *data, size_t size)
{
    fuzz_bytes script = { data, size };
    char text[TEXT_MAX + 1], location[TEXT_MAX + 1];
    cr_http_url url, next;
    size_t pieces = fuzz_byte(&script) % 16;
    make_text(&script, pieces, text);
    make_text(&script, SIZE_MAX, location);
    int err = cr_http_url_parse(text, &url);
    FUZZ_SAY("%s: %d %s\n", text, err, err < 0 ? crank_error() : "");
    if (err < 0) {
        check_refusal(err);
        FUZZ_EQUAL(cr_http_url_parse("http://host/a/b?c", &url), 0);
    }
    check(&url);
    err = cr_http_url_resolve(&url, location, &next);
    FUZZ_SAY("  and %s: %d %s\n", location, err, err < 0 ? crank_error() : "");
    if (err == 0)
        check(&next);
    else
        check_refusal(err);
    if (err == 0)
        cr_http_url_free(&next);
    cr_http_url_free(&url);
}

const fuzz_target fuzz_this = { .name = "http_url", .length = 40, .in_task = false, .run = run };
