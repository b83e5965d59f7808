/* SPDX-License-Identifier: MIT */
/* fresh.h: conditions of a request on the version that there is. */
#ifndef CR_HTTP_FRESH_H
#define CR_HTTP_FRESH_H
#include <time.h>
#include "http/exchange.h"

/* The version that there is. */
typedef struct cr_http_version {
    const char *etag;    /* as its field has it: "\"v1\"" or "W/\"v1\""; NULL: none */
    time_t modified;     /* 0: not known */
    bool may_change_yet; /* within the second of modified: that says nothing then */
} cr_http_version;

/* What the If- fields demand: 0: an ordinary answer; 304, 412 (RFC 9110, 13.2.2). */
int cr_http_fresh_check(cr_http_message *message, const cr_http_version *version);
/* Is a Range to be obeyed: is the part that the client has of this version, byte for byte? */
bool cr_http_fresh_has_part(cr_http_message *message, const cr_http_version *version);
/* Has a list like "\"a\", W/\"b\"" this tag? strong: byte for byte, which a weak tag says
 * nothing of. */
bool cr_http_fresh_has_tag(const char *list, const char *etag, bool strong);
#endif
