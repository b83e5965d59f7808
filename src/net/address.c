/* SPDX-License-Identifier: MIT */
/* address.c: addresses, between text and the form of the kernel.
 *
 * Owns what lies in a crank_address: the kernel's form and its size. One address has one content:
 * all bytes that mean nothing are zero, and an IPv4 address mapped into IPv6 becomes the IPv4
 * address, which Linux takes on sockets of either family. So equal addresses are equal bytes, and
 * no text is seen in two forms.
 *
 * Text is read strictly. inet_pton decides what a number is; its relatives take "1.2.3", "0x7f.1"
 * and "01.2.3.4" for numbers, and so would the lookup of a name. Hence a host whose last label
 * looks like a number is either four decimal numbers or refused, never a name. Does not look names
 * up; only an interface's name is turned into its number, by the OS table. */
#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/text.h"
#include "loop/loop.h"
#include "task/error.h"

#define LOCAL_PREFIX "unix:"
/* The kernel ends a path with a 0, and begins an abstract name with one. */
#define LOCAL_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
#define LOCAL_START offsetof(struct sockaddr_un, sun_path)
enum { LABEL_MAX = 63, PORT_MAX = 65535 };
/* A message shows so much of a refused text, and of what begins at the refused place. */
enum { TEXT_SHOWN = 160, PLACE_SHOWN = 60, QUOTED_MORE = 16 };

/* What lies in a crank_address; its declared type is another, hence may_alias. */
typedef struct __attribute__((may_alias)) content {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } as;
    socklen_t size; /* of the kernel's form; 0: no address */
} content;
_Static_assert(sizeof(content) <= sizeof(crank_address), "what the kernel has fits the value");
_Static_assert(_Alignof(content) <= _Alignof(crank_address), "and its alignment");
_Static_assert(sizeof(crank_address) == 128, "the size is part of the binary interface");

static const content *look(const crank_address *address) { return (const content *)address; }
static content *clear(crank_address *address)
{
    memset(address, 0, sizeof *address);
    return (content *)address;
}

/* ---- Refusing text ---- */

/* In quotes, without bytes that a terminal would obey, and not much longer than shown. */
static void quote(cr_text *to, const char *bytes, size_t shown)
{
    cr_text_add(to, "\"");
    for (size_t i = 0; bytes[i]; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (to->length > shown) {
            cr_text_add(to, "...");
            break;
        }
        bool plain = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
        cr_text_add(to, plain ? "%c" : "\\x%02x", byte);
    }
    cr_text_add(to, "\"");
}

/* The sentence that shows why text is refused, and the place in it; gives err. */
static int refuse(int err, const char *text, const char *at, const char *why)
{
    char quoted[TEXT_SHOWN + QUOTED_MORE], place[PLACE_SHOWN + QUOTED_MORE];
    cr_text whole = { quoted, sizeof quoted, 0 }, rest = { place, sizeof place, 0 };
    quote(&whole, text, TEXT_SHOWN);
    if (*at)
        quote(&rest, at, PLACE_SHOWN);
    else
        cr_text_add(&rest, "its end");
    return cr_error_set(err, "bad address %s at %s: %s", quoted, place, why);
}

/* ---- Numbers ---- */

/* Decimal, without a sign or zeros in front. False: it is none, or above max. */
static bool read_number(const char *digits, size_t size, uint32_t max, uint32_t *ret_number)
{
    uint64_t number = 0;
    if (size == 0 || (size > 1 && digits[0] == '0'))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        number = number * 10 + (unsigned)(digits[i] - '0');
        if (number > max)
            return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* inet_pton for a piece of text. */
static bool read_quads(int family, const char *host, size_t size, void *ret_bytes)
{
    char piece[INET6_ADDRSTRLEN];
    if (size >= sizeof piece)
        return false;
    memcpy(piece, host, size);
    piece[size] = '\0';
    return inet_pton(family, piece, ret_bytes) == 1;
}

static void set_v4(crank_address *address, const void *bytes, in_port_t port)
{
    content *into = clear(address);
    into->as.v4.sin_family = AF_INET;
    into->as.v4.sin_port = port;
    memcpy(&into->as.v4.sin_addr, bytes, sizeof into->as.v4.sin_addr);
    into->size = sizeof into->as.v4;
}

/* With other addresses the kernel ignores the interface. */
static bool has_scope(const struct in6_addr *bytes)
{
    return IN6_IS_ADDR_LINKLOCAL(bytes) || IN6_IS_ADDR_MC_LINKLOCAL(bytes) ||
           IN6_IS_ADDR_MC_NODELOCAL(bytes);
}

static void set_v6(
    crank_address *address, const struct in6_addr *bytes, in_port_t port, uint32_t scope)
{
    if (IN6_IS_ADDR_V4MAPPED(bytes)) {
        set_v4(address, &bytes->s6_addr[12], port);
        return;
    }
    content *into = clear(address);
    into->as.v6.sin6_family = AF_INET6;
    into->as.v6.sin6_port = port;
    into->as.v6.sin6_addr = *bytes;
    into->as.v6.sin6_scope_id = has_scope(bytes) ? scope : 0;
    into->size = sizeof into->as.v6;
}

/* ---- Reading text: each gives 0, or refuses text ---- */

static int read_port(const char *text, const char *port, unsigned *ret_port)
{
    uint32_t number;
    if (!read_number(port, strlen(port), PORT_MAX, &number))
        return refuse(-EINVAL, text, port, "a port is a decimal number from 0 to 65535");
    *ret_port = number;
    return 0;
}

/* An interface: a number, else a name that the kernel knows. */
static int read_scope(const char *text, const char *scope, size_t size, uint32_t *ret_scope)
{
    char name[IF_NAMESIZE];
    if (read_number(scope, size, UINT32_MAX, ret_scope) && *ret_scope > 0)
        return 0;
    if (size == strspn(scope, "0123456789"))
        return refuse(-EINVAL, text, scope, "behind '%' stands an interface, by name or number");
    if (size >= sizeof name)
        return refuse(-ENODEV, text, scope, "no interface has so long a name");
    memcpy(name, scope, size);
    name[size] = '\0';
    const cr_sys *sys = cr_loop_here ? cr_loop_here->sys : &cr_sys_real;
    int index = sys->interface_index(sys->context, name);
    if (index < 0)
        return refuse(index, text, scope,
            index == -ENODEV ? "no interface has this name" : cr_failure_error_words(index));
    *ret_scope = (uint32_t)index;
    return 0;
}

static int read_v6(const char *text, const char *host, size_t size, cr_address_parts *parts)
{
    struct in6_addr bytes;
    uint32_t scope = 0;
    const char *percent = memchr(host, '%', size);
    if (!read_quads(AF_INET6, host, percent ? (size_t)(percent - host) : size, &bytes))
        return refuse(-EINVAL, text, host, "this is no IPv6 address");
    if (percent) {
        if (!has_scope(&bytes))
            return refuse(-EINVAL, text, percent, "only a link-local address has an interface");
        int err = read_scope(text, percent + 1, size - (size_t)(percent + 1 - host), &scope);
        if (err < 0)
            return err;
    }
    parts->kind = CR_ADDRESS_NUMBER;
    set_v6(&parts->address, &bytes, htons((in_port_t)parts->port), scope);
    return 0;
}

/* Is the last label a number to some reader: decimal, octal or hexadecimal? */
static bool ends_in_number(const char *host, size_t size)
{
    size_t start;
    if (size > 0 && host[size - 1] == '.')
        size--;
    for (start = size; start > 0 && host[start - 1] != '.'; start--)
        continue;
    const char *label = host + start;
    bool hexadecimal = size - start >= 2 && label[0] == '0' && (label[1] | 0x20) == 'x';
    const char *digits = hexadecimal ? "0123456789abcdefABCDEF" : "0123456789";
    size_t prefix = hexadecimal ? 2 : 0;
    return size > start && strspn(label + prefix, digits) >= size - start - prefix;
}

static bool is_of_a_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Why it can be no host's name, and where; NULL: it can. */
static const char *fault_in_name(const char *host, size_t size, const char **ret_at)
{
    size_t label = 0;
    for (size_t i = 0; i < size; i++) {
        *ret_at = host + i;
        if (host[i] == '.' && label == 0)
            return "a host's name has no empty part";
        if (host[i] != '.' && !is_of_a_name(host[i]))
            return "a host has no such byte";
        label = host[i] == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return "a part of a host's name has at most 63 bytes";
    }
    *ret_at = host;
    if (size - (label == 0) > CR_HOST_NAME_MAX - 1)
        return "a host's name has at most 253 bytes";
    if (ends_in_number(host, size))
        return "an IPv4 address is four decimal numbers, 0 to 255, without leading zeros";
    return NULL;
}

/* IPv4 or a name. */
static int read_host(const char *text, const char *host, size_t size, cr_address_parts *parts)
{
    struct in_addr bytes;
    const char *at = host;
    if (size == 0)
        return refuse(-EINVAL, text, host, "the host is missing");
    if (read_quads(AF_INET, host, size, &bytes)) {
        parts->kind = CR_ADDRESS_NUMBER;
        set_v4(&parts->address, &bytes, htons((in_port_t)parts->port));
        return 0;
    }
    const char *fault = fault_in_name(host, size, &at);
    if (fault)
        return refuse(-EINVAL, text, at, fault);
    parts->kind = CR_ADDRESS_NAME;
    memcpy(parts->name, host, size);
    return 0;
}

/* All that stands behind "unix:", of whatever bytes. */
static int read_local(const char *text, cr_address_parts *parts)
{
    const char *path = text + strlen(LOCAL_PREFIX);
    size_t mark = path[0] == '@', size = strlen(path + mark);
    if (size == 0)
        return refuse(-EINVAL, text, path + mark, "the path is missing");
    if (size > LOCAL_MAX)
        return refuse(-ENAMETOOLONG, text, path, "a unix address has at most 107 bytes");
    content *into = clear(&parts->address);
    into->as.local.sun_family = AF_UNIX;
    memcpy(into->as.local.sun_path + mark, path + mark, size);
    into->size = (socklen_t)(LOCAL_START + size + 1);
    parts->kind = CR_ADDRESS_LOCAL;
    return 0;
}

static int read_bracketed(const char *text, cr_address_parts *parts)
{
    const char *end = strchr(text, ']');
    if (!end)
        return refuse(-EINVAL, text, text + strlen(text), "the ']' is missing");
    if (end[1] != ':')
        return refuse(-EINVAL, text, end + 1, "behind the ']' stands \":port\"");
    int err = read_port(text, end + 2, &parts->port);
    return err < 0 ? err : read_v6(text, text + 1, (size_t)(end - text - 1), parts);
}

static int read_all(const char *text, cr_address_parts *parts)
{
    if (strncmp(text, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0)
        return read_local(text, parts);
    if (text[0] == '[')
        return read_bracketed(text, parts);
    const char *colon = strchr(text, ':');
    if (!colon)
        return refuse(-EINVAL, text, text + strlen(text), "\":port\" is missing");
    const char *second = strchr(colon + 1, ':');
    if (second)
        return refuse(
            -EINVAL, text, second, "one ':' is enough; an IPv6 address stands in brackets");
    int err = read_port(text, colon + 1, &parts->port);
    if (err < 0)
        return err;
    if (colon == text + 1 && text[0] == '*') {
        parts->kind = CR_ADDRESS_ANY;
        return 0;
    }
    return read_host(text, text, (size_t)(colon - text), parts);
}

int cr_address_split(const char *text, cr_address_parts *ret_parts)
{
    cr_address_parts parts = { .port = 0 };
    int err = read_all(text, &parts);
    if (err == 0)
        *ret_parts = parts;
    return err;
}

int cr_address_split_host(const char *host, unsigned port, cr_address_parts *ret_parts)
{
    cr_address_parts parts = { .port = port };
    size_t size = strlen(host);
    int err =
        strchr(host, ':') ? read_v6(host, host, size, &parts) : read_host(host, host, size, &parts);
    if (err == 0)
        *ret_parts = parts;
    return err;
}

/* ---- The kernel's form ---- */

const struct sockaddr *cr_address_sockaddr(const crank_address *address, socklen_t *ret_size)
{
    *ret_size = look(address)->size;
    return (const struct sockaddr *)address;
}

int cr_address_family(const crank_address *address) { return look(address)->as.any.sa_family; }

/* Both kinds have their port in the same place. */
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
    "sin_port of either is the port");

unsigned cr_address_port(const crank_address *address)
{
    return cr_address_family(address) == AF_UNIX ? 0 : ntohs(look(address)->as.v4.sin_port);
}

crank_address cr_address_with_port(const crank_address *address, unsigned port)
{
    crank_address changed = *address;
    ((content *)&changed)->as.v4.sin_port = htons((in_port_t)port);
    return changed;
}

/* Linux gives a path of 108 bytes a size of one more than the struct has. */
static void set_local(crank_address *address, const struct sockaddr_un *from, size_t size)
{
    content *into = clear(address);
    size_t room = size < sizeof *from ? size - LOCAL_START : sizeof from->sun_path;
    size_t length = from->sun_path[0] ? strnlen(from->sun_path, room) : room;
    bool ended = from->sun_path[0] && length < sizeof from->sun_path;
    into->as.local.sun_family = AF_UNIX;
    memcpy(into->as.local.sun_path, from->sun_path, length);
    into->size = (socklen_t)(LOCAL_START + length + ended);
}

/* A copy, for nothing is known of what the bytes are declared as. A size may be more than there is:
 * no form is larger than a unix address. */
void cr_address_from_sockaddr(
    crank_address *ret_address, const struct sockaddr *from, socklen_t size)
{
    content copy = { .size = 0 };
    memcpy(&copy.as, from, size < sizeof copy.as.local ? size : sizeof copy.as.local);
    clear(ret_address);
    if (size < sizeof copy.as.any.sa_family)
        return;
    if (copy.as.any.sa_family == AF_INET && size >= sizeof copy.as.v4)
        set_v4(ret_address, &copy.as.v4.sin_addr, copy.as.v4.sin_port);
    else if (copy.as.any.sa_family == AF_INET6 && size >= sizeof copy.as.v6)
        set_v6(ret_address, &copy.as.v6.sin6_addr, copy.as.v6.sin6_port, copy.as.v6.sin6_scope_id);
    else if (copy.as.any.sa_family == AF_UNIX && size > LOCAL_START)
        set_local(ret_address, &copy.as.local, size);
}

/* ---- For programs ---- */

int crank_address_parse(const char *text, crank_address *ret_address)
{
    cr_address_parts parts;
    CR_CHECK(text, "crank_address_parse: the text is NULL");
    int err = cr_address_split(text, &parts);
    if (err < 0)
        return err;
    if (parts.kind == CR_ADDRESS_NAME)
        return refuse(-EINVAL, text, text,
            "crank_address_parse looks no name up; crank_resolve and crank_connect do");
    if (parts.kind == CR_ADDRESS_ANY)
        return refuse(-EINVAL, text, text, "only crank_listen takes all interfaces");
    *ret_address = parts.address;
    return 0;
}

/* A 0 inside an abstract name is shown as the one before it is, and as other tools show it. A path
 * that begins with '@' would be read as an abstract name. */
static void add_local(cr_text *text, const content *of)
{
    char shown[sizeof of->as.local.sun_path];
    size_t size = of->size - LOCAL_START;
    memcpy(shown, of->as.local.sun_path, size);
    bool abstract = shown[0] == '\0';
    for (size_t i = 0; abstract && i < size; i++)
        if (shown[i] == '\0')
            shown[i] = '@';
    cr_text_add(
        text, LOCAL_PREFIX "%s%.*s", !abstract && shown[0] == '@' ? "./" : "", (int)size, shown);
}

/* Addresses of the internet are written without printf, which takes 2 KiB of the stack: that of a
 * connection's task keeps the page. This copies what was written, as snprintf does. */
static size_t cut(const char *shown, const char *end, char *buf, size_t size)
{
    size_t length = (size_t)(end - shown);
    size_t fitting = length < size ? length : size - 1;
    if (size > 0) {
        memcpy(buf, shown, fitting);
        buf[fitting] = '\0';
    }
    return length;
}

static char *put_number(char *to, unsigned number)
{
    if (number > 9)
        to = put_number(to, number / 10);
    *to = (char)('0' + number % 10);
    return to + 1;
}

static char *put_hex(char *to, unsigned number)
{
    if (number > 15)
        to = put_hex(to, number / 16);
    *to = "0123456789abcdef"[number % 16];
    return to + 1;
}

static char *put_v4(char *to, const unsigned char *bytes)
{
    for (int i = 0; i < 4; i++) {
        to = put_number(to, bytes[i]);
        if (i < 3)
            *to++ = '.';
    }
    return to;
}

static char *put_port(char *to, in_port_t port)
{
    *to = ':';
    return put_number(to + 1, ntohs(port));
}

/* The longest run of zeros, two or more of the eight groups, the first of those as long: "::"
 * stands for it. */
static int find_zeros(const unsigned *groups, int *ret_count)
{
    int best = 0, best_count = 0;
    for (int i = 0, count = 0; i < 8; i++) {
        count = groups[i] == 0 ? count + 1 : 0;
        if (count > best_count) {
            best_count = count;
            best = i + 1 - count;
        }
    }
    *ret_count = best_count > 1 ? best_count : 0;
    return best;
}

/* As inet_ntop, which has printf in it. */
static char *put_v6(char *to, const unsigned char *bytes)
{
    unsigned groups[8];
    for (size_t i = 0; i < 8; i++)
        groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    int count, zeros = find_zeros(groups, &count);
    bool has_v4 = zeros == 0 && (count == 6 || (count == 5 && groups[5] == 0xffff));
    for (int i = 0; i < (has_v4 ? 6 : 8); i++) {
        bool left_out = i >= zeros && i < zeros + count;
        if (left_out ? i == zeros : i > 0)
            *to++ = ':';
        if (!left_out)
            to = put_hex(to, groups[i]);
    }
    if (count > 0 && zeros + count == 8)
        *to++ = ':';
    if (!has_v4)
        return to;
    *to++ = ':';
    return put_v4(to, bytes + 12);
}

static size_t format_v4(const content *of, char *buf, size_t size)
{
    char shown[sizeof "255.255.255.255:65535"];
    char *to = put_v4(shown, (const unsigned char *)&of->as.v4.sin_addr);
    return cut(shown, put_port(to, of->as.v4.sin_port), buf, size);
}

static size_t format_v6(const content *of, char *buf, size_t size)
{
    char shown[INET6_ADDRSTRLEN + sizeof "[%4294967295]:65535"] = "[";
    char *to = put_v6(shown + 1, of->as.v6.sin6_addr.s6_addr);
    if (of->as.v6.sin6_scope_id) {
        *to = '%';
        to = put_number(to + 1, of->as.v6.sin6_scope_id);
    }
    *to = ']';
    return cut(shown, put_port(to + 1, of->as.v6.sin6_port), buf, size);
}

size_t crank_address_format(const crank_address *address, char *buf, size_t size)
{
    static const char nothing[1];
    const content *of = look(address);
    cr_text text = { buf, size, 0 };
    if (of->size == 0)
        return cut(nothing, nothing, buf, size);
    if (of->as.any.sa_family == AF_INET6)
        return format_v6(of, buf, size);
    if (of->as.any.sa_family == AF_INET)
        return format_v4(of, buf, size);
    add_local(&text, of);
    return text.length;
}

bool crank_address_equal(const crank_address *a, const crank_address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}
