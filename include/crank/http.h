/* SPDX-License-Identifier: MIT */
#ifndef CRANK_HTTP_H
#define CRANK_HTTP_H
/* HTTP/1.1: a server. Included by itself, linked with -lcrank-http (pkg-config crank-http): crank.h does not include
 * it. A request is a task, a child of its connection's; bodies are streams, and what is small has calls of one line.
 * Limits are on by default (crank_http_options), and none counts while a handler computes. */
#include "base.h"
#include "call.h"
#include "net.h"
#include "stream.h"
/* Not a system header, as net.h is none: gcc would then keep silent about an ignored result. */

CRANK_BEGIN_DECLS

/* One line of a head: its name as sent, its value without the blanks around it. */
typedef struct crank_http_field {
    const char *name, *value;
} crank_http_field;

/* ---- Requests -------------------------------------------------------------------------------------------------- */

/* What a handler is given: read-only, and valid until it returns. */
typedef struct crank_http_request {
    const char *method;       /* "GET" */
    const char *target;       /* as sent: "/a%20b?x=1" */
    const char *path, *query; /* "/a b": decoded, without dots, an encoded slash stays "%2F"; "x=1" or "" */
    const char *host;         /* in lower case, with the port where one was sent; "" where there is none */
    const char *peer;         /* "93.184.216.34:51234" */
    int version;              /* 11 or 10 */
    bool secure;              /* it came by TLS */
    int64_t size;             /* of the body: 0: there is none; -1: not told before */
} crank_http_request;

/* A field of the head, by its name in any case; several lines with this name are joined by ", ". NULL: there is none,
 * or memory for joining is short. */
#define crank_http_header(message, name) \
    _Generic((message), crank_http_request *: crank_http_request_header_)((message), (name))
CRANK_API const char *crank_http_request_header_(crank_http_request *request, const char *name);
/* All lines of the head in order, of which max are filled in: how many there are. */
#define crank_http_fields(message, ret_fields, max) \
    _Generic((message), crank_http_request *: crank_http_request_fields_, \
        const crank_http_request *: crank_http_request_fields_)((message), (ret_fields), (max))
CRANK_API size_t crank_http_request_fields_(
    const crank_http_request *request, crank_http_field *ret_fields, size_t max);
/* The value of the query's first pair with this name, decoded; "" where it has none; NULL: there is no such pair, or
 * memory is short. */
CRANK_API const char *crank_http_query(crank_http_request *request, const char *name);
/* Has the request this method, and a path of this pattern? "GET" takes HEAD too. In a pattern "*" stands for one part
 * between slashes that is not empty, and "**" at its end for the rest. What matches but for the method is noted: a
 * handler that returns 0 without an answer gives 405 with Allow then, else 404. */
CRANK_API bool crank_http_is(crank_http_request *request, const char *method, const char *pattern);
/* What the i-th star, from 0, of the last match stood for; "" beyond. */
CRANK_API const char *crank_http_part(crank_http_request *request, size_t i);
/* The body as a stream, borrowed; never NULL. A client that waits for leave to send it (100 Continue) is given it. An
 * end is the body's; where the body fails, reads fail with -ECONNABORTED, and a handler that returns that has the
 * client told why: 400, 408 or 413. */
#define crank_http_body(message) _Generic((message), crank_http_request *: crank_http_request_body_)(message)
CRANK_API crank_stream *crank_http_request_body_(crank_http_request *request);
/* The whole body, in the request's memory, with a 0 behind: how many bytes. Fails with -EMSGSIZE (more than limit;
 * 413), -ENODATA (the connection ended before), -EPROTO (its framing is broken; 400), -ETIMEDOUT (it came too slowly;
 * 408), -EALREADY (crank_http_body has it), -ENOMEM, else as crank_read. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_http_read_body(
    crank_http_request *request, size_t limit, char **ret_body);
/* The peer's going away, a reset or the end of its input, cancels a GET or HEAD, and no other method; after this call
 * it does not cancel this one. */
CRANK_API void crank_http_stay(crank_http_request *request);

/* ---- Answers --------------------------------------------------------------------------------------------------- */

/* A field of the answer's head, in place of those with this name. Before the answer begins, else -EALREADY; -EINVAL:
 * the name is none, the value has CR, LF or another control; -ENOMEM. "Content-Length" says how much the stream of
 * crank_http_begin is to be given. */
CRANK_API int crank_http_set(crank_http_request *request, const char *name, const char *value);
/* The same, beside those with this name. */
CRANK_API int crank_http_add(crank_http_request *request, const char *name, const char *value);
/* Answer at once: a status, the type of the body ("text/plain"; NULL: none is named) and the body. Every answer has
 * Date and "X-Content-Type-Options: nosniff", unless set otherwise. 0; fails with -EALREADY (after another answer),
 * -EINVAL (the status is not 200 to 599, or as crank_http_set), -ENOMEM, -EPIPE, -ECONNRESET, -ETIMEDOUT (the client
 * reads too slowly), -ECANCELED. */
CRANK_API CRANK_BLOCKS int crank_http_respond(
    crank_http_request *request, int status, const char *type, const void *body, size_t size);
/* The same, formatted. */
CRANK_API CRANK_BLOCKS int crank_http_print(
    crank_http_request *request, int status, const char *type, const char *format, ...) CRANK_PRINTF(4, 5);
/* Answer with 301, 302, 303, 307 or 308, to go on at location: a URL, or a path of this host. Fails as
 * crank_http_respond; -EINVAL for another status, and for a path that begins with two slashes, which would be another
 * host. */
CRANK_API CRANK_BLOCKS int crank_http_redirect(crank_http_request *request, int status, const char *location);
/* Begin an answer that goes on: a stream to write it to, borrowed; it ends when the handler returns 0. In chunks, or
 * as many bytes as "Content-Length" was set to, to HTTP/1.0 without that to the connection's end. Where the handler
 * fails, or has written less than it set, the connection is reset, so that a half is not taken for the whole. NULL,
 * and errno is set: as crank_http_respond fails, -EMFILE. */
CRANK_API CRANK_BLOCKS crank_stream *crank_http_begin(crank_http_request *request, int status, const char *type);
/* Send an event to a browser's EventSource; the first begins the answer. name and id may be NULL; each line of the text
 * is a data line. After 15 s without one a comment is sent, so that what lies between keeps the connection. 0; fails as
 * crank_http_respond, -EALREADY after another answer than events, -EINVAL (a name or id has a control). */
CRANK_API CRANK_BLOCKS int crank_http_event(crank_http_request *request, const char *name, const char *id,
    const char *format, ...) CRANK_PRINTF(4, 5);
/* Answer with the file at the request's path below folder: its type by its name's end, Content-Length, Last-Modified;
 * "/dir" is redirected to "/dir/", and that is its index.html. Symbolic links are not followed, and names that begin
 * with a dot are not there. What is not there or no file is answered 404, another method than GET and HEAD 405. 0;
 * fails as crank_http_respond, -EMFILE, read's errors. */
CRANK_API CRANK_BLOCKS int crank_http_file(crank_http_request *request, const char *folder);
/* For HTML: the text into buf with &, <, >, " and ' escaped, cut to size and terminated; gives the length it would
 * have. Never cut within an escape. */
CRANK_API size_t crank_http_escape(char *buf, size_t size, const char *text);

/* ---- Serving --------------------------------------------------------------------------------------------------- */

/* What crank_http_serve_with is told. Each field may be zero: its default. */
typedef struct crank_http_options {
    size_t connections_max; /* more wait to be accepted: 0 is crank_descriptors_max() less 32 */
    size_t head_max;        /* bytes of a head, beyond 431: 0 is 32 KiB, which is the most */
    double head;            /* seconds from a head's first byte to its last, beyond 408; and from the connection's
                             * beginning to the first: 0 is 10 */
    double idle;            /* seconds between two requests, beyond the connection is closed: 0 is 75 */
    double rate;            /* bytes per second that a body must come with, else 408, and an answer leave with, else a
                             * reset: of the time that is spent waiting for them, of which 30 seconds are free. 0 is
                             * 100; negative: none */
    int64_t body_max;       /* bytes of a body, beyond 413: 0 is 1 GiB, negative none */
    bool half_closed;       /* the end of a client's input is no going away */
    /* Names, separated by blanks, under which a listener on a loopback address may be asked besides localhost and
     * numbers: others are answered 421, for a page of another site may have made its own name mean this machine. */
    const char *hosts;
    /* Proxies in front, "127.0.0.1 10.0.0.0/8 ::1": of requests from these, peer, secure and host are what the proxy
     * says in X-Forwarded-For, -Proto and -Host. NULL: none is believed. */
    const char *proxies;
    /* Lines in the common log format, with microseconds behind. Never waited for: lines that find no room are counted,
     * and the count is written when there is room. */
    crank_stream *log;
    /* Called in the request's task with each failure of a handler but -ECANCELED, instead of a report; crank_error
     * tells more. */
    void (*on_failure)(const crank_http_request *request, int error, void *arg);
    void *arg;
} crank_http_options;

#ifndef __cplusplus
/* Run handler(request, extra...) as a task for each request: crank_http_serve(listener, handler, extra...). What it
 * returns: 0, where it has answered or nothing matched; or a failure: before its answer 500, or the status of its own
 * body's failure; after it has begun the connection is reset. A failure is reported and disturbs no other request; a
 * peer's going is none. Ends as crank_serve does. When the listener is stopped, connections without a request are
 * closed at once, and the others after their answer. */
#define crank_http_serve(listener, ...) CRANK_HTTP_SERVE_((listener), 0, 0, __VA_ARGS__)
/* The same as options say; they are copied, NULL: all defaults; what they point to must last. Fails with -EINVAL (a
 * field is no number, proxies no list) besides. */
#define crank_http_serve_with(options, listener, ...) CRANK_HTTP_SERVE_((listener), 0, (options), __VA_ARGS__)
/* The same for one connection, over any stream, which stays the caller's to close. 0 when it is over; -ECANCELED,
 * -ENOMEM, -EINVAL. */
#define crank_http_serve_stream(options, stream, ...) CRANK_HTTP_SERVE_(0, (stream), (options), __VA_ARGS__)
#define CRANK_HTTP_SERVE_(listener, stream, options, ...) \
    CRANK_CAT_(CRANK_HTTP_SERVE_, CRANK_HAS_ARGS_(__VA_ARGS__))( \
        ((crank_http_serve_what_){ listener, stream, options }), __VA_ARGS__)
#define CRANK_HTTP_SERVE_0(what, handler) \
    CRANK_CAPTURE_(__COUNTER__, crank_http_serve_, what, handler, (crank_http_request *)0)
#define CRANK_HTTP_SERVE_1(what, handler, ...) \
    CRANK_CAPTURE_(__COUNTER__, crank_http_serve_, what, handler, (crank_http_request *)0, __VA_ARGS__)
typedef struct crank_http_serve_what_ {
    crank_listener *listener; /* NULL: the stream is served */
    crank_stream *stream;
    const crank_http_options *options;
} crank_http_serve_what_;
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_http_serve_(
    crank_http_serve_what_ what, crank_function_ *handler, const crank_site *site);
#endif

CRANK_END_DECLS
#endif
