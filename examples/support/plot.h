/* SPDX-License-Identifier: MIT */
/* plot.h: lines with points on two logarithmic axes, written as an SVG file. */
#ifndef EXAMPLES_PLOT_H
#define EXAMPLES_PLOT_H
#include <stdbool.h>
#include <stddef.h>

struct plot_series {
    const char *label;
    const char *colour; /* as in CSS */
    const double *x;
    const double *y;
    size_t n;
    bool is_reference; /* a dashed line without points, drawn below the others */
};

struct plot {
    const char *title;
    const char *subtitle;
    const char *x_label;
    const char *y_label;
    const struct plot_series *series;
    size_t n;
};

/* Every x and y is greater than 0. The file is made or replaced. Fails with -EINVAL when there is
 * nothing that can be drawn, and with what opening or writing the file failed with. */
int plot_write(const struct plot *plot, const char *path);

#endif
