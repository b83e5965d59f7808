/* SPDX-License-Identifier: MIT */
/* date.h: instants as HTTP writes them. */
#ifndef CR_HTTP_DATE_H
#define CR_HTTP_DATE_H
#include <stdbool.h>
#include <time.h>

enum { CR_HTTP_DATE_SIZE = 30 };

/* "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale; an instant before 1970 counts as 1970. */
void cr_http_date_format(time_t at, char buf[CR_HTTP_DATE_SIZE]);
/* The same read, and the two older forms "Sunday, 06-Nov-94 08:49:37 GMT" and
 * "Sun Nov  6 08:49:37 1994". False: it is no date from 1970 on. */
bool cr_http_date_parse(const char *text, time_t *ret_at);
#endif
