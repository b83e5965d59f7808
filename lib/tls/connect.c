/* SPDX-License-Identifier: MIT */
/* connect.c: an encrypted connection from an address. */
#include <crank/error.h>
#include <crank/tls.h>
#include <string.h>

enum { HOST_MAX = 255 };

/* "localhost:443" is localhost, "[fe80::1%eth0]:443" fe80::1. False: there is no host. */
static bool host_of(const char *address, char *host)
{
    bool bracket = address[0] == '[';
    const char *end = bracket ? strpbrk(address, "%]") : strrchr(address, ':');
    size_t size = end ? (size_t)(end - address) - bracket : 0;
    if (size == 0 || size > HOST_MAX || strncmp(address, "unix:", 5) == 0)
        return false;
    memcpy(host, address + bracket, size);
    host[size] = '\0';
    return true;
}

crank_stream *crank_tls_connect(crank_tls *tls, const char *address)
{
    char host[HOST_MAX + 1];
    if (!host_of(address, host)) {
        errno = -crank_fail(EINVAL,
            "crank_tls_connect: \"%.200s\" has no host whose certificate could be checked: "
            "crank_tls_start takes a name",
            address);
        return NULL;
    }
    crank_stream *stream = crank_connect(address);
    if (!stream)
        return NULL;
    int err = crank_tls_start(tls, &stream, host);
    if (err == 0)
        return stream;
    errno = -err;
    return NULL;
}
