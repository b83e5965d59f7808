/* SPDX-License-Identifier: MIT */
/* address.c: texts that are addresses or nearly, beside a second reading of them; and what a kernel might give.
 *
 * inet_pton is the judge of numbers. What is taken is printed, read again and the same; what is taken for a name is
 * none that the C library would take for a number. */
#include "fuzz.h"
#include "net/address.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>

enum { TEXT_MAX = 300, SHOWN_MAX = 400 };
static const char digits[] = "0123456789";

/* Pieces of addresses, and any other bytes. */
static void make_text(fuzz_bytes *script, char text[TEXT_MAX + 1])
{
    static const char *const pieces[] = { "1.2.3.4", "127.0.0.1", "255.256", "01.2.3.4", "0x7f", "0", "1", "65535",
        "65536", "80", ":80", ":0", ":", "::", "::1", "2001:db8::", "fe80::1", "ff02::2", "::ffff:1.2.3.4",
        "::ffff:", "[", "]", "]:80", "[fe80::1%", "%", "%lo", "%eth0", "%eth1", "%4294967295", "4294967296",
        "unix:", "unix:@", "unix:/run/", "@", "/", "*", "*:80", "host", ".", ".example.org", "-", "_", " ", "+",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    size_t length = 0;
    while (script->left > 0) {
        unsigned byte = fuzz_byte(script);
        char single[2] = { (char)byte, '\0' };
        const char *piece = byte < 2 * CRANK_COUNT(pieces) ? pieces[byte / 2] : single;
        size_t size = strlen(piece);
        if (length + size > TEXT_MAX)
            break;
        memcpy(text + length, piece, size);
        length += size;
    }
    text[length] = '\0';
}

/* ---- The second reading */

static bool plain_number(const char *text, unsigned long long max)
{
    size_t size = strlen(text);
    return size > 0 && size <= 10 && strspn(text, digits) == size && (size == 1 || text[0] != '0') &&
           strtoull(text, NULL, 10) <= max;
}

/* What stands between the brackets; changes it. */
static int read_v6(char *inner, const char *port, char shown[SHOWN_MAX])
{
    unsigned char bytes[16];
    char number[INET6_ADDRSTRLEN];
    unsigned scope = 0;
    char *percent = strchr(inner, '%');
    if (percent)
        *percent++ = '\0';
    if (strchr(inner, ']') || (percent && strchr(percent, ']')) || inet_pton(AF_INET6, inner, bytes) != 1)
        return -EINVAL;
    bool local = (bytes[0] == 0xfe && bytes[1] >= 0x80 && bytes[1] < 0xc0) ||
                 (bytes[0] == 0xff && (bytes[1] % 16 == 1 || bytes[1] % 16 == 2));
    if (percent && !local)
        return -EINVAL;
    if (percent && strspn(percent, digits) == strlen(percent)) {
        if (!plain_number(percent, UINT32_MAX) || strcmp(percent, "0") == 0)
            return -EINVAL;
        scope = (unsigned)strtoul(percent, NULL, 10);
    } else if (percent) {
        scope = strcmp(percent, "lo") == 0 ? 1 : strcmp(percent, "eth0") == 0 ? 2 : 0;
        if (scope == 0)
            return -ENODEV;
    }
    if (memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
        snprintf(shown, SHOWN_MAX, "%d.%d.%d.%d:%s", bytes[12], bytes[13], bytes[14], bytes[15], port);
    else if (scope)
        snprintf(shown, SHOWN_MAX, "[%s%%%u]:%s", inet_ntop(AF_INET6, bytes, number, sizeof number), scope, port);
    else
        snprintf(shown, SHOWN_MAX, "[%s]:%s", inet_ntop(AF_INET6, bytes, number, sizeof number), port);
    return 0;
}

/* Labels of letters, digits, '-' and '_'; the last is no number. */
static bool is_name(const char *host)
{
    char last[TEXT_MAX + 1] = "";
    size_t size = strlen(host);
    if (size > 0 && host[size - 1] == '.')
        size--;
    if (size == 0 || size > 253)
        return false;
    for (size_t at = 0; at <= size;) {
        size_t label = strspn(host + at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
        if (label == 0 || label > 63 || (at + label != size && host[at + label] != '.'))
            return false;
        snprintf(last, sizeof last, "%.*s", (int)label, host + at);
        at += label + 1;
    }
    if (strncmp(last, "0x", 2) == 0 || strncmp(last, "0X", 2) == 0)
        return last[2 + strspn(last + 2, "0123456789abcdefABCDEF")] != '\0';
    return last[strspn(last, digits)] != '\0';
}

/* What crank_address_parse must give, and how it is shown. *ret_kind is what it is where names are taken, or -1. */
static int read_text(const char *text, char shown[SHOWN_MAX], int *ret_kind)
{
    char host[TEXT_MAX + 1];
    unsigned char bytes[4];
    *ret_kind = -1;
    snprintf(shown, SHOWN_MAX, "%s", text);
    if (strncmp(text, "unix:", 5) == 0) {
        size_t size = strlen(text + 5 + (text[5] == '@'));
        *ret_kind = size > 0 && size <= 107 ? CR_ADDRESS_LOCAL : -1;
        return size == 0 ? -EINVAL : size > 107 ? -ENAMETOOLONG : 0;
    }
    snprintf(host, sizeof host, "%s", text);
    char *port = strrchr(host, ':');
    if (!port || !plain_number(port + 1, 65535))
        return -EINVAL;
    *port++ = '\0';
    size_t size = strlen(host);
    int err = -EINVAL;
    if (size > 1 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        err = read_v6(host + 1, port, shown);
        *ret_kind = err == 0 ? CR_ADDRESS_NUMBER : -1;
    } else if (inet_pton(AF_INET, host, bytes) == 1) {
        err = 0;
        *ret_kind = CR_ADDRESS_NUMBER;
    } else if (strcmp(host, "*") == 0) {
        *ret_kind = CR_ADDRESS_ANY;
    } else if (is_name(host)) {
        *ret_kind = CR_ADDRESS_NAME;
    }
    return err;
}

/* ---- What is taken */

static void check_format(const crank_address *address, char shown[SHOWN_MAX])
{
    char part[SHOWN_MAX];
    size_t length = crank_address_format(address, shown, SHOWN_MAX);
    FUZZ_EQUAL(length, strlen(shown));
    FUZZ_EQUAL(crank_address_format(address, NULL, 0), length);
    FUZZ_EQUAL(crank_address_format(address, part, length / 2 + 1), length);
    FUZZ_EXPECT(strlen(part) == length / 2 && strncmp(part, shown, length / 2) == 0);
}
static void check_again(const crank_address *address, const char *shown)
{
    char shown_again[SHOWN_MAX];
    crank_address again;
    FUZZ_EQUAL(crank_address_parse(shown, &again), 0);
    FUZZ_EXPECT(crank_address_equal(address, &again));
    check_format(&again, shown_again);
    FUZZ_EXPECT(strcmp(shown, shown_again) == 0);
}
static void check_kernels_form(const crank_address *address)
{
    crank_address again;
    socklen_t size;
    const struct sockaddr *form = cr_address_sockaddr(address, &size);
    memset(&again, 0x5a, sizeof again);
    cr_address_from_sockaddr(&again, form, size);
    FUZZ_EXPECT(crank_address_equal(address, &again));
}

static void check_parts(const char *text, int err, int kind)
{
    struct in_addr number;
    cr_address_parts parts;
    int got = cr_address_split(text, &parts);
    FUZZ_SAY("  apart: %d, kind %d\n", got, got ? -1 : (int)parts.kind);
    FUZZ_EQUAL(got, kind >= 0 ? 0 : err);
    if (got < 0)
        return;
    FUZZ_EQUAL((int)parts.kind, kind);
    if (kind == CR_ADDRESS_NAME) {
        FUZZ_EXPECT(inet_aton(parts.name, &number) == 0);
        FUZZ_EXPECT(strncmp(text, parts.name, strlen(parts.name)) == 0 && text[strlen(parts.name)] == ':');
    }
    if (kind != CR_ADDRESS_LOCAL)
        FUZZ_EQUAL(parts.port, strtoul(strrchr(text, ':') + 1, NULL, 10));
}

static void read_some(fuzz_bytes *script)
{
    char text[TEXT_MAX + 1], expected[SHOWN_MAX], shown[SHOWN_MAX];
    crank_address address, before;
    int kind;
    make_text(script, text);
    memset(&address, 0x5a, sizeof address);
    before = address;
    int err = crank_address_parse(text, &address);
    FUZZ_SAY("%s: %d %s\n", text, err, err < 0 ? crank_error() : "");
    FUZZ_EQUAL(err, read_text(text, expected, &kind));
    check_parts(text, err, kind);
    if (err < 0) {
        FUZZ_EXPECT(memcmp(&address, &before, sizeof address) == 0);
        FUZZ_EXPECT(strstr(crank_error(), "bad address \""));
        return;
    }
    check_format(&address, shown);
    FUZZ_EXPECT(strcmp(shown, expected) == 0);
    check_again(&address, shown);
    check_kernels_form(&address);
}

/* ---- What a kernel might give */

/* Is it a unix address that no text means? */
static bool has_no_text(const struct sockaddr_un *from, size_t size, const char *shown)
{
    size_t start = offsetof(struct sockaddr_un, sun_path);
    if (from->sun_family != AF_UNIX || size <= start)
        return false;
    size_t length = (size < sizeof *from ? size : sizeof *from) - start;
    if (from->sun_path[0] == '\0')
        return length == 1 || memchr(from->sun_path + 1, '\0', length - 1);
    return from->sun_path[0] == '@' || strlen(shown + 5) > 107;
}

static void take_some(fuzz_bytes *script)
{
    static const unsigned short families[] = { AF_INET, AF_INET6, AF_UNIX, AF_PACKET };
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_storage room;
        unsigned char bytes[sizeof(struct sockaddr_storage)];
    } from;
    char shown[SHOWN_MAX];
    crank_address address;
    memset(&from, 0, sizeof from);
    unsigned short family = families[fuzz_byte(script) % CRANK_COUNT(families)];
    size_t size = fuzz_byte(script) % (sizeof from + 1);
    for (size_t i = sizeof family; i < sizeof from; i++)
        from.bytes[i] = (unsigned char)fuzz_byte(script);
    from.any.sa_family = family;
    cr_address_from_sockaddr(&address, &from.any, (socklen_t)size);
    check_format(&address, shown);
    FUZZ_SAY("family %d, %zu bytes: %s\n", family, size, shown);
    check_kernels_form(&address);
    if (shown[0] && !has_no_text(&from.local, size, shown))
        check_again(&address, shown);
}

static void run(const uint8_t *data, size_t size)
{
    fuzz_bytes script = { data, size };
    if (fuzz_byte(&script) % 4 == 3)
        take_some(&script);
    else
        read_some(&script);
}

const fuzz_target fuzz_this = { .name = "address", .length = 40, .in_task = true, .run = run };
