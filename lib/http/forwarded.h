/* SPDX-License-Identifier: MIT */
/* forwarded.h: what a proxy in front says of a request. */
#ifndef CR_HTTP_FORWARDED_H
#define CR_HTTP_FORWARDED_H
#include "http/exchange.h"

/* Is it a list like "127.0.0.1 10.0.0.0/8 ::1": addresses and networks, separated by blanks? */
bool cr_http_forwarded_is_list(const char *proxies);
/* Where the request came from one of the server's proxies: its peer, host and whether it came by
 * TLS, as the proxy says. 0, or 500 where memory is short. */
cr_http_status cr_http_forwarded_apply(cr_http_message *message);
#endif
