/* SPDX-License-Identifier: MIT */
/* plain_epoll.c: the echo server that crank is measured against: C, epoll and nothing else.
 *
 * As few calls as a server of this kind gets by with: edge-triggered, so that a connection is registered
 * once and not polled again; after a short read nothing more is tried, for it has emptied the socket; what
 * was read is sent at once from the same buffer. It knows no lines and no slow readers: a peer that leaves
 * no room for its echo loses its connection. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "plain.h"

enum { BATCH = 1024 };

static void accept_all(int epoll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd };
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
            close(fd);
    }
}

/* No further edge comes for an end that is there already: so then read on until it is reached. */
static void echo(int fd, uint32_t events)
{
    static char buf[65536];
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

int main(void)
{
    static struct epoll_event events[BATCH];
    int listener = listen_and_tell(SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = listener };
    if (listener < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        return 1;
    for (;;) {
        int n = epoll_wait(epoll, events, BATCH, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                echo(events[i].data.fd, events[i].events);
        }
    }
}
