/* SPDX-License-Identifier: MIT */
#ifndef CRANK_HTTP_H
#define CRANK_HTTP_H
/* HTTP/1.1: a server and a client. Included by itself, linked with -lcrank-http (pkg-config crank-http): crank.h does
 * not include it. A request is a task, a child of its connection's; bodies are streams, and what is small has calls of
 * one line. Limits are on by default (crank_http_options), and none counts while a handler computes. */
#include "base.h"
#include "call.h"
#include "net.h"
#include "stream.h"
#include <time.h>
/* Not a system header, as net.h is none: gcc would then keep silent about an ignored result. */

CRANK_BEGIN_DECLS

/* Certificates, one's own and trusted ones: crank/tls.h. */
typedef struct crank_tls crank_tls;

/* One line of a head: its name as sent, its value without the blanks around it. */
typedef struct crank_http_field {
    const char *name, *value;
} crank_http_field;

/* ---- Requests -------------------------------------------------------------------------------------------------- */

/* What a handler is given: read-only, and valid until it returns, as are the texts that calls on it give. */
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

/* A field of the head, by its name in any case; several lines with this name are joined by ", ". Valid as long as the
 * message. NULL: there is none, or memory for joining is short. */
#define crank_http_header(message, name) \
    _Generic((message), crank_http_request *: crank_http_request_header_, \
        crank_http_response *: crank_http_response_header_)((message), (name))
CRANK_API const char *crank_http_request_header_(crank_http_request *request, const char *name);
/* All lines of the head in order, of which max are filled in: how many there are. */
#define crank_http_fields(message, ret_fields, max) \
    _Generic((message), crank_http_request *: crank_http_request_fields_, \
        const crank_http_request *: crank_http_request_fields_, \
        crank_http_response *: crank_http_response_fields_, \
        const crank_http_response *: crank_http_response_fields_)((message), (ret_fields), (max))
CRANK_API size_t crank_http_request_fields_(
    const crank_http_request *request, crank_http_field *ret_fields, size_t max);
/* The value of the query's first pair with this name, decoded; "" where it has none; NULL: there is no such pair, or
 * memory is short. */
CRANK_API const char *crank_http_query(crank_http_request *request, const char *name);
/* Has the request this method, and a path of this pattern? "GET" takes HEAD too. In a pattern "*" stands for one part
 * between slashes that is not empty, and "**" at its end for the rest; one of more than 16 stars matches nothing. What
 * matches but for the method is noted: a handler that returns 0 without an answer gives 405 with Allow then, else 404.
 */
CRANK_API bool crank_http_is(crank_http_request *request, const char *method, const char *pattern);
/* What the i-th star, from 0, of the last match stood for; "" beyond, or where memory is short. */
CRANK_API const char *crank_http_part(crank_http_request *request, size_t i);
/* The body as a stream, borrowed; never NULL. A client that waits for leave to send it (100 Continue) is given it by
 * the first read. An end is the body's; where the body fails, reads fail with -ECONNABORTED, and a handler that returns
 * that has the client told why: 400, 408 or 413. Of a response that crank_http_open gave, where crank_http_ok says why.
 */
#define crank_http_body(message) \
    _Generic((message), crank_http_request *: crank_http_request_body_, \
        crank_http_response *: crank_http_response_body_)(message)
CRANK_API crank_stream *crank_http_request_body_(crank_http_request *request);
/* The whole body, in the request's memory, with a 0 behind: how many bytes. Fails with -EMSGSIZE (more than limit;
 * 413), -ENODATA (the connection ended before), -EPROTO (its framing is broken; 400), -ETIMEDOUT (it came too slowly;
 * 408), -EALREADY (crank_http_body or an earlier call has it), -ENOMEM, else as crank_read. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE ssize_t crank_http_read_body(
    crank_http_request *request, size_t limit, char **ret_body);
/* Read the body of a page's form, "application/x-www-form-urlencoded", for crank_http_form. 0; fails with -EINVAL
 * (another type; 415), -EPROTO (more than 1,000 entries, or a zero byte; 400), else as crank_http_read_body. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_http_read_form(crank_http_request *request, size_t limit);
/* The value of the form's first entry with this name, decoded, as crank_http_query's. NULL before
 * crank_http_read_form, too. */
CRANK_API const char *crank_http_form(crank_http_request *request, const char *name);
/* The value of the first cookie with this name, as it was sent but for quotes around it. NULL: there is none, or memory
 * is short. */
CRANK_API const char *crank_http_cookie(crank_http_request *request, const char *name);
/* The peer's going away, a reset or the end of its input, cancels a GET or HEAD, and no other method; after this call
 * it does not cancel this one. */
CRANK_API void crank_http_stay(crank_http_request *request);

/* ---- Answers --------------------------------------------------------------------------------------------------- */

/* A field of the answer's head, in place of those with this name; both are copied. Before the answer begins, else
 * -EALREADY; -EINVAL: the name is none, the value has CR, LF or another control, or the server chooses this field
 * itself (Transfer-Encoding, and Connection but for "close"); -ENOMEM. "Content-Length", of 1 to 18 digits, says how
 * much the stream of crank_http_begin is to be given. */
CRANK_API int crank_http_set(crank_http_request *request, const char *name, const char *value);
/* The same, beside those with this name. */
CRANK_API int crank_http_add(crank_http_request *request, const char *name, const char *value);
/* Have the client keep a cookie, and send it with requests to any path of this host: for so many seconds; 0: until the
 * browser is closed; negative: it is to be forgotten. Scripts of a page cannot read it (HttpOnly), pages of other sites
 * send it with nothing but links to here (SameSite=Lax), and one that came by TLS is sent by nothing else (Secure). It
 * takes the place of one set before under this name. Fails as crank_http_set; -EINVAL where the name is no word,
 * seconds no number, or the value none for a cookie: crank_http_encode makes any text fit. */
CRANK_API int crank_http_set_cookie(crank_http_request *request, const char *name, const char *value, double seconds);
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
 * fails, or has written less or more than it set, the connection is reset, so that a half is not taken for the whole.
 * What it writes is sent while it goes on; its calls wait where the client does not read. NULL, and errno is set: as
 * crank_http_respond fails. */
CRANK_API CRANK_BLOCKS crank_stream *crank_http_begin(crank_http_request *request, int status, const char *type);
/* Send an event to a browser's EventSource; the first begins the answer. name and id may be NULL; each line of the text
 * is a data line. After 15 s without one a comment is sent, so that what lies between keeps the connection. 0; fails as
 * crank_http_respond, -EALREADY after another answer than events, -EINVAL (a name or id has a control), -EPIPE (HEAD,
 * which is answered by the head alone). Waits while more than 64 KiB are unsent to this browser. */
CRANK_API CRANK_BLOCKS int crank_http_event(crank_http_request *request, const char *name, const char *id,
    const char *format, ...) CRANK_PRINTF(4, 5);
/* Answer with the file at the request's path below folder. Its type is that of its name's end, unless Content-Type
 * was set; ETag, Last-Modified and the If- fields are seen to (304, 412), and one Range (206, 416; several are
 * answered with the whole). Where the client takes gzip, and beside the file lies one with ".gz" behind its name that
 * is not older, that is sent. "/dir" is redirected to "/dir/", and that is its index.html. Symbolic links below the
 * folder are not followed, and names that begin with a dot are not there. What is not there or no regular file is
 * answered 404, what may not be read 403, another method than GET and HEAD 405. A file that becomes shorter while it
 * is sent resets the connection. 0; fails as crank_http_respond, -EMFILE, -ENODATA (it became shorter), read's
 * errors. */
CRANK_API CRANK_BLOCKS int crank_http_file(crank_http_request *request, const char *folder);
/* The same with the file at this path, which the program has chosen: links are followed, and names may begin with a
 * dot. A folder is answered 404. */
CRANK_API CRANK_BLOCKS int crank_http_file_at(crank_http_request *request, const char *path);
/* For answers that are not files: does the client have this version already, or refuse it? etag is a text that differs
 * between versions, without quotes ("42"); NULL: none. modified is when it changed; 0: not known. Both are set as
 * fields of the answer. 1: 304 or 412 was answered, and the handler is to return; 0: it is to answer, or before a PUT
 * or DELETE to go on. Fails as crank_http_respond; -EINVAL where the tag has a blank, quote or control. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_http_fresh(
    crank_http_request *request, const char *etag, time_t modified);
/* For HTML: the text into buf with &, <, >, " and ' escaped, cut to size and terminated; gives the length it would
 * have. Never cut within an escape. */
CRANK_API size_t crank_http_escape(char *buf, size_t size, const char *text);

/* ---- Serving --------------------------------------------------------------------------------------------------- */

/* What crank_http_serve_with is told. Each field may be zero: its default. */
typedef struct crank_http_options {
    size_t connections_max; /* more wait to be accepted: 0 is crank_descriptors_max() less 32 */
    size_t head_max;        /* bytes of a head, else 431: 0 is 32 KiB, which is the most */
    double head;            /* seconds from a head's first byte to its last, else 408; and from the connection's
                             * beginning to the first: 0 is 10 */
    double idle;            /* seconds between two requests, then the connection is closed: 0 is 75 */
    double rate;            /* bytes per second that a body must come with, else 408, and an answer leave with, else a
                             * reset: of the time that is spent waiting for them, of which 30 seconds are free. 0 is
                             * 100; negative: none */
    int64_t body_max;       /* bytes of a body, else 413: 0 is 1 GiB, negative none */
    bool half_closed;       /* the end of a client's input is no going away */
    crank_tls *tls;         /* a server's: its connections are encrypted, https. Plain HTTP is answered 400. NULL: http.
                             * With a client's each connection fails and is reported, -EINVAL; -ENOTSUP where crank-http
                             * was built without OpenSSL */
    /* Names, separated by blanks, under which a listener on a loopback address may be asked besides localhost and
     * numbers: others are answered 421, for a page of another site may have made its own name mean this machine. */
    const char *hosts;
    /* Proxies in front, "127.0.0.1 10.0.0.0/8 ::1": of requests from these, peer, secure and host are what the proxy
     * says in X-Forwarded-For, -Proto and -Host. NULL: none is believed. */
    const char *proxies;
    /* Sites whose pages may open a WebSocket here, "https://a.org https://b.org:8443", or "*": all. NULL: those whose
     * host is the request's own. What shows no Origin is no browser, and is let in. */
    const char *origins;
    /* Lines in the common log format, with microseconds behind. Never waited for: lines that find no room are counted,
     * and the count is written when there is room. */
    crank_stream *log;
    /* Called with each failure of a handler but -ECANCELED, and where the answer's stream was given less or more than
     * Content-Length says (-ENODATA, -EMSGSIZE), instead of a report; crank_error tells more. */
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
/* The same for one connection, over any stream to which crank_write_now writes, which stays the caller's to close. 0
 * when it is over; -ECANCELED, -ENOMEM, -EINVAL. */
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

/* ---- Client ---------------------------------------------------------------------------------------------------- */

/* The connections that calls have left open for the next one to the same place. */
typedef struct crank_http_client crank_http_client;

/* An answer, of any status; read-only. Text and body live until crank_http_response_free. */
typedef struct crank_http_response {
    int status;         /* 200 */
    int version;        /* 11, 10 */
    const char *reason; /* "OK", or what the server says instead; may be "" */
    const char *url;    /* of the last request, after redirects; without a fragment */
    char *body;         /* the whole, with a 0 behind; NULL from crank_http_open */
    size_t size;        /* of it */
    int64_t length;     /* of the body as the server announced it; -1: it did not */
    unsigned redirects; /* how many were followed */
    bool reused;        /* it came by a connection that an earlier call had left open */
} crank_http_response;

/* What crank_http_fetch and crank_http_open are told. Each field may be zero: its default. */
typedef struct crank_http_call {
    const char *method;         /* NULL is GET, with a body POST */
    const char *type;           /* of the body: content-type; NULL: none is sent */
    const char *const *headers; /* "name: value", ..., NULL */
    const void *body;           /* of size bytes */
    size_t size;
    crank_stream *from;  /* or this stream to its end, sent by a child task of the caller's; to be left open until the
                          * response is freed */
    size_t limit;        /* bytes of the whole body: 0 is 16 MiB; crank_http_open has none */
    int redirects;       /* how many are followed: 0 is 10; negative: none, the redirect is the answer */
    double stall;        /* seconds without a byte, either way: 0 is 60; CRANK_FOREVER: no limit */
    const char *address; /* connect here instead: "unix:/run/docker.sock", "127.0.0.1:8080" */
    crank_tls *tls;      /* a client's, for https: its trusted certificates; NULL: the system's */
    crank_http_client *client; /* whose connections are used; NULL: those that all calls of the loop share */
} crank_http_call;

/* Retrieve a URL, "https://host/path?query", and give the answer whole; any status is an answer, crank_http_ok tells
 * which are good. Redirects are followed. The caller sets the limit of time (crank_within); a call that is cancelled
 * resets its connection. Where the server has ended a kept connection before any byte of the answer, the request is
 * sent once more on a fresh one (not a POST). To be freed with crank_http_response_free. NULL on failure, errno is set,
 * crank_error says what and where: those of crank_connect; -EINVAL (the URL: the place is shown), -EPROTO (the answer
 * is no HTTP/1, or a redirect goes from https to http), -ENODATA (it ended early), -EMSGSIZE (head above 256 KiB or 256
 * fields, body above 16 MiB), -ELOOP (more than 10 redirects), -ETIMEDOUT (60 s without a byte), those of
 * crank_tls_connect for https, and -ENOTSUP where crank-http was built without OpenSSL, -ENOMEM, -ECANCELED. */
CRANK_API CRANK_BLOCKS crank_http_response *crank_http_get(const char *url);
/* Send size bytes of a type as "application/json" there, and give the answer. Fails as crank_http_get. */
CRANK_API CRANK_BLOCKS crank_http_response *crank_http_post(
    const char *url, const char *type, const void *body, size_t size);
/* The same as call says; NULL: all defaults, a GET. Fails as crank_http_get; -EINVAL for a CR, LF or other control byte
 * in the method, type or headers, for headers that the call sets itself (content-length, transfer-encoding), for a body
 * twice, a negative stall, and for tls of a server's; -ENOTSUP for a redirect that asks for .from once more; and with
 * what reading .from failed with. */
CRANK_API CRANK_BLOCKS crank_http_response *crank_http_fetch(const crank_http_call *call, const char *url);
/* The status and fields of the answer, as soon as they have arrived; crank_http_body is the rest, which comes no faster
 * than it is read: .stall is the time that a read of it waits. Fails as crank_http_fetch. */
CRANK_API CRANK_BLOCKS crank_http_response *crank_http_open(const crank_http_call *call, const char *url);
/* Free an answer; a body that was not read to its end is given up: its connection is reset. Waits only for the task
 * that still reads .from, which is cancelled, and for calls on the body, which fail. NULL is ignored. */
CRANK_API void crank_http_response_free(crank_http_response *response);
/* 0 where the status is 200 to 299, else -EREMOTEIO: crank_error is "GET http://host/path: 404 Not Found". NULL, a call
 * that failed: -errno, and crank_error stays. Where the body of an opened answer has failed, what it failed with. */
CRANK_API CRANK_MUST_USE int crank_http_ok(const crank_http_response *response);
/* Text for a URL's query or path: what is no letter, digit or one of "-._~" becomes "%41". Cut to size, at a whole
 * byte of text, and terminated; gives the length it would have. */
CRANK_API size_t crank_http_encode(char *buf, size_t size, const char *text);

/* Connections of one's own: at most idle_max are kept, each for idle seconds after its last use: 0 is 64, and 60. For
 * the tasks of one loop. Unlike others they are closed before the run's end, by crank_http_client_free. NULL: out of
 * memory. */
CRANK_API crank_http_client *crank_http_client_new(size_t idle_max, double idle);
/* Have its connections closed, soon. No call of it may be under way, and none of its answers be read still. NULL is
 * ignored. */
CRANK_API void crank_http_client_free(crank_http_client *client);

CRANK_API crank_stream *crank_http_response_body_(crank_http_response *response);
CRANK_API const char *crank_http_response_header_(crank_http_response *response, const char *name);
CRANK_API size_t crank_http_response_fields_(
    const crank_http_response *response, crank_http_field *ret_fields, size_t max);

#ifndef __cplusplus
/* CRANK_AUTO_HTTP crank_http_response *r = ...: freed at the end of its block. */
#define CRANK_AUTO_HTTP CRANK_CLEANUP_(crank_http_response_drop_)
static inline void crank_http_response_drop_(crank_http_response **response) { crank_http_response_free(*response); }
/* CRANK_AUTO_HTTP_CLIENT crank_http_client *c = ...: freed at the end of its block. */
#define CRANK_AUTO_HTTP_CLIENT CRANK_CLEANUP_(crank_http_client_drop_)
static inline void crank_http_client_drop_(crank_http_client **client) { crank_http_client_free(*client); }
#endif

CRANK_END_DECLS
#endif
