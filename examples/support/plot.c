/* SPDX-License-Identifier: MIT */
/* plot.c: a log-log plot as SVG, made to be read in a README and on paper alike.
 *
 * The ranges grow to the next 1, 2 or 5 of a decade, so that no point lies on the frame; decades
 * have a line and a label, the steps between them a faint line. Text is the reader's own
 * sans-serif. Colours are set here and not by the page, on a white ground: the file looks the same
 * everywhere. */
#include "plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

enum { WIDTH = 760, HEIGHT = 480, LEFT = 84, RIGHT = 28, TOP = 84, BOTTOM = 68 };

struct axis {
    double low; /* log10 of the range */
    double high;
    double from; /* where low and high lie, in the picture */
    double to;
};

static double place(const struct axis *axis, double value)
{
    double part = (log10(value) - axis->low) / (axis->high - axis->low);
    return axis->from + part * (axis->to - axis->from);
}

/* The largest 1, 2 or 5 times a power of ten that is at most value. */
static double step_below(double value)
{
    double decade = pow(10, floor(log10(value) + 1e-9)), rest = value / decade * (1 + 1e-9);
    return decade * (rest >= 5 ? 5 : rest >= 2 ? 2 : 1);
}

static double step_above(double value)
{
    double decade = pow(10, floor(log10(value) + 1e-9)), rest = value / decade * (1 - 1e-9);
    return decade * (rest <= 1 ? 1 : rest <= 2 ? 2 : rest <= 5 ? 5 : 10);
}

static struct axis axis_of(const struct plot *plot, bool is_y)
{
    double least = INFINITY, most = 0;

    for (size_t s = 0; s < plot->n; s++) {
        const double *values = is_y ? plot->series[s].y : plot->series[s].x;
        for (size_t i = 0; i < plot->series[s].n; i++) {
            least = fmin(least, values[i]);
            most = fmax(most, values[i]);
        }
    }
    double room = is_y ? 1.12 : 1.0;
    struct axis axis = { log10(step_below(least / room)), log10(step_above(most * room)), LEFT, WIDTH - RIGHT };
    if (!is_y)
        axis.low -= 0.06; /* the first point stands clear of the frame */
    if (is_y) {
        axis.from = HEIGHT - BOTTOM;
        axis.to = TOP;
    }
    return axis;
}

static void put_text(FILE *out, double x, double y, const char *attributes, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, attributes);
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else
            fputc(*text, out);
    }
    fputs("</text>\n", out);
}

/* A grid line at value, and its label if it begins a decade or the axis has less than two of
 * those. */
static void put_tick(FILE *out, const struct axis *axis, double value, bool is_y, bool labelled)
{
    double at = place(axis, value);
    const char *look = labelled ? "stroke=\"#d5dbe1\"" : "stroke=\"#eef1f4\"";
    char label[32];

    if (is_y)
        fprintf(out, "<path d=\"M%d %.1fH%d\" %s/>\n", LEFT, at, WIDTH - RIGHT, look);
    else
        fprintf(out, "<path d=\"M%.1f %dV%d\" %s/>\n", at, TOP, HEIGHT - BOTTOM, look);
    if (!labelled)
        return;
    snprintf(label, sizeof label, "%.10g", value);
    if (is_y)
        put_text(out, LEFT - 10, at + 4, "class=\"tick\" text-anchor=\"end\"", label);
    else
        put_text(out, at, HEIGHT - BOTTOM + 20, "class=\"tick\" text-anchor=\"middle\"", label);
}

static void put_grid(FILE *out, const struct axis *axis, bool is_y)
{
    bool few_decades = axis->high - axis->low < 2.2;

    for (int decade = (int)floor(axis->low); decade <= (int)ceil(axis->high); decade++) {
        for (int digit = 1; digit <= 9; digit++) {
            double value = digit * pow(10, decade), at = log10(value);
            if (at < axis->low - 1e-9 || at > axis->high + 1e-9)
                continue;
            bool labelled = digit == 1 || (few_decades && (digit == 2 || digit == 5));
            put_tick(out, axis, value, is_y, labelled);
        }
    }
}

static const char *line_class(const struct plot_series *series)
{
    return series->is_reference ? "line dashed" : "line";
}

static void put_series(FILE *out, const struct plot_series *series, const struct axis *x, const struct axis *y)
{
    fprintf(out, "<path class=\"%s\" stroke=\"%s\" d=\"", line_class(series), series->colour);
    for (size_t i = 0; i < series->n; i++)
        fprintf(out, "%c%.1f %.1f", i == 0 ? 'M' : 'L', place(x, series->x[i]), place(y, series->y[i]));
    fputs("\"/>\n", out);
    for (size_t i = 0; i < series->n && !series->is_reference; i++)
        fprintf(out,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\">"
            "<title>%.10g: %.6g</title></circle>\n",
            place(x, series->x[i]), place(y, series->y[i]), series->colour, series->x[i], series->y[i]);
}

static void put_legend(FILE *out, const struct plot *plot)
{
    double x = LEFT + 150, y = TOP + 14;

    fprintf(out,
        "<rect x=\"%.0f\" y=\"%.0f\" width=\"280\" height=\"%zu\" rx=\"4\" fill=\"#fff\" "
        "fill-opacity=\".92\" stroke=\"#d5dbe1\"/>\n",
        x, y - 4, 12 + 20 * plot->n);
    for (size_t s = 0; s < plot->n; s++) {
        double at = y + 12 + 20 * (double)s;
        fprintf(out, "<path class=\"%s\" stroke=\"%s\" d=\"M%.0f %.1fh26\"/>\n", line_class(&plot->series[s]),
            plot->series[s].colour, x + 10, at);
        put_text(out, x + 46, at + 4, "class=\"label\"", plot->series[s].label);
    }
}

static void put_head(FILE *out)
{
    fprintf(out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
        "height=\"%d\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" "
        "fill=\"#1f2933\">\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    fputs("<style>.tick{font-size:12px;fill:#52606d}.label{font-size:13px}"
          ".line{fill:none;stroke-width:2.4;stroke-linejoin:round}"
          ".dashed{stroke-width:1.6;stroke-dasharray:6 5}"
          "circle{stroke:#fff;stroke-width:1.5}</style>\n",
        out);
    fprintf(out, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", WIDTH, HEIGHT);
}

static void put_plot(FILE *out, const struct plot *plot)
{
    struct axis x = axis_of(plot, false), y = axis_of(plot, true);
    char rotated[80];

    put_head(out);
    put_text(out, LEFT, 36, "font-size=\"19\" font-weight=\"600\"", plot->title);
    put_text(out, LEFT, 60, "font-size=\"13\" fill=\"#52606d\"", plot->subtitle);
    put_grid(out, &x, false);
    put_grid(out, &y, true);
    fprintf(out, "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"#7b8794\"/>\n", LEFT, TOP, HEIGHT - BOTTOM,
        WIDTH - RIGHT);
    for (int pass = 1; pass >= 0; pass--) {
        for (size_t s = 0; s < plot->n; s++) {
            if (plot->series[s].is_reference == (pass == 1))
                put_series(out, &plot->series[s], &x, &y);
        }
    }
    put_legend(out, plot);
    const double middle_x = (LEFT + WIDTH - RIGHT) / 2.0, middle_y = (TOP + HEIGHT - BOTTOM) / 2.0;
    put_text(out, middle_x, HEIGHT - 18, "class=\"label\" text-anchor=\"middle\"", plot->x_label);
    snprintf(
        rotated, sizeof rotated, "class=\"label\" text-anchor=\"middle\" transform=\"rotate(-90 24 %.0f)\"", middle_y);
    put_text(out, 24, middle_y, rotated, plot->y_label);
    fputs("</svg>\n", out);
}

static bool can_be_drawn(const struct plot *plot)
{
    size_t points = 0;

    for (size_t s = 0; s < plot->n; s++) {
        for (size_t i = 0; i < plot->series[s].n; i++, points++) {
            double x = plot->series[s].x[i], y = plot->series[s].y[i];
            if (!(x > 0 && isfinite(x) && y > 0 && isfinite(y)))
                return false;
        }
    }
    return points > 0;
}

int plot_write(const struct plot *plot, const char *path)
{
    if (!can_be_drawn(plot))
        return -EINVAL;

    FILE *out = fopen(path, "w");
    if (!out)
        return -errno;
    put_plot(out, plot);
    bool failed = ferror(out) != 0;
    return fclose(out) != 0 || failed ? -EIO : 0;
}
