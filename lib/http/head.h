/* SPDX-License-Identifier: MIT */
/* head.h: the heads of requests and of responses, from a stream's buffer to their parts.
 *
 * Two steps. cr_http_head_await waits until a whole head lies in the stream's buffer; the caller
 * copies it to memory of its own and skips it. cr_http_head_parse_request and
 * cr_http_head_parse_response take that copy apart in place: every name and value is a string in
 * it. */
#ifndef CR_HTTP_HEAD_H
#define CR_HTTP_HEAD_H
#include <crank/http.h>

enum {
    CR_HTTP_HEAD_MAX = 32 * 1024, /* of a request, the empty line included */
    CR_HTTP_LINE_MAX = 8 * 1024,  /* of a request's, the line end included */
    CR_HTTP_FIELDS_MAX = 100,     /* of a request */
    /* Of a response: no more is shown by crank_peek at once. */
    CR_HTTP_RESPONSE_HEAD_MAX = 64 * 1024,
    CR_HTTP_RESPONSE_FIELDS_MAX = 256
};

/* How much of a head there may be, and how strictly its lines end. */
typedef struct cr_http_head_limits {
    size_t size;  /* of the whole */
    size_t line;  /* of each line, its end included */
    bool lenient; /* lines may end in LF alone: responses */
} cr_http_head_limits;

/* What a refused request is answered: 400, 414, 417, 431, 501 or 505. 0: none. */
typedef int cr_http_status;

/* A head in parts. The strings lie in the text that was parsed; they end where it does. */
typedef struct cr_http_head {
    crank_http_field *fields; /* the caller's room for them, before parsing */
    size_t fields_max;        /* how many it holds */
    size_t count;             /* of the fields, in order */
    int version;              /* 11 or 10 */
    /* Of a request. */
    char *method, *target; /* as sent */
    const char *host;      /* the Host field's value, or the authority of an absolute target */
    size_t host_size;      /* 0: none */
    char *resource;        /* the target from its path on: "/a?b", or "*" */
    bool secure_target;    /* it is absolute, and https */
    bool expects;          /* Expect: 100-continue */
    /* Of a response. */
    int status;
    const char *reason; /* "" where there is none */
    bool doubtful;      /* a reader could understand its framing otherwise: not to be used again */
    /* Of both. */
    int64_t length; /* Content-Length; -1: none */
    bool chunked;   /* Transfer-Encoding: chunked; length is -1 then */
    bool persists;  /* the connection may be used again, as version and Connection say */
    bool upgrades;  /* Connection has the word upgrade */
} cr_http_head;

/* Wait until a head lies in the stream's buffer: its length, with the empty line. Nothing is taken;
 * *ret_bytes is valid until the next call that reads. 0 where the stream ends before its first
 * byte. Fails with -ENODATA (the end came within the head), -EPROTO (a line ends in LF alone, the
 * first byte begins no head), -EMSGSIZE (beyond a limit), else as crank_peek. *ret_refusal is what
 * a request is to be answered after -EPROTO and -EMSGSIZE. */
ssize_t cr_http_head_await(crank_stream *stream, const cr_http_head_limits *limits,
    const char **ret_bytes, cr_http_status *ret_refusal);
/* The same without a stream: the length of the head with which the bytes begin, 0 where more are
 * needed; -EPROTO and -EMSGSIZE as above. The search goes on at *searched, which is 0 at first. */
ssize_t cr_http_head_end(const char *bytes, size_t size, const cr_http_head_limits *limits,
    size_t *searched, cr_http_status *ret_refusal);

/* Take a request's head apart, strictly: text has size bytes, as cr_http_head_await gave them, and
 * is changed. 0; fails with -EPROTO, and *ret_refusal is its status. */
int cr_http_head_parse_request(
    cr_http_head *head, char *text, size_t size, cr_http_status *ret_refusal);
/* A response's: lines may end in LF, fields may be folded. Fails with -EPROTO, -EMSGSIZE (more
 * fields than there is room for). */
int cr_http_head_parse_response(cr_http_head *head, char *text, size_t size);

/* The value of a field: of the first line with this name, any case; NULL: none. *from is where to
 * go on looking for further lines, 0 at first. */
const char *cr_http_head_next(
    const crank_http_field *fields, size_t count, const char *name, size_t *from);
/* Has a list like "close, upgrade" this word? Any case. */
bool cr_http_head_has_word(const char *list, const char *word);

/* May the byte stand in a name or method (RFC 9110, 5.6.2)? */
bool cr_http_head_is_token(unsigned char byte);
/* May it stand in a field's value: no control but a tab? */
bool cr_http_head_is_text(unsigned char byte);
/* Is it "example.org", "example.org:80", "1.2.3.4" or "[::1]:80": what may stand in Host? */
bool cr_http_head_is_host(const char *text);
#endif
