/* SPDX-License-Identifier: MIT */
/* plain_others.c: what plain_epoll serves beside streams: datagrams, and starting programs.
 *
 * Datagrams are tried until there is none, so that epoll tells of many at once. A program is started by posix_spawn,
 * which stops the caller until it runs, and its end is an event of its pidfd. */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "plain.h"

enum { MANY = 64, SIZE = 2048 };

/* Datagrams that find no room are lost, as they may be. */
static void send_back_one_by_one(int fd)
{
    static char buf[SIZE];
    struct sockaddr_in from;
    ssize_t got;
    for (;;) {
        socklen_t size = sizeof from;
        got = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &size);
        if (got < 0)
            return;
        sendto(fd, buf, (size_t)got, MSG_NOSIGNAL, (struct sockaddr *)&from, size);
    }
}

/* Fewer than there is room for were all. */
static void send_back_many(int fd)
{
    static char bufs[MANY][SIZE];
    static struct sockaddr_in from[MANY];
    static struct iovec pieces[MANY];
    static struct mmsghdr messages[MANY];
    int n;
    do {
        for (int i = 0; i < MANY; i++) {
            pieces[i] = (struct iovec){ bufs[i], SIZE };
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &pieces[i], .msg_iovlen = 1
            };
        }
        n = recvmmsg(fd, messages, MANY, 0, NULL);
        for (int i = 0; i < n; i++)
            pieces[i].iov_len = messages[i].msg_len;
        if (n > 0)
            sendmmsg(fd, messages, (unsigned)n, MSG_NOSIGNAL);
    } while (n == MANY);
}

int serve_udp(bool many)
{
    int fd = bind_and_tell(SOCK_DGRAM | SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    if (fd < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return 1;
    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        if (many)
            send_back_many(fd);
        else
            send_back_one_by_one(fd);
    }
}

extern char **environ;

static int start(int epoll)
{
    char *argv[] = { (char[]){ "/bin/true" }, NULL };
    struct epoll_event event = { .events = EPOLLIN };
    pid_t pid;
    int err = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
    if (err != 0) {
        fprintf(stderr, "posix_spawn: %s\n", strerror(err));
        exit(1);
    }
    event.data.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
    return event.data.fd;
}

static void tell(int listener, unsigned long count)
{
    int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer >= 0) {
        dprintf(peer, "%lu\n", count);
        close(peer);
    }
}

int serve_starts(void)
{
    int listener = listen_and_tell(SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
    siginfo_t how;
    if (listener < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        return 1;
    start(epoll);
    for (unsigned long count = 0;;) {
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            continue;
        if (event.data.fd == listener) {
            tell(listener, count);
            continue;
        }
        waitid(P_PIDFD, (id_t)event.data.fd, &how, WEXITED);
        close(event.data.fd);
        count++;
        start(epoll);
    }
}
