/* SPDX-License-Identifier: MIT */
/* picture.c: the same as a picture: for each result a panel of bars on a log scale, the shortest on
 * top, crank's coloured.
 *
 * Plain SVG without scripts or fonts of its own, readable on a light and on a dark page: the sheet
 * brings its background. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "driver.h"

enum { COLUMNS = 3, PANEL = 312, GAP = 18, MARGIN = 24, HEAD = 74, TITLE = 30, BAR = 19, LABEL = 112, VALUE = 54 };

typedef struct bar {
    const char *name;
    double value;
    bool ours;
} bar;

typedef struct panel {
    char title[80];
    bar bars[CONTENDERS_MAX];
    size_t count;
} panel;

static int by_value(const void *a, const void *b)
{
    double x = ((const bar *)a)->value, y = ((const bar *)b)->value;
    return (x > y) - (x < y);
}

/* The panel of one result. False: nobody but crank has it, or it is nothing a log scale can show.
 */
static bool panel_fill(const outcome *o, size_t work, const series *own, panel *ret)
{
    ret->count = 0;
    snprintf(ret->title, sizeof ret->title, "%s, %s", own->result, own->unit);
    for (size_t i = 0; i < o->contender_count; i++) {
        const series *s = record_find(outcome_at(o, work, i), own->result);
        double value = s ? series_median(s) : 0;
        if (value > 0)
            ret->bars[ret->count++] = (bar){ o->contenders[i].name, value, i == 0 };
    }
    qsort(ret->bars, ret->count, sizeof *ret->bars, by_value);
    return ret->count > 0 && (ret->count > 1 || o->contender_count == 1);
}

static size_t panels_fill(const outcome *o, panel *panels, size_t max)
{
    size_t n = 0;
    for (size_t work = 0; work < workload_count; work++) {
        const record *own = outcome_at(o, work, 0);
        for (size_t r = 0; r < own->count && n < max; r++)
            if (strcmp(workloads[work].name, "growth") != 0 && panel_fill(o, work, &own->series[r], &panels[n]))
                n++;
    }
    return n;
}

static double panel_height(const panel *p) { return TITLE + BAR * (double)p->count + GAP; }

static void panel_draw(const panel *p, double x, double y, FILE *out)
{
    char value[24];
    double least = p->bars[0].value, most = p->bars[p->count - 1].value, room = PANEL - LABEL - VALUE;
    fprintf(out, "<text class=\"t\" x=\"%.0f\" y=\"%.0f\">%s</text>\n", x, y + 14, p->title);
    fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x + LABEL - 0.5, y + TITLE - 6,
        x + LABEL - 0.5, y + TITLE - 4 + BAR * (double)p->count);
    for (size_t i = 0; i < p->count; i++) {
        const bar *b = &p->bars[i];
        /* Equal factors are equal lengths; the scale begins at a third of the least, so that it has
         * a bar too. */
        double width = room * log(b->value / least * 3) / log(most / least * 3);
        double top = y + TITLE - 4 + BAR * (double)i;
        const char *style = b->ours ? " o" : "";
        number_format(b->value, value, sizeof value);
        fprintf(out, "<text class=\"n%s\" x=\"%.0f\" y=\"%.1f\">%s</text>", style, x + LABEL - 7, top + 12, b->name);
        fprintf(out, "<rect class=\"b%s\" x=\"%.0f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>", style,
            x + LABEL, top + 1, width, BAR - 5);
        fprintf(out, "<text class=\"v%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", style, x + LABEL + width + 5, top + 12,
            value);
    }
}

static void sheet_open(double width, double height, FILE *out)
{
    fprintf(out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 "
        "%.0f %.0f\" role=\"img\">\n"
        "<title>What crank costs beside its peers</title>\n"
        "<style>text{font:12px ui-sans-serif,system-ui,'Segoe "
        "UI',Helvetica,Arial,sans-serif;fill:#57606a}"
        ".h{font-size:20px;font-weight:650;fill:#1f2328}.t{font-size:13px;font-weight:600;fill:#"
        "1f2328}"
        ".n{text-anchor:end}.n.o,.v.o{font-weight:650;fill:#9a3412}.b{fill:#c3ccd6}.b.o{fill:#"
        "ea580c}"
        "line{stroke:#d0d7de}</style>\n"
        "<rect x=\"0.5\" y=\"0.5\" width=\"%.0f\" height=\"%.0f\" rx=\"10\" fill=\"#ffffff\" "
        "stroke=\"#d0d7de\"/>\n",
        width, height, width, height, width - 1, height - 1);
    fprintf(out, "<text class=\"h\" x=\"%d\" y=\"38\">What it costs</text>\n", MARGIN);
    fprintf(out,
        "<text x=\"%d\" y=\"58\">Shorter is better, scales are logarithmic. Medians of one session "
        "of ./bench --peers; floor is no peer but a throwaway scheduler, a ruler.</text>\n",
        MARGIN);
}

/* Panels go into the column that is shortest, so that none is left ragged. */
void picture_svg(const outcome *o, FILE *out)
{
    enum { PANELS = 64 };
    panel *panels = calloc(PANELS, sizeof *panels);
    double filled[COLUMNS] = { 0 }, x[PANELS], y[PANELS];
    size_t n = panels ? panels_fill(o, panels, PANELS) : 0;
    size_t columns = n < COLUMNS ? (n ? n : 1) : COLUMNS;
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        for (size_t c = 1; c < columns; c++)
            if (filled[c] < filled[best])
                best = c;
        x[i] = MARGIN + (double)best * (PANEL + GAP);
        y[i] = HEAD + filled[best];
        filled[best] += panel_height(&panels[i]);
    }
    double height = 0;
    for (size_t c = 0; c < columns; c++)
        height = fmax(height, filled[c]);
    double wide = columns < 2 ? 2 : (double)columns; /* the heading wants two columns' room */
    sheet_open(2 * MARGIN + wide * PANEL + (wide - 1) * GAP, HEAD + height + 8, out);
    for (size_t i = 0; i < n; i++)
        panel_draw(&panels[i], x[i], y[i], out);
    fputs("</svg>\n", out);
    free(panels);
}
