/* SPDX-License-Identifier: MIT */
/* date.c: instants as HTTP writes them.
 *
 * The C library's functions would read the files of the time zone, and its locale. */
#include "http/date.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <crank/run.h>
#include <crank/task.h>

time_t cr_http_date_now(void)
{
    const char *backend = crank_backend_name();
    enum { SIMULATED = 1764547200 };
    return backend && strcmp(backend, "sim") == 0 ? SIMULATED + (time_t)crank_time() : time(NULL);
}

/* The date of a day since 1970 (Hinnant, "chrono-compatible low-level date algorithms"). */
static void civil(unsigned day, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    unsigned z = day + 719468, era = z / 146097, in_era = z % 146097;
    unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
    unsigned shifted = (5 * in_year + 2) / 153;
    *ret_day = in_year - (153 * shifted + 2) / 5 + 1;
    *ret_month = shifted < 10 ? shifted + 3 : shifted - 9;
    *ret_year = era * 400 + year + (*ret_month <= 2);
}

void cr_http_date_format(time_t at, char buf[CR_HTTP_DATE_SIZE])
{
    static const char days[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t seconds = at > 0 ? at : 0;
    unsigned year, month, day, second = (unsigned)(seconds % 86400);
    civil((unsigned)(seconds / 86400), &year, &month, &day);
    snprintf(buf, CR_HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
        days + 3 * (seconds / 86400 % 7), day % 100, months + 3 * (month - 1), year % 10000,
        second / 3600 % 24, second / 60 % 60, second % 60);
}
