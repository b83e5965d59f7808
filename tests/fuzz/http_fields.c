/* SPDX-License-Identifier: MIT */
/* http_fields.c: texts that are cookies, forms, ranges, dates, tags or codings, or nearly.
 *
 * The first byte chooses which, the rest makes a text of pieces and single bytes. What is found lies in the text, and
 * is what a slow reader of this file finds; what is read is read again as the same from what it would be written as. */
#include "fuzz.h"
#include <strings.h>
#include "http/accept.h"
#include "http/cookie.h"
#include "http/date.h"
#include "http/fresh.h"
#include "http/range.h"
#include "http/target.h"

enum { TEXT_MAX = 200 };

/* ---- Cookies */

/* Each entry is cut out and looked at by itself. */
static const char *find_slowly(const char *list, const char *name, char value[TEXT_MAX + 1])
{
    while (*list) {
        size_t size = strcspn(list, ";");
        char entry[TEXT_MAX + 1], *begin = entry;
        snprintf(entry, sizeof entry, "%.*s", (int)size, list);
        begin += strspn(begin, " \t");
        char *equals = strchr(begin, '='), *end = begin + strlen(begin);
        list += size + (list[size] == ';');
        if (!equals || (size_t)(equals - begin) != strlen(name) || strncmp(begin, name, strlen(name)) != 0)
            continue;
        while (end > equals + 1 && strchr(" \t", end[-1]))
            *--end = '\0';
        size_t length = strlen(equals + 1);
        bool quoted = length >= 2 && equals[1] == '"' && equals[length] == '"';
        snprintf(value, TEXT_MAX + 1, "%.*s", (int)(quoted ? length - 2 : length), equals + (quoted ? 2 : 1));
        return value;
    }
    return NULL;
}
static void try_cookies(const char *text)
{
    char value[TEXT_MAX + 1];
    size_t size;
    const char *found = cr_http_cookie_find(text, "a", &size), *expected = find_slowly(text, "a", value);
    FUZZ_EQUAL(!found, !expected);
    if (!found)
        return;
    FUZZ_EXPECT(found > text && found + size <= text + strlen(text));
    FUZZ_EQUAL(size, strlen(value));
    FUZZ_EXPECT(memcmp(found, value, size) == 0);
}

/* ---- Queries and forms */

static void try_pairs(const char *text)
{
    char name[TEXT_MAX + 1];
    size_t size, pairs = 1;
    const char *found = cr_http_target_find(text, "a b", &size);
    for (const char *at = text;; pairs++) {
        size_t length = strcspn(at, "&"), key = strcspn(at, "&=");
        cr_http_target_decode(at, key, name);
        if (strcmp(name, "a b") == 0) {
            FUZZ_EXPECT(found == at + key + (at[key] == '=') && size == length - key - (at[key] == '='));
            break;
        }
        at += length;
        if (*at++ == '\0') {
            FUZZ_EXPECT(!found);
            break;
        }
    }
    FUZZ_EXPECT(cr_http_target_count(text) >= pairs);
}

/* ---- Ranges */

static void try_range(const char *text)
{
    static const uint64_t wholes[] = { 0, 1, 10, 1000, UINT64_MAX };
    for (size_t i = 0; i < CRANK_COUNT(wholes); i++) {
        cr_http_range range = { 0, 0 }, again = { 0, 0 };
        char written[80];
        int status = cr_http_range_read(text, wholes[i], &range);
        FUZZ_SAY("  of %llu: %d %llu %llu\n", (unsigned long long)wholes[i], status, (unsigned long long)range.first,
            (unsigned long long)range.size);
        FUZZ_EXPECT(status == 200 || status == 206 || status == 416);
        if (status != 206)
            continue;
        FUZZ_EXPECT(range.size > 0 && range.first < wholes[i] && range.size <= wholes[i] - range.first);
        FUZZ_EXPECT(strncasecmp(text, "bytes=", 6) == 0 && strspn(text + 6, "0123456789-") == strlen(text + 6));
        snprintf(written, sizeof written, "bytes=%llu-%llu", (unsigned long long)range.first,
            (unsigned long long)(range.first + range.size - 1));
        FUZZ_EQUAL(cr_http_range_read(written, wholes[i], &again), 206);
        FUZZ_EXPECT(again.first == range.first && again.size == range.size);
    }
}

/* ---- Dates */

static void try_date(const char *text)
{
    char written[CR_HTTP_DATE_SIZE];
    time_t at = -1, again;
    if (!cr_http_date_parse(text, &at))
        return;
    FUZZ_SAY("  %lld\n", (long long)at);
    FUZZ_EXPECT(at >= 0);
    cr_http_date_format(at, written);
    if (at < 253402300800) /* four digits of a year: a leap second of its last goes beyond */
        FUZZ_EXPECT(cr_http_date_parse(written, &again) && again == at);
}
static void try_instant(fuzz_bytes *script)
{
    char written[CR_HTTP_DATE_SIZE];
    time_t at = (time_t)(fuzz_number(script, 5) % 253402300800), again;
    cr_http_date_format(at, written);
    FUZZ_EXPECT(cr_http_date_parse(written, &again) && again == at);
    struct tm parts;
    FUZZ_EXPECT(gmtime_r(&at, &parts));
    FUZZ_EQUAL(strtol(written + 5, NULL, 10), parts.tm_mday);
    FUZZ_EQUAL(strtol(written + 12, NULL, 10), parts.tm_year + 1900);
}

/* ---- Tags and codings */

static void try_tags(const char *text)
{
    bool strong = cr_http_fresh_has_tag(text, "\"a\"", true), weak = cr_http_fresh_has_tag(text, "\"a\"", false);
    FUZZ_EXPECT(!strong || weak);
    FUZZ_EXPECT(!weak || strstr(text, "\"a\""));
    FUZZ_EQUAL(weak, cr_http_fresh_has_tag(text, "W/\"a\"", false));
    FUZZ_EXPECT(!cr_http_fresh_has_tag(text, "W/\"a\"", true));
}
static void try_codings(const char *text)
{
    bool taken = cr_http_accept_coding(text, "gzip");
    FUZZ_EXPECT(!taken || strcasestr(text, "gzip") || strchr(text, '*'));
    if (strcspn(text, ",") == strlen(text) && strncasecmp(text, "gzip", 4) == 0 && !text[4])
        FUZZ_EXPECT(taken);
}

static void make_text(fuzz_bytes *script, char text[TEXT_MAX + 1])
{
    static const char *const pieces[] = { "a=", "a", "=", ";", "; ", "\"", "&", "%20", "+", "a b", "%41", "%",
        "bytes=", "-", "0", "9", "18446744073709551615", ",", ", ", "Sun", "Sunday", " ", "06", " Nov ", "-Nov-",
        "1994", "94", "08:49:37", " GMT", "W/", "\"a\"", "*", "gzip", "identity", ";q=", "0.5", "1.000", "\t",
        "Bytes=", "2024", "Thu, 29 Feb 2024 23:59:60 GMT" };
    size_t length = 0;
    while (script->left > 0) {
        unsigned byte = fuzz_byte(script);
        char single[2] = { (char)byte, '\0' };
        const char *piece = byte < 5 * CRANK_COUNT(pieces) ? pieces[byte / 5] : single;
        size_t size = strlen(piece);
        if (length + size > TEXT_MAX)
            break;
        memcpy(text + length, piece, size);
        length += size;
    }
    text[length] = '\0';
}

static void run(const uint8_t *data, size_t size)
{
    static void (*const tries[])(
        const char *text) = { try_cookies, try_pairs, try_range, try_date, try_tags, try_codings };
    fuzz_bytes script = { data, size };
    unsigned kind = fuzz_byte(&script) % (CRANK_COUNT(tries) + 1);
    if (kind == CRANK_COUNT(tries)) {
        try_instant(&script);
        return;
    }
    char made[TEXT_MAX + 1];
    make_text(&script, made);
    FUZZ_SAY("%u: \"%s\"\n", kind, made);
    /* Exactly as much as there is, so that a sanitizer sees what reads behind it. */
    char *text = strdup(made);
    if (!text)
        fuzz_fail(__FILE__, __LINE__, "out of memory");
    tries[kind](text);
    free(text);
}

const fuzz_target fuzz_this = { .name = "http_fields", .length = 24, .run = run };
