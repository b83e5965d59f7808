/* SPDX-License-Identifier: MIT */
/* sample.c: the values measured, and what is said of them: the median, and the least and most
 * beside it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "driver.h"

static series *find(record *r, const char *result)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->series[i].result, result))
            return &r->series[i];
    return NULL;
}

const series *record_find(const record *r, const char *result)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->series[i].result, result))
            return &r->series[i];
    return NULL;
}

void record_add(record *r, const char *result, double value, const char *unit)
{
    series *s = find(r, result);
    if (!s) {
        if (r->count == sizeof r->series / sizeof *r->series)
            return;
        s = &r->series[r->count++];
        snprintf(s->result, sizeof s->result, "%s", result);
        snprintf(s->unit, sizeof s->unit, "%s", unit);
    }
    if (s->count < SAMPLES_MAX)
        s->values[s->count++] = value;
}

size_t record_read(record *r, const char *output)
{
    char result[48], who[32], value[32], unit[12];
    size_t lines = 0;
    for (const char *at = output; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        if (sscanf(at, "%47s %31s %31s %11s", result, who, value, unit) != 4)
            continue;
        char *end;
        double number = strtod(value, &end);
        if (*end && strcmp(value, "n/a") != 0)
            continue;
        record_add(r, result, *end ? (double)NAN : number, unit);
        lines++;
    }
    return lines;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double at_rank(const series *s, double share)
{
    double sorted[SAMPLES_MAX];
    if (!s || s->count == 0 || isnan(s->values[0]))
        return (double)NAN;
    memcpy(sorted, s->values, s->count * sizeof *sorted);
    qsort(sorted, s->count, sizeof *sorted, by_value);
    double place = share * (double)(s->count - 1);
    size_t below = (size_t)place, above = below + (below + 1 < s->count);
    return sorted[below] + (sorted[above] - sorted[below]) * (place - (double)below);
}

double series_median(const series *s) { return at_rank(s, 0.5); }
double series_least(const series *s) { return at_rank(s, 0); }
double series_most(const series *s) { return at_rank(s, 1); }

/* Four digits, never an exponent: capture costs may be a hair below zero, memory is in thousands.
 */
static void print_value(double value, FILE *out)
{
    if (isnan(value))
        fputs("n/a", out);
    else
        fprintf(out, fabs(value) < 1000 ? "%.4g" : "%.0f", value);
}

void record_print(const record *r, const char *who, FILE *out)
{
    for (size_t i = 0; i < r->count; i++) {
        const series *s = &r->series[i];
        fprintf(out, "%s %s ", s->result, who);
        print_value(series_median(s), out);
        fprintf(out, " %s", s->unit);
        if (s->count > 1 && !isnan(series_median(s))) {
            fputs(" [", out);
            print_value(series_least(s), out);
            fputs(" .. ", out);
            print_value(series_most(s), out);
            fprintf(out, "] x%zu", s->count);
        }
        if (r->slow > 0)
            fprintf(out, " once: a run takes %.0f s", r->slow);
        else if (s->count == 1 && r->most == 1)
            fputs(" once: for time", out);
        fputs(r->disturbed ? " disturbed\n" : "\n", out);
    }
    fflush(out);
}
