/* SPDX-License-Identifier: MIT */
/* url.h: a URL, taken apart for a request. */
#ifndef CR_HTTP_URL_H
#define CR_HTTP_URL_H
#include <stdbool.h>
#include <stddef.h>

/* All is text, in two blocks of memory. */
typedef struct cr_http_url {
    char *text;       /* "http://host:81/a?b": the scheme and the host in lower case, no fragment */
    char *address;    /* "host:81": where to connect */
    size_t authority; /* where in text it begins: "host:81", without the scheme's own port */
    size_t target;    /* and the target: "/a?b" */
    bool secure;      /* its scheme is https or wss */
} cr_http_url;

/* Read a URL. 0, and *ret_url is to be freed; fails with -EINVAL (crank_error shows the place) and
 * -ENOMEM: then it is untouched. */
int cr_http_url_parse(const char *text, cr_http_url *ret_url);
/* The same of a WebSocket's: "ws://host:81/a?b", "wss://host/". */
int cr_http_url_parse_socket(const char *text, cr_http_url *ret_url);
/* The same of what the Location of an answer from base means: a whole URL or a part of one. Blanks
 * in it are taken, as browsers do. */
int cr_http_url_resolve(const cr_http_url *base, const char *location, cr_http_url *ret_url);
/* All zeros are ignored. */
void cr_http_url_free(cr_http_url *url);
/* Have they one scheme, host and port? */
bool cr_http_url_same_origin(const cr_http_url *a, const cr_http_url *b);
#endif
