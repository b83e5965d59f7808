/* SPDX-License-Identifier: MIT */
/* clients.c: the load: connections with one message each under way.
 *
 * A closed loop: a client sends its next message when the last one has come back, so that the rate is what
 * server and load reach together. Every byte that comes back is compared with what was sent; of answers of HTTP the
 * status, and that each is as long as the first. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../measure.h"
#include "load.h"

/* A line: servers that read lines and servers that read bytes do the same. */
static const char message[MESSAGE_SIZE + 1] = "sixty-four bytes of a line that goes there and comes back again\n";

/* What a load generator of HTTP sends at least. */
static char request_text[100] = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
static const char status_line[] = "HTTP/1.1 200 OK\r\n";
static const char hello[] = "Hello, world!\n";

static struct {
    size_t file_size; /* of the file that is asked for; 0: hello is the answer */
    bool encrypted;
} asked;

enum { BATCH = 1024, ACCEPTED_EVERY = 256, PORTS_OF_ONE = 8000, PIECE = 64 * 1024 };

/* Latencies of equal power of two fall into 128 buckets. */
static size_t bucket_of(int64_t ns)
{
    uint64_t value = ns < 0 ? 0 : (uint64_t)ns;
    if (value < 128)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - 7u;
    return (shift + 1) * 128 + (size_t)((value >> shift) & 127);
}

static double bucket_middle(size_t bucket)
{
    if (bucket < 128)
        return (double)bucket;
    return ((double)(128 + bucket % 128) + 0.5) * (double)((uint64_t)1 << (bucket / 128 - 1));
}

void clients_ask(const char *path, size_t file_size)
{
    snprintf(request_text, sizeof request_text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", path);
    asked.file_size = file_size;
}

void clients_encrypt(void) { asked.encrypted = true; }

static ssize_t put(const client *one, const void *bytes, size_t size)
{
    return one->secure ? secure_send(one->secure, bytes, size) : send(one->fd, bytes, size, MSG_NOSIGNAL);
}

/* Without flags it waits where the socket does. */
static ssize_t get(const client *one, void *buf, size_t size, int flags)
{
    return one->secure ? secure_receive(one->secure, buf, size) : recv(one->fd, buf, size, flags);
}

/* Is that the body from an offset on? */
static bool is_body(const char *bytes, size_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (asked.file_size > 0 ? files_byte(offset + i) : hello[offset + i]))
            return false;
    return true;
}

/* The body to its end, of which so many bytes were read. */
static bool compare(const client *one, const char *begun, size_t got, size_t size)
{
    char buf[ANSWER_MAX];
    bool same = is_body(begun, 0, got);
    while (same && got < size) {
        ssize_t n = get(one, buf, size - got < sizeof buf ? size - got : sizeof buf, 0);
        if (n <= 0)
            return load_failed("the first answer's body");
        same = is_body(buf, got, (size_t)n);
        got += (size_t)n;
    }
    errno = EBADMSG;
    return same || load_failed("the first answer has another body than it has to have");
}

char *clients_read_head(const client *one, char *buf, size_t *ret_got)
{
    size_t got = 0;
    char *body = NULL;
    while (!body && got < ANSWER_MAX) {
        ssize_t n = get(one, buf + got, ANSWER_MAX - got, 0);
        if (n <= 0)
            break;
        got += (size_t)n;
        buf[got] = '\0';
        body = strstr(buf, "\r\n\r\n");
    }
    if (!body)
        load_failed("the first answer");
    *ret_got = got;
    return body ? body + 4 : NULL;
}

static bool ask(const clients *c, const client *one)
{
    return put(one, c->message, c->size) == (ssize_t)c->size || load_failed("send");
}

/* The answer, of which the size is learned. */
static bool learn(clients *c, const client *one)
{
    char buf[ANSWER_MAX + 1];
    size_t got, size = asked.file_size > 0 ? asked.file_size : sizeof hello - 1;
    char *body = clients_read_head(one, buf, &got);
    if (!body)
        return false;
    size_t head = (size_t)(body - buf);
    const char *length = strcasestr(buf, "\r\nContent-Length: ");
    if (strncmp(buf, status_line, sizeof status_line - 1) != 0 || !length || strtoul(length + 18, NULL, 10) != size ||
        got > head + size) {
        return load_refused("the first answer is no \"200 OK\" with the Content-Length that it has to have");
    }
    c->expected = (unsigned)(head + size);
    return compare(one, body, got - head, size);
}

/* One message there and back, waiting for it. */
static bool round_trip(int fd)
{
    char buf[MESSAGE_SIZE];
    if (send(fd, message, MESSAGE_SIZE, MSG_NOSIGNAL) != MESSAGE_SIZE)
        return load_failed("send");
    ssize_t got = recv(fd, buf, sizeof buf, MSG_WAITALL);
    if (got != MESSAGE_SIZE || memcmp(buf, message, MESSAGE_SIZE) != 0) {
        errno = got < 0 ? errno : EBADMSG;
        return load_failed("the first echo");
    }
    return true;
}

/* A connection that both sides have ended keeps its port for a minute. So every few thousand are from another address
 * of 127.0.0.0/8. */
static bool bind_anew(int fd)
{
    static unsigned made, begun;
    int one = 1;
    struct sockaddr_in from = { .sin_family = AF_INET };
    if (made == 0)
        begun = (unsigned)now_ns() / 1000 % 60000;
    from.sin_addr.s_addr = htonl(0x7f010001u + (begun + made++ / PORTS_OF_ONE) % 65000 * 2);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&from, sizeof from) == 0;
}

/* By a reset at close: the port is free at once, where ten thousand in TIME_WAIT would use them up. */
static int connect_to(const clients *c)
{
    int one = 1, fd = socket(AF_INET, (c->datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->port) };
    struct linger reset = { .l_onoff = 1 };
    struct timeval patience = { .tv_sec = STALLED_SECONDS };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || (c->anew && !bind_anew(fd)) || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        load_failed("connect");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (c->datagrams || c->anew) /* what is waited for shows as a standstill */
        return fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

/* OpenSSL reads as the socket does, which so far has waited. */
static bool watch(const clients *c, client *one)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = one };
    if (one->secure && fcntl(one->fd, F_SETFL, O_NONBLOCK) < 0)
        return load_failed("fcntl");
    return epoll_ctl(c->epoll, EPOLL_CTL_ADD, one->fd, &event) == 0 || load_failed("epoll_ctl");
}

bool clients_prepare(clients *c, const server *s, size_t count, enum first_echo first)
{
    memset(c, 0, sizeof *c);
    bool answers = first == SOME_ANSWER || first == EACH_ANSWERS;
    c->message = answers ? request_text : message;
    c->size = answers ? (unsigned)strlen(request_text) : MESSAGE_SIZE;
    c->expected = MESSAGE_SIZE;
    c->port = s->port;
    c->datagrams = first == DATAGRAMS;
    c->secure = asked.encrypted;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->all = calloc(count, sizeof *c->all);
    return (c->epoll >= 0 && c->all) || load_failed("clients");
}

/* Its first message, where that is waited for; some: now. */
static bool try_first(clients *c, const client *one, enum first_echo first, bool some)
{
    if (first == EACH_ECHOES || ((first == SOME_ECHO || first == SOME_ANEW) && some))
        return round_trip(one->fd);
    if (first == EACH_ANSWERS)
        return ask(c, one);
    return first != SOME_ANSWER || !some || (ask(c, one) && learn(c, one));
}

/* Those from there on that have asked have their answers, and all are watched. */
static bool settle(clients *c, size_t from, enum first_echo first)
{
    for (size_t i = from; i < c->count; i++)
        if ((first == EACH_ANSWERS && !learn(c, &c->all[i])) || !watch(c, &c->all[i]))
            return false;
    return true;
}

bool clients_connect(clients *c, size_t count, enum first_echo first)
{
    size_t from = c->count;
    while (c->count < count) {
        client *one = &c->all[c->count];
        one->fd = connect_to(c);
        if (one->fd < 0)
            return false;
        c->count++;
        bool some = c->count % ACCEPTED_EVERY == 0 || c->count == count;
        if (c->secure && !(one->secure = secure_connect(one->fd)))
            return false;
        if (!try_first(c, one, first, some))
            return false;
        if (some) {
            if (!settle(c, from, first))
                return false;
            from = c->count;
        }
    }
    c->anew = first == SOME_ANEW;
    return true;
}

bool clients_open(clients *c, const server *s, size_t count, enum first_echo first)
{
    return clients_prepare(c, s, count, first) && clients_connect(c, count, first);
}

static bool send_next(clients *c, client *one, int64_t now)
{
    one->got = 0;
    one->sent_at = now;
    c->under_way++;
    return ask(c, one);
}

bool clients_begin(clients *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!send_next(c, &c->all[i], now_ns()))
            return false;
    return true;
}

/* Of an answer the status is looked at, where it lies in one piece. */
static bool is_expected(const clients *c, const client *one, const char *buf, size_t got)
{
    if (c->message == message)
        return memcmp(buf, message + one->got, got) == 0;
    return one->got > 0 || got < sizeof status_line || memcmp(buf, status_line, sizeof status_line - 1) == 0;
}

void clients_note(clients *c, int64_t ns) { c->latencies[bucket_of(ns)]++; }

/* The next message of one whose last has come back; over a connection of its own, where that is the load. */
static bool go_on(clients *c, client *one, int64_t now)
{
    c->echoed++;
    c->under_way--;
    clients_note(c, now - one->sent_at);
    if (c->anew) {
        close(one->fd);
        one->ending = false;
        one->fd = connect_to(c);
        if (one->fd < 0 || !watch(c, one))
            return false;
    }
    return c->finishing || send_next(c, one, now);
}

/* The server's end, behind the echo. */
static bool take_end(clients *c, client *one)
{
    char more;
    ssize_t got = recv(one->fd, &more, 1, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return true;
    if (got > 0)
        errno = EBADMSG;
    return got == 0 ? go_on(c, one, now_ns()) : load_failed("the server's end");
}

/* What one client has to read, and its next message when that was all of the last. A long answer is read in pieces,
 * for what is left would not be told of again. */
static bool take_echo(clients *c, client *one)
{
    static char buf[PIECE];
    size_t left = c->expected - one->got;
    ssize_t got = get(one, buf, left < sizeof buf ? left : sizeof buf, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return true;
    if (got <= 0) {
        errno = got < 0 ? errno : ECONNRESET;
        return load_failed("the server ended a connection");
    }
    if (!is_expected(c, one, buf, (size_t)got)) {
        return load_refused("what came back differs from what was expected");
    }
    one->got += (unsigned)got;
    if (one->got < c->expected)
        return (!one->secure && (size_t)got < sizeof buf) || take_echo(c, one);
    if (!c->anew)
        return go_on(c, one, now_ns());
    one->ending = true;
    return shutdown(one->fd, SHUT_WR) == 0 || load_failed("shutdown");
}

static bool take_echoes(clients *c)
{
    static struct epoll_event events[BATCH];
    int n = load_wait(c->epoll, events, BATCH, "waiting for echoes");
    if (n < 0)
        return false;
    for (int i = 0; i < n; i++)
        if (!(((client *)events[i].data.ptr)->ending ? take_end : take_echo)(c, events[i].data.ptr))
            return false;
    return true;
}

bool clients_run(clients *c, int64_t until, uint64_t at_least)
{
    while (now_ns() < until || c->echoed < at_least)
        if (!take_echoes(c))
            return false;
    return true;
}

bool clients_finish(clients *c)
{
    c->finishing = true;
    while (c->under_way > 0)
        if (!take_echoes(c))
            return false;
    c->finishing = false;
    return true;
}

static char block[65536];

bool clients_fill(clients *c, int64_t until, uint64_t *bytes)
{
    while (now_ns() < until) {
        ssize_t sent = send(c->all[0].fd, block, sizeof block, MSG_NOSIGNAL);
        if (sent < 0)
            return load_failed("send");
        *bytes += (uint64_t)sent;
    }
    return true;
}

bool clients_drain(clients *c, int64_t until, uint64_t *bytes)
{
    while (now_ns() < until) {
        ssize_t got = recv(c->all[0].fd, block, sizeof block, 0);
        if (got == 0)
            errno = ECONNRESET;
        if (got <= 0)
            return load_failed("recv");
        *bytes += (uint64_t)got;
    }
    return true;
}

void clients_forget(clients *c)
{
    c->echoed = 0;
    memset(c->latencies, 0, sizeof c->latencies);
}

double clients_latency(const clients *c, double share)
{
    uint64_t passed = 0, all = 0;
    for (size_t i = 0; i < LATENCIES; i++)
        all += c->latencies[i];
    for (size_t i = 0; i < LATENCIES; i++) {
        passed += c->latencies[i];
        if (passed > 0 && (double)passed >= share * (double)all)
            return bucket_middle(i);
    }
    return 0;
}

void clients_close(clients *c)
{
    for (size_t i = 0; i < c->count; i++) {
        secure_free(c->all[i].secure);
        close(c->all[i].fd);
    }
    if (c->epoll >= 0)
        close(c->epoll);
    free(c->all);
    c->all = NULL;
    c->count = 0;
}
