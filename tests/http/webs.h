/* SPDX-License-Identifier: MIT */
/* webs.h: what tests of the web server share: clients that send bytes, and answers taken apart. */
#ifndef WEBS_H
#define WEBS_H
#include <crank/http.h>
#include <strings.h>
#include "test.h"

enum { WEBS_BODY_MAX = 8192 };

typedef struct webs_answer {
    int status;      /* 0: the connection ended before one */
    bool closes;     /* it says so */
    char head[2048]; /* without the status line */
    char body[WEBS_BODY_MAX];
    size_t size;
} webs_answer;

static inline crank_stream *webs_connect(const crank_listener *l)
{
    crank_stream *s = crank_connect(crank_listener_address(l, 0));
    if (!s)
        test_fail(__FILE__, __LINE__, "cannot connect: %s", crank_error());
    return s;
}

/* A listener on the loopback. */
static inline crank_listener *webs_listen(void)
{
    crank_listener *l = crank_listen("127.0.0.1:0");
    if (!l)
        test_fail(__FILE__, __LINE__, "cannot listen: %s", crank_error());
    return l;
}

/* A server that has failed takes no connection: clients that wait for it are reset, so that the test ends. */
static inline int webs_served(crank_listener *l, int err)
{
    if (err < 0 && err != -ECANCELED)
        (void)crank_listener_stop(l, 0);
    return err;
}

/* A server that a test leaves behind when it fails ends with its block: declared behind the listener. */
#define AUTO_SERVER CRANK_CLEANUP_(webs_drop_server)
static inline int webs_await(crank_task **server)
{
    crank_task *task = *server;
    *server = NULL;
    return (int)crank_await(task);
}
static inline void webs_drop_server(crank_task **server)
{
    crank_cancel(*server);
    if (*server)
        (void)crank_shield(webs_await(server));
}
static inline int webs_stop(crank_listener *l, crank_task **server, double grace)
{
    crank_try(crank_listener_stop(l, grace));
    return webs_await(server);
}

/* The value of a field of an answer's head, in one of four places; NULL: there is none. */
static inline const char *webs_field(const webs_answer *a, const char *name)
{
    static char values[4][200];
    static unsigned next;
    size_t length = strlen(name);
    for (const char *at = a->head; *at; at = strchr(at, '\n') + 1)
        if (strncasecmp(at, name, length) == 0 && at[length] == ':') {
            char *value = values[next++ % 4];
            snprintf(value, sizeof *values, "%.*s", (int)strcspn(at + length + 2, "\r"), at + length + 2);
            return value;
        }
    return NULL;
}

/* ssize_t of crank_read_exactly and its like: how many, or a failed test. */
static inline size_t webs_size(ssize_t n)
{
    if (n < 0)
        test_fail(__FILE__, __LINE__, "cannot read an answer: %s", crank_error());
    return (size_t)n;
}

static inline void webs_read_chunks(crank_stream *s, webs_answer *a)
{
    char line[100];
    for (;;) {
        webs_size(crank_read_until(s, "\r\n", line, sizeof line));
        size_t size = strtoul(line, NULL, 16);
        EXPECT(a->size + size < sizeof a->body);
        if (size > 0)
            webs_size(crank_read_exactly(s, a->body + a->size, size));
        a->size += size;
        webs_size(crank_read_exactly(s, line, 2));
        EXPECT(line[0] == '\r' && line[1] == '\n');
        if (size == 0)
            return;
    }
}

static inline void webs_read_head(crank_stream *s, webs_answer *a)
{
    char line[600];
    size_t size = 0;
    *a = (webs_answer){ .status = 0 };
    size_t n = webs_size(crank_read_line(s, line, sizeof line));
    if (n == 0)
        return;
    EXPECT(strncmp(line, "HTTP/1.1 ", 9) == 0);
    a->status = (int)strtol(line + 9, NULL, 10);
    while (webs_size(crank_read_line(s, line, sizeof line)) > 0 && strcmp(line, "\r\n") != 0)
        size += (size_t)snprintf(a->head + size, sizeof a->head - size, "%s", line);
    const char *connection = webs_field(a, "Connection");
    a->closes = connection && strcmp(connection, "close") == 0;
}

/* The next answer, with the body that its framing says; has_body false: of HEAD. */
static inline void webs_read(crank_stream *s, webs_answer *a, bool has_body)
{
    webs_read_head(s, a);
    const char *length = webs_field(a, "Content-Length");
    if (!has_body || a->status == 0)
        return;
    if (webs_field(a, "Transfer-Encoding")) {
        webs_read_chunks(s, a);
    } else if (length) {
        a->size = strtoul(length, NULL, 10);
        EXPECT(a->size < sizeof a->body);
        webs_size(crank_read_exactly(s, a->body, a->size));
    } else if (a->status != 204 && a->status != 304) {
        for (size_t n = 1; n > 0; a->size += n)
            n = webs_size(crank_read(s, a->body + a->size, sizeof a->body - a->size - 1));
    }
    a->body[a->size] = '\0';
}

static inline void webs_send(crank_stream *s, const char *text)
{
    if (crank_write(s, text, strlen(text)) < 0 || crank_flush(s) < 0)
        test_fail(__FILE__, __LINE__, "cannot send: %s", crank_error());
}

/* One request, one answer; valid until the next call. */
static inline const webs_answer *webs_ask(crank_stream *s, const char *request)
{
    static webs_answer answer;
    webs_send(s, request);
    webs_read(s, &answer, strncmp(request, "HEAD", 4) != 0);
    return &answer;
}
static inline const webs_answer *webs_get(crank_stream *s, const char *target)
{
    char request[300];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    return webs_ask(s, request);
}

/* The end of the connection: whether it came in order. */
static inline void webs_expect_end(crank_stream *s)
{
    char byte;
    ssize_t n = crank_read(s, &byte, 1);
    if (n != 0)
        test_fail(__FILE__, __LINE__, "a read at the end gives %zd: %s", n, n < 0 ? crank_error() : "");
}
/* A reset, or an abort of the peer's. */
static inline void webs_expect_reset(crank_stream *s)
{
    char bytes[1000];
    ssize_t n;
    while ((n = crank_read(s, bytes, sizeof bytes)) > 0)
        ;
    EXPECT_EQ(n, -ECONNRESET);
}
#endif
