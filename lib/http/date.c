/* SPDX-License-Identifier: MIT */
/* date.c: instants as HTTP writes them.
 *
 * The C library's functions would read the files of the time zone, and its locale. */
#include "http/date.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void cr_http_date_format(time_t at, char buf[CR_HTTP_DATE_SIZE])
{
    static const char days[] = "ThuFriSatSunMonTueWed";
    int64_t seconds = at > 0 ? at : 0;
    unsigned year, month, day, second = (unsigned)(seconds % 86400);
    civil((unsigned)(seconds / 86400), &year, &month, &day);
    snprintf(buf, CR_HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
        days + 3 * (seconds / 86400 % 7), day % 100, months + 3 * (month - 1), year % 10000,
        second / 3600 % 24, second / 60 % 60, second % 60);
}

/* ---- Reading ---- */

/* A text that is read from its beginning; at is NULL once something in it was wrong. */
typedef struct reading {
    const char *at;
    unsigned year, month, day, hour, minute, second;
} reading;

static void skip(reading *r, const char *literal)
{
    size_t size = strlen(literal);
    if (r->at)
        r->at = strncmp(r->at, literal, size) == 0 ? r->at + size : NULL;
}

/* So many digits; the first may be a blank where padded says so. */
static unsigned number(reading *r, int digits, bool padded)
{
    unsigned n = 0;
    for (int i = 0; r->at && i < digits; i++, r->at++) {
        if (i == 0 && padded && *r->at == ' ')
            continue;
        if (*r->at < '0' || *r->at > '9') {
            r->at = NULL;
            return 0;
        }
        n = n * 10 + (unsigned)(*r->at - '0');
    }
    return n;
}

static void read_month(reading *r)
{
    for (unsigned i = 0; r->at && i < 12; i++)
        if (strncmp(r->at, months + 3 * i, 3) == 0) {
            r->month = i + 1;
            r->at += 3;
            return;
        }
    r->at = NULL;
}

static void read_time(reading *r)
{
    r->hour = number(r, 2, false);
    skip(r, ":");
    r->minute = number(r, 2, false);
    skip(r, ":");
    r->second = number(r, 2, false);
}

/* "06 Nov 1994 08:49:37 GMT" and "06-Nov-94 08:49:37 GMT": two digits are a year from 1970 on. */
static void read_date(reading *r, const char *between, int digits)
{
    r->day = number(r, 2, false);
    skip(r, between);
    read_month(r);
    skip(r, between);
    r->year = number(r, digits, false);
    if (digits == 2)
        r->year += r->year < 70 ? 2000 : 1900;
    skip(r, " ");
    read_time(r);
    skip(r, " GMT");
}

/* "Nov  6 08:49:37 1994", as asctime writes it. */
static void read_asctime(reading *r)
{
    read_month(r);
    skip(r, " ");
    r->day = number(r, 2, true);
    skip(r, " ");
    read_time(r);
    skip(r, " ");
    r->year = number(r, 4, false);
}

static bool is_instant(const reading *r)
{
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = r->year % 4 == 0 && (r->year % 100 != 0 || r->year % 400 == 0);
    return r->year >= 1970 && r->day >= 1 &&
           r->day <= days[r->month - 1] + (unsigned)(r->month == 2 && leap) && r->hour < 24 &&
           r->minute < 60 && r->second <= 60;
}

/* Days from 1970 on, the inverse of civil. */
static int64_t days_to(unsigned year, unsigned month, unsigned day)
{
    unsigned y = year - (month <= 2), era = y / 400, in_era = y % 400;
    unsigned shifted = month > 2 ? month - 3 : month + 9;
    unsigned in_year = (153 * shifted + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

bool cr_http_date_parse(const char *text, time_t *ret_at)
{
    reading r = { .at = text };
    size_t name = strcspn(text, ", "); /* of the day, which the date says as well */
    r.at += name;
    if (*r.at == ' ') {
        skip(&r, " ");
        read_asctime(&r);
    } else {
        skip(&r, ", ");
        read_date(&r, name == 3 ? " " : "-", name == 3 ? 4 : 2);
    }
    if (!r.at || *r.at || !is_instant(&r))
        return false;
    int64_t day = days_to(r.year, r.month, r.day);
    *ret_at = (time_t)(day * 86400 + r.hour * 3600 + r.minute * 60 + r.second);
    return true;
}
