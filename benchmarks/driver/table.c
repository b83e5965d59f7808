/* SPDX-License-Identifier: MIT */
/* table.c: crank beside its peers, with crank's share of each peer's value: below 1 crank is ahead,
 * for all that is measured here is a cost; a rate has no share. */
#include <math.h>
#include <string.h>
#include "driver.h"

void number_format(double value, char *buf, size_t size)
{
    double magnitude = fabs(value);
    if (isnan(value))
        snprintf(buf, size, "n/a");
    else if (magnitude >= 999999.5)
        snprintf(buf, size, "%ld,%03ld,%03ld", lround(value) / 1000000, lround(magnitude) / 1000 % 1000,
            lround(magnitude) % 1000);
    else if (magnitude >= 999.5)
        snprintf(buf, size, "%ld,%03ld", lround(value) / 1000, lround(magnitude) % 1000);
    else if (magnitude >= 99.95)
        snprintf(buf, size, "%.0f", value);
    else if (magnitude >= 9.995)
        snprintf(buf, size, "%.1f", value);
    else
        snprintf(buf, size, magnitude >= 1 ? "%.2f" : "%.3f", value);
}

/* The ratio crank / peer, near 1 to a hundredth; none where the peer has next to nothing. */
static void ratio_format(double ratio, char *buf, size_t size)
{
    if (!(ratio > 0 && ratio < 1000))
        buf[0] = '\0';
    else
        snprintf(buf, size, ratio >= 10 ? "%.0f" : ratio >= 0.1 ? "%.2f" : "%.3f", ratio);
}

static bool rate(const series *s)
{
    size_t length = strlen(s->unit);
    return length >= 2 && !strcmp(s->unit + length - 2, "/s");
}

/* One cell: the value, and for a peer the ratio. */
static void cell_format(const outcome *o, size_t work, size_t who, const series *own, char *buf, size_t size)
{
    char value[24], ratio[24];
    const series *s = record_find(outcome_at(o, work, who), own->result);
    if (!s) {
        snprintf(buf, size, "-");
        return;
    }
    number_format(series_median(s), value, sizeof value);
    ratio_format(who && !rate(own) ? series_median(own) / series_median(s) : (double)NAN, ratio, sizeof ratio);
    snprintf(buf, size, "%s%s%s%s", value, *ratio ? " (" : "", ratio, *ratio ? ")" : "");
}

/* A picture of the growth is not a table's business: it has no peers and many lines. */
static bool tabled(size_t work) { return strcmp(workloads[work].name, "growth") != 0; }

static void releases(const outcome *o, const char *before, const char *between, FILE *out)
{
    for (size_t i = 1; i < o->contender_count; i++)
        if (*o->contenders[i].release)
            fprintf(out, "%s%s: %s%s", before, o->contenders[i].name, o->contenders[i].release, between);
}

/* As wide as the widest of its cells; 0 for a contender that took part in nothing. */
static int column_width(const outcome *o, size_t who)
{
    char cell[64];
    size_t width = 0;
    for (size_t work = 0; work < workload_count; work++) {
        const record *own = outcome_at(o, work, 0);
        for (size_t r = 0; tabled(work) && r < own->count; r++) {
            cell_format(o, work, who, &own->series[r], cell, sizeof cell);
            if (strcmp(cell, "-") != 0 && strlen(cell) > width)
                width = strlen(cell);
        }
    }
    size_t name = strlen(o->contenders[who].name);
    return width == 0 ? 0 : (int)(name > width ? name : width);
}

void table_print(const outcome *o, FILE *out)
{
    char cell[64];
    int widths[CONTENDERS_MAX + 1];
    fprintf(out, "\ncost (crank / peer)    unit ");
    for (size_t i = 0; i < o->contender_count; i++) {
        widths[i] = column_width(o, i);
        if (widths[i])
            fprintf(out, "  %*s", widths[i], o->contenders[i].name);
    }
    fputc('\n', out);
    for (size_t work = 0; work < workload_count; work++) {
        const record *own = outcome_at(o, work, 0);
        for (size_t r = 0; tabled(work) && r < own->count; r++) {
            fprintf(out, "%-22s %-5s", own->series[r].result, own->series[r].unit);
            for (size_t i = 0; i < o->contender_count; i++) {
                cell_format(o, work, i, &own->series[r], cell, sizeof cell);
                if (widths[i])
                    fprintf(out, "  %*s", widths[i], cell);
            }
            fputc('\n', out);
        }
    }
    releases(o, "", "\n", out);
}

void table_markdown(const outcome *o, FILE *out)
{
    char cell[64];
    fprintf(out, "| workload | unit |");
    for (size_t i = 0; i < o->contender_count; i++)
        fprintf(out, " %s |", o->contenders[i].name);
    fprintf(out, "\n|---|---|");
    for (size_t i = 0; i < o->contender_count; i++)
        fprintf(out, "---:|");
    fputc('\n', out);
    for (size_t work = 0; work < workload_count; work++) {
        const record *own = outcome_at(o, work, 0);
        for (size_t r = 0; tabled(work) && r < own->count; r++) {
            fprintf(out, "| `%s` | %s |", own->series[r].result, own->series[r].unit);
            for (size_t i = 0; i < o->contender_count; i++) {
                cell_format(o, work, i, &own->series[r], cell, sizeof cell);
                fprintf(out, i ? " %s |" : " **%s** |", cell);
            }
            fputc('\n', out);
        }
    }
    fprintf(out, "\nMedians; in brackets crank's cost over the peer's: below 1 crank is ahead.\n");
    if (o->contender_count > 1)
        fputc('\n', out);
    releases(o, "- ", "\n", out);
}
