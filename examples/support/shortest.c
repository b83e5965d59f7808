/* SPDX-License-Identifier: MIT */
/* shortest.c: the shortest decimal that reads back as the same double.
 *
 * 15 digits always survive the way from decimal to double and back, 17 the way from double to
 * decimal and back: so one of 15, 16 and 17 is enough, and %g drops the zeros at the end. An
 * integral value gets ".0", to be seen as a double. (Python writes out integers up to 1e16, %g
 * only up to 1e15: the one difference.) */
#include "shortest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *shortest(double value, char *buf)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, value);
        if (strtod(buf, NULL) == value)
            break;
    }
    if (strspn(buf, "-0123456789") == strlen(buf))
        strcat(buf, ".0");
    return buf;
}
