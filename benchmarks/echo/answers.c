/* SPDX-License-Identifier: MIT */
/* answers.c: the server that measured clients ask: one answer of 14 bytes, as quickly as plain C can give it.
 *
 * A client is to send one request at a time over each connection and to keep those: one that makes twice as many
 * connections as it has requests under way, or sends anything else than requests for the URL, is refused. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../measure.h"
#include "load.h"

enum { BATCH = 256, HEAD_MAX = 4096, DESCRIPTORS = 4096 };

static const char answer[] = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
                             "Content-Length: 14\r\n\r\nHello, world!\n";
static const char request[] = "GET /hello HTTP/1.1\r\n";

static struct {
    int listener, epoll;
    size_t accepted;
    char *heads[DESCRIPTORS]; /* of each connection, by its descriptor: so much of a head as has come */
    size_t got[DESCRIPTORS];
} s;

static bool watch(int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    return epoll_ctl(s.epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool answers_listen(void)
{
    char url[64];
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    s.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s.epoll < 0 || s.listener < 0 || bind(s.listener, (struct sockaddr *)&at, size) < 0 ||
        listen(s.listener, 1024) < 0 || getsockname(s.listener, (struct sockaddr *)&at, &size) < 0 ||
        !watch(s.listener))
        return load_failed("listening for a client");
    snprintf(url, sizeof url, "http://127.0.0.1:%u/hello", (unsigned)ntohs(at.sin_port));
    return setenv("BENCH_URL", url, 1) == 0 || load_failed("BENCH_URL");
}

static bool accept_one(size_t connections_max)
{
    int one = 1, fd = accept4(s.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return errno == EAGAIN || load_failed("accept");
    if (++s.accepted > 2 * connections_max || fd >= DESCRIPTORS) {
        fprintf(
            stderr, "load: the client makes more than %zu connections: it does not keep them\n", 2 * connections_max);
        close(fd);
        return false;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s.got[fd] = 0;
    if (!s.heads[fd])
        s.heads[fd] = malloc(HEAD_MAX + 1);
    return (s.heads[fd] && watch(fd)) || load_failed("a connection");
}

/* Answer where the request is whole. */
static bool answer_whole(int fd, uint64_t *answers)
{
    char *head = s.heads[fd], *end;
    head[s.got[fd]] = '\0';
    end = strstr(head, "\r\n\r\n");
    if (!end && s.got[fd] < HEAD_MAX)
        return true;
    if (!end || end + 4 != head + s.got[fd] || strncmp(head, request, sizeof request - 1) != 0) {
        return load_refused("what a client has sent is not one request for the URL");
    }
    s.got[fd] = 0;
    ++*answers;
    return send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) == (ssize_t)sizeof answer - 1 || load_failed("send");
}

static bool read_request(int fd, uint64_t *answers)
{
    ssize_t n = recv(fd, s.heads[fd] + s.got[fd], HEAD_MAX - s.got[fd], 0);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n == 0 && s.got[fd] == 0)
        return close(fd) == 0 || load_failed("close");
    if (n <= 0) {
        errno = n < 0 ? errno : ECONNRESET;
        return load_failed("the client ended a connection amid a request");
    }
    s.got[fd] += (size_t)n;
    return answer_whole(fd, answers);
}

bool answers_run(int64_t until, size_t connections_max, uint64_t *answers)
{
    static struct epoll_event events[BATCH];
    while (now_ns() < until) {
        int n = load_wait(s.epoll, events, BATCH, "waiting for requests");
        if (n < 0)
            return false;
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (!(fd == s.listener ? accept_one(connections_max) : read_request(fd, answers)))
                return false;
        }
    }
    return true;
}
