/* SPDX-License-Identifier: MIT */
/* cookie.h: the entries of a Cookie field. */
#ifndef CR_HTTP_COOKIE_H
#define CR_HTTP_COOKIE_H
#include <stddef.h>

/* The value of the first entry with this name in "a=1; b=\"2\"": where it begins, without quotes,
 * and *ret_size. NULL: there is none. */
const char *cr_http_cookie_find(const char *list, const char *name, size_t *ret_size);
#endif
