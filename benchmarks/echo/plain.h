/* SPDX-License-Identifier: MIT */
/* plain.h: what the plain C servers share: the listening socket. */
#ifndef BENCH_PLAIN_H
#define BENCH_PLAIN_H
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

/* Listen on a port of 127.0.0.1 that the kernel chooses, and print its number. Accepted sockets inherit
 * TCP_NODELAY. -1: the reason is on stderr. */
static inline int listen_and_tell(int flags)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&at, size) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) < 0) {
        perror("listen");
        return -1;
    }
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}
#endif
