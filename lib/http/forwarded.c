/* SPDX-License-Identifier: MIT */
/* forwarded.c: X-Forwarded-For, -Proto and -Host, believed of proxies that are named alone.
 *
 * A client can send these fields as well, and a proxy adds what it knows at the end of the first.
 * So that one is read from its end: past the addresses of further proxies of ours, to the first
 * that is none. What is no address ends the search, and the last address found is the peer. */
#include "http/forwarded.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/message.h"

/* IPv4 as IPv6 has it, so that both are compared alike. */
typedef struct number {
    unsigned char bytes[16];
    unsigned bits; /* of the network: 128 is one address */
} number;

enum { TEXT_MAX = 64 };

/* An address of size bytes, without brackets and port. */
static bool read_number(const char *text, size_t size, number *ret)
{
    char copy[TEXT_MAX];
    if (size == 0 || size >= sizeof copy)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    *ret = (number){ .bytes = { [10] = 0xff, [11] = 0xff }, .bits = 128 };
    return inet_pton(AF_INET, copy, ret->bytes + 12) == 1 ||
           inet_pton(AF_INET6, copy, ret->bytes) == 1;
}

/* "10.0.0.0/8" or an address. */
static bool read_network(const char *text, size_t size, number *ret)
{
    const char *slash = memchr(text, '/', size);
    size_t length = slash ? (size_t)(slash - text) : size;
    if (!read_number(text, length, ret))
        return false;
    if (!slash)
        return true;
    size_t digits = strspn(slash + 1, "0123456789");
    unsigned long bits = strtoul(slash + 1, NULL, 10);
    unsigned long most = memchr(text, ':', length) ? 128 : 32;
    ret->bits = (unsigned)(bits + 128 - most);
    return digits > 0 && digits <= 3 && length + 1 + digits == size && bits <= most;
}

static bool has(const number *network, const number *address)
{
    size_t whole = network->bits / 8;
    if (memcmp(network->bytes, address->bytes, whole) != 0)
        return false;
    unsigned rest = network->bits % 8;
    return rest == 0 || (network->bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

bool cr_http_forwarded_is_list(const char *proxies)
{
    number network;
    while (*(proxies += strspn(proxies, " "))) {
        size_t size = strcspn(proxies, " ");
        if (!read_network(proxies, size, &network))
            return false;
        proxies += size;
    }
    return true;
}

static bool is_proxy(const char *proxies, const number *address)
{
    number network;
    while (*(proxies += strspn(proxies, " "))) {
        size_t size = strcspn(proxies, " ");
        if (read_network(proxies, size, &network) && has(&network, address))
            return true;
        proxies += size;
    }
    return false;
}

/* The address of "1.2.3.4:80", "[::1]:80", "1.2.3.4" or "::1". */
static bool read_peer(const char *text, size_t size, number *ret)
{
    const char *end = size > 0 && *text == '[' ? memchr(text, ']', size) : NULL;
    const char *colon = memchr(text, ':', size);
    if (end)
        return read_number(text + 1, (size_t)(end - text) - 1, ret);
    if (colon && !memchr(colon + 1, ':', size - (size_t)(colon - text) - 1))
        size = (size_t)(colon - text);
    return read_number(text, size, ret);
}

/* The last of a list, which is cut off: its size; *list_size shrinks to what is before. */
static size_t take_last(const char *list, size_t *list_size, const char **ret_item)
{
    size_t end = *list_size, start;
    while (end > 0 && strchr(" \t", list[end - 1]))
        end--;
    for (start = end; start > 0 && list[start - 1] != ',';)
        start--;
    *list_size = start > 0 ? start - 1 : 0;
    while (start < end && strchr(" \t", list[start]))
        start++;
    *ret_item = list + start;
    return end - start;
}

/* With port 0: it is not told. */
static bool set_peer(cr_http_message *m, const number *address)
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    char text[INET6_ADDRSTRLEN], peer[INET6_ADDRSTRLEN + 8];
    bool is_v4 = memcmp(address->bytes, mapped, sizeof mapped) == 0;
    inet_ntop(is_v4 ? AF_INET : AF_INET6, address->bytes + (is_v4 ? 12 : 0), text, sizeof text);
    int size = snprintf(peer, sizeof peer, "%s%s%s:0", is_v4 ? "" : "[", text, is_v4 ? "" : "]");
    m->request.peer = cr_http_message_copy(m, peer, (size_t)size);
    return m->request.peer;
}

static cr_http_status take_peer(cr_http_message *m, const char *proxies)
{
    const char *list = crank_http_header(&m->request, "X-Forwarded-For"), *item;
    size_t left = list ? strlen(list) : 0;
    number address;
    while (left > 0) {
        size_t size = take_last(list, &left, &item);
        if (!read_peer(item, size, &address))
            return 0;
        if (!set_peer(m, &address))
            return 500;
        if (!is_proxy(proxies, &address))
            return 0;
    }
    return 0;
}

static cr_http_status take_host(cr_http_message *m)
{
    const char *host = crank_http_header(&m->request, "X-Forwarded-Host");
    if (!host || !cr_http_head_is_host(host))
        return 0;
    m->head.host = host;
    m->head.host_size = strlen(host);
    return cr_http_message_read_host(m);
}

cr_http_status cr_http_forwarded_apply(cr_http_message *message)
{
    const char *proxies = message->connection->server->options.proxies,
               *peer = message->request.peer;
    number address;
    if (!proxies || !read_peer(peer, strlen(peer), &address) || !is_proxy(proxies, &address))
        return 0;
    const char *scheme = crank_http_header(&message->request, "X-Forwarded-Proto");
    if (scheme)
        message->request.secure = strcasecmp(scheme, "https") == 0;
    cr_http_status status = take_peer(message, proxies);
    return status ? status : take_host(message);
}
