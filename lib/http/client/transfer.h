/* SPDX-License-Identifier: MIT */
/* transfer.h: a call of the client, from its URL to the end of its answer.
 *
 * One record, which begins with what the caller is given. request.c sends, response.c reads,
 * link.c says where to, redirect.c what comes after an answer, and call.c puts them together.
 * Each function gives 0 or a negative errno with its message. */
#ifndef CR_HTTP_TRANSFER_H
#define CR_HTTP_TRANSFER_H
#include "http/body.h"
#include "http/head.h"
#include "http/url.h"

enum { CR_HTTP_METHOD_MAX = 31, CR_HTTP_MESSAGE_MAX = 200 };

/* A field of which several lines were joined. */
typedef struct cr_http_joined {
    struct cr_http_joined *next;
    const char *first; /* the value of the first line */
    char value[];
} cr_http_joined;

typedef struct cr_http_transfer {
    crank_http_response response; /* first */
    crank_http_call call;         /* what it points to is the caller's */
    /* The next request: a redirect changes it. */
    char method[CR_HTTP_METHOD_MAX + 1];
    cr_http_url url;
    bool has_body;   /* it brings the call's body */
    bool is_foreign; /* it goes to another origin than the first: without credentials */
    /* The connection; NULL once it was kept, closed or reset. */
    crank_stream *stream;
    bool answered; /* a byte of an answer has come by it */
    /* The body that is sent: at once, or by a task meanwhile. */
    crank_task *sender; /* NULL: there is none, or it has ended and was awaited */
    bool sent;          /* all of it */
    int send_error;     /* with which .from failed; 0 */
    char send_message[CR_HTTP_MESSAGE_MAX];
    /* The answer's head: the text in which the fields lie. */
    char *text;
    size_t text_size, text_room;
    cr_http_head head;
    cr_http_joined *joined;
    cr_http_body body;
    int body_error; /* with which it failed, of an opened answer; 0 */
    char body_message[CR_HTTP_MESSAGE_MAX];
    crank_stream *response_body; /* the body as a stream; NULL */
} cr_http_transfer;

/* ---- request.c ---- */

/* Is the call one that can be made? */
int cr_http_request_check(const crank_http_call *call);
/* Send the request, or begin to: a large body is a child's, t->sender. May wait. */
int cr_http_request_send(cr_http_transfer *t);
/* Until the child has ended. Delivers no request to cancel. */
void cr_http_request_stop(cr_http_transfer *t);
/* May the same request be sent twice with no other effect than once (RFC 9110, 9.2.2)? */
bool cr_http_request_is_idempotent(const cr_http_transfer *t);

/* ---- response.c ---- */

/* Read the head of the final answer. May wait. */
int cr_http_response_read_head(cr_http_transfer *t);
/* Up to size bytes of the body: at least one, 0 at its end; then the connection is kept or closed.
 * May wait. */
ssize_t cr_http_response_read(cr_http_transfer *t, void *buf, size_t size);
/* The whole body into the response. May wait. */
int cr_http_response_read_all(cr_http_transfer *t);
/* Forget the answer: another one follows. */
void cr_http_response_clear(cr_http_transfer *t);

/* ---- feed.c ---- */

/* Make a stream of the body. */
int cr_http_feed_begin(cr_http_transfer *t);
/* End it; calls on it fail, and have left. Delivers no request to cancel. */
void cr_http_feed_end(cr_http_transfer *t);

/* ---- link.c ---- */

/* For messages: where the request goes. */
const char *cr_http_link_address(const cr_http_transfer *t);
/* A kept connection, or a fresh one. May wait. */
int cr_http_link_open(cr_http_transfer *t, bool fresh);
/* Waits on the connection end now, when no byte comes or goes for .stall seconds. */
int cr_http_link_arm(cr_http_transfer *t);
/* The answer was read to its end: keep the connection where it can be used again, else close it. */
void cr_http_link_settle(cr_http_transfer *t);
/* Give the connection up, with what is under way on it. */
void cr_http_link_reset(cr_http_transfer *t);

/* ---- redirect.c ---- */

/* Is the answer a redirect that is followed? Then the next request is prepared: 1, else 0. */
int cr_http_redirect_follow(cr_http_transfer *t);
#endif
