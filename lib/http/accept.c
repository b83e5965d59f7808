/* SPDX-License-Identifier: MIT */
/* accept.c: the Accept-Encoding field (RFC 9110, 12.5.3).
 *
 * A coding is taken that is named, or that "*" stands for, with a weight above 0; a weight that
 * cannot be read is 0, for plain bytes are what any client takes. */
#include "http/accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { UNNAMED = -1, WHOLE = 1000 };

/* "0.5" of size bytes, in thousandths; 0 where it is no weight. */
static int weight_of(const char *text, size_t size)
{
    int weight = 0, unit = WHOLE;
    if (size == 0 || size > 5 || (*text != '0' && *text != '1') || (size > 1 && text[1] != '.'))
        return 0;
    for (size_t i = 0; i < size; i++) {
        if (i == 1)
            continue;
        if (text[i] < '0' || text[i] > '9')
            return 0;
        weight += (text[i] - '0') * unit;
        unit /= 10;
    }
    return weight <= WHOLE ? weight : 0;
}

static const char *skip_blanks(const char *at) { return at + strspn(at, " \t"); }

/* What stands behind a name, up to the next comma: ";q=0.5" or nothing. */
static int parameters_weight(const char *at)
{
    at = skip_blanks(at);
    if (*at != ';')
        return *at == ',' || *at == '\0' ? WHOLE : 0;
    at = skip_blanks(at + 1);
    if (strncasecmp(at, "q=", 2) != 0)
        return 0;
    size_t size = strcspn(at + 2, " \t,");
    const char *behind = skip_blanks(at + 2 + size);
    return *behind == ',' || *behind == '\0' ? weight_of(at + 2, size) : 0;
}

/* The weight with which the list names the coding; UNNAMED. */
static int weight_in(const char *list, const char *coding)
{
    size_t length = strlen(coding);
    while (*(list += strspn(list, " \t,"))) {
        size_t size = strcspn(list, " \t;,");
        if (size == length && strncasecmp(list, coding, length) == 0)
            return parameters_weight(list + size);
        list += strcspn(list, ",");
    }
    return UNNAMED;
}

bool cr_http_accept_coding(const char *list, const char *coding)
{
    if (!list)
        return false;
    int weight = weight_in(list, coding), plain = weight_in(list, "identity");
    if (weight == UNNAMED)
        weight = weight_in(list, "*");
    return weight > 0 && weight >= plain;
}
