/* SPDX-License-Identifier: MIT */
/* plain_epoll.c: the servers that crank is measured against: C, epoll and nothing else.
 *
 * As few calls as a server of this kind gets by with: edge-triggered, so that a connection is registered
 * once and not polled again; after a short read nothing more is tried, for it has emptied the socket; what
 * was read is sent at once from the same buffer. It knows no lines and no slow readers: a peer that leaves
 * no room for its echo loses its connection.
 *
 * plain_epoll [echo]    sends back what it reads
 * plain_epoll sink      reads all there is
 * plain_epoll source    writes until the peer has gone
 * plain_epoll udp       sends datagrams back (plain_others.c)
 * plain_epoll udp_many  the same, many by one call
 * plain_epoll starts    starts programs */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <string.h>
#include <unistd.h>
#include "plain.h"

enum { BATCH = 1024 };

static char buf[65536];

static void accept_all(int epoll, int listener, uint32_t wanted)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = { .events = wanted, .data.fd = fd };
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
            close(fd);
    }
}

/* No further edge comes for an end that is there already: so then read on until it is reached. */
static void echo(int fd, uint32_t events)
{
    bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    for (;;) {
        ssize_t got = recv(fd, buf, sizeof buf, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 || send(fd, buf, (size_t)got, MSG_NOSIGNAL) != got) {
            close(fd);
            return;
        }
        if ((size_t)got < sizeof buf && !ended)
            return;
    }
}

static void sink(int fd, uint32_t events)
{
    bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    for (;;) {
        ssize_t got = recv(fd, buf, sizeof buf, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            close(fd);
        if (got <= 0 || ((size_t)got < sizeof buf && !ended))
            return;
    }
}

/* After a short write the socket is full. */
static void source(int fd, uint32_t events)
{
    ssize_t sent;
    (void)events;
    do
        sent = send(fd, buf, sizeof buf, MSG_NOSIGNAL);
    while (sent == (ssize_t)sizeof buf);
    if (sent < 0 && errno != EAGAIN)
        close(fd);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "echo";
    if (!strncmp(name, "udp", 3))
        return serve_udp(!strcmp(name, "udp_many"));
    if (!strcmp(name, "starts"))
        return serve_starts();
    void (*serve)(int, uint32_t) = !strcmp(name, "sink") ? sink : !strcmp(name, "source") ? source : echo;
    uint32_t wanted = EPOLLET | (serve == source ? EPOLLOUT : EPOLLIN | EPOLLRDHUP);
    static struct epoll_event events[BATCH];
    int listener = listen_and_tell(SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = listener };
    if (listener < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        return 1;
    for (;;) {
        int n = epoll_wait(epoll, events, BATCH, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener, wanted);
            else
                serve(events[i].data.fd, events[i].events);
        }
    }
}
