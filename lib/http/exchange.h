/* SPDX-License-Identifier: MIT */
/* exchange.h: what a server, a connection of it and a request on that consist of.
 *
 * All lie in heap memory, for other tasks look at them while the task whose they are waits, with
 * its stack put away perhaps; a request is one block, from the server's pool. All run on one
 * loop. */
#ifndef CR_HTTP_EXCHANGE_H
#define CR_HTTP_EXCHANGE_H
#include <crank/http.h>
#include <crank/scope.h>
#include <crank/websocket.h>
#include "http/body.h"
#include "http/date.h"
#include "http/head.h"

typedef struct cr_http_server cr_http_server;
typedef struct cr_http_connection cr_http_connection;
typedef struct cr_http_message cr_http_message;

enum {
    CR_HTTP_BLOCK = 4096,           /* bytes of a request's block, its text included */
    CR_HTTP_POOL_MAX = 64,          /* blocks that are kept */
    CR_HTTP_PARTS_MAX = 16,         /* stars of a pattern */
    CR_HTTP_QUERY_MAX = 1000,       /* pairs of a query or a form */
    CR_HTTP_COOKIES_MAX = 1000,     /* entries */
    CR_HTTP_UNREAD_MAX = 256 * 1024 /* bytes of a body that are dropped behind an answer */
};

typedef struct crank_handle crank_handle;

struct cr_http_server {
    crank_http_options options; /* with the defaults in place of zeros */
    crank_kept_call *call;
    crank_site site;           /* the handler's, by which a request's task is named */
    cr_http_connection *first; /* those that are served, in no order */
    bool stopping;             /* connections are closed after their answer */
    bool is_loopback;          /* other hosts' names are answered 421 */
    cr_http_message *pool;     /* free blocks */
    size_t pooled;
    size_t lost_lines; /* of the log, since the last that was written */
    double date_until; /* of crank_time: so long date is of this second */
    char date[CR_HTTP_DATE_SIZE];
};

/* How many of the 30 seconds for which one direction may be waited for a peer has used up: waits
 * take of them, and bytes bring back what they may take at the lowest rate. */
typedef struct cr_http_pace {
    double used;
} cr_http_pace;

/* Of an answer that the loop sends while its handler goes on: since when no byte was counted. */
typedef struct cr_http_pacing {
    crank_handle *timer; /* NULL: nothing is unsent */
    double at;
    size_t unsent; /* at that time */
    uint64_t put;  /* since then */
} cr_http_pacing;

struct cr_http_connection {
    cr_http_server *server;
    crank_stream *stream;
    const char *peer;
    cr_http_connection *next, *prev;
    crank_websocket *socket; /* that is served; NULL */
    bool idle;               /* it waits for the first byte of a request: stopping closes it */
    bool closes;             /* no further request is taken */
    bool secure;             /* it is encrypted */
};

/* A field that the handler has set. */
typedef struct cr_http_set_field {
    struct cr_http_set_field *next;
    const char *name, *value;
} cr_http_set_field;

typedef enum cr_http_answer_state {
    CR_HTTP_UNANSWERED,
    CR_HTTP_WHOLE,  /* one call has answered */
    CR_HTTP_STREAM, /* crank_http_begin has begun */
    CR_HTTP_EVENTS, /* crank_http_event has */
    CR_HTTP_SOCKET  /* the connection is a WebSocket's */
} cr_http_answer_state;

struct cr_http_message {
    crank_http_request request; /* first: the handler's view */
    cr_http_connection *connection;
    cr_http_message *next_free;
    cr_http_head head;
    cr_http_body body;

    /* Memory: first the rest of the block, then pieces of the heap. */
    struct cr_http_piece *pieces;
    char *room;
    size_t room_left;

    /* Of the last crank_http_is that matched, and of those that did but for the method. */
    struct {
        const char *at;
        size_t size;
    } parts[CR_HTTP_PARTS_MAX];
    size_t part_count;
    const char *allow;
    const char *form; /* once it was read: "a=1&b=2" */

    crank_task *task;      /* that runs the handler */
    bool stays;            /* the peer's going does not cancel it */
    bool is_watched;       /* the peer's going cancels it */
    bool gone;             /* and has */
    bool asked;            /* the body was asked for: 100 Continue is sent, or needless */
    cr_http_status failed; /* what the client is to be answered, where its body has failed; 0 */
    int result;            /* of the handler: 0 or a negative errno */
    bool is_peers;         /* the peer has gone, or reads too slowly: no failure of the handler's */
    bool is_reported;      /* result is a failure to be reported */
    crank_websocket *socket; /* that the request has become, and its handler has not closed; NULL */
    int socket_error; /* with which a call on it has failed last: no failure of the handler's */

    cr_http_answer_state state;
    int status; /* of the answer */
    cr_http_set_field *set, **set_end;
    bool has_type, has_date, has_nosniff;
    int64_t length; /* as set; -1 */
    enum cr_http_framing framing;
    uint64_t left;    /* by length: bytes that are still to come */
    uint64_t written; /* bytes of the answer's body */
    bool bodiless;    /* HEAD, 204, 304: what is written is dropped */
    bool broken;      /* it cannot be ended in order: the connection is reset */
    double event_at;  /* of the last event */
    cr_http_pace coming, leaving;
    cr_http_pacing pacing;
    bool is_writing;    /* a call is in the middle of a piece */
    bool is_too_long;   /* more was written than was announced */
    double received_at; /* when the head was whole */

    crank_stream *body_stream, *answer_stream; /* given to the handler; NULL */
    crank_handle *heart;                       /* the next comment between events; NULL */

    crank_http_field fields[CR_HTTP_FIELDS_MAX];
};

static inline cr_http_message *cr_http_message_of(const crank_http_request *request)
{
    return (cr_http_message *)(uintptr_t)request;
}
#endif
