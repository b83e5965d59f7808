/* SPDX-License-Identifier: MIT */
/* url.c: URLs of requests, between text and what is sent.
 *
 * Reading follows RFC 3986, and is strict where a server might read another URL than we do: no user
 * and password, no control bytes, no blanks, hosts as crank/net.h takes them. What browsers encode
 * is encoded ('"', '<', '|', bytes of UTF-8), so that the target has no byte that a request line
 * may not have. Dots are removed from the path, and the fragment is left out: it is not sent.
 *
 * A cr_http_url owns its two texts. A Location is written out as a whole URL and read as one, so
 * there is one reader. */
#include "http/url.h"

#include <arpa/inet.h>
#include <crank/error.h>
#include <crank/http.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "http/memory.h"

enum { PORT_MAX = 65535, NAME_MAX_BYTES = 253, LABEL_MAX = 63, PLAIN_PORT = 80, SECURE_PORT = 443 };
/* A message shows so much of a refused text, and of what begins at the refused place. */
enum { TEXT_SHOWN = 160, PLACE_SHOWN = 40, QUOTED_MORE = 16 };

/* A piece of the text that is read. */
typedef struct span {
    const char *at;
    size_t size;
} span;

/* What a URL is made of; port 0: the scheme's own. */
typedef struct parts {
    const char *text;
    bool socket; /* ws:// and wss:// in place of http:// and https:// */
    bool secure;
    span host;
    unsigned port;
    const char *rest; /* from the path on */
} parts;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

/* ---- Refusing text ---- */

/* In quotes, without bytes that a terminal would obey, and not much longer than shown. */
static void quote(char *to, const char *bytes, size_t shown)
{
    size_t length = 0;
    to[length++] = '"';
    for (size_t i = 0; bytes[i]; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (length > shown) {
            length += (size_t)snprintf(to + length, QUOTED_MORE, "...");
            break;
        }
        bool plain = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
        length += (size_t)snprintf(to + length, QUOTED_MORE, plain ? "%c" : "\\x%02x", byte);
    }
    snprintf(to + length, QUOTED_MORE, "\"");
}

/* The sentence that shows why text is refused, and the place in it. */
static int refuse(const parts *p, const char *at, const char *why)
{
    char whole[TEXT_SHOWN + 2 * QUOTED_MORE], place[PLACE_SHOWN + 2 * QUOTED_MORE];
    quote(whole, p->text, TEXT_SHOWN);
    if (*at)
        quote(place, at, PLACE_SHOWN);
    else
        snprintf(place, sizeof place, "its end");
    return crank_fail(EINVAL, "bad URL %s at %s: %s", whole, place, why);
}

/* ---- Reading ---- */

/* The bytes of a scheme before its ':'; 0: text begins with none. */
static size_t scheme_of(const char *text)
{
    size_t size = 0;
    if (!is_letter(text[0]))
        return 0;
    while (
        is_letter(text[size]) || is_digit(text[size]) || (text[size] && strchr("+-.", text[size])))
        size++;
    return text[size] == ':' ? size : 0;
}

static bool begins_with(const char *text, const char *small_letters, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (lower(text[i]) != small_letters[i])
            return false;
    return true;
}

static int read_scheme(parts *p, const char **ret_authority)
{
    size_t size = scheme_of(p->text), length = p->socket ? 2 : 4;
    bool known = size >= length && begins_with(p->text, p->socket ? "ws" : "http", length);
    p->secure = known && size == length + 1 && lower(p->text[length]) == 's';
    if (!known || (size > length && !p->secure))
        return refuse(p, p->text,
            p->socket ? "the URL of a WebSocket begins with ws:// or wss://"
                      : "a URL begins with http:// or https://");
    if (p->text[size + 1] != '/' || p->text[size + 2] != '/')
        return refuse(p, p->text + size, "behind the scheme stands \"://\"");
    *ret_authority = p->text + size + 3;
    return 0;
}

static bool is_number(span number, unsigned max, unsigned *ret_number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < number.size; i++) {
        if (!is_digit(number.at[i]))
            return false;
        value = value * 10 + (unsigned)(number.at[i] - '0');
        if (value > max)
            return false;
    }
    *ret_number = (unsigned)value;
    return number.size > 0;
}

/* inet_pton for a piece of text. */
static bool is_quads(int family, span host)
{
    char piece[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    if (host.size >= sizeof piece)
        return false;
    memcpy(piece, host.at, host.size);
    piece[host.size] = '\0';
    return inet_pton(family, piece, bytes) == 1;
}

/* Is the last label a number to some reader: decimal, octal or hexadecimal? */
static bool ends_in_number(span host)
{
    size_t end = host.size, start;
    if (end > 0 && host.at[end - 1] == '.')
        end--;
    for (start = end; start > 0 && host.at[start - 1] != '.'; start--)
        continue;
    const char *label = host.at + start;
    bool hexadecimal = end - start >= 2 && label[0] == '0' && lower(label[1]) == 'x';
    size_t prefix = hexadecimal ? 2 : 0;
    const char *digits = hexadecimal ? "0123456789abcdefABCDEF" : "0123456789";
    return end > start && strspn(label + prefix, digits) >= end - start - prefix;
}

/* Why it is no host's name, and where; NULL: it can be one. */
static const char *fault_in_name(span host, const char **ret_at)
{
    size_t label = 0;
    *ret_at = host.at;
    if (host.size == 0)
        return "there is no host";
    for (size_t i = 0; i < host.size; i++) {
        char c = host.at[i];
        *ret_at = host.at + i;
        if (c == '.' && label == 0)
            return "a host's name has no empty part";
        if ((unsigned char)c >= 0x80)
            return "a host's name is ASCII; one in another script is written as \"xn--...\"";
        if (c != '.' && c != '-' && c != '_' && !is_letter(c) && !is_digit(c))
            return "a host's name has no such byte";
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return "a part of a host's name has at most 63 bytes";
    }
    *ret_at = host.at;
    if (host.size - (label == 0) > NAME_MAX_BYTES)
        return "a host's name has at most 253 bytes";
    if (ends_in_number(host) && !is_quads(AF_INET, host))
        return "an IPv4 address is four decimal numbers, 0 to 255, without leading zeros";
    return NULL;
}

/* Gives where the port begins, at ':' or the end. */
static int read_host(parts *p, span authority, const char **ret_port)
{
    const char *end = authority.at + authority.size, *at, *why;
    const char *user = memchr(authority.at, '@', authority.size);
    if (user)
        return refuse(p, user, "a user and password are not sent: give an authorization header");
    p->host.at = authority.at;
    if (authority.size == 0 || authority.at[0] != '[') {
        const char *colon = memchr(authority.at, ':', authority.size);
        *ret_port = colon ? colon : end;
        p->host.size = (size_t)(*ret_port - authority.at);
        why = fault_in_name(p->host, &at);
        return why ? refuse(p, at, why) : 0;
    }
    const char *bracket = memchr(authority.at, ']', authority.size);
    if (!bracket)
        return refuse(p, authority.at, "\"[\" begins an IPv6 address, and \"]\" ends it");
    if (!is_quads(AF_INET6, (span){ authority.at + 1, (size_t)(bracket - authority.at - 1) }))
        return refuse(p, authority.at + 1, "this is no IPv6 address");
    *ret_port = bracket + 1;
    p->host.size = (size_t)(*ret_port - authority.at);
    if (*ret_port < end && **ret_port != ':')
        return refuse(p, *ret_port, "behind the host stands \":\" and a port, or the path");
    return 0;
}

/* An empty one is the scheme's own, as RFC 3986 says. */
static int read_port(parts *p, const char *colon, const char *end)
{
    unsigned own = p->secure ? SECURE_PORT : PLAIN_PORT;
    if (end - colon <= 1)
        return 0;
    span number = { colon + 1, (size_t)(end - colon - 1) };
    if (!is_number(number, PORT_MAX, &p->port) || p->port == 0)
        return refuse(p, colon + 1, "a port is a decimal number from 1 to 65535");
    if (p->port == own)
        p->port = 0;
    return 0;
}

static int check_rest(const parts *p)
{
    for (const char *at = p->rest; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == ' ')
            return refuse(p, at, "a blank is written as \"%20\"");
        if (byte < ' ' || byte == 0x7f)
            return refuse(p, at, "a URL has no control bytes");
    }
    return 0;
}

static int take_apart(const char *text, bool socket, parts *p)
{
    const char *authority = text, *port = text;
    *p = (parts){ .text = text, .socket = socket };
    int err = read_scheme(p, &authority);
    if (err < 0)
        return err;
    p->rest = authority + strcspn(authority, "/?#");
    err = read_host(p, (span){ authority, (size_t)(p->rest - authority) }, &port);
    if (err == 0)
        err = read_port(p, port, p->rest);
    return err < 0 ? err : check_rest(p);
}

/* ---- Writing ---- */

/* In place, as RFC 3986 5.2.4 says: "/a/./b/../c" becomes "/a/c". Each round takes a '/' and what
 * follows up to the next. */
static void remove_dots(char *path)
{
    char *to = path;
    for (const char *from = path; *from;) {
        size_t size = 1 + strcspn(from + 1, "/");
        bool is_last = from[size] == '\0';
        bool is_here = size == 2 && from[1] == '.';
        bool is_up = size == 3 && from[1] == '.' && from[2] == '.';
        if (is_up && to > path)
            do
                to--;
            while (to > path && *to != '/');
        if (!is_here && !is_up) {
            memmove(to, from, size);
            to += size;
        } else if (is_last)
            *to++ = '/';
        from += size;
    }
    *to = '\0';
}

static bool is_sent_as_it_is(char c)
{
    return (unsigned char)c < 0x80 && !strchr("\"<>\\^`{|}", c);
}

/* Up to one of the bytes of stop; gives where it stands in from. */
static const char *encode(char **to, const char *from, const char *stop)
{
    for (; *from && !strchr(stop, *from); from++) {
        if (is_sent_as_it_is(*from))
            *(*to)++ = *from;
        else
            *to += snprintf(*to, 4, "%%%02X", (unsigned char)*from);
    }
    return from;
}

static void write_target(char *to, const char *rest)
{
    char *path = to;
    if (*rest != '/')
        *to++ = '/';
    rest = encode(&to, rest, "?#");
    *to = '\0';
    remove_dots(path);
    to = path + strlen(path);
    (void)encode(&to, rest, "#");
    *to = '\0';
}

static size_t write_host(char *to, span host)
{
    for (size_t i = 0; i < host.size; i++)
        to[i] = lower(host.at[i]);
    return host.size;
}

/* A byte becomes three at most; the rest is room for what stands between the parts. */
static int put_together(const parts *p, cr_http_url *ret_url)
{
    enum { BETWEEN = 32 };
    size_t room = 3 * strlen(p->text) + BETWEEN;
    cr_http_url url = { .text = crank_alloc(room), .address = crank_alloc(p->host.size + BETWEEN) };
    if (!url.text || !url.address) {
        cr_http_url_free(&url);
        return crank_fail(ENOMEM, "out of memory for a URL");
    }
    url.secure = p->secure;
    url.authority = (size_t)snprintf(
        url.text, room, "%s%s://", p->socket ? "ws" : "http", p->secure ? "s" : "");
    url.target = url.authority + write_host(url.text + url.authority, p->host);
    if (p->port)
        url.target += (size_t)snprintf(url.text + url.target, BETWEEN, ":%u", p->port);
    write_target(url.text + url.target, p->rest);
    size_t host = write_host(url.address, p->host);
    unsigned own = p->secure ? SECURE_PORT : PLAIN_PORT;
    snprintf(url.address + host, BETWEEN, ":%u", p->port ? p->port : own);
    *ret_url = url;
    return 0;
}

int cr_http_url_parse(const char *text, cr_http_url *ret_url)
{
    parts p;
    int err = take_apart(text, false, &p);
    return err < 0 ? err : put_together(&p, ret_url);
}

int cr_http_url_parse_socket(const char *text, cr_http_url *ret_url)
{
    parts p;
    int err = take_apart(text, true, &p);
    return err < 0 ? err : put_together(&p, ret_url);
}

/* ---- Locations ---- */

/* How much of base stands before the location, as RFC 3986 5.2.2 says. */
static size_t kept_of(const cr_http_url *base, const char *location)
{
    const char *path = base->text + base->target;
    size_t whole = base->target + strcspn(path, "?");
    if (scheme_of(location) > 0)
        return 0;
    if (location[0] == '/' && location[1] == '/')
        return base->secure ? strlen("https:") : strlen("http:");
    if (location[0] == '/')
        return base->target;
    if (location[0] == '?')
        return whole;
    if (location[0] == '\0' || location[0] == '#')
        return strlen(base->text);
    while (base->text[whole - 1] != '/')
        whole--;
    return whole;
}

int cr_http_url_resolve(const cr_http_url *base, const char *location, cr_http_url *ret_url)
{
    size_t kept = kept_of(base, location);
    char *whole = crank_alloc(kept + 3 * strlen(location) + 1);
    if (!whole)
        return crank_fail(ENOMEM, "out of memory for a URL");
    char *to = whole + kept;
    memcpy(whole, base->text, kept);
    for (const char *from = location; *from; from++) {
        if (*from == ' ')
            to += snprintf(to, 4, "%%20");
        else
            *to++ = *from;
    }
    *to = '\0';
    int err = cr_http_url_parse(whole, ret_url);
    crank_release(whole);
    return err;
}

bool cr_http_url_same_origin(const cr_http_url *a, const cr_http_url *b)
{
    return a->secure == b->secure && strcmp(a->address, b->address) == 0;
}

void cr_http_url_free(cr_http_url *url)
{
    crank_release(url->text);
    crank_release(url->address);
    *url = (cr_http_url){ 0 };
}

/* ---- Queries ---- */

size_t crank_http_encode(char *buf, size_t size, const char *text)
{
    size_t length = 0;
    if (size > 0)
        buf[0] = '\0';
    for (; *text; text++) {
        char piece[4];
        bool plain = is_letter(*text) || is_digit(*text) || strchr("-._~", *text);
        size_t n =
            (size_t)snprintf(piece, sizeof piece, plain ? "%c" : "%%%02X", (unsigned char)*text);
        /* A piece that does not fit as a whole is left out, and all behind it. */
        if (length + n < size)
            memcpy(buf + length, piece, n + 1);
        length += n;
    }
    return length;
}
