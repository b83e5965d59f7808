/* SPDX-License-Identifier: MIT */
/* accept.h: what a client takes. */
#ifndef CR_HTTP_ACCEPT_H
#define CR_HTTP_ACCEPT_H
#include <stdbool.h>

/* Does an Accept-Encoding like "gzip;q=0.8, *;q=0" take this coding, and not like the plain bytes
 * better? NULL takes none. */
bool cr_http_accept_coding(const char *list, const char *coding);
#endif
