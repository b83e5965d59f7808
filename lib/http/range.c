/* SPDX-License-Identifier: MIT */
/* range.c: the Range field.
 *
 * A server may always give the whole, and does where a range is not plainly one: several would have
 * to be answered in a format of its own, which few clients want and many could ask for at great
 * cost. Some clients ask for a range of everything, so an empty whole is given, not refused. */
#include "http/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

/* Digits, at least one: the number, UINT64_MAX where it is larger. Moves *at behind them. */
static bool read_number(const char **at, uint64_t *ret)
{
    const char *begin = *at;
    uint64_t number = 0;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        unsigned digit = (unsigned)(**at - '0');
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
    }
    *ret = number;
    return *at > begin;
}

/* "-500": the last so many. */
static int read_suffix(const char *at, uint64_t whole, cr_http_range *ret_range)
{
    uint64_t size;
    if (!read_number(&at, &size) || *at)
        return 200;
    if (size == 0)
        return 416;
    if (size > whole)
        size = whole;
    *ret_range = (cr_http_range){ .first = whole - size, .size = size };
    return 206;
}

int cr_http_range_read(const char *text, uint64_t whole, cr_http_range *ret_range)
{
    uint64_t first, last = UINT64_MAX;
    if (!text || whole == 0 || strncasecmp(text, "bytes=", 6) != 0)
        return 200;
    text += 6;
    if (*text == '-')
        return read_suffix(text + 1, whole, ret_range);
    if (!read_number(&text, &first) || *text++ != '-')
        return 200;
    if (*text && (!read_number(&text, &last) || *text || last < first))
        return 200;
    if (first >= whole)
        return 416;
    if (last >= whole)
        last = whole - 1;
    *ret_range = (cr_http_range){ .first = first, .size = last - first + 1 };
    return 206;
}
