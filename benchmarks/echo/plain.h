/* SPDX-License-Identifier: MIT */
/* plain.h: what the plain C servers share: the listening socket. And those of plain_epoll.c that have a file of their
 * own. */
#ifndef BENCH_PLAIN_H
#define BENCH_PLAIN_H
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

/* Bind a socket to a port of 127.0.0.1 that the kernel chooses, and print its number; a stream socket listens.
 * -1: the reason is on stderr. */
static inline int bind_and_tell(int type)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0 || ((type & SOCK_STREAM) && listen(fd, 4096) < 0) ||
        getsockname(fd, (struct sockaddr *)&at, &size) < 0) {
        perror("bind");
        return -1;
    }
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

/* Accepted sockets inherit TCP_NODELAY. */
static inline int listen_and_tell(int flags)
{
    int one = 1, fd = bind_and_tell(SOCK_STREAM | flags);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* ---- plain_others.c: each gives an exit status ---- */

/* Send datagrams back, one call each; or as many as there are, up to 64, by two calls. */
int serve_udp(bool many);
/* Start a program, wait for its end, again and again; tell each connection how many. */
int serve_starts(void);
#endif
