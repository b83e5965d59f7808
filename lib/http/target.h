/* SPDX-License-Identifier: MIT */
/* target.h: what a target, a query or a form says, decoded. */
#ifndef CR_HTTP_TARGET_H
#define CR_HTTP_TARGET_H
#include <stdbool.h>
#include <stddef.h>

/* The path of "/a%20b/../c?x" decoded into ret_path, which has room for size + 2 bytes: without dot
 * segments, an encoded slash left as "%2F". Its length, behind which a 0 stands; "/" for an empty
 * path. -EPROTO: a '%' without two hexadecimal digits, an encoded 0, or dots that lead above the
 * root. size counts up to the query. */
long cr_http_target_path(const char *path, size_t size, char *ret_path);
/* A value of a query or form, of size bytes, decoded into buf, which has room for size + 1: '+' is
 * a blank, what is no valid encoding stays as it is. The length, behind which a 0 stands. */
size_t cr_http_target_decode(const char *text, size_t size, char *buf);
/* The value of the first pair with this name in "a=1&b=2": where it begins, and *ret_size. A name
 * without '=' has the value "". NULL: there is none. */
const char *cr_http_target_find(const char *pairs, const char *name, size_t *ret_size);
/* How many pairs there are, empty ones included. */
size_t cr_http_target_count(const char *pairs);
#endif
