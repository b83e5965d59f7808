/* SPDX-License-Identifier: MIT */
/* served.h: a web server in a process of its own, and plain sockets of its clients: so each end has all descriptors and
 * a memory of its own. */
#ifndef SERVED_H
#define SERVED_H
#include <arpa/inet.h>
#include <crank/net.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test.h"

/* What serves a listener until its process is killed. */
typedef int served_handler(crank_listener *l);
typedef struct served {
    pid_t pid;
    union {
        struct sockaddr any;
        struct sockaddr_in tcp;
        struct sockaddr_in6 tcp6;
        struct sockaddr_un local;
    } at;
    socklen_t size;
} served;

/* As many descriptors as there may be, of this process and its children; the test is skipped where they are fewer. */
static inline void served_need(size_t descriptors)
{
    struct rlimit limit;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < descriptors)
        test_skip("there are only %ju descriptors", (uintmax_t)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The address goes to the parent. */
static inline int served_run(served_handler *handler, const char *address, int to)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen(address));
    const char *shown = crank_listener_address(l, 0);
    if (write(to, shown, strlen(shown) + 1) < 0)
        return -errno;
    return handler(l);
}
static inline void served_set_address(served *s, const char *shown)
{
    if (strncmp(shown, "unix:@", 6) == 0) {
        size_t length = strlen(shown + 6);
        s->at.local = (struct sockaddr_un){ .sun_family = AF_UNIX };
        EXPECT(length < sizeof s->at.local.sun_path);
        memcpy(s->at.local.sun_path + 1, shown + 6, length);
        s->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
        return;
    }
    in_port_t port = htons((uint16_t)strtol(strrchr(shown, ':') + 1, NULL, 10));
    if (shown[0] == '[') {
        s->at.tcp6 =
            (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        s->size = sizeof s->at.tcp6;
        return;
    }
    s->at.tcp =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    s->size = sizeof s->at.tcp;
}
/* On "127.0.0.1:0", "[::1]:0" or "unix:@name"; gives when it listens. */
static inline served served_start(crank_backend backend, const char *address, served_handler *handler)
{
    int ends[2];
    char shown[100] = "";
    served s;
    EXPECT_EQ(pipe(ends), 0);
    s.pid = fork();
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* where the test fails */
        (void)crank_run_with(&(crank_options){ .backend = backend }, served_run, handler, address, ends[1]);
        _exit(1);
    }
    close(ends[1]);
    EXPECT(s.pid > 0 && read(ends[0], shown, sizeof shown - 1) > 0);
    close(ends[0]);
    served_set_address(&s, shown);
    return s;
}
static inline void served_stop(const served *s)
{
    EXPECT_EQ(kill(s->pid, SIGKILL), 0);
    EXPECT_EQ(waitpid(s->pid, NULL, 0), s->pid);
}

/* A connection whose reads fail after 30 seconds. */
static inline int served_connect(const served *s)
{
    const struct timeval patience = { .tv_sec = 30 };
    int fd = socket(s->at.any.sa_family, SOCK_STREAM, 0);
    EXPECT(fd >= 0);
    EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    EXPECT_EQ(connect(fd, &s->at.any, s->size), 0);
    return fd;
}
/* Send a request that has no body, and read its answer's head: how many bytes came, cut to size. */
static inline size_t served_ask(int fd, const char *request, char *answer, size_t size)
{
    EXPECT_EQ(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    ssize_t n = read(fd, answer, size - 1);
    EXPECT(n > 0);
    answer[n] = '\0';
    return (size_t)n;
}
#endif
