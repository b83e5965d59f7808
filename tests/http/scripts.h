/* SPDX-License-Identifier: MIT */
/* scripts.h: a server written by hand on a crank stream, which answers as a test says and keeps what it was sent.
 *
 * An answer is its bytes as they go over the wire. Behind the last answer of a connection, and behind one that ends in
 * CLOSE or RESET, the connection ends. */
#ifndef SCRIPTS_H
#define SCRIPTS_H
#include <crank/http.h>
#include "test.h"

#define CLOSE "\001"
#define RESET "\002"
#define OK(body_size, body) "HTTP/1.1 200 OK\r\ncontent-length: " body_size "\r\n\r\n" body

enum { REQUESTS_MAX = 40 };

typedef struct script {
    const char *const *answers; /* one for each request, NULL behind the last: then it is told over again */
    double delay;               /* seconds before each answer */
    crank_listener *listener;
    crank_task *server;
    char url[64];     /* "http://127.0.0.1:41234" */
    char address[64]; /* "127.0.0.1:41234" */
    size_t requests, connections, ended;
    size_t on[REQUESTS_MAX];        /* the number of its connection, from 1 */
    char heads[REQUESTS_MAX][1024]; /* of the requests */
    char bodies[REQUESTS_MAX][256]; /* the beginning of each */
    size_t sizes[REQUESTS_MAX];
    bool saw_reset; /* a client has reset its connection */
} script;

static inline int script_note_body(script *s, size_t i, crank_stream *peer)
{
    const char *length = strstr(s->heads[i], "content-length: ");
    size_t left = length ? strtoul(length + 16, NULL, 10) : 0;
    char piece[4096];
    while (left > 0) {
        ssize_t n = crank_try(crank_read(peer, piece, left < sizeof piece ? left : sizeof piece));
        if (n == 0)
            return -ENODATA;
        for (size_t at = s->sizes[i]; at < sizeof s->bodies[i] - 1 && at - s->sizes[i] < (size_t)n; at++)
            s->bodies[i][at] = piece[at - s->sizes[i]];
        s->sizes[i] += (size_t)n;
        left -= (size_t)n;
    }
    return 0;
}

/* In chunks: all up to the last one's end, as it was sent. */
static inline int script_note_chunks(script *s, size_t i, crank_stream *peer)
{
    char line[4096];
    do {
        ssize_t n = crank_try(crank_read_line(peer, line, sizeof line));
        if (n == 0)
            return -ENODATA;
        size_t held = strlen(s->bodies[i]);
        snprintf(s->bodies[i] + held, sizeof s->bodies[i] - held, "%s", line);
        s->sizes[i] += (size_t)n;
    } while (strcmp(line, "0\r\n") != 0);
    return (int)crank_try(crank_read_line(peer, line, sizeof line)) == 2 ? 0 : -EPROTO;
}

/* 1: another request may follow; 0: the client has ended, or the script says so. */
static inline int script_answer(script *s, crank_stream *peer, size_t connection)
{
    size_t i = s->requests, count = 0;
    EXPECT(i < REQUESTS_MAX);
    ssize_t n = crank_read_until(peer, "\r\n\r\n", s->heads[i], sizeof s->heads[i]);
    if (n <= 0)
        return (int)n;
    s->requests++;
    s->on[i] = connection;
    if (strstr(s->heads[i], "transfer-encoding: chunked"))
        crank_try(script_note_chunks(s, i, peer));
    else
        crank_try(script_note_body(s, i, peer));
    if (s->delay > 0)
        crank_try(crank_sleep(s->delay));
    while (s->answers[count])
        count++;
    const char *answer = s->answers[i % count];
    size_t size = strlen(answer);
    char last = size > 0 ? answer[size - 1] : '\0';
    bool ends = last == *CLOSE || last == *RESET;
    crank_try(crank_write(peer, answer, ends ? size - 1 : size));
    if (last == *RESET) {
        crank_try(crank_flush(peer));
        crank_abort(peer);
    }
    return !ends;
}

static inline int script_serve_one(crank_stream *peer, script *s)
{
    int more = 1;
    size_t connection = ++s->connections;
    while (more > 0)
        more = script_answer(s, peer, connection);
    s->saw_reset |= more == -ECONNRESET || more == -EPIPE;
    s->ended++;
    return more == -ECANCELED ? more : 0;
}
/* Without it the client would wait for an answer. */
static inline int script_serve(script *s)
{
    int err = crank_serve(s->listener, script_serve_one, s);
    if (err < 0 && err != -ECANCELED)
        test_fail(__FILE__, __LINE__, "cannot serve: %s", crank_error());
    return err;
}

/* Begin to serve; the caller ends it with script_stop, or by AUTO_SCRIPT. */
static inline void script_begin(script *s, const char *const *answers)
{
    memset(s, 0, sizeof *s);
    s->answers = answers;
    s->listener = crank_listen("127.0.0.1:0");
    if (!s->listener)
        test_fail(__FILE__, __LINE__, "cannot listen: %s", crank_error());
    snprintf(s->address, sizeof s->address, "%s", crank_listener_address(s->listener, 0));
    snprintf(s->url, sizeof s->url, "http://%.40s", s->address);
    s->server = crank_spawn(script_serve, s);
}
static inline script *script_start(const char *const *answers)
{
    script *s = test_memory(sizeof *s);
    script_begin(s, answers);
    return s;
}
#define SCRIPT(...) script_start((const char *const[]){ __VA_ARGS__, NULL })

static inline int script_stop(script *s)
{
    crank_listener_stop(s->listener, 0);
    int err = (int)crank_shield(crank_await(s->server));
    crank_try(crank_listener_close(s->listener));
    s->listener = NULL;
    return err;
}
/* One that a test leaves behind when it fails ends with its block. */
#define AUTO_SCRIPT CRANK_CLEANUP_(script_drop)
static inline void script_drop(script **s)
{
    if ((*s)->listener)
        (void)script_stop(*s);
}

/* A URL of the script's, in one of four places that are used in turn. */
static inline const char *script_url(const script *s, const char *path)
{
    static char text[4][256];
    static unsigned next;
    char *url = text[next++ % 4];
    snprintf(url, sizeof *text, "%s%s", s->url, path);
    return url;
}

/* A call that must succeed. */
static inline crank_http_response *answer_of(crank_http_response *r, const char *file, int line)
{
    if (!r)
        test_fail(file, line, "the call failed: %s [%s]", crank_error(), crank_errno_name(errno));
    return r;
}
#define ANSWER(r, call) \
    CRANK_AUTO_HTTP crank_http_response *r = answer_of((call), __FILE__, __LINE__); \
    (void)(r)
/* A call that must fail so, with this in its sentence. */
#define FAILS(error, says, call) \
    do { \
        crank_http_response *fails_ = (call); \
        if (fails_) \
            test_fail(__FILE__, __LINE__, "%s gave %d, expected " #error, #call, fails_->status); \
        int fails_err_ = errno; \
        if (fails_err_ != (error)) \
            test_fail(__FILE__, __LINE__, "%s failed with %s (%s), expected " #error, #call, \
                crank_errno_name(fails_err_), crank_error()); \
        EXPECT_CONTAINS(crank_error(), says); \
    } while (0)
#endif
